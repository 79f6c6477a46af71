//! The formats of `Time` and `FormatTime`: directives such as `%Y-%m-%d`, as `internal/coreinternal/timeutils` knows them.

use std::fmt::Write as _;

use jiff::civil::DateTime;

use super::calendar::{civil, offset_text};
use crate::val::Time;

mod parse;

pub(super) use parse::parse;

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A part of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Letter(char),
    /// A directive's letter.
    Field(char),
}

/// Whether a text is a format.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(format: &str) -> Result<(), String> {
    if format.is_empty() {
        return Err("the format is empty".to_owned());
    }
    parts(format).map(|_| ())
}

/// The parts of a format.
fn parts(format: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter.is_ascii_digit() {
            return Err("a format of times holds no digits".to_owned());
        }
        if letter != '%' {
            parts.push(Part::Letter(letter));
            continue;
        }
        let Some(directive) = letters.next() else {
            parts.push(Part::Letter('%'));
            break;
        };
        let whole = match directive {
            'D' | 'x' => "m/d/Y",
            'F' => "Y-m-d",
            'T' | 'X' => "H:M:S",
            'r' => "I:M:S P",
            'R' => "H:M",
            'c' => "a b d H:M:S Y",
            _ => "",
        };
        match directive {
            'n' => parts.push(Part::Letter('\n')),
            't' => parts.push(Part::Letter('\t')),
            '%' => parts.push(Part::Letter('%')),
            _ if !whole.is_empty() => {
                parts.extend(whole.chars().map(|letter| match letter {
                    letter if letter.is_ascii_alphabetic() => Part::Field(letter),
                    letter => Part::Letter(letter),
                }));
            }
            _ if "YymoqbhBdegaAHIlpPMSLfsZzwijk".contains(directive) => parts.push(Part::Field(directive)),
            _ => return Err(format!("`%{directive}` is no directive of times")),
        }
    }
    Ok(parts)
}

/// Writes a time in a format; `None` where that is no format.
pub(super) fn write(format: &str, time: Time) -> Option<String> {
    let civil = civil(time);
    let mut out = String::new();
    for part in parts(format).ok()? {
        match part {
            Part::Letter(letter) => out.push(letter),
            Part::Field(field) => date_field(field, civil, &mut out)
                .or_else(|| clock_field(field, civil, &mut out))
                .unwrap_or_else(|| zone_field(field, time.offset_seconds, &mut out)),
        }
    }
    Some(out)
}

fn date_field(field: char, civil: DateTime, out: &mut String) -> Option<()> {
    let (year, month, day) = (civil.year(), civil.month(), civil.day());
    let name = |names: &[&'static str], at: i8| usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or("");
    let month_name = name(&MONTHS, month - 1);
    let day_name = name(&DAYS, civil.weekday().to_sunday_zero_offset());
    let short = |name: &'static str| name.get(..3).unwrap_or(name);
    match field {
        'Y' => write!(out, "{year:04}"),
        'y' => write!(out, "{:02}", year.rem_euclid(100)),
        'm' => write!(out, "{month:02}"),
        'o' => write!(out, "{month:2}"),
        'q' => write!(out, "{month}"),
        'b' | 'h' => write!(out, "{}", short(month_name)),
        'B' => write!(out, "{month_name}"),
        'd' => write!(out, "{day:02}"),
        'e' => write!(out, "{day:2}"),
        'g' => write!(out, "{day}"),
        'a' => write!(out, "{}", short(day_name)),
        'A' => write!(out, "{day_name}"),
        _ => return None,
    }
    .ok()
}

fn clock_field(field: char, civil: DateTime, out: &mut String) -> Option<()> {
    let hour = civil.hour();
    let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
    let nanos = civil.subsec_nanosecond();
    match field {
        'H' => write!(out, "{hour:02}"),
        'I' => write!(out, "{hour12:02}"),
        'l' => write!(out, "{hour12}"),
        'p' => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
        'P' => write!(out, "{}", if hour < 12 { "am" } else { "pm" }),
        'M' => write!(out, "{:02}", civil.minute()),
        'S' => write!(out, "{:02}", civil.second()),
        'L' => write!(out, "{:03}", nanos / 1_000_000),
        'f' => write!(out, "{:06}", nanos / 1_000),
        's' => write!(out, "{nanos:09}"),
        _ => return None,
    }
    .ok()
}

fn zone_field(field: char, offset: i32, out: &mut String) {
    if field == 'Z' && offset == 0 {
        out.push_str("UTC");
        return;
    }
    let between = if matches!(field, 'j' | 'k') { ":" } else { "" };
    let text = offset_text(offset, between);
    out.push_str(if field == 'i' { text.get(..3).unwrap_or_default() } else { &text });
    if matches!(field, 'k' | 'w') {
        let _infallible = write!(out, "{between}{:02}", offset.unsigned_abs() % 60);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Time = Time { nanos: 1_700_000_000_005_000_000, offset_seconds: 0 };

    #[test]
    fn every_directive_is_written() {
        for (format, wanted) in [
            ("%Y-%m-%dT%H:%M:%S.%L", "2023-11-14T22:13:20.005"),
            ("%y %q %b %B %e %g %a %A %I %l %p %P", "23 11 Nov November 14 14 Tue Tuesday 10 10 PM pm"),
            ("%f %s %Z %z %w %i %j %k", "005000 005000000 UTC +0000 +000000 +00 +00:00 +00:00:00"),
            ("%D %F %T %r %R%n%t%%", "11/14/2023 2023-11-14 22:13:20 10:13:20 pm 22:13\n\t%"),
            ("%c", "Tue Nov 14 22:13:20 2023"),
        ] {
            assert_eq!(write(format, TIME).unwrap(), wanted, "{format}");
        }
        assert!(check("%Q").is_err());
        assert!(check("%Y 5").is_err());
        assert!(check("").is_err());
    }

    #[test]
    fn what_is_written_is_read() {
        let new_year = |text: &str, format: &str, zone: &str| parse(format, text, Some(zone), TIME.nanos).map(|time| time.nanos);
        for (format, text, zone, wanted) in [
            ("%Y-%m-%d %H:%M", "2026-01-02 03:04", "America/New_York", 1_767_341_040),
            ("%Y-%m-%dT%H:%M:%SZ", "2026-03-04T05:06:07Z", "", 1_772_600_767),
            ("%Y-%m-%dT%H:%M:%SZ", "2026-03-04T05:06:07.5Z", "", 1_772_600_767),
            ("%d/%b/%Y:%H:%M:%S %z", "04/Mar/2026:05:06:07 +0100", "", 1_772_597_167),
            ("%Y-%m-%d %H:%M:%S %Z", "2023-05-26 12:34:56 HST", "", 1_685_140_496),
            ("%B %e, %Y %l:%M %p", "March  4, 2026 5:06 AM", "", 1_772_600_760),
            ("%b %d %H:%M:%S", "Mar 04 05:06:07", "", 1_677_906_367),
        ] {
            assert_eq!(new_year(text, format, zone).map(|nanos| nanos / 1_000_000_000), Ok(wanted), "{text}");
        }
        for (format, text) in
            [("%Y", "nope"), ("%Y-%m-%d", "2026-02-30"), ("%H", "24"), ("%Y", "2026x"), ("%Y", "9999"), ("%d", "")]
        {
            assert!(new_year(text, format, "").is_err(), "{text}");
        }
    }
}
