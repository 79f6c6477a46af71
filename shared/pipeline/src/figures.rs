//! A service's requests before sampling, over all shards of an archive run: for metrics and alarms outside the lake.

use std::collections::BTreeMap;

use spanlake_table::{RED_BOUNDS_NANO, RED_BUCKETS};

use crate::red::{RedCell, RedKey};

/// OTLP `SpanKind` of what serves: calls and messages that came in.
const SERVING: [u8; 2] = [2, 5];

/// Requests of a service: spans of kind SERVER and CONSUMER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceFigures {
    /// Its requests.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Requests by their durations, one for each of `red_1m`'s bounds and one beyond.
    pub buckets: [u64; RED_BUCKETS],
    /// The longest duration, nanoseconds.
    pub duration_max_nanos: u64,
}

impl ServiceFigures {
    fn merge(&mut self, more: &Self) {
        self.requests += more.requests;
        self.errors += more.errors;
        self.buckets.iter_mut().zip(more.buckets).for_each(|(sum, count)| *sum += count);
        self.duration_max_nanos = self.duration_max_nanos.max(more.duration_max_nanos);
    }

    /// The share of failed requests, 0 to 100.
    #[must_use]
    pub fn error_percent(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { 100.0 * as_f64(self.errors) / as_f64(self.requests) }
    }

    /// The duration that a share of requests does not exceed, in milliseconds: exact to the bucket, and within it as if its
    /// requests were spread evenly.
    #[must_use]
    pub fn percentile_ms(&self, share: f64) -> f64 {
        let wanted = as_f64(self.requests) * share.clamp(0.0, 1.0);
        let most = as_f64(self.duration_max_nanos);
        let (mut below, mut lower) = (0.0, 0.0);
        for (at, count) in self.buckets.iter().enumerate() {
            let upper = RED_BOUNDS_NANO.get(at).map_or(most, |bound| as_f64(bound.cast_unsigned()).min(most));
            let count = as_f64(*count);
            if count > 0.0 && below + count >= wanted {
                return (lower + (upper - lower).max(0.0) * (wanted - below) / count) / 1e6;
            }
            (below, lower) = (below + count, upper.max(lower));
        }
        most / 1e6
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
const fn as_f64(number: u64) -> f64 {
    number as f64
}

/// Sums of rows of `red_1m`, by service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures(BTreeMap<String, ServiceFigures>);

impl Figures {
    pub(crate) fn add(&mut self, key: &RedKey, cell: &RedCell) {
        if SERVING.contains(&key.kind) {
            let RedCell { requests, errors, buckets, duration_max: duration_max_nanos, .. } = *cell;
            let figures = ServiceFigures { requests, errors, buckets, duration_max_nanos };
            self.0.entry(key.service.clone()).or_default().merge(&figures);
        }
    }

    /// Adds what another run filed.
    pub(crate) fn merge(&mut self, more: &Self) {
        for (service, figures) in &more.0 {
            self.0.entry(service.clone()).or_default().merge(figures);
        }
    }

    /// The figures of a service: zeros if it answered nothing.
    #[must_use]
    pub fn of(&self, service: &str) -> ServiceFigures {
        self.0.get(service).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: u8, operation: &str) -> RedKey {
        let (service, environment) = ("shop".to_owned(), String::new());
        RedKey { window: 0, minute: 60, service, environment, operation: operation.to_owned(), kind, status: 0 }
    }

    #[test]
    fn only_what_serves_counts_and_operations_are_summed() {
        let mut figures = Figures::default();
        let mut cell = RedCell::default();
        (0..4).for_each(|n| cell.count(n == 0, 3_000_000));
        for (kind, operation) in [(2, "a"), (2, "b"), (5, "c"), (3, "d"), (1, "e")] {
            figures.add(&key(kind, operation), &cell);
        }
        let shop = figures.of("shop");
        assert_eq!((figures.0.len(), shop.requests, shop.errors), (1, 12, 3));
        assert!((shop.error_percent() - 25.0).abs() < 1e-9);
        assert_eq!(figures.of("silent"), ServiceFigures::default());
    }

    #[test]
    fn percentiles_lie_in_the_bucket_of_the_request_and_never_beyond_the_longest() {
        let mut cell = RedCell::default();
        (0..98).for_each(|_| cell.count(false, 1_500_000));
        cell.count(false, 900_000_000);
        cell.count(false, 700_000_000_000);
        let mut figures = Figures::default();
        figures.add(&key(2, "a"), &cell);
        let one = figures.of("shop");
        assert!((1.0..=2.0).contains(&one.percentile_ms(0.5)), "{}", one.percentile_ms(0.5));
        assert!((500.0..=1_000.0).contains(&one.percentile_ms(0.99)), "{}", one.percentile_ms(0.99));
        assert!((one.percentile_ms(1.0) - 700_000.0).abs() < 1e-6);
        let short = ServiceFigures { buckets: [0; RED_BUCKETS], requests: 0, ..one };
        assert!(short.percentile_ms(0.99).is_finite());
    }
}
