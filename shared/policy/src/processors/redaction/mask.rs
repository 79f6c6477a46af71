//! What takes a secret's place.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use regex::Regex;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512};
use sha3::Sha3_256;

/// The mask.
pub(crate) const MASK: &str = "****";

/// Masks make a text at most four times as long, unless they stand for nothing: then each pattern may do so again.
const GROWTH_MAX: usize = 4;
/// Digests are longer than most of what they stand for.
const HASHED_GROWTH_MAX: usize = 16;
/// Short texts may grow so far, in bytes.
const GROWN_BYTES_MAX: usize = 4096;

/// What is written for a match.
#[derive(Clone, Default)]
pub(crate) enum Mask {
    /// `****`.
    #[default]
    Stars,
    /// The match's digest in lower-case hex.
    Md5,
    /// See [`Mask::Md5`].
    Sha1,
    /// SHA3-256.
    Sha3,
    /// A digest under a key.
    HmacSha256(Box<Hmac<Sha256>>),
    /// See [`Mask::HmacSha256`].
    HmacSha512(Box<Hmac<Sha512>>),
}

/// Says which, and never the key.
impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stars => "Stars",
            Self::Md5 => "Md5",
            Self::Sha1 => "Sha1",
            Self::Sha3 => "Sha3",
            Self::HmacSha256(_) => "HmacSha256",
            Self::HmacSha512(_) => "HmacSha512",
        })
    }
}

/// A text grew beyond its bounds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Mask {
    /// HMAC-SHA-256 under a key of any length.
    pub(crate) fn hmac_sha256(key: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(key).ok().map(|mac| Self::HmacSha256(Box::new(mac)))
    }

    /// HMAC-SHA-512 under a key of any length.
    pub(crate) fn hmac_sha512(key: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(key).ok().map(|mac| Self::HmacSha512(Box::new(mac)))
    }

    fn write(&self, secret: &str, out: &mut String) {
        let secret = secret.as_bytes();
        match self {
            Self::Stars => out.push_str(MASK),
            Self::Md5 => hex(&Md5::digest(secret), out),
            Self::Sha1 => hex(&Sha1::digest(secret), out),
            Self::Sha3 => hex(&Sha3_256::digest(secret), out),
            Self::HmacSha256(mac) => hex(&(**mac).clone().chain_update(secret).finalize().into_bytes(), out),
            Self::HmacSha512(mac) => hex(&(**mac).clone().chain_update(secret).finalize().into_bytes(), out),
        }
    }

    /// A whole value, as upstream does it with `.*`: one mask for each line.
    pub(super) fn whole(&self, text: &str) -> String {
        let mut out = String::new();
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 {
                out.push('\n');
            }
            self.write(line, &mut out);
            if out.len() > self.bytes_max(text) {
                return MASK.to_owned();
            }
        }
        out
    }

    /// The text with a mask for each match, those of nothing only if `empty`; `None` if none matches.
    pub(super) fn replace(&self, pattern: &Regex, text: &str, empty: bool, bytes_max: usize) -> Result<Option<String>, TooLong> {
        let mut out = String::new();
        let mut last_end = None;
        for hit in pattern.find_iter(text).filter(|hit| empty || !hit.is_empty()) {
            out.push_str(text.get(last_end.unwrap_or(0)..hit.start()).unwrap_or_default());
            self.write(hit.as_str(), &mut out);
            last_end = Some(hit.end());
            if out.len() > bytes_max {
                return Err(TooLong);
            }
        }
        let Some(end) = last_end else { return Ok(None) };
        out.push_str(text.get(end..).unwrap_or_default());
        if out.len() > bytes_max { Err(TooLong) } else { Ok(Some(out)) }
    }

    /// How long a text may become.
    pub(super) fn bytes_max(&self, text: &str) -> usize {
        let growth = if matches!(self, Self::Stars) { GROWTH_MAX } else { HASHED_GROWTH_MAX };
        text.len().saturating_mul(growth).saturating_add(GROWN_BYTES_MAX)
    }
}

fn hex(bytes: &[u8], out: &mut String) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    for byte in bytes {
        out.extend([byte >> 4, byte & 15].map(|digit| DIGITS.get(usize::from(digit)).copied().unwrap_or('0')));
    }
}

/// Bytes as lower-case hex.
pub(crate) fn hex_text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    hex(bytes, &mut out);
    out
}
