//! The other side: a client that holds a key and proves it. For agents of ours, for measuring, and for tests as other clients would.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::{digest_in_base64, hash};
use crate::jwk::PublicKey;
use crate::token::KeyError;

/// A private key of a client, of P-256 or of Ed25519.
#[derive(Clone)]
pub struct ProofKey {
    /// One of two.
    algorithm: Algorithm,
    key: EncodingKey,
    jwk: Value,
    thumbprint: String,
}

/// What a proof is made for.
#[derive(Clone, Copy, Debug)]
pub struct Proving<'a> {
    /// The request's method, in capitals.
    pub method: &'a str,
    /// Its address.
    pub url: &'a str,
    /// The access token that goes with it.
    pub access_token: Option<&'a str>,
    /// The nonce that the server gave out last.
    pub nonce: Option<&'a str>,
    /// The body, where the proof shall be good for no other.
    pub body: Option<&'a [u8]>,
    /// An id that was not used before.
    pub id: &'a str,
    /// The moment, in seconds since 1970.
    pub now_s: u64,
}

impl ProofKey {
    /// From a private key in DER (PKCS#8): of P-256, or of Ed25519.
    ///
    /// # Errors
    /// [`KeyError::Private`] when it is neither.
    pub fn from_pkcs8(der: &[u8]) -> Result<ProofKey, KeyError> {
        let (algorithm, key, jwk) = if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            // An uncompressed point: 4, x, y (SEC 1 §2.3.3).
            let point = pair.public_key().as_ref().to_vec();
            let [x, y] = [&point[1..33], &point[33..65]].map(|part| URL_SAFE_NO_PAD.encode(part));
            (Algorithm::ES256, EncodingKey::from_ec_der(der), json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }))
        } else {
            let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_| KeyError::Private)?;
            let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
            (Algorithm::EdDSA, EncodingKey::from_ed_der(der), json!({ "kty": "OKP", "crv": "Ed25519", "x": x }))
        };
        let thumbprint = PublicKey::of(&jwk).map_err(|_| KeyError::Public)?.thumbprint().to_owned();
        Ok(ProofKey { algorithm, key, jwk, thumbprint })
    }

    /// The public half, as JWK.
    #[must_use]
    pub fn public(&self) -> &Value {
        &self.jwk
    }

    /// The thumbprint of the public half (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// A proof for one request (RFC 9449 §4.2).
    ///
    /// # Errors
    /// [`KeyError::Private`] when the key does not sign.
    pub fn prove(&self, proving: &Proving) -> Result<String, KeyError> {
        let mut claims = json!({ "jti": proving.id, "htm": proving.method, "htu": proving.url, "iat": proving.now_s });
        let optional = [
            ("ath", proving.access_token.map(hash)),
            ("nonce", proving.nonce.map(str::to_owned)),
            ("content_digest", proving.body.map(digest_in_base64)),
        ];
        for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            claims[name] = value.into();
        }
        self.sign(&json!({ "typ": super::TYP, "alg": self.name(), "jwk": self.jwk }), &claims)
    }

    /// A client's word for who it is (`client_assertion`, RFC 7523 §2.2), good for a minute.
    ///
    /// # Errors
    /// [`KeyError::Private`] when the key does not sign.
    pub fn assert_client(&self, client: &str, audience: &str, id: &str, now_s: u64) -> Result<String, KeyError> {
        let claims = json!({ "iss": client, "sub": client, "aud": audience, "jti": id, "iat": now_s, "exp": now_s + 60 });
        self.sign(&json!({ "typ": "JWT", "alg": self.name() }), &claims)
    }

    /// Signs any header and any claims: what a wrong client would send.
    ///
    /// # Errors
    /// [`KeyError::Private`] when the key does not sign.
    pub fn sign(&self, header: &Value, claims: &Value) -> Result<String, KeyError> {
        let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm);
        Ok(format!("{message}.{}", signature.map_err(|_| KeyError::Private)?))
    }

    fn name(&self) -> &'static str {
        match self.algorithm {
            Algorithm::ES256 => "ES256",
            _ => "EdDSA",
        }
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("ProofKey").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}
