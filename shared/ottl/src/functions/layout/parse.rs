//! Reading a time in a format, as Go's `time.Parse` does.

use jiff::civil::{Date, DateTime, Time as Clock};
use jiff::tz::{Offset, TimeZone};

use super::{DAYS, MONTHS, Part, parts};
use crate::error::DataError;
use crate::functions::calendar::{time_in, zone};
use crate::val::Time;

/// A time that does not say its year is of the last year where it would be further ahead than this.
const AHEAD_NANOS_MAX: i64 = 7 * 24 * 3600 * 1_000_000_000;

/// The directives of dates.
const DATE_FIELDS: &str = "YymqobhBdgeaA";

const NO_TIME: DataError = DataError("the text is no time of this format");

/// What has been read so far.
#[derive(Debug, Default)]
struct Read {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    /// Whether it is after noon.
    afternoon: Option<bool>,
    offset_seconds: Option<i32>,
    zone: Option<String>,
}

/// Reads a time; `location` is its zone where the text names none.
///
/// # Errors
/// A text of another form, a day or zone that there is not, a time out of range.
pub(in crate::functions) fn parse(format: &str, text: &str, location: Option<&str>, now_nanos: i64) -> Result<Time, DataError> {
    let parts = parts(format).map_err(|_| DataError("not a format of times"))?;
    let location = zone(location.unwrap_or_default()).ok_or(DataError("no such time zone"))?;
    let mut read = Read::default();
    let mut rest = text;
    for (at, part) in parts.iter().enumerate() {
        rest = match part {
            Part::Letter(letter) => skip(*letter, rest),
            Part::Field(field) => {
                let next = parts.get(at + 1..).unwrap_or_default();
                if DATE_FIELDS.contains(*field) { read.date_field(*field, rest) } else { read.clock_field(*field, rest, next) }
            }
        }
        .ok_or(NO_TIME)?;
    }
    if rest.is_empty() { read.into_time(&location, now_nanos) } else { Err(NO_TIME) }
}

/// Blanks stand for any number of them.
fn skip(letter: char, rest: &str) -> Option<&str> {
    if letter == ' ' {
        let behind = rest.trim_start_matches(' ');
        return (behind.len() < rest.len() || rest.is_empty()).then_some(behind);
    }
    rest.strip_prefix(letter)
}

/// A number of one or two digits, or of two.
fn two_digits(rest: &str, is_fixed: bool) -> Option<(i8, &str)> {
    let count = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
    if count == 0 || (is_fixed && count < 2) {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(count)?;
    Some((digits.parse().ok()?, rest))
}

fn digits(rest: &str, count: usize) -> Option<(i16, &str)> {
    let (digits, rest) = rest.split_at_checked(count)?;
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| Some((digits.parse().ok()?, rest)))?
}

/// Which of some names the text begins with; of `length` letters each, or whole.
fn name<'t>(names: &[&str], length: usize, rest: &'t str) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(place, name)| {
        let name = name.get(..length.min(name.len()))?;
        let (start, rest) = rest.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some((place, rest))
    })
}

impl Read {
    /// Reads one of [`DATE_FIELDS`].
    fn date_field<'t>(&mut self, field: char, rest: &'t str) -> Option<&'t str> {
        let month = |(place, rest): (usize, &'t str)| (i8::try_from(place + 1).unwrap_or(0), rest);
        let set_month = |this: &mut Self, found: Option<(i8, &'t str)>| {
            found.filter(|(month, _)| (1..=12).contains(month)).map(|(month, rest)| {
                this.month = Some(month);
                rest
            })
        };
        let set_day = |this: &mut Self, found: Option<(i8, &'t str)>| {
            found.map(|(day, rest)| {
                this.day = Some(day);
                rest
            })
        };
        match field {
            'Y' => digits(rest, 4).map(|(year, rest)| {
                self.year = Some(year);
                rest
            }),
            'y' => digits(rest, 2).map(|(year, rest)| {
                self.year = Some(if year >= 69 { 1900 + year } else { 2000 + year });
                rest
            }),
            'm' => set_month(self, two_digits(rest, true)),
            'q' => set_month(self, two_digits(rest, false)),
            'o' => set_month(self, two_digits(rest.strip_prefix(' ').unwrap_or(rest), false)),
            'b' | 'h' => set_month(self, name(&MONTHS, 3, rest).map(month)),
            'B' => set_month(self, name(&MONTHS, 9, rest).map(month)),
            'd' => set_day(self, two_digits(rest, true)),
            'g' => set_day(self, two_digits(rest, false)),
            'e' => set_day(self, two_digits(rest.strip_prefix(' ').unwrap_or(rest), false)),
            'a' => name(&DAYS, 3, rest).map(|(_, rest)| rest),
            'A' => name(&DAYS, 9, rest).map(|(_, rest)| rest),
            _ => None,
        }
    }

    fn clock_field<'t>(&mut self, field: char, rest: &'t str, next: &[Part]) -> Option<&'t str> {
        match field {
            'H' => self.hour(two_digits(rest, false), 23),
            'I' => self.hour(two_digits(rest, true), 12),
            'l' => self.hour(two_digits(rest, false), 12),
            'M' => two_digits(rest, true).filter(|(minute, _)| *minute < 60).map(|(minute, rest)| {
                self.minute = minute;
                rest
            }),
            'S' => {
                let (second, rest) = two_digits(rest, true).filter(|(second, _)| *second < 60)?;
                self.second = second;
                // A fraction may stand here that the format does not name.
                let is_named = matches!(next, [Part::Letter('.' | ','), Part::Field('L' | 'f' | 's'), ..]);
                let fraction = rest.strip_prefix(['.', ',']).filter(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
                match fraction {
                    Some(fraction) if !is_named => self.fraction(fraction),
                    _ => Some(rest),
                }
            }
            'L' | 'f' | 's' => self.fraction(rest),
            'p' | 'P' => {
                let (am, pm) = if field == 'p' { ("AM", "PM") } else { ("am", "pm") };
                let noon = rest.strip_prefix(pm);
                self.afternoon = Some(noon.is_some());
                noon.or_else(|| rest.strip_prefix(am))
            }
            'Z' => self.zone_name(rest),
            _ => self.offset(field, rest),
        }
    }

    fn hour<'t>(&mut self, found: Option<(i8, &'t str)>, most: i8) -> Option<&'t str> {
        let (hour, rest) = found.filter(|(hour, _)| *hour <= most)?;
        self.hour = hour;
        Some(rest)
    }

    fn fraction<'t>(&mut self, rest: &'t str) -> Option<&'t str> {
        let count = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, behind) = rest.split_at_checked(count)?;
        let digits = digits.get(..count.min(9)).filter(|digits| !digits.is_empty())?;
        self.nanos = format!("{digits:0<9}").parse().ok()?;
        Some(behind)
    }

    fn offset<'t>(&mut self, field: char, rest: &'t str) -> Option<&'t str> {
        let shape = match field {
            'i' => "hh",
            'j' => "hh:mm",
            'k' => "hh:mm:ss",
            'w' => "hhmmss",
            _ => "hhmm",
        };
        let sign = if rest.starts_with('-') { -1 } else { 1 };
        let (numbers, rest) = rest.strip_prefix(['+', '-'])?.split_at_checked(shape.len())?;
        let mut parts = [0; 3];
        for (letter, unit) in numbers.chars().zip(shape.chars()) {
            let place = match unit {
                'h' => 0,
                'm' => 1,
                's' => 2,
                _ if letter == unit => continue,
                _ => return None,
            };
            let digit = i32::try_from(letter.to_digit(10)?).ok()?;
            *parts.get_mut(place)? = parts.get(place)? * 10 + digit;
        }
        let [hours, minutes, seconds] = parts;
        self.offset_seconds = Some(sign * (hours * 3600 + minutes * 60 + seconds));
        Some(rest)
    }

    /// A zone's short name: three or four capitals, or `UTC`, or an offset from `GMT`.
    fn zone_name<'t>(&mut self, rest: &'t str) -> Option<&'t str> {
        if let Some(rest) = rest.strip_prefix("UTC") {
            self.offset_seconds = Some(0);
            return Some(rest);
        }
        let count = rest.bytes().take(6).take_while(u8::is_ascii_uppercase).count();
        let is_name = match count {
            3 => true,
            4 => rest.as_bytes().get(3) == Some(&b'T') || rest.starts_with("WITA"),
            5 => rest.as_bytes().get(4) == Some(&b'T'),
            _ => false,
        };
        let (name, rest) = rest.split_at_checked(count).filter(|_| is_name)?;
        self.zone = Some(name.to_owned());
        Some(rest)
    }

    fn into_time(self, location: &TimeZone, now_nanos: i64) -> Result<Time, DataError> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        // An unknown short name of a zone stands for no offset, as in Go.
        let named = self.zone.as_deref().map(|name| zone(name).unwrap_or(TimeZone::UTC));
        let offset = self.offset_seconds.map(|seconds| Offset::from_seconds(seconds).map(TimeZone::fixed));
        let zone = match offset {
            Some(offset) => offset.map_err(|_| NO_TIME)?,
            None => named.unwrap_or_else(|| location.clone()),
        };
        let at = |year: i16| {
            let date = Date::new(year, self.month.unwrap_or(1), self.day.unwrap_or(1)).map_err(|_| NO_TIME)?;
            let clock = Clock::new(hour, self.minute, self.second, self.nanos).map_err(|_| NO_TIME)?;
            time_in(DateTime::from_parts(date, clock), &zone)
        };
        match self.year {
            Some(year) if year > 0 => at(year),
            _ => {
                let now = crate::functions::calendar::civil(Time { nanos: now_nanos, offset_seconds: 0 }).year();
                let time = at(now)?;
                if time.nanos > now_nanos.saturating_add(AHEAD_NANOS_MAX) { at(now - 1) } else { Ok(time) }
            }
        }
    }
}
