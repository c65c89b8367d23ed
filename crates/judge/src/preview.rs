//! The exposure preview: what changes if this goes through (semantics §5).
//!
//! A proposed change is made in a copy of the directory, and both are compared where the change reached: who would newly see what, through
//! any depth of nesting, and how many of those pairs of a person and an item are not cleared. Exact, not estimated: only the names that are
//! shown are a sample.

use crate::act::{Act, Change};
use crate::decision::{Code, Ground, Outcome, Reason};
use crate::directory::{
    Comparison, Directory, DirectoryChange, DirectoryError, Newly, Sensitivity, Things, Uncleared, Unit, group_name,
};
use crate::effect::Effect;
use crate::facts::{ChangeFacts, Facts};
use crate::label::{Classification, Label};
use crate::name::{DecisionId, GroupId, PrincipalId, ResourceId};
use crate::reach::Beyond;
use crate::state::State;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many of the worst items a preview names.
pub const WORST_MAX: usize = 20;
/// How many people a preview names for one item.
pub const NAMED_PEOPLE_MAX: usize = 8;
/// How many people, and how many items, the facts name.
const NAMED_IN_FACTS_MAX: usize = 5;

/// What a change would newly show to whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exposure {
    /// How many known people would see something that they cannot see now.
    pub newcomers: u64,
    /// How many items somebody would newly see.
    pub items: u64,
    /// Pairs of a person and an item that would become visible.
    pub pairs: u64,
    /// How many of those pairs are not cleared.
    pub uncleared_pairs: u64,
    /// How many people would see something that they are not cleared for.
    pub uncleared_people: u64,
    /// How many items somebody would see who is not cleared for them.
    pub uncleared_items: u64,
    /// The highest classification among those.
    pub classification: Classification,
    /// All categories among those.
    pub categories: BTreeSet<Arc<str>>,
    /// Whether the public at large would newly see something that is not for the public.
    pub public: bool,
    /// Outside addresses and domains that would newly see something that is not for the public.
    pub external: BTreeSet<Arc<str>>,
    /// How many items with unknown readers somebody would newly see.
    pub unknown: u64,
    /// Pairs of a person and an item that the person would newly be cleared for, because a clearance is raised.
    pub newly_cleared: u64,
    /// The items with the most to lose, worst first.
    pub worst: Vec<Worst>,
    /// Who decides: the owners of what would be shown to somebody who is not cleared for it.
    pub owners: BTreeSet<PrincipalId>,
}

/// One of the items with the most to lose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worst {
    /// Which.
    pub item: ResourceId,
    /// How sensitive.
    pub classification: Classification,
    /// Kinds of sensitive data.
    pub categories: BTreeSet<Arc<str>>,
    /// Who decides about it.
    pub owner: Option<PrincipalId>,
    /// How many known people would newly see it.
    pub newcomers: u64,
    /// How many of those are not cleared.
    pub uncleared: u64,
    /// Some of those who are not cleared.
    pub sample: Vec<PrincipalId>,
}

impl Worst {
    fn weight(&self) -> (Classification, u64, u64) {
        (self.classification, self.uncleared, self.newcomers)
    }
}

/// What a batch of changes, taken together, would newly show to whom; posts that agents wrote included.
///
/// # Errors
/// Everything that is wrong with the changes.
pub fn preview(state: &State, changes: &[DirectoryChange]) -> Result<Exposure, Vec<DirectoryError>> {
    let mut sum = Sum::default();
    sum.add_changes(state, changes)?;
    Ok(sum.exposure(state.directory()))
}

/// What the norms say of changes that a person or a pipeline proposes outside of any tool call, and why: nothing when they hold nothing
/// against it. `because` is the act of an agent that the changes rest on.
///
/// # Errors
/// Everything that is wrong with the changes.
pub fn judge_changes(
    state: &State,
    who: &PrincipalId,
    changes: &[DirectoryChange],
    because: Option<&DecisionId>,
) -> Result<(Exposure, Vec<Reason>), Vec<DirectoryError>> {
    let exposure = preview(state, changes)?;
    let mut facts = Facts::default();
    facts.chain.person = who.to_string();
    facts.chain.depth = 1;
    facts.task.owners_here = true;
    facts.change = change_facts(state, &exposure, because);
    let about = exposure.worst.first().map_or("directory", |worst| worst.item.as_str());
    let mut reasons = match state.policies() {
        Some(policies) => policies.norms(who, false, Effect::Widen, about, &facts).reasons,
        None => vec![Reason {
            ground: Ground::Code(Code::Policy),
            outcome: Outcome::Deny,
            sentence: "no policies are in force".to_owned(),
            remedy: Some("an operator has to load them".to_owned()),
            approver: None,
        }],
    };
    reasons.sort();
    Ok((exposure, reasons))
}

/// An exposure as norms speak of it, and on whose words the change rests.
pub(crate) fn change_facts(state: &State, exposure: &Exposure, because: Option<&DecisionId>) -> ChangeFacts {
    let advice = because.and_then(|decision| state.advice(decision));
    let named = exposure.worst.iter().flat_map(|worst| &worst.sample).map(PrincipalId::shared);
    ChangeFacts {
        newcomers: exposure.newcomers,
        items: exposure.items,
        pairs: exposure.pairs,
        uncleared_pairs: exposure.uncleared_pairs,
        uncleared: exposure.uncleared_people,
        sample: named.take(NAMED_IN_FACTS_MAX).collect(),
        classification: exposure.classification,
        categories: exposure.categories.clone(),
        worst: exposure.worst.iter().map(|worst| worst.item.shared()).take(NAMED_IN_FACTS_MAX).collect(),
        public: exposure.public,
        external: exposure.external.len() as u64,
        unknown: exposure.unknown,
        owners: exposure.owners.iter().map(PrincipalId::shared).collect(),
        advised: advice.is_some(),
        reviewed: advice.is_some_and(|advice| advice.reviewed),
        by_owner: false,
    }
}

/// What an act that changes who may see something would show. Of something that nobody has labelled, nobody who is let in is known to be
/// cleared for it; and where it cannot be said what the act changes, that counts as one unknown thing.
pub(crate) fn preview_act(state: &State, act: &Act) -> Exposure {
    let mut sum = Sum::default();
    let mut changes = Vec::new();
    for resource in &act.resources {
        match act.change.as_ref().map(|change| (change, changes_of(state.directory(), resource, change))) {
            Some((_, Some(of_resource))) => changes.extend(of_resource),
            Some((change, None)) => sum.add_unknown(state.directory(), resource, change),
            None => sum.exposure.unknown += 1,
        }
    }
    let is_said = act.change.is_some() && !act.resources.is_empty() && sum.add_changes(state, &changes).is_ok();
    sum.exposure.unknown += u64::from(!is_said);
    sum.exposure(state.directory())
}

/// What `change` does to a destination, a group or an item; `None` when the directory cannot say who sees it now.
fn changes_of(directory: &Directory, resource: &ResourceId, change: &Change) -> Option<Vec<DirectoryChange>> {
    let named = |names: &[String]| names.iter().map(|name| directory.list_name(name)).collect::<Vec<String>>();
    let added = || [named(&change.add_readers), named(&change.add_members)].concat();
    let removed = || [named(&change.remove_readers), named(&change.remove_members)].concat();
    let id = || resource.clone();
    if directory.audience_of(resource.as_str()).is_some() {
        let replaced = change
            .audience
            .as_ref()
            .map(|audience| DirectoryChange::SetAudience { destination: id(), audience: named(audience) });
        let edited = [
            DirectoryChange::AddAudience { destination: id(), audience: added() },
            DirectoryChange::RemoveAudience { destination: id(), audience: removed() },
        ];
        return Some(replaced.into_iter().chain(edited).collect());
    }
    if directory.group(group_name(resource.as_str())).is_some() {
        // Only people, agents and groups are members: whoever else is let in is somebody outside.
        let is_within = added().iter().all(|name| directory.can_be_member(name)) && change.audience.is_none();
        let group = GroupId::parse(group_name(resource.as_str())).ok().filter(|_| is_within)?;
        let removed = removed().into_iter().filter(|name| directory.can_be_member(name)).collect();
        return Some(vec![
            DirectoryChange::AddMembers { group: group.clone(), members: added() },
            DirectoryChange::RemoveMembers { group, members: removed },
        ]);
    }
    directory.label_of(resource).filter(|label| !label.unknown)?;
    let replaced = change.audience.as_ref().map(|audience| DirectoryChange::SetReaders { item: id(), readers: named(audience) });
    let edited = [
        DirectoryChange::AddReaders { item: id(), readers: added() },
        DirectoryChange::RemoveReaders { item: id(), readers: removed() },
    ];
    Some(replaced.into_iter().chain(edited).collect())
}

/// An exposure being summed up.
#[derive(Default)]
struct Sum {
    exposure: Exposure,
    newcomers: Adding<Beyond>,
    uncleared: Adding<RoaringBitmap>,
    /// Owners by number.
    owners: RoaringBitmap,
}

/// People being added up. Units that follow each other often have the same people but for a few: then only those few are looked at.
#[derive(Default)]
struct Adding<Set> {
    sum: RoaringBitmap,
    /// Sets that were added, the last first, with those of them who may still be missing in the sum.
    added: Vec<(Arc<Set>, RoaringBitmap)>,
}

/// How many sets are remembered as added.
const ADDED_MAX: usize = 8;

impl<Set> Adding<Set> {
    /// Adds `people`, who are those of `set`, but for those whom `known` holds.
    fn add(&mut self, set: &Arc<Set>, people: &RoaringBitmap, known: &RoaringBitmap) {
        let Some(at) = self.added.iter().position(|(added, _)| Arc::ptr_eq(added, set)) else {
            let missing = known - &self.sum;
            self.sum |= people;
            self.sum -= &missing;
            self.added.truncate(ADDED_MAX - 1);
            self.added.insert(0, (set.clone(), missing));
            return;
        };
        self.added.swap(0, at);
        let missing = &mut self.added[0].1;
        if !missing.is_empty() {
            self.sum |= &*missing - known;
            *missing &= known;
        }
    }
}

impl Sum {
    fn exposure(self, directory: &Directory) -> Exposure {
        let name = |number| directory.principals().name(number).cloned();
        let owners = self.owners.iter().filter_map(name).collect();
        Exposure { newcomers: self.newcomers.sum.len(), uncleared_people: self.uncleared.sum.len(), owners, ..self.exposure }
    }

    fn add_changes(&mut self, state: &State, changes: &[DirectoryChange]) -> Result<(), Vec<DirectoryError>> {
        let before = state.directory();
        let proposed = before.propose(changes)?;
        let posts = state.posts_in(proposed.touched().destinations());
        let comparison = Comparison::new(before, &proposed);
        self.exposure.newly_cleared += comparison.newly_cleared();
        // The change may name people whom only it brings.
        comparison.each(&posts, |unit| self.add(&unit, proposed.next()));
        Ok(())
    }

    fn add_unknown(&mut self, directory: &Directory, resource: &ResourceId, change: &Change) {
        let named = change.add_readers.iter().chain(&change.add_members).chain(change.audience.iter().flatten());
        let reach = directory.reach_of_all(named.map(String::as_str));
        let newly = Beyond { people: reach.people.bits().clone(), public: reach.public, external: reach.external };
        if newly.count() > 0 {
            let label = Label::unknown();
            let owner = directory.owner_of(resource.as_str()).and_then(|owner| directory.principals().number(owner.as_str()));
            let sensitivity = Sensitivity::of(directory.label_of(resource).map_or(&label, AsRef::as_ref));
            let uncleared = Uncleared::of(newly.people.clone());
            let (items, newly) = (Things::Named(vec![resource]), Newly::of(Arc::new(newly)));
            self.add(&Unit { items, count: 1, sensitivity, owner, newly, uncleared }, directory);
        }
    }

    fn add(&mut self, unit: &Unit<'_>, directory: &Directory) {
        let Unit { count, sensitivity, owner, newly, uncleared, .. } = unit;
        self.newcomers.add(&newly.all, &newly.all.people, &newly.known);
        self.uncleared.add(&uncleared.all, &uncleared.all, &uncleared.known);
        let sum = &mut self.exposure;
        let Beyond { public, external, .. } = newly.all.as_ref();
        sum.items += count;
        sum.pairs += newly.people() * count;
        sum.unknown += if sensitivity.unknown { *count } else { 0 };
        let opens = (*public || !external.is_empty()) && !sensitivity.for_all;
        if opens {
            sum.public |= public;
            sum.external.extend(external.iter().cloned());
        }
        if uncleared.count() == 0 && !opens {
            return;
        }
        sum.uncleared_pairs += uncleared.count() * count;
        sum.uncleared_items += count;
        sum.classification = sum.classification.max(sensitivity.classification);
        if !sensitivity.categories.is_subset(&sum.categories) {
            sum.categories.extend(sensitivity.categories.iter().cloned());
        }
        self.owners.extend(*owner);
        sum.keep_worst(unit, directory);
    }
}

impl Exposure {
    /// Keeps the worst [`WORST_MAX`] of all items, the worst first.
    fn keep_worst(&mut self, unit: &Unit<'_>, directory: &Directory) {
        let Unit { items, sensitivity, owner, newly, uncleared, .. } = unit;
        let weight = (sensitivity.classification, uncleared.count(), newly.people());
        let at = self.worst.partition_point(|worst| worst.weight() >= weight);
        if at >= WORST_MAX {
            return;
        }
        let sample = uncleared.iter().filter_map(|number| directory.principals().name(number).cloned());
        let sample: Vec<PrincipalId> = sample.take(NAMED_PEOPLE_MAX).collect();
        let owner = owner.and_then(|owner| directory.principals().name(owner));
        let worst = items.first(WORST_MAX - at).into_iter().map(|item| Worst {
            item: item.clone(),
            classification: sensitivity.classification,
            categories: sensitivity.categories.clone(),
            owner: owner.cloned(),
            newcomers: newly.people(),
            uncleared: uncleared.count(),
            sample: sample.clone(),
        });
        self.worst.splice(at..at, worst);
        self.worst.truncate(WORST_MAX);
    }
}
