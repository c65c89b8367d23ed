//! The alarm reaches a person: each incident, once to each channel of `[[alarms]]`, beside everything that answers a call.
//!
//! The ledger is the queue. A thread follows it and folds incidents; each channel sends by itself what it has not sent yet, one at a time, again and
//! again with growing pauses until somebody takes it. What was taken is kept in a small file beside the ledger, so that a restart forgets
//! nothing and repeats little: at least once, and under the same id. A channel that hangs holds up itself and nothing else. Of several processes
//! with one ledger, the one that has the file sends.

mod mail;
mod message;
mod outbox;
mod webhook;

#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use judge::incident::{IncidentId, Incidents, Severity};
use ledger::{Seq, Source};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::commands::history;
use crate::config::settings::{Alarm, Urgency};
use message::Message;
use outbox::Outbox;

pub use mail::server as mail_server;
pub use webhook::address;

/// How long a follower waits at a time.
const FOLLOW_WAIT: Duration = Duration::from_millis(500);
/// How often a process that does not send looks whether the one that does is gone.
const WAIT_FOR_OTHER: Duration = Duration::from_secs(5);
/// How long one attempt takes at most.
const SEND_TIME_MAX: Duration = Duration::from_secs(15);
/// How long is waited after a failure.
#[derive(Debug, Clone, Copy)]
struct Pauses {
    /// After the first; it doubles with each.
    min: Duration,
    /// At most.
    max: Duration,
}

const PAUSES: Pauses = Pauses { min: Duration::from_secs(1), max: Duration::from_secs(600) };

/// What can go wrong with an attempt, for the log: never a secret, and nothing that the other side said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotTaken(String);

/// A way to a person.
pub struct Channel {
    name: String,
    at_least: Severity,
    way: Way,
}

enum Way {
    Webhook(Box<webhook::Webhook>),
    Mail(Box<mail::Mail>),
    /// Standard output, or standard error where standard output belongs to a protocol.
    Ocsf {
        to_stderr: bool,
    },
}

impl Channel {
    /// A channel as the settings have it, with the secrets that they name.
    ///
    /// # Errors
    /// A secret that is not there or is none, an address that cannot be used.
    pub fn new(settings: &Alarm, to_stderr: bool) -> anyhow::Result<Self> {
        let way = match (&settings.webhook, &settings.mail) {
            (Some(webhook), _) => Way::Webhook(Box::new(webhook::Webhook::new(&settings.name, webhook)?)),
            (None, Some(mail)) => Way::Mail(Box::new(mail::Mail::new(&settings.name, mail)?)),
            (None, None) => Way::Ocsf { to_stderr },
        };
        Ok(Self { name: settings.name.clone(), at_least: severity(settings.at_least), way })
    }

    async fn send(&self, message: &Message) -> Result<(), NotTaken> {
        let sent = async {
            match &self.way {
                Way::Webhook(webhook) => webhook.send(message).await,
                Way::Mail(mail) => mail.send(message).await,
                Way::Ocsf { to_stderr } => print(&format!("{}\n", message.ocsf()), *to_stderr),
            }
        };
        tokio::time::timeout(SEND_TIME_MAX, sent).await.unwrap_or_else(|_| Err(NotTaken("no answer in time".to_owned())))
    }
}

fn severity(word: Urgency) -> Severity {
    match word {
        Urgency::Medium => Severity::Medium,
        Urgency::High => Severity::High,
        Urgency::Critical => Severity::Critical,
    }
}

fn print(line: &str, to_stderr: bool) -> Result<(), NotTaken> {
    let written = if to_stderr {
        std::io::stderr().lock().write_all(line.as_bytes())
    } else {
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes()).and_then(|()| out.flush())
    };
    written.map_err(|_| NotTaken("nobody reads the output".to_owned()))
}

/// What a ledger tells, as far as it was read.
#[derive(Default)]
struct Heard {
    incidents: Incidents,
    /// The hash of the entry that began each, which tells incidents of different ledgers apart.
    hashes: std::collections::BTreeMap<IncidentId, String>,
}

/// The channels of the settings.
///
/// # Errors
/// The first that cannot be used.
pub fn channels(settings: &[Alarm], to_stderr: bool) -> anyhow::Result<Vec<Channel>> {
    settings.iter().map(|alarm| Channel::new(alarm, to_stderr)).collect()
}

/// Sends alarms until `stop`. Returns at once; everything happens beside.
pub fn start(channels: Vec<Channel>, source: Arc<dyn Source>, store: &Path, stop: &CancellationToken) {
    if channels.is_empty() {
        return;
    }
    let mut file = store.as_os_str().to_owned();
    file.push(".alarms");
    tokio::spawn(run(channels, source, file.into(), PAUSES, stop.clone()));
}

async fn run(channels: Vec<Channel>, source: Arc<dyn Source>, file: PathBuf, pauses: Pauses, stop: CancellationToken) {
    let opened = loop {
        let (at, head) = (file.clone(), source.clone());
        let opening =
            tokio::task::spawn_blocking(move || Outbox::open(&at, head.head().map(|head| head.seq.0).unwrap_or_default()));
        match opening.await {
            Ok(Ok(Some(outbox))) => break outbox,
            // Somebody else sends.
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::error!(%error, "alarms cannot be sent: what was sent cannot be kept"),
            Err(_) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(WAIT_FOR_OTHER) => {}
            () = stop.cancelled() => return,
        }
    };
    let mut opened = opened;
    let names: Vec<String> = channels.iter().map(|channel| channel.name.clone()).collect();
    if let Err(error) = opened.begin(&names) {
        tracing::error!(%error, "what was sent cannot be kept: after a restart alarms may be sent again, or be left out");
    }
    let outbox = Arc::new(Mutex::new(opened));
    let heard: Arc<Mutex<Heard>> = Arc::default();
    let (news, listen) = watch::channel(0_u64);
    let stopped = Arc::new(AtomicBool::new(false));
    let follower = {
        let (heard, stopped) = (heard.clone(), stopped.clone());
        std::thread::Builder::new().name("alarms".to_owned()).spawn(move || follow(source.as_ref(), &heard, &news, &stopped))
    };
    if let Err(error) = follower {
        tracing::error!(%error, "alarms cannot be sent: no thread");
        return;
    }
    for channel in channels {
        let shared = Shared { outbox: outbox.clone(), heard: heard.clone(), pauses, stop: stop.clone() };
        tokio::spawn(deliver(channel, shared, listen.clone()));
    }
    drop(outbox);
    stop.cancelled().await;
    stopped.store(true, Ordering::Relaxed);
}

/// Folds the ledger as it grows.
fn follow(source: &dyn Source, heard: &Mutex<Heard>, news: &watch::Sender<u64>, stopped: &AtomicBool) {
    let mut last = Seq(0);
    while !stopped.load(Ordering::Relaxed) {
        let read = history::each(source, last.plus(1), |entry, record| {
            let mut heard = heard.lock();
            heard.incidents.apply(entry.seq.0, record);
            let id = IncidentId(entry.seq.0);
            if heard.incidents.get(id).is_some() {
                heard.hashes.insert(id, entry.hash.to_string());
                while heard.hashes.len() > judge::incident::INCIDENTS_MAX {
                    heard.hashes.pop_first();
                }
            }
            last = entry.seq;
            anyhow::ensure!(!stopped.load(Ordering::Relaxed), "stopped");
            Ok(())
        });
        match read {
            Ok(_) => {
                news.send_modify(|number| *number += 1);
                let _ = source.wait_past(last, FOLLOW_WAIT);
            }
            Err(error) if !stopped.load(Ordering::Relaxed) => {
                tracing::warn!(%error, "the ledger cannot be read for alarms; it is tried again");
                std::thread::sleep(FOLLOW_WAIT);
            }
            Err(_) => return,
        }
    }
}

/// What all channels have together.
struct Shared {
    outbox: Arc<Mutex<Outbox>>,
    heard: Arc<Mutex<Heard>>,
    pauses: Pauses,
    stop: CancellationToken,
}

/// Sends what one channel has not sent yet, the least tried first.
async fn deliver(channel: Channel, shared: Shared, mut news: watch::Receiver<u64>) {
    let Shared { outbox, heard, pauses, stop } = shared;
    let mut tried: std::collections::BTreeMap<IncidentId, u32> = std::collections::BTreeMap::new();
    let mut pause = pauses.min;
    loop {
        news.borrow_and_update();
        let next = {
            let heard = heard.lock();
            let outbox = outbox.lock();
            let waits = heard.incidents.after(outbox.through(&channel.name));
            let waits = waits.filter(|one| one.severity >= channel.at_least && !outbox.has(&channel.name, one.id));
            waits
                .min_by_key(|one| (tried.get(&one.id).copied().unwrap_or(0), one.id))
                .map(|one| Message::new(one, heard.hashes.get(&one.id).map_or("", String::as_str)))
        };
        let Some(message) = next else {
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
            continue;
        };
        let sent = tokio::select! {
            sent = channel.send(&message) => sent,
            () = stop.cancelled() => return,
        };
        match sent {
            Ok(()) => {
                pause = pauses.min;
                tried.remove(&message.incident);
                tracing::info!(channel = channel.name, incident = %message.incident, "an alarm was sent");
                let (outbox, name, id) = (outbox.clone(), channel.name.clone(), message.incident);
                let kept = tokio::task::spawn_blocking(move || outbox.lock().sent(&name, id)).await;
                if let Ok(Err(error)) = kept {
                    // It is known until the end of this process; after a restart it may be sent again.
                    tracing::warn!(%error, "that an alarm was sent could not be kept");
                }
            }
            Err(error) => {
                *tried.entry(message.incident).or_default() += 1;
                tracing::warn!(channel = channel.name, incident = %message.incident, %error, pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), "an alarm was not taken, and is sent again");
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.cancelled() => return,
                }
                pause = (pause * 2).min(pauses.max);
            }
        }
    }
}
