//! What the authorization server keeps between two starts: accounts, sessions, registered clients, and families of refresh tokens. One
//! SQLite file beside the ledger. What people may do is not known here, and no secret is kept: only hashes of them.
//!
//! One thread writes, many calls share a commit: each is answered when its change is on the disk. Reading goes the same way, so that
//! nobody sees what is not there after a crash.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use judge::moment::Moment;
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

/// Calls that wait for the writer at a time.
const QUEUE_MAX: usize = 4096;
/// Calls that share a commit.
const BATCH_MAX: usize = 256;
/// The newest form of the file.
const VERSION: i64 = 1;
/// How long a family that ended is remembered, so that a stolen token of it is still noticed, in milliseconds.
const REMEMBERED_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Clients that registered themselves, at most.
pub const REGISTERED_MAX: u64 = 10_000;
/// One that never got a task is forgotten after this time, when there are too many: nobody may keep others out for good.
const REGISTERED_MS: u64 = 60 * 60 * 1000;

const FORM: &str = "
CREATE TABLE IF NOT EXISTS accounts (person TEXT PRIMARY KEY, password TEXT NOT NULL, is_admin INTEGER NOT NULL, created_ms INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS sessions (hash BLOB PRIMARY KEY, person TEXT NOT NULL, ends_ms INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS clients (id TEXT PRIMARY KEY, metadata TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS families (id TEXT PRIMARY KEY, client TEXT NOT NULL, actors TEXT NOT NULL, task TEXT NOT NULL, key TEXT,
    ends_ms INTEGER NOT NULL, revoked INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS refreshes (hash BLOB PRIMARY KEY, family TEXT NOT NULL, used INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS standing (client TEXT PRIMARY KEY, task TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS refreshes_family ON refreshes (family);
CREATE INDEX IF NOT EXISTS families_task ON families (task);
PRAGMA user_version = 1;
";

/// Why the store cannot do it. Nothing of what was stored is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or written.
    #[error("the store of the authorization server: {0}")]
    File(String),
    /// More calls wait than can be held.
    #[error("the store of the authorization server has too much to do")]
    Busy,
    /// It was written by a later version.
    #[error("the store of the authorization server is of version {found}, expected {VERSION}")]
    Version {
        /// Which.
        found: i64,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::File(error.to_string())
    }
}

/// A secret as it is kept.
pub type Hash = [u8; 32];

/// How a secret is kept. It has 32 random bytes, so that no slow hash is needed.
#[must_use]
pub fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The person of the directory.
    pub person: String,
    /// The password's hash, as a PHC string.
    pub password: String,
    /// Whether it may manage others.
    pub is_admin: bool,
    /// Since when.
    pub created: Moment,
}

/// All tokens that came out of one consent: they live and die together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Which.
    pub id: String,
    /// The client that got them.
    pub client: String,
    /// The agents, the requester's own first.
    pub actors: Vec<String>,
    /// The task.
    pub task: String,
    /// The thumbprint of the key to which they are bound.
    pub key: Option<String>,
    /// When the last of them ends.
    pub ends: Moment,
}

/// What became of a refresh token that was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// It was the newest of its family, and another is the newest now.
    Fresh(Family),
    /// It was used before: it or its successor is stolen, and the family was revoked.
    Reused(Family),
    /// There is no such token, or its family has ended.
    Unknown,
}

type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
type Job = Box<dyn FnOnce(&Connection) -> Answer + Send>;

/// The store. Cloning shares it.
#[derive(Clone)]
pub struct Store {
    jobs: SyncSender<Job>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens the file, and makes it where there is none: readable by its owner alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        private(path)?;
        Store::on(Connection::open(path)?)
    }

    /// A store that is gone with this program.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn in_memory() -> Result<Store, StoreError> {
        Store::on(Connection::open_in_memory()?)
    }

    fn on(connection: Connection) -> Result<Store, StoreError> {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            0 => connection.execute_batch(&format!("BEGIN IMMEDIATE; {FORM} COMMIT;"))?,
            VERSION => {}
            found => return Err(StoreError::Version { found }),
        }
        let (jobs, waiting) = sync_channel(QUEUE_MAX);
        std::thread::Builder::new()
            .name("authority-store".to_owned())
            .spawn(move || serve(&connection, &waiting))
            .map_err(|error| StoreError::File(error.to_string()))?;
        Ok(Store { jobs })
    }

    /// Does something with the file, and answers when it is durable. The change holds as a whole.
    async fn run<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let done = apart(connection, what);
            Box::new(move |committed| {
                // Whoever asked may be gone.
                let _ = answer.send(committed.and(done.map_err(StoreError::from)));
            })
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::File("its writer ended".to_owned()),
        })?;
        answered.await.map_err(|_| StoreError::File("its writer ended".to_owned()))?
    }

    /// Adds an account, or gives an existing one another password. The first one may manage others.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_account(&self, person: &str, password: String, now: Moment) -> Result<(), StoreError> {
        let person = person.to_owned();
        self.run(move |connection| {
            connection.execute(
                "INSERT INTO accounts VALUES (?1, ?2, NOT EXISTS (SELECT 1 FROM accounts), ?3)
                 ON CONFLICT (person) DO UPDATE SET password = excluded.password",
                params![person, password, millis(now)],
            )?;
            // Another password is a reason to sign in again.
            connection.execute("DELETE FROM sessions WHERE person = ?1", [&person]).map(drop)
        })
        .await
    }

    /// An account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn account(&self, person: &str) -> Result<Option<Account>, StoreError> {
        let person = person.to_owned();
        self.run(move |connection| {
            connection.prepare_cached("SELECT * FROM accounts WHERE person = ?1")?.query_row([person], account).optional()
        })
        .await
    }

    /// All accounts, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.run(|connection| connection.prepare("SELECT * FROM accounts ORDER BY person")?.query_map([], account)?.collect())
            .await
    }

    /// Removes an account with its sessions. True when there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_account(&self, person: &str) -> Result<bool, StoreError> {
        let person = person.to_owned();
        self.run(move |connection| {
            connection.execute("DELETE FROM sessions WHERE person = ?1", [&person])?;
            Ok(connection.execute("DELETE FROM accounts WHERE person = ?1", [&person])? > 0)
        })
        .await
    }

    /// A person is signed in until `ends`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_session(&self, secret: Hash, person: &str, ends: Moment) -> Result<(), StoreError> {
        let person = person.to_owned();
        self.run(move |connection| {
            connection
                .prepare_cached("INSERT INTO sessions VALUES (?1, ?2, ?3)")?
                .execute(params![secret, person, millis(ends)])
                .map(drop)
        })
        .await
    }

    /// Who is signed in with this secret. Nobody without an account is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session(&self, secret: Hash, now: Moment) -> Result<Option<String>, StoreError> {
        self.run(move |connection| {
            connection
                .prepare_cached("SELECT person FROM sessions JOIN accounts USING (person) WHERE hash = ?1 AND ends_ms > ?2")?
                .query_row(params![secret, millis(now)], |row| row.get(0))
                .optional()
        })
        .await
    }

    /// Signs out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_session(&self, secret: Hash) -> Result<(), StoreError> {
        self.run(move |connection| connection.execute("DELETE FROM sessions WHERE hash = ?1", [secret]).map(drop)).await
    }

    /// Keeps a client that registered itself. False when there are too many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_client(&self, id: &str, metadata: String, now: Moment) -> Result<bool, StoreError> {
        let id = id.to_owned();
        let most = i64::try_from(REGISTERED_MAX).unwrap_or(i64::MAX);
        self.run(move |connection| {
            let add = |connection: &Connection| {
                connection.execute(
                    "INSERT INTO clients SELECT ?1, ?2, ?3 WHERE (SELECT count(*) FROM clients) < ?4",
                    params![id, metadata, millis(now), most],
                )
            };
            if add(connection)? > 0 {
                return Ok(true);
            }
            let unused_since = millis(Moment(now.0.saturating_sub(REGISTERED_MS)));
            let forget = "DELETE FROM clients WHERE created_ms < ?1 AND id NOT IN (SELECT client FROM families)";
            connection.execute(forget, [unused_since])?;
            Ok(add(connection)? > 0)
        })
        .await
    }

    /// The metadata of a client that registered itself.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn client(&self, id: &str) -> Result<Option<String>, StoreError> {
        let id = id.to_owned();
        self.run(move |connection| {
            connection.prepare_cached("SELECT metadata FROM clients WHERE id = ?1")?.query_row([id], |row| row.get(0)).optional()
        })
        .await
    }

    /// Begins a family with its first refresh token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin(&self, family: Family, first: Hash) -> Result<(), StoreError> {
        self.run(move |connection| {
            connection
                .prepare_cached("INSERT INTO families (id, client, actors, task, key, ends_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute(params![
                    family.id,
                    family.client,
                    family.actors.join("\n"),
                    family.task,
                    family.key,
                    millis(family.ends)
                ])?;
            add_refresh(connection, first, &family.id)
        })
        .await
    }

    /// A refresh token of `client` is used, and `next` takes its place. One that was used before revokes its family (RFC 9700 §4.14.2).
    /// Whoever presents it without `key`, where the family has one, changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rotate(
        &self,
        presented: Hash,
        next: Hash,
        client: &str,
        key: Option<&str>,
        now: Moment,
    ) -> Result<Rotated, StoreError> {
        let (client, key) = (client.to_owned(), key.map(str::to_owned));
        self.run(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT families.*, used FROM refreshes JOIN families ON family = id WHERE hash = ?1 AND client = ?2",
                )?
                .query_row(params![presented, client], |row| Ok((family(row)?, row.get(6)?, row.get(7)?)))
                .optional()?;
            let Some((family, is_revoked, is_used)) = found else { return Ok(Rotated::Unknown) };
            let (is_revoked, is_used): (bool, bool) = (is_revoked, is_used);
            if is_used {
                revoke(connection, &family.id)?;
                return Ok(Rotated::Reused(family));
            }
            if is_revoked || family.ends <= now || family.key.as_ref().is_some_and(|bound| key.as_ref() != Some(bound)) {
                return Ok(Rotated::Unknown);
            }
            connection.prepare_cached("UPDATE refreshes SET used = 1 WHERE hash = ?1")?.execute([presented])?;
            add_refresh(connection, next, &family.id)?;
            Ok(Rotated::Fresh(family))
        })
        .await
    }

    /// A family ends later than it was to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prolong(&self, family: &str, ends: Moment) -> Result<(), StoreError> {
        let family = family.to_owned();
        self.run(move |connection| {
            connection
                .prepare_cached("UPDATE families SET ends_ms = ?2 WHERE id = ?1 AND ends_ms < ?2")?
                .execute(params![family, millis(ends)])
                .map(drop)
        })
        .await
    }

    /// The family of a refresh token, as long as both count.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn family_of(&self, refresh: Hash, now: Moment) -> Result<Option<Family>, StoreError> {
        self.run(move |connection| {
            connection
                .prepare_cached(
                    "SELECT families.* FROM refreshes JOIN families ON family = id
                     WHERE hash = ?1 AND NOT used AND NOT revoked AND ends_ms > ?2",
                )?
                .query_row(params![refresh, millis(now)], family)
                .optional()
        })
        .await
    }

    /// Revokes a family: no token of it is refreshed any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke(&self, family: &str) -> Result<(), StoreError> {
        let family = family.to_owned();
        self.run(move |connection| revoke(connection, &family)).await
    }

    /// Revokes all families of a task.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke_task(&self, task: &str) -> Result<(), StoreError> {
        let task = task.to_owned();
        self.run(move |connection| {
            connection.prepare_cached("UPDATE families SET revoked = 1 WHERE task = ?1")?.execute([task]).map(drop)
        })
        .await
    }

    /// The task that a client works on without a person.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standing(&self, client: &str) -> Result<Option<String>, StoreError> {
        let client = client.to_owned();
        self.run(move |connection| {
            connection
                .prepare_cached("SELECT task FROM standing WHERE client = ?1")?
                .query_row([client], |row| row.get(0))
                .optional()
        })
        .await
    }

    /// Another one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_standing(&self, client: &str, task: &str) -> Result<(), StoreError> {
        let (client, task) = (client.to_owned(), task.to_owned());
        self.run(move |connection| {
            connection
                .execute(
                    "INSERT INTO standing VALUES (?1, ?2) ON CONFLICT (client) DO UPDATE SET task = excluded.task",
                    [client, task],
                )
                .map(drop)
        })
        .await
    }

    /// Clears away what is over at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clear(&self, now: Moment) -> Result<(), StoreError> {
        self.run(move |connection| clear(connection, now)).await
    }
}

/// The writer: takes a call, and those that wait behind it, and commits them together.
fn serve(connection: &Connection, waiting: &Receiver<Job>) {
    while let Ok(first) = waiting.recv() {
        let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::from);
        let mut answers = vec![first(connection)];
        while answers.len() < BATCH_MAX
            && let Ok(next) = waiting.try_recv()
        {
            answers.push(next(connection));
        }
        let committed = begun.and_then(|()| connection.execute_batch("COMMIT").map_err(StoreError::from));
        if committed.is_err() {
            // There may be nothing to roll back.
            let _ = connection.execute_batch("ROLLBACK");
        }
        for answer in answers {
            answer(committed.clone());
        }
    }
}

/// Does one call's change whole or not at all, among others in one commit.
fn apart<T>(connection: &Connection, what: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    connection.prepare_cached("SAVEPOINT call")?.execute([])?;
    let done = what(connection);
    if done.is_err() {
        connection.execute_batch("ROLLBACK TO call")?;
    }
    connection.prepare_cached("RELEASE call")?.execute([])?;
    done
}

fn add_refresh(connection: &Connection, secret: Hash, family: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT INTO refreshes (hash, family) VALUES (?1, ?2)")?.execute(params![secret, family]).map(drop)
}

fn revoke(connection: &Connection, family: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE families SET revoked = 1 WHERE id = ?1")?.execute([family]).map(drop)
}

fn clear(connection: &Connection, now: Moment) -> rusqlite::Result<()> {
    let (now, long_ago) = (millis(now), millis(Moment(now.0.saturating_sub(REMEMBERED_MS))));
    connection.execute("DELETE FROM sessions WHERE ends_ms <= ?1", [now])?;
    connection.execute("DELETE FROM refreshes WHERE family IN (SELECT id FROM families WHERE ends_ms <= ?1)", [long_ago])?;
    connection.execute("DELETE FROM families WHERE ends_ms <= ?1", [long_ago]).map(drop)
}

fn account(row: &rusqlite::Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account { person: row.get(0)?, password: row.get(1)?, is_admin: row.get(2)?, created: moment(row.get(3)?) })
}

fn family(row: &rusqlite::Row<'_>) -> rusqlite::Result<Family> {
    let actors: String = row.get(2)?;
    Ok(Family {
        id: row.get(0)?,
        client: row.get(1)?,
        actors: actors.split('\n').map(str::to_owned).collect(),
        task: row.get(3)?,
        key: row.get(4)?,
        ends: moment(row.get(5)?),
    })
}

fn millis(moment: Moment) -> i64 {
    i64::try_from(moment.0).unwrap_or(i64::MAX)
}

fn moment(millis: i64) -> Moment {
    Moment(u64::try_from(millis).unwrap_or(0))
}

/// Makes the file where there is none, before SQLite does it for others to read.
#[cfg(unix)]
fn private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let opened = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    opened.map(drop).map_err(|error| StoreError::File(error.to_string()))
}

#[cfg(not(unix))]
fn private(_: &Path) -> Result<(), StoreError> {
    Ok(())
}
