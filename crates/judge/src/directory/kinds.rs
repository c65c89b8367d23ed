//! How many items there are of each level with its categories: what somebody who is cleared higher may newly have is counted from these,
//! and not looked for item by item.

use super::Clearance;
use crate::label::Classification;
use imbl::{OrdMap, Vector};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A level with its categories, by its place in the table; never given twice.
pub(super) type KindNo = u32;

#[derive(Debug, Clone, Default)]
pub(super) struct Kinds {
    numbers: OrdMap<Arc<Clearance>, KindNo>,
    kinds: Vector<Arc<Clearance>>,
    /// How many items there are of each.
    counts: Vector<u64>,
}

impl Kinds {
    pub(super) fn intern(&mut self, level: Classification, categories: &BTreeSet<Arc<str>>) -> KindNo {
        let kind = Arc::new((level, categories.clone()));
        if let Some(number) = self.numbers.get(&kind) {
            return *number;
        }
        let number = u32::try_from(self.kinds.len()).expect("fewer than 2^32 kinds fit in memory");
        self.numbers.insert(kind.clone(), number);
        self.kinds.push_back(kind);
        self.counts.push_back(0);
        number
    }

    pub(super) fn get(&self, kind: KindNo) -> &Clearance {
        &self.kinds[kind as usize]
    }

    /// Every kind, with how many items there are of it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Clearance, KindNo, u64)> {
        self.kinds.iter().zip(0..).zip(&self.counts).map(|((kind, number), count)| (kind.as_ref(), number, *count))
    }

    pub(super) fn count_in(&mut self, kind: KindNo) {
        self.counts[kind as usize] += 1;
    }

    pub(super) fn count_out(&mut self, kind: KindNo) {
        self.counts[kind as usize] -= 1;
    }
}
