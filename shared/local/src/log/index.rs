//! What the log holds, in memory: where each record is, by shard. Rebuilt from the segments when the log is opened.

use std::collections::{BTreeMap, VecDeque};

use spanlake_model::Sequence;

use super::Damage;
use super::entry::HEADER_BYTES;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) sequence: u64,
    pub(super) arrival_nanos: i64,
    /// Its segment, by first sequence number.
    pub(super) segment: u64,
    /// Where its entry begins in the segment.
    pub(super) offset: u64,
    pub(super) record_bytes: u32,
    /// The record cannot be read: it is handed out without bytes.
    pub(super) damaged: bool,
}

impl Slot {
    pub(super) const fn entry_bytes(&self) -> usize {
        HEADER_BYTES + self.record_bytes as usize
    }
}

/// A segment's size, and the last sequence number of each shard in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Segment {
    pub(super) bytes: u64,
    last: BTreeMap<usize, u64>,
}

impl Segment {
    /// Whether all its records lie at or under their shards' watermarks.
    pub(super) fn consumed(&self, watermarks: &[u64]) -> bool {
        self.last.iter().all(|(shard, last)| watermarks.get(*shard).is_some_and(|watermark| last <= watermark))
    }
}

/// How many single damages are kept for a report; further ones are only counted.
const DAMAGES_KEPT: usize = 100;

/// All records of the log.
#[derive(Debug)]
pub(super) struct Index {
    shards: Vec<VecDeque<Slot>>,
    segments: BTreeMap<u64, Segment>,
    pub(super) bytes: u64,
    pub(super) records: u64,
    pub(super) torn_bytes: u64,
    pub(super) damaged: u64,
    pub(super) damages: Vec<Damage>,
}

impl Index {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            shards: vec![VecDeque::new(); shards],
            segments: BTreeMap::new(),
            bytes: 0,
            records: 0,
            torn_bytes: 0,
            damaged: 0,
            damages: Vec::new(),
        }
    }

    /// Enters a record; its shard must exist.
    pub(super) fn add(&mut self, shard: usize, slot: Slot) {
        let Some(slots) = self.shards.get_mut(shard) else { return };
        slots.push_back(slot);
        self.segments.entry(slot.segment).or_default().last.insert(shard, slot.sequence);
        self.records += 1;
    }

    /// Enters bytes of a segment.
    pub(super) fn grow(&mut self, segment: u64, bytes: u64) {
        self.segments.entry(segment).or_default().bytes += bytes;
        self.bytes += bytes;
    }

    pub(super) fn add_damage(&mut self, damage: Damage) {
        tracing::error!(
            file = %damage.file.display(),
            offset = damage.offset,
            bytes = damage.bytes,
            sequence = damage.sequence,
            "a part of the stream is damaged"
        );
        self.damaged += 1;
        if self.damages.len() < DAMAGES_KEPT {
            self.damages.push(damage);
        }
    }

    /// Marks a record as damaged; answers false if it was marked before, or is gone.
    pub(super) fn mark_damaged(&mut self, shard: usize, sequence: u64) -> bool {
        let Some(slots) = self.shards.get_mut(shard) else { return false };
        let place = slots.partition_point(|slot| slot.sequence < sequence);
        match slots.get_mut(place) {
            Some(slot) if slot.sequence == sequence && !slot.damaged => {
                slot.damaged = true;
                true
            }
            _ => false,
        }
    }

    /// The records of a shard after a sequence number.
    pub(super) fn after(&self, shard: usize, sequence: u64) -> impl ExactSizeIterator<Item = &Slot> {
        static NONE: VecDeque<Slot> = VecDeque::new();
        let slots = self.shards.get(shard).unwrap_or(&NONE);
        slots.range(slots.partition_point(|slot| slot.sequence <= sequence)..)
    }

    pub(super) fn segment(&self, segment: u64) -> Option<&Segment> {
        self.segments.get(&segment)
    }

    /// The segments whose records all lie at or under the watermarks.
    pub(super) fn consumed(&self, watermarks: &[u64]) -> Vec<u64> {
        let consumed = self.segments.iter().filter(|(_, segment)| segment.consumed(watermarks));
        consumed.map(|(first, _)| *first).collect()
    }

    /// Forgets a segment and its records; answers its size.
    pub(super) fn remove(&mut self, segment: u64) -> u64 {
        let Some(gone) = self.segments.remove(&segment) else { return 0 };
        for shard in gone.last.keys() {
            if let Some(slots) = self.shards.get_mut(*shard) {
                let before = slots.len();
                slots.retain(|slot| slot.segment != segment);
                self.records -= (before - slots.len()) as u64;
            }
        }
        self.bytes -= gone.bytes;
        gone.bytes
    }
}

/// Sequence numbers of a log have 64 bits: it gave out none above.
pub(super) fn position(sequence: Sequence) -> u64 {
    sequence.to_u64().unwrap_or(u64::MAX)
}
