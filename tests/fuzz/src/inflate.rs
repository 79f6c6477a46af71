//! Inflating: never beyond the limit, whatever the body says; equal to other readers of the same formats; and nothing of
//! one body shows in the next.

use std::cell::RefCell;
use std::io::{Read, Write};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use spanlake_otlp::inflate::{Coding, InflateError, Inflater};

use super::draw::Draw;

/// The limit here: a few buffers of the decoders.
const BYTES_MAX: usize = 300_000;
/// What the inflater makes room for at first.
const STEP_BYTES: usize = 64 * 1024;

thread_local! {
    static USED: RefCell<(Inflater, Vec<u8>)> = RefCell::new((Inflater::new(), Vec::new()));
}

/// The target.
pub fn inflate(data: &[u8]) {
    let mut draw = Draw::new(data);
    let mode = draw.byte();
    let coding = if mode & 1 == 0 { Coding::Gzip } else { Coding::Zstd };
    let limit = if mode & 2 == 0 { BYTES_MAX } else { draw.below(256) };
    let damaged_body;
    let body = if mode & 128 == 0 {
        draw.rest()
    } else {
        damaged_body = damaged(&mut draw, coding);
        &damaged_body
    };
    USED.with_borrow_mut(|(inflater, out)| {
        // With room for more than the limit, some body would be found malformed behind the limit and not too large.
        if out.capacity() > limit + 1 {
            *out = Vec::new();
        }
        let answer = inflater.inflate(coding, body, limit, out);
        assert!(out.len() <= limit);
        match answer {
            Ok(()) => assert_eq!(other_reader(coding, body, limit).as_ref(), Some(&*out), "another reader reads another body"),
            Err(InflateError::TooLarge { .. }) => assert!(out.is_empty()),
            Err(_) => {
                assert!(out.is_empty());
                let other = other_reader(coding, body, limit);
                assert!(other.is_none_or(|other| is_known_exception(coding, body, &other)), "another reader reads it");
            }
        }
        let mut fresh = Vec::new();
        if mode & 0x0c == 0 {
            assert_eq!(Inflater::new().inflate(coding, body, limit, &mut fresh), answer, "the body before shows");
            assert_eq!(fresh, *out);
            assert!(fresh.capacity() <= (2 * limit).max(STEP_BYTES));
        }
        *out = fresh;
    });
}

/// What other implementations read; `None` for a refusal, or beyond the limit.
fn other_reader(coding: Coding, body: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let most = limit as u64 + 1;
    let read = match coding {
        Coding::Identity => return None,
        Coding::Gzip => flate2::read::MultiGzDecoder::new(body).take(most).read_to_end(&mut out),
        Coding::Zstd => zstd::stream::read::Decoder::new(body).and_then(|decoder| decoder.take(most).read_to_end(&mut out)),
    };
    (read.is_ok() && out.len() <= limit).then_some(out)
}

/// What another reader takes and the product does not: an empty body, and zstd windows beyond 8 MiB.
fn is_known_exception(coding: Coding, body: &[u8], other: &[u8]) -> bool {
    other.is_empty() && body.is_empty() || matches!(coding, Coding::Zstd)
}

/// A well-formed body of several members or frames, then perhaps a few changed bytes.
fn damaged(draw: &mut Draw<'_>, coding: Coding) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..=draw.below(3) {
        let piece = draw.bytes(40);
        let plain = piece.repeat(draw.pick(&[1, 1, 2, 100, 4000]));
        match coding {
            Coding::Zstd if draw.one_in(4) => {
                // A frame to be skipped.
                body.extend_from_slice(&[0x50 | draw.byte() & 15, 0x2a, 0x4d, 0x18]);
                body.extend_from_slice(&(piece.len() as u32).to_le_bytes());
                body.extend_from_slice(piece);
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(&mut body, draw.pick(&[1, 3, -5])).unwrap();
                encoder.include_checksum(draw.below(2) == 0).unwrap();
                encoder.write_all(&plain).unwrap();
                encoder.finish().unwrap();
            }
            _ => {
                let mut builder = GzBuilder::new();
                if draw.one_in(4) {
                    builder = builder.filename(&b"name"[..]).comment(&b"comment"[..]).extra(draw.bytes(5));
                }
                let level = draw.pick(&[Compression::none(), Compression::fast()]);
                let mut encoder: GzEncoder<&mut Vec<u8>> = builder.write(&mut body, level);
                encoder.write_all(&plain).unwrap();
                encoder.finish().unwrap();
            }
        }
    }
    for _ in 0..draw.below(4) {
        let (at, byte) = (draw.number(), draw.byte());
        if let Some(place) = usize::try_from(at).ok().and_then(|at| body.get_mut(at)) {
            *place = byte;
        }
    }
    if draw.one_in(8) {
        body.extend_from_slice(draw.bytes(12));
    }
    if draw.one_in(8) {
        body.truncate(draw.below(body.len().min(255) + 1));
    }
    body
}
