//! Items: where each of them is filed. Names, or patterns that end in `*`, looked up by length and never scanned.

use super::lists::ShelfNo;
use super::names::Names;
use super::pages::Pages;
use crate::name::ResourceId;
use imbl::OrdSet;

/// An item by its place in the table. What is removed gives its number back, though never within one batch of changes.
pub(super) type ItemNo = u32;

/// In place of a shelf: filed nowhere.
const NOWHERE: ShelfNo = ShelfNo::MAX;

#[derive(Debug, Clone, Default)]
pub(super) struct Items {
    names: Names<ResourceId>,
    /// By item.
    shelves: Pages<ShelfNo>,
    /// Lengths of what stands before the stars of patterns, in bytes.
    lengths: OrdSet<usize>,
}

impl Items {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The shelf of this very name or pattern.
    pub(super) fn get(&self, id: &str) -> Option<ShelfNo> {
        self.names.number(id).and_then(|item| self.shelf(item))
    }

    /// The shelf of the name, else of the longest pattern that it matches.
    pub(super) fn best(&self, id: &str) -> Option<ShelfNo> {
        self.get(id).or_else(|| self.by_pattern(id))
    }

    /// The shelf of the longest pattern that a name matches.
    pub(super) fn by_pattern(&self, id: &str) -> Option<ShelfNo> {
        let prefixes = self.lengths.iter().rev().filter_map(|&length| id.get(..length));
        prefixes.map(|prefix| format!("{prefix}*")).find_map(|pattern| self.get(&pattern))
    }

    /// Fetches what filing these items will read.
    pub(super) fn fetch<'n>(&self, ids: impl Iterator<Item = &'n str>) {
        self.names.fetch(ids);
    }

    /// Where an item is filed.
    pub(super) fn shelf(&self, item: ItemNo) -> Option<ShelfNo> {
        self.shelves.get(item as usize).copied().filter(|shelf| *shelf != NOWHERE)
    }

    pub(super) fn name(&self, item: ItemNo) -> &ResourceId {
        self.names.name(item).expect("an item that is filed has a name")
    }

    /// Files an item, and says where it was before.
    pub(super) fn file(&mut self, id: &ResourceId, shelf: ShelfNo) -> (ItemNo, Option<ShelfNo>) {
        let (item, is_new) = self.names.intern(id);
        if is_new && let Some(prefix) = id.as_str().strip_suffix('*') {
            self.lengths.insert(prefix.len());
        }
        if item as usize == self.shelves.len() {
            self.shelves.push(shelf);
            return (item, None);
        }
        let before = self.shelves[item as usize];
        if before != shelf {
            self.shelves[item as usize] = shelf;
        }
        (item, Some(before).filter(|before| *before != NOWHERE))
    }

    /// Takes an item away from wherever it was.
    pub(super) fn remove(&mut self, id: &str) -> Option<(ItemNo, ShelfNo)> {
        let item = self.names.forget(id)?;
        self.names.release(item);
        let shelf = self.shelves.set(item as usize, NOWHERE);
        Some((item, shelf))
    }
}
