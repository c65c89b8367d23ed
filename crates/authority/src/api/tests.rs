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
