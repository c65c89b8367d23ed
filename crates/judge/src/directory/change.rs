//! Changing a directory: a batch of changes makes another directory beside the first, or none at all with everything that is wrong.
//!
//! What a change reaches (groups around groups, lists that name them, shelves behind lists) is followed from the change outwards; nothing
//! else is looked at.

use super::groups::{Became, Edits, GroupNo, of_them};
use super::items::ItemNo;
use super::lists::{List, ListNo, ListSpec, Shelf, ShelfNo, ShelfRow, ShelfSpec};
use super::relations::Relations;
use super::{
    ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, AgentRecord, Attributes, CLEARANCE_RULES_MAX, Clearance, ClearanceRule, Destination,
    DestinationRecord, Directory, DirectoryChange, DirectoryDocument, DirectoryError, GrantRecord, Grants, ItemRecord,
    NESTING_DEPTH_MAX, PROFILE_BYTES_MAX, PersonRecord, REGISTRATION_NAME_BYTES_MAX, REGISTRATION_NAMES_MAX, Status,
};
use crate::label::Purposes;
use crate::name::{GroupId, PrincipalId, ResourceId};
use crate::reach::{PeopleSet, Reach};
use roaring::{MultiOps, RoaringBitmap};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What a batch of changes reached: outside of it, both directories are the same.
#[derive(Debug, Clone, Default)]
pub struct Touched {
    /// People who came or left.
    pub(super) moved: RoaringBitmap,
    /// Lists in which others may be than before.
    pub(super) lists: RoaringBitmap,
    /// Destinations whose audience may be another.
    pub(super) destinations: BTreeSet<ResourceId>,
    /// Items that were put, edited or removed, with the shelf where they stood; `None` for what is new.
    pub(super) items: BTreeMap<ItemNo, Option<ShelfNo>>,
    /// People whose clearance is another.
    pub(crate) clearance: RoaringBitmap,
}

impl Touched {
    /// Whether anybody is cleared for other things than before.
    pub(crate) fn changes_clearance(&self) -> bool {
        !self.clearance.is_empty()
    }

    /// Destinations whose audience may be another.
    pub(crate) fn destinations(&self) -> &BTreeSet<ResourceId> {
        &self.destinations
    }
}

impl Directory {
    /// Resolves a document.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn of(document: &DirectoryDocument) -> Result<Directory, Vec<DirectoryError>> {
        Directory::default().configured(document)
    }

    /// This directory with another document in place of the one that it was configured with. What was recorded beside that stays.
    /// Principals keep their numbers.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn configured(&self, document: &DirectoryDocument) -> Result<Directory, Vec<DirectoryError>> {
        let changes = difference(&self.declared, document);
        let mut batch = Batch::on(self);
        batch.errors.extend(repeated(document));
        batch.errors.extend(unfit_rules(&document.clearance));
        batch.next.clear_by(&document.clearance);
        batch.run(&changes);
        batch.next.declared = Arc::new(document.clone());
        batch.next.freezes = document.freezes.as_slice().into();
        batch.next.relations = Arc::new(Relations::of(document));
        batch.finish().map(|proposed| proposed.accepted().0)
    }

    /// This directory after a batch of changes, and what they reached.
    ///
    /// # Errors
    /// Everything that is wrong, at once; then nothing of the batch holds.
    pub fn change(&self, changes: &[DirectoryChange]) -> Result<(Directory, Touched), Vec<DirectoryError>> {
        self.propose(changes).map(Proposed::accepted)
    }

    /// What a batch of changes would make of this directory.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub(crate) fn propose(&self, changes: &[DirectoryChange]) -> Result<Proposed, Vec<DirectoryError>> {
        let mut batch = Batch::on(self);
        batch.run(changes);
        batch.finish()
    }
}

impl Directory {
    /// Whether these changes leave alone what the configuration states.
    ///
    /// # Errors
    /// Everything that the configuration states and that would be changed.
    pub fn may_record(&self, changes: &[DirectoryChange]) -> Result<(), Vec<DirectoryError>> {
        let DirectoryDocument {
            people,
            groups,
            agents,
            items,
            destinations,
            grants,
            freezes: _,
            clearance: _,
            domains: _,
            relations: _,
        } = self.declared.as_ref();
        let people: BTreeSet<&str> = people.iter().map(|person| person.id.as_str()).collect();
        let agents: BTreeSet<&str> = agents.iter().map(|agent| agent.id.as_str()).collect();
        let items: BTreeSet<&str> = items.iter().map(|item| item.id.as_str()).collect();
        let places: BTreeSet<&str> = destinations.iter().map(|destination| destination.id.as_str()).collect();
        let grants: BTreeSet<&GrantRecord> = grants.iter().collect();
        let person = |id: &PrincipalId| people.contains(id.as_str()).then(|| format!("people.{id}"));
        let agent = |id: &PrincipalId| agents.contains(id.as_str()).then(|| format!("agents.{id}"));
        let group = |id: &GroupId| groups.contains_key(id).then(|| format!("groups.{id}"));
        let item = |id: &ResourceId| items.contains(id.as_str()).then(|| format!("items.{id}"));
        let place = |id: &ResourceId| places.contains(id.as_str()).then(|| format!("destinations.{id}"));
        let is_stated = |change: &DirectoryChange| match change {
            DirectoryChange::PutPerson(record) => person(&record.id),
            DirectoryChange::RemovePerson { id } => person(id),
            DirectoryChange::PutAgent(record) => agent(&record.id),
            DirectoryChange::RemoveAgent { id } => agent(id),
            DirectoryChange::PutGroup { id, .. }
            | DirectoryChange::RemoveGroup { id }
            | DirectoryChange::DescribeGroup { group: id, .. }
            | DirectoryChange::AddMembers { group: id, .. }
            | DirectoryChange::RemoveMembers { group: id, .. } => group(id),
            DirectoryChange::PutItem(record) => item(&record.id),
            DirectoryChange::RemoveItem { id }
            | DirectoryChange::SetReaders { item: id, .. }
            | DirectoryChange::AddReaders { item: id, .. }
            | DirectoryChange::RemoveReaders { item: id, .. } => item(id),
            DirectoryChange::PutDestination(record) => place(&record.id),
            DirectoryChange::RemoveDestination { id }
            | DirectoryChange::SetAudience { destination: id, .. }
            | DirectoryChange::AddAudience { destination: id, .. }
            | DirectoryChange::RemoveAudience { destination: id, .. } => place(id),
            DirectoryChange::PutGrant(grant) | DirectoryChange::RemoveGrant(grant) => {
                grants.contains(grant).then(|| format!("grants.{}", grant.to))
            }
        };
        let errors: Vec<_> = changes.iter().filter_map(is_stated).map(|place| DirectoryError::Declared { place }).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// What stands in a document more than once.
fn repeated(document: &DirectoryDocument) -> Vec<DirectoryError> {
    fn again<'a>(place: &'a str, ids: impl Iterator<Item = &'a str>) -> impl Iterator<Item = DirectoryError> {
        let mut seen = BTreeSet::new();
        ids.filter(move |id| !seen.insert(*id))
            .map(move |id| DirectoryError::Twice { place: place.to_owned(), id: id.to_owned() })
    }
    again("people", document.people.iter().map(|person| person.id.as_str()))
        .chain(again("agents", document.agents.iter().map(|agent| agent.id.as_str())))
        .chain(again("items", document.items.iter().map(|item| item.id.as_str())))
        .chain(again("destinations", document.destinations.iter().map(|destination| destination.id.as_str())))
        .collect()
}

/// The changes that make one document of another.
fn difference(before: &DirectoryDocument, after: &DirectoryDocument) -> Vec<DirectoryChange> {
    /// Records that are new or others, and the names of those that are gone.
    fn compare<'a, Id: Ord + ?Sized, R: PartialEq>(
        before: &'a [R],
        after: &'a [R],
        id: impl Fn(&R) -> &Id,
    ) -> (Vec<&'a R>, Vec<&'a R>) {
        let old: BTreeMap<&Id, &R> = before.iter().map(|record| (id(record), record)).collect();
        let new: BTreeSet<&Id> = after.iter().map(&id).collect();
        let put = after.iter().filter(|record| old.get(id(record)) != Some(record)).collect();
        (put, before.iter().filter(|record| !new.contains(id(record))).collect())
    }
    let mut changes = Vec::new();
    let (put, gone) = compare(&before.people, &after.people, |person| person.id.as_str());
    changes.extend(put.into_iter().cloned().map(DirectoryChange::PutPerson));
    changes.extend(gone.into_iter().map(|person| DirectoryChange::RemovePerson { id: person.id.clone() }));
    let (put, gone) = compare(&before.agents, &after.agents, |agent| agent.id.as_str());
    changes.extend(put.into_iter().cloned().map(|agent| DirectoryChange::PutAgent(Box::new(agent))));
    changes.extend(gone.into_iter().map(|agent| DirectoryChange::RemoveAgent { id: agent.id.clone() }));
    for (id, members) in after.groups.iter().filter(|(id, members)| before.groups.get(*id) != Some(members)) {
        changes.push(DirectoryChange::PutGroup { id: id.clone(), members: members.clone(), owner: None });
    }
    for id in before.groups.keys().filter(|id| !after.groups.contains_key(*id)) {
        changes.push(DirectoryChange::RemoveGroup { id: id.clone() });
    }
    let (put, gone) = compare(&before.destinations, &after.destinations, |destination| destination.id.as_str());
    changes.extend(put.into_iter().cloned().map(DirectoryChange::PutDestination));
    changes.extend(gone.into_iter().map(|destination| DirectoryChange::RemoveDestination { id: destination.id.clone() }));
    let (put, gone) = compare(&before.items, &after.items, |item| item.id.as_str());
    changes.extend(put.into_iter().cloned().map(DirectoryChange::PutItem));
    changes.extend(gone.into_iter().map(|item| DirectoryChange::RemoveItem { id: item.id.clone() }));
    let (put, gone) = compare(&before.grants, &after.grants, |grant| grant);
    changes.extend(put.into_iter().cloned().map(DirectoryChange::PutGrant));
    changes.extend(gone.into_iter().cloned().map(DirectoryChange::RemoveGrant));
    changes
}

/// A batch that was thought through: another directory, but for what is derived in it. Of that, what the batch reached still stands as it
/// was, so that a proposal can be looked at without copying what it would never be asked for.
#[derive(Debug)]
pub(crate) struct Proposed {
    pub(super) next: Directory,
    groups: BTreeMap<GroupNo, Became>,
    pub(super) touched: Touched,
    /// Who lists would be, of those that the batch reached.
    reaches: RefCell<BTreeMap<ListNo, Reach>>,
}

impl Proposed {
    /// The directory, up to date.
    fn accepted(self) -> (Directory, Touched) {
        let Self { mut next, groups, touched, .. } = self;
        next.groups.install(&groups);
        next.forget_derived(&touched);
        (next, touched)
    }

    /// What the batch reached.
    pub(crate) fn touched(&self) -> &Touched {
        &self.touched
    }

    /// The directory as it would be: its people, groups, places and items, but nothing derived.
    pub(crate) fn next(&self) -> &Directory {
        &self.next
    }

    /// Groups whose members would be others, through any nesting.
    pub(super) fn other_groups(&self) -> impl Iterator<Item = (GroupNo, &Became)> {
        self.groups.iter().filter(|(_, became)| became.is_other()).map(|(group, became)| (*group, became))
    }

    /// Who a list would be.
    pub(super) fn reach(&self, list: ListNo) -> Reach {
        if !self.touched.lists.contains(list) {
            return self.next.reach(list).clone();
        }
        if let Some(known) = self.reaches.borrow().get(&list) {
            return known.clone();
        }
        let reach = self.next.resolve(list, |group| self.here(group), |inner| self.reach(inner));
        self.reaches.borrow_mut().insert(list, reach.clone());
        reach
    }

    fn here(&self, group: GroupNo) -> PeopleSet {
        let before = self.next.groups.get(group);
        match self.groups.get(&group) {
            Some(became) => of_them(&became.all(before), &self.next.active),
            None if self.touched.moved.is_empty() => self.next.groups.here(group, &self.next.active).clone(),
            None => of_them(&before.all, &self.next.active),
        }
    }
}

/// A batch on its way to another directory.
struct Batch<'a> {
    next: Directory,
    errors: Vec<DirectoryError>,
    touched: Touched,
    edits: Edits,
    /// How many grants were put: they have no names, and errors say which they mean.
    grants_put: usize,
    /// Lists that were read before in this batch, by how they were written: where they stand in `lists_read`.
    read: HashMap<&'a [String], usize>,
    lists_read: Vec<ListNo>,
}

impl<'a> Batch<'a> {
    fn on(directory: &Directory) -> Self {
        Self {
            next: directory.clone(),
            errors: Vec::new(),
            touched: Touched::default(),
            edits: Edits::default(),
            grants_put: 0,
            read: HashMap::new(),
            lists_read: Vec::new(),
        }
    }

    /// What is put, so that everything has a name before anything refers to it; then what refers; then what is removed.
    fn run(&mut self, changes: &'a [DirectoryChange]) {
        for change in changes {
            match change {
                DirectoryChange::PutPerson(person) => self.put_person(person),
                DirectoryChange::PutAgent(agent) => self.name_agent(agent),
                DirectoryChange::PutGroup { id, owner, .. } => {
                    let number = self.next.groups.intern(id);
                    self.next.groups.get_mut(number).owner.clone_from(owner);
                }
                DirectoryChange::PutDestination(record) => self.name_destination(record),
                _ => {}
            }
        }
        let mut rest = changes;
        while let Some(change) = rest.first() {
            let items: Vec<&ItemRecord> = rest.iter().map_while(put_item).take(TOGETHER_MAX).collect();
            if items.is_empty() {
                self.refer(change);
            } else {
                self.put_items(&items);
            }
            rest = &rest[items.len().max(1)..];
        }
        // Nothing that goes holds on to anything else that goes.
        for change in changes {
            match change {
                DirectoryChange::RemoveGroup { id } if self.next.groups.number(id.as_str()).is_some() => {
                    self.put_members(id, &[])
                }
                DirectoryChange::RemoveDestination { id } if self.next.destinations.get(id.as_str()).is_some() => {
                    let nobody = self.list(ListSpec::default());
                    self.set_audience(id, nobody);
                }
                _ => {}
            }
        }
        self.next.groups.note_memberships(&mut self.edits.memberships);
        for pass in 0..REMOVAL_PASSES {
            changes.iter().filter(|change| removal_pass(change) == Some(pass)).for_each(|change| self.remove(change));
        }
    }

    fn refer(&mut self, change: &'a DirectoryChange) {
        match change {
            DirectoryChange::PutPerson(_) => {}
            DirectoryChange::PutAgent(agent) => {
                if self.next.knows_person(agent.id.as_str()) {
                    self.twice("agents", agent.id.as_str());
                }
                if !self.next.knows_person(agent.owner.as_str()) {
                    self.unknown(format!("agents.{}.owner", agent.id), agent.owner.as_str());
                }
                if let Some(sponsor) = agent.registration.sponsor.as_ref()
                    && !self.next.knows_person(sponsor.as_str())
                {
                    self.unknown(format!("agents.{}.sponsor", agent.id), sponsor.as_str());
                }
                self.is_fit(agent);
            }
            DirectoryChange::PutGroup { id, members, owner } => {
                self.owner(|| format!("groups.{id}"), owner.as_ref());
                self.put_members(id, members);
            }
            DirectoryChange::DescribeGroup { group, profile } => {
                self.profile(|| format!("groups.{group}"), profile.as_deref());
                if let Some(number) = self.group(group) {
                    self.next.groups.get_mut(number).profile.clone_from(profile);
                }
            }
            DirectoryChange::AddMembers { group, members } => {
                if let Some(number) = self.group(group) {
                    let (named, nested) = self.members(&format!("groups.{group}"), members);
                    let groups = &mut self.next.groups;
                    let joined = named - groups.get(number).members.as_ref();
                    groups.edit_members(number, joined, &RoaringBitmap::new(), &mut self.edits);
                    nested.into_iter().for_each(|inner| groups.nest(number, inner, &mut self.edits));
                }
            }
            DirectoryChange::RemoveMembers { group, members } => {
                if let Some(number) = self.group(group) {
                    let (named, nested) = self.members(&format!("groups.{group}"), members);
                    let groups = &mut self.next.groups;
                    let left = named & groups.get(number).members.as_ref();
                    groups.edit_members(number, RoaringBitmap::new(), &left, &mut self.edits);
                    nested.into_iter().for_each(|inner| groups.unnest(number, inner, &mut self.edits));
                }
            }
            DirectoryChange::PutDestination(record) => self.put_destination(record),
            DirectoryChange::SetAudience { destination, audience } => {
                self.edit_audience(destination, audience, Edit::Set);
            }
            DirectoryChange::AddAudience { destination, audience } => {
                self.edit_audience(destination, audience, Edit::Add);
            }
            DirectoryChange::RemoveAudience { destination, audience } => {
                self.edit_audience(destination, audience, Edit::Take);
            }
            DirectoryChange::PutItem(record) => self.put_items(&[record]),
            DirectoryChange::SetReaders { item, readers } => self.edit_readers(item, readers, Edit::Set),
            DirectoryChange::AddReaders { item, readers } => self.edit_readers(item, readers, Edit::Add),
            DirectoryChange::RemoveReaders { item, readers } => self.edit_readers(item, readers, Edit::Take),
            DirectoryChange::PutGrant(grant) => self.put_grant(grant),
            DirectoryChange::RemovePerson { .. }
            | DirectoryChange::RemoveAgent { .. }
            | DirectoryChange::RemoveGroup { .. }
            | DirectoryChange::RemoveItem { .. }
            | DirectoryChange::RemoveDestination { .. }
            | DirectoryChange::RemoveGrant(_) => {}
        }
    }

    fn remove(&mut self, change: &'a DirectoryChange) {
        match change {
            DirectoryChange::RemovePerson { id } => self.remove_person(id),
            DirectoryChange::RemoveAgent { id } => self.remove_agent(id),
            DirectoryChange::RemoveGroup { id } => self.remove_group(id),
            DirectoryChange::RemoveItem { id } => self.remove_item(id),
            DirectoryChange::RemoveDestination { id } => self.remove_destination(id),
            DirectoryChange::RemoveGrant(grant) => self.remove_grant(grant),
            DirectoryChange::PutPerson(_)
            | DirectoryChange::PutAgent(_)
            | DirectoryChange::PutGroup { .. }
            | DirectoryChange::DescribeGroup { .. }
            | DirectoryChange::AddMembers { .. }
            | DirectoryChange::RemoveMembers { .. }
            | DirectoryChange::PutItem(_)
            | DirectoryChange::SetReaders { .. }
            | DirectoryChange::AddReaders { .. }
            | DirectoryChange::RemoveReaders { .. }
            | DirectoryChange::PutDestination(_)
            | DirectoryChange::SetAudience { .. }
            | DirectoryChange::AddAudience { .. }
            | DirectoryChange::RemoveAudience { .. }
            | DirectoryChange::PutGrant(_) => {}
        }
    }

    fn finish(mut self) -> Result<Proposed, Vec<DirectoryError>> {
        let settled = self.next.groups.settle(std::mem::take(&mut self.edits.groups));
        let groups = settled.unwrap_or_else(|cyclic| {
            self.errors.extend(self.next.cycles("groups", cyclic.iter().map(|group| &self.next.groups.get(*group).handle[1..])));
            BTreeMap::new()
        });
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        self.follow_people(&groups);
        self.follow_lists();
        let mut heights = BTreeMap::new();
        let nested =
            self.touched.destinations.iter().filter(|id| self.next.height(id.as_str(), 0, &mut heights) > NESTING_DEPTH_MAX);
        let nested: Vec<_> = nested.map(ResourceId::as_str).collect();
        if !nested.is_empty() {
            return Err(self.next.cycles("destinations", nested.into_iter()));
        }
        let Self { next, touched, .. } = self;
        Ok(Proposed { next, groups, touched, reaches: RefCell::default() })
    }

    /// Lists that name a group with other members, or somebody who came or left; who did is so in every group around them.
    fn follow_people(&mut self, groups: &BTreeMap<GroupNo, Became>) {
        let next = &self.next;
        let mut reached: Vec<&RoaringBitmap> = Vec::new();
        reached.extend(groups.iter().filter(|(_, became)| became.is_other()).map(|(group, _)| next.groups.lists(*group)));
        for person in &self.touched.moved {
            reached.extend(next.naming.get(&person).map(AsRef::as_ref));
            reached.extend(next.groups.numbers_around(person).map(|group| next.groups.lists(group)));
        }
        self.touched.lists |= reached.union();
    }

    /// From lists to the destinations whose audience they are, to the lists that name those, and so on.
    fn follow_lists(&mut self) {
        let lists_of = |next: &Directory, id: &ResourceId, open: &mut Vec<ListNo>| {
            open.extend(next.destinations.get(id.as_str()).into_iter().flat_map(|destination| &destination.lists));
        };
        let mut open: Vec<ListNo> = (&self.touched.lists & self.next.audiences.as_ref()).into_iter().collect();
        self.touched.destinations.iter().for_each(|id| lists_of(&self.next, id, &mut open));
        let mut followed = RoaringBitmap::new();
        while let Some(list) = open.pop() {
            if followed.insert(list) {
                for id in &self.next.lists.get(list).destinations {
                    self.touched.destinations.insert(id.clone());
                    lists_of(&self.next, id, &mut open);
                }
            }
        }
        self.touched.lists |= followed;
    }

    fn put_person(&mut self, person: &PersonRecord) {
        let number = self.next.principals.intern(&person.id);
        if self.next.agents.contains_key(person.id.as_str()) {
            self.twice("people", person.id.as_str());
        }
        self.profile(|| format!("people.{}", person.id), person.profile.as_deref());
        if let Some(why) = unfit_attributes(&person.attributes) {
            self.errors.push(DirectoryError::Unfit { place: format!("people.{}", person.id), why });
        }
        let before = self.next.people.get(number).cloned();
        self.rename("people", number, before.as_ref().and_then(|before| before.handle.as_deref()), person.handle.as_ref());
        self.forget_person(number, before.as_deref());
        let id = self.next.principals.name(number).expect("it was given a number").clone();
        self.next.people.put(number, Some(PersonRecord { id, ..person.clone() }));
        let is_active = person.status == Status::Active;
        let was_active = before.as_ref().is_some_and(|before| before.status == Status::Active);
        if is_active != was_active {
            self.touched.moved.insert(number);
        }
        let clearance = self.next.clearance_of(Some(person));
        if clearance != self.next.clearance_of(before.as_deref()) {
            self.touched.clearance.insert(number);
        }
        if !is_active {
            return;
        }
        Arc::make_mut(&mut self.next.active).insert(number);
        if let Some(clearance) = clearance {
            Arc::make_mut(self.next.cleared.entry(clearance).or_default()).insert(number);
        }
        for address in &person.addresses {
            let lower = address.to_lowercase();
            if self.next.people.at_address(&lower).is_some_and(|other| other != number) {
                self.twice("people", address);
            }
            self.next.people.put_address(&lower, number);
        }
    }

    /// Takes away what followed from being here.
    fn forget_person(&mut self, number: u32, before: Option<&PersonRecord>) {
        let Some(before) = before.filter(|before| before.status == Status::Active) else { return };
        Arc::make_mut(&mut self.next.active).remove(number);
        if let Some(clearance) = self.next.clearance_of(Some(before))
            && let Some(people) = self.next.cleared.get_mut(&clearance)
        {
            Arc::make_mut(people).remove(number);
            if people.is_empty() {
                self.next.cleared.remove(&clearance);
            }
        }
        for address in &before.addresses {
            self.next.people.forget_address(&address.to_lowercase());
        }
    }

    fn name_agent(&mut self, agent: &AgentRecord) {
        let number = self.next.principals.intern(&agent.id);
        self.profile(|| format!("agents.{}", agent.id), agent.profile.as_deref());
        self.next.agent_numbers.insert(number);
        let before = self.next.agents.insert(agent.id.clone(), Arc::new(agent.clone()));
        self.rename("agents", number, before.as_ref().and_then(|before| before.handle.as_deref()), agent.handle.as_ref());
    }

    /// What an agent is registered for has its bounds.
    fn is_fit(&mut self, agent: &AgentRecord) {
        let place = || format!("agents.{}", agent.id);
        let registration = &agent.registration;
        let marks = [&registration.registered, &registration.reviewed, &registration.suspended];
        let is_long = |text: &str| text.len() > REGISTRATION_NAME_BYTES_MAX;
        let too_long = registration.names().flatten().any(|name| name.is_empty() || is_long(name))
            || marks.into_iter().flatten().any(|mark| is_long(&mark.why));
        if too_long || registration.names().any(|names| names.len() > REGISTRATION_NAMES_MAX) {
            let why = format!(
                "a registration has at most {REGISTRATION_NAMES_MAX} purposes, tools, keys and clients, each of 1 to \
                 {REGISTRATION_NAME_BYTES_MAX} bytes"
            );
            self.errors.push(DirectoryError::Unfit { place: place(), why });
        }
        if let Some(pattern) = registration.tools.iter().flatten().find(|pattern| !crate::pattern::is_valid(pattern)) {
            self.errors.push(DirectoryError::Pattern { place: format!("{}.tools", place()), pattern: pattern.to_string() });
        }
    }

    /// A handle is one principal's.
    fn rename(&mut self, place: &str, number: u32, before: Option<&str>, after: Option<&Arc<str>>) {
        if before == after.map(AsRef::as_ref) {
            return;
        }
        if let Some(before) = before {
            self.next.handles.remove(before.to_lowercase().as_str());
        }
        if let Some(after) = after
            && let Some(other) = self.next.handles.insert(after.to_lowercase().into(), number)
            && other != number
        {
            self.twice(place, after);
        }
    }

    fn profile(&mut self, place: impl Fn() -> String, profile: Option<&str>) {
        if let Some(profile) = profile.filter(|profile| profile.len() > PROFILE_BYTES_MAX) {
            let why = format!("a profile of {} bytes, at most {PROFILE_BYTES_MAX} are allowed", profile.len());
            self.errors.push(DirectoryError::Unfit { place: place(), why });
        }
    }

    fn remove_person(&mut self, id: &PrincipalId) {
        let place = format!("people.{id}");
        let Some(number) = self.next.principals.number(id.as_str()).filter(|number| self.next.people.get(*number).is_some())
        else {
            return self.errors.push(DirectoryError::Absent { place });
        };
        let in_group = self.next.groups.around(number).next().map(|group| group.handle.to_string());
        let naming = || self.next.naming.get(&number).into_iter().flat_map(|lists| lists.iter());
        let named = || naming().find(|list| self.next.is_used(self.next.lists.get(*list)));
        let owned = || self.next.agents.values().find(|agent| agent.is_answered_for_by(id)).map(|agent| agent.id.to_string());
        let by = in_group.or_else(owned).or_else(|| named().map(|_| "a list of readers".to_owned()));
        if let Some(by) = by.or_else(|| self.next.grants.get(id.as_str()).map(|_| "a grant".to_owned())) {
            return self.errors.push(DirectoryError::InUse { place, by });
        }
        let before = self.next.people.get(number).cloned();
        if self.next.clearance_of(before.as_deref()).is_some() {
            self.touched.clearance.insert(number);
        }
        self.rename("people", number, before.as_ref().and_then(|before| before.handle.as_deref()), None);
        self.forget_person(number, before.as_deref());
        self.next.people.put(number, None);
        self.touched.moved.insert(number);
    }

    fn remove_agent(&mut self, id: &PrincipalId) {
        let place = format!("agents.{id}");
        let Some(number) = self.next.principals.number(id.as_str()).filter(|_| self.next.agents.contains_key(id.as_str())) else {
            return self.errors.push(DirectoryError::Absent { place });
        };
        let in_group = self.next.groups.around(number).next().map(|group| group.handle.to_string());
        if let Some(by) = in_group.or_else(|| self.next.grants.get(id.as_str()).map(|_| "a grant".to_owned())) {
            return self.errors.push(DirectoryError::InUse { place, by });
        }
        let before = self.next.agents.remove(id.as_str());
        self.rename("agents", number, before.as_ref().and_then(|before| before.handle.as_deref()), None);
        self.next.agent_numbers.remove(number);
    }

    fn group(&mut self, id: &GroupId) -> Option<GroupNo> {
        let number = self.next.groups.number(id.as_str());
        if number.is_none() {
            self.errors.push(DirectoryError::Absent { place: format!("groups.{id}") });
        }
        number
    }

    /// Reads the members of a group: principals and groups.
    fn members(&mut self, place: &str, members: &[String]) -> (RoaringBitmap, Vec<GroupNo>) {
        let (mut principals, mut groups) = (Vec::new(), Vec::new());
        for (at, name) in members.iter().enumerate() {
            if at % TOGETHER_MAX == 0 {
                self.next.principals.fetch(members[at..].iter().take(TOGETHER_MAX).map(String::as_str));
            }
            let is_known = match name.strip_prefix('@') {
                Some(group) => self.next.groups.number(group).map(|group| groups.push(group)),
                None => self.principal(name).map(|principal| principals.push(principal)),
            };
            if is_known.is_none() {
                self.unknown(place.to_owned(), name);
            }
        }
        principals.sort_unstable();
        (principals.into_iter().collect(), groups)
    }

    /// A person, here or not, or an agent.
    fn principal(&self, name: &str) -> Option<u32> {
        let next = &self.next;
        next.principals.number(name).filter(|number| next.people.get(*number).is_some() || next.agent_numbers.contains(*number))
    }

    fn put_members(&mut self, id: &GroupId, members: &[String]) {
        let number = self.next.groups.intern(id);
        let (named, nested) = self.members(&format!("groups.{id}"), members);
        let groups = &mut self.next.groups;
        let before = groups.get(number);
        let (members, mut gone) = (before.members.clone(), before.nested.clone());
        for inner in &nested {
            gone.remove(inner);
        }
        groups.edit_members(number, &named - members.as_ref(), &(members.as_ref() - &named), &mut self.edits);
        nested.into_iter().for_each(|inner| groups.nest(number, inner, &mut self.edits));
        gone.into_iter().for_each(|inner| groups.unnest(number, inner, &mut self.edits));
    }

    fn remove_group(&mut self, id: &GroupId) {
        let place = format!("groups.{id}");
        let Some(number) = self.group(id) else { return };
        let group = self.next.groups.get(number);
        let outer = group.parents.get_min().map(|outer| self.next.groups.get(*outer).handle.to_string());
        let named = || self.next.groups.lists(number).iter().find(|list| self.next.is_used(self.next.lists.get(*list)));
        let by = outer.or_else(|| named().map(|_| "a list of readers".to_owned()));
        if let Some(by) = by.or_else(|| self.next.grants.get(&group.handle).map(|_| "a grant".to_owned())) {
            return self.errors.push(DirectoryError::InUse { place, by });
        }
        self.next.groups.forget(id);
    }

    fn name_destination(&mut self, record: &DestinationRecord) {
        let place = || format!("destinations.{}", record.id);
        if !crate::pattern::is_valid(record.id.as_str()) {
            return self.errors.push(DirectoryError::Pattern { place: place(), pattern: record.id.to_string() });
        }
        if self.next.destinations.get(record.id.as_str()).is_none() {
            let list = self.list(ListSpec::default());
            let entry = Destination { list, owner: None, known: false, lists: BTreeSet::new(), shelves: BTreeSet::new() };
            self.next.destinations.insert(record.id.shared(), Arc::new(entry));
        }
    }

    fn put_destination(&mut self, record: &'a DestinationRecord) {
        let place = || format!("destinations.{}", record.id);
        self.owner(place, record.owner.as_ref());
        let list = self.list_of(place, &record.audience);
        if let Some(destination) = self.destination_mut(&record.id) {
            destination.owner.clone_from(&record.owner);
            destination.known = record.known;
        }
        self.set_audience(&record.id, list);
    }

    fn set_audience(&mut self, id: &ResourceId, list: ListNo) {
        let Some(destination) = self.destination_mut(id) else { return };
        let before = std::mem::replace(&mut destination.list, list);
        self.drop_audience(id, before);
        self.next.lists.get_mut(list).destinations.insert(id.clone());
        Arc::make_mut(&mut self.next.audiences).insert(list);
        self.touched.destinations.insert(id.clone());
    }

    fn drop_audience(&mut self, id: &ResourceId, list: ListNo) {
        let entry = self.next.lists.get_mut(list);
        entry.destinations.remove(id.as_str());
        if entry.destinations.is_empty() {
            Arc::make_mut(&mut self.next.audiences).remove(list);
        }
    }

    fn destination_mut(&mut self, id: &ResourceId) -> Option<&mut Destination> {
        self.next.destinations.get_mut(id.as_str()).map(Arc::make_mut)
    }

    fn edit_audience(&mut self, id: &ResourceId, names: &'a [String], edit: Edit) {
        let place = || format!("destinations.{id}");
        let Some(known) = self.next.destinations.best(id.as_str()) else {
            return self.errors.push(DirectoryError::Absent { place: place() });
        };
        let list = known.list;
        // What only a pattern speaks of gets an audience of its own.
        if self.next.destinations.get(id.as_str()).is_none() {
            let own = Destination { lists: BTreeSet::new(), shelves: BTreeSet::new(), ..known.as_ref().clone() };
            self.next.destinations.insert(id.shared(), Arc::new(own));
        }
        let list = self.edited_list(place, list, names, edit);
        self.set_audience(id, list);
    }

    fn remove_destination(&mut self, id: &ResourceId) {
        let place = format!("destinations.{id}");
        let Some(destination) = self.next.destinations.get(id.as_str()) else {
            return self.errors.push(DirectoryError::Absent { place });
        };
        let named = destination.lists.iter().any(|list| self.next.is_used(self.next.lists.get(*list)));
        let held = destination.shelves.iter().find_map(|shelf| self.next.shelves.get(*shelf).items.get_min());
        let held = held.map(|item| self.next.items.name(*item).to_string());
        let by = named.then(|| "a list of readers".to_owned()).or(held);
        if let Some(by) = by {
            return self.errors.push(DirectoryError::InUse { place, by });
        }
        let list = destination.list;
        self.drop_audience(id, list);
        self.next.destinations.remove(id.as_str());
        self.touched.destinations.insert(id.clone());
    }

    /// Puts items step by step, each step for all of them, and fetches together what the next step reads.
    fn put_items(&mut self, records: &[&'a ItemRecord]) {
        let next = &self.next;
        next.items.fetch(records.iter().map(|record| record.id.as_str()));
        let mut unread: Vec<(&ItemRecord, &'a [String])> = Vec::new();
        let mut readers: Vec<Option<usize>> = Vec::with_capacity(records.len());
        for record in records {
            readers.push(record.readers.as_deref().map(|names| {
                *self.read.entry(names).or_insert_with(|| {
                    unread.push((record, names));
                    self.lists_read.len() + unread.len() - 1
                })
            }));
        }
        let names = || unread.iter().flat_map(|(_, names)| *names);
        let owners = records.iter().filter_map(|record| record.owner.as_ref()).map(PrincipalId::as_str);
        next.groups.fetch(names().filter_map(|name| name.strip_prefix('@')));
        next.principals.fetch(names().map(String::as_str).filter(|name| !name.starts_with('@')).chain(owners));

        let place = |record: &ItemRecord| format!("items.{}", record.id);
        let lists: Vec<_> = unread.into_iter().map(|(record, names)| self.spec_of(|| place(record), names)).collect();
        self.next.lists.fetch(lists.iter());
        for spec in lists {
            let list = self.list(spec);
            self.lists_read.push(list);
        }

        let lists = readers.into_iter().map(|at| at.map(|at| self.lists_read[at])).collect::<Vec<_>>();
        let shelves: Vec<ShelfSpec> = records.iter().zip(lists).map(|(record, list)| self.shelf_of(record, list)).collect();
        self.next.shelves.fetch(shelves.iter());
        for (record, spec) in records.iter().zip(shelves) {
            self.file(&record.id, spec);
        }
    }

    /// The shelf that an item belongs on, with its readers.
    fn shelf_of(&mut self, record: &ItemRecord, list: Option<ListNo>) -> ShelfSpec {
        let place = || format!("items.{}", record.id);
        if !crate::pattern::is_valid(record.id.as_str()) {
            self.errors.push(DirectoryError::Pattern { place: place(), pattern: record.id.to_string() });
        }
        let owner = self.owner(place, record.owner.as_ref());
        if let Some(container) = record.container.as_ref().filter(|id| self.next.destinations.get(id.as_str()).is_none()) {
            self.unknown(place(), container.as_str());
        }
        ShelfSpec {
            list,
            classification: record.classification,
            categories: record.categories.clone(),
            purposes: record.purposes.clone().map_or(Purposes::Any, Purposes::Only),
            integrity: record.integrity,
            container: record.container.clone(),
            owner,
        }
    }

    fn edit_readers(&mut self, id: &ResourceId, names: &'a [String], edit: Edit) {
        let place = || format!("items.{id}");
        // What only a pattern speaks of gets a list of its own.
        let Some(shelf) = self.next.items.best(id.as_str()) else {
            return self.errors.push(DirectoryError::Absent { place: place() });
        };
        let mut spec = self.next.shelves.get(shelf).spec.as_ref().clone();
        // Unknown readers stay unknown, whoever is added to them.
        let is_stated = spec.list.is_some() || edit == Edit::Set;
        let list = spec.list.unwrap_or_else(|| self.list(ListSpec::default()));
        let list = self.edited_list(place, list, names, edit);
        spec.list = is_stated.then_some(list);
        self.file(id, spec);
    }

    fn file(&mut self, id: &ResourceId, spec: ShelfSpec) {
        let shelf = self.shelf(spec);
        // What only a pattern spoke of was visible to those whom the pattern names.
        let by_pattern = self.next.items.by_pattern(id.as_str());
        let (item, before) = self.next.items.file(id, shelf);
        match before {
            Some(before) if before == shelf => return,
            Some(before) => self.take_off(before, item),
            None => {}
        }
        self.next.shelves.get_mut(shelf).items.insert(item);
        let row = &mut self.next.rows[shelf as usize];
        row.count += 1;
        self.next.kinds.count_in(row.kind);
        self.touched.items.entry(item).or_insert(before.or(by_pattern));
    }

    fn remove_item(&mut self, id: &ResourceId) {
        let Some((item, shelf)) = self.next.items.remove(id.as_str()) else {
            return self.errors.push(DirectoryError::Absent { place: format!("items.{id}") });
        };
        self.take_off(shelf, item);
        self.touched.items.entry(item).or_insert(Some(shelf));
    }

    fn take_off(&mut self, shelf: ShelfNo, item: ItemNo) {
        self.next.shelves.get_mut(shelf).items.remove(&item);
        let row = &mut self.next.rows[shelf as usize];
        row.count -= 1;
        self.next.kinds.count_out(row.kind);
    }

    fn put_grant(&mut self, grant: &GrantRecord) {
        let number = self.grants_put;
        self.grants_put += 1;
        let place = || format!("grants[{number}]");
        let known = match grant.to.strip_prefix('@') {
            Some(group) => self.next.groups.number(group).is_some(),
            None => grant.to == "public" || self.next.knows_person(&grant.to) || self.next.agents.contains_key(grant.to.as_str()),
        };
        if !known {
            self.unknown(place(), &grant.to);
        }
        for pattern in grant.on.iter().filter(|pattern| !crate::pattern::is_valid(pattern)) {
            self.errors.push(DirectoryError::Pattern { place: place(), pattern: pattern.clone() });
        }
        let grants = Arc::make_mut(self.next.grants.entry(grant.to.as_str().into()).or_default());
        if grants.records.insert(grant.clone()) {
            grants.add(grant);
        }
    }

    fn remove_grant(&mut self, grant: &GrantRecord) {
        let held = self.next.grants.get_mut(grant.to.as_str()).map(Arc::make_mut);
        let Some(grants) = held.filter(|grants| grants.records.contains(grant)) else {
            return self.errors.push(DirectoryError::Absent { place: format!("grants.{}", grant.to) });
        };
        // Two grants may say the same of one resource, so what is left is put together anew.
        let mut left = Grants { records: std::mem::take(&mut grants.records), ..Grants::default() };
        left.records.remove(grant);
        for grant in left.records.clone() {
            left.add(&grant);
        }
        if left.records.is_empty() {
            self.next.grants.remove(grant.to.as_str());
        } else {
            *grants = left;
        }
    }

    /// The list that these names make.
    fn list_of(&mut self, place: impl Fn() -> String, names: &'a [String]) -> ListNo {
        if let Some(&known) = self.read.get(names) {
            return self.lists_read[known];
        }
        let spec = self.spec_of(place, names);
        let list = self.list(spec);
        self.read.insert(names, self.lists_read.len());
        self.lists_read.push(list);
        list
    }

    fn edited_list(&mut self, place: impl Fn() -> String, list: ListNo, names: &[String], edit: Edit) -> ListNo {
        let names = self.spec_of(place, names);
        let mut spec = self.next.lists.get(list).spec.as_ref().clone();
        match edit {
            Edit::Set => spec = names,
            Edit::Add => spec.add(&names),
            Edit::Take => spec.take(&names),
        }
        self.list(spec)
    }

    fn spec_of(&mut self, place: impl Fn() -> String, names: &[String]) -> ListSpec {
        let mut spec = ListSpec::default();
        for name in names {
            if name == "public" {
                spec.public = true;
            } else if let Some(domain) = name.strip_prefix("external:") {
                spec.external.insert(domain.to_lowercase().into());
            } else if let Some(group) = name.strip_prefix('@').and_then(|group| self.next.groups.number(group)) {
                spec.groups.push(group);
            } else if let Some(number) =
                self.next.principals.number(name).filter(|number| self.next.people.get(*number).is_some())
            {
                spec.people.push(number);
            } else if let Ok(id) = ResourceId::parse(name)
                && self.next.destinations.get(name).is_some()
            {
                spec.destinations.insert(id);
            } else if !self.next.agents.contains_key(name.as_str()) {
                // An agent sees nothing for itself: what it reads is seen by whoever it acts for.
                self.unknown(place(), name);
            }
        }
        spec.tidy();
        spec
    }

    fn list(&mut self, spec: ListSpec) -> ListNo {
        let next = &mut self.next;
        let (number, is_new) = next.lists.intern(spec, |spec| List {
            spec: Arc::new(spec),
            shelves: imbl::OrdSet::new(),
            destinations: BTreeSet::new(),
        });
        let spec = next.lists.get(number).spec.clone();
        if is_new {
            next.reaches.add(number);
            if spec.public {
                Arc::make_mut(&mut next.public_lists).insert(number);
            }
            if !spec.destinations.is_empty() {
                Arc::make_mut(&mut next.nesting_lists).insert(number);
            }
            for group in &spec.groups {
                next.groups.add_list(*group, number);
            }
            for person in &spec.people {
                Arc::make_mut(next.naming.entry(*person).or_default()).insert(number);
            }
        }
        // A destination that was removed and put again knows none of the lists that name it, and they still hold who was in the old one.
        for id in &spec.destinations {
            if self.next.destinations.get(id.as_str()).is_some_and(|destination| !destination.lists.contains(&number)) {
                self.destination_mut(id).expect("it is there").lists.insert(number);
                self.touched.lists.insert(number);
            }
        }
        number
    }

    fn shelf(&mut self, spec: ShelfSpec) -> ShelfNo {
        let next = &mut self.next;
        let (number, is_new) = next.shelves.intern(spec, |spec| Shelf { spec: Arc::new(spec), items: imbl::OrdSet::new() });
        if is_new {
            next.labels.add(number);
            let spec = next.shelves.get(number).spec.clone();
            let kind = next.kinds.intern(spec.classification, &spec.categories);
            let (list, owner, is_placed) = (spec.list, spec.owner, spec.container.is_some());
            next.rows.push(ShelfRow { list, owner, kind, count: 0, is_placed });
            if let Some(list) = spec.list {
                next.lists.get_mut(list).shelves.insert(number);
            }
        }
        // As with lists: the shelf may have stood in another destination of the same name.
        let Some(id) = self.next.shelves.get(number).spec.container.clone() else { return number };
        if self.next.destinations.get(id.as_str()).is_some_and(|destination| !destination.shelves.contains(&number)) {
            self.destination_mut(&id).expect("it is there").shelves.insert(number);
            self.next.labels.forget(number);
        }
        number
    }

    /// The number of an owner, who has to be a person.
    fn owner(&mut self, place: impl Fn() -> String, owner: Option<&PrincipalId>) -> Option<u32> {
        let owner = owner?;
        let number = self.next.principals.number(owner.as_str());
        if number.and_then(|number| self.next.people.get(number)).is_none() {
            self.unknown(format!("{}.owner", place()), owner.as_str());
        }
        number
    }

    fn twice(&mut self, place: &str, id: &str) {
        self.errors.push(DirectoryError::Twice { place: place.to_owned(), id: id.to_owned() });
    }

    fn unknown(&mut self, place: String, name: &str) {
        self.errors.push(DirectoryError::Unknown { place, name: name.to_owned() });
    }
}

/// Up to how many things of a batch are looked up side by side.
const TOGETHER_MAX: usize = 256;

/// The item, when a change puts one.
fn put_item(change: &DirectoryChange) -> Option<&ItemRecord> {
    match change {
        DirectoryChange::PutItem(record) => Some(record),
        _ => None,
    }
}

/// What refers to other things has to go before them.
const REMOVAL_PASSES: u8 = 5;

/// When in a batch a change removes something, if it does.
fn removal_pass(change: &DirectoryChange) -> Option<u8> {
    match change {
        DirectoryChange::RemoveGrant(_) | DirectoryChange::RemoveItem { .. } => Some(0),
        DirectoryChange::RemoveDestination { .. } => Some(1),
        DirectoryChange::RemoveGroup { .. } => Some(2),
        DirectoryChange::RemoveAgent { .. } => Some(3),
        DirectoryChange::RemovePerson { .. } => Some(4),
        _ => None,
    }
}

/// What becomes of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edit {
    Set,
    Add,
    Take,
}

impl ListSpec {
    fn add(&mut self, names: &ListSpec) {
        self.public |= names.public;
        self.external.extend(names.external.iter().cloned());
        self.people.extend(&names.people);
        self.groups.extend(&names.groups);
        self.destinations.extend(names.destinations.iter().cloned());
        self.tidy();
    }

    /// Puts numbers in order, each once.
    fn tidy(&mut self) {
        for numbers in [&mut self.people, &mut self.groups] {
            numbers.sort_unstable();
            numbers.dedup();
            numbers.shrink_to_fit();
        }
    }

    fn take(&mut self, names: &ListSpec) {
        self.public &= !names.public;
        self.external.retain(|name| !names.external.contains(name));
        self.people.retain(|person| !names.people.contains(person));
        self.groups.retain(|group| !names.groups.contains(group));
        self.destinations.retain(|destination| !names.destinations.contains(destination));
    }
}

impl Grants {
    fn add(&mut self, grant: &GrantRecord) {
        let kind: Arc<str> = Arc::from(grant.kind.as_str());
        for effect in &grant.may {
            let patterns = self.by_effect.entry(*effect).or_default();
            for pattern in &grant.on {
                patterns.entry(pattern).insert(kind.clone());
            }
        }
    }
}

impl Directory {
    /// Lets go of what was derived and may be another.
    fn forget_derived(&mut self, touched: &Touched) {
        for person in &touched.moved {
            for group in self.groups.numbers_around(person).collect::<Vec<_>>() {
                self.groups.forget_here(group);
            }
        }
        let mut shelves = RoaringBitmap::new();
        for list in &touched.lists {
            self.reaches.forget(list);
            shelves.extend(&self.lists.get(list).shelves);
        }
        for place in touched.destinations.iter().filter_map(|id| self.destinations.get(id.as_str())) {
            shelves.extend(&place.shelves);
        }
        shelves.into_iter().for_each(|shelf| self.labels.forget(shelf));
    }

    fn is_used(&self, list: &List) -> bool {
        !list.destinations.is_empty() || list.shelves.iter().any(|shelf| !self.shelves.get(*shelf).items.is_empty())
    }

    /// How many destinations lie within each other here, this one counted; more than [`NESTING_DEPTH_MAX`] when it contains itself.
    fn height<'a>(&'a self, id: &'a str, depth: usize, known: &mut BTreeMap<&'a str, usize>) -> usize {
        let Some(destination) = self.destinations.get(id) else { return 0 };
        if depth > NESTING_DEPTH_MAX {
            return NESTING_DEPTH_MAX + 1;
        }
        if let Some(height) = known.get(id) {
            return *height;
        }
        let nested = &self.lists.get(destination.list).spec.destinations;
        let height = 1 + nested.iter().map(|inner| self.height(inner.as_str(), depth + 1, known)).max().unwrap_or(0);
        known.insert(id, height);
        height
    }

    fn cycles<'n>(&self, place: &str, names: impl Iterator<Item = &'n str>) -> Vec<DirectoryError> {
        names.map(|name| DirectoryError::Cycle { place: format!("{place}.{name}"), name: name.to_owned() }).collect()
    }
}

impl Directory {
    /// What a person is cleared for beyond what names them, while they are here: by themselves, and by every rule that speaks of them.
    pub(super) fn clearance_of(&self, person: Option<&PersonRecord>) -> Option<Clearance> {
        let person = person.filter(|person| person.status == Status::Active)?;
        let (mut level, mut categories) = (person.clearance, person.categories.clone());
        for rule in self.rules.iter().filter(|rule| rule.matches(person)) {
            level = level.max(rule.level);
            categories.extend(rule.categories.iter().cloned());
        }
        level.map(|level| (level, categories))
    }

    /// Puts other rules of clearance in force.
    fn clear_by(&mut self, rules: &[ClearanceRule]) {
        if self.rules.as_ref() == rules {
            return;
        }
        self.rules = rules.into();
        let mut cleared: BTreeMap<Clearance, RoaringBitmap> = BTreeMap::new();
        for (number, person) in self.people.iter() {
            if let Some(clearance) = self.clearance_of(Some(person)) {
                cleared.entry(clearance).or_default().insert(number);
            }
        }
        self.cleared = cleared.into_iter().map(|(clearance, people)| (clearance, Arc::new(people))).collect();
    }
}

/// Rules that say nothing, or too many.
fn unfit_rules(rules: &[ClearanceRule]) -> Vec<DirectoryError> {
    let mut errors = Vec::new();
    if rules.len() > CLEARANCE_RULES_MAX {
        let why = format!("{} rules, at most {CLEARANCE_RULES_MAX} are allowed", rules.len());
        errors.push(DirectoryError::Unfit { place: "clearance".to_owned(), why });
    }
    for (at, rule) in rules.iter().enumerate() {
        // Everyone would be cleared by what somebody forgot to write.
        if rule.when.is_empty() {
            let why = "`when` names no attribute, and would speak of everyone".to_owned();
            errors.push(DirectoryError::Unfit { place: format!("clearance[{at}]"), why });
        }
    }
    errors
}

/// What is wrong with attributes, if anything is.
fn unfit_attributes(attributes: &Attributes) -> Option<String> {
    let Attributes(attributes) = attributes;
    let many = |number: usize| {
        (number > ATTRIBUTES_MAX).then(|| format!("{number} attributes or values, at most {ATTRIBUTES_MAX} are allowed"))
    };
    let long = |text: &Arc<str>| {
        let bytes = text.len();
        (bytes > ATTRIBUTE_BYTES_MAX).then(|| format!("an attribute of {bytes} bytes, at most {ATTRIBUTE_BYTES_MAX} are allowed"))
    };
    many(attributes.len())
        .or_else(|| attributes.values().find_map(|values| many(values.0.len())))
        .or_else(|| attributes.iter().flat_map(|(name, values)| values.0.iter().chain([name])).find_map(long))
}
