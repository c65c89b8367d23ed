//! One JSON-RPC 2.0 message, kept as the bytes that came.
//!
//! The value that is authorised is the value that is forwarded: a frame is read strictly once, everything handed out is a slice of
//! it, and an edit rewrites one subtree and leaves every other byte alone. This module refuses to know what a method means; that is
//! [`crate::mcp`]'s business.
//!
//! Sources: JSON-RPC 2.0 §4-5 as narrowed by MCP 2026-07-28 `basic/index` "Messages" (ids are strings or integers and never null,
//! `params` and `result` are objects, no batches since 2025-06-18).

mod pointer;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::strict;

/// Bounds on one frame. Every one of them has a number: nothing that arrives is unbounded.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Length of the whole frame.
    pub bytes_max: usize,
    /// Nesting of arrays and objects. Values above 127 have no effect: the JSON reader stops there by itself.
    pub depth_max: usize,
    /// Number of values of any kind: what a parsed tree costs grows with it.
    pub values_max: usize,
    /// Length of one string value, after unescaping.
    pub string_bytes_max: usize,
    /// Length of one member name, after unescaping.
    pub name_bytes_max: usize,
    /// Length of the method name, after unescaping.
    pub method_bytes_max: usize,
    /// Length of the id's text.
    pub id_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes_max: 4 << 20,
            depth_max: 64,
            values_max: 250_000,
            string_bytes_max: 4 << 20,
            name_bytes_max: 4 << 10,
            method_bytes_max: 256,
            id_bytes_max: 256,
        }
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Has `method` and `id`.
    Request,
    /// Has `method` and no `id`.
    Notification,
    /// Has `result` and `id`.
    Result,
    /// Has `error`; `id` is absent where the request's could not be read.
    Error,
}

impl Kind {
    /// Whether it answers a request, well or not.
    pub fn is_response(self) -> bool {
        match self {
            Kind::Result | Kind::Error => true,
            Kind::Request | Kind::Notification => false,
        }
    }
}

/// One message. Cloning shares the bytes.
#[derive(Clone)]
pub struct Frame {
    text: Arc<String>,
    /// The same bytes, not a copy.
    bytes: Bytes,
    kind: Kind,
    method: Option<Box<str>>,
    id: Option<Range<usize>>,
    params: Option<Range<usize>>,
    result: Option<Range<usize>>,
    error: Option<Range<usize>>,
}

impl Frame {
    /// Reads one frame strictly. The bytes are kept as they are, white space included.
    pub fn parse(bytes: impl Into<Bytes>, limits: &Limits) -> Result<Frame, FrameError> {
        let bytes = bytes.into();
        if bytes.len() > limits.bytes_max {
            return Err(FrameError::TooBig { bytes: bytes.len(), bytes_max: limits.bytes_max });
        }
        // No copy where the bytes have no other owner.
        let text =
            String::from_utf8(Vec::from(bytes)).map_err(|error| FrameError::NotUtf8 { at: error.utf8_error().valid_up_to() })?;
        Frame::read(text, limits)
    }

    fn read(text: String, limits: &Limits) -> Result<Frame, FrameError> {
        let owner = Arc::new(text);
        let text = owner.as_str();
        strict::check(text, limits)?;
        match text.trim_ascii_start().as_bytes().first() {
            Some(b'{') => {}
            Some(b'[') => return Err(FrameError::Batch),
            _ => return Err(FrameError::NotAnObject),
        }
        let envelope: Envelope = serde_json::from_str(text).map_err(malformed)?;
        let shape = envelope.shape(limits)?;
        let span = |raw: Option<&RawValue>| raw.map(|raw| span_of(text, raw.get()));
        let (id, params, result, error) = (span(shape.id), span(envelope.params), span(envelope.result), span(envelope.error));
        let (kind, method) = (shape.kind, shape.method);
        Ok(Frame { bytes: Bytes::from_owner(Owner(owner.clone())), text: owner, kind, method, id, params, result, error })
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The bytes as they came, or as an edit left them.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same as text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The frame on one line, for transports that frame by line (stdio; a line of a pretty-printed frame can be a whole message of its
    /// own, which nobody decided). Line breaks can stand only between tokens, since JSON strings cannot hold them unescaped
    /// (RFC 8259 §7), so each becomes a space.
    pub fn line(&self) -> Bytes {
        if memchr::memchr2(b'\n', b'\r', &self.bytes).is_none() {
            return self.bytes.clone();
        }
        let line: Vec<u8> = self.bytes.iter().map(|&byte| if byte == b'\n' || byte == b'\r' { b' ' } else { byte }).collect();
        line.into()
    }

    /// The id's text exactly as it came: `1`, `"1"` and `1e0` are three texts. Echo this; compare with [`Frame::id_key`].
    pub fn id(&self) -> Option<&str> {
        self.slice(&self.id)
    }

    /// The id as a value, for finding the request that a response answers.
    pub fn id_key(&self) -> Option<IdKey> {
        self.id().map(|raw| IdKey::of(raw).expect("the id was checked when the frame was read"))
    }

    /// The method, unescaped.
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// The text of `params`, an object.
    pub fn params_raw(&self) -> Option<&str> {
        self.slice(&self.params)
    }

    /// The text of `result`, an object.
    pub fn result_raw(&self) -> Option<&str> {
        self.slice(&self.result)
    }

    /// The text of `error`, an object with `code` and `message`.
    pub fn error_raw(&self) -> Option<&str> {
        self.slice(&self.error)
    }

    /// `params` as a tree, built on each call. `Null` where there are none.
    ///
    /// A tree holds numbers as 64-bit integers or doubles. What it would have rounded is for [`crate::canonical::digest`] to refuse:
    /// decide nothing on arguments that have no digest.
    pub fn params(&self) -> Value {
        tree(self.params_raw())
    }

    /// `result` as a tree, built on each call. `Null` where there is none.
    pub fn result(&self) -> Value {
        tree(self.result_raw())
    }

    /// The text of the value that a JSON pointer (RFC 6901) names, e.g. `/params/name`.
    pub fn at(&self, pointer: &str) -> Option<&str> {
        // The outermost members were found when the frame was read.
        let known = [("/params", &self.params), ("/result", &self.result), ("/error", &self.error)];
        let below = known.into_iter().find_map(|(member, span)| Some((span, pointer.strip_prefix(member)?)));
        let (text, pointer) = match below {
            Some((span, pointer)) if pointer.starts_with('/') => (self.slice(span)?, pointer),
            Some(_) | None => (self.text(), pointer),
        };
        pointer::locate(text, pointer).map(|span| &text[span])
    }

    /// Replaces the value at `pointer`, which must be there, by `replacement`, one JSON value. All other bytes stay as they are, and
    /// the whole is checked again.
    pub fn splice(&self, pointer: &str, replacement: &str, limits: &Limits) -> Result<Frame, SpliceError> {
        self.edit(&[Edit::Replace(pointer, replacement)], limits)
    }

    /// Makes several edits, in order, and checks the outcome once.
    pub fn edit(&self, edits: &[Edit], limits: &Limits) -> Result<Frame, SpliceError> {
        let mut text = Cow::Borrowed(self.text());
        for edit in edits {
            let (span, replacement) = edit.place(&text, limits)?;
            let mut edited = String::with_capacity(text.len() + replacement.len());
            edited.push_str(&text[..span.start]);
            edited.push_str(&replacement);
            edited.push_str(&text[span.end..]);
            text = Cow::Owned(edited);
        }
        match text {
            Cow::Borrowed(_) => Ok(self.clone()),
            Cow::Owned(text) => Ok(Frame::parse(text, limits)?),
        }
    }

    /// An answer. `id` and `result` are JSON texts: the id as [`Frame::id`] gave it, the result an object.
    pub fn answer(id: &str, result: &str, limits: &Limits) -> Result<Frame, FrameError> {
        one_value(id, limits)?;
        one_value(result, limits)?;
        Frame::parse(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#), limits)
    }

    /// An error answer. `id` is a JSON text as [`Frame::id`] gave it, `None` where the request's could not be read.
    pub fn error(id: Option<&str>, code: i64, message: &str, data: Option<&Value>) -> Frame {
        let mut error = serde_json::json!({ "code": code, "message": message });
        if let Some(data) = data {
            error["data"] = data.clone();
        }
        // An id that is not one is left out: an error must always be possible to send.
        let id = id.filter(|id| IdKey::of(id).is_some()).map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
        let text = format!(r#"{{"jsonrpc":"2.0",{id}"error":{error}}}"#);
        // What Prudence says itself is not held to a peer's bounds.
        let limits = Limits {
            bytes_max: usize::MAX,
            string_bytes_max: usize::MAX,
            values_max: usize::MAX,
            depth_max: usize::MAX,
            name_bytes_max: usize::MAX,
            id_bytes_max: usize::MAX,
            ..Limits::default()
        };
        Frame::parse(text, &limits).unwrap_or_else(|_| Frame::error(None, code, message, None))
    }

    fn slice(&self, span: &Option<Range<usize>>) -> Option<&str> {
        span.as_ref().map(|span| &self.text()[span.clone()])
    }
}

/// Lets [`Bytes`] share a frame's text.
struct Owner(Arc<String>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Arguments are secrets until somebody labels them: only the shape is shown.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Frame").field("kind", &self.kind).field("method", &self.method).field("bytes", &self.bytes.len()).finish()
    }
}

/// One change of a frame: a JSON pointer (RFC 6901) and a JSON value.
#[derive(Clone, Copy)]
pub enum Edit<'a> {
    /// The value must be there.
    Replace(&'a str, &'a str),
    /// The member is replaced, or added as the last one of its object, which must be there.
    Set(&'a str, &'a str),
}

impl<'a> Edit<'a> {
    /// Where the change goes in `text`, and what is put there.
    fn place(self, text: &str, limits: &Limits) -> Result<(Range<usize>, Cow<'a, str>), SpliceError> {
        let (Edit::Replace(pointer, value) | Edit::Set(pointer, value)) = self;
        // Checked by itself: `1,"x":2` would read well inside an object.
        one_value(value, limits)?;
        let missing = || SpliceError::NothingThere { pointer: pointer.to_owned() };
        match (pointer::locate(text, pointer), self) {
            (Some(span), Edit::Replace(..) | Edit::Set(..)) => Ok((span, Cow::Borrowed(value))),
            (None, Edit::Replace(..)) => Err(missing()),
            (None, Edit::Set(..)) => {
                let (end, name, empty) = pointer::end_of_parent(text, pointer).ok_or_else(missing)?;
                let comma = if empty { "" } else { "," };
                Ok((end..end, Cow::Owned(format!("{comma}{}:{value}", Value::String(name)))))
            }
        }
    }
}

/// An id as a value. JSON-RPC compares ids as values: a peer may answer `1e0` with `1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdKey {
    /// A whole number.
    Number(i64),
    /// A string.
    Text(String),
}

impl IdKey {
    /// Reads an id; `None` unless it is a string or a whole number that is exactly an `i64`.
    fn of(raw: &str) -> Option<IdKey> {
        match serde_json::from_str(raw).ok()? {
            Value::String(text) => Some(IdKey::Text(text)),
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)).map(IdKey::Number),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

fn whole(number: f64) -> Option<i64> {
    /// 2^53 - 1: beyond it a double does not say which whole number was written (RFC 7493 §2.2).
    const EXACT_MAX: f64 = 9_007_199_254_740_991.0;
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum FrameError {
    #[error("expected at most `{bytes_max}` bytes, found `{bytes}`")]
    TooBig { bytes: usize, bytes_max: usize },
    #[error("expected UTF-8, found something else at byte `{at}`")]
    NotUtf8 { at: usize },
    #[error("expected one JSON value, found a mistake at line `{line}`, column `{column}`")]
    Malformed { line: usize, column: usize },
    #[error("expected at most `{depth_max}` levels of nesting, found more")]
    TooDeep { depth_max: usize },
    #[error("expected at most `{values_max}` values, found more")]
    TooManyValues { values_max: usize },
    #[error("expected strings of at most `{bytes_max}` bytes, found a longer one")]
    StringTooLong { bytes_max: usize },
    #[error("expected each member once, found {name:?} twice")]
    DuplicateMember { name: String },
    #[error("expected one message, found a batch")]
    Batch,
    #[error("expected an object, found another value")]
    NotAnObject,
    #[error("expected `jsonrpc` to be `\"2.0\"`")]
    Version,
    #[error("expected `id` to be a string or a whole number of at most `{bytes_max}` bytes")]
    Id { bytes_max: usize },
    #[error("expected `method` to be a string of at most `{bytes_max}` bytes")]
    Method { bytes_max: usize },
    #[error("expected `params` to be an object")]
    Params,
    #[error("expected `result` to be an object")]
    Result,
    #[error("expected `error` to be an object with a whole `code` and a `message`")]
    Error,
    #[error("expected a request, a notification or a response, found {found}")]
    Shape { found: &'static str },
}

impl FrameError {
    /// The JSON-RPC code that says so to the peer (JSON-RPC 2.0 §5.1): `-32700` where the text cannot be read, `-32600` where what it
    /// says is not a message.
    pub fn rpc_code(&self) -> i64 {
        match self {
            FrameError::NotUtf8 { .. } | FrameError::Malformed { .. } => -32700,
            FrameError::TooBig { .. }
            | FrameError::TooDeep { .. }
            | FrameError::TooManyValues { .. }
            | FrameError::StringTooLong { .. }
            | FrameError::DuplicateMember { .. }
            | FrameError::Batch
            | FrameError::NotAnObject
            | FrameError::Version
            | FrameError::Id { .. }
            | FrameError::Method { .. }
            | FrameError::Params
            | FrameError::Result
            | FrameError::Error
            | FrameError::Shape { .. } => -32600,
        }
    }
}

/// Why an edit was not made. The frame is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// The pointer names nothing.
    #[error("expected a value at `{pointer}`, found none")]
    NothingThere {
        /// The pointer as given.
        pointer: String,
    },
    /// The replacement, or the frame with it, is not one.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// The members that make a message, as slices. Unknown members are left alone: they pass through.
#[derive(Default)]
struct Envelope<'a> {
    jsonrpc: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    result: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

struct Shape<'a> {
    kind: Kind,
    method: Option<Box<str>>,
    id: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    fn shape(&self, limits: &Limits) -> Result<Shape<'a>, FrameError> {
        if self.jsonrpc.and_then(string).as_deref() != Some("2.0") {
            return Err(FrameError::Version);
        }
        let kind = match (self.method, self.id, self.result, self.error) {
            (Some(_), Some(_), None, None) => Kind::Request,
            (Some(_), None, None, None) => Kind::Notification,
            (None, Some(_), Some(_), None) => Kind::Result,
            (None, _, None, Some(_)) => Kind::Error,
            (None, None, Some(_), None) => {
                return Err(FrameError::Shape { found: "a result without `id`" });
            }
            (None, _, Some(_), Some(_)) => {
                return Err(FrameError::Shape { found: "both `result` and `error`" });
            }
            (Some(_), _, _, _) => {
                return Err(FrameError::Shape { found: "`method` together with `result` or `error`" });
            }
            (None, _, None, None) => {
                return Err(FrameError::Shape { found: "none of `method`, `result` and `error`" });
            }
        };
        if self.params.is_some_and(|params| !is_object(params)) || (self.params.is_some() && kind.is_response()) {
            return Err(FrameError::Params);
        }
        if self.result.is_some_and(|result| !is_object(result)) {
            return Err(FrameError::Result);
        }
        if self.error.is_some_and(|error| !is_error(error)) {
            return Err(FrameError::Error);
        }
        // JSON-RPC 2.0 §5 answers an unreadable request with `"id":null`; MCP leaves the member out. Peers do both; it names no request.
        let id = self.id.filter(|id| !(kind == Kind::Error && id.get() == "null"));
        let id_bytes_max = limits.id_bytes_max;
        if id.is_some_and(|id| id.get().len() > id_bytes_max || IdKey::of(id.get()).is_none()) {
            return Err(FrameError::Id { bytes_max: id_bytes_max });
        }
        let method = self.method.map(|method| self.method_name(method, limits)).transpose()?;
        Ok(Shape { kind, method, id })
    }

    fn method_name(&self, method: &RawValue, limits: &Limits) -> Result<Box<str>, FrameError> {
        let bytes_max = limits.method_bytes_max;
        let name = string(method).filter(|name| !name.is_empty() && name.len() <= bytes_max);
        name.map(|name| name.into_owned().into_boxed_str()).ok_or(FrameError::Method { bytes_max })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Envelope<'a>, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Envelope<'de>, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(name) = members.next_key_seed(strict::Name)? {
                    let place = match &*name {
                        "jsonrpc" => &mut envelope.jsonrpc,
                        "id" => &mut envelope.id,
                        "method" => &mut envelope.method,
                        "params" => &mut envelope.params,
                        "result" => &mut envelope.result,
                        "error" => &mut envelope.error,
                        _ => {
                            members.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    // Not `Option<&RawValue>`: that would read `null` as absent.
                    *place = Some(members.next_value::<&RawValue>()?);
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    use serde::de::DeserializeSeed;
    strict::Name.deserialize(&mut serde_json::Deserializer::from_str(raw.get())).ok()
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

fn is_error(raw: &RawValue) -> bool {
    let member = |name| pointer::locate(raw.get(), name).map(|span| &raw.get()[span]);
    let code = member("/code").and_then(|code| serde_json::from_str::<i64>(code).ok());
    code.is_some() && member("/message").is_some_and(|message| message.starts_with('"'))
}

fn one_value(text: &str, limits: &Limits) -> Result<(), FrameError> {
    strict::check(text, limits)
}

fn malformed(error: serde_json::Error) -> FrameError {
    FrameError::Malformed { line: error.line(), column: error.column() }
}

/// Where `part`, a slice of `text`, stands in it.
fn span_of(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

fn tree(raw: Option<&str>) -> Value {
    raw.map(|raw| serde_json::from_str(raw).expect("the frame's text was read before")).unwrap_or(Value::Null)
}
