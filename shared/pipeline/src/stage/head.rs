//! What the grouper itself reads of an item: ids, name, status.

use spanlake_model::{Signal, SpanId, TraceId};
use spanlake_otlp::wire::{Reader, Value};
use spanlake_policy::{ItemOutcome, SpanHead};

use super::STATUS_ERROR;

/// What the grouper itself reads of an item, after redaction.
pub(super) struct ItemHead<'a> {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) parent: SpanId,
    pub(super) name: &'a str,
    pub(super) status: u8,
    /// Of a log record: `severity_number` and `severity_text`.
    pub(super) severity: i64,
    pub(super) severity_text: &'a str,
}

impl<'a> ItemHead<'a> {
    /// Of an item whose bytes are `body`, by what the rules made of it.
    pub(super) fn new(signal: Signal, outcome: &ItemOutcome, body: &'a [u8]) -> Self {
        if signal != Signal::Traces || outcome.is_changed {
            return Self::read(signal, body);
        }
        let SpanHead { trace, span, parent, name: (start, end), status } = outcome.head;
        let name = body.get(start..end).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        let status = if status <= STATUS_ERROR { status } else { 0 };
        Self { trace, span, parent, name, status, severity: 0, severity_text: "" }
    }

    fn read(signal: Signal, item: &'a [u8]) -> Self {
        let mut head = Self {
            trace: TraceId::default(),
            span: SpanId::default(),
            parent: SpanId::default(),
            name: "",
            status: 0,
            severity: 0,
            severity_text: "",
        };
        let mut reader = Reader::new(item);
        // Ingest has validated the item: an error here would only end the walk early.
        while let Ok(Some(field)) = reader.next() {
            let bytes = match field.value {
                Value::Len(bytes) => bytes,
                Value::Varint(number) => {
                    if (signal, field.number) == (Signal::Logs, 2) {
                        head.severity = number.cast_signed();
                    }
                    continue;
                }
                _ => continue,
            };
            match (signal, field.number) {
                (Signal::Logs, 3) => head.severity_text = std::str::from_utf8(bytes).unwrap_or_default(),
                (Signal::Traces, 1) | (Signal::Logs, 9) => head.trace = TraceId::from_slice(bytes).unwrap_or_default(),
                (Signal::Traces, 2) => head.span = SpanId::from_slice(bytes).unwrap_or_default(),
                (Signal::Traces, 4) => head.parent = SpanId::from_slice(bytes).unwrap_or_default(),
                (Signal::Traces, 5) => head.name = std::str::from_utf8(bytes).unwrap_or_default(),
                (Signal::Traces, 15) => head.status = status_code(bytes),
                _ => {}
            }
        }
        head
    }
}

/// `Status.code`; a message that occurs twice is merged, so the last code stands.
fn status_code(status: &[u8]) -> u8 {
    let mut code = 0;
    let mut reader = Reader::new(status);
    while let Ok(Some(field)) = reader.next() {
        if let (3, Value::Varint(value)) = (field.number, field.value) {
            code = u8::try_from(value).ok().filter(|code| *code <= STATUS_ERROR).unwrap_or(0);
        }
    }
    code
}
