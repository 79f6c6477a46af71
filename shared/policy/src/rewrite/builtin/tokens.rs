//! Secrets that are known by their own form.

use std::sync::LazyLock;

use regex::bytes;

use super::scan::{self, Stretch};
use super::{Hit, Rule, sql};

/// The shortest text that can hold one: `PASSWORD 'x'`.
pub(super) const LENGTH_MIN: usize = 12;

/// A part of everything that is found here; plain texts, so that the search is a vectorised one.
static PREFIXES: LazyLock<Option<bytes::Regex>> = LazyLock::new(|| {
    bytes::Regex::new(
        "AKIA|ASIA|ghp_|gho_|ghu_|ghs_|ghr_|github_pat_|_live_|_test_|xox|AIza|ya29\\.|glpat-|npm_|sk-|SG\\.|eyJ|-----BEGIN\
         |earer|EARER|asic|ASIC|assword|ASSWORD|dentified|DENTIFIED",
    )
    .ok()
});

/// Bytes at which something may be recognised, each the last one, or the one behind the last one, of what is.
static MARKS: [bool; 256] = marks();

#[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
const fn marks() -> [bool; 256] {
    let mut table = [false; 256];
    let (marks, mut at) = (b"JAz_-. \t\n\r\x0b\x0c(", 0);
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
}

/// Whether the text holds the beginning of a token.
pub(super) fn suspect(text: &[u8]) -> bool {
    PREFIXES.as_ref().is_none_or(|prefixes| prefixes.is_match(text))
}

/// Notes the tokens of `text`.
pub(super) fn find(text: &[u8], hits: &mut Vec<Hit>) {
    if text.len() < LENGTH_MIN || !suspect(text) {
        return;
    }
    let is_mark = |byte: u8| MARKS.get(usize::from(byte)).copied().unwrap_or(true);
    let (mut at, mut words) = (0, Words::default());
    loop {
        let mark = at + scan::run(text, at, |byte| !is_mark(byte));
        let Some(byte) = text.get(mark).copied() else { return };
        let before = text.get(..mark).unwrap_or_default();
        let found = match byte {
            b'J' if before.ends_with(b"ey") => words.jwt(text, mark),
            b' ' | b'\t'..=b'\r' | b'(' => match before {
                [.., b'c' | b'C'] => credential(text, mark, b"basic"),
                [.., b'r' | b'R'] => credential(text, mark, b"bearer"),
                [.., b'd' | b'D'] => sql::find(text, mark),
                _ => None,
            },
            b'-' if before.ends_with(b"sk") => words.secret_key(text, mark),
            b'-' if before.ends_with(b"----") => private_key(text, mark),
            _ => None,
        };
        let found = if found.is_none() && !is_blank(byte) { known_key(text, mark, byte) } else { found };
        at = mark + 1;
        if let Some(hit) = found {
            at = hit.end.max(at);
            hits.push(hit);
        }
    }
}

/// Letters, digits, `_` and `-`.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// The words that a token is made of, so that none is run through for each of its bytes.
#[derive(Default)]
struct Words {
    parts: [Stretch; 3],
}

impl Words {
    /// A JSON Web Token whose first letters end at `mark`: three words with points between.
    fn jwt(&mut self, text: &[u8], mark: usize) -> Option<Hit> {
        let mut end = mark + 1;
        for (part, (word, least)) in self.parts.iter_mut().zip([6, 6, 0]).enumerate() {
            let from = end + usize::from(part > 0);
            if part > 0 && text.get(end) != Some(&b'.') {
                return None;
            }
            end = word.reach(text, from, is_word).end;
            if end < from + least {
                return None;
            }
        }
        // An encrypted one has two more.
        for _ in 0..2 {
            if text.get(end) == Some(&b'.') {
                end += 1 + scan::run(text, end + 1, is_word);
            }
        }
        Some(Hit { start: mark.checked_sub(2)?, end, rule: Rule::Jwt })
    }

    /// `sk-` and a word. Names of packages and files begin so, too: a key has digits.
    fn secret_key(&mut self, text: &[u8], mark: usize) -> Option<Hit> {
        let start = mark.checked_sub(2)?;
        let [word, ..] = &mut self.parts;
        let word = word.reach(text, mark + 1, is_word);
        let is_key = !is_joined(text, start) && word.end > mark + 20 && word.has_digit(mark + 1);
        is_key.then_some(Hit { start, end: word.end, rule: Rule::KnownKey })
    }
}

/// A key with a vendor's prefix.
fn known_key(text: &[u8], mark: usize, byte: u8) -> Option<Hit> {
    let head = text.get(..=mark)?;
    let (prefix, least, most, is_part): (usize, usize, usize, fn(u8) -> bool) = match (byte, head) {
        (b'A', [.., b'A', b'K' | b'S', b'I', _]) => (4, 16, 16, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()),
        (b'z', [.., b'A', b'I', _]) if text.get(mark + 1) == Some(&b'a') => (3, 31, usize::MAX, is_word),
        (b'_', [.., b'g', b'h', b'p' | b'o' | b'u' | b's' | b'r', _]) => (4, 20, usize::MAX, |byte| byte.is_ascii_alphanumeric()),
        (b'_', [.., b'n', b'p', b'm', _]) => (4, 30, usize::MAX, |byte| byte.is_ascii_alphanumeric()),
        (b'_', _) if head.ends_with(b"github_pat_") => (11, 20, usize::MAX, |byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        (b'_', [.., b's' | b'p' | b'r' | b'w', b'k' | b'h', b'_', _, _, _, _, _])
            if head.ends_with(b"live_") || head.ends_with(b"test_") =>
        {
            (8, 8, usize::MAX, |byte| byte.is_ascii_alphanumeric())
        }
        (b'-', [.., b'x', b'o', b'x', b'a' | b'b' | b'e' | b'o' | b'p' | b'r' | b's', _]) => {
            (5, 10, usize::MAX, |byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }
        (b'-', _) if head.ends_with(b"glpat-") => (6, 20, usize::MAX, is_word),
        (b'.', [.., b'y', b'a', b'2', b'9', _]) => (5, 20, usize::MAX, is_word),
        (b'.', [.., b'S', b'G', _]) => return sendgrid(text, mark),
        _ => return None,
    };
    let start = (mark + 1).checked_sub(prefix)?;
    if is_joined(text, start) {
        return None;
    }
    let length = scan::run(text.get(..text.len().min((mark + 1).saturating_add(most)))?, mark + 1, is_part);
    let body = text.get(mark + 1..mark + 1 + length)?;
    // Names of hosts have points, too.
    let is_random = || byte != b'.' || body.iter().any(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-'));
    (length >= least && is_random()).then(|| Hit { start, end: mark + 1 + length, rule: Rule::KnownKey })
}

/// `SG.`, then two words with a point between.
fn sendgrid(text: &[u8], mark: usize) -> Option<Hit> {
    let start = mark.checked_sub(2)?;
    let first = scan::run(text, mark + 1, is_word);
    let point = mark + 1 + first;
    if is_joined(text, start) || first < 16 || text.get(point) != Some(&b'.') {
        return None;
    }
    let second = scan::run(text, point + 1, is_word);
    (second >= 16).then(|| Hit { start, end: point + 1 + second, rule: Rule::KnownKey })
}

/// Whether a letter or digit stands right before: then it is the inside of a longer word.
fn is_joined(text: &[u8], start: usize) -> bool {
    matches!(text.get(..start), Some([.., before]) if before.is_ascii_alphanumeric())
}

/// What follows `Bearer` or `Basic`, whose last letter stands before the blank at `mark`.
fn credential(text: &[u8], mark: usize, scheme: &[u8]) -> Option<Hit> {
    let word = mark.checked_sub(scheme.len())?;
    let is_scheme = text.get(word..mark).is_some_and(|found| same(found, scheme));
    let stands_alone = !is_joined(text, word) && !matches!(text.get(..word), Some([.., b'_']));
    if !is_scheme || !stands_alone || text.get(mark) == Some(&b'(') {
        return None;
    }
    let start = mark + scan::run(text, mark, is_blank);
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'.' | b'_' | b'~' | b'-');
    let end = start + scan::run(text, start, is_part);
    is_credential(text.get(start..end)?).then_some(Hit { start, end, rule: Rule::BearerToken })
}

pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Whether a word is this one, with capitals only if all are or only the first is: [`PREFIXES`] know no other writings.
pub(super) fn same(found: &[u8], lower: &[u8]) -> bool {
    let tail = found.get(1..).unwrap_or_default();
    found.eq_ignore_ascii_case(lower) && (tail.iter().all(u8::is_ascii_lowercase) || tail.iter().all(u8::is_ascii_uppercase))
}

/// Tells `Bearer abc123...` from "basic authentication": prose has no digits, capitals or signs within a word.
fn is_credential(token: &[u8]) -> bool {
    let is_sign = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_uppercase() || b"=._~+".contains(byte);
    token.len() >= 24 || (token.len() >= 8 && token.iter().any(is_sign))
}

/// A PEM private key block whose first dashes end at `mark`; all of the text if the block is cut.
fn private_key(text: &[u8], mark: usize) -> Option<Hit> {
    let label = text.get(mark + 1..)?.strip_prefix(b"BEGIN ")?;
    let length = scan::run(label.get(..label.len().min(LABEL_BYTES_MAX))?, 0, |byte| byte != b'-');
    let (name, rest) = label.split_at_checked(length)?;
    let name = name.strip_suffix(b" BLOCK").unwrap_or(name);
    let is_key = name.strip_suffix(b"PRIVATE KEY").is_some_and(|kind| kind.iter().all(|byte| is_label(*byte)));
    if !is_key || !rest.starts_with(b"-----") {
        return None;
    }
    let from = text.len() - rest.len() + 5;
    Some(Hit { start: mark.checked_sub(4)?, end: block_end(text, from), rule: Rule::PrivateKey })
}

/// The longest label of a PEM block.
const LABEL_BYTES_MAX: usize = 60;

const fn is_label(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' '
}

fn block_end(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(dash) = scan::next(text, at, b'-') {
        at = dash + 1;
        if text.get(dash..).is_some_and(|rest| rest.starts_with(b"-----END ")) {
            let mut tail = dash + 9;
            while let Some(dash) = scan::next(text, tail, b'-') {
                if text.get(dash..).is_some_and(|rest| rest.starts_with(b"-----")) {
                    return dash + 5;
                }
                tail = dash + 1;
            }
            return text.len();
        }
    }
    text.len()
}
