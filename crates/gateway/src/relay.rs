//! What comes back from an upstream, on its way to the client: each answer is finished as its request demands, everything else passes.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, StatusCode};
use tracing::{debug, warn};
use wire::frame::{Edit, Frame, IdKey, Kind};
use wire::mcp::{Method, make_private};

use crate::Core;
use crate::answer::{Answer, AnswerBody};
use crate::enforce::UnderWay;
use crate::filter::Wanted;
use crate::follow::FollowKey;
use crate::session::{OpenStream, Scope};
use crate::sse::Event;
use crate::upstream::http::SESSION;
use crate::upstream::{Events, Failure, Reply, ReplyBody};

/// What is done with the answer to a request before the client gets it.
pub enum Finish {
    /// Nothing.
    Pass,
    /// The revision is noted: the answer to `initialize`.
    Opened,
    /// It is made the caller's own: the answer to `server/discover`.
    Private,
    /// It is cut down to what the caller could use.
    Filter(Wanted),
    /// It is observed, and cut down to what the chain may have.
    Observe(Box<UnderWay>),
    /// It may hold the result of a call that became a task.
    Follow(FollowKey, &'static str),
}

/// A request that waits for its answer.
pub struct Asked {
    /// Its id: the only one that may be answered.
    pub key: IdKey,
    /// The id as it came.
    pub id: String,
    /// What is done with the answer.
    pub finish: Finish,
}

impl Core {
    /// Turns what upstream number `index` answered into what the client gets.
    pub async fn deliver(
        self: &Arc<Self>,
        scope: &Arc<Scope>,
        index: usize,
        reply: Reply,
        asked: Option<Asked>,
        open: OpenStream,
    ) -> Answer {
        let Reply { status, mut headers, body } = reply;
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
            // The gateway's own credentials are meant; the client's were good.
            let failure = Failure::NotSent(format!("answered with status {}", status.as_u16()));
            let id = asked.as_ref().map(|asked| asked.id.clone());
            if let Some(Asked { finish: Finish::Observe(under_way), .. }) = asked {
                self.ended_without_answer(*under_way, &failure).await;
            }
            return Answer::failed(&self.upstreams[index].name, id.as_deref(), &failure);
        }
        headers.remove(SESSION);
        self.put_own_session(scope, &mut headers);
        let body = match body {
            ReplyBody::Empty => match asked {
                Some(Asked { finish: Finish::Observe(under_way), id, .. }) => {
                    let failure = without_answer(status);
                    self.ended_without_answer(*under_way, &failure).await;
                    return Answer::failed(&self.upstreams[index].name, Some(&id), &failure);
                }
                Some(_) | None => AnswerBody::Empty,
            },
            ReplyBody::Whole(body) => match asked {
                Some(asked) => match self.whole(scope, index, body, asked, status).await {
                    Ok(body) => AnswerBody::Whole(body),
                    Err(answer) => return *answer,
                },
                None => AnswerBody::Whole(body),
            },
            ReplyBody::Events(events) => AnswerBody::Events(self.relay(scope, index, events, asked, open)),
        };
        Answer { status, headers, body }
    }

    /// Names the session on an answer, if the client may know it.
    pub fn put_own_session(&self, scope: &Scope, headers: &mut HeaderMap) {
        if let Some(id) = scope.id.as_ref().filter(|_| scope.is_admitted()) {
            headers.insert(SESSION, id.to_header());
        }
    }

    /// Events of one upstream as the client gets them.
    pub fn relay(
        self: &Arc<Self>,
        scope: &Arc<Scope>,
        index: usize,
        events: Events,
        asked: Option<Asked>,
        open: OpenStream,
    ) -> BoxStream<'static, Event> {
        let relay =
            Relay { core: Arc::clone(self), scope: Arc::clone(scope), index, events, asked, resumable: false, _open: open };
        stream::unfold(relay, |mut relay| async move { relay.next().await.map(|event| (event, relay)) }).boxed()
    }

    async fn whole(
        &self,
        scope: &Scope,
        index: usize,
        body: Bytes,
        asked: Asked,
        status: StatusCode,
    ) -> Result<Bytes, Box<Answer>> {
        let unusable = |failure: &Failure| Box::new(Answer::failed(&self.upstreams[index].name, Some(&asked.id), failure));
        let frame = match Frame::parse(body.clone(), &self.result_frames) {
            Ok(frame) => frame,
            Err(error) => {
                return match asked.finish {
                    // A server may explain a refusal in other words than JSON-RPC (2025-11-25, transports, "Sending Messages to the Server").
                    Finish::Pass | Finish::Opened | Finish::Private if !status.is_success() => Ok(body),
                    Finish::Observe(under_way) => {
                        let failure =
                            if status.is_success() { Failure::Unusable(error.to_string()) } else { without_answer(status) };
                        self.ended_without_answer(*under_way, &failure).await;
                        Err(unusable(&failure))
                    }
                    Finish::Pass | Finish::Opened | Finish::Private | Finish::Filter(..) | Finish::Follow(..) => {
                        Err(unusable(&Failure::Unusable(error.to_string())))
                    }
                };
            }
        };
        let answers = match frame.kind() {
            Kind::Result => frame.id_key().as_ref() == Some(&asked.key),
            // An error that could not read the id leaves it out.
            Kind::Error => frame.id_key().is_none_or(|key| key == asked.key),
            Kind::Request | Kind::Notification => false,
        };
        if !answers {
            return Err(unusable(&Failure::Unusable("it answers another request".to_owned())));
        }
        let finished = self.finish(scope, index, frame, asked.finish).await;
        Ok(finished.bytes().clone())
    }

    /// Does with an answer what its request demands.
    async fn finish(&self, scope: &Scope, index: usize, frame: Frame, finish: Finish) -> Frame {
        match finish {
            Finish::Pass => frame,
            Finish::Opened => {
                scope.links[index].speaks_as_answered(&frame);
                frame
            }
            Finish::Private => make_private(&frame, &self.result_frames).unwrap_or(frame),
            Finish::Filter(wanted) => self.filtered(scope, index, frame, &wanted),
            Finish::Observe(under_way) => self.observe(&scope.task, index, *under_way, frame).await,
            Finish::Follow(key, request) => self.observe_followed(&key, request, frame).await,
        }
    }
}

/// What is known of a call that was answered with a status and nothing that can be used.
fn without_answer(status: StatusCode) -> Failure {
    let why = format!("answered with status {}", status.as_u16());
    // The server says that it took no part in it, or it fell over somewhere on the way.
    if status.is_client_error() { Failure::NotSent(why) } else { Failure::Lost(why) }
}

/// One stream of one upstream.
struct Relay {
    core: Arc<Core>,
    scope: Arc<Scope>,
    index: usize,
    events: Events,
    asked: Option<Asked>,
    /// The client can ask to continue this stream after it was lost.
    resumable: bool,
    _open: OpenStream,
}

impl Relay {
    async fn next(&mut self) -> Option<Event> {
        loop {
            match self.events.next().await? {
                Ok(event) => {
                    self.resumable |= event.has_id();
                    if let Some(event) = self.one(event).await {
                        return Some(event);
                    }
                }
                Err(failure) => {
                    warn!(upstream = self.core.upstreams[self.index].name, %failure, "a stream ended early");
                    if self.resumable {
                        return None;
                    }
                    let asked = self.asked.take()?;
                    if let Finish::Observe(under_way) = asked.finish {
                        self.core.ended_without_answer(*under_way, &failure).await;
                    }
                    return Some(Event::of_frame(Frame::error(Some(&asked.id), -32603, &failure.for_client(), None).bytes()));
                }
            }
        }
    }

    async fn one(&mut self, event: Event) -> Option<Event> {
        let core = Arc::clone(&self.core);
        let upstream = &core.upstreams[self.index].name;
        let Some(data) = event.data() else { return Some(self.placed(event)) };
        let frame = match Frame::parse(data, &self.core.result_frames) {
            Ok(frame) => frame,
            Err(error) => {
                warn!(upstream, %error, "an event is no message and was dropped");
                return None;
            }
        };
        let came = frame.bytes().clone();
        let frame = match frame.kind() {
            Kind::Result | Kind::Error => {
                let Some(finish) = self.finish_of(&frame) else {
                    warn!(upstream, "an answer to nothing that was asked was dropped");
                    return None;
                };
                self.core.finish(&self.scope, self.index, frame, finish).await
            }
            Kind::Request | Kind::Notification if !self.lets_by(&frame) => return None,
            Kind::Request | Kind::Notification if self.core.is_alone() => return Some(event),
            Kind::Request => self.scope.renamed_request(self.index, frame, &self.core.result_frames)?,
            Kind::Notification => self.scope.renamed_cancellation(self.index, frame, &self.core.result_frames),
        };
        let event = if *frame.bytes() == came { event } else { event.with_data(frame.bytes()) };
        Some(self.placed(event))
    }

    /// Whether a message that answers nothing goes on; some of them tell the gateway something.
    fn lets_by(&self, frame: &Frame) -> bool {
        match Method::of(frame) {
            Some(Method::ToolsChanged) => self.scope.links[self.index].forget_definitions(),
            // A whole task, with its result, that nobody observed: the client asks for it with `tasks/get`.
            Some(Method::Task) if frame.at("/params/result").is_some() || frame.at("/params/task/result").is_some() => {
                debug!("a notification with the result of a task was dropped");
                return false;
            }
            Some(_) | None => {}
        }
        true
    }

    /// What is to be done with this answer; `None` if nobody asked.
    fn finish_of(&mut self, frame: &Frame) -> Option<Finish> {
        let key = frame.id_key();
        match (&self.asked, key) {
            (Some(asked), None) if frame.kind() == Kind::Error => Some(asked),
            (Some(asked), Some(key)) if asked.key == key => Some(asked),
            (Some(_) | None, Some(key)) => return self.scope.unpark(&key).map(|asked| asked.finish),
            (Some(_) | None, None) => None,
        }?;
        self.asked.take().map(|asked| asked.finish)
    }

    /// Ids of several upstreams would meet in one stream.
    fn placed(&self, event: Event) -> Event {
        if self.core.is_alone() { event } else { event.with_id_prefix(&format!("{}~", self.index)) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The client may come back for the answer (2025-11-25, transports, "Resumability and Redelivery").
        if self.resumable
            && let Some(asked) = self.asked.take()
        {
            self.scope.park(asked);
        }
    }
}

impl Scope {
    /// A server's request under an id that is unique among all upstreams of this scope.
    fn renamed_request(&self, index: usize, frame: Frame, limits: &wire::frame::Limits) -> Option<Frame> {
        let id = frame.id()?.to_owned();
        let token = frame.at(crate::mcp_fields::PROGRESS_TOKEN).map(str::to_owned);
        let fresh = self.server_asks(index, id, token);
        frame.edit(&[Edit::Replace("/id", &fresh)], limits).ok()
    }

    fn renamed_cancellation(&self, index: usize, frame: Frame, limits: &wire::frame::Limits) -> Frame {
        const REQUEST_ID: &str = "/params/requestId";
        if frame.method() != Some("notifications/cancelled") {
            return frame;
        }
        let renamed = frame.at(REQUEST_ID).and_then(|id| self.server_asked(index, id));
        renamed.and_then(|id| frame.splice(REQUEST_ID, &id, limits).ok()).unwrap_or(frame)
    }
}
