//! A secret in memory: wiped when it is let go, and never printed.

use std::fmt;

use zeroize::Zeroizing;

/// The longest secret, in bytes. Access tokens that are signed can be long; a header cannot.
pub const SECRET_BYTES_MAX: usize = 8 << 10;

/// Something that nobody may read but the upstream for which it is.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// Why a text is not taken for a secret. Nothing of the text is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotASecret {
    /// Nothing is there.
    #[error("expected a secret, found nothing")]
    Empty,
    /// More than a header carries.
    #[error("expected a secret of at most {SECRET_BYTES_MAX} bytes")]
    TooLong,
    /// It could not stand in a header as it is.
    #[error("expected a secret of visible ASCII characters on one line, without spaces around it")]
    Characters,
}

impl Secret {
    /// Takes a text that can stand in a header for a secret.
    ///
    /// # Errors
    /// [`NotASecret`]; the text is wiped all the same.
    pub fn parse(text: String) -> Result<Self, NotASecret> {
        let text = Zeroizing::new(text);
        if text.is_empty() {
            return Err(NotASecret::Empty);
        }
        if text.len() > SECRET_BYTES_MAX {
            return Err(NotASecret::TooLong);
        }
        let is_plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.trim().len() == text.len();
        if is_plain { Ok(Self(text)) } else { Err(NotASecret::Characters) }
    }

    /// The secret itself. Whoever calls this answers for where it goes.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
