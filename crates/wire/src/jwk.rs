//! Public keys of others, as JWK (RFC 7517): the key of a proof, the keys of a client.
//!
//! A key has one algorithm, which follows from its kind and never from a message (RFC 8725 §3.1). A JWK with private members is refused:
//! libraries drop them in silence, and a key whose private half travels proves nothing (RFC 9449 §4.3, number 7). Signatures are
//! aws-lc's, on the bytes as it takes them: a proof comes with every request.

#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::strict::Object;

/// A coordinate of P-256 (RFC 7518 §6.2.1.2) and a public key of Ed25519 (RFC 8032 §5.1.5), in bytes.
const COORDINATE_BYTES: usize = 32;
/// The longest number of an RSA key, and the longest signature, in bytes.
const RSA_BYTES_MAX: usize = 1024;
const SIGNATURE_BYTES_MAX: usize = RSA_BYTES_MAX;
/// The most keys of one client.
pub const KEYS_MAX: usize = 16;
/// The longest id of a key, in bytes.
const ID_BYTES_MAX: usize = 256;

/// The algorithms that are believed. Proofs and clients use the first two; RSA is for identity providers, which sign with what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
    /// Ed25519 (RFC 8037 §3.1; RFC 9864 §2.2 calls it `Ed25519`).
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256 and keys of 2048 to 8192 bits (RFC 7518 §3.3).
    Rs256,
}

impl Algorithm {
    /// The names of those for proofs and clients, for metadata and challenges.
    pub const NAMES: [&'static str; 3] = ["ES256", "EdDSA", "Ed25519"];

    /// The algorithm of this name. Everything else, `none` and every keyed hash among it, is none.
    pub(crate) fn named(name: &str) -> Option<Algorithm> {
        match name {
            "ES256" => Some(Algorithm::Es256),
            "EdDSA" | "Ed25519" => Some(Algorithm::EdDsa),
            "RS256" => Some(Algorithm::Rs256),
            _ => None,
        }
    }
}

/// A public key of somebody else.
#[derive(Clone)]
pub struct PublicKey {
    key: Key,
    thumbprint: String,
    id: Option<String>,
}

/// A public key as the library for signatures takes it.
#[derive(Clone)]
enum Key {
    /// An uncompressed point: 4, x, y (SEC 1 §2.3.3).
    Es256([u8; 1 + 2 * COORDINATE_BYTES]),
    /// RFC 8032 §5.1.5.
    EdDsa([u8; COORDINATE_BYTES]),
    /// Modulus and exponent (RFC 7518 §6.3.1).
    Rs256(Box<RsaPublicKeyComponents<Vec<u8>>>),
}

/// A JWK as it is written (RFC 7517 §4). A member twice is no JWK; what is not here says nothing here.
#[derive(Deserialize)]
pub(crate) struct Written {
    kty: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    // What only a private or a symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1), whatever it is.
    #[serde(default, deserialize_with = "present")]
    d: bool,
    #[serde(default, deserialize_with = "present")]
    p: bool,
    #[serde(default, deserialize_with = "present")]
    q: bool,
    #[serde(default, deserialize_with = "present")]
    dp: bool,
    #[serde(default, deserialize_with = "present")]
    dq: bool,
    #[serde(default, deserialize_with = "present")]
    qi: bool,
    #[serde(default, deserialize_with = "present")]
    oth: bool,
    #[serde(default, deserialize_with = "present")]
    k: bool,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Why a JWK is not used. Never says anything of the key itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// It holds a private half.
    #[error("expected a public key, found private members in it")]
    Private,
    /// It is no P-256 or Ed25519 key.
    #[error("expected a public key of P-256 (`EC`) or Ed25519 (`OKP`), found something else")]
    Kind,
    /// More keys than are kept, or none.
    #[error("expected 1 to {KEYS_MAX} public keys under `keys`")]
    Count,
    /// An id that is too long.
    #[error("expected a `kid` of at most {ID_BYTES_MAX} bytes")]
    Id,
}

impl PublicKey {
    /// Reads one JWK. Members that say nothing here (`use`, `ext`, `key_ops`) are passed over (RFC 7517 §4).
    ///
    /// # Errors
    /// [`JwkError`].
    pub fn of(jwk: &Value) -> Result<PublicKey, JwkError> {
        let Object(written) = Object::<Written>::deserialize(jwk).map_err(|_| JwkError::Kind)?;
        PublicKey::of_written(written)
    }

    /// Of a proof or a client: no RSA, whose checks cost what the sender of the key says.
    pub(crate) fn of_written(jwk: Written) -> Result<PublicKey, JwkError> {
        let key = PublicKey::of_any(jwk)?;
        if key.algorithm() == Algorithm::Rs256 { Err(JwkError::Kind) } else { Ok(key) }
    }

    fn of_any(jwk: Written) -> Result<PublicKey, JwkError> {
        if jwk.d || jwk.p || jwk.q || jwk.dp || jwk.dq || jwk.qi || jwk.oth || jwk.k {
            return Err(JwkError::Private);
        }
        // What is hashed are the members that a key of its kind must have, in the order of their names (RFC 7638 §3.2).
        let (key, hashed) = match (jwk.kty.as_deref(), jwk.crv.as_deref(), &jwk.x, &jwk.y) {
            (Some("EC"), Some("P-256"), Some(x), Some(y)) => {
                let mut point = [4; 1 + 2 * COORDINATE_BYTES];
                point[1..=COORDINATE_BYTES].copy_from_slice(&coordinate(x)?);
                point[1 + COORDINATE_BYTES..].copy_from_slice(&coordinate(y)?);
                (Key::Es256(point), format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#))
            }
            (Some("OKP"), Some("Ed25519"), Some(x), _) => {
                (Key::EdDsa(coordinate(x)?), format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#))
            }
            (Some("RSA"), None, None, None) => {
                let (Some(n), Some(e)) = (&jwk.n, &jwk.e) else { return Err(JwkError::Kind) };
                let key = RsaPublicKeyComponents { n: number(n)?, e: number(e)? };
                (Key::Rs256(Box::new(key)), format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#))
            }
            _ => return Err(JwkError::Kind),
        };
        // A key that says what it is for is not used for anything else (RFC 7517 §4.4).
        if jwk.alg.is_some_and(|name| Algorithm::named(&name) != Some(key.algorithm())) {
            return Err(JwkError::Kind);
        }
        if jwk.kid.as_ref().is_some_and(|id| id.len() > ID_BYTES_MAX) {
            return Err(JwkError::Id);
        }
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, hashed.as_bytes()));
        Ok(PublicKey { key, thumbprint, id: jwk.kid })
    }

    /// Reads a set of keys (RFC 7517 §5).
    ///
    /// # Errors
    /// [`JwkError`] of the first key that cannot be used.
    pub fn set(jwks: &Value) -> Result<Vec<PublicKey>, JwkError> {
        let keys = jwks.get("keys").and_then(Value::as_array).ok_or(JwkError::Count)?;
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(JwkError::Count);
        }
        keys.iter().map(PublicKey::of).collect()
    }

    /// Reads the keys of an identity provider, RSA among them. A key for something else (`use`) is passed over, because such sets hold both.
    ///
    /// # Errors
    /// [`JwkError`] of the first key that cannot be used.
    pub fn set_of_issuer(jwks: &Value) -> Result<Vec<PublicKey>, JwkError> {
        PublicKey::set_for(jwks, |usage| usage.is_none_or(|usage| usage == "sig"))
    }

    /// Reads the keys with which a trust domain signs JWT-SVIDs, out of its bundle (SPIFFE Trust Domain and Bundle §4.2).
    ///
    /// # Errors
    /// [`JwkError`] of the first key that cannot be used.
    pub fn set_of_trust_domain(bundle: &Value) -> Result<Vec<PublicKey>, JwkError> {
        PublicKey::set_for(bundle, |usage| usage == Some("jwt-svid"))
    }

    fn set_for(jwks: &Value, is_for: impl Fn(Option<&str>) -> bool) -> Result<Vec<PublicKey>, JwkError> {
        let keys = jwks.get("keys").and_then(Value::as_array).ok_or(JwkError::Count)?;
        let read = |key: &Value| {
            let Object(written) = Object::<Written>::deserialize(key).map_err(|_| JwkError::Kind)?;
            PublicKey::of_any(written)
        };
        let meant = keys.iter().filter(|key| is_for(key.get("use").and_then(Value::as_str)));
        let keys: Vec<PublicKey> = meant.map(read).collect::<Result<_, _>>()?;
        if keys.is_empty() || keys.len() > KEYS_MAX { Err(JwkError::Count) } else { Ok(keys) }
    }

    /// Its one algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// The SHA-256 thumbprint (RFC 7638 §3), base64url.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Its id, where it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether a signature in base64url is one of this key, with its own algorithm.
    pub(crate) fn verifies(&self, message: &str, signature: &str) -> bool {
        let mut bytes = [0; SIGNATURE_BYTES_MAX + 3];
        let Ok(length) = URL_SAFE_NO_PAD.decode_slice(signature, &mut bytes) else { return false };
        let (message, signature) = (message.as_bytes(), &bytes[..length]);
        let verified = match &self.key {
            // Both have signatures of one length, which aws-lc holds them to (RFC 7518 §3.4, RFC 8032 §5.1.6).
            Key::Es256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature),
            Key::EdDsa(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Key::Rs256(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
        };
        verified.is_ok()
    }
}

impl Key {
    fn algorithm(&self) -> Algorithm {
        match self {
            Key::Es256(_) => Algorithm::Es256,
            Key::EdDsa(_) => Algorithm::EdDsa,
            Key::Rs256(_) => Algorithm::Rs256,
        }
    }
}

/// A public key's fingerprint is no secret, and tells one from another.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("PublicKey").field("algorithm", &self.algorithm()).field("thumbprint", &self.thumbprint).finish()
    }
}

/// Exactly 32 bytes, in the one spelling that base64url has for them: two spellings would be two thumbprints of one key.
fn coordinate(text: &str) -> Result<[u8; COORDINATE_BYTES], JwkError> {
    let mut bytes = [0; COORDINATE_BYTES + 3];
    match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(COORDINATE_BYTES) => Ok(*bytes.first_chunk().expect("there are more")),
        Ok(_) | Err(_) => Err(JwkError::Kind),
    }
}

/// A number of an RSA key (`Base64urlUInt`, RFC 7518 §2): without zeros before it, so that it has one spelling.
fn number(text: &str) -> Result<Vec<u8>, JwkError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| JwkError::Kind)?;
    if bytes.len() <= RSA_BYTES_MAX && bytes.first().is_some_and(|first| *first != 0) { Ok(bytes) } else { Err(JwkError::Kind) }
}
