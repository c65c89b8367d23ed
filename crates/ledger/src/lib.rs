//! The ledger remembers: append-only, group-committed, hash-chained, in SQLite or in memory behind one port.
//!
//! It knows nothing of what an entry means: bodies are opaque bytes. An auditor's verifier links this crate alone, and everything
//! that it needs to believe or doubt a ledger is on this page.
//!
//! # Promises
//!
//! - [`Store::append`] queues synchronously, in call order, and its [`Pending`] resolves when the batch is durable (SQLite: after the
//!   commit's fsync). Nothing is acknowledged earlier, and a batch is stored whole or not at all.
//! - A batch is stored only directly after the head that its writer believed in; otherwise it is [`AppendError::Stale`], and so is
//!   every batch that was built on one that failed, even if another process has meanwhile moved the head to the expected number.
//! - When a commit fails, its whole group is [`AppendError::Unavailable`]. The writer goes on, and works again by itself once
//!   the cause is gone. It never continues a file that lost an entry which it had acknowledged.
//! - One state's owner per store handle: batches that depend on each other must come through one handle. Any number of handles and processes may
//!   share one SQLite file.
//!
//! What it cannot promise: if the disk fails *during* a commit's fsync and the machine then crashes, a batch that was reported
//! unavailable may be found in the ledger after the restart. That is a record without an effect, never an effect without a record.
//!
//! # The chain, for whoever writes another verifier
//!
//! Entries are numbered 1, 2, 3 … without a gap. The hash of entry `n` is SHA-256 over, in this order and with nothing in between:
//!
//! | bytes | what |
//! |---|---|
//! | 16 | the ASCII text `prudence/entry/1` |
//! | 8 | `n`, unsigned, big-endian |
//! | 32 | the hash of entry `n - 1`; 32 zero bytes when `n` is 1 |
//! | 8 | the length of the body in bytes, unsigned, big-endian |
//! | … | the body |
//!
//! In SQLite the entries are `SELECT seq, hash, body FROM entry ORDER BY seq`. A head (number and hash) that was written down
//! elsewhere vouches for every entry up to it: see [`verify`]. Without one, a chain proves only that it is consistent with itself; whoever can
//! write the file can also cut its end or recompute it whole.

mod chain;
mod memory;
mod port;
mod sqlite;
mod verify;

pub use chain::{Entry, EntryHash, Head, ParseHashError, Receipt, Seq, link};
pub use memory::MemoryLedger;
pub use port::{AppendError, Bounds, Ledger, Pending, ReadError, Source, Store};
pub use sqlite::{OpenError, SqliteLedger, SqliteSource};
pub use verify::{Broken, Fault, Verified, verify};
