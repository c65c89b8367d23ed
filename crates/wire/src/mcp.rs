//! What the methods of the Model Context Protocol mean to a gate: which are decided, which lists are filtered, what passes untouched.
//!
//! It knows no policy and keeps no state. Everything it reads is a view into a [`Frame`]; nothing is built that could lose a field.
//!
//! # The revisions, as far as a gate must know them
//!
//! **2025-11-25 and earlier ("legacy")**: a session opens with `initialize` and `notifications/initialized` (`basic/lifecycle`). Over HTTP
//! the server may assign `Mcp-Session-Id`; GET opens a stream of server messages, DELETE ends the session, streams resume with
//! `Last-Event-ID`; the server sends requests of its own (`sampling/createMessage`, `elicitation/create`, `roots/list`, `ping`) on any
//! stream, and the client POSTs the responses (`basic/transports`). `MCP-Protocol-Version` is required after `initialize` since 2025-06-18;
//! without it a server assumes 2025-03-26, and an invalid one is answered with 400. 2025-03-26 alone allowed batches: they are refused here.
//! A *tasks* feature (`basic/utilities/tasks`) lets either side add `task` to a request's `params`; the answer is then a `CreateTaskResult`
//! (`result.task.taskId`), and the real result comes later through `tasks/result`: it must be observed like the result of the call itself.
//! Content also comes outside of responses: `notifications/message`, `notifications/tasks/status`.
//!
//! **2026-07-28 ("modern")**: no handshake, no session, no GET, no server requests, no resumption (`changelog` 1-7). Every request carries in
//! `params._meta` the members `io.modelcontextprotocol/protocolVersion` and `…/clientCapabilities` (required, else `-32602` with HTTP 400),
//! and `…/clientInfo`, `…/logLevel` (`basic/index` "`_meta`"); see [`Meta`]. Headers repeat parts of the body: [`crate::headers`].
//! - `server/discover` replaces `initialize`; its result has `supportedVersions`, `capabilities`, `instructions`. A version that is not
//!   spoken is answered with `-32022` and `data: {supported, requested}`, HTTP 400 ([`unsupported_version`]). An unknown method over HTTP: 404.
//! - Every result has `resultType`: `complete`, `input_required`, or with the tasks extension `task`. Absent means `complete`.
//! - `input_required` (`basic/patterns/mrtr`) is how a server now asks: `inputRequests` (elicitation, sampling, roots) and `requestState`.
//!   The client sends the *same request again* with a new id, `inputResponses` and `requestState`. Only `tools/call`, `resources/read` and
//!   `prompts/get` do so. For a gate: the retry is a call of its own and is decided again, and `inputResponses` is content that leaves.
//! - `subscriptions/listen` replaces GET streams and `resources/subscribe`: one long POST response; `params.notifications.resourceSubscriptions`
//!   are the URIs. Its notifications carry `_meta["io.modelcontextprotocol/subscriptionId"]`, the *id of the listen request*: a gateway that
//!   rewrites ids must rewrite it back (`basic/patterns/subscriptions`).
//! - Cancelling is closing the response stream; `notifications/cancelled` remains on stdio.
//! - Tasks moved to the extension `io.modelcontextprotocol/tasks` (SEP-2663): `tasks/get` returns the final `result` inside, `tasks/update` hands
//!   `inputResponses` in, `tasks/cancel` stops; `tasks/result` and `tasks/list` are gone. Servers push whole tasks by `notifications/tasks`.
//! - Complete results of `server/discover`, the four lists and `resources/read` carry `ttlMs` and `cacheScope` (`server/utilities/caching`).
//!   `"public"` lets anybody's cache serve it to anybody: what was filtered for one chain must be `"private"`; see [`make_private`].
//! - `ping`, `logging/setLevel`, `resources/subscribe` and `notifications/roots/list_changed` are gone.
//!
//! Errors: `-32020` to `-32099` belong to the specification; of those only the three in [`code`] exist. `-32000` to `-32019` are legacy and
//! should not be newly used; `-32002` (no such resource) and `-32042` were used up to 2025-11-25 (`basic/index` "Error Codes").

mod list;
mod method;
#[cfg(test)]
mod tests;
mod view;

use std::borrow::Cow;

use serde_json::{Value, json};

pub use list::{List, ListError, keep_items, make_private};
pub use method::{Direction, Method, Treatment};
pub use view::{Completion, Meta, PromptGet, ResourceRead, TaskRef, Tool, ToolCall, ViewError, meta, subscribed_uris, tools};

use crate::frame::{Frame, FrameError, Limits};

pub(crate) use view::string;

/// Codes of JSON-RPC errors.
pub mod code {
    /// JSON-RPC 2.0 §5.1.
    pub const PARSE_ERROR: i64 = -32700;
    /// JSON-RPC 2.0 §5.1.
    pub const INVALID_REQUEST: i64 = -32600;
    /// JSON-RPC 2.0 §5.1. Over HTTP in 2026-07-28 with status 404.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// JSON-RPC 2.0 §5.1. Over HTTP in 2026-07-28 with status 400 where a required `_meta` member is missing.
    pub const INVALID_PARAMS: i64 = -32602;
    /// JSON-RPC 2.0 §5.1.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// MCP 2026-07-28: headers and body disagree, HTTP 400.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// MCP 2026-07-28: `data.requiredCapabilities` says what the client lacks, HTTP 400.
    pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
    /// MCP 2026-07-28: `data` has `supported` and `requested`, HTTP 400.
    pub const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;
}

/// A published revision of the protocol, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "a date is a date")]
pub enum Revision {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

impl Revision {
    /// All, oldest first.
    pub const ALL: [Revision; 5] =
        [Revision::V2024_11_05, Revision::V2025_03_26, Revision::V2025_06_18, Revision::V2025_11_25, Revision::V2026_07_28];
    /// What a server assumes of an HTTP request without `MCP-Protocol-Version` whose session says nothing (2025-11-25 `basic/transports`).
    pub const ASSUMED: Revision = Revision::V2025_03_26;
    /// What `initialize` is answered with when the client asks for a revision that is not known: the newest with a handshake.
    pub const LEGACY_NEWEST: Revision = Revision::V2025_11_25;

    /// Reads the name; `None` for a revision that is not known here.
    pub fn from_text(text: &str) -> Option<Revision> {
        Revision::ALL.into_iter().find(|revision| revision.text() == text)
    }

    /// The name, a date.
    pub fn text(self) -> &'static str {
        match self {
            Revision::V2024_11_05 => "2024-11-05",
            Revision::V2025_03_26 => "2025-03-26",
            Revision::V2025_06_18 => "2025-06-18",
            Revision::V2025_11_25 => "2025-11-25",
            Revision::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether each request carries its own metadata (2026-07-28 `basic/versioning` "Terminology"), instead of a handshake.
    pub fn is_modern(self) -> bool {
        self >= Revision::V2026_07_28
    }

    /// What a server answers to `initialize` (2025-11-25 `basic/lifecycle` "Version Negotiation"): the client's revision where it is one with
    /// a handshake, else the newest such.
    pub fn negotiated(requested: &str) -> Revision {
        Revision::from_text(requested).filter(|revision| !revision.is_modern()).unwrap_or(Revision::LEGACY_NEWEST)
    }
}

/// The answer to a request in a revision that is not spoken (2026-07-28 `basic/versioning`). Goes with HTTP 400.
pub fn unsupported_version(id: Option<&str>, requested: &str, supported: &[Revision]) -> Frame {
    let supported: Vec<&str> = supported.iter().map(|revision| revision.text()).collect();
    let data = json!({ "supported": supported, "requested": requested });
    Frame::error(id, code::UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", Some(&data))
}

/// A refusal that a model can read: a tool result with `isError` and the text. `id` is the request's, raw.
///
/// `detail` is for programs and goes into `_meta["prudence/refusal"]`. Not into `structuredContent`: clients hold that against the tool's
/// `outputSchema`, also when `isError` is set, and a model behind such a client would see a validation error instead of the reason.
pub fn tool_refusal(id: &str, text: &str, detail: Option<&Value>, limits: &Limits) -> Result<Frame, FrameError> {
    // `resultType` is required since 2026-07-28 and an unknown member before, which results may have.
    let mut result = json!({ "resultType": "complete", "content": [{ "type": "text", "text": text }], "isError": true });
    if let Some(detail) = detail {
        result["_meta"] = json!({ "prudence/refusal": detail });
    }
    Frame::answer(id, &result.to_string(), limits)
}

/// How a result ends its request (2026-07-28 `basic/index` "ResultType"). `None` for frames without a result.
pub fn result_type(frame: &Frame) -> Option<Cow<'_, str>> {
    frame.result_raw()?;
    // Servers of earlier revisions do not say.
    Some(frame.at("/result/resultType").and_then(string).unwrap_or(Cow::Borrowed("complete")))
}
