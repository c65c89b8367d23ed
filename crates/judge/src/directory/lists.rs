//! Access lists and shelves, each kept once: ten million items share some hundred thousand of them.
//!
//! A list is who is named as readers or audience. A shelf is everything that has the same label and stands in the same place: what
//! becomes visible to somebody is computed once a shelf, not once an item.

use super::groups::GroupNo;
use crate::label::{Classification, Integrity, Label, Purposes};
use crate::name::ResourceId;
use crate::reach::Reach;
use imbl::{HashMap, OrdSet, Vector};
use std::collections::BTreeSet;
use std::hash::Hash;
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
    pub(super) people: BTreeSet<u32>,
    pub(super) groups: BTreeSet<GroupNo>,
    pub(super) destinations: BTreeSet<ResourceId>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct List {
    pub(super) spec: Arc<ListSpec>,
    /// Shelves whose readers it is.
    pub(super) shelves: BTreeSet<ShelfNo>,
    /// Destinations whose audience it is.
    pub(super) destinations: BTreeSet<ResourceId>,
    /// Derived: who that is now.
    pub(super) reach: OnceLock<Reach>,
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
    pub(super) items: OrdSet<ResourceId>,
    /// Derived: the label with its readers as they are now.
    pub(super) label: OnceLock<Arc<Label>>,
}

/// Things that are kept once, by number and by what they are.
#[derive(Debug, Clone)]
pub(super) struct Table<Spec, Entry> {
    entries: Vector<Arc<Entry>>,
    numbers: HashMap<Arc<Spec>, u32>,
}

impl<Spec, Entry> Default for Table<Spec, Entry> {
    fn default() -> Self {
        Self { entries: Vector::new(), numbers: HashMap::new() }
    }
}

impl<Spec: Hash + Eq, Entry: Clone> Table<Spec, Entry> {
    pub(super) fn get(&self, number: u32) -> &Entry {
        &self.entries[number as usize]
    }

    pub(super) fn get_mut(&mut self, number: u32) -> &mut Entry {
        Arc::make_mut(&mut self.entries[number as usize])
    }

    /// Whether there is an entry with this number.
    pub(super) fn holds(&self, number: u32) -> bool {
        (number as usize) < self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (0..).zip(self.entries.iter().map(AsRef::as_ref))
    }

    /// The number of `spec`, and whether it is new here.
    pub(super) fn intern(&mut self, spec: Spec, entry: impl FnOnce(Arc<Spec>) -> Entry) -> (u32, bool) {
        if let Some(&number) = self.numbers.get(&spec) {
            return (number, false);
        }
        let number = u32::try_from(self.entries.len()).expect("fewer than 2^32 lists fit in memory");
        let spec = Arc::new(spec);
        self.entries.push_back(Arc::new(entry(spec.clone())));
        self.numbers.insert(spec, number);
        (number, true)
    }
}
