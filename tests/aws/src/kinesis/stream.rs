//! The stream itself: shards that split and merge, records with sequence numbers, and what the lists of shards were.

use bytes::Bytes;
use spanlake_testkit::Rng;

use super::sequence::Sequence;

/// A shard, as it truly is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwinShard {
    /// Its id: `shardId-000000000000` and so on, in order of creation.
    pub id: String,
    /// The first hash key that it owns.
    pub first: u128,
    /// The last hash key that it owns.
    pub last: u128,
    /// The shards that it was split or merged from.
    pub parents: Vec<String>,
    /// Whether it takes records.
    pub is_open: bool,
}

/// A record of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRecord {
    /// Its sequence number: 56 decimal digits.
    pub sequence: String,
    /// When it arrived, Unix nanoseconds; clients are told whole milliseconds.
    pub arrival_nanos: i64,
    /// Its partition key.
    pub partition_key: String,
    /// Its explicit hash key.
    pub hash_key: u128,
    /// Its bytes.
    pub bytes: Bytes,
}

pub(super) struct Shard {
    pub(super) id: String,
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) parents: Vec<String>,
    pub(super) starting: Sequence,
    pub(super) ending: Option<Sequence>,
    /// Which reshard made it, and which closed it.
    opened_by: u64,
    closed_by: Option<u64>,
    is_listed: bool,
    pub(super) records: Vec<(Sequence, HeldRecord)>,
}

impl Shard {
    pub(super) const fn is_open(&self) -> bool {
        self.closed_by.is_none()
    }

    /// Whether it is open in the list after so many reshards.
    pub(super) fn was_open(&self, reshards: u64) -> bool {
        self.opened_by <= reshards && self.closed_by.is_none_or(|closed| closed > reshards)
    }

    /// Whether it is in the list after so many reshards.
    pub(super) const fn was_listed(&self, reshards: u64) -> bool {
        self.opened_by <= reshards && self.is_listed
    }

    fn view(&self) -> TwinShard {
        let (id, parents) = (self.id.clone(), self.parents.clone());
        TwinShard { id, first: self.first, last: self.last, parents, is_open: self.is_open() }
    }
}

pub(super) struct Stream {
    pub(super) name: String,
    pub(super) shards: Vec<Shard>,
    /// How often the stream was split or merged.
    pub(super) reshards: u64,
    pub(super) now_nanos: i64,
    sequence: Sequence,
    gaps: Rng,
}

impl Stream {
    pub(super) fn new(name: &str, shards: u16, seed: u64, now_nanos: i64) -> Self {
        let mut gaps = Rng::new(seed);
        let sequence = Sequence::first(&mut gaps);
        let mut stream = Self { name: name.to_owned(), shards: Vec::new(), reshards: 0, now_nanos, sequence, gaps };
        let count = u128::from(shards.max(1));
        let is_even = u128::MAX % count == count - 1;
        let width = u128::MAX / count + u128::from(is_even && count > 1);
        for number in 0..count {
            let last = if number + 1 == count { u128::MAX } else { (number + 1) * width - 1 };
            stream.open(number * width, last, &[]);
        }
        stream
    }

    pub(super) fn shard(&self, id: &str) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.id == id && shard.is_listed)
    }

    pub(super) fn views(&self) -> Vec<TwinShard> {
        self.shards.iter().map(Shard::view).collect()
    }

    /// The newest sequence number.
    pub(super) const fn newest(&self) -> Sequence {
        self.sequence
    }

    fn open(&mut self, first: u128, last: u128, parents: &[&str]) -> String {
        let id = format!("shardId-{:012}", self.shards.len());
        let parents = parents.iter().map(|id| (*id).to_owned()).collect();
        self.sequence = self.sequence.next(&mut self.gaps);
        let (starting, opened_by) = (self.sequence, self.reshards);
        let (ending, closed_by, records) = (None, None, Vec::new());
        let is_listed = true;
        let shard = Shard { id, first, last, parents, starting, ending, opened_by, closed_by, is_listed, records };
        let id = shard.id.clone();
        self.shards.push(shard);
        id
    }

    fn close(&mut self, id: &str) {
        self.sequence = self.sequence.next(&mut self.gaps);
        let (ending, reshards) = (self.sequence, self.reshards);
        for shard in self.shards.iter_mut().filter(|shard| shard.id == id) {
            (shard.ending, shard.closed_by) = (Some(ending), Some(reshards));
        }
    }

    fn range_of_open(&self, id: &str) -> Option<(u128, u128)> {
        self.shards.iter().find(|shard| shard.is_open() && shard.id == id).map(|shard| (shard.first, shard.last))
    }

    pub(super) fn split(&mut self, id: &str, at: u128) -> Option<[String; 2]> {
        let (first, last) = self.range_of_open(id).filter(|(first, last)| *first < at && at <= *last)?;
        self.reshards += 1;
        self.close(id);
        Some([self.open(first, at - 1, &[id]), self.open(at, last, &[id])])
    }

    pub(super) fn merge(&mut self, one: &str, other: &str) -> Option<String> {
        let (one_range, other_range) = (self.range_of_open(one)?, self.range_of_open(other)?);
        let (low, high) = if one_range < other_range { (one_range, other_range) } else { (other_range, one_range) };
        if low.1.checked_add(1) != Some(high.0) {
            return None;
        }
        self.reshards += 1;
        self.close(one);
        self.close(other);
        Some(self.open(low.0, high.1, &[one, other]))
    }

    pub(super) fn trim(&mut self, id: &str, up_to: Sequence) {
        for shard in self.shards.iter_mut().filter(|shard| shard.id == id) {
            shard.records.retain(|(sequence, _)| *sequence > up_to);
            shard.is_listed = shard.is_open() || !shard.records.is_empty();
        }
    }

    /// Stores a record; answers its shard and sequence number.
    pub(super) fn push(&mut self, hash_key: u128, partition_key: String, bytes: Bytes) -> Option<(String, Sequence)> {
        let sequence = self.sequence.next(&mut self.gaps);
        let arrival_nanos = self.now_nanos;
        let owns = |shard: &&mut Shard| shard.is_open() && (shard.first..=shard.last).contains(&hash_key);
        let shard = self.shards.iter_mut().find(owns)?;
        let record = HeldRecord { sequence: sequence.to_string(), arrival_nanos, partition_key, hash_key, bytes };
        shard.records.push((sequence, record));
        self.sequence = sequence;
        Some((shard.id.clone(), sequence))
    }
}
