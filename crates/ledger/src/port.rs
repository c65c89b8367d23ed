//! The port that both stores stand behind: who may append, who may only read, and what can go wrong.
//!
//! Refuses to know how entries are kept.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::chain::{Entry, Head, Receipt, Seq};

/// A store to append to, shared.
pub type Ledger = Arc<dyn Store>;

/// What can be read. A holder of a mere `Source` cannot append, by type.
pub trait Source: Send + Sync {
    /// The last entry that is durable.
    fn head(&self) -> Result<Head, ReadError>;

    /// Entries from `from` on, in order, at most `entries_max` of them; it stops before their bodies exceed `bytes_max`, but returns at least one
    /// entry if there is one, so that a follower never stands still. Empty past the head.
    fn read(&self, from: Seq, entries_max: usize, bytes_max: usize) -> Result<Vec<Entry>, ReadError>;

    /// Blocks until the head is past `seq` or until `timeout` is over, and returns the head. For followers; sees appends of other
    /// processes too.
    fn wait_past(&self, seq: Seq, timeout: Duration) -> Result<Head, ReadError>;
}

/// What can be appended to.
pub trait Store: Source {
    /// Queues `batch` directly behind `expected`, the number that the caller takes for the head just before it, and returns at once. Batches
    /// are taken in call order, and a caller may queue the next before the last is durable. Once this has returned, dropping
    /// the [`Pending`] cancels nothing.
    fn append(&self, expected: Seq, batch: Vec<Vec<u8>>) -> Pending;
}

/// Why a batch was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The head is not where the caller thought, or the batch was built on one that failed. Read up to `head`, decide again, send again. `head` may equal
    /// what was expected: then an earlier batch of this handle failed, and this one might not have known.
    #[error("the ledger's head is {}, not what the batch was built on", head.seq)]
    Stale {
        /// The head at the time of the answer.
        head: Head,
    },
    /// The store cannot take it now; nothing of it is stored (for the one exception see the [crate](crate)). May be sent again.
    #[error("the ledger is unavailable: {0}")]
    Unavailable(String),
    /// The batch breaks a bound, and would do so again: the caller's mistake.
    #[error("the ledger refuses the batch: {0}")]
    Refused(String),
}

/// Why entries could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The store cannot be read now.
    #[error("the ledger cannot be read: {0}")]
    Unavailable(String),
    /// The store holds something at `seq` that is not an entry.
    #[error("entry {seq} is damaged: {what}")]
    Damaged {
        /// Where.
        seq: Seq,
        /// What was found there.
        what: String,
    },
}

/// What a store takes at most. The defaults suit a gateway: entries are kilobytes, and a full queue is a second or two of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Body of one entry, in bytes.
    pub entry_bytes_max: usize,
    /// Entries of one batch.
    pub batch_entries_max: usize,
    /// Bodies of one batch together, in bytes.
    pub batch_bytes_max: usize,
    /// Batches that wait for the disk.
    pub queue_batches_max: usize,
    /// Bodies that wait for the disk, in bytes.
    pub queue_bytes_max: usize,
    /// Entries that share one commit; a single batch may exceed it.
    pub group_entries_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            entry_bytes_max: 4 << 20,
            batch_entries_max: 4096,
            batch_bytes_max: 16 << 20,
            queue_batches_max: 16 << 10,
            queue_bytes_max: 64 << 20,
            group_entries_max: 4096,
        }
    }
}

impl Bounds {
    /// The bytes of a batch that breaks no bound.
    pub(crate) fn admit(&self, batch: &[Vec<u8>]) -> Result<usize, AppendError> {
        if batch.is_empty() {
            return Err(AppendError::Refused("it has no entries".into()));
        }
        if batch.len() > self.batch_entries_max {
            let most = self.batch_entries_max;
            return Err(AppendError::Refused(format!("{} entries, at most {most} are allowed", batch.len())));
        }
        if let Some(body) = batch.iter().find(|body| body.len() > self.entry_bytes_max) {
            let most = self.entry_bytes_max;
            return Err(AppendError::Refused(format!("an entry of {} bytes, at most {most} are allowed", body.len())));
        }
        let bytes = batch.iter().map(Vec::len).sum();
        if bytes > self.batch_bytes_max {
            let most = self.batch_bytes_max;
            return Err(AppendError::Refused(format!("{bytes} bytes, at most {most} are allowed")));
        }
        Ok(bytes)
    }
}

/// A batch on its way to the disk. Awaitable on any runtime; dropping it cancels nothing.
#[must_use = "until it resolves, nothing is durable"]
pub struct Pending(oneshot::Receiver<Outcome>);

pub(crate) type Outcome = Result<Receipt, AppendError>;

impl Pending {
    pub(crate) fn new() -> (oneshot::Sender<Outcome>, Pending) {
        let (answer, outcome) = oneshot::channel();
        (answer, Pending(outcome))
    }

    pub(crate) fn ready(outcome: Outcome) -> Pending {
        let (answer, pending) = Pending::new();
        // The receiver is alive: it is in `pending`.
        let _ = answer.send(outcome);
        pending
    }

    /// Blocks the thread until the batch is durable or refused. Panics inside an asynchronous task, where `.await` is the way.
    pub fn wait(self) -> Result<Receipt, AppendError> {
        self.0.blocking_recv().unwrap_or_else(|_| Err(writer_gone()))
    }
}

impl Future for Pending {
    type Output = Result<Receipt, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|outcome| outcome.unwrap_or_else(|_| Err(writer_gone())))
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

fn writer_gone() -> AppendError {
    AppendError::Unavailable("the writer has stopped; whether the batch was stored shows after a restart".into())
}

/// Remembers where the work that was built on a failed batch would go on.
///
/// A number alone does not say what a batch was built on: when `A` (after 5) fails because another process wrote entry 6, a `B` (after 6) that
/// was queued on top of `A` would fit. So a batch that continues exactly where a failed one would have ended fails too, once. For a caller that has read up
/// to the new head in the meantime and happens to meet that number, this costs one more attempt.
///
// INVARIANT: no batch is stored whose predecessor, in its handle's order, was not.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    failed_end: Option<Seq>,
}

impl Lineage {
    /// Whether a batch after `expected` may be built on one that failed. If not, the caller has read up again, and the failure is forgotten.
    pub(crate) fn is_broken_at(&mut self, expected: Seq) -> bool {
        let broken = self.failed_end == Some(expected);
        if !broken {
            self.failed_end = None;
        }
        broken
    }

    /// Notes that a batch of `count` entries after `expected` was not stored.
    pub(crate) fn break_after(&mut self, expected: Seq, count: usize) {
        self.failed_end = Some(expected.plus(count as u64));
    }
}

#[cfg(test)]
#[path = "port/tests.rs"]
mod tests;
