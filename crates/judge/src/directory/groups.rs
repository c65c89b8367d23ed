//! Groups, nested in each other: who is in them through any depth. Kept up to date by what changed, never computed anew from the start.

use super::document::NESTING_DEPTH_MAX;
use super::lists::{Cells, ListNo};
use super::names::Names;
use crate::name::{GroupId, PrincipalId};
use crate::reach::PeopleSet;
use imbl::{OrdMap, OrdSet, Vector};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A group by its place in the table; never given twice.
pub(super) type GroupNo = u32;

#[derive(Debug, Clone)]
pub(super) struct Group {
    /// As grants and lists write it, with its `@`.
    pub(super) handle: Arc<str>,
    pub(super) owner: Option<PrincipalId>,
    /// What a provisioning service wants kept.
    pub(super) profile: Option<Arc<str>>,
    /// People and agents who are in it by themselves.
    pub(super) members: Arc<RoaringBitmap>,
    pub(super) nested: OrdSet<GroupNo>,
    pub(super) parents: OrdSet<GroupNo>,
    /// People and agents who are in it through any nesting, here or not. One set with `members` where nothing is nested.
    pub(super) all: Arc<RoaringBitmap>,
    /// Levels of groups in it.
    height: usize,
}

/// How a group was edited in a batch, before the groups around it follow; and after that, what really became of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Edited {
    /// Members that may be new, through nesting as well.
    pub(super) gained: Arc<RoaringBitmap>,
    /// Whether somebody may have gone.
    pub(super) lost: bool,
}

impl Edited {
    fn gain(&mut self, members: &Arc<RoaringBitmap>) {
        if self.gained.is_empty() {
            self.gained = members.clone();
        } else if !members.is_empty() && !Arc::ptr_eq(&self.gained, members) {
            *Arc::make_mut(&mut self.gained) |= members.as_ref();
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    names: Names<GroupId>,
    /// In order of their names.
    order: OrdMap<GroupId, GroupNo>,
    entries: Vector<Arc<Group>>,
    /// Access lists that name a group.
    lists: Vector<Arc<RoaringBitmap>>,
    /// Derived: the people in a group, through any nesting, who are here.
    here: Cells<PeopleSet>,
    /// By principal: the groups they are in by themselves.
    memberships: Vector<Arc<[GroupNo]>>,
}

impl Groups {
    pub(super) fn number(&self, id: &str) -> Option<GroupNo> {
        self.names.number(id)
    }

    /// With the name as it is kept.
    pub(super) fn named_with_id(&self, id: &str) -> Option<(&GroupId, GroupNo)> {
        self.number(id).and_then(|number| Some((self.names.name(number)?, number)))
    }

    pub(super) fn get(&self, number: GroupNo) -> &Group {
        &self.entries[number as usize]
    }

    pub(super) fn get_mut(&mut self, number: GroupNo) -> &mut Group {
        Arc::make_mut(&mut self.entries[number as usize])
    }

    pub(super) fn named(&self, id: &str) -> Option<&Group> {
        self.number(id).map(|number| self.get(number))
    }

    /// All of them, in order of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&GroupId, &Group)> {
        self.order.iter().map(|(id, number)| (id, self.get(*number)))
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn intern(&mut self, id: &GroupId) -> GroupNo {
        let (number, is_new) = self.names.intern(id);
        if !is_new {
            return number;
        }
        let nobody: Arc<RoaringBitmap> = Arc::default();
        self.entries.push_back(Arc::new(Group {
            handle: format!("@{id}").into(),
            owner: None,
            profile: None,
            members: nobody.clone(),
            nested: OrdSet::new(),
            parents: OrdSet::new(),
            all: nobody,
            height: 1,
        }));
        self.order.insert(id.clone(), number);
        self.lists.push_back(Arc::default());
        self.here.add(number);
        number
    }

    /// Forgets the name; its number stays unused.
    pub(super) fn forget(&mut self, id: &GroupId) {
        self.names.forget(id.as_str());
        self.order.remove(id.as_str());
    }

    /// Access lists that name this group.
    pub(super) fn lists(&self, group: GroupNo) -> &RoaringBitmap {
        &self.lists[group as usize]
    }

    pub(super) fn add_list(&mut self, group: GroupNo, list: ListNo) {
        Arc::make_mut(&mut self.lists[group as usize]).insert(list);
    }

    /// The groups that this principal is in by themselves.
    pub(super) fn direct(&self, principal: u32) -> &[GroupNo] {
        self.memberships.get(principal as usize).map_or(&[], |groups| groups)
    }

    fn set_direct(&mut self, principal: u32, groups: Arc<[GroupNo]>) {
        while self.memberships.len() <= principal as usize {
            self.memberships.push_back(Arc::default());
        }
        self.memberships.set(principal as usize, groups);
    }

    /// The groups that this principal is in, through any nesting.
    pub(super) fn around(&self, principal: u32) -> impl Iterator<Item = &Group> {
        self.numbers_around(principal).map(|group| self.get(group))
    }

    /// The same, by number.
    pub(super) fn numbers_around(&self, principal: u32) -> impl Iterator<Item = GroupNo> {
        let mut open: Vec<GroupNo> = self.direct(principal).to_vec();
        let mut seen: RoaringBitmap = open.iter().copied().collect();
        let mut next = 0;
        std::iter::from_fn(move || {
            let group = *open.get(next)?;
            next += 1;
            open.extend(self.get(group).parents.iter().filter(|parent| seen.insert(**parent)));
            Some(group)
        })
    }

    pub(super) fn join(&mut self, group: GroupNo, principal: u32, edited: &mut BTreeMap<GroupNo, Edited>) {
        if self.get(group).members.contains(principal) {
            return;
        }
        Arc::make_mut(&mut self.get_mut(group).members).insert(principal);
        let groups = self.direct(principal).iter().copied().chain([group]).collect();
        self.set_direct(principal, groups);
        Arc::make_mut(&mut edited.entry(group).or_default().gained).insert(principal);
    }

    pub(super) fn leave(&mut self, group: GroupNo, principal: u32, edited: &mut BTreeMap<GroupNo, Edited>) {
        if self.get(group).members.contains(principal) {
            Arc::make_mut(&mut self.get_mut(group).members).remove(principal);
            let groups = self.direct(principal).iter().copied().filter(|other| *other != group).collect();
            self.set_direct(principal, groups);
            edited.entry(group).or_default().lost = true;
        }
    }

    pub(super) fn nest(&mut self, outer: GroupNo, inner: GroupNo, edited: &mut BTreeMap<GroupNo, Edited>) {
        if self.get_mut(outer).nested.insert(inner).is_none() {
            self.get_mut(inner).parents.insert(outer);
            edited.entry(outer).or_default().gain(&self.get(inner).all);
            // What it gains in the same batch comes by way of it.
            edited.entry(inner).or_default();
        }
    }

    pub(super) fn unnest(&mut self, outer: GroupNo, inner: GroupNo, edited: &mut BTreeMap<GroupNo, Edited>) {
        if self.get_mut(outer).nested.remove(&inner).is_some() {
            self.get_mut(inner).parents.remove(&outer);
            edited.entry(outer).or_default().lost = true;
        }
    }

    /// Brings every group up to date that an edit reaches. Gives the groups whose members through any nesting are others, with what became
    /// of them; or the groups that contain themselves or are nested too deep.
    pub(super) fn settle(&mut self, edited: BTreeMap<GroupNo, Edited>) -> Result<BTreeMap<GroupNo, Edited>, BTreeSet<GroupNo>> {
        // From each edited group upwards: for every group that is reached, the groups in it by way of which it is.
        let mut inner: BTreeMap<GroupNo, Vec<GroupNo>> = edited.keys().map(|group| (*group, Vec::new())).collect();
        let mut upwards: Vec<GroupNo> = edited.keys().copied().collect();
        while let Some(group) = upwards.pop() {
            for &parent in &self.get(group).parents {
                let known = inner.entry(parent).or_insert_with(|| {
                    upwards.push(parent);
                    Vec::new()
                });
                known.push(group);
            }
        }
        let mut settling =
            Settling { groups: self, inner: &inner, edited, settled: BTreeMap::new(), open: Vec::new(), bad: BTreeSet::new() };
        for &group in inner.keys() {
            settling.settle(group);
        }
        let Settling { bad, mut settled, .. } = settling;
        if !bad.is_empty() {
            return Err(bad);
        }
        settled.retain(|_, change| change.lost || !change.gained.is_empty());
        Ok(settled)
    }

    /// The people of a group who are here.
    pub(super) fn here(&self, group: GroupNo, active: &RoaringBitmap) -> &PeopleSet {
        self.here.get_or_init(group, || {
            let all = &self.get(group).all;
            if all.is_subset(active) { PeopleSet::shared(all.clone()) } else { PeopleSet::new(all.as_ref() & active) }
        })
    }

    /// Lets go of what was derived from who is here.
    pub(super) fn forget_here(&mut self, group: GroupNo) {
        self.here.forget(group);
    }
}

/// Groups on their way to being up to date, the inner ones first.
struct Settling<'a> {
    groups: &'a mut Groups,
    inner: &'a BTreeMap<GroupNo, Vec<GroupNo>>,
    edited: BTreeMap<GroupNo, Edited>,
    /// What really changed, by group.
    settled: BTreeMap<GroupNo, Edited>,
    open: Vec<GroupNo>,
    bad: BTreeSet<GroupNo>,
}

impl Settling<'_> {
    fn settle(&mut self, number: GroupNo) {
        if self.settled.contains_key(&number) || self.bad.contains(&number) {
            return;
        }
        // Also bounds the recursion.
        if self.open.contains(&number) || self.open.len() >= NESTING_DEPTH_MAX {
            self.bad.insert(number);
            return;
        }
        self.open.push(number);
        let mut change = self.edited.remove(&number).unwrap_or_default();
        let mut height = 1;
        for inner in &self.inner[&number] {
            self.settle(*inner);
            height = height.max(self.groups.get(*inner).height + 1);
            if let Some(of_inner) = self.settled.get(inner) {
                change.lost |= of_inner.lost;
                change.gain(&of_inner.gained);
            }
        }
        self.open.pop();
        let before = self.groups.get(number);
        let height = if change.lost { self.groups.height_of(number) } else { height.max(before.height) };
        if height > NESTING_DEPTH_MAX {
            self.bad.insert(number);
            return;
        }
        let all = if before.nested.is_empty() {
            before.members.clone()
        } else if change.lost {
            self.groups.all_of(number)
        } else {
            with(&before.all, &change.gained)
        };
        change.gained = if Arc::ptr_eq(&all, &before.all) {
            Arc::default()
        } else if before.all.is_empty() {
            all.clone()
        } else if change.lost {
            Arc::new(all.as_ref() - before.all.as_ref())
        } else {
            without(&change.gained, &before.all)
        };
        change.lost = change.lost && !before.all.is_subset(&all);
        let is_other = change.lost || !change.gained.is_empty();
        if is_other || height != before.height || !Arc::ptr_eq(&all, &before.all) {
            let group = self.groups.get_mut(number);
            group.all = all;
            group.height = height;
        }
        if is_other {
            self.groups.forget_here(number);
        }
        self.settled.insert(number, change);
    }
}

/// Up to how many are looked up one by one: a walk through both sets takes as long as the larger is. The organisations of the tests are
/// small, and are to meet both ways.
pub(super) const FEW: u64 = if cfg!(test) { 2 } else { 16 };

/// Those of both; one of the sets itself where it holds all.
fn with(all: &Arc<RoaringBitmap>, gained: &Arc<RoaringBitmap>) -> Arc<RoaringBitmap> {
    if all.is_empty() {
        gained.clone()
    } else if is_within(gained, all) {
        all.clone()
    } else if gained.len() <= FEW {
        let mut all = all.as_ref().clone();
        all.extend(gained.iter());
        Arc::new(all)
    } else {
        Arc::new(all.as_ref() | gained.as_ref())
    }
}

/// Those who are not in `others`; the set itself where none of it is.
fn without(set: &Arc<RoaringBitmap>, others: &RoaringBitmap) -> Arc<RoaringBitmap> {
    if is_apart(set, others) {
        set.clone()
    } else if set.len() <= FEW {
        Arc::new(set.iter().filter(|number| !others.contains(*number)).collect())
    } else {
        Arc::new(set.as_ref() - others)
    }
}

fn is_within(set: &RoaringBitmap, other: &RoaringBitmap) -> bool {
    if set.len() <= FEW { set.iter().all(|number| other.contains(number)) } else { set.is_subset(other) }
}

/// Whether nobody is in both.
fn is_apart(set: &RoaringBitmap, other: &RoaringBitmap) -> bool {
    if set.len() <= FEW { set.iter().all(|number| !other.contains(number)) } else { set.is_disjoint(other) }
}

impl Groups {
    /// Members through any nesting, when the groups in it are up to date.
    fn all_of(&self, number: GroupNo) -> Arc<RoaringBitmap> {
        let group = self.get(number);
        let mut all = group.members.as_ref().clone();
        group.nested.iter().for_each(|inner| all |= self.get(*inner).all.as_ref());
        Arc::new(all)
    }

    /// Height, when the groups in it are up to date.
    fn height_of(&self, number: GroupNo) -> usize {
        self.get(number).nested.iter().map(|inner| self.get(*inner).height + 1).max().unwrap_or(1)
    }
}
