//! Pinning: a contract speaks for the definition that a person read, and for no other.

use crate::Contracts;
use judge::digest::Digest;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The members of a definition that a model or a client acts upon. Icons and the like may change.
pub(crate) const PARTS: [&str; 6] = ["name", "title", "description", "inputSchema", "outputSchema", "annotations"];
/// How many differences [`diff`] lists.
const DIFFERENCES_MAX: usize = 50;
/// Hex digits of a part's digest in a contract file.
const PART_DIGITS: usize = 16;

/// How a tool's definition stands to its contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is the one that was accepted.
    Accepted,
    /// It is another one: the tool is refused until somebody has looked at it.
    Changed {
        /// The digest that was accepted.
        was: Digest,
        /// The digest of what the server shows now.
        is: Digest,
        /// Which parts changed, as far as the contract file can tell.
        what: Vec<String>,
    },
    /// There is a contract, and nobody accepted it.
    Draft,
    /// There is no contract.
    Unknown,
}

impl Standing {
    /// Whether the tool may be called at all.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self, Standing::Accepted)
    }

    /// Why the tool is refused, for a person; nothing when it is not.
    #[must_use]
    pub fn sentence(&self, tool: &str) -> Option<String> {
        match self {
            Standing::Accepted => None,
            Standing::Changed { was, is, what } => {
                let what = if what.is_empty() { "its definition".to_owned() } else { what.join(", ") };
                Some(format!("`{tool}` changed since its contract was accepted ({what}; accepted sha256:{was}, now sha256:{is})"))
            }
            Standing::Draft => Some(format!("the contract of `{tool}` is a draft that nobody accepted")),
            Standing::Unknown => Some(format!("no contract says what `{tool}` does")),
        }
    }
}

pub(crate) fn check(contracts: &Contracts, definition: &Value) -> Standing {
    let name = definition.get("name").and_then(Value::as_str).unwrap_or_default();
    let Some(tool) = contracts.tool(name) else { return Standing::Unknown };
    match tool.pin {
        Some(was) if tool.is_accepted() => {
            let is = definition_digest(definition);
            if is == was {
                return Standing::Accepted;
            }
            let now = part_digests(definition);
            let names: BTreeSet<&String> = tool.parts.keys().chain(now.keys()).collect();
            let changed = |name: &&String| tool.parts.get(*name) != now.get(*name);
            let what = if tool.parts.is_empty() { Vec::new() } else { names.into_iter().filter(changed).cloned().collect() };
            Standing::Changed { was, is, what }
        }
        Some(_) | None => Standing::Draft,
    }
}

/// SHA-256 over the canonical JSON (RFC 8785) of the parts of a tool's definition that matter: name, title, description, both schemas
/// and the annotations.
#[must_use]
pub fn definition_digest(tool: &Value) -> Digest {
    let parts: Map<String, Value> = PARTS.iter().filter_map(|part| Some(((*part).to_owned(), tool.get(part)?.clone()))).collect();
    Digest::of(&canonical(&Value::Object(parts)))
}

/// A short digest of each part, so that a later look can say which of them changed.
pub(crate) fn part_digests(tool: &Value) -> BTreeMap<String, String> {
    let short = |value: &Value| Digest::of(&canonical(value)).to_string()[..PART_DIGITS].to_owned();
    PARTS.iter().filter_map(|part| Some(((*part).to_owned(), short(tool.get(part)?)))).collect()
}

fn canonical(value: &Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("a JSON value has text keys and finite numbers")
}

/// What differs between two definitions of a tool, one sentence each, for a person who decides whether to accept the new one.
#[must_use]
pub fn diff(was: &Value, is: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    for part in PARTS {
        compare(part, was.get(part), is.get(part), &mut differences);
    }
    let more = differences.len().saturating_sub(DIFFERENCES_MAX);
    differences.truncate(DIFFERENCES_MAX);
    if more > 0 {
        differences.push(format!("{more} more differences"));
    }
    differences
}

fn compare(place: &str, was: Option<&Value>, is: Option<&Value>, differences: &mut Vec<String>) {
    match (was, is) {
        (None, None) => {}
        (Some(was), None) => differences.push(format!("`{place}` is gone: {}", shown(was))),
        (None, Some(is)) => differences.push(format!("`{place}` is new: {}", shown(is))),
        (Some(Value::Object(was)), Some(Value::Object(is))) => {
            let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
            for name in names {
                compare(&format!("{place}.{name}"), was.get(name), is.get(name), differences);
            }
        }
        (Some(was), Some(is)) if was == is => {}
        (Some(was), Some(is)) => differences.push(format!("`{place}` was {}, is {}", shown(was), shown(is))),
    }
}

/// Short, on one line, and without control characters: a definition is the server's word, and this goes to a terminal.
fn shown(value: &Value) -> String {
    const CHARS_MAX: usize = 160;
    let text: String = value.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
