//! Opening a log: reads every segment, cuts a torn tail, and finds where sequence numbers and stamps go on.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use spanlake_model::BucketRange;
use tokio::sync::{Notify, Semaphore};

use super::entry::Marker;
use super::index::{Index, Slot};
use super::limits::Used;
use super::scan::{Found, Part, scan, whole_bytes};
use super::writer::Writer;
use super::{Damage, LogOptions, OpenError, Shared, folder};
use crate::disk::{Disk, DiskFile};

/// Opens the log in its folder.
pub(super) fn open<D: Disk>(disk: D, folder: PathBuf, options: LogOptions) -> Result<Shared<D>, OpenError> {
    let marker = folder::open(&disk, &folder, options.shards)?;
    let mut reading =
        Reading { disk: &disk, folder: &folder, marker, index: Index::new(options.shards.into()), last: options.floor };
    reading.segments()?;
    let (index, last) = (reading.index, reading.last);
    let ticks_nanos = i64::try_from((options.ticks)().as_nanos()).unwrap_or(i64::MAX);
    let writer = Writer {
        active: None,
        next_sequence: last.sequence.saturating_add(1),
        last_arrival_nanos: last.arrival_nanos,
        failed: None,
        is_refusing: false,
    };
    Ok(Shared {
        marker,
        anchor_nanos: options.wall_nanos.max(last.arrival_nanos).saturating_sub(ticks_nanos),
        index: Mutex::new(index),
        writer: Mutex::new(writer),
        room: Arc::new(Semaphore::new(options.queue_bytes_max as usize)),
        used: Mutex::new(vec![Used::default(); options.shards.into()]),
        ranges: BucketRange::even(options.shards),
        arrived: (0..options.shards).map(|_| Notify::new()).collect(),
        disk,
        folder,
        options,
    })
}

/// What was read so far.
struct Reading<'open, D> {
    disk: &'open D,
    folder: &'open PathBuf,
    marker: Marker,
    index: Index,
    /// The highest sequence number and the latest stamp.
    last: super::Floor,
}

impl<D: Disk> Reading<'_, D> {
    fn segments(&mut self) -> Result<(), OpenError> {
        let failed = |path: &PathBuf| {
            let path = path.clone();
            move |source| OpenError::Io { path, source }
        };
        let segments = folder::segments(self.disk, self.folder).map_err(failed(self.folder))?;
        // Nothing but the segment that was written last can have a torn tail: all others were fsynced to their ends.
        let newest = segments.last().copied();
        for segment in segments {
            let path = folder::segment_path(self.folder, segment);
            self.segment(segment, Some(segment) == newest).map_err(failed(&path))?;
        }
        Ok(())
    }

    fn segment(&mut self, first: u64, newest: bool) -> io::Result<()> {
        let path = folder::segment_path(self.folder, first);
        let mut file = self.disk.open(&path)?;
        let parts = scan(&file, self.marker)?;
        let mut bytes = file.len_bytes()?;
        if newest {
            let torn = bytes - whole_bytes(&parts);
            bytes -= torn;
            if torn > 0 {
                tracing::warn!(file = %path.display(), torn, "cut off a last write that was never answered");
                self.index.torn_bytes += torn;
                file.truncate(bytes)?;
            }
            // Also without a cut: a killed process leaves bytes that are there and not durable.
            file.sync()?;
        }
        self.last.sequence = self.last.sequence.max(first.saturating_sub(1));
        if bytes == 0 {
            // The newest stays, and is written over: without it the segment before would be the newest, and what is
            // damaged at its end would pass for a torn tail.
            return if newest { Ok(()) } else { self.disk.remove(&path) };
        }
        self.index.grow(first, bytes);
        // Within a segment sequence numbers have no gaps: that is how a lost one is known.
        let mut expected = first;
        for (number, found) in parts.iter().enumerate().take_while(|(_, found)| found.offset < bytes) {
            let next = parts.get(number + 1).and_then(|next| next.part.sequence());
            let sequence = found.part.sequence().or_else(|| (next != Some(expected)).then_some(expected));
            self.part(first, found, sequence);
            expected = sequence.map_or(expected, |sequence| sequence.saturating_add(1));
        }
        Ok(())
    }

    /// Enters a part of a segment, under its sequence number or, where that is lost, the one that is missing there.
    fn part(&mut self, segment: u64, found: &Found, sequence: Option<u64>) {
        let header = match found.part {
            Part::Entry(header) | Part::Damaged(header) => Some(header),
            Part::Gap => None,
        };
        let shard = header.map(|header| header.shard);
        if !matches!(found.part, Part::Entry(_)) {
            let file = folder::segment_path(self.folder, segment);
            self.index.add_damage(Damage { file, offset: found.offset, bytes: found.bytes, shard, sequence });
        }
        let Some(sequence) = sequence else { return };
        let arrival_nanos = header.map_or(self.last.arrival_nanos, |header| header.arrival_nanos);
        let record_bytes = header.map_or(0, |header| header.record_bytes);
        let damaged = !matches!(found.part, Part::Entry(_));
        let slot = Slot { sequence, arrival_nanos, segment, offset: found.offset, record_bytes, damaged };
        self.index.add(shard.unwrap_or(0).into(), slot);
        self.last.sequence = self.last.sequence.max(sequence);
        self.last.arrival_nanos = self.last.arrival_nanos.max(arrival_nanos);
    }
}
