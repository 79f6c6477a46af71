//! The stream's memory twin: shards as lists, arrival stamps by a clock that may jump back, records that are refused,
//! or stored without an answer.

use std::sync::{Mutex, MutexGuard, PoisonError};

use spanlake_model::BucketRange;
use spanlake_pipeline::ports::{AppendError, Clock, EventStream, NewRecord, Record, Shard};

use crate::Rng;
use crate::scheduler::yield_once;

/// A clock that a test moves.
#[derive(Debug, Default)]
pub struct SimClock(Mutex<i64>);

impl SimClock {
    /// Moves the clock to `now_nanos`.
    pub fn set(&self, now_nanos: i64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now_nanos;
    }
}

impl Clock for SimClock {
    fn now_nanos(&self) -> i64 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct State {
    shards: Vec<Vec<Record>>,
    sequence: u64,
    rng: Rng,
    fault_percent: u64,
    now_nanos: i64,
}

/// The stream.
pub struct SimStream {
    ranges: Vec<BucketRange>,
    state: Mutex<State>,
}

impl SimStream {
    /// A stream of `shards` shards; `fault_percent` of appended records are refused or stored without an answer.
    #[must_use]
    pub fn new(seed: u64, shards: u16, fault_percent: u64) -> Self {
        let ranges = BucketRange::even(shards);
        let lists = vec![Vec::new(); ranges.len()];
        Self { ranges, state: Mutex::new(State { shards: lists, sequence: 0, rng: Rng::new(seed), fault_percent, now_nanos: 0 }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the time that stamps records.
    pub fn set_now(&self, now_nanos: i64) {
        self.state().now_nanos = now_nanos;
    }

    /// Sets how often appending fails.
    pub fn set_faults(&self, fault_percent: u64) {
        self.state().fault_percent = fault_percent;
    }

    /// Puts a record on a shard, without faults: a heartbeat.
    pub fn push(&self, shard: usize, bytes: Vec<u8>) {
        self.state().push(shard, bytes.into());
    }

    /// Up to `most` records of a shard behind a sequence number.
    pub fn read(&self, shard: usize, after: u64, most: usize) -> Vec<Record> {
        let state = self.state();
        let records = state.shards.get(shard).map(Vec::as_slice).unwrap_or_default();
        records.iter().filter(|record| record.sequence > after).take(most).cloned().collect()
    }
}

impl State {
    fn push(&mut self, shard: usize, bytes: bytes::Bytes) {
        self.sequence += 1;
        let record = Record { sequence: self.sequence, arrival_nanos: self.now_nanos, bytes };
        if let Some(records) = self.shards.get_mut(shard) {
            records.push(record);
        }
    }
}

impl EventStream for SimStream {
    fn shards(&self) -> Vec<Shard> {
        let shard = |(number, range): (usize, &BucketRange)| Shard { id: format!("shard-{number:012}"), range: *range };
        self.ranges.iter().enumerate().map(shard).collect()
    }

    async fn append(&self, records: Vec<NewRecord>) -> Vec<Result<(), AppendError>> {
        let mut results = Vec::with_capacity(records.len());
        for record in records {
            yield_once().await;
            let mut state = self.state();
            let percent = state.fault_percent;
            if !state.rng.chance(percent) {
                state.push(record.shard, record.bytes);
                results.push(Ok(()));
            } else if state.rng.chance(50) {
                results.push(Err(AppendError::Throttled { retry_after_ms: 1_000 }));
            } else {
                state.push(record.shard, record.bytes);
                results.push(Err(AppendError::Unavailable { what: "simulated lost reply".to_owned() }));
            }
        }
        results
    }
}
