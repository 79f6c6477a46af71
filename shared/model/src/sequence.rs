//! Sequence numbers of stream records.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How many limbs of 64 bits: Kinesis' numbers have 186 bits.
const LIMBS: usize = 3;

/// The most digits that are printed: 2^192 has 58.
const DIGITS_MAX: usize = 58;

/// The sequence number of a record: grows along its shard, gaps are normal. Written in decimal, as Kinesis does, without
/// leading zeros. Zero is before every record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence([u64; LIMBS]);

/// A text that is no sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a sequence number is a decimal number below 2^192")]
pub struct SequenceError;

impl Sequence {
    /// Before every record.
    pub const ZERO: Self = Self([0; LIMBS]);
    /// Behind every record.
    pub const MAX: Self = Self([u64::MAX; LIMBS]);

    /// The number, if it is one of a stream whose numbers have 64 bits.
    #[must_use]
    pub const fn to_u64(self) -> Option<u64> {
        let [high, middle, low] = self.0;
        if high == 0 && middle == 0 { Some(low) } else { None }
    }

    /// Big-endian bytes without leading zeros: none at all for zero.
    pub fn to_bytes(self) -> Vec<u8> {
        let bytes = self.0.into_iter().flat_map(u64::to_be_bytes);
        bytes.skip_while(|byte| *byte == 0).collect()
    }

    /// Reads what [`Sequence::to_bytes`] wrote; `None` if it is longer than a number can be.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LIMBS * 8 {
            return None;
        }
        let mut limbs = [0; LIMBS];
        for (at, byte) in bytes.iter().rev().enumerate() {
            if let Some(limb) = limbs.get_mut(LIMBS - 1 - at / 8) {
                *limb |= u64::from(*byte) << (at % 8 * 8);
            }
        }
        Some(Self(limbs))
    }

    /// This number from `before` on, around the end of the range if it is smaller.
    #[must_use]
    pub fn wrapping_sub(self, before: Self) -> Self {
        let negated = Self(before.0.map(|limb| !limb)).wrapping_add(Self::from(1));
        self.wrapping_add(negated)
    }

    /// The sum, around the end of the range.
    #[must_use]
    pub fn wrapping_add(self, more: Self) -> Self {
        let mut carry = false;
        let mut sum = self;
        for (limb, more) in sum.0.iter_mut().zip(more.0).rev() {
            let (first, over) = limb.overflowing_add(more);
            let (second, over_by_carry) = first.overflowing_add(u64::from(carry));
            (*limb, carry) = (second, over || over_by_carry);
        }
        sum
    }

    /// Ten times the number and a digit; `None` beyond the range.
    fn push_digit(self, digit: u8) -> Option<Self> {
        let mut carry = u128::from(digit);
        let mut limbs = self.0;
        for limb in limbs.iter_mut().rev() {
            let product = u128::from(*limb) * 10 + carry;
            #[expect(clippy::cast_possible_truncation, reason = "the upper half is carried")]
            let low = product as u64;
            (*limb, carry) = (low, product >> 64);
        }
        (carry == 0).then_some(Self(limbs))
    }

    /// A tenth of the number, and the last digit.
    fn pop_digit(self) -> (Self, u8) {
        let mut rest = 0_u128;
        let mut limbs = self.0;
        for limb in &mut limbs {
            let dividend = rest << 64 | u128::from(*limb);
            #[expect(clippy::cast_possible_truncation, reason = "the rest is below 10, so the quotient has 64 bits")]
            let quotient = (dividend / 10) as u64;
            (*limb, rest) = (quotient, dividend % 10);
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 10")]
        let digit = rest as u8;
        (Self(limbs), digit)
    }
}

impl From<u64> for Sequence {
    fn from(number: u64) -> Self {
        Self([0, 0, number])
    }
}

impl FromStr for Sequence {
    type Err = SequenceError;

    fn from_str(text: &str) -> Result<Self, SequenceError> {
        let push = |number: Self, byte: u8| match byte {
            b'0'..=b'9' => number.push_digit(byte - b'0').ok_or(SequenceError),
            _ => Err(SequenceError),
        };
        if text.is_empty() { Err(SequenceError) } else { text.bytes().try_fold(Self::ZERO, push) }
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut number, mut digits) = (*self, String::with_capacity(DIGITS_MAX));
        loop {
            let (rest, digit) = number.pop_digit();
            digits.insert(0, char::from(b'0' + digit));
            number = rest;
            if number == Self::ZERO {
                return formatter.pad_integral(true, "", &digits);
            }
        }
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As AWS' documentation shows them.
    const OF_KINESIS: &str = "49590338271490256608559692538361571095921575989136588898";

    fn parsed(text: &str) -> Sequence {
        text.parse().unwrap()
    }

    #[test]
    fn a_number_is_printed_as_it_was_read() {
        let most = "6277101735386680763835789423207666416102355444464034512895";
        for text in ["0", "7", "18446744073709551615", "18446744073709551616", OF_KINESIS, most] {
            assert_eq!(parsed(text).to_string(), text);
            assert_eq!(Sequence::from_bytes(&parsed(text).to_bytes()), Some(parsed(text)));
        }
        assert_eq!((parsed(most), parsed("0")), (Sequence::MAX, Sequence::ZERO));
        assert_eq!(parsed("000000000000000000042"), Sequence::from(42));
        assert_eq!(format!("{:020}", Sequence::from(42)), "00000000000000000042");
    }

    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        let beyond = "6277101735386680763835789423207666416102355444464034512896";
        for text in ["", "-1", "+1", " 1", "1e3", "0x1", beyond, &"9".repeat(4_000)] {
            assert_eq!(text.parse::<Sequence>(), Err(SequenceError), "{text}");
        }
        assert_eq!(Sequence::from_bytes(&[1; 25]), None);
    }

    #[test]
    fn numbers_are_ordered_as_numbers() {
        let ascending = ["9", "10", "18446744073709551616", "340282366920938463463374607431768211456", OF_KINESIS];
        let numbers: Vec<Sequence> = ascending.iter().map(|text| parsed(text)).collect();
        assert!(numbers.is_sorted());
        assert!(numbers.iter().all(|number| *number < Sequence::MAX && *number > Sequence::ZERO));
    }

    #[test]
    fn a_difference_leads_back() {
        let all = [Sequence::ZERO, Sequence::from(1), Sequence::from(u64::MAX), parsed(OF_KINESIS), Sequence::MAX];
        for one in all {
            for other in all {
                assert_eq!(other.wrapping_add(one.wrapping_sub(other)), one);
            }
        }
        assert_eq!(parsed(OF_KINESIS).wrapping_sub(parsed(OF_KINESIS)).to_bytes(), [0_u8; 0]);
        assert_eq!(Sequence::from(1_000).wrapping_sub(Sequence::from(999)), Sequence::from(1));
    }
}
