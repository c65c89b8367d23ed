//! Walks a JSON text once and refuses what two readers could read differently: duplicate members, unbounded depth, bad Unicode.
//! It builds nothing, and knows nothing of what the text means.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::frame::{FrameError, Limits};

/// Member names are cut here when they appear in an error.
const NAME_SHOWN_CHARS_MAX: usize = 48;

/// Checks that `text` is exactly one JSON value within `limits`, without duplicate members at any level (RFC 8259 §4 leaves their
/// meaning open, so the reader that decides and the reader that acts could differ).
pub(crate) fn check(text: &str, limits: &Limits) -> Result<(), FrameError> {
    let mut walk = Walk { limits, depth: 0, values: 0, names: Vec::new(), refusal: None };
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Step(&mut walk).deserialize(&mut reader).and_then(|()| reader.end());
    match (walk.refusal, read) {
        (Some(refusal), _) => Err(refusal),
        (None, Err(error)) => Err(FrameError::Malformed { line: error.line(), column: error.column() }),
        (None, Ok(())) => Ok(()),
    }
}

/// A value that is written as an object: a reader of structures takes a list of their members too, and nobody else does.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: de::Deserialize<'de>> de::Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(std::marker::PhantomData<T>);

        impl<'de, T: de::Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(members)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(std::marker::PhantomData))
    }
}

struct Walk<'de, 'l> {
    limits: &'l Limits,
    depth: usize,
    values: usize,
    /// The names of all objects that are open, innermost last: one buffer for the whole walk.
    names: Vec<Cow<'de, str>>,
    refusal: Option<FrameError>,
}

impl Walk<'_, '_> {
    /// serde's errors are texts; the typed refusal is kept aside.
    fn refuse<E: de::Error>(&mut self, refusal: FrameError) -> E {
        let error = E::custom(&refusal);
        self.refusal = Some(refusal);
        error
    }

    fn enter<E: de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > self.limits.depth_max {
            return Err(self.refuse(FrameError::TooDeep { depth_max: self.limits.depth_max }));
        }
        Ok(())
    }

    fn count<E: de::Error>(&mut self) -> Result<(), E> {
        self.values += 1;
        if self.values > self.limits.values_max {
            return Err(self.refuse(FrameError::TooManyValues { values_max: self.limits.values_max }));
        }
        Ok(())
    }

    fn text<E: de::Error>(&mut self, text: &str, bytes_max: usize) -> Result<(), E> {
        if text.len() > bytes_max {
            return Err(self.refuse(FrameError::StringTooLong { bytes_max }));
        }
        Ok(())
    }

    /// Closes an object whose names start at `first`.
    fn close_names<E: de::Error>(&mut self, first: usize) -> Result<(), E> {
        let names = &mut self.names[first..];
        names.sort_unstable();
        let twice =
            names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].chars().take(NAME_SHOWN_CHARS_MAX).collect());
        self.names.truncate(first);
        match twice {
            Some(name) => Err(self.refuse(FrameError::DuplicateMember { name })),
            None => Ok(()),
        }
    }
}

struct Step<'w, 'de, 'l>(&'w mut Walk<'de, 'l>);

impl<'de> DeserializeSeed<'de> for Step<'_, 'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_, 'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        let bytes_max = self.0.limits.string_bytes_max;
        self.0.text(text, bytes_max)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.enter()?;
        while items.next_element_seed(Step(self.0))?.is_some() {}
        self.0.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.enter()?;
        let first = self.0.names.len();
        while let Some(name) = members.next_key_seed(Name)? {
            let bytes_max = self.0.limits.name_bytes_max;
            self.0.text(&name, bytes_max)?;
            self.0.names.push(name);
            members.next_value_seed(Step(self.0))?;
        }
        self.0.depth -= 1;
        self.0.close_names(first)
    }
}

/// A string that borrows from the text unless it held an escape. Comparing names after unescaping is the point: `"a"` and
/// `"\u0061"` are one member.
pub(crate) struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
