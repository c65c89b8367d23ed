//! Access lists and shelves, each kept once: ten million items share some hundred thousand of them.
//!
//! A list is who is named as readers or audience. A shelf is everything that has the same label and stands in the same place: what
//! becomes visible to somebody is computed once a shelf, not once an item.

use super::groups::GroupNo;
use super::items::ItemNo;
use super::kinds::KindNo;
use super::names::Index;
use super::pages::Pages;
use crate::label::{Classification, Integrity, Purposes};
use crate::name::ResourceId;
use imbl::{OrdSet, Vector};
use std::collections::BTreeSet;
use std::hash::Hash;
use std::hint::black_box;
use std::sync::{Arc, OnceLock};

/// A list by its place in the table.
pub(super) type ListNo = u32;
/// A shelf by its place in the table.
pub(super) type ShelfNo = u32;

/// Who is named: every part in order, each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct ListSpec {
    pub(super) public: bool,
    pub(super) external: BTreeSet<Arc<str>>,
    pub(super) people: Vec<u32>,
    pub(super) groups: Vec<GroupNo>,
    pub(super) destinations: BTreeSet<ResourceId>,
}

#[derive(Debug, Clone)]
pub(super) struct List {
    pub(super) spec: Arc<ListSpec>,
    /// Shelves whose readers it is.
    pub(super) shelves: OrdSet<ShelfNo>,
    /// Destinations whose audience it is.
    pub(super) destinations: BTreeSet<ResourceId>,
}

/// A label as the system of record states it, the place, and who decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ShelfSpec {
    /// Readers; `None` when they are unknown.
    pub(super) list: Option<ListNo>,
    pub(super) classification: Classification,
    pub(super) categories: BTreeSet<Arc<str>>,
    pub(super) purposes: Purposes,
    pub(super) integrity: Integrity,
    pub(super) container: Option<ResourceId>,
    /// Who decides about it.
    pub(super) owner: Option<u32>,
}

#[derive(Debug, Clone)]
pub(super) struct Shelf {
    pub(super) spec: Arc<ShelfSpec>,
    pub(super) items: OrdSet<ItemNo>,
}

/// What a look at many shelves needs of each, side by side in memory: to follow a few references for each of a hundred thousand shelves
/// takes longer than everything else that is done with them.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShelfRow {
    pub(super) list: Option<ListNo>,
    pub(super) owner: Option<u32>,
    /// How sensitive its items are.
    pub(super) kind: KindNo,
    /// How many items there are on it.
    pub(super) count: u32,
    /// Whether it stands in a place.
    pub(super) is_placed: bool,
}

/// An entry of a [`Table`]: what makes it this one.
pub(super) trait Specified {
    type Spec: Hash + Eq;
    fn spec(&self) -> &Self::Spec;
    /// Reads something of whatever is compared with other specifications.
    fn touch(&self) -> usize;
}

impl Specified for List {
    type Spec = ListSpec;
    fn spec(&self) -> &ListSpec {
        &self.spec
    }
    fn touch(&self) -> usize {
        let numbers = self.spec.people.first().into_iter().chain(self.spec.groups.first());
        numbers.map(|number| *number as usize).sum()
    }
}

impl Specified for Shelf {
    type Spec = ShelfSpec;
    fn spec(&self) -> &ShelfSpec {
        &self.spec
    }
    fn touch(&self) -> usize {
        self.spec.categories.first().map_or(0, |category| category.len())
    }
}

/// Things that are kept once, by number and by what they are.
#[derive(Debug, Clone)]
pub(super) struct Table<Entry> {
    entries: Pages<Arc<Entry>>,
    index: Index,
}

impl<Entry> Default for Table<Entry> {
    fn default() -> Self {
        Self { entries: Pages::default(), index: Index::default() }
    }
}

impl<Entry: Clone + Specified> Table<Entry> {
    pub(super) fn get(&self, number: u32) -> &Entry {
        &self.entries[number as usize]
    }

    pub(super) fn get_mut(&mut self, number: u32) -> &mut Entry {
        Arc::make_mut(&mut self.entries[number as usize])
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (0..).zip(self.entries.iter().map(AsRef::as_ref))
    }

    /// Fetches what interning these will read.
    pub(super) fn fetch<'s>(&self, specs: impl Iterator<Item = &'s Entry::Spec>)
    where
        Entry::Spec: 's,
    {
        let hashes: Vec<u32> = specs.map(|spec| self.index.hash(spec)).collect();
        let found: Vec<&Entry> = self.index.likely(&hashes).into_iter().flatten().map(|number| self.get(number)).collect();
        black_box(found.into_iter().map(Specified::touch).sum::<usize>());
    }

    /// The number of `spec`, and whether it is new here.
    pub(super) fn intern(&mut self, spec: Entry::Spec, entry: impl FnOnce(Entry::Spec) -> Entry) -> (u32, bool) {
        let hash = self.index.hash(&spec);
        if let Some(number) = self.index.find(hash, |number| *self.get(number).spec() == spec) {
            return (number, false);
        }
        let number = u32::try_from(self.entries.len()).expect("fewer than 2^32 lists fit in memory");
        self.entries.push(Arc::new(entry(spec)));
        self.index.add(hash, number);
        (number, true)
    }
}

/// How many derived values are let go of together at the least.
const CELLS: usize = 64;

/// What is derived of numbered things, once it is asked for. Values that a change may make others are emptied in the changed directory
/// before anybody sees it, so that no two directories share one that is not the same in both.
#[derive(Debug, Clone)]
pub(super) struct Cells<T>(Vector<Arc<[OnceLock<T>; CELLS]>>);

impl<T> Default for Cells<T> {
    fn default() -> Self {
        Self(Vector::new())
    }
}

impl<T: Clone> Cells<T> {
    /// An empty cell for a number that was given just now: another directory may have given it to something else.
    pub(super) fn add(&mut self, number: u32) {
        while self.0.len() * CELLS <= number as usize {
            self.0.push_back(Arc::new(std::array::from_fn(|_| OnceLock::new())));
        }
        self.forget(number);
    }

    pub(super) fn get_or_init(&self, number: u32, derive: impl FnOnce() -> T) -> &T {
        self.0[number as usize / CELLS][number as usize % CELLS].get_or_init(derive)
    }

    pub(super) fn forget(&mut self, number: u32) {
        Arc::make_mut(&mut self.0[number as usize / CELLS])[number as usize % CELLS] = OnceLock::new();
    }
}
