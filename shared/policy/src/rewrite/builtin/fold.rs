//! The plain reading of a text: what a secret looks like behind percent-encoding, JSON's escapes, full-width forms,
//! and blanks, dashes and invisible characters that are not ASCII.

use super::scan::{self, steps};

/// How often a reading is read again: a text may be encoded more than once.
const ROUNDS: usize = 3;

/// The blank of Chinese and Japanese.
const WIDE_BLANK: char = '\u{3000}';

/// A text in its plain reading, and where its parts come from.
pub(super) struct Folded {
    pub(super) text: String,
    parts: Vec<Part>,
}

/// Equal steps from one text to the other: each `to` bytes stand for `from` bytes, until the next part begins.
#[derive(Debug, Clone, Copy)]
struct Part {
    folded: usize,
    origin: usize,
    to: usize,
    from: usize,
}

impl Folded {
    fn new(text: &str) -> Option<Self> {
        let mut this: Option<Self> = None;
        let (mut at, mut copied) = (0, 0);
        // Nearly all kana begin as this blank does, so that their first byte alone tells nothing.
        let has_wide_blank = text.contains(WIDE_BLANK);
        loop {
            let start = at + scan::run(text.as_bytes(), at, |byte| !begins(byte) && !(has_wide_blank && byte == 0xe3));
            let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) else { break };
            let (read, length) = unit(rest);
            at = start + length;
            if read.is_some_and(|read| read.len_utf8() == length && rest.starts_with(read)) {
                continue;
            }
            let folded = this.get_or_insert_with(|| Self { text: String::with_capacity(text.len()), parts: Vec::new() });
            folded.copy(text, copied, start);
            if let Some(read) = read {
                folded.part(Part { folded: folded.text.len(), origin: start, to: read.len_utf8(), from: length });
                folded.text.push(read);
            }
            copied = at;
        }
        if let Some(folded) = &mut this {
            folded.copy(text, copied, text.len());
        }
        this
    }

    fn copy(&mut self, text: &str, from: usize, to: usize) {
        if from < to {
            self.part(Part { folded: self.text.len(), origin: from, to: 1, from: 1 });
            self.text.push_str(text.get(from..to).unwrap_or_default());
            steps::add(to - from);
        }
    }

    /// Notes a part, unless the last one goes on.
    fn part(&mut self, part: Part) {
        let goes_on = self.parts.last().is_some_and(|last| {
            let count = (part.folded - last.folded) / last.to;
            (last.to, last.from, last.origin + count * last.from) == (part.to, part.from, part.origin)
        });
        if !goes_on {
            self.parts.push(part);
        }
    }

    /// The range of the text before that `start..end` stands for.
    fn origin(&self, start: usize, end: usize) -> Option<(usize, usize)> {
        let step = |at: usize| {
            let place = self.parts.partition_point(|part| part.folded <= at);
            let part = self.parts.get(place.checked_sub(1)?)?;
            let first = part.origin + (at - part.folded) / part.to * part.from;
            Some((first, first + part.from))
        };
        Some((step(start)?.0, step(end.checked_sub(1)?)?.1))
    }
}

/// The plain readings of a text, one for each time that it is encoded; none if it reads as it stands.
pub(super) struct Readings(Vec<Folded>);

impl Readings {
    pub(super) fn new(text: &str) -> Self {
        let mut readings: Vec<Folded> = Vec::new();
        while readings.len() < ROUNDS {
            let Some(next) = Folded::new(readings.last().map_or(text, |last| last.text.as_str())) else { break };
            readings.push(next);
        }
        Self(readings)
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|reading| reading.text.as_str())
    }

    /// The range of the text itself that a range of one of its readings stands for.
    pub(super) fn origin(&self, reading: usize, start: usize, end: usize) -> Option<(usize, usize)> {
        self.0.get(..=reading)?.iter().rev().try_fold((start, end), |(start, end), reading| reading.origin(start, end))
    }
}

/// The character that the text's first one, or its first escape, stands for, and how many bytes that is. `None` is an
/// invisible one.
fn unit(text: &str) -> (Option<char>, usize) {
    let found = match text.as_bytes() {
        [b'%', high, low, ..] => escaped(*high, *low, 3),
        [b'\\', b'u', b'0', b'0', high, low, ..] => escaped(*high, *low, 6),
        [b'\\', b'/', ..] => Some((Some('/'), 2)),
        _ => None,
    };
    found.unwrap_or_else(|| {
        let first = text.chars().next().unwrap_or_default();
        (folded(first), first.len_utf8())
    })
}

fn escaped(high: u8, low: u8, length: usize) -> Option<(Option<char>, usize)> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let code = u8::try_from(digit(high)? << 4 | digit(low)?).ok().filter(u8::is_ascii)?;
    Some((Some(char::from(code)), length))
}

fn folded(letter: char) -> Option<char> {
    match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0),
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | WIDE_BLANK => Some(' '),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => None,
        other => Some(other),
    }
}

/// What [`find`](super::find) needs a closer look for: bytes with which something begins that reads differently.
pub(super) const fn begins(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | 0xc2 | 0xe2 | 0xef)
}
