//! The shape of a scenario file, key by key, as it is written. Meaning and cross-references are for [`crate::parse`].
//!
//! Unknown keys are refused everywhere. Whatever a message may have to point at stands in a `Spanned`.

use judge::decision::Outcome;
use judge::directory::Status;
use judge::effect::Effect;
use judge::label::{Classification, Integrity};
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) scenario: Spanned<String>,
    #[serde(default)]
    pub(crate) about: String,
    #[serde(default)]
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    pub(crate) world: World,
    #[serde(default)]
    pub(crate) tasks: Vec<Spanned<Task>>,
    pub(crate) steps: Vec<Spanned<Step>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct World {
    #[serde(default)]
    pub(crate) people: Vec<Spanned<WordOr<Person>>>,
    #[serde(default)]
    pub(crate) groups: BTreeMap<String, Spanned<Vec<String>>>,
    #[serde(default)]
    pub(crate) agents: Vec<Spanned<Agent>>,
    #[serde(default)]
    pub(crate) items: Vec<Spanned<Item>>,
    #[serde(default)]
    pub(crate) destinations: Vec<Spanned<Destination>>,
    #[serde(default)]
    pub(crate) grants: Vec<Spanned<Grant>>,
    #[serde(default)]
    pub(crate) baseline: Vec<Spanned<Rhythm>>,
    #[serde(default)]
    pub(crate) domains: BTreeSet<String>,
    #[serde(default)]
    pub(crate) relations: Vec<Spanned<judge::directory::RelationRecord>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Person {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) addresses: Vec<String>,
    #[serde(default)]
    pub(crate) clearance: Option<Classification>,
    #[serde(default)]
    pub(crate) categories: BTreeSet<Arc<str>>,
    #[serde(default)]
    pub(crate) status: Status,
}

impl From<&str> for Person {
    fn from(id: &str) -> Self {
        Self { id: id.to_owned(), addresses: Vec::new(), clearance: None, categories: BTreeSet::new(), status: Status::Active }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) owner: String,
    #[serde(default)]
    pub(crate) purpose: String,
    #[serde(default)]
    pub(crate) lease: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) readers: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) classification: Classification,
    #[serde(default)]
    pub(crate) categories: BTreeSet<Arc<str>>,
    #[serde(default)]
    pub(crate) purposes: Option<BTreeSet<Arc<str>>>,
    #[serde(default)]
    pub(crate) integrity: Integrity,
    #[serde(default)]
    pub(crate) owner: Option<String>,
    #[serde(default)]
    pub(crate) container: Option<String>,
    #[serde(default)]
    pub(crate) content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Destination {
    pub(crate) id: String,
    pub(crate) audience: Vec<String>,
    #[serde(default)]
    pub(crate) owner: Option<String>,
    #[serde(default)]
    pub(crate) known: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    pub(crate) to: String,
    pub(crate) may: BTreeSet<Effect>,
    pub(crate) on: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rhythm {
    pub(crate) agent: String,
    pub(crate) effect: Effect,
    pub(crate) per_hour: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) requester: String,
    pub(crate) agent: String,
    #[serde(default)]
    pub(crate) purpose: String,
    #[serde(default)]
    pub(crate) words: Option<String>,
    #[serde(default)]
    pub(crate) address: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) effects: Option<BTreeSet<Effect>>,
    #[serde(default)]
    pub(crate) resources: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) budget: judge::task::Budget,
    #[serde(default)]
    pub(crate) lease: Option<String>,
    #[serde(default)]
    pub(crate) starts: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) at: String,
    #[serde(default, rename = "as")]
    pub(crate) chain: Vec<String>,
    #[serde(default)]
    pub(crate) task: Option<String>,
    #[serde(default, rename = "do")]
    pub(crate) effect: Option<Effect>,
    #[serde(default)]
    pub(crate) on: Vec<String>,
    #[serde(default)]
    pub(crate) to: Vec<String>,
    #[serde(default)]
    pub(crate) content: Option<String>,
    #[serde(default)]
    pub(crate) values: BTreeMap<String, Scalar>,
    #[serde(default)]
    pub(crate) amount: Option<u64>,
    #[serde(default)]
    pub(crate) change: Option<judge::act::Change>,
    #[serde(default)]
    pub(crate) join: Option<Join>,
    #[serde(default)]
    pub(crate) because: Option<Scalar>,
    #[serde(default)]
    pub(crate) repeat: Option<Repeat>,
    #[serde(default)]
    pub(crate) event: Option<Event>,
    #[serde(default)]
    pub(crate) approve: Option<Answer>,
    #[serde(default)]
    pub(crate) deny: Option<Answer>,
    #[serde(default)]
    pub(crate) delegate: Option<Delegate>,
    #[serde(default)]
    pub(crate) kill: Option<String>,
    #[serde(default)]
    pub(crate) token: Option<Token>,
    #[serde(default)]
    pub(crate) expect: Option<WordOr<Expect>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Join {
    pub(crate) person: String,
    pub(crate) group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repeat {
    pub(crate) times: u64,
    #[serde(default)]
    pub(crate) every: Option<String>,
}

/// What changes the world without being judged.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    Join(Membership),
    Leave(Membership),
    Left(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Membership {
    pub(crate) member: String,
    pub(crate) group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) by: String,
    pub(crate) step: Scalar,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delegate {
    pub(crate) to: String,
    pub(crate) task: String,
    #[serde(default)]
    pub(crate) effects: Option<BTreeSet<Effect>>,
    #[serde(default)]
    pub(crate) resources: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) budget: judge::task::Budget,
    #[serde(default)]
    pub(crate) lease: Option<String>,
    #[serde(default)]
    pub(crate) isolated: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub(crate) key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    #[serde(default = "permit")]
    pub(crate) decision: Outcome,
    #[serde(default)]
    pub(crate) norms: BTreeSet<String>,
    #[serde(default)]
    pub(crate) withheld: Option<BTreeSet<String>>,
    #[serde(default)]
    pub(crate) uncleared_pairs: Option<u64>,
    #[serde(default)]
    pub(crate) at_most: Option<u64>,
    #[serde(default)]
    pub(crate) obligations: BTreeSet<String>,
    #[serde(default)]
    pub(crate) frozen: Option<bool>,
    #[serde(default)]
    pub(crate) alarm: Option<Scalar>,
}

fn permit() -> Outcome {
    Outcome::Permit
}

/// Something that may be written as one word, or spelt out as a mapping.
pub(crate) enum WordOr<T> {
    Word(String),
    Spelt(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for WordOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Either<T> {
            type Value = WordOr<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a mapping")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Self::Value, E> {
                Ok(WordOr::Word(word.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(WordOr::Spelt)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// A single value of whatever kind, as text.
pub(crate) struct Scalar(pub(crate) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl de::Visitor<'_> for Any {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a single value")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
