//! How many tokens a second: refreshes with a proof of possession, each durable before it is answered, with ledger and store on a disk.
//!
//! `cargo run --release --example issue [SECONDS] [AT ONCE]`
//!
//! Each refresh costs a check of a proof (ES256), a signature (EdDSA), a rotation in the store, and whatever the ledger records.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use authority::oauth::Oauth;
use authority::oauth::client::{Client, Method, Origin};
use authority::oauth::config::{Certificates, Config};
use authority::oauth::store::{Family, Store, hash};
use authority::{Issuer, Keys};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use engine::{Clock, Engine, NewTask, Node, Options};
use judge::directory::{AgentRecord, DirectoryDocument, PersonRecord};
use judge::effect::Effect;
use judge::event::Bundle;
use judge::name::PrincipalId;
use judge::policy::PolicySources;
use ledger::SqliteLedger;
use tower::ServiceExt as _;
use wire::dpop::{ProofKey, Proving};

const ISSUER: &str = "https://auth.example";
const ENDPOINT: &str = "https://auth.example/oauth/token";

fn name(text: &str) -> PrincipalId {
    PrincipalId::parse(text).expect("a name")
}

fn key() -> ProofKey {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).expect("random bytes");
    ProofKey::from_pkcs8(pkcs8.as_ref()).expect("a key")
}

/// An agent's program that refreshes its token again and again.
struct Refresher {
    router: axum::Router,
    key: ProofKey,
    refresh: String,
    nonce: String,
    number: u64,
    engine: Engine,
}

impl Refresher {
    /// One token. Proofs are made here too, so that the server's own rate is somewhat higher than what is printed.
    async fn once(&mut self) {
        for _ in 0..3 {
            self.number += 1;
            let id = self.number.to_string();
            let now_s = self.engine.now().0 / 1000;
            let proving = Proving {
                method: "POST",
                url: ENDPOINT,
                access_token: None,
                nonce: Some(&self.nonce),
                body: None,
                id: &id,
                now_s,
            };
            let proof = self.key.prove(&proving).expect("it signs");
            let form = format!("grant_type=refresh_token&client_id=app&refresh_token={}", self.refresh);
            let request =
                Request::post("/oauth/token").header("content-type", "application/x-www-form-urlencoded").header("dpop", proof);
            let answer =
                self.router.clone().oneshot(request.body(Body::from(form)).expect("a request")).await.expect("an answer");
            if let Some(nonce) = answer.headers().get("dpop-nonce") {
                self.nonce = nonce.to_str().expect("ascii").to_owned();
            }
            let status = answer.status();
            let body = to_bytes(answer.into_body(), 1 << 16).await.expect("a short body");
            let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            if status == StatusCode::OK {
                self.refresh = body["refresh_token"].as_str().expect("rotated").to_owned();
                return;
            }
            assert_eq!(body["error"], "use_dpop_nonce", "{body}");
        }
        panic!("no token in three attempts");
    }
}

#[tokio::main]
async fn main() {
    let number = |at: usize, otherwise: u64| std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (seconds, at_once) = (number(1, 10), number(2, 64));
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("the first");
    let folder = tempfile::tempdir_in(".").expect("a folder on a disk");
    let keys = Keys::ephemeral().expect("random bytes");
    let ledger = Arc::new(SqliteLedger::open(folder.path().join("ledger.db")).expect("a ledger"));
    let engine = Engine::open(ledger, keys.content.clone(), Clock::System, Node::alone(), Options::default()).expect("an engine");
    let directory = DirectoryDocument {
        people: vec![PersonRecord::new(name("bo"))],
        agents: vec![AgentRecord::new(name("helper"), name("bo"))],
        ..DirectoryDocument::default()
    };
    engine.configure(Bundle { directory, policies: PolicySources::shipped(), ..Bundle::default() }).await.expect("right");
    let store = Store::open(&folder.path().join("auth.db")).expect("a store");
    let config = Config {
        issuer: ISSUER.to_owned(),
        resource: "https://gate.example/mcp".to_owned(),
        token_ms: 600_000,
        bearer_token_ms: 300_000,
        lease_ms_max: 3_600_000,
        checkpoint_ms: 60 * 60 * 1000,
        scopes: [Effect::Read].into(),
        bearer_effects: [].into(),
        clients: vec![Client {
            id: "app".to_owned(),
            agent: name("helper"),
            name: "app".to_owned(),
            redirects: Vec::new(),
            keys: Vec::new(),
            workload: None,
            certificate: None,
            method: Method::None,
            origin: Origin::Configured,
            standing: None,
            introspects: false,
            asserts_to_endpoint: false,
        }],
        providers: Vec::new(),
        guest_agent: None,
        certificates: Certificates::None,
        registration: false,
        client_documents: false,
    };
    let issuer = Issuer::new(ISSUER, &keys).for_gateway("https://gate.example/mcp");
    let oauth = Oauth::new(config, issuer, engine.clone(), store.clone()).expect("random bytes");
    let issued = Arc::new(AtomicU64::new(0));
    let mut refreshers = Vec::new();
    for each in 0..at_once {
        let new =
            NewTask { effects: Some([Effect::Read].into()), ..NewTask::new(name("bo"), name("helper"), "measuring", 3_600_000) };
        let task = engine.start_task(new).await.expect("bo and helper are known");
        let (key, refresh) = (key(), format!("refresh-{each}"));
        let family = Family {
            id: format!("family-{each}"),
            client: "app".to_owned(),
            actors: vec!["helper".to_owned()],
            task: task.id.to_string(),
            key: Some(key.thumbprint().to_owned()),
            ends: task.ends,
        };
        store.begin(family, hash(&refresh)).await.expect("it is kept");
        let router = oauth.router();
        refreshers.push(Refresher { router, key, refresh, nonce: String::new(), number: 0, engine: engine.clone() });
    }
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let mut running = Vec::new();
    for mut refresher in refreshers {
        let issued = Arc::clone(&issued);
        running.push(tokio::spawn(async move {
            while Instant::now() < until {
                refresher.once().await;
                issued.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for one in running {
        one.await.expect("it runs to its end");
    }
    let took = began.elapsed().as_secs_f64();
    let count = issued.load(Ordering::Relaxed);
    println!("{count} tokens in {took:.1} s, {at_once} at once: {:.0} a second", count as f64 / took);
}
