//! Looking along a text, in steps that tests can count.

use memchr::{memchr, memchr2};

/// How many bytes are looked at singly before a search by vectors begins: what stands close is found sooner so.
const NEAR_BYTES: usize = 16;

/// How many bytes from `from` on are part of what `is_part` tells.
#[inline]
pub(super) fn run(text: &[u8], from: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let length = rest.iter().position(|byte| !is_part(*byte)).unwrap_or(rest.len());
    steps::add(length + 1);
    length
}

/// How many bytes before `end` are, at most `most`.
#[inline]
pub(super) fn run_back(text: &[u8], end: usize, most: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let before = text.get(end.saturating_sub(most)..end).unwrap_or_default();
    let length = before.iter().rev().position(|byte| !is_part(*byte)).unwrap_or(before.len());
    steps::add(length + 1);
    length
}

/// The place of the next `byte` from `from` on.
#[inline]
pub(super) fn next(text: &[u8], from: usize, byte: u8) -> Option<usize> {
    next_of(text, from, |found| found == byte, |far| memchr(byte, far))
}

/// The place of the next `one` or `other` from `from` on.
#[inline]
pub(super) fn next_of_two(text: &[u8], from: usize, one: u8, other: u8) -> Option<usize> {
    next_of(text, from, |found| found == one || found == other, |far| memchr2(one, other, far))
}

#[inline]
fn next_of(text: &[u8], from: usize, is: impl Fn(u8) -> bool, search: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
    let rest = text.get(from..)?;
    let (near, far) = rest.split_at_checked(NEAR_BYTES).unwrap_or((rest, &[]));
    let place = near.iter().position(|byte| is(*byte)).or_else(|| search(far).map(|place| near.len() + place));
    steps::add(place.unwrap_or(rest.len()) + 1);
    place.map(|place| from + place)
}

/// A stretch of text that something begins in, maybe at each of its bytes: it is looked through once.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    start: usize,
    pub(super) end: usize,
    /// Behind its last digit.
    digits_end: usize,
}

impl Stretch {
    /// Makes this the stretch that `from` lies in.
    pub(super) fn reach(&mut self, text: &[u8], from: usize, is_part: impl Fn(u8) -> bool) -> &Self {
        if self.end == 0 || !(self.start..=self.end).contains(&from) {
            self.start = from;
            self.end = from + run(text, from, is_part);
            let digit = text.get(from..self.end).and_then(|stretch| stretch.iter().rposition(u8::is_ascii_digit));
            self.digits_end = digit.map_or(0, |digit| from + digit + 1);
        }
        self
    }

    /// Whether a digit stands at `from` or behind it.
    pub(super) fn has_digit(&self, from: usize) -> bool {
        self.digits_end > from
    }
}

/// Counts the bytes that are looked at, in tests only.
pub(super) mod steps {
    #[cfg(test)]
    std::thread_local! {
        static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    #[cfg(test)]
    pub(in super::super) fn add(count: usize) {
        STEPS.set(STEPS.get() + count);
    }

    #[cfg(not(test))]
    #[inline]
    pub(in super::super) const fn add(_count: usize) {}

    /// The steps so far, which begin at zero again.
    #[cfg(test)]
    pub(in super::super) fn take() -> usize {
        STEPS.take()
    }
}
