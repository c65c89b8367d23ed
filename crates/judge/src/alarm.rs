//! Alarms: what somebody should look at although it was stopped. Told from what is recorded alone, so that every reader of a ledger
//! finds the same.

use crate::event::{Event, Observed};
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
}

impl Alarm {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Alarm::Boundary { .. } => "boundary",
        }
    }
}

impl Observed {
    /// The alarm that this is, if it is one.
    #[must_use]
    pub fn alarm(&self) -> Option<Alarm> {
        let items = self.items.iter().filter(|item| item.withheld).count() as u64;
        (items > 0).then_some(Alarm::Boundary { items })
    }
}

impl Event {
    /// The alarm that this is, if it is one.
    #[must_use]
    pub fn alarm(&self) -> Option<Alarm> {
        match self {
            Event::Observed(observed) => observed.alarm(),
            Event::Configured(_)
            | Event::DirectoryChanged(_)
            | Event::TaskStarted(_)
            | Event::TaskEnded { .. }
            | Event::Decided(_)
            | Event::Answered { .. }
            | Event::Refused(_) => None,
        }
    }
}
