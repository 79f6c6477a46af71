//! Converters of lists and maps.

use std::borrow::Cow;

use spanlake_otlp::tree::{Map, Value};

use super::bounds::{self, BYTES_MAX, TOO_LARGE};
use super::keyed::Keyed;
use crate::error::DataError;
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::syntax::Operator;
use crate::val::{Val, compare};

const MAP: &[Param] = &[Param::new("target", Kind::Map)];

/// The converters of this file.
pub(super) const ALL: &[Function] = &[
    Function::converter("ContainsValue", &[Param::new("target", Kind::List), Param::new("item", Kind::Any)], contains),
    Function::converter("Index", &[Param::new("source", Kind::Any), Param::new("value", Kind::Any)], index),
    Function::converter("Keys", MAP, keys),
    Function::converter("Len", &[Param::new("target", Kind::Any)], len),
    Function::converter(
        "SliceToMap",
        &[Param::new("target", Kind::List), Param::optional("key_path", Kind::Texts), Param::optional("value_path", Kind::Texts)],
        slice_to_map,
    )
    .checked(check_slice_to_map),
    Function::converter("Sort", &[Param::new("target", Kind::Any), Param::optional("order", Kind::Text)], sort)
        .checked(check_sort),
    Function::converter(
        "ToKeyValueString",
        &[
            Param::new("target", Kind::Map),
            Param::optional("delimiter", Kind::Text),
            Param::optional("pair_delimiter", Kind::Text),
            Param::optional("sort_output", Kind::Bool),
        ],
        to_key_value,
    )
    .checked(check_delimiters),
    Function::converter("Values", MAP, values),
];

/// Equal as comparisons have it: numbers of any type.
fn is_equal(left: &Value<'_>, right: &Val<'_>) -> bool {
    compare(&Val::Value(left.clone()), Operator::Equal, right)
}

fn contains<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let Val::Value(Value::List(items)) = args.val(0) else { return Err(DataError("expected a list")) };
    Ok(Val::bool(items.iter().any(|item| is_equal(item, args.val(1)))))
}

/// Of a text the place in bytes; -1 where it is not found.
fn index<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let place = match (args.val(0), args.val(1)) {
        (Val::Value(Value::String(text)), Val::Value(Value::String(part))) => text.find(part.as_ref()),
        (Val::Value(Value::List(items)), value) => items.iter().position(|item| is_equal(item, value)),
        _ => return Err(DataError("expected a text in a text, or a list")),
    };
    Ok(Val::int(place.and_then(|place| i64::try_from(place).ok()).unwrap_or(-1)))
}

fn keys<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    Ok(Val::list(args.take_map(0).0.into_iter().map(|(key, _)| Value::String(key)).collect()))
}

fn values<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    Ok(Val::list(args.take_map(0).0.into_iter().map(|(_, value)| value).collect()))
}

/// Of a text in bytes.
fn len<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let length = match args.val(0) {
        Val::Value(Value::String(text)) => text.len(),
        Val::Value(Value::Bytes(bytes)) => bytes.len(),
        Val::Value(Value::List(items)) => items.len(),
        Val::Value(Value::Map(map)) => map.len(),
        _ => return Err(DataError("this type has no length")),
    };
    Ok(Val::int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn check_slice_to_map(arguments: &[Argument]) -> Result<(), String> {
    let is_empty = |argument: &Argument| matches!(argument, Argument::Texts(path) if path.is_empty());
    if arguments.iter().any(is_empty) { Err("a path must have one key at least".to_owned()) } else { Ok(()) }
}

/// What a path leads to.
fn at_path<'v, 'a>(value: &'v Value<'a>, path: &[String]) -> Option<&'v Value<'a>> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Map(map) => map.get(key),
        _ => None,
    })
}

/// Without a path of keys the places are the keys. What lacks its key or value is left out.
fn slice_to_map<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let mut made = Keyed::default();
    let items = args.take_list(0);
    for (place, item) in items.into_iter().map(Val::into_value).enumerate() {
        let key = if args.is_missing(1) {
            Cow::Owned(place.to_string())
        } else {
            match at_path(&item, args.texts(1)) {
                Some(Value::String(key)) => key.clone(),
                _ => continue,
            }
        };
        let value = if args.is_missing(2) { Some(item) } else { at_path(&item, args.texts(2)).cloned() };
        if let Some(value) = value {
            made.set(key, value)?;
        }
    }
    Ok(Val::map(made.into_map()))
}

fn check_sort(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [_, Argument::Text(order)] if order != "asc" && order != "desc" => Err(format!("`{order}` is neither `asc` nor `desc`")),
        _ => Ok(()),
    }
}

/// Numbers as numbers, anything else as text; what holds bytes, lists or maps stays as it is.
#[expect(clippy::cast_precision_loss, reason = "what Go's conversion does too")]
fn sort<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let mut items = match args.take(0) {
        Val::Value(Value::List(items)) => items,
        other => return Ok(other),
    };
    if items.iter().any(|item| matches!(item, Value::Bytes(_) | Value::List(_) | Value::Map(_))) {
        return Ok(Val::list(items));
    }
    let descends = args.text(1) == Some("desc");
    let order = |order: std::cmp::Ordering| if descends { order.reverse() } else { order };
    if items.iter().all(|item| matches!(item, Value::Int(_))) {
        items.sort_by(|left, right| match (left, right) {
            (Value::Int(left), Value::Int(right)) => order(left.cmp(right)),
            _ => std::cmp::Ordering::Equal,
        });
    } else if items.iter().all(|item| matches!(item, Value::Int(_) | Value::Double(_))) {
        let number = |value: &Value<'_>| match value {
            Value::Int(value) => *value as f64,
            Value::Double(value) => *value,
            _ => 0.0,
        };
        items.sort_by(|left, right| order(number(left).total_cmp(&number(right))));
    } else {
        // In the order of their bytes, which is that of `str`.
        items.sort_by(|left, right| order(left.to_text().cmp(&right.to_text())));
    }
    Ok(Val::list(items))
}

/// Two delimiters that are texts and differ.
pub(super) fn check_delimiters(arguments: &[Argument]) -> Result<(), String> {
    let text = |argument: Option<&Argument>, default: &str| match argument {
        Some(Argument::Text(text)) => text.clone(),
        _ => default.to_owned(),
    };
    let (delimiter, pairs) = (text(arguments.get(1), "="), text(arguments.get(2), " "));
    if delimiter.is_empty() || pairs.is_empty() {
        return Err("a delimiter is empty".to_owned());
    }
    if delimiter == pairs { Err("both delimiters are the same".to_owned()) } else { Ok(()) }
}

fn to_key_value<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let Map(mut entries) = args.take_map(0);
    let (delimiter, pairs) = (args.text(1).unwrap_or("="), args.text(2).unwrap_or(" "));
    if args.bool(3).unwrap_or(false) {
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
    }
    let mut out = String::new();
    let quoted = |text: &str| {
        let escaped = text.replace('"', "\\\"");
        if escaped.contains(delimiter) || escaped.contains(pairs) { format!("\"{escaped}\"") } else { escaped }
    };
    for (place, (key, value)) in entries.iter().enumerate() {
        out.push_str(if place > 0 { pairs } else { "" });
        out.push_str(&quoted(key));
        out.push_str(delimiter);
        out.push_str(&quoted(&value.to_text()));
        if out.len() > BYTES_MAX {
            return Err(TOO_LARGE);
        }
    }
    bounds::text(out).map(Val::text)
}
