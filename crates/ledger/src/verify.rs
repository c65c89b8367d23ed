//! Recomputes the chain and says where it breaks. What an auditor runs.
//!
//! Refuses to believe a stored hash, and to know what an entry means.

use crate::chain::{EntryHash, Head, Seq};
use crate::port::{ReadError, Source};

/// Entries read at a time.
const PAGE_ENTRIES_MAX: usize = 4096;
/// Bodies read at a time, in bytes; a single larger entry comes alone.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// A chain that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The head as recomputed. Write it down elsewhere: it is the `trusted` of the next verification.
    pub head: Head,
    /// Entries that were recomputed.
    pub entries: u64,
}

/// A chain that does not hold, and the first place where that shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chain breaks at entry {seq}: {fault}")]
pub struct Broken {
    /// The first entry that cannot be believed.
    pub seq: Seq,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its number, its body, its hash or an entry before it was changed.
    #[error("expected hash `{expected}`, found `{found}`")]
    Changed {
        /// Recomputed.
        expected: EntryHash,
        /// Stored.
        found: EntryHash,
    },
    /// It is not there; after it comes `found`, or the end.
    #[error("it is missing{}", found.map(|seq| format!(", found {seq} in its place")).unwrap_or_default())]
    Missing {
        /// The entry found in its place.
        found: Option<Seq>,
    },
    /// The chain is consistent with itself, and not with the trusted head.
    #[error("expected the trusted hash `{expected}`, found `{found}`")]
    Rewritten {
        /// The trusted hash.
        expected: EntryHash,
        /// Recomputed.
        found: EntryHash,
    },
    /// It could not be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
}

/// Recomputes every hash of `source` from entry `from` to the end as of the last page read, in bounded memory.
///
/// From 0 or 1 it covers the whole chain. From further on, the stored hash of the entry before `from` is the anchor, and is itself only as good as
/// its last verification. A `trusted` head must be on the chain: a ledger that was cut before it or recomputed is broken; verification starts
/// early enough to meet it. `progress` hears the head after every page.
///
/// Finds a changed byte, and a removed, inserted or exchanged entry; that the end was cut, or everything recomputed, only with `trusted`.
pub fn verify(
    source: &(impl Source + ?Sized),
    from: Seq,
    trusted: Option<Head>,
    mut progress: impl FnMut(Head),
) -> Result<Verified, Broken> {
    let start = trusted.map_or(from, |trusted| from.min(trusted.seq)).max(Seq::FIRST);
    let mut head = anchor(source, start.before())?;
    let mut entries = 0;
    meets(head, trusted)?;
    loop {
        let next = head.seq.plus(1);
        let page = source.read(next, PAGE_ENTRIES_MAX, PAGE_BYTES_MAX).map_err(|error| unreadable(next, error))?;
        if page.is_empty() {
            break;
        }
        for entry in page {
            let expected = head.followed_by(&entry.body);
            if entry.seq != expected.seq {
                return Err(Broken { seq: expected.seq, fault: Fault::Missing { found: Some(entry.seq) } });
            }
            if entry.hash != expected.hash {
                let fault = Fault::Changed { expected: expected.hash, found: entry.hash };
                return Err(Broken { seq: entry.seq, fault });
            }
            head = expected;
            entries += 1;
            meets(head, trusted)?;
        }
        progress(head);
    }
    match trusted {
        Some(trusted) if trusted.seq > head.seq => Err(Broken { seq: head.seq.plus(1), fault: Fault::Missing { found: None } }),
        Some(_) | None => Ok(Verified { head, entries }),
    }
}

fn anchor(source: &(impl Source + ?Sized), seq: Seq) -> Result<Head, Broken> {
    if seq == Head::EMPTY.seq {
        return Ok(Head::EMPTY);
    }
    let page = source.read(seq, 1, 0).map_err(|error| unreadable(seq, error))?;
    match page.first() {
        Some(entry) if entry.seq == seq => Ok(Head { seq, hash: entry.hash }),
        other => Err(Broken { seq, fault: Fault::Missing { found: other.map(|entry| entry.seq) } }),
    }
}

fn meets(head: Head, trusted: Option<Head>) -> Result<(), Broken> {
    match trusted {
        Some(trusted) if trusted.seq == head.seq && trusted.hash != head.hash => {
            Err(Broken { seq: head.seq, fault: Fault::Rewritten { expected: trusted.hash, found: head.hash } })
        }
        Some(_) | None => Ok(()),
    }
}

fn unreadable(at: Seq, error: ReadError) -> Broken {
    let seq = match &error {
        ReadError::Damaged { seq, .. } => *seq,
        ReadError::Unavailable(_) => at,
    };
    Broken { seq, fault: Fault::Unreadable(error) }
}
