//! Reading and writing the small binary formats of stored bytes: varints, byte strings, fixed arrays.
//!
//! Reading never trusts a length: it is checked against what is left before anything is allocated.

use std::cell::RefCell;
use std::io::{self, Cursor};

use spanlake_otlp::wire::put_varint;
use thiserror::Error;
use zstd::bulk::{Compressor, Decompressor};

/// Stored bytes that are not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("stored bytes are damaged: {0}")]
pub struct Damaged(pub &'static str);

thread_local! {
    // A context costs more to make than a small frame does. It holds no state from frame to frame.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Appends a zstd frame; returns its length.
pub(crate) fn compress(raw: &[u8], level: i32, out: &mut Vec<u8>) -> Result<usize, Damaged> {
    let start = out.len();
    out.reserve(zstd::zstd_safe::compress_bound(raw.len()));
    let mut room = Cursor::new(&mut *out);
    room.set_position(start as u64);
    let length = COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => slot.insert(Compressor::new(level).map_err(|_| Damaged("no memory to compress"))?),
        };
        let set = compressor.set_compression_level(level);
        set.and_then(|()| compressor.compress_to_buffer(raw, &mut room)).map_err(|_| Damaged("no room to compress"))
    })?;
    Ok(length)
}

/// Appends what a zstd frame of exactly `raw_bytes` inflates to; nothing if it is none.
pub(crate) fn inflate(frame: &[u8], raw_bytes: usize, out: &mut Vec<u8>) -> Result<(), Damaged> {
    DECOMPRESSOR.with_borrow_mut(|slot| inflate_with(slot, Decompressor::new, (frame, raw_bytes), out))
}

/// As [`inflate`], with what was made before or is made now.
pub(crate) fn inflate_with(
    slot: &mut Option<Decompressor<'static>>,
    make: impl FnOnce() -> io::Result<Decompressor<'static>>,
    (frame, raw_bytes): (&[u8], usize),
    out: &mut Vec<u8>,
) -> Result<(), Damaged> {
    let decompressor = match slot {
        Some(decompressor) => decompressor,
        None => slot.insert(make().map_err(|_| Damaged("no memory to inflate"))?),
    };
    let start = out.len();
    out.reserve(raw_bytes);
    let mut room = Cursor::new(&mut *out);
    room.set_position(start as u64);
    let inflated = decompressor.decompress_to_buffer(frame, &mut room);
    let verdict = match inflated {
        Ok(length) if length == raw_bytes => return Ok(()),
        Ok(_) => Err(Damaged("compressed bytes have another length")),
        Err(_) => Err(Damaged("compressed bytes do not inflate")),
    };
    out.truncate(start);
    verdict
}

/// Appends to stored bytes.
pub(crate) trait Put {
    fn varint(&mut self, value: u64);
    fn bytes(&mut self, bytes: &[u8]);
    fn zigzag(&mut self, value: i64);
}

impl Put for Vec<u8> {
    fn varint(&mut self, value: u64) {
        put_varint(self, value);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        put_varint(self, bytes.len() as u64);
        self.extend_from_slice(bytes);
    }

    fn zigzag(&mut self, value: i64) {
        put_varint(self, (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
    }
}

/// Reads stored bytes front to back.
#[derive(Debug, Clone)]
pub(crate) struct Take<'a> {
    rest: &'a [u8],
}

impl<'a> Take<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Damaged> {
        let (first, rest) = self.rest.split_first().ok_or(Damaged("ends too early"))?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Damaged> {
        match self.rest {
            // Nearly all of them.
            [first @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*first))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Damaged> {
        let mut value = 0_u64;
        for index in 0..10 {
            let byte = self.byte()?;
            if index == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Damaged("over-long number"))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Damaged> {
        u32::try_from(self.varint()?).map_err(|_| Damaged("number out of range"))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Damaged> {
        u16::try_from(self.varint()?).map_err(|_| Damaged("number out of range"))
    }

    pub(crate) fn zigzag(&mut self) -> Result<i64, Damaged> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number of elements that each take at least `bytes_each` bytes of what is left.
    pub(crate) fn count(&mut self, bytes_each: usize) -> Result<usize, Damaged> {
        let count = usize::try_from(self.varint()?).map_err(|_| Damaged("number out of range"))?;
        if count > self.rest.len() / bytes_each.max(1) {
            return Err(Damaged("more elements than bytes"));
        }
        Ok(count)
    }

    #[inline]
    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        let (head, tail) = self.rest.split_at_checked(length).ok_or(Damaged("ends too early"))?;
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        self.slice(N)?.try_into().map_err(|_| Damaged("ends too early"))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let length = usize::try_from(self.varint()?).map_err(|_| Damaged("number out of range"))?;
        self.slice(length)
    }

    pub(crate) fn str(&mut self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Damaged("text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_and_sign_are_read_back() {
        for value in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            out.zigzag(value);
            out.varint(value.cast_unsigned());
            let mut take = Take::new(&out);
            assert_eq!(take.zigzag(), Ok(value));
            assert_eq!(take.varint(), Ok(value.cast_unsigned()));
            assert!(take.is_empty());
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_damage_and_allocates_nothing() {
        let mut out = Vec::new();
        out.varint(u64::MAX);
        assert!(Take::new(&out).bytes().is_err());
        assert!(Take::new(&out).count(1).is_err());
    }
}
