//! One text for one value: RFC 8785 (JCS), and the digest that approvals and permits bind to.
//! It refuses to digest a number whose meaning depends on who reads it.

#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// 2^53 - 1, the largest whole number that every reader of JSON agrees on (RFC 7493 §2.2).
pub const WHOLE_MAX: i64 = 9_007_199_254_740_991;

/// SHA-256 over canonical JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Why a value has no canonical text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// RFC 8785 writes numbers as doubles, so two such numbers could share one digest.
    #[error("expected numbers between `-{WHOLE_MAX}` and `{WHOLE_MAX}`, found `{number}`")]
    Number {
        /// As the reader kept it.
        number: String,
    },
}

/// The canonical text of a value (RFC 8785 §3).
///
/// A number beyond ±(2^53 - 1) is refused, whole or not: the tree that was read keeps it as a double, and no longer says which number
/// the text held.
pub fn text(value: &Value) -> Result<String, CanonicalError> {
    numbers_are_exact(value)?;
    Ok(written(value))
}

/// SHA-256 of [`text`].
pub fn digest(value: &Value) -> Result<Digest, CanonicalError> {
    Ok(Digest(Sha256::digest(text(value)?).into()))
}

fn numbers_are_exact(value: &Value) -> Result<(), CanonicalError> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(number) => {
            let exact = match number.as_i64() {
                Some(whole) => whole.unsigned_abs() <= WHOLE_MAX as u64,
                None => number.as_f64().is_some_and(|number| number.abs() <= WHOLE_MAX as f64),
            };
            if exact { Ok(()) } else { Err(CanonicalError::Number { number: number.to_string() }) }
        }
        Value::Array(items) => items.iter().try_for_each(numbers_are_exact),
        Value::Object(members) => members.values().try_for_each(numbers_are_exact),
    }
}

fn written(value: &Value) -> String {
    serde_json_canonicalizer::to_string(value).expect("a tree of finite numbers and string names can always be written")
}
