//! Editors of any field, and of lists.

use spanlake_otlp::tree::{Map, Value};

use super::bounds;
use crate::error::DataError;
use crate::frame::Frame;
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::val::{Time, Val};

const TARGET: Param = Param::new("target", Kind::Target);

/// The editors of this file.
pub(super) const ALL: &[Function] = &[
    Function::editor("set", &[TARGET, Param::new("value", Kind::Any)], set),
    Function::editor("clear", &[TARGET], clear),
    Function::editor("append", &[TARGET, Param::optional("value", Kind::Any), Param::optional("values", Kind::Values)], append)
        .checked(check_append),
    Function::editor(
        "delete_index",
        &[TARGET, Param::new("start_index", Kind::IntVal), Param::optional("end_index", Kind::IntVal)],
        delete_index,
    ),
];

/// Nothing is passed on: an attribute becomes empty, a field of a fixed type keeps its value and tells an error.
fn set<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let value = args.take(1);
    let target = args.target(0)?;
    if let Val::Value(value) = &value {
        bounds::value(value, target.keys.len())?;
    }
    target.set(frame, value)
}

/// Sets a field to what is nothing in its type.
fn clear<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let target = args.target(0)?;
    let nothing = match target.get(frame)? {
        Val::Value(value) => Val::Value(match value {
            Value::Empty => Value::Empty,
            Value::String(_) => Value::String("".into()),
            Value::Bool(_) => Value::Bool(false),
            Value::Int(_) => Value::Int(0),
            Value::Double(_) => Value::Double(0.0),
            Value::Bytes(_) => Value::Bytes(Vec::new().into()),
            Value::List(_) => Value::List(Vec::new()),
            Value::Map(_) => Value::Map(Map::default()),
        }),
        Val::Time(_) => Val::Time(Time { nanos: 0, offset_seconds: 0 }),
        Val::Duration(_) => Val::Duration(0),
        Val::TraceId(_) => Val::TraceId([0; 16]),
        Val::SpanId(_) => Val::SpanId([0; 8]),
    };
    target.set(frame, nothing)
}

fn check_append(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [_, Argument::Missing, Argument::Missing] => Err("one of `value` and `values` must be given".to_owned()),
        _ => Ok(()),
    }
}

/// What is no list becomes the first element of one. Lists are taken apart.
fn append<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let target = args.target(0)?;
    let mut list = match target.get(frame)?.into_value() {
        Value::Empty => Vec::new(),
        Value::List(items) => items,
        Value::Map(_) => return Err(DataError("a map can't be the element of a list here")),
        other => vec![other],
    };
    let mut added = Vec::new();
    if !args.is_missing(1) {
        added.push(args.take(1));
    }
    added.append(&mut args.take_list(2));
    for value in added {
        match value.into_value() {
            Value::List(items) => list.extend(items),
            value => list.push(value),
        }
    }
    let list = Value::List(list);
    bounds::value(&list, target.keys.len())?;
    target.set(frame, Val::Value(list))
}

/// Takes the elements from the start up to the end, which is one behind the start where it is not given.
fn delete_index<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let target = args.target(0)?;
    let Val::Value(Value::List(mut list)) = target.get(frame)? else { return Err(DataError("expected a list")) };
    let start = args.int(1).ok_or(DataError("expected a whole number"))?;
    let end = args.int(2).unwrap_or_else(|| start.saturating_add(1));
    let place = |at: i64| usize::try_from(at).map_err(|_| DataError("index out of range"));
    let (start, end) = (place(start)?, place(end)?);
    let is_all = start == 0 && end == list.len();
    if !is_all && (start >= list.len() || end < start || end > list.len()) {
        return Err(DataError("index out of range"));
    }
    list.drain(start..end);
    target.set(frame, Val::list(list))
}
