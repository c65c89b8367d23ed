//! Comparing two directories, of which the second was made of the first: who would newly see what.
//!
//! Looked at shelf by shelf, and only where the change reached. What becomes visible by a group that grows is found from those who are
//! new in the group, not from all who can see.

use super::groups::{FEW, GroupNo};
use super::lists::{ListNo, ShelfNo};
use super::{Directory, Touched, Viewer};
use crate::label::{Classification, Label};
use crate::name::ResourceId;
use crate::reach::{Beyond, Reach};
use roaring::RoaringBitmap;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Things that stand in a place without being items of the directory: all posts there that have the same label.
pub(crate) struct Post<'a> {
    pub(crate) place: &'a ResourceId,
    pub(crate) label: &'a Label,
    pub(crate) ids: Vec<&'a ResourceId>,
}

/// Items that all have the same label and stand in the same place, and who would newly see them.
pub(crate) struct Unit<'a> {
    pub(crate) items: Things<'a>,
    /// How many items there are.
    pub(crate) count: u64,
    pub(crate) sensitivity: Sensitivity<'a>,
    /// Who decides about them, by number.
    pub(crate) owner: Option<u32>,
    /// Who would newly see them; one and the same for many units.
    pub(crate) newly: Arc<Beyond>,
    /// Known people among those who are not cleared; one and the same for many units.
    pub(crate) uncleared: Arc<RoaringBitmap>,
}

/// The items of a unit, named only when somebody asks.
pub(crate) enum Things<'a> {
    /// These.
    Named(Vec<&'a ResourceId>),
    /// What is on a shelf and was there before the change.
    OnShelf(&'a Directory, ShelfNo, &'a Touched),
}

impl<'a> Things<'a> {
    /// The first of them, `max` at most.
    pub(crate) fn first(&self, max: usize) -> Vec<&'a ResourceId> {
        match self {
            Things::Named(items) => items.iter().copied().take(max).collect(),
            Things::OnShelf(directory, shelf, touched) => {
                let items = directory.shelves.get(*shelf).items.iter().filter(|item| !touched.items.contains_key(*item));
                items.take(max).map(|item| directory.items.name(*item)).collect()
            }
        }
    }
}

/// What of a label matters once it is known who was among the readers.
#[derive(Clone, Copy, PartialEq)]
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

/// Two directories beside each other.
pub(crate) struct Comparison<'a> {
    before: &'a Directory,
    after: &'a Directory,
    touched: &'a Touched,
    /// People who are here now and were not.
    came: Vec<Viewer>,
    /// Who is new in a group and here, by group.
    joined: HashMap<GroupNo, Arc<Beyond>>,
    /// Who is new in a list that takes long to resolve, by list.
    grown: HashMap<ListNo, Arc<Beyond>>,
    /// People who are new somewhere together with few others, as they were.
    were: HashMap<u32, Viewer>,
    /// The last newcomers that clearances were looked at for: they are often the same again.
    last: Vec<(Arc<Beyond>, Sensitivity<'a>, Arc<RoaringBitmap>)>,
    nobody: Arc<Beyond>,
}

/// How many answers about clearance are kept at hand.
const LAST_MAX: usize = 8;

impl<'a> Comparison<'a> {
    pub(crate) fn new(before: &'a Directory, after: &'a Directory, touched: &'a Touched) -> Self {
        let came = (&touched.moved & after.active.as_ref()).iter().map(|person| after.viewer(person)).collect();
        // Groups that gained the very same people share one set of them.
        let mut made: HashMap<*const RoaringBitmap, Arc<Beyond>> = HashMap::new();
        let mut joined = HashMap::new();
        for (group, change) in &touched.groups {
            let here = || Beyond { people: change.gained.as_ref() & after.active.as_ref(), ..Beyond::default() };
            let people = made.entry(Arc::as_ptr(&change.gained)).or_insert_with(|| Arc::new(here()));
            joined.insert(*group, people.clone());
        }
        let (grown, were) = (HashMap::new(), HashMap::new());
        Self { before, after, touched, came, joined, grown, were, last: Vec::new(), nobody: Arc::default() }
    }

    /// Everything that somebody would newly see, in an order that does not depend on chance.
    pub(crate) fn each(mut self, posts: &'a [Post<'a>], mut found: impl FnMut(Unit<'a>)) {
        let mut put: HashMap<ShelfNo, u64> = HashMap::new();
        let mut moved: Vec<(&'a ResourceId, ShelfNo, ShelfNo)> = Vec::new();
        for (&item, before) in &self.touched.items {
            if let Some(now) = self.after.items.shelf(item) {
                *put.entry(now).or_default() += 1;
                // What is new was visible to nobody, and was put where it is for those who see it there.
                moved.extend(before.map(|before| (self.after.items.name(item), before, now)));
            }
        }
        moved.sort_unstable();
        for (id, before, now) in moved {
            self.moved(id, before, now).into_iter().for_each(&mut found);
        }
        for shelf in self.reached() {
            let put = put.get(&shelf).copied().unwrap_or(0);
            self.shelf(shelf, put).into_iter().for_each(&mut found);
        }
        for post in posts {
            let audience =
                |directory: &Directory| directory.audience_of(post.place.as_str()).cloned().unwrap_or_else(Reach::nobody);
            let newly = audience(self.after).beyond(&audience(self.before));
            let newly = self.counted(Arc::new(newly), || audience(self.before));
            let count = post.ids.len() as u64;
            let label = post.label;
            if let Some(mut unit) = self.unit(Things::Named(post.ids.clone()), count, Sensitivity::of(label), None, newly) {
                // Whoever may read what it was made from may read it.
                if unit.sensitivity.for_all {
                    unit.uncleared = Arc::default();
                } else if !label.unknown {
                    unit.uncleared = Arc::new(unit.uncleared.as_ref() - label.readers.people.bits());
                }
                found(unit);
            }
        }
    }

    /// Shelves behind lists and places that the change reached.
    fn reached(&self) -> RoaringBitmap {
        let mut shelves = RoaringBitmap::new();
        for list in &self.touched.lists {
            shelves.extend(&self.after.lists.get(list).shelves);
        }
        for place in self.touched.destinations.iter().filter_map(|id| self.after.destinations.get(id.as_str())) {
            shelves.extend(&place.shelves);
        }
        // What is new here was put there by the change itself.
        shelves.remove_range(self.before.shelves.len() as u32..);
        shelves
    }

    /// What stays on a shelf that other people can see now. `put` of the items there now were put there by the change itself.
    fn shelf(&mut self, shelf: ShelfNo, put: u64) -> Option<Unit<'a>> {
        let after = self.after;
        let entry = after.shelves.get(shelf);
        let count = entry.items.len() as u64 - put;
        if count == 0 {
            return None;
        }
        let place = |directory: &Directory| {
            let id = entry.spec.container.as_ref()?;
            directory.destinations.best(id.as_str()).map(|place| place.list)
        };
        let (was, is) = (place(self.before), place(after));
        let newly = if was == is {
            let lists = [entry.spec.list, is];
            let mut newly = self.nobody.clone();
            for list in lists.into_iter().flatten() {
                newly = both(newly, self.grown(list));
            }
            for list in lists.into_iter().flatten() {
                self.take_out(&mut newly, list);
            }
            newly
        } else {
            Arc::new(after.visible(shelf).beyond(&self.before.visible(shelf)))
        };
        let newly = self.counted(newly, || self.before.visible(shelf));
        let (sensitivity, owner) = (self.before.sensitivity(shelf), entry.spec.owner);
        self.unit(Things::OnShelf(after, shelf, self.touched), count, sensitivity, owner, newly)
    }

    /// An item that the change itself filed elsewhere.
    fn moved(&mut self, id: &'a ResourceId, before: ShelfNo, now: ShelfNo) -> Option<Unit<'a>> {
        let newly = self.after.visible(now).beyond(&self.before.visible(before));
        let newly = self.counted(Arc::new(newly), || self.before.visible(before));
        let owner = self.before.shelves.get(before).spec.owner;
        self.unit(Things::Named(vec![id]), 1, self.before.sensitivity(before), owner, newly)
    }

    /// Where everyone newly sees something, those who are known are counted.
    fn counted(&self, newly: Arc<Beyond>, before: impl FnOnce() -> Reach) -> Arc<Beyond> {
        if !newly.public {
            return newly;
        }
        let people = self.after.active.as_ref() - before().people.bits();
        Arc::new(Beyond { people, ..newly.as_ref().clone() })
    }

    fn unit(
        &mut self,
        items: Things<'a>,
        count: u64,
        sensitivity: Sensitivity<'a>,
        owner: Option<u32>,
        newly: Arc<Beyond>,
    ) -> Option<Unit<'a>> {
        if newly.is_nobody() {
            return None;
        }
        let uncleared = self.uncleared(&newly, sensitivity);
        Some(Unit { items, count, sensitivity, owner, newly, uncleared })
    }

    /// Known people among newcomers who are not cleared. Whoever was among the readers is not new.
    fn uncleared(&mut self, newly: &Arc<Beyond>, sensitivity: Sensitivity<'a>) -> Arc<RoaringBitmap> {
        let known = self.last.iter().find(|(of, as_if, _)| Arc::ptr_eq(of, newly) && *as_if == sensitivity);
        if let Some((_, _, uncleared)) = known {
            return uncleared.clone();
        }
        let mut uncleared = newly.people.clone();
        for people in self.before.levels_over(sensitivity.classification, sensitivity.categories) {
            uncleared -= people;
        }
        let uncleared = Arc::new(uncleared);
        self.last.truncate(LAST_MAX - 1);
        self.last.insert(0, (newly.clone(), sensitivity, uncleared.clone()));
        uncleared
    }

    /// Who may be in a list that was not before, and everyone who is. The list itself is named alike before and after.
    fn grown(&mut self, list: ListNo) -> Arc<Beyond> {
        if !self.touched.lists.contains(list) || list as usize >= self.before.lists.len() {
            return self.nobody.clone();
        }
        let spec = self.after.lists.get(list).spec.as_ref();
        if !spec.destinations.is_empty() {
            let resolved = || Arc::new(self.after.reach(list).beyond(self.before.reach(list)));
            return self.grown.entry(list).or_insert_with(resolved).clone();
        }
        if spec.public {
            return self.nobody.clone();
        }
        let mut newly = self.nobody.clone();
        for joined in spec.groups.iter().filter_map(|group| self.joined.get(group)) {
            newly = both(newly, joined.clone());
        }
        let came = self.came.iter().filter(|viewer| self.after.sees(viewer, list));
        let came: RoaringBitmap = came.map(|viewer| viewer.person).collect();
        if came.is_empty() { newly } else { both(newly, Arc::new(Beyond { people: came, ..Beyond::default() })) }
    }

    /// Takes those out who were in a list before. Nothing is put together for it where nobody was.
    fn take_out(&mut self, from: &mut Arc<Beyond>, list: ListNo) {
        if from.is_nobody() {
            return;
        }
        let before = self.before;
        let spec = before.lists.get(list).spec.as_ref();
        if !spec.destinations.is_empty() {
            let left = Reach::from(from.as_ref().clone()).beyond(before.reach(list));
            if left != **from {
                *from = Arc::new(left);
            }
            return;
        }
        if spec.public {
            *from = self.nobody.clone();
            return;
        }
        if from.external.iter().any(|name| spec.external.contains(name)) {
            Arc::make_mut(from).external.retain(|name| !spec.external.contains(name));
        }
        if from.people.len() <= FEW {
            let here = from.people.iter().filter(|person| before.active.contains(*person));
            let mut were = |person: u32| self.were.entry(person).or_insert_with(|| before.viewer(person)).is_named_in(spec);
            let named: RoaringBitmap = here.filter(|person| were(*person)).collect();
            if !named.is_empty() {
                Arc::make_mut(from).people -= named;
            }
            return;
        }
        for all in spec.groups.iter().map(|group| before.groups.get(*group).all.as_ref()) {
            if from.people.is_disjoint(all) {
                continue;
            }
            if self.came.is_empty() {
                Arc::make_mut(from).people -= all;
            } else {
                let inside = &(&from.people & all) & before.active.as_ref();
                Arc::make_mut(from).people -= inside;
            }
        }
        let named = |person: &u32| from.people.contains(*person) && before.active.contains(*person);
        let named: RoaringBitmap = if from.people.len() < spec.people.len() as u64 {
            from.people.iter().filter(|person| spec.people.binary_search(person).is_ok() && named(person)).collect()
        } else {
            spec.people.iter().copied().filter(named).collect()
        };
        if !named.is_empty() {
            Arc::make_mut(from).people -= named;
        }
    }

    /// Pairs of a person and an item that the person would newly be cleared for, because a clearance was raised.
    pub(crate) fn newly_cleared(&self) -> u64 {
        let before = self.before;
        let mut pairs = 0;
        // Nobody is cleared for what the change itself removes.
        let mut gone: HashMap<ShelfNo, usize> = HashMap::new();
        for item in self.touched.items.keys().filter(|item| self.after.items.shelf(**item).is_none()) {
            before.items.shelf(*item).into_iter().for_each(|shelf| *gone.entry(shelf).or_default() += 1);
        }
        for person in &self.touched.clearance {
            let covers = |directory: &Directory, sensitivity: &Sensitivity<'_>| {
                directory.levels_over(sensitivity.classification, sensitivity.categories).any(|people| people.contains(person))
            };
            let viewer = before.viewer(person);
            let was_here = before.active.contains(person);
            let mut last: Option<(Sensitivity<'_>, bool)> = None;
            for (number, shelf) in before.shelves.iter().filter(|(_, shelf)| !shelf.items.is_empty()) {
                let sensitivity = before.sensitivity(number);
                let is_new = match last {
                    Some((same, is_new)) if same == sensitivity => is_new,
                    Some(_) | None => covers(self.after, &sensitivity) && !covers(before, &sensitivity),
                };
                last = Some((sensitivity, is_new));
                if is_new && !before.reads(&viewer, was_here, number) {
                    pairs += (shelf.items.len() - gone.get(&number).copied().unwrap_or(0)) as u64;
                }
            }
        }
        pairs
    }
}

/// Those of both; one of them itself where the other is nobody.
fn both(one: Arc<Beyond>, other: Arc<Beyond>) -> Arc<Beyond> {
    if other.is_nobody() || Arc::ptr_eq(&one, &other) {
        one
    } else if one.is_nobody() {
        other
    } else {
        let mut all = one.as_ref().clone();
        all.absorb(&other);
        Arc::new(all)
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

    /// Whether somebody is among the readers of what is on a shelf, as its label says.
    fn reads(&self, viewer: &Viewer, is_here: bool, shelf: ShelfNo) -> bool {
        let spec = self.shelves.get(shelf).spec.as_ref();
        let of_place = || spec.container.as_ref().and_then(|id| self.destinations.best(id.as_str())).map(|place| place.list);
        let list = spec.list.or_else(of_place);
        list.is_some_and(|list| if is_here { self.sees(viewer, list) } else { self.is_public(list) })
    }
}
