//! The four tables of metrics: one row a data point.

mod point;
mod shape;

use spanlake_otlp::wire::{Reader, Value, WireError};
use xxhash_rust::xxh3::xxh3_128;

use crate::attributes;
use crate::context::{self, Prepared};
use crate::file::{FileMeta, FileWriter, TableError, TableFile};
use crate::items::{Item, context_of};
use crate::text::Arena;
use point::PointRow;
use shape::{SHAPES, Shape};

/// A metric without its points.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metric<'a> {
    name: &'a [u8],
    description: &'a [u8],
    unit: &'a [u8],
    /// The field of `Metric` that holds the data: its shape.
    data: u32,
    temporality: u64,
    is_monotonic: bool,
}

/// A data point, to be ordered and then written.
#[derive(Debug, Clone, Copy)]
struct Point<'a> {
    metric: usize,
    item: usize,
    series: u128,
    time: u64,
    bytes: &'a [u8],
}

/// Writes data points in the order (name, series, time).
pub(crate) fn write(
    contexts: &[Option<Prepared>],
    items: &[Item<'_>],
    meta: &FileMeta<'_>,
) -> Result<Vec<TableFile>, TableError> {
    let mut found = Found::default();
    let mut bad_items = 0;
    for (index, item) in items.iter().enumerate() {
        let is_good = context_of(contexts, item).is_some_and(|context| found.add(context, index, item.bytes).is_ok());
        bad_items += u64::from(!is_good);
    }
    let mut files = Vec::new();
    for (shape, points) in SHAPES.iter().zip(&mut found.points) {
        let key = |point: &Point<'_>| {
            let name = found.metrics.get(point.metric).map(|metric| metric.name).unwrap_or_default();
            (name, point.series, point.time)
        };
        points.sort_by(|a, b| key(a).cmp(&key(b)));
        if points.is_empty() {
            continue;
        }
        let mut file = FileWriter::new(shape.table, meta)?;
        let mut row = PointRow::default();
        for point in &*points {
            let (Some(metric), Some(item)) = (found.metrics.get(point.metric), items.get(point.item)) else { continue };
            let Some(context) = context_of(contexts, item) else { continue };
            match row.read(shape, metric, point.bytes) {
                Ok(()) => {
                    row.write(&mut file.columns, shape, metric, point.series, item.arrival_nanos);
                    context.write(&mut file.columns, shape.context);
                    file.end_row()?;
                }
                Err(_) => bad_items += 1,
            }
        }
        files.push(file.finish(0)?);
    }
    files.retain(|file| file.rows > 0);
    match files.last_mut() {
        Some(file) => file.bad_items = bad_items,
        None if bad_items > 0 => {
            files.push(TableFile { table: shape::NUMBER.table.name, bytes: Vec::new(), rows: 0, bad_items });
        }
        None => {}
    }
    Ok(files)
}

#[derive(Default)]
struct Found<'a> {
    metrics: Vec<Metric<'a>>,
    /// For each of [`SHAPES`].
    points: [Vec<Point<'a>>; 4],
    arena: Arena,
    group: Vec<attributes::Attribute<'a>>,
    identity: Vec<u8>,
}

impl<'a> Found<'a> {
    /// Finds the points of a metric; none of them if it is malformed.
    fn add(&mut self, context: &Prepared, item: usize, message: &'a [u8]) -> Result<(), WireError> {
        let (metric, data) = read_metric(message)?;
        let Some(shape) = SHAPES.iter().position(|shape| shape.data.contains(&metric.data)) else {
            return if metric.data == 0 { Ok(()) } else { Err(WireError { offset: 0, what: "no such metric" }) };
        };
        let before = self.points.get(shape).map_or(0, Vec::len);
        let result = self.add_points(context, item, (shape, metric), data);
        if result.is_err()
            && let Some(points) = self.points.get_mut(shape)
        {
            points.truncate(before);
        }
        self.metrics.push(metric);
        result
    }

    fn add_points(
        &mut self,
        context: &Prepared,
        item: usize,
        (index, metric): (usize, Metric<'a>),
        data: &'a [u8],
    ) -> Result<(), WireError> {
        let Some(shape) = SHAPES.get(index) else { return Ok(()) };
        let mut reader = Reader::new(data);
        while let Some(field) = reader.next()? {
            if let (1, Value::Len(bytes)) = (field.number, field.value) {
                let (time, series) = self.series(context, shape, &metric, bytes)?;
                let point = Point { metric: self.metrics.len(), item, series, time, bytes };
                if let Some(points) = self.points.get_mut(index) {
                    points.push(point);
                }
            }
        }
        Ok(())
    }

    /// A point's time, and the hash of what makes its series.
    fn series(
        &mut self,
        context: &Prepared,
        shape: &Shape,
        metric: &Metric<'a>,
        point: &'a [u8],
    ) -> Result<(u64, u128), WireError> {
        self.arena.clear();
        self.group.clear();
        let mut time = 0;
        let mut reader = Reader::new(point);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (3, Value::Fixed64(nanos)) => time = nanos,
                (number, Value::Len(bytes)) if number == shape.fields.attributes => {
                    self.group.push(attributes::read(bytes, &mut self.arena)?);
                }
                _ => {}
            }
        }
        attributes::sort(&mut self.group, &self.arena);
        self.identity.clear();
        self.identity.extend_from_slice(&context.identity);
        for bytes in [metric.name, metric.unit] {
            self.identity.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            self.identity.extend_from_slice(bytes);
        }
        self.identity.extend_from_slice(&metric.data.to_le_bytes());
        self.identity.extend_from_slice(&metric.temporality.to_le_bytes());
        context::identify(&mut self.identity, &self.group, &self.arena);
        Ok((time, xxh3_128(&self.identity)))
    }
}

/// A `Metric` message and its data: `Gauge`, `Sum`, `Histogram`, `ExponentialHistogram` or `Summary`.
fn read_metric(message: &[u8]) -> Result<(Metric<'_>, &[u8]), WireError> {
    let mut metric = Metric { name: &[], description: &[], unit: &[], data: 0, temporality: 0, is_monotonic: false };
    let mut data = &[][..];
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match (field.number, field.value) {
            (1, Value::Len(bytes)) => metric.name = bytes,
            (2, Value::Len(bytes)) => metric.description = bytes,
            (3, Value::Len(bytes)) => metric.unit = bytes,
            (number @ (5 | 7 | 9 | 10 | 11), Value::Len(bytes)) => (metric.data, data) = (number, bytes),
            _ => {}
        }
    }
    let mut reader = Reader::new(data);
    while let Some(field) = reader.next()? {
        match (field.number, field.value) {
            (2, Value::Varint(temporality)) => metric.temporality = temporality,
            (3, Value::Varint(value)) => metric.is_monotonic = value != 0,
            _ => {}
        }
    }
    Ok((metric, data))
}
