//! What is measured must not be written from what it is measured against: no contract, world or norm has a token that occurs only in attacked
//! runs. The check is shown to fail where it must.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use trace::format::{Trace, parse};

const SUITES: [&str; 4] = ["banking", "slack", "travel", "workspace"];
/// A shorter token may stand anywhere by chance.
const TOKEN_CHARS_MIN: usize = 4;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Words, addresses, accounts and hosts, in lower case: once whole, and once cut at every mark.
fn tokens(text: &str) -> BTreeSet<String> {
    let whole =
        text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '(' | ')' | '<' | '>' | '[' | ']' | '\\'));
    let whole = whole.map(|token| token.trim_matches(|c: char| !c.is_alphanumeric()));
    let cut = text.split(|c: char| !c.is_alphanumeric());
    whole.chain(cut).filter(|token| token.chars().count() >= TOKEN_CHARS_MIN).map(str::to_lowercase).collect()
}

/// Every token of attacked runs that no run without an attack, no environment and no list of tools has.
fn only_in_attacks(attacked: &[Trace], known: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for step in attacked.iter().flat_map(|trace| &trace.steps) {
        if step.is_injected() {
            found.extend(tokens(&Value::Object(step.args.clone()).to_string()));
        }
        found.extend(tokens(&step.result_text));
        found.extend(step.result.iter().flat_map(|result| tokens(&result.to_string())));
    }
    found.retain(|token| !known.contains(token));
    found
}

/// Words that a contract, a world or a norm may use because the project used them before anything was measured: its documents and its
/// other contracts, scenarios and norms' language.
fn vocabulary() -> BTreeSet<String> {
    let files = ["docs/contracts.md", "docs/norms.md", "docs/concepts.md", "docs/directory.md", "scenarios/README.md"];
    files.iter().flat_map(|file| tokens(&text(&root().join(file)))).collect()
}

fn files(folder: &str, ending: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    entries
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| (path.file_name().expect("a file").to_string_lossy().into_owned(), text(&path)))
        .collect()
}

/// What was written for the measurement, and holds in it.
fn written() -> BTreeMap<String, String> {
    let mut written = files("bench/agentdojo/contracts", "toml");
    written.extend(files("bench/agentdojo/worlds", "yaml"));
    written.extend(files("crates/judge/policies/norms", "cedar"));
    assert!(written.len() > 2 * SUITES.len(), "the files are where they are looked for");
    written
}

/// What is known without an attack: of every suite, because a word of one may be used for another.
fn known() -> BTreeSet<String> {
    let mut known = vocabulary();
    for suite in SUITES {
        for file in ["benign.jsonl", "environment.json", "tools.json"] {
            known.extend(tokens(&text(&root().join("bench/agentdojo/data").join(suite).join(file))));
        }
        let environment = text(&root().join("bench/agentdojo/data").join(suite).join("environment.json"));
        in_minor_units(&serde_json::from_str(&environment).expect("json"), &mut known);
    }
    known
}

/// Amounts of an environment, as worlds write them: counted in cents.
fn in_minor_units(value: &Value, known: &mut BTreeSet<String>) {
    match value {
        Value::Number(number) => known.extend(number.as_f64().map(|amount| format!("{:.0}", amount * 100.0))),
        Value::Array(entries) => entries.iter().for_each(|entry| in_minor_units(entry, known)),
        Value::Object(members) => members.values().for_each(|entry| in_minor_units(entry, known)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn attacked() -> Vec<Trace> {
    let paths = SUITES.map(|suite| root().join("bench/agentdojo/data").join(suite).join("attacked.jsonl"));
    let found: Vec<Trace> =
        paths.iter().filter(|path| path.exists()).flat_map(|path| parse(&text(path)).expect("traces")).collect();
    assert!(!found.is_empty(), "there are attacked runs to compare with");
    found
}

/// Tokens of what was written that occur only in attacks, by file.
fn leaks(written: &BTreeMap<String, String>, forbidden: &BTreeSet<String>) -> Vec<(String, String)> {
    let of = |(file, text): (&String, &String)| {
        let file = file.clone();
        tokens(text)
            .into_iter()
            .filter(|token| forbidden.contains(token))
            .map(move |token| (file.clone(), token))
            .collect::<Vec<_>>()
    };
    written.iter().flat_map(of).collect()
}

#[test]
fn nothing_that_is_measured_was_written_from_an_attack() {
    let forbidden = only_in_attacks(&attacked(), &known());
    assert!(forbidden.len() > 10, "attacks do have tokens of their own: {}", forbidden.len());
    assert_eq!(leaks(&written(), &forbidden), []);
}

#[test]
fn a_token_of_an_attack_is_found_wherever_it_is_put() {
    let forbidden = only_in_attacks(&attacked(), &known());
    let addresses = attacked();
    let addresses = addresses.iter().flat_map(|trace| &trace.steps).filter(|step| step.is_injected());
    let own =
        addresses.flat_map(|step| tokens(&Value::Object(step.args.clone()).to_string())).find(|token| forbidden.contains(token));
    let own = own.expect("an attack has a token of its own");
    for (file, text) in written() {
        let spoilt = BTreeMap::from([(file.clone(), format!("{text}\n# {own}\n"))]);
        assert_eq!(leaks(&spoilt, &forbidden), [(file, own.clone())]);
    }
}

#[test]
fn what_is_known_without_an_attack_is_no_leak() {
    let line = |by: &str, tool: &str, word: &str| {
        format!(
            r#"{{"trace":"v1","id":"{word}","requester":"bo","prompt":"p","steps":[{{"tool":"{tool}","args":{{"to":"{word}"}},"by":"{by}"}}]}}"#
        )
    };
    let attacked =
        parse(&format!("{}\n{}", line("injected", "send", "evil@host.example"), line("user", "send", "own@host.example")))
            .expect("traces");
    let forbidden = only_in_attacks(&attacked, &tokens("host example own@host.example"));
    assert_eq!(forbidden.into_iter().collect::<Vec<_>>(), ["evil", "evil@host.example"]);
}
