//! Established relations: the organisation's own domains, and whom and what people have dealt with before.
//!
//! They are stated, by whoever keeps the directory; nothing that an agent reads adds to them.

use super::{Directory, DirectoryDocument, PrincipalId};
use crate::value::{Normal, host_of, normal};
use std::collections::{BTreeMap, BTreeSet};

/// What is stated, found by what is asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Relations {
    domains: BTreeSet<String>,
    /// By person: values, and the most that was paid.
    of: BTreeMap<PrincipalId, BTreeMap<Normal, Option<u64>>>,
}

impl Relations {
    pub(super) fn of(document: &DirectoryDocument) -> Self {
        let mut relations =
            Self { domains: document.domains.iter().filter_map(|domain| host_of(domain)).collect(), of: BTreeMap::new() };
        for record in &document.relations {
            let value = normal(&record.kind, &record.value);
            let amount = relations.of.entry(record.of.clone()).or_default().entry(value).or_default();
            *amount = (*amount).max(record.amount);
        }
        relations
    }
}

impl Directory {
    /// Whether a host, as it is registered, is one of the organisation's, or below one.
    #[must_use]
    pub fn is_own_domain(&self, host: &str) -> bool {
        let ends = host.match_indices('.').map(|(at, _)| &host[at + 1..]);
        std::iter::once(host).chain(ends).any(|domain| self.relations.domains.contains(domain))
    }

    /// The most that was paid to this counterpart of the person's; the outer `None` when there is no relation.
    #[must_use]
    pub fn relation(&self, person: &PrincipalId, value: &Normal) -> Option<Option<u64>> {
        self.relations.of.get(person)?.get(value).copied()
    }

    /// Everybody and everything that a person has dealt with before.
    pub fn relations_of(&self, person: &PrincipalId) -> impl Iterator<Item = &Normal> {
        self.relations.of.get(person).into_iter().flat_map(BTreeMap::keys)
    }
}
