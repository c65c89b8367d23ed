//! Comparing two directories, of which the second was made of the first: who would newly see what.
//!
//! Looked at shelf by shelf, and only where the change reached. What becomes visible by a group that grows is found from those who are
//! new in the group, not from all who can see.

use super::groups::{FEW, GroupNo};
use super::kinds::KindNo;
use super::lists::{ListNo, ShelfNo, ShelfRow};
use super::{Clearance, Directory, Proposed, Touched, Viewer};
use crate::label::{Classification, Label};
use crate::name::ResourceId;
use crate::reach::{Beyond, Reach};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    /// Who would newly see them.
    pub(crate) newly: Newly,
    /// Known people among those who are not cleared.
    pub(crate) uncleared: Uncleared,
}

/// Who would newly see something: a set that is one and the same for many units, but for those in it who are not new here.
#[derive(Clone)]
pub(crate) struct Newly {
    pub(crate) all: Arc<Beyond>,
    /// Some of `all`.
    pub(crate) known: RoaringBitmap,
}

impl Newly {
    pub(crate) fn of(all: Arc<Beyond>) -> Self {
        Self { all, known: RoaringBitmap::new() }
    }

    /// How many known people.
    pub(crate) fn people(&self) -> u64 {
        self.all.people.len() - self.known.len()
    }

    fn is_nobody(&self) -> bool {
        self.people() == 0 && !self.all.public && self.all.external.is_empty()
    }

    /// Those who are new here, by themselves.
    fn alone(&self) -> Arc<Beyond> {
        if self.known.is_empty() {
            return self.all.clone();
        }
        Arc::new(Beyond { people: &self.all.people - &self.known, ..self.all.as_ref().clone() })
    }
}

/// People who would newly see something and are not cleared for it: likewise.
#[derive(Clone)]
pub(crate) struct Uncleared {
    pub(crate) all: Arc<RoaringBitmap>,
    /// Some of `all`.
    pub(crate) known: RoaringBitmap,
}

impl Uncleared {
    pub(crate) fn of(all: RoaringBitmap) -> Self {
        Self { all: Arc::new(all), known: RoaringBitmap::new() }
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.all.len() - self.known.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.all.iter().filter(|person| !self.known.contains(*person))
    }
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
#[derive(Clone, Copy)]
pub(crate) struct Sensitivity<'a> {
    pub(crate) classification: Classification,
    pub(crate) categories: &'a BTreeSet<Arc<str>>,
    /// Whether it is not known who the readers are.
    pub(crate) unknown: bool,
    /// Whether everyone may have it.
    pub(crate) for_all: bool,
}

impl PartialEq for Sensitivity<'_> {
    fn eq(&self, other: &Self) -> bool {
        let marks = |of: &Self| (of.classification, of.unknown, of.for_all);
        // Most often they are the same in memory.
        marks(self) == marks(other) && (std::ptr::eq(self.categories, other.categories) || self.categories == other.categories)
    }
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
    proposed: &'a Proposed,
    touched: &'a Touched,
    /// People who are here now and were not.
    came: Vec<Viewer>,
    /// Who is new in a group and here, by group.
    joined: HashMap<GroupNo, Arc<Beyond>>,
    /// Everyone who is new in a group or here, where that is no more than a few.
    few: Option<Few>,
    /// Who is new in a list that takes long to resolve, by list.
    grown: HashMap<ListNo, Arc<Beyond>>,
    /// People who are new somewhere together with few others: the lists that held them before.
    held: HashMap<u32, RoaringBitmap>,
    /// The last newcomers that clearances were looked at for: they are often the same again.
    last: Vec<(Arc<Beyond>, Sensitivity<'a>, Arc<RoaringBitmap>)>,
    nobody: Arc<Beyond>,
}

/// How many sets of people who are new together are kept at hand.
const TOGETHER_MAX: usize = 8;
/// How many answers about clearance are kept at hand.
const LAST_MAX: usize = 8;

/// A few newcomers. What each of them newly reaches is found from them, and not from every list that grows.
struct Few {
    /// Each with the lists that newly hold them.
    people: Vec<(u32, RoaringBitmap)>,
    /// Those among them who are new together, by which of them they are, bit by bit; the last found first.
    together: Vec<(u32, Arc<Beyond>)>,
}

impl Few {
    fn of(people: &RoaringBitmap, before: &Directory, after: &Directory, held: &mut HashMap<u32, RoaringBitmap>) -> Self {
        let newly = |person: u32| {
            let was = held.entry(person).or_insert_with(|| before.lists_with(person));
            (person, after.lists_with(person) - &*was)
        };
        Self { people: people.iter().map(newly).collect(), together: Vec::new() }
    }

    /// Those who are new in a list.
    fn in_list(&mut self, list: ListNo) -> Arc<Beyond> {
        let among = |(at, (_, lists)): (usize, &(u32, RoaringBitmap))| if lists.contains(list) { 1 << at } else { 0 };
        let among: u32 = self.people.iter().enumerate().map(among).sum();
        match self.together.iter().position(|(known, _)| *known == among) {
            Some(0) => {}
            Some(at) => self.together.swap(0, at),
            None => {
                let people = self.people.iter().enumerate().filter(|(at, _)| among & (1 << at) != 0);
                let people = people.map(|(_, (person, _))| *person).collect();
                self.together.truncate(TOGETHER_MAX - 1);
                self.together.insert(0, (among, Arc::new(Beyond { people, ..Beyond::default() })));
            }
        }
        self.together[0].1.clone()
    }
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(before: &'a Directory, proposed: &'a Proposed) -> Self {
        let (after, touched) = (&proposed.next, &proposed.touched);
        let came = &touched.moved & after.active.as_ref();
        // Groups that gained the very same people share one set of them.
        let mut made: HashMap<*const RoaringBitmap, Arc<Beyond>> = HashMap::new();
        let mut joined = HashMap::new();
        let mut new = came.clone();
        for (group, became) in proposed.other_groups() {
            let people = made.entry(Arc::as_ptr(&became.gained)).or_insert_with(|| {
                let here = became.gained.as_ref() & after.active.as_ref();
                if new.len() <= FEW {
                    new |= &here;
                }
                Arc::new(Beyond { people: here, ..Beyond::default() })
            });
            joined.insert(group, people.clone());
        }
        let mut held = HashMap::new();
        let few = (new.len() <= FEW).then(|| Few::of(&new, before, after, &mut held));
        Self {
            before,
            after,
            proposed,
            touched,
            came: came.iter().map(|person| after.viewer(person)).collect(),
            joined,
            few,
            grown: HashMap::new(),
            held,
            last: Vec::new(),
            nobody: Arc::default(),
        }
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
            let before = || self.before.audience_of(post.place.as_str()).cloned().unwrap_or_else(Reach::nobody);
            let place = self.after.destinations.best(post.place.as_str());
            let after = place.map_or_else(Reach::nobody, |place| self.proposed.reach(place.list));
            let newly = self.counted(Newly::of(Arc::new(after.beyond(&before()))), before);
            let count = post.ids.len() as u64;
            let label = post.label;
            if let Some(mut unit) = self.unit(Things::Named(post.ids.clone()), count, Sensitivity::of(label), None, newly) {
                // Whoever may read what it was made from may read it.
                if unit.sensitivity.for_all {
                    unit.uncleared = Uncleared::of(RoaringBitmap::new());
                } else if !label.unknown {
                    unit.uncleared =
                        Uncleared::of(unit.uncleared.iter().collect::<RoaringBitmap>() - label.readers.people.bits());
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
        let ShelfRow { list, owner, count, is_placed, .. } = after.rows[shelf as usize];
        let count = u64::from(count) - put;
        if count == 0 {
            return None;
        }
        let place = |directory: &Directory| {
            let id = after.shelves.get(shelf).spec.container.as_ref().filter(|_| is_placed)?;
            directory.destinations.best(id.as_str()).map(|place| place.list)
        };
        let (was, is) = if is_placed { (place(self.before), place(after)) } else { (None, None) };
        let newly = if was == is {
            let lists = [list, is];
            let mut newly = self.nobody.clone();
            for list in lists.into_iter().flatten() {
                newly = both(newly, self.grown(list));
            }
            let mut newly = Newly::of(newly);
            for list in lists.into_iter().flatten() {
                // Of a few newcomers it is known already who was in the only list that there is.
                if is.is_some() || self.few.is_none() || after.nesting_lists.contains(list) {
                    self.take_out(&mut newly, list);
                }
            }
            newly
        } else {
            Newly::of(Arc::new(self.visible(shelf).beyond(&self.before.visible(shelf))))
        };
        if newly.is_nobody() {
            return None;
        }
        let newly = self.counted(newly, || self.before.visible(shelf));
        let sensitivity = self.before.sensitivity(shelf);
        self.unit(Things::OnShelf(after, shelf, self.touched), count, sensitivity, owner, newly)
    }

    /// Who would see what is on a shelf.
    fn visible(&self, shelf: ShelfNo) -> Reach {
        let spec = self.after.shelves.get(shelf).spec.as_ref();
        let readers = spec.list.map_or_else(Reach::nobody, |list| self.proposed.reach(list));
        match spec.container.as_ref().and_then(|id| self.after.destinations.best(id.as_str())) {
            Some(place) => readers.union(&self.proposed.reach(place.list)),
            None => readers,
        }
    }

    /// An item that the change itself filed elsewhere.
    fn moved(&mut self, id: &'a ResourceId, before: ShelfNo, now: ShelfNo) -> Option<Unit<'a>> {
        let newly = self.visible(now).beyond(&self.before.visible(before));
        let newly = self.counted(Newly::of(Arc::new(newly)), || self.before.visible(before));
        let owner = self.before.shelves.get(before).spec.owner;
        self.unit(Things::Named(vec![id]), 1, self.before.sensitivity(before), owner, newly)
    }

    /// Where everyone newly sees something, those who are known are counted.
    fn counted(&self, newly: Newly, before: impl FnOnce() -> Reach) -> Newly {
        if !newly.all.public {
            return newly;
        }
        let people = self.after.active.as_ref() - before().people.bits();
        Newly::of(Arc::new(Beyond { people, ..newly.all.as_ref().clone() }))
    }

    fn unit(
        &mut self,
        items: Things<'a>,
        count: u64,
        sensitivity: Sensitivity<'a>,
        owner: Option<u32>,
        newly: Newly,
    ) -> Option<Unit<'a>> {
        if newly.is_nobody() {
            return None;
        }
        let all = self.uncleared(&newly.all, sensitivity);
        let known = &newly.known & all.as_ref();
        let uncleared = Uncleared { all, known };
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
        if self.after.nesting_lists.contains(list) {
            let resolved = || Arc::new(self.proposed.reach(list).beyond(self.before.reach(list)));
            return self.grown.entry(list).or_insert_with(resolved).clone();
        }
        if self.after.public_lists.contains(list) {
            return self.nobody.clone();
        }
        if let Some(few) = &mut self.few {
            return few.in_list(list);
        }
        let spec = self.after.lists.get(list).spec.as_ref();
        let mut newly = self.nobody.clone();
        for joined in spec.groups.iter().filter_map(|group| self.joined.get(group)) {
            newly = both(newly, joined.clone());
        }
        let came = self.came.iter().filter(|viewer| self.after.sees(viewer, list));
        let came: RoaringBitmap = came.map(|viewer| viewer.person).collect();
        if came.is_empty() { newly } else { both(newly, Arc::new(Beyond { people: came, ..Beyond::default() })) }
    }

    /// Notes who was in a list before. Nothing is put together for it where nobody was.
    fn take_out(&mut self, from: &mut Newly, list: ListNo) {
        if from.is_nobody() {
            return;
        }
        let before = self.before;
        let Beyond { people, public, external } = from.all.as_ref();
        if people.len() <= FEW && !public && external.is_empty() {
            let mut is_held = |person: u32| self.held.entry(person).or_insert_with(|| before.lists_with(person)).contains(list);
            from.known.extend(people.iter().filter(|person| is_held(*person)));
            return;
        }
        if before.nesting_lists.contains(list) {
            let newly = from.alone();
            let left = Reach::from(newly.as_ref().clone()).beyond(before.reach(list));
            *from = Newly::of(if left == *newly { newly } else { Arc::new(left) });
            return;
        }
        let spec = before.lists.get(list).spec.as_ref();
        if spec.public {
            *from = Newly::of(self.nobody.clone());
            return;
        }
        for group in &spec.groups {
            // Who is new in a group was not in it.
            if self.joined.get(group).is_some_and(|joined| Arc::ptr_eq(joined, &from.all)) {
                continue;
            }
            let inside = people & before.groups.get(*group).all.as_ref();
            from.known |= if self.came.is_empty() { inside } else { inside & before.active.as_ref() };
        }
        let named = spec.people.iter().filter(|person| people.contains(**person) && before.active.contains(**person));
        from.known.extend(named);
        if external.iter().any(|name| spec.external.contains(name)) {
            Arc::make_mut(&mut from.all).external.retain(|name| !spec.external.contains(name));
        }
    }

    /// Pairs of a person and an item that the person would newly be cleared for, because a clearance was raised.
    pub(crate) fn newly_cleared(&self) -> u64 {
        let before = self.before;
        // Nobody is cleared for what the change itself removes.
        let mut gone: BTreeMap<ShelfNo, u64> = BTreeMap::new();
        for item in self.touched.items.keys().filter(|item| self.after.items.shelf(**item).is_none()) {
            before.items.shelf(*item).into_iter().for_each(|shelf| *gone.entry(shelf).or_default() += 1);
        }
        let mut pairs = 0;
        for person in &self.touched.clearance {
            let covers = |directory: &Directory, (level, categories): &Clearance| {
                directory.levels_over(*level, categories).any(|people| people.contains(person))
            };
            let newly: BTreeMap<KindNo, u64> = (before.kinds.iter())
                .filter(|(kind, _, _)| covers(self.after, kind) && !covers(before, kind))
                .map(|(_, number, count)| (number, count))
                .collect();
            if newly.is_empty() {
                continue;
            }
            pairs += newly.values().sum::<u64>();
            // Less what they may have already, and what goes.
            let read = before.shelves_read_by(&before.lists_with(person));
            let row = |shelf: ShelfNo| before.rows[shelf as usize];
            let less = |shelf: ShelfNo, count: u64| if newly.contains_key(&row(shelf).kind) { count } else { 0 };
            pairs -= read.iter().map(|shelf| less(shelf, u64::from(row(shelf).count))).sum::<u64>();
            let unread = gone.iter().filter(|(shelf, _)| !read.contains(**shelf));
            pairs -= unread.map(|(shelf, count)| less(*shelf, *count)).sum::<u64>();
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
        let ShelfRow { list, kind, is_placed, .. } = self.rows[shelf as usize];
        let (classification, categories) = self.kinds.get(kind);
        let unknown = list.is_none() && !is_placed;
        let for_all = !unknown && *classification == Classification::Public;
        Sensitivity { classification: *classification, categories, unknown, for_all }
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
}
