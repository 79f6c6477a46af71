//! Dates as S3 writes them: ISO 8601 in listings, RFC 9110 in headers. Whole seconds from 1970 on.

const MONTHS: [(&str, i64); 12] = [
    ("Jan", 31),
    ("Feb", 28),
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
];
/// From the first day of 1970 on.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

struct Date {
    weekday: &'static str,
    year: i64,
    month: usize,
    month_name: &'static str,
    day: i64,
    time: String,
}

impl Date {
    fn of(nanos: i64) -> Self {
        let seconds = nanos.max(0) / 1_000_000_000;
        let (days, in_day) = (seconds / 86_400, seconds % 86_400);
        let time = format!("{:02}:{:02}:{:02}", in_day / 3_600, in_day / 60 % 60, in_day % 60);
        let weekday = WEEKDAYS.iter().cycle().nth(usize::try_from(days % 7).unwrap_or_default()).unwrap_or(&"Thu");
        let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let (mut year, mut day) = (1970, days);
        while day >= 365 + i64::from(is_leap(year)) {
            day -= 365 + i64::from(is_leap(year));
            year += 1;
        }
        let mut date = Self { weekday, year, month: 12, month_name: "Dec", day: day + 1, time };
        for (number, (name, days)) in MONTHS.into_iter().enumerate() {
            let days = days + i64::from(name == "Feb" && is_leap(year));
            if date.day <= days {
                (date.month, date.month_name) = (number + 1, name);
                break;
            }
            date.day -= days;
        }
        date
    }
}

/// `2026-08-01T00:00:00.000Z`.
pub(super) fn iso(nanos: i64) -> String {
    let Date { year, month, day, time, .. } = Date::of(nanos);
    format!("{year:04}-{month:02}-{day:02}T{time}.000Z")
}

/// `Sat, 01 Aug 2026 00:00:00 GMT`.
pub(super) fn http(nanos: i64) -> String {
    let Date { weekday, year, month_name, day, time, .. } = Date::of(nanos);
    format!("{weekday}, {day:02} {month_name} {year:04} {time} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        for (seconds, in_listings, in_headers) in [
            (0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_399, "2000-02-28T23:59:59.000Z", "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_767_225_599, "2025-12-31T23:59:59.000Z", "Wed, 31 Dec 2025 23:59:59 GMT"),
            (1_785_542_400, "2026-08-01T00:00:00.000Z", "Sat, 01 Aug 2026 00:00:00 GMT"),
        ] {
            let nanos = seconds * 1_000_000_000 + 999_999_999;
            assert_eq!((iso(nanos), http(nanos)), (in_listings.to_owned(), in_headers.to_owned()));
        }
    }
}
