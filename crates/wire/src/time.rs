//! Moments as messages write them.

use jiff::Timestamp;

/// Milliseconds since 1970 as RFC 3339 has them, in UTC; what is beyond the calendar is its end.
#[must_use]
pub fn rfc3339(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX).to_string()
}
