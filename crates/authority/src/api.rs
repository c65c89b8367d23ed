//! The HTTP API under `/v1`: people answer asks with a person token, programs start tasks with the operator's secret.
//!
//! A person sees the asks that they may answer and those of their own chains. Every error is JSON with a code and a sentence.

#[cfg(test)]
mod tests;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use engine::{AnswerError, Engine, NewTask, StartTaskError};
use judge::decide::{MayNotAnswer, may_answer};
use judge::effect::Effect;
use judge::moment::Moment;
use judge::name::{AskId, PrincipalId};
use judge::state::{AskState, State};
use judge::task::Budget;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

use crate::bearer::bearer;
use crate::keys::OperatorSecret;
use crate::tokens::Issuer;
use crate::view::AskView;

/// The largest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone)]
struct Api {
    engine: Engine,
    issuer: Issuer,
    operator: OperatorSecret,
}

/// The API's routes.
pub fn router(engine: Engine, issuer: Issuer, operator: OperatorSecret) -> Router {
    Router::new()
        .route("/v1/approvals", get(list))
        .route("/v1/approvals/{id}", get(show))
        .route("/v1/approvals/{id}/approve", post(approve))
        .route("/v1/approvals/{id}/deny", post(deny))
        .route("/v1/tasks", post(start))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Api { engine, issuer, operator })
}

/// Every refusal, and its status.
enum Refusal {
    Unauthenticated,
    NoSuchAsk,
    MayNot(String),
    Task(String),
    Body(String),
    Ledger(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, sentence) = match self {
            Refusal::Unauthenticated => (StatusCode::UNAUTHORIZED, "authentication", "expected a valid bearer token".to_owned()),
            Refusal::NoSuchAsk => (StatusCode::NOT_FOUND, "unknown", "there is no such ask for you".to_owned()),
            Refusal::MayNot(sentence) => (StatusCode::FORBIDDEN, "may_not_answer", sentence),
            Refusal::Task(sentence) => (StatusCode::UNPROCESSABLE_ENTITY, "task", sentence),
            Refusal::Body(sentence) => (StatusCode::BAD_REQUEST, "body", sentence),
            Refusal::Ledger(sentence) => (StatusCode::SERVICE_UNAVAILABLE, "ledger", sentence),
        };
        (status, Json(json!({ "code": code, "error": sentence }))).into_response()
    }
}

impl Api {
    fn person(&self, headers: &HeaderMap) -> Result<PrincipalId, Refusal> {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskBody {
    requester: PrincipalId,
    agent: PrincipalId,
    purpose: String,
    words: Option<String>,
    #[serde(default)]
    address: Vec<String>,
    effects: Option<BTreeSet<Effect>>,
    resources: Option<Vec<String>>,
    #[serde(default)]
    budget: Budget,
    lease_ms: u64,
}

async fn start(
    Shared(api): Shared<Api>,
    headers: HeaderMap,
    body: Result<Json<TaskBody>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    // Who may ask comes before what is asked.
    if !bearer(&headers).is_some_and(|secret| api.operator.is(secret)) {
        return Err(Refusal::Unauthenticated);
    }
    let Json(body) = body.map_err(|error| Refusal::Body(error.body_text()))?;
    let TaskBody { requester, agent, purpose, words, address, effects, resources, budget, lease_ms } = body;
    let new = NewTask { requester, agent, purpose, words, address, effects, resources, budget, lease_ms };
    let task = api.engine.start_task(new).await.map_err(|error| match error {
        StartTaskError::Unavailable(error) => Refusal::Ledger(error.to_string()),
        StartTaskError::Requester(_) | StartTaskError::Agent(_) | StartTaskError::Lease { .. } => {
            Refusal::Task(error.to_string())
        }
    })?;
    let token = api
        .issuer
        .task_token(&task, std::slice::from_ref(&task.agent), api.engine.now())
        .map_err(|error| Refusal::Task(error.to_string()))?;
    Ok(Json(json!({ "task": task.id, "token": token, "ends_ms": task.ends })))
}
