//! What waits for the writer: batches in call order, bounded in number and bytes; and the group of them that shares the next commit.
//!
//! Refuses to know the disk. Its lock is held for a push or a take, never during I/O.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::chain::{Head, Seq};
use crate::port::{AppendError, Bounds, Lineage, Outcome, Pending};

/// How long the writer waits, in all, for callers that it has just answered, so that they share the next commit too. A fraction of what the
/// commit itself takes.
const LINGER_MAX: Duration = Duration::from_micros(100);

/// A batch with the one who waits for it.
pub(super) struct Job {
    pub(super) expected: Seq,
    pub(super) batch: Vec<Vec<u8>>,
    pub(super) bytes: usize,
    pub(super) answer: oneshot::Sender<Outcome>,
}

/// Batches that share one commit, oldest first. It grows while its first batches are being written.
pub(super) struct Group {
    pub(super) jobs: Vec<Job>,
    entries: usize,
    /// What is left of [`LINGER_MAX`].
    patience: Duration,
}

impl Group {
    /// A group of callers who are still expected.
    pub(super) fn expected() -> Group {
        Group { jobs: Vec::new(), entries: 0, patience: LINGER_MAX }
    }
}

pub(super) struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// Jobs at which the waiting writer wants to be woken.
    wake_at: Option<usize>,
    closed: bool,
    /// Of batches that were refused at this door; the writer keeps its own for those that fail later.
    lineage: Lineage,
    /// Last head that the writer reported, for answers at the door.
    head: Head,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Queue { bounds, state: Mutex::default(), filled: Condvar::new() }
    }

    pub(super) fn push(&self, expected: Seq, batch: Vec<Vec<u8>>) -> Pending {
        let count = batch.len();
        let admitted = self.bounds.admit(&batch);
        let (answer, pending) = Pending::new();
        let mut state = self.state.lock();
        match admitted.and_then(|bytes| state.admit(&self.bounds, expected, bytes)) {
            Ok(bytes) => {
                state.bytes += bytes;
                state.jobs.push_back(Job { expected, batch, bytes, answer });
                if state.wake_at.is_some_and(|enough| state.jobs.len() >= enough) {
                    state.wake_at = None;
                    drop(state);
                    self.filled.notify_one();
                }
                pending
            }
            Err(error) => {
                if count > 0 {
                    state.lineage.break_after(expected, count);
                }
                Pending::ready(Err(error))
            }
        }
    }

    /// Waits for the next group, which is everything that is queued. `None` once the queue is closed and empty.
    pub(super) fn wait(&self) -> Option<Group> {
        let mut group = Group::expected();
        let mut state = self.state.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return None;
            }
            state.wake_at = Some(1);
            self.filled.wait(&mut state);
        }
        state.fill(&mut group, self.bounds.group_entries_max);
        Some(group)
    }

    /// Adds to a group everything that has arrived since, unless it has `companions` already; lingers a little when nothing has. Says whether
    /// it grew.
    pub(super) fn extend(&self, group: &mut Group, companions: usize) -> bool {
        let missing = companions.saturating_sub(group.jobs.len());
        if missing == 0 {
            return false;
        }
        let mut state = self.state.lock();
        if state.jobs.is_empty() && !state.closed && !group.patience.is_zero() {
            // Not for each of them: what a wake-up costs is as much as several of them are. Nor for all: half is work to begin with.
            state.wake_at = Some(missing.div_ceil(2));
            let begun = Instant::now();
            self.filled.wait_for(&mut state, group.patience);
            group.patience = group.patience.saturating_sub(begun.elapsed());
            state.wake_at = None;
        }
        state.fill(group, self.bounds.group_entries_max)
    }

    pub(super) fn report(&self, head: Head) {
        self.state.lock().head = head;
    }

    /// Takes no more; what is queued is still written.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_one();
    }

    /// Takes no more, and lets go of what is queued: its callers hear that the writer is gone.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        drop(jobs);
    }
}

impl State {
    /// Moves to a group what is queued, as long as it stays within `entries_max`; a first batch always fits. Says whether anything did.
    fn fill(&mut self, group: &mut Group, entries_max: usize) -> bool {
        let before = group.jobs.len();
        let entries = &mut group.entries;
        let is_first = before == 0;
        let fits = |(index, job): &(usize, &Job)| {
            let grown = *entries + job.batch.len();
            let fits = (is_first && *index == 0) || grown <= entries_max;
            if fits {
                *entries = grown;
            }
            fits
        };
        let count = self.jobs.iter().enumerate().take_while(fits).count();
        group.jobs.extend(self.jobs.drain(..count));
        self.bytes -= group.jobs[before..].iter().map(|job| job.bytes).sum::<usize>();
        count > 0
    }

    fn admit(&mut self, bounds: &Bounds, expected: Seq, bytes: usize) -> Result<usize, AppendError> {
        if self.closed {
            return Err(AppendError::Unavailable("the ledger is closed".into()));
        }
        if self.lineage.is_broken_at(expected) {
            return Err(AppendError::Stale { head: self.head });
        }
        if self.jobs.len() >= bounds.queue_batches_max || self.bytes + bytes > bounds.queue_bytes_max {
            return Err(AppendError::Unavailable("queue full".into()));
        }
        Ok(bytes)
    }
}
