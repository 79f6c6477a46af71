//! Secrets that are known by the name that stands before them.

use super::hash::{is_mask, mask_length};
use super::scan::{self, Stretch, steps};
use super::{Hit, Rule};

/// How far back a name is read.
const NAME_BYTES_MAX: usize = 64;

/// Ends of names, in lower case and without `.`, `_`, `-`, whose values are secrets.
const SECRETS: [(&[u8], Kind); 30] = [
    (b"password", Kind::Plain),
    (b"passwd", Kind::Plain),
    (b"passphrase", Kind::Plain),
    (b"pwd", Kind::Plain),
    (b"secret", Kind::Weak),
    (b"token", Kind::Token),
    (b"apikey", Kind::Plain),
    (b"accesskey", Kind::Plain),
    (b"secretkey", Kind::Plain),
    (b"privatekey", Kind::Plain),
    (b"signingkey", Kind::Plain),
    (b"encryptionkey", Kind::Plain),
    (b"accountkey", Kind::Plain),
    (b"accesskeyid", Kind::Plain),
    (b"authorization", Kind::Header),
    (b"cookie", Kind::Header),
    (b"credential", Kind::Weak),
    (b"credentials", Kind::Weak),
    (b"cardnumber", Kind::Plain),
    (b"ccnumber", Kind::Plain),
    (b"creditcard", Kind::Plain),
    (b"xamzsignature", Kind::Plain),
    (b"xgoogsignature", Kind::Plain),
    (b"sharedaccesssignature", Kind::Plain),
    (b"cvv", Kind::Plain),
    (b"cvc", Kind::Plain),
    (b"cvv2", Kind::Plain),
    (b"ssn", Kind::Plain),
    (b"jwt", Kind::Plain),
    (b"sig", Kind::Signature),
];

/// What else is known of a secret's name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing.
    Plain,
    /// It is so often followed by prose that an unquoted `name: value` counts only if the value has a digit.
    Weak,
    /// The same; and some names that end so are harmless.
    Token,
    /// A header's, whose whole line is the secret.
    Header,
    /// A word of its own elsewhere: it counts only before a `=` and a long value, as in the URLs that Azure signs.
    Signature,
}

/// What stands before `token` where the name is that of a place in a list, or of a count, and no secret.
const HARMLESS: [&[u8]; 6] = [b"page", b"next", b"sync", b"continuation", b"input", b"output"];

/// From here on [`SECRETS`] are so short that they count only as whole words.
const WHOLE_FROM: usize = 24;

/// The name of [`Kind::Signature`].
const SIGNATURE: &[u8] = b"sig";
/// The shortest value behind it.
const SIGNATURE_BYTES_MIN: usize = 32;

/// Whether a name's value is a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    is_secret(name.as_bytes()) && !is_signature(name.as_bytes())
}

fn is_signature(name: &[u8]) -> bool {
    name.last().is_some_and(|last| letter(*last) == letter(b'g')) && last_word(name).eq_ignore_ascii_case(SIGNATURE)
}

/// The same number for a letter in both cases. Other bytes may share it.
const fn letter(byte: u8) -> usize {
    (byte & 0x1f) as usize
}

/// Which [`SECRETS`] a text may end with, by its last three letters: a bit each. None of those that it ends with is missing.
#[inline]
fn candidates(text: &[u8]) -> u32 {
    let [.., third, before, last] = text else { return 0 };
    // Between the words of a name there may be a sign; the last two letters stand together.
    let places = alike(0, *last) & alike(1, *before);
    if is_sign(*third) { places } else { places & alike(2, *third) }
}

/// What may stand within a name and says nothing.
const fn is_sign(byte: u8) -> bool {
    matches!(byte, b'.' | b'_' | b'-' | b' ')
}

fn is_secret(name: &[u8]) -> bool {
    listed(name, candidates(name)).is_some()
}

/// The one of the [`candidates`] that a name ends with.
#[inline]
fn listed(name: &[u8], mut places: u32) -> Option<(&'static [u8], Kind)> {
    while let place = places.trailing_zeros() as usize
        && let Some((secret, kind)) = SECRETS.get(place)
    {
        if ends_with(name, secret) && (place < WHOLE_FROM || is_whole(name, secret)) {
            return (*kind != Kind::Token || !is_harmless_token(name)).then_some((*secret, *kind));
        }
        places &= places - 1;
    }
    None
}

/// Which [`SECRETS`] have a letter at some place from their end: a bit each.
#[inline]
fn alike(place: usize, byte: u8) -> u32 {
    BY_LETTER.get(place).and_then(|row| row.get(letter(byte))).copied().unwrap_or(u32::MAX)
}

/// See [`alike`].
static BY_LETTER: [[u32; 32]; 3] = by_letter();

#[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
const fn by_letter() -> [[u32; 32]; 3] {
    let mut table = [[0; 32]; 3];
    let mut at = 0;
    while at < SECRETS.len() {
        if let [.., third, before, last] = SECRETS[at].0 {
            table[0][letter(*last)] |= 1 << at;
            table[1][letter(*before)] |= 1 << at;
            table[2][letter(*third)] |= 1 << at;
        }
        at += 1;
    }
    table
}

/// Whether a name ends so, whatever its case and the signs in it. `end` is in lower case.
#[inline]
fn ends_with(name: &[u8], end: &[u8]) -> bool {
    let mut left = end.iter().rev();
    let Some(mut wanted) = left.next() else { return true };
    for found in name.iter().rev() {
        if found == wanted || *found | 0x20 == *wanted {
            match left.next() {
                Some(next) => wanted = next,
                None => return true,
            }
        } else if !is_sign(*found) {
            return false;
        }
    }
    false
}

/// Whether a name that ends with `token` is one of the harmless ones.
fn is_harmless_token(name: &[u8]) -> bool {
    let before = letters_back(name).skip(b"token".len());
    name.len() > b"token".len() && HARMLESS.iter().any(|harmless| ends_in(before.clone(), harmless))
}

fn letters_back(name: &[u8]) -> impl Iterator<Item = u8> + Clone {
    name.iter().rev().copied().filter(|byte| !is_sign(*byte))
}

#[inline]
fn ends_in(mut letters: impl Iterator<Item = u8>, end: &[u8]) -> bool {
    end.iter().rev().all(|wanted| letters.next().is_some_and(|found| found | 0x20 == *wanted || found == *wanted))
}

fn is_whole(name: &[u8], secret: &[u8]) -> bool {
    name.len() == secret.len() || last_word(name).eq_ignore_ascii_case(secret)
}

fn last_word(name: &[u8]) -> &[u8] {
    let start = name.iter().rposition(|byte| matches!(byte, b'.' | b'_' | b'-')).map_or(0, |at| at + 1);
    name.get(start..).unwrap_or_default()
}

/// A secret's name in a text.
struct Name<'t> {
    text: &'t [u8],
    /// The one of [`SECRETS`] that it ends with.
    secret: &'static [u8],
    kind: Kind,
    /// Whether it is in quotes.
    quoted: bool,
}

impl Name<'_> {
    /// Whether it is a header's, whose whole line is the secret.
    fn is_header(&self) -> bool {
        let tail = || self.text.len().checked_sub(self.secret.len()).and_then(|start| self.text.get(start..));
        self.kind == Kind::Header && tail().is_some_and(|tail| tail.eq_ignore_ascii_case(self.secret))
    }

    /// Whether it is a weak name that stands alone.
    fn is_weak(&self) -> bool {
        matches!(self.kind, Kind::Weak | Kind::Token)
            && (self.text.len() == self.secret.len() || last_word(self.text).eq_ignore_ascii_case(self.secret))
    }

    fn is_signature(&self) -> bool {
        self.kind == Kind::Signature
    }
}

/// Whether some `=` or `:` follows a secret's name.
pub(super) fn has_secret_pair(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(mark) = scan::next_of_two(text, at, b'=', b':') {
        if secret_before(text, mark).is_some() {
            return true;
        }
        at = mark + 1;
    }
    false
}

/// How many blanks, and how many backslashes of escaping, may stand between a name, its mark and its value.
const GAP_BYTES_MAX: usize = 32;

/// The secret's name that ends right before a `=` or `:`.
#[inline]
fn secret_before(text: &[u8], mark: usize) -> Option<Name<'_>> {
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
    steps::add(mark - end + 1);
    let places = candidates(text.get(..end)?);
    if places == 0 {
        return None;
    }
    let length = scan::run_back(text, end, NAME_BYTES_MAX, is_in_name);
    let name = text.get(end - length..end)?;
    listed(name, places).map(|(secret, kind)| Name { text: name, secret, kind, quoted })
}

/// Notes the values of `name=value` and `name: value` where the name is a secret's.
pub(super) fn find_pairs(text: &[u8], hits: &mut Vec<Hit>) {
    let (mut at, mut stretch) = (0, Stretch::default());
    while let Some(mark) = scan::next_of_two(text, at, b'=', b':') {
        at = mark + 1;
        let Some(name) = secret_before(text, mark) else { continue };
        let Some((start, end)) = value_after(text, mark, &name, &mut stretch) else { continue };
        hits.push(Hit { start, end, rule: Rule::SecretValue });
        at = end;
    }
}

/// Whether an unquoted value ends here.
#[inline]
fn ends_value(byte: u8) -> bool {
    class_of(byte) & VALUE_END != 0
}

/// Whether a name may have this byte.
#[inline]
fn is_in_name(byte: u8) -> bool {
    class_of(byte) & IN_NAME != 0
}

const IN_NAME: u8 = 1;
const VALUE_END: u8 = 2;

/// Looked up for nearly every byte of a text that is full of names.
static CLASSES: [u8; 256] = classes();

#[inline]
fn class_of(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(0)
}

#[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
#[expect(clippy::cast_possible_truncation, reason = "below 256")]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        table[at] = match at as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => IN_NAME,
            b' ' | b'\t' | b'&' | b';' | b',' | b'\'' | b'<' | b'>' | b')' | b']' | b'}' | b'\\' | b'#' | b'|' => VALUE_END,
            byte if ends_line(byte) => VALUE_END,
            _ => 0,
        };
        at += 1;
    }
    table
}

/// Whether a header's value ends here.
const fn ends_line(byte: u8) -> bool {
    matches!(byte, b'"' | b'\r' | b'\n')
}

/// The range of the value after a `=` or `:`; `None` where there is nothing to hide.
fn value_after(text: &[u8], mark: usize, name: &Name<'_>, stretch: &mut Stretch) -> Option<(usize, usize)> {
    let colon = text.get(mark) == Some(&b':');
    let mut start = mark + 1;
    if matches!(text.get(start), Some(b'>' | b'=')) {
        start += 1;
    }
    let is_gap = |byte: &u8| matches!(byte, b' ' | b'\t') || (name.quoted && matches!(byte, b'\r' | b'\n'));
    while text.get(start).is_some_and(is_gap) && start - mark <= GAP_BYTES_MAX {
        start += 1;
    }
    steps::add(start - mark);
    let rest = text.get(start..)?;
    if colon && (rest.starts_with(b"//") || name.is_signature()) {
        return None;
    }
    let is_header = name.is_header();
    if let Some(quote) = quote_at(rest) {
        let inner = start + quote.len();
        let end = quote_end(text, inner, quote);
        return text.get(inner..end).filter(|value| !value.is_empty() && !is_mask(value)).map(|_| (inner, end));
    }
    match rest.first() {
        Some(b'{' | b'[') => return name.quoted.then(|| (start, start + nested_length(rest))),
        Some(first) if !ends_value(*first) || (is_header && !ends_line(*first)) => {}
        _ => return None,
    }
    let end = if is_header {
        start + scan::run(text, start, |byte| !ends_line(byte))
    } else {
        stretch.reach(text, start, |byte| !ends_value(byte)).end
    };
    let value = text.get(start..end)?;
    let has_digit = || if is_header { value.iter().any(u8::is_ascii_digit) } else { stretch.has_digit(start) };
    if colon && !name.quoted && name.is_weak() && !(value.len() >= 8 && has_digit()) {
        return None;
    }
    let harmless = matches!(value, b"null" | b"true" | b"false" | b"None" | b"nil" | b"YES" | b"NO" | b"?")
        || mask_length(value) == value.len();
    let short = name.is_signature() && value.len() < SIGNATURE_BYTES_MIN;
    (!harmless && !short).then_some((start, end))
}

/// The quote that a text begins with, with the backslashes before it.
#[inline]
fn quote_at(text: &[u8]) -> Option<&[u8]> {
    if !matches!(text.first()?, b'\\' | b'"' | b'\'') {
        return None;
    }
    let escapes = text.iter().take(GAP_BYTES_MAX).take_while(|byte| **byte == b'\\').count();
    text.get(..=escapes).filter(|quote| matches!(quote.last(), Some(b'"' | b'\'')))
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
            steps::add(at + 1);
            return at + 1;
        }
    }
    steps::add(text.len());
    text.len()
}

/// Where a quoted text ends: at the next such quote that is neither escaped nor, as in SQL, doubled, or at the end.
pub(super) fn quote_end(text: &[u8], start: usize, quote: &[u8]) -> usize {
    let mut at = start;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let is_doubled = quote == b"'" && rest.starts_with(b"''");
        if rest.starts_with(quote) && !is_doubled {
            break;
        }
        at += if is_doubled || (rest.first() == Some(&b'\\') && quote.len() == 1) { 2 } else { 1 };
    }
    steps::add(at - start + 1);
    at.min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_quick_look_misses_a_name_of_the_list() {
        for (place, (secret, _)) in SECRETS.into_iter().enumerate() {
            assert!(is_secret(secret) && is_secret(&secret.to_ascii_uppercase()), "{secret:?}");
            for at in 0..secret.len() - 2 {
                let (head, tail) = secret.split_at(at);
                let name = [head, b"_", tail].concat();
                assert!(is_secret(&name) || place >= WHOLE_FROM, "{name:?}");
            }
        }
    }
}
