//! Looking along a text, in steps that tests can count.

use memchr::{memchr, memchr2};

/// How many bytes are looked at before a search by vectors begins: what stands close is found sooner so.
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
    next_of(text, from, |near| near.iter().position(|found| *found == byte), |far| memchr(byte, far))
}

/// The place of the next `one` or `other` from `from` on.
#[inline]
pub(super) fn next_of_two(text: &[u8], from: usize, one: u8, other: u8) -> Option<usize> {
    next_of(text, from, |near| place_in(near, [one, other]), |far| memchr2(one, other, far))
}

#[inline]
fn next_of(
    text: &[u8],
    from: usize,
    look: impl Fn(&[u8]) -> Option<usize>,
    search: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    let rest = text.get(from..)?;
    let (near, far) = rest.split_at_checked(NEAR_BYTES).unwrap_or((rest, &[]));
    let place = look(near).or_else(|| search(far).map(|place| near.len() + place));
    steps::add(place.unwrap_or(rest.len()) + 1);
    place.map(|place| from + place)
}

/// The place of the first of two bytes in a short text: in one of `NEAR_BYTES` first one by one, then eight at a time, since
/// what follows at once is found sooner so, and what does not, later.
#[inline]
fn place_in(near: &[u8], wanted: [u8; 2]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let is = |byte: u8| byte == wanted[0] || byte == wanted[1];
    let Some(all) = near.first_chunk::<NEAR_BYTES>() else {
        return near.iter().position(|byte| is(*byte));
    };
    if is(all[0]) {
        return Some(0);
    }
    if is(all[1]) {
        return Some(1);
    }
    let (words, _) = all.as_chunks::<8>();
    words.iter().enumerate().find_map(|(number, word)| {
        let word = u64::from_le_bytes(*word);
        // The high bit of each byte that is equal; above the lowest of them there may be some that are not.
        let equal = |byte: u8| {
            let differs = word ^ ONES.wrapping_mul(u64::from(byte));
            differs.wrapping_sub(ONES) & !differs & ONES << 7
        };
        let [one, other] = wanted.map(equal);
        let found = one | other;
        (found != 0).then(|| number * 8 + found.trailing_zeros() as usize / 8)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_of_two_bytes_is_the_one_that_looking_at_each_finds() {
        // Bytes that differ from what is looked for in one bit, and what carries between bytes could make alike.
        for other in [b'<', b';', b'9', b'>', b'=' | 0x80, b':' | 0x80, 0, 0xff] {
            for length in 0..3 * NEAR_BYTES {
                for at in 0..=length {
                    let mut text = vec![other; length];
                    if let Some(byte) = text.get_mut(at) {
                        *byte = if at % 2 == 0 { b'=' } else { b':' };
                    }
                    if let Some(byte) = text.get_mut(at + 1) {
                        *byte = b'=';
                    }
                    for from in 0..=length {
                        let slow = text.iter().skip(from).position(|byte| matches!(byte, b'=' | b':')).map(|place| from + place);
                        assert_eq!(next_of_two(&text, from, b'=', b':'), slow, "{text:?} from {from}");
                    }
                }
            }
        }
    }
}
