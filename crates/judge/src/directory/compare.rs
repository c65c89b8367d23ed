//! Comparing two directories, of which the second was made of the first: who would newly see what.
//!
//! Looked at shelf by shelf, and only where the change reached. What becomes visible by a group that grows is found from those who are
//! new in the group, not from all who can see.

use super::lists::{ListNo, ShelfNo};
use super::{Directory, Touched};
use crate::label::{Classification, Label};
use crate::name::{PrincipalId, ResourceId};
use crate::reach::{Beyond, Reach};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Things that stand in a place without being items of the directory: all posts there that have the same label.
pub(crate) struct Post<'a> {
    pub(crate) place: &'a ResourceId,
    pub(crate) label: &'a Label,
    pub(crate) ids: Vec<&'a ResourceId>,
}

/// Items that all have the same label and stand in the same place, and who would newly see them.
pub(crate) struct Unit<'a> {
    pub(crate) items: Vec<&'a ResourceId>,
    /// How many items there are; of many, only some are named.
    pub(crate) count: u64,
    pub(crate) sensitivity: Sensitivity<'a>,
    pub(crate) owner: Option<&'a PrincipalId>,
    /// Who would newly see them.
    pub(crate) newly: Beyond,
    /// Known people among those who are not cleared.
    pub(crate) uncleared: RoaringBitmap,
}

/// What of a label matters once it is known who was among the readers.
#[derive(Clone, Copy)]
pub(crate) struct Sensitivity<'a> {
    pub(crate) classification: Classification,
    pub(crate) categories: &'a BTreeSet<Arc<str>>,
    /// Whether it is not known who the readers are.
    pub(crate) unknown: bool,
    /// Whether everyone may have it.
    pub(crate) for_all: bool,
}

impl<'a> Sensitivity<'a> {
    pub(crate) fn of(label: &'a Label) -> Self {
        let Label { classification, categories, unknown, readers, .. } = label;
        let for_all = !unknown && (readers.public || *classification == Classification::Public);
        Self { classification: *classification, categories, unknown: *unknown, for_all }
    }
}

/// How many items of a unit are named.
const NAMED_ITEMS_MAX: usize = 20;

/// Two directories beside each other.
pub(crate) struct Comparison<'a> {
    before: &'a Directory,
    after: &'a Directory,
    touched: &'a Touched,
    /// Who is new in a list, by list.
    grown: BTreeMap<ListNo, Beyond>,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(before: &'a Directory, after: &'a Directory, touched: &'a Touched) -> Self {
        Self { before, after, touched, grown: BTreeMap::new() }
    }

    /// Everything that somebody would newly see, in an order that does not depend on chance.
    pub(crate) fn each(mut self, posts: &'a [Post<'a>], mut found: impl FnMut(Unit<'a>)) {
        let mut moved: BTreeMap<ShelfNo, u64> = BTreeMap::new();
        for (id, before) in &self.touched.items {
            let now = self.after.items.get(id.as_str()).copied();
            if let Some(now) = now {
                *moved.entry(now).or_default() += 1;
            }
            // What is new was visible to nobody, and was put where it is for those who see it there.
            if let (Some(now), Some(before)) = (now, *before) {
                self.moved(id, before, now).into_iter().for_each(&mut found);
            }
        }
        for shelf in self.reached() {
            let moved = moved.get(&shelf).copied().unwrap_or(0);
            self.shelf(shelf, moved).into_iter().for_each(&mut found);
        }
        for post in posts {
            let audience =
                |directory: &Directory| directory.audience_of(post.place.as_str()).cloned().unwrap_or_else(Reach::nobody);
            let newly = self.counted(audience(self.after).beyond(&audience(self.before)), || audience(self.before));
            let count = post.ids.len() as u64;
            let label = post.label;
            let named = post.ids.iter().take(NAMED_ITEMS_MAX).copied().collect();
            if let Some(mut unit) = self.unit(named, count, Sensitivity::of(label), None, newly) {
                // Whoever may read what it was made from may read it.
                if unit.sensitivity.for_all {
                    unit.uncleared.clear();
                } else if !label.unknown {
                    unit.uncleared -= label.readers.people.bits();
                }
                found(unit);
            }
        }
    }

    /// Shelves behind lists and places that the change reached.
    fn reached(&self) -> BTreeSet<ShelfNo> {
        let of_lists = self.touched.lists.iter().flat_map(|list| &self.after.lists.get(*list).shelves);
        let places = self.touched.destinations.iter().filter_map(|id| self.after.destinations.get(id.as_str()));
        let known = |shelf: &ShelfNo| self.before.shelves.holds(*shelf);
        of_lists.chain(places.flat_map(|place| &place.shelves)).copied().filter(known).collect()
    }

    /// What stays on a shelf that other people can see now. `moved` of the items there now were put there by the change itself.
    fn shelf(&mut self, shelf: ShelfNo, moved: u64) -> Option<Unit<'a>> {
        let after = self.after;
        let entry = after.shelves.get(shelf);
        let count = entry.items.len() as u64 - moved;
        if count == 0 {
            return None;
        }
        let lists = |directory: &Directory| {
            let place = entry.spec.container.as_ref().and_then(|id| directory.destinations.best(id.as_str()));
            (entry.spec.list, place.map(|place| place.list))
        };
        let newly = if lists(self.before) == lists(after) {
            let (readers, place) = lists(after);
            let mut newly = Beyond::default();
            for list in readers.into_iter().chain(place) {
                newly.absorb(self.grown(list));
            }
            for list in readers.into_iter().chain(place) {
                self.before.take_out(&mut newly, list);
            }
            newly
        } else {
            after.visible(shelf).beyond(&self.before.visible(shelf))
        };
        let newly = self.counted(newly, || self.before.visible(shelf));
        let touched = self.touched;
        let named = entry.items.iter().filter(|id| moved == 0 || !touched.items.contains_key(*id)).take(NAMED_ITEMS_MAX);
        self.unit(named.collect(), count, self.before.sensitivity(shelf), after.owner_on(shelf), newly)
    }

    /// An item that the change itself filed elsewhere.
    fn moved(&self, id: &'a ResourceId, before: ShelfNo, now: ShelfNo) -> Option<Unit<'a>> {
        let newly = self.counted(self.after.visible(now).beyond(&self.before.visible(before)), || self.before.visible(before));
        self.unit(vec![id], 1, self.before.sensitivity(before), self.before.owner_on(before), newly)
    }

    /// Where everyone newly sees something, those who are known are counted.
    fn counted(&self, newly: Beyond, before: impl FnOnce() -> Reach) -> Beyond {
        let people = if newly.public { self.after.active.as_ref() - before().people.bits() } else { newly.people };
        Beyond { people, ..newly }
    }

    fn unit(
        &self,
        items: Vec<&'a ResourceId>,
        count: u64,
        sensitivity: Sensitivity<'a>,
        owner: Option<&'a PrincipalId>,
        newly: Beyond,
    ) -> Option<Unit<'a>> {
        if newly.count() == 0 {
            return None;
        }
        // Whoever was among the readers is not new.
        let mut uncleared = newly.people.clone();
        for people in self.before.levels_over(sensitivity.classification, sensitivity.categories) {
            uncleared -= people;
        }
        Some(Unit { items, count, sensitivity, owner, newly, uncleared })
    }

    /// Who is in a list that was not before, by way of groups that grew. The list itself is named alike before and after.
    fn grown(&mut self, list: ListNo) -> &Beyond {
        let (before, after, touched) = (self.before, self.after, self.touched);
        self.grown.entry(list).or_insert_with(|| {
            if !touched.lists.contains(&list) || !before.lists.holds(list) {
                return Beyond::default();
            }
            let spec = after.lists.get(list).spec.as_ref();
            if !spec.destinations.is_empty() || before.active != after.active {
                return after.reach(list).beyond(before.reach(list));
            }
            if spec.public {
                return Beyond::default();
            }
            let mut newly = Beyond::default();
            for &group in &spec.groups {
                let (now, then) = (&after.groups.get(group).all, &before.groups.get(group).all);
                if now != then {
                    newly.people |= &(now - then) & after.active.as_ref();
                }
            }
            newly
        })
    }

    /// Pairs of a person and an item that the person would newly be cleared for, because a clearance was raised.
    pub(crate) fn newly_cleared(&self) -> u64 {
        let mut pairs = 0;
        for person in &self.touched.clearance {
            for (number, shelf) in self.before.shelves.iter() {
                let label = self.before.label(number);
                let covers = |directory: &Directory| {
                    directory.levels_over(label.classification, &label.categories).any(|people| people.contains(person))
                };
                let reads = !label.unknown && (label.readers.public || label.readers.people.bits().contains(person));
                if covers(self.after) && !covers(self.before) && !reads {
                    pairs += shelf.items.len() as u64;
                }
            }
        }
        pairs
    }
}

impl Directory {
    fn sensitivity(&self, shelf: ShelfNo) -> Sensitivity<'_> {
        let spec = self.shelves.get(shelf).spec.as_ref();
        let unknown = spec.list.is_none() && spec.container.is_none();
        let for_all = !unknown && spec.classification == Classification::Public;
        Sensitivity { classification: spec.classification, categories: &spec.categories, unknown, for_all }
    }

    /// Those whose clearance covers this level and these categories, level by level.
    pub(super) fn levels_over<'a>(
        &'a self,
        classification: Classification,
        categories: &'a BTreeSet<Arc<str>>,
    ) -> impl Iterator<Item = &'a RoaringBitmap> {
        self.cleared
            .iter()
            .filter(move |((level, with), _)| *level >= classification && categories.is_subset(with))
            .map(|(_, people)| people.as_ref())
    }

    /// Takes those out who are in a list now. Nothing is put together for it: who is looked at are few.
    fn take_out(&self, from: &mut Beyond, list: ListNo) {
        let spec = self.lists.get(list).spec.as_ref();
        if !spec.destinations.is_empty() {
            *from = Reach::from(std::mem::take(from)).beyond(self.reach(list));
            return;
        }
        if spec.public {
            *from = Beyond::default();
            return;
        }
        from.external.retain(|name| !spec.external.contains(name));
        for &group in &spec.groups {
            let inside = &(&from.people & &self.groups.get(group).all) & self.active.as_ref();
            from.people -= inside;
        }
        for person in spec.people.iter().filter(|person| self.active.contains(**person)) {
            from.people.remove(*person);
        }
    }
}
