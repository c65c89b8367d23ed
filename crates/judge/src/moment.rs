//! Moments: time is an argument everywhere, never asked for.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `span_ms` later; saturates at the end of time instead of wrapping into the past.
    #[must_use]
    pub fn after_ms(self, span_ms: u64) -> Self {
        Self(self.0.saturating_add(span_ms))
    }

    /// Milliseconds from `self` until `end`; zero when `end` is past.
    #[must_use]
    pub fn ms_until(self, end: Moment) -> u64 {
        end.0.saturating_sub(self.0)
    }
}
