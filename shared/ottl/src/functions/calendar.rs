//! Times and durations as Go reads and writes them.

use std::fmt::Write as _;
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use crate::error::DataError;
use crate::val::Time;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The zones of the IANA database that is part of the program: no file is read.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A point in time that is not between the years 1677 and 2262.
pub(super) const OUT_OF_RANGE: DataError = DataError("a time out of range");

/// The zone of a name; none stands for UTC, as does the zone of the machine.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    if name.is_empty() || name == "Local" { Some(TimeZone::UTC) } else { ZONES.get(name).ok() }
}

/// What a calendar and a clock show.
pub(super) fn civil(time: Time) -> DateTime {
    let instant = Timestamp::from_nanosecond(i128::from(time.nanos)).unwrap_or(Timestamp::UNIX_EPOCH);
    Offset::from_seconds(time.offset_seconds).unwrap_or(Offset::UTC).to_datetime(instant)
}

/// The point in time that a calendar and a clock show in a zone.
pub(super) fn time_in(civil: DateTime, zone: &TimeZone) -> Result<Time, DataError> {
    let instant = zone.to_timestamp(civil).map_err(|_| OUT_OF_RANGE)?;
    let nanos = i64::try_from(instant.as_nanosecond()).map_err(|_| OUT_OF_RANGE)?;
    Ok(Time { nanos, offset_seconds: zone.to_offset(instant).seconds() })
}

/// A time as Go's `RFC3339Nano`.
pub(crate) fn rfc3339(time: Time) -> String {
    let offset = offset_text(time.offset_seconds, ":");
    format!("{}{}", clock_text(time, 'T'), if time.offset_seconds == 0 { "Z" } else { &offset })
}

/// A time as Go's `Time.String`. The names of zones are not known here but for UTC.
pub(super) fn time_text(time: Time) -> String {
    let offset = offset_text(time.offset_seconds, "");
    let zone = if time.offset_seconds == 0 { "UTC" } else { &offset };
    format!("{} {offset} {zone}", clock_text(time, ' '))
}

fn clock_text(time: Time, between: char) -> String {
    let civil = civil(time);
    let (date, clock) = (civil.date(), civil.time());
    let mut out = format!("{:04}-{:02}-{:02}{between}", date.year(), date.month(), date.day());
    let _infallible = write!(out, "{:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second());
    if clock.subsec_nanosecond() != 0 {
        let fraction = format!(".{:09}", clock.subsec_nanosecond());
        out.push_str(fraction.trim_end_matches('0'));
    }
    out
}

/// An offset as `+0100`, or with something between hours and minutes.
pub(super) fn offset_text(seconds: i32, between: &str) -> String {
    let minutes = seconds.unsigned_abs() / 60;
    format!("{}{:02}{between}{:02}", if seconds < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
}

/// A duration as Go writes it: `1h2m3.5s`.
pub(super) fn duration_text(nanos: i64) -> String {
    let size = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    let small = |unit: u64, name: &str| {
        let text = format!("{}.{:0width$}", size / unit, size % unit, width = unit.ilog10() as usize);
        format!("{sign}{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match size {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{size}ns"),
        1_000..1_000_000 => small(1_000, "\u{b5}s"),
        1_000_000..NANOS_PER_SECOND => small(1_000_000, "ms"),
        _ => {
            let (seconds, fraction) = (size / NANOS_PER_SECOND, size % NANOS_PER_SECOND);
            let text = format!("{}.{fraction:09}", seconds % 60);
            let seconds_text = text.trim_end_matches('0').trim_end_matches('.');
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => format!("{sign}{seconds_text}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds_text}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds_text}s"),
            }
        }
    }
}

/// Reads a duration as Go does: `1h2m3.5s`, `-1.5h`, `0`. In nanoseconds.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = |text: &str| text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (whole, behind) = rest.split_at_checked(digits(rest))?;
        let (fraction, behind) = match behind.strip_prefix('.') {
            Some(behind) => behind.split_at_checked(digits(behind))?,
            None => ("", behind),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = behind.find(|letter: char| letter == '.' || letter.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(end)?;
        let unit: u64 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => NANOS_PER_SECOND,
            "m" => 60 * NANOS_PER_SECOND,
            "h" => 3600 * NANOS_PER_SECOND,
            _ => return None,
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(unit)?)?.checked_add(part_of(fraction, unit))?;
        if total > 1 << 63 {
            return None;
        }
        rest = behind;
    }
    if is_negative { 0_i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() }
}

/// A fraction of a unit. Digits that can't matter are left out.
fn part_of(fraction: &str, unit: u64) -> u64 {
    let digits = fraction.get(..fraction.len().min(18)).unwrap_or_default();
    let scale = 10_u128.pow(u32::try_from(digits.len()).unwrap_or(0));
    let number: u128 = digits.parse().unwrap_or(0);
    u64::try_from(number * u128::from(unit) / scale).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, nanos, written) in [
            ("1h2m3.5s", 3_723_500_000_000, "1h2m3.5s"),
            ("-1.5h", -5_400_000_000_000, "-1h30m0s"),
            ("0", 0, "0s"),
            (".5ms", 500_000, "500\u{b5}s"),
            ("1us", 1_000, "1\u{b5}s"),
            ("1.234567s", 1_234_567_000, "1.234567s"),
            ("90m", 5_400_000_000_000, "1h30m0s"),
            ("-9223372036854775808ns", i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(parse_duration(text), Some(nanos), "{text}");
            assert_eq!(duration_text(nanos), written, "{text}");
        }
        for bad in ["", "-", "1", "1.", ".s", "1x", "h", "9223372036854775808ns", "99999999999999h", " 1s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
