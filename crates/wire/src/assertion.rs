//! A client's word for who it is, signed with its own key (`private_key_jwt`: RFC 7523 §2.2 and §3, OpenID Connect Core §9), and an identity
//! provider's word for who a person is, said to one client (ID-JAG).
//!
//! No clock and no memory: the moment is an argument, and that no assertion counts twice is its caller's to hold
//! ([`crate::dpop::Replays`] does it).

#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::Value;

use crate::jwk::{Algorithm, PublicKey};
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
    let algorithm = compact.algorithm().filter(|algorithm| *algorithm != Algorithm::Rs256).ok_or(AssertionRefusal::Algorithm)?;
    let claims = claims(&compact)?;
    claims.hold(expected)?;
    let signer = signer(keys, &compact, algorithm)?;
    let confirmed = claims.cnf.map(|Object(confirmation)| confirmation.jkt);
    Ok(Assertion { id: claims.jti, key_thumbprint: signer.thumbprint().to_owned(), confirmed })
}

/// The key that signed: the one that the header names, where both have names.
fn signer<'k>(keys: &'k [PublicKey], compact: &Compact, algorithm: Algorithm) -> Result<&'k PublicKey, AssertionRefusal> {
    let id = compact.key_id();
    let is_meant = |key: &&PublicKey| key.algorithm() == algorithm && (id.is_none() || key.id().is_none() || key.id() == id);
    keys.iter().filter(is_meant).find(|key| compact.is_signed_by(key)).ok_or(AssertionRefusal::Signature)
}

/// What an identity provider says about a person to one client and one server (ID-JAG, draft-ietf-oauth-identity-assertion-authz-grant).
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its id (`jti`), to be used once.
    pub id: String,
    /// The person, as the provider knows them.
    pub subject: String,
    /// Their mail address, where it says one.
    pub email: Option<String>,
    /// The most that the client may ask for, where it says so.
    pub scope: Option<String>,
    /// The resource that it is for, where it names one.
    pub resource: Option<String>,
}

/// Who, but not which assertion.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// The provider that an assertion claims to be of, before anything of it is believed: to know whose keys to try.
///
/// # Errors
/// [`AssertionRefusal`].
pub fn claimed_issuer(assertion: &str) -> Result<String, AssertionRefusal> {
    let compact = Compact::read(assertion, ASSERTION_BYTES_MAX, Names::Id)?;
    compact.claims::<IdentityClaims>().map(|claims| claims.iss).ok_or(AssertionRefusal::Identity)
}

/// Verifies what the provider `issuer` says to the client `expected.client`.
///
/// # Errors
/// [`AssertionRefusal`].
pub fn verify_identity(
    keys: &[PublicKey],
    assertion: &str,
    issuer: &str,
    expected: &Expected,
) -> Result<Identity, AssertionRefusal> {
    let compact = Compact::read(assertion, ASSERTION_BYTES_MAX, Names::Id)?;
    if compact.kind() != Some(IDENTITY_TYP) {
        return Err(AssertionRefusal::Kind);
    }
    let algorithm = compact.algorithm().ok_or(AssertionRefusal::Algorithm)?;
    let claims: IdentityClaims = compact.claims().ok_or(AssertionRefusal::Identity)?;
    // Only the provider itself, and only what it said to this client.
    if claims.iss != issuer || claims.client_id != expected.client {
        return Err(AssertionRefusal::Client);
    }
    audience(&claims.aud, expected)?;
    times(claims.exp, Some(claims.iat), None, expected.now_s)?;
    let names = [Some(&claims.sub), Some(&claims.jti), claims.email.as_ref(), claims.scope.as_ref(), claims.resource.as_ref()];
    if names.into_iter().flatten().any(|name| name.is_empty() || name.len() > ID_BYTES_MAX) {
        return Err(AssertionRefusal::Identity);
    }
    signer(keys, &compact, algorithm)?;
    let IdentityClaims { sub, jti, email, scope, resource, .. } = claims;
    Ok(Identity { id: jti, subject: sub, email, scope, resource })
}

const IDENTITY_TYP: &str = "oauth-id-jag+jwt";

#[derive(Deserialize)]
struct IdentityClaims {
    iss: String,
    sub: String,
    aud: Value,
    client_id: String,
    jti: String,
    exp: u64,
    iat: u64,
    email: Option<String>,
    scope: Option<String>,
    resource: Option<String>,
}

/// The workload that a JWT-SVID claims to be of, before anything of it is believed: to know whose trust domain to ask.
///
/// # Errors
/// [`AssertionRefusal`].
pub fn claimed_workload(svid: &str) -> Result<String, AssertionRefusal> {
    let compact = Compact::read(svid, ASSERTION_BYTES_MAX, Names::Id)?;
    compact.claims::<SvidClaims>().map(|claims| claims.sub).ok_or(AssertionRefusal::Svid)
}

/// Verifies a JWT-SVID (SPIFFE JWT-SVID §3 and §4) of the workload `expected.client`, with the keys of its trust domain. It has no id, so that
/// it can be used again as long as it holds: whoever takes it binds what comes out of it to a key.
///
/// # Errors
/// [`AssertionRefusal`].
pub fn verify_svid(keys: &[PublicKey], svid: &str, expected: &Expected) -> Result<(), AssertionRefusal> {
    let compact = Compact::read(svid, ASSERTION_BYTES_MAX, Names::Id)?;
    if compact.kind().is_some_and(|typ| !SVID_TYPS.contains(&typ)) {
        return Err(AssertionRefusal::Kind);
    }
    let algorithm = compact.algorithm().ok_or(AssertionRefusal::Algorithm)?;
    let claims: SvidClaims = compact.claims().ok_or(AssertionRefusal::Svid)?;
    if claims.sub != expected.client || !claims.sub.starts_with("spiffe://") {
        return Err(AssertionRefusal::Client);
    }
    audience(&claims.aud, expected)?;
    let latest_s = expected.now_s.saturating_add(LEEWAY_S);
    let is_now = expected.now_s < claims.exp.saturating_add(LEEWAY_S) && claims.exp <= latest_s.saturating_add(SVID_LIFE_S_MAX);
    if !is_now || claims.iat.is_some_and(|from_s| from_s > latest_s) {
        return Err(AssertionRefusal::Time);
    }
    // The key is named (§2.2 of SPIFFE JWT-SVID takes it from JWS), and one without a name is nobody's.
    if compact.key_id().is_none() {
        return Err(AssertionRefusal::Signature);
    }
    signer(keys, &compact, algorithm).map(drop)
}

const SVID_TYPS: [&str; 2] = ["JWT", "JOSE"];
/// How long a JWT-SVID may be good for, in seconds: an hour is what SPIRE gives at most by itself.
const SVID_LIFE_S_MAX: u64 = 3_600;
/// The value of `client_assertion_type` for one (draft-ietf-oauth-spiffe-client-auth).
pub const SVID_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

#[derive(Deserialize)]
struct SvidClaims {
    sub: String,
    aud: Value,
    exp: u64,
    iat: Option<u64>,
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
        audience(&self.aud, expected)?;
        let is_thumbprint = |Object(confirmation): &Object<Confirmation>| confirmation.jkt.len() == THUMBPRINT_CHARS;
        if self.jti.is_empty() || self.jti.len() > ID_BYTES_MAX || !self.cnf.as_ref().is_none_or(is_thumbprint) {
            return Err(AssertionRefusal::Claims);
        }
        times(self.exp, self.iat, self.nbf, expected.now_s)
    }
}

/// Meant for us and for nobody else: another server could use it here.
fn audience(audience: &Value, expected: &Expected) -> Result<(), AssertionRefusal> {
    let named = |name: &Value| name.as_str().is_some_and(|name| expected.audiences.contains(&name));
    let is_for_us = match audience {
        Value::Array(names) => !names.is_empty() && names.len() <= AUDIENCES_MAX && names.iter().all(named),
        name => named(name),
    };
    if is_for_us { Ok(()) } else { Err(AssertionRefusal::Audience) }
}

fn times(expires_s: u64, issued_s: Option<u64>, not_before_s: Option<u64>, now_s: u64) -> Result<(), AssertionRefusal> {
    let latest_s = now_s.saturating_add(LEEWAY_S);
    let is_early = [issued_s, not_before_s].into_iter().flatten().any(|from_s| from_s > latest_s);
    let is_late = expires_s.saturating_add(LEEWAY_S) <= now_s;
    if is_early || is_late || expires_s > latest_s.saturating_add(LIFE_S_MAX) { Err(AssertionRefusal::Time) } else { Ok(()) }
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
    #[error("expected another type of assertion here")]
    Kind,
    /// Not signed with an algorithm that is believed.
    #[error("expected an algorithm that is believed here in the assertion")]
    Algorithm,
    /// No key of the client signed it.
    #[error("expected an assertion signed with a key of whoever it is of")]
    Signature,
    /// The claims are not those of an assertion.
    #[error("expected `iss`, `sub`, `aud`, `exp` and `jti` in the assertion")]
    Claims,
    /// The claims are not those of an identity assertion.
    #[error(
        "expected `iss`, `sub`, `aud`, `client_id`, `jti`, `exp` and `iat` in the identity assertion, each within its bounds"
    )]
    Identity,
    /// The claims are not those of a JWT-SVID.
    #[error("expected `sub`, `aud` and `exp` in the JWT-SVID")]
    Svid,
    /// Of another client, or said to another.
    #[error("expected an assertion of this client, or said to it")]
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
