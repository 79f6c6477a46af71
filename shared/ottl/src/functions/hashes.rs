//! Hashes of texts. All but FNV come as text in lower-case hex.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::error::DataError;
use crate::function::{Args, Function, Kind, Param};
use crate::paths::access_hex as hex;
use crate::val::Val;

const TARGET: &[Param] = &[Param::new("target", Kind::Str)];

/// The converters of this file.
pub(super) const ALL: &[Function] = &[
    Function::converter("FNV", TARGET, |args| Ok(Val::int(fnv(args.string(0)?.as_bytes()).cast_signed()))),
    Function::converter("MD5", TARGET, digest::<Md5>),
    Function::converter("Murmur3Hash", TARGET, |args| text(&murmur32(bytes(args)?).to_le_bytes())),
    Function::converter("Murmur3Hash128", TARGET, |args| {
        let [first, second] = murmur128(bytes(args)?);
        text(&[first.to_le_bytes(), second.to_le_bytes()].concat())
    }),
    Function::converter("SHA1", TARGET, digest::<Sha1>),
    Function::converter("SHA256", TARGET, digest::<Sha256>),
    Function::converter("SHA512", TARGET, digest::<Sha512>),
    Function::converter("XXH3", TARGET, |args| text(&xxh3_64(bytes(args)?).to_be_bytes())),
    Function::converter("XXH128", TARGET, |args| text(&xxh3_128(bytes(args)?).to_be_bytes())),
];

fn bytes<'x>(args: &'x Args<'_>) -> Result<&'x [u8], DataError> {
    args.string(0).map(str::as_bytes)
}

fn text<'a>(hash: &[u8]) -> Result<Val<'a>, DataError> {
    Ok(Val::text(hex(hash)))
}

fn digest<'a, D: Digest>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    text(&D::digest(bytes(args)?))
}

/// FNV-1a of 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// `MurmurHash3` x86 of 32 bits, seed 0.
fn murmur32(bytes: &[u8]) -> u32 {
    let mix = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = 0_u32;
    for block in blocks {
        hash = (hash ^ mix(u32::from_le_bytes(*block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    hash ^= mix(tail.iter().rev().fold(0, |block, byte| block << 8 | u32::from(*byte)));
    // Lengths count modulo the hash's size.
    #[expect(clippy::cast_possible_truncation, reason = "as the algorithm has it")]
    let mut hash = hash ^ bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// `MurmurHash3` x64 of 128 bits, seed 0.
fn murmur128(bytes: &[u8]) -> [u64; 2] {
    const ONE: u64 = 0x87c3_7b91_1142_53d5;
    const TWO: u64 = 0x4cf5_ad43_2745_937f;
    let mix_first = |block: u64| block.wrapping_mul(ONE).rotate_left(31).wrapping_mul(TWO);
    let mix_second = |block: u64| block.wrapping_mul(TWO).rotate_left(33).wrapping_mul(ONE);
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |block, byte| block << 8 | u64::from(*byte));
    let (blocks, tail) = bytes.as_chunks::<16>();
    let (mut first, mut second) = (0_u64, 0_u64);
    for block in blocks {
        let (low, high) = block.split_at(8);
        first = (first ^ mix_first(number(low))).rotate_left(27).wrapping_add(second);
        first = first.wrapping_mul(5).wrapping_add(0x52dc_e729);
        second = (second ^ mix_second(number(high))).rotate_left(31).wrapping_add(first);
        second = second.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let (low, high) = tail.split_at(tail.len().min(8));
    first ^= mix_first(number(low));
    second ^= mix_second(number(high));
    let length = bytes.len() as u64;
    (first, second) = (first ^ length, second ^ length);
    first = first.wrapping_add(second);
    second = second.wrapping_add(first);
    (first, second) = (finish(first), finish(second));
    first = first.wrapping_add(second);
    [first, second.wrapping_add(first)]
}

const fn finish(mut hash: u64) -> u64 {
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_several_lengths_are_the_published_ones() {
        assert_eq!(fnv(b"").cast_signed(), -3_750_763_034_362_895_579);
        assert_eq!(murmur32(b""), 0);
        assert_eq!(murmur32(b"test"), 0xba6b_d213);
        assert_eq!(murmur32(b"Hello, world!"), 0xc036_3e43);
        assert_eq!(murmur128(b""), [0, 0]);
        assert_eq!(murmur128(b"hello"), [0xcbd8_a7b3_41bd_9b02, 0x5b1e_906a_48ae_1d19]);
        assert_eq!(murmur128(b"The quick brown fox jumps over the lazy dog"), [0xe34b_bc7b_bc07_1b6c, 0x7a43_3ca9_c49a_9347]);
    }
}
