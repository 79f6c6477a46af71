//! Sequence numbers that look like those of AWS: 56 decimal digits, far above 64 bits, with large gaps.

use std::fmt;

use spanlake_testkit::Rng;

/// What every number of a stream begins with; 39 digits, as many as 128 bits have, follow.
const HEAD: &str = "49645678901234567";
const TAIL_DIGITS: usize = 39;

/// A sequence number. All numbers of a stream grow, so those of a child shard are greater than those of its parents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sequence(u128);

impl Sequence {
    /// Before all records.
    pub(super) const ZERO: Self = Self(0);

    /// Where a stream begins.
    pub(super) fn first(rng: &mut Rng) -> Self {
        Self((1 << 120) + u128::from(rng.next_u64()))
    }

    /// A later one. Its low 64 bits may be smaller: who keeps only those loses the order.
    pub(super) fn next(self, rng: &mut Rng) -> Self {
        Self(self.0 + 1 + (u128::from(rng.next_u64()) << rng.below(12)))
    }

    /// The one just before.
    pub(super) const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Reads a number of a stream.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let tail = text.strip_prefix(HEAD)?;
        let is_number = tail.len() == TAIL_DIGITS && tail.bytes().all(|byte| byte.is_ascii_digit());
        tail.parse().ok().filter(|_| is_number).map(Self)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{HEAD}{:0TAIL_DIGITS$}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_56_digits_grow_and_are_read_back() {
        let mut rng = Rng::new(1);
        let mut before = Sequence::first(&mut rng);
        for _ in 0..1_000 {
            let next = before.next(&mut rng);
            let text = next.to_string();
            assert!(next > before && text > before.to_string() && text.len() == 56);
            assert_eq!(Sequence::parse(&text), Some(next));
            before = next;
        }
        assert_eq!(Sequence::parse("17"), None);
        assert_eq!(Sequence::parse(&format!("{HEAD}+{:038}", 1)), None);
    }
}
