//! `trace/v1`: JSON Lines, one trace a line. Read strictly: an unknown key, a member that is there twice, or too much of something is an
//! error with its line, because a trace that is half understood gives figures that are wrong.

use judge::name::PrincipalId;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 16 << 20;
/// How many traces one file may hold.
pub const TRACES_MAX: usize = 100_000;
/// How many steps one trace may have.
pub const STEPS_MAX: usize = 10_000;
/// How many errors are told at once.
const ERRORS_MAX: usize = 50;

/// What was asked of an agent, and every call that it made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// The version of this format.
    #[serde(rename = "trace", default)]
    pub version: Version,
    /// Which.
    pub id: String,
    /// The person who asked.
    pub requester: PrincipalId,
    /// What they asked, word for word.
    pub prompt: String,
    /// The calls, in their order.
    pub steps: Vec<Step>,
}

/// The version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Version {
    /// The first.
    #[default]
    #[serde(rename = "v1")]
    V1,
}

/// A tool call, with what came back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The tool: its bare name, or `UPSTREAM__TOOL`.
    pub tool: String,
    /// The arguments.
    #[serde(default)]
    pub args: Map<String, Value>,
    /// What the agent saw.
    #[serde(default)]
    pub result_text: String,
    /// The same as data, where there was any. That nothing came back (`null`) is known, too.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why the call failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Who wanted it; only in attacked traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
}

/// Who wanted a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The requester: the agent does its task.
    User,
    /// Somebody whose words came in through data.
    Injected,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Trace {
    /// Whether somebody else's words reached the agent: its steps say who wanted them.
    #[must_use]
    pub fn is_attacked(&self) -> bool {
        self.steps.iter().any(|step| step.by.is_some())
    }

    /// The trace as one line of a file, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("a trace is plain data with text keys")
    }
}

impl Step {
    /// Whether somebody else's words made the agent do it.
    #[must_use]
    pub fn is_injected(&self) -> bool {
        self.by == Some(By::Injected)
    }
}

/// What is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct FormatError {
    /// The line, from 1.
    pub line: usize,
    /// What was expected, and what was found.
    pub message: String,
}

/// Reads a file. Empty lines are nothing.
///
/// # Errors
/// Every line that is no trace, with what is wrong in it.
pub fn parse(text: &str) -> Result<Vec<Trace>, Vec<FormatError>> {
    let mut traces: Vec<Trace> = Vec::new();
    let mut errors = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    for (number, line) in lines(text) {
        let trace = line_of(line).and_then(|trace| match ids.insert(trace.id.clone()) {
            true if traces.len() < TRACES_MAX => Ok(trace),
            true => Err(format!("a file has at most {TRACES_MAX} traces")),
            false => Err(format!("the trace `{}` is there twice", trace.id)),
        });
        match trace {
            Ok(trace) => traces.push(trace),
            Err(message) => errors.push(FormatError { line: number, message }),
        }
        if errors.len() == ERRORS_MAX {
            break;
        }
    }
    if errors.is_empty() { Ok(traces) } else { Err(errors) }
}

/// The lines that hold something, each with its number.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim().is_empty())
}

/// The JSON of one line, strictly.
pub(crate) fn json(line: &str) -> Result<Value, String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("the line has {} bytes, at most {LINE_BYTES_MAX} are read", line.len()));
    }
    contract::strict_json(line).map_err(|error| format!("this is not JSON as it must be: {error}"))
}

fn line_of(line: &str) -> Result<Trace, String> {
    let value = json(line)?;
    if value.get("trace").is_none() {
        return Err("`\"trace\": \"v1\"` is missing".to_owned());
    }
    let trace: Trace = serde_json::from_value(value).map_err(|error| error.to_string())?;
    match trace.steps.len() {
        0..=STEPS_MAX => Ok(trace),
        steps => Err(format!("{steps} steps, at most {STEPS_MAX} are allowed")),
    }
}
