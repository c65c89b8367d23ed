//! Which upstream a message is for, when there are several. What the upstream does with it is not known here.

use http::{HeaderMap, HeaderValue, StatusCode};
use wire::frame::{Frame, IdKey, Kind};
use wire::headers as agreement;
use wire::mcp::{Completion, Method, PromptGet, ResourceRead, TaskRef, ToolCall};

use crate::Core;
use crate::answer::Answer;
use crate::config::NAME_SEPARATOR;
use crate::exchange::Upward;
use crate::session::Scope;

/// Where a message goes.
pub enum Route {
    /// To this upstream as it is.
    One(usize),
    /// To this upstream, with the name that it knows.
    Edited(usize, Frame, HeaderMap),
    /// To all of them.
    All,
    /// Nowhere: this is the answer.
    Here(Answer),
}

impl Core {
    /// Where a client's message goes.
    pub fn route(&self, up: &Upward<'_>) -> Route {
        if self.is_alone() {
            return Route::One(0);
        }
        match up.frame.kind() {
            Kind::Request => self.route_request(up),
            Kind::Notification => self.route_notification(up),
            Kind::Result | Kind::Error => match up.frame.id_key().and_then(|key| up.scope.answered(&key)) {
                Some((index, id)) => self.edited(index, &up.frame, &up.headers, "/id", &id),
                None => Route::Here(Answer::error(StatusCode::BAD_REQUEST, None, -32600, "an answer to nothing that was asked")),
            },
        }
    }

    /// The upstream whose prefix `name` has, and the name without it.
    pub fn by_name<'name>(&self, name: &'name str) -> Option<(usize, &'name str)> {
        let prefixed = name.split_once(NAME_SEPARATOR).and_then(|(prefix, rest)| {
            let index = self.upstreams.iter().position(|upstream| !upstream.prefix.is_empty() && upstream.prefix == prefix)?;
            Some((index, rest))
        });
        prefixed.or_else(|| self.upstreams.iter().position(|upstream| upstream.prefix.is_empty()).map(|index| (index, name)))
    }

    /// What upstream number `index` calls `name`, as the client knows it.
    pub fn prefixed(&self, index: usize, name: &str) -> String {
        let prefix = &self.upstreams[index].prefix;
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}{NAME_SEPARATOR}{name}") }
    }

    /// The upstream that holds the resource: configured, listed, of a listed template, in this order; the longest match counts.
    pub fn by_uri(&self, scope: &Scope, uri: &str) -> Option<usize> {
        let configured = self
            .upstreams
            .iter()
            .enumerate()
            .flat_map(|(index, upstream)| upstream.uri_prefixes.iter().map(move |prefix| (index, prefix)));
        let configured = configured.filter(|(_, prefix)| uri.starts_with(prefix.as_str())).max_by_key(|(_, prefix)| prefix.len());
        configured.map(|(index, _)| index).or_else(|| scope.holder_of(uri))
    }

    fn route_request(&self, up: &Upward<'_>) -> Route {
        let frame = &up.frame;
        let nameless =
            || Route::Here(Answer::error(StatusCode::OK, frame.id(), -32602, "expected the parameters of this method"));
        let Some(method) = Method::of(frame) else {
            return Route::Here(Answer::error(StatusCode::OK, frame.id(), -32601, "method not found"));
        };
        match method {
            Method::Initialize
            | Method::Discover
            | Method::ToolsList
            | Method::ResourcesList
            | Method::ResourceTemplatesList
            | Method::PromptsList
            | Method::TasksList
            | Method::SetLevel
            | Method::SubscriptionsListen => Route::All,
            Method::Ping => {
                let pong = Frame::answer(frame.id().unwrap_or("0"), "{}", &self.request_frames);
                Route::Here(
                    pong.map_or_else(|_| Answer::empty(StatusCode::BAD_REQUEST), |pong| Answer::frame(StatusCode::OK, &pong)),
                )
            }
            Method::ToolsCall => match ToolCall::of(frame) {
                Ok(call) => self.to_owner_of_name(up, &call.name, "/params/name", "tool"),
                Err(_) => nameless(),
            },
            Method::PromptsGet => match PromptGet::of(frame) {
                Ok(get) => self.to_owner_of_name(up, &get.name, "/params/name", "prompt"),
                Err(_) => nameless(),
            },
            Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => match ResourceRead::of(frame) {
                Ok(read) => self.to_holder(up, &read.uri),
                Err(_) => nameless(),
            },
            Method::Complete => {
                match Completion::of(frame).ok().and_then(|completion| completion.target().map(|target| target.into_owned())) {
                    Some(name) if frame.at("/params/ref/name").is_some() => {
                        self.to_owner_of_name(up, &name, "/params/ref/name", "prompt")
                    }
                    Some(uri) => self.to_holder(up, &uri),
                    None => nameless(),
                }
            }
            Method::TasksGet | Method::TasksResult | Method::TasksUpdate | Method::TasksCancel => match TaskRef::of(frame) {
                Ok(task) => match self.keeper_of(&up.caller.task, &task.task_id) {
                    Some(index) => Route::One(index),
                    None => Route::Here(Answer::error(StatusCode::OK, frame.id(), -32602, "no such task was created here")),
                },
                Err(_) => nameless(),
            },
            // Only servers send these.
            Method::CreateMessage | Method::Elicit | Method::RootsList => not_found(frame),
            Method::Initialized | Method::Cancelled | Method::Progress | Method::Message | Method::ResourceUpdated => {
                not_found(frame)
            }
            Method::ResourcesChanged | Method::ToolsChanged | Method::PromptsChanged | Method::RootsChanged => not_found(frame),
            Method::ElicitationComplete | Method::TaskStatus | Method::Task | Method::SubscriptionsAcknowledged => {
                not_found(frame)
            }
        }
    }

    fn route_notification(&self, up: &Upward<'_>) -> Route {
        match Method::of(&up.frame) {
            Some(Method::Cancelled) => {
                match up.frame.at("/params/requestId").and_then(id_key).and_then(|key| up.scope.sent_to(&key)) {
                    Some(index) => Route::One(index),
                    None => Route::Here(Answer::empty(StatusCode::ACCEPTED)),
                }
            }
            Some(Method::Progress) => {
                match up.frame.at("/params/progressToken").and_then(|token| up.scope.progress_wanted_by(token)) {
                    Some(index) => Route::One(index),
                    None => Route::Here(Answer::empty(StatusCode::ACCEPTED)),
                }
            }
            Some(_) | None => Route::All,
        }
    }

    fn to_owner_of_name(&self, up: &Upward<'_>, name: &str, pointer: &str, kind: &str) -> Route {
        match self.by_name(name) {
            Some((index, own)) if own == name => Route::One(index),
            Some((index, own)) => match serde_json::to_string(own) {
                Ok(own) => self.edited(index, &up.frame, &up.headers, pointer, &own),
                Err(_) => not_found(&up.frame),
            },
            None => Route::Here(Answer::error(StatusCode::OK, up.frame.id(), -32602, &format!("no upstream has this {kind}"))),
        }
    }

    fn to_holder(&self, up: &Upward<'_>, uri: &str) -> Route {
        match self.by_uri(up.scope, uri) {
            Some(index) => Route::One(index),
            None => Route::Here(Answer::error(
                StatusCode::OK,
                up.frame.id(),
                -32602,
                "no upstream is known to hold this resource; list resources first",
            )),
        }
    }

    /// The frame with another value at `pointer`, and the headers that go with it.
    fn edited(&self, index: usize, frame: &Frame, headers: &HeaderMap, pointer: &str, value: &str) -> Route {
        let Ok(edited) = frame.splice(pointer, value, &self.request_frames) else { return not_found(frame) };
        let mut headers = headers.clone();
        for (name, value) in agreement::standard(&edited) {
            // Only where the client sent one: older servers know none of them.
            if headers.contains_key(name)
                && let Ok(value) = HeaderValue::from_str(&value)
            {
                headers.insert(name, value);
            }
        }
        Route::Edited(index, edited, headers)
    }
}

fn not_found(frame: &Frame) -> Route {
    Route::Here(Answer::error(StatusCode::OK, frame.id(), -32601, "method not found"))
}

/// An id inside another message, as a key.
pub fn id_key(raw: &str) -> Option<IdKey> {
    match serde_json::from_str(raw).ok()? {
        serde_json::Value::String(text) => Some(IdKey::Text(text)),
        serde_json::Value::Number(number) => number.as_i64().map(IdKey::Number),
        _ => None,
    }
}
