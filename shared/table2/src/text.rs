//! Texts of the row at hand: slices of the wire where they are valid UTF-8, else pieces of one reused buffer; and
//! attribute values as canonical text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use spanlake_otlp::wire::{Reader, Value, WireError};

/// Values nested deeper are malformed; prost's own limit is lower.
const DEPTH_MAX: u32 = 64;

/// A text, valid until [`Arena::clear`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Text<'a> {
    /// As it stands on the wire.
    Wire(&'a str),
    /// From byte to byte of the arena.
    Arena(usize, usize),
}

/// Texts that do not stand on the wire as they are wanted.
#[derive(Debug, Default)]
pub(crate) struct Arena(String);

impl Arena {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn get<'s>(&'s self, text: Text<'s>) -> &'s str {
        match text {
            Text::Wire(text) => text,
            Text::Arena(start, end) => self.0.get(start..end).unwrap_or_default(),
        }
    }

    /// A string field; what is not UTF-8 is replaced, because engines disagree on it.
    pub(crate) fn utf8<'a>(&mut self, bytes: &'a [u8]) -> Text<'a> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Text::Wire(text),
            Err(_) => self
                .add(|out| {
                    out.push_str(&String::from_utf8_lossy(bytes));
                    Ok(())
                })
                .unwrap_or(Text::Wire("")),
        }
    }

    fn add<'a>(&mut self, write: impl FnOnce(&mut String) -> Result<(), WireError>) -> Result<Text<'a>, WireError> {
        let start = self.0.len();
        write(&mut self.0)?;
        Ok(Text::Arena(start, self.0.len()))
    }

    /// The canonical text of a value; `None` for the empty value.
    pub(crate) fn value<'a>(&mut self, value: AnyValue<'a>) -> Result<Option<Text<'a>>, WireError> {
        match value {
            AnyValue::Empty => Ok(None),
            AnyValue::Text(bytes) => Ok(Some(self.utf8(bytes))),
            AnyValue::Bytes(bytes) => self
                .add(|out| {
                    STANDARD.encode_string(bytes, out);
                    Ok(())
                })
                .map(Some),
            other => self.add(|out| json(other, DEPTH_MAX, false, out)).map(Some),
        }
    }
}

/// An OTLP `AnyValue`, one level of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum AnyValue<'a> {
    /// No value set.
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

impl<'a> AnyValue<'a> {
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(message);
        let mut read = Self::Empty;
        while let Some(field) = reader.next()? {
            read = match (field.number, field.value) {
                (1, Value::Len(bytes)) => Self::Text(bytes),
                (2, Value::Varint(value)) => Self::Bool(value != 0),
                (3, Value::Varint(value)) => Self::Int(value.cast_signed()),
                (4, Value::Fixed64(bits)) => Self::Double(f64::from_bits(bits)),
                (5, Value::Len(bytes)) => Self::Array(bytes),
                (6, Value::Len(bytes)) => Self::Map(bytes),
                (7, Value::Len(bytes)) => Self::Bytes(bytes),
                _ => read,
            };
        }
        Ok(read)
    }

    /// The name of its type, as `body_type` has it.
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
}

/// A `KeyValue` message.
pub(crate) fn key_value(message: &[u8]) -> Result<(&[u8], AnyValue<'_>), WireError> {
    let mut reader = Reader::new(message);
    let (mut key, mut value) = (&[][..], AnyValue::Empty);
    while let Some(field) = reader.next()? {
        match (field.number, field.value) {
            (1, Value::Len(bytes)) => key = bytes,
            (2, Value::Len(bytes)) => value = AnyValue::read(bytes)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Appends a value as JSON. Numbers that JSON lacks are the words of the OTLP JSON mapping: in quotes inside a structure.
fn json(value: AnyValue<'_>, depth: u32, is_inner: bool, out: &mut String) -> Result<(), WireError> {
    match value {
        AnyValue::Empty => out.push_str("null"),
        AnyValue::Text(bytes) => quoted(&String::from_utf8_lossy(bytes), out),
        AnyValue::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        AnyValue::Int(value) => written(write!(out, "{value}")),
        AnyValue::Double(value) if value.is_finite() => written(write!(out, "{value:?}")),
        AnyValue::Double(value) => {
            let word = match value {
                f64::INFINITY => "Infinity",
                f64::NEG_INFINITY => "-Infinity",
                _ => "NaN",
            };
            if is_inner { quoted(word, out) } else { out.push_str(word) }
        }
        AnyValue::Bytes(bytes) => {
            out.push('"');
            STANDARD.encode_string(bytes, out);
            out.push('"');
        }
        AnyValue::Array(_) | AnyValue::Map(_) if depth == 0 => {
            return Err(WireError { offset: 0, what: "values nested too deep" });
        }
        AnyValue::Array(message) => array(message, depth, out)?,
        AnyValue::Map(message) => object(message, depth, out)?,
    }
    Ok(())
}

fn array(message: &[u8], depth: u32, out: &mut String) -> Result<(), WireError> {
    let mut reader = Reader::new(message);
    let mut separator = '[';
    while let Some(field) = reader.next()? {
        if let (1, Value::Len(bytes)) = (field.number, field.value) {
            out.push(separator);
            json(AnyValue::read(bytes)?, depth - 1, true, out)?;
            separator = ',';
        }
    }
    if separator == '[' {
        out.push(separator);
    }
    out.push(']');
    Ok(())
}

/// Keys sorted, each once, as in the attribute maps.
fn object(message: &[u8], depth: u32, out: &mut String) -> Result<(), WireError> {
    let mut reader = Reader::new(message);
    let mut entries = BTreeMap::new();
    while let Some(field) = reader.next()? {
        if let (1, Value::Len(bytes)) = (field.number, field.value) {
            let (key, value) = key_value(bytes)?;
            entries.insert(String::from_utf8_lossy(key), value);
        }
    }
    out.push('{');
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        quoted(&key, out);
        out.push(':');
        json(value, depth - 1, true, out)?;
    }
    out.push('}');
    Ok(())
}

fn quoted(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Writing to a `String` cannot fail.
fn written(result: std::fmt::Result) {
    debug_assert!(result.is_ok(), "a String takes everything");
}

/// An id as lower-case hex.
pub(crate) struct Hex([u8; 32], usize);

impl Hex {
    /// The id, if it has `N` bytes that are not all zero.
    pub(crate) fn of<const N: usize>(id: &[u8]) -> Option<Self> {
        let id: &[u8; N] = id.try_into().ok()?;
        id.iter().any(|byte| *byte != 0).then(|| Self::full(*id))
    }

    /// These bytes, at most 16.
    pub(crate) fn full<const N: usize>(id: [u8; N]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 32];
        for (byte, pair) in id.iter().zip(digits.chunks_exact_mut(2)) {
            if let [high, low] = pair {
                *high = DIGITS.get(usize::from(byte >> 4)).copied().unwrap_or_default();
                *low = DIGITS.get(usize::from(byte & 15)).copied().unwrap_or_default();
            }
        }
        Self(digits, N * 2)
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.get(..self.1).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default()
    }
}
