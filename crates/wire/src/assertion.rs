//! A client's word for who it is, signed with its own key (`private_key_jwt`: RFC 7523 §2.2 and §3, OpenID Connect Core §9).
//!
//! No clock and no memory: the moment is an argument, and that no assertion counts twice is its caller's to hold
//! ([`crate::dpop::Replays`] does it).

#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::Value;

use crate::jwk::PublicKey;
use crate::jws::{Compact, Names, NotCompact};
use crate::strict::Object;

/// An assertion longer than this is not looked at.
pub const ASSERTION_BYTES_MAX: usize = 8 << 10;
/// How long an assertion may be good for, in seconds: what is good for longer has to be remembered for longer.
pub const LIFE_S_MAX: u64 = 300;
/// The longest id, in bytes.
pub const ID_BYTES_MAX: usize = 256;
/// The value of `client_assertion_type` (RFC 7523 §2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far the client's clock may be off, in seconds.
const LEEWAY_S: u64 = 30;
/// A plain JWT, and the explicit type of draft-ietf-oauth-rfc7523bis.
const TYPS: [&str; 2] = ["JWT", "client-authentication+jwt"];
const AUDIENCES_MAX: usize = 8;
/// SHA-256 in base64url.
const THUMBPRINT_CHARS: usize = 43;

/// What is demanded of an assertion.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The client that it must be of.
    pub client: &'a str,
    /// The names under which this server is meant.
    pub audiences: &'a [&'a str],
    /// The moment, in seconds since 1970.
    pub now_s: u64,
}

/// What an assertion says, that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// Its id (`jti`), to be used once.
    pub id: String,
    /// The thumbprint of the key that signed it.
    pub key_thumbprint: String,
    /// The thumbprint of the key to which what comes out of it shall be bound, where it names one (`cnf.jkt`, RFC 9449 §6.1).
    pub confirmed: Option<String>,
}

/// Whom an assertion claims to be of, before anything of it is believed: to know whose keys to try.
///
/// # Errors
/// [`AssertionRefusal`].
pub fn claimed_client(assertion: &str) -> Result<String, AssertionRefusal> {
    let compact = Compact::read(assertion, ASSERTION_BYTES_MAX, Names::Id)?;
    claims(&compact).map(|claims| claims.sub)
}

/// Verifies an assertion with the keys of its client.
///
/// # Errors
/// [`AssertionRefusal`].
pub fn verify(keys: &[PublicKey], assertion: &str, expected: &Expected) -> Result<Assertion, AssertionRefusal> {
    let compact = Compact::read(assertion, ASSERTION_BYTES_MAX, Names::Id)?;
    if compact.kind().is_some_and(|typ| !TYPS.contains(&typ)) {
        return Err(AssertionRefusal::Kind);
    }
    let algorithm = compact.algorithm().ok_or(AssertionRefusal::Algorithm)?;
    let claims = claims(&compact)?;
    claims.hold(expected)?;
    let id = compact.key_id();
    let is_meant = |key: &&PublicKey| key.algorithm() == algorithm && (id.is_none() || key.id().is_none() || key.id() == id);
    let signer = keys.iter().filter(is_meant).find(|key| compact.is_signed_by(key)).ok_or(AssertionRefusal::Signature)?;
    let confirmed = claims.cnf.map(|Object(confirmation)| confirmation.jkt);
    Ok(Assertion { id: claims.jti, key_thumbprint: signer.thumbprint().to_owned(), confirmed })
}

/// RFC 7523 §3; `jti` is demanded, so that none counts twice.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    exp: u64,
    iat: Option<u64>,
    nbf: Option<u64>,
    jti: String,
    cnf: Option<Object<Confirmation>>,
}

/// Another way to confirm than by a thumbprint is none that is known here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    jkt: String,
}

fn claims(compact: &Compact) -> Result<Claims, AssertionRefusal> {
    compact.claims().ok_or(AssertionRefusal::Claims)
}

impl Claims {
    fn hold(&self, expected: &Expected) -> Result<(), AssertionRefusal> {
        if self.iss != expected.client || self.sub != expected.client {
            return Err(AssertionRefusal::Client);
        }
        let named = |name: &Value| name.as_str().is_some_and(|name| expected.audiences.contains(&name));
        // Meant for us and for nobody else: another server could use it here.
        let is_for_us = match &self.aud {
            Value::Array(names) => !names.is_empty() && names.len() <= AUDIENCES_MAX && names.iter().all(named),
            name => named(name),
        };
        if !is_for_us {
            return Err(AssertionRefusal::Audience);
        }
        let is_thumbprint = |Object(confirmation): &Object<Confirmation>| confirmation.jkt.len() == THUMBPRINT_CHARS;
        if self.jti.is_empty() || self.jti.len() > ID_BYTES_MAX || !self.cnf.as_ref().is_none_or(is_thumbprint) {
            return Err(AssertionRefusal::Claims);
        }
        let (now_s, latest_s) = (expected.now_s, expected.now_s.saturating_add(LEEWAY_S));
        let is_early = self.nbf.is_some_and(|from_s| from_s > latest_s) || self.iat.is_some_and(|from_s| from_s > latest_s);
        let is_late = self.exp.saturating_add(LEEWAY_S) <= now_s;
        if is_early || is_late || self.exp > latest_s.saturating_add(LIFE_S_MAX) {
            return Err(AssertionRefusal::Time);
        }
        Ok(())
    }
}

/// Why an assertion is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionRefusal {
    /// Longer than [`ASSERTION_BYTES_MAX`], or not three parts of base64url with JSON in the first two.
    #[error("expected a signed client assertion in three parts of at most `{ASSERTION_BYTES_MAX}` bytes")]
    Malformed,
    /// The header holds a member that is not `alg`, `typ` or `kid`.
    #[error("expected only `alg`, `typ` and `kid` in the assertion's header, found {name:?}")]
    Header {
        /// The member, cut short.
        name: String,
    },
    /// Of another type.
    #[error("expected an assertion of type `JWT` or `client-authentication+jwt`")]
    Kind,
    /// Not signed with an algorithm that is believed.
    #[error("expected the algorithm `ES256` or `EdDSA` in the assertion, found another")]
    Algorithm,
    /// No key of the client signed it.
    #[error("expected an assertion signed with a key of this client")]
    Signature,
    /// The claims are not those of an assertion.
    #[error("expected `iss`, `sub`, `aud`, `exp` and `jti` in the assertion")]
    Claims,
    /// Of another client.
    #[error("expected `iss` and `sub` of the assertion to be the client")]
    Client,
    /// Meant for another server.
    #[error("expected an assertion for this server alone, found another `aud`")]
    Audience,
    /// Too late, too early, or good for too long.
    #[error("expected an assertion that holds now, and for at most `{LIFE_S_MAX}` seconds")]
    Time,
}

impl From<NotCompact> for AssertionRefusal {
    fn from(not: NotCompact) -> Self {
        match not {
            NotCompact::TooBig | NotCompact::Malformed => AssertionRefusal::Malformed,
            NotCompact::Header(name) => AssertionRefusal::Header { name },
        }
    }
}
