//! Inflating request bodies, capped: memory and work are bounded by what may come out, not by what a client claims.
//!
//! Multi-member gzip (RFC 1952, section 2.2) and multi-frame zstd (RFC 8878, section 3.1) are whole bodies; anything
//! after the last member or frame, a wrong checksum or length, and a truncated body are errors.

mod gzip;

use spanlake_model::ErrorKind;
use thiserror::Error;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe;

/// The largest zstd window, as a power of two: 8 MiB, the most a decoder must support (RFC 8878, section 3.1.1.1.2).
/// zstd's levels up to 19 stay within it.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How much room is made at first, unless the body says how much.
const STEP_BYTES_MIN: usize = 64 * 1024;

/// How much of the length that a body tells of itself is believed, as a multiple of the body: telemetry comes to a tenth or
/// so, and room that nothing fills is a waste.
const RATIO_BELIEVED: usize = 16;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// A `Content-Encoding` that is none of `identity`, `gzip` and `zstd`, or that names several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unsupported content encoding: use identity, gzip or zstd, and only one of them")]
pub struct UnknownCoding;

impl Coding {
    /// Reads the value of a `Content-Encoding` header; no header is `""`. Case does not matter.
    ///
    /// # Errors
    /// [`UnknownCoding`] (HTTP 415).
    pub fn parse(header: &str) -> Result<Self, UnknownCoding> {
        let name = header.trim();
        let is = |coding: &str| name.eq_ignore_ascii_case(coding);
        if name.is_empty() || is("identity") {
            Ok(Self::Identity)
        } else if is("gzip") || is("x-gzip") {
            Ok(Self::Gzip)
        } else if is("zstd") {
            Ok(Self::Zstd)
        } else {
            Err(UnknownCoding)
        }
    }
}

/// Why a body could not be inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InflateError {
    /// The body is not what its coding says.
    #[error("invalid {coding} body: {what}")]
    Invalid {
        /// `gzip` or `zstd`.
        coding: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// More than the limit would come out; inflating stopped there.
    #[error("the inflated body is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// No memory for a decompression context.
    #[error("no memory for a decompression context")]
    OutOfMemory,
}

impl InflateError {
    /// What a caller should do about it.
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::OutOfMemory => ErrorKind::Unavailable,
        }
    }
}

/// Inflates bodies one after the other, keeping the contexts: making them anew dominates the cost of small bodies.
/// Holds at most about 8 MiB (one zstd window) between bodies.
#[derive(Default)]
pub struct Inflater {
    gzip: Option<flate2::Decompress>,
    zstd: Option<Decoder<'static>>,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").finish_non_exhaustive()
    }
}

impl Inflater {
    /// An inflater without contexts yet; each is made when first needed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces `out` by the inflated `body`, at most `max_bytes` long. `out` never grows beyond twice of what came
    /// out or 16 times the body, and after an error it is empty.
    ///
    /// # Errors
    /// [`InflateError::Invalid`] (HTTP 400) and [`InflateError::TooLarge`] (HTTP 413).
    pub fn inflate(&mut self, coding: Coding, body: &[u8], max_bytes: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
        out.clear();
        let done = match coding {
            Coding::Identity if body.len() > max_bytes => Err(InflateError::TooLarge { limit_bytes: max_bytes }),
            Coding::Identity => {
                out.extend_from_slice(body);
                Ok(())
            }
            Coding::Gzip => {
                let context = self.gzip.get_or_insert_with(|| flate2::Decompress::new(false));
                gzip::inflate(context, body, max_bytes, out)
            }
            Coding::Zstd => {
                if self.zstd.is_none() {
                    self.zstd = Some(new_zstd().map_err(|_| InflateError::OutOfMemory)?);
                }
                self.zstd.as_mut().map_or(Err(InflateError::OutOfMemory), |context| inflate_zstd(context, body, max_bytes, out))
            }
        };
        if done.is_err() {
            out.clear();
        }
        done
    }
}

fn new_zstd() -> std::io::Result<Decoder<'static>> {
    let mut context = Decoder::new()?;
    context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
    Ok(context)
}

fn inflate_zstd(context: &mut Decoder<'static>, body: &[u8], max_bytes: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
    let invalid = |what| InflateError::Invalid { coding: "zstd", what };
    context.reinit().map_err(|_| InflateError::OutOfMemory)?;
    let told_bytes = believed(zstd_safe::get_frame_content_size(body).ok().flatten().unwrap_or(0), body);
    let mut input = InBuffer::around(body);
    loop {
        let before = (input.pos(), out.len());
        make_room(out, told_bytes, max_bytes);
        let mut output = OutBuffer::around_pos(out.as_mut_slice(), before.1);
        let left = context.run(&mut input, &mut output);
        let end = output.pos();
        out.truncate(end);
        let left = left.map_err(|_| invalid("malformed, or its window is beyond 8 MiB"))?;
        check_size(out, max_bytes)?;
        if left == 0 && input.pos() == body.len() {
            return Ok(());
        }
        if before == (input.pos(), out.len()) {
            return Err(invalid("truncated"));
        }
    }
}

/// The length that a body tells, as far as it is believed.
fn believed(told_bytes: u64, body: &[u8]) -> usize {
    usize::try_from(told_bytes).unwrap_or(usize::MAX).min(body.len().saturating_mul(RATIO_BELIEVED))
}

/// Makes room behind what came out so far: as much as the body says that comes out in all, or as much again, up to one byte
/// beyond the limit, which tells "too large".
///
/// The room follows from the body alone, not from what the buffer had room for before: a zstd frame that fits it is read in
/// one go, whatever its window, and room is filled with zeros first.
fn make_room(out: &mut Vec<u8>, told_bytes: usize, max_bytes: usize) {
    let length = out.len();
    let allowed = max_bytes.saturating_add(1).saturating_sub(length);
    let step_bytes = if length < told_bytes { told_bytes - length } else { length.max(STEP_BYTES_MIN) };
    out.reserve_exact(step_bytes.min(allowed));
    out.resize(length + step_bytes.min(allowed), 0);
}

const fn check_size(out: &[u8], max_bytes: usize) -> Result<(), InflateError> {
    if out.len() > max_bytes { Err(InflateError::TooLarge { limit_bytes: max_bytes }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
