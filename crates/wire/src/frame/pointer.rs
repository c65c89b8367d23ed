//! Finds where a JSON pointer (RFC 6901) points in a text, so that the text can be changed there and nowhere else.
//! It expects text that was read strictly before: no member stands twice.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::span_of;
use crate::strict::Name;

/// The span of the value that `pointer` names.
pub(super) fn locate(text: &str, pointer: &str) -> Option<Range<usize>> {
    let mut here = text.trim_ascii();
    if !pointer.is_empty() {
        for token in pointer.strip_prefix('/')?.split('/') {
            here = child(here, &unescaped(token))?;
        }
    }
    Some(span_of(text, here))
}

/// Where a new last member of the object that holds `pointer`'s last token is put, the member's name, and whether it is the first.
pub(super) fn end_of_parent(text: &str, pointer: &str) -> Option<(usize, String, bool)> {
    let (parent, name) = pointer.rsplit_once('/')?;
    let name = unescaped(name).into_owned();
    let span = locate(text, parent)?;
    let inside = text[span.clone()].strip_prefix('{')?.strip_suffix('}')?;
    Some((span.end - 1, name, inside.trim_ascii().is_empty()))
}

/// A token as the member's name (RFC 6901 §4).
fn unescaped(token: &str) -> Cow<'_, str> {
    if token.contains('~') { token.replace("~1", "/").replace("~0", "~").into() } else { token.into() }
}

fn child<'a>(text: &'a str, token: &str) -> Option<&'a str> {
    let mut found = None;
    let find = Find { token, found: &mut found };
    // An error is how the reader is told to stop: the rest of the text was read before and need not be read again.
    let _ = find.deserialize(&mut serde_json::Deserializer::from_str(text));
    found.map(RawValue::get)
}

struct Find<'t, 'de> {
    token: &'t str,
    found: &'t mut Option<&'de RawValue>,
}

impl<'de> DeserializeSeed<'de> for Find<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Find<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key_seed(Name)? {
            if name == self.token {
                *self.found = Some(members.next_value()?);
                return Err(de::Error::custom("found"));
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        // RFC 6901 §4: digits without a leading zero.
        let index = self.token.parse::<usize>().ok();
        let Some(index) = index.filter(|index| index.to_string() == self.token) else {
            return Err(de::Error::custom("no index"));
        };
        for _ in 0..index {
            if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        *self.found = items.next_element()?;
        Err(de::Error::custom("found"))
    }
}
