//! Alarms: what somebody should look at although it was stopped. Told from what is recorded alone, so that every reader of a ledger
//! finds the same.

use crate::event::{Decided, Event, Observed};
use serde::Serialize;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "alarm")]
pub enum Alarm {
    /// A server gave out what the requester is not cleared for, so its own boundaries do not hold. It was withheld.
    Boundary {
        /// How many items.
        items: u64,
    },
    /// A call came with a key that is not its holder's, or that two agents have.
    Key,
    /// A breaker tripped.
    Tempo,
}

impl Alarm {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Alarm::Boundary { .. } => "boundary",
            Alarm::Key => "key",
            Alarm::Tempo => "tempo",
        }
    }
}

impl Observed {
    /// The alarm that this is, if it is one. What was kept back because the chain was stopped says nothing about what it is.
    #[must_use]
    pub fn alarm(&self) -> Option<Alarm> {
        let (_, items) = self.read_and_withheld();
        (items > 0 && !self.stopped).then_some(Alarm::Boundary { items })
    }
}

impl Decided {
    /// The alarm that this is, if it is one.
    #[must_use]
    pub fn alarm(&self) -> Option<Alarm> {
        let credential = &self.decision.facts.credential;
        if self.trip.is_some() {
            Some(Alarm::Tempo)
        } else {
            (credential.foreign_key || credential.shared_key).then_some(Alarm::Key)
        }
    }
}

impl Event {
    /// The alarm that this is, if it is one.
    #[must_use]
    pub fn alarm(&self) -> Option<Alarm> {
        match self {
            Event::Observed(observed) => observed.alarm(),
            Event::Decided(decided) => decided.alarm(),
            Event::Configured(_)
            | Event::DirectoryChanged(_)
            | Event::TaskStarted(_)
            | Event::TaskEnded { .. }
            | Event::TaskRenewed { .. }
            | Event::CredentialIssued(_)
            | Event::Killed { .. }
            | Event::Reset { .. }
            | Event::IncidentResolved { .. }
            | Event::Answered { .. }
            | Event::Refused(_) => None,
        }
    }
}
