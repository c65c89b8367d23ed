//! Groups, nested in each other: who is in them through any depth. Kept up to date by what changed, never computed anew from the start.

use super::document::NESTING_DEPTH_MAX;
use super::lists::ListNo;
use crate::name::{GroupId, PrincipalId};
use crate::reach::PeopleSet;
use imbl::{HashMap, OrdMap, Vector};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

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
    pub(super) members: RoaringBitmap,
    pub(super) nested: BTreeSet<GroupNo>,
    pub(super) parents: BTreeSet<GroupNo>,
    /// People and agents who are in it through any nesting, here or not.
    pub(super) all: RoaringBitmap,
    /// Levels of groups in it.
    height: usize,
    /// Access lists that name it.
    pub(super) lists: BTreeSet<ListNo>,
    /// Derived: the people of `all` who are here.
    here: OnceLock<PeopleSet>,
}

/// How a group was edited in a batch, before the groups around it follow.
#[derive(Debug, Default)]
pub(super) struct Edited {
    /// Members that may be new, through nesting as well.
    pub(super) gained: RoaringBitmap,
    /// Whether somebody may have gone.
    pub(super) lost: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    entries: Vector<Arc<Group>>,
    numbers: OrdMap<GroupId, GroupNo>,
    /// By principal: the groups they are in by themselves.
    memberships: HashMap<u32, Arc<[GroupNo]>>,
}

impl Groups {
    pub(super) fn number(&self, id: &str) -> Option<GroupNo> {
        self.numbers.get(id).copied()
    }

    /// With the name as it is kept.
    pub(super) fn named_with_id(&self, id: &str) -> Option<(&GroupId, GroupNo)> {
        self.numbers.get_key_value(id).map(|(id, number)| (id, *number))
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
        self.numbers.iter().map(|(id, number)| (id, self.get(*number)))
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn intern(&mut self, id: &GroupId) -> GroupNo {
        if let Some(number) = self.number(id.as_str()) {
            return number;
        }
        let number = u32::try_from(self.entries.len()).expect("fewer than 2^32 groups fit in memory");
        self.entries.push_back(Arc::new(Group {
            handle: format!("@{id}").into(),
            owner: None,
            profile: None,
            members: RoaringBitmap::new(),
            nested: BTreeSet::new(),
            parents: BTreeSet::new(),
            all: RoaringBitmap::new(),
            height: 1,
            lists: BTreeSet::new(),
            here: OnceLock::new(),
        }));
        self.numbers.insert(id.clone(), number);
        number
    }

    /// Forgets the name; its number stays unused.
    pub(super) fn forget(&mut self, id: &GroupId) {
        self.numbers.remove(id.as_str());
    }

    /// The groups that this principal is in by themselves.
    pub(super) fn direct(&self, principal: u32) -> &[GroupNo] {
        self.memberships.get(&principal).map_or(&[], |groups| groups)
    }

    /// The groups that this principal is in, through any nesting.
    pub(super) fn around(&self, principal: u32) -> impl Iterator<Item = &Group> {
        let mut seen: Vec<GroupNo> = self.direct(principal).to_vec();
        let mut next = 0;
        std::iter::from_fn(move || {
            let group = self.get(*seen.get(next)?);
            next += 1;
            for parent in &group.parents {
                if !seen.contains(parent) {
                    seen.push(*parent);
                }
            }
            Some(group)
        })
    }

    pub(super) fn join(&mut self, group: GroupNo, principal: u32, edited: &mut BTreeMap<GroupNo, Edited>) {
        if self.get_mut(group).members.insert(principal) {
            let mut groups = self.direct(principal).to_vec();
            groups.push(group);
            self.memberships.insert(principal, groups.into());
            edited.entry(group).or_default().gained.insert(principal);
        }
    }

    pub(super) fn leave(&mut self, group: GroupNo, principal: u32, edited: &mut BTreeMap<GroupNo, Edited>) {
        if self.get_mut(group).members.remove(principal) {
            let groups: Arc<[GroupNo]> = self.direct(principal).iter().copied().filter(|other| *other != group).collect();
            if groups.is_empty() {
                self.memberships.remove(&principal);
            } else {
                self.memberships.insert(principal, groups);
            }
            edited.entry(group).or_default().lost = true;
        }
    }

    pub(super) fn nest(&mut self, outer: GroupNo, inner: GroupNo, edited: &mut BTreeMap<GroupNo, Edited>) {
        if self.get_mut(outer).nested.insert(inner) {
            self.get_mut(inner).parents.insert(outer);
            let gained = &self.get(inner).all;
            edited.entry(outer).or_default().gained |= gained;
            // What it gains in the same batch comes by way of it.
            edited.entry(inner).or_default();
        }
    }

    pub(super) fn unnest(&mut self, outer: GroupNo, inner: GroupNo, edited: &mut BTreeMap<GroupNo, Edited>) {
        if self.get_mut(outer).nested.remove(&inner) {
            self.get_mut(inner).parents.remove(&outer);
            edited.entry(outer).or_default().lost = true;
        }
    }

    /// Brings every group up to date that an edit reaches. Gives the groups whose members through any nesting may be others, or the
    /// groups that contain themselves or are nested too deep.
    pub(super) fn settle(&mut self, edited: BTreeMap<GroupNo, Edited>) -> Result<BTreeSet<GroupNo>, BTreeSet<GroupNo>> {
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
        let Settling { bad, settled, .. } = settling;
        if !bad.is_empty() {
            return Err(bad);
        }
        Ok(settled.into_iter().filter(|(_, change)| change.lost || !change.gained.is_empty()).map(|(group, _)| group).collect())
    }

    /// The people of a group who are here.
    pub(super) fn here(&self, group: GroupNo, active: &RoaringBitmap) -> &PeopleSet {
        let group = self.get(group);
        group.here.get_or_init(|| PeopleSet::new(&group.all & active))
    }

    /// Lets go of what was derived from who is here.
    pub(super) fn forget_here(&mut self, group: GroupNo) {
        self.get_mut(group).here = OnceLock::new();
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
                change.gained |= &of_inner.gained;
            }
        }
        self.open.pop();
        let before = self.groups.get(number);
        let (all, height) =
            if change.lost { self.groups.of_members(number) } else { (&before.all | &change.gained, height.max(before.height)) };
        if height > NESTING_DEPTH_MAX {
            self.bad.insert(number);
            return;
        }
        change.gained = &all - &before.all;
        change.lost = change.lost && !before.all.is_subset(&all);
        let group = self.groups.get_mut(number);
        if change.lost || !change.gained.is_empty() {
            group.here = OnceLock::new();
            group.all = all;
        }
        group.height = height;
        self.settled.insert(number, change);
    }
}

impl Groups {
    /// Members through any nesting and height, when the groups in it are up to date.
    fn of_members(&self, number: GroupNo) -> (RoaringBitmap, usize) {
        let group = self.get(number);
        let mut all = group.members.clone();
        let mut height = 1;
        for inner in &group.nested {
            let inner = self.get(*inner);
            all |= &inner.all;
            height = height.max(inner.height + 1);
        }
        (all, height)
    }
}
