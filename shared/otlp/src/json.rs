//! OTLP/JSON to protobuf bytes, tolerantly: one item's bad value costs just that item.
//!
//! Driven by the [`schema`] tables; nothing is built but the output. Beyond the mapping that OTLP defines (lower camel
//! case keys, hex ids, enumerations as numbers) it takes what encoders of protobuf's own JSON mapping write: `null` for
//! any field, numbers as strings and with a zero fraction, enumerations by name, both base64 alphabets.

mod seeds;
mod value;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny};
use serde_json::error::Category;
use serde_json::value::RawValue;
use spanlake_model::{ErrorKind, Signal};
use thiserror::Error;

use crate::limits::{LimitPassed, Limits, Reason, Rejected};
use crate::schema::{self, Kind, Message};
use crate::wire::{put_varint, varint_len};

/// The outcome of [`to_protobuf`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromJson {
    /// The export request without the refused items, ready to be [`cut`](crate::cut::cut). Its ids and sizes are
    /// unchecked.
    pub protobuf: Vec<u8>,
    /// What was refused. [`cut`](crate::cut::cut) may refuse more: merge the two.
    pub rejected: Rejected,
}

/// Why a JSON request is refused whole. Never holds text of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JsonError {
    /// Not JSON, or not of the request's shape outside its items (HTTP 400).
    #[error("invalid JSON: {what} at line {line} column {column}")]
    Invalid {
        /// What is wrong.
        what: &'static str,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
    },
    /// The request passes a limit (HTTP 413).
    #[error(transparent)]
    TooLarge(#[from] LimitPassed),
}

impl JsonError {
    /// What a caller should do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::TooLarge(_) => ErrorKind::TooLarge,
        }
    }
}

/// Reads an OTLP/JSON export request. An item whose values do not fit their fields, or that passes a limit, is left out
/// and counted; of a key that comes twice the last counts, and unknown keys do not.
///
/// # Errors
/// [`JsonError`] for broken JSON, for a value of the wrong type outside the items, and beyond a limit of the request.
pub fn to_protobuf(signal: Signal, body: &[u8], limits: &Limits) -> Result<FromJson, JsonError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = simdutf8::compat::from_utf8(body).map_err(|error| not_utf8(body, error.valid_up_to()))?;
    let mut state = State::new(signal, limits);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // Depth is counted where it can grow, in values: see `seeds`.
    deserializer.disable_recursion_limit();
    let read = seeds::Request(&mut state).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match read {
        Ok(()) => Ok(FromJson { protobuf: state.out, rejected: state.rejected }),
        Err(error) => Err(state.error(&error)),
    }
}

fn not_utf8(body: &[u8], valid: usize) -> JsonError {
    let before = body.get(..valid).unwrap_or_default();
    let line = before.split(|byte| *byte == b'\n');
    let column = line.clone().next_back().unwrap_or_default().len() + 1;
    JsonError::Invalid { what: "text that is not UTF-8", line: line.count(), column }
}

/// What is known while a request is read.
struct State<'l> {
    signal: Signal,
    limits: &'l Limits,
    /// The messages around the items: `Resource*` and `Scope*`.
    groups: [Option<&'static Message>; 2],
    out: Vec<u8>,
    in_item: bool,
    contexts: u32,
    items: u32,
    /// Counts of the item, resource or scope that is being read.
    attributes: u32,
    elements: u32,
    /// Why the item that is being read is refused, if a better reason is known than [`Reason::Json`].
    problem: Option<Reason>,
    /// The limit for which the request is refused.
    passed: Option<LimitPassed>,
    rejected: Rejected,
}

/// Where the content of a message begins that is being written.
#[derive(Clone, Copy)]
struct Mark(usize);

impl<'l> State<'l> {
    fn new(signal: Signal, limits: &'l Limits) -> Self {
        let inner = |message: &Message, number| match message.field(number)?.kind {
            Kind::Message(inner) => Some(inner),
            _ => None,
        };
        let resources = inner(schema::request(signal), 1);
        Self {
            signal,
            limits,
            groups: [resources, resources.and_then(|message| inner(message, 2))],
            out: Vec::new(),
            in_item: false,
            contexts: 0,
            items: 0,
            attributes: 0,
            elements: 0,
            problem: None,
            passed: None,
            rejected: Rejected::default(),
        }
    }

    /// The reading side's error in words that hold nothing of the request.
    fn error(&self, error: &serde_json::Error) -> JsonError {
        if let Some(passed) = self.passed {
            return passed.into();
        }
        let what = match error.classify() {
            Category::Data => "a value that does not fit its field",
            Category::Eof => "an early end",
            Category::Syntax | Category::Io => "malformed text",
        };
        JsonError::Invalid { what, line: error.line(), column: error.column() }
    }

    /// Begins a length-delimited field. One byte is kept for its length, which is enough for most attributes.
    fn begin(&mut self, number: u32) -> Mark {
        put_varint(&mut self.out, u64::from(number) << 3 | 2);
        self.out.push(0);
        Mark(self.out.len())
    }

    fn end(&mut self, Mark(start): Mark) {
        let length = self.out.len() - start;
        let more = varint_len(length as u64) - 1;
        if more > 0 {
            self.out.resize(self.out.len() + more, 0);
            self.out.copy_within(start..start + length, start + more);
        }
        let mut head = Vec::new();
        put_varint(&mut head, length as u64);
        if let Some(place) = self.out.get_mut(start - 1..start + more) {
            place.copy_from_slice(&head);
        }
    }

    /// Reads one item on its own, so that its faults stay its own. `Err` if the request has too many.
    fn item(&mut self, number: u32, raw: &RawValue) -> Result<(), LimitPassed> {
        self.items += 1;
        if self.items > self.limits.items {
            let passed = LimitPassed { what: "items", limit: u64::from(self.limits.items) };
            self.passed = Some(passed);
            return Err(passed);
        }
        (self.attributes, self.elements, self.problem, self.in_item) = (0, 0, None, true);
        let before = self.out.len();
        let mark = self.begin(number);
        let mut deserializer = serde_json::Deserializer::from_str(raw.get());
        deserializer.disable_recursion_limit();
        let message = schema::item(self.signal);
        let read = seeds::Object { state: self, message, depth: 0 }.deserialize(&mut deserializer);
        self.in_item = false;
        if read.is_ok() {
            self.end(mark);
        } else {
            self.out.truncate(before);
            let reason = self.problem.take().unwrap_or(Reason::Json);
            let count = if self.signal == Signal::Metrics { data_points(raw) } else { 1 };
            self.rejected.add(reason, count);
        }
        Ok(())
    }
}

/// The shape of a metric, as far as its points can be counted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricShape {
    gauge: Option<DataShape>,
    sum: Option<DataShape>,
    histogram: Option<DataShape>,
    exponential_histogram: Option<DataShape>,
    summary: Option<DataShape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataShape {
    data_points: Option<Vec<IgnoredAny>>,
}

/// The points of a metric that is refused; 1 if they cannot be counted, so that the refusal shows.
fn data_points(raw: &RawValue) -> u64 {
    let Ok(shape) = serde_json::from_str::<MetricShape>(raw.get()) else { return 1 };
    let kinds = [shape.gauge, shape.sum, shape.histogram, shape.exponential_histogram, shape.summary];
    let points: usize = kinds.into_iter().flatten().filter_map(|data| data.data_points).map(|points| points.len()).sum();
    (points as u64).max(1)
}

#[cfg(test)]
mod tests;
