//! Moves the write-ahead log into the main file while the writer goes on, and bounds the log.
//!
//! A passive checkpoint blocks nobody, but under steady load it never catches the writer, and the log starts over only when it was
//! caught. So once the log is long, two passive passes bring the rest down to a few pages, and a third takes the writer's turn for
//! just those. Refuses to know entries.

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::file::{Handle, PAGE_BYTES};

/// Pages written since the last pass that are worth another. SQLite's own default.
const PASS_PAGES: u64 = 1000;
/// Pages that a group costs beside its bodies: the leaf that it fills up, and the pages above.
const GROUP_PAGES: u64 = 3;
/// Length of the log at which it is made to start over: 16 MiB.
const LOG_PAGES_MAX: i64 = 4096;

#[derive(Default)]
pub(super) struct Checkpointer {
    /// Held by whoever may add to the log: the writer during a group, or the checkpointer for its last few pages.
    pub(super) turn: Mutex<()>,
    due: Mutex<Due>,
    changed: Condvar,
}

#[derive(Default)]
struct Due {
    pages: u64,
    closed: bool,
}

impl Checkpointer {
    /// Notes a group whose bodies have `bytes` together.
    pub(super) fn wrote(&self, bytes: u64) {
        let mut due = self.due.lock();
        due.pages += GROUP_PAGES + bytes / PAGE_BYTES;
        if due.pages >= PASS_PAGES {
            self.changed.notify_one();
        }
    }

    pub(super) fn close(&self) {
        self.due.lock().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn run(&self, mut file: Handle) {
        while self.wait() {
            // A pass that fails loses nothing: the log keeps its pages, and the next pass tries again. If the disk is full, the
            // writer is the one to say so.
            let _ = file.with(|connection| self.pass(connection));
        }
    }

    fn wait(&self) -> bool {
        let mut due = self.due.lock();
        self.changed.wait_while(&mut due, |due| due.pages < PASS_PAGES && !due.closed);
        due.pages = 0;
        !due.closed
    }

    fn pass(&self, connection: &Connection) -> rusqlite::Result<()> {
        if passive(connection)? >= LOG_PAGES_MAX {
            passive(connection)?;
            let _turn = self.turn.lock();
            passive(connection)?;
        }
        Ok(())
    }
}

/// One pass; the log's length in pages.
fn passive(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| row.get(1))
}
