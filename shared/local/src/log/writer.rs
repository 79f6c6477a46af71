//! The log's one writer: takes all that waits, writes it, and answers all of it after one fsync.

use std::sync::mpsc::Receiver;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use spanlake_pipeline::ports::{AppendError, NewRecord};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::entry::{HEADER_BYTES, Header};
use super::index::Slot;
use super::{Shared, unavailable};
use crate::disk::{Disk, DiskFile};

/// Records of one call, and who waits for them.
pub(super) struct Pending {
    pub(super) records: Vec<NewRecord>,
    pub(super) done: oneshot::Sender<Result<(), AppendError>>,
    /// Their share of what may wait.
    pub(super) room: OwnedSemaphorePermit,
}

impl Pending {
    fn bytes(&self) -> usize {
        entries_bytes(&self.records)
    }
}

/// What records take in a segment.
pub(super) fn entries_bytes(records: &[NewRecord]) -> usize {
    records.iter().map(|record| HEADER_BYTES + record.bytes.len()).sum()
}

/// What only the writer changes.
pub(super) struct Writer<D: Disk> {
    pub(super) active: Option<Active<D>>,
    pub(super) next_sequence: u64,
    pub(super) last_arrival_nanos: i64,
    /// Why nothing can be written any more. An fsync that failed may have lost what it should have saved, and a later
    /// one would not say so: only a restart, which reads what is there, helps.
    pub(super) failed: Option<String>,
    /// Whether the last write was refused: said once when it begins and once when it ends.
    pub(super) is_refusing: bool,
}

/// The segment that is being written.
pub(super) struct Active<D: Disk> {
    file: D::File,
    first_sequence: u64,
    bytes: u64,
    opened: Duration,
}

/// What is written at once, but for one call's records.
const BATCH_BYTES: usize = 2 << 20;

/// Runs until all senders are gone.
pub(super) fn run<D: Disk>(shared: &Shared<D>, queue: &Receiver<Pending>) {
    let mut buffer = Vec::new();
    while let Ok(first) = queue.recv() {
        let mut bytes = first.bytes();
        let mut batch = vec![first];
        while bytes < BATCH_BYTES
            && let Ok(next) = queue.try_recv()
        {
            bytes += next.bytes();
            batch.push(next);
        }
        buffer.clear();
        buffer.shrink_to(BATCH_BYTES);
        shared.writer().commit(shared, batch, &mut buffer);
    }
}

impl<D: Disk> Shared<D> {
    pub(super) fn writer(&self) -> MutexGuard<'_, Writer<D>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Disk> Writer<D> {
    /// Writes the batch and answers it.
    fn commit(&mut self, shared: &Shared<D>, batch: Vec<Pending>, buffer: &mut Vec<u8>) {
        let (batch, refused) = with_room(shared, batch);
        let full = || Err(unavailable("the stream's log is full: what was appended is not consumed fast enough".to_owned()));
        for pending in refused {
            answer(pending, full());
        }
        if batch.is_empty() {
            return;
        }
        let result = self.write(shared, &batch, buffer);
        match &result {
            Err(AppendError::Unavailable { what }) if !self.is_refusing => {
                tracing::error!(what, "the stream's log takes no records; clients are told to come again");
            }
            Ok(()) if self.is_refusing => tracing::warn!("the stream's log takes records again"),
            _ => {}
        }
        self.is_refusing = result.is_err();
        for pending in batch {
            answer(pending, result.clone());
        }
    }

    fn write(&mut self, shared: &Shared<D>, batch: &[Pending], buffer: &mut Vec<u8>) -> Result<(), AppendError> {
        if let Some(why) = &self.failed {
            return Err(unavailable(why.clone()));
        }
        let arrival_nanos = shared.now_nanos().max(self.last_arrival_nanos);
        let mut active = self.segment(shared)?;
        let slots = self.encode(shared, batch, arrival_nanos, &active, buffer);
        if let Err(error) = active.file.append(buffer) {
            // What was written of it must go before anything else is written.
            let untouched = active.file.len_bytes().is_ok_and(|bytes| bytes == active.bytes);
            if untouched || active.file.truncate(active.bytes).is_ok() {
                self.active = Some(active);
            } else {
                self.failed = Some(format!("a broken write could not be undone ({error}): restart"));
            }
            return Err(unavailable(format!("cannot write: {error}")));
        }
        if let Err(error) = active.file.sync() {
            let why = format!("fsync failed ({error}): check the disk, then restart");
            self.failed = Some(why.clone());
            return Err(unavailable(why));
        }
        active.bytes += buffer.len() as u64;
        self.next_sequence += slots.len() as u64;
        self.last_arrival_nanos = arrival_nanos;
        publish(shared, &active, &slots, buffer.len() as u64);
        self.active = Some(active);
        Ok(())
    }

    /// The segment to write to: the one at hand, or a new one if that is full or old.
    fn segment(&mut self, shared: &Shared<D>) -> Result<Active<D>, AppendError> {
        let now = (shared.options.ticks)();
        let options = &shared.options;
        let usable = |active: &Active<D>| active.bytes < options.segment_bytes && !active.is_old(options.segment_age, now);
        if let Some(active) = self.active.take().filter(usable) {
            return Ok(active);
        }
        let first_sequence = self.next_sequence;
        let made = shared.disk.create(&shared.path(first_sequence)).and_then(|file| {
            shared.disk.sync_dir(&shared.folder)?;
            Ok(Active { file, first_sequence, bytes: 0, opened: now })
        });
        made.map_err(|error| unavailable(format!("cannot make a segment: {error}")))
    }

    /// Writes the batch's entries into the buffer; answers where each will be, with its shard.
    fn encode(
        &self,
        shared: &Shared<D>,
        batch: &[Pending],
        arrival_nanos: i64,
        active: &Active<D>,
        buffer: &mut Vec<u8>,
    ) -> Vec<(usize, Slot)> {
        let mut slots = Vec::new();
        let records = batch.iter().flat_map(|pending| &pending.records);
        for (sequence, record) in (self.next_sequence..).zip(records) {
            // Both numbers were checked when the record was admitted.
            let record_bytes = u32::try_from(record.bytes.len()).unwrap_or(u32::MAX);
            let record_crc = crc32fast::hash(&record.bytes);
            let (segment, offset) = (active.first_sequence, active.bytes + buffer.len() as u64);
            let owner = shared.shard_of(record.bucket);
            slots.push((owner, Slot { sequence, arrival_nanos, segment, offset, record_bytes, damaged: false }));
            let header =
                Header { record_bytes, shard: u16::try_from(owner).unwrap_or(u16::MAX), sequence, arrival_nanos, record_crc };
            header.encode(shared.marker, buffer);
            buffer.extend_from_slice(&record.bytes);
        }
        slots
    }

    /// Closes the segment being written if it is of this age and consumed; answers the one that is still being written.
    pub(super) fn retire(&mut self, shared: &Shared<D>, watermarks: &[u64], age: Duration) -> Option<u64> {
        let active = self.active.as_ref()?;
        let old = active.is_old(age, (shared.options.ticks)());
        let consumed = |first| shared.index().segment(first).is_some_and(|segment| segment.consumed(watermarks));
        if old && consumed(active.first_sequence) {
            self.active = None;
            return None;
        }
        Some(active.first_sequence)
    }
}

impl<D: Disk> Active<D> {
    fn is_old(&self, age: Duration, now: Duration) -> bool {
        now.saturating_sub(self.opened) >= age
    }
}

/// Splits the batch into what the log has room for and the rest.
fn with_room<D: Disk>(shared: &Shared<D>, batch: Vec<Pending>) -> (Vec<Pending>, Vec<Pending>) {
    let (mut bytes, mut records) = {
        let index = shared.index();
        (index.bytes, index.records)
    };
    batch.into_iter().partition(|pending| {
        let after = (bytes + pending.bytes() as u64, records + pending.records.len() as u64);
        let fits = after.0 <= shared.options.bytes_max && after.1 <= shared.options.records_max;
        if fits {
            (bytes, records) = after;
        }
        fits
    })
}

/// Lets readers see the records.
fn publish<D: Disk>(shared: &Shared<D>, active: &Active<D>, slots: &[(usize, Slot)], bytes: u64) {
    let mut touched = vec![false; shared.arrived.len()];
    {
        let mut index = shared.index();
        for (shard, slot) in slots {
            index.add(*shard, *slot);
            if let Some(touched) = touched.get_mut(*shard) {
                *touched = true;
            }
        }
        index.grow(active.first_sequence, bytes);
    }
    let arrived = shared.arrived.iter().zip(touched).filter(|(_, touched)| *touched);
    arrived.for_each(|(arrived, _)| arrived.notify_waiters());
}

fn answer(pending: Pending, result: Result<(), AppendError>) {
    drop(pending.records);
    drop(pending.room);
    // Who waited may have gone away; the records are stored all the same.
    drop(pending.done.send(result));
}
