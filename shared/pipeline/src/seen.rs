//! What was already taken from the stream: the (batch id, bucket, part) of every record, for 15 minutes after its last
//! copy, and around a split or merge for as long as a misplaced copy may come.
//!
//! One request makes several records, and a retry may cut them over other shards; so the part is the unit, never the
//! batch id alone. In memory stands only the first half of each batch id, per stored object; a match is confirmed
//! against the object itself. Nothing here is lost with the memory: it is rebuilt from the manifest's objects.

use std::collections::{BTreeMap, HashMap};

use spanlake_model::{BatchId, Bucket};

use crate::codec::{Damaged, Put, Take};
use crate::envelope::Part;

/// A record that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenRecord {
    pub(crate) batch_id: BatchId,
    /// When it is forgotten, by the shard's clock.
    pub(crate) until: i64,
    pub(crate) parts: Vec<Part>,
}

/// Encodes records for the block of an object.
pub(crate) fn encode(records: &[SeenRecord]) -> Vec<u8> {
    let mut out = Vec::with_capacity(records.len() * 64);
    out.varint(records.len() as u64);
    for record in records {
        out.extend_from_slice(&record.batch_id.0);
        out.zigzag(record.until);
        out.varint(record.parts.len() as u64);
        for part in &record.parts {
            // Most parts are number 0 of a bucket and no overflow: two bytes.
            let head = u64::from(part.bucket.number()) << 2 | u64::from(part.overflow) << 1 | u64::from(part.part > 0);
            out.varint(head);
            if part.part > 0 {
                out.varint(u64::from(part.part));
            }
        }
    }
    out
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<SeenRecord>, Damaged> {
    let mut take = Take::new(bytes);
    let count = take.count(18)?;
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let batch_id = BatchId(take.array()?);
        let until = take.zigzag()?;
        let count = take.count(1)?;
        let mut parts = Vec::with_capacity(count);
        for _ in 0..count {
            let head = take.varint()?;
            let bucket = u16::try_from(head >> 2).ok().and_then(Bucket::new).ok_or(Damaged("unknown bucket"))?;
            let part = if head & 1 == 1 { take.u16()? } else { 0 };
            parts.push(Part { bucket, part, overflow: head & 2 == 2 });
        }
        records.push(SeenRecord { batch_id, until, parts });
    }
    Ok(records)
}

/// The prefixes of the batch ids of one stored object: a cache, keyed by a name that fixes the content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefixes(Vec<u64>);

impl Prefixes {
    pub(crate) fn of(records: &[SeenRecord]) -> Self {
        let mut prefixes: Vec<u64> = records.iter().map(|record| prefix(&record.batch_id)).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        Self(prefixes)
    }

    pub(crate) fn may_contain(&self, id: &BatchId) -> bool {
        self.0.binary_search(&prefix(id)).is_ok()
    }
}

fn prefix(id: &BatchId) -> u64 {
    let mut head = [0_u8; 8];
    head.iter_mut().zip(id.0).for_each(|(to, from)| *to = from);
    u64::from_le_bytes(head)
}

/// The parts known for some batch ids, with the moment until which each is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    parts: HashMap<BatchId, BTreeMap<Part, i64>>,
}

impl Known {
    /// Notes a record, as the newest copy of its parts if it is.
    pub(crate) fn note(&mut self, record: &SeenRecord) {
        let parts = self.parts.entry(record.batch_id).or_default();
        for part in &record.parts {
            let until = parts.entry(*part).or_insert(record.until);
            *until = (*until).max(record.until);
        }
    }

    /// Whether a part of a record that arrives at `arrival` was already taken.
    pub(crate) fn has(&self, batch_id: &BatchId, part: Part, arrival: i64) -> bool {
        self.parts.get(batch_id).and_then(|known| known.get(&part)).is_some_and(|until| *until > arrival)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(bucket: u16, part: u16) -> Part {
        Part { bucket: Bucket::new(bucket).unwrap(), part, overflow: part == 3 }
    }

    #[test]
    fn a_part_is_seen_only_under_its_own_batch_id_and_within_the_horizon() {
        let record = SeenRecord { batch_id: BatchId([1; 16]), until: 100, parts: vec![part(5, 0), part(6, 3)] };
        let mut known = Known::default();
        known.note(&decode(&encode(&[record])).unwrap()[0]);
        let seen = |id, arrival| [part(5, 0), part(6, 3), part(6, 0)].map(|part| known.has(&BatchId([id; 16]), part, arrival));
        assert_eq!(seen(1, 99), [true, true, false]);
        assert_eq!(seen(1, 100), [false; 3]);
        assert_eq!(seen(2, 0), [false; 3]);
    }

    #[test]
    fn a_newer_copy_renews_a_part() {
        let mut known = Known::default();
        for until in [100, 500, 300] {
            known.note(&SeenRecord { batch_id: BatchId([1; 16]), until, parts: vec![part(5, 0)] });
        }
        assert!(known.has(&BatchId([1; 16]), part(5, 0), 499));
    }

    #[test]
    fn prefixes_find_every_id_of_their_object() {
        let records: Vec<_> = (0..50_u8).map(|n| SeenRecord { batch_id: BatchId([n; 16]), until: 0, parts: vec![] }).collect();
        let prefixes = Prefixes::of(&records);
        assert!(records.iter().all(|record| prefixes.may_contain(&record.batch_id)));
        assert!(!prefixes.may_contain(&BatchId([99; 16])));
    }
}
