//! The clock: the only place of the house that asks what time it is.

use judge::moment::Moment;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where moments come from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that moves only when it is told to.
    Manual(ManualClock),
}

/// A clock for tests, scenarios and replays.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Moment>>);

impl ManualClock {
    /// Starts at `moment`.
    #[must_use]
    pub fn at(moment: Moment) -> Self {
        Self(Arc::new(Mutex::new(moment)))
    }

    /// Moves to `moment`.
    pub fn set(&self, moment: Moment) {
        *self.0.lock() = moment;
    }
}

impl Clock {
    pub(crate) fn now(&self) -> Moment {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the place that the others are sent to")]
            Clock::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Clock::Manual(clock) => *clock.0.lock(),
        }
    }
}
