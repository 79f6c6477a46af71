//! The stream as one append-only log for all shards: a record is answered when an fsync has made it durable, and many
//! requests share one fsync.
//!
//! Segments are `<first sequence number>.log`. Sequence numbers and arrival stamps never go back, over restarts too. A
//! record that rots on the disk is handed out without bytes, in its place, so that the reader counts it and goes on.

mod entry;
mod folder;
mod index;
mod limits;
mod look;
mod open;
mod scan;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use spanlake_model::{Bucket, BucketRange, Sequence};
use spanlake_pipeline::ports::{AppendError, EventStream, NewRecord, Record, Shard, Slice, StreamError};
use thiserror::Error;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use crate::clock::{Ticks, real_ticks};
use crate::disk::{Disk, DiskFile, is_missing};
use entry::{HEADER_BYTES, Header, Marker, RECORD_BYTES_MAX};
pub use folder::read_shards;
use index::{Index, Slot, position};
pub use limits::ShardLimits;
use limits::Used;
pub use look::{Seen, look};
use writer::{Pending, Writer};

/// What sequence numbers and arrival stamps start above: the highest that the shards' manifests know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    /// The highest watermark.
    pub sequence: u64,
    /// The latest clock, Unix nanoseconds.
    pub arrival_nanos: i64,
}

/// How a log is opened.
#[derive(Clone)]
pub struct LogOptions {
    /// How many shards; fixed when the folder is made.
    pub shards: u16,
    /// What new records start above.
    pub floor: Floor,
    /// The wall clock now, Unix nanoseconds: what arrival stamps start from, unless the log or the floor is later.
    pub wall_nanos: i64,
    /// How time goes on from there.
    pub ticks: Ticks,
    /// What each shard takes; `None` for all that the disk does.
    pub limits: Option<ShardLimits>,
    /// A segment is closed at this size.
    pub segment_bytes: u64,
    /// A segment is closed at this age, so that consumed records, which no rule has masked, really go.
    pub segment_age: Duration,
    /// The log takes no more than this: 503 at the front.
    pub bytes_max: u64,
    /// Nor more records than this: each takes 40 bytes of memory.
    pub records_max: u64,
    /// What may wait for an fsync, in memory: 429 at the front. One call's records always may.
    pub queue_bytes_max: u32,
}

impl LogOptions {
    /// The defaults: Kinesis' limits, segments of 64 MiB and a minute, 2 GiB and a million records, a queue of 16 MiB.
    #[must_use]
    pub fn new(shards: u16, floor: Floor, wall_nanos: i64) -> Self {
        Self {
            shards,
            floor,
            wall_nanos,
            ticks: real_ticks(),
            limits: Some(ShardLimits::KINESIS),
            segment_bytes: 64 << 20,
            segment_age: Duration::from_mins(1),
            bytes_max: 2 << 30,
            records_max: 1_000_000,
            queue_bytes_max: 16 << 20,
        }
    }
}

/// Why a log was not opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The disk failed.
    #[error("cannot open the stream at {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder was made for another number of shards.
    #[error("{} says {made_with} shards, asked for are {asked}: the number is fixed when the folder is made", path.display())]
    ShardCount {
        /// The folder's description.
        path: PathBuf,
        /// What it says.
        made_with: u64,
        /// What was asked for.
        asked: u16,
    },
    /// Another version of this program made the folder.
    #[error("{} has format {found}, which this version does not read", path.display())]
    Format {
        /// The folder's description.
        path: PathBuf,
        /// The format that it names.
        found: u64,
    },
    /// The folder's description is missing or damaged.
    #[error("{} cannot be used: {what}", path.display())]
    Description {
        /// The folder's description.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
}

/// A read that the disk failed.
#[derive(Debug, Error)]
#[error("cannot read the stream at byte {offset} of {}", file.display())]
pub struct ReadError {
    /// The segment's file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What the system said.
    pub source: io::Error,
}

/// A damaged part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment's file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Whose record it was; where even that is lost, the record is handed out by the first shard.
    pub shard: Option<u16>,
    /// Under which sequence number a record without bytes is handed out; `None` if none is missing there.
    pub sequence: Option<u64>,
}

/// What the log found wrong, since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReport {
    /// Bytes of a last write that the power or a kill cut short, and that were cut off: no answer had been given.
    pub torn_bytes: u64,
    /// Damaged parts.
    pub damaged: u64,
    /// The first of them.
    pub damages: Vec<Damage>,
}

/// What a reader has before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How old the oldest is, in nanoseconds of the stream's clock; 0 if there is none.
    pub oldest_age_nanos: i64,
}

/// The log. Dropping it finishes what was appended.
pub struct SegmentLog<D: Disk> {
    shared: Arc<Shared<D>>,
    queue: Option<Sender<Pending>>,
    thread: Option<JoinHandle<()>>,
}

/// When to come again if too much waits for the writer: by then it has written it, or the disk stands still.
const QUEUE_RETRY_MS: u64 = 1_000;

/// What the log's users and its writer share.
struct Shared<D: Disk> {
    disk: D,
    folder: PathBuf,
    marker: Marker,
    options: LogOptions,
    /// What each shard owns, in order.
    ranges: Vec<BucketRange>,
    /// The stream's clock at tick 0, Unix nanoseconds.
    anchor_nanos: i64,
    index: Mutex<Index>,
    writer: Mutex<Writer<D>>,
    used: Mutex<Vec<Used>>,
    /// One permit for each byte that may wait for the writer.
    room: Arc<Semaphore>,
    arrived: Vec<Notify>,
}

impl<D: Disk> Shared<D> {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_nanos(&self) -> i64 {
        let since = i64::try_from((self.options.ticks)().as_nanos()).unwrap_or(i64::MAX);
        self.anchor_nanos.saturating_add(since)
    }

    fn path(&self, segment: u64) -> PathBuf {
        folder::segment_path(&self.folder, segment)
    }

    /// The number of the shard that owns a bucket.
    fn shard_of(&self, bucket: Bucket) -> usize {
        self.ranges.partition_point(|range| range.last < bucket.number())
    }

    /// Checks records before they are queued. Either no shard's limit is passed or none of them is taken: half of a request
    /// would stay on the stream though its client was told to come again.
    fn admit(&self, records: &[NewRecord]) -> Vec<Result<(), AppendError>> {
        let mut results: Vec<_> = records.iter().map(|record| self.check(record)).collect();
        let Some(limits) = self.options.limits else { return results };
        let now = (self.options.ticks)();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut after = used.clone();
        let mut wait_ms = None;
        for (record, _) in records.iter().zip(&results).filter(|(_, result)| result.is_ok()) {
            let shard = after.get_mut(self.shard_of(record.bucket));
            if let Some(Err(over_ms)) = shard.map(|shard| shard.take(limits, now, record.bytes.len())) {
                wait_ms = wait_ms.max(Some(over_ms));
            }
        }
        match wait_ms {
            None => *used = after,
            Some(retry_after_ms) => {
                let throttled = || Err(AppendError::Throttled { retry_after_ms });
                results.iter_mut().filter(|result| result.is_ok()).for_each(|result| *result = throttled());
            }
        }
        results
    }

    /// Room for records among those that wait for the writer, until they are answered.
    fn room(&self, records: &[NewRecord]) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(writer::entries_bytes(records)).unwrap_or(u32::MAX);
        Arc::clone(&self.room).try_acquire_many_owned(bytes.min(self.options.queue_bytes_max)).ok()
    }

    /// What is wrong with one record.
    fn check(&self, record: &NewRecord) -> Result<(), AppendError> {
        let bytes = record.bytes.len();
        if bytes > RECORD_BYTES_MAX {
            return Err(unavailable(format!("a record of {bytes} bytes is over the limit of {RECORD_BYTES_MAX}")));
        }
        if self.shard_of(record.bucket) >= self.ranges.len() {
            return Err(unavailable(format!("no shard owns bucket {}", record.bucket.number())));
        }
        Ok(())
    }
}

fn unavailable(what: String) -> AppendError {
    AppendError::Unavailable { what }
}

impl<D: Disk> SegmentLog<D> {
    /// Opens the log in a folder of its own, which is made if need be. One process at a time.
    pub fn open(disk: D, folder: PathBuf, options: LogOptions) -> Result<Self, OpenError> {
        let mut log = Self::open_to_read(disk, folder, options)?;
        let (queue, waiting) = channel();
        let writers = Arc::clone(&log.shared);
        let failed = |source| OpenError::Io { path: log.shared.folder.clone(), source };
        let thread = std::thread::Builder::new().name("stream".to_owned()).spawn(move || writer::run(&writers, &waiting));
        log.thread = Some(thread.map_err(failed)?);
        log.queue = Some(queue);
        Ok(log)
    }

    /// As [`SegmentLog::open`], without the thread that writes: every append is refused. For checks of many folders.
    pub fn open_to_read(disk: D, folder: PathBuf, options: LogOptions) -> Result<Self, OpenError> {
        let shared = Arc::new(open::open(disk, folder, options)?);
        Ok(Self { shared, queue: None, thread: None })
    }

    /// The stream's clock, Unix nanoseconds: never goes back, and no record has a later stamp.
    #[must_use]
    pub fn now_nanos(&self) -> i64 {
        self.shared.now_nanos()
    }

    /// What was found wrong so far.
    #[must_use]
    pub fn report(&self) -> LogReport {
        let index = self.shared.index();
        LogReport { torn_bytes: index.torn_bytes, damaged: index.damaged, damages: index.damages.clone() }
    }

    /// The bytes that the log takes on the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.index().bytes
    }

    /// What of a shard lies after a sequence number.
    #[must_use]
    pub fn lag(&self, shard: usize, after: Sequence) -> Lag {
        let now = self.now_nanos();
        let index = self.shared.index();
        let mut lag = Lag::default();
        for slot in index.after(shard, position(after)) {
            if lag.records == 0 {
                lag.oldest_age_nanos = now.saturating_sub(slot.arrival_nanos);
            }
            lag.records += 1;
            lag.bytes += u64::from(slot.record_bytes);
        }
        lag
    }

    /// Durable records of a shard after a sequence number, in order: at most `records_max`, and at most `bytes_max` bytes
    /// unless the first alone is longer. A record that cannot be read is there, without bytes. Blocks.
    pub fn read_blocking(
        &self,
        shard: usize,
        after: Sequence,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let mut bytes = 0;
        let mut slots: Vec<Slot> = Vec::new();
        for slot in self.shared.index().after(shard, position(after)).take(records_max) {
            bytes += slot.record_bytes as usize;
            if bytes > bytes_max && !slots.is_empty() {
                break;
            }
            slots.push(*slot);
        }
        let mut records = Vec::with_capacity(slots.len());
        for slots in slots.chunk_by(|one, next| one.segment == next.segment) {
            self.read_segment(shard, slots, &mut records)?;
        }
        Ok(records)
    }

    /// Reads records of one segment.
    fn read_segment(&self, shard: usize, slots: &[Slot], records: &mut Vec<Record>) -> Result<(), ReadError> {
        let Some(first) = slots.first() else { return Ok(()) };
        let path = self.shared.path(first.segment);
        let failed = |offset| move |source| (offset, source);
        let mut read = || {
            let file = self.shared.disk.open(&path).map_err(failed(first.offset))?;
            for slot in slots {
                let entry = if slot.damaged {
                    Vec::new()
                } else {
                    file.read_at(slot.offset, slot.entry_bytes()).map_err(failed(slot.offset))?
                };
                records.push(self.record(shard, slot, entry));
            }
            Ok(())
        };
        match read() {
            // Consumed and removed since the index was asked.
            Err((_, error)) if is_missing(&error) && self.shared.index().segment(first.segment).is_none() => Ok(()),
            result => result.map_err(|(offset, source)| ReadError { file: path, offset, source }),
        }
    }

    /// The record in an entry's bytes, without bytes if they are not what was written.
    fn record(&self, shard: usize, slot: &Slot, entry: Vec<u8>) -> Record {
        let header = Header::decode(self.shared.marker, &entry).filter(|header| header.sequence == slot.sequence);
        let mut bytes = Bytes::from(entry);
        let bytes = if bytes.len() < HEADER_BYTES { Bytes::new() } else { bytes.split_off(HEADER_BYTES) };
        let whole = header.is_some_and(|header| header.fits(&bytes));
        let record = |bytes| Record { sequence: slot.sequence.into(), arrival_nanos: slot.arrival_nanos, bytes };
        if whole {
            return record(bytes);
        }
        let mut index = self.shared.index();
        if index.mark_damaged(shard, slot.sequence) {
            index.add_damage(Damage {
                file: self.shared.path(slot.segment),
                offset: slot.offset,
                bytes: slot.entry_bytes() as u64,
                shard: u16::try_from(shard).ok(),
                sequence: Some(slot.sequence),
            });
        }
        record(Bytes::new())
    }

    /// Waits until a shard has a record after a sequence number.
    pub async fn wait(&self, shard: usize, after: Sequence) {
        loop {
            let Some(arrived) = self.shared.arrived.get(shard) else { return std::future::pending().await };
            // Before the look, so that no record slips between look and wait.
            let arrived = arrived.notified();
            if self.shared.index().after(shard, position(after)).len() > 0 {
                return;
            }
            arrived.await;
        }
    }

    /// Removes segments whose records all lie at or under their shards' watermarks; answers the bytes freed. A segment
    /// still being written goes too when it is old enough. What cannot be removed stays for the next call.
    pub fn trim(&self, watermarks: &[Sequence]) -> io::Result<u64> {
        self.remove_consumed(watermarks, self.shared.options.segment_age)
    }

    /// As [`SegmentLog::trim`], at a stop: a segment that is consumed goes whatever its age, since no rule has masked it.
    pub fn trim_all(&self, watermarks: &[Sequence]) -> io::Result<u64> {
        let freed = self.remove_consumed(watermarks, Duration::ZERO)?;
        // Nobody removes it once more if a power cut brings it back.
        self.shared.disk.sync_dir(&self.shared.folder)?;
        Ok(freed)
    }

    fn remove_consumed(&self, watermarks: &[Sequence], age: Duration) -> io::Result<u64> {
        let watermarks: Vec<u64> = watermarks.iter().map(|watermark| position(*watermark)).collect();
        let active = self.shared.writer().retire(&self.shared, &watermarks, age);
        let mut index = self.shared.index();
        let mut freed = 0;
        for segment in index.consumed(&watermarks) {
            if Some(segment) == active {
                continue;
            }
            match self.shared.disk.remove(&self.shared.path(segment)) {
                Err(error) if !is_missing(&error) => return Err(error),
                _ => freed += index.remove(segment),
            }
        }
        Ok(freed)
    }
}

impl<D: Disk> EventStream for SegmentLog<D> {
    fn shards(&self) -> Vec<Shard> {
        folder::shards(self.shared.options.shards)
    }

    async fn list(&self) -> Result<Vec<Shard>, StreamError> {
        Ok(self.shards())
    }

    async fn append(&self, records: Vec<NewRecord>) -> Vec<Result<(), AppendError>> {
        let Some(room) = self.shared.room(&records) else {
            return vec![Err(AppendError::Throttled { retry_after_ms: QUEUE_RETRY_MS }); records.len()];
        };
        let mut results = self.shared.admit(&records);
        let admitted = records.into_iter().zip(&results).filter(|(_, result)| result.is_ok());
        let records: Vec<NewRecord> = admitted.map(|(record, _)| record).collect();
        if records.is_empty() {
            return results;
        }
        let (done, answer) = oneshot::channel();
        let queued = self.queue.as_ref().is_some_and(|queue| queue.send(Pending { records, done, room }).is_ok());
        let answer = if queued { answer.await.ok() } else { None };
        let answer = answer.unwrap_or_else(|| Err(unavailable("the stream's writer stopped".to_owned())));
        if let Err(error) = answer {
            results.iter_mut().filter(|result| result.is_ok()).for_each(|result| *result = Err(error.clone()));
        }
        results
    }

    async fn read(&self, shard: &str, after: Sequence, records_max: usize, bytes_max: usize) -> Result<Slice, StreamError> {
        let number = self.shards().iter().position(|known| known.id == shard);
        // The shards of a folder are never split or merged: none ever ends.
        let number = number.ok_or_else(|| StreamError { what: format!("there is no {shard}") })?;
        let records = self.read_blocking(number, after, records_max, bytes_max);
        let records = records.map_err(|error| StreamError { what: format!("{error}: {}", error.source) })?;
        Ok(Slice { records, is_end: false })
    }
}

impl<D: Disk> Drop for SegmentLog<D> {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the stream's writer panicked");
        }
    }
}
