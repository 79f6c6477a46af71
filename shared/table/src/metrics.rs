//! Data points to the metrics tables: one file for each shape of metric that occurs.

mod points;

use spanlake_otlp::wire::{Reader, Value, WireError};
use xxhash_rust::xxh3::xxh3_64;

use crate::any::lossy;
use crate::attributes::Attributes;
use crate::columns::Row;
use crate::context::{Parsed, hash_attributes, hash_text};
use crate::file::{FileMeta, FileWriter, TableError};
use crate::promote::{POINT_RULES, Promotions};
use crate::schema::SCHEMA_VERSION;
use crate::write::{Contexts, Item, Saturating, Written, int32, word};
use points::Point;

const TEMPORALITIES: &[&str] = &["UNSPECIFIED", "DELTA", "CUMULATIVE"];

/// The word of an OTLP `AggregationTemporality`, as in the column `temporality`.
#[must_use]
pub fn temporality_name(number: u8) -> &'static str {
    TEMPORALITIES.get(usize::from(number)).copied().unwrap_or("UNSPECIFIED")
}

/// The five kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    Gauge,
    Sum,
    Histogram,
    Exponential,
    Summary,
}

impl Shape {
    const fn of(number: u32) -> Option<Self> {
        match number {
            5 => Some(Self::Gauge),
            7 => Some(Self::Sum),
            9 => Some(Self::Histogram),
            10 => Some(Self::Exponential),
            11 => Some(Self::Summary),
            _ => None,
        }
    }

    const fn table(self) -> &'static str {
        match self {
            Self::Gauge | Self::Sum => "metrics_number",
            Self::Histogram => "metrics_histogram",
            Self::Exponential => "metrics_exp_histogram",
            Self::Summary => "metrics_summary",
        }
    }
}

/// A metric without its points.
#[derive(Clone, Copy, Default)]
struct Metric<'a> {
    name: &'a [u8],
    unit: &'a [u8],
    description: &'a [u8],
    shape: Option<Shape>,
    temporality: i32,
    is_monotonic: bool,
    /// The item's place.
    item: usize,
}

impl<'a> Metric<'a> {
    /// Reads a metric and collects its points. Of several kinds of data the last on the wire counts.
    fn read(message: &'a [u8], item: usize, points: &mut Vec<&'a [u8]>) -> Result<Self, WireError> {
        let mut metric = Self { item, ..Self::default() };
        points.clear();
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Len(name)) => metric.name = name,
                (2, Value::Len(text)) => metric.description = text,
                (3, Value::Len(unit)) => metric.unit = unit,
                (number, Value::Len(data)) => {
                    if let Some(shape) = Shape::of(number) {
                        metric.read_data(shape, data, points)?;
                    }
                }
                _ => {}
            }
        }
        Ok(metric)
    }

    fn read_data(&mut self, shape: Shape, message: &'a [u8], points: &mut Vec<&'a [u8]>) -> Result<(), WireError> {
        if self.shape != Some(shape) {
            points.clear();
            self.shape = Some(shape);
            self.temporality = 0;
            self.is_monotonic = false;
        }
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Len(point)) => points.push(point),
                (2, Value::Varint(number)) => self.temporality = int32(number),
                (3, Value::Varint(bit)) => self.is_monotonic = bit != 0,
                _ => {}
            }
        }
        Ok(())
    }
}

/// A point's place in its file; the fields' order is the rows'.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Order<'a> {
    table: &'static str,
    name: &'a [u8],
    series: u64,
    time: u64,
    place: usize,
    metric: usize,
    message: &'a [u8],
}

/// What is reused from point to point.
struct Scratch<'a> {
    attributes: Attributes<'a>,
    promotions: Promotions,
    saturating: Saturating,
    series: Vec<u8>,
}

impl<'a> Scratch<'a> {
    fn read(&mut self, shape: Shape, message: &'a [u8]) -> Result<Point<'a>, WireError> {
        self.attributes.clear();
        let point = Point::read(shape, message, &mut self.attributes)?;
        self.attributes.promote(&self.promotions, 0);
        Ok(point)
    }

    fn series_hash(&mut self, context: &Parsed, metric: &Metric<'_>) -> u64 {
        self.series.clear();
        self.series.extend_from_slice(&context.series);
        self.series.extend_from_slice(&[metric.shape.map_or(0, |shape| shape as u8), u8::from(metric.is_monotonic)]);
        self.series.extend_from_slice(&metric.temporality.to_le_bytes());
        hash_text(&mut self.series, &lossy(metric.name));
        hash_text(&mut self.series, &lossy(metric.unit));
        hash_attributes(&mut self.series, self.attributes.all());
        xxh3_64(&self.series)
    }

    fn write(&mut self, row: &mut Row<'_>, point: &Point<'_>, metric: &Metric<'_>, series: u64, around: (&Parsed, &Item<'_>)) {
        let (context, item) = around;
        let time = self.saturating.bigint(point.time);
        row.timestamp(time);
        row.bigint(Some(time));
        row.bigint(Some(self.saturating.bigint(point.start)));
        row.text(Some(&lossy(metric.name)));
        row.text_or_null(&lossy(metric.unit));
        row.text_or_null(&lossy(metric.description));
        row.hex(&series.to_be_bytes());
        context.write_place(row);
        self.attributes.write_rest(row);
        context.write_rest(row);
        row.count(point.flags);
        point.write_exemplars(row, &mut self.saturating);
        self.write_shape(row, point, metric);
        row.timestamp(item.arrival_nanos);
        row.int(Some(SCHEMA_VERSION));
    }

    fn write_shape(&mut self, row: &mut Row<'_>, point: &Point<'_>, metric: &Metric<'_>) {
        let mut buffer = String::new();
        let temporality = word(TEMPORALITIES, metric.temporality, &mut buffer);
        match metric.shape {
            Some(Shape::Gauge) | None => {
                row.text(Some("gauge"));
                row.boolean(None);
                row.text(None);
                point.write_number(row);
            }
            Some(Shape::Sum) => {
                row.text(Some("sum"));
                row.boolean(Some(metric.is_monotonic));
                row.text(Some(temporality));
                point.write_number(row);
            }
            Some(Shape::Histogram) => {
                row.text(Some(temporality));
                point.write_histogram(row, &mut self.saturating);
                point.write_explicit(row, &mut self.saturating);
            }
            Some(Shape::Exponential) => {
                row.text(Some(temporality));
                point.write_histogram(row, &mut self.saturating);
                point.write_exponential(row, &mut self.saturating);
            }
            Some(Shape::Summary) => point.write_summary(row, &mut self.saturating),
        }
    }
}

pub(crate) fn write<'a>(contexts: &Contexts, items: &[Item<'a>], meta: Option<&FileMeta<'_>>) -> Result<Written, TableError> {
    let mut written = Written::default();
    let mut scratch = Scratch {
        attributes: Attributes::new(),
        promotions: Promotions::new(POINT_RULES),
        saturating: Saturating::default(),
        series: Vec::new(),
    };
    let mut metrics = Vec::with_capacity(items.len());
    let mut order: Vec<Order<'a>> = Vec::new();
    for (place, item) in items.iter().enumerate() {
        if collect(contexts, item, place, &mut scratch, &mut metrics, &mut order).is_none() {
            written.bad_items += 1;
        }
    }
    order.sort_unstable();
    for rows in order.chunk_by(|a, b| a.table == b.table) {
        let Some(first) = rows.first() else { continue };
        let bytes = |row: &Order<'_>| {
            let item = metrics.get(row.metric).and_then(|metric: &Metric<'_>| items.get(metric.item));
            row.message.len() + item.and_then(|item| contexts.get(item)).map_or(0, |context| context.bytes)
        };
        let mut file = FileWriter::new(first.table, meta, rows.len(), rows.iter().map(bytes).sum())?;
        for row in rows {
            let Some(metric) = metrics.get(row.metric) else { continue };
            let Some(item) = items.get(metric.item) else { continue };
            let (Some(shape), Some(context)) = (metric.shape, contexts.get(item)) else { continue };
            let Ok(point) = scratch.read(shape, row.message) else { continue };
            file.row(bytes(row), |columns| scratch.write(columns, &point, metric, row.series, (context, item)))?;
        }
        written.files.push(file.finish()?);
    }
    written.saturated = scratch.saturating.count;
    Ok(written)
}

/// Adds a metric's points to `order`; `None`, and none of them, if any is malformed.
fn collect<'a>(
    contexts: &Contexts,
    item: &Item<'a>,
    place: usize,
    scratch: &mut Scratch<'a>,
    metrics: &mut Vec<Metric<'a>>,
    order: &mut Vec<Order<'a>>,
) -> Option<()> {
    let context = contexts.get(item)?;
    let mut messages = Vec::new();
    let metric = Metric::read(item.bytes, place, &mut messages).ok()?;
    let Some(shape) = metric.shape else { return Some(()) };
    let begun = order.len();
    for message in messages {
        let Ok(point) = scratch.read(shape, message) else {
            order.truncate(begun);
            return None;
        };
        let series = scratch.series_hash(context, &metric);
        let (table, name) = (shape.table(), metric.name);
        order.push(Order { table, name, series, time: point.time, place: order.len(), metric: metrics.len(), message });
    }
    metrics.push(metric);
    Some(())
}
