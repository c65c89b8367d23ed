//! Who sends a request: the task token of an agent, or the client token of an enforcement point, verified once and remembered by its hash
//! until it ends. What a task may do is not known here.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use judge::moment::Moment;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use wire::token::{AUTHZEN_AUDIENCE, Expected, TOKEN_BYTES_MAX, TokenRefusal, VerifyingKeys, verify, verify_client};

use crate::answer::Answer;
use crate::exchange::Caller;

/// Verified tokens that are remembered; when there are more, all are verified again.
const REMEMBERED_MAX: usize = 4096;

/// Which task tokens are believed.
#[derive(Clone, Debug)]
pub struct TokenKeys {
    /// The issuer's public keys.
    pub keys: VerifyingKeys,
    /// The one issuer that is believed.
    pub issuer: String,
    /// The name under which tokens mean this gateway.
    pub audience: String,
    /// How far the issuer's clock may be off, in seconds.
    pub leeway_s: u64,
}

/// Why a request has no caller. Nothing of the token is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoCaller {
    /// No token came.
    Missing,
    /// Something came that is not one bearer token.
    Malformed,
    /// The token is not believed.
    Refused(TokenRefusal),
    /// The token is bound to a key that the client must prove, and this gateway takes no proofs.
    Bound,
}

/// Verifies tokens and remembers them.
pub struct Tokens {
    believed: TokenKeys,
    remembered: Remembered<Caller>,
}

/// What tokens say that were verified, each until its token ends.
struct Remembered<T>(Mutex<HashMap<[u8; 32], (T, u64)>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Remembered<T> {
    /// What a token says: as it was verified before, or as `verified` says now, with the first second in which it no longer holds.
    fn or(&self, token: &str, now_s: u64, verified: impl FnOnce() -> Result<(T, u64), NoCaller>) -> Result<T, NoCaller> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(NoCaller::Refused(TokenRefusal::TooBig { bytes: token.len() }));
        }
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut remembered = self.0.lock();
        if let Some((said, until_s)) = remembered.get(&hash) {
            if now_s < *until_s {
                return Ok(said.clone());
            }
            remembered.remove(&hash);
        }
        drop(remembered);
        let (said, until_s) = verified()?;
        let mut remembered = self.0.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(hash, (said.clone(), until_s));
        Ok(said)
    }
}

/// Whether an enforcement point with this name may ask, now.
pub type LetIn = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The enforcement points that may ask, by their client tokens.
pub struct Clients {
    believed: TokenKeys,
    let_in: LetIn,
    remembered: Remembered<String>,
}

impl Clients {
    /// Lets those in, each with a token of its own.
    pub fn new(believed: TokenKeys, let_in: LetIn) -> Self {
        Self { believed, let_in, remembered: Remembered::default() }
    }

    /// The enforcement point that a request's `Authorization` names (RFC 6750, section 2.1).
    pub fn client_of(&self, headers: &HeaderMap, now: Moment) -> Result<String, NoCaller> {
        let (token, now_s) = (bearer(headers)?, now.0 / 1000);
        let client = self.remembered.or(token, now_s, || {
            let TokenKeys { keys, issuer, leeway_s, .. } = &self.believed;
            let expected = Expected { issuer, audience: AUTHZEN_AUDIENCE, now_s, leeway_s: *leeway_s };
            let claims = verify_client(keys, token, &expected).map_err(NoCaller::Refused)?;
            Ok((claims.client, claims.expires_s.saturating_add(*leeway_s)))
        })?;
        // However long its token is good for.
        if (self.let_in)(&client) { Ok(client) } else { Err(NoCaller::Missing) }
    }
}

/// The one bearer token of a request.
fn bearer(headers: &HeaderMap) -> Result<&str, NoCaller> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| NoCaller::Malformed)?,
        (None, _) => return Err(NoCaller::Missing),
        (Some(_), Some(_)) => return Err(NoCaller::Malformed),
    };
    let (scheme, token) = value.split_once(' ').ok_or(NoCaller::Malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim_matches(' ')) } else { Err(NoCaller::Missing) }
}

impl Tokens {
    /// Nothing is remembered yet.
    pub fn new(believed: TokenKeys) -> Self {
        Self { believed, remembered: Remembered::default() }
    }

    /// The caller that a request's `Authorization` names (RFC 6750, section 2.1).
    pub fn caller_of(&self, headers: &HeaderMap, now: Moment) -> Result<Caller, NoCaller> {
        self.caller(bearer(headers)?, now)
    }

    /// The caller that a token names.
    pub fn caller(&self, token: &str, now: Moment) -> Result<Caller, NoCaller> {
        let now_s = now.0 / 1000;
        self.remembered.or(token, now_s, || {
            let TokenKeys { keys, issuer, audience, leeway_s } = &self.believed;
            let expected = Expected { issuer, audience, now_s, leeway_s: *leeway_s };
            let claims = verify(keys, token, &expected).map_err(NoCaller::Refused)?;
            if claims.key_thumbprint.is_some() {
                return Err(NoCaller::Bound);
            }
            let until_s = claims.expires_s.saturating_add(*leeway_s);
            Ok((Caller::of(claims).ok_or(NoCaller::Malformed)?, until_s))
        })
    }
}

impl NoCaller {
    /// A stable code for records.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Malformed => "token_malformed",
            Self::Refused(refusal) => refusal.code(),
            Self::Bound => "token_bound",
        }
    }

    /// The answer to the client (RFC 6750, section 3): why, in words that help nobody to forge.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let mut answer = Answer::error(StatusCode::UNAUTHORIZED, None, -32001, &self.to_string());
        let challenge = match self {
            // Who sent nothing is told nothing more (RFC 6750, section 3.1).
            Self::Missing => "Bearer realm=\"prudence\"".to_owned(),
            Self::Malformed | Self::Refused(_) | Self::Bound => {
                let quoted = self.to_string().replace(['"', '\\'], "'");
                format!("Bearer realm=\"prudence\", error=\"invalid_token\", error_description=\"{quoted}\"")
            }
        };
        let challenge = HeaderValue::from_str(&challenge)
            .unwrap_or(HeaderValue::from_static("Bearer realm=\"prudence\", error=\"invalid_token\""));
        answer.headers.insert(WWW_AUTHENTICATE, challenge);
        answer
    }
}

impl fmt::Display for NoCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("expected `Authorization: Bearer` with a task token"),
            Self::Malformed => f.write_str("expected one bearer token in the header `authorization`"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Bound => f.write_str("expected a bearer token, found one that is bound to a key"),
        }
    }
}
