//! Who sends a request: the task token, verified once and remembered by its hash until it ends. What a task may do is not known here.

use std::collections::HashMap;
use std::fmt;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use judge::moment::Moment;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use wire::token::{Expected, TOKEN_BYTES_MAX, TokenRefusal, VerifyingKeys, verify};

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
    remembered: Mutex<HashMap<[u8; 32], Caller>>,
}

impl Tokens {
    /// Nothing is remembered yet.
    pub fn new(believed: TokenKeys) -> Self {
        Self { believed, remembered: Mutex::default() }
    }

    /// The caller that a request's `Authorization` names (RFC 6750, section 2.1).
    pub fn caller_of(&self, headers: &HeaderMap, now: Moment) -> Result<Caller, NoCaller> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().map_err(|_| NoCaller::Malformed)?,
            (None, _) => return Err(NoCaller::Missing),
            (Some(_), Some(_)) => return Err(NoCaller::Malformed),
        };
        let (scheme, token) = value.split_once(' ').ok_or(NoCaller::Malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(NoCaller::Missing);
        }
        self.caller(token.trim_matches(' '), now)
    }

    /// The caller that a token names.
    pub fn caller(&self, token: &str, now: Moment) -> Result<Caller, NoCaller> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(NoCaller::Refused(TokenRefusal::TooBig { bytes: token.len() }));
        }
        let now_s = now.0 / 1000;
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let remembered = self.remembered.lock().get(&hash).cloned();
        if let Some(caller) = remembered {
            if now_s < caller.claims.expires_s.saturating_add(self.believed.leeway_s) {
                return Ok(caller);
            }
            self.remembered.lock().remove(&hash);
        }
        let TokenKeys { keys, issuer, audience, leeway_s } = &self.believed;
        let claims =
            verify(keys, token, &Expected { issuer, audience, now_s, leeway_s: *leeway_s }).map_err(NoCaller::Refused)?;
        if claims.key_thumbprint.is_some() {
            return Err(NoCaller::Bound);
        }
        let caller = Caller::of(claims).ok_or(NoCaller::Malformed)?;
        let mut remembered = self.remembered.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(hash, caller.clone());
        Ok(caller)
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
