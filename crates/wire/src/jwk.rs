//! Public keys of others, as JWK (RFC 7517): the key of a proof, the keys of a client.
//!
//! A key has one algorithm, which follows from its kind and never from a message (RFC 8725 §3.1). A JWK with private members is refused:
//! jsonwebtoken drops them in silence, and a key whose private half travels proves nothing (RFC 9449 §4.3, number 7).

#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, EllipticCurveKeyType, Jwk,
    OctetKeyPairParameters, OctetKeyPairType, ThumbprintHash,
};
use serde_json::Value;

/// A coordinate of P-256 (RFC 7518 §6.2.1.2) and a public key of Ed25519 (RFC 8032 §5.1.5), in bytes.
const COORDINATE_BYTES: usize = 32;
/// Members that only a private or a symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// The most keys of one client.
pub const KEYS_MAX: usize = 16;
/// The longest id of a key, in bytes.
const ID_BYTES_MAX: usize = 256;

/// The algorithms that are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
    /// Ed25519 (RFC 8037 §3.1; RFC 9864 §2.2 calls it `Ed25519`).
    EdDsa,
}

impl Algorithm {
    /// Their names, for metadata and challenges.
    pub const NAMES: [&'static str; 3] = ["ES256", "EdDSA", "Ed25519"];

    /// The algorithm of this name. Everything else, `none` and every keyed hash among it, is none.
    pub(crate) fn named(name: &str) -> Option<Algorithm> {
        match name {
            "ES256" => Some(Algorithm::Es256),
            "EdDSA" | "Ed25519" => Some(Algorithm::EdDsa),
            _ => None,
        }
    }

    pub(crate) fn library(self) -> jsonwebtoken::Algorithm {
        match self {
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// A public key of somebody else.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    key: DecodingKey,
    thumbprint: String,
    id: Option<String>,
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
        let members = jwk.as_object().ok_or(JwkError::Kind)?;
        if PRIVATE.iter().any(|name| members.contains_key(*name)) {
            return Err(JwkError::Private);
        }
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let coordinate = |name: &str| text(name).filter(|text| is_coordinate(text)).ok_or(JwkError::Kind).map(str::to_owned);
        let (algorithm, parameters) = match (text("kty"), text("crv")) {
            (Some("EC"), Some("P-256")) => {
                let (x, y) = (coordinate("x")?, coordinate("y")?);
                let key = EllipticCurveKeyParameters { key_type: EllipticCurveKeyType::EC, curve: EllipticCurve::P256, x, y };
                (Algorithm::Es256, AlgorithmParameters::EllipticCurve(key))
            }
            (Some("OKP"), Some("Ed25519")) => {
                let x = coordinate("x")?;
                let key = OctetKeyPairParameters { key_type: OctetKeyPairType::OctetKeyPair, curve: EllipticCurve::Ed25519, x };
                (Algorithm::EdDsa, AlgorithmParameters::OctetKeyPair(key))
            }
            _ => return Err(JwkError::Kind),
        };
        // A key that says what it is for is not used for anything else (RFC 7517 §4.4).
        if text("alg").is_some_and(|name| Algorithm::named(name) != Some(algorithm)) {
            return Err(JwkError::Kind);
        }
        let id = text("kid").map(str::to_owned);
        if id.as_ref().is_some_and(|id| id.len() > ID_BYTES_MAX) {
            return Err(JwkError::Id);
        }
        let jwk = Jwk { common: CommonParameters::default(), algorithm: parameters };
        let key = DecodingKey::from_jwk(&jwk).map_err(|_| JwkError::Kind)?;
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| JwkError::Kind)?;
        Ok(PublicKey { algorithm, key, thumbprint, id })
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

    /// Its one algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
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

    pub(crate) fn verifies(&self, message: &str, signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.key, self.algorithm.library()).unwrap_or(false)
    }
}

/// A public key's fingerprint is no secret, and tells one from another.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("PublicKey").field("algorithm", &self.algorithm).field("thumbprint", &self.thumbprint).finish()
    }
}

/// Exactly 32 bytes, in the one spelling that base64url has for them: two spellings would be two thumbprints of one key.
fn is_coordinate(text: &str) -> bool {
    let mut bytes = [0; COORDINATE_BYTES + 1];
    URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).is_ok_and(|length| length == COORDINATE_BYTES)
}
