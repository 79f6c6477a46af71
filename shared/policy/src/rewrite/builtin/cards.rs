//! Payment card numbers.

use super::scan::steps;
use super::{Hit, Rule, scan};

/// The fewest digits of a card.
pub(super) const DIGITS_MIN: usize = 13;
pub(super) const DIGITS_MAX: usize = 19;

/// Whether enough digits for a card follow each other with nothing but separators between them. Hexadecimal ids rarely have
/// as many. A run is at least as long as it has digits, so only one byte in so many is looked at until one is met.
pub(super) fn suspect(text: &[u8]) -> bool {
    let ends = |byte: &u8| !byte.is_ascii_digit() && !is_separator(*byte);
    let mut at = DIGITS_MIN - 1;
    while let Some((before, rest)) = text.split_at_checked(at)
        && !rest.is_empty()
    {
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        if length > 0 {
            let head = before.iter().rev().take_while(|byte| !ends(byte));
            let run = head.chain(rest.iter().take(length));
            if run.filter(|byte| byte.is_ascii_digit()).count() >= DIGITS_MIN {
                return true;
            }
        }
        at += length + DIGITS_MIN;
    }
    false
}

/// The digits of a text that is one card number and nothing else.
pub(super) fn digits_of(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let run = Run::new(bytes, 0);
    let is_all = run.card_end(bytes, 0) == Some(bytes.len());
    is_all.then(|| text.chars().filter(char::is_ascii_digit).collect())
}

/// Notes the card numbers of `text`.
pub(super) fn find(bytes: &[u8], hits: &mut Vec<Hit>) {
    if !suspect(bytes) {
        return;
    }
    let (mut at, mut train) = (0, Train::default());
    loop {
        let start = at + scan::run(bytes, at, |byte| !byte.is_ascii_digit());
        let Some(first) = bytes.get(start) else { return };
        let mut group_end = start + 1;
        // No issuer has another first digit; and what goes on for too long is no card, wherever in it one begins.
        if matches!(first, b'2'..=b'6') && !train.goes_on(bytes, start) {
            let run = Run::new(bytes, start);
            if let Some(end) = run.card_end(bytes, start) {
                hits.push(Hit { start, end, rule: Rule::PaymentCard });
                at = end;
                continue;
            }
            group_end = run.first_group_end;
        }
        // The rest of a group begins behind a digit, and no card does.
        at = group_end + scan::run(bytes, group_end, |byte| byte.is_ascii_digit());
    }
}

/// Digits with nothing but single separators of one kind between them, however many.
#[derive(Default)]
struct Train {
    start: usize,
    end: usize,
}

impl Train {
    /// Whether more digits follow `from` than a card has. Looks through each train once.
    fn goes_on(&mut self, bytes: &[u8], from: usize) -> bool {
        if !(self.start..self.end).contains(&from) {
            let mut at = from + scan::run(bytes, from, |byte| byte.is_ascii_digit());
            if let Some(separator) = bytes.get(at).copied().filter(|byte| is_separator(*byte)) {
                while let [mark, digit, ..] = bytes.get(at..).unwrap_or_default()
                    && *mark == separator
                    && digit.is_ascii_digit()
                {
                    at += 1 + scan::run(bytes, at + 1, |byte| byte.is_ascii_digit());
                }
            }
            (self.start, self.end) = (from, at);
        }
        self.end - from >= 2 * (DIGITS_MAX + 1)
    }
}

/// What may stand between two groups of digits.
const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'+' | b'.' | b'_' | b'/' | b'\t')
}

/// Digits from a place on, with at most one separator between two of them.
struct Run {
    digits: [u8; DIGITS_MAX],
    /// How many digits there are, counted up to one more than a card has.
    count: usize,
    end: usize,
    first_group_end: usize,
    /// Lengths of the groups are those of a card's print.
    grouped: bool,
    groups: usize,
}

impl Run {
    fn new(bytes: &[u8], start: usize) -> Self {
        let mut run = Self { digits: [0; DIGITS_MAX], count: 0, end: start, first_group_end: 0, grouped: true, groups: 1 };
        let (mut at, mut group) = (start, 0);
        let mut separator = None;
        while run.count <= DIGITS_MAX {
            match bytes.get(at).copied() {
                Some(digit) if digit.is_ascii_digit() => {
                    if let Some(slot) = run.digits.get_mut(run.count) {
                        *slot = digit - b'0';
                    }
                    run.count += 1;
                    group += 1;
                    run.end = at + 1;
                }
                Some(mark)
                    if is_separator(mark)
                        && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
                        && separator.is_none_or(|known| known == mark) =>
                {
                    separator = Some(mark);
                    run.close_group(group, at);
                    run.groups += 1;
                    group = 0;
                }
                _ => break,
            }
            at += 1;
        }
        steps::add(at - start + 1);
        run.close_group(group, run.end);
        run
    }

    fn close_group(&mut self, length: usize, end: usize) {
        if self.groups == 1 {
            self.first_group_end = end;
            self.grouped &= length == 4;
        } else {
            self.grouped &= (2..=6).contains(&length);
        }
    }

    /// Where the card number ends that begins at `start`, if it is one.
    fn card_end(&self, bytes: &[u8], start: usize) -> Option<usize> {
        let before = start.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or(b' ');
        let earlier = start.checked_sub(2).and_then(|at| bytes.get(at)).copied().unwrap_or(b' ');
        let after = bytes.get(self.end).copied().unwrap_or(b' ');
        let later = bytes.get(self.end + 1).copied().unwrap_or(b' ');
        let joined = before.is_ascii_alphanumeric()
            || (before == b'.' && earlier.is_ascii_digit())
            || after.is_ascii_alphanumeric()
            || (after == b'.' && later.is_ascii_digit());
        let uuid = self.groups > 1 && matches!(before, b'-' | b'_') && earlier.is_ascii_alphanumeric();
        let shape = self.groups == 1 || (self.grouped && self.groups <= 5);
        let card = !joined && !uuid && shape && is_card(self.digits.get(..self.count)?);
        card.then_some(self.end)
    }
}

/// Whether these digits have an issuer's prefix and length and a right check digit.
pub(super) fn is_card(digits: &[u8]) -> bool {
    let length = digits.len();
    if !(DIGITS_MIN..=DIGITS_MAX).contains(&length) {
        return false;
    }
    let prefix = |count: usize| digits.iter().take(count).fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let issued = match prefix(2) {
        34 | 37 => length == 15,
        36 | 38 => length == 14,
        30 => length == 14 && prefix(3) <= 305,
        35 => (3528..=3589).contains(&prefix(4)) && length >= 16,
        40..=49 => matches!(length, 13 | 16 | 19),
        50..=58 | 61 | 63 | 66..=69 => length == 16,
        22..=27 => length == 16 && (2221..=2720).contains(&prefix(4)),
        62 | 65 => length >= 16,
        64 => length == 16 && prefix(3) >= 644,
        60 => length >= 16 && prefix(4) == 6011,
        _ => false,
    };
    issued && luhn(digits)
}

pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As [`find`], without a quick way past long trains of digits.
    fn find_slowly(bytes: &[u8]) -> Vec<(usize, usize)> {
        let (mut found, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let begins = bytes[at].is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_digit());
            let end = if begins { Run::new(bytes, at).card_end(bytes, at) } else { None };
            found.extend(end.map(|end| (at, end)));
            at = end.unwrap_or(at + 1);
        }
        found
    }

    proptest::proptest! {
        #[test]
        fn no_card_is_lost_by_passing_long_trains_of_digits(text in "(4111 1111 1111 1111|4111-1111-1111-1111|[0-9]{1,6}|[ .-]|[a-]){0,24}") {
            let mut hits = Vec::new();
            find(text.as_bytes(), &mut hits);
            let found: Vec<_> = hits.iter().map(|hit| (hit.start, hit.end)).collect();
            proptest::prop_assert_eq!(found, find_slowly(text.as_bytes()));
        }

        #[test]
        fn a_run_of_enough_digits_is_suspected_wherever_it_stands(text in "[0-9 .-]{0,20}[a0-9]{0,3}[0-9 ./]{0,40}[a0-9-]{0,30}") {
            let mut digits = 0;
            let expected = text.bytes().any(|byte| {
                digits = if byte.is_ascii_digit() { digits + 1 } else if is_separator(byte) { digits } else { 0 };
                digits >= DIGITS_MIN
            });
            proptest::prop_assert_eq!(suspect(text.as_bytes()), expected);
        }
    }
}
