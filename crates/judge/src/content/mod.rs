//! Content: is text of something read in what is about to leave? (semantics §3, "shown")
//!
//! A state must not become a second copy of everything that was read, so an item leaves only a [`Sketch`]: fingerprints under a key.
//! What is about to leave is taken apart in all ways in which it may be written, and looked up in the [`Index`] of a task.
//!
//! **The guarantee.** Every verbatim copy of [`COPY_CHARS_MIN`] normalised characters (white space, marks and invisible ones do not count) is found: plain, or behind up to [`DEPTH_MAX`] layers
//! of base64, hexadecimal, percent-encoding, JSON escapes or HTML references, or split over arguments. Where a bound stops the
//! search before that is certain, [`Found::truncated`] says so, and the caller fails closed. What is *not* found: paraphrase, translation,
//! encryption, a homemade code, letters that only look alike, base64 with single spaces put into it, HTML names beyond a small table, UTF-16 in rare scripts,
//! a copy that takes fewer than 16 bytes (ligatures do) encoded as one and then split over arguments.
//!
//! It refuses to know: labels, people, policies, and the text itself once it was sketched. It keeps no time and no randomness, and cannot fail.

mod index;
mod normal;
mod print;
mod secret;
#[cfg(test)]
mod tests;
mod token;
mod view;

use std::fmt;

use crate::digest::Digest;
use serde::{Deserialize, Serialize};

pub use index::{Evidence, Found, FoundSecrets, Index, Kind};
pub use secret::{SECRET_BYTES_MAX, names_credential, secret_shapes};
pub use view::View;

use normal::{Normal, normalise};
use print::{Role, Schedule};
use token::{Side, tokens};

/// Normalised characters of the shortest copy that is certain to be found.
pub const COPY_CHARS_MIN: usize = 24;
/// Normalised characters of one fingerprint: texts that share fewer in a row are never taken for copies.
pub const GRAM_CHARS: usize = 20;
/// Normalised characters of the shortest whole item that is found by itself.
pub const WHOLE_CHARS_MIN: usize = 6;
/// Layers of encoding that are taken off.
pub const DEPTH_MAX: usize = 3;
/// Bytes of an item that are sketched; a longer one is marked as partial.
pub const ITEM_BYTES_MAX: usize = 8 << 20;
/// Tokens of one item that are kept.
pub const ITEM_TOKENS_MAX: usize = 1 << 16;
/// Bytes of an item whose words are kept.
pub const WORDS_BYTES_MAX: usize = 8 << 10;
/// Bytes that one search looks at, over all orders and layers.
pub const VIEW_BYTES_MAX: usize = 8 << 20;
/// Parts up to which every order of them is searched; more are searched forwards and backwards.
pub const ORDERED_PARTS_MAX: usize = 4;

/// The secret under which an organisation's fingerprints are made.
#[derive(Clone)]
pub struct ContentKey(Schedule);

impl ContentKey {
    /// Takes 16 random bytes.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self(Schedule::new(key))
    }
}

impl ContentKey {
    /// What tells a consequential value from every other one, to whoever has the key.
    #[must_use]
    pub fn value(&self, value: &crate::value::Normal) -> u64 {
        let mut bytes = Vec::with_capacity(value.family.len() + 1 + value.text.len());
        bytes.extend_from_slice(value.family.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(value.text.as_bytes());
        self.0.hash(Role::Value, &bytes)
    }

    /// What tells a word from almost every other one.
    pub(crate) fn word(&self, word: &str) -> u32 {
        (self.0.hash(Role::Word, word.as_bytes()) >> 32) as u32
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentKey({:08x})", self.0.id)
    }
}

/// What is kept of an item's text: numbers that are equal where texts are, and mean nothing without the key.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    /// Fingerprints of its text, in order of value.
    #[serde(with = "packed", default, skip_serializing_if = "Vec::is_empty")]
    copies: Vec<u64>,
    /// Hashes of its tokens, in order of value.
    #[serde(with = "packed", default, skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<u64>,
    /// Links that stand in it, whole, in order of value.
    #[serde(with = "packed", default, skip_serializing_if = "Vec::is_empty")]
    links: Vec<u64>,
    /// Hashes of the credentials that it shows, letter by letter, in order of value.
    #[serde(with = "packed", default, skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<u64>,
    /// Hashes of its words, in order of value, where it is not long: a short text may be told in its words.
    #[serde(with = "packed_short", default, skip_serializing_if = "Vec::is_empty")]
    words: Vec<u32>,
    /// All of it, where it is short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whole: Option<Whole>,
    /// Whether some of it is missing here, because it was too long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Whole {
    chars: u8,
    head: u16,
    hash: u64,
}

impl Sketch {
    /// Whether the item was too long to be sketched completely.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// What tells it from every other sketch.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let bytes = |numbers: &[u64]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
        let whole = self.whole.map_or([0; 3], |whole| [u64::from(whole.chars), u64::from(whole.head), whole.hash]);
        let links = [bytes(&self.links), bytes(&self.secrets)].concat();
        Digest::of_parts([
            &*bytes(&self.copies),
            &*bytes(&self.tokens),
            &*[bytes(&whole), links].concat(),
            &[u8::from(self.partial)],
        ])
    }

    /// Bytes that it takes in memory, about.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + 4 * self.words.len()
            + 8 * (self.copies.len() + self.tokens.len() + self.links.len() + self.secrets.len())
    }
}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sketch")
            .field("copies", &self.copies.len())
            .field("tokens", &self.tokens.len())
            .field("whole", &self.whole.is_some())
            .field("partial", &self.partial)
            .finish()
    }
}

/// Sketches the text of an item. Pure: the same key and text give the same sketch, on every machine.
#[must_use]
pub fn sketch(key: &ContentKey, text: &str) -> Sketch {
    let whole_text = text;
    let text = view::edge(text, ITEM_BYTES_MAX, false);
    let normal = normalise(text);
    let mut sketch = Sketch { partial: text.len() < whole_text.len(), ..Sketch::default() };
    if (WHOLE_CHARS_MIN..COPY_CHARS_MIN).contains(&normal.dense.len()) {
        let (head, hash) =
            (key.0.head(normal.dense.first_chunk().expect("a whole has a head")), key.0.hash(Role::Whole, &normal.dense));
        sketch.whole = Some(Whole { chars: u8::try_from(normal.dense.len()).unwrap_or(u8::MAX), head, hash });
    }
    let mut add = |normal: &Normal| {
        key.0.fingerprints(&normal.dense, &mut sketch.copies);
        tokens(Side::Item, normal.words(), |token| sketch.tokens.push(key.0.hash(Role::Token, token)));
    };
    add(&normal);
    if let Some(decoded) = normal.has_word_of(view::WORD_MIN).then(|| view::decoded_runs(text)).flatten() {
        add(&normalise(&decoded));
    }
    let link = |text: &String| key.value(&crate::value::normal(crate::value::LINK, text));
    sketch.links = crate::value::links_in(text).iter().map(link).collect();
    sort(&mut sketch.links);
    secret::each_secret(text, |secret| sketch.secrets.push(key.0.hash(Role::Secret, secret)));
    sort(&mut sketch.secrets);
    if whole_text.len() <= WORDS_BYTES_MAX {
        sketch.words = crate::value::words_in(text).map(|word| key.word(&word)).collect();
        sketch.words.sort_unstable();
        sketch.words.dedup();
    }
    sort(&mut sketch.copies);
    sort(&mut sketch.tokens);
    if sketch.tokens.len() > ITEM_TOKENS_MAX {
        sketch.tokens.truncate(ITEM_TOKENS_MAX);
        sketch.partial = true;
    }
    sketch
}

/// In order of value, each once: neither order nor number says where something stood.
fn sort(numbers: &mut Vec<u64>) {
    if numbers.len() < SPREAD_MIN {
        numbers.sort_unstable();
    } else {
        // They are uniform: few share their two leading bytes.
        let mut spread = vec![0; numbers.len()];
        distribute(numbers, &mut spread, 48);
        distribute(&spread, numbers, 56);
        numbers.chunk_by_mut(|a, b| a >> 48 == b >> 48).for_each(<[u64]>::sort_unstable);
    }
    numbers.dedup();
    numbers.shrink_to_fit();
}

/// Numbers from which on spreading them is faster than comparing them.
const SPREAD_MIN: usize = 1 << 10;

/// One round of a radix sort: by the byte behind `shift`, otherwise in the order in which they come.
fn distribute(from: &[u64], to: &mut [u64], shift: u32) {
    let byte = |number: &u64| usize::from((number >> shift) as u8);
    let mut places = [0; 256];
    from.iter().for_each(|number| places[byte(number)] += 1);
    let mut next = 0;
    places.iter_mut().for_each(|place| next += std::mem::replace(place, next));
    for number in from {
        let place = &mut places[byte(number)];
        to[*place] = *number;
        *place += 1;
    }
}

/// Numbers as base64 of their little-endian bytes: three times smaller in JSON than a list.
macro_rules! packed {
    ($name:ident, $number:ty) => {
        mod $name {
            use std::borrow::Cow;

            use base64::Engine as _;
            use base64::engine::general_purpose::STANDARD_NO_PAD;
            use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

            const BYTES: usize = size_of::<$number>();

            pub fn serialize<S: Serializer>(numbers: &[$number], serializer: S) -> Result<S::Ok, S::Error> {
                let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
            }

            pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<$number>, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                let bytes =
                    STANDARD_NO_PAD.decode(text.as_bytes()).map_err(|_| D::Error::custom("expected base64 without padding"))?;
                let (numbers, rest) = bytes.as_chunks::<BYTES>();
                if !rest.is_empty() {
                    let rest = rest.len();
                    return Err(D::Error::custom(format_args!(
                        "expected whole numbers of {BYTES} bytes, found {rest} bytes more"
                    )));
                }
                Ok(numbers.iter().map(|bytes| <$number>::from_le_bytes(*bytes)).collect())
            }
        }
    };
}

packed!(packed, u64);
packed!(packed_short, u32);
