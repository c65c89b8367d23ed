//! Searches: who may do this, to what, and what may be done. A result is what the same question would be permitted now; what a person
//! would be asked about is none.
//!
//! Candidates come from a copy of the directory, which is shared and costs nothing to take; decisions are made in small handfuls, so that
//! no other decision waits for a search.

use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use judge::act::Act;
use judge::decide::is_permitted;
use judge::directory::Directory;
use judge::effect::Effect;
use judge::name::PrincipalId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wire::authzen::{Action, ActionSearch, Page, Resource, ResourceSearch, SubjectSearch, attributes};
use wire::canonical;

use super::Pdp;
use super::question::{act_of, resource};
use super::respond::{Refusal, json_response};

/// How many results a page has when nothing else is said, and at most.
const PAGE_RESULTS: usize = 100;
const PAGE_RESULTS_MAX: usize = 1_000;
/// How many decisions are made while others wait.
const HANDFUL: usize = 64;
/// How many candidates one request looks at; a page may end before it is full.
const LOOKED_MAX: usize = 20_000;

/// Where the next page begins, for whom the token is no secret: it says nothing that the page before did not.
#[derive(Serialize, Deserialize)]
struct Cursor {
    /// The last candidate that was looked at.
    after: Option<String>,
    limit: usize,
    /// The digest of the question: a token is good for its own search.
    of: String,
}

impl Cursor {
    fn of(page: &Page, question: &Value) -> Result<Self, Refusal> {
        let bad = |sentence: &str| Refusal::Body(StatusCode::BAD_REQUEST, sentence.to_owned());
        let of = canonical::digest(question).map_err(|error| bad(&error.to_string()))?.to_string();
        match &page.token {
            None => {
                let limit = page.limit.map_or(PAGE_RESULTS, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
                Ok(Self { after: None, limit: limit.clamp(1, PAGE_RESULTS_MAX), of })
            }
            Some(token) => {
                let bytes = URL_SAFE_NO_PAD.decode(token).ok();
                let cursor: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
                let is_same = |cursor: &Self| cursor.of == of && (1..=PAGE_RESULTS_MAX).contains(&cursor.limit);
                cursor.filter(is_same).ok_or_else(|| bad("`page.token`: expected the token of a page of this very search"))
            }
        }
    }

    fn next(self, after: Option<String>) -> String {
        let next = Self { after, ..self };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&next).expect("a cursor is plain data"))
    }
}

fn found(next_token: &str, results: &[Value]) -> Response {
    json_response(StatusCode::OK, &json!({ "page": { "next_token": next_token, "count": results.len() }, "results": results }))
}

/// One page: candidates in their order, of which those are kept that are permitted.
struct Gathering {
    cursor: Cursor,
    results: Vec<Value>,
    looked: usize,
    last: Option<String>,
    /// Whether there is more after `last`.
    more: bool,
}

impl Gathering {
    fn new(cursor: Cursor) -> Self {
        Self { last: cursor.after.clone(), cursor, results: Vec::new(), looked: 0, more: false }
    }

    /// Whether another candidate may be looked at.
    fn has_room(&mut self) -> bool {
        self.more = self.results.len() >= self.cursor.limit || self.looked >= LOOKED_MAX;
        !self.more
    }

    fn looked_at(&mut self, key: String, result: Option<Value>) {
        self.looked += 1;
        self.last = Some(key);
        self.results.extend(result);
    }

    fn response(self) -> Response {
        let next = if self.more { self.cursor.next(self.last) } else { String::new() };
        found(&next, &self.results)
    }
}

/// The parts of a question that bind a token to it.
fn asked(subject: Value, action: Option<&Action>, resource: Value) -> Value {
    json!({ "subject": subject, "action": action, "resource": resource })
}

fn sought(kind: &str, properties: &Map<String, Value>) -> Value {
    json!({ "type": kind, "properties": properties })
}

impl Pdp {
    /// The act that is asked about, on `of`; `None` where nothing can come of it.
    fn act_on(&self, asker: &str, action: &Action, effect: Effect, of: Option<&Resource>) -> Result<Act, Refusal> {
        let bad = |answer: wire::authzen::Answer| {
            let sentence = answer.context["error"]["message"].as_str().unwrap_or("it cannot be read").to_owned();
            Refusal::Body(StatusCode::BAD_REQUEST, sentence)
        };
        let mut act = act_of(asker, action, effect).map_err(bad)?;
        if let Some(of) = of {
            act.resources = vec![resource(&of.kind, &of.id).map_err(bad)?];
            act.stated.resource = stated("resource", &of.properties)?;
        }
        Ok(act)
    }

    fn directory(&self) -> Directory {
        self.0.engine.view(|state, _| state.directory().clone())
    }

    fn may(&self, person: &PrincipalId, act: &Act) -> bool {
        self.0.engine.view(|state, now| is_permitted(state, person, act, now))
    }
}

fn stated(
    entity: &'static str,
    properties: &Map<String, Value>,
) -> Result<std::collections::BTreeSet<std::sync::Arc<str>>, Refusal> {
    attributes(entity, properties).map_err(|error| Refusal::Body(StatusCode::BAD_REQUEST, error.to_string()))
}

/// Work over many candidates, away from the threads that answer, and not more of it at a time than there is room for.
async fn aside(pdp: Pdp, work: impl FnOnce(&Pdp) -> Result<Response, Refusal> + Send + 'static) -> Result<Response, Refusal> {
    let stopped = |_| Refusal::Body(StatusCode::INTERNAL_SERVER_ERROR, "the search was stopped".to_owned());
    let _turn = pdp.0.searches.acquire().await;
    let of = pdp.clone();
    tokio::task::spawn_blocking(move || work(&of)).await.map_err(stopped)?
}

pub async fn subjects(
    Shared(pdp): Shared<Pdp>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (asker, search): (_, SubjectSearch) = pdp.read_as(&headers, body)?;
    aside(pdp, move |pdp| pdp.subjects(&asker, &search)).await
}

pub async fn resources(
    Shared(pdp): Shared<Pdp>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (asker, search): (_, ResourceSearch) = pdp.read_as(&headers, body)?;
    aside(pdp, move |pdp| pdp.resources(&asker, &search)).await
}

pub async fn actions(
    Shared(pdp): Shared<Pdp>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (asker, search): (_, ActionSearch) = pdp.read_as(&headers, body)?;
    aside(pdp, move |pdp| pdp.actions(&asker, &search)).await
}

impl Pdp {
    fn subjects(&self, asker: &str, search: &SubjectSearch) -> Result<Response, Refusal> {
        let SubjectSearch { subject, action, resource, page } = search;
        let question = asked(sought(&subject.kind, &subject.properties), Some(action), json!(resource));
        let mut gathering = Gathering::new(Cursor::of(page, &question)?);
        let Some(effect) = self.effect(&action.name).filter(|_| self.0.config.people.contains(&subject.kind)) else {
            return Ok(gathering.response());
        };
        let mut act = self.act_on(asker, action, effect, Some(resource))?;
        act.stated.subject = stated("subject", &subject.properties)?;
        let after: Option<u32> = gathering.cursor.after.as_ref().and_then(|after| after.parse().ok());
        let mut candidates = self.directory().could_act(effect, &act.resources[0]);
        if let Some(after) = after {
            candidates.remove_range(..=after);
        }
        let mut candidates = candidates.into_iter().peekable();
        while candidates.peek().is_some() && gathering.has_room() {
            self.0.engine.view(|state, now| {
                for _ in 0..HANDFUL {
                    if candidates.peek().is_none() || !gathering.has_room() {
                        return;
                    }
                    let Some(number) = candidates.next() else { return };
                    let person = state.principals().name(number).filter(|person| is_permitted(state, person, &act, now));
                    let result = person.map(|person| json!({ "type": subject.kind, "id": person }));
                    gathering.looked_at(number.to_string(), result);
                }
            });
        }
        gathering.more = candidates.peek().is_some();
        Ok(gathering.response())
    }

    fn resources(&self, asker: &str, search: &ResourceSearch) -> Result<Response, Refusal> {
        let ResourceSearch { subject, action, resource, page } = search;
        let question = asked(json!(subject), Some(action), sought(&resource.kind, &resource.properties));
        let mut gathering = Gathering::new(Cursor::of(page, &question)?);
        let (Some(effect), Some(person)) = (self.effect(&action.name), self.person(&subject.kind, &subject.id)) else {
            return Ok(gathering.response());
        };
        let mut act = self.act_on(asker, action, effect, None)?;
        act.stated.subject = stated("subject", &subject.properties)?;
        act.stated.resource = stated("resource", &resource.properties)?;
        let prefix = format!("{}:", resource.kind);
        let directory = self.directory();
        while gathering.has_room() {
            let after = gathering.last.clone();
            let candidates = directory.could_be_acted_on(&person, effect, &prefix, after.as_deref(), PAGE_RESULTS_MAX);
            if candidates.is_empty() {
                break;
            }
            for (key, id) in candidates {
                if !gathering.has_room() {
                    break;
                }
                let name = id.to_string();
                act.resources = vec![id];
                let is_permitted = self.may(&person, &act);
                let result = is_permitted.then(|| json!({ "type": resource.kind, "id": &name[prefix.len()..] }));
                gathering.looked_at(key, result);
            }
        }
        Ok(gathering.response())
    }

    fn actions(&self, asker: &str, search: &ActionSearch) -> Result<Response, Refusal> {
        let ActionSearch { subject, resource, page } = search;
        let question = asked(json!(subject), None, json!(resource));
        let mut gathering = Gathering::new(Cursor::of(page, &question)?);
        let Some(person) = self.person(&subject.kind, &subject.id) else {
            return Ok(gathering.response());
        };
        let words = Effect::ALL.map(|effect| (effect.word().to_owned(), effect));
        let mut names: std::collections::BTreeMap<String, Effect> = words.into_iter().collect();
        names.extend(self.0.config.actions.clone());
        let after = gathering.cursor.after.clone();
        let mut names = names.into_iter().filter(|(name, _)| after.as_ref().is_none_or(|after| name > after)).peekable();
        while names.peek().is_some() && gathering.has_room() {
            let Some((name, effect)) = names.next() else { break };
            let action = Action { name: name.clone(), properties: Map::new() };
            let mut act = self.act_on(asker, &action, effect, Some(resource))?;
            act.stated.subject = stated("subject", &subject.properties)?;
            let result = self.may(&person, &act).then(|| json!({ "name": name }));
            gathering.looked_at(name, result);
        }
        gathering.more = names.peek().is_some();
        Ok(gathering.response())
    }
}
