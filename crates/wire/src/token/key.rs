//! Ed25519 keys with their ids. Keys are made and kept elsewhere; here they are read and used.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{DecodingKey, EncodingKey};

/// Keys that a verifier trusts at once, at most.
const KEYS_MAX: usize = 64;
const KEY_BYTES: usize = 32;

/// A private key that signs tokens, and the id under which verifiers know it.
#[derive(Clone)]
pub struct SigningKey {
    id: String,
    key: EncodingKey,
    public: [u8; KEY_BYTES],
}

impl SigningKey {
    /// From a private key in PEM (`PRIVATE KEY`, PKCS#8, RFC 8410).
    pub fn from_pem(id: impl Into<String>, pem: &[u8]) -> Result<SigningKey, KeyError> {
        let key = EncodingKey::from_ed_pem(pem).map_err(|_| KeyError::Private)?;
        SigningKey::new(id.into(), key)
    }

    /// From a private key in DER (PKCS#8, RFC 8410).
    pub fn from_der(id: impl Into<String>, der: &[u8]) -> Result<SigningKey, KeyError> {
        SigningKey::new(id.into(), EncodingKey::from_ed_der(der))
    }

    /// From the 32 bytes of RFC 8032 §5.1.5.
    pub fn from_seed(id: impl Into<String>, seed: &[u8; KEY_BYTES]) -> Result<SigningKey, KeyError> {
        /// What stands before the seed in PKCS#8 (RFC 8410 §10.3).
        const BEFORE_SEED: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        SigningKey::from_der(id, &[&BEFORE_SEED[..], seed].concat())
    }

    /// The id in the tokens' headers (`kid`).
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key, raw.
    pub fn public(&self) -> &[u8; KEY_BYTES] {
        &self.public
    }

    pub(super) fn encoding(&self) -> &EncodingKey {
        &self.key
    }

    fn new(id: String, key: EncodingKey) -> Result<SigningKey, KeyError> {
        key_id(&id)?;
        // jsonwebtoken derives the public half only of keys that do not hold it already (RFC 5958 §2).
        let pair = Ed25519KeyPair::from_pkcs8(key.as_bytes()).map_err(|_| KeyError::Private)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Private)?;
        Ok(SigningKey { id, key, public })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The public keys that are trusted, by id. A token names one; no other is tried.
#[derive(Clone, Default)]
pub struct VerifyingKeys(BTreeMap<String, DecodingKey>);

impl VerifyingKeys {
    /// Trusts nothing yet.
    pub fn new() -> VerifyingKeys {
        VerifyingKeys::default()
    }

    /// Adds the public half of a signing key.
    pub fn with(mut self, key: &SigningKey) -> Result<VerifyingKeys, KeyError> {
        self.add_raw(key.id(), key.public())?;
        Ok(self)
    }

    /// Adds a public key of 32 bytes (RFC 8032 §5.1.5).
    pub fn add_raw(&mut self, id: impl Into<String>, public: &[u8; KEY_BYTES]) -> Result<(), KeyError> {
        self.add(id.into(), DecodingKey::from_ed_der(public))
    }

    /// Adds a public key in PEM (`PUBLIC KEY`, RFC 8410).
    pub fn add_pem(&mut self, id: impl Into<String>, pem: &[u8]) -> Result<(), KeyError> {
        let key = DecodingKey::from_ed_pem(pem).map_err(|_| KeyError::Public)?;
        if key.try_get_as_bytes().map_or(0, <[u8]>::len) != KEY_BYTES {
            return Err(KeyError::Public);
        }
        self.add(id.into(), key)
    }

    pub(super) fn find(&self, id: &str) -> Option<&DecodingKey> {
        self.0.get(id)
    }

    fn add(&mut self, id: String, key: DecodingKey) -> Result<(), KeyError> {
        key_id(&id)?;
        if self.0.contains_key(&id) {
            return Err(KeyError::Twice { id });
        }
        if self.0.len() == KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        self.0.insert(id, key);
        Ok(())
    }
}

impl fmt::Debug for VerifyingKeys {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The 32 bytes of a public key in PEM (`PUBLIC KEY`, RFC 8410).
pub fn public_of_pem(pem: &[u8]) -> Result<[u8; KEY_BYTES], KeyError> {
    let key = DecodingKey::from_ed_pem(pem).map_err(|_| KeyError::Public)?;
    key.try_get_as_bytes().ok().and_then(|bytes| bytes.try_into().ok()).ok_or(KeyError::Public)
}

/// The SHA-256 thumbprint of a public key given as JWK (RFC 7638 §3), base64url. A JWK that holds private members is refused: jsonwebtoken
/// drops them in silence, and a key whose private half travels proves nothing (RFC 9449 §4.2).
pub fn thumbprint(jwk: &serde_json::Value) -> Result<String, KeyError> {
    /// RFC 7518 §6.2.2, §6.3.2, §6.4.1.
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    if PRIVATE.iter().any(|name| jwk.get(name).is_some()) {
        return Err(KeyError::PrivateInPublic);
    }
    let jwk: Jwk = serde_json::from_value(jwk.clone()).map_err(|_| KeyError::Public)?;
    jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| KeyError::Public)
}

/// Why a key cannot be used. Never says anything of the key itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The private key could not be read.
    #[error("expected a private Ed25519 key (PKCS#8), found something else")]
    Private,
    /// The public key could not be read.
    #[error("expected a public key, found something else")]
    Public,
    /// A public key came with its private half.
    #[error("expected a public key, found private members in it")]
    PrivateInPublic,
    /// The key's id is empty or too long.
    #[error("expected a key id of 1 to `{max}` bytes", max = super::NAME_BYTES_MAX)]
    Id,
    /// Two keys under one id.
    #[error("expected one key for the id `{id}`, found two")]
    Twice {
        /// The id.
        id: String,
    },
    /// More keys than are kept.
    #[error("expected at most `{KEYS_MAX}` keys")]
    TooMany,
}

fn key_id(id: &str) -> Result<(), KeyError> {
    if id.is_empty() || id.len() > super::NAME_BYTES_MAX { Err(KeyError::Id) } else { Ok(()) }
}
