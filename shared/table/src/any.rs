//! OTLP values (`AnyValue`) on the wire: what they are, and their canonical text.
//!
//! Text as it is, integers plain, doubles in the shortest form that reads back the same, arrays and maps as JSON, bytes
//! as base64.

use std::borrow::Cow;
use std::fmt::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use spanlake_otlp::wire::{Reader, Value, WireError};

/// Deeper values are written as `null`; prost, and so ingest, refuses messages nested deeper than this.
const DEPTH_MAX: u32 = 100;

/// A value, borrowed from the message.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) enum Any<'a> {
    /// No value.
    #[default]
    Empty,
    Text(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    /// An `ArrayValue` message.
    Array(&'a [u8]),
    /// A `KeyValueList` message.
    Map(&'a [u8]),
    Bytes(&'a [u8]),
}

impl<'a> Any<'a> {
    /// Reads an `AnyValue` message; the last value on the wire counts.
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(message);
        let mut any = Self::Empty;
        while let Some(field) = reader.next()? {
            any = match (field.number, field.value) {
                (1, Value::Len(text)) => Self::Text(text),
                (2, Value::Varint(bit)) => Self::Bool(bit != 0),
                (3, Value::Varint(number)) => Self::Int(number.cast_signed()),
                (4, Value::Fixed64(bits)) => Self::Double(f64::from_bits(bits)),
                (5, Value::Len(message)) => Self::Array(message),
                (6, Value::Len(message)) => Self::Map(message),
                (7, Value::Len(bytes)) => Self::Bytes(bytes),
                _ => any,
            };
        }
        Ok(any)
    }

    /// What the value is, as `logs.body_type` names it; `None` for no value.
    pub(crate) const fn type_name(self) -> Option<&'static str> {
        match self {
            Self::Empty => None,
            Self::Text(_) => Some("string"),
            Self::Bool(_) => Some("bool"),
            Self::Int(_) => Some("int"),
            Self::Double(_) => Some("double"),
            Self::Array(_) => Some("array"),
            Self::Map(_) => Some("map"),
            Self::Bytes(_) => Some("bytes"),
        }
    }

    /// Writes the canonical text; nothing for no value.
    pub(crate) fn write_text(self, out: &mut impl Write) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::Text(text) => out.write_str(&lossy(text)),
            Self::Bool(bit) => out.write_str(if bit { "true" } else { "false" }),
            Self::Int(number) => write!(out, "{number}"),
            Self::Double(number) => out.write_str(&format_double(number)),
            Self::Bytes(bytes) => out.write_str(&STANDARD.encode(bytes)),
            Self::Array(_) | Self::Map(_) => self.write_json(out, 0),
        }
    }

    /// The canonical text, borrowed where the value is text already.
    pub(crate) fn text(self) -> Cow<'a, str> {
        if let Self::Text(text) = self {
            return lossy(text);
        }
        let mut text = String::new();
        let _infallible = self.write_text(&mut text);
        Cow::Owned(text)
    }

    fn write_json(self, out: &mut impl Write, depth: u32) -> fmt::Result {
        match self {
            _ if depth > DEPTH_MAX => out.write_str("null"),
            Self::Empty => out.write_str("null"),
            Self::Text(text) => write_json_text(out, &lossy(text)),
            Self::Bytes(bytes) => write_json_text(out, &STANDARD.encode(bytes)),
            Self::Double(number) if !number.is_finite() => write_json_text(out, &format_double(number)),
            Self::Bool(_) | Self::Int(_) | Self::Double(_) => self.write_text(out),
            Self::Array(message) => write_json_array(out, message, depth),
            Self::Map(message) => write_json_map(out, message, depth),
        }
    }
}

/// A key and a value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attribute<'a> {
    pub(crate) key: Cow<'a, str>,
    pub(crate) value: Any<'a>,
}

impl<'a> Attribute<'a> {
    /// Reads a `KeyValue` message.
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let (key, value) = Self::read_parts(message)?;
        Ok(Self { key: lossy(key), value })
    }

    /// Key and value of a `KeyValue` message, the key as it stands there.
    pub(crate) fn read_parts(message: &'a [u8]) -> Result<(&'a [u8], Any<'a>), WireError> {
        let mut reader = Reader::new(message);
        let (mut key, mut any) = (&[][..], Any::Empty);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Len(text)) => key = text,
                (2, Value::Len(value)) => any = Any::read(value)?,
                _ => {}
            }
        }
        Ok((key, any))
    }
}

/// Sorts attributes by key; of equal keys the last one stays.
pub(crate) fn sort_distinct(attributes: &mut Vec<Attribute<'_>>) {
    if attributes.is_sorted_by(|a, b| a.key < b.key) {
        return;
    }
    attributes.reverse();
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
    attributes.dedup_by(|later, earlier| later.key == earlier.key);
}

/// UTF-8 with what is not replaced: ingest refuses such items, yet no reader may ever meet them.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    // Checking alone is several times as fast as looking for what to replace.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The shortest text that reads back as the same double; `NaN`, `Infinity` and `-Infinity` as OTLP/JSON has them.
#[must_use]
pub fn format_double(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        format!("{number:?}")
    }
}

fn write_json_array(out: &mut impl Write, message: &[u8], depth: u32) -> fmt::Result {
    let mut reader = Reader::new(message);
    let mut separator = "[";
    while let Ok(Some(field)) = reader.next() {
        if let (1, Value::Len(value)) = (field.number, field.value) {
            out.write_str(separator)?;
            separator = ",";
            Any::read(value).unwrap_or_default().write_json(out, depth + 1)?;
        }
    }
    out.write_str(if separator == "[" { "[]" } else { "]" })
}

fn write_json_map(out: &mut impl Write, message: &[u8], depth: u32) -> fmt::Result {
    let mut entries = Vec::new();
    let mut reader = Reader::new(message);
    while let Ok(Some(field)) = reader.next() {
        if let (1, Value::Len(entry)) = (field.number, field.value)
            && let Ok(entry) = Attribute::read(entry)
        {
            entries.push(entry);
        }
    }
    sort_distinct(&mut entries);
    let mut separator = "{";
    for entry in &entries {
        out.write_str(separator)?;
        separator = ",";
        write_json_text(out, &entry.key)?;
        out.write_str(":")?;
        entry.value.write_json(out, depth + 1)?;
    }
    out.write_str(if separator == "{" { "{}" } else { "}" })
}

fn write_json_text(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}
