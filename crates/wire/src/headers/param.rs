//! Arguments that a tool's schema marks with `x-mcp-header` (MCP 2026-07-28 streamable-http "Custom Headers from Tool Parameters").

use serde_json::Value;

use super::{HeaderMismatch, PARAM_PREFIX};
use crate::canonical::WHOLE_MAX;

const ANNOTATION: &str = "x-mcp-header";
const PARAMS_MAX: usize = 64;

/// One marked argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    header: String,
    path: Vec<String>,
}

/// The marked arguments of a tool's `inputSchema`. A tool whose marks break the rules is invalid as a whole, and its clients must leave it
/// out of the list.
pub fn params(schema: &Value) -> Result<Vec<Param>, ParamError> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found)?;
    let marks = marks(schema);
    // A mark anywhere but on a chain of `properties` is a mark that some reader would miss.
    if marks != found.len() {
        return Err(ParamError::Unreachable);
    }
    for (at, param) in found.iter().enumerate() {
        if found[..at].iter().any(|other| other.header.eq_ignore_ascii_case(&param.header)) {
            return Err(ParamError::Twice { header: param.header.clone() });
        }
    }
    Ok(found)
}

impl Param {
    /// What follows `Mcp-Param-` in the header's name.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The header's value for these arguments, `None` where none is sent.
    pub fn value(&self, arguments: &Value) -> Option<String> {
        self.text(arguments).map(|text| super::encode(&text))
    }

    /// A `null` or absent argument is not repeated, anything else must be.
    pub(super) fn agrees(&self, arguments: &Value, header: Option<&str>) -> Result<(), HeaderMismatch> {
        let differs = HeaderMismatch::Differs { header: PARAM_PREFIX };
        let same = match (self.find(arguments), header) {
            (None | Some(Value::Null), None) => true,
            (None | Some(Value::Null), Some(_)) => false,
            (Some(_), None) => {
                return Err(HeaderMismatch::Missing { header: PARAM_PREFIX });
            }
            (Some(Value::Number(number)), Some(header)) => header
                .parse::<f64>()
                .is_ok_and(|header| number.as_f64() == Some(header) && header.fract() == 0.0 && header.abs() <= WHOLE_MAX as f64),
            (Some(Value::String(_) | Value::Bool(_)), Some(header)) => self.text(arguments).as_deref() == Some(header),
            (Some(Value::Array(_) | Value::Object(_)), Some(_)) => false,
        };
        if same { Ok(()) } else { Err(differs) }
    }

    fn find<'v>(&self, arguments: &'v Value) -> Option<&'v Value> {
        self.path.iter().try_fold(arguments, |value, name| value.get(name))
    }

    fn text(&self, arguments: &Value) -> Option<String> {
        match self.find(arguments)? {
            Value::String(text) => Some(text.clone()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Number(number) => number.as_i64().map(|whole| whole.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// Why a tool's marks are invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// Not a token (RFC 9110 §5.6.2).
    #[error("expected `x-mcp-header` to be an HTTP token, found {header:?}")]
    Name {
        /// What was found, cut short.
        header: String,
    },
    /// Two arguments with one header.
    #[error("expected `x-mcp-header` `{header}` once, found it twice")]
    Twice {
        /// The header.
        header: String,
    },
    /// The argument is not of a type that a header can carry.
    #[error("expected `x-mcp-header` on a string, an integer or a boolean")]
    Type,
    /// The mark stands where no chain of `properties` leads.
    #[error("expected `x-mcp-header` only on properties reached through `properties`")]
    Unreachable,
    /// More marks than are looked at.
    #[error("expected at most `{PARAMS_MAX}` parameters with `x-mcp-header`")]
    TooMany,
}

fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Param>) -> Result<(), ParamError> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(mark) = property.get(ANNOTATION) {
            if found.len() == PARAMS_MAX {
                return Err(ParamError::TooMany);
            }
            let header = mark.as_str().unwrap_or_default();
            if header.is_empty() || !header.bytes().all(is_tchar) {
                return Err(ParamError::Name { header: header.chars().take(32).collect() });
            }
            if !matches!(property.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean")) {
                return Err(ParamError::Type);
            }
            found.push(Param { header: header.to_owned(), path: path.clone() });
        }
        collect(property, path, found)?;
        path.pop();
    }
    Ok(())
}

/// Marks anywhere in the schema. An argument that is itself called `x-mcp-header` is none: it stands as a name inside `properties`.
fn marks(schema: &Value) -> usize {
    match schema {
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| match (name.as_str(), member) {
                (ANNOTATION, _) => 1,
                ("properties", Value::Object(properties)) => properties.values().map(marks).sum(),
                // Data, not schema.
                ("const" | "enum" | "default" | "examples", _) => 0,
                _ => marks(member),
            })
            .sum(),
        Value::Array(items) => items.iter().map(marks).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// RFC 9110 §5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
