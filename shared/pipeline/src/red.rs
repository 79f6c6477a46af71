//! Request, error and duration figures, taken from every span before sampling, and additive: rows of the same key are
//! summed by whoever reads them, so that it never matters how records were cut into batches.

use std::collections::HashMap;

use spanlake_table::{RED_BOUNDS_NANO, RED_BUCKETS};
use xxhash_rust::xxh3::xxh3_128;

use crate::codec::{Damaged, Put, Take};

/// The name under which keys beyond the limit are counted.
pub const OTHER: &str = "__other__";

/// What figures are kept by. For edges, `service` is the caller and `operation` the callee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedKey {
    /// The start of the window in which the spans arrived.
    pub(crate) window: i64,
    /// The start of the minute in which they arrived.
    pub(crate) minute: i64,
    pub(crate) service: String,
    pub(crate) environment: String,
    pub(crate) operation: String,
    /// OTLP `SpanKind`.
    pub(crate) kind: u8,
    /// OTLP `StatusCode`.
    pub(crate) status: u8,
}

/// The figures of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedCell {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) duration_sum: u64,
    pub(crate) duration_min: u64,
    pub(crate) duration_max: u64,
    pub(crate) buckets: [u64; RED_BUCKETS],
}

impl Default for RedCell {
    fn default() -> Self {
        Self { requests: 0, errors: 0, duration_sum: 0, duration_min: u64::MAX, duration_max: 0, buckets: [0; RED_BUCKETS] }
    }
}

impl RedCell {
    pub(crate) fn count(&mut self, is_error: bool, duration_nanos: u64) {
        self.requests += 1;
        self.errors += u64::from(is_error);
        self.duration_sum = self.duration_sum.saturating_add(duration_nanos);
        self.duration_min = self.duration_min.min(duration_nanos);
        self.duration_max = self.duration_max.max(duration_nanos);
        let bucket = RED_BOUNDS_NANO.partition_point(|bound| bound.cast_unsigned() < duration_nanos);
        if let Some(counter) = self.buckets.get_mut(bucket) {
            *counter += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.duration_sum = self.duration_sum.saturating_add(other.duration_sum);
        self.duration_min = self.duration_min.min(other.duration_min);
        self.duration_max = self.duration_max.max(other.duration_max);
        self.buckets.iter_mut().zip(other.buckets).for_each(|(to, from)| *to += from);
    }
}

/// The parts of a key, borrowed, to count under without allocating.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RedName<'a> {
    pub(crate) window: i64,
    pub(crate) minute: i64,
    pub(crate) service: &'a str,
    pub(crate) environment: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) kind: u8,
    pub(crate) status: u8,
}

impl RedName<'_> {
    /// A hash of all parts. `room` is reused: hashing one text costs a fourth of hashing eight pieces.
    fn hash(&self, room: &mut Vec<u8>) -> u128 {
        room.clear();
        for text in [self.service, self.environment, self.operation] {
            room.extend_from_slice(&(text.len() as u64).to_le_bytes());
            room.extend_from_slice(text.as_bytes());
        }
        room.extend_from_slice(&self.window.to_le_bytes());
        room.extend_from_slice(&self.minute.to_le_bytes());
        room.extend_from_slice(&[self.kind, self.status]);
        xxh3_128(room)
    }

    fn to_key(self) -> RedKey {
        RedKey {
            window: self.window,
            minute: self.minute,
            service: self.service.to_owned(),
            environment: self.environment.to_owned(),
            operation: self.operation.to_owned(),
            kind: self.kind,
            status: self.status,
        }
    }

    /// Where a key beyond the limit is counted: what is few stays.
    fn other(self) -> Self {
        Self { service: OTHER, environment: "", operation: OTHER, ..self }
    }
}

/// Figures by key, in order of the keys' first appearance, with at most `keys_max` named keys a window.
#[derive(Clone, Debug)]
pub(crate) struct RedTable {
    rows: Vec<(RedKey, RedCell)>,
    index: HashMap<u128, usize>,
    named: HashMap<i64, usize>,
    keys_max: usize,
    room: Vec<u8>,
}

impl RedTable {
    pub(crate) fn new(keys_max: usize) -> Self {
        Self { rows: Vec::new(), index: HashMap::new(), named: HashMap::new(), keys_max, room: Vec::new() }
    }

    /// Without a limit, for a batch: whether a key is among the window's first is not known before all are merged.
    pub(crate) fn unlimited() -> Self {
        Self::new(usize::MAX)
    }

    /// The figures to count under. A key beyond the limit shares those of `__other__`.
    pub(crate) fn cell(&mut self, name: RedName<'_>) -> &mut RedCell {
        let hash = name.hash(&mut self.room);
        let at = match self.index.get(&hash) {
            Some(at) => *at,
            None => self.add(name, hash),
        };
        #[expect(
            clippy::indexing_slicing,
            reason = "`at` is an index of `rows`: it was stored with the row, which is never removed"
        )]
        &mut self.rows[at].1
    }

    /// The place of a key that is not there yet; that of `__other__` if there is no room for one.
    fn add(&mut self, mut name: RedName<'_>, mut hash: u128) -> usize {
        if name.service != OTHER {
            let named = self.named.entry(name.window).or_default();
            if *named >= self.keys_max {
                name = name.other();
                hash = name.hash(&mut self.room);
            } else {
                *named += 1;
            }
        }
        let next = self.rows.len();
        let at = *self.index.entry(hash).or_insert(next);
        if at == next {
            self.rows.push((name.to_key(), RedCell::default()));
        }
        at
    }

    pub(crate) fn merge(&mut self, key: &RedKey, cell: &RedCell) {
        let RedKey { window, minute, service, environment, operation, kind, status } = key;
        let (window, minute, kind, status) = (*window, *minute, *kind, *status);
        self.cell(RedName { window, minute, service, environment, operation, kind, status }).merge(cell);
    }

    pub(crate) fn rows(&self) -> &[(RedKey, RedCell)] {
        &self.rows
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.varint(self.rows.len() as u64);
        for (key, cell) in &self.rows {
            out.zigzag(key.window);
            out.zigzag(key.minute);
            out.bytes(key.service.as_bytes());
            out.bytes(key.environment.as_bytes());
            out.bytes(key.operation.as_bytes());
            out.extend_from_slice(&[key.kind, key.status]);
            for number in [cell.requests, cell.errors, cell.duration_sum, cell.duration_min, cell.duration_max] {
                out.varint(number);
            }
            cell.buckets.iter().for_each(|bucket| out.varint(*bucket));
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<(RedKey, RedCell)>, Damaged> {
        let mut take = Take::new(bytes);
        let mut rows = Vec::with_capacity(take.clone().count(12)?);
        for _ in 0..take.count(12)? {
            let key = RedKey {
                window: take.zigzag()?,
                minute: take.zigzag()?,
                service: take.str()?.to_owned(),
                environment: take.str()?.to_owned(),
                operation: take.str()?.to_owned(),
                kind: take.byte()?,
                status: take.byte()?,
            };
            let mut cell = RedCell {
                requests: take.varint()?,
                errors: take.varint()?,
                duration_sum: take.varint()?,
                duration_min: take.varint()?,
                duration_max: take.varint()?,
                buckets: [0; RED_BUCKETS],
            };
            for bucket in &mut cell.buckets {
                *bucket = take.varint()?;
            }
            rows.push((key, cell));
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(service: &str) -> RedName<'_> {
        RedName { window: 10, minute: 0, service, environment: "prod", operation: "GET /", kind: 2, status: 0 }
    }

    #[test]
    fn figures_are_the_same_however_they_were_cut_and_merged() {
        let mut whole = RedTable::new(2);
        let mut merged = RedTable::new(2);
        for part in [&["a", "b", "c"][..], &["c", "d", "a"]] {
            let mut piece = RedTable::unlimited();
            for (number, service) in part.iter().enumerate() {
                whole.cell(name(service)).count(number == 1, 1_000_000 << number);
                piece.cell(name(service)).count(number == 1, 1_000_000 << number);
            }
            let mut bytes = Vec::new();
            piece.encode(&mut bytes);
            for (key, cell) in RedTable::decode(&bytes).unwrap() {
                merged.merge(&key, &cell);
            }
        }
        assert_eq!(whole.rows(), merged.rows());
        assert_eq!(whole.rows().iter().map(|(_, cell)| cell.requests).sum::<u64>(), 6);
        assert_eq!(whole.rows().last().unwrap().0.service, OTHER);
    }
}
