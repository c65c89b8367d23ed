//! Scenarios as claims: those that are shipped, those that an attacker would write, and files that are none.

use crate::{Options, Report, Verdict, parse, run};
use judge::decision::Outcome;
use judge::policy::PolicySources;
use std::path::Path;

mod attacks;
mod format;
mod shipped;

/// Runs a file that can be run.
#[track_caller]
fn report_of(text: &str, options: &Options) -> Report {
    let scenario = parse("test.yaml", text).unwrap_or_else(|errors| panic!("{errors:#?}"));
    run(&scenario, options).unwrap_or_else(|error| panic!("{error}"))
}

/// Every step of the file is as it says: nothing differs, and nothing waits for later.
#[track_caller]
fn holds(text: &str) {
    let report = report_of(text, &Options::default());
    assert!(report.failed().next().is_none(), "{report}");
}

fn baseline() -> Options {
    Options { baseline: true, ..Options::default() }
}
