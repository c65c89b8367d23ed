//! A call that must be decided, as the exact frame that will be forwarded, and everything in it that would leave. What it means is the
//! contract's business.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use http::HeaderMap;
use judge::act::{Act, Stated};
use judge::digest::Digest;
use judge::effect::Effect;
use judge::name::ToolId;
use serde_json::{Map, Value};
use wire::canonical;
use wire::frame::Frame;
use wire::mcp::{Method, ResourceRead, ToolCall};

use crate::config::NAME_SEPARATOR;

/// Text outside of a call's arguments that is looked at, in pieces; a call with more is refused.
const PIECES_MAX: usize = 10_000;
/// Members of `_meta` that may change when the same call is sent again.
const MARKS_MAX: usize = 8;
/// The longest of them: a trace parent has 55 bytes, a client's own id at most 64.
const MARK_BYTES_MAX: usize = 64;

/// A decided call: frame and digest belong together, and neither changes.
#[derive(Clone, Debug)]
pub struct Call {
    frame: Frame,
    digest: Digest,
    /// All parameters but those that the target has.
    beside: Map<String, Value>,
    /// What is called.
    pub target: Target,
    /// The tool as records and policies name it.
    pub tool: ToolId,
}

/// What is called.
#[derive(Clone)]
pub enum Target {
    /// A tool, under the name that its server gives it.
    Tool {
        /// Its name.
        name: String,
        /// The arguments: an object, or null.
        arguments: Value,
    },
    /// A resource.
    Resource {
        /// Its URI.
        uri: String,
    },
}

/// Arguments are secrets until labelled otherwise.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tool { name, .. } => f.debug_struct("Tool").field("name", name).finish_non_exhaustive(),
            Self::Resource { .. } => f.write_str("Resource"),
        }
    }
}

/// Why a frame is no call that can be decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCall {
    /// The parameters are not those of the method.
    #[error("expected the parameters of `{method}`")]
    Parameters {
        /// The method.
        method: &'static str,
    },
    /// A number that readers of JSON disagree about.
    #[error("{0}")]
    Number(String),
    /// No name for records.
    #[error("expected the name of a tool, found a text that is none")]
    Name,
    /// Too much beside the arguments.
    #[error("expected at most {PIECES_MAX} texts beside the arguments of a call")]
    TooMuch,
}

/// Whether a frame may only leave with a permit, whatever kind of message it claims to be.
#[must_use]
pub fn must_be_decided(frame: &Frame) -> bool {
    matches!(Method::of(frame), Some(Method::ToolsCall | Method::ResourcesRead))
}

impl Call {
    /// Reads a `tools/call` or `resources/read` for the upstream of this name. The frame is the one that its server will get.
    pub fn of(upstream: &str, frame: &Frame) -> Result<Self, NoCall> {
        let (mut target, tool) = match Method::of(frame) {
            Some(Method::ResourcesRead) => {
                let read = ResourceRead::of(frame).map_err(|_| NoCall::Parameters { method: "resources/read" })?;
                (Target::Resource { uri: read.uri.into_owned() }, format!("{upstream}{NAME_SEPARATOR}resources/read"))
            }
            Some(_) | None => {
                let call = ToolCall::of(frame).map_err(|_| NoCall::Parameters { method: "tools/call" })?;
                let tool = format!("{upstream}{NAME_SEPARATOR}{}", call.name);
                (Target::Tool { name: call.name.into_owned(), arguments: Value::Null }, tool)
            }
        };
        let tool = ToolId::parse(&tool).map_err(|_| NoCall::Name)?;
        // One tree for all: what is digested, what the contract reads, and what is judged beside it are the same values.
        let mut params = frame.params();
        let digest = digest_of(upstream, frame.method().unwrap_or_default(), &mut params)?;
        let mut beside = match params {
            Value::Object(members) => members,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        };
        match &mut target {
            Target::Tool { arguments, .. } => {
                *arguments = beside.remove("arguments").unwrap_or_default();
                beside.remove("name");
            }
            Target::Resource { .. } => {
                beside.remove("uri");
            }
        }
        Ok(Self { frame: frame.clone(), digest, beside, target, tool })
    }

    /// The frame that is decided on and forwarded.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The digest that approval and permit are bound to: everything that the call asks for. Not its id, and no marks of one
    /// sending in `_meta`, which change when the same call is sent again.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether the client asks for a task instead of a result (2025-11-25, tasks).
    #[must_use]
    pub fn asks_for_task(&self) -> bool {
        self.beside.contains_key("task")
    }

    /// Adds to `act` what leaves beside the arguments: answers to the server's questions, `_meta`, unknown members, headers. A contract
    /// speaks of arguments only, and nothing may carry content out unjudged.
    pub fn add_the_rest(&self, act: &mut Act, headers: &HeaderMap) -> Result<(), NoCall> {
        let mut texts = Texts { into: &mut act.content, pieces: 0 };
        for (name, value) in &self.beside {
            match (name.as_str(), value) {
                ("_meta", Value::Object(meta)) => {
                    for (name, value) in meta.iter().filter(|(name, _)| name.as_str() != "progressToken") {
                        // The protocol's own members say what a client is; the server's names for them are not content.
                        if !name.starts_with("io.modelcontextprotocol/") {
                            texts.push(name)?;
                        }
                        texts.walk(value)?;
                    }
                }
                ("inputResponses" | "task" | "requestState", value) => texts.walk(value)?,
                (name, value) => {
                    texts.push(name)?;
                    texts.walk(value)?;
                }
            }
        }
        for (name, value) in headers {
            let is_checked =
                matches!(name.as_str(), "mcp-protocol-version" | "mcp-method" | "mcp-name" | "accept" | "content-type");
            if !is_checked {
                texts.push(&String::from_utf8_lossy(value.as_bytes()))?;
            }
        }
        Ok(())
    }

    /// An act for a call that no contract can read, where refusals are only observed: whatever it does is counted as the strongest thing.
    pub fn unread_act(&self) -> Act {
        let mut act = Act {
            stated: Stated::default(),
            tool: self.tool.clone(),
            effects: BTreeSet::from([match self.target {
                Target::Tool { .. } => Effect::Execute,
                Target::Resource { .. } => Effect::Read,
            }]),
            resources: Vec::new(),
            recipients: Vec::new(),
            content: Vec::new(),
            values: Vec::new(),
            amount: None,
            reads: None,
            change: None,
            because: None,
            digest: self.digest,
        };
        if let Target::Tool { arguments, .. } = &self.target {
            let mut texts = Texts { into: &mut act.content, pieces: 0 };
            // What is beyond the bound is not judged; nothing here is stopped anyway.
            let _ = texts.walk(arguments);
        }
        act
    }
}

struct Texts<'a> {
    into: &'a mut Vec<String>,
    pieces: usize,
}

impl Texts<'_> {
    fn push(&mut self, text: &str) -> Result<(), NoCall> {
        self.pieces += 1;
        if self.pieces > PIECES_MAX {
            return Err(NoCall::TooMuch);
        }
        self.into.push(text.to_owned());
        Ok(())
    }

    /// All texts in a value. It came out of a frame, whose depth is bounded.
    fn walk(&mut self, value: &Value) -> Result<(), NoCall> {
        match value {
            Value::Null | Value::Bool(_) => Ok(()),
            Value::Number(number) => self.push(&number.to_string()),
            Value::String(text) => self.push(text),
            Value::Array(entries) => entries.iter().try_for_each(|entry| self.walk(entry)),
            Value::Object(members) => members.iter().try_for_each(|(name, value)| {
                self.push(name)?;
                self.walk(value)
            }),
        }
    }
}

/// What of `_meta` belongs to the call: everything except where it was marked for one sending, by a number or a short mark without white space
/// (progress tokens, trace and request ids). Words beside the arguments reach the server too, so an approval must not cover others.
fn lasting_meta(meta: &Value) -> Option<Value> {
    let Value::Object(members) = meta else { return (!meta.is_null()).then(|| meta.clone()) };
    let mut marks = 0;
    let lasts = members.iter().filter(|(name, value)| {
        let is_mark = name.as_str() == "progressToken" || is_mark(value);
        marks += usize::from(is_mark);
        !is_mark || marks > MARKS_MAX
    });
    let lasting: Map<String, Value> = lasts.map(|(name, value)| (name.clone(), value.clone())).collect();
    (!lasting.is_empty()).then_some(Value::Object(lasting))
}

fn is_mark(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::String(text) => text.len() <= MARK_BYTES_MAX && !text.chars().any(char::is_whitespace),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Equal calls have equal digests, however they are written, and only equal calls. A number that readers of JSON disagree about is refused
/// (RFC 7493, section 2.2): what was judged and what the server reads could differ.
fn digest_of(upstream: &str, method: &str, params: &mut Value) -> Result<Digest, NoCall> {
    let meta = params.get_mut("_meta").map(Value::take);
    let lasting = meta.as_ref().and_then(lasting_meta);
    set_meta(params, lasting);
    let text = canonical::text(params).map_err(|error| NoCall::Number(error.to_string()))?;
    set_meta(params, meta);
    Ok(Digest::of_parts([upstream.as_bytes(), method.as_bytes(), text.as_bytes()]))
}

fn set_meta(params: &mut Value, meta: Option<Value>) {
    let Value::Object(members) = params else { return };
    match meta {
        Some(meta) => members.insert("_meta".to_owned(), meta),
        None => members.remove("_meta"),
    };
}
