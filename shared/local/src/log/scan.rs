//! Reads a segment from front to end when the log is opened: finds every entry, goes on after damage, and tells a torn
//! tail from it.

use std::io;

use super::entry::{HEADER_BYTES, Header, Marker, RECORD_BYTES_MAX};
use crate::disk::DiskFile;

/// A part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// An entry as it was written.
    Entry(Header),
    /// An entry whose header is whole and whose record is not.
    Damaged(Header),
    /// Bytes that belong to no entry that can be read.
    Gap,
}

impl Part {
    /// The sequence number in its header.
    pub(super) const fn sequence(&self) -> Option<u64> {
        match self {
            Self::Entry(header) | Self::Damaged(header) => Some(header.sequence),
            Self::Gap => None,
        }
    }
}

/// A part, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) part: Part,
}

/// All parts of a segment, in order and without holes.
pub(super) fn scan<F: DiskFile>(file: &F, marker: Marker) -> io::Result<Vec<Found>> {
    let mut window = Window { file, start: 0, buffer: Vec::new(), file_bytes: file.len_bytes()? };
    let mut parts = Vec::new();
    let mut offset = 0;
    while offset < window.file_bytes {
        let found = if let Some(found) = window.entry(offset, marker)? {
            found
        } else {
            let next = window.next_entry(offset + 1, marker)?;
            Found { offset, bytes: next - offset, part: Part::Gap }
        };
        offset += found.bytes;
        parts.push(found);
    }
    Ok(parts)
}

/// How many bytes the whole entries at the front take, up to the last of all: behind it lies a torn tail.
pub(super) fn whole_bytes(parts: &[Found]) -> u64 {
    let last = parts.iter().rev().find(|found| matches!(found.part, Part::Entry(_)));
    last.map_or(0, |found| found.offset + found.bytes)
}

/// A part of a file in memory.
struct Window<'file, F> {
    file: &'file F,
    start: u64,
    buffer: Vec<u8>,
    file_bytes: u64,
}

impl<F: DiskFile> Window<'_, F> {
    /// The bytes from `offset`: `bytes` of them, or fewer at the end of the file.
    fn bytes(&mut self, offset: u64, bytes: usize) -> io::Result<&[u8]> {
        let wanted_end = offset.saturating_add(bytes as u64).min(self.file_bytes);
        if offset < self.start || wanted_end > self.start + self.buffer.len() as u64 {
            self.buffer = self.file.read_at(offset, bytes.max(2 * RECORD_BYTES_MAX))?;
            self.start = offset;
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let rest = self.buffer.get(from..).unwrap_or_default();
        Ok(rest.get(..bytes).unwrap_or(rest))
    }

    /// The entry at this place; `None` if there is no header, or less than its record behind it.
    fn entry(&mut self, offset: u64, marker: Marker) -> io::Result<Option<Found>> {
        let Some(header) = Header::decode(marker, self.bytes(offset, HEADER_BYTES)?) else { return Ok(None) };
        let record = self.bytes(offset + HEADER_BYTES as u64, header.record_bytes as usize)?;
        if record.len() < header.record_bytes as usize {
            return Ok(None);
        }
        let part = if header.fits(record) { Part::Entry(header) } else { Part::Damaged(header) };
        Ok(Some(Found { offset, bytes: header.entry_bytes(), part }))
    }

    /// The offset of the next entry from here on, or the end of the file.
    fn next_entry(&mut self, from: u64, marker: Marker) -> io::Result<u64> {
        let mut offset = from;
        while offset < self.file_bytes {
            let step = self.bytes(offset, RECORD_BYTES_MAX)?;
            let place = step.windows(marker.0.len()).position(|window| window == marker.0);
            match place {
                // A marker that is cut by the step's end begins in its last seven bytes.
                None if step.len() < RECORD_BYTES_MAX => break,
                None => offset += (RECORD_BYTES_MAX - (marker.0.len() - 1)) as u64,
                Some(place) => {
                    offset += place as u64;
                    if self.entry(offset, marker)?.is_some() {
                        return Ok(offset);
                    }
                    offset += 1;
                }
            }
        }
        Ok(self.file_bytes)
    }
}
