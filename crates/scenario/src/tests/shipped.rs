//! The files in `scenarios/`, against the shipped norms and against the grants alone.

use super::*;
use std::collections::BTreeMap;

fn shipped() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let files = std::fs::read_dir(&folder).expect("the folder of scenarios").map(|file| file.expect("a file").path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        (name, std::fs::read_to_string(&path).expect("a text"))
    };
    yaml.map(read).collect()
}

fn is_benign(name: &str) -> bool {
    name.ends_with("-benign")
}

#[test]
fn every_shipped_scenario_goes_as_it_says() {
    let mut wrong = String::new();
    for (name, text) in shipped() {
        let scenario = parse(&name, &text).unwrap_or_else(|errors| panic!("{errors:#?}"));
        assert_eq!(scenario.id, name, "the file is called as the scenario");
        assert!(scenario.notes.is_empty(), "{name}: {:?}", scenario.notes);
        assert!(
            !scenario.about.is_empty() && !scenario.source.is_empty(),
            "{name} says what it is about and where it comes from"
        );
        let report = run(&scenario, &Options::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        if report.failed().next().is_some() {
            wrong.push_str(&report.to_string());
        }
        assert!(report.passed().next().is_some(), "{name}: nothing was judged");
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_harmful_scenario_has_a_benign_twin_in_which_nobody_is_asked() {
    let all = shipped();
    for name in all.keys().filter(|name| !is_benign(name)) {
        let twin = all.get(&format!("{name}-benign")).unwrap_or_else(|| panic!("{name} has no twin"));
        let report = report_of(twin, &Options::default());
        for step in &report.steps {
            assert!(step.found.as_ref().is_none_or(|found| found.decision == Outcome::Permit && !found.asked), "{report}");
        }
    }
}

#[test]
fn grants_alone_let_every_harm_through_and_every_benign_step() {
    for (name, text) in shipped() {
        let report = report_of(&text, &baseline());
        let stopped =
            report.steps.iter().filter(|step| step.found.as_ref().is_some_and(|found| found.decision != Outcome::Permit)).count();
        if is_benign(&name) {
            assert_eq!((report.let_through().count(), stopped), (0, 0), "{report}");
        } else {
            assert!(report.let_through().next().is_some(), "{report}");
        }
        assert!(report.steps.iter().all(|step| step.verdict == Verdict::Unjudged), "{report}");
    }
}

#[test]
fn without_the_norm_that_stops_it_a_scenario_fails() {
    for (name, norm) in [
        ("forum-post-readable", "address"),
        ("forum-post-content", "readers"),
        ("purpose-drift", "purpose"),
        ("cross-tenant", "stumble"),
    ] {
        let mut norms = PolicySources::shipped();
        norms.norms.retain(|source| !source.name.contains(norm));
        let report = report_of(&shipped()[name], &Options { norms, baseline: false });
        assert!(report.failed().next().is_some(), "{report}");
    }
}

#[test]
fn a_report_reads_as_what_was_expected_and_what_was_found() {
    let all = shipped();
    insta::assert_snapshot!("forum-post", report_of(&all["forum-post"], &Options::default()));
    insta::assert_snapshot!("forum-post-baseline", report_of(&all["forum-post"], &baseline()));
    insta::assert_snapshot!("cross-tenant", report_of(&all["cross-tenant"], &Options::default()));
}
