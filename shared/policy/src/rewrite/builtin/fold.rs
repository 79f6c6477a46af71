//! The plain reading of a text: what a secret looks like behind percent-encoding, JSON's escapes, full-width forms,
//! and blanks, dashes and invisible characters that are not ASCII.

use memchr::memmem;

use super::scan::steps;

/// How often a reading is read again: a text may be encoded more than once.
const ROUNDS: usize = 3;

/// The blank of Chinese and Japanese.
const WIDE_BLANK: &[u8] = "\u{3000}".as_bytes();

/// A text in its plain reading, and where its parts come from.
pub(super) struct Folded {
    text: Vec<u8>,
    parts: Vec<Part>,
}

/// Equal steps from one text to the other: each byte stands for `length` bytes, until the next part begins.
#[derive(Debug, Clone, Copy)]
struct Part {
    folded: usize,
    origin: usize,
    length: usize,
}

impl Folded {
    fn new(text: &[u8]) -> Option<Self> {
        let mut this: Option<Self> = None;
        let (mut at, mut copied) = (0, 0);
        // Nearly all kana begin as this blank does.
        let has_wide_blank = memmem::find(text, WIDE_BLANK).is_some();
        while let Some(start) = next_candidate(text, at, has_wide_blank) {
            at = start;
            let Some(mut found) = text.get(at..).and_then(unit) else {
                at += 1;
                continue;
            };
            let folded = this.get_or_insert_with(|| Self { text: Vec::with_capacity(text.len()), parts: Vec::new() });
            folded.copy(text, copied, at);
            // What is encoded stands close together.
            loop {
                let (read, length) = found;
                if let Some(read) = read {
                    folded.part(at, length);
                    folded.text.push(read);
                }
                at += length;
                let Some(next) = text.get(at..).and_then(unit) else { break };
                found = next;
            }
            steps::add(at - start);
            copied = at;
        }
        if let Some(folded) = &mut this {
            folded.copy(text, copied, text.len());
        }
        this
    }

    fn copy(&mut self, text: &[u8], from: usize, to: usize) {
        if from < to {
            self.part(from, 1);
            self.text.extend_from_slice(text.get(from..to).unwrap_or_default());
            steps::add(to - from);
        }
    }

    /// Notes a part, unless the last one goes on.
    fn part(&mut self, origin: usize, length: usize) {
        let folded = self.text.len();
        let goes_on = |last: &Part| last.length == length && last.origin + (folded - last.folded) * length == origin;
        if !self.parts.last().is_some_and(goes_on) {
            self.parts.push(Part { folded, origin, length });
        }
    }

    /// The range of the text before that `start..end` stands for.
    fn origin(&self, start: usize, end: usize) -> Option<(usize, usize)> {
        let step = |at: usize| {
            let place = self.parts.partition_point(|part| part.folded <= at);
            let part = self.parts.get(place.checked_sub(1)?)?;
            let first = part.origin + (at - part.folded) * part.length;
            Some((first, first + part.length))
        };
        Some((step(start)?.0, step(end.checked_sub(1)?)?.1))
    }
}

/// The plain readings of a text, one for each time that it is encoded; none if it reads as it stands.
pub(super) struct Readings(Vec<Folded>);

impl Readings {
    pub(super) fn new(text: &[u8]) -> Self {
        let mut readings: Vec<Folded> = Vec::new();
        while readings.len() < ROUNDS {
            let Some(next) = Folded::new(readings.last().map_or(text, |last| last.text.as_slice())) else { break };
            readings.push(next);
        }
        Self(readings)
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|reading| reading.text.as_slice())
    }

    /// The range of the text itself that a range of one of its readings stands for.
    pub(super) fn origin(&self, reading: usize, start: usize, end: usize) -> Option<(usize, usize)> {
        self.0.get(..=reading)?.iter().rev().try_fold((start, end), |(start, end), reading| reading.origin(start, end))
    }
}

/// The place of the next thing that may read differently.
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch, and vectors have none")]
#[inline]
fn next_candidate(text: &[u8], from: usize, has_wide_blank: bool) -> Option<usize> {
    let is_candidate =
        |first: u8, second: u8| is_candidate(first, second) | (has_wide_blank & (first == 0xe3) & (second == 0x80));
    let begins = |first: u8, second: u8| matches!(first, b'%' | b'\\' | 0xc2..) && is_candidate(first, second);
    let mut at = from;
    // What is encoded stands close together.
    while at < from + NEAR_BYTES {
        let [first, second] = text.get(at..)?.first_chunk()?;
        if begins(*first, *second) {
            return Some(at);
        }
        at += 1;
    }
    loop {
        let rest = text.get(at..)?;
        let shifted = rest.get(1..)?;
        let chunks = rest.as_chunks::<CHUNK_BYTES>().0.iter().zip(shifted.as_chunks::<CHUNK_BYTES>().0);
        // No way out within a chunk, so that it is a matter of a few instructions.
        let has_any = |(firsts, seconds): &(&[u8; CHUNK_BYTES], &[u8; CHUNK_BYTES])| {
            firsts.iter().zip(*seconds).fold(false, |any, (first, second)| any | is_candidate(*first, *second))
        };
        let free = chunks.clone().position(|chunk| has_any(&chunk)).unwrap_or_else(|| chunks.len()) * CHUNK_BYTES;
        at += free;
        let place = rest.iter().zip(shifted).skip(free).take(CHUNK_BYTES).position(|(first, second)| begins(*first, *second));
        steps::add(free + CHUNK_BYTES);
        match place {
            Some(place) => return Some(at + place),
            None => at += CHUNK_BYTES,
        }
    }
}

/// How many bytes are looked at singly before a search by vectors begins.
const NEAR_BYTES: usize = 4;
/// What is looked at by vectors at once.
const CHUNK_BYTES: usize = 32;

/// Quick way out, never false where [`unit`] reads anything, by the first two bytes; without branches.
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch, and vectors have none")]
#[inline]
const fn is_candidate(first: u8, second: u8) -> bool {
    let is_hex = (second.wrapping_sub(b'0') < 10) | ((second | 0x20).wrapping_sub(b'a') < 6);
    ((first == b'%') & is_hex)
        | ((first == b'\\') & ((second == b'u') | (second == b'/')))
        | ((first == 0xc2) & ((second == 0xa0) | (second == 0xad)))
        | ((first == 0xe2) & ((second == 0x80) | (second == 0x81) | (second == 0x88)))
        | ((first == 0xef) & (second.wrapping_sub(0xbb) < 3))
}

/// The ASCII character that the text's first one, or its first escape, stands for, and how many bytes that is. `Some(None)`
/// is an invisible one.
#[inline]
fn unit(text: &[u8]) -> Option<(Option<u8>, usize)> {
    let (read, length) = match text {
        [b'%', high, low, ..] => (escaped(*high, *low)?, 3),
        [b'\\', b'u', b'0', b'0', high, low, ..] => (escaped(*high, *low)?, 6),
        [b'\\', b'/', ..] => (b'/', 2),
        // Full-width forms.
        [0xef, 0xbc, low @ 0x81..=0xbf, ..] => (low - 0x80 + 0x20, 3),
        [0xef, 0xbd, low @ 0x80..=0x9e, ..] => (low - 0x80 + 0x60, 3),
        // U+00A0, U+2000 to U+200A, U+202F, U+205F, U+3000.
        [0xc2, 0xa0, ..] => (b' ', 2),
        [0xe2, 0x80, 0x80..=0x8a | 0xaf, ..] | [0xe2, 0x81, 0x9f, ..] | [0xe3, 0x80, 0x80, ..] => (b' ', 3),
        // U+2010 to U+2015, U+2212.
        [0xe2, 0x80, 0x90..=0x95, ..] | [0xe2, 0x88, 0x92, ..] => (b'-', 3),
        // U+00AD, U+200B to U+200F, U+2060, U+FEFF.
        [0xc2, 0xad, ..] => return Some((None, 2)),
        [0xe2, 0x80, 0x8b..=0x8f, ..] | [0xe2, 0x81, 0xa0, ..] | [0xef, 0xbb, 0xbf, ..] => return Some((None, 3)),
        _ => return None,
    };
    Some((Some(read), length))
}

fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?).filter(u8::is_ascii)
}

/// What [`find`](super::find) needs a closer look for: bytes with which something begins that reads differently.
pub(super) const fn begins(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | 0xc2 | 0xe2 | 0xef)
}
