//! The ledger in one SQLite file: WAL, full sync, one writer thread, checkpoints that no commit waits for.
//!
//! Three connections to the file, each with one owner: the writer (`writer`), the checkpointer (`checkpoint`) and the reader (here). The way of a batch:
//! [`SqliteLedger::append`] → `queue` → `writer`: one transaction for everything queued → fsync → receipts.
//!
//! Refuses to know what an entry means, and to touch a file that is not a ledger.

mod checkpoint;
mod file;
mod queue;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row};

pub use self::file::OpenError;

use self::checkpoint::Checkpointer;
use self::file::{Access, Handle};
use self::queue::Queue;
use self::writer::{Shared, Writer};
use crate::chain::{Entry, EntryHash, Head, Seq};
use crate::port::{Bounds, Pending, ReadError, Source, Store};

/// How often a follower looks for appends of other processes.
const FOLLOW_POLL: Duration = Duration::from_millis(50);

/// A ledger to append to. Dropping it waits until what is queued was answered.
pub struct SqliteLedger {
    source: SqliteSource,
    shared: Arc<Shared>,
    checkpointer: Arc<Checkpointer>,
    // Writer first: it feeds the checkpointer.
    threads: Vec<JoinHandle<()>>,
}

/// A ledger to read, also while another process writes it.
pub struct SqliteSource {
    file: Mutex<Handle>,
}

impl SqliteLedger {
    /// Opens the ledger at `path` with the default [`Bounds`]; creates it, readable by its owner's umask, if nothing is there.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, Bounds::default())
    }

    /// Opens or creates the ledger at `path`.
    pub fn open_with(path: impl AsRef<Path>, bounds: Bounds) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let mut file = Handle::open_or_create(path)?;
        let known = file.with(|connection| head_of(connection))?;
        let source = SqliteSource { file: Mutex::new(Handle::open(path, Access::Read)?) };
        let shared = Arc::new(Shared::new(Queue::new(bounds), known));
        let checkpointer = Arc::new(Checkpointer::default());

        let writer = Writer::new(file, known, Arc::clone(&shared), Arc::clone(&checkpointer));
        let checkpoints = (Arc::clone(&checkpointer), Handle::open(path, Access::Write)?);
        let mut ledger = SqliteLedger { source, shared, checkpointer, threads: Vec::new() };
        ledger.spawn(path, "ledger-writer", move || writer.run())?;
        ledger.spawn(path, "ledger-checkpoint", move || checkpoints.0.run(checkpoints.1))?;
        Ok(ledger)
    }

    /// Opens the ledger at `path` for reading, also while another process writes it. Creates nothing.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<SqliteSource, OpenError> {
        let file = Handle::open(path.as_ref(), Access::Read)?;
        Ok(SqliteSource { file: Mutex::new(file) })
    }

    /// Bytes that the main file may occupy, so that a ledger can fill its share before it fills the disk. Beyond, appends are unavailable until the quota is
    /// raised; what is there stays.
    pub fn set_quota_bytes(&self, quota_bytes: Option<u64>) {
        self.shared.set_quota_bytes(quota_bytes);
    }

    fn spawn(&mut self, path: &Path, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        let thread = std::thread::Builder::new().name(name.into()).spawn(work);
        self.threads.push(thread.map_err(|error| OpenError::unavailable(path, error))?);
        Ok(())
    }
}

impl Store for SqliteLedger {
    fn append(&self, expected: Seq, batch: Vec<Vec<u8>>) -> Pending {
        self.shared.queue.push(expected, batch)
    }
}

impl Source for SqliteLedger {
    fn head(&self) -> Result<Head, ReadError> {
        self.source.head()
    }

    fn read(&self, from: Seq, entries_max: usize, bytes_max: usize) -> Result<Vec<Entry>, ReadError> {
        self.source.read(from, entries_max, bytes_max)
    }

    fn wait_past(&self, seq: Seq, timeout: Duration) -> Result<Head, ReadError> {
        wait_past(self, seq, timeout, |pause| self.shared.wait_past(seq, pause))
    }
}

impl Drop for SqliteLedger {
    fn drop(&mut self) {
        self.shared.queue.close();
        // A reader that closes last leaves the write-ahead log behind; a copy of the main file alone would then lack its entries.
        self.source.file.lock().give_up();
        for thread in self.threads.drain(..) {
            // A panicked thread has already said so, and its callers were answered.
            let _ = thread.join();
            self.checkpointer.close();
        }
    }
}

impl Source for SqliteSource {
    fn head(&self) -> Result<Head, ReadError> {
        self.file.lock().with(|connection| head_of(connection)).map_err(unreadable)
    }

    fn read(&self, from: Seq, entries_max: usize, bytes_max: usize) -> Result<Vec<Entry>, ReadError> {
        let Ok(from) = i64::try_from(from.max(Seq::FIRST).0) else {
            return Ok(Vec::new());
        };
        let entries_max = i64::try_from(entries_max).unwrap_or(i64::MAX);
        let page = self.file.lock().with(|connection| {
            let mut select =
                connection.prepare_cached("SELECT seq, hash, body FROM entry WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?;
            let mut rows = select.query((from, entries_max))?;
            let mut page = Vec::new();
            let mut bytes = 0;
            while let Some(row) = rows.next()? {
                let entry = match entry_of(row)? {
                    Ok(entry) => entry,
                    Err(damaged) => return Ok(Err(damaged)),
                };
                bytes += entry.body.len();
                if !page.is_empty() && bytes > bytes_max {
                    break;
                }
                page.push(entry);
            }
            Ok(Ok(page))
        });
        page.map_err(unreadable)?
    }

    fn wait_past(&self, seq: Seq, timeout: Duration) -> Result<Head, ReadError> {
        wait_past(self, seq, timeout, std::thread::sleep)
    }
}

/// Counts pauses instead of asking a clock: a follower's timeout need not be exact.
fn wait_past(source: &impl Source, seq: Seq, timeout: Duration, pause: impl Fn(Duration)) -> Result<Head, ReadError> {
    let mut left = timeout;
    loop {
        let head = source.head()?;
        if head.seq > seq || left.is_zero() {
            return Ok(head);
        }
        let step = left.min(FOLLOW_POLL);
        pause(step);
        left -= step;
    }
}

/// The head as this connection sees it. The error is SQLite's: also for a last row that is no entry, which only tampering leaves behind.
fn head_of(connection: &Connection) -> rusqlite::Result<Head> {
    let mut select = connection.prepare_cached("SELECT seq, hash FROM entry WHERE seq >= 1 ORDER BY seq DESC LIMIT 1")?;
    let head =
        select.query_row((), |row| Ok(Head { seq: Seq(row.get::<_, i64>(0)?.unsigned_abs()), hash: EntryHash(row.get(1)?) }));
    Ok(head.optional()?.unwrap_or(Head::EMPTY))
}

/// The row's entry, or what is wrong with it. The schema holds types and lengths; somebody who edits the file need not.
fn entry_of(row: &Row<'_>) -> rusqlite::Result<Result<Entry, ReadError>> {
    let seq = Seq(row.get::<_, i64>(0)?.unsigned_abs());
    let damaged = |what: &str| Ok(Err(ReadError::Damaged { seq, what: what.into() }));
    let Ok(hash) = row.get_ref(1)?.as_blob() else {
        return damaged("its hash is not a blob");
    };
    let Ok(hash) = hash.try_into() else {
        return damaged("its hash does not have 32 bytes");
    };
    let Ok(body) = row.get_ref(2)?.as_blob() else {
        return damaged("its body is not a blob");
    };
    Ok(Ok(Entry { seq, hash: EntryHash(hash), body: body.to_vec() }))
}

fn unreadable(error: OpenError) -> ReadError {
    ReadError::Unavailable(error.to_string())
}
