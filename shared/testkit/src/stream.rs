//! The stream's memory twin: shards as lists, which split, merge and are trimmed; arrival stamps by a clock that may jump
//! back; records that are refused, or stored without an answer; callers that know an older list of shards.

use std::sync::{Mutex, MutexGuard, PoisonError};

use spanlake_model::{Bucket, BucketRange, Sequence};
use spanlake_pipeline::ports::{AppendError, Clock, EventStream, NewRecord, Record, Shard, Slice, StreamError};

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

/// A shard with what it holds.
struct Held {
    shard: Shard,
    records: Vec<Record>,
    is_open: bool,
    is_listed: bool,
}

struct State {
    shards: Vec<Held>,
    /// Lists of open shards, oldest first: the newest is true.
    maps: Vec<Vec<Shard>>,
    /// How many records there ever were.
    records: u64,
    rng: Rng,
    fault_percent: u64,
    stale_percent: u64,
    now_nanos: i64,
}

/// The stream.
pub struct SimStream {
    state: Mutex<State>,
}

impl SimStream {
    /// A stream of `shards` shards; `fault_percent` of appended records are refused or stored without an answer, and as
    /// many reads fail.
    #[must_use]
    pub fn new(seed: u64, shards: u16, fault_percent: u64) -> Self {
        let (maps, rng) = (Vec::new(), Rng::new(seed));
        let mut state = State { shards: Vec::new(), maps, records: 0, rng, fault_percent, stale_percent: 0, now_nanos: 0 };
        for range in BucketRange::even(shards) {
            state.open(range, &[]);
        }
        state.note_map();
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the time that stamps records.
    pub fn set_now(&self, now_nanos: i64) {
        self.state().now_nanos = now_nanos;
    }

    /// Sets how often calls fail.
    pub fn set_faults(&self, fault_percent: u64) {
        self.state().fault_percent = fault_percent;
    }

    /// Sets how often a caller is told an older list of shards.
    pub fn set_stale(&self, stale_percent: u64) {
        self.state().stale_percent = stale_percent;
    }

    /// Every list of shards but the newest is forgotten: as if a minute had passed.
    pub fn refresh_maps(&self) {
        let mut state = self.state();
        let newest = state.maps.pop().unwrap_or_default();
        state.maps = vec![newest];
    }

    /// Puts a record on the open shard of this number, in order of their ranges, without faults.
    pub fn push(&self, shard: usize, bytes: Vec<u8>) {
        let mut state = self.state();
        let bucket = state.maps.last().and_then(|map| map.get(shard)).and_then(|shard| Bucket::new(shard.range.first));
        if let Some(bucket) = bucket {
            state.push(bucket, bytes.into());
        }
    }

    /// Up to `most` records of a shard behind a sequence number, without faults.
    pub fn records(&self, shard: &str, after: Sequence, most: usize) -> Vec<Record> {
        let state = self.state();
        let held = state.shards.iter().find(|held| held.shard.id == shard);
        let records = held.map(|held| held.records.as_slice()).unwrap_or_default();
        records.iter().filter(|record| record.sequence > after).take(most).cloned().collect()
    }

    /// Splits an open shard: the second child begins at bucket `at`. Does nothing if no such split is possible.
    pub fn split(&self, shard: &str, at: u16) {
        let mut state = self.state();
        let Some(range) = state.range_of_open(shard).filter(|range| range.first < at && at <= range.last) else { return };
        state.close(shard);
        state.open(BucketRange { first: range.first, last: at - 1 }, &[shard]);
        state.open(BucketRange { first: at, last: range.last }, &[shard]);
        state.note_map();
    }

    /// Merges two open neighbours, the lower first. Does nothing if they are not that.
    pub fn merge(&self, lower: &str, upper: &str) {
        let mut state = self.state();
        let (Some(low), Some(up)) = (state.range_of_open(lower), state.range_of_open(upper)) else { return };
        if low.last + 1 == up.first {
            state.close(lower);
            state.close(upper);
            state.open(BucketRange { first: low.first, last: up.last }, &[lower, upper]);
            state.note_map();
        }
    }

    /// Takes records up to a sequence number away, as the end of their retention does; a closed shard without records
    /// is no longer listed.
    pub fn trim(&self, shard: &str, up_to: Sequence) {
        let mut state = self.state();
        if let Some(held) = state.shards.iter_mut().find(|held| held.shard.id == shard) {
            held.records.retain(|record| record.sequence > up_to);
            held.is_listed = held.is_open || !held.records.is_empty();
        }
    }

    /// The sequence number of the record of this number, counted from 1. As large as Kinesis': they fit no 128 bits.
    #[must_use]
    pub fn sequence(record: u64) -> Sequence {
        let bytes = [&[0x31; 15][..], &record.to_be_bytes()].concat();
        Sequence::from_bytes(&bytes).unwrap_or_default()
    }

    /// The sequence number of the newest record; before the first one, that which it follows.
    pub fn last_sequence(&self) -> Sequence {
        Self::sequence(self.state().records)
    }

    /// The open shards, as they truly are, in order of their ranges.
    pub fn open_shards(&self) -> Vec<Shard> {
        self.state().maps.last().cloned().unwrap_or_default()
    }

    /// The shards that are listed, closed ones with records too, in order of their ids, without faults.
    pub fn listed(&self) -> Vec<Shard> {
        self.state().listed()
    }

    /// Every shard that there ever was, in order of their ids.
    pub fn all_shards(&self) -> Vec<Shard> {
        self.state().shards.iter().map(|held| held.shard.clone()).collect()
    }
}

impl State {
    fn listed(&self) -> Vec<Shard> {
        self.shards.iter().filter(|held| held.is_listed).map(|held| held.shard.clone()).collect()
    }

    fn open(&mut self, range: BucketRange, parents: &[&str]) {
        let id = format!("shard-{:012}", self.shards.len());
        let parents = parents.iter().map(|id| (*id).to_owned()).collect();
        self.shards.push(Held { shard: Shard { id, range, parents }, records: Vec::new(), is_open: true, is_listed: true });
    }

    fn close(&mut self, id: &str) {
        self.shards.iter_mut().filter(|held| held.shard.id == id).for_each(|held| held.is_open = false);
    }

    fn range_of_open(&self, id: &str) -> Option<BucketRange> {
        self.shards.iter().find(|held| held.is_open && held.shard.id == id).map(|held| held.shard.range)
    }

    fn note_map(&mut self) {
        let mut map: Vec<Shard> = self.shards.iter().filter(|held| held.is_open).map(|held| held.shard.clone()).collect();
        map.sort_by_key(|shard| shard.range.first);
        self.maps.push(map);
    }

    fn push(&mut self, bucket: Bucket, bytes: bytes::Bytes) {
        self.records += 1;
        let record = Record { sequence: SimStream::sequence(self.records), arrival_nanos: self.now_nanos, bytes };
        let owner = self.shards.iter_mut().find(|held| held.is_open && held.shard.range.contains(bucket));
        if let Some(owner) = owner {
            owner.records.push(record);
        }
    }

    /// Whether a read fails.
    fn fails(&mut self) -> Result<(), StreamError> {
        let percent = self.fault_percent;
        if self.rng.chance(percent) { Err(StreamError { what: "simulated fault".to_owned() }) } else { Ok(()) }
    }
}

impl EventStream for SimStream {
    fn shards(&self) -> Vec<Shard> {
        let mut state = self.state();
        let percent = state.stale_percent;
        let newest = state.maps.len() - 1;
        let at = if state.rng.chance(percent) { state.rng.index(newest + 1) } else { newest };
        state.maps.get(at).cloned().unwrap_or_default()
    }

    async fn list(&self) -> Result<Vec<Shard>, StreamError> {
        yield_once().await;
        let mut state = self.state();
        state.fails()?;
        Ok(state.listed())
    }

    async fn append(&self, records: Vec<NewRecord>) -> Vec<Result<(), AppendError>> {
        let mut results = Vec::with_capacity(records.len());
        for record in records {
            yield_once().await;
            let mut state = self.state();
            let percent = state.fault_percent;
            if !state.rng.chance(percent) {
                state.push(record.bucket, record.bytes);
                results.push(Ok(()));
            } else if state.rng.chance(50) {
                results.push(Err(AppendError::Throttled { retry_after_ms: 1_000 }));
            } else {
                state.push(record.bucket, record.bytes);
                results.push(Err(AppendError::Unavailable { what: "simulated lost reply".to_owned() }));
            }
        }
        results
    }

    async fn read(&self, shard: &str, after: Sequence, records_max: usize, _bytes_max: usize) -> Result<Slice, StreamError> {
        yield_once().await;
        let mut state = self.state();
        state.fails()?;
        let Some(held) = state.shards.iter().find(|held| held.shard.id == shard) else {
            return Ok(Slice { records: Vec::new(), is_end: true });
        };
        let behind = |record: &&Record| record.sequence > after;
        let records: Vec<Record> = held.records.iter().filter(behind).take(records_max).cloned().collect();
        let is_end = !held.is_open
            && held.records.last().is_none_or(|last| records.last().map_or(after, |read| read.sequence) >= last.sequence);
        Ok(Slice { records, is_end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block_on, event_stream_contract};

    #[test]
    fn it_is_a_stream_as_the_contract_says() {
        for shards in [1, 3] {
            block_on(event_stream_contract(&SimStream::new(1, shards, 0)));
        }
    }
}
