//! Reading what a close needs, front to back: staged batches and recorded decisions, a segment of each at a time, so
//! that memory grows neither with the window nor with the horizon.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::versions::Version;
use crate::codec::Damaged;
use crate::decided::{Decided, DecidedIndex, Reason};
use crate::fetch::{Ahead, FetchError, get_tail};
use crate::manifest::{DecisionsRef, Staged};
use crate::ports::ObjectStore;
use crate::red::{RedCell, RedKey};
use crate::seen::SeenRecord;
use crate::staged::{Key, Row, StagedContext, StagedIndex, StagedRecord};

/// Bytes of a staged batch that are read at a time: some segments.
const STAGED_STEP_BYTES: u64 = 256 << 10;
/// The same of all batches that are read at once: where they are many, each is read in smaller steps.
const STAGED_STEPS_BYTES: u64 = 8 << 20;
/// The end of a staged batch: mostly its index and the blocks behind its segments.
const STAGED_TAIL_BYTES: u64 = 64 << 10;
/// Bytes of recorded decisions that are read at a time.
const DECIDED_STEP_BYTES: u64 = 64 << 10;
/// Recorded decisions of no more bytes are read once and held.
const DECIDED_HELD_BYTES: u64 = 8 << 10;

/// A segment of a staged batch: rows at once, bodies when one is wanted.
pub(super) struct LazySegment {
    pub(super) rows: Vec<Row>,
    /// Its bodies as they are stored.
    stored: Bytes,
    number: usize,
    bodies: OnceLock<Vec<u8>>,
}

impl LazySegment {
    /// The bytes of an item. Empty before [`StagedReader::load_bodies`].
    pub(super) fn body(&self, row: &Row) -> &[u8] {
        let start = row.body.0 as usize;
        self.bodies.get().and_then(|bodies| bodies.get(start..start + row.body.1 as usize)).unwrap_or_default()
    }
}

/// A staged batch, read in order of its keys.
pub(super) struct StagedReader {
    /// Its place among the manifest's batches.
    pub(super) object: usize,
    ahead: Ahead,
    /// Rows that arrived before this are dealt with, but for traces that wait.
    pub(super) mark: i64,
    /// The buckets that are read: of a parent's batch, those that the shard took over.
    range: Option<[u16; 2]>,
    index: StagedIndex,
    /// The numbers of the rules that its records name.
    pub(super) versions: Vec<Version>,
    /// The blocks behind the segments.
    rest: Bytes,
    pub(super) contexts: Vec<StagedContext>,
    next: usize,
    segment: Option<Arc<LazySegment>>,
    at: usize,
}

impl StagedReader {
    /// Opens a staged batch behind `after`, which was done before. `object` is its place among the batches, and `open` how many
    /// are read at once.
    pub(super) async fn open<S: ObjectStore>(
        store: &S,
        (object, open): (usize, usize),
        staged: &Staged,
        mark: i64,
        after: Option<Key>,
    ) -> Result<Self, FetchError> {
        let damaged = |damaged: Damaged| damaged.of(&staged.key);
        let sizes = (staged.bytes, staged.index_bytes.max(STAGED_TAIL_BYTES));
        let step_bytes = STAGED_STEP_BYTES.min(STAGED_STEPS_BYTES / open.max(1) as u64);
        let (mut ahead, tail) = Ahead::open(store, &staged.key, sizes, step_bytes).await?;
        let index = StagedIndex::read(&tail).map_err(damaged)?;
        // A copy: it is needed until the end, the segments that were read with it are not.
        let rest = Bytes::copy_from_slice(&ahead.get(store, index.rest_range().map_err(damaged)?).await?);
        let contexts = index.contexts(&rest).map_err(damaged)?;
        let range = staged.inherited.as_ref().map(|inherited| inherited.range);
        let first = range.map_or(0, |[first, _]| first);
        let is_skipped = |key: &Key| key.bucket < first || after.is_some_and(|after| *key <= after);
        let next = index.segments.partition_point(|(_, last)| is_skipped(last));
        let (versions, segment, at) = (Vec::new(), None, 0);
        let mut reader = Self { object, ahead, mark, range, index, versions, rest, contexts, next, segment, at };
        reader.advance_segment(store).await?;
        while let Some(key) = reader.peek().filter(is_skipped) {
            reader.step(store, key, |_, _, _| {}).await?;
        }
        Ok(reader)
    }

    /// Whether a parent staged it.
    pub(super) const fn is_inherited(&self) -> bool {
        self.range.is_some()
    }

    pub(super) fn record(&self, row: &Row) -> Option<&StagedRecord> {
        self.index.records.get(row.record as usize)
    }

    /// The version at a place in the list of those that its records name.
    pub(super) fn version(&self, place: u32) -> Option<Version> {
        self.versions.get(place as usize).copied()
    }

    /// The versions of all rules that any of its records were taken under.
    pub(super) fn all_rules(&self) -> impl Iterator<Item = &str> {
        self.index.rules.iter().map(String::as_str)
    }

    pub(super) fn red(&self) -> Result<Vec<(RedKey, RedCell)>, FetchError> {
        self.index.red(&self.rest).map_err(|damaged| damaged.of(self.ahead.key()))
    }

    pub(super) fn seen(&self) -> Result<Vec<SeenRecord>, FetchError> {
        self.index.seen(&self.rest).map_err(|damaged| damaged.of(self.ahead.key()))
    }

    /// Inflates a segment's bodies, unless they are there.
    pub(super) fn load_bodies(&self, segment: &LazySegment) -> Result<(), FetchError> {
        if segment.bodies.get().is_none() {
            let bodies = self.index.bodies(segment.number, &segment.stored).map_err(|damaged| damaged.of(self.ahead.key()))?;
            segment.bodies.get_or_init(|| bodies);
        }
        Ok(())
    }

    /// The key of the next row.
    pub(super) fn peek(&self) -> Option<Key> {
        let key = self.segment.as_ref().and_then(|segment| segment.rows.get(self.at)).map(|row| row.key);
        key.filter(|key| self.range.is_none_or(|[_, last]| key.bucket <= last))
    }

    /// Calls `each` with the segment and the place of every next row of a key that lies in one segment, and steps over them. What
    /// else there is of the key is the next segment's.
    pub(super) async fn step<S: ObjectStore>(
        &mut self,
        store: &S,
        key: Key,
        mut each: impl FnMut(&Self, &Arc<LazySegment>, usize),
    ) -> Result<(), FetchError> {
        let Some(segment) = self.segment.clone() else { return Ok(()) };
        let rest = segment.rows.get(self.at..).unwrap_or_default();
        let end = self.at + rest.iter().take_while(|row| row.key == key).count();
        for at in self.at..end {
            each(self, &segment, at);
        }
        self.at = end;
        if self.at >= segment.rows.len() {
            self.advance_segment(store).await?;
        }
        Ok(())
    }

    async fn advance_segment<S: ObjectStore>(&mut self, store: &S) -> Result<(), FetchError> {
        self.at = 0;
        self.segment = None;
        if self.next < self.index.segments.len() {
            let number = self.next;
            let ranges = self.index.facts_range(number).and_then(|facts| Ok((facts, self.index.bodies_range(number)?)));
            let (facts, bodies) = ranges.map_err(|damaged| damaged.of(self.ahead.key()))?;
            let facts_bytes = usize::try_from(facts.end - facts.start).unwrap_or(usize::MAX);
            let mut bytes = self.ahead.get(store, facts.start..bodies.end).await?;
            let stored = bytes.split_off(facts_bytes.min(bytes.len()));
            let rows = self.index.rows(number, &bytes).map_err(|damaged| damaged.of(self.ahead.key()))?;
            self.segment = Some(Arc::new(LazySegment { rows, stored, number, bodies: OnceLock::new() }));
            self.next += 1;
        }
        Ok(())
    }
}

/// The index of a staged batch.
pub(crate) async fn staged_index<S: ObjectStore>(store: &S, staged: &Staged) -> Result<StagedIndex, FetchError> {
    let tail = get_tail(store, &staged.key, staged.bytes, staged.index_bytes).await?;
    StagedIndex::read(&tail).map_err(|damaged| damaged.of(&staged.key))
}

/// Recorded decisions of one close, or of a part of one, asked for ascending keys. Hundreds are within the late horizon, and
/// parts of a close follow each other: what is not at the key that is asked for holds no rows.
pub(super) struct DecidedReader {
    ahead: Ahead,
    index: DecidedIndex,
    /// The object's size.
    bytes: u64,
    /// The first key, once it is known.
    begins: Option<Key>,
    rows: Vec<Decided>,
    next: usize,
    at: usize,
}

impl DecidedReader {
    pub(super) async fn open<S: ObjectStore>(store: &S, decisions: &DecisionsRef) -> Result<Self, FetchError> {
        let sizes = (decisions.bytes, decisions.index_bytes);
        let (ahead, tail) = Ahead::open(store, &decisions.key, sizes, DECIDED_STEP_BYTES).await?;
        let index = DecidedIndex::read(&tail).map_err(|damaged| damaged.of(&decisions.key))?;
        let bytes = decisions.bytes;
        let mut reader = Self { ahead, index, bytes, begins: None, rows: Vec::new(), next: 0, at: 0 };
        reader.release();
        Ok(reader)
    }

    /// Start and end of the window whose close decided these.
    pub(super) const fn window(&self) -> [i64; 2] {
        [self.index.start, self.index.end]
    }

    /// The decision on `key`, if this close made one. Keys must not descend from call to call.
    pub(super) async fn find<S: ObjectStore>(
        &mut self,
        store: &S,
        key: Key,
    ) -> Result<Option<(&Decided, &Arc<Reason>)>, FetchError> {
        if self.begins.is_some_and(|begins| key < begins) {
            return Ok(None);
        }
        let behind = self.rows.last().is_none_or(|last| last.key < key);
        if behind {
            let first = self.index.lasts.partition_point(|last| *last < key);
            if first < self.next || first >= self.index.lasts.len() {
                self.release();
                return Ok(None);
            }
            let range = self.index.range(first).map_err(|damaged| damaged.of(self.ahead.key()))?;
            let at = range.start;
            let bytes = self.ahead.get(store, range).await?;
            self.rows = self.index.rows(first, &bytes, at).map_err(|damaged| damaged.of(self.ahead.key()))?;
            if first == 0 && self.begins.is_none() {
                self.begins = self.rows.first().map(|row| row.key);
                if self.begins.is_none_or(|begins| key < begins) {
                    self.release();
                    return Ok(None);
                }
            }
            (self.next, self.at) = (first + 1, 0);
        }
        let ahead = self.rows.get(self.at..).unwrap_or_default();
        self.at += ahead.iter().take_while(|row| row.key < key).count();
        let found = self.rows.get(self.at).filter(|row| row.key == key);
        Ok(found.and_then(|row| Some((row, self.index.reasons.get(row.reason as usize)?))))
    }

    /// Holds no rows until a key needs some again.
    fn release(&mut self) {
        self.rows = Vec::new();
        if self.bytes > DECIDED_HELD_BYTES {
            self.ahead.release();
        }
    }
}
