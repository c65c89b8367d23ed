//! What a client gets, whatever transport it speaks.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use tracing::warn;
use wire::frame::Frame;

use crate::sse::Event;
use crate::upstream::Failure;

/// What the client gets.
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// What comes with it.
    pub body: AnswerBody,
}

/// What comes with an answer.
pub enum AnswerBody {
    /// Nothing.
    Empty,
    /// One body.
    Whole(Bytes),
    /// Events as they come.
    Events(BoxStream<'static, Event>),
}

impl Answer {
    /// No body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: AnswerBody::Empty }
    }

    /// One frame.
    #[must_use]
    pub fn frame(status: StatusCode, frame: &Frame) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Self { status, headers, body: AnswerBody::Whole(frame.bytes().clone()) }
    }

    /// Events as they come.
    #[must_use]
    pub fn events(events: BoxStream<'static, Event>) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))]);
        Self { status: StatusCode::OK, headers, body: AnswerBody::Events(events) }
    }

    /// A JSON-RPC error.
    #[must_use]
    pub fn error(status: StatusCode, id: Option<&str>, code: i64, message: &str) -> Self {
        Self::frame(status, &Frame::error(id, code, message, None))
    }

    /// Whoever asks for another task's session learns no more than for one that never was.
    #[must_use]
    pub fn session_not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, None, -32001, "session not found")
    }

    /// A bound was met.
    #[must_use]
    pub fn too_many(id: Option<&str>) -> Self {
        Self::error(StatusCode::SERVICE_UNAVAILABLE, id, -32000, "too many sessions or streams")
    }

    /// An upstream gave no usable answer. The operator reads why, the client what is known about the effect.
    #[must_use]
    pub fn failed(upstream: &str, id: Option<&str>, failure: &Failure) -> Self {
        warn!(upstream, %failure, "no answer");
        Self::error(StatusCode::BAD_GATEWAY, id, -32603, &failure.for_client())
    }
}
