//! Page sizes: how many items a call reads at most, and the same call for fewer.

use crate::call::CallError;
use crate::{Reads, Tool};
use serde_json::Value;

impl Reads {
    /// The names in a path of plain members, `$.page.size`.
    pub(crate) fn names(path: &str) -> Option<Vec<String>> {
        let names: Vec<String> = path.strip_prefix("$.")?.split('.').map(str::to_owned).collect();
        let is_name = |name: &String| {
            !name.is_empty()
                && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
                && name.len() <= NAME_BYTES_MAX
        };
        names.iter().all(is_name).then_some(names)
    }

    /// Where it stands in the arguments (RFC 6901); names have no character that would need an escape.
    fn pointer(&self) -> String {
        self.at.iter().flat_map(|name| ["/", name]).collect()
    }
}

const NAME_BYTES_MAX: usize = 200;

impl Tool {
    /// How many items this call reads at most; nothing where the contract does not say how to tell.
    pub(crate) fn items_asked(&self, arguments: &Value) -> Result<Option<u64>, CallError> {
        let Some(reads) = &self.reads else { return Ok(None) };
        let refuse = || CallError::Reads { tool: self.name.clone(), path: format!("$.{}", reads.at.join(".")) };
        let asked = match arguments.pointer(&reads.pointer()) {
            None | Some(Value::Null) => reads.otherwise,
            Some(Value::Number(number)) => Some(number.as_u64().ok_or_else(refuse)?),
            Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(text.parse().map_err(|_| refuse())?)
            }
            Some(Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => return Err(refuse()),
        };
        // Nothing is said, and nobody knows what the server then does: as much as there is.
        Ok(Some(asked.unwrap_or(u64::MAX).min(reads.max.unwrap_or(u64::MAX))))
    }

    /// What to set in these arguments so that the call reads `items` at most: a JSON pointer (RFC 6901) into them, and the value. Nothing where that cannot
    /// be said, or would be no call at all.
    #[must_use]
    pub fn cut_down(&self, arguments: &Value, items: u64) -> Option<(String, Value)> {
        let reads = self.reads.as_ref().filter(|_| items > 0)?;
        let pointer = reads.pointer();
        // Only the innermost member may be missing.
        let (parent, _) = pointer.rsplit_once('/')?;
        arguments.pointer(parent)?.as_object()?;
        let is_text = arguments.pointer(&pointer).is_some_and(Value::is_string);
        Some((pointer, if is_text { Value::String(items.to_string()) } else { Value::from(items) }))
    }
}
