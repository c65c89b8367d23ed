//! Tokens: what an agent presents for its task, a person to answer an ask, and a program to use the API.
//!
//! A task token says nothing that the task does not say; it ends when the task's lease ends. Moments are arguments.

#[cfg(test)]
mod tests;

use judge::moment::Moment;
use judge::name::PrincipalId;
use judge::task::Task;
use wire::token::{
    Claims, ClientClaims, Expected, PersonClaims, SigningKey, TokenRefusal, VerifyingKeys, sign, sign_client, sign_person,
    verify, verify_client, verify_person,
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
    key: SigningKey,
    verifying: VerifyingKeys,
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
        Self { name: name.into(), key: keys.signing.clone(), verifying: keys.verifying() }
    }

    /// The name in `iss` and `aud`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
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
        let claims = Claims {
            issuer: self.name.clone(),
            audience: self.name.clone(),
            expires_s: seconds(task.ends),
            issued_s: seconds(now),
            not_before_s: (task.starts > now).then(|| seconds(task.starts)),
            id: token_id()?,
            requester: task.requester.to_string(),
            actors: actors.iter().map(ToString::to_string).collect(),
            task: task.id.to_string(),
            key_thumbprint: None,
        };
        Ok(sign(&self.key, &claims)?)
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
        Expected { issuer: &self.name, audience: &self.name, now_s: seconds(now), leeway_s: LEEWAY_S }
    }
}

/// NumericDate counts whole seconds (RFC 7519 §2); the part of a second that is cut off shortens a lease, never lengthens it.
fn seconds(moment: Moment) -> u64 {
    moment.0 / 1000
}

fn token_id() -> Result<String, KeysError> {
    Ok(hex::encode(random::<16>()?))
}
