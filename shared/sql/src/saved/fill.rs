//! Placeholders and the two dialects: every difference between them stands here.
//!
//! `{name|argument|...}` stands for a piece of SQL. Arguments come from the templates, never from a user.

use std::fmt::Write as _;

use spanlake_table::RED_BOUNDS_NANO;

use super::{Arguments, LIMIT_DEFAULT, SINCE_DEFAULT};
use crate::error::SqlError;

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_MS: i64 = 1_000_000;

/// What differs between engines.
pub(super) trait Dialect {
    /// Partitions of the last `times` windows.
    fn hours(&self, times: u32) -> String;
    /// A time column within the last `times` windows.
    fn since(&self, column: &str, times: u32) -> String;
    /// One service only, as a further condition.
    fn service(&self, column: &str) -> Result<String, SqlError>;
    /// The trace id, quoted.
    fn trace_id(&self) -> Result<String, SqlError>;
    /// The most rows.
    fn limit(&self) -> u32;
}

/// The engine in this crate.
pub(super) struct Embedded<'a>(pub(super) &'a Arguments<'a>);

impl Embedded<'_> {
    fn start(&self, times: u32) -> i64 {
        let since = i64::try_from(self.0.since.as_secs()).unwrap_or(i64::MAX).saturating_mul(i64::from(times));
        // Not before 1970: there is no such partition.
        self.0.now_unix_seconds.saturating_sub(since).clamp(0, 253_402_300_799)
    }
}

impl Dialect for Embedded<'_> {
    fn hours(&self, times: u32) -> String {
        let start = self.start(times);
        let (date, hour) = (date(start), start.rem_euclid(SECONDS_PER_DAY) / 3_600);
        format!("dt >= '{date}' AND dt || ' ' || hour >= '{date} {hour:02}'")
    }

    fn since(&self, column: &str, times: u32) -> String {
        let start = self.start(times);
        let second = start.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("{column} >= TIMESTAMP '{} {hour:02}:{minute:02}:{second:02}'", date(start))
    }

    fn service(&self, column: &str) -> Result<String, SqlError> {
        let Some(service) = self.0.service else { return Ok(String::new()) };
        if service.chars().any(char::is_control) {
            return Err(wrong("service", "must not contain control characters"));
        }
        Ok(format!(" AND {column} = '{}'", service.replace('\'', "''")))
    }

    fn trace_id(&self) -> Result<String, SqlError> {
        let id = self.0.trace_id.ok_or_else(|| wrong("trace-id", "is needed: 32 hexadecimal digits"))?;
        if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong("trace-id", "expected 32 hexadecimal digits"));
        }
        Ok(format!("'{}'", id.to_ascii_lowercase()))
    }

    fn limit(&self) -> u32 {
        self.0.limit
    }
}

/// Athena, with the default parameters.
pub(super) struct Athena;

impl Dialect for Athena {
    fn hours(&self, times: u32) -> String {
        let start = athena_start(times);
        let hour = |time: &str| format!("date_format({time}, '%Y-%m-%d %H')");
        // The catalog's tables have all hours of today. Those to come hold nothing, and each would be listed.
        format!(
            "dt >= date_format({start}, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN {} AND {}",
            hour(&start),
            hour("current_timestamp")
        )
    }

    fn since(&self, column: &str, times: u32) -> String {
        format!("{column} >= {}", athena_start(times))
    }

    fn service(&self, _column: &str) -> Result<String, SqlError> {
        Ok(String::new())
    }

    fn trace_id(&self) -> Result<String, SqlError> {
        Ok("?".to_owned())
    }

    fn limit(&self) -> u32 {
        LIMIT_DEFAULT
    }
}

fn athena_start(times: u32) -> String {
    format!("current_timestamp - interval '{}' hour", u64::from(times) * SINCE_DEFAULT.as_secs() / 3_600)
}

fn wrong(name: &str, reason: &str) -> SqlError {
    SqlError::Parameter { name: name.to_owned(), reason: reason.to_owned() }
}

/// Fills a template's placeholders.
pub(super) fn fill(template: &str, dialect: &impl Dialect) -> Result<String, SqlError> {
    let mut sql = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        sql.push_str(before);
        let (placeholder, behind) = after.split_once('}').ok_or_else(|| wrong(after, "is not closed"))?;
        let parts: Vec<_> = placeholder.split('|').collect();
        match parts.as_slice() {
            ["hours"] => sql.push_str(&dialect.hours(1)),
            ["hours twice"] => sql.push_str(&dialect.hours(2)),
            ["since", column] => sql.push_str(&dialect.since(column, 1)),
            ["since twice", column] => sql.push_str(&dialect.since(column, 2)),
            ["service", column] => sql.push_str(&dialect.service(column)?),
            ["trace_id"] => sql.push_str(&dialect.trace_id()?),
            ["limit"] => sql.push_str(&dialect.limit().to_string()),
            ["quantile", value, weight, quantile] => {
                let _infallible = write!(sql, "approx_percentile({value}, {weight}, {quantile})");
            }
            ["bucket sums"] => bucket_sums(&mut sql),
            ["bucket quantile", quantile] => bucket_quantile(&mut sql, quantile),
            _ => return Err(wrong(placeholder, "is no placeholder")),
        }
        rest = behind;
    }
    sql.push_str(rest);
    Ok(sql)
}

/// `red_1m` has the same buckets in every row: their sums are columns `b1`, `b2`, ...
fn bucket_sums(sql: &mut String) {
    for bucket in 1..=RED_BOUNDS_NANO.len() + 1 {
        let separator = if bucket == 1 { "" } else { ", " };
        let _infallible = write!(sql, "{separator}sum(bucket_counts[{bucket}]) AS b{bucket}");
    }
}

/// The upper bound, in milliseconds, of the bucket in which a quantile of `n` lies; NULL beyond the last bound.
fn bucket_quantile(sql: &mut String, quantile: &str) {
    sql.push_str("CASE");
    let mut sum = String::new();
    for (bucket, bound) in (1..).zip(RED_BOUNDS_NANO) {
        let _infallible = write!(sum, "{}b{bucket}", if bucket == 1 { "" } else { " + " });
        let _infallible = write!(sql, " WHEN {sum} >= {quantile} * n THEN {}", bound / NANOS_PER_MS);
    }
    sql.push_str(" END");
}

/// The date of a time, `YYYY-MM-DD`. Days to civil date after Howard Hinnant's `civil_from_days`.
fn date(unix_seconds: i64) -> String {
    let days = unix_seconds.div_euclid(SECONDS_PER_DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        for (seconds, expected) in
            [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (1_767_225_600, "2026-01-01"), (1_798_761_599, "2026-12-31")]
        {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn the_window_begins_at_the_hour_that_holds_its_start() {
        let arguments = Arguments { since: std::time::Duration::from_secs(90), ..Arguments::at(1_767_225_600 + 60) };
        let embedded = Embedded(&arguments);
        assert_eq!(embedded.hours(1), "dt >= '2025-12-31' AND dt || ' ' || hour >= '2025-12-31 23'");
        assert_eq!(embedded.since("t", 1), "t >= TIMESTAMP '2025-12-31 23:59:30'");
    }
}
