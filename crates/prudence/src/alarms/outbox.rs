//! What was sent to whom, in a small file beside the ledger that one process has at a time. It is written anew and put in place as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use judge::incident::IncidentId;
use serde::{Deserialize, Serialize};

/// The largest file that is read.
const BYTES_MAX: u64 = 4 << 20;
/// How many incidents are remembered one by one as sent while an older one is not; beyond it the oldest is given up.
const SENT_MAX: usize = 10_000;

/// What was sent.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    kept: Kept,
    /// The head of the ledger when nothing was kept: what is older is for no new channel.
    begun: u64,
    /// Held for as long as this process sends.
    _lock: File,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    v: u8,
    channels: BTreeMap<String, Sent>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    /// Whatever began up to this entry was sent, or is not for this channel.
    through: u64,
    /// What was sent beyond that.
    sent: BTreeSet<u64>,
}

impl Outbox {
    /// Takes the file. Nothing when another process has it. `head` is the number of the ledger's last entry.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(path: &Path, head: u64) -> anyhow::Result<Option<Self>> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = File::create(PathBuf::from(name)).with_context(|| format!("`{}.lock` cannot be opened", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let mut text = String::new();
        match File::open(path) {
            Ok(file) => drop(file.take(BYTES_MAX).read_to_string(&mut text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("`{}` cannot be read", path.display())),
        }
        let kept = if text.is_empty() {
            Kept { v: 1, channels: BTreeMap::new() }
        } else {
            serde_json::from_str(&text).with_context(|| format!("`{}` is not what was written", path.display()))?
        };
        Ok(Some(Self { path: path.to_owned(), kept, begun: head, _lock: lock }))
    }

    /// Up to which entry everything was sent to this channel. A channel that is new gets what begins from now on.
    pub fn through(&self, channel: &str) -> u64 {
        self.kept.channels.get(channel).map_or(self.begun, |sent| sent.through)
    }

    /// Whether this was sent.
    pub fn has(&self, channel: &str, incident: IncidentId) -> bool {
        self.kept.channels.get(channel).is_some_and(|sent| incident.0 <= sent.through || sent.sent.contains(&incident.0))
    }

    /// Keeps from which entry on each of these channels is told, so that a restart leaves nothing out.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&mut self, channels: &[String]) -> anyhow::Result<()> {
        for channel in channels {
            let begun = self.begun;
            self.kept.channels.entry(channel.clone()).or_insert_with(|| Sent { through: begun, sent: BTreeSet::new() });
        }
        // A channel that is configured no more is told nothing when it comes back.
        self.kept.channels.retain(|name, _| channels.contains(name));
        self.write()
    }

    /// Notes that this was sent.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn sent(&mut self, channel: &str, incident: IncidentId) -> anyhow::Result<()> {
        let begun = self.begun;
        let sent = self.kept.channels.entry(channel.to_owned()).or_insert_with(|| Sent { through: begun, sent: BTreeSet::new() });
        sent.sent.insert(incident.0);
        while sent.sent.len() > SENT_MAX {
            if let Some(oldest) = sent.sent.pop_first() {
                sent.through = sent.through.max(oldest);
            }
        }
        self.write()
    }

    fn write(&self) -> anyhow::Result<()> {
        let mut new = self.path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(&self.kept)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        Ok(())
    }
}
