//! Labels: who may have an item, how sensitive it is, what for, and how far it is trusted (semantics §2).
//!
//! A join never gains a reader. Readers may be *unknown*: then what is known of them is only who they are at most, and every
//! norm that consumes them fails closed.

use crate::reach::Reach;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How sensitive an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Classification {
    /// For anyone.
    Public,
    /// For the organisation.
    #[default]
    Internal,
    /// For those who need it.
    Confidential,
    /// For the few who are named.
    Restricted,
}

impl Classification {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Classification::Public => "public",
            Classification::Internal => "internal",
            Classification::Confidential => "confidential",
            Classification::Restricted => "restricted",
        }
    }
}

/// How far an item is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Integrity {
    /// Anyone may have written it.
    #[default]
    Untrusted,
    /// Its writers are held to be reliable.
    Trusted,
}

/// What an item may be used for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purposes {
    /// Anything.
    #[default]
    Any,
    /// Only these.
    Only(BTreeSet<Arc<str>>),
}

impl Purposes {
    /// Whether a task with this purpose may use the item. The task's purpose is one word, or a sentence in which
    /// the word stands by itself.
    #[must_use]
    pub fn cover(&self, task_purpose: &str) -> bool {
        match self {
            Purposes::Any => true,
            Purposes::Only(words) => words.iter().any(|word| {
                task_purpose.eq_ignore_ascii_case(word)
                    || task_purpose
                        .split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_')
                        .any(|part| part.eq_ignore_ascii_case(word))
            }),
        }
    }

    fn join(&self, other: &Purposes) -> Purposes {
        match (self, other) {
            (Purposes::Any, one) | (one, Purposes::Any) => one.clone(),
            (Purposes::Only(a), Purposes::Only(b)) => Purposes::Only(a.intersection(b).cloned().collect()),
        }
    }
}

/// What is known of an item: confidentiality and integrity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Those who may have it; when that is unknown, those who may have it at most.
    pub readers: Reach,
    /// Whether a part of it was never labelled, so that its readers are not known.
    pub unknown: bool,
    /// How sensitive.
    pub classification: Classification,
    /// Which kinds of sensitive data it holds.
    pub categories: BTreeSet<Arc<str>>,
    /// What it may be used for.
    pub purposes: Purposes,
    /// How far it is trusted.
    pub integrity: Integrity,
    /// Where it came from, as far as that matters for trust.
    pub origins: BTreeSet<Arc<str>>,
}

impl Label {
    /// The label that changes nothing when it is joined: everyone may have it, for anything, and it is trusted.
    #[must_use]
    pub fn bottom() -> Self {
        Self {
            readers: Reach::everyone(),
            unknown: false,
            classification: Classification::Public,
            categories: BTreeSet::new(),
            purposes: Purposes::Any,
            integrity: Integrity::Trusted,
            origins: BTreeSet::new(),
        }
    }

    /// The label of something nobody has labelled.
    #[must_use]
    pub fn unknown() -> Self {
        Self { unknown: true, classification: Classification::Internal, integrity: Integrity::Untrusted, ..Self::bottom() }
    }

    /// Whether this person is the only one who may have it.
    #[must_use]
    pub fn is_for_only(&self, person: Option<u32>) -> bool {
        let Reach { people, public, external } = &self.readers;
        !self.unknown
            && !public
            && external.is_empty()
            && people.bits().len() == 1
            && person.is_some_and(|one| people.bits().contains(one))
    }

    /// The label of something made from both. It never gains a reader; unknown readers stay unknown.
    #[must_use]
    pub fn join(&self, other: &Label) -> Label {
        Label {
            readers: self.readers.intersect(&other.readers),
            unknown: self.unknown || other.unknown,
            classification: self.classification.max(other.classification),
            categories: self.categories.union(&other.categories).cloned().collect(),
            purposes: self.purposes.join(&other.purposes),
            integrity: self.integrity.min(other.integrity),
            origins: self.origins.union(&other.origins).cloned().collect(),
        }
    }
}
