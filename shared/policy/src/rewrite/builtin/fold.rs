//! The plain reading of a text: what a secret looks like behind percent-encoding, JSON's escapes, full-width forms,
//! and blanks, dashes and invisible characters that are not ASCII.

/// How often a reading is read again: a text may be encoded more than once.
const ROUNDS: usize = 3;

/// A text in its plain reading, and where each byte of it comes from.
pub(super) struct Folded {
    pub(super) text: String,
    /// For each byte the range of the original that it stands for.
    origins: Vec<(usize, usize)>,
}

impl Folded {
    /// The range of the original that `start..end` stands for.
    pub(super) fn origin(&self, start: usize, end: usize) -> Option<(usize, usize)> {
        let (first, _) = self.origins.get(start)?;
        let (_, last) = self.origins.get(end.checked_sub(1)?)?;
        Some((*first, *last))
    }

    fn new(text: &str) -> Option<Self> {
        if !text.bytes().any(begins) {
            return None;
        }
        let mut folded = Self { text: String::new(), origins: Vec::new() };
        let (mut at, mut plain) = (0, true);
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let (read, length) = unit(rest);
            plain &= read.is_some_and(|read| rest.starts_with(read) && read.len_utf8() == length);
            if let Some(read) = read {
                folded.text.push(read);
                folded.origins.resize(folded.text.len(), (at, at + length));
            }
            at += length;
        }
        (!plain).then_some(folded)
    }
}

/// The plain readings of `text`, one for each time that it is encoded; none if it reads as it stands.
pub(super) fn readings(text: &str) -> Vec<Folded> {
    let mut readings: Vec<Folded> = Vec::new();
    while readings.len() < ROUNDS {
        let last = readings.last();
        let Some(mut next) = Folded::new(last.map_or(text, |last| last.text.as_str())) else { break };
        if let Some(last) = last {
            for origin in &mut next.origins {
                *origin = last.origin(origin.0, origin.1).unwrap_or(*origin);
            }
        }
        readings.push(next);
    }
    readings
}

/// The character that the text's first one, or its first escape, stands for, and how many bytes that is. `None` is an
/// invisible one.
fn unit(text: &str) -> (Option<char>, usize) {
    let escaped = |hex: Option<&str>, length: usize| {
        let code = u8::from_str_radix(hex?, 16).ok().filter(u8::is_ascii)?;
        Some((Some(char::from(code)), length))
    };
    let first = text.chars().next().unwrap_or_default();
    let found = match first {
        '%' => escaped(text.get(1..3), 3),
        '\\' if text.starts_with("\\u00") => escaped(text.get(4..6), 6),
        '\\' if text.starts_with("\\/") => Some((Some('/'), 2)),
        _ => None,
    };
    found.unwrap_or_else(|| (folded(first), first.len_utf8()))
}

fn folded(letter: char) -> Option<char> {
    match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0),
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Some(' '),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => None,
        other => Some(other),
    }
}

/// What [`find`](super::find) needs a closer look for: bytes with which something begins that reads differently.
pub(super) const fn begins(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | 0xc2 | 0xe2 | 0xef)
}
