//! One message from a client, and what becomes of it. Transports, downstream and upstream, are not known here.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use tracing::warn;
use wire::frame::{Frame, IdKey, Kind};

use crate::Core;
use crate::session::{OpenStream, Scope};
use crate::sse::Event;
use crate::upstream::http::SESSION;
use crate::upstream::{Events, Failure, Reply, ReplyBody, Upstream};

/// Who sends a message, as a verified credential says.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The task: the only key to flow state, and the owner of sessions.
    pub task: Arc<str>,
}

/// A message from a client, and what came with it.
pub struct Inbound {
    /// The message.
    pub frame: Frame,
    /// The headers that may go on to an upstream.
    pub headers: HeaderMap,
    /// The session that the client names.
    pub session: Option<String>,
}

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

    /// A JSON-RPC error.
    #[must_use]
    pub fn error(status: StatusCode, id: Option<&str>, code: i64, message: &str) -> Self {
        Self::frame(status, &Frame::error(id, code, message, None))
    }
}

impl Core {
    /// Answers one message of a client.
    pub async fn exchange(self: &Arc<Self>, caller: &Caller, inbound: Inbound) -> Answer {
        let id = inbound.frame.id().map(str::to_owned);
        let opens = inbound.frame.kind() == Kind::Request && inbound.frame.method() == Some("initialize");
        let scope = match &inbound.session {
            Some(session) => self.scopes.session(session, &caller.task).ok_or_else(session_not_found),
            None if opens => Ok(self.scopes.prepare(&caller.task)),
            None => self.scopes.of_task(&caller.task).map_err(|_| too_many(id.as_deref())),
        };
        match scope {
            Ok(scope) => self.pass(&scope, inbound, opens).await,
            Err(answer) => answer,
        }
    }

    /// Opens the stream of messages that answer no request.
    pub async fn listen(self: &Arc<Self>, caller: &Caller, session: Option<&str>, headers: HeaderMap) -> Answer {
        let scope = match self.named_scope(caller, session) {
            Ok(scope) => scope,
            Err(answer) => return answer,
        };
        let (upstream, link) = (&self.upstreams[0], &scope.links[0]);
        match upstream.listen(headers, link).await {
            Ok(reply) => self.deliver(&scope, upstream, reply, None),
            Err(failure) => failed(upstream, None, &failure),
        }
    }

    /// Ends a session.
    pub async fn close(self: &Arc<Self>, caller: &Caller, session: Option<&str>, headers: HeaderMap) -> Answer {
        let scope = match self.named_scope(caller, session) {
            Ok(scope) => scope,
            Err(answer) => return answer,
        };
        let (upstream, link) = (&self.upstreams[0], &scope.links[0]);
        match upstream.close(headers, link).await {
            Ok(reply) => {
                if reply.status.is_success() {
                    self.scopes.forget(&scope);
                }
                self.deliver(&scope, upstream, reply, None)
            }
            Err(failure) => failed(upstream, None, &failure),
        }
    }

    fn named_scope(&self, caller: &Caller, session: Option<&str>) -> Result<Arc<Scope>, Answer> {
        match session {
            Some(session) => self.scopes.session(session, &caller.task).ok_or_else(session_not_found),
            None => self.scopes.of_task(&caller.task).map_err(|_| too_many(None)),
        }
    }

    async fn pass(self: &Arc<Self>, scope: &Arc<Scope>, inbound: Inbound, opens: bool) -> Answer {
        let (upstream, link) = (&self.upstreams[0], &scope.links[0]);
        let Inbound { frame, headers, session } = inbound;
        if upstream.is_child() && session.is_none() && !opens && !is_modern(&frame) {
            return Answer::error(StatusCode::BAD_REQUEST, frame.id(), -32600, "expected the header `mcp-session-id` of an initialized session");
        }
        let reply = match upstream.forward(&frame, headers, link).await {
            Ok(reply) => reply,
            Err(failure) => return failed(upstream, frame.id(), &failure),
        };
        if session.is_some() && reply.status == StatusCode::NOT_FOUND && !upstream.is_child() && frame.method() != Some("initialize") {
            // The upstream's word for a session that it no longer knows; an unknown method has a JSON-RPC body.
            if !matches!(&reply.body, ReplyBody::Whole(body) if is_method_not_found(body, self)) {
                self.scopes.forget(scope);
            }
        }
        if opens && reply.status == StatusCode::OK {
            link.opened(&reply.headers);
            if (link.has_session() || upstream.is_child()) && self.scopes.admit(scope).is_err() {
                return too_many(frame.id());
            }
        }
        self.deliver(scope, upstream, reply, frame.id_key())
    }

    /// Turns what an upstream answered into what the client gets. `asked` is the id that may be answered.
    fn deliver(self: &Arc<Self>, scope: &Arc<Scope>, upstream: &Upstream, reply: Reply, asked: Option<IdKey>) -> Answer {
        let Reply { status, mut headers, body } = reply;
        headers.remove(SESSION);
        if let Some(id) = scope.id.as_ref().filter(|_| scope.is_admitted()) {
            headers.insert(SESSION, id.to_header());
        }
        let body = match body {
            ReplyBody::Empty => AnswerBody::Empty,
            ReplyBody::Whole(body) => AnswerBody::Whole(body),
            ReplyBody::Events(events) => match scope.open_stream(self.scopes.streams_max()) {
                Ok(open) => AnswerBody::Events(self.relay(upstream, events, asked, open)),
                Err(_) => return too_many(None),
            },
        };
        Answer { status, headers, body }
    }

    /// Events as they come, without answers to what was not asked.
    fn relay(self: &Arc<Self>, upstream: &Upstream, events: Events, asked: Option<IdKey>, open: OpenStream) -> BoxStream<'static, Event> {
        let core = Arc::clone(self);
        let name = upstream.name.clone();
        events
            .filter_map(move |event| {
                let _open = &open;
                let kept = match event {
                    Ok(event) => core.may_pass(&name, &event, asked.as_ref()).then_some(event),
                    Err(failure) => {
                        warn!(upstream = name, %failure, "a stream ended early");
                        None
                    }
                };
                std::future::ready(kept)
            })
            .boxed()
    }

    fn may_pass(&self, upstream: &str, event: &Event, asked: Option<&IdKey>) -> bool {
        let Some(data) = event.data() else { return true };
        match Frame::parse(data, &self.result_frames) {
            Ok(frame) if frame.kind().is_response() => {
                let expected = frame.id_key().as_ref() == asked && asked.is_some();
                if !expected {
                    warn!(upstream, "an answer to nothing that was asked was dropped");
                }
                expected
            }
            Ok(_) => true,
            Err(error) => {
                warn!(upstream, %error, "an event is no message and was dropped");
                false
            }
        }
    }
}

fn is_modern(frame: &Frame) -> bool {
    frame.at(crate::mcp_fields::PROTOCOL_VERSION_FIELD).is_some()
}

fn is_method_not_found(body: &Bytes, core: &Core) -> bool {
    Frame::parse(body.clone(), &core.result_frames).is_ok_and(|frame| frame.at("/error/code") == Some("-32601"))
}

/// Whoever asks for another task's session learns no more than for one that never was.
fn session_not_found() -> Answer {
    Answer::error(StatusCode::NOT_FOUND, None, -32001, "session not found")
}

fn too_many(id: Option<&str>) -> Answer {
    Answer::error(StatusCode::SERVICE_UNAVAILABLE, id, -32000, "too many sessions or streams")
}

fn failed(upstream: &Upstream, id: Option<&str>, failure: &Failure) -> Answer {
    warn!(upstream = upstream.name, %failure, "no answer");
    let (status, message) = match failure {
        Failure::NotSent(_) => (StatusCode::BAD_GATEWAY, "the upstream server cannot be reached; nothing was sent"),
        Failure::Lost(_) => (StatusCode::BAD_GATEWAY, "the upstream server did not answer; the outcome is unknown and the call was not repeated"),
        Failure::Unusable(_) => (StatusCode::BAD_GATEWAY, "the upstream server gave an answer that cannot be used"),
    };
    Answer::error(status, id, -32603, message)
}
