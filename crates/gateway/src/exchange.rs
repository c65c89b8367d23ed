//! One message from a client, and what becomes of it. Transports, downstream and upstream, are not known here.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use judge::decision::Code;
use judge::name::{PrincipalId, TaskId};
use wire::frame::{Frame, Kind};
use wire::mcp::{Direction, Method, TaskRef, Treatment};
use wire::token::Claims;

use crate::Core;
use crate::answer::Answer;
use crate::call::must_be_decided;
use crate::config::Mode;
use crate::filter::Wanted;
use crate::follow::FollowKey;
use crate::mcp_fields::is_modern;
use crate::refusal::REFUSED;
use crate::relay::{Asked, Finish};
use crate::route::Route;
use crate::session::Scope;
use crate::upstream::{Forwarded, Outbound, Reply, ReplyBody};

/// Who sends a message, as a verified credential says.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The chain and its task.
    pub claims: Arc<Claims>,
    /// The same, as the engine takes it.
    pub judged: judge::task::Caller,
    /// The task: the only key to flow state, and the owner of sessions.
    pub task: Arc<str>,
    /// For whom the chain acts: whose credentials upstreams see.
    pub person: Arc<str>,
}

impl Caller {
    /// The caller that verified claims name; `None` where a name in them is none.
    #[must_use]
    pub fn of(claims: Claims) -> Option<Self> {
        let chain = claims.chain().into_iter().map(|name| PrincipalId::parse(name).ok()).collect::<Option<Vec<_>>>()?;
        let key = claims.binding.as_ref().map(|binding| Arc::from(binding.thumbprint()));
        let client = claims.client.as_deref().map(Arc::from);
        let judged =
            judge::task::Caller { key, client, ..judge::task::Caller::new(chain, Some(TaskId::parse(&claims.task).ok()?)) };
        let (task, person) = (claims.task.as_str().into(), claims.requester.as_str().into());
        Some(Self { claims: Arc::new(claims), judged, task, person })
    }
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

/// A message on its way up, with what is needed to answer it.
pub struct Upward<'a> {
    /// Who sends it.
    pub caller: &'a Caller,
    /// Where it belongs.
    pub scope: &'a Arc<Scope>,
    /// The message as the client sent it.
    pub frame: Frame,
    /// The headers that may go on to an upstream.
    pub headers: HeaderMap,
}

impl Core {
    /// Answers one message of a client that names its session, or none.
    pub async fn exchange(self: &Arc<Self>, caller: &Caller, inbound: Inbound) -> Answer {
        let Inbound { frame, headers, session } = inbound;
        let opens = frame.kind() == Kind::Request && Method::of(&frame) == Some(Method::Initialize);
        // The newer era has no sessions; a session id on its requests is ignored (2026-07-28, "Earlier Streamable HTTP Revisions").
        let scope = match session.filter(|_| !is_modern(&frame)) {
            None if opens => self.scopes.prepare(caller),
            None if !self.works_without_session() && !is_modern(&frame) => {
                return Answer::error(
                    StatusCode::BAD_REQUEST,
                    frame.id(),
                    -32600,
                    "expected the header `mcp-session-id` of an initialized session",
                );
            }
            session => match self.named_scope(caller, session.as_deref()).await {
                Ok(scope) => scope,
                Err(answer) => return *answer,
            },
        };
        self.pass(Upward { caller, scope: &scope, frame, headers }).await
    }

    /// Answers one message of a client in a known scope.
    pub async fn pass(self: &Arc<Self>, up: Upward<'_>) -> Answer {
        // A call is refused when it is ruled on, in words that a model can read.
        if !(up.frame.kind() == Kind::Request && must_be_decided(&up.frame))
            && let Some(refused) = self.ended(up.caller, up.frame.id()).await
        {
            return refused;
        }
        match up.frame.kind() {
            Kind::Request => self.request(up).await,
            Kind::Notification | Kind::Result | Kind::Error => self.tell(up).await,
        }
    }

    /// Opens the stream of messages that answer no request.
    pub async fn listen(self: &Arc<Self>, caller: &Caller, session: Option<&str>, headers: HeaderMap) -> Answer {
        if let Some(refused) = self.ended(caller, None).await {
            return refused;
        }
        let scope = match self.named_scope(caller, session).await {
            Ok(scope) => scope,
            Err(answer) => return *answer,
        };
        if session.is_none() && !self.works_without_session() {
            return Answer::empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        if self.is_alone() { self.listen_to(&scope, 0, headers).await } else { self.listen_to_all(&scope, headers).await }
    }

    /// Opens the stream of one upstream's messages that answer no request.
    pub async fn listen_to(self: &Arc<Self>, scope: &Arc<Scope>, index: usize, headers: HeaderMap) -> Answer {
        let Ok(open) = scope.open_stream(self.scopes.streams_max()) else { return Answer::too_many(None) };
        match self.upstreams[index].listen(headers, &scope.links[index]).await {
            Ok(reply) => self.deliver(scope, index, reply, None, open).await,
            Err(failure) => Answer::failed(&self.upstreams[index].name, None, &failure),
        }
    }

    /// Ends a session.
    pub async fn close(self: &Arc<Self>, caller: &Caller, session: Option<&str>, headers: HeaderMap) -> Answer {
        let scope = match self.named_scope(caller, session).await {
            Ok(scope) => scope,
            Err(answer) => return *answer,
        };
        if !self.is_alone() {
            return self.close_all(&scope, &headers).await;
        }
        let Ok(open) = scope.open_stream(self.scopes.streams_max()) else { return Answer::too_many(None) };
        match self.upstreams[0].close(headers, &scope.links[0]).await {
            Ok(reply) => {
                if reply.status.is_success() {
                    self.scopes.forget(&scope);
                }
                self.deliver(&scope, 0, reply, None, open).await
            }
            Err(failure) => Answer::failed(&self.upstreams[0].name, None, &failure),
        }
    }

    /// Whether names, ids and everything else stay as they are: one upstream, no prefix.
    pub fn is_alone(&self) -> bool {
        self.upstreams.len() == 1 && self.upstreams[0].prefix.is_empty()
    }

    /// A single server over HTTP may do without sessions; several, or processes, cannot tell their clients apart then.
    fn works_without_session(&self) -> bool {
        self.is_alone() && !self.upstreams[0].is_child()
    }

    /// Why a task has no business here any more although its token still runs: it was ended, or this ledger knows nothing of it. What is not
    /// decided must not outlive it either.
    async fn ended(&self, caller: &Caller, id: Option<&str>) -> Option<Answer> {
        let sentence = self.engine.view(|state, now| match caller.judged.task.as_ref().and_then(|task| state.task(task)) {
            None => Some("this task is not known here"),
            Some(task) if task.ended || now >= task.task.ends => Some("this task was ended"),
            Some(_) => None,
        })?;
        self.record(caller, None, Code::Authentication, sentence.to_owned()).await;
        Some(Answer::error(StatusCode::UNAUTHORIZED, id, REFUSED, &format!("{sentence}; start a new task")))
    }

    async fn named_scope(&self, caller: &Caller, session: Option<&str>) -> Result<Arc<Scope>, Box<Answer>> {
        match session {
            Some(session) => match self.scopes.session(session, caller) {
                Some(scope) => Ok(scope),
                None => {
                    if self.scopes.is_anothers(session, caller) {
                        self.record(caller, None, Code::Authentication, "a session of another task was named".to_owned()).await;
                    }
                    Err(Box::new(Answer::session_not_found()))
                }
            },
            None => self.scopes.of_task(caller).map_err(|_| Box::new(Answer::too_many(None))),
        }
    }

    async fn request(self: &Arc<Self>, mut up: Upward<'_>) -> Answer {
        let (index, frame, headers) = match self.route(&up) {
            Route::One(index) => (index, up.frame.clone(), std::mem::take(&mut up.headers)),
            Route::Edited(index, frame, headers) => (index, frame, headers),
            Route::All => return self.ask_all(up).await,
            Route::Here(answer) => return answer,
        };
        let (Some(id), Some(key)) = (up.frame.id().map(str::to_owned), up.frame.id_key()) else {
            return Answer::error(StatusCode::BAD_REQUEST, None, -32600, "expected a request with an id");
        };
        let finish = match self.finish_of(&up, index, &frame) {
            Ok(finish) => finish,
            Err(answer) => return *answer,
        };
        // A place first: a call that went out must not be lost for want of one.
        let Ok(open) = up.scope.open_stream(self.scopes.streams_max()) else { return Answer::too_many(Some(&id)) };
        let outbound = if must_be_decided(&frame) {
            match self.rule(&up, index, &frame, &headers).await {
                Ok(permitted) => Outbound::Decided(Box::new(permitted)),
                Err(answer) => return *answer,
            }
        } else {
            Outbound::Free(&frame)
        };
        up.scope.sent(&key, index);
        let (upstream, link) = (&self.upstreams[index], &up.scope.links[index]);
        let Forwarded { reply, spent } = upstream.forward(outbound, headers, link, self.engine.now()).await;
        let under_way = spent.map(|(call, spent)| self.under_way(index, call, spent));
        let reply = match reply {
            Ok(reply) => reply,
            Err(failure) => {
                if let Some(under_way) = under_way {
                    self.ended_without_answer(under_way, &failure).await;
                }
                return Answer::failed(&upstream.name, Some(&id), &failure);
            }
        };
        let finish = under_way.map_or(finish, |under_way| Finish::Observe(Box::new(under_way)));
        if let Some(answer) = self.note_session(&up, index, &reply) {
            return answer;
        }
        self.deliver(up.scope, index, reply, Some(Asked { key, id, finish }), open).await
    }

    /// What is done with the answer to a request, if it is not decided.
    fn finish_of(&self, up: &Upward<'_>, index: usize, frame: &Frame) -> Result<Finish, Box<Answer>> {
        let mode = self.mode_of(up.caller, index);
        let finish = match Method::treatment_of(frame, Direction::ToServer).unwrap_or(Treatment::Unknown) {
            Treatment::Describe if Method::of(frame) == Some(Method::Initialize) => Finish::Opened,
            Treatment::Describe => Finish::Private,
            Treatment::Filter(list) => Finish::Filter(Wanted::of(up.caller, list, mode)),
            Treatment::Follow => {
                let task = TaskRef::of(frame)
                    .map_err(|error| Box::new(Answer::error(StatusCode::OK, frame.id(), -32602, &error.to_string())))?;
                let key = FollowKey { owner: Arc::clone(&up.caller.task), index, id: task.task_id.into_owned() };
                match (self.is_followed(&key), mode, Method::of(frame)) {
                    (true, _, Some(method @ (Method::TasksResult | Method::TasksGet))) => Finish::Follow(key, method.name()),
                    // The newer era has no such method: that is the server's to say. A result would not be released.
                    (false, Mode::Enforce, Some(method @ Method::TasksResult)) if is_modern(frame) => {
                        Finish::Follow(key, method.name())
                    }
                    (true, _, _) | (false, Mode::Observe, _) => Finish::Pass,
                    (false, Mode::Enforce, _) => {
                        return Err(Box::new(Answer::error(StatusCode::OK, frame.id(), -32602, "no such task was created here")));
                    }
                }
            }
            Treatment::Act | Treatment::Read | Treatment::Pass | Treatment::Observe | Treatment::Ask | Treatment::Unknown => {
                Finish::Pass
            }
        };
        Ok(finish)
    }

    /// Sessions begin and end with what the upstream answers.
    fn note_session(&self, up: &Upward<'_>, index: usize, reply: &Reply) -> Option<Answer> {
        let (upstream, link) = (&self.upstreams[index], &up.scope.links[index]);
        if Method::of(&up.frame) == Some(Method::Initialize) && reply.status == StatusCode::OK {
            link.opened(&reply.headers);
            if (link.has_session() || upstream.is_child()) && !up.scope.is_admitted() && self.scopes.admit(up.scope).is_err() {
                return Some(Answer::too_many(up.frame.id()));
            }
        }
        // An upstream that forgot the session says so; a method that it does not know has a JSON-RPC body.
        if reply.status == StatusCode::NOT_FOUND && link.has_session() && self.is_alone() {
            let is_answer = matches!(&reply.body, ReplyBody::Whole(body) if Frame::parse(body.clone(), &self.result_frames).is_ok_and(|frame| frame.id().is_some()));
            if !is_answer {
                self.scopes.forget(up.scope);
            }
        }
        None
    }

    /// Passes a notification, or the client's answer to a server's request.
    async fn tell(self: &Arc<Self>, up: Upward<'_>) -> Answer {
        if must_be_decided(&up.frame) {
            // A server might carry it out all the same, and nobody would hear of it.
            self.record(up.caller, None, Code::Contract, "a call came as a notification".to_owned()).await;
            return Answer::error(StatusCode::BAD_REQUEST, None, -32600, "expected a request with an id");
        }
        let (index, frame, headers) = match self.route(&up) {
            Route::One(index) => (index, up.frame.clone(), up.headers.clone()),
            Route::Edited(index, frame, headers) => (index, frame, headers),
            Route::All => return self.tell_all(up).await,
            Route::Here(answer) => return answer,
        };
        let Ok(open) = up.scope.open_stream(self.scopes.streams_max()) else { return Answer::too_many(None) };
        match self.upstreams[index].pass(&frame, headers, &up.scope.links[index]).await {
            Ok(reply) => {
                if let Some(answer) = self.note_session(&up, index, &reply) {
                    return answer;
                }
                self.deliver(up.scope, index, reply, None, open).await
            }
            Err(failure) => Answer::failed(&self.upstreams[index].name, None, &failure),
        }
    }
}
