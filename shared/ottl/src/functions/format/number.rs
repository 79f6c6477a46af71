//! Numbers in a format.

use super::Flags;
use super::text::{letter_in_quotes, padded};

/// The most digits behind the point that a double can need.
const PRECISION_MAX: usize = 1100;

/// Appends a whole number; whether the verb is one of theirs.
pub(super) fn int(value: i64, verb: char, flags: Flags, out: &mut String) -> bool {
    let size = value.unsigned_abs();
    let (digits, prefix) = match verb {
        'd' | 'v' => (size.to_string(), ""),
        'b' => (format!("{size:b}"), "0b"),
        'o' => (format!("{size:o}"), if format!("{size:o}").starts_with('0') { "" } else { "0" }),
        'O' => (format!("{size:o}"), "0o"),
        'x' => (format!("{size:x}"), "0x"),
        'X' => (format!("{size:X}"), "0X"),
        'c' => {
            padded(letter(value).encode_utf8(&mut [0; 4]), flags, out);
            return true;
        }
        'q' => {
            let mut quoted = String::from("'");
            letter_in_quotes(letter(value), '\'', flags.plus, &mut quoted);
            quoted.push('\'');
            padded(&quoted, flags, out);
            return true;
        }
        'U' => {
            padded(&format!("U+{value:04X}"), Flags { zero: false, ..flags }, out);
            return true;
        }
        _ => return false,
    };
    let prefix = if (flags.sharp && verb != 'd' && verb != 'v') || verb == 'O' { prefix } else { "" };
    if flags.precision == Some(0) && value == 0 {
        padded("", Flags { zero: false, ..flags }, out);
        return true;
    }
    let sign = sign(value < 0, flags);
    let least = match (flags.precision, flags.width) {
        (Some(least), _) => least,
        (None, Some(width)) if flags.zero && !flags.minus => width.saturating_sub(sign.len()),
        _ => 0,
    };
    let zeros = "0".repeat(least.saturating_sub(digits.len()));
    padded(&format!("{sign}{prefix}{zeros}{digits}"), Flags { zero: false, ..flags }, out);
    true
}

fn letter(value: i64) -> char {
    u32::try_from(value).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
}

const fn sign(is_negative: bool, flags: Flags) -> &'static str {
    if is_negative {
        "-"
    } else if flags.plus {
        "+"
    } else if flags.space {
        " "
    } else {
        ""
    }
}

/// Appends a number; whether the verb is one of theirs.
pub(super) fn float(value: f64, verb: char, flags: Flags, out: &mut String) -> bool {
    let precision = flags.precision.map(|precision| precision.min(PRECISION_MAX));
    let size = value.abs();
    let digits = match verb {
        _ if !size.is_finite() => if size.is_nan() { "NaN" } else { "Inf" }.to_owned(),
        'e' | 'E' => exponent(&format!("{size:.*e}", precision.unwrap_or(6))),
        'f' | 'F' => format!("{size:.*}", precision.unwrap_or(6)),
        'g' | 'G' | 'v' => general(size, precision),
        _ => return false,
    };
    let digits = if matches!(verb, 'E' | 'G') { digits.to_ascii_uppercase() } else { digits };
    let is_negative = value.is_sign_negative() && !value.is_nan();
    let sign = match sign(is_negative, flags) {
        // Go shows the sign of what is infinite always.
        "" if size.is_infinite() => "+",
        sign => sign,
    };
    // What is no number gets no zeros.
    let zeros = match flags.width {
        Some(width) if flags.zero && !flags.minus && size.is_finite() => width.saturating_sub(sign.len() + digits.len()),
        _ => 0,
    };
    padded(&format!("{sign}{}{digits}", "0".repeat(zeros)), Flags { zero: false, ..flags }, out);
    true
}

/// An exponent has a sign and two digits at least.
fn exponent(text: &str) -> String {
    let Some((digits, exponent)) = text.split_once('e') else { return text.to_owned() };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// `%g`: with an exponent where it is below -4, or not below the precision.
fn general(size: f64, precision: Option<usize>) -> String {
    let text = match precision {
        None => format!("{size:e}"),
        Some(precision) => format!("{size:.*e}", precision.max(1) - 1),
    };
    let (digits, place) = text.split_once('e').unwrap_or((&text, "0"));
    let place: i32 = place.parse().unwrap_or(0);
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    let count = digits.chars().filter(char::is_ascii_digit).count();
    let most = precision.map_or(6, |precision| i32::try_from(precision.max(1)).unwrap_or(i32::MAX));
    if place < -4 || place >= most {
        return exponent(&format!("{digits}e{place}"));
    }
    let behind = usize::try_from(i32::try_from(count).unwrap_or(0) - 1 - place).unwrap_or(0);
    format!("{size:.behind$}")
}
