//! Time for the adapters: the wall clock for what is no decision, and ticks that never go back.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use spanlake_pipeline::ports::Clock;

/// The computer's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_nanos(&self) -> i64 {
        nanos_since_epoch(SystemTime::now())
    }
}

/// Time since some fixed moment, never going back. A value, so that a test can turn it by hand.
pub type Ticks = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Ticks of the computer's monotonic clock, from now on.
#[must_use]
pub fn real_ticks() -> Ticks {
    let start = Instant::now();
    Arc::new(move || start.elapsed())
}

/// Unix nanoseconds, saturating at both ends of `i64`.
pub(crate) fn nanos_since_epoch(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_on_both_sides_of_the_epoch_are_nanoseconds() {
        assert_eq!(nanos_since_epoch(UNIX_EPOCH + Duration::from_nanos(7)), 7);
        assert_eq!(nanos_since_epoch(UNIX_EPOCH - Duration::from_nanos(7)), -7);
        assert!(SystemClock.now_nanos() > 1_700_000_000_000_000_000);
    }

    #[test]
    fn ticks_never_go_back() {
        let ticks = real_ticks();
        let first = ticks();
        assert!(ticks() >= first);
    }
}
