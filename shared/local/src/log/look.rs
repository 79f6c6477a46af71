//! The log as a reader sees it beside the process that writes it, or after its end. Nothing is locked, cut or removed.

use std::io;
use std::path::Path;

use bytes::Bytes;
use spanlake_model::Sequence;

use super::entry::HEADER_BYTES;
use super::folder;
use super::index::position;
use super::scan::{Part, scan};
use crate::disk::{Disk, DiskFile, is_missing};

/// A record on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its shard, by number.
    pub shard: usize,
    /// Its sequence number.
    pub sequence: Sequence,
    /// Its arrival stamp, Unix nanoseconds.
    pub arrival_nanos: i64,
    /// Its bytes. **No rule has masked them.**
    pub bytes: Bytes,
    /// Whether the bytes are those that were written.
    pub is_whole: bool,
}

/// Shows every record from a sequence number on, of all shards, in order. A last write under way may be missing.
pub fn look<D: Disk>(disk: &D, folder: &Path, from: Sequence, mut show: impl FnMut(Seen)) -> io::Result<()> {
    let from_sequence = position(from);
    let (marker, _) = folder::describe(disk, folder)?;
    let segments = folder::segments(disk, folder)?;
    let firsts = segments.iter().enumerate().filter(|(number, _)| {
        // A segment ends where the next one begins.
        segments.get(number + 1).is_none_or(|next| *next > from_sequence)
    });
    for (_, first) in firsts {
        let file = match disk.open(&folder::segment_path(folder, *first)) {
            // Consumed and removed since the folder was listed.
            Err(error) if is_missing(&error) => continue,
            file => file?,
        };
        for found in scan(&file, marker)? {
            let (header, is_whole) = match found.part {
                Part::Entry(header) => (header, true),
                Part::Damaged(header) => (header, false),
                Part::Gap => continue,
            };
            if header.sequence < from_sequence {
                continue;
            }
            let record = file.read_at(found.offset + HEADER_BYTES as u64, header.record_bytes as usize)?;
            show(Seen {
                shard: header.shard.into(),
                sequence: header.sequence.into(),
                arrival_nanos: header.arrival_nanos,
                bytes: record.into(),
                is_whole,
            });
        }
    }
    Ok(())
}
