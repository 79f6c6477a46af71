//! The protobuf wire format: a bounds-checked reader over borrowed bytes, and a writer into a `Vec<u8>`.
//!
//! Reads what prost reads and refuses what prost refuses (over-long varints, field 0, wire types 6 and 7, lengths past
//! the end). Groups (wire types 3 and 4) are legal only as unknown fields; the reader skips a whole group.

use thiserror::Error;

/// The deepest nesting of groups that is skipped, as in prost.
const GROUP_DEPTH_MAX: u32 = 100;

/// Why bytes are not a protobuf message. `offset` counts from the start of the slice given to [`Reader::new`], plus
/// its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{what} at byte {offset}")]
pub struct WireError {
    /// Where the faulty field or value begins.
    pub offset: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// A field's value, borrowed from the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1, little-endian.
    Fixed64(u64),
    /// Wire type 2: a string, bytes, a message or packed scalars.
    Len(&'a [u8]),
    /// Wire type 5, little-endian.
    Fixed32(u32),
    /// Wire type 3 up to its end tag; always to be treated as unknown.
    Group,
}

impl<'a> Value<'a> {
    /// The bytes of a length-delimited value.
    #[must_use]
    pub const fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Len(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The protobuf wire type.
    #[must_use]
    #[inline]
    pub const fn wire_type(self) -> u8 {
        match self {
            Self::Varint(_) => 0,
            Self::Fixed64(_) => 1,
            Self::Len(_) => 2,
            Self::Group => 3,
            Self::Fixed32(_) => 5,
        }
    }

    /// A varint's value.
    #[must_use]
    pub const fn varint(self) -> Option<u64> {
        match self {
            Self::Varint(value) => Some(value),
            _ => None,
        }
    }

    /// A fixed 64-bit value.
    #[must_use]
    pub const fn fixed64(self) -> Option<u64> {
        match self {
            Self::Fixed64(value) => Some(value),
            _ => None,
        }
    }
}

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The field number, 1 to 2^29 - 1.
    pub number: u32,
    /// Its value.
    pub value: Value<'a>,
    /// Tag, length and value as they stand in the message: what to copy to keep the field as it is.
    pub raw: &'a [u8],
}

/// Reads a message field by field, front to back.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
    base: usize,
}

impl<'a> Reader<'a> {
    /// Reads `message` from its start.
    #[must_use]
    pub const fn new(message: &'a [u8]) -> Self {
        Self::with_base(message, 0)
    }

    /// Reads `message`, which lies `base` bytes into the body that error offsets should refer to.
    #[must_use]
    pub const fn with_base(message: &'a [u8], base: usize) -> Self {
        Self { rest: message, length: message.len(), base }
    }

    /// How many bytes have been read.
    #[must_use]
    #[inline]
    pub const fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    /// Where the next field begins, from the start of the body that holds the message.
    #[must_use]
    #[inline]
    pub const fn offset(&self) -> usize {
        self.base + self.position()
    }

    /// The next field, or `None` at the end of the message.
    ///
    /// # Errors
    /// A [`WireError`] for anything that is not a well-formed field. The reader is of no use after it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: a call and a field through memory cost a third of the walk")]
    #[expect(
        clippy::should_implement_trait,
        reason = "a fallible reader is not an iterator; `while let Some(f) = r.next()?` reads best"
    )]
    pub fn next(&mut self) -> Result<Option<Field<'a>>, WireError> {
        let whole = self.rest;
        if whole.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.tag()?;
        let value = match wire_type {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => Value::Len(self.delimited()?),
            3 => {
                self.skip_group(number, 1)?;
                Value::Group
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            4 => return Err(self.error(whole, "end of a group that was not begun")),
            _ => return Err(self.error(whole, "unknown wire type")),
        };
        let raw = whole.get(..whole.len() - self.rest.len()).unwrap_or_default();
        Ok(Some(Field { number, value, raw }))
    }

    /// Nearly all tags are one byte.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "part of `next`")]
    fn tag(&mut self) -> Result<(u32, u8), WireError> {
        match self.rest {
            [first @ 8..0x80, after @ ..] => {
                self.rest = after;
                Ok((u32::from(*first >> 3), first & 7))
            }
            _ => self.long_tag(),
        }
    }

    #[cold]
    fn long_tag(&mut self) -> Result<(u32, u8), WireError> {
        let start = self.rest;
        let Ok(tag) = u32::try_from(self.varint()?) else {
            return Err(self.error(start, "field number out of range"));
        };
        let number = tag >> 3;
        if number == 0 {
            return Err(self.error(start, "field number 0"));
        }
        Ok((number, (tag & 7) as u8))
    }

    /// Nearly all varints, lengths above all, are one or two bytes.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "part of `next`")]
    fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest {
            [first @ ..0x80, after @ ..] => {
                self.rest = after;
                Ok(u64::from(*first))
            }
            [first, second @ ..0x80, after @ ..] => {
                self.rest = after;
                Ok(u64::from(first & 0x7f) | u64::from(*second) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, WireError> {
        let Some((value, after)) = split_varint(self.rest) else {
            let what = if self.rest.len() < 10 { "truncated varint" } else { "over-long varint" };
            return Err(self.error(self.rest, what));
        };
        self.rest = after;
        Ok(value)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "part of `next`")]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let Some((bytes, after)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.error(self.rest, "truncated fixed-width value"));
        };
        self.rest = after;
        Ok(*bytes)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "part of `next`")]
    fn delimited(&mut self) -> Result<&'a [u8], WireError> {
        let start = self.rest;
        let length = self.varint()?;
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let Some((bytes, after)) = split else {
            return Err(self.error(start, "length beyond the end of the message"));
        };
        self.rest = after;
        Ok(bytes)
    }

    #[cold]
    fn skip_group(&mut self, number: u32, depth: u32) -> Result<(), WireError> {
        let start = self.rest;
        if depth > GROUP_DEPTH_MAX {
            return Err(self.error(start, "groups nested too deep"));
        }
        loop {
            if self.rest.is_empty() {
                return Err(self.error(start, "group without an end"));
            }
            let (inner, wire_type) = self.tag()?;
            match wire_type {
                0 => drop(self.varint()?),
                1 => drop(self.array::<8>()?),
                2 => drop(self.delimited()?),
                3 => self.skip_group(inner, depth + 1)?,
                4 if inner == number => return Ok(()),
                4 => return Err(self.error(start, "group ended by another")),
                5 => drop(self.array::<4>()?),
                _ => return Err(self.error(start, "unknown wire type")),
            }
        }
    }

    /// An error at the place from which `rest` was still to be read.
    #[cold]
    const fn error(&self, rest: &[u8], what: &'static str) -> WireError {
        WireError { offset: self.base + self.length - rest.len(), what }
    }
}

/// The varint at the start of `bytes`, of at most ten bytes of which the tenth may only be 0 or 1, and what follows it.
/// `None` if there is none.
#[must_use]
#[inline]
pub fn split_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        if index == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some((value, bytes.get(index + 1..).unwrap_or_default()));
        }
    }
    None
}

/// Appends a varint.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low seven bits are what is wanted")]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`put_varint`] appends.
#[must_use]
#[inline]
pub const fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// How many bytes [`put_len`] appends for a value of `length` bytes in field `number`.
#[must_use]
#[inline]
pub const fn len_field_len(number: u32, length: usize) -> usize {
    varint_len((number as u64) << 3) + varint_len(length as u64) + length
}

/// Appends the tag and length of a length-delimited field; its bytes must follow.
#[inline]
pub fn put_len_head(out: &mut Vec<u8>, number: u32, length: usize) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, length as u64);
}

/// Appends a length-delimited field: string, bytes or message.
#[inline]
pub fn put_len(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_len_head(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a message whose length is known only once it is written. Where the length takes `width` bytes, as it mostly should,
/// nothing is moved. Returns what `write` does.
pub fn put_nested<T>(width: usize, number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    put_varint(out, u64::from(number) << 3 | 2);
    let at = out.len();
    out.resize(at + width, 0);
    let result = write(out);
    let end = out.len();
    let mut length = end - at - width;
    let needed = varint_len(length as u64);
    if needed > width {
        out.resize(end + needed - width, 0);
    }
    if needed != width {
        out.copy_within(at + width..end, at + needed);
        out.truncate(end + needed - width);
    }
    for byte in out.iter_mut().skip(at).take(needed) {
        *byte = u8::try_from(length & 0x7f).unwrap_or(0) | if length >= 0x80 { 0x80 } else { 0 };
        length >>= 7;
    }
    result
}

/// Appends a varint field: integer, boolean or enumeration.
#[inline]
pub fn put_varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Appends a fixed 64-bit field: `fixed64`, `sfixed64`, `double`.
#[inline]
pub fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a fixed 32-bit field: `fixed32`, `float`.
#[inline]
pub fn put_fixed32(out: &mut Vec<u8>, number: u32, value: u32) {
    put_varint(out, u64::from(number) << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, WireError> {
        let mut reader = Reader::new(bytes);
        let mut all = Vec::new();
        while let Some(field) = reader.next()? {
            all.push((field.number, field.value));
        }
        Ok(all)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = Vec::new();
        put_varint_field(&mut out, 1, u64::MAX);
        put_fixed64(&mut out, 2, 7);
        put_len(&mut out, 536_870_911, b"abc");
        put_fixed32(&mut out, 4, 9);
        let read = fields(&out).unwrap();
        assert_eq!(
            read,
            [(1, Value::Varint(u64::MAX)), (2, Value::Fixed64(7)), (536_870_911, Value::Len(b"abc")), (4, Value::Fixed32(9)),]
        );
        assert_eq!(len_field_len(536_870_911, 3), 5 + 1 + 3);
    }

    #[test]
    fn a_field_is_copied_whole_from_its_raw_bytes() {
        let bytes = [0x0a, 0x01, b'x', 0x10, 0x05];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.next().unwrap().unwrap().raw, &bytes[..3]);
        assert_eq!(reader.next().unwrap().unwrap().raw, &bytes[3..]);
        assert_eq!(reader.next().unwrap(), None);
    }

    #[test]
    fn malformed_bytes_are_refused_with_the_place() {
        for (bytes, offset) in [
            (&[0x00_u8][..], 0),
            (&[0x0a], 1),
            (&[0x0a, 0x02, b'x'], 1),
            (&[0x09, 1, 2], 1),
            (&[0x0f], 0),
            (&[0x0c], 0),
            (&[0x0b, 0x08, 0x01], 1),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], 1),
        ] {
            assert_eq!(fields(bytes).unwrap_err().offset, offset, "{bytes:02x?}");
        }
    }

    #[test]
    fn an_unknown_group_is_skipped_whole() {
        let bytes = [0x0b, 0x13, 0x08, 0x01, 0x14, 0x0c, 0x10, 0x07];
        assert_eq!(fields(&bytes).unwrap(), [(1, Value::Group), (2, Value::Varint(7))]);
    }

    #[test]
    fn a_varint_takes_as_many_bytes_as_foretold() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value), "{value}");
            }
        }
    }

    #[test]
    fn a_length_is_right_however_wide_it_was_thought_to_be() {
        for length in [0, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152] {
            let content: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let mut expected = b"before".to_vec();
            put_len(&mut expected, 2, &content);
            for width in 1..=4 {
                let mut out = b"before".to_vec();
                put_nested(width, 2, &mut out, |out| out.extend_from_slice(&content));
                assert!(out == expected, "{length} bytes, {width} wide");
            }
        }
    }
}
