//! Data points of all shapes, borrowed from their messages.

use spanlake_otlp::wire::{Reader, Value, WireError, split_varint};

use super::Shape;
use crate::any::{Attribute, sort_distinct};
use crate::attributes::Attributes;
use crate::columns::Row;
use crate::write::{Saturating, sint32, uint32};

/// A data point; which fields mean anything depends on its shape.
#[derive(Default)]
pub(crate) struct Point<'a> {
    pub(crate) start: u64,
    pub(crate) time: u64,
    pub(crate) flags: u32,
    int: Option<i64>,
    double: Option<f64>,
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    counts: Vec<u64>,
    bounds: Vec<f64>,
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    positive: Buckets,
    negative: Buckets,
    quantiles: Vec<(f64, f64)>,
    exemplars: Vec<Exemplar<'a>>,
}

#[derive(Default)]
struct Buckets {
    offset: i32,
    counts: Vec<u64>,
}

struct Exemplar<'a> {
    time: u64,
    value: Option<f64>,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    attributes: Vec<Attribute<'a>>,
}

impl<'a> Point<'a> {
    /// Reads a data point; its attributes go to `attributes`.
    pub(crate) fn read(shape: Shape, message: &'a [u8], attributes: &mut Attributes<'a>) -> Result<Self, WireError> {
        let mut point = Self::default();
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (2, Value::Fixed64(nanos)) => point.start = nanos,
                (3, Value::Fixed64(nanos)) => point.time = nanos,
                (number, value) => match shape {
                    Shape::Gauge | Shape::Sum => point.number(number, value, attributes)?,
                    Shape::Histogram => point.histogram(number, value, attributes)?,
                    Shape::Exponential => point.exponential(number, value, attributes)?,
                    Shape::Summary => point.summary(number, value, attributes)?,
                },
            }
        }
        if shape == Shape::Summary {
            point.sum.get_or_insert_default();
        }
        Ok(point)
    }

    fn number(&mut self, number: u32, value: Value<'a>, attributes: &mut Attributes<'a>) -> Result<(), WireError> {
        match (number, value) {
            (4, Value::Fixed64(bits)) => (self.int, self.double) = (None, Some(f64::from_bits(bits))),
            (5, Value::Len(message)) => self.exemplars.push(Exemplar::read(message)?),
            (6, Value::Fixed64(bits)) => (self.int, self.double) = (Some(bits.cast_signed()), None),
            (7, Value::Len(message)) => attributes.push(message)?,
            (8, Value::Varint(flags)) => self.flags = uint32(flags),
            _ => {}
        }
        Ok(())
    }

    fn histogram(&mut self, number: u32, value: Value<'a>, attributes: &mut Attributes<'a>) -> Result<(), WireError> {
        match (number, value) {
            (4, Value::Fixed64(count)) => self.count = count,
            (5, Value::Fixed64(bits)) => self.sum = Some(f64::from_bits(bits)),
            (6, value) => push_fixed(value, |bits| self.counts.push(bits)),
            (7, value) => push_fixed(value, |bits| self.bounds.push(f64::from_bits(bits))),
            (8, Value::Len(message)) => self.exemplars.push(Exemplar::read(message)?),
            (9, Value::Len(message)) => attributes.push(message)?,
            (10, Value::Varint(flags)) => self.flags = uint32(flags),
            (11, Value::Fixed64(bits)) => self.min = Some(f64::from_bits(bits)),
            (12, Value::Fixed64(bits)) => self.max = Some(f64::from_bits(bits)),
            _ => {}
        }
        Ok(())
    }

    fn exponential(&mut self, number: u32, value: Value<'a>, attributes: &mut Attributes<'a>) -> Result<(), WireError> {
        match (number, value) {
            (1, Value::Len(message)) => attributes.push(message)?,
            (4, Value::Fixed64(count)) => self.count = count,
            (5, Value::Fixed64(bits)) => self.sum = Some(f64::from_bits(bits)),
            (6, Value::Varint(scale)) => self.scale = sint32(scale),
            (7, Value::Fixed64(count)) => self.zero_count = count,
            (8, Value::Len(message)) => self.positive.read(message)?,
            (9, Value::Len(message)) => self.negative.read(message)?,
            (10, Value::Varint(flags)) => self.flags = uint32(flags),
            (11, Value::Len(message)) => self.exemplars.push(Exemplar::read(message)?),
            (12, Value::Fixed64(bits)) => self.min = Some(f64::from_bits(bits)),
            (13, Value::Fixed64(bits)) => self.max = Some(f64::from_bits(bits)),
            (14, Value::Fixed64(bits)) => self.zero_threshold = f64::from_bits(bits),
            _ => {}
        }
        Ok(())
    }

    fn summary(&mut self, number: u32, value: Value<'a>, attributes: &mut Attributes<'a>) -> Result<(), WireError> {
        match (number, value) {
            (4, Value::Fixed64(count)) => self.count = count,
            (5, Value::Fixed64(bits)) => self.sum = Some(f64::from_bits(bits)),
            (6, Value::Len(message)) => self.quantiles.push(quantile(message)?),
            (7, Value::Len(message)) => attributes.push(message)?,
            (8, Value::Varint(flags)) => self.flags = uint32(flags),
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn write_number(&self, row: &mut Row<'_>) {
        row.bigint(self.int);
        row.double(self.double);
    }

    pub(crate) fn write_histogram(&self, row: &mut Row<'_>, saturating: &mut Saturating) {
        row.bigint(Some(saturating.bigint(self.count)));
        row.double(self.sum);
        row.double(self.min);
        row.double(self.max);
    }

    pub(crate) fn write_explicit(&self, row: &mut Row<'_>, saturating: &mut Saturating) {
        write_counts(row, &self.counts, saturating);
        row.list(&self.bounds, |row, bound| row.double(Some(*bound)));
    }

    pub(crate) fn write_exponential(&self, row: &mut Row<'_>, saturating: &mut Saturating) {
        row.int(Some(self.scale));
        row.bigint(Some(saturating.bigint(self.zero_count)));
        row.double(Some(self.zero_threshold));
        for buckets in [&self.positive, &self.negative] {
            row.int(Some(buckets.offset));
            write_counts(row, &buckets.counts, saturating);
        }
    }

    pub(crate) fn write_summary(&self, row: &mut Row<'_>, saturating: &mut Saturating) {
        row.bigint(Some(saturating.bigint(self.count)));
        row.double(self.sum);
        row.list(&self.quantiles, |row, (quantile, value)| {
            row.double(Some(*quantile));
            row.double(Some(*value));
        });
    }

    pub(crate) fn write_exemplars(&self, row: &mut Row<'_>, saturating: &mut Saturating) {
        row.list(&self.exemplars, |row, exemplar| {
            row.bigint(Some(saturating.bigint(exemplar.time)));
            row.double(exemplar.value);
            row.hex(exemplar.trace_id);
            row.hex(exemplar.span_id);
            row.attributes(&exemplar.attributes);
        });
    }
}

impl Buckets {
    fn read(&mut self, message: &[u8]) -> Result<(), WireError> {
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Varint(offset)) => self.offset = sint32(offset),
                (2, Value::Varint(count)) => self.counts.push(count),
                (2, Value::Len(mut packed)) => {
                    while let Some((count, rest)) = split_varint(packed) {
                        self.counts.push(count);
                        packed = rest;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> Exemplar<'a> {
    fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut exemplar = Self { time: 0, value: None, trace_id: &[], span_id: &[], attributes: Vec::new() };
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (2, Value::Fixed64(nanos)) => exemplar.time = nanos,
                (3, Value::Fixed64(bits)) => exemplar.value = Some(f64::from_bits(bits)),
                (4, Value::Len(id)) => exemplar.span_id = id,
                (5, Value::Len(id)) => exemplar.trace_id = id,
                (6, Value::Fixed64(bits)) => exemplar.value = Some(as_double(bits.cast_signed())),
                (7, Value::Len(message)) => exemplar.attributes.push(Attribute::read(message)?),
                _ => {}
            }
        }
        sort_distinct(&mut exemplar.attributes);
        Ok(exemplar)
    }
}

/// The schema holds exemplars as doubles: an integer beyond 2^53 is rounded.
#[expect(clippy::cast_precision_loss, reason = "the column is a double; a sample's value, never a sum")]
const fn as_double(value: i64) -> f64 {
    value as f64
}

fn quantile(message: &[u8]) -> Result<(f64, f64), WireError> {
    let mut pair = (0.0, 0.0);
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match (field.number, field.value) {
            (1, Value::Fixed64(bits)) => pair.0 = f64::from_bits(bits),
            (2, Value::Fixed64(bits)) => pair.1 = f64::from_bits(bits),
            _ => {}
        }
    }
    Ok(pair)
}

fn write_counts(row: &mut Row<'_>, counts: &[u64], saturating: &mut Saturating) {
    row.list(counts, |row, count| row.bigint(Some(saturating.bigint(*count))));
}

/// Lists of fixed-width numbers come packed or one by one.
fn push_fixed(value: Value<'_>, mut push: impl FnMut(u64)) {
    match value {
        Value::Fixed64(bits) => push(bits),
        Value::Len(packed) => {
            for chunk in packed.chunks_exact(8) {
                push(u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
            }
        }
        _ => {}
    }
}
