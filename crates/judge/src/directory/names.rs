//! Dense numbers for names: ten million of them in little more than their own text.
//!
//! Cloning shares everything, and a change copies only what it touches. What is copied is plain numbers, never names: counting references
//! to names that lie all over the memory is what makes a large tree of them slow.

use super::pages::Pages;
use hashbrown::HashTable;
use imbl::Vector;
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::hint::black_box;
use std::sync::Arc;

/// How many numbers a part of an index holds on average before it is split.
const PART_LEN: usize = 100;

/// A number with a part of the hash of what it stands for.
type Slot = (u32, u32);

/// Numbers by what they stand for. What that is the caller knows, and says whether a number that was found is meant.
///
/// Grows part by part (linear hashing, Litwin 1980), so that no single change pays for all that is there.
#[derive(Clone, Default)]
pub(super) struct Index {
    hashing: RandomState,
    parts: Pages<Arc<HashTable<Slot>>>,
    len: usize,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an index of {} numbers", self.len)
    }
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn hash(&self, of: impl Hash) -> u32 {
        // The upper half is as good as the lower.
        (self.hashing.hash_one(of) >> 32) as u32
    }

    pub(super) fn find(&self, hash: u32, is_meant: impl Fn(u32) -> bool) -> Option<u32> {
        let part = self.parts.get(part_of(hash, self.parts.len())?)?;
        let found = part.find(spread(hash), |&(other, number)| other == hash && is_meant(number));
        found.map(|&(_, number)| number)
    }

    /// For each hash a number that is likely meant: it has the same hash. Every step is made for all of them before the next one is made for
    /// any, so that the processor waits for many places in memory at once. One after the other, that waiting is most of a large load.
    pub(super) fn likely(&self, hashes: &[u32]) -> Vec<Option<u32>> {
        let part = |hash: u32| part_of(hash, self.parts.len()).and_then(|part| self.parts.get(part));
        let parts: Vec<_> = hashes.iter().map(|hash| part(*hash)).collect();
        black_box(parts.iter().flatten().map(|part| part.len()).sum::<usize>());
        let find = |part: &Arc<HashTable<Slot>>, hash: u32| part.find(spread(hash), |slot| slot.0 == hash).map(|slot| slot.1);
        parts.iter().zip(hashes).map(|(part, hash)| part.and_then(|part| find(part, *hash))).collect()
    }

    /// Adds a number that is not in it under what it stands for.
    pub(super) fn add(&mut self, hash: u32, number: u32) {
        if self.len >= self.parts.len() * PART_LEN {
            self.grow();
        }
        let part = part_of(hash, self.parts.len()).expect("it has grown");
        Arc::make_mut(&mut self.parts[part]).insert_unique(spread(hash), (hash, number), |slot| spread(slot.0));
        self.len += 1;
    }

    pub(super) fn remove(&mut self, hash: u32, is_meant: impl Fn(u32) -> bool) -> Option<u32> {
        self.find(hash, &is_meant)?;
        let part = part_of(hash, self.parts.len())?;
        let part = Arc::make_mut(&mut self.parts[part]);
        let entry = part.find_entry(spread(hash), |&(other, number)| other == hash && is_meant(number)).ok()?;
        self.len -= 1;
        Some(entry.remove().0.1)
    }

    /// One part more, with its share of the one that it is split from.
    fn grow(&mut self) {
        let new = self.parts.len();
        self.parts.push(Arc::default());
        if new == 0 {
            return;
        }
        let split = new - (1 << new.ilog2());
        let (mut stays, mut moves) = (HashTable::new(), HashTable::new());
        for slot in self.parts[split].iter() {
            let part = if part_of(slot.0, new + 1) == Some(new) { &mut moves } else { &mut stays };
            part.insert_unique(spread(slot.0), *slot, |slot| spread(slot.0));
        }
        self.parts[split] = Arc::new(stays);
        self.parts[new] = Arc::new(moves);
    }
}

/// Which of `parts` parts holds this hash; those that were not split yet hold the share of the part that will be split off as well.
fn part_of(hash: u32, parts: usize) -> Option<usize> {
    let level = parts.checked_ilog2()?;
    let wide = hash as usize & ((2 << level) - 1);
    Some(if wide < parts { wide } else { wide & ((1 << level) - 1) })
}

/// The lower bits are alike in one part, and a table looks at the lowest and at the highest.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32)
}

/// Names as dense numbers.
#[derive(Debug, Clone)]
pub(super) struct Names<Name> {
    names: Pages<Name>,
    index: Index,
    /// Numbers that may be given again.
    free: Vector<u32>,
}

impl<Name> Default for Names<Name> {
    fn default() -> Self {
        Self { names: Pages::default(), index: Index::default(), free: Vector::new() }
    }
}

impl<Name: Clone + Borrow<str>> Names<Name> {
    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.index.find(self.index.hash(name), |number| self.is(number, name))
    }

    /// Fetches what looking up these names will read.
    pub(super) fn fetch<'n>(&self, names: impl Iterator<Item = &'n str>) {
        let hashes: Vec<u32> = names.map(|name| self.index.hash(name)).collect();
        let found: Vec<&Name> = self.index.likely(&hashes).into_iter().flatten().filter_map(|number| self.name(number)).collect();
        let texts: Vec<&str> = found.into_iter().map(Borrow::borrow).collect();
        black_box(texts.iter().filter_map(|text| text.bytes().next()).map(u64::from).sum::<u64>());
    }

    /// The name with this number, also when it was forgotten since.
    pub(super) fn name(&self, number: u32) -> Option<&Name> {
        self.names.get(number as usize)
    }

    /// All names that were ever there, by number.
    pub(super) fn all(&self) -> &Pages<Name> {
        &self.names
    }

    /// The number of a name, and whether it is new here.
    pub(super) fn intern(&mut self, name: &Name) -> (u32, bool) {
        let text: &str = name.borrow();
        let hash = self.index.hash(text);
        if let Some(number) = self.index.find(hash, |number| self.is(number, text)) {
            return (number, false);
        }
        let number = match self.free.pop_back() {
            Some(number) => {
                self.names[number as usize] = name.clone();
                number
            }
            None => {
                self.names.push(name.clone());
                u32::try_from(self.names.len() - 1).expect("fewer than 2^32 names fit in memory")
            }
        };
        self.index.add(hash, number);
        (number, true)
    }

    /// Forgets a name. Its number is not given again, unless it is [released](Self::release).
    pub(super) fn forget(&mut self, name: &str) -> Option<u32> {
        let names = &self.names;
        self.index.remove(self.index.hash(name), |number| {
            let other: &str = names[number as usize].borrow();
            other == name
        })
    }

    /// Lets a number of a name that was forgotten be given again.
    pub(super) fn release(&mut self, number: u32) {
        self.free.push_back(number);
    }

    fn is(&self, number: u32, name: &str) -> bool {
        let other: &str = self.names[number as usize].borrow();
        other == name
    }
}
