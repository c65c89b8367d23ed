//! Proofs of possession (DPoP, RFC 9449): a client shows for each request that it holds the key to which its token is bound.
//!
//! [`verify`] checks a proof against the request as it arrived (§4.3); [`Nonces`] makes and knows the nonces of a server (§8) without
//! keeping any; [`Replays`] remembers proofs so that none counts twice (§11.1). No clock, no key of our own and no HTTP: moments and keys
//! are arguments. Whose token it is, and whether the proof's key is the token's, is the caller's to compare.
//!
//! All requests to an MCP server have one method and one address, so that a proof for one call would be good for any other. A proof may
//! therefore hold `content_digest`: SHA-256 of the body, base64url like `ath`. Whoever sends it is held to it.

mod prove;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use url::Url;

pub use prove::{ProofKey, Proving};

use crate::jwk::{Algorithm, JwkError, PublicKey};
use crate::jws::{Compact, Names, NotCompact};

/// A proof longer than this is not looked at.
pub const PROOF_BYTES_MAX: usize = 4 << 10;
/// How old a proof may be, and how far ahead of our clock, in seconds (RFC 9449 §11.1; SEP-1932 asks for five minutes).
pub const AGE_S_MAX: u64 = 300;
/// The longest id of a proof, in bytes.
pub const ID_BYTES_MAX: usize = 256;
/// The longest nonce, in bytes.
pub const NONCE_BYTES_MAX: usize = 256;

const TYP: &str = "dpop+jwt";

/// The request that a proof must be for.
#[derive(Clone, Copy, Debug)]
pub struct Demanded<'a> {
    /// Its method, in capitals.
    pub method: &'a str,
    /// Its address without query and fragment, as clients know it.
    pub url: &'a str,
    /// The access token that comes with it; none at a token endpoint.
    pub access_token: Option<&'a str>,
    /// The moment, in seconds since 1970.
    pub now_s: u64,
    /// How old the proof may be, and how far ahead, in seconds: at most [`AGE_S_MAX`].
    pub age_s_max: u64,
}

/// What a proof says, that was verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// The SHA-256 thumbprint of the key that was proved (RFC 7638).
    pub key_thumbprint: String,
    /// Its id (`jti`).
    pub id: String,
    /// The nonce of the server, where it holds one. Whether it is one of ours is [`Nonces::holds`] to say.
    pub nonce: Option<String>,
    /// SHA-256 of the body, where it holds one.
    pub body_digest: Option<[u8; 32]>,
}

impl Proof {
    /// Whether this is the body that the proof is for, if it is for one in particular.
    #[must_use]
    pub fn is_for_body(&self, body: &[u8]) -> bool {
        self.body_digest.is_none_or(|stated| stated == *digest(&SHA256, body).as_ref())
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Proof").field("key_thumbprint", &self.key_thumbprint).finish_non_exhaustive()
    }
}

/// Verifies a proof and reads it.
///
/// # Errors
/// [`ProofRefusal`].
pub fn verify(proof: &str, demanded: &Demanded) -> Result<Proof, ProofRefusal> {
    let mut compact = Compact::read(proof, PROOF_BYTES_MAX, Names::Key)?;
    if compact.kind() != Some(TYP) {
        return Err(ProofRefusal::Kind);
    }
    compact.algorithm().filter(|algorithm| *algorithm != Algorithm::Rs256).ok_or(ProofRefusal::Algorithm)?;
    let key = PublicKey::of_written(compact.take_key().ok_or(ProofRefusal::Key(JwkError::Kind))?)?;
    let claims: Claims = compact.claims().ok_or(ProofRefusal::Claims)?;
    // What costs nothing comes before what costs a signature.
    let proof = claims.proof(demanded)?;
    if !compact.is_signed_by(&key) {
        return Err(ProofRefusal::Signature);
    }
    Ok(Proof { key_thumbprint: key.thumbprint().to_owned(), ..proof })
}

/// What a proof claims (RFC 9449 §4.2). Others may stand beside it and say nothing.
#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: f64,
    ath: Option<String>,
    nonce: Option<String>,
    content_digest: Option<String>,
}

impl Claims {
    fn proof(self, demanded: &Demanded) -> Result<Proof, ProofRefusal> {
        let Claims { jti, htm, htu, iat, ath, nonce, content_digest } = self;
        if jti.is_empty() || jti.len() > ID_BYTES_MAX || nonce.as_ref().is_some_and(|nonce| nonce.len() > NONCE_BYTES_MAX) {
            return Err(ProofRefusal::Claims);
        }
        if htm != demanded.method {
            return Err(ProofRefusal::Method);
        }
        if !is_same_target(&htu, demanded.url) {
            return Err(ProofRefusal::Url);
        }
        let (age_s_max, now_s) = (demanded.age_s_max.min(AGE_S_MAX) as f64, demanded.now_s as f64);
        let is_fresh = (now_s - iat).abs() <= age_s_max;
        if !is_fresh {
            return Err(ProofRefusal::Time);
        }
        if let Some(token) = demanded.access_token
            && ath.as_deref() != Some(hash(token).as_str())
        {
            return Err(ProofRefusal::AccessToken);
        }
        let body_digest = content_digest.map(|text| digest_of(&text).ok_or(ProofRefusal::Claims)).transpose()?;
        Ok(Proof { key_thumbprint: String::new(), id: jti, nonce, body_digest })
    }
}

/// The hash of an access token as proofs hold it (`ath`, RFC 9449 §4.2).
#[must_use]
pub fn hash(access_token: &str) -> String {
    digest_in_base64(access_token.as_bytes())
}

fn digest_in_base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}

fn digest_of(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Whether two addresses are one, without query and fragment (RFC 9449 §4.3, number 9), after the normalisation of RFC 3986 §6.2.2 and §6.2.3.
fn is_same_target(claimed: &str, real: &str) -> bool {
    claimed == real || matches!((target(claimed), target(real)), (Some(claimed), Some(real)) if claimed == real)
}

fn target(text: &str) -> Option<Url> {
    // The reader of URLs forgives what no client sends: blanks around and backslashes in it.
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return None;
    }
    let mut url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

/// Why a proof is not believed. The sentences tell the bearer nothing that helps to forge one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofRefusal {
    /// Longer than [`PROOF_BYTES_MAX`].
    #[error("expected a DPoP proof of at most `{PROOF_BYTES_MAX}` bytes")]
    TooBig,
    /// Not three parts of base64url with JSON in the first two.
    #[error("expected a signed DPoP proof in three parts, found something else")]
    Malformed,
    /// The header holds a member that is not `typ`, `alg` or `jwk`.
    #[error("expected only `typ`, `alg` and `jwk` in the proof's header, found {name:?}")]
    Header {
        /// The member, cut short.
        name: String,
    },
    /// Not of the type of a proof.
    #[error("expected a proof of type `dpop+jwt`, found another kind")]
    Kind,
    /// Not signed with an algorithm that is believed.
    #[error("expected the algorithm `ES256` or `EdDSA` in the proof, found another")]
    Algorithm,
    /// The key cannot be used.
    #[error("the proof's key: {0}")]
    Key(#[from] JwkError),
    /// The signature does not hold.
    #[error("expected a proof signed with the key in it, found another signature")]
    Signature,
    /// The claims are not those of a proof.
    #[error("expected `jti`, `htm`, `htu` and `iat` in the proof, each within its bounds")]
    Claims,
    /// For another method.
    #[error("expected a proof for this method, found another `htm`")]
    Method,
    /// For another address.
    #[error("expected a proof for this address, found another `htu`")]
    Url,
    /// Too old, or from the future.
    #[error("expected a proof made just now, found another `iat`")]
    Time,
    /// For another access token.
    #[error("expected a proof for this access token, found another `ath`")]
    AccessToken,
}

impl ProofRefusal {
    /// A stable code for records and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ProofRefusal::TooBig => "proof_too_big",
            ProofRefusal::Malformed => "proof_malformed",
            ProofRefusal::Header { .. } => "proof_header",
            ProofRefusal::Kind => "proof_kind",
            ProofRefusal::Algorithm => "proof_algorithm",
            ProofRefusal::Key(JwkError::Private) => "proof_key_private",
            ProofRefusal::Key(JwkError::Kind | JwkError::Count | JwkError::Id) => "proof_key",
            ProofRefusal::Signature => "proof_signature",
            ProofRefusal::Claims => "proof_claims",
            ProofRefusal::Method => "proof_method",
            ProofRefusal::Url => "proof_url",
            ProofRefusal::Time => "proof_time",
            ProofRefusal::AccessToken => "proof_access_token",
        }
    }
}

impl From<NotCompact> for ProofRefusal {
    fn from(not: NotCompact) -> Self {
        match not {
            NotCompact::TooBig => ProofRefusal::TooBig,
            NotCompact::Malformed => ProofRefusal::Malformed,
            NotCompact::Header(name) => ProofRefusal::Header { name },
        }
    }
}

/// The nonces of a server: each is good in the span of time in which it was given out and in the next. None is kept; what makes one ours
/// is a keyed hash of its span.
pub struct Nonces {
    key: hmac::Key,
    span_s: u64,
    /// The newest that was made, with its span: every request asks for it.
    newest: Mutex<(u64, String)>,
}

impl Nonces {
    /// Nonces under a secret key. `span_s` is at least 1.
    #[must_use]
    pub fn new(key: &[u8; 32], span_s: u64) -> Nonces {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let first = made(&key, 0);
        Nonces { key, span_s: span_s.max(1), newest: Mutex::new((0, first)) }
    }

    /// How long a nonce is good at most, in seconds.
    #[must_use]
    pub fn life_s(&self) -> u64 {
        self.span_s.saturating_mul(2)
    }

    /// The nonce to give out now.
    #[must_use]
    pub fn at(&self, now_s: u64) -> String {
        self.of(now_s / self.span_s)
    }

    /// Whether this nonce was given out in this span or the one before.
    #[must_use]
    pub fn holds(&self, nonce: &str, now_s: u64) -> bool {
        let span = now_s / self.span_s;
        let is = |span| aws_lc_rs::constant_time::verify_slices_are_equal(self.of(span).as_bytes(), nonce.as_bytes()).is_ok();
        is(span) || span.checked_sub(1).is_some_and(is)
    }

    fn of(&self, span: u64) -> String {
        // Whoever held it when it was poisoned left a whole pair behind.
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.0 < span {
            *newest = (span, made(&self.key, span));
        }
        if newest.0 == span { newest.1.clone() } else { made(&self.key, span) }
    }
}

fn made(key: &hmac::Key, span: u64) -> String {
    URL_SAFE_NO_PAD.encode(&hmac::sign(key, &span.to_be_bytes()).as_ref()[..16])
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Nonces").field("span_s", &self.span_s).finish_non_exhaustive()
    }
}

/// Proofs that were used. Remembers each for at least a span of time, in two halves of which the older is dropped whole.
#[derive(Debug)]
pub struct Replays {
    span_s: u64,
    each_max: usize,
    began_s: u64,
    young: HashSet<[u8; 16]>,
    old: HashSet<[u8; 16]>,
}

/// Why a proof is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It was used before.
    Used,
    /// More proofs came than are remembered. What cannot be remembered could be used twice.
    Full,
}

impl Replays {
    /// Remembers at least for `span_s`, and at most `each_max` proofs in a span of that length.
    #[must_use]
    pub fn new(span_s: u64, each_max: usize) -> Replays {
        Replays { span_s: span_s.max(1), each_max, began_s: 0, young: HashSet::new(), old: HashSet::new() }
    }

    /// Takes the proof with this id by this key, if it is the first.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn take(&mut self, key_thumbprint: &str, id: &str, now_s: u64) -> Result<(), NotTaken> {
        self.turn(now_s);
        let print = print_of(key_thumbprint, id);
        if self.old.contains(&print) || self.young.contains(&print) {
            return Err(NotTaken::Used);
        }
        if self.young.len() >= self.each_max {
            return Err(NotTaken::Full);
        }
        self.young.insert(print);
        Ok(())
    }

    fn turn(&mut self, now_s: u64) {
        let age_s = now_s.saturating_sub(self.began_s);
        if age_s < self.span_s {
            return;
        }
        let young = std::mem::take(&mut self.young);
        // After a longer pause even the young are older than they need to be remembered.
        self.old = if age_s < self.span_s.saturating_mul(2) { young } else { HashSet::new() };
        self.began_s = now_s;
    }
}

/// The half of a SHA-256 is enough to tell proofs apart, and an attacker gains nothing by two that look alike but a refusal.
fn print_of(key_thumbprint: &str, id: &str) -> [u8; 16] {
    let mut hash = Context::new(&SHA256);
    hash.update(key_thumbprint.as_bytes());
    hash.update(&[0]);
    hash.update(id.as_bytes());
    *hash.finish().as_ref().first_chunk().expect("16 of 32 bytes")
}
