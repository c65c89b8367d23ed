//! A small installation with everybody in it: people with accounts, agents with clients, a browser, and whoever wants in.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::{Clock, Engine, Node, Options};
use judge::directory::{AgentRecord, DirectoryDocument, PersonRecord, Registration};
use judge::effect::Effect;
use judge::event::{Bundle, Event, Record};
use judge::name::PrincipalId;
use judge::policy::PolicySources;
use ledger::{MemoryLedger, Seq, Source as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;
use url::Url;
use wire::certificate::Peer;
use wire::dpop::{ProofKey, Proving};
use wire::jwk::PublicKey;

use super::accounts::password_hash;
use super::client::{Client, Method, Origin};
use super::config::{Certificates, Config, Standing};
use super::details::{TASK_TYPE, TaskDetails};
use super::store::Store;
use super::{Oauth, secret};
use crate::{Issuer, Keys};

pub const ISSUER: &str = "https://auth.example";
pub const RESOURCE: &str = "https://gate.example/mcp";
pub const REDIRECT: &str = "https://app.example/callback";
pub const PASSWORD: &str = "correct horse battery staple";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub struct World {
    pub oauth: Oauth,
    pub engine: Engine,
    pub issuer: Issuer,
    pub ledger: Arc<MemoryLedger>,
    /// The key of the client `robot`.
    pub robot: ProofKey,
}

pub fn name(text: &str) -> PrincipalId {
    PrincipalId::parse(text).expect("a name")
}

pub fn key() -> ProofKey {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).expect("random bytes");
    ProofKey::from_pkcs8(pkcs8.as_ref()).expect("a key")
}

pub fn client(id: &str, agent: &str) -> Client {
    Client {
        id: id.to_owned(),
        agent: name(agent),
        name: "The App".to_owned(),
        redirects: vec![REDIRECT.to_owned(), "http://127.0.0.1/callback".to_owned()],
        keys: Vec::new(),
        workload: None,
        certificate: None,
        method: Method::None,
        origin: Origin::Configured,
        standing: None,
        introspects: false,
        asserts_to_endpoint: false,
    }
}

pub fn standing() -> Standing {
    let task = TaskDetails {
        kind: TASK_TYPE.to_owned(),
        purpose: Some("nightly report".to_owned()),
        effects: Some([Effect::Read, Effect::Compute].into()),
        lease_ms: Some(600_000),
        ..TaskDetails::default()
    };
    Standing { task }
}

/// The configuration, with `helper` registered so.
fn bundle(registration: Registration) -> Bundle {
    let person = |id: &str| PersonRecord::new(name(id));
    let agent = |id: &str, owner: &str| AgentRecord::new(name(id), name(owner));
    let directory = DirectoryDocument {
        people: vec![person("ann"), PersonRecord { addresses: vec!["bo@example.com".to_owned()], ..person("bo") }],
        agents: vec![AgentRecord { registration, ..agent("helper", "bo") }, agent("robot", "ann"), agent("guest", "bo")],
        ..DirectoryDocument::default()
    };
    Bundle { directory, policies: PolicySources::shipped(), ..Bundle::default() }
}

impl World {
    /// Registers `helper` so from now on.
    pub async fn registered(&self, registration: Registration) {
        self.engine.configure(bundle(registration)).await.expect("right");
    }

    pub async fn new() -> World {
        World::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> World {
        World::at(Clock::System, change).await
    }

    pub async fn at(clock: Clock, change: impl FnOnce(&mut Config)) -> World {
        // The test may run before anything else installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let keys = Keys::ephemeral().expect("keys");
        let ledger = Arc::new(MemoryLedger::default());
        let engine =
            Engine::open(ledger.clone(), keys.content.clone(), clock, Node::alone(), Options::default()).expect("an engine");
        engine.configure(bundle(Registration::default())).await.expect("right");
        let robot = key();
        let mut config = Config {
            issuer: ISSUER.to_owned(),
            resource: RESOURCE.to_owned(),
            token_ms: 600_000,
            bearer_token_ms: 300_000,
            lease_ms_max: 8 * 60 * 60 * 1000,
            checkpoint_ms: 60 * 60 * 1000,
            scopes: [Effect::Read, Effect::Compute].into(),
            bearer_effects: [Effect::Read, Effect::Compute].into(),
            clients: vec![
                client("app", "helper"),
                client("other", "helper"),
                Client {
                    keys: vec![PublicKey::of(robot.public()).expect("a public key")],
                    method: Method::PrivateKey,
                    standing: Some(standing()),
                    ..client("robot", "robot")
                },
            ],
            providers: Vec::new(),
            guest_agent: Some(name("guest")),
            certificates: Certificates::None,
            registration: true,
            client_documents: true,
        };
        change(&mut config);
        let store = Store::in_memory().expect("a store");
        for who in ["ann", "bo"] {
            store.put_account(who, password_hash(PASSWORD).expect("long enough"), engine.now()).await.expect("it is kept");
        }
        let issuer = Issuer::new(ISSUER, &keys).for_gateway(RESOURCE);
        let oauth = Oauth::new(config, issuer.clone(), engine.clone(), store).expect("random bytes");
        World { oauth, engine, issuer, ledger, robot }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.oauth.router().oneshot(request).await.expect("an answer")).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body)).expect("a request")).await
    }

    /// The same on a connection on which somebody showed this certificate.
    pub async fn post_shown(&self, path: &str, form: &[(&str, &str)], peer: &Arc<Peer>, headers: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request =
            Request::post(path).header("content-type", "application/x-www-form-urlencoded").extension(Arc::clone(peer));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body)).expect("a request")).await
    }

    /// The same with a proof of `key`, as a good client sends it.
    pub async fn post_proved(&self, path: &str, form: &[(&str, &str)], key: &ProofKey) -> Answer {
        let proof = self.proof(path, key);
        self.post(path, form, &[("dpop", &proof)]).await
    }

    pub fn proof(&self, path: &str, key: &ProofKey) -> String {
        let now_s = self.engine.now().0 / 1000;
        let nonce = self.oauth.nonces().at(now_s);
        let (url, id) = (format!("{ISSUER}{path}"), secret().expect("random bytes"));
        let proving = Proving { method: "POST", url: &url, access_token: None, nonce: Some(&nonce), body: None, id: &id, now_s };
        key.prove(&proving).expect("it signs")
    }

    pub fn assertion(&self) -> String {
        self.robot.assert_client("robot", ISSUER, &secret().expect("random bytes"), self.engine.now().0 / 1000).expect("it signs")
    }

    /// What was refused so far, in words.
    pub fn refusals(&self) -> Vec<String> {
        let entries = self.ledger.read(Seq(1), 100_000, usize::MAX).expect("it can be read");
        let records = entries.iter().map(|entry| serde_json::from_slice::<Record>(&entry.body).expect("an event"));
        let refused = |record: Record| match record.event {
            Event::Refused(refused) => Some(refused.sentence),
            _ => None,
        };
        records.filter_map(refused).collect()
    }

    /// The credentials on record.
    pub fn issued(&self) -> Vec<judge::event::Issued> {
        let entries = self.ledger.read(Seq(1), 100_000, usize::MAX).expect("it can be read");
        let records = entries.iter().map(|entry| serde_json::from_slice::<Record>(&entry.body).expect("an event"));
        let issued = |record: Record| match record.event {
            Event::CredentialIssued(issued) => Some(*issued),
            _ => None,
        };
        records.filter_map(issued).collect()
    }

    /// A code of Bo's, for the client `app`, with `more` in the request.
    pub async fn code(&self, more: &[(&str, &str)]) -> String {
        let mut browser = Browser::new(self);
        let back = browser.consent(&request(more), "bo").await;
        back.get("code").unwrap_or_else(|| panic!("no code: {back:?}")).clone()
    }

    /// Tokens of Bo's for the client `app`, bound to `key`.
    pub async fn tokens(&self, key: &ProofKey) -> Value {
        let code = self.code(&[]).await;
        let answer = self.post_proved("/oauth/token", &redeeming(&code), key).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }
}

/// A request for authorization, in order; `more` adds to it, or takes the place of what is there.
pub fn request(more: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let mut pairs: BTreeMap<&str, &str> = BTreeMap::from([
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", REDIRECT),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("state", "xyz"),
        ("resource", RESOURCE),
    ]);
    pairs.extend(more.iter().copied());
    format!("/oauth/authorize?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

/// What turns a code into tokens.
pub fn redeeming(code: &str) -> Vec<(&str, &str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("code_verifier", VERIFIER),
        ("client_id", "app"),
        ("redirect_uri", REDIRECT),
    ]
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub text: String,
}

impl Answer {
    async fn of(response: Response<Body>) -> Answer {
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.expect("a short body");
        Answer { status: head.status, headers: head.headers, text: String::from_utf8(bytes.to_vec()).expect("text") }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    pub fn location(&self) -> String {
        self.headers.get("location").map(|to| to.to_str().expect("ascii").to_owned()).unwrap_or_default()
    }

    /// The parameters with which a browser is sent back.
    pub fn back(&self) -> BTreeMap<String, String> {
        let url = Url::parse(&self.location()).unwrap_or_else(|_| panic!("sent nowhere: {self:?}"));
        url.query_pairs().into_owned().collect()
    }

    /// The value of a hidden field.
    pub fn field(&self, name: &str) -> String {
        let at = format!("name=\"{name}\" value=\"");
        self.text.split(&at).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
    }
}

/// A person's browser: keeps its cookie, follows redirects within the server, and fills in forms.
pub struct Browser<'w> {
    pub world: &'w World,
    pub cookie: Option<String>,
}

impl<'w> Browser<'w> {
    pub fn new(world: &'w World) -> Browser<'w> {
        Browser { world, cookie: None }
    }

    pub async fn get(&self, path: &str) -> Answer {
        let mut request = Request::get(path);
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        self.world.send(request.body(Body::empty()).expect("a request")).await
    }

    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let cookie = self.cookie.clone().unwrap_or_default();
        let answer =
            self.world.post(path, form, &[("cookie", &cookie), ("origin", ISSUER), ("sec-fetch-site", "same-origin")]).await;
        if let Some(set) = answer.headers.get("set-cookie") {
            self.cookie = set.to_str().expect("ascii").split(';').next().map(str::to_owned);
        }
        answer
    }

    /// The page of consent, after signing in.
    pub async fn page(&mut self, authorize: &str, who: &str) -> Answer {
        let sent = self.get(authorize).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text);
        let page = self.get(&sent.location()).await;
        let (request, csrf) = (page.field("request"), page.field("csrf"));
        let form = [("request", request.as_str()), ("csrf", &csrf), ("name", who), ("password", PASSWORD)];
        let entered = self.post("/oauth/sign-in", &form).await;
        assert_eq!(entered.status, StatusCode::SEE_OTHER, "{}", entered.text);
        self.get(&entered.location()).await
    }

    /// Signs in, says yes to what is ticked, and comes back with what the client gets.
    pub async fn consent(&mut self, authorize: &str, who: &str) -> BTreeMap<String, String> {
        let page = self.page(authorize, who).await;
        self.say_yes(&page).await.back()
    }

    pub async fn say_yes(&mut self, page: &Answer) -> Answer {
        let ticked: Vec<String> = Effect::ALL.iter().map(|effect| format!("effect.{}", effect.word())).collect();
        let ticked = ticked.iter().filter(|field| page.text.contains(&format!("name=\"{field}\" value=\"yes\" checked")));
        let (request, csrf) = (page.field("request"), page.field("csrf"));
        let mut form =
            vec![("request", request.as_str()), ("csrf", &csrf), ("answer", "yes"), ("purpose", "testing"), ("lease", "600000")];
        form.extend(ticked.map(|field| (field.as_str(), "yes")));
        self.post("/oauth/consent", &form).await
    }
}
