//! Who could do something, and what somebody could do it to: candidates, from what was granted and who is cleared. Whether each of them may
//! is for [`crate::decide`] to say; a candidate that is missing here would be missing in an answer, one too many costs a decision.

use super::Directory;
use super::items::ItemNo;
use crate::effect::Effect;
use crate::label::Label;
use crate::name::{PrincipalId, ResourceId};
use crate::pattern::matches;
use roaring::RoaringBitmap;
use std::collections::BTreeSet;
use std::ops::Bound;

/// What the key of a resource begins with that is no item.
const NAMED: char = '=';

impl Directory {
    /// Those active people who have a grant for this, and of a read of a known item, those who are cleared for it.
    #[must_use]
    pub fn could_act(&self, effect: Effect, resource: &ResourceId) -> RoaringBitmap {
        let mut granted = RoaringBitmap::new();
        for (subject, grants) in &self.grants {
            let mut is_granted = false;
            if let Some(patterns) = grants.by_effect.get(&effect) {
                patterns.each(resource.as_str(), |_| is_granted = true);
            }
            if !is_granted {
                continue;
            }
            match subject.strip_prefix('@') {
                Some(group) => granted |= self.group(group).cloned().unwrap_or_default(),
                None if subject.as_ref() == "public" => granted |= self.active.as_ref(),
                None => granted.extend(self.principals.number(subject)),
            }
        }
        granted &= self.active.as_ref();
        match self.label_of(resource).filter(|_| effect == Effect::Read) {
            Some(label) => {
                let cleared = self.cleared_for(&Label { unknown: false, ..label.as_ref().clone() });
                if cleared.public { granted } else { granted & cleared.people.bits() }
            }
            None => granted,
        }
    }

    /// Up to `max` resources whose name begins with `prefix` and on which the person has a grant for this: first items of the directory, then
    /// whatever else a grant names. Each comes with the key by which the next call goes on `after` it.
    #[must_use]
    pub fn could_be_acted_on(
        &self,
        person: &PrincipalId,
        effect: Effect,
        prefix: &str,
        after: Option<&str>,
        max: usize,
    ) -> Vec<(String, ResourceId)> {
        let patterns: BTreeSet<&str> = self
            .grants_of(person)
            .flat_map(|grants| &grants.records)
            .filter(|grant| grant.may.contains(&effect))
            .flat_map(|grant| grant.on.iter().map(String::as_str))
            .collect();
        let named_after = after.and_then(|after| after.strip_prefix(NAMED));
        let mut found = Vec::new();
        if named_after.is_none() && !patterns.is_empty() {
            let from = match after.and_then(|after| after.parse::<ItemNo>().ok()) {
                Some(after) => Bound::Excluded(after),
                None => Bound::Unbounded,
            };
            let mut first = BTreeSet::new();
            for (number, shelf) in self.shelves.iter() {
                if effect == Effect::Read && !self.is_within_reach(number, person) {
                    continue;
                }
                let is_meant = |item: &&ItemNo| {
                    let name = self.items.name(**item).as_str();
                    name.starts_with(prefix) && !name.ends_with('*') && patterns.iter().any(|pattern| matches(pattern, name))
                };
                for item in shelf.items.range((from, Bound::Unbounded)).filter(is_meant).take(max) {
                    first.insert(*item);
                    if first.len() > max {
                        first.pop_last();
                    }
                }
            }
            found.extend(first.into_iter().map(|item| (item.to_string(), self.items.name(item).clone())));
        }
        let room = max - found.len();
        let is_next = |name: &&str| {
            let is_one = name.starts_with(prefix) && !name.ends_with('*') && self.items.get(name).is_none();
            is_one && named_after.is_none_or(|after| *name > after)
        };
        let named = patterns.into_iter().filter(is_next).filter_map(|name| ResourceId::parse(name).ok());
        found.extend(named.take(room).map(|name| (format!("{NAMED}{name}"), name)));
        found
    }

    /// Whether a person is among those who may have what is on a shelf; where that is unknown, whether they are not ruled out.
    fn is_within_reach(&self, shelf: super::ShelfNo, person: &PrincipalId) -> bool {
        let cleared = self.cleared_for(&Label { unknown: false, ..self.label(shelf).as_ref().clone() });
        cleared.public || self.person(person.as_str()).is_some_and(|number| cleared.people.bits().contains(number))
    }
}
