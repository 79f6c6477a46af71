//! Passwords in SQL that no `=` announces.

use super::hash::is_mask;
use super::names::quote_end;
use super::tokens::{is_blank, same};
use super::{Hit, Rule, scan};

/// How far behind `SET PASSWORD FOR` its `=` is looked for.
const USER_BYTES_MAX: usize = 128;
/// How far back `CREATE USER name` is looked for.
const STATEMENT_BYTES_MAX: usize = 160;
/// The longest name of a plugin.
const WORD_BYTES_MAX: usize = 64;

/// The password behind a word whose last letter stands before the blank or bracket at `mark`.
pub(super) fn find(text: &[u8], mark: usize) -> Option<Hit> {
    let (start, end) = if ends_with(text, mark, b"password") {
        after_password(text, mark)?
    } else if ends_with(text, mark, b"identified") && text.get(mark) != Some(&b'(') {
        after_identified(text, mark)?
    } else {
        return None;
    };
    let is_harmless = text.get(start..end).is_none_or(|value| value.is_empty() || is_mask(value));
    (!is_harmless).then_some(Hit { start, end, rule: Rule::SqlPassword })
}

fn ends_with(text: &[u8], mark: usize, word: &[u8]) -> bool {
    let Some(start) = mark.checked_sub(word.len()) else { return false };
    let is_joined = matches!(text.get(..start), Some([.., before]) if before.is_ascii_alphanumeric());
    !is_joined && text.get(start..mark).is_some_and(|found| same(found, word))
}

/// `PASSWORD '...'`, `PASSWORD('...')`, `PASSWORD FOR user = '...'`.
fn after_password(text: &[u8], mark: usize) -> Option<(usize, usize)> {
    let mut at = skip(text, mark);
    if text.get(at) == Some(&b'(') {
        at = skip(text, at + 1);
    }
    if let Some(found) = quoted(text, at, |quote| quote == b'\'') {
        return Some(found);
    }
    let (word, after) = word(text, at)?;
    if !word.eq_ignore_ascii_case(b"for") {
        return None;
    }
    let within = text.get(..text.len().min(after + USER_BYTES_MAX))?;
    let equals = scan::next_of_two(within, after, b'=', b';').filter(|place| within.get(*place) == Some(&b'='))?;
    quoted(text, skip(text, equals + 1), |quote| quote == b'\'')
}

/// `IDENTIFIED BY '...'`, `IDENTIFIED BY PASSWORD '...'`, `IDENTIFIED WITH plugin AS '...'`; without quotes only in a
/// statement, since "is identified by" is English.
fn after_identified(text: &[u8], mark: usize) -> Option<(usize, usize)> {
    let any = |quote: u8| matches!(quote, b'\'' | b'"');
    let (first, mut at) = word(text, skip(text, mark))?;
    if first.eq_ignore_ascii_case(b"with") {
        let plugin = skip(text, at);
        let is_quote = text.get(plugin).is_some_and(|byte| any(*byte));
        at = word(text, plugin + usize::from(is_quote))?.1 + usize::from(is_quote);
        let (by, after) = word(text, skip(text, at))?;
        at = after;
        if !by.eq_ignore_ascii_case(b"by") && !by.eq_ignore_ascii_case(b"as") {
            return None;
        }
    } else if !first.eq_ignore_ascii_case(b"by") {
        return None;
    }
    let value = skip(text, at);
    if let Some(found) = quoted(text, value, any) {
        return Some(found);
    }
    let (bare, end) = word(text, value)?;
    if ["password", "values"].iter().any(|known| bare.eq_ignore_ascii_case(known.as_bytes())) {
        return quoted(text, skip(text, end), any);
    }
    let is_statement = first == b"BY" || is_statement(text, mark - b"identified".len());
    is_statement.then(|| (value, value + scan::run(text, value, |byte| !is_blank(byte) && !matches!(byte, b';' | b',' | b'"'))))
}

/// Whether `CREATE USER name` or `ALTER USER name` stands before.
fn is_statement(text: &[u8], end: usize) -> bool {
    let before = text.get(end.saturating_sub(STATEMENT_BYTES_MAX)..end).unwrap_or_default();
    let mut words = before.rsplit(|byte| is_blank(*byte)).filter(|word| !word.is_empty()).skip(1);
    let kind = words.next().unwrap_or_default();
    let verb = words.next().unwrap_or_default();
    (kind.eq_ignore_ascii_case(b"user") || kind.eq_ignore_ascii_case(b"role"))
        && (verb.eq_ignore_ascii_case(b"create") || verb.eq_ignore_ascii_case(b"alter"))
}

fn skip(text: &[u8], from: usize) -> usize {
    from + scan::run(text, from, is_blank)
}

/// The word that begins here, and its end.
fn word(text: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let within = text.get(..text.len().min(from.saturating_add(WORD_BYTES_MAX)))?;
    let length = scan::run(within, from, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    text.get(from..from + length).filter(|word| !word.is_empty()).map(|word| (word, from + length))
}

/// What stands in the quotes that begin here, a letter (`E'...'`) or backslashes before them included.
fn quoted(text: &[u8], from: usize, is_quote: impl Fn(u8) -> bool) -> Option<(usize, usize)> {
    let from = from + usize::from(matches!(text.get(from..), Some([b'e' | b'E' | b'n' | b'N', b'\'' | b'\\', ..])));
    let rest = text.get(from..)?;
    let escapes = rest.iter().take(WORD_BYTES_MAX).take_while(|byte| **byte == b'\\').count();
    let quote = rest.get(..=escapes).filter(|quote| quote.last().is_some_and(|last| is_quote(*last)))?;
    let start = from + quote.len();
    Some((start, quote_end(text, start, quote)))
}
