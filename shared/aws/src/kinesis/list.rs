//! Which shards there are, and which buckets each owns.

use aws_sdk_kinesis::types::{Shard as KinesisShard, ShardFilter, ShardFilterType};
use spanlake_model::{BUCKETS, Bucket, BucketRange};
use spanlake_pipeline::ports::{Shard, StreamError};

use super::KinesisStream;

/// Pages of a listing that are asked for at most: 10,000 shards each.
const PAGES_MAX: usize = 100;

/// Which shards are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that take records.
    Open,
    /// Closed ones too, for as long as what they hold can be read.
    All,
}

/// A shard as Kinesis describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedShard {
    pub(super) id: String,
    /// The first and the last hash key.
    pub(super) hashes: (u128, u128),
    pub(super) parents: Vec<String>,
}

impl ListedShard {
    fn read(shard: KinesisShard) -> Option<Self> {
        let range = shard.hash_key_range?;
        let hashes = (range.starting_hash_key.parse().ok()?, range.ending_hash_key.parse().ok()?);
        let parents = [shard.parent_shard_id, shard.adjacent_parent_shard_id].into_iter().flatten().collect();
        Some(Self { id: shard.shard_id, hashes, parents })
    }

    /// The shard by buckets; `None` if it is so narrow that it owns none, so that no record ever goes there.
    pub(super) fn into_shard(self) -> Option<Shard> {
        let range = buckets_of(self.hashes)?;
        Some(Shard { id: self.id, range, parents: self.parents })
    }
}

/// The buckets whose hash keys lie in a range, both ends included.
fn buckets_of((first, last): (u128, u128)) -> Option<BucketRange> {
    let key = |number: u16| Bucket::new(number).map_or(u128::MAX, Bucket::hash_key);
    // The bucket whose slice the end lies in, or its neighbour, as the middle of the slice says.
    let slice = |hash: u128| u16::try_from(hash >> 116).unwrap_or(BUCKETS - 1);
    let from = if key(slice(first)) >= first { slice(first) } else { slice(first) + 1 };
    let to = if key(slice(last)) <= last { slice(last) } else { slice(last).checked_sub(1)? };
    (from <= to && to < BUCKETS).then_some(BucketRange { first: from, last: to })
}

impl KinesisStream {
    /// Lists shards.
    pub(super) async fn list_shards(&self, which: Which) -> Result<Vec<ListedShard>, StreamError> {
        let failed = |what: String| StreamError { what: format!("listing the shards of {}: {what}", self.name) };
        let filter =
            ShardFilter::builder().r#type(ShardFilterType::AtLatest).build().map_err(|error| failed(error.to_string()))?;
        let filter = (which == Which::Open).then_some(filter);
        let (mut shards, mut token) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let call = self.client.list_shards();
            // A further page is named by its token alone.
            let call = match token {
                Some(token) => call.next_token(token),
                None => call.stream_name(&self.name).set_shard_filter(filter.clone()),
            };
            let page = call.send().await.map_err(|error| failed(super::put::said(&error)))?;
            let is_open = |shard: &KinesisShard| {
                shard.sequence_number_range.as_ref().is_none_or(|range| range.ending_sequence_number.is_none())
            };
            for shard in page.shards.unwrap_or_default() {
                if which == Which::Open && !is_open(&shard) {
                    continue;
                }
                let id = shard.shard_id.clone();
                shards.push(ListedShard::read(shard).ok_or_else(|| failed(format!("{id} has no range of hash keys")))?);
            }
            token = page.next_token;
            if token.is_none() {
                return Ok(shards);
            }
        }
        Err(failed(format!("there are more than {PAGES_MAX} pages")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: u128 = 1 << 116;

    #[test]
    fn a_split_anywhere_gives_every_bucket_one_owner() {
        let ends = [1, SLICE / 2, SLICE / 2 + 1, SLICE - 1, SLICE, 7 * SLICE + 5, u128::MAX / 3, u128::MAX - 1, u128::MAX];
        for end in ends {
            let (low, high) = (buckets_of((0, end - 1)), buckets_of((end, u128::MAX)));
            let below = low.map_or(0, |range| range.last + 1);
            let above = high.map_or(BUCKETS, |range| range.first);
            assert_eq!(below, above, "split at {end}");
            for number in [below.saturating_sub(1), below.min(BUCKETS - 1)] {
                let bucket = Bucket::new(number).unwrap();
                assert_eq!(bucket.hash_key() >= end, high.is_some_and(|range| range.contains(bucket)), "{number} of {end}");
            }
        }
        assert_eq!(buckets_of((0, u128::MAX)), Some(BucketRange::ALL));
    }

    #[test]
    fn a_shard_between_two_keys_owns_nothing() {
        assert_eq!(buckets_of((SLICE / 2 + 1, SLICE + SLICE / 2 - 1)), None);
        assert_eq!(buckets_of((0, 1)), None);
        assert_eq!(buckets_of((u128::MAX - 1, u128::MAX)), None);
    }
}
