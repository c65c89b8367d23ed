//! Where credentials lie: one SQLite file beside the ledger, every secret in it sealed. What opens them is not known here.
//!
//! Each secret is sealed for the place in which it lies (upstream, person, kind): one that is moved to another does not open there.

use std::path::Path;
use std::time::Duration;

use judge::moment::Moment;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::keyring::Sealed;

/// The newest form of the file.
const VERSION: i64 = 1;
const BUSY_TIME_MAX: Duration = Duration::from_secs(5);

const FORM: &str = "
CREATE TABLE IF NOT EXISTS credentials (
    upstream TEXT NOT NULL, holder TEXT NOT NULL, kind TEXT NOT NULL,
    key TEXT NOT NULL, sealed BLOB NOT NULL,
    set_ms INTEGER NOT NULL, expires_ms INTEGER, renewable INTEGER NOT NULL DEFAULT 0, ended TEXT,
    busy_until_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (upstream, holder, kind)) STRICT;
PRAGMA user_version = 1;
";

/// Why the store cannot do it. Nothing of what was stored is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened, read or written.
    #[error("the store of the upstreams' credentials: {0}")]
    File(String),
    /// It was written by a later version.
    #[error("the store of the upstreams' credentials is of version {0}, expected {VERSION}")]
    Version(i64),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::File(error.to_string())
    }
}

/// What a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An API key.
    Key,
    /// What shows an authorization server that it is this client.
    ClientSecret,
    /// An access token, and what renews it.
    Tokens,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::ClientSecret => "client secret",
            Self::Tokens => "tokens",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Key, Self::ClientSecret, Self::Tokens].into_iter().find(|kind| kind.word() == word)
    }
}

/// Where a secret lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The upstream for which it is.
    pub upstream: String,
    /// Whose it is. `None`: everybody's.
    pub person: Option<String>,
    /// What it is.
    pub kind: Kind,
}

impl Place {
    /// What a secret is sealed for: the parts with their lengths, so that no two places are written alike.
    pub(crate) fn about(&self) -> Vec<u8> {
        let mut about = b"prudence upstream credential 1".to_vec();
        for part in [&self.upstream, self.holder(), self.kind.word()] {
            about.extend_from_slice(&(part.len() as u64).to_be_bytes());
            about.extend_from_slice(part.as_bytes());
        }
        about
    }

    /// Nobody has an empty name.
    fn holder(&self) -> &str {
        self.person.as_deref().unwrap_or_default()
    }
}

/// What is known of a secret without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Since when it is there.
    pub set: Moment,
    /// Until when it is good, where that was said.
    pub expires: Option<Moment>,
    /// Whether it can be renewed without the person.
    pub renewable: bool,
    /// Why it is worth nothing any more.
    pub ended: Option<String>,
}

/// A secret as it lies there.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// The secret.
    pub sealed: Sealed,
    /// What is known of it.
    pub standing: Standing,
}

/// The store.
pub struct Store {
    /// Sees at once what others wrote, and is never held while something is written.
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
}

impl Store {
    /// Opens the file, and makes it where there is none: readable by its owner alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        private(path)?;
        let writer = Connection::open(path)?;
        writer.busy_timeout(BUSY_TIME_MAX)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "synchronous", "FULL")?;
        // What is replaced or removed is overwritten, sealed as it is.
        writer.pragma_update(None, "secure_delete", true)?;
        match writer.pragma_query_value(None, "user_version", |row| row.get(0))? {
            0 => writer.execute_batch(&format!("BEGIN IMMEDIATE; {FORM} COMMIT;"))?,
            VERSION => {}
            found => return Err(StoreError::Version(found)),
        }
        let reader = Connection::open(path)?;
        reader.busy_timeout(BUSY_TIME_MAX)?;
        reader.pragma_update(None, "query_only", true)?;
        Ok(Self { reader: Mutex::new(reader), writer: Mutex::new(writer) })
    }

    /// A number that is another one whenever somebody wrote, in this process or in another.
    pub(crate) fn version(&self) -> Result<i64, StoreError> {
        let reader = self.reader.lock();
        let mut statement = reader.prepare_cached("PRAGMA data_version")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// What lies at a place.
    pub(crate) fn get(&self, place: &Place) -> Result<Option<Stored>, StoreError> {
        let reader = self.reader.lock();
        let mut statement = reader.prepare_cached(
            "SELECT key, sealed, set_ms, expires_ms, renewable, ended FROM credentials WHERE upstream = ?1 AND holder = ?2 AND kind = ?3",
        )?;
        Ok(statement.query_row(params![place.upstream, place.holder(), place.kind.word()], |row| stored(row, 0)).optional()?)
    }

    /// Puts something at a place, in place of what was there.
    pub(crate) fn put(&self, place: &Place, stored: &Stored) -> Result<(), StoreError> {
        let Stored { sealed, standing } = stored;
        self.writer.lock().execute(
            "INSERT OR REPLACE INTO credentials (upstream, holder, kind, key, sealed, set_ms, expires_ms, renewable, ended)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                place.upstream,
                place.holder(),
                place.kind.word(),
                sealed.key,
                sealed.bytes,
                millis(standing.set),
                standing.expires.map(millis),
                standing.renewable,
                standing.ended
            ],
        )?;
        Ok(())
    }

    /// Puts something in place of exactly this. False: somebody else changed it, or took it away.
    pub(crate) fn replace(&self, place: &Place, old: &Sealed, new: &Stored) -> Result<bool, StoreError> {
        let Stored { sealed, standing } = new;
        let changed = self.writer.lock().execute(
            "UPDATE credentials SET key = ?5, sealed = ?6, set_ms = ?7, expires_ms = ?8, renewable = ?9, ended = ?10, busy_until_ms = 0
             WHERE upstream = ?1 AND holder = ?2 AND kind = ?3 AND sealed = ?4",
            params![
                place.upstream,
                place.holder(),
                place.kind.word(),
                old.bytes,
                sealed.key,
                sealed.bytes,
                millis(standing.set),
                standing.expires.map(millis),
                standing.renewable,
                standing.ended
            ],
        )?;
        Ok(changed > 0)
    }

    /// Claims the renewal of exactly this until a moment. False: somebody else is at it, or has done it.
    pub(crate) fn claim(&self, place: &Place, old: &Sealed, now: Moment, until: Moment) -> Result<bool, StoreError> {
        let changed = self.writer.lock().execute(
            "UPDATE credentials SET busy_until_ms = ?6
             WHERE upstream = ?1 AND holder = ?2 AND kind = ?3 AND sealed = ?4 AND busy_until_ms <= ?5",
            params![place.upstream, place.holder(), place.kind.word(), old.bytes, millis(now), millis(until)],
        )?;
        Ok(changed > 0)
    }

    /// Gives a claim back.
    pub(crate) fn release(&self, place: &Place) -> Result<(), StoreError> {
        self.writer.lock().execute(
            "UPDATE credentials SET busy_until_ms = 0 WHERE upstream = ?1 AND holder = ?2 AND kind = ?3",
            params![place.upstream, place.holder(), place.kind.word()],
        )?;
        Ok(())
    }

    /// Takes away what lies at a place. True when something did.
    pub(crate) fn remove(&self, place: &Place) -> Result<bool, StoreError> {
        let removed = self.writer.lock().execute(
            "DELETE FROM credentials WHERE upstream = ?1 AND holder = ?2 AND kind = ?3",
            params![place.upstream, place.holder(), place.kind.word()],
        )?;
        Ok(removed > 0)
    }

    /// Everything, by upstream and person.
    pub(crate) fn all(&self) -> Result<Vec<(Place, Stored)>, StoreError> {
        let reader = self.reader.lock();
        let mut statement = reader.prepare(
            "SELECT upstream, holder, kind, key, sealed, set_ms, expires_ms, renewable, ended FROM credentials ORDER BY upstream, holder, kind",
        )?;
        let rows = statement.query_map([], |row| {
            let holder: String = row.get(1)?;
            let word: String = row.get(2)?;
            let Some(kind) = Kind::of(&word) else { return Ok(None) };
            let place = Place { upstream: row.get(0)?, person: (!holder.is_empty()).then_some(holder), kind };
            Ok(Some((place, stored(row, 3)?)))
        })?;
        Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

fn stored(row: &Row<'_>, from: usize) -> rusqlite::Result<Stored> {
    let moment = |ms: i64| Moment(u64::try_from(ms).unwrap_or(0));
    Ok(Stored {
        sealed: Sealed { key: row.get(from)?, bytes: row.get(from + 1)? },
        standing: Standing {
            set: moment(row.get(from + 2)?),
            expires: row.get::<_, Option<i64>>(from + 3)?.map(moment),
            renewable: row.get(from + 4)?,
            ended: row.get(from + 5)?,
        },
    })
}

fn millis(moment: Moment) -> i64 {
    i64::try_from(moment.0).unwrap_or(i64::MAX)
}

/// Makes the file, if it is not there, so that nobody but its owner can read it at any time.
fn private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| StoreError::File(format!("`{}`: {error}", path.display())))
}
