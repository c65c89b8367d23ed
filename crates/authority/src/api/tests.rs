//! The API's doors: nobody without a token, and each token through its own door only.

use super::*;
use axum::body::Body;
use axum::http::Request;
use engine::{Clock, Node, Options};
use judge::directory::{AgentRecord, DirectoryDocument, PersonRecord};
use judge::event::Bundle;
use judge::policy::PolicySources;
use std::sync::Arc;
use tower::ServiceExt as _;

fn name(text: &str) -> PrincipalId {
    PrincipalId::parse(text).expect("a name")
}

async fn api() -> (Router, Issuer, Engine) {
    let keys = crate::Keys::ephemeral().expect("keys");
    let store = Arc::new(ledger::MemoryLedger::default());
    let engine = Engine::open(store, keys.content.clone(), Clock::System, Node::alone(), Options::default()).expect("an engine");
    let person = |id: &str| PersonRecord::new(name(id));
    let directory = DirectoryDocument {
        people: vec![person("ann"), person("bo")],
        agents: vec![AgentRecord::new(name("helper"), name("bo"))],
        ..DirectoryDocument::default()
    };
    engine.configure(Bundle { directory, policies: PolicySources::shipped(), ..Bundle::default() }).await.expect("right");
    let issuer = Issuer::new("prudence", &keys);
    let operator = OperatorSecret::parse(SECRET).expect("long enough");
    (router(engine.clone(), issuer.clone(), operator), issuer, engine)
}

const SECRET: &str = "an-operators-secret-of-forty-characters!";
const TASK: &str = r#"{"requester":"bo","agent":"helper","purpose":"work","lease_ms":60000}"#;

async fn status(router: &Router, method: &str, path: &str, token: Option<&str>, body: &str) -> u16 {
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    router
        .clone()
        .oneshot(request.body(Body::from(body.to_owned())).expect("a request"))
        .await
        .expect("an answer")
        .status()
        .as_u16()
}

#[tokio::test]
async fn each_token_opens_its_own_door_only() {
    let (router, issuer, engine) = api().await;
    let ann = issuer.person_token(&name("ann"), engine.now(), 60_000).expect("a token");
    let stranger = issuer.person_token(&name("eve"), engine.now(), 60_000).expect("a token");
    assert_eq!(status(&router, "GET", "/v1/approvals", None, "").await, 401);
    assert_eq!(status(&router, "GET", "/v1/approvals", Some(SECRET), "").await, 401);
    assert_eq!(status(&router, "GET", "/v1/approvals", Some(&stranger), "").await, 401);
    assert_eq!(status(&router, "GET", "/v1/approvals", Some(&ann), "").await, 200);
    assert_eq!(status(&router, "POST", "/v1/approvals/none/approve", Some(&ann), "").await, 404);
    assert_eq!(status(&router, "POST", "/v1/tasks", Some(&ann), TASK).await, 401);
    assert_eq!(status(&router, "POST", "/v1/tasks", Some(SECRET), TASK).await, 200);
    assert_eq!(status(&router, "POST", "/v1/tasks", Some(SECRET), "{}").await, 400);
    assert_eq!(status(&router, "POST", "/v1/tasks", Some(SECRET), &TASK.replace("helper", "nobody")).await, 422);
}

#[tokio::test]
async fn who_answers_for_it_stops_it_and_a_sealed_request_is_good_for_itself_only() {
    let (router, issuer, engine) = api().await;
    let token = |who: &str| issuer.person_token(&name(who), engine.now(), 60_000).expect("a token");
    let (ann, bo) = (token("ann"), token("bo"));
    let kill = r#"{"target":"agent:helper","why":"it runs away"}"#;
    let reset = r#"{"target":"agent:helper"}"#;
    let by = |who: &str, target: &str| format!(r#"{{"target":"{target}","by":"{who}"}}"#);
    assert_eq!(status(&router, "POST", contain::KILL, None, kill).await, 401);
    assert_eq!(status(&router, "POST", contain::KILL, Some(&ann), kill).await, 403, "it is not hers");
    assert_eq!(status(&router, "POST", contain::KILL, Some(&bo), &by("ann", "agent:helper")).await, 400, "in nobody else's name");
    assert_eq!(status(&router, "POST", contain::KILL, Some(&bo), kill).await, 200);
    assert_eq!(status(&router, "POST", "/v1/tasks", Some(SECRET), TASK).await, 422, "no new task of it");
    assert_eq!(status(&router, "POST", contain::RESET, Some(&ann), reset).await, 403);
    assert_eq!(status(&router, "POST", contain::RESET, Some(&bo), reset).await, 200);
    assert_eq!(status(&router, "POST", contain::RESET, Some(&bo), reset).await, 422, "nothing is stopped");

    assert_eq!(status(&router, "POST", contain::KILL, Some(SECRET), kill).await, 400, "who decides it is missing");
    assert_eq!(status(&router, "POST", contain::KILL, Some(SECRET), &by("eve", "agent:helper")).await, 422, "eve is nobody");
    assert_eq!(status(&router, "POST", contain::KILL, Some(SECRET), &by("ann", "agent:none")).await, 404);
    assert_eq!(status(&router, "POST", contain::KILL, Some(SECRET), &by("ann", "helper")).await, 400, "no kind of target");
    let long = format!(r#"{{"target":"agent:helper","by":"ann","why":"{}"}}"#, "x".repeat(contain::WHY_BYTES_MAX + 1));
    assert_eq!(status(&router, "POST", contain::KILL, Some(SECRET), &long).await, 400);

    let body = by("ann", "agent:helper");
    let seal = contain::seal(&issuer, contain::KILL, body.as_bytes(), engine.now()).expect("a token");
    assert_eq!(status(&router, "POST", contain::KILL, Some(&seal), &by("ann", "owner:bo")).await, 401, "another body");
    assert_eq!(status(&router, "POST", contain::RESET, Some(&seal), &body).await, 401, "another path");
    assert_eq!(status(&router, "POST", contain::KILL, Some(&seal), &body).await, 200);
    assert_eq!(status(&router, "GET", "/v1/approvals", Some(&seal), "").await, 401, "and no other door");
}
