//! What waits for the writer: batches in call order, bounded in number and bytes.
//!
//! Refuses to know the disk. Its lock is held for a push or a take, never during I/O.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::chain::{Head, Seq};
use crate::port::{AppendError, Bounds, Lineage, Outcome, Pending};

/// How long the writer waits for callers that it has just answered, so that they share the next commit too. A fraction of what the commit
/// itself takes.
const LINGER_MAX: Duration = Duration::from_micros(100);

/// A batch with the one who waits for it.
pub(super) struct Job {
    pub(super) expected: Seq,
    pub(super) batch: Vec<Vec<u8>>,
    pub(super) bytes: usize,
    pub(super) answer: oneshot::Sender<Outcome>,
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

    /// The next group, oldest first; waits for one. Lingers a little for up to `companions` jobs. `None` once the queue is closed and empty.
    pub(super) fn take(&self, companions: usize) -> Option<Vec<Job>> {
        let mut state = self.state.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return None;
            }
            state.wake_at = Some(1);
            self.filled.wait(&mut state);
        }
        if state.jobs.len() < companions && !state.closed {
            state.wake_at = Some(companions);
            self.filled.wait_for(&mut state, LINGER_MAX);
        }
        state.wake_at = None;

        let mut entries = 0;
        let fits = |job: &&Job| {
            entries += job.batch.len();
            entries <= self.bounds.group_entries_max
        };
        let count = state.jobs.iter().take_while(fits).count().max(1);
        let group: Vec<Job> = state.jobs.drain(..count).collect();
        state.bytes -= group.iter().map(|job| job.bytes).sum::<usize>();
        Some(group)
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
