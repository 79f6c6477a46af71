//! Reading a canonical payload back: what [`cut`](crate::cut::cut) puts into records, item by item.

use spanlake_model::{Signal, TraceId};

use crate::wire::{Reader, WireError};

/// The context of items, as raw messages: empty where the request had none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Context<'a> {
    /// The `Resource` message.
    pub resource: &'a [u8],
    /// The schema URL of the resource.
    pub resource_schema_url: &'a [u8],
    /// The `InstrumentationScope` message.
    pub scope: &'a [u8],
    /// The schema URL of the scope and its items.
    pub scope_schema_url: &'a [u8],
}

/// An item of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// The running number of its (resource, scope) pair within the payload, from 0.
    pub context: u32,
    /// Where its message begins in the payload.
    pub start: usize,
    /// The `Span`, `LogRecord` or `Metric` message.
    pub bytes: &'a [u8],
}

/// Reads the items of a canonical payload of any signal, front to back: contexts must stand before their items.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    request: Reader<'a>,
    resource: Reader<'a>,
    scope: Reader<'a>,
    context: Context<'a>,
    contexts: u32,
}

impl<'a> Items<'a> {
    /// Reads `payload` from its start.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        let context = Context { resource: &[], resource_schema_url: &[], scope: &[], scope_schema_url: &[] };
        Self { request: Reader::new(payload), resource: Reader::new(&[]), scope: Reader::new(&[]), context, contexts: 0 }
    }

    /// The next item, or `None` at the end.
    ///
    /// # Errors
    /// A [`WireError`] for malformed framing; its offset counts from the start of the message in which it was found.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "a fallible reader is not an iterator")]
    pub fn next(&mut self) -> Result<Option<Item<'a>>, WireError> {
        loop {
            while let Some(field) = self.scope.next()? {
                let Some(bytes) = field.value.bytes() else { continue };
                match field.number {
                    1 => self.context.scope = bytes,
                    2 => {
                        let start = self.scope.offset() - bytes.len();
                        return Ok(Some(Item { context: self.contexts.saturating_sub(1), start, bytes }));
                    }
                    3 => self.context.scope_schema_url = bytes,
                    _ => {}
                }
            }
            if !self.next_scope()? && !self.next_resource()? {
                return Ok(None);
            }
        }
    }

    /// The context of the item that was answered last.
    #[must_use]
    pub const fn context(&self) -> Context<'a> {
        self.context
    }

    fn next_scope(&mut self) -> Result<bool, WireError> {
        while let Some(field) = self.resource.next()? {
            let Some(bytes) = field.value.bytes() else { continue };
            match field.number {
                1 => self.context.resource = bytes,
                2 => {
                    self.scope = Reader::with_base(bytes, self.resource.offset() - bytes.len());
                    self.context.scope = &[];
                    self.context.scope_schema_url = &[];
                    self.contexts = self.contexts.saturating_add(1);
                    return Ok(true);
                }
                3 => self.context.resource_schema_url = bytes,
                _ => {}
            }
        }
        Ok(false)
    }

    fn next_resource(&mut self) -> Result<bool, WireError> {
        while let Some(field) = self.request.next()? {
            if let (1, Some(bytes)) = (field.number, field.value.bytes()) {
                self.resource = Reader::with_base(bytes, self.request.offset() - bytes.len());
                self.context = Context::default();
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The trace id of an item; `None` if it has none (metrics never have), or one that is malformed or zero.
#[must_use]
pub fn item_trace_id(signal: Signal, item: &[u8]) -> Option<TraceId> {
    let number = match signal {
        Signal::Traces => 1,
        Signal::Logs => 9,
        Signal::Metrics => return None,
    };
    let mut reader = Reader::new(item);
    let mut id: &[u8] = &[];
    while let Ok(Some(field)) = reader.next() {
        if let (true, Some(bytes)) = (field.number == number, field.value.bytes()) {
            id = bytes;
        }
    }
    TraceId::from_slice(id).filter(|id| !id.is_zero())
}

/// How many items of the ledger an item is: 1 for a span or log record, the number of its data points for a metric.
#[must_use]
pub fn item_count(signal: Signal, item: &[u8]) -> u64 {
    match signal {
        Signal::Traces | Signal::Logs => 1,
        Signal::Metrics => data_points(item),
    }
}

/// The points of the data that count: the last kind on the wire, whose repetitions are merged (protobuf's `oneof`).
fn data_points(metric: &[u8]) -> u64 {
    let (mut kind, mut points) = (0, 0);
    let mut reader = Reader::new(metric);
    while let Ok(Some(field)) = reader.next() {
        let (5 | 7 | 9 | 10 | 11, Some(data)) = (field.number, field.value.bytes()) else { continue };
        if field.number != kind {
            (kind, points) = (field.number, 0);
        }
        let mut data = Reader::new(data);
        while let Ok(Some(field)) = data.next() {
            points += u64::from(field.number == 1);
        }
    }
    points
}

/// Key and text of a `KeyValue` in the form that nearly all have: one key, then one value that is one string.
#[must_use]
#[inline]
pub fn plain_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, rest) = delimited(pair, 0x0a)?;
    let (value, []) = delimited(rest, 0x12)? else { return None };
    let (text, []) = delimited(value, 0x0a)? else { return None };
    Some((key, text))
}

/// The payload of the field that `bytes` begins with, if it has this one-byte tag and at most two bytes of length.
#[inline]
fn delimited(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes {
        [first, low @ 0..0x80, rest @ ..] if *first == tag => (usize::from(*low), rest),
        [first, low, high @ 0..0x80, rest @ ..] if *first == tag => (usize::from(*low & 0x7f) | usize::from(*high) << 7, rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::put_len;

    fn message(fields: &[(u32, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, bytes) in fields {
            put_len(&mut out, *number, bytes);
        }
        out
    }

    #[test]
    fn each_item_comes_with_its_own_context() {
        let scope = message(&[(1, b"s"), (3, b"su"), (2, b"i1"), (2, b"i2")]);
        let bare = message(&[(2, b"i3")]);
        let one = message(&[(1, b"r"), (3, b"ru"), (2, &scope), (2, b""), (2, &bare)]);
        let two = message(&[(2, &bare)]);
        let payload = message(&[(1, &one), (1, b""), (1, &two)]);
        let mut items = Items::new(&payload);
        let mut seen = Vec::new();
        while let Some(item) = items.next().unwrap() {
            let Context { resource, resource_schema_url, scope, scope_schema_url } = items.context();
            seen.push((item.context, [item.bytes, resource, resource_schema_url, scope, scope_schema_url]));
        }
        let expected: [(u32, [&[u8]; 5]); 4] = [
            (0, [b"i1", b"r", b"ru", b"s", b"su"]),
            (0, [b"i2", b"r", b"ru", b"s", b"su"]),
            (2, [b"i3", b"r", b"ru", b"", b""]),
            (3, [b"i3", b"", b"", b"", b""]),
        ];
        assert_eq!(seen, expected);
        assert_eq!(items.next(), Ok(None));
    }

    #[test]
    fn a_truncated_payload_is_an_error_and_never_a_shorter_one() {
        let payload = message(&[(1, &message(&[(2, &message(&[(2, b"item")]))]))]);
        for length in 1..payload.len() {
            assert!(Items::new(&payload[..length]).next().is_err(), "{length}");
        }
    }

    #[test]
    fn the_last_trace_id_counts_and_a_zero_one_is_none() {
        let (zero, one, two) = ([0; 16], [1; 16], [2; 16]);
        let id = |signal, fields: &[(u32, &[u8])]| item_trace_id(signal, &message(fields));
        assert_eq!(id(Signal::Traces, &[(1, &one), (5, b"n"), (1, &two)]), Some(TraceId(two)));
        assert_eq!(id(Signal::Logs, &[(9, &one), (1, &two)]), Some(TraceId(one)));
        assert_eq!(id(Signal::Traces, &[(1, &zero)]), None);
        assert_eq!(id(Signal::Traces, &[(1, &one[..15])]), None);
        assert_eq!(id(Signal::Metrics, &[(1, &one)]), None);
        assert_eq!(item_trace_id(Signal::Traces, b"\x0a\x7f"), None);
    }

    #[test]
    fn a_metric_counts_the_points_of_its_last_kind_of_data() {
        let points = |n: usize| message(&vec![(1, &b""[..]); n]);
        let (one, two) = (points(1), points(2));
        let count = |fields: &[(u32, &[u8])]| item_count(Signal::Metrics, &message(fields));
        assert_eq!(count(&[(1, b"name")]), 0);
        assert_eq!(count(&[(5, &one), (5, &two)]), 3);
        assert_eq!(count(&[(5, &two), (7, &one)]), 1);
        assert_eq!(count(&[(5, &two), (7, &one), (5, &one)]), 1);
        assert_eq!(item_count(Signal::Traces, b""), 1);
    }
}
