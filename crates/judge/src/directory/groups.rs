//! Groups, nested in each other: who is in them through any depth. Kept up to date by what changed, never computed anew from the start.

use super::document::NESTING_DEPTH_MAX;
use super::lists::{Cells, ListNo};
use super::names::Names;
use super::pages::Pages;
use crate::name::{GroupId, PrincipalId};
use crate::reach::PeopleSet;
use imbl::{OrdMap, OrdSet};
use roaring::{MultiOps, RoaringBitmap};
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

/// How a group was edited in a batch, before the groups around it follow.
#[derive(Debug, Clone, Default)]
pub(super) struct Edited {
    /// Members that may be new by themselves.
    members: RoaringBitmap,
    /// What groups that may be new in it held when they were put there.
    nested: Vec<Arc<RoaringBitmap>>,
    /// Whether somebody may have gone.
    lost: bool,
}

/// A principal who is in a group by themselves from now on, or no longer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Membership {
    principal: u32,
    group: GroupNo,
    is_in: bool,
}

/// What a batch did to groups.
#[derive(Debug, Default)]
pub(super) struct Edits {
    pub(super) groups: BTreeMap<GroupNo, Edited>,
    /// In the order in which they were made. They are put where they are looked up all at once: one by one, each would copy what a person
    /// is in already.
    pub(super) memberships: Vec<Membership>,
}

/// What becomes of a group that an edit reaches, while it still stands as it was.
#[derive(Debug, Clone)]
pub(super) struct Became {
    /// Who is new in it, through nesting as well.
    pub(super) gained: Arc<RoaringBitmap>,
    /// Whether somebody has gone.
    lost: bool,
    all: All,
    height: usize,
}

/// Who is in a group through any nesting.
#[derive(Debug, Clone)]
enum All {
    /// These.
    These(Arc<RoaringBitmap>),
    /// Whoever was before, and who is new: put together only when somebody asks, because it is done for every group around one that gains
    /// a single member.
    Grown,
}

impl Became {
    /// Whether others are in it than before.
    pub(super) fn is_other(&self) -> bool {
        self.lost || !self.gained.is_empty()
    }

    /// Everyone in the group, which stood as `before`.
    pub(super) fn all(&self, before: &Group) -> Arc<RoaringBitmap> {
        match &self.all {
            All::These(all) => all.clone(),
            All::Grown if self.gained.is_empty() => before.all.clone(),
            All::Grown => with(&before.all, &self.gained),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    names: Names<GroupId>,
    /// In order of their names.
    order: OrdMap<GroupId, GroupNo>,
    entries: Pages<Arc<Group>>,
    /// Access lists that name a group.
    lists: Pages<Arc<RoaringBitmap>>,
    /// Derived: the people in a group, through any nesting, who are here.
    here: Cells<PeopleSet>,
    /// By principal: the groups they are in by themselves.
    memberships: Pages<Arc<[GroupNo]>>,
}

impl Groups {
    pub(super) fn number(&self, id: &str) -> Option<GroupNo> {
        self.names.number(id)
    }

    /// Fetches what looking up these groups will read.
    pub(super) fn fetch<'n>(&self, ids: impl Iterator<Item = &'n str>) {
        self.names.fetch(ids);
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
        self.entries.push(Arc::new(Group {
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
        self.lists.push(Arc::default());
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

    /// Brings up to date which groups principals are in by themselves, after memberships were edited in this order.
    pub(super) fn note_memberships(&mut self, edits: &mut Vec<Membership>) {
        edits.sort_by_key(|edit| edit.principal);
        for of_one in edits.chunk_by(|one, other| one.principal == other.principal) {
            let principal = of_one[0].principal as usize;
            while self.memberships.len() <= principal {
                self.memberships.push(Arc::default());
            }
            let mut groups = self.memberships[principal].to_vec();
            for edit in of_one {
                if edit.is_in {
                    groups.push(edit.group);
                } else {
                    groups.retain(|group| *group != edit.group);
                }
            }
            self.memberships[principal] = groups.into();
        }
        edits.clear();
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

    /// Lets principals in who are not in the group, and others out who are.
    pub(super) fn edit_members(&mut self, group: GroupNo, joined: RoaringBitmap, left: &RoaringBitmap, edits: &mut Edits) {
        if joined.is_empty() && left.is_empty() {
            return;
        }
        let members = Arc::make_mut(&mut self.get_mut(group).members);
        *members |= &joined;
        *members -= left;
        let edit = |is_in: bool| move |principal: u32| Membership { principal, group, is_in };
        edits.memberships.extend(joined.iter().map(edit(true)).chain(left.iter().map(edit(false))));
        let edited = edits.groups.entry(group).or_default();
        edited.lost |= !left.is_empty();
        edited.members |= joined;
    }

    pub(super) fn nest(&mut self, outer: GroupNo, inner: GroupNo, edits: &mut Edits) {
        if self.get_mut(outer).nested.insert(inner).is_none() {
            self.get_mut(inner).parents.insert(outer);
            edits.groups.entry(outer).or_default().nested.push(self.get(inner).all.clone());
            // What it gains in the same batch comes by way of it.
            edits.groups.entry(inner).or_default();
        }
    }

    pub(super) fn unnest(&mut self, outer: GroupNo, inner: GroupNo, edits: &mut Edits) {
        if self.get_mut(outer).nested.remove(&inner).is_some() {
            self.get_mut(inner).parents.remove(&outer);
            edits.groups.entry(outer).or_default().lost = true;
        }
    }

    /// What becomes of every group that an edit reaches; or the groups that contain themselves or are nested too deep. Nothing changes yet:
    /// see [`Self::install`].
    pub(super) fn settle(&self, edited: BTreeMap<GroupNo, Edited>) -> Result<BTreeMap<GroupNo, Became>, BTreeSet<GroupNo>> {
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
        if bad.is_empty() { Ok(settled) } else { Err(bad) }
    }

    /// Brings the groups up to date.
    pub(super) fn install(&mut self, settled: &BTreeMap<GroupNo, Became>) {
        for (&number, became) in settled {
            let before = self.get(number);
            let all = became.all(before);
            if became.is_other() || became.height != before.height || !Arc::ptr_eq(&all, &before.all) {
                let group = self.get_mut(number);
                group.all = all;
                group.height = became.height;
            }
            if became.is_other() {
                self.here.forget(number);
            }
        }
    }

    /// The people of a group who are here.
    pub(super) fn here(&self, group: GroupNo, active: &RoaringBitmap) -> &PeopleSet {
        self.here.get_or_init(group, || of_them(&self.get(group).all, active))
    }

    /// Lets go of what was derived from who is here.
    pub(super) fn forget_here(&mut self, group: GroupNo) {
        self.here.forget(group);
    }
}

/// Those who are here; the set itself where all of them are.
pub(super) fn of_them(all: &Arc<RoaringBitmap>, active: &RoaringBitmap) -> PeopleSet {
    if all.is_subset(active) { PeopleSet::shared(all.clone()) } else { PeopleSet::new(all.as_ref() & active) }
}

/// Finds out what becomes of groups, the inner ones first.
struct Settling<'a> {
    groups: &'a Groups,
    inner: &'a BTreeMap<GroupNo, Vec<GroupNo>>,
    edited: BTreeMap<GroupNo, Edited>,
    settled: BTreeMap<GroupNo, Became>,
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
        let Edited { members, nested: mut gained, mut lost } = self.edited.remove(&number).unwrap_or_default();
        let mut height = 1;
        for inner in &self.inner[&number] {
            self.settle(*inner);
            height = height.max(self.height(*inner) + 1);
            if let Some(of_inner) = self.settled.get(inner) {
                lost |= of_inner.lost;
                gained.push(of_inner.gained.clone());
            }
        }
        self.open.pop();
        let before = self.groups.get(number);
        let height = if lost { self.height_anew(before) } else { height.max(before.height) };
        if height > NESTING_DEPTH_MAX {
            self.bad.insert(number);
            return;
        }
        let became = if before.nested.is_empty() || lost {
            let all = if before.nested.is_empty() { before.members.clone() } else { self.all_anew(before) };
            Became { height, ..those(all, &before.all, lost, || union_of(members, gained)) }
        } else {
            let gained = union_of(members, gained);
            let all = if before.all.is_empty() { All::These(gained.clone()) } else { All::Grown };
            Became { gained: without(&gained, &before.all), lost: false, all, height }
        };
        self.settled.insert(number, became);
    }

    fn height(&self, number: GroupNo) -> usize {
        self.settled.get(&number).map_or_else(|| self.groups.get(number).height, |became| became.height)
    }

    /// From the groups in it, which are settled.
    fn height_anew(&self, group: &Group) -> usize {
        group.nested.iter().map(|inner| self.height(*inner) + 1).max().unwrap_or(1)
    }

    /// Members through any nesting, from the groups in it, which are settled.
    fn all_anew(&self, group: &Group) -> Arc<RoaringBitmap> {
        let mut parts = vec![group.members.as_ref()];
        for inner in &group.nested {
            let before = self.groups.get(*inner).all.as_ref();
            match self.settled.get(inner) {
                Some(Became { all: All::These(all), .. }) => parts.push(all),
                Some(Became { all: All::Grown, gained, .. }) => parts.extend([before, gained.as_ref()]),
                None => parts.push(before),
            }
        }
        Arc::new(parts.union())
    }
}
/// What becomes of a group that holds `all` now; `gained` are those who may be new if nobody has gone.
fn those(
    all: Arc<RoaringBitmap>,
    before: &Arc<RoaringBitmap>,
    lost: bool,
    gained: impl FnOnce() -> Arc<RoaringBitmap>,
) -> Became {
    let gained = if Arc::ptr_eq(&all, before) {
        Arc::default()
    } else if before.is_empty() {
        all.clone()
    } else if lost {
        Arc::new(all.as_ref() - before.as_ref())
    } else {
        without(&gained(), before)
    };
    let lost = lost && !before.is_subset(&all);
    Became { gained, lost, all: All::These(all), height: 1 }
}

/// Those of all parts, put together at once; one of the parts itself where it is the only one.
fn union_of(members: RoaringBitmap, mut parts: Vec<Arc<RoaringBitmap>>) -> Arc<RoaringBitmap> {
    if !members.is_empty() {
        parts.push(Arc::new(members));
    }
    parts.retain(|part| !part.is_empty());
    parts.sort_unstable_by_key(Arc::as_ptr);
    parts.dedup_by(|one, other| Arc::ptr_eq(one, other));
    match parts.as_slice() {
        [] => Arc::default(),
        [only] => only.clone(),
        [one, other] => Arc::new(one.as_ref() | other.as_ref()),
        _ => Arc::new(parts.iter().map(AsRef::as_ref).union()),
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
