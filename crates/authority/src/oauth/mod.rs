//! The authorization server (OAuth 2.1, RFC 9700): a program asks for a task, a person agrees to it, and the credential that comes out of it
//! carries the task, is bound to a key, and ends with the task.
//!
//! - `request`: requests for authorization, pushed (RFC 9126) or not, with PKCE; `details`: what a task is in them (RFC 9396).
//! - `pages`, `accounts`: the person signs in, and agrees.
//! - `token`: codes, refresh tokens and standing tasks become access tokens (RFC 9068) bound by DPoP (RFC 9449) or to a certificate (RFC 8705).
//! - `exchange`: a part of a task, handed on (RFC 8693).
//! - `inspect`: introspection (RFC 7662) and revocation (RFC 7009).
//! - `client`, `document`: who may ask. `store`: what outlives a restart. `tasks`: where all of it meets the engine.
//!
//! What a task then may do is decided at each call, elsewhere. Every refusal has the code of its specification and is recorded.

pub mod accounts;
pub mod client;
pub mod config;
pub mod details;
mod document;
mod error;
mod exchange;
mod form;
mod inspect;
mod metadata;
mod pages;
mod request;
pub mod store;
mod tasks;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::Engine;
use judge::moment::Moment;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use wire::assertion::{self, Assertion, Expected};
use wire::certificate::Peer;
use wire::dpop::{Nonces, NotTaken, Replays};

use crate::keys::{KeysError, random};
use crate::tokens::Issuer;
use accounts::{Accounts, SignInError};
use client::{Client, Method, Origin};
use config::Config;
use document::Documents;
use error::Refusal;
use form::Form;
use request::{Asked, REQUEST_URI, Waiting};
use store::Store;

/// How long a nonce is given out, in seconds; it is good for twice as long.
const NONCE_SPAN_S: u64 = 60;
/// Proofs and assertions that are remembered while one could be used again, each.
const USED_MAX: usize = 1 << 20;
/// Refusals that are recorded in a span of time: strangers must not fill the ledger.
const REFUSALS_SPAN_MS: u64 = 10_000;
const REFUSALS_MAX: u32 = 200;

/// The authorization server. Cloning shares it.
#[derive(Clone)]
pub struct Oauth(Arc<Inner>);

struct Inner {
    config: Config,
    issuer: Issuer,
    engine: Engine,
    store: Store,
    accounts: Accounts,
    documents: Documents,
    waiting: Mutex<Waiting>,
    nonces: Nonces,
    proofs: Mutex<Replays>,
    assertions: Mutex<Replays>,
    /// Makes the tokens of forms.
    form_key: hmac::Key,
    refusals: Mutex<(u64, u32)>,
}

/// A secret of 32 random bytes, as it travels.
fn secret() -> Result<String, KeysError> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

impl Oauth {
    /// An authorization server as configured.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(config: Config, issuer: Issuer, engine: Engine, store: Store) -> Result<Self, SignInError> {
        let nonces = Nonces::new(&random()?, NONCE_SPAN_S);
        let proofs = Mutex::new(Replays::new(nonces.life_s(), USED_MAX));
        // An assertion lives for its time, with a clock on either side that is off.
        let assertions = Mutex::new(Replays::new(2 * assertion::LIFE_S_MAX, USED_MAX));
        let accounts = Accounts::new(store.clone(), engine.clone())?;
        let form_key = hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()?);
        let inner = Inner {
            config,
            issuer,
            engine,
            store,
            accounts,
            documents: Documents::new(),
            waiting: Mutex::default(),
            nonces,
            proofs,
            assertions,
            form_key,
            refusals: Mutex::default(),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Its routes.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/.well-known/oauth-authorization-server", get(metadata::metadata))
            .route("/.well-known/openid-configuration", get(metadata::metadata))
            .route("/oauth/jwks", get(metadata::keys))
            .route("/oauth/authorize", get(pages::authorize))
            .route("/oauth/consent", get(pages::consent).post(pages::answer))
            .route("/oauth/sign-in", post(pages::sign_in))
            .route("/oauth/sign-out", post(pages::sign_out))
            .route("/oauth/style.css", get(pages::style))
            .route("/oauth/par", post(push))
            .route("/oauth/token", post(token::token))
            .route("/oauth/introspect", post(inspect::introspect))
            .route("/oauth/revoke", post(inspect::revoke))
            .route("/oauth/register", post(register))
            .layer(DefaultBodyLimit::max(form::BODY_BYTES_MAX))
            .with_state(self.clone())
    }

    fn config(&self) -> &Config {
        &self.0.config
    }

    fn issuer(&self) -> &Issuer {
        &self.0.issuer
    }

    fn engine(&self) -> &Engine {
        &self.0.engine
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock()
    }

    fn nonces(&self) -> &Nonces {
        &self.0.nonces
    }

    fn proofs(&self) -> MutexGuard<'_, Replays> {
        self.0.proofs.lock()
    }

    fn form_key(&self) -> &hmac::Key {
        &self.0.form_key
    }

    fn now(&self) -> Moment {
        self.0.engine.now()
    }

    /// Takes an assertion of `by`, if it is the first with this id.
    fn take_assertion(&self, by: &str, id: &str) -> Result<(), Refusal> {
        self.0.assertions.lock().take(by, id, self.now().0 / 1000).map_err(|not| match not {
            NotTaken::Used => Refusal::Client("the assertion was used before".to_owned()),
            NotTaken::Full => Refusal::Busy,
        })
    }

    /// The client with this id.
    async fn client(&self, id: &str) -> Result<Arc<Client>, Refusal> {
        let Inner { config, store, documents, .. } = &*self.0;
        if let Some(client) = config.clients.iter().find(|client| client.id == id) {
            return Ok(Arc::new(client.clone()));
        }
        let unknown = || Refusal::Client("the client is not known here".to_owned());
        // Without an agent for them there are no clients that nobody knew before.
        let guest = config.guest_agent.as_ref().ok_or_else(unknown)?;
        if document::is_address(id) {
            if !config.client_documents {
                return Err(unknown());
            }
            let document = documents.of(id, self.now()).await?;
            return Client::of_metadata(id, guest, Origin::Document, &document).map(Arc::new);
        }
        let metadata = if config.registration { store.client(id).await? } else { None };
        let metadata: Value = metadata.and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(unknown)?;
        Client::of_metadata(id, guest, Origin::Registered, &metadata).map(Arc::new)
    }

    /// Records a refusal that says that somebody tried something, unless there were too many of late.
    async fn note(&self, refusal: &Refusal) {
        let sentence = format!("{}: {}", refusal.code(), refusal.description());
        if !refusal.is_recorded() {
            return;
        }
        let span = self.now().0 / REFUSALS_SPAN_MS;
        let is_taken = {
            let mut counted = self.0.refusals.lock();
            if counted.0 != span {
                *counted = (span, 0);
            }
            counted.1 += 1;
            counted.1 <= REFUSALS_MAX
        };
        if is_taken {
            tasks::refused(self.engine(), sentence).await;
        } else {
            tracing::warn!(sentence, "refused, not recorded: there are too many");
        }
    }
}

/// Whoever sends a request, as far as the request itself does not say it.
#[derive(Clone, Copy)]
struct Sender<'a> {
    headers: &'a HeaderMap,
    /// The other side of the connection, where that showed a certificate. From the connection itself: what a header says, anybody can say.
    peer: Option<&'a Peer>,
}

/// The other side of a connection, as whoever accepted it left it with the request.
type OnConnection = Option<Extension<Arc<Peer>>>;

impl<'a> Sender<'a> {
    fn of(headers: &'a HeaderMap, peer: &'a OnConnection) -> Self {
        Self { headers, peer: peer.as_ref().map(|Extension(peer)| &**peer) }
    }
}

/// The client of a request, which shows that it is the one in the way that is agreed with it and in no other (RFC 6749 §2.3, RFC 7523 §2.2,
/// RFC 8705 §2).
async fn authenticate(oauth: &Oauth, sender: Sender<'_>, form: &Form) -> Result<Arc<Client>, Refusal> {
    let Sender { headers, peer } = sender;
    let wrong = |sentence: &str| Refusal::Client(sentence.to_owned());
    if headers.contains_key(header::AUTHORIZATION) || form.has("client_secret") {
        return Err(wrong("clients have no secrets here: use 'private_key_jwt', or 'none'"));
    }
    let Some(signed) = form.get("client_assertion") else {
        let id = form.get("client_id").ok_or_else(|| wrong("expected 'client_id' or 'client_assertion'"))?;
        let client = oauth.client(id).await?;
        return match client.method {
            Method::None => Ok(client),
            Method::PrivateKey | Method::Spiffe => Err(wrong("expected a 'client_assertion' of this client")),
            Method::Tls | Method::SelfSignedTls | Method::SpiffeTls => {
                shown(&client, peer, oauth.now())?;
                Ok(client)
            }
        };
    };
    let client = match form.get("client_assertion_type") {
        Some(assertion::TYPE) => asserted(oauth, signed).await?.0,
        Some(assertion::SVID_TYPE) => workload(oauth, signed)?,
        _ => return Err(wrong("expected 'client_assertion_type' of a JWT bearer, or of a JWT-SVID")),
    };
    if form.get("client_id").is_some_and(|id| id != client.id) {
        return Err(wrong("'client_id' and 'client_assertion' are of two clients"));
    }
    Ok(client)
}

/// Holds a client to the certificate by which it is known (RFC 8705 §2, SPIFFE X509-SVID §5).
fn shown(client: &Client, peer: Option<&Peer>, now: Moment) -> Result<(), Refusal> {
    let known = client.certificate.as_ref().ok_or(Refusal::Server)?;
    let peer = peer.ok_or_else(|| Refusal::Client("expected the certificate of this client on a TLS connection".to_owned()))?;
    known.admits(peer, now.0 / 1000).map_err(|refusal| Refusal::Client(refusal.to_string()))
}

/// The client that is the workload of a JWT-SVID (draft-ietf-oauth-spiffe-client-auth).
fn workload(oauth: &Oauth, svid: &str) -> Result<Arc<Client>, Refusal> {
    let refused = |refusal: assertion::AssertionRefusal| Refusal::Client(refusal.to_string());
    let claimed = assertion::claimed_workload(svid).map_err(refused)?;
    let client = oauth.config().clients.iter().find(|client| client.workload.as_ref() == Some(&claimed));
    let client = client.ok_or_else(|| Refusal::Client("the workload is not known here".to_owned()))?;
    let audiences = [oauth.config().issuer.as_str()];
    let expected = Expected { client: &claimed, audiences: &audiences, now_s: oauth.now().0 / 1000 };
    assertion::verify_svid(&client.keys, svid, &expected).map_err(refused)?;
    Ok(Arc::new(client.clone()))
}

/// The client that signed an assertion, which counts once.
async fn asserted(oauth: &Oauth, signed: &str) -> Result<(Arc<Client>, Assertion), Refusal> {
    let wrong = |sentence: &str| Refusal::Client(sentence.to_owned());
    let refused = |refusal: assertion::AssertionRefusal| Refusal::Client(refusal.to_string());
    let client = oauth.client(&assertion::claimed_client(signed).map_err(refused)?).await?;
    if client.method != Method::PrivateKey {
        return Err(wrong("this client has no key"));
    }
    let endpoint = oauth.config().at("/oauth/token");
    // The issuer alone, unless agreed otherwise: an assertion for one endpoint could be for another server's (draft-ietf-oauth-rfc7523bis).
    let both = [oauth.config().issuer.as_str(), endpoint.as_str()];
    let audiences = if client.asserts_to_endpoint { &both[..] } else { &both[..1] };
    let now_s = oauth.now().0 / 1000;
    let expected = Expected { client: &client.id, audiences, now_s };
    let proved = assertion::verify(&client.keys, signed, &expected).map_err(refused)?;
    oauth.take_assertion(&client.id, &proved.id)?;
    Ok((client, proved))
}

/// `POST /oauth/par` (RFC 9126): a client pushes its request where nobody can change or read it.
async fn push(Shared(oauth): Shared<Oauth>, peer: OnConnection, headers: HeaderMap, body: Bytes) -> Response {
    let pushed = async {
        let form = Form::body(&headers, &body)?;
        if form.has("request_uri") {
            return Err(Refusal::Request("expected no 'request_uri' in a pushed request".to_owned()));
        }
        let client = authenticate(&oauth, Sender::of(&headers, &peer), &form).await?;
        let redirect = form.demand("redirect_uri")?;
        if !client.may_redirect_to(redirect) {
            return Err(Refusal::Request("the redirect URI is not one of the client's".to_owned()));
        }
        let mut asked = Asked::read(oauth.config(), client, redirect, &form)?;
        // RFC 9449 §10.1: a proof here binds the code.
        if let Some(key) = token::proved(&oauth, &headers, "/oauth/par")? {
            if asked.key.as_ref().is_some_and(|named| *named != key) {
                return Err(Refusal::Proof("'dpop_jkt' is not the key of the proof".to_owned()));
            }
            asked.key = Some(key);
        }
        let name = secret()?;
        let now = oauth.now();
        let until = oauth.waiting().keep(&name, asked, now)?;
        Ok(json!({ "request_uri": format!("{REQUEST_URI}{name}"), "expires_in": until.0.saturating_sub(now.0) / 1000 }))
    };
    let mut response = match pushed.await {
        Ok(answer) => {
            (StatusCode::CREATED, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(answer)).into_response()
        }
        Err(refusal) => {
            oauth.note(&refusal).await;
            refusal.into_response()
        }
    };
    token::give_nonce(&oauth, &mut response);
    response
}

/// `POST /oauth/register` (RFC 7591): a client introduces itself. It stands for the guest agent, and for nothing more.
async fn register(Shared(oauth): Shared<Oauth>, body: Bytes) -> Response {
    let registered = async {
        let guest = oauth.config().guest_agent.clone().filter(|_| oauth.config().registration);
        let guest = guest.ok_or_else(|| Refusal::Unauthorized("clients do not register themselves here".to_owned()))?;
        let metadata: Value = serde_json::from_slice(&body).map_err(|_| Refusal::Metadata("expected JSON".to_owned()))?;
        let id = format!("client-{}", &secret()?[..22]);
        let client = Client::of_metadata(&id, &guest, Origin::Registered, &metadata)?;
        // Only what holds is kept.
        let mut kept = client.metadata();
        if matches!(client.method, Method::PrivateKey | Method::SelfSignedTls) {
            kept["jwks"] = metadata["jwks"].clone();
        }
        let now = oauth.now();
        if !oauth.store().add_client(&id, kept.to_string(), now).await? {
            return Err(Refusal::Busy);
        }
        kept["client_id_issued_at"] = (now.0 / 1000).into();
        Ok(kept)
    };
    match registered.await {
        Ok(client) => {
            (StatusCode::CREATED, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(client)).into_response()
        }
        Err(refusal) => {
            let refusal: Refusal = refusal;
            oauth.note(&refusal).await;
            refusal.into_response()
        }
    }
}
