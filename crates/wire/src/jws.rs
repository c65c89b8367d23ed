//! A signed JSON text in three parts (RFC 7515 §7.1), taken apart strictly before anybody looks at its signature.
//!
//! Knows no claims and no clock. What jsonwebtoken leaves to its callers is done here and in `jwk`: a header may hold the members that
//! its reader names and no other, so that neither `crit`, nor a key by reference, nor a compression can have a say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::jwk::{Algorithm, PublicKey, Written};
use crate::strict::Object;

/// The longest member name that appears in an error, in characters.
const NAME_SHOWN_CHARS_MAX: usize = 16;

/// The header, read by its members: one that is there twice, or that is not here, is refused.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Option<String>,
    typ: Option<String>,
    kid: Option<String>,
    jwk: Option<Object<Written>>,
}

/// A text in three parts. Nothing of it is believed before [`Compact::is_signed_by`].
pub(crate) struct Compact<'t> {
    header: Header,
    claims: Vec<u8>,
    message: &'t str,
    signature: &'t str,
}

/// Why a text is none.
pub(crate) enum NotCompact {
    /// Longer than the bound.
    TooBig,
    /// Not three parts of base64url with JSON objects in the first two.
    Malformed,
    /// The header holds a member that its reader does not name.
    Header(String),
}

/// Which members a header may have beside `alg` and `typ`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// `jwk`: the key itself.
    Key,
    /// `kid`: the id of a key that is known already.
    Id,
}

impl<'t> Compact<'t> {
    /// Takes `text` apart. Its header may hold `alg`, `typ`, and what `names` says.
    pub(crate) fn read(text: &'t str, bytes_max: usize, names: Names) -> Result<Compact<'t>, NotCompact> {
        if text.len() > bytes_max {
            return Err(NotCompact::TooBig);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(NotCompact::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(NotCompact::Malformed)?;
        let bytes = URL_SAFE_NO_PAD.decode(header).map_err(|_| NotCompact::Malformed)?;
        let Object(header) = serde_json::from_slice::<Object<Header>>(&bytes).map_err(|_| foreign(&bytes))?;
        let unnamed = match names {
            Names::Key if header.kid.is_some() => Some("kid"),
            Names::Id if header.jwk.is_some() => Some("jwk"),
            Names::Key | Names::Id => None,
        };
        if let Some(name) = unnamed {
            return Err(NotCompact::Header(name.to_owned()));
        }
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| NotCompact::Malformed)?;
        Ok(Compact { header, claims, message, signature })
    }

    /// `typ`
    pub(crate) fn kind(&self) -> Option<&str> {
        self.header.typ.as_deref()
    }

    /// `kid`
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// `jwk`
    pub(crate) fn take_key(&mut self) -> Option<Written> {
        self.header.jwk.take().map(|Object(jwk)| jwk)
    }

    /// The algorithm that the header names, where it is one that is believed.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.header.alg.as_deref().and_then(Algorithm::named)
    }

    /// Whether this key signed it, with the algorithm of the key and no other.
    pub(crate) fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.algorithm() == Some(key.algorithm()) && key.verifies(self.message, self.signature)
    }

    /// The claims; a member that is read and there twice makes them none. What is not read may be anything.
    pub(crate) fn claims<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.claims).ok().map(|Object(claims)| claims)
    }
}

/// What is wrong with a header that could not be read: a member that nobody here knows, or anything else.
fn foreign(header: &[u8]) -> NotCompact {
    let Ok(members) = serde_json::from_slice::<Map<String, Value>>(header) else { return NotCompact::Malformed };
    let known = |name: &&String| !matches!(name.as_str(), "alg" | "typ" | "kid" | "jwk");
    match members.keys().find(known) {
        Some(name) => NotCompact::Header(name.chars().take(NAME_SHOWN_CHARS_MAX).collect()),
        None => NotCompact::Malformed,
    }
}
