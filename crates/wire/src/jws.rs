//! A signed JSON text in three parts (RFC 7515 §7.1), taken apart strictly before anybody looks at its signature.
//!
//! Knows no claims and no clock. What jsonwebtoken leaves to its callers is done here and in `jwk`: a header may hold the members that
//! its reader names and no other, so that neither `crit`, nor a key by reference, nor a compression can have a say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::frame::Limits;
use crate::jwk::{Algorithm, PublicKey};
use crate::strict;

/// The longest member name that appears in an error, in characters.
const NAME_SHOWN_CHARS_MAX: usize = 16;
/// Header and claims are flat, but for a key and its lists.
const DEPTH_MAX: usize = 6;

/// A text in three parts. Nothing of it is believed before [`Compact::is_signed_by`].
pub(crate) struct Compact<'t> {
    header: Map<String, Value>,
    claims: String,
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

impl<'t> Compact<'t> {
    /// Takes `text` apart. Its header may hold the members `allowed` and no other.
    pub(crate) fn read(text: &'t str, bytes_max: usize, allowed: &[&str]) -> Result<Compact<'t>, NotCompact> {
        if text.len() > bytes_max {
            return Err(NotCompact::TooBig);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(NotCompact::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(NotCompact::Malformed)?;
        let header = decoded(header).ok_or(NotCompact::Malformed)?;
        let claims = decoded(claims).ok_or(NotCompact::Malformed)?;
        let header: Map<String, Value> = serde_json::from_str(&header).map_err(|_| NotCompact::Malformed)?;
        if let Some(name) = header.keys().find(|name| !allowed.contains(&name.as_str())) {
            return Err(NotCompact::Header(name.chars().take(NAME_SHOWN_CHARS_MAX).collect()));
        }
        Ok(Compact { header, claims, message, signature })
    }

    /// A member of the header.
    pub(crate) fn member(&self, name: &str) -> Option<&Value> {
        self.header.get(name)
    }

    /// A member of the header that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.member(name).and_then(Value::as_str)
    }

    /// The algorithm that the header names, where it is one that is believed.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.text("alg").and_then(Algorithm::named)
    }

    /// Whether this key signed it, with the algorithm of the key and no other.
    pub(crate) fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.algorithm() == Some(key.algorithm()) && key.verifies(self.message, self.signature)
    }

    /// The claims, as text without duplicate members.
    pub(crate) fn claims(&self) -> &str {
        &self.claims
    }
}

/// The JSON text of one part, held to the bounds and without duplicate members.
fn decoded(part: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
    strict::check(&text, &Limits { depth_max: DEPTH_MAX, ..Limits::default() }).ok()?;
    Some(text)
}
