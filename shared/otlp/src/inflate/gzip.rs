//! gzip members around raw deflate streams.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{InflateError, believed, check_size, make_room};

/// How many members a body may have. Each costs a microsecond even if it is empty; a writer of blocks of 64 KiB stays
/// below it up to 256 MiB.
const MEMBERS_MAX: u32 = 4096;

const FLAG_HEADER_CRC: u8 = 2;
const FLAG_EXTRA: u8 = 4;
const FLAG_NAME: u8 = 8;
const FLAG_COMMENT: u8 = 16;
const FLAGS_RESERVED: u8 = 0xe0;

const fn invalid(what: &'static str) -> InflateError {
    InflateError::Invalid { coding: "gzip", what }
}

/// Inflates all members of `body` to the end of `out`.
pub(super) fn inflate(context: &mut Decompress, body: &[u8], max_bytes: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
    let mut rest = body;
    // The length of the last member: most bodies have one.
    let told_bytes = believed(body.last_chunk::<4>().map_or(0, |length| u64::from(u32::from_le_bytes(*length))), body);
    for _ in 0..MEMBERS_MAX {
        rest = skip_header(rest)?;
        let begin = out.len();
        rest = member(context, rest, (told_bytes, max_bytes), out)?;
        let (trailer, after) = rest.split_first_chunk::<8>().ok_or(invalid("truncated"))?;
        let [c0, c1, c2, c3, l0, l1, l2, l3] = *trailer;
        let data = out.get(begin..).unwrap_or_default();
        let mut crc = Crc::new();
        crc.update(data);
        if crc.sum() != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(invalid("wrong checksum"));
        }
        if data.len() as u64 & 0xffff_ffff != u64::from(u32::from_le_bytes([l0, l1, l2, l3])) {
            return Err(invalid("wrong length"));
        }
        if after.is_empty() {
            return Ok(());
        }
        rest = after;
    }
    Err(invalid("more than 4096 members"))
}

/// One deflate stream; answers what follows it.
fn member<'a>(
    context: &mut Decompress,
    body: &'a [u8],
    (told_bytes, max_bytes): (usize, usize),
    out: &mut Vec<u8>,
) -> Result<&'a [u8], InflateError> {
    context.reset(false);
    let mut rest = body;
    loop {
        let (read_before, written_before, begin) = (context.total_in(), context.total_out(), out.len());
        make_room(out, told_bytes, max_bytes);
        let status = context.decompress(rest, out.get_mut(begin..).unwrap_or_default(), FlushDecompress::None);
        let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        out.truncate(begin.saturating_add(number(context.total_out() - written_before)));
        let status = status.map_err(|_| invalid("malformed deflate data"))?;
        check_size(out, max_bytes)?;
        let read = number(context.total_in() - read_before);
        rest = rest.get(read..).unwrap_or_default();
        if status == Status::StreamEnd {
            return Ok(rest);
        }
        if read == 0 && begin == out.len() {
            return Err(invalid("truncated"));
        }
    }
}

/// RFC 1952, section 2.3.
fn skip_header(body: &[u8]) -> Result<&[u8], InflateError> {
    let (head, mut rest) = body.split_first_chunk::<10>().ok_or(invalid("truncated"))?;
    let [0x1f, 0x8b, 8, flags, ..] = *head else {
        return Err(invalid("not a gzip header"));
    };
    if flags & FLAGS_RESERVED != 0 {
        return Err(invalid("reserved flags"));
    }
    if flags & FLAG_EXTRA != 0 {
        let (length, after) = rest.split_first_chunk::<2>().ok_or(invalid("truncated"))?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..).ok_or(invalid("truncated"))?;
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|byte| *byte == 0).ok_or(invalid("truncated"))?;
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        let (stored, after) = rest.split_first_chunk::<2>().ok_or(invalid("truncated"))?;
        let mut crc = Crc::new();
        crc.update(body.get(..body.len() - rest.len()).unwrap_or_default());
        if crc.sum() & 0xffff != u32::from(u16::from_le_bytes(*stored)) {
            return Err(invalid("wrong checksum of a header"));
        }
        rest = after;
    }
    Ok(rest)
}
