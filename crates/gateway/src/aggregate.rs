//! Several upstreams behind one endpoint: one question to all of them, one answer to the client.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tracing::{info, warn};
use wire::frame::{Frame, Kind};
use wire::mcp::{List, Method, subscribed_uris};

use crate::Core;
use crate::answer::Answer;
use crate::exchange::Upward;
use crate::filter::Wanted;
use crate::session::Scope;
use crate::sse::Event;
use crate::upstream::http::LAST_EVENT_ID;
use crate::upstream::{Events, Failure, Reply, ReplyBody};

const CURSOR: &str = "/params/cursor";
/// A listening upstream that does not acknowledge in time is listened to all the same.
const ACKNOWLEDGE_TIME_MAX: Duration = Duration::from_secs(5);
const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

/// One upstream's answer to a question to all.
pub struct Part {
    /// The upstream.
    pub index: usize,
    /// Its answer.
    pub answer: Result<Frame, Failure>,
}

impl Core {
    /// Asks every upstream and makes one answer.
    pub async fn ask_all(self: &Arc<Self>, up: Upward<'_>) -> Answer {
        match Method::of(&up.frame) {
            Some(Method::Initialize) => self.initialize(&up).await,
            Some(Method::Discover) => self.discover(&up).await,
            Some(Method::ToolsList) => self.list(&up, List::Tools).await,
            Some(Method::PromptsList) => self.list(&up, List::Prompts).await,
            Some(Method::ResourcesList) => self.list(&up, List::Resources).await,
            Some(Method::ResourceTemplatesList) => self.list(&up, List::ResourceTemplates).await,
            Some(Method::TasksList) => self.list(&up, List::Tasks).await,
            Some(Method::SubscriptionsListen) => self.subscribe(&up).await,
            Some(_) | None => self.any_of_all(&up).await,
        }
    }

    /// Tells every upstream. It is accepted if any accepts it.
    pub async fn tell_all(self: &Arc<Self>, up: Upward<'_>) -> Answer {
        let up = &up;
        let told = self.open_links(up.scope).map(|index| async move {
            let reply = self.upstreams[index].pass(&up.frame, up.headers.clone(), &up.scope.links[index]).await;
            if let Err(failure) = &reply {
                warn!(upstream = self.upstreams[index].name, %failure, "a notification did not arrive");
            }
            reply.is_ok_and(|reply| reply.status.is_success())
        });
        let accepted = join_all(told).await.into_iter().any(|accepted| accepted);
        Answer::empty(if accepted { StatusCode::ACCEPTED } else { StatusCode::BAD_GATEWAY })
    }

    /// Opens the streams of all upstreams as one.
    pub async fn listen_to_all(self: &Arc<Self>, scope: &Arc<Scope>, headers: HeaderMap) -> Answer {
        // A stream that is continued is one upstream's.
        let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).and_then(|id| id.split_once('~'));
        let resumed = last.and_then(|(index, id)| Some((index.parse::<usize>().ok()?, HeaderValue::from_str(id).ok()?)));
        if headers.contains_key(LAST_EVENT_ID) && resumed.is_none() {
            return Answer::error(StatusCode::BAD_REQUEST, None, -32600, "expected a `last-event-id` that this gateway gave");
        }
        let wanted: Vec<usize> =
            self.open_links(scope).filter(|index| resumed.as_ref().is_none_or(|(only, _)| only == index)).collect();
        let opened = wanted.into_iter().map(|index| {
            let mut headers = headers.clone();
            if let Some((_, id)) = &resumed {
                headers.insert(LAST_EVENT_ID, id.clone());
            }
            async move { (index, self.upstreams[index].listen(headers, &scope.links[index]).await) }
        });
        let mut streams: Vec<BoxStream<'static, Event>> = Vec::new();
        for (index, reply) in join_all(opened).await {
            // An upstream that offers no such stream has nothing to say on it.
            let Ok(Reply { body: ReplyBody::Events(events), .. }) = reply else { continue };
            match scope.open_stream(self.scopes.streams_max()) {
                Ok(open) => streams.push(self.relay(scope, index, events, None, open)),
                Err(_) => return Answer::too_many(None),
            }
        }
        if streams.is_empty() {
            return Answer::empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        let mut answer = Answer::events(stream::select_all(streams).boxed());
        self.put_own_session(scope, &mut answer.headers);
        answer
    }

    /// Ends a session on all upstreams.
    pub async fn close_all(self: &Arc<Self>, scope: &Arc<Scope>, headers: &HeaderMap) -> Answer {
        self.scopes.forget(scope);
        join_all(self.open_links(scope).map(|index| self.upstreams[index].close(headers.clone(), &scope.links[index]))).await;
        Answer::empty(StatusCode::NO_CONTENT)
    }

    fn open_links(&self, scope: &Arc<Scope>) -> impl Iterator<Item = usize> + use<> {
        let open: Vec<usize> = (0..self.upstreams.len()).filter(|index| !scope.links[*index].is_left_out()).collect();
        open.into_iter()
    }

    async fn initialize(self: &Arc<Self>, up: &Upward<'_>) -> Answer {
        let scope = up.scope;
        let asked = (0..self.upstreams.len()).map(|index| self.part(up, index, up.frame.clone()));
        let parts = join_all(asked).await;
        let mut merged = Merged::default();
        let mut refusal = None;
        for part in parts {
            let name = &self.upstreams[part.index].name;
            match part.answer {
                Ok(frame) if frame.kind() == Kind::Result => {
                    scope.links[part.index].speaks_as_answered(&frame);
                    merged.add(name, &frame.result());
                }
                Ok(frame) => {
                    warn!(upstream = name, "refused to open a session and is left out of it");
                    scope.links[part.index].leave_out();
                    refusal = Some(frame);
                }
                Err(failure) => {
                    warn!(upstream = name, %failure, "cannot be reached and is left out of a session");
                    scope.links[part.index].leave_out();
                }
            }
        }
        let Some(version) = merged.versions.iter().min() else {
            return match refusal {
                Some(frame) => Answer::frame(StatusCode::OK, &frame),
                None => Answer::failed("all", up.frame.id(), &Failure::NotSent("no upstream can be reached".to_owned())),
            };
        };
        if self.scopes.admit(scope).is_err() {
            return Answer::too_many(up.frame.id());
        }
        let mut result = json!({
            "protocolVersion": version,
            "capabilities": merged.capabilities,
            "serverInfo": own_info(),
        });
        merged.instruct(&mut result);
        self.own_answer(up, &result)
    }

    async fn discover(self: &Arc<Self>, up: &Upward<'_>) -> Answer {
        let asked = (0..self.upstreams.len()).map(|index| self.part(up, index, up.frame.clone()));
        let mut merged = Merged::default();
        let mut common: Option<Vec<Value>> = None;
        for part in join_all(asked).await {
            let name = &self.upstreams[part.index].name;
            match part.answer {
                Ok(frame) if frame.kind() == Kind::Result => {
                    let result = frame.result();
                    let versions = result["supportedVersions"].as_array().cloned().unwrap_or_default();
                    common = Some(match common {
                        Some(common) => common.into_iter().filter(|version| versions.contains(version)).collect(),
                        None => versions,
                    });
                    merged.add(name, &result);
                }
                Ok(frame) => {
                    // One server of the older era makes the whole of the older era: the client falls back to `initialize`.
                    info!(upstream = name, "does not know server/discover");
                    return Answer::frame(StatusCode::BAD_REQUEST, &frame);
                }
                Err(failure) => warn!(upstream = name, %failure, "cannot be reached"),
            }
        }
        let Some(versions) = common.filter(|versions| !versions.is_empty()) else {
            return Answer::error(
                StatusCode::BAD_REQUEST,
                up.frame.id(),
                -32601,
                "the servers behind this gateway speak no revision in common",
            );
        };
        let mut result = json!({
            "resultType": "complete",
            "supportedVersions": versions,
            "capabilities": merged.capabilities,
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": { "io.modelcontextprotocol/serverInfo": own_info() },
        });
        merged.instruct(&mut result);
        self.own_answer(up, &result)
    }

    async fn list(self: &Arc<Self>, up: &Upward<'_>, list: List) -> Answer {
        let pages: Vec<(usize, Option<String>)> = match up.frame.at(CURSOR).map(cursor_pages) {
            Some(Some(pages)) => pages.into_iter().map(|(index, cursor)| (index, Some(cursor))).collect(),
            Some(None) => {
                return Answer::error(StatusCode::OK, up.frame.id(), -32602, "expected a cursor that this gateway gave");
            }
            None => self.open_links(up.scope).map(|index| (index, None)).collect(),
        };
        let asked = pages.into_iter().filter(|(index, _)| *index < self.upstreams.len()).map(|(index, cursor)| {
            let frame = match cursor.and_then(|cursor| serde_json::to_string(&cursor).ok()) {
                Some(cursor) => up.frame.splice(CURSOR, &cursor, &self.request_frames).unwrap_or_else(|_| up.frame.clone()),
                None => up.frame.clone(),
            };
            self.part(up, index, frame)
        });
        let mut items: Vec<String> = Vec::new();
        let mut next: Vec<(usize, String)> = Vec::new();
        let mut first_error = None;
        let mut answered = false;
        for part in join_all(asked).await {
            let name = &self.upstreams[part.index].name;
            let wanted = Wanted::of(up.caller, list, self.mode_of(up.caller, part.index));
            match part.answer.map(|frame| self.filtered(up.scope, part.index, frame, &wanted)) {
                Ok(frame) if frame.kind() == Kind::Result => {
                    answered = true;
                    let array = frame.at(&format!("/result/{}", list.member())).unwrap_or("[]");
                    let raw: Vec<&RawValue> = serde_json::from_str(array).unwrap_or_default();
                    items.extend(raw.into_iter().map(|item| item.get().to_owned()));
                    let cursor = frame
                        .at("/result/nextCursor")
                        .and_then(|cursor| serde_json::from_str::<Option<String>>(cursor).ok().flatten());
                    next.extend(cursor.map(|cursor| (part.index, cursor)));
                }
                // A server without this kind of thing need not know the method.
                Ok(frame) => first_error = first_error.or(Some(frame)),
                Err(failure) => warn!(upstream = name, %failure, "is missing from a list"),
            }
        }
        if !answered {
            return match first_error {
                Some(frame) => Answer::frame(StatusCode::OK, &frame),
                None => Answer::failed("all", up.frame.id(), &Failure::NotSent("no upstream can be reached".to_owned())),
            };
        }
        let cursor = if next.is_empty() { String::new() } else { format!(",\"nextCursor\":\"{}\"", cursor_of(&next)) };
        let caching = if crate::mcp_fields::is_modern(&up.frame) {
            r#""resultType":"complete","ttlMs":0,"cacheScope":"private","#
        } else {
            ""
        };
        let result = format!("{{{caching}\"{}\":[{}]{cursor}}}", list.member(), items.join(","));
        match Frame::answer(up.frame.id().unwrap_or("0"), &result, &self.result_frames) {
            Ok(frame) => Answer::frame(StatusCode::OK, &frame),
            Err(error) => Answer::failed("all", up.frame.id(), &Failure::Unusable(error.to_string())),
        }
    }

    async fn any_of_all(self: &Arc<Self>, up: &Upward<'_>) -> Answer {
        let asked = self.open_links(up.scope).map(|index| self.part(up, index, up.frame.clone()));
        let mut answer = None;
        for part in join_all(asked).await {
            match part.answer {
                Ok(frame) if frame.kind() == Kind::Result => return Answer::frame(StatusCode::OK, &frame),
                Ok(frame) => answer = answer.or(Some(Answer::frame(StatusCode::OK, &frame))),
                Err(failure) => {
                    answer = answer.or(Some(Answer::failed(&self.upstreams[part.index].name, up.frame.id(), &failure)))
                }
            }
        }
        answer.unwrap_or_else(|| Answer::error(StatusCode::OK, up.frame.id(), -32601, "method not found"))
    }

    async fn subscribe(self: &Arc<Self>, up: &Upward<'_>) -> Answer {
        const URIS: &str = "/params/notifications/resourceSubscriptions";
        let uris: Vec<String> =
            subscribed_uris(&up.frame).map(|uris| uris.into_iter().map(|uri| uri.into_owned()).collect()).unwrap_or_default();
        let asked = self.open_links(up.scope).map(|index| {
            let own: Vec<&String> = uris.iter().filter(|uri| self.by_uri(up.scope, uri) == Some(index)).collect();
            let frame = if up.frame.at(URIS).is_some() {
                serde_json::to_string(&own).ok().and_then(|own| up.frame.splice(URIS, &own, &self.request_frames).ok())
            } else {
                Some(up.frame.clone())
            };
            async move {
                let frame = frame?;
                let reply = self.upstreams[index].pass(&frame, up.headers.clone(), &up.scope.links[index]).await;
                match reply {
                    Ok(Reply { body: ReplyBody::Events(mut events), status, .. }) if status.is_success() => {
                        let first = tokio::time::timeout(ACKNOWLEDGE_TIME_MAX, events.next()).await;
                        Some((index, first.ok().flatten(), events))
                    }
                    Ok(_) | Err(_) => None,
                }
            }
        });
        let mut honoured = Map::new();
        let mut streams: Vec<BoxStream<'static, Event>> = Vec::new();
        for (index, first, events) in join_all(asked).await.into_iter().flatten() {
            let events: Events = match first {
                Some(Ok(event)) => match event.data().and_then(|data| Frame::parse(data, &self.result_frames).ok()) {
                    Some(frame) if frame.method() == Some(ACKNOWLEDGED) => {
                        merge(&mut honoured, &frame.params()["notifications"]);
                        events
                    }
                    Some(_) | None => stream::iter([Ok(event)]).chain(events).boxed(),
                },
                Some(Err(_)) | None => events,
            };
            let Ok(open) = up.scope.open_stream(self.scopes.streams_max()) else { return Answer::too_many(up.frame.id()) };
            // Each ends by itself; the client's subscription ends with the last of them.
            streams.push(self.relay(up.scope, index, events, None, open));
        }
        if streams.is_empty() {
            return Answer::error(StatusCode::NOT_FOUND, up.frame.id(), -32601, "method not found");
        }
        let id = up.frame.id().unwrap_or("0").to_owned();
        let acknowledged = format!(
            r#"{{"jsonrpc":"2.0","method":"{ACKNOWLEDGED}","params":{{"_meta":{{"{}":{id}}},"notifications":{}}}}}"#,
            subscription_member(),
            Value::Object(honoured)
        );
        let ended = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"{}":{id}}}}}}}"#,
            subscription_member()
        );
        let first = stream::iter([Event::of_frame(acknowledged.as_bytes())]);
        let last = stream::iter([Event::of_frame(ended.as_bytes())]);
        Answer::events(first.chain(stream::select_all(streams)).chain(last).boxed())
    }

    /// One upstream's answer, whatever it comes in; what it says in between is for nobody.
    pub async fn part(&self, up: &Upward<'_>, index: usize, frame: Frame) -> Part {
        let answer = async {
            let link = &up.scope.links[index];
            let reply = self.upstreams[index].pass(&frame, up.headers.clone(), link).await?;
            if Method::of(&frame) == Some(Method::Initialize) {
                link.opened(&reply.headers);
            }
            let whole = match reply.body {
                ReplyBody::Empty => return Err(Failure::Unusable("an empty answer".to_owned())),
                ReplyBody::Whole(body) => {
                    Frame::parse(body, &self.result_frames).map_err(|error| Failure::Unusable(error.to_string()))?
                }
                ReplyBody::Events(events) => self.answer_in(events, &frame).await?,
            };
            let answers = whole.kind().is_response() && (whole.id_key() == frame.id_key() || whole.id().is_none());
            if answers { Ok(whole) } else { Err(Failure::Unusable("it answers another request".to_owned())) }
        };
        Part { index, answer: answer.await }
    }

    async fn answer_in(&self, mut events: Events, asked: &Frame) -> Result<Frame, Failure> {
        let wait = async {
            while let Some(event) = events.next().await {
                let Some(frame) = event?.data().and_then(|data| Frame::parse(data, &self.result_frames).ok()) else { continue };
                if frame.kind().is_response() && frame.id_key() == asked.id_key() {
                    return Ok(frame);
                }
            }
            Err(Failure::Lost("the stream ended without an answer".to_owned()))
        };
        let limit = self.config.limits.answer_time_max;
        tokio::time::timeout(limit, wait)
            .await
            .unwrap_or_else(|_| Err(Failure::Lost(format!("no answer within {} s", limit.as_secs()))))
    }

    fn own_answer(&self, up: &Upward<'_>, result: &Value) -> Answer {
        match Frame::answer(up.frame.id().unwrap_or("0"), &result.to_string(), &self.result_frames) {
            Ok(frame) => {
                let mut answer = Answer::frame(StatusCode::OK, &frame);
                self.put_own_session(up.scope, &mut answer.headers);
                answer
            }
            Err(error) => Answer::failed("all", up.frame.id(), &Failure::Unusable(error.to_string())),
        }
    }
}

/// What several servers say of themselves, as one.
#[derive(Default)]
struct Merged {
    versions: Vec<String>,
    capabilities: Map<String, Value>,
    instructions: Vec<String>,
}

impl Merged {
    fn add(&mut self, upstream: &str, result: &Value) {
        self.versions.extend(result["protocolVersion"].as_str().map(str::to_owned));
        merge(&mut self.capabilities, &result["capabilities"]);
        self.instructions.extend(result["instructions"].as_str().map(|text| format!("{upstream}: {text}")));
    }

    fn instruct(&self, result: &mut Value) {
        if !self.instructions.is_empty() {
            result["instructions"] = Value::String(self.instructions.join("\n\n"));
        }
    }
}

/// Objects become one, arrays are joined, of two truths the yes wins, of anything else the first.
fn merge(into: &mut Map<String, Value>, from: &Value) {
    let Value::Object(from) = from else { return };
    for (name, value) in from {
        match (into.get_mut(name), value) {
            (None, value) => {
                into.insert(name.clone(), value.clone());
            }
            (Some(Value::Object(into)), value) => merge(into, value),
            (Some(Value::Array(into)), Value::Array(more)) => {
                into.extend(more.iter().filter(|item| !into.contains(item)).cloned().collect::<Vec<_>>())
            }
            (Some(Value::Bool(into)), Value::Bool(yes)) => *into |= *yes,
            (Some(_), _) => {}
        }
    }
}

fn own_info() -> Value {
    json!({ "name": "prudence", "title": "Prudence gateway", "version": env!("CARGO_PKG_VERSION") })
}

fn subscription_member() -> &'static str {
    "io.modelcontextprotocol/subscriptionId"
}

/// Where each upstream's list continues, as one cursor.
fn cursor_of(next: &[(usize, String)]) -> String {
    URL_SAFE_NO_PAD.encode(json!(next).to_string())
}

fn cursor_pages(raw: &str) -> Option<Vec<(usize, String)>> {
    let text: String = serde_json::from_str(raw).ok()?;
    let pages = URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_slice(&pages).ok()
}
