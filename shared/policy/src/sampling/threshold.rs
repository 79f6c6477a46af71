//! Thresholds of 56 bits, as in `ot=th:`, and shares: the arithmetic of consistent sampling.

/// The number of different thresholds: what is rejected at this one is everything.
pub(crate) const NEVER: u64 = 1 << 56;

#[expect(clippy::cast_precision_loss, reason = "a power of two")]
const ALL: f64 = NEVER as f64;

/// Hex digits of a threshold.
pub(crate) const DIGITS: u32 = 14;

/// The rejection threshold of a share, at full precision: what the Collector records for `probabilistic`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the ratio is clamped to 0..=1")]
pub(crate) fn rejection(ratio: f64) -> u64 {
    NEVER - (ratio.clamp(0.0, 1.0) * ALL).round() as u64
}

/// The rejection threshold of a share at a precision of so many hex digits, more where the share is near 0 or 1; `None` for
/// shares below 2^-56 or above 1.
pub(crate) fn rejection_at(ratio: f64, precision: u32) -> Option<u64> {
    if !(1.0 / ALL..=1.0).contains(&ratio) {
        return None;
    }
    if ratio >= 1.0 {
        return Some(0);
    }
    let extra = |share: f64| u32::try_from(exponent(share).checked_div(-4).unwrap_or(0)).unwrap_or(0);
    let precision = precision.saturating_add(extra(ratio).max(extra(1.0 - ratio))).min(DIGITS);
    let threshold = rejection(ratio);
    match 4 * (DIGITS - precision) {
        0 => Some(threshold),
        shift => Some((threshold + (1 << (shift - 1))) >> shift << shift),
    }
}

/// The exponent of a number as `m * 2^e` with m from 1/2 to 1.
fn exponent(number: f64) -> i32 {
    let biased = i32::try_from(number.to_bits() >> 52 & 0x7ff).unwrap_or(0);
    if number == 0.0 { 0 } else { biased - 1022 }
}

/// The share that a rejection threshold lets pass.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
pub(crate) fn share(threshold: u64) -> f64 {
    NEVER.saturating_sub(threshold) as f64 / ALL
}
