//! Logical buckets: the unit of ownership on the stream. A trace id maps to one of 4,096 for ever; shards own ranges
//! of them, so that a split or merge of shards never cuts a bucket.

use xxhash_rust::xxh3::xxh3_64;

use crate::{BatchId, TraceId};

/// The number of buckets.
pub const BUCKETS: u16 = 4096;

/// A logical bucket, below [`BUCKETS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Bucket(u16);

impl Bucket {
    /// The bucket of this number; `None` from [`BUCKETS`] on.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (number < BUCKETS).then_some(Self(number))
    }

    /// The home of a trace. Stable: stored data depends on it.
    #[must_use]
    pub fn of_trace(id: &TraceId) -> Self {
        Self::of_hash(xxh3_64(&id.0))
    }

    /// Where the items of a request go that have no trace id: together.
    #[must_use]
    pub fn of_batch(id: &BatchId) -> Self {
        Self::of_hash(xxh3_64(&id.0))
    }

    /// A salted bucket for what of a trace spills out of its home: `spill` counts from 1 within a request.
    #[must_use]
    pub fn of_spill(id: &TraceId, spill: u32) -> Self {
        let mut salted = [0_u8; 20];
        let (head, tail) = salted.split_at_mut(16);
        head.copy_from_slice(&id.0);
        tail.copy_from_slice(&spill.to_le_bytes());
        Self::of_hash(xxh3_64(&salted))
    }

    fn of_hash(hash: u64) -> Self {
        // The top 12 bits, so that buckets are slices of the hash's range, as shards are.
        Self(u16::try_from(hash >> 52).unwrap_or(0))
    }

    /// The bucket's number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Kinesis' `ExplicitHashKey` for the bucket: the middle of its slice of the 128-bit range.
    #[must_use]
    pub fn hash_key(self) -> u128 {
        (u128::from(self.0) << 116) + (1 << 115)
    }
}

/// Neighbouring buckets, both ends included: what a shard owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketRange {
    /// The first bucket's number.
    pub first: u16,
    /// The last bucket's number.
    pub last: u16,
}

impl BucketRange {
    /// All buckets.
    pub const ALL: Self = Self { first: 0, last: BUCKETS - 1 };

    /// Whether the bucket is one of these.
    #[must_use]
    pub const fn contains(self, bucket: Bucket) -> bool {
        self.first <= bucket.0 && bucket.0 <= self.last
    }

    /// `shards` ranges of nearly equal size that cover all buckets, in order. `shards` is taken as at least 1 and at
    /// most [`BUCKETS`].
    #[must_use]
    pub fn even(shards: u16) -> Vec<Self> {
        let shards = u32::from(shards.clamp(1, BUCKETS));
        let edge = |n: u32| u16::try_from(n * u32::from(BUCKETS) / shards).unwrap_or(BUCKETS);
        (0..shards).map(|n| Self { first: edge(n), last: edge(n + 1) - 1 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_ranges_cover_every_bucket_once() {
        for shards in [1, 2, 3, 5, 4095, 4096, 9999] {
            let ranges = BucketRange::even(shards);
            let mut next = 0;
            for range in &ranges {
                assert_eq!(range.first, next);
                next = range.last + 1;
            }
            assert_eq!(next, BUCKETS);
        }
    }

    #[test]
    fn a_trace_keeps_its_bucket_for_ever() {
        let id = TraceId([7; 16]);
        assert_eq!(Bucket::of_trace(&id).number(), 4072);
        assert_eq!(Bucket::of_spill(&id, 1), Bucket::of_spill(&id, 1));
        assert_ne!(Bucket::of_spill(&id, 1), Bucket::of_spill(&id, 2));
    }

    #[test]
    fn a_hash_key_lies_in_the_middle_of_its_slice() {
        let last = Bucket(BUCKETS - 1);
        assert_eq!(last.hash_key() >> 116, 4095);
        assert_eq!(last.hash_key() & ((1 << 116) - 1), 1 << 115);
    }
}
