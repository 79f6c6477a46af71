//! Units of time. Points in time are nanoseconds since the Unix epoch in an `i64` (until the year 2262).

/// Nanoseconds in a millisecond.
pub const NANOS_PER_MS: i64 = 1_000_000;

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Milliseconds as nanoseconds; saturates.
#[must_use]
pub const fn ms_to_nanos(ms: i64) -> i64 {
    ms.saturating_mul(NANOS_PER_MS)
}
