//! Inflating: never beyond the limit, whatever the body says; equal to other readers of the same formats; and nothing of
//! one body shows in the next.

use std::cell::RefCell;
use std::io::{self, Read, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use spanlake_otlp::inflate::{Coding, InflateError, Inflater};
use zstd::zstd_safe::{CCtx, CParameter, DCtx, ResetDirective};

use super::draw::Draw;

/// The limit here: a few buffers of the decoders.
const BYTES_MAX: usize = 100_000;
/// What the inflater makes room for at first.
const STEP_BYTES: usize = 64 * 1024;

thread_local! {
    static USED: RefCell<(Inflater, Vec<u8>)> = RefCell::new((Inflater::new(), Vec::new()));
    /// Contexts cost more to make than a small frame to write or to read.
    static ZSTD: RefCell<(CCtx<'static>, DCtx<'static>)> = RefCell::new((CCtx::create(), DCtx::create()));
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
        Coding::Gzip => flate2::bufread::MultiGzDecoder::new(body).take(most).read_to_end(&mut out),
        Coding::Zstd => ZSTD.with_borrow_mut(|(_, context)| {
            context.reset(ResetDirective::SessionAndParameters).unwrap();
            zstd::stream::read::Decoder::with_context(body, context).take(most).read_to_end(&mut out)
        }),
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
        let plain = piece.repeat(draw.pick(&[1, 1, 1, 1, 2, 2, 100, 2000]));
        match coding {
            Coding::Zstd if draw.one_in(4) => {
                // A frame to be skipped.
                body.extend_from_slice(&[0x50 | draw.byte() & 15, 0x2a, 0x4d, 0x18]);
                body.extend_from_slice(&(piece.len() as u32).to_le_bytes());
                body.extend_from_slice(piece);
            }
            Coding::Zstd => frame(draw, &plain, &mut body).unwrap(),
            _ => member(draw, &plain, &mut body).unwrap(),
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

/// A zstd frame, with or without its checksum.
fn frame(draw: &mut Draw<'_>, plain: &[u8], body: &mut Vec<u8>) -> io::Result<()> {
    ZSTD.with_borrow_mut(|(context, _)| {
        context.reset(ResetDirective::SessionAndParameters).unwrap();
        context.set_parameter(CParameter::CompressionLevel(draw.pick(&[1, 3, -5]))).unwrap();
        context.set_parameter(CParameter::ChecksumFlag(draw.below(2) == 0)).unwrap();
        let mut encoder = zstd::stream::write::Encoder::with_context(body, context);
        encoder.write_all(plain)?;
        encoder.finish().map(drop)
    })
}

/// A gzip member with any of the fields that its header may have (RFC 1952, section 2.3).
fn member(draw: &mut Draw<'_>, plain: &[u8], body: &mut Vec<u8>) -> io::Result<()> {
    let begun = body.len();
    let flags = if draw.one_in(4) { draw.byte() & 0x3f } else { 0 };
    body.extend_from_slice(&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255]);
    if flags & 4 != 0 {
        let extra = draw.bytes(5);
        body.extend_from_slice(&[extra.len() as u8, 0]);
        body.extend_from_slice(extra);
    }
    for text in [8, 16] {
        body.extend_from_slice(if flags & text == 0 { b"" } else { b"name\0" });
    }
    let mut crc = Crc::new();
    if flags & 2 != 0 {
        crc.update(&body[begun..]);
        body.extend_from_slice(&crc.sum().to_le_bytes()[..2]);
        crc.reset();
    }
    if draw.one_in(4) {
        let mut encoder = DeflateEncoder::new(&mut *body, Compression::fast());
        encoder.write_all(plain)?;
        encoder.finish()?;
    } else {
        // Blocks of plain bytes cost nothing to make; other blocks come of mutations too.
        let mut pieces = plain.chunks(usize::from(u16::MAX)).peekable();
        while let Some(piece) = pieces.next() {
            let length = piece.len() as u16;
            body.push(u8::from(pieces.peek().is_none()));
            body.extend_from_slice(&[length.to_le_bytes(), (!length).to_le_bytes()].concat());
            body.extend_from_slice(piece);
        }
        if plain.is_empty() {
            body.extend_from_slice(&[1, 0, 0, 255, 255]);
        }
    }
    crc.update(plain);
    body.extend_from_slice(&crc.sum().to_le_bytes());
    body.extend_from_slice(&crc.amount().to_le_bytes());
    Ok(())
}
