//! HTTP as clients speak it: checks a request before anything reads it, and writes answers. What a message means is not known here.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Frame as BodyFrame, Incoming, SizeHint};
use judge::decision::Code;
use wire::certificate::{Peer, Secure};
use wire::frame::Frame;
use wire::headers as agreement;

use crate::Core;
use crate::answer::{Answer, AnswerBody};
use crate::auth::{Believed, NoCaller, Presented};
use crate::exchange::Inbound;
use crate::sse::Event;
use crate::upstream::http::{SESSION, goes_up};

const ENDPOINT: &str = "/mcp";
const HEALTH: &str = "/healthz";
/// RFC 9449 §8.1.
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// What goes back to the client.
pub enum Outgoing {
    /// Nothing or one piece.
    Whole(Option<Bytes>),
    /// Events as they come.
    Events(BoxStream<'static, Event>),
}

/// Answers one HTTP request.
pub async fn respond(core: &Arc<Core>, request: Request<Incoming>) -> Result<Response<Outgoing>, Infallible> {
    let answer = match route(core, request).await {
        Ok(answer) | Err(answer) => answer,
    };
    let Answer { status, headers, body } = answer;
    let body = match body {
        AnswerBody::Empty => Outgoing::Whole(None),
        AnswerBody::Whole(bytes) => Outgoing::Whole(Some(bytes)),
        AnswerBody::Events(events) => Outgoing::Events(events),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

async fn route(core: &Arc<Core>, request: Request<Incoming>) -> Result<Answer, Answer> {
    if let Err(refused) = core.admits(request.headers(), request.uri()) {
        core.record_stranger("a request by way of another host or origin".to_owned()).await;
        return Err(*refused);
    }
    match request.uri().path() {
        HEALTH => Ok(Answer::empty(StatusCode::OK)),
        ENDPOINT => mcp(core, request).await,
        path => {
            let metadata = core.config.door.as_ref().filter(|_| request.method() == Method::GET);
            metadata.and_then(|door| door.metadata_at(path)).ok_or_else(|| Answer::empty(StatusCode::NOT_FOUND))
        }
    }
}

/// Lets a caller in, and hands the next nonce along with the answer where one is due (RFC 9449 §8.2).
async fn mcp(core: &Arc<Core>, request: Request<Incoming>) -> Result<Answer, Answer> {
    let believed = match core.believe(&request) {
        Ok(believed) => believed,
        Err(no_caller) => return Err(core.not_let_in(&no_caller).await),
    };
    let nonce = believed.proof.as_ref().and_then(|proof| core.tokens.next_nonce(Some(proof), core.engine.now()));
    let (Ok(mut answer) | Err(mut answer)) = answered(core, believed, request).await;
    give_nonce(&mut answer, nonce);
    Ok(answer)
}

fn give_nonce(answer: &mut Answer, nonce: Option<String>) {
    if let Some(nonce) = nonce.and_then(|nonce| HeaderValue::from_str(&nonce).ok()) {
        answer.headers.insert(NONCE, nonce);
    }
}

async fn answered(core: &Arc<Core>, believed: Believed, request: Request<Incoming>) -> Result<Answer, Answer> {
    let Believed { caller, proof } = believed;
    let (head, body) = request.into_parts();
    let is_for_body = |bytes: &[u8]| proof.as_ref().is_none_or(|proof| proof.is_for_body(bytes));
    if head.method != Method::POST && !is_for_body(b"") {
        return Err(core.not_let_in(&NoCaller::OtherBody).await);
    }
    let session = match session(&head.headers) {
        Ok(session) => session,
        Err(answer) => {
            core.record(&caller, None, Code::Bounds, "more than one session was named".to_owned()).await;
            return Err(*answer);
        }
    };
    let up: HeaderMap =
        head.headers.iter().filter(|(name, _)| goes_up(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    match head.method {
        Method::POST => {
            if !is_json(&head.headers) {
                let sentence = "expected a body of type `application/json`";
                core.record(&caller, None, Code::Bounds, sentence.to_owned()).await;
                return Err(rpc_error(StatusCode::UNSUPPORTED_MEDIA_TYPE, -32600, sentence));
            }
            let frame = match read(core, body).await {
                Ok(frame) => frame,
                Err(bad) => {
                    core.record(&caller, None, Code::Bounds, bad.sentence.clone()).await;
                    return Err(rpc_error(bad.status, bad.code, &bad.sentence));
                }
            };
            if !is_for_body(frame.bytes()) {
                return Err(core.not_let_in(&NoCaller::OtherBody).await);
            }
            let pairs = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            if let Err(mismatch) = agreement::check(pairs, &frame) {
                core.record(&caller, None, Code::Bounds, mismatch.to_string()).await;
                return Err(Answer::error(StatusCode::BAD_REQUEST, frame.id(), mismatch.rpc_code(), &mismatch.to_string()));
            }
            Ok(core.exchange(&caller, Inbound { frame, headers: up, session }).await)
        }
        Method::GET => {
            if !accepts_events(&head.headers) {
                return Err(rpc_error(StatusCode::NOT_ACCEPTABLE, -32600, "expected `text/event-stream` to be accepted"));
            }
            Ok(core.listen(&caller, session.as_deref(), up).await)
        }
        Method::DELETE => Ok(core.close(&caller, session.as_deref(), up).await),
        _ => {
            let mut answer = Answer::empty(StatusCode::METHOD_NOT_ALLOWED);
            answer.headers.insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
            Err(answer)
        }
    }
}

/// A body that is no frame.
struct BadBody {
    status: StatusCode,
    code: i64,
    sentence: String,
}

async fn read(core: &Core, body: Incoming) -> Result<Frame, BadBody> {
    let bad = |status, code, sentence: &str| BadBody { status, code, sentence: sentence.to_owned() };
    let limits = &core.config.limits;
    let read = tokio::time::timeout(limits.read_time_max, Limited::new(body, limits.body_bytes_max).collect());
    let bytes = match read.await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let sentence = format!("expected a body of at most {} bytes", limits.body_bytes_max);
            return Err(bad(StatusCode::PAYLOAD_TOO_LARGE, -32600, &sentence));
        }
        Ok(Err(_)) => return Err(bad(StatusCode::BAD_REQUEST, -32700, "the body broke off")),
        Err(_) => return Err(bad(StatusCode::REQUEST_TIMEOUT, -32700, "the body did not arrive in time")),
    };
    Frame::parse(bytes, &core.request_frames).map_err(|error| bad(StatusCode::BAD_REQUEST, error.rpc_code(), &error.to_string()))
}

impl Core {
    /// Who sends a request.
    fn believe(&self, request: &Request<Incoming>) -> Result<Believed, NoCaller> {
        let headers = request.headers();
        // Without a name for itself it goes by the one under which it was reached, which was let in.
        let reached = match &self.config.door {
            Some(_) => String::new(),
            None => {
                let scheme = if request.extensions().get::<Secure>().is_some() { "https" } else { "http" };
                let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
                format!("{scheme}://{host}{ENDPOINT}")
            }
        };
        let url = self.config.door.as_ref().map_or(reached.as_str(), |door| &door.resource);
        let peer = request.extensions().get::<Arc<Peer>>().map(Arc::as_ref);
        let presented = Presented { headers, method: request.method().as_str(), url, peer };
        self.tokens.believe(&presented, self.engine.now())
    }

    /// The answer to who is not let in, recorded.
    async fn not_let_in(&self, no_caller: &NoCaller) -> Answer {
        if no_caller.is_recorded() {
            self.record_stranger(format!("{}: {no_caller}", no_caller.code())).await;
        }
        let mut answer = no_caller.answer(self.config.door.as_ref());
        give_nonce(&mut answer, self.tokens.next_nonce(None, self.engine.now()));
        answer
    }

    /// Refuses what a web page could have sent by way of a name that it made point here (DNS rebinding; 2026-07-28, streamable HTTP,
    /// "Security & Endpoint").
    fn admits(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Box<Answer>> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().unwrap_or_default(),
            (None, _) | (Some(_), Some(_)) => "",
        };
        // An absolute request target overrides the header (RFC 9112, section 3.2.2), so both must be let in.
        let target_is_let_in = uri.authority().is_none_or(|authority| self.lets_in_host(authority.as_str()));
        if !self.lets_in_host(host) || !target_is_let_in {
            return Err(Box::new(rpc_error(StatusCode::FORBIDDEN, -32600, "the header `host` names no host of this gateway")));
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin_is_let_in = origins.all(|origin| origin.to_str().is_ok_and(|origin| self.lets_in_origin(origin)));
        if !origin_is_let_in {
            return Err(Box::new(rpc_error(StatusCode::FORBIDDEN, -32600, "the header `origin` names no origin that is let in")));
        }
        Ok(())
    }

    fn lets_in_host(&self, host: &str) -> bool {
        let bare = without_port(host);
        matches!(bare, "localhost" | "127.0.0.1" | "[::1]")
            || self.config.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host) || allowed.eq_ignore_ascii_case(bare))
    }

    fn lets_in_origin(&self, origin: &str) -> bool {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(|host| self.lets_in_host(host))
            || self.config.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((bare, port)) if !bare.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
        Some(_) | None => host,
    }
}

fn session(headers: &HeaderMap) -> Result<Option<String>, Box<Answer>> {
    let mut sessions = headers.get_all(SESSION).iter();
    match (sessions.next(), sessions.next()) {
        (None, _) => Ok(None),
        (Some(session), None) => Ok(Some(String::from_utf8_lossy(session.as_bytes()).into_owned())),
        (Some(_), Some(_)) => {
            Err(Box::new(rpc_error(StatusCode::BAD_REQUEST, -32600, "expected the header `mcp-session-id` once, found it twice")))
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(|value| value.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn accepts_events(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("text/event-stream") || value.contains("text/*") || value.contains("*/*")
    })
}

fn rpc_error(status: StatusCode, code: i64, message: &str) -> Answer {
    Answer::error(status, None, code, message)
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(BodyFrame::data(bytes)))),
            Self::Events(events) => {
                events.poll_next_unpin(context).map(|event| event.map(|event| Ok(BodyFrame::data(event.into_raw()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Events(_) => SizeHint::default(),
        }
    }
}
