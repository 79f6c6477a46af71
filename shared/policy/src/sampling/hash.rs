//! The `probabilistic` policy's hash and threshold, bit for bit those of the Collector.

use spanlake_model::TraceId;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a over 64 bits, going on from `state`.
fn fnv1a(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// The state after the salt: what is the same for every trace.
pub(crate) fn salted(salt: &str) -> u64 {
    fnv1a(OFFSET, salt.as_bytes())
}

/// The hash of a trace id under a salt's state.
pub(crate) fn hash(salted: u64, id: &TraceId) -> u64 {
    fnv1a(salted, &id.0)
}

/// The highest hash that is sampled at `ratio`. Upstream multiplies `2^64 - 1` by the ratio in
/// a float of 64 bits' mantissa with half-even rounding, then truncates; an `f64` product is off by one.
pub(crate) fn threshold(ratio: f64) -> u64 {
    if ratio.is_nan() || ratio <= 0.0 {
        return 0;
    }
    if ratio >= 1.0 {
        return u64::MAX;
    }
    let bits = ratio.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let biased = (bits >> 52) & 0x7ff;
    let (mantissa, exponent) = match biased {
        0 => (fraction, -1074_i64),
        _ => (fraction | 1 << 52, i64::try_from(biased).unwrap_or(0) - 1075),
    };
    let product = u128::from(u64::MAX) * u128::from(mantissa);
    let width = 128 - product.leading_zeros();
    let drop = width.saturating_sub(64);
    let mut top = product >> drop;
    let rest = product - (top << drop);
    let half = if drop == 0 { 0 } else { 1_u128 << (drop - 1) };
    if drop > 0 && (rest > half || (rest == half && top & 1 == 1)) {
        top += 1;
    }
    let shift = exponent + i64::from(drop);
    let places = u32::try_from(shift.unsigned_abs()).unwrap_or(u32::MAX);
    let value = if shift >= 0 { top.checked_shl(places).unwrap_or(u128::MAX) } else { top.checked_shr(places).unwrap_or(0) };
    u64::try_from(value).unwrap_or(u64::MAX)
}
