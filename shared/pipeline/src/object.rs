//! The container of stored data objects: compressed blocks, then an index with a header, then a fixed tail.
//!
//! A reader that knows an object's size and the length of its index fetches the index with one ranged read and then
//! only the blocks that it needs. Every block and the index carry a checksum, since the name's hash covers the whole
//! object and a ranged reader cannot check it.

use std::ops::Range;

use bytes::Bytes;
use spanlake_model::ContentHash;
use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{Damaged, Put, Take, compress, inflate};

const MAGIC: [u8; 4] = *b"SLO1";
/// `MAGIC`, the index's length (u32) and checksum (u64).
pub(crate) const TAIL_BYTES: usize = 16;
/// The largest block, inflated, that is believed.
const BLOCK_BYTES_MAX: usize = 64 << 20;
/// How hard an object is compressed: by how long it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Read once or twice within minutes, then gone: most of what is stored in all, and little at a time.
    Brief,
    /// Kept for the late horizon.
    Lasting,
}

impl Effort {
    /// The zstd level.
    const fn level(self) -> i32 {
        match self {
            Self::Brief => -5,
            Self::Lasting => 1,
        }
    }
}

/// Writes an object.
pub(crate) struct ObjectWriter {
    out: Vec<u8>,
    index: Vec<u8>,
    blocks: u32,
    effort: Effort,
}

impl ObjectWriter {
    pub(crate) const fn new(effort: Effort) -> Self {
        Self { out: Vec::new(), index: Vec::new(), blocks: 0, effort }
    }

    /// Appends a block and returns its number.
    pub(crate) fn block(&mut self, raw: &[u8]) -> Result<u32, Damaged> {
        let start = self.out.len();
        let length = compress(raw, self.effort.level(), &mut self.out)?;
        let written = self.out.get(start..).unwrap_or_default();
        self.index.varint(length as u64);
        self.index.varint(raw.len() as u64);
        self.index.extend_from_slice(&xxh3_64(written).to_le_bytes());
        self.blocks += 1;
        Ok(self.blocks - 1)
    }

    /// The object's bytes. `header` is what the reader gets with the index.
    pub(crate) fn finish(mut self, header: &[u8]) -> Finished {
        let mut index = Vec::with_capacity(self.index.len() + header.len() + 16);
        index.varint(u64::from(self.blocks));
        index.extend_from_slice(&self.index);
        index.bytes(header);
        self.out.extend_from_slice(&index);
        self.out.extend_from_slice(&u32::try_from(index.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.out.extend_from_slice(&xxh3_64(&index).to_le_bytes());
        self.out.extend_from_slice(&MAGIC);
        Finished { index_bytes: (index.len() + TAIL_BYTES) as u64, hash: content_hash(&self.out), bytes: Bytes::from(self.out) }
    }
}

/// The length of an object's index, out of the object's last [`TAIL_BYTES`] bytes.
pub(crate) fn index_bytes(tail: &[u8]) -> Result<u64, Damaged> {
    let start = tail.len().checked_sub(TAIL_BYTES).ok_or(Damaged("no index"))?;
    let length = u32::from_le_bytes(Take::new(tail.get(start..).unwrap_or_default()).array()?);
    Ok(u64::from(length) + TAIL_BYTES as u64)
}

/// A written object.
pub(crate) struct Finished {
    pub(crate) bytes: Bytes,
    /// How many bytes at its end hold index and tail.
    pub(crate) index_bytes: u64,
    pub(crate) hash: ContentHash,
}

/// The hash that names an object by its content.
pub(crate) fn content_hash(bytes: &[u8]) -> ContentHash {
    let hash = blake3::hash(bytes);
    let mut short = [0_u8; 16];
    short.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
    ContentHash(short)
}

#[derive(Clone, Debug)]
struct BlockRef {
    start: u64,
    bytes: u64,
    raw_bytes: usize,
    hash: u64,
}

/// An object's index: where its blocks are.
#[derive(Clone, Debug)]
pub(crate) struct ObjectIndex {
    blocks: Vec<BlockRef>,
    header: Vec<u8>,
}

impl ObjectIndex {
    /// Reads the index from the last bytes of an object.
    pub(crate) fn read(tail: &[u8]) -> Result<Self, Damaged> {
        let (rest, end) = tail.split_at_checked(tail.len().saturating_sub(TAIL_BYTES)).ok_or(Damaged("no index"))?;
        let mut end = Take::new(end);
        let length = usize::try_from(u32::from_le_bytes(end.array()?)).map_err(|_| Damaged("number out of range"))?;
        let hash = u64::from_le_bytes(end.array()?);
        if end.array()? != MAGIC {
            return Err(Damaged("not an object of this version"));
        }
        let index = rest.len().checked_sub(length).and_then(|start| rest.get(start..)).ok_or(Damaged("index cut off"))?;
        if xxh3_64(index) != hash {
            return Err(Damaged("index has another checksum"));
        }
        let mut take = Take::new(index);
        let count = take.count(10)?;
        let mut blocks = Vec::with_capacity(count);
        let mut start = 0_u64;
        for _ in 0..count {
            let bytes = take.varint()?;
            let raw_bytes = usize::try_from(take.varint()?).map_err(|_| Damaged("number out of range"))?;
            if raw_bytes > BLOCK_BYTES_MAX {
                return Err(Damaged("block beyond the limit"));
            }
            blocks.push(BlockRef { start, bytes, raw_bytes, hash: u64::from_le_bytes(take.array()?) });
            start = start.checked_add(bytes).ok_or(Damaged("number out of range"))?;
        }
        Ok(Self { blocks, header: take.bytes()?.to_vec() })
    }

    pub(crate) fn header(&self) -> &[u8] {
        &self.header
    }

    /// The byte range of the neighbouring blocks `first..=last` within the object.
    pub(crate) fn range(&self, first: u32, last: u32) -> Result<Range<u64>, Damaged> {
        let (first, last) = (self.get(first)?, self.get(last)?);
        Ok(first.start..last.start + last.bytes)
    }

    /// Inflates block `number` out of `bytes`, which begin at offset `at` of the object.
    pub(crate) fn inflate(&self, number: u32, bytes: &[u8], at: u64) -> Result<Vec<u8>, Damaged> {
        let block = self.get(number)?;
        let start = block.start.checked_sub(at).and_then(|start| usize::try_from(start).ok()).ok_or(Damaged("block not read"))?;
        let length = usize::try_from(block.bytes).map_err(|_| Damaged("number out of range"))?;
        let written = start.checked_add(length).and_then(|end| bytes.get(start..end)).ok_or(Damaged("object cut off"))?;
        if xxh3_64(written) != block.hash {
            return Err(Damaged("block has another checksum"));
        }
        let mut raw = Vec::new();
        inflate(written, block.raw_bytes, &mut raw)?;
        Ok(raw)
    }

    fn get(&self, number: u32) -> Result<&BlockRef, Damaged> {
        self.blocks.get(number as usize).ok_or(Damaged("no such block"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Finished {
        let mut writer = ObjectWriter::new(Effort::Lasting);
        assert_eq!(writer.block(b"first").unwrap(), 0);
        assert_eq!(writer.block(&[7; 5000]).unwrap(), 1);
        writer.finish(b"header")
    }

    #[test]
    fn blocks_and_header_are_read_back_by_range() {
        let object = written();
        let tail = object.bytes.len() - usize::try_from(object.index_bytes).unwrap();
        let index = ObjectIndex::read(&object.bytes[tail..]).unwrap();
        assert_eq!(index.header(), b"header");
        assert_eq!(index_bytes(&object.bytes), Ok(object.index_bytes));
        let range = index.range(1, 1).unwrap();
        let bytes = &object.bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        assert_eq!(index.inflate(1, bytes, range.start).unwrap(), [7; 5000]);
        assert!(index.inflate(0, bytes, range.start).is_err());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let object = written();
        for at in 0..object.bytes.len() {
            let mut bytes = object.bytes.to_vec();
            bytes[at] ^= 4;
            let whole =
                ObjectIndex::read(&bytes).and_then(|index| Ok((index.inflate(0, &bytes, 0)?, index.inflate(1, &bytes, 0)?)));
            assert!(whole.is_err(), "byte {at}");
        }
    }

    #[test]
    fn the_same_content_has_the_same_name() {
        assert_eq!(written().hash, written().hash);
    }
}
