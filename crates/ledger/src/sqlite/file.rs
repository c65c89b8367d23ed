//! The file: what makes it a ledger, how it is opened, and whether it is still where it was.
//!
//! Refuses to change a file before it has seen that the file is a ledger, or empty. Never opens the file but through SQLite: closing any other
//! descriptor of it would drop SQLite's locks (POSIX advisory locks belong to the process).

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

/// In the file's header: this is a ledger of Prudence ("PRLG").
const APPLICATION_ID: i32 = 0x5052_4c47;
/// Bytes of a page, fixed when the file is created.
pub(super) const PAGE_BYTES: u64 = 4096;
/// How long to wait for another process's transaction.
const BUSY_MAX: Duration = Duration::from_secs(2);

/// The schema, one step per version; `user_version` counts the steps that were taken. Steps are only ever added.
///
/// The triggers stop accidents, not an attacker: for those there is the chain.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE entry (
        seq INTEGER PRIMARY KEY CHECK (seq >= 1),
        hash BLOB NOT NULL CHECK (length(hash) = 32),
        body BLOB NOT NULL
    ) STRICT;
    CREATE TRIGGER entry_stays BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
    CREATE TRIGGER entry_stays_as_it_is BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"];

/// Why a file cannot be opened as a ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is something else, and was left as it is.
    #[error("`{}` is not a ledger: {found}", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// Another release of this program wrote it.
    #[error("`{}` is a ledger of version {found}, expected version {expected}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i32,
        /// The version that this program writes.
        expected: i32,
    },
    /// It cannot be opened, read or written now.
    #[error("`{}`: {reason}", path.display())]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl OpenError {
    pub(super) fn unavailable(path: &Path, reason: impl fmt::Display) -> Self {
        OpenError::Unavailable { path: path.to_owned(), reason: reason.to_string() }
    }

    fn sqlite(path: &Path, error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => OpenError::NotALedger { path: path.to_owned(), found: "not an SQLite file".into() },
            Some(_) | None => OpenError::unavailable(path, error),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// A connection that comes back: it is opened again when it was given up, or when another file stands at its path.
pub(super) struct Handle {
    access: Access,
    place: Place,
    connection: Option<Connection>,
}

/// Where the file is, and which file it was when the connection was opened.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
    wal: PathBuf,
    identity: Option<Identity>,
}

impl Handle {
    /// Opens the ledger for writing. Creates it if there is nothing, and brings its schema up to date.
    pub(super) fn open_or_create(path: &Path) -> Result<Handle, OpenError> {
        let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut connection = connect(path, access).map_err(|error| OpenError::sqlite(path, error))?;
        version_of(&connection, path)?;
        migrate(&mut connection).map_err(|error| OpenError::sqlite(path, error))?;
        drop(connection);
        Handle::open(path, Access::Write)
    }

    /// Opens a ledger that is there.
    pub(super) fn open(path: &Path, access: Access) -> Result<Handle, OpenError> {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        let place = Place { path: path.to_owned(), wal: wal.into(), identity: None };
        let mut handle = Handle { access, place, connection: None };
        handle.connection()?;
        Ok(handle)
    }

    /// Runs `work` on the connection; gives the connection up if that fails, so that the next use starts afresh.
    pub(super) fn with<T>(&mut self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, OpenError> {
        let (connection, place) = self.connection()?;
        let result = work(connection).map_err(|error| OpenError::sqlite(&place.path, error));
        if result.is_err() {
            self.give_up();
        }
        result
    }

    /// The connection, opened if need be, and the place that it was opened at.
    pub(super) fn connection(&mut self) -> Result<(&mut Connection, &Place), OpenError> {
        let path = &self.place.path;
        let identity = Identity::of(path).map_err(|error| OpenError::unavailable(path, error))?;
        if self.place.identity != Some(identity) {
            self.connection = None;
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => reconnect(path, self.access)?,
        };
        self.place.identity = Some(identity);
        Ok((self.connection.insert(connection), &self.place))
    }

    /// Closes the connection; the next use opens another.
    pub(super) fn give_up(&mut self) {
        self.connection = None;
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }
}

impl Place {
    /// Whether what was opened is still there. SQLite itself would go on writing into a deleted file.
    pub(super) fn is_undisturbed(&self) -> bool {
        Identity::of(&self.path).is_ok_and(|now| self.identity == Some(now)) && self.wal.exists()
    }
}

/// Tells one file from another at the same path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
}

impl Identity {
    fn of(path: &Path) -> std::io::Result<Identity> {
        let metadata = std::fs::metadata(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            Ok(Identity { device_and_inode: (metadata.dev(), metadata.ino()) })
        }
        // Elsewhere an open file can be neither deleted nor replaced.
        #[cfg(not(unix))]
        {
            let _ = metadata;
            Ok(Identity {})
        }
    }
}

fn reconnect(path: &Path, access: Access) -> Result<Connection, OpenError> {
    let flags = match access {
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let connection = connect(path, flags).map_err(|error| OpenError::sqlite(path, error))?;
    let found = version_of(&connection, path)?;
    let expected = MIGRATIONS.len() as i32;
    if found == 0 {
        return Err(OpenError::NotALedger { path: path.to_owned(), found: "an empty file".into() });
    }
    if found != expected {
        return Err(OpenError::Version { path: path.to_owned(), found, expected });
    }
    if access == Access::Write {
        configure(&connection).map_err(|error| OpenError::sqlite(path, error))?;
    }
    Ok(connection)
}

// No SQLITE_OPEN_URI: a path is a path, also when it starts with `file:`.
fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_MAX)?;
    Ok(connection)
}

/// These belong to the connection, not to the file.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // FULL: in WAL mode, only this makes every commit wait for its fsync.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS, fsync does not reach the medium; elsewhere these two do nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))
}

/// The version of the ledger, 0 for an empty file; refuses everything else. Changes nothing.
fn version_of(connection: &Connection, path: &Path) -> Result<i32, OpenError> {
    let number =
        |sql: &str| connection.query_row(sql, (), |row| row.get::<_, i32>(0)).map_err(|error| OpenError::sqlite(path, error));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let expected = MIGRATIONS.len() as i32;
    if application == APPLICATION_ID {
        return match version {
            1.. if version <= expected => Ok(version),
            _ => Err(OpenError::Version { path: path.to_owned(), found: version, expected }),
        };
    }
    if application == 0 && version == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(0);
    }
    let found = format!("an SQLite file of another program (application id {application:#x}, version {version})");
    Err(OpenError::NotALedger { path: path.to_owned(), found })
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE_BYTES as i64)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    configure(connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again: another process may have come first.
    let version: u16 = transaction.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    for (step, sql) in MIGRATIONS.iter().enumerate().skip(version.into()) {
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", step as i64 + 1)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()
}
