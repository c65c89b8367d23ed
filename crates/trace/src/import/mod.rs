//! From what others record to `trace/v1`: OpenTelemetry spans, and logs of MCP sessions.
//!
//! What cannot be read is an error with its line. What is no tool call is counted and told, never dropped in silence: a figure over half of
//! the calls is worse than none.

pub mod mcp;
pub mod otel;

use crate::format::Trace;
use judge::name::PrincipalId;
use std::collections::BTreeMap;

/// How many errors are told at once.
const ERRORS_MAX: usize = 50;

/// What the record itself may not say.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// Who asked.
    pub requester: PrincipalId,
    /// What they asked, where the record has no words of theirs.
    pub prompt: String,
    /// What a trace is called that has no id of its own.
    pub id: String,
}

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The traces, in the order of their first call.
    pub traces: Vec<Trace>,
    /// What was read and is no tool call, by what it is.
    pub beside: BTreeMap<String, u64>,
    /// What is worth knowing of what was read: calls without an answer, traces without words.
    pub notes: Vec<String>,
}

/// What is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ImportError {
    /// The line, from 1; for a document that is one JSON value, 1.
    pub line: usize,
    /// What was expected, and what was found.
    pub message: String,
}

/// Errors that are gathered, up to a bound.
#[derive(Default)]
struct Errors(Vec<ImportError>);

impl Errors {
    fn add(&mut self, line: usize, message: impl Into<String>) {
        if self.0.len() < ERRORS_MAX {
            self.0.push(ImportError { line, message: message.into() });
        }
    }

    fn or<T>(self, read: T) -> Result<T, Vec<ImportError>> {
        if self.0.is_empty() { Ok(read) } else { Err(self.0) }
    }
}
