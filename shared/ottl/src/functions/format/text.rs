//! Texts and bytes in a format.

use std::fmt::Write as _;

use super::Flags;
use crate::functions::bounds;
use crate::paths::access_hex as hex;

/// Appends a text in a field of the flags' width.
pub(super) fn padded(text: &str, flags: Flags, out: &mut String) {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    let fill = if flags.zero && !flags.minus { '0' } else { ' ' };
    if flags.minus {
        out.push_str(text);
    }
    out.extend(std::iter::repeat_n(fill, missing));
    if !flags.minus {
        out.push_str(text);
    }
}

/// Appends a text; whether the verb is one of texts.
pub(super) fn string(text: &str, verb: char, flags: Flags, out: &mut String) -> bool {
    let cut = match flags.precision {
        Some(most) if matches!(verb, 'v' | 's' | 'q') => text.char_indices().nth(most).map_or(text.len(), |(at, _)| at),
        _ => text.len(),
    };
    let text = text.get(..cut).unwrap_or(text);
    match verb {
        'v' if flags.sharp => padded(&quoted(text, flags), flags, out),
        'v' | 's' => padded(text, flags, out),
        'q' => padded(&quoted(text, flags), flags, out),
        'x' | 'X' => hexadecimal(text.as_bytes(), verb, flags, out),
        _ => return false,
    }
    true
}

/// Appends bytes; whether the verb is one of theirs.
pub(super) fn bytes(bytes: &[u8], verb: char, flags: Flags, out: &mut String) -> bool {
    match verb {
        'x' | 'X' => {
            hexadecimal(bytes, verb, flags, out);
            true
        }
        'v' | 'd' => {
            let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
            let _infallible = write!(out, "[{}]", numbers.join(" "));
            true
        }
        _ => string(&bounds::lossy(bytes.to_vec()), verb, flags, out),
    }
}

fn hexadecimal(bytes: &[u8], verb: char, flags: Flags, out: &mut String) {
    let bytes = bytes.get(..flags.precision.unwrap_or(bytes.len())).unwrap_or(bytes);
    let prefix = if flags.sharp { "0x" } else { "" };
    let pairs: Vec<_> = bytes.iter().map(|byte| hex(&[*byte])).collect();
    let text = match (flags.space, bytes.is_empty()) {
        (_, true) => String::new(),
        (true, _) => format!("{prefix}{}", pairs.join(&format!(" {prefix}"))),
        (false, _) => format!("{prefix}{}", pairs.concat()),
    };
    padded(&if verb == 'X' { text.to_ascii_uppercase() } else { text }, flags, out);
}

/// A text as Go's `strconv.Quote` writes it.
fn quoted(text: &str, flags: Flags) -> String {
    if flags.sharp && !text.chars().any(|letter| letter == '`' || letter == '\u{feff}' || (letter.is_control() && letter != '\t'))
    {
        return format!("`{text}`");
    }
    let mut out = String::from("\"");
    for letter in text.chars() {
        letter_in_quotes(letter, '"', flags.plus, &mut out);
    }
    out.push('"');
    out
}

/// Appends a character as it stands in quotes.
pub(super) fn letter_in_quotes(letter: char, quote: char, is_ascii: bool, out: &mut String) {
    let code = u32::from(letter);
    match letter {
        '\\' => out.push_str("\\\\"),
        _ if letter == quote => out.extend(['\\', quote]),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        ' '..='~' => out.push(letter),
        _ if !(is_ascii || letter.is_control() || letter.is_whitespace() || code == 0xfeff) => out.push(letter),
        _ if code < 0x80 => {
            let _infallible = write!(out, "\\x{code:02x}");
        }
        _ if code < 0x1_0000 => {
            let _infallible = write!(out, "\\u{code:04x}");
        }
        _ => {
            let _infallible = write!(out, "\\U{code:08x}");
        }
    }
}
