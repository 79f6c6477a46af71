//! The placeholders of saved queries, and what each engine makes of them.
//!
//! | placeholder | stands for |
//! |---|---|
//! | `{service}` | the parameter's value as a literal |
//! | `{time:since}`, `{time:since+ago}` | the time that the duration, or the sum of both, lies before now |
//! | `{days:since}` | the partitions from that time on |
//! | `{max_by:value,key}` | `value` of the row with the largest `key` |
//!
//! Expanded in a single pass: a value that looks like a placeholder stays text.

use super::{Param, ParamKind, Saved, param};
use crate::SqlError;

/// Seconds of a day.
const DAY_SECONDS: i64 = 86_400;

/// The differences between the engines.
pub(super) trait Dialect {
    /// The time that lies so long before now.
    fn time(&self, seconds_ago: u64) -> String;
    /// The day of that time, as in `dt`.
    fn day(&self, seconds_ago: u64) -> String;
    /// The hour of that time, as in `hour`.
    fn hour(&self, seconds_ago: u64) -> String;
    /// An aggregate: `value` of the row with the largest `key`.
    fn max_by(&self, value: &str, key: &str) -> String;
    /// A parameter that has no value yet, if the engine takes such statements.
    fn unset(&self) -> Option<&'static str>;
}

/// The engine of this crate: times are computed here, so that its caller owns the clock.
pub(super) struct Embedded {
    /// Unix time.
    pub(super) now_nanos: i64,
}

impl Embedded {
    fn date_and_time(&self, seconds_ago: u64) -> (String, String, i64) {
        let ago_nanos = i64::try_from(seconds_ago).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        let nanos = self.now_nanos.saturating_sub(ago_nanos);
        let seconds = nanos.div_euclid(1_000_000_000);
        let second = seconds.rem_euclid(DAY_SECONDS);
        let clock = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
        (date(seconds.div_euclid(DAY_SECONDS)), clock, nanos.rem_euclid(1_000_000_000))
    }
}

impl Dialect for Embedded {
    fn time(&self, seconds_ago: u64) -> String {
        let (date, clock, nanos) = self.date_and_time(seconds_ago);
        format!("TIMESTAMP '{date}T{clock}.{nanos:09}Z'")
    }

    fn day(&self, seconds_ago: u64) -> String {
        format!("'{}'", self.date_and_time(seconds_ago).0)
    }

    fn hour(&self, seconds_ago: u64) -> String {
        format!("'{}'", self.date_and_time(seconds_ago).1.get(..2).unwrap_or("00"))
    }

    fn max_by(&self, value: &str, key: &str) -> String {
        format!("first_value({value} ORDER BY {key} DESC)")
    }

    fn unset(&self) -> Option<&'static str> {
        None
    }
}

/// Athena: times follow its own clock, so that a stored query stays useful.
pub(super) struct Athena;

impl Dialect for Athena {
    fn time(&self, seconds_ago: u64) -> String {
        format!("current_timestamp - INTERVAL '{seconds_ago}' SECOND")
    }

    fn day(&self, seconds_ago: u64) -> String {
        format!("date_format({}, '%Y-%m-%d')", self.time(seconds_ago))
    }

    fn hour(&self, seconds_ago: u64) -> String {
        format!("date_format({}, '%H')", self.time(seconds_ago))
    }

    fn max_by(&self, value: &str, key: &str) -> String {
        format!("max_by({value}, {key})")
    }

    fn unset(&self) -> Option<&'static str> {
        Some("?")
    }
}

/// The text of a query for one engine; `value_of` gives the parameters' values.
pub(super) fn expand(
    saved: &Saved,
    dialect: &impl Dialect,
    value_of: impl Fn(&Param) -> Option<String>,
) -> Result<String, SqlError> {
    let seconds_of = |sum: &str| {
        let mut seconds = 0;
        for name in sum.split('+') {
            let param = parameter(saved, name)?;
            seconds += param::seconds(param, &value_of(param).ok_or_else(|| missing(param))?)?;
        }
        Ok::<u64, SqlError>(seconds)
    };
    let piece = |placeholder: &str| match placeholder.split_once(':') {
        Some(("time", sum)) => Ok(dialect.time(seconds_of(sum)?)),
        Some(("days", sum)) => {
            let seconds = seconds_of(sum)?;
            let (day, hour) = (dialect.day(seconds), dialect.hour(seconds));
            Ok(format!("dt >= {day} AND (dt > {day} OR hour >= {hour})"))
        }
        Some(("max_by", pair)) => {
            let (value, key) = pair.split_once(',').unwrap_or((pair, pair));
            Ok(dialect.max_by(value, key))
        }
        _ => {
            let param = parameter(saved, placeholder)?;
            match (value_of(param), dialect.unset()) {
                (Some(value), _) => param::literal(param, &value),
                (None, Some(unset)) => Ok(unset.to_owned()),
                (None, None) => Err(missing(param)),
            }
        }
    };
    for param in saved.params.iter().filter(|param| param.kind != ParamKind::Duration) {
        // A parameter is checked even where a text does not use it.
        value_of(param).map(|value| param::literal(param, &value)).transpose()?;
    }
    let mut text = String::new();
    let mut rest = saved.sql.trim();
    while let Some((before, after)) = rest.split_once('{') {
        let (placeholder, after) = after.split_once('}').unwrap_or((after, ""));
        text.push_str(before);
        text.push_str(&piece(placeholder)?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

fn parameter(saved: &Saved, name: &str) -> Result<&'static Param, SqlError> {
    saved
        .params
        .iter()
        .find(|param| param.name == name)
        .ok_or_else(|| SqlError::Parameter { name: name.to_owned(), reason: format!("{} has no such parameter", saved.name) })
}

fn missing(param: &Param) -> SqlError {
    SqlError::Parameter { name: param.name.to_owned(), reason: format!("must be given: {}", param.doc) }
}

/// `YYYY-MM-DD` of a day since 1970-01-01, by the proleptic Gregorian calendar.
fn date(day: i64) -> String {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}
