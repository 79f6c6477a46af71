//! Converters of times and durations.

use super::calendar::{self, civil, parse_duration};
use super::layout;
use crate::error::DataError;
use crate::frame::Frame;
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::val::{Time, Val};

const TIME: &[Param] = &[Param::new("time", Kind::Time)];
const DURATION: &[Param] = &[Param::new("duration", Kind::Duration)];

const MICRO: i64 = 1_000;
const MILLI: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Seconds from the year 1, from which Go counts, to 1970.
const YEAR_ONE_SECONDS: i128 = 62_135_596_800;

/// The converters of this file.
pub(super) const ALL: &[Function] = &[
    Function::converter_in(
        "Time",
        &[
            Param::new("time", Kind::Str),
            Param::new("format", Kind::Text),
            Param::optional("location", Kind::Str),
            Param::optional("locale", Kind::Str),
        ],
        time,
    )
    .checked(check_time),
    Function::converter("FormatTime", &[Param::new("time", Kind::Time), Param::new("format", Kind::Text)], format_time)
        .checked(check_format),
    Function::converter_in("Now", &[], now),
    Function::converter("TruncateTime", &[Param::new("time", Kind::Time), Param::new("duration", Kind::Duration)], truncate),
    Function::converter("Unix", &[Param::new("seconds", Kind::IntVal), Param::optional("nanoseconds", Kind::IntVal)], unix),
    Function::converter("UnixSeconds", TIME, |args| Ok(Val::int(nanos(args)?.div_euclid(SECOND)))),
    Function::converter("UnixMilli", TIME, |args| Ok(Val::int(nanos(args)?.div_euclid(MILLI)))),
    Function::converter("UnixMicro", TIME, |args| Ok(Val::int(nanos(args)?.div_euclid(MICRO)))),
    Function::converter("UnixNano", TIME, |args| Ok(Val::int(nanos(args)?))),
    Function::converter("Year", TIME, |args| Ok(Val::int(civil(the_time(args)?).year().into()))),
    Function::converter("Month", TIME, |args| Ok(Val::int(civil(the_time(args)?).month().into()))),
    Function::converter("Day", TIME, |args| Ok(Val::int(civil(the_time(args)?).day().into()))),
    Function::converter("Hour", TIME, |args| Ok(Val::int(civil(the_time(args)?).hour().into()))),
    Function::converter("Minute", TIME, |args| Ok(Val::int(civil(the_time(args)?).minute().into()))),
    Function::converter("Second", TIME, |args| Ok(Val::int(civil(the_time(args)?).second().into()))),
    Function::converter("Nanosecond", TIME, |args| Ok(Val::int(civil(the_time(args)?).subsec_nanosecond().into()))),
    Function::converter("Weekday", TIME, |args| Ok(Val::int(civil(the_time(args)?).weekday().to_sunday_zero_offset().into()))),
    Function::converter("Duration", &[Param::new("duration", Kind::Str)], duration).folded(),
    Function::converter("Hours", DURATION, |args| count(args, HOUR)),
    Function::converter("Minutes", DURATION, |args| count(args, MINUTE)),
    Function::converter("Seconds", DURATION, |args| count(args, SECOND)),
    Function::converter("Milliseconds", DURATION, |args| Ok(Val::int(length(args)? / MILLI))),
    Function::converter("Microseconds", DURATION, |args| Ok(Val::int(length(args)? / MICRO))),
    Function::converter("Nanoseconds", DURATION, |args| Ok(Val::int(length(args)?))),
];

fn the_time(args: &Args<'_>) -> Result<Time, DataError> {
    args.time(0).ok_or(DataError("expected a time"))
}

fn nanos(args: &Args<'_>) -> Result<i64, DataError> {
    the_time(args).map(|time| time.nanos)
}

fn length(args: &Args<'_>) -> Result<i64, DataError> {
    args.duration_nanos(0).ok_or(DataError("expected a duration"))
}

/// A duration in units, computed as Go does: whole units and the rest apart.
#[expect(clippy::cast_precision_loss, reason = "what Go's conversion does too")]
fn count<'a>(args: &Args<'a>, unit: i64) -> Result<Val<'a>, DataError> {
    let nanos = length(args)?;
    Ok(Val::double((nanos / unit) as f64 + (nanos % unit) as f64 / unit as f64))
}

fn check_time(arguments: &[Argument]) -> Result<(), String> {
    use crate::expression::Expression;
    let [_, Argument::Text(format), location, locale] = arguments else { return Ok(()) };
    layout::check(format)?;
    if let Argument::Value(Expression::Text(name), _) = location
        && calendar::zone(name).is_none()
    {
        return Err(format!("there is no time zone `{name}`"));
    }
    match locale {
        Argument::Missing => Ok(()),
        Argument::Value(Expression::Text(locale), _) if locale == "en" || locale.starts_with("en-") => Ok(()),
        _ => Err("a locale other than English is not supported here: it needs the names of all languages".to_owned()),
    }
}

fn time<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<Val<'a>, DataError> {
    layout::parse(args.string(1)?, args.string(0)?, args.text(2), frame.now_nanos).map(Val::Time)
}

fn check_format(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [_, Argument::Text(format)] => layout::check(format),
        _ => Ok(()),
    }
}

fn format_time<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    layout::write(args.string(1)?, the_time(args)?).map(Val::text).ok_or(DataError("not a format of times"))
}

/// When the batch came in, so that running it again gives the same.
fn now<'a>(_: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<Val<'a>, DataError> {
    Ok(Val::Time(Time { nanos: frame.now_nanos, offset_seconds: 0 }))
}

/// Down to a multiple of the duration, counted from the year 1.
fn truncate<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let time = the_time(args)?;
    let unit = i128::from(args.duration_nanos(1).ok_or(DataError("expected a duration"))?);
    if unit <= 0 {
        return Ok(Val::Time(time));
    }
    let since_year_one = i128::from(time.nanos) + YEAR_ONE_SECONDS * i128::from(SECOND);
    let nanos = i128::from(time.nanos) - since_year_one.rem_euclid(unit);
    i64::try_from(nanos).map(|nanos| Val::Time(Time { nanos, ..time })).map_err(|_| calendar::OUT_OF_RANGE)
}

fn unix<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let nanos = i128::from(args.int(0).unwrap_or(0)) * i128::from(SECOND) + i128::from(args.int(1).unwrap_or(0));
    let time = |nanos| Val::Time(Time { nanos, offset_seconds: 0 });
    i64::try_from(nanos).map(time).map_err(|_| calendar::OUT_OF_RANGE)
}

fn duration<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    parse_duration(args.string(0)?).map(Val::Duration).ok_or(DataError("not a duration"))
}
