//! What a task has read, by fingerprint, and the search for it.
//!
//! It knows items by number only.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::normal::{Normal, normalise};
use super::print::{HEAD_CHARS, Role};
use super::secret::each_candidate;
use super::token::{Side, is_prose, tokens};
use super::view::{self, Runs, View};
use super::{COPY_CHARS_MIN, ContentKey, DEPTH_MAX, ORDERED_PARTS_MAX, Sketch, VIEW_BYTES_MAX};

/// Normalised characters of a part that can be in a copy of 24 together with one of another part. A part with more is searched on
/// its own, and a seam only needs its ends.
const SEAM_CHARS: usize = COPY_CHARS_MIN - 1;
/// Normalised characters at either side of a seam in which a short sensitive value is looked for.
const SEAM_TOKEN_CHARS: usize = 64;
/// Normalised characters at either side of a seam of which one is no letter where such a value lies across it.
const SEAM_VALUE_CHARS: usize = 16;
/// Bytes at either side of a seam that are decoded: room for 24 characters at ten bytes each, so that a copy cut in two long parts
/// *and* wrapped in layers that take more than that is not certain to be found.
const SEAM_BYTES: usize = 256;

/// Items of a task whose words are kept.
const WORDED_ITEMS_MAX: usize = 1_000;

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

/// Credentials that one search tells apart.
const SECRETS_MAX: usize = 16;

/// What a search for credentials found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundSecrets {
    /// Whether a bound stopped the search: something may have been missed, and the caller fails closed.
    pub truncated: bool,
    /// Each as it stands in what was searched, with the items in which it was read.
    pub found: BTreeMap<String, Vec<u32>>,
}

/// How deep, and behind what: the plainest way in which something was found is the one that is told.
type Way = (usize, View);

/// The fingerprints of all that a task has read.
#[derive(Clone, Default)]
pub struct Index {
    copies: Table,
    tokens: Table,
    wholes: BTreeMap<(u8, u64), Vec<u32>>,
    links: BTreeMap<u64, Vec<u32>>,
    secrets: BTreeMap<u64, Vec<u32>>,
    /// Words of the first items, each in order of value.
    words: BTreeMap<u32, Vec<u32>>,
    /// Heads of the wholes, with their lengths as bits: most characters of a text begin none of them.
    heads: HashMap<u16, u32>,
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
            *self.heads.entry(whole.head).or_default() |= 1 << (whole.chars % u32::BITS as u8);
        }
        for link in &sketch.links {
            insert(self.links.entry(*link).or_default(), item);
        }
        for secret in &sketch.secrets {
            insert(self.secrets.entry(*secret).or_default(), item);
        }
        if !sketch.words.is_empty() && self.words.len() < WORDED_ITEMS_MAX {
            self.words.entry(item).or_insert_with(|| sketch.words.clone());
        }
        self.partial |= sketch.partial;
    }

    /// Whether one of the items for which `is_in` holds has all of these words.
    #[must_use]
    pub fn has_words(&self, key: &ContentKey, words: &[&str], is_in: impl Fn(u32) -> bool) -> bool {
        let wanted: Vec<u32> = words.iter().map(|word| key.word(word)).collect();
        self.words.iter().any(|(item, has)| wanted.iter().all(|word| has.binary_search(word).is_ok()) && is_in(*item))
    }

    /// Whether a text is made of items for which `is_in` holds: every 24 of its normalised characters stand in one of them, as they are. What is shorter than
    /// that is made of nothing.
    #[must_use]
    pub fn is_all_of(&self, key: &ContentKey, text: &str, is_in: impl Fn(u32) -> bool) -> bool {
        let normal = normalise(text);
        let mut prints = Vec::new();
        key.0.fingerprints(&normal.dense, &mut prints);
        let stands = |print: &u64| {
            let mut found = false;
            self.copies.get(*print, |items| found = items.iter().any(|item| is_in(*item)));
            found
        };
        !prints.is_empty() && prints.iter().all(stands)
    }

    /// The items in which this link stands as it is, by its print.
    #[must_use]
    pub fn links(&self, print: u64) -> &[u32] {
        self.links.get(&print).map_or(&[], Vec::as_slice)
    }

    /// Whether a credential was read.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// The credentials of what was read that stand in `parts`, whole, plain or behind layers of encoding. One that is split over parts is not found.
    #[must_use]
    pub fn secrets(&self, key: &ContentKey, parts: &[&str]) -> FoundSecrets {
        let mut found = FoundSecrets::default();
        let mut bytes_left = VIEW_BYTES_MAX;
        if self.has_secrets() {
            parts.iter().for_each(|part| self.secrets_in(key, part, 0, &mut bytes_left, &mut found));
        }
        found
    }

    fn secrets_in(&self, key: &ContentKey, text: &str, depth: usize, bytes_left: &mut usize, found: &mut FoundSecrets) {
        found.truncated |= text.len() > *bytes_left;
        let text = view::edge(text, *bytes_left, false);
        *bytes_left -= text.len();
        each_candidate(text, |candidate| {
            if let Some(items) = self.secrets.get(&key.0.hash(Role::Secret, candidate))
                && found.found.len() < SECRETS_MAX
            {
                found.found.entry(String::from_utf8_lossy(candidate).into_owned()).or_insert_with(|| items.clone());
            }
        });
        if depth < DEPTH_MAX {
            for (_, inner) in view::unwrap_one(text).filter(|(_, inner)| inner != text) {
                self.secrets_in(key, &inner, depth + 1, bytes_left, found);
            }
        }
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.copies.used == 0 && self.tokens.used == 0 && self.wholes.is_empty() && !self.partial
    }

    /// Bytes that it takes in memory, about.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let words: usize = self.words.values().map(|words| 4 * words.len() + 64).sum();
        self.copies.size_bytes() + self.tokens.size_bytes() + 48 * self.wholes.len() + words
    }

    /// Searches what is about to leave: all its strings (and names of members) in document order.
    #[must_use]
    pub fn search(&self, key: &ContentKey, parts: &[&str]) -> Found {
        let mut found = Found { truncated: self.partial, ..Found::default() };
        if self.is_empty() {
            return found;
        }
        let mut search = Search {
            index: self,
            key,
            found: &mut found,
            bytes_left: VIEW_BYTES_MAX,
            joined: Normal::default(),
            prints: Vec::new(),
        };
        let normals: Vec<Normal> = parts.iter().map(|part| search.text(part, (0, View::Plain))).collect();
        let parts: Vec<Part> = parts
            .iter()
            .zip(&normals)
            .filter(|(text, _)| !text.is_empty())
            .map(|(text, normal)| Part::new(text, normal))
            .collect();
        each_row(&parts, |part| part.normal.dense.len() > SEAM_CHARS, &mut |row| search.seam(row));
        each_row(&parts, |part| part.text.len() > 2 * SEAM_BYTES, &mut |row| search.encoded_seam(row));
        found
    }
}

/// A part of what is about to leave, and what a seam needs to know of it.
struct Part<'a> {
    text: &'a str,
    normal: &'a Normal,
    /// Whether its beginning and its end have more than letters: digits, an address, something named.
    has_values: [bool; 2],
    has_escapes: bool,
    runs: Runs,
}

impl<'a> Part<'a> {
    fn new(text: &'a str, normal: &'a Normal) -> Self {
        let ends = [false, true];
        Self {
            text,
            normal,
            has_values: ends.map(|last| !normal.edge(SEAM_VALUE_CHARS, last).iter().all(|byte| is_prose(*byte))),
            has_escapes: ends.iter().any(|last| view::has_escapes(view::edge(text, SEAM_BYTES, *last))),
            runs: Runs::of(text),
        }
    }
}

/// Calls `then` with each row of parts that a copy may lie across: every order of a few parts, forwards and backwards of many. A long
/// part ends a row: no copy reaches over it that is not found in it. No row is a piece of another.
fn each_row<'p, 'a>(parts: &'p [Part<'a>], is_long: fn(&Part<'_>) -> bool, then: &mut impl FnMut(&[&'p Part<'a>])) {
    if parts.len() <= ORDERED_PARTS_MAX {
        let mut row = Vec::with_capacity(ORDERED_PARTS_MAX);
        return rows_behind(parts, &mut row, is_long, then);
    }
    for order in [parts.iter().collect::<Vec<_>>(), parts.iter().rev().collect()] {
        let mut rest = order.as_slice();
        while let Some(end) = rest.iter().skip(1).position(|part| is_long(part)) {
            then(&rest[..=end + 1]);
            rest = &rest[end + 1..];
        }
        if rest.len() > 1 {
            then(rest);
        }
    }
}

/// All rows that begin so.
fn rows_behind<'p, 'a>(
    parts: &'p [Part<'a>],
    row: &mut Vec<&'p Part<'a>>,
    is_long: fn(&Part<'_>) -> bool,
    then: &mut impl FnMut(&[&'p Part<'a>]),
) {
    let is_ended = row.len() > 1 && is_long(row[row.len() - 1]);
    if row.len() > 1 && (row.len() == parts.len() || (is_ended && is_long(row[0]))) {
        then(row);
    }
    if is_ended {
        return;
    }
    for next in parts {
        if !row.iter().any(|part| std::ptr::eq(*part, next)) {
            row.push(next);
            rows_behind(parts, row, is_long, then);
            row.pop();
        }
    }
}

/// The ends of the parts of a row, one behind the other.
fn join(row: &[&Part<'_>], chars: usize, seam: &mut Normal) {
    seam.clear();
    for (place, part) in row.iter().enumerate() {
        let is_end = place == 0 || place + 1 == row.len();
        seam.join(part.normal, if is_end { chars } else { usize::MAX }, place == 0);
    }
}

struct Search<'a> {
    index: &'a Index,
    key: &'a ContentKey,
    found: &'a mut Found,
    bytes_left: usize,
    /// Kept for its memory, like those below.
    joined: Normal,
    prints: Vec<u64>,
}

impl Search<'_> {
    /// Searches a text as it stands and with its layers taken off.
    fn text(&mut self, text: &str, way: Way) -> Normal {
        let text = self.take(text);
        let normal = normalise(text);
        self.copies(&normal, way);
        self.tokens(&normal, way);
        self.wholes(&normal, way);
        self.layers(text, way);
        normal
    }

    /// As much of a text as may still be looked at.
    fn take<'t>(&mut self, text: &'t str) -> &'t str {
        self.found.truncated |= text.len() > self.bytes_left;
        let text = view::edge(text, self.bytes_left, false);
        self.bytes_left -= text.len();
        text
    }

    fn layers(&mut self, text: &str, (depth, outermost): Way) {
        if depth == DEPTH_MAX {
            return;
        }
        for (layer, inner) in view::unwrap_one(text) {
            if inner != text {
                self.text(&inner, (depth + 1, if depth == 0 { layer } else { outermost }));
            }
        }
    }

    /// Searches what lies across a row of parts; what lies in one of them was found there.
    fn seam(&mut self, row: &[&Part<'_>]) {
        const WAY: Way = (0, View::Plain);
        let mut seam = std::mem::take(&mut self.joined);
        join(row, SEAM_CHARS, &mut seam);
        self.bytes_left = self.bytes_left.saturating_sub(seam.dense.len());
        self.copies(&seam, WAY);
        self.wholes(&seam, WAY);
        if row[0].has_values[1]
            || row[row.len() - 1].has_values[0]
            || row[1..row.len() - 1].iter().any(|part| part.has_values != [false; 2])
        {
            join(row, SEAM_TOKEN_CHARS, &mut seam);
            self.tokens(&seam, WAY);
        }
        self.joined = seam;
    }

    /// The same behind layers, where a row looks as if there were one.
    fn encoded_seam(&mut self, row: &[&Part<'_>]) {
        let mut runs = row[0].runs;
        let is_run = row[1..].iter().any(|part| {
            let (is_long, joined) = runs.then(part.runs);
            runs = joined;
            is_long
        });
        if is_run || row.iter().any(|part| part.has_escapes) {
            let text: String = row
                .iter()
                .enumerate()
                .map(|(place, part)| match place {
                    _ if part.text.len() <= 2 * SEAM_BYTES => part.text,
                    0 => view::edge(part.text, SEAM_BYTES, true),
                    _ => view::edge(part.text, SEAM_BYTES, false),
                })
                .collect();
            let text = self.take(&text).to_owned();
            self.layers(&text, (0, View::Plain));
        }
    }

    fn copies(&mut self, normal: &Normal, way: Way) {
        let Self { index, key, found, prints, .. } = self;
        prints.clear();
        key.0.fingerprints(&normal.dense, prints);
        for print in prints {
            index.copies.get(*print, |items| hit(found, Kind::Copy, *print, way, items));
        }
    }

    fn tokens(&mut self, normal: &Normal, way: Way) {
        let Self { index, key, found, .. } = self;
        if index.tokens.used > 0 {
            tokens(Side::Outgoing, normal.words(), |token| {
                let print = key.0.hash(Role::Token, token);
                index.tokens.get(print, |items| hit(found, Kind::Token, print, way, items));
            });
        }
    }

    fn wholes(&mut self, normal: &Normal, way: Way) {
        let Self { index, key, found, .. } = self;
        if index.heads.is_empty() {
            return;
        }
        for (at, head) in normal.dense.windows(HEAD_CHARS).enumerate() {
            let mut lengths = index.heads.get(&key.0.head(head.first_chunk().expect("a window is a head"))).copied().unwrap_or(0);
            while lengths != 0 {
                let chars = lengths.trailing_zeros();
                lengths &= lengths - 1;
                let Some(candidate) = normal.dense.get(at..at + chars as usize) else { continue };
                let hash = key.0.hash(Role::Whole, candidate);
                if let Some(items) = index.wholes.get(&(chars as u8, hash)) {
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
        if prints.is_empty() {
            return;
        }
        // Items are numbered by the caller within a task; the top bit is ours.
        let item = item & !SHARED;
        // At most two of three slots are used, and a quarter more than is needed is made at a time: 18 to 23 bytes for a fingerprint.
        let needed = (self.used + prints.len()) * 3 / 2 + 1;
        if needed > self.prints.len() {
            self.grow((needed + self.prints.len() / 4).max(TABLE_SLOTS_MIN));
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
                let both = vec![self.items[slot].min(item), self.items[slot].max(item)];
                self.items[slot] = SHARED | u32::try_from(self.shared.len()).unwrap_or(u32::MAX);
                self.shared.push(both);
            }
        }
    }

    fn get(&self, print: u64, then: impl FnOnce(&[u32])) {
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
        let slots = self.prints.len();
        let mut slot = ((u128::from(print) * slots as u128) >> 64) as usize;
        while self.prints[slot] != EMPTY && self.prints[slot] != print {
            slot = if slot + 1 < slots { slot + 1 } else { 0 };
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
