//! Names: one newtype per thing that has an identifier, so that an item can never stand where a person is meant.
//!
//! A name is bounded text without control characters, checked where it enters ([`Name::parse`] of each type);
//! whatever holds the type may rely on that. Cloning is a reference count.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 512;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a name is empty")]
    Empty,
    /// More than [`NAME_BYTES_MAX`] bytes.
    #[error("a name has {found} bytes, at most {NAME_BYTES_MAX} are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// Control characters would corrupt logs and terminals.
    #[error("a name has a control character")]
    Control,
}

fn check(text: &str) -> Result<(), NameError> {
    match text {
        "" => Err(NameError::Empty),
        long if long.len() > NAME_BYTES_MAX => Err(NameError::TooLong { found: long.len() }),
        odd if odd.chars().any(char::is_control) => Err(NameError::Control),
        _ => Ok(()),
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and makes it a name.
            ///
            /// # Errors
            /// [`NameError`] when it is empty, longer than [`NAME_BYTES_MAX`] bytes, or has control characters.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                check(text)?;
                Ok(Self(text.into()))
            }
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }
            /// The same text, shared.
            #[must_use]
            pub fn shared(&self) -> Arc<str> { self.0.clone() }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:?}", &*self.0) }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> { Self::parse(&text) }
        }
        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> { Self::parse(text) }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String { name.0.as_ref().to_owned() }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str { &self.0 }
        }
    )*};
}

names! {
    /// A person, an agent or a service.
    PrincipalId;
    /// A group of people; written with a leading `@` where people and groups mix.
    GroupId;
    /// Something an act is done to: an item, or a destination. `kind:rest` by convention.
    ResourceId;
    /// A task: why a chain acts at all. Flow state hangs on it.
    TaskId;
    /// One decision, and by it one act.
    DecisionId;
    /// One question put to a person.
    AskId;
    /// A tool as the gateway names it: upstream and tool.
    ToolId;
    /// A norm, as its `@norm` annotation says.
    NormId;
}
