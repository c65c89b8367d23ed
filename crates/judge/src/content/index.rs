//! What a task has read, by fingerprint, and the search for it.
//!
//! It knows items by number only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::normal::normalise;
use super::print::{HEAD_CHARS, Role};
use super::token::{Side, tokens};
use super::view::{self, View};
use super::{ContentKey, DEPTH_MAX, ORDERED_PARTS_MAX, Sketch, VIEW_BYTES_MAX};

/// Bytes of a long part that are searched at either side of a seam: room for 24 characters at ten bytes each, so that a copy cut in
/// two long parts *and* wrapped in layers that take more than that is not certain to be found.
const SEAM_BYTES: usize = 256;

/// What was found of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A verbatim copy of some of its text.
    Copy,
    /// A short sensitive value of it.
    Token,
    /// All of it, where all of it is short.
    Whole,
}

/// Why an item counts as shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    /// What was found, the first of copy, token, whole.
    pub kind: Kind,
    /// How many different fingerprints matched; about one for every five characters of a copy.
    pub prints: u32,
    /// How it was written; the outermost layer where there were several.
    pub view: View,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Whether a bound stopped the search: something may have been missed, and the caller fails closed.
    pub truncated: bool,
    hits: BTreeMap<(Kind, u64), (Way, Vec<u32>)>,
}

impl Found {
    /// Whether nothing was found; not to be read as "nothing is there" when [`Found::truncated`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hits.is_empty()
    }

    /// Each match with all items that contain it, in ascending order: content that also stands in an item which the audience may
    /// read is no evidence for the other ones.
    pub fn hits(&self) -> impl Iterator<Item = (Kind, View, &[u32])> {
        self.hits.iter().map(|((kind, _), (way, items))| (*kind, way.1, items.as_slice()))
    }

    /// The items found, in ascending order, each with why.
    #[must_use]
    pub fn items(&self) -> Vec<(u32, Evidence)> {
        self.items_unless(|_| false)
    }

    /// The same without the matches that also stand in an item for which `released` holds.
    #[must_use]
    pub fn items_unless(&self, released: impl Fn(u32) -> bool) -> Vec<(u32, Evidence)> {
        let mut evidence: BTreeMap<u32, Evidence> = BTreeMap::new();
        for (kind, view, items) in self.hits().filter(|(_, _, items)| !items.iter().any(|item| released(*item))) {
            for item in items {
                let known = evidence.entry(*item).or_insert(Evidence { kind, prints: 0, view });
                known.prints += 1;
                known.view = known.view.min(view);
            }
        }
        evidence.into_iter().collect()
    }
}

/// How deep, and behind what: the plainest way in which something was found is the one that is told.
type Way = (usize, View);

/// The fingerprints of all that a task has read.
#[derive(Clone, Default)]
pub struct Index {
    copies: Table,
    tokens: Table,
    wholes: BTreeMap<(u8, u64), Vec<u32>>,
    /// Heads of the wholes, with their lengths: most characters of a text begin none of them.
    heads: BTreeMap<u16, BTreeSet<u8>>,
    partial: bool,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("copies", &self.copies.used)
            .field("tokens", &self.tokens.used)
            .field("wholes", &self.wholes.len())
            .field("partial", &self.partial)
            .finish()
    }
}

impl Index {
    /// Adds what an item's sketch holds. Adding the same again changes nothing.
    /// Items are numbered within a task, below 2³¹.
    pub fn add(&mut self, item: u32, sketch: &Sketch) {
        self.copies.add(item, &sketch.copies);
        self.tokens.add(item, &sketch.tokens);
        if let Some(whole) = sketch.whole {
            insert(self.wholes.entry((whole.chars, whole.hash)).or_default(), item);
            self.heads.entry(whole.head).or_default().insert(whole.chars);
        }
        self.partial |= sketch.partial;
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.copies.used == 0 && self.tokens.used == 0 && self.wholes.is_empty() && !self.partial
    }

    /// Bytes that it takes in memory, about.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.copies.size_bytes() + self.tokens.size_bytes() + 48 * self.wholes.len()
    }

    /// Searches what is about to leave: all its strings (and names of members) in document order.
    #[must_use]
    pub fn search(&self, key: &ContentKey, parts: &[&str]) -> Found {
        let mut found = Found { truncated: self.partial, ..Found::default() };
        if self.is_empty() {
            return found;
        }
        let mut search = Search { index: self, key, found: &mut found, bytes_left: VIEW_BYTES_MAX };
        for part in parts {
            search.text(part, (0, View::Plain));
        }
        for seam in seams(parts) {
            search.text(&seam, (0, View::Plain));
        }
        found
    }
}

/// The texts that arise where parts are put one behind the other: each order of a few parts, forwards and backwards of many. Of a long
/// part only the ends matter, because it was searched on its own.
fn seams(parts: &[&str]) -> BTreeSet<String> {
    let mut seams = BTreeSet::new();
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    if parts.len() < 2 {
        return seams;
    }
    let mut orders: Vec<Vec<usize>> = vec![vec![]];
    if parts.len() <= ORDERED_PARTS_MAX {
        for _ in 0..parts.len() {
            orders = orders.iter().flat_map(|order| (0..parts.len()).filter(|next| !order.contains(next)).map(|next| [order.as_slice(), &[next]].concat())).collect();
        }
    } else {
        orders = vec![(0..parts.len()).collect(), (0..parts.len()).rev().collect()];
    }
    for order in orders {
        let mut seam = String::new();
        let mut joined = 0;
        for part in order.iter().map(|at| parts[*at]) {
            if part.len() <= 2 * SEAM_BYTES {
                seam.push_str(part);
                joined += 1;
                continue;
            }
            seam.push_str(view::edge(part, SEAM_BYTES, false));
            if joined > 0 {
                seams.insert(std::mem::take(&mut seam));
            }
            seam = view::edge(part, SEAM_BYTES, true).to_owned();
            joined = 1;
        }
        if joined > 1 {
            seams.insert(seam);
        }
    }
    seams
}

struct Search<'a> {
    index: &'a Index,
    key: &'a ContentKey,
    found: &'a mut Found,
    bytes_left: usize,
}

impl Search<'_> {
    fn text(&mut self, text: &str, way: Way) {
        if text.len() > self.bytes_left {
            self.found.truncated = true;
        }
        let text = view::edge(text, self.bytes_left, false);
        self.bytes_left -= text.len();
        if text.is_empty() {
            return;
        }
        self.plain(text, way);
        let (depth, outermost) = way;
        if depth == DEPTH_MAX {
            return;
        }
        for (layer, inner) in view::unwrap_one(text) {
            if inner != text {
                self.text(&inner, (depth + 1, if depth == 0 { layer } else { outermost }));
            }
        }
    }

    fn plain(&mut self, text: &str, way: Way) {
        let Self { index, key, found, .. } = self;
        let normal = normalise(text);
        key.0.fingerprints(&normal.dense, |print| {
            index.copies.get(print, |items| hit(found, Kind::Copy, print, way, items));
        });
        if index.tokens.used > 0 {
            tokens(Side::Outgoing, &normal.spaced, |token| {
                let print = key.0.hash_bytes(Role::Token, token);
                index.tokens.get(print, |items| hit(found, Kind::Token, print, way, items));
            });
        }
        if index.heads.is_empty() {
            return;
        }
        for (at, head) in normal.dense.windows(HEAD_CHARS).enumerate() {
            for chars in index.heads.get(&key.0.head(head)).into_iter().flatten() {
                let Some(candidate) = normal.dense.get(at..at + usize::from(*chars)) else { continue };
                let hash = key.0.hash_whole(candidate);
                if let Some(items) = index.wholes.get(&(*chars, hash)) {
                    hit(found, Kind::Whole, hash, way, items);
                }
            }
        }
    }
}

fn hit(found: &mut Found, kind: Kind, print: u64, way: Way, items: &[u32]) {
    let known = found.hits.entry((kind, print)).or_insert_with(|| (way, items.to_vec()));
    known.0 = known.0.min(way);
}

fn insert(items: &mut Vec<u32>, item: u32) {
    if let Err(at) = items.binary_search(&item) {
        items.insert(at, item);
    }
}

/// Fingerprint → items: open addressing, placed by the leading bits. Fingerprints are uniform already, and a sketch holds them in order,
/// so that adding one walks through the table once instead of jumping about in it.
#[derive(Clone, Default)]
struct Table {
    prints: Vec<u64>,
    /// The item, or with the top bit set the place of several in `shared`.
    items: Vec<u32>,
    shared: Vec<Vec<u32>>,
    used: usize,
}

/// No fingerprint (the real one with this value is taken for its neighbour).
const EMPTY: u64 = 0;
const SHARED: u32 = 1 << 31;
const TABLE_SLOTS_MIN: usize = 64;

impl Table {
    fn add(&mut self, item: u32, prints: &[u64]) {
        // Items are numbered by the caller within a task; the top bit is ours.
        let item = item & !SHARED;
        let needed = (self.used + prints.len()) * 4 / 3 + 1;
        if needed > self.prints.len() && !prints.is_empty() {
            self.grow(needed.next_power_of_two().max(TABLE_SLOTS_MIN));
        }
        for print in prints {
            let slot = self.slot(*print);
            if self.prints[slot] == EMPTY {
                self.prints[slot] = (*print).max(1);
                self.items[slot] = item;
                self.used += 1;
            } else if self.items[slot] & SHARED != 0 {
                insert(&mut self.shared[(self.items[slot] & !SHARED) as usize], item);
            } else if self.items[slot] != item {
                let mut both = vec![self.items[slot].min(item), self.items[slot].max(item)];
                both.shrink_to_fit();
                self.items[slot] = SHARED | u32::try_from(self.shared.len()).unwrap_or(u32::MAX);
                self.shared.push(both);
            }
        }
    }

    fn get(&self, print: u64, mut then: impl FnMut(&[u32])) {
        if self.used == 0 {
            return;
        }
        let slot = self.slot(print);
        if self.prints[slot] == EMPTY {
            return;
        }
        match self.items[slot] {
            item if item & SHARED == 0 => then(&[item]),
            place => then(&self.shared[(place & !SHARED) as usize]),
        }
    }

    /// Where a fingerprint is, or would be. INVARIANT: a table that is not without slots has an empty one.
    fn slot(&self, print: u64) -> usize {
        let print = print.max(1);
        let mask = self.prints.len() - 1;
        let mut slot = (print >> (64 - self.prints.len().trailing_zeros())) as usize;
        while self.prints[slot] != EMPTY && self.prints[slot] != print {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self, slots: usize) {
        let prints = std::mem::replace(&mut self.prints, vec![EMPTY; slots]);
        let items = std::mem::replace(&mut self.items, vec![0; slots]);
        for (print, item) in prints.into_iter().zip(items).filter(|(print, _)| *print != EMPTY) {
            let slot = self.slot(print);
            self.prints[slot] = print;
            self.items[slot] = item;
        }
    }

    fn size_bytes(&self) -> usize {
        12 * self.prints.len() + self.shared.iter().map(|items| size_of::<Vec<u32>>() + 4 * items.capacity()).sum::<usize>()
    }
}

