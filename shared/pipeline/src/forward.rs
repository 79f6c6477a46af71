//! Misplaced parts: a record that was cut under an older list of shards may hold parts that its shard does not own. They
//! are put on the stream again for their owners, under the same identity, before the batch is committed.
//!
//! A copy is the same record with a range in front that says which parts it is for, so nothing is cut or counted anew,
//! and a copy that is misplaced again is forwarded again.

use bytes::Bytes;
use spanlake_model::{BUCKETS, Bucket, BucketRange};

use crate::codec::Damaged;
use crate::envelope::{Items, forwarded};
use crate::ports::{NewRecord, Record, Shard};

/// Buckets of a record that its shard does not own.
#[derive(Clone, Debug)]
pub(crate) struct Misplaced {
    record: Bytes,
    /// Their numbers, ascending, without those between which the shard's own lie.
    buckets: Vec<u16>,
}

impl Misplaced {
    /// What of a record is below, and what is above the shard's `own` buckets.
    pub(crate) fn of(record: &Record, items: &Items<'_>, own: BucketRange) -> Vec<Self> {
        let is_theirs = |bucket: &Bucket| items.is_for(*bucket) && !own.contains(*bucket);
        let theirs = items.parts.iter().map(|part| part.bucket).filter(is_theirs).map(Bucket::number);
        let (mut below, mut above): (Vec<u16>, Vec<u16>) = theirs.partition(|bucket| *bucket < own.first);
        below.sort_unstable();
        above.sort_unstable();
        let sides = [below, above].into_iter().filter(|side| !side.is_empty());
        sides.map(|buckets| Self { record: record.bytes.clone(), buckets }).collect()
    }

    /// One copy for each shard that owns any of it.
    pub(crate) fn copies(&self, shards: &[Shard]) -> Result<Vec<NewRecord>, Damaged> {
        let (Some(first), Some(last)) = (self.buckets.first(), self.buckets.last()) else { return Ok(Vec::new()) };
        let mut copies = Vec::new();
        for shard in shards {
            let range = BucketRange { first: shard.range.first.max(*first), last: shard.range.last.min(*last) };
            let mut held = self.buckets.iter().filter_map(|bucket| Bucket::new(*bucket));
            if let Some(bucket) = held.find(|bucket| range.contains(*bucket)) {
                copies.push(NewRecord { bucket, bytes: forwarded(&self.record, range)?.into() });
            }
        }
        Ok(copies)
    }
}

/// Whether the shards together own every bucket: only then does a copy reach every owner.
pub(crate) fn covers_all(shards: &[Shard]) -> bool {
    let next = shards.iter().fold(0, |next, shard| if shard.range.first == next { shard.range.last + 1 } else { next });
    next == BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Part;
    use spanlake_model::{BatchId, Signal};

    fn shard(number: usize, first: u16, last: u16) -> Shard {
        Shard { id: format!("shard-{number}"), range: BucketRange { first, last }, parents: Vec::new() }
    }

    #[test]
    fn every_misplaced_part_has_one_copy_at_its_owner_and_no_other_part_has_any() {
        let parts: Vec<Part> =
            [5, 10, 20, 30, 4000].map(|number| Part { bucket: Bucket::new(number).unwrap(), part: 0, overflow: false }).into();
        let items = Items {
            only: Some(BucketRange { first: 6, last: 4095 }),
            signal: Signal::Logs,
            tenant: "",
            cutting_rule: 1,
            batch_id: BatchId::default(),
            received_nanos: 0,
            count: 5,
            part_of_item: vec![0, 1, 2, 3, 4],
            parts,
            payload_bytes: 0,
            dictionary: crate::payload::Dictionary::None,
            payload: &[],
        };
        let mut bytes = Vec::new();
        items.encode(&mut bytes);
        let record = Record { sequence: 1.into(), arrival_nanos: 1, bytes: bytes.into() };
        let shards = [shard(0, 0, 15), shard(1, 16, 4095)];
        assert!(covers_all(&shards) && !covers_all(&shards[1..]) && !covers_all(&shards[..1]));
        let sides = Misplaced::of(&record, &items, BucketRange { first: 20, last: 25 });
        let copies: Vec<NewRecord> = sides.iter().flat_map(|side| side.copies(&shards).unwrap()).collect();
        let mut held = Vec::new();
        for copy in &copies {
            let Ok(crate::envelope::Envelope::Items(items)) = crate::envelope::Envelope::decode(&copy.bytes) else { panic!() };
            held.extend(
                items
                    .parts
                    .iter()
                    .filter(|part| items.is_for(part.bucket))
                    .map(|part| (copy.bucket.number(), part.bucket.number())),
            );
        }
        assert_eq!(held, [(10, 10), (30, 30), (30, 4000)]);
    }
}
