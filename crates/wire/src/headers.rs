//! The HTTP headers that repeat parts of a message, so that intermediaries can route without reading it; and when they contradict it.
//!
//! Two readers with two sources of truth are how a gate is walked around: whatever reads the header must see what the body says.
//! Knows header names and values as bytes, no HTTP library.
//!
//! Source: MCP 2026-07-28 `basic/transports/streamable-http` "Request Metadata" to "Server Validation"; for `Mcp-Name` of tasks SEP-2663.
//! - `MCP-Protocol-Version` is required on every POST and equals `params._meta["io.modelcontextprotocol/protocolVersion"]`.
//! - `Mcp-Method` is required on all requests and equals `method`.
//! - `Mcp-Name` is required on `tools/call` and `prompts/get` (equals `params.name`), `resources/read` (`params.uri`), and with the
//!   tasks extension on `tasks/get`, `tasks/update` and `tasks/cancel` (`params.taskId`; checked here when present, since not every peer sends it).
//! - `Mcp-Param-{Name}` repeats an argument that the tool's `inputSchema` marks with `x-mcp-header`.
//! - Names are case-insensitive, values case-sensitive. What is not plain visible ASCII travels as `=?base64?…?=`.
//! - A violation is answered with HTTP 400 and JSON-RPC `-32020`; a modern request without its version in the body is `-32602`
//!   (`basic/index` "`_meta`").
//! - For notifications the revision requires nothing: what is there is compared, what is missing is not missed.
//! - Revisions up to 2025-11-25 know only `MCP-Protocol-Version` (since 2025-06-18), and no repetition in the body. If such a client
//!   sends the other headers they are compared all the same: somebody behind us may believe them.

mod param;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use param::{Param, ParamError, params};

use crate::frame::{Frame, Kind};
use crate::mcp::{self, Method, Revision};

/// Names the protocol version.
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// Repeats `method`.
pub const METHOD: &str = "mcp-method";
/// Repeats `params.name`, `params.uri` or `params.taskId`.
pub const NAME: &str = "mcp-name";
/// Begins the name of a header that repeats an argument.
pub const PARAM_PREFIX: &str = "mcp-param-";

const SENTINEL_START: &str = "=?base64?";
const SENTINEL_END: &str = "?=";

/// Checks the standard headers of one POST against its body. `headers` are all of the request's, as `(name, value)`; with the `http`
/// crate: `map.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))`.
pub fn check<'h>(headers: impl IntoIterator<Item = (&'h str, &'h [u8])>, frame: &Frame) -> Result<(), HeaderMismatch> {
    let mut seen = Seen::default();
    for (name, value) in headers {
        seen.keep(name, value)?;
    }
    let in_body = mcp::meta(frame).ok().and_then(|meta| meta.protocol_version);
    let version = seen.version.as_deref();
    let modern = match (version, in_body.as_deref()) {
        (Some(header), Some(body)) if header != body => {
            return Err(HeaderMismatch::Differs { header: PROTOCOL_VERSION });
        }
        (None, Some(_)) => {
            return Err(HeaderMismatch::Missing { header: PROTOCOL_VERSION });
        }
        (Some(version), _) => Revision::from_text(version).is_none_or(Revision::is_modern),
        (None, None) => false,
    };
    let required = modern && frame.kind() == Kind::Request;
    if required && in_body.is_none() {
        return Err(HeaderMismatch::BodyVersionMissing);
    }
    let method = seen.method.as_deref();
    compare(METHOD, method, frame.method(), required)?;
    let (source, name_required) = name_source(frame);
    compare(NAME, seen.name.as_deref(), source.as_deref(), required && name_required)
}

/// Checks the `Mcp-Param-*` headers of a `tools/call` against its arguments, as the called tool's schema marks them (see [`params`]).
/// Other headers with the prefix are none of ours and are left alone.
pub fn check_params<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    frame: &Frame,
    params: &[Param],
) -> Result<(), HeaderMismatch> {
    let mut values: Vec<Option<Cow<'h, str>>> = vec![None; params.len()];
    for (name, value) in headers {
        let suffix = name
            .get(..PARAM_PREFIX.len())
            .filter(|prefix| prefix.eq_ignore_ascii_case(PARAM_PREFIX))
            .map(|_| &name[PARAM_PREFIX.len()..]);
        let Some(at) = suffix.and_then(|suffix| params.iter().position(|param| param.header().eq_ignore_ascii_case(suffix)))
        else {
            continue;
        };
        let value = decode(PARAM_PREFIX, value)?;
        if values[at].replace(value).is_some() {
            return Err(HeaderMismatch::Twice { header: PARAM_PREFIX });
        }
    }
    let arguments = frame.params()["arguments"].take();
    params.iter().zip(values).try_for_each(|(param, value)| param.agrees(&arguments, value.as_deref()))
}

/// The standard headers that a client sends with this frame: for what is forwarded after an edit.
pub fn standard(frame: &Frame) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    if let Some(version) = mcp::meta(frame).ok().and_then(|meta| meta.protocol_version) {
        headers.push((PROTOCOL_VERSION, version.into_owned()));
    }
    if frame.kind() == Kind::Request {
        headers.extend(frame.method().map(|method| (METHOD, encode(method))));
        headers.extend(name_source(frame).0.map(|name| (NAME, encode(&name))));
    }
    headers
}

/// A header value that says `text`: as it is where it is plain, else in the base64 form ("Value Encoding").
pub fn encode(text: &str) -> String {
    let plain = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
        && text.trim_ascii() == text
        && !is_sentinel(text)
        && !text.is_empty();
    if plain { text.to_owned() } else { format!("{SENTINEL_START}{}{SENTINEL_END}", STANDARD.encode(text)) }
}

/// Why headers and body do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderMismatch {
    /// A header that the revision requires is not there.
    #[error("header mismatch: expected the header `{header}`, found none")]
    Missing {
        /// The header.
        header: &'static str,
    },
    /// A header came more than once.
    #[error("header mismatch: expected the header `{header}` once, found it twice")]
    Twice {
        /// The header.
        header: &'static str,
    },
    /// A header holds bytes that may not be there, or broken base64.
    #[error("header mismatch: expected visible ASCII or `=?base64?…?=` in the header `{header}`")]
    Unreadable {
        /// The header.
        header: &'static str,
    },
    /// The header says one thing, the body another.
    #[error("header mismatch: expected the header `{header}` to say what the body says")]
    Differs {
        /// The header.
        header: &'static str,
    },
    /// The header names a revision whose requests carry their version in the body, and the body has none.
    #[error("expected `_meta[\"io.modelcontextprotocol/protocolVersion\"]` in `params`")]
    BodyVersionMissing,
}

impl HeaderMismatch {
    /// The JSON-RPC code that the specification demands.
    pub fn rpc_code(&self) -> i64 {
        match self {
            HeaderMismatch::Missing { .. }
            | HeaderMismatch::Twice { .. }
            | HeaderMismatch::Unreadable { .. }
            | HeaderMismatch::Differs { .. } => mcp::code::HEADER_MISMATCH,
            HeaderMismatch::BodyVersionMissing => mcp::code::INVALID_PARAMS,
        }
    }

    /// The HTTP status that goes with it.
    pub fn http_status(&self) -> u16 {
        400
    }
}

#[derive(Default)]
struct Seen<'h> {
    version: Option<Cow<'h, str>>,
    method: Option<Cow<'h, str>>,
    name: Option<Cow<'h, str>>,
}

impl<'h> Seen<'h> {
    fn keep(&mut self, name: &str, value: &'h [u8]) -> Result<(), HeaderMismatch> {
        let (place, header) = if name.eq_ignore_ascii_case(PROTOCOL_VERSION) {
            (&mut self.version, PROTOCOL_VERSION)
        } else if name.eq_ignore_ascii_case(METHOD) {
            (&mut self.method, METHOD)
        } else if name.eq_ignore_ascii_case(NAME) {
            (&mut self.name, NAME)
        } else {
            return Ok(());
        };
        // The base64 form is permitted for names and arguments only ("Server Validation").
        let value = if header == NAME { decode(header, value)? } else { Cow::Borrowed(plain(header, value)?) };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(HeaderMismatch::Twice { header }),
        }
    }
}

/// What `Mcp-Name` repeats for this frame, and whether it must be sent.
fn name_source(frame: &Frame) -> (Option<Cow<'_, str>>, bool) {
    let (pointer, required) = match Method::of(frame) {
        Some(Method::ToolsCall | Method::PromptsGet) => ("/params/name", true),
        Some(Method::ResourcesRead) => ("/params/uri", true),
        Some(Method::TasksGet | Method::TasksUpdate | Method::TasksCancel) => ("/params/taskId", false),
        _ => return (None, false),
    };
    (frame.at(pointer).and_then(mcp::string), required)
}

fn compare(header: &'static str, value: Option<&str>, body: Option<&str>, required: bool) -> Result<(), HeaderMismatch> {
    match (value, body) {
        (Some(value), Some(body)) if value == body => Ok(()),
        (Some(_), Some(_)) => Err(HeaderMismatch::Differs { header }),
        (None, Some(_)) if required => Err(HeaderMismatch::Missing { header }),
        // Nothing in the body to compare with: a missing name is for whoever reads the parameters to refuse; a name for a message that
        // has none is a header that nobody reads.
        (Some(_), None) if required => Err(HeaderMismatch::Differs { header }),
        (None, Some(_)) | (Some(_), None) | (None, None) => Ok(()),
    }
}

/// The value as text, in its plain form.
fn plain<'h>(header: &'static str, value: &'h [u8]) -> Result<&'h str, HeaderMismatch> {
    let visible = value.iter().all(|byte| matches!(byte, 0x20..=0x7e | b'\t'));
    let text = std::str::from_utf8(value).ok().filter(|_| visible).ok_or(HeaderMismatch::Unreadable { header })?;
    Ok(text.trim_ascii())
}

fn decode<'h>(header: &'static str, value: &'h [u8]) -> Result<Cow<'h, str>, HeaderMismatch> {
    let text = plain(header, value)?;
    if !is_sentinel(text) {
        return Ok(Cow::Borrowed(text));
    }
    let inside = &text[SENTINEL_START.len()..text.len() - SENTINEL_END.len()];
    let bytes = STANDARD.decode(inside).map_err(|_| HeaderMismatch::Unreadable { header })?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| HeaderMismatch::Unreadable { header })
}

fn is_sentinel(text: &str) -> bool {
    text.strip_prefix(SENTINEL_START).is_some_and(|rest| rest.ends_with(SENTINEL_END))
}
