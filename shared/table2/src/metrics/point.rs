//! One data point: what all shapes share, and what each has of its own.

use spanlake_otlp::wire::{Reader, Value, WireError, split_varint};

use super::Metric;
use super::shape::Shape;
use crate::attributes::{self, Attribute};
use crate::columns::{Columns, saturate};
use crate::schema::{METRICS_EXP_HISTOGRAM, METRICS_HISTOGRAM, METRICS_NUMBER, METRICS_SUMMARY, SCHEMA_VERSION, position};
use crate::text::{Arena, Hex};

macro_rules! at {
    ($table:ident, $name:literal) => {{
        const AT: usize = position($table.columns, $name);
        AT
    }};
}

/// A gauge's field in `Metric`.
const GAUGE: u32 = 5;

/// The words of `AggregationTemporality`.
const fn temporality_name(temporality: u64) -> &'static str {
    match temporality {
        1 => "DELTA",
        2 => "CUMULATIVE",
        _ => "UNSPECIFIED",
    }
}

/// A measured number.
#[derive(Debug, Clone, Copy)]
enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "an exemplar has one value column, a double")]
    const fn as_double(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Exemplar<'a> {
    time: u64,
    value: Option<Number>,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    attributes: (usize, usize),
}

/// The buckets of one sign of an exponential histogram.
#[derive(Debug, Default)]
struct Buckets {
    offset: i64,
    counts: Vec<u64>,
}

/// A data point of any shape; reused from point to point.
#[derive(Debug, Default)]
pub(super) struct PointRow<'a> {
    arena: Arena,
    attributes: Vec<Attribute<'a>>,
    group: Vec<Attribute<'a>>,
    nested: Vec<Attribute<'a>>,
    exemplars: Vec<Exemplar<'a>>,
    start: u64,
    time: u64,
    flags: u64,
    number: Option<Number>,
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    counts: Vec<u64>,
    bounds: Vec<f64>,
    scale: i64,
    zero_count: u64,
    zero_threshold: f64,
    positive: Buckets,
    negative: Buckets,
    quantiles: Vec<(f64, f64)>,
}

impl<'a> PointRow<'a> {
    fn clear(&mut self) {
        self.arena.clear();
        self.attributes.clear();
        self.nested.clear();
        self.exemplars.clear();
        (self.start, self.time, self.flags, self.count, self.zero_count) = (0, 0, 0, 0, 0);
        (self.number, self.sum, self.min, self.max) = (None, None, None, None);
        (self.scale, self.zero_threshold) = (0, 0.0);
        self.counts.clear();
        self.bounds.clear();
        for buckets in [&mut self.positive, &mut self.negative] {
            buckets.offset = 0;
            buckets.counts.clear();
        }
        self.quantiles.clear();
    }

    /// Reads a data point.
    pub(super) fn read(&mut self, shape: &Shape, metric: &Metric<'_>, message: &'a [u8]) -> Result<(), WireError> {
        self.clear();
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (2, Value::Fixed64(nanos)) => self.start = nanos,
                (3, Value::Fixed64(nanos)) => self.time = nanos,
                (number, Value::Varint(flags)) if number == shape.fields.flags => self.flags = flags,
                (number, Value::Len(bytes)) if number == shape.fields.attributes => {
                    self.attributes.push(attributes::read(bytes, &mut self.arena)?);
                }
                (number, Value::Len(bytes)) if number == shape.fields.exemplars => self.read_exemplar(bytes)?,
                (number, value) => match metric.data {
                    9 => self.read_histogram(number, value)?,
                    10 => self.read_exp_histogram(number, value)?,
                    11 => self.read_summary(number, value)?,
                    _ => self.read_number(number, value),
                },
            }
        }
        attributes::sort(&mut self.attributes, &self.arena);
        Ok(())
    }

    const fn read_number(&mut self, number: u32, value: Value<'_>) {
        match (number, value) {
            (4, Value::Fixed64(bits)) => self.number = Some(Number::Double(f64::from_bits(bits))),
            (6, Value::Fixed64(bits)) => self.number = Some(Number::Int(bits.cast_signed())),
            _ => {}
        }
    }

    fn read_histogram(&mut self, number: u32, value: Value<'_>) -> Result<(), WireError> {
        match (number, value) {
            (4, Value::Fixed64(count)) => self.count = count,
            (5, Value::Fixed64(bits)) => self.sum = Some(f64::from_bits(bits)),
            (6, Value::Fixed64(count)) => self.counts.push(count),
            (6, Value::Len(bytes)) => fixed(bytes, |count| self.counts.push(count))?,
            (7, Value::Fixed64(bits)) => self.bounds.push(f64::from_bits(bits)),
            (7, Value::Len(bytes)) => fixed(bytes, |bits| self.bounds.push(f64::from_bits(bits)))?,
            (11, Value::Fixed64(bits)) => self.min = Some(f64::from_bits(bits)),
            (12, Value::Fixed64(bits)) => self.max = Some(f64::from_bits(bits)),
            _ => {}
        }
        Ok(())
    }

    fn read_exp_histogram(&mut self, number: u32, value: Value<'_>) -> Result<(), WireError> {
        match (number, value) {
            (4, Value::Fixed64(count)) => self.count = count,
            (5, Value::Fixed64(bits)) => self.sum = Some(f64::from_bits(bits)),
            (6, Value::Varint(scale)) => self.scale = zigzag(scale),
            (7, Value::Fixed64(count)) => self.zero_count = count,
            (8, Value::Len(bytes)) => self.positive.read(bytes)?,
            (9, Value::Len(bytes)) => self.negative.read(bytes)?,
            (12, Value::Fixed64(bits)) => self.min = Some(f64::from_bits(bits)),
            (13, Value::Fixed64(bits)) => self.max = Some(f64::from_bits(bits)),
            (14, Value::Fixed64(bits)) => self.zero_threshold = f64::from_bits(bits),
            _ => {}
        }
        Ok(())
    }

    fn read_summary(&mut self, number: u32, value: Value<'_>) -> Result<(), WireError> {
        match (number, value) {
            (4, Value::Fixed64(count)) => self.count = count,
            (5, Value::Fixed64(bits)) => self.sum = Some(f64::from_bits(bits)),
            (6, Value::Len(bytes)) => {
                let mut pair = (0.0, 0.0);
                let mut reader = Reader::new(bytes);
                while let Some(field) = reader.next()? {
                    match (field.number, field.value) {
                        (1, Value::Fixed64(bits)) => pair.0 = f64::from_bits(bits),
                        (2, Value::Fixed64(bits)) => pair.1 = f64::from_bits(bits),
                        _ => {}
                    }
                }
                self.quantiles.push(pair);
            }
            _ => {}
        }
        Ok(())
    }

    fn read_exemplar(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        let mut exemplar = Exemplar { time: 0, value: None, trace_id: &[], span_id: &[], attributes: (0, 0) };
        self.group.clear();
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (2, Value::Fixed64(nanos)) => exemplar.time = nanos,
                (3, Value::Fixed64(bits)) => exemplar.value = Some(Number::Double(f64::from_bits(bits))),
                (4, Value::Len(bytes)) => exemplar.span_id = bytes,
                (5, Value::Len(bytes)) => exemplar.trace_id = bytes,
                (6, Value::Fixed64(bits)) => exemplar.value = Some(Number::Int(bits.cast_signed())),
                (7, Value::Len(bytes)) => self.group.push(attributes::read(bytes, &mut self.arena)?),
                _ => {}
            }
        }
        attributes::sort(&mut self.group, &self.arena);
        let start = self.nested.len();
        self.nested.append(&mut self.group);
        exemplar.attributes = (start, self.nested.len());
        self.exemplars.push(exemplar);
        Ok(())
    }

    /// Writes the row except the columns of its context.
    pub(super) fn write(&mut self, columns: &mut Columns, shape: &Shape, metric: &Metric<'_>, series: u128, arrival_nanos: i64) {
        let at = shape.columns;
        let time = saturate(self.time);
        columns.set_time(at.time, time);
        columns.set_i64(at.time_unix_nano, time);
        if self.start != 0 {
            columns.set_u64(at.start_unix_nano, self.start);
        }
        for (at, bytes) in [(at.unit, metric.unit), (at.description, metric.description)] {
            columns.set_nonempty(at, &String::from_utf8_lossy(bytes));
        }
        columns.set_str(at.name, &String::from_utf8_lossy(metric.name));
        columns.set_str(at.series_hash, Hex::full(series.to_be_bytes()).as_str());
        attributes::write(&self.attributes, &self.arena, columns.map(at.attributes));
        columns.set_int(at.flags, saturate(self.flags));
        columns.set_time(at.ingest_time, arrival_nanos);
        columns.set_int(at.schema_version, i64::from(SCHEMA_VERSION));
        self.write_exemplars(columns, at.exemplars);
        match metric.data {
            9 => self.write_histogram(columns, metric),
            10 => self.write_exp_histogram(columns, metric),
            11 => self.write_summary(columns),
            _ => self.write_number(columns, metric),
        }
    }

    fn write_exemplars(&self, columns: &mut Columns, at: usize) {
        let Some(exemplars) = columns.list(at) else { return };
        for exemplar in &self.exemplars {
            exemplars.set_u64(0, exemplar.time);
            exemplars.set_f64_option(1, exemplar.value.map(Number::as_double));
            exemplars.set_id(2, Hex::of::<16>(exemplar.trace_id).as_ref());
            exemplars.set_id(3, Hex::of::<8>(exemplar.span_id).as_ref());
            let attributes = self.nested.get(exemplar.attributes.0..exemplar.attributes.1).unwrap_or_default();
            attributes::write(attributes, &self.arena, exemplars.map(4));
            exemplars.end_row();
        }
    }

    fn write_number(&self, columns: &mut Columns, metric: &Metric<'_>) {
        let is_gauge = metric.data == GAUGE;
        columns.set_str(at!(METRICS_NUMBER, "metric_type"), if is_gauge { "gauge" } else { "sum" });
        if !is_gauge {
            columns.set_bool(at!(METRICS_NUMBER, "is_monotonic"), metric.is_monotonic);
            columns.set_str(at!(METRICS_NUMBER, "temporality"), temporality_name(metric.temporality));
        }
        match self.number {
            Some(Number::Int(value)) => columns.set_i64(at!(METRICS_NUMBER, "int_value"), value),
            Some(Number::Double(value)) => columns.set_f64(at!(METRICS_NUMBER, "double_value"), value),
            None => {}
        }
    }

    fn write_histogram(&self, columns: &mut Columns, metric: &Metric<'_>) {
        columns.set_str(at!(METRICS_HISTOGRAM, "temporality"), temporality_name(metric.temporality));
        columns.set_u64(at!(METRICS_HISTOGRAM, "count"), self.count);
        columns.set_f64_option(at!(METRICS_HISTOGRAM, "sum"), self.sum);
        columns.set_f64_option(at!(METRICS_HISTOGRAM, "min"), self.min);
        columns.set_f64_option(at!(METRICS_HISTOGRAM, "max"), self.max);
        columns.set_counts(at!(METRICS_HISTOGRAM, "bucket_counts"), &self.counts);
        if let Some(bounds) = columns.list(at!(METRICS_HISTOGRAM, "explicit_bounds")) {
            for bound in &self.bounds {
                bounds.set_f64(0, *bound);
                bounds.end_row();
            }
        }
    }

    fn write_exp_histogram(&self, columns: &mut Columns, metric: &Metric<'_>) {
        columns.set_str(at!(METRICS_EXP_HISTOGRAM, "temporality"), temporality_name(metric.temporality));
        columns.set_u64(at!(METRICS_EXP_HISTOGRAM, "count"), self.count);
        columns.set_f64_option(at!(METRICS_EXP_HISTOGRAM, "sum"), self.sum);
        columns.set_f64_option(at!(METRICS_EXP_HISTOGRAM, "min"), self.min);
        columns.set_f64_option(at!(METRICS_EXP_HISTOGRAM, "max"), self.max);
        columns.set_int(at!(METRICS_EXP_HISTOGRAM, "scale"), self.scale);
        columns.set_u64(at!(METRICS_EXP_HISTOGRAM, "zero_count"), self.zero_count);
        columns.set_f64(at!(METRICS_EXP_HISTOGRAM, "zero_threshold"), self.zero_threshold);
        columns.set_int(at!(METRICS_EXP_HISTOGRAM, "positive_offset"), self.positive.offset);
        columns.set_counts(at!(METRICS_EXP_HISTOGRAM, "positive_counts"), &self.positive.counts);
        columns.set_int(at!(METRICS_EXP_HISTOGRAM, "negative_offset"), self.negative.offset);
        columns.set_counts(at!(METRICS_EXP_HISTOGRAM, "negative_counts"), &self.negative.counts);
    }

    fn write_summary(&self, columns: &mut Columns) {
        columns.set_u64(at!(METRICS_SUMMARY, "count"), self.count);
        columns.set_f64(at!(METRICS_SUMMARY, "sum"), self.sum.unwrap_or_default());
        let Some(quantiles) = columns.list(at!(METRICS_SUMMARY, "quantiles")) else { return };
        for (quantile, value) in &self.quantiles {
            quantiles.set_f64(0, *quantile);
            quantiles.set_f64(1, *value);
            quantiles.end_row();
        }
    }
}

impl Buckets {
    fn read(&mut self, message: &[u8]) -> Result<(), WireError> {
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Varint(offset)) => self.offset = zigzag(offset),
                (2, Value::Varint(count)) => self.counts.push(count),
                (2, Value::Len(bytes)) => {
                    let mut rest = bytes;
                    while !rest.is_empty() {
                        let truncated = WireError { offset: 0, what: "truncated bucket counts" };
                        let (count, after) = split_varint(rest).ok_or(truncated)?;
                        self.counts.push(count);
                        rest = after;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The values of a packed field of 64-bit words.
fn fixed(bytes: &[u8], mut each: impl FnMut(u64)) -> Result<(), WireError> {
    let (words, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(WireError { offset: 0, what: "truncated packed field" });
    }
    for word in words {
        each(u64::from_le_bytes(*word));
    }
    Ok(())
}

/// A `sint32`, of which protobuf keeps the low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "protobuf reads the low 32 bits")]
const fn zigzag(value: u64) -> i64 {
    let value = value as u32;
    ((value >> 1).cast_signed() ^ -((value & 1).cast_signed())) as i64
}
