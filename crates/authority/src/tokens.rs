//! Tokens: what an agent presents for its task, a person to answer an ask, and a program to use the API.
//!
//! A task token says nothing that the task does not say; it ends when the task's lease ends. Moments are arguments.

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use judge::moment::Moment;
use judge::name::PrincipalId;
use judge::task::Task;
use wire::token::{
    Binding, Claims, ClientClaims, Expected, PersonClaims, SigningKey, TokenRefusal, VerifyingKeys, sign, sign_client,
    sign_person, verify, verify_client, verify_person,
};

use crate::keys::{Keys, KeysError, random};

/// How long a person token may be good for, in milliseconds.
pub const PERSON_TOKEN_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// How far the clock of whoever presents a token may be off, in seconds.
pub const LEEWAY_S: u64 = 5;
/// How long a client token may be good for, in milliseconds: a year. The configuration's list of clients ends it earlier.
pub const CLIENT_TOKEN_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;

/// Issues tokens under one name, and verifies what was issued under it.
#[derive(Clone, Debug)]
pub struct Issuer {
    name: String,
    audience: String,
    key: SigningKey,
    verifying: VerifyingKeys,
    /// Ids and public halves, the one that signs first.
    public: Vec<(String, [u8; 32])>,
}

/// A token that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct TaskToken<'a> {
    /// The task that it carries, and with which it ends.
    pub task: &'a Task,
    /// The agents, the requester's own first, the caller last.
    pub actors: &'a [PrincipalId],
    /// The client that gets it, where it is not the agent itself.
    pub client: Option<&'a str>,
    /// The key or the certificate to which it is bound.
    pub binding: Option<&'a Binding>,
    /// How long it is good for at most, in milliseconds.
    pub life_ms: u64,
}

/// A token that was issued.
#[derive(Clone)]
pub struct Issued {
    /// The token.
    pub token: String,
    /// Its own id (`jti`).
    pub id: String,
    /// First second in which it no longer holds.
    pub expires_s: u64,
}

/// Why a token could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// It would not be believed.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    /// There is no id for it.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

impl Issuer {
    /// Issues as `name` (`iss`, and `aud` of task tokens: the gateway of this installation and nobody else), with `keys`.
    #[must_use]
    pub fn new(name: impl Into<String>, keys: &Keys) -> Self {
        let name = name.into();
        let signing = (keys.signing.id().to_owned(), *keys.signing.public());
        let retired = keys.retired.iter().map(|key| (key.id.clone(), key.public));
        let public = std::iter::once(signing).chain(retired).collect();
        Self { audience: name.clone(), name, key: keys.signing.clone(), verifying: keys.verifying(), public }
    }

    /// Issues task tokens for a gateway with another name (`aud`).
    #[must_use]
    pub fn for_gateway(self, audience: impl Into<String>) -> Self {
        Self { audience: audience.into(), ..self }
    }

    /// The name in `iss`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name in `aud` of task tokens.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The public keys as clients and gateways of others read them (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        let jwk = |(id, public): &(String, [u8; 32])| {
            let x = URL_SAFE_NO_PAD.encode(public);
            serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "use": "sig", "alg": "EdDSA" })
        };
        serde_json::json!({ "keys": self.public.iter().map(jwk).collect::<Vec<_>>() })
    }

    /// The public keys that tokens of this issuer are verified with.
    #[must_use]
    pub fn verifying(&self) -> &VerifyingKeys {
        &self.verifying
    }

    /// The token of `task`, for the chain `actors` (the requester's own agent first, the caller last) from `now` until the lease ends.
    ///
    /// # Errors
    /// When the lease is over, or a name does not fit into a token.
    pub fn task_token(&self, task: &Task, actors: &[PrincipalId], now: Moment) -> Result<String, IssueError> {
        self.token_of(&TaskToken { task, actors, client: None, binding: None, life_ms: u64::MAX }, now).map(|issued| issued.token)
    }

    /// A token of a task, from `now` on.
    ///
    /// # Errors
    /// When the lease is over, or a name does not fit into a token.
    pub fn token_of(&self, asked: &TaskToken, now: Moment) -> Result<Issued, IssueError> {
        let TaskToken { task, actors, client, binding, life_ms } = *asked;
        let caller = actors.last().map(PrincipalId::as_str);
        let expires_s = seconds(task.ends.min(now.after_ms(life_ms)));
        let claims = Claims {
            issuer: self.name.clone(),
            audience: self.audience.clone(),
            expires_s,
            issued_s: seconds(now),
            not_before_s: (task.starts > now).then(|| seconds(task.starts)),
            id: token_id()?,
            requester: task.requester.to_string(),
            actors: actors.iter().map(ToString::to_string).collect(),
            client: client.filter(|client| Some(*client) != caller).map(str::to_owned),
            task: task.id.to_string(),
            binding: binding.cloned(),
        };
        Ok(Issued { token: sign(&self.key, &claims)?, id: claims.id, expires_s })
    }

    /// A token by which `person` answers asks, from `now` on for `span_ms`, at most [`PERSON_TOKEN_MS_MAX`].
    ///
    /// # Errors
    /// When the name does not fit into a token.
    pub fn person_token(&self, person: &PrincipalId, now: Moment, span_ms: u64) -> Result<String, IssueError> {
        let claims = PersonClaims {
            issuer: self.name.clone(),
            expires_s: seconds(now.after_ms(span_ms.min(PERSON_TOKEN_MS_MAX))),
            issued_s: seconds(now),
            id: token_id()?,
            person: person.to_string(),
        };
        Ok(sign_person(&self.key, &claims)?)
    }

    /// Who a person token speaks for at `now`.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn person(&self, token: &str, now: Moment) -> Result<PrincipalId, TokenRefusal> {
        let claims = verify_person(&self.verifying, token, &self.expected(now))?;
        PrincipalId::parse(&claims.person).map_err(|_| TokenRefusal::Name)
    }

    /// A token by which the program `client` uses the door `audience` from `now` on for `span_ms`, at most [`CLIENT_TOKEN_MS_MAX`].
    ///
    /// # Errors
    /// When a name does not fit into a token.
    pub fn client_token(&self, client: &PrincipalId, audience: &str, now: Moment, span_ms: u64) -> Result<String, IssueError> {
        let claims = ClientClaims {
            issuer: self.name.clone(),
            audience: audience.to_owned(),
            expires_s: seconds(now.after_ms(span_ms.min(CLIENT_TOKEN_MS_MAX))),
            issued_s: seconds(now),
            id: token_id()?,
            client: client.to_string(),
        };
        Ok(sign_client(&self.key, &claims)?)
    }

    /// Which program a client token for the door `audience` speaks for at `now`.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn client(&self, token: &str, audience: &str, now: Moment) -> Result<PrincipalId, TokenRefusal> {
        let claims = verify_client(&self.verifying, token, &Expected { audience, ..self.expected(now) })?;
        PrincipalId::parse(&claims.client).map_err(|_| TokenRefusal::Name)
    }

    /// What a task token says at `now`.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn task(&self, token: &str, now: Moment) -> Result<Claims, TokenRefusal> {
        verify(&self.verifying, token, &self.expected(now))
    }

    fn expected(&self, now: Moment) -> Expected<'_> {
        Expected { issuer: &self.name, audience: &self.audience, now_s: seconds(now), leeway_s: LEEWAY_S }
    }
}

/// NumericDate counts whole seconds (RFC 7519 §2); the part of a second that is cut off shortens a lease, never lengthens it.
fn seconds(moment: Moment) -> u64 {
    moment.0 / 1000
}

fn token_id() -> Result<String, KeysError> {
    Ok(hex::encode(random::<16>()?))
}
