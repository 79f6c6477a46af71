//! Secrets that are known by what stands before or around them: names, URLs, e-mail addresses.

use memchr::{memchr2, memchr2_iter};

use super::{Hit, Rule};

/// How far back a name is read.
const NAME_BYTES_MAX: usize = 64;

/// Ends of names, in lower case and without `.`, `_`, `-`, whose values are secrets.
const SECRETS: [&[u8]; 27] = [
    b"password",
    b"passwd",
    b"passphrase",
    b"pwd",
    b"secret",
    b"token",
    b"apikey",
    b"accesskey",
    b"secretkey",
    b"privatekey",
    b"signingkey",
    b"encryptionkey",
    b"accountkey",
    b"accesskeyid",
    b"authorization",
    b"cookie",
    b"credential",
    b"credentials",
    b"cardnumber",
    b"ccnumber",
    b"creditcard",
    b"cvv",
    b"cvc",
    b"cvv2",
    b"ssn",
    b"jwt",
    b"xamzsignature",
];

/// Ends of names that look like the above but are not secrets.
const HARMLESS: [&[u8]; 6] = [b"pagetoken", b"nexttoken", b"synctoken", b"continuationtoken", b"inputtoken", b"outputtoken"];

/// Secrets' names of three or four letters count only as whole words.
const WHOLE: [&[u8]; 5] = [b"cvv", b"cvc", b"cvv2", b"ssn", b"jwt"];

/// Whether a name's value is a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    is_secret(name.as_bytes())
}

/// Which letters stand third from the end of a secret's name, by its last and its last but one: a bit each, by
/// [`letter`].
static ENDS: [[u32; 32]; 32] = ends();

#[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
const fn ends() -> [[u32; 32]; 32] {
    let mut table = [[0; 32]; 32];
    let mut at = 0;
    while at < SECRETS.len() {
        if let [.., third, before, last] = SECRETS[at] {
            table[letter(*last)][letter(*before)] |= 1 << letter(*third);
        }
        at += 1;
    }
    table
}

/// The same for a letter in both cases. Other bytes may share it.
const fn letter(byte: u8) -> usize {
    (byte & 0x1f) as usize
}

/// Quick way out, never false for a secret's name: whether a text ends with the last three letters of one.
#[inline]
fn ends_like_a_secret(text: &[u8]) -> bool {
    let [.., third, before, last] = text else { return false };
    let thirds = ENDS.get(letter(*last)).and_then(|row| row.get(letter(*before))).copied().unwrap_or(0);
    // Between the words of a name there may be a sign; the last two letters stand together.
    thirds != 0 && (thirds >> letter(*third) & 1 == 1 || is_sign(*third))
}

/// What may stand within a name and says nothing.
const fn is_sign(byte: u8) -> bool {
    matches!(byte, b'.' | b'_' | b'-' | b' ')
}

fn is_secret(name: &[u8]) -> bool {
    if !ends_like_a_secret(name) {
        return false;
    }
    let mut lower = [0_u8; NAME_BYTES_MAX];
    let letters = name.iter().rev().filter(|byte| !is_sign(**byte));
    let mut length = 0;
    for (slot, byte) in lower.iter_mut().rev().zip(letters) {
        *slot = byte.to_ascii_lowercase();
        length += 1;
    }
    let lower = lower.get(NAME_BYTES_MAX - length..).unwrap_or_default();
    let word = |secret: &[u8]| name.len() == secret.len() || last_word(name).eq_ignore_ascii_case(secret);
    SECRETS.iter().any(|secret| lower.ends_with(secret) && (!WHOLE.contains(secret) || word(secret)))
        && !HARMLESS.iter().any(|harmless| lower.ends_with(harmless))
}

fn last_word(name: &[u8]) -> &[u8] {
    let start = name.iter().rposition(|byte| matches!(byte, b'.' | b'_' | b'-')).map_or(0, |at| at + 1);
    name.get(start..).unwrap_or_default()
}

/// Whether a header's whole line is the secret.
fn is_header(name: &[u8]) -> bool {
    name.len() >= 6 && {
        let end = |word: &[u8]| {
            name.len() >= word.len() && name.get(name.len() - word.len()..).is_some_and(|n| n.eq_ignore_ascii_case(word))
        };
        end(b"cookie") || end(b"authorization")
    }
}

/// A name that is so often followed by prose that an unquoted `name: value` counts only if the value has a digit.
fn is_weak(name: &[u8]) -> bool {
    let word = last_word(name);
    [b"token".as_slice(), b"secret", b"credential", b"credentials"].iter().any(|weak| word.eq_ignore_ascii_case(weak))
}

/// Whether some `=` or `:` follows a secret's name.
pub(super) fn has_secret_pair(text: &[u8]) -> bool {
    memchr2_iter(b'=', b':', text).any(|mark| secret_before(text, mark).is_some())
}

/// How many blanks, and how many backslashes of escaping, may stand between a name, its mark and its value.
const GAP_BYTES_MAX: usize = 32;

/// The secret's name that ends right before a `=` or `:`, and whether it is in quotes.
fn secret_before(text: &[u8], mark: usize) -> Option<(&[u8], bool)> {
    let mut end = mark;
    let mut quoted = false;
    while end > 0 && mark - end < GAP_BYTES_MAX {
        match text.get(end - 1)? {
            b' ' | b'\t' | b'\r' | b'\n' | b'\\' => end -= 1,
            b'"' | b'\'' if !quoted => {
                quoted = true;
                end -= 1;
            }
            b']' if !quoted => end -= 1,
            _ => break,
        }
    }
    let from = end.saturating_sub(NAME_BYTES_MAX);
    let before = text.get(from..end).filter(|before| ends_like_a_secret(before))?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let start = before.iter().rposition(|byte| !is_name(byte)).map_or(0, |at| at + 1);
    before.get(start..).filter(|name| is_secret(name)).map(|name| (name, quoted))
}

/// Notes the values of `name=value` and `name: value` where the name is a secret's.
pub(super) fn find_pairs(text: &str, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(mark) = bytes.get(at..).and_then(|rest| memchr2(b'=', b':', rest)) {
        let mark = at + mark;
        at = mark + 1;
        let Some((name, quoted)) = secret_before(bytes, mark) else { continue };
        let Some((start, end)) = value_after(bytes, mark, name, quoted) else { continue };
        hits.push(Hit { start, end, rule: Rule::SecretValue });
        at = end;
    }
}

/// The range of the value after a `=` or `:`; `None` where there is nothing to hide.
fn value_after(text: &[u8], mark: usize, name: &[u8], name_quoted: bool) -> Option<(usize, usize)> {
    let colon = text.get(mark) == Some(&b':');
    let mut start = mark + 1;
    if text.get(start) == Some(&b'>') || (colon && text.get(start) == Some(&b'=')) {
        start += 1;
    }
    let is_gap = |byte: &u8| matches!(byte, b' ' | b'\t') || (name_quoted && matches!(byte, b'\r' | b'\n'));
    while text.get(start).is_some_and(is_gap) && start - mark <= GAP_BYTES_MAX {
        start += 1;
    }
    let rest = text.get(start..)?;
    if colon && rest.starts_with(b"//") {
        return None;
    }
    let escapes = rest.iter().take(GAP_BYTES_MAX).take_while(|byte| **byte == b'\\').count();
    if let Some(quote) = rest.get(..=escapes).filter(|quote| matches!(quote.last(), Some(b'"' | b'\''))) {
        let inner = start + quote.len();
        let end = quote_end(text, inner, quote);
        return (end > inner).then_some((inner, end));
    }
    if name_quoted && matches!(rest.first(), Some(b'{' | b'[')) {
        return Some((start, start + nested_length(rest)));
    }
    let header = is_header(name);
    let ends = |byte: &u8| match byte {
        b'"' | b'\r' | b'\n' => true,
        b' ' | b'\t' | b'&' | b';' | b',' | b'\'' | b'<' | b'>' | b')' | b']' | b'}' | b'\\' | b'#' | b'|' => !header,
        _ => false,
    };
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    let value = rest.get(..length)?;
    let harmless = value.is_empty()
        || matches!(value, b"null" | b"true" | b"false" | b"None" | b"nil" | b"****")
        || matches!(value.first(), Some(b'{' | b'['));
    let prose = colon && !name_quoted && is_weak(name) && !(value.len() >= 8 && value.iter().any(u8::is_ascii_digit));
    (!harmless && !prose).then_some((start, start + length))
}

/// How long a JSON list or object is that the text begins with; all of the text if it does not end.
fn nested_length(text: &[u8]) -> usize {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// Where a quoted text ends: at the next such quote that no backslash escapes, or at the end.
fn quote_end(text: &[u8], start: usize, quote: &[u8]) -> usize {
    let mut at = start;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(quote) {
            return at;
        }
        at += if rest.first() == Some(&b'\\') && quote.len() == 1 { 2 } else { 1 };
    }
    text.len()
}

/// Notes passwords in `scheme://user:password@host`.
pub(super) fn find_url_passwords(text: &str, hits: &mut Vec<Hit>) {
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let rest = text.get(start..).unwrap_or_default();
        let stops = |byte: char| matches!(byte, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | ' ' | '\n' | '\t' | '\\');
        let authority = rest.split(stops).next().unwrap_or_default();
        let Some(user) = authority.rfind('@').and_then(|end| authority.get(..end)) else { continue };
        let end = start + user.len();
        match user.find(':') {
            Some(colon) if colon + 1 < user.len() => {
                hits.push(Hit { start: start + colon + 1, end, rule: Rule::UrlPassword });
            }
            None if user.len() >= 16 => hits.push(Hit { start, end, rule: Rule::UrlPassword }),
            _ => {}
        }
    }
}

/// Notes e-mail addresses. An `@` that ends a URL's password is none.
pub(super) fn find_emails(text: &str, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    let in_urls = hits.len();
    for (at, _) in text.match_indices('@') {
        if hits.iter().take(in_urls).any(|hit| hit.end == at) {
            continue;
        }
        let before = bytes.get(at.saturating_sub(NAME_BYTES_MAX)..at).unwrap_or_default();
        let local = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte)).count();
        let after = bytes.get(at + 1..).unwrap_or_default();
        let after = after.get(..255.min(after.len())).unwrap_or_default();
        let mut domain = after.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b".-".contains(byte)).count();
        while domain > 0 && after.get(domain - 1).is_some_and(|byte| b".-".contains(byte)) {
            domain -= 1;
        }
        let name = after.get(..domain).unwrap_or_default();
        let top = name.iter().rposition(|byte| *byte == b'.').and_then(|dot| name.get(dot + 1..)).unwrap_or_default();
        if local > 0 && top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic) {
            hits.push(Hit { start: at - local, end: at + 1 + domain, rule: Rule::Email });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_quick_look_misses_a_name_of_the_list() {
        for secret in SECRETS {
            assert!(is_secret(secret) && is_secret(&secret.to_ascii_uppercase()), "{secret:?}");
            for at in 0..secret.len() - 2 {
                let (head, tail) = secret.split_at(at);
                let name = [head, b"_", tail].concat();
                assert!(is_secret(&name) || WHOLE.contains(&secret), "{name:?}");
            }
        }
    }
}
