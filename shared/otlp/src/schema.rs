//! The OTLP messages as tables: field numbers, names and kinds, from the export requests down to `AnyValue`.
//!
//! One description serves the validating walker, the JSON reader and whoever must visit every string position. Source:
//! opentelemetry-proto 1.9 (`trace/v1`, `logs/v1`, `metrics/v1`, `common/v1`, `resource/v1`, `collector/*/v1`); a test
//! compares the tables with the published descriptors.

mod tables;

use std::fmt;

use spanlake_model::Signal;

pub use tables::{
    ANY_VALUE, ARRAY_VALUE, BUCKETS, ENTITY_REF, EVENT, EXEMPLAR, EXPONENTIAL_HISTOGRAM, EXPONENTIAL_HISTOGRAM_DATA_POINT,
    EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES, GAUGE, HISTOGRAM, HISTOGRAM_DATA_POINT, KEY_VALUE, KEY_VALUE_LIST, LINK,
    LOG_RECORD, METRIC, NUMBER_DATA_POINT, RESOURCE, RESOURCE_LOGS, RESOURCE_METRICS, RESOURCE_SPANS, SCOPE, SCOPE_LOGS,
    SCOPE_METRICS, SCOPE_SPANS, SPAN, STATUS, SUM, SUMMARY, SUMMARY_DATA_POINT, VALUE_AT_QUANTILE,
};

/// The highest field number of any known message.
const NUMBER_MAX: usize = 16;

/// The fields of a `Metric` that hold its data, of which it has one.
pub const METRIC_DATA: [u32; 5] = [5, 7, 9, 10, 11];

/// The names of span kinds, in the order of their numbers from 0.
pub const SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

/// The names of an enumeration's values, as in the proto files.
pub type EnumNames = &'static [(&'static str, i32)];

/// What a field holds: its wire type and, within that, its meaning.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `bool`, a varint.
    Bool,
    /// `int32`, a varint.
    Int32,
    /// `uint32`, a varint.
    Uint32,
    /// `sint32`, a zigzag varint.
    Sint32,
    /// `int64`, a varint.
    Int64,
    /// `uint64`, a varint.
    Uint64,
    /// An open enumeration, a varint.
    Enum(EnumNames),
    /// `fixed32`.
    Fixed32,
    /// `fixed64`.
    Fixed64,
    /// `sfixed64`.
    Sfixed64,
    /// `double`.
    Double,
    /// `string`: UTF-8.
    String,
    /// `bytes`; base64 in JSON.
    Bytes,
    /// `bytes` that are a trace or span id; hex in JSON.
    Id,
    /// A sub-message.
    Message(&'static Message),
}

impl Kind {
    /// The protobuf wire type of a single value.
    #[must_use]
    #[inline]
    pub const fn wire_type(self) -> u8 {
        match self {
            Self::Bool | Self::Int32 | Self::Uint32 | Self::Sint32 | Self::Int64 | Self::Uint64 | Self::Enum(_) => 0,
            Self::Fixed64 | Self::Sfixed64 | Self::Double => 1,
            Self::String | Self::Bytes | Self::Id | Self::Message(_) => 2,
            Self::Fixed32 => 5,
        }
    }
}

/// A field of a message.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The field number, at least 1.
    pub number: u32,
    /// The name in the proto file, in snake case.
    pub name: &'static str,
    /// The name in OTLP/JSON, in lower camel case.
    pub json: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it is a list. Lists of scalars may come packed or one by one.
    pub repeated: bool,
}

/// A message type.
pub struct Message {
    /// The name in the proto file, without its package.
    pub name: &'static str,
    /// Its fields, by number.
    pub fields: &'static [Field],
    /// For each field number the place in `fields`, counted from 1; 0 where there is no such field.
    places: [u8; NUMBER_MAX + 1],
}

impl fmt::Debug for Message {
    /// Its name only: messages hold each other.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Message {
    #[expect(clippy::indexing_slicing, reason = "evaluated when compiling: a field number out of range fails the build")]
    #[expect(clippy::cast_possible_truncation, reason = "no message has 255 fields")]
    const fn new(name: &'static str, fields: &'static [Field]) -> Self {
        let mut places = [0; NUMBER_MAX + 1];
        let mut index = 0;
        while index < fields.len() {
            places[fields[index].number as usize] = index as u8 + 1;
            index += 1;
        }
        Self { name, fields, places }
    }

    /// The field of this number; `None` for one that is not known.
    #[must_use]
    #[inline]
    pub fn field(&self, number: u32) -> Option<&'static Field> {
        let place = *self.places.get(number as usize)?;
        self.fields.get(usize::from(place).checked_sub(1)?)
    }

    /// The field of this OTLP/JSON name.
    #[must_use]
    pub fn field_by_json(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.json == name)
    }
}

/// The export request of a signal.
#[must_use]
pub const fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &EXPORT_TRACES,
        Signal::Logs => &EXPORT_LOGS,
        Signal::Metrics => &EXPORT_METRICS,
    }
}

/// What a signal's requests carry: `Span`, `LogRecord` or `Metric`.
#[must_use]
pub const fn item(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &SPAN,
        Signal::Logs => &LOG_RECORD,
        Signal::Metrics => &METRIC,
    }
}

#[cfg(test)]
mod tests;
