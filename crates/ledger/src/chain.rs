//! The nouns of the chain, and the one function that links an entry to the one before it.
//!
//! Refuses to know where entries are kept and what is in them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Separates these hashes from every other use of SHA-256; with the fixed fields after it, it fills exactly one block.
const DOMAIN: &[u8; 16] = b"prudence/entry/1";

/// The number of an entry. The first is 1; 0 is the head of an empty ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The first entry.
    pub const FIRST: Seq = Seq(1);

    /// The number `count` further on. Saturates: no ledger is that long, and a saturated number matches no head.
    pub fn plus(self, count: u64) -> Seq {
        Seq(self.0.saturating_add(count))
    }

    /// The number before; that of 0 is 0.
    pub fn before(self) -> Seq {
        Seq(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// SHA-256 over an entry and the hash before it. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryHash(pub [u8; 32]);

impl EntryHash {
    /// What stands before the first entry.
    pub const ZERO: EntryHash = EntryHash([0; 32]);
}

impl fmt::Display for EntryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for EntryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryHash({self})")
    }
}

impl From<EntryHash> for String {
    fn from(hash: EntryHash) -> String {
        hash.to_string()
    }
}

/// The text is not the hash of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct ParseHashError;

impl FromStr for EntryHash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| ParseHashError)?;
        Ok(EntryHash(hash))
    }
}

impl TryFrom<String> for EntryHash {
    type Error = ParseHashError;

    fn try_from(text: String) -> Result<Self, ParseHashError> {
        text.parse()
    }
}

/// The last entry of a ledger: its number and its hash. Written down elsewhere, it vouches for everything before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Head {
    /// Number of the last entry, 0 when there is none.
    pub seq: Seq,
    /// Its hash, zero when there is none.
    pub hash: EntryHash,
}

impl Head {
    /// The head of a ledger without entries.
    pub const EMPTY: Head = Head { seq: Seq(0), hash: EntryHash::ZERO };

    /// The head once `body` was appended.
    pub fn followed_by(self, body: &[u8]) -> Head {
        let seq = self.seq.plus(1);
        Head { seq, hash: link(seq, self.hash, body) }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

/// One entry as it is stored. `hash` is what the store says; only [`verify`](crate::verify) recomputes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: Seq,
    /// Its stored hash.
    pub hash: EntryHash,
    /// Opaque bytes.
    pub body: Vec<u8>,
}

/// The ledger's word that a batch is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Number of the batch's first entry.
    pub first: Seq,
    /// Number of its last entry.
    pub last: Seq,
    /// Hash of its last entry.
    pub hash: EntryHash,
}

/// The hash of entry `seq`, given the hash before it. The exact bytes are in the [crate's documentation](crate).
pub fn link(seq: Seq, previous: EntryHash, body: &[u8]) -> EntryHash {
    let mut digest = Sha256::new();
    digest.update(DOMAIN);
    digest.update(seq.0.to_be_bytes());
    digest.update(previous.0);
    digest.update((body.len() as u64).to_be_bytes());
    digest.update(body);
    EntryHash(digest.finalize().into())
}

#[cfg(test)]
#[path = "chain/tests.rs"]
mod tests;
