//! What the `transform` processor does to whole metrics.

use std::borrow::Cow;

use spanlake_otlp::schema::{GAUGE, METRIC, Message, NUMBER_DATA_POINT, SUM};
use spanlake_otlp::tree::{Node, Slot, Value};

use super::bounds;
use crate::error::DataError;
use crate::frame::{Context, Frame};
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::paths::Field;

/// Fields of `Metric`.
const NAME: u32 = 1;
const DESCRIPTION: u32 = 2;
const UNIT: u32 = 3;
pub(super) const GAUGE_DATA: u32 = 5;
pub(super) const SUM_DATA: u32 = 7;
pub(super) const HISTOGRAM_DATA: u32 = 9;
pub(super) const EXPONENTIAL_DATA: u32 = 10;
pub(super) const SUMMARY_DATA: u32 = 11;

/// Fields of a metric's data, whichever it is.
pub(super) const POINTS: u32 = 1;
pub(super) const TEMPORALITY: u32 = 2;
const IS_MONOTONIC: u32 = 3;

const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;

const ON_METRICS: &[Context] = &[Context::Metric];
const ON_POINTS: &[Context] = &[Context::DataPoint];

const TEMPORALITY_PARAM: Param = Param::new("aggregation_temporality", Kind::Text);
const MONOTONIC: Param = Param::new("monotonic", Kind::Bool);
const SUFFIX: Param = Param::optional("suffix", Kind::Text);

/// The editors of this file.
pub(super) const ALL: &[Function] = &[
    Function::editor("convert_sum_to_gauge", &[], sum_to_gauge).only_in(ON_METRICS),
    Function::editor("convert_gauge_to_sum", &[TEMPORALITY_PARAM, MONOTONIC], gauge_to_sum)
        .checked(check_temporality)
        .only_in(ON_METRICS),
    Function::editor("convert_summary_count_val_to_sum", &[TEMPORALITY_PARAM, MONOTONIC, SUFFIX], summary_count)
        .checked(check_temporality)
        .only_in(ON_POINTS),
    Function::editor("convert_summary_sum_val_to_sum", &[TEMPORALITY_PARAM, MONOTONIC, SUFFIX], summary_sum)
        .checked(check_temporality)
        .only_in(ON_POINTS),
    Function::editor(
        "convert_summary_quantile_val_to_gauge",
        &[Param::optional("attribute_key", Kind::Text), SUFFIX],
        summary_quantiles,
    )
    .only_in(ON_METRICS),
    Function::editor(
        "copy_metric",
        &[Param::optional("name", Kind::Str), Param::optional("description", Kind::Str), Param::optional("unit", Kind::Str)],
        copy,
    )
    .only_in(ON_METRICS),
    Function::editor("extract_count_metric", &[MONOTONIC, SUFFIX], extract_count).only_in(ON_METRICS),
    Function::editor("extract_sum_metric", &[MONOTONIC, SUFFIX], extract_sum).only_in(ON_METRICS),
    Function::editor("scale_metric", &[Param::new("multiplier", Kind::Float), Param::optional("unit", Kind::Str)], scale)
        .only_in(ON_METRICS),
];

/// A metric's data: the number of its field, and the data.
pub(super) fn data<'x, 'a>(metric: &'x Node<'a>) -> Option<(u32, &'x Node<'a>)> {
    let fields = [GAUGE_DATA, SUM_DATA, HISTOGRAM_DATA, EXPONENTIAL_DATA, SUMMARY_DATA];
    fields.into_iter().find_map(|field| Some((field, metric.node(field)?)))
}

/// A metric's data points.
pub(super) fn points<'x, 'a>(metric: &'x Node<'a>) -> &'x [Node<'a>] {
    data(metric).map_or(&[], |(_, data)| data.nodes(POINTS))
}

/// A field's bits by its name; `None` where it is absent.
pub(super) fn bits(point: &Node<'_>, name: &'static str) -> Option<u64> {
    match point.get(Field::Named(name).number(point)?) {
        Some(Slot::Number(bits)) => Some(*bits),
        _ => None,
    }
}

/// Sets a field by its name.
pub(super) fn set_bits(point: &mut Node<'_>, name: &'static str, bits: u64) {
    if let Some(number) = Field::Named(name).number(point) {
        point.set(number, Slot::Number(bits));
    }
}

/// The data points of the metric that a data point belongs to, itself among them: it was taken out, and the first empty
/// place is its own.
fn all_points<'a>(frame: &Frame<'_, 'a>) -> Vec<Node<'a>> {
    let mut all = points(frame.item).to_vec();
    match all.iter_mut().find(|point| point.slots().next().is_none()) {
        Some(place) => *place = frame.part.clone(),
        None => all.push(frame.part.clone()),
    }
    all
}

fn check_temporality(arguments: &[Argument]) -> Result<(), String> {
    match arguments.first() {
        Some(Argument::Text(text)) if text != "delta" && text != "cumulative" => {
            Err(format!("`{text}` is neither `delta` nor `cumulative`"))
        }
        _ => Ok(()),
    }
}

fn temporality(args: &Args<'_>) -> u64 {
    if args.text(0) == Some("delta") { DELTA } else { CUMULATIVE }
}

fn sum_to_gauge<'a>(_: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let Some(Slot::Node(mut sum)) = frame.item.remove(SUM_DATA) else { return Ok(()) };
    frame.item.set(GAUGE_DATA, Slot::Node(holding(&GAUGE, sum.remove(POINTS))));
    Ok(())
}

fn gauge_to_sum<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let Some(Slot::Node(mut gauge)) = frame.item.remove(GAUGE_DATA) else { return Ok(()) };
    let sum = sum_of(gauge.remove(POINTS), temporality(args), args.bool(1).unwrap_or(false));
    frame.item.set(SUM_DATA, Slot::Node(sum));
    Ok(())
}

fn holding<'a>(schema: &'static Message, points: Option<Slot<'a>>) -> Node<'a> {
    let mut data = Node::new(schema);
    if let Some(points) = points {
        data.set(POINTS, points);
    }
    data
}

fn sum_of(points: Option<Slot<'_>>, temporality: u64, is_monotonic: bool) -> Node<'_> {
    let mut sum = holding(&SUM, points);
    sum.set(TEMPORALITY, Slot::Number(temporality));
    sum.set(IS_MONOTONIC, Slot::Number(u64::from(is_monotonic)));
    sum
}

/// A point of a number with the attributes and times of another; the value by the name of its field.
fn number_point<'a>(from: &Node<'a>, field: &'static str, value: u64) -> Node<'a> {
    let mut point = Node::new(&NUMBER_DATA_POINT);
    let attributes = Field::Named("attributes");
    if let (Some(number), Some(map)) = (attributes.number(&point), attributes.number(from).and_then(|number| from.map(number))) {
        point.set(number, Slot::Map(map.clone()));
    }
    for name in ["start_time_unix_nano", "time_unix_nano"] {
        if let Some(bits) = bits(from, name) {
            set_bits(&mut point, name, bits);
        }
    }
    set_bits(&mut point, field, value);
    point
}

/// A metric that is named after another.
fn derived<'a>(from: &Node<'a>, suffix: &str, unit: Option<&'static str>, field: u32, data: Node<'a>) -> Node<'a> {
    let mut metric = Node::new(&METRIC);
    metric.set(NAME, Slot::Text(Cow::Owned(format!("{}{suffix}", from.text(NAME)))));
    if let Some(description) = from.get(DESCRIPTION) {
        metric.set(DESCRIPTION, description.clone());
    }
    match (unit, from.get(UNIT)) {
        (Some(unit), _) => metric.set(UNIT, Slot::Text(Cow::Borrowed(unit))),
        (None, Some(unit)) => metric.set(UNIT, unit.clone()),
        (None, None) => {}
    }
    metric.set(field, Slot::Node(data));
    metric
}

fn add<'a>(frame: &mut Frame<'_, 'a>, metric: Node<'a>) -> Result<(), DataError> {
    bounds::items(frame.added.len() + 1)?;
    frame.added.push(metric);
    Ok(())
}

fn summary_count<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    summary_value(args, frame, "_count", |point| number_point(point, "as_int", bits(point, "count").unwrap_or(0)))
}

fn summary_sum<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    summary_value(args, frame, "_sum", |point| number_point(point, "as_double", bits(point, "sum").unwrap_or(0)))
}

/// Runs once per data point, and takes all of them each time, as in the Collector.
fn summary_value<'a>(
    args: &Args<'a>,
    frame: &mut Frame<'_, 'a>,
    suffix: &str,
    value: fn(&Node<'a>) -> Node<'a>,
) -> Result<(), DataError> {
    if frame.item.node(SUMMARY_DATA).is_none() {
        return Ok(());
    }
    // It is called for each data point, and takes all of them.
    let all = frame.item.node(SUMMARY_DATA).map_or(0, |summary| summary.nodes(POINTS).len());
    frame.spend(all.saturating_mul(POINT_WEIGHT))?;
    let points = all_points(frame).iter().map(value).collect();
    let sum = sum_of(Some(Slot::Nodes(points)), temporality(args), args.bool(1).unwrap_or(false));
    let metric = derived(frame.item, args.text(2).unwrap_or(suffix), None, SUM_DATA, sum);
    add(frame, metric)
}

/// What a data point, and an attribute of one, weighs that is made.
const POINT_WEIGHT: usize = 64;
const ATTRIBUTE_WEIGHT: usize = 32;
/// What one metric's quantiles may weigh in all.
const QUANTILES_WEIGHT_MAX: usize = 16 << 20;

fn point_attributes(point: &Node<'_>) -> usize {
    Field::Named("attributes").number(point).and_then(|number| point.map(number)).map_or(0, spanlake_otlp::tree::Map::len)
}

fn summary_quantiles<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    /// `SummaryDataPoint.quantile_values`.
    const QUANTILES: u32 = 6;
    let Some(summary) = frame.item.node(SUMMARY_DATA) else { return Ok(()) };
    let key = args.text(0).unwrap_or("quantile");
    let (mut made, mut spent) = (Vec::new(), 0_usize);
    for point in summary.nodes(POINTS) {
        for quantile in point.nodes(QUANTILES) {
            let mut gauge = number_point(point, "as_double", bits(quantile, "value").unwrap_or(0));
            let number = Field::Named("attributes").number(&gauge).unwrap_or(0);
            if let Some(map) = gauge.map_mut(number) {
                map.set(Cow::Owned(key.to_owned()), Value::Double(f64::from_bits(bits(quantile, "quantile").unwrap_or(0))));
            }
            spent = spent.saturating_add(POINT_WEIGHT + point_attributes(&gauge) * ATTRIBUTE_WEIGHT);
            if spent > QUANTILES_WEIGHT_MAX {
                return Err(DataError("too many quantiles"));
            }
            made.push(gauge);
            bounds::items(made.len())?;
        }
    }
    let gauge = holding(&GAUGE, Some(Slot::Nodes(made)));
    let metric = derived(frame.item, args.text(1).unwrap_or(".quantiles"), None, GAUGE_DATA, gauge);
    add(frame, metric)
}

fn copy<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let mut metric = frame.item.clone();
    for (at, field) in [(0, NAME), (1, DESCRIPTION), (2, UNIT)] {
        if let crate::val::Val::Value(Value::String(text)) = args.take(at) {
            metric.set(field, Slot::Text(text));
        }
    }
    add(frame, metric)
}

/// A histogram's or summary's temporality. A summary has none; it counts from its start.
fn extracted_temporality(metric: &Node<'_>) -> Result<u64, DataError> {
    let temporality = match data(metric) {
        Some((SUMMARY_DATA, _)) => CUMULATIVE,
        Some((HISTOGRAM_DATA | EXPONENTIAL_DATA, data)) => data.number(TEMPORALITY),
        _ => 0,
    };
    if temporality == 0 { Err(DataError("expected a histogram or summary with a temporality")) } else { Ok(temporality) }
}

fn extract_count<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let count = |point: &Node<'a>| Some(number_point(point, "as_int", bits(point, "count").unwrap_or(0)));
    extract(args, frame, "_count", Some("1"), &count)
}

fn extract_sum<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let is_summary = frame.item.node(SUMMARY_DATA).is_some();
    let sum = |point: &Node<'a>| {
        let sum = bits(point, "sum").or_else(|| is_summary.then_some(0))?;
        Some(number_point(point, "as_double", sum))
    };
    extract(args, frame, "_sum", None, &sum)
}

fn extract<'a>(
    args: &Args<'a>,
    frame: &mut Frame<'_, 'a>,
    suffix: &str,
    unit: Option<&'static str>,
    value: &dyn Fn(&Node<'a>) -> Option<Node<'a>>,
) -> Result<(), DataError> {
    let temporality = extracted_temporality(frame.item)?;
    let made: Vec<_> = points(frame.item).iter().filter_map(value).collect();
    if made.is_empty() {
        return Ok(());
    }
    let sum = sum_of(Some(Slot::Nodes(made)), temporality, args.bool(0).unwrap_or(false));
    let metric = derived(frame.item, args.text(1).unwrap_or(suffix), unit, SUM_DATA, sum);
    add(frame, metric)
}

/// Multiplies a field that is there.
fn scale_field(node: &mut Node<'_>, name: &'static str, by: f64) {
    if let Some(number) = bits(node, name) {
        set_bits(node, name, (f64::from_bits(number) * by).to_bits());
    }
}

/// Multiplies the value of a number's point or an exemplar.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "what Go's conversions do too")]
fn scale_value(point: &mut Node<'_>, by: f64) {
    scale_field(point, "as_double", by);
    if let Some(number) = bits(point, "as_int") {
        set_bits(point, "as_int", ((number.cast_signed() as f64 * by) as i64).cast_unsigned());
    }
}

fn nodes_mut<'x, 'a>(node: &'x mut Node<'a>, name: &'static str) -> impl Iterator<Item = &'x mut Node<'a>> {
    let number = Field::Named(name).number(node);
    number.and_then(|number| node.nodes_mut(number)).into_iter().flatten()
}

fn scale<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let by = args.float(0).ok_or(DataError("expected a number"))?;
    let field = match data(frame.item) {
        Some((EXPONENTIAL_DATA, _)) => return Err(DataError("exponential histograms can't be scaled")),
        Some((field, _)) => field,
        None => return Err(DataError("a metric without data")),
    };
    let points = frame.item.node_mut(field).and_then(|data| data.nodes_mut(POINTS));
    for point in points.into_iter().flatten() {
        match field {
            HISTOGRAM_DATA => {
                for name in ["sum", "min", "max"] {
                    scale_field(point, name, by);
                }
                let bounds = Field::Named("explicit_bounds").number(point);
                if let Some(Slot::Numbers(bounds)) = bounds.and_then(|number| point.get_mut(number)) {
                    for bound in bounds {
                        *bound = (f64::from_bits(*bound) * by).to_bits();
                    }
                }
                nodes_mut(point, "exemplars").for_each(|exemplar| scale_value(exemplar, by));
            }
            SUMMARY_DATA => {
                scale_field(point, "sum", by);
                nodes_mut(point, "quantile_values").for_each(|quantile| scale_field(quantile, "value", by));
            }
            _ => scale_value(point, by),
        }
    }
    if let crate::val::Val::Value(Value::String(unit)) = args.take(1) {
        frame.item.set(UNIT, Slot::Text(unit));
    }
    Ok(())
}
