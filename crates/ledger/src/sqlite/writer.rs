//! The writer: everything that is queued, and what arrives meanwhile, in one transaction; then the receipts.
//!
//! Refuses to answer before the commit's fsync has returned, and to continue a file that lost what was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::checkpoint::Checkpointer;
use super::file::{Handle, PAGE_BYTES};
use super::head_of;
use super::queue::{Group, Job, Queue};
use crate::chain::{EntryHash, Head, Receipt, Seq};
use crate::port::{AppendError, Lineage, Outcome};

/// What SQLite allows, and what a connection starts with.
const QUOTA_PAGES_MAX: u32 = u32::MAX - 1;

/// What the writer shares with those who append and those who follow.
pub(super) struct Shared {
    pub(super) queue: Queue,
    quota_pages: AtomicU32,
    head: Mutex<Head>,
    grown: Condvar,
}

impl Shared {
    pub(super) fn new(queue: Queue, head: Head) -> Self {
        queue.report(head);
        Shared { queue, quota_pages: AtomicU32::new(QUOTA_PAGES_MAX), head: Mutex::new(head), grown: Condvar::new() }
    }

    pub(super) fn set_quota_bytes(&self, quota_bytes: Option<u64>) {
        let pages = quota_bytes.map(|bytes| bytes / PAGE_BYTES).and_then(|pages| u32::try_from(pages).ok());
        self.quota_pages.store(pages.unwrap_or(QUOTA_PAGES_MAX).clamp(1, QUOTA_PAGES_MAX), Ordering::Relaxed);
    }

    /// Waits until this handle has appended past `seq`, at most for `pause`.
    pub(super) fn wait_past(&self, seq: Seq, pause: Duration) {
        let mut head = self.head.lock();
        self.grown.wait_while_for(&mut head, |head| head.seq <= seq, pause);
    }

    fn report(&self, head: Head) {
        self.queue.report(head);
        *self.head.lock() = head;
        self.grown.notify_all();
    }
}

pub(super) struct Writer {
    file: Handle,
    /// The head when this writer last looked: acknowledged, or read before anything was. It must stay on the chain.
    known: Head,
    lineage: Lineage,
    quota_pages: u32,
    shared: Arc<Shared>,
    checkpointer: Arc<Checkpointer>,
}

impl Writer {
    pub(super) fn new(file: Handle, known: Head, shared: Arc<Shared>, checkpointer: Arc<Checkpointer>) -> Self {
        Writer { file, known, lineage: Lineage::default(), quota_pages: QUOTA_PAGES_MAX, shared, checkpointer }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let _abandon = AbandonOnExit(&shared.queue);
        let mut companions = 0;
        loop {
            // Several who were answered together are likely to be back together, and the transaction is opened while they are on their way.
            let group = if companions > 1 { Some(Group::expected()) } else { shared.queue.wait() };
            let Some(group) = group else { break };
            companions = self.write(group, companions);
        }
    }

    /// Writes a group and answers it; the number of its batches when it was complete.
    fn write(&mut self, mut group: Group, companions: usize) -> usize {
        let checkpointer = Arc::clone(&self.checkpointer);
        let turn = checkpointer.turn.lock();
        let stored = self.store(&mut group, companions);
        drop(turn);
        let outcomes = match stored {
            Ok((head, outcomes)) => {
                self.known = head;
                self.shared.report(head);
                outcomes
            }
            Err(reason) => {
                self.file.give_up();
                if group.jobs.is_empty() {
                    // Whoever came while it failed need not wait until it fails again.
                    self.shared.queue.extend(&mut group, companions);
                }
                for job in &group.jobs {
                    self.lineage.break_after(job.expected, job.batch.len());
                }
                vec![Err(AppendError::Unavailable(reason)); group.jobs.len()]
            }
        };
        answer(group.jobs, outcomes)
    }

    /// One transaction for the group and for what arrives while it is being written, so that the callers who were answered last work beside
    /// the writer and not before it. An error means that nothing of it is stored.
    fn store(&mut self, group: &mut Group, companions: usize) -> Result<(Head, Vec<Outcome>), String> {
        if !self.file.is_connected() {
            self.quota_pages = QUOTA_PAGES_MAX;
        }
        let (connection, place) = self.file.connection().map_err(|error| error.to_string())?;
        let said = |error: rusqlite::Error| error.to_string();
        apply_quota(connection, &mut self.quota_pages, &self.shared).map_err(said)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(said)?;
        let before = head_of(&transaction).map_err(said)?;
        if !continues(&transaction, self.known, before).map_err(said)? {
            let known = self.known.seq;
            return Err(format!("entry {known} was acknowledged and is not in the file: it was cut or replaced"));
        }
        let (mut head, mut outcomes) = (before, Vec::with_capacity(companions));
        loop {
            let new = &group.jobs[outcomes.len()..];
            insert(&transaction, &mut head, new, &mut self.lineage, &mut outcomes).map_err(said)?;
            if !self.shared.queue.extend(group, companions) {
                break;
            }
        }
        if head == before {
            return Ok((head, outcomes));
        }
        if !place.is_undisturbed() {
            return Err("the file or its write-ahead log was moved or deleted".into());
        }
        transaction.commit().map_err(said)?;
        self.checkpointer.wrote(group.jobs.iter().map(|job| job.bytes as u64).sum());
        Ok((head, outcomes))
    }
}

fn apply_quota(connection: &Connection, applied: &mut u32, shared: &Shared) -> rusqlite::Result<()> {
    let wanted = shared.quota_pages.load(Ordering::Relaxed);
    if *applied != wanted {
        // SQLite never goes below the present size.
        connection.pragma_update_and_check(None, "max_page_count", wanted, |_| Ok(()))?;
        *applied = wanted;
    }
    Ok(())
}

/// Whether the chain that ends at `now` contains `known`.
fn continues(transaction: &Transaction<'_>, known: Head, now: Head) -> rusqlite::Result<bool> {
    if now == known || known == Head::EMPTY {
        return Ok(true);
    }
    let mut select = transaction.prepare_cached("SELECT hash FROM entry WHERE seq = ?1")?;
    let hash = select.query_row([known.seq.0 as i64], |row| row.get(0)).optional()?;
    Ok(hash.map(EntryHash) == Some(known.hash))
}

/// Inserts `jobs` after `head`, which moves on, and adds what became of each to `outcomes`.
fn insert(
    transaction: &Transaction<'_>,
    head: &mut Head,
    jobs: &[Job],
    lineage: &mut Lineage,
    outcomes: &mut Vec<Outcome>,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("INSERT INTO entry (seq, hash, body) VALUES (?1, ?2, ?3)")?;
    for job in jobs {
        if lineage.is_broken_at(job.expected) || job.expected != head.seq {
            lineage.break_after(job.expected, job.batch.len());
            outcomes.push(Err(AppendError::Stale { head: *head }));
            continue;
        }
        for body in &job.batch {
            *head = head.followed_by(body);
            statement.execute((head.seq.0 as i64, &head.hash.0[..], &body[..]))?;
        }
        outcomes.push(Ok(Receipt { first: job.expected.plus(1), last: head.seq, hash: head.hash }));
    }
    Ok(())
}

/// Answers every batch; how many there were.
fn answer(jobs: Vec<Job>, outcomes: Vec<Outcome>) -> usize {
    let count = jobs.len();
    for (job, outcome) in jobs.into_iter().zip(outcomes) {
        // Nobody may be waiting any more; the batch is stored all the same.
        let _ = job.answer.send(outcome);
    }
    count
}

/// If the writer panics, nobody may wait for it for ever.
struct AbandonOnExit<'a>(&'a Queue);

impl Drop for AbandonOnExit<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
