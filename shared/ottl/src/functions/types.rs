//! Converters of types, and what asks for them.

use spanlake_otlp::tree::Value;

use crate::error::DataError;
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::paths::{access_hex as hex, access_unhex as unhex};
use crate::val::Val;

const ANY: &[Param] = &[Param::new("target", Kind::Any)];

/// The converters of this file.
pub(super) const ALL: &[Function] = &[
    Function::converter("Bool", ANY, to_bool).folded(),
    Function::converter("Coalesce", &[Param::new("values", Kind::Values)], coalesce).checked(check_coalesce),
    Function::converter("Double", &[Param::new("target", Kind::FloatLike)], |args| Ok(args.take(0))).folded(),
    Function::converter("Hex", ANY, to_hex),
    Function::converter("Int", ANY, to_int).folded(),
    Function::converter("IsBool", ANY, |args| Ok(Val::bool(matches!(args.val(0), Val::Value(Value::Bool(_)))))),
    Function::converter("IsDouble", ANY, |args| Ok(Val::bool(matches!(args.val(0), Val::Value(Value::Double(_)))))),
    Function::converter("IsEmpty", ANY, is_empty),
    Function::converter("IsInt", ANY, |args| Ok(Val::bool(matches!(args.val(0), Val::Value(Value::Int(_)))))),
    Function::converter("IsList", ANY, |args| Ok(Val::bool(matches!(args.val(0), Val::Value(Value::List(_)))))),
    Function::converter("IsMap", ANY, |args| Ok(Val::bool(matches!(args.val(0), Val::Value(Value::Map(_)))))),
    Function::converter("IsString", ANY, |args| Ok(Val::bool(matches!(args.val(0), Val::Value(Value::String(_)))))),
    Function::converter("Log", &[Param::new("target", Kind::FloatLike)], log),
    Function::converter("ParseInt", &[Param::new("target", Kind::Str), Param::new("base", Kind::IntVal)], parse_int).folded(),
    Function::converter("SpanID", ANY, |args| id(args.val(0)).map(Val::SpanId)).folded(),
    Function::converter("String", &[Param::new("target", Kind::StrLike)], |args| Ok(args.take(0))),
    Function::converter("TraceID", ANY, |args| id(args.val(0)).map(Val::TraceId)).folded(),
];

fn to_bool<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    match args.take(0) {
        Val::Value(Value::Empty) => Ok(Val::NIL),
        Val::Value(Value::Bool(value)) => Ok(Val::bool(value)),
        Val::Value(Value::Int(value)) => Ok(Val::bool(value != 0)),
        Val::Value(Value::Double(value)) => Ok(Val::bool(value != 0.0)),
        Val::Value(Value::String(text)) => parse_bool(&text).map(Val::bool),
        _ => Err(DataError("this type can't become a truth value")),
    }
}

/// What is too large for a number is none, as in Go's `strconv.ParseFloat`.
pub(super) fn parse_double(text: &str) -> Result<f64, DataError> {
    let number: f64 = text.parse().map_err(|_| DataError("not a number"))?;
    let is_beyond = number.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit());
    if is_beyond { Err(DataError("not a number")) } else { Ok(number) }
}

/// Source: Go's `strconv.ParseBool`.
pub(super) fn parse_bool(text: &str) -> Result<bool, DataError> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(DataError("not a truth value")),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "towards zero, as Go does")]
fn to_int<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    match args.take(0) {
        value @ Val::Value(Value::Empty | Value::Int(_)) => Ok(value),
        Val::Value(Value::Bool(value)) => Ok(Val::int(i64::from(value))),
        Val::Value(Value::Double(value)) => Ok(Val::int(value as i64)),
        Val::Value(Value::String(text)) => text.parse().map(Val::int).map_err(|_| DataError("not a whole number")),
        _ => Err(DataError("this type can't become a whole number")),
    }
}

fn to_hex<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    Ok(match args.take(0) {
        Val::Value(Value::Empty) => Val::NIL,
        Val::Value(Value::String(text)) => Val::text(hex(text.as_bytes())),
        Val::Value(Value::Bytes(bytes)) => Val::text(hex(&bytes)),
        Val::Value(Value::Bool(value)) => Val::text(hex(&[u8::from(value)])),
        Val::Value(Value::Int(value)) => Val::text(hex(&value.to_be_bytes())),
        Val::Value(Value::Double(value)) => Val::text(hex(&value.to_be_bytes())),
        Val::TraceId(id) => Val::text(hex(&id)),
        Val::SpanId(id) => Val::text(hex(&id)),
        _ => return Err(DataError("this type can't become bytes")),
    })
}

fn check_coalesce(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [Argument::Values(values)] if values.is_empty() => Err("at least one value must be given".to_owned()),
        _ => Ok(()),
    }
}

fn coalesce<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    Ok(args.take_list(0).into_iter().find(|value| !value.is_nil()).unwrap_or(Val::NIL))
}

fn is_empty<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    Ok(Val::bool(match args.val(0) {
        Val::Value(value) => match value {
            Value::Empty => true,
            Value::String(text) => text.is_empty(),
            Value::Bool(value) => !value,
            Value::Int(value) => *value == 0,
            Value::Double(value) => value.to_bits() == 0,
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(map) => map.is_empty(),
        },
        // A time is at the earliest of 1677: never the zero of Go, which is the year 1.
        Val::Time(_) => false,
        Val::Duration(nanos) => *nanos == 0,
        Val::TraceId(id) => *id == [0; 16],
        Val::SpanId(id) => *id == [0; 8],
    }))
}

fn log<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    match args.float(0) {
        Some(value) if value > 0.0 => Ok(Val::double(value.ln())),
        _ => Err(DataError("only numbers above zero have a logarithm")),
    }
}

/// Base 0 stands for the one that the prefix tells.
fn parse_int<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let wrong = DataError("not a whole number of this base");
    let (text, base) = (args.string(0)?, args.int(1).unwrap_or(0));
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match base {
        0 => based(digits).ok_or(wrong)?,
        2..=36 => (u32::try_from(base).map_err(|_| wrong)?, digits.to_owned()),
        _ => return Err(wrong),
    };
    if digits.starts_with(['+', '-']) {
        return Err(wrong);
    }
    i64::from_str_radix(&format!("{sign}{digits}"), base).map(Val::int).map_err(|_| wrong)
}

/// The base that a prefix tells, and the digits without underscores.
fn based(digits: &str) -> Option<(u32, String)> {
    let lower = digits.to_ascii_lowercase();
    let (base, rest) = match lower.get(..2) {
        Some("0x") => (16, lower.get(2..)?),
        Some("0b") => (2, lower.get(2..)?),
        Some("0o") => (8, lower.get(2..)?),
        Some(_) if lower.starts_with('0') => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    // An underscore stands between two digits, or behind the prefix.
    let is_wrong = rest.ends_with('_') || rest.contains("__") || (base == 10 && rest.starts_with('_'));
    (!is_wrong).then(|| (base, rest.replace('_', "")))
}

/// An id of its bytes or of their hex.
fn id<const LENGTH: usize>(value: &Val<'_>) -> Result<[u8; LENGTH], DataError> {
    let id = match value {
        Val::Value(Value::Bytes(bytes)) => bytes.as_ref().try_into().ok(),
        Val::Value(Value::String(text)) => unhex(text),
        _ => None,
    };
    id.ok_or(DataError("not an id of this length"))
}
