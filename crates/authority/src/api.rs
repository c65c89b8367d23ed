//! The HTTP API under `/v1`: people answer asks with a person token, programs start tasks and look at proposed changes with
//! the operator's secret, and both stop what runs away.
//!
//! A person sees the asks that they may answer and those of their own chains. Every error is JSON with a code and a sentence.

#[cfg(test)]
mod tests;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use engine::{AnswerError, Engine, NewTask, StartTaskError};
use judge::decide::{MayNotAnswer, may_answer};
use judge::directory::DirectoryError;
use judge::moment::Moment;
use judge::name::{AskId, PrincipalId};
use judge::state::{AskState, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bearer::bearer;
use crate::contain;
use crate::keys::OperatorSecret;
use crate::preview::{self, Preview, Proposal};
use crate::tokens::Issuer;
use crate::view::AskView;

/// The largest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// The largest proposal of changes, in bytes.
pub const PROPOSAL_BYTES_MAX: usize = 16 << 20;
/// How many wrong changes are named.
const PROBLEMS_MAX: usize = 100;

#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) engine: Engine,
    pub(crate) issuer: Issuer,
    pub(crate) operator: OperatorSecret,
}

/// The API's routes.
pub fn router(engine: Engine, issuer: Issuer, operator: OperatorSecret) -> Router {
    Router::new()
        .route("/v1/approvals", get(list))
        .route("/v1/approvals/{id}", get(show))
        .route("/v1/approvals/{id}/approve", post(approve))
        .route("/v1/approvals/{id}/deny", post(deny))
        .route("/v1/tasks", post(start))
        .route(contain::KILL, post(contain::kill))
        .route(contain::RESET, post(contain::reset))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route("/v1/preview", post(preview).layer(DefaultBodyLimit::max(PROPOSAL_BYTES_MAX)))
        .with_state(Api { engine, issuer, operator })
}

/// Every refusal, and its status.
pub(crate) enum Refusal {
    Unauthenticated,
    NotTheirs(String),
    Unknown(String),
    Contain(String),
    NoSuchAsk,
    MayNot(String),
    Task(String),
    Body(String),
    Changes(Vec<DirectoryError>),
    Ledger(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, sentence) = match self {
            Refusal::Unauthenticated => (StatusCode::UNAUTHORIZED, "authentication", "expected a valid bearer token".to_owned()),
            Refusal::NotTheirs(sentence) => (StatusCode::FORBIDDEN, "not_yours", sentence),
            Refusal::Unknown(sentence) => (StatusCode::NOT_FOUND, "unknown", sentence),
            Refusal::Contain(sentence) => (StatusCode::UNPROCESSABLE_ENTITY, "contain", sentence),
            Refusal::NoSuchAsk => (StatusCode::NOT_FOUND, "unknown", "there is no such ask for you".to_owned()),
            Refusal::MayNot(sentence) => (StatusCode::FORBIDDEN, "may_not_answer", sentence),
            Refusal::Task(sentence) => (StatusCode::UNPROCESSABLE_ENTITY, "task", sentence),
            Refusal::Body(sentence) => (StatusCode::BAD_REQUEST, "body", sentence),
            Refusal::Changes(errors) => {
                let problems: Vec<String> = errors.iter().take(PROBLEMS_MAX).map(ToString::to_string).collect();
                let sentence = format!("{} of the changes cannot be made", errors.len());
                let body = json!({ "code": "changes", "error": sentence, "problems": problems });
                return (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response();
            }
            Refusal::Ledger(sentence) => (StatusCode::SERVICE_UNAVAILABLE, "ledger", sentence),
        };
        (status, Json(json!({ "code": code, "error": sentence }))).into_response()
    }
}

impl Api {
    /// Programs present the operator's secret.
    fn is_operator(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|secret| self.operator.is(secret))
    }

    pub(crate) fn person(&self, headers: &HeaderMap) -> Result<PrincipalId, Refusal> {
        let token = bearer(headers).ok_or(Refusal::Unauthenticated)?;
        let person = self.issuer.person(token, self.engine.now()).map_err(|_| Refusal::Unauthenticated)?;
        let is_here = self.engine.view(|state, _| state.directory().person(person.as_str()).is_some());
        is_here.then_some(person).ok_or(Refusal::Unauthenticated)
    }

    async fn answer(&self, headers: &HeaderMap, id: &str, yes: bool) -> Result<Json<Value>, Refusal> {
        let person = self.person(headers)?;
        let id = AskId::parse(id).map_err(|_| Refusal::NoSuchAsk)?;
        match self.engine.answer(&id, &person, yes).await {
            Ok(()) => Ok(Json(json!({ "approval": id, "by": person, "answer": if yes { "yes" } else { "no" } }))),
            Err(AnswerError::MayNot(MayNotAnswer::Unknown)) => Err(Refusal::NoSuchAsk),
            Err(AnswerError::MayNot(why)) => Err(Refusal::MayNot(why.to_string())),
            Err(AnswerError::Unavailable(error)) => Err(Refusal::Ledger(error.to_string())),
        }
    }
}

fn concerns(state: &State, ask: &AskState, person: &PrincipalId, now: Moment) -> bool {
    ask.caller.chain.contains(person) || may_answer(state, &ask.id, person, now).is_ok()
}

async fn list(Shared(api): Shared<Api>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    let person = api.person(&headers)?;
    let asks: Vec<AskView> = api.engine.view(|state, now| {
        state.asks().filter(|ask| concerns(state, ask, &person, now)).map(|ask| AskView::of(state, ask, now)).collect()
    });
    Ok(Json(json!({ "approvals": asks })))
}

async fn show(Shared(api): Shared<Api>, headers: HeaderMap, Path(id): Path<String>) -> Result<Json<AskView>, Refusal> {
    let person = api.person(&headers)?;
    let id = AskId::parse(&id).map_err(|_| Refusal::NoSuchAsk)?;
    let view = api.engine.view(|state, now| {
        state.ask(&id).filter(|ask| concerns(state, ask, &person, now)).map(|ask| AskView::of(state, ask, now))
    });
    view.map(Json).ok_or(Refusal::NoSuchAsk)
}

async fn approve(Shared(api): Shared<Api>, headers: HeaderMap, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    api.answer(&headers, &id, true).await
}

async fn deny(Shared(api): Shared<Api>, headers: HeaderMap, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    api.answer(&headers, &id, false).await
}

async fn start(
    Shared(api): Shared<Api>,
    headers: HeaderMap,
    body: Result<Json<NewTask>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    // Who may ask comes before what is asked.
    if !api.is_operator(&headers) {
        return Err(Refusal::Unauthenticated);
    }
    let Json(new) = body.map_err(|error| Refusal::Body(error.body_text()))?;
    let task = api.engine.start_task(new).await.map_err(|error| match error {
        StartTaskError::Unavailable(error) => Refusal::Ledger(error.to_string()),
        StartTaskError::Requester(_)
        | StartTaskError::Agent(_)
        | StartTaskError::Registration(_)
        | StartTaskError::Stopped(_)
        | StartTaskError::Lease { .. } => Refusal::Task(error.to_string()),
    })?;
    let token = api
        .issuer
        .task_token(&task, std::slice::from_ref(&task.agent), api.engine.now())
        .map_err(|error| Refusal::Task(error.to_string()))?;
    Ok(Json(json!({ "task": task.id, "token": token, "ends_ms": task.ends })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviewQuery {
    /// Who makes the change.
    #[serde(rename = "as")]
    who: Option<PrincipalId>,
}

/// What proposed changes would show to whom: as JSON, or as the report for whoever asks for HTML (RFC 9110 §12.5.1).
async fn preview(
    Shared(api): Shared<Api>,
    headers: HeaderMap,
    query: Result<Query<PreviewQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    if !api.is_operator(&headers) {
        return Err(Refusal::Unauthenticated);
    }
    let Query(PreviewQuery { who }) = query.map_err(|error| Refusal::Body(error.body_text()))?;
    let who = who.unwrap_or_else(preview::pipeline);
    let body = body.map_err(|error| Refusal::Body(error.body_text()))?;
    let proposal = Proposal::parse(&body).map_err(Refusal::Body)?;
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let is_for_people = accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/html"));
    // It may look at very much, so it stays away from the threads that answer.
    let looking = tokio::task::spawn_blocking(move || {
        let (preview, now) = api.engine.view(|state, now| (Preview::of(state, &who, &proposal), now));
        let preview = preview.map_err(Refusal::Changes)?;
        if is_for_people {
            return Ok(Html(preview.html(&who, &proposal, now)).into_response());
        }
        Ok(Json(preview).into_response())
    });
    looking.await.map_err(|_| Refusal::Ledger("the preview was stopped".to_owned()))?
}
