//! Requests for authorization: read whole and held to everything before a person sees any of it, and kept until the person has answered.
//!
//! What a person agreed to becomes a code, which its client turns into tokens once (`token`). Requests, pushed requests and codes live in
//! memory for minutes: a restart loses them, and the client begins again.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use judge::moment::Moment;
use sha2::{Digest as _, Sha256};

use super::client::Client;
use super::config::Config;
use super::details::TaskDetails;
use super::error::Refusal;
use super::form::Form;
use super::store::{Hash, hash};

/// How long a pushed request waits for its person, and a person's page for its answer (RFC 9126 §2.2 suggests seconds; people read).
const REQUEST_MS: u64 = 10 * 60 * 1000;
/// How long a code is good for (RFC 6749 §4.1.2 allows ten minutes).
const CODE_MS: u64 = 60 * 1000;
/// Requests and codes that are kept at a time, each. Anybody can send requests, and each takes up to twice [`super::form::QUERY_BYTES_MAX`].
const KEPT_MAX: usize = 4_096;
const STATE_BYTES_MAX: usize = 2_048;
/// What pushed requests are called (RFC 9126 §2.2).
pub const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

/// A request for authorization that is in order.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Of which client.
    pub client: Arc<Client>,
    /// Where the answer goes.
    pub redirect: String,
    /// What the answer repeats.
    pub state: Option<String>,
    /// The S256 challenge (RFC 7636 §4.2).
    pub challenge: String,
    /// What it asks for.
    pub task: TaskDetails,
    /// The key to which the code is bound already (RFC 9449 §10).
    pub key: Option<String>,
}

impl Asked {
    /// Reads what a client asks for. Its client and its redirect URI were found right before.
    ///
    /// # Errors
    /// What is wrong with it, in the words of the specifications.
    pub fn read(config: &Config, client: Arc<Client>, redirect: &str, form: &Form) -> Result<Asked, Refusal> {
        if form.has("request") {
            return Err(Refusal::RequestObject);
        }
        if form.demand("response_type")? != "code" {
            return Err(Refusal::ResponseType);
        }
        if form.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(Refusal::Request("expected the response mode 'query'".to_owned()));
        }
        // Without PKCE, or with `plain`, whoever sees the code has it (RFC 9700 §2.1.1).
        if form.get("code_challenge_method") != Some("S256") {
            return Err(Refusal::Request("expected 'code_challenge_method' to be 'S256'".to_owned()));
        }
        let challenge = form.demand("code_challenge")?;
        if URL_SAFE_NO_PAD.decode(challenge).map_or(true, |digest| digest.len() != 32) {
            return Err(Refusal::Request("expected 'code_challenge' to be a SHA-256 in base64url".to_owned()));
        }
        if form.get("resource").is_some_and(|resource| !is_resource(config, resource)) {
            return Err(Refusal::Target);
        }
        let state = form.get("state").map(str::to_owned);
        if state.as_ref().is_some_and(|state| state.len() > STATE_BYTES_MAX) {
            return Err(Refusal::Request(format!("expected a 'state' of at most {STATE_BYTES_MAX} bytes")));
        }
        let mut task = TaskDetails::read(form.get("authorization_details"), form.get("scope"))?;
        task.effects.get_or_insert_with(|| config.scopes.clone());
        if form.get("prompt") == Some("none") {
            return Err(Refusal::Interaction);
        }
        let key = form.get("dpop_jkt").map(str::to_owned);
        Ok(Asked { client, redirect: redirect.to_owned(), state, challenge: challenge.to_owned(), task, key })
    }

    /// Where the person's browser goes with an answer (RFC 6749 §4.1.2, RFC 9207 §2).
    #[must_use]
    pub fn back(&self, config: &Config, parts: &[(&str, &str)]) -> String {
        back(&self.redirect, self.state.as_deref(), config, parts)
    }
}

/// The same where a request was not in order, but whom to tell is known.
#[must_use]
pub fn back(redirect: &str, state: Option<&str>, config: &Config, parts: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parts);
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", &config.issuer);
    let joint = if redirect.contains('?') { '&' } else { '?' };
    format!("{redirect}{joint}{}", query.finish())
}

/// Whether a resource is the one that tokens are for (RFC 8707 §2), with or without a slash at its end.
#[must_use]
pub fn is_resource(config: &Config, resource: &str) -> bool {
    let ours = &config.resource;
    resource == ours || resource.strip_suffix('/') == Some(ours) || ours.strip_suffix('/') == Some(resource)
}

/// What a code stands for.
#[derive(Debug, Clone)]
pub struct Consented {
    /// The request.
    pub asked: Arc<Asked>,
    /// The task that began.
    pub task: judge::name::TaskId,
}

/// What a code turned out to be.
#[derive(Debug)]
pub enum Redeemed {
    /// It is used for the first time.
    Fresh(Box<Consented>),
    /// It was used before: its task is to be ended (RFC 6749 §4.1.2, RFC 9700 §2.1.1).
    Again(Box<Consented>),
    /// There is none such.
    Unknown,
}

/// Requests that wait for a person, and codes that wait for a client.
#[derive(Debug, Default)]
pub struct Waiting {
    requests: BTreeMap<Hash, (Arc<Asked>, Moment)>,
    codes: BTreeMap<Hash, (Consented, Moment, bool)>,
}

impl Waiting {
    /// Keeps a request under a secret name. Until when it is kept.
    ///
    /// # Errors
    /// [`Refusal::Busy`].
    pub fn keep(&mut self, name: &str, asked: Asked, now: Moment) -> Result<Moment, Refusal> {
        if self.requests.len() >= KEPT_MAX {
            self.requests.retain(|_, (_, until)| now < *until);
        }
        if self.requests.len() >= KEPT_MAX {
            return Err(Refusal::Busy);
        }
        let until = now.after_ms(REQUEST_MS);
        self.requests.insert(hash(name), (Arc::new(asked), until));
        Ok(until)
    }

    /// A request that waits.
    #[must_use]
    pub fn request(&self, name: &str, now: Moment) -> Option<Arc<Asked>> {
        self.requests.get(&hash(name)).filter(|(_, until)| now < *until).map(|(asked, _)| Arc::clone(asked))
    }

    /// The same, for the last time.
    pub fn take_request(&mut self, name: &str, now: Moment) -> Option<Arc<Asked>> {
        self.requests.remove(&hash(name)).filter(|(_, until)| now < *until).map(|(asked, _)| asked)
    }

    /// A person agreed: keeps what under a code.
    ///
    /// # Errors
    /// [`Refusal::Busy`].
    pub fn issue(&mut self, code: &str, consented: Consented, now: Moment) -> Result<(), Refusal> {
        if self.codes.len() >= KEPT_MAX {
            self.codes.retain(|_, (_, until, _)| now < *until);
        }
        if self.codes.len() >= KEPT_MAX {
            return Err(Refusal::Busy);
        }
        self.codes.insert(hash(code), (consented, now.after_ms(CODE_MS), false));
        Ok(())
    }

    /// A client presents a code. However it ends, the code is used.
    pub fn redeem(&mut self, code: &str, now: Moment) -> Redeemed {
        let Some((consented, until, is_used)) = self.codes.get_mut(&hash(code)) else { return Redeemed::Unknown };
        let was_used = std::mem::replace(is_used, true);
        match (was_used, now < *until) {
            (true, _) => Redeemed::Again(Box::new(consented.clone())),
            (false, true) => Redeemed::Fresh(Box::new(consented.clone())),
            (false, false) => Redeemed::Unknown,
        }
    }
}

/// Whether a verifier is that of a challenge (RFC 7636 §4.6).
///
/// # Errors
/// When it is not, or none at all (§4.1).
pub fn is_verifier(verifier: &str, challenge: &str) -> Result<(), Refusal> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(is_allowed) {
        return Err(Refusal::Request("expected a 'code_verifier' of 43 to 128 unreserved characters".to_owned()));
    }
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    aws_lc_rs::constant_time::verify_slices_are_equal(digest.as_bytes(), challenge.as_bytes())
        .map_err(|_| Refusal::Grant("the verifier is not that of the challenge".to_owned()))
}
