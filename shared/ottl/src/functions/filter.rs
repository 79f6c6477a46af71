//! Converters that the `filter` processor has for metrics.

use spanlake_otlp::tree::{Map, Node};

use super::metrics::{data, points};
use crate::error::DataError;
use crate::frame::{Context, Frame};
use crate::function::{Args, Function, Kind, Param};
use crate::paths::Field;
use crate::val::Val;

/// The converters of this file.
pub(super) const ALL: &[Function] = &[
    Function::converter_in("HasAttrKeyOnDatapoint", &[Param::new("key", Kind::Text)], has_key).only_in(&[Context::Metric]),
    Function::converter_in(
        "HasAttrOnDatapoint",
        &[Param::new("key", Kind::Text), Param::new("expected_val", Kind::Text)],
        has_attribute,
    )
    .only_in(&[Context::Metric]),
];

fn attributes<'x, 'a>(point: &'x Node<'a>) -> Option<&'x Map<'a>> {
    point.map(Field::Named("attributes").number(point)?)
}

fn has_data(frame: &Frame<'_, '_>) -> Result<(), DataError> {
    data(frame.item).map(|_| ()).ok_or(DataError("a metric without data"))
}

fn has_key<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<Val<'a>, DataError> {
    has_data(frame)?;
    let key = args.string(0)?;
    let has = |point: &Node<'_>| attributes(point).is_some_and(|map| map.get(key).is_some());
    Ok(Val::bool(points(frame.item).iter().any(has)))
}

/// Looks at the first data point only that has the key.
fn has_attribute<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<Val<'a>, DataError> {
    has_data(frame)?;
    let (key, wanted) = (args.string(0)?, args.string(1)?);
    let first = points(frame.item).iter().find_map(|point| attributes(point)?.get(key));
    // What is no text counts as an empty one.
    Ok(Val::bool(first.is_some_and(|value| value.as_str().unwrap_or_default() == wanted)))
}
