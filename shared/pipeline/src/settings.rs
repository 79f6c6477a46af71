//! What an operator may tune of the pipeline. Plain values; the defaults are safe.

use spanlake_model::NANOS_PER_SECOND;

/// Settings of the grouper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// The length of a window, nanoseconds; divides an hour.
    pub window_nanos: i64,
    /// How long a decision is remembered for late spans, nanoseconds of the stream's clock.
    pub late_horizon_nanos: i64,
    /// How long a part is remembered after its last copy, nanoseconds of the stream's clock (the Collector retries for
    /// 300 s).
    pub seen_nanos: i64,
    /// How long the stream keeps a record, nanoseconds: how late a copy may come that was put on a wrong shard.
    pub retention_nanos: i64,
    /// How long after a shard began copies may still be written by the old list of shards, nanoseconds: the age of that
    /// list, and a client's retries.
    pub stale_shards_nanos: i64,
    /// A manifest longer than this moves its lists to a page: it is written again with every batch.
    pub manifest_bytes_max: usize,
    /// Named keys of `red_1m` and `service_edges_1m`, per shard and window.
    pub red_keys_max: usize,
    /// Spans of a trace that are kept; the rest is counted as `dropped{trace_spans}`.
    pub trace_spans_max: usize,
    /// Bytes of a trace that are kept.
    pub trace_bytes_max: usize,
    /// Errors of a trace that are kept beyond those.
    pub trace_errors_beyond: usize,
    /// A sealed output ends at the first trace that begins after this many raw bytes.
    pub seal_bytes: u64,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            window_nanos: 10 * NANOS_PER_SECOND,
            late_horizon_nanos: 600 * NANOS_PER_SECOND,
            seen_nanos: 15 * 60 * NANOS_PER_SECOND,
            retention_nanos: 48 * 3_600 * NANOS_PER_SECOND,
            stale_shards_nanos: 20 * 60 * NANOS_PER_SECOND,
            manifest_bytes_max: 128 << 10,
            red_keys_max: 10_000,
            trace_spans_max: 10_000,
            trace_bytes_max: 8 << 20,
            trace_errors_beyond: 1_000,
            seal_bytes: 8 << 20,
        }
    }
}

impl GroupSettings {
    /// How long a part is remembered of which a copy may have been put on a wrong shard: the copy was written within the
    /// time of stale lists, and is read before its retention ends.
    #[must_use]
    pub const fn misplaced_nanos(&self) -> i64 {
        self.retention_nanos.saturating_add(self.stale_shards_nanos)
    }

    /// The start of the window in which `nanos` lies.
    #[must_use]
    pub const fn window_start(&self, nanos: i64) -> i64 {
        let window = if self.window_nanos > 0 { self.window_nanos } else { 1 };
        nanos.div_euclid(window) * window
    }
}
