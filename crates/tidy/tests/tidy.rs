//! The house rules, as claims about the manifests and the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who may know whom. What is not here is forbidden.
const ARROWS: [(&str, &[&str]); 13] = [
    ("judge", &[]),
    ("ledger", &[]),
    ("workplace", &[]),
    ("tidy", &[]),
    ("wire", &["judge"]),
    ("contract", &["judge"]),
    ("trace", &["contract", "judge"]),
    ("engine", &["judge", "ledger"]),
    ("scenario", &["judge", "ledger"]),
    ("broker", &["judge"]),
    ("gateway", &["broker", "contract", "engine", "judge", "wire"]),
    ("authority", &["engine", "judge", "wire"]),
    (
        "prudence",
        &["authority", "broker", "contract", "engine", "gateway", "judge", "ledger", "scenario", "trace", "wire", "workplace"],
    ),
];

/// Everything that the judge links. A new one has to be argued for.
const JUDGE_DEPENDENCIES: [&str; 13] = [
    "base64",
    "cedar-policy",
    "hashbrown",
    "imbl",
    "miette",
    "roaring",
    "serde",
    "serde_json",
    "sha2",
    "siphasher",
    "thiserror",
    "unicode-normalization",
    // Hosts and addresses in values: WHATWG URL and IDNA are not to be written by hand.
    "url",
];

/// What must not stand in the judge's sources: it is pure.
const JUDGE_MUST_NOT_SAY: [&str; 9] =
    ["SystemTime", "Instant::", "std::fs", "std::net", "std::env", "std::thread", "println!", "async fn", "unsafe"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn crates() -> BTreeMap<String, toml::Table> {
    let folders = fs::read_dir(root().join("crates")).expect("the workspace has a folder of crates");
    folders
        .map(|folder| folder.expect("it can be listed").path())
        .map(|folder| {
            let text = fs::read_to_string(folder.join("Cargo.toml")).expect("every crate has a manifest");
            let name = folder.file_name().expect("a crate's folder has a name").to_string_lossy().into_owned();
            (name, text.parse().expect("a manifest is TOML"))
        })
        .collect()
}

fn dependencies(manifest: &toml::Table, table: &str) -> BTreeSet<String> {
    manifest.get(table).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys).cloned().collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn the_arrows_between_crates_are_those_that_are_drawn() {
    let crates = crates();
    let names: BTreeSet<&str> = crates.keys().map(String::as_str).collect();
    let drawn: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    assert_eq!(names, drawn.keys().copied().collect(), "every crate is in the drawing, and nothing else is");
    for (name, manifest) in &crates {
        for dependency in dependencies(manifest, "dependencies") {
            let is_drawn = !names.contains(dependency.as_str()) || drawn[name.as_str()].contains(&dependency.as_str());
            assert!(is_drawn, "`{name}` must not know `{dependency}`");
        }
    }
}

#[test]
fn the_judge_links_what_was_agreed_and_nothing_else() {
    let found = dependencies(&crates()["judge"], "dependencies");
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), JUDGE_DEPENDENCIES);
}

#[test]
fn the_judge_knows_no_clock_no_disk_and_no_network() {
    for path in sources(&root().join("crates/judge/src")) {
        let text = fs::read_to_string(&path).expect("a source can be read");
        for word in JUDGE_MUST_NOT_SAY {
            assert!(!text.contains(word), "{}: `{word}`", path.display());
        }
    }
}

#[test]
fn every_source_says_why_it_exists() {
    for name in crates().keys() {
        for path in sources(&root().join("crates").join(name).join("src")) {
            let text = fs::read_to_string(&path).expect("a source can be read");
            assert!(text.trim_start().starts_with("//!"), "{} has no header", path.display());
        }
    }
}

#[test]
fn every_crate_has_its_paragraph_in_the_architecture() {
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("there is an ARCHITECTURE.md");
    for name in crates().keys() {
        assert!(architecture.contains(&format!("### `{name}`")), "ARCHITECTURE.md has no paragraph on `{name}`");
    }
}
