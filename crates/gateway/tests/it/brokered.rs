//! What an upstream wants to see is shown to it alone, for the person for whom the chain acts: agents never hold it.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::{Broker, KeySource, Kind, Per, Place, Scheme, Secret, SecretIn, Store, TokenClient};
use contract::Contracts;
use gateway::{GatewayConfig, UpstreamConfig};
use http::{HeaderName, Method, StatusCode};
use ledger::{Seq, Source as _};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::peer::{Asked, Running, Upstream, install_provider, json as answer, next_chunk, now_s, status, stream};
use crate::world::{accepted, contracts};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
const TOOLS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"look","arguments":{"at":"work:plan"}}}"#;

fn definition() -> Value {
    json!({ "name": "look", "inputSchema": { "type": "object", "properties": { "at": { "type": "string" } } } })
}

fn contract_of(upstream: &str) -> Contracts {
    let rest = "effects = [\"read\"]\narguments = [\"at\"]\nresource = \"$.at\"\n[tool.result]\nlabel = { readers = [\"bo\", \"ann\"] }\n";
    contracts(upstream, &accepted(&definition(), rest))
}

/// Answers as an ordinary server with one tool.
fn ordinary(asked: &Asked) -> http::Response<crate::peer::Body> {
    if asked.method == Method::DELETE {
        return status(StatusCode::OK);
    }
    let message: Value = serde_json::from_str(&asked.body).unwrap_or_default();
    let result = match message["method"].as_str() {
        Some("initialize") => json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} } }),
        Some("tools/list") => json!({ "tools": [definition()] }),
        _ => json!({ "content": [{ "type": "text", "text": "seen" }] }),
    };
    let mut answer = answer(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }).to_string());
    if message["method"] == "initialize" {
        // A session of this credential, as servers make them.
        let session = format!("session-of-{}", shown(asked).trim_start_matches("Bearer "));
        answer.headers_mut().insert("mcp-session-id", session.parse().expect("a header"));
    }
    answer
}

fn shown(asked: &Asked) -> String {
    let values: Vec<_> = asked.headers.get_all("authorization").iter().map(|value| value.to_str().expect("ascii")).collect();
    values.join(", ")
}

struct House {
    broker: Arc<Broker>,
    clock: Arc<Mutex<u64>>,
    _folder: tempfile::TempDir,
}

impl House {
    fn new(schemes: BTreeMap<String, Scheme>) -> Self {
        install_provider();
        let folder = tempfile::tempdir().expect("a temporary directory");
        let key = folder.path().join("key");
        broker::generate(&key).expect("a key");
        let store = Store::open(&folder.path().join("store.db")).expect("a store");
        let clock = Arc::new(Mutex::new(now_s() * 1000));
        let now = Arc::clone(&clock);
        let broker = Broker::new(schemes, store, KeySource::File(key), Arc::new(move || judge::moment::Moment(*now.lock())))
            .expect("a broker");
        Self { broker: Arc::new(broker), clock, _folder: folder }
    }

    /// Each person has a key.
    fn with_keys(upstreams: &[&str]) -> Self {
        let scheme = || Scheme::ApiKey {
            per: Per::Person,
            header: HeaderName::from_static("authorization"),
            prefix: "Bearer ".to_owned(),
        };
        Self::new(upstreams.iter().map(|name| ((*name).to_owned(), scheme())).collect())
    }

    /// Each person has linked an account.
    fn with_tokens(authorization: &Upstream) -> Self {
        let client = TokenClient {
            token_endpoint: format!("http://{}/token", authorization.address),
            client_id: "prudence".to_owned(),
            secret_in: SecretIn::Header,
            scopes: Vec::new(),
            resource: None,
        };
        let authorization_endpoint = "https://login.example/authorize".to_owned();
        let scheme = Scheme::AuthorizationCode { client, authorization_endpoint, issuer: None };
        Self::new(BTreeMap::from([("crm".to_owned(), scheme)]))
    }

    async fn set(&self, upstream: &str, person: &str, key: &str) {
        let place = Place { upstream: upstream.to_owned(), person: Some(person.to_owned()), kind: Kind::Key };
        self.broker.set(place, &Secret::parse(key.to_owned()).expect("a secret")).await.expect("set");
    }

    async fn link(&self, person: &str) {
        let (linking, url) = self.broker.begin_link("crm", person, "http://127.0.0.1:1/callback").expect("it can be linked");
        let state = url.split("state=").nth(1).and_then(|rest| rest.split('&').next()).expect("a state").to_owned();
        self.broker.finish_link(linking, &format!("code=c&state={state}")).await.expect("tokens");
    }

    async fn before(&self, upstreams: Vec<UpstreamConfig>) -> Running {
        let contracts = upstreams.iter().map(|upstream| contract_of(&upstream.name)).collect();
        let config = GatewayConfig { upstreams, broker: Some(Arc::clone(&self.broker)), ..GatewayConfig::default() };
        Running::with(config, contracts).await
    }
}

#[tokio::test]
async fn two_people_behind_one_gateway_are_two_to_the_upstream() {
    let upstream = Upstream::start(|asked| ordinary(&asked)).await;
    let house = House::with_keys(&["crm"]);
    house.set("crm", "bo", "key-of-bo").await;
    house.set("crm", "ann", "key-of-ann").await;
    let gateway = house.before(vec![upstream.config("crm")]).await;
    let people = [(gateway.client(), "bo"), (gateway.client_of_ann().await, "ann")];
    for round in 0..3 {
        for (client, person) in &people {
            let (code, headers, body) = client.post(INITIALIZE).await;
            assert_eq!(code, StatusCode::OK, "{body}");
            let session = headers["mcp-session-id"].to_str().expect("ascii").to_owned();
            assert!(!session.contains("key-of"), "the upstream's session stays here");
            let client = client.clone().with("mcp-session-id", &session);
            let (code, _, body) = client.post(CALL).await;
            assert_eq!(code, StatusCode::OK, "{body}");
            assert!(body.contains("seen"), "round {round} of {person}: {body}");
        }
    }
    let asked = upstream.asked();
    assert!(asked.len() >= 12);
    let mut who_on = BTreeMap::new();
    for asked in &asked {
        let shown = shown(asked);
        let person = if shown == "Bearer key-of-bo" { "bo" } else { "ann" };
        assert_eq!(shown, format!("Bearer key-of-{person}"), "one credential, and no token of the agent's");
        if let Some(session) = asked.headers.get("mcp-session-id") {
            assert_eq!(session.to_str().expect("ascii"), format!("session-of-key-of-{person}"));
        }
        let before = who_on.insert(asked.peer, person);
        assert!(before.is_none_or(|before| before == person), "no connection serves two people");
    }
    assert!(who_on.len() < asked.len(), "connections are kept");
}

#[tokio::test]
async fn who_has_linked_nothing_sends_nothing_and_is_told_how() {
    let upstream = Upstream::start(|asked| ordinary(&asked)).await;
    let house = House::with_keys(&["crm"]);
    house.set("crm", "ann", "key-of-ann").await;
    let gateway = house.before(vec![upstream.config("crm")]).await;
    let (code, _, body) = gateway.client().post(CALL).await;
    assert_eq!(code, StatusCode::OK, "a refusal that a model can read");
    assert!(body.contains("`bo` has no account linked with the upstream `crm`"), "{body}");
    assert!(body.contains("prudence upstream set-key crm --person bo"), "{body}");
    let (code, _, body) = gateway.client().post(INITIALIZE).await;
    assert_eq!(code, StatusCode::BAD_GATEWAY);
    assert!(body.contains("nothing was sent") && body.contains("set-key crm --person bo"), "{body}");
    assert_eq!(upstream.asked().len(), 0);
    assert_eq!(gateway.world.events(), ["refused credential"]);
    house.set("crm", "bo", "key-of-bo").await;
    assert!(gateway.client().post(CALL).await.2.contains("seen"), "from then on");
    house.broker.forget("crm", Some("bo")).await.expect("forgotten");
    let before = upstream.asked().len();
    assert!(gateway.client().post(CALL).await.2.contains("has no account linked"), "and not a moment longer");
    assert_eq!(upstream.asked().len(), before);
}

#[tokio::test]
async fn one_upstreams_credential_is_not_shown_to_another() {
    let (crm, wiki) = (Upstream::start(|asked| ordinary(&asked)).await, Upstream::start(|asked| ordinary(&asked)).await);
    let house = House::with_keys(&["crm"]);
    house.set("crm", "bo", "key-of-bo").await;
    let gateway = house.before(vec![crm.config("crm"), wiki.config("wiki")]).await;
    let (code, headers, _) = gateway.client().post(INITIALIZE).await;
    assert_eq!(code, StatusCode::OK);
    let client = gateway.client().with("mcp-session-id", headers["mcp-session-id"].to_str().expect("ascii"));
    for name in ["crm", "wiki"] {
        let (_, _, body) = client.post(&CALL.replace("look", &format!("{name}__look"))).await;
        assert!(body.contains("seen"), "{body}");
    }
    assert!(crm.asked().iter().all(|asked| shown(asked) == "Bearer key-of-bo"));
    assert!(wiki.asked().iter().all(|asked| shown(asked).is_empty()));
}

/// An authorization server that issues `token-0`, `token-1` and so on.
async fn issuing() -> Upstream {
    let issued = Mutex::new(0);
    Upstream::start(move |_| {
        let mut issued = issued.lock();
        let tokens = format!(
            r#"{{"access_token":"token-{issued}","token_type":"Bearer","expires_in":3600,"refresh_token":"renewal-{issued}"}}"#
        );
        *issued += 1;
        answer(&tokens)
    })
    .await
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_renewed_once_and_no_effect_is_sent_twice() {
    let authorization = issuing().await;
    let upstream = Upstream::start(|asked| match shown(&asked).as_str() {
        "Bearer token-0" => status(StatusCode::UNAUTHORIZED),
        "Bearer token-2" if asked.body.contains("tools/call") => status(StatusCode::UNAUTHORIZED),
        _ => ordinary(&asked),
    })
    .await;
    let house = House::with_tokens(&authorization);
    house.link("bo").await;
    *house.clock.lock() += 120_000;
    let gateway = house.before(vec![upstream.config("crm")]).await;
    // A list does nothing: it is asked for again, with the newer token.
    let (code, _, body) = gateway.client().post(TOOLS).await;
    assert_eq!(code, StatusCode::OK, "{body}");
    assert_eq!(upstream.asked().iter().map(shown).collect::<Vec<_>>(), ["Bearer token-0", "Bearer token-1"]);
    assert!(gateway.client().post(CALL).await.2.contains("seen"));
    *house.clock.lock() += 3_590_000;
    let before = upstream.asked().len();
    let (code, _, body) = gateway.client().post(CALL).await;
    assert_eq!(code, StatusCode::BAD_GATEWAY);
    assert!(body.contains("the upstream server refused, and nothing was done"), "{body}");
    let calls = upstream.asked()[before..].iter().filter(|asked| asked.body.contains("tools/call")).count();
    assert_eq!(calls, 1, "what was decided is sent once");
    assert_eq!(authorization.asked().len(), 3, "one link, one renewal after a refusal, one before the end");
    let events = gateway.world.events();
    assert_eq!(events, ["permit crm__look", "ok", "permit crm__look", "failed"]);
}

#[tokio::test]
async fn a_renewal_that_fails_stops_the_call_with_its_reason() {
    let refuse = Arc::new(Mutex::new(false));
    let refused = Arc::clone(&refuse);
    let authorization = Upstream::start(move |_| {
        if *refused.lock() {
            let mut no = answer(r#"{"error":"invalid_grant","error_description":"renewal-0 is over"}"#);
            *no.status_mut() = StatusCode::BAD_REQUEST;
            return no;
        }
        answer(r#"{"access_token":"token-0","token_type":"Bearer","expires_in":60,"refresh_token":"renewal-0"}"#)
    })
    .await;
    let upstream = Upstream::start(|asked| ordinary(&asked)).await;
    let house = House::with_tokens(&authorization);
    house.link("bo").await;
    *refuse.lock() = true;
    *house.clock.lock() += 61_000;
    let gateway = house.before(vec![upstream.config("crm")]).await;
    let (_, _, body) = gateway.client().post(CALL).await;
    assert!(body.contains("can be used no more (invalid_grant)"), "{body}");
    assert!(body.contains("prudence upstream link crm --person bo") && !body.contains("renewal-0"), "{body}");
    assert_eq!(upstream.asked().len(), 0);
    let entries = gateway.world.ledger.read(Seq(1), 100_000, usize::MAX).expect("it can be read");
    let ledger: String = entries.iter().map(|entry| String::from_utf8_lossy(&entry.body).into_owned()).collect();
    assert!(ledger.contains("invalid_grant") && !ledger.contains("renewal-0") && !ledger.contains("token-0"));
}

#[tokio::test]
async fn an_upstream_that_shows_what_it_was_shown_is_not_heard() {
    let (send, events) = stream();
    let events = Mutex::new(Some(events));
    let upstream = Upstream::start(move |asked| {
        let message: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        match message["method"].as_str() {
            Some("tools/call") if asked.body.contains("work:stream") => events.lock().take().expect("one stream"),
            Some("tools/call") => answer(
                &json!({ "jsonrpc": "2.0", "id": 2, "result": { "content": [{ "type": "text", "text": shown(&asked) }] } })
                    .to_string(),
            ),
            _ => ordinary(&asked),
        }
    })
    .await;
    let house = House::with_keys(&["crm"]);
    house.set("crm", "bo", "key-of-bo").await;
    let gateway = house.before(vec![upstream.config("crm")]).await;
    let (code, _, body) = gateway.client().post(CALL).await;
    assert_eq!(code, StatusCode::BAD_GATEWAY);
    assert!(!body.contains("key-of-bo"), "{body}");
    let mut streamed = gateway.client().send(Method::POST, &CALL.replace("work:plan", "work:stream")).await;
    send.send(
        "data: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"key-of-bo\"}]}}\n\n"
            .to_owned(),
    )
    .expect("it listens");
    let event = next_chunk(&mut streamed).await.expect("an answer");
    assert!(event.contains("cannot be used") && !event.contains("key-of-bo"), "{event}");
}

#[tokio::test]
async fn nothing_is_sent_without_a_credential_where_nothing_is_stopped_either() {
    let upstream = Upstream::start(|asked| ordinary(&asked)).await;
    let house = House::with_keys(&["crm"]);
    let config = GatewayConfig {
        upstreams: vec![upstream.config("crm")],
        observed_agents: vec!["helper".to_owned()],
        broker: Some(Arc::clone(&house.broker)),
        ..GatewayConfig::default()
    };
    let gateway = Running::with(config, Vec::new()).await;
    let (_, _, body) = gateway.client().post(CALL).await;
    assert!(body.contains("has no account linked"), "also where nothing is stopped: {body}");
    assert_eq!(gateway.client().send(Method::GET, "").await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(upstream.asked().len(), 0);
}
