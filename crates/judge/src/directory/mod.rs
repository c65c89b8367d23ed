//! The directory: who there is, in which groups, what data there is, who may have it, and what was granted to whom.
//!
//! A [`DirectoryDocument`] is what people write down; a [`Directory`] is the same, resolved so that a decision never walks all groups or
//! scans grants. It is a value: cloning shares everything, and a batch of [`DirectoryChange`]s makes another directory beside the first, so
//! that both can be compared before anything happens ([`crate::preview`]). Resolved sets hold active people only: who has left is in no
//! audience.

mod change;
mod compare;
mod document;
mod groups;
mod items;
mod kinds;
mod lists;
mod names;
mod pages;
mod relations;
mod roster;
mod search;
#[cfg(test)]
mod tests;

pub(crate) use change::Proposed;
pub use change::Touched;
pub(crate) use compare::{Comparison, Newly, Post, Sensitivity, Things, Uncleared, Unit};
pub use document::{
    ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, AgentRecord, Attributes, CLEARANCE_RULES_MAX, ClearanceRule, DestinationRecord,
    DirectoryChange, DirectoryDocument, DirectoryError, FreezeRecord, GrantRecord, ItemRecord, Mark, NESTING_DEPTH_MAX,
    PROFILE_BYTES_MAX, PersonRecord, REGISTRATION_NAME_BYTES_MAX, REGISTRATION_NAMES_MAX, Registration, RelationRecord, STANDING,
    Status, Values,
};
pub use roster::GroupView;

use crate::effect::Effect;
use crate::label::{Classification, Label};
use crate::moment::Moment;
use crate::name::{PrincipalId, ResourceId};
use crate::pattern::PatternMap;
use crate::reach::{PeopleSet, Reach};
use groups::{GroupNo, Groups};
use imbl::{HashMap, OrdMap};
use items::Items;
use kinds::Kinds;
use lists::{Cells, List, ListNo, ListSpec, Shelf, ShelfNo, ShelfRow, Table};
use names::{Index, Names};
use pages::Pages;
use relations::Relations;
use roaring::{MultiOps, RoaringBitmap};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Principals as dense numbers. A number, once given, keeps its principal for good, so that recorded sets stay readable.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<PrincipalId>", into = "Vec<PrincipalId>")]
pub struct PrincipalTable(Names<PrincipalId>);

impl PrincipalTable {
    fn intern(&mut self, id: &PrincipalId) -> u32 {
        self.0.intern(id).0
    }

    /// Fetches what looking up these principals will read.
    fn fetch<'n>(&self, ids: impl Iterator<Item = &'n str>) {
        self.0.fetch(ids);
    }

    /// The number of a principal that was ever in the directory.
    #[must_use]
    pub fn number(&self, id: &str) -> Option<u32> {
        self.0.number(id)
    }

    /// The principal with this number.
    #[must_use]
    pub fn name(&self, number: u32) -> Option<&PrincipalId> {
        self.0.name(number)
    }
}

impl PartialEq for PrincipalTable {
    fn eq(&self, other: &Self) -> bool {
        self.0.all().iter().eq(other.0.all().iter())
    }
}

impl Eq for PrincipalTable {}

impl From<Vec<PrincipalId>> for PrincipalTable {
    fn from(names: Vec<PrincipalId>) -> Self {
        let mut table = Self::default();
        for name in &names {
            table.intern(name);
        }
        table
    }
}

impl From<PrincipalTable> for Vec<PrincipalId> {
    fn from(table: PrincipalTable) -> Self {
        table.0.all().iter().cloned().collect()
    }
}

/// What is known of people, by number, and who has which address.
#[derive(Debug, Clone, Default)]
struct People {
    records: Pages<Option<Arc<PersonRecord>>>,
    count: usize,
    /// By address in lower case: who is here and has it.
    addresses: Index,
}

impl People {
    fn get(&self, number: u32) -> Option<&Arc<PersonRecord>> {
        self.records.get(number as usize)?.as_ref()
    }

    fn put(&mut self, number: u32, record: Option<PersonRecord>) {
        while self.records.len() <= number as usize {
            self.records.push(None);
        }
        self.count += usize::from(record.is_some());
        let before = self.records.set(number as usize, record.map(Arc::new));
        self.count -= usize::from(before.is_some());
    }

    /// Everyone, here or not, by number.
    fn iter(&self) -> impl Iterator<Item = (u32, &PersonRecord)> {
        (0..).zip(self.records.iter()).filter_map(|(number, record)| Some((number, record.as_deref()?)))
    }

    /// Who has this address, in lower case.
    fn at_address(&self, address: &str) -> Option<u32> {
        self.addresses.find(self.addresses.hash(address), |number| self.has_address(number, address))
    }

    /// Says that somebody has this address; nothing changes where somebody has it already.
    fn put_address(&mut self, address: &str, number: u32) {
        if self.at_address(address).is_none() {
            self.addresses.add(self.addresses.hash(address), number);
        }
    }

    fn forget_address(&mut self, address: &str) {
        let hash = self.addresses.hash(address);
        if let Some(found) = self.at_address(address) {
            self.addresses.remove(hash, |number| number == found);
        }
    }

    fn has_address(&self, number: u32, address: &str) -> bool {
        self.get(number).is_some_and(|person| person.addresses.iter().any(|own| own.to_lowercase() == address))
    }
}

#[derive(Debug, Clone)]
struct Destination {
    list: ListNo,
    owner: Option<PrincipalId>,
    known: bool,
    /// Lists that name it.
    lists: BTreeSet<ListNo>,
    /// What stands in it.
    shelves: BTreeSet<ShelfNo>,
}

/// A level and the categories that go with it.
type Clearance = (Classification, BTreeSet<Arc<str>>);

/// What one principal, or one group, was granted.
#[derive(Debug, Clone, Default)]
struct Grants {
    records: BTreeSet<GrantRecord>,
    /// Derived: kinds of grants by effect and resource.
    by_effect: BTreeMap<Effect, PatternMap<BTreeSet<Arc<str>>>>,
}

/// The directory, resolved.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// What the configuration states of it; the rest was recorded, change by change.
    declared: Arc<DirectoryDocument>,
    principals: PrincipalTable,
    people: People,
    active: Arc<RoaringBitmap>,
    agents: OrdMap<PrincipalId, Arc<AgentRecord>>,
    agent_numbers: RoaringBitmap,
    /// By a provisioning service's name of them, in lower case: people, here or not, and agents.
    handles: HashMap<Arc<str>, u32>,
    /// Of clearance, as the configuration states them.
    rules: Arc<[ClearanceRule]>,
    cleared: OrdMap<Clearance, Arc<RoaringBitmap>>,
    groups: Groups,
    lists: Table<List>,
    /// Lists that are the audience of a destination.
    audiences: Arc<RoaringBitmap>,
    /// Lists that name everyone.
    public_lists: Arc<RoaringBitmap>,
    /// Lists that name destinations.
    nesting_lists: Arc<RoaringBitmap>,
    /// By person: lists that name them.
    naming: HashMap<u32, Arc<RoaringBitmap>>,
    /// Derived: who a list is now.
    reaches: Cells<Arc<Reach>>,
    destinations: PatternMap<Arc<Destination>>,
    /// Where an item is filed.
    items: Items,
    shelves: Table<Shelf>,
    /// By shelf.
    rows: Pages<ShelfRow>,
    kinds: Kinds,
    /// Derived: the label of what is on a shelf, with its readers as they are now.
    labels: Cells<Arc<Label>>,
    /// By whom it was given to, as grants write it.
    grants: HashMap<Arc<str>, Arc<Grants>>,
    freezes: Arc<[FreezeRecord]>,
    relations: Arc<Relations>,
}

impl Directory {
    /// Nobody and nothing, with the numbers that principals have here: recorded sets stay readable.
    pub(crate) fn emptied(&self) -> Self {
        Self { principals: self.principals.clone(), ..Self::default() }
    }

    /// Principals by number.
    #[must_use]
    pub fn principals(&self) -> &PrincipalTable {
        &self.principals
    }

    /// Whether this is an active person.
    #[must_use]
    pub fn person(&self, id: &str) -> Option<u32> {
        self.principals.number(id).filter(|&number| self.active.contains(number))
    }

    /// Whether this person is known, here still or not.
    #[must_use]
    pub fn knows_person(&self, id: &str) -> bool {
        self.person_record(id).is_some()
    }

    /// What is known of a person, here still or not.
    #[must_use]
    pub fn person_record(&self, id: &str) -> Option<&PersonRecord> {
        self.people.get(self.principals.number(id)?).map(AsRef::as_ref)
    }

    /// The same, to keep.
    pub(crate) fn person_shared(&self, id: &PrincipalId) -> Option<Arc<PersonRecord>> {
        self.people.get(self.principals.number(id.as_str())?).cloned()
    }

    /// The agent's registration, while it is in use.
    #[must_use]
    pub fn agent(&self, id: &str) -> Option<&AgentRecord> {
        self.agent_record(id).filter(|agent| agent.is_in_use())
    }

    /// Whether this names an agent, or a group with one among its members.
    #[must_use]
    pub fn has_agents(&self, name: &str) -> bool {
        match name.strip_prefix('@') {
            Some(group) => self.groups.named(group).is_some_and(|group| !group.all.is_disjoint(&self.agent_numbers)),
            None => self.agents.contains_key(name),
        }
    }

    /// Everyone who is here.
    #[must_use]
    pub fn active(&self) -> &RoaringBitmap {
        &self.active
    }

    /// The label that the system of record gives this item; `None` when it does not know the item.
    #[must_use]
    pub fn label_of(&self, item: &ResourceId) -> Option<&Arc<Label>> {
        self.items.best(item.as_str()).map(|shelf| self.label(shelf))
    }

    /// Who sees what is put into this destination; `None` when it is none.
    #[must_use]
    pub fn audience_of(&self, destination: &str) -> Option<&Reach> {
        self.destinations.best(destination).map(|destination| self.reach(destination.list))
    }

    /// Whether the directory states a relation with this destination.
    #[must_use]
    pub fn is_established(&self, destination: &str) -> bool {
        self.destinations.best(destination).is_some_and(|destination| destination.known)
    }

    /// Who decides about this item, destination or group.
    #[must_use]
    pub fn owner_of(&self, resource: &str) -> Option<&PrincipalId> {
        let of_item = || self.items.best(resource).and_then(|shelf| self.owner_on(shelf));
        let of_destination = || self.destinations.best(resource).and_then(|destination| destination.owner.as_ref());
        let of_group = || self.groups.named(group_name(resource)).and_then(|group| group.owner.as_ref());
        of_item().or_else(of_destination).or_else(of_group)
    }

    /// Whether this active person is a member of a group, through any nesting.
    #[must_use]
    pub fn is_member(&self, group: &str, person: u32) -> bool {
        self.active.contains(person) && self.groups.named(group).is_some_and(|group| group.all.contains(person))
    }

    /// The members of a group who are people and here.
    #[must_use]
    pub fn group(&self, id: &str) -> Option<&RoaringBitmap> {
        self.groups.number(id).map(|number| self.groups.here(number, &self.active).bits())
    }

    /// Who is reached by a recipient as a tool names one: a person, one of their addresses, `@group`, a destination,
    /// `public`, `external:DOMAIN`. Anything else is somebody outside, by that very text.
    #[must_use]
    pub fn reach_of_recipient(&self, recipient: &str) -> Reach {
        let recipient = recipient.trim();
        // Nobody's address may stand for a group, for outside or for everyone.
        if let Some(reach) = self.reach_of_many(recipient) {
            return reach;
        }
        let lower = recipient.to_lowercase();
        let address = mail_address(&lower);
        // One person's address may be another's id, or a place: then it is not known which of them it reaches.
        let people: RoaringBitmap = self.person(recipient).into_iter().chain(self.people.at_address(address)).collect();
        match (people.is_empty(), self.audience_of(recipient)) {
            (false, Some(audience)) => Reach::of_people(people).union(audience),
            (false, None) => Reach::of_people(people),
            (true, Some(audience)) => audience.clone(),
            // What is sent to somebody who left goes somewhere, and nobody here knows where.
            (true, None) => Reach { external: BTreeSet::from([Arc::from(address)]), ..Reach::nobody() },
        }
    }

    /// Everyone, outside, or a group, where the name says so by itself.
    fn reach_of_many(&self, name: &str) -> Option<Reach> {
        if name == "public" {
            return Some(Reach::everyone());
        }
        if let Some(domain) = name.strip_prefix("external:") {
            return Some(Reach { external: BTreeSet::from([Arc::from(domain.to_lowercase())]), ..Reach::nobody() });
        }
        let group = name.strip_prefix('@')?;
        let people = self.groups.here(self.groups.number(group)?, &self.active).clone();
        Some(Reach { people, ..Reach::nobody() })
    }

    /// The union of several, each as [`Self::reach_of_recipient`] reads it.
    #[must_use]
    pub fn reach_of_all<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Reach {
        names.into_iter().map(|name| self.reach_of_recipient(name)).reduce(|a, b| a.union(&b)).unwrap_or_else(Reach::nobody)
    }

    /// The person whom a name, or a mail address or other handle, means; active or not. `None` also where it means two.
    #[must_use]
    pub fn person_named(&self, name: &str) -> Option<&PrincipalId> {
        let by_id = self.principals.number(name).filter(|number| self.people.get(*number).is_some());
        let by_address = self.people.at_address(mail_address(&name.trim().to_lowercase()));
        let number = match (by_id, by_address) {
            (Some(one), Some(other)) if one != other && self.active.contains(one) => return None,
            (by_id, by_address) => by_address.or(by_id)?,
        };
        self.principals.name(number)
    }

    /// `name` as a list of readers can hold it: what the directory does not know is somebody outside, by that very text.
    pub(crate) fn list_name(&self, name: &str) -> String {
        let name = name.trim();
        let is_known = name == "public"
            || name.starts_with("external:")
            || self.can_be_member(name)
            || self.destinations.get(name).is_some();
        if is_known {
            return name.to_owned();
        }
        let lower = name.to_lowercase();
        let address = mail_address(&lower);
        let person = self.people.at_address(address).and_then(|number| self.principals.name(number));
        person.map_or_else(|| format!("external:{address}"), ToString::to_string)
    }

    /// Whether this names a person, an agent or a `@group`.
    pub(crate) fn can_be_member(&self, name: &str) -> bool {
        match name.strip_prefix('@') {
            Some(group) => self.groups.number(group).is_some(),
            None => self.knows_person(name) || self.agents.contains_key(name),
        }
    }

    /// Everyone who may have an item with this label: its readers, and those whose clearance says so.
    /// Unknown readers are nobody.
    #[must_use]
    pub fn cleared_for(&self, label: &Label) -> Reach {
        let readers = if label.unknown { Reach::nobody() } else { label.readers.clone() };
        if readers.public || self.cleared.is_empty() {
            return readers;
        }
        readers.union(&Reach::of_people(self.cleared_by_level(label.classification, &label.categories)))
    }

    /// Those whose clearance covers this level and these categories.
    pub(crate) fn cleared_by_level(&self, classification: Classification, categories: &BTreeSet<Arc<str>>) -> RoaringBitmap {
        self.levels_over(classification, categories).fold(RoaringBitmap::new(), |all, people| all | people)
    }

    /// Everyone who can see this item: its readers, and who sees the place that it stands in. `None` when the directory does not know it.
    #[must_use]
    pub fn who_can_see(&self, item: &str) -> Option<Reach> {
        self.items.best(item).map(|shelf| self.visible(shelf))
    }

    /// Everything that an active person can see, in order.
    #[must_use]
    pub fn can_see(&self, person: u32) -> Vec<&ResourceId> {
        let viewer = self.viewer(person);
        let sees_shelf = |shelf: &Shelf| {
            let container = shelf.spec.container.as_ref().and_then(|id| self.destinations.best(id.as_str()));
            shelf.spec.list.is_some_and(|list| self.sees(&viewer, list))
                || container.is_some_and(|container| self.sees(&viewer, container.list))
        };
        let shelves = self.shelves.iter().filter(|(_, shelf)| sees_shelf(shelf));
        let mut items: Vec<_> = shelves.flat_map(|(_, shelf)| shelf.items.iter().map(|item| self.items.name(*item))).collect();
        items.sort_unstable();
        items
    }

    /// How many people (here or not), groups and items the directory knows.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            people: self.people.count,
            groups: self.groups.len(),
            items: self.items.len(),
            destinations: self.destinations.len(),
        }
    }

    /// The kinds of grant by which this principal may do this to this resource; empty when nothing is granted.
    #[must_use]
    pub fn grants(&self, principal: &PrincipalId, effect: Effect, resource: &str) -> BTreeSet<Arc<str>> {
        let mut kinds = BTreeSet::new();
        for grants in self.grants_of(principal) {
            if let Some(patterns) = grants.by_effect.get(&effect) {
                patterns.each(resource, |found| kinds.extend(found.iter().cloned()));
            }
        }
        kinds
    }

    /// Whether the principal has any grant for this effect at all, on whatever resource.
    #[must_use]
    pub fn has_any_grant(&self, principal: &PrincipalId, effect: Effect) -> bool {
        self.grants_of(principal).any(|grants| grants.by_effect.contains_key(&effect))
    }

    /// What was granted to this principal by its own name, in order. What it has through groups, or with everyone, is not among it.
    pub fn grants_to(&self, principal: &str) -> impl Iterator<Item = &GrantRecord> {
        self.grants.get(principal).into_iter().flat_map(|grants| &grants.records)
    }

    /// What was granted to a principal, to everyone, and to the groups that the principal is in.
    fn grants_of(&self, principal: &PrincipalId) -> impl Iterator<Item = &Grants> {
        let groups = self.principals.number(principal.as_str()).into_iter().flat_map(|number| self.groups.around(number));
        [principal.as_str(), "public"]
            .into_iter()
            .filter_map(|subject| self.grants.get(subject))
            .chain(groups.filter_map(|group| self.grants.get(&group.handle)))
            .map(AsRef::as_ref)
    }

    /// Whether a freeze window is open for this resource.
    #[must_use]
    pub fn is_frozen(&self, resource: &str, moment: Moment) -> bool {
        self.freezes.iter().any(|freeze| {
            freeze.from <= moment
                && moment < freeze.until
                && freeze.on.iter().any(|pattern| crate::pattern::matches(pattern, resource))
        })
    }

    fn reach(&self, list: ListNo) -> &Reach {
        self.reaches.get_or_init(list, || {
            let here = |group| self.groups.here(group, &self.active).clone();
            Arc::new(self.resolve(list, here, |inner| self.reach(inner).clone()))
        })
    }

    /// Who a list is, by who is in a group and who another list is.
    fn resolve(&self, list: ListNo, here: impl Fn(GroupNo) -> PeopleSet, reach: impl Fn(ListNo) -> Reach) -> Reach {
        let ListSpec { public, external, people, groups, destinations } = self.lists.get(list).spec.as_ref();
        let mut named: RoaringBitmap = people.iter().copied().collect();
        named &= self.active.as_ref();
        // Destinations cannot contain themselves: a change that would make one do so is refused.
        let nested = destinations.iter().filter_map(|destination| self.destinations.get(destination.as_str()));
        let nested: Vec<Reach> = nested.map(|destination| reach(destination.list)).collect();
        let groups: Vec<PeopleSet> = groups.iter().map(|group| here(*group)).collect();
        let sets: Vec<&PeopleSet> = groups.iter().chain(nested.iter().map(|reach| &reach.people)).collect();
        let mut reach = Reach { public: *public, external: external.clone(), people: PeopleSet::union_of(named, &sets) };
        for inner in nested {
            reach.public |= inner.public;
            reach.external.extend(inner.external.iter().cloned());
        }
        reach
    }

    /// An active person, ready to be looked for in lists.
    fn viewer(&self, person: u32) -> Viewer {
        Viewer { person, groups: self.groups.numbers_around(person).collect() }
    }

    /// Whether an active person is in a list. Nothing is put together for it.
    fn sees(&self, viewer: &Viewer, list: ListNo) -> bool {
        let spec = self.lists.get(list).spec.as_ref();
        let mut nested = spec.destinations.iter().filter_map(|destination| self.destinations.get(destination.as_str()));
        spec.public || viewer.is_named_in(spec) || nested.any(|destination| self.sees(viewer, destination.list))
    }

    /// The lists that hold somebody, also by way of a destination that a list names; those that hold everyone when the person is not here.
    fn lists_with(&self, person: u32) -> RoaringBitmap {
        let mut lists = self.public_lists.as_ref().clone();
        if self.active.contains(person) {
            lists |= self.groups.numbers_around(person).map(|group| self.groups.lists(group)).union();
            self.naming.get(&person).into_iter().for_each(|naming| lists |= naming.as_ref());
        }
        let mut open: Vec<ListNo> = (&lists & self.audiences.as_ref()).into_iter().collect();
        while let Some(list) = open.pop() {
            let places = &self.lists.get(list).destinations;
            for place in places.iter().filter_map(|id| self.destinations.get(id.as_str())) {
                open.extend(place.lists.iter().filter(|outer| lists.insert(**outer)));
            }
        }
        lists
    }

    /// The shelves whose labels name one of these lists as their readers.
    fn shelves_read_by(&self, lists: &RoaringBitmap) -> RoaringBitmap {
        let mut shelves = RoaringBitmap::new();
        for list in lists {
            shelves.extend(&self.lists.get(list).shelves);
        }
        // Where only the place is known, those who see the place may have it.
        for list in lists & self.audiences.as_ref() {
            let places = self.lists.get(list).destinations.iter().filter_map(|id| self.destinations.get(id.as_str()));
            let on_them = places.flat_map(|place| &place.shelves);
            shelves.extend(on_them.filter(|shelf| self.rows[**shelf as usize].list.is_none()));
        }
        shelves
    }

    /// The label of everything on a shelf. Where only the place is known, those who see the place may have it.
    fn label(&self, shelf: ShelfNo) -> &Arc<Label> {
        self.labels.get_or_init(shelf, || {
            let spec = self.shelves.get(shelf).spec.as_ref();
            let of_place = || spec.container.as_ref().and_then(|container| self.audience_of(container.as_str()));
            let readers = spec.list.map(|list| self.reach(list)).or_else(of_place);
            Arc::new(Label {
                unknown: readers.is_none(),
                readers: readers.cloned().unwrap_or_else(Reach::everyone),
                classification: spec.classification,
                categories: spec.categories.clone(),
                purposes: spec.purposes.clone(),
                integrity: spec.integrity,
                origins: BTreeSet::new(),
            })
        })
    }

    /// Who decides about what is on a shelf.
    fn owner_on(&self, shelf: ShelfNo) -> Option<&PrincipalId> {
        self.principals.name(self.shelves.get(shelf).spec.owner?)
    }

    /// Who can see what is on a shelf.
    fn visible(&self, shelf: ShelfNo) -> Reach {
        let spec = self.shelves.get(shelf).spec.as_ref();
        let readers = spec.list.map_or_else(Reach::nobody, |list| self.reach(list).clone());
        match spec.container.as_ref().and_then(|container| self.audience_of(container.as_str())) {
            Some(audience) => readers.union(audience),
            None => readers,
        }
    }
}

/// A person with the groups that they are in through any nesting: whether a list holds them is then said by its names alone, without a
/// look into the members of each group.
struct Viewer {
    person: u32,
    groups: RoaringBitmap,
}

impl Viewer {
    /// Whether a list names the person, or a group that the person is in.
    fn is_named_in(&self, spec: &ListSpec) -> bool {
        spec.people.binary_search(&self.person).is_ok() || spec.groups.iter().any(|group| self.groups.contains(*group))
    }
}

/// How much a directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// People, here or not.
    pub people: usize,
    /// Groups.
    pub groups: usize,
    /// Items, and patterns of items.
    pub items: usize,
    /// Destinations, and patterns of them.
    pub destinations: usize,
}

/// A group's name without what marks it as one: `oncall`, `@oncall` and `group:oncall` are the same.
pub(crate) fn group_name(name: &str) -> &str {
    name.strip_prefix('@').or_else(|| name.strip_prefix("group:")).unwrap_or(name)
}

/// The address inside `Name <address>`, else the text itself.
fn mail_address(recipient: &str) -> &str {
    match (recipient.rfind('<'), recipient.ends_with('>')) {
        (Some(open), true) => recipient[open + 1..recipient.len() - 1].trim(),
        _ => recipient,
    }
}
