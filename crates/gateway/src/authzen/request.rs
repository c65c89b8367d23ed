//! Asking a person about what was refused: the draft access request profile, in which a task is an ask of ours.
//!
//! The answer of a person is used by asking the same question again; it lets that one question through once.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use engine::{Asker, Question};
use judge::moment::Moment;
use judge::name::{AskId, DecisionId};
use judge::state::{Answer, AskState, State};
use serde_json::{Value, json};
use wire::authzen::AccessRequest;
use wire::time::rfc3339;

use super::Pdp;
use super::respond::{Refusal, json_response};

/// How long an enforcement point should wait before it looks again, in seconds.
const LOOK_AGAIN_S: u64 = 5;

pub async fn submit(
    Shared(pdp): Shared<Pdp>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (asker, request): (_, AccessRequest) = pdp.read_as(&headers, body)?;
    let AccessRequest { question, denial, items } = request;
    if items.is_some() {
        let sentence = "several items in one request are not supported; send one request for each".to_owned();
        return Err(Refusal::Body(StatusCode::BAD_REQUEST, sentence));
    }
    let problem = |name, sentence: &str| Refusal::Problem(StatusCode::BAD_REQUEST, name, sentence.to_owned());
    let refused = denial.evaluation_id.and_then(|id| DecisionId::parse(&id).ok());
    let refused = refused
        .ok_or_else(|| problem("invalid_denial_binding", "`denial.evaluation_id`: expected the one from the refused answer"))?;
    let (caller, act) = pdp.act(&asker, &question).map_err(|_| problem("not_requestable", "this question cannot be decided"))?;
    let by = Asker { name: &asker, carries: None };
    let evaluated = pdp.0.engine.evaluate(&caller, &act, by, Question::Request(&refused)).await?;
    let ask = evaluated.ask.or(evaluated.approved_by);
    let shown = pdp.0.engine.view(|state, now| ask.and_then(|id| state.ask(&id)).map(|ask| (handle(ask), pdp.task(ask, now))));
    let (handle, task) = shown.ok_or_else(|| problem("not_requestable", "a person cannot change this answer"))?;
    let status = if task["task"]["status"] == "pending" { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    let mut response = json_response(status, &task);
    if let Ok(location) = HeaderValue::from_str(&pdp.url(&format!("/access/v1/requests/{handle}"))) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub async fn status(Shared(pdp): Shared<Pdp>, headers: HeaderMap, Path(handle): Path<String>) -> Result<Response, Refusal> {
    let asker = pdp.asker(&headers)?;
    let task = pdp.0.engine.view(|state, now| {
        let ask = ask_of(state, &handle).filter(|ask| ask.act.tool.as_str().starts_with(&format!("{asker}__")))?;
        Some(pdp.task(ask, now))
    });
    let unknown = || Refusal::Problem(StatusCode::NOT_FOUND, "unknown_task", "there is no such task for you".to_owned());
    let task = task.ok_or_else(unknown)?;
    let mut response = json_response(StatusCode::OK, &task);
    if task["task"]["status"] == "pending" {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(LOOK_AGAIN_S));
    }
    Ok(response)
}

/// The handle of an ask: what a person types, and a part that nobody guesses.
pub fn handle(ask: &AskState) -> String {
    format!("{}.{}", ask.id, ask.decision)
}

/// The ask that a handle belongs to.
pub fn ask_of<'a>(state: &'a State, handle: &str) -> Option<&'a AskState> {
    let (id, decision) = handle.split_once('.')?;
    let ask = state.ask(&AskId::parse(id).ok()?)?;
    (ask.decision.as_str() == decision).then_some(ask)
}

impl Pdp {
    fn task(&self, ask: &AskState, now: Moment) -> Value {
        let handle = handle(ask);
        let status = match &ask.answer {
            Answer::Denied { .. } | Answer::Withdrawn => "denied",
            Answer::Used { .. } => "approved",
            Answer::Open | Answer::Approved { .. } if now >= ask.expires => "expired",
            Answer::Open => "pending",
            Answer::Approved { .. } => "approved",
        };
        let mut body = json!({
            "task": {
                "id": handle,
                "status": status,
                "status_endpoint": self.url(&format!("/access/v1/requests/{handle}")),
                "expires_at": rfc3339(ask.expires.0),
                "display": { "title": format!("Approval {}", ask.id) },
            }
        });
        if status == "approved" {
            let approval = json!({ "id": handle, "approved_until": rfc3339(ask.expires.0) });
            body["result"] = json!({ "mode": "reevaluate", "approval": approval });
        }
        body
    }
}
