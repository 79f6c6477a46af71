//! `aggregate_on_attributes` and `aggregate_on_attribute_value`: data points that became alike are put together.
//!
//! Source: `internal/coreinternal/aggregateutil` (contrib v0.161). Groups come in the order of their first point; the
//! Collector gives them in any.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use spanlake_otlp::tree::{Map, Node, Slot, Value};

use super::metrics::{EXPONENTIAL_DATA, GAUGE_DATA, HISTOGRAM_DATA, POINTS, SUMMARY_DATA, TEMPORALITY, bits, data, set_bits};
use crate::error::DataError;
use crate::frame::{Context, Frame};
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::paths::Field;

/// `Metric.metadata`, which an aggregated metric has no more.
const METADATA: u32 = 12;

const FUNCTION: Param = Param::new("aggregation_function", Kind::Text);

/// The editors of this file.
pub(super) const ALL: &[Function] = &[
    Function::editor("aggregate_on_attributes", &[FUNCTION, Param::optional("attributes", Kind::Texts)], on_attributes)
        .checked(check)
        .only_in(&[Context::Metric]),
    Function::editor(
        "aggregate_on_attribute_value",
        &[FUNCTION, Param::new("attribute", Kind::Text), Param::new("values", Kind::Texts), Param::new("new_value", Kind::Text)],
        on_value,
    )
    .checked(check)
    .only_in(&[Context::Metric]),
];

/// How values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aggregation {
    Sum,
    Mean,
    Min,
    Max,
    Median,
    Count,
}

fn aggregation(name: &str) -> Option<Aggregation> {
    Some(match name {
        "sum" => Aggregation::Sum,
        "mean" => Aggregation::Mean,
        "min" => Aggregation::Min,
        "max" => Aggregation::Max,
        "median" => Aggregation::Median,
        "count" => Aggregation::Count,
        _ => return None,
    })
}

fn check(arguments: &[Argument]) -> Result<(), String> {
    match arguments.first() {
        Some(Argument::Text(name)) if aggregation(name).is_none() => {
            Err(format!("`{name}` is none of `count`, `max`, `mean`, `median`, `min` and `sum`"))
        }
        _ => Ok(()),
    }
}

/// Keeps these attributes of all points, then puts together what is alike.
fn on_attributes<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let keys = args.texts(1);
    let keeps_all = args.is_missing(1);
    aggregate(args, frame, |map| {
        if !keeps_all {
            map.0.retain(|(key, _)| keys.iter().any(|kept| kept == key));
        }
    })
}

/// Gives some values of an attribute another one, then puts together what is alike.
fn on_value<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let (attribute, new) = (args.string(1)?.to_owned(), args.string(3)?.to_owned());
    let values = args.texts(2);
    aggregate(args, frame, |map| {
        if let Some(value) = map.get_mut(&attribute)
            && values.iter().any(|known| known == value.as_str().unwrap_or_default())
        {
            *value = Value::String(Cow::Owned(new.clone()));
        }
    })
}

fn aggregate<'a>(args: &Args<'a>, frame: &mut Frame<'_, 'a>, mut change: impl FnMut(&mut Map<'a>)) -> Result<(), DataError> {
    let how = aggregation(args.string(0)?).ok_or(DataError("no such aggregation"))?;
    let field = match data(frame.item) {
        Some((SUMMARY_DATA, _)) => return Err(DataError("summaries can't be aggregated")),
        Some((field, _)) => field,
        None => return Ok(()),
    };
    frame.item.remove(METADATA);
    let Some(data) = frame.item.node_mut(field) else { return Ok(()) };
    let by_start = field != GAUGE_DATA && data.number(TEMPORALITY) == 1;
    let Some(Slot::Nodes(points)) = data.remove(POINTS) else { return Ok(()) };
    let mut groups: Vec<Vec<Node<'a>>> = Vec::new();
    let mut places = BTreeMap::new();
    for mut point in points {
        if let Some(map) = Field::Named("attributes").number(&point).and_then(|number| point.map_mut(number)) {
            change(map);
        }
        let place = *places.entry(key(&point, field, by_start)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(point),
            None => groups.push(vec![point]),
        }
    }
    let merged = groups.into_iter().filter_map(|group| match field {
        HISTOGRAM_DATA => histogram(group, &["bucket_counts"]),
        EXPONENTIAL_DATA => histogram(group, &[]),
        _ => number(group, how),
    });
    let merged = merged.collect();
    data.set(POINTS, Slot::Nodes(merged));
    Ok(())
}

/// What points that belong together have in common.
fn key(point: &Node<'_>, field: u32, by_start: bool) -> String {
    let mut key = String::new();
    match Field::Named("attributes").number(point).and_then(|number| point.map(number)) {
        Some(map) => map.write_json(&mut key),
        None => key.push_str("{}"),
    }
    let mut part = |bits: Option<u64>| {
        let _infallible = write!(key, ",{}", bits.unwrap_or(0));
    };
    part(bits(point, "time_unix_nano"));
    if by_start {
        part(bits(point, "start_time_unix_nano"));
    }
    if field == HISTOGRAM_DATA || field == EXPONENTIAL_DATA {
        part(Some(bits(point, "min").is_some().into()));
        part(Some(bits(point, "max").is_some().into()));
        for name in ["flags", "scale"] {
            part(bits(point, name));
        }
        for side in ["positive", "negative"] {
            let offset = Field::Named(side).number(point).and_then(|number| bits(point.node(number)?, "offset"));
            part(offset);
        }
        for bound in numbers(point, "explicit_bounds") {
            part(Some(*bound));
        }
    }
    key
}

fn numbers<'x>(point: &'x Node<'_>, name: &'static str) -> &'x [u64] {
    match Field::Named(name).number(point).and_then(|number| point.get(number)) {
        Some(Slot::Numbers(numbers)) => numbers,
        _ => &[],
    }
}

/// The earliest start of two points.
fn start_earlier(first: &mut Node<'_>, other: &Node<'_>) {
    let start = |point: &Node<'_>| bits(point, "start_time_unix_nano").unwrap_or(0);
    let earlier = start(other);
    if earlier < start(first) {
        set_bits(first, "start_time_unix_nano", earlier);
    }
}

/// One point of numbers; its type is that of the first. A point without a value stays as it is.
fn number<'a>(group: Vec<Node<'a>>, how: Aggregation) -> Option<Node<'a>> {
    let is_double = |point: &Node<'a>| bits(point, "as_double").is_some();
    let mut points = group.into_iter();
    let mut first = points.next()?;
    let others: Vec<_> = points.collect();
    if is_double(&first) {
        let values: Vec<f64> = std::iter::once(&first).chain(&others).map(double).collect();
        set_bits(&mut first, "as_double", combined_doubles(values, how).to_bits());
    } else if bits(&first, "as_int").is_some() {
        // A sum passes over numbers with a fraction, the others cut it off, as in the Collector.
        let adds = matches!(how, Aggregation::Sum | Aggregation::Mean);
        let value = |point: &Node<'a>| if adds && is_double(point) { 0 } else { int(point) };
        let values = std::iter::once(&first).chain(&others).map(value).collect();
        set_bits(&mut first, "as_int", combined_ints(values, how).cast_unsigned());
    } else {
        return Some(first);
    }
    for other in &others {
        start_earlier(&mut first, other);
    }
    Some(first)
}

#[expect(clippy::cast_precision_loss, reason = "what Go's conversion does too")]
fn double(point: &Node<'_>) -> f64 {
    match (bits(point, "as_double"), bits(point, "as_int")) {
        (Some(bits), _) => f64::from_bits(bits),
        (None, Some(bits)) => bits.cast_signed() as f64,
        (None, None) => 0.0,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "towards zero, as Go does")]
fn int(point: &Node<'_>) -> i64 {
    match (bits(point, "as_int"), bits(point, "as_double")) {
        (Some(bits), _) => bits.cast_signed(),
        (None, Some(bits)) => f64::from_bits(bits) as i64,
        (None, None) => 0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "what Go's conversion does too")]
fn combined_doubles(mut values: Vec<f64>, how: Aggregation) -> f64 {
    let sum = || values.iter().sum::<f64>();
    match how {
        Aggregation::Sum => sum(),
        Aggregation::Mean => sum() / values.len() as f64,
        Aggregation::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        Aggregation::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        // Of a single point the count is its value, as in the Collector.
        Aggregation::Count if values.len() == 1 => sum(),
        Aggregation::Count => values.len() as f64,
        Aggregation::Median => {
            values.sort_by(f64::total_cmp);
            let (low, high) = middle(&values);
            if values.len() % 2 == 1 { high } else { f64::midpoint(low, high) }
        }
    }
}

fn combined_ints(mut values: Vec<i64>, how: Aggregation) -> i64 {
    let count = i64::try_from(values.len()).unwrap_or(i64::MAX);
    let sum = || values.iter().fold(0_i64, |sum, value| sum.wrapping_add(*value));
    match how {
        Aggregation::Sum => sum(),
        Aggregation::Mean => sum().checked_div(count).unwrap_or(0),
        Aggregation::Min => values.iter().copied().min().unwrap_or(0),
        Aggregation::Max => values.iter().copied().max().unwrap_or(0),
        Aggregation::Count if count == 1 => sum(),
        Aggregation::Count => count,
        Aggregation::Median => {
            values.sort_unstable();
            let (low, high) = middle(&values);
            if values.len() % 2 == 1 { high } else { low.wrapping_add(high) / 2 }
        }
    }
}

/// The two values in the middle; of an odd number the second is the one.
fn middle<T: Copy + Default>(values: &[T]) -> (T, T) {
    let half = values.len() / 2;
    let at = |place: usize| values.get(place).copied().unwrap_or_default();
    (at(half.saturating_sub(1)), at(half))
}

/// One point of a histogram of either kind; points that count nothing are left out.
fn histogram<'a>(group: Vec<Node<'a>>, counts: &[&'static str]) -> Option<Node<'a>> {
    let mut points = group.into_iter();
    let mut first = points.next()?;
    for mut other in points {
        let count = bits(&other, "count").unwrap_or(0);
        if count == 0 {
            continue;
        }
        let total = bits(&first, "count").unwrap_or(0).wrapping_add(count);
        set_bits(&mut first, "count", total);
        let value = |point: &Node<'a>, name| bits(point, name).map_or(0.0, f64::from_bits);
        let sum = value(&first, "sum") + value(&other, "sum");
        set_bits(&mut first, "sum", sum.to_bits());
        if bits(&first, "min").is_some() && value(&first, "min") > value(&other, "min") {
            set_bits(&mut first, "min", value(&other, "min").to_bits());
        }
        if bits(&first, "max").is_some() && value(&first, "max") < value(&other, "max") {
            set_bits(&mut first, "max", value(&other, "max").to_bits());
        }
        for name in counts {
            add_numbers(&mut first, &other, name);
        }
        for side in ["positive", "negative"] {
            let Some(number) = Field::Named(side).number(&first) else { continue };
            if let Some(theirs) = other.node(number)
                && let Some(ours) = first.node_mut(number)
            {
                add_numbers(ours, theirs, "bucket_counts");
            }
        }
        if let Some(number) = Field::Named("exemplars").number(&first)
            && let Some(Slot::Nodes(theirs)) = other.remove(number)
        {
            match first.get_mut(number) {
                Some(Slot::Nodes(ours)) => ours.extend(theirs),
                _ => first.set(number, Slot::Nodes(theirs)),
            }
        }
        start_earlier(&mut first, &other);
    }
    Some(first)
}

/// Adds a list of numbers to another, place by place; the longer one counts.
fn add_numbers(first: &mut Node<'_>, other: &Node<'_>, name: &'static str) {
    let Some(number) = Field::Named(name).number(first) else { return };
    let mut sums = numbers(first, name).to_vec();
    for (place, value) in numbers(other, name).iter().enumerate() {
        match sums.get_mut(place) {
            Some(sum) => *sum = sum.wrapping_add(*value),
            None => sums.push(*value),
        }
    }
    first.set(number, Slot::Numbers(sums));
}
