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
                    2 => return Ok(Some(Item { context: self.contexts.saturating_sub(1), bytes })),
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
                    self.scope = Reader::new(bytes);
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
                self.resource = Reader::new(bytes);
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
