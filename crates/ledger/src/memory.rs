//! A ledger that forgets with the process: for tests, trials and simulations. Same promises as on disk, but for durability.
//!
//! Refuses to know files.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::chain::{Entry, Head, Receipt, Seq};
use crate::port::{AppendError, Bounds, Lineage, Outcome, Pending, ReadError, Source, Store};

/// Entries in a vector.
#[derive(Default)]
pub struct MemoryLedger {
    bounds: Bounds,
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    bytes: u64,
    quota_bytes: Option<u64>,
    lineage: Lineage,
}

impl MemoryLedger {
    /// An empty ledger.
    pub fn new(bounds: Bounds) -> Self {
        MemoryLedger { bounds, ..MemoryLedger::default() }
    }

    /// Bodies that the ledger may hold together, in bytes. Beyond, appends are unavailable until the quota is raised; what is there stays.
    pub fn set_quota_bytes(&self, quota_bytes: Option<u64>) {
        self.state.lock().quota_bytes = quota_bytes;
    }
}

impl Source for MemoryLedger {
    fn head(&self) -> Result<Head, ReadError> {
        Ok(self.state.lock().head())
    }

    fn read(&self, from: Seq, entries_max: usize, bytes_max: usize) -> Result<Vec<Entry>, ReadError> {
        let state = self.state.lock();
        let skipped = usize::try_from(from.before().0).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let wanted = state.entries.iter().skip(skipped).take(entries_max).enumerate().take_while(|(index, entry)| {
            bytes += entry.body.len();
            *index == 0 || bytes <= bytes_max
        });
        Ok(wanted.map(|(_, entry)| entry.clone()).collect())
    }

    fn wait_past(&self, seq: Seq, timeout: Duration) -> Result<Head, ReadError> {
        let mut state = self.state.lock();
        self.grown.wait_while_for(&mut state, |state| state.head().seq <= seq, timeout);
        Ok(state.head())
    }
}

impl Store for MemoryLedger {
    fn append(&self, expected: Seq, batch: Vec<Vec<u8>>) -> Pending {
        let mut state = self.state.lock();
        let count = batch.len();
        let outcome = state.append(&self.bounds, expected, batch);
        if outcome.is_ok() {
            self.grown.notify_all();
        } else if count > 0 {
            state.lineage.break_after(expected, count);
        }
        Pending::ready(outcome)
    }
}

impl State {
    fn head(&self) -> Head {
        self.entries.last().map_or(Head::EMPTY, |last| Head { seq: last.seq, hash: last.hash })
    }

    fn append(&mut self, bounds: &Bounds, expected: Seq, batch: Vec<Vec<u8>>) -> Outcome {
        let bytes = bounds.admit(&batch)? as u64;
        let mut head = self.head();
        if self.lineage.is_broken_at(expected) || head.seq != expected {
            return Err(AppendError::Stale { head });
        }
        if self.quota_bytes.is_some_and(|quota_bytes| self.bytes + bytes > quota_bytes) {
            return Err(AppendError::Unavailable("the quota is used up".into()));
        }
        self.bytes += bytes;
        for body in batch {
            head = head.followed_by(&body);
            self.entries.push(Entry { seq: head.seq, hash: head.hash, body });
        }
        Ok(Receipt { first: expected.plus(1), last: head.seq, hash: head.hash })
    }
}
