//! Kinesis' limits per shard: what a laptop lets through, the cloud lets through too.

use std::time::Duration;

/// How much a shard takes. A second's worth may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardLimits {
    /// Bytes of records per second.
    pub bytes_per_second: u64,
    /// Records per second.
    pub records_per_second: u64,
}

impl ShardLimits {
    /// The limits of a provisioned Kinesis shard: 1 MiB/s and 1,000 records/s.
    pub const KINESIS: Self = Self { bytes_per_second: 1 << 20, records_per_second: 1000 };
}

/// What a shard took lately: for each limit the moment up to which its rate is used up, in nanoseconds of the ticks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    bytes_nanos: u64,
    records_nanos: u64,
}

const SECOND_NANOS: u64 = 1_000_000_000;

impl Used {
    /// Takes a record, or answers in how many milliseconds there is room for it.
    pub(super) fn take(&mut self, limits: ShardLimits, now: Duration, bytes: usize) -> Result<(), u64> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let cost = |amount: u64, per_second: u64| amount.saturating_mul(SECOND_NANOS) / per_second.max(1);
        let after = |used: u64, cost: u64| used.max(now).saturating_add(cost);
        let bytes_nanos = after(self.bytes_nanos, cost(bytes as u64, limits.bytes_per_second));
        let records_nanos = after(self.records_nanos, cost(1, limits.records_per_second));
        let over = bytes_nanos.max(records_nanos).saturating_sub(now.saturating_add(SECOND_NANOS));
        if over > 0 {
            return Err(over.div_ceil(1_000_000));
        }
        *self = Self { bytes_nanos, records_nanos };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_bytes_passes_at_once_and_then_at_the_rate() {
        let mut used = Used::default();
        let at = Duration::from_millis;
        used.take(ShardLimits::KINESIS, at(5), 1 << 20).unwrap();
        let refused = used.take(ShardLimits::KINESIS, at(5), 1 << 19);
        assert_eq!(refused, Err(500));
        assert!(used.take(ShardLimits::KINESIS, at(504), 1 << 19).is_err());
        used.take(ShardLimits::KINESIS, at(505), 1 << 19).unwrap();
    }

    #[test]
    fn a_thousand_records_pass_in_a_second() {
        let mut used = Used::default();
        let now = Duration::from_secs(9);
        let passed = (0..2000).filter(|_| used.take(ShardLimits::KINESIS, now, 1).is_ok()).count();
        assert_eq!(passed, 1000);
        assert_eq!(used.take(ShardLimits::KINESIS, now, 1), Err(1));
    }
}
