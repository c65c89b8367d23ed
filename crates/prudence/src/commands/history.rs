//! Reading the ledger: entries as records, page by page, and what later records only name by digest.

use std::collections::BTreeMap;

use anyhow::Context as _;
use judge::digest::Digest;
use judge::directory::Directory;
use judge::event::{Event, Record, SetRecord, VERSION};
use judge::reach::PeopleSet;
use ledger::{Entry, Seq, Source};

/// Entries that are read at once.
const PAGE_ENTRIES_MAX: usize = 1024;
/// Bytes that are read at once.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// Reads all entries from `from` on, and returns the number of the last.
///
/// # Errors
/// When an entry cannot be read, or is no record; whatever `each` fails with.
pub fn each(source: &dyn Source, from: Seq, mut each: impl FnMut(&Entry, &Record) -> anyhow::Result<()>) -> anyhow::Result<Seq> {
    let mut last = from.before();
    loop {
        let page = source.read(last.plus(1), PAGE_ENTRIES_MAX, PAGE_BYTES_MAX)?;
        if page.is_empty() {
            return Ok(last);
        }
        for entry in page {
            let record: Record =
                serde_json::from_slice(&entry.body).with_context(|| format!("entry {} is no record", entry.seq))?;
            anyhow::ensure!(
                record.v <= VERSION,
                "entry {} is of version {}, and this program knows version {VERSION}",
                entry.seq,
                record.v
            );
            each(&entry, &record)?;
            last = entry.seq;
        }
    }
}

/// What was spelt out once and is named by digest afterwards: sets of people and configurations.
#[derive(Default)]
pub struct History {
    directory: Directory,
    sets: BTreeMap<Digest, PeopleSet>,
    bundles: Vec<(Seq, Digest)>,
}

impl History {
    /// Learns from a record.
    pub fn learn(&mut self, entry: &Entry, record: &Record) {
        let mut keep = |sets: &[SetRecord]| {
            for SetRecord(set) in sets {
                self.sets.insert(set.digest(), set.clone());
            }
        };
        match &record.event {
            Event::Configured(bundle) => {
                self.bundles.push((entry.seq, bundle.digest()));
                // It was checked before it was recorded; here only its principals' numbers matter.
                self.directory = self.directory.configured(&bundle.directory).unwrap_or_default();
            }
            Event::DirectoryChanged(changed) => {
                if let Ok((directory, _)) = self.directory.change(&changed.changes) {
                    self.directory = directory;
                }
            }
            Event::Decided(decided) => keep(&decided.sets),
            Event::Observed(observed) => keep(&observed.sets),
            Event::TaskStarted(_)
            | Event::TaskEnded { .. }
            | Event::TaskRenewed { .. }
            | Event::CredentialIssued(_)
            | Event::Killed { .. }
            | Event::Reset { .. }
            | Event::IncidentResolved { .. }
            | Event::Answered { .. }
            | Event::Refused(_) => {}
        }
    }

    /// The people of a set by name; `None` when it was never spelt out.
    pub fn people(&self, set: &Digest) -> Option<Vec<String>> {
        if *set == PeopleSet::empty().digest() {
            return Some(Vec::new());
        }
        let set = self.sets.get(set)?;
        Some(
            set.bits()
                .iter()
                .map(|number| self.directory.principals().name(number).map_or_else(|| format!("#{number}"), ToString::to_string))
                .collect(),
        )
    }

    /// The digest of the configuration that was in force at an entry.
    pub fn bundle_at(&self, seq: Seq) -> String {
        let before = self.bundles.iter().rev().find(|(at, _)| *at <= seq);
        before.map_or_else(|| "none".to_owned(), |(at, digest)| format!("{digest} (entry {at})"))
    }
}
