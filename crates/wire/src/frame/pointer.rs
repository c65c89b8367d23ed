//! Finds where a JSON pointer (RFC 6901) points in a text, so that the text can be changed there and nowhere else.
//! It expects text that was read strictly before: no member stands twice.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::span_of;
use crate::strict::Name;

/// The span of the value that `pointer` names.
pub(super) fn locate(text: &str, pointer: &str) -> Option<Range<usize>> {
    let mut here = text.trim_ascii();
    for token in tokens(pointer)? {
        here = child(here, &token)?;
    }
    Some(span_of(text, here))
}

/// Where a new last member of the object that holds `pointer`'s last token is put, the member's name, and whether it is the first.
pub(super) fn end_of_parent(text: &str, pointer: &str) -> Option<(usize, String, bool)> {
    let (parent, _) = pointer.rsplit_once('/')?;
    let name = tokens(pointer)?.pop()?;
    let span = locate(text, parent)?;
    let inside = text[span.clone()].strip_prefix('{')?.strip_suffix('}')?;
    Some((span.end - 1, name, inside.trim_ascii().is_empty()))
}

/// The unescaped tokens, `None` where it is no pointer.
fn tokens(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let tokens = pointer.strip_prefix('/')?.split('/');
    Some(
        tokens
            .map(|token| token.replace("~1", "/").replace("~0", "~"))
            .collect(),
    )
}

fn child<'a>(text: &'a str, token: &str) -> Option<&'a str> {
    Find(token)
        .deserialize(&mut serde_json::Deserializer::from_str(text))
        .ok()
        .flatten()
        .map(RawValue::get)
}

struct Find<'t>(&'t str);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = members.next_key_seed(Name)? {
            if name == self.0 {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        // RFC 6901 §4: digits without a leading zero.
        let index = self
            .0
            .parse::<usize>()
            .ok()
            .filter(|index| index.to_string() == self.0);
        let mut found = None;
        let mut at = 0;
        while let Some(item) = items.next_element::<&RawValue>()? {
            if Some(at) == index {
                found = Some(item);
            }
            at += 1;
        }
        Ok(found)
    }
}
