//! Scenarios: what happened somewhere, as a file that can be run, with what Prudence must answer at every step, and why.
//!
//! [`parse`] reads a file (YAML 1.2, format version 1) and refuses whatever it does not understand, with the line; [`run`] plays
//! it against the judge with a ledger in memory and the time of the file, and compares. It refuses to know HTTP,
//! tool contracts and the clock on the wall; nothing here sleeps.

mod format;
pub mod month;
mod parse;
mod report;
mod run;
mod step;
#[cfg(test)]
mod tests;
mod world;

pub use parse::{CONTENT_BYTES_MAX, FILE_BYTES_MAX, ParseError, REPEATS_MAX, STEPS_MAX, parse, parse_world};
pub use report::{Expected, Found, Report, StepReport, Verdict};
pub use run::{Options, RunError, run};
pub use step::Scenario;
