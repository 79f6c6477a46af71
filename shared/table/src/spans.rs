//! Spans to the table `spans`.

use std::borrow::Cow;
use std::collections::HashMap;

use spanlake_otlp::wire::{Reader, Value, WireError};

use crate::any::{Attribute, lossy, sort_distinct};
use crate::attributes::Attributes;
use crate::columns::Row;
use crate::context::Parsed;
use crate::file::{FileMeta, FileWriter, TableError};
use crate::promote::{Promotions, SPAN_RULES};
use crate::schema::SCHEMA_VERSION;
use crate::write::{Contexts, Item, Saturating, Written, int32, uint32, word};

const KINDS: &[&str] = &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
const STATUSES: &[&str] = &["UNSET", "OK", "ERROR"];
const STATUS_ERROR: i32 = 2;

/// A span's own fields, borrowed from the message.
#[derive(Default)]
#[expect(clippy::struct_field_names, reason = "OTLP's own names")]
pub(crate) struct Span<'a> {
    pub(crate) trace_id: &'a [u8],
    pub(crate) span_id: &'a [u8],
    pub(crate) parent_span_id: &'a [u8],
    trace_state: &'a [u8],
    flags: u32,
    pub(crate) name: &'a [u8],
    kind: i32,
    pub(crate) start: u64,
    pub(crate) end: u64,
    dropped: [u32; 3],
    status: i32,
    status_message: &'a [u8],
}

impl<'a> Span<'a> {
    /// Reads a span; its attributes, events and links go to `visit` with their field numbers.
    pub(crate) fn read(
        message: &'a [u8],
        mut visit: impl FnMut(u32, &'a [u8]) -> Result<(), WireError>,
    ) -> Result<Self, WireError> {
        let mut span = Self::default();
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Len(id)) => span.trace_id = id,
                (2, Value::Len(id)) => span.span_id = id,
                (3, Value::Len(text)) => span.trace_state = text,
                (4, Value::Len(id)) => span.parent_span_id = id,
                (5, Value::Len(name)) => span.name = name,
                (6, Value::Varint(kind)) => span.kind = int32(kind),
                (7, Value::Fixed64(nanos)) => span.start = nanos,
                (8, Value::Fixed64(nanos)) => span.end = nanos,
                (10, Value::Varint(count)) => span.dropped[0] = uint32(count),
                (12, Value::Varint(count)) => span.dropped[1] = uint32(count),
                (14, Value::Varint(count)) => span.dropped[2] = uint32(count),
                (number @ (9 | 11 | 13), Value::Len(message)) => visit(number, message)?,
                (15, Value::Len(status)) => span.read_status(status)?,
                (16, Value::Fixed32(flags)) => span.flags = flags,
                _ => {}
            }
        }
        Ok(span)
    }

    fn read_status(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (2, Value::Len(text)) => self.status_message = text,
                (3, Value::Varint(code)) => self.status = int32(code),
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) const fn is_root(&self) -> bool {
        self.parent_span_id.is_empty()
    }

    pub(crate) const fn is_error(&self) -> bool {
        self.status == STATUS_ERROR
    }

    /// An end before its start is no duration, and neither is a wrapped difference.
    fn duration(&self, saturating: &mut Saturating) -> Option<i64> {
        self.end.checked_sub(self.start).map(|nanos| saturating.bigint(nanos))
    }

    fn write_head(&self, row: &mut Row<'_>, saturating: &mut Saturating) {
        let start = saturating.bigint(self.start);
        row.timestamp(start);
        row.bigint(Some(start));
        row.bigint(self.duration(saturating));
        row.hex(self.trace_id);
        row.hex(self.span_id);
        row.hex(self.parent_span_id);
        row.text_or_null(&lossy(self.trace_state));
        row.count(self.flags);
        row.text(Some(&lossy(self.name)));
        row.text(Some(word(KINDS, self.kind, &mut String::new())));
        row.text(Some(word(STATUSES, self.status, &mut String::new())));
        row.text_or_null(&lossy(self.status_message));
        row.boolean(Some(self.is_root()));
        row.boolean(Some(self.is_error()));
    }
}

/// An event or a link (whose trace state stands in `name`).
struct Nested<'a> {
    time: u64,
    name: &'a [u8],
    trace_id: &'a [u8],
    span_id: &'a [u8],
    attributes: Vec<Attribute<'a>>,
}

impl<'a> Nested<'a> {
    fn event(message: &'a [u8]) -> Result<Self, WireError> {
        let mut event = Self { time: 0, name: &[], trace_id: &[], span_id: &[], attributes: Vec::new() };
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Fixed64(nanos)) => event.time = nanos,
                (2, Value::Len(name)) => event.name = name,
                (3, Value::Len(attribute)) => event.attributes.push(Attribute::read(attribute)?),
                _ => {}
            }
        }
        sort_distinct(&mut event.attributes);
        Ok(event)
    }

    fn link(message: &'a [u8]) -> Result<Self, WireError> {
        let mut link = Self { time: 0, name: &[], trace_id: &[], span_id: &[], attributes: Vec::new() };
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Len(id)) => link.trace_id = id,
                (2, Value::Len(id)) => link.span_id = id,
                (3, Value::Len(state)) => link.name = state,
                (4, Value::Len(attribute)) => link.attributes.push(Attribute::read(attribute)?),
                _ => {}
            }
        }
        sort_distinct(&mut link.attributes);
        Ok(link)
    }

    fn attribute(&self, key: &str) -> Option<Cow<'a, str>> {
        let place = self.attributes.binary_search_by(|attribute| (*attribute.key).cmp(key)).ok()?;
        self.attributes.get(place).map(|attribute| attribute.value.text())
    }
}

/// What is reused from span to span.
struct Scratch<'a> {
    attributes: Attributes<'a>,
    events: Vec<Nested<'a>>,
    links: Vec<Nested<'a>>,
    promotions: Promotions,
    exception: [Option<usize>; 2],
    saturating: Saturating,
}

impl<'a> Scratch<'a> {
    fn new() -> Self {
        let promotions = Promotions::new(SPAN_RULES);
        Self {
            attributes: Attributes::new(),
            events: Vec::new(),
            links: Vec::new(),
            exception: ["exception_type", "exception_message"].map(|column| promotions.column(column)),
            promotions,
            saturating: Saturating::default(),
        }
    }

    fn read(&mut self, message: &'a [u8]) -> Result<Span<'a>, WireError> {
        self.attributes.clear();
        self.events.clear();
        self.links.clear();
        let span = Span::read(message, |number, message| {
            match number {
                9 => self.attributes.push(message)?,
                11 => self.events.push(Nested::event(message)?),
                _ => self.links.push(Nested::link(message)?),
            }
            Ok(())
        })?;
        self.attributes.promote(&self.promotions, span.kind);
        if let Some(exception) = self.events.iter().find(|event| event.name == b"exception") {
            for (rule, key) in self.exception.iter().zip(["exception.type", "exception.message"]) {
                if let (Some(rule), Some(text)) = (rule, exception.attribute(key)) {
                    self.attributes.fill(*rule, text);
                }
            }
        }
        Ok(span)
    }

    fn write(&mut self, row: &mut Row<'_>, span: &Span<'a>, context: &Parsed, item: &Item<'_>) {
        span.write_head(row, &mut self.saturating);
        context.write_place(row);
        self.attributes.write_promoted(&self.promotions, row);
        self.attributes.write_rest(row);
        context.write_rest(row);
        let saturating = &mut self.saturating;
        row.list(&self.events, |row, event| {
            row.bigint(Some(saturating.bigint(event.time)));
            row.text(Some(&lossy(event.name)));
            row.attributes(&event.attributes);
        });
        row.list(&self.links, |row, link| {
            row.hex(link.trace_id);
            row.hex(link.span_id);
            row.text_or_null(&lossy(link.name));
            row.attributes(&link.attributes);
        });
        for dropped in span.dropped {
            row.count(dropped);
        }
        row.text_or_null(item.sampling.policy);
        row.double(Some(item.sampling.weight));
        row.boolean(Some(item.sampling.is_late));
        row.timestamp(item.arrival_nanos);
        row.int(Some(SCHEMA_VERSION));
    }
}

/// Where a span stands in its file: the ranks of its service and name, its start, its place among the items.
type Order = (u32, u32, u64, usize);

/// Names of spans, which are few: numbers are cheaper to compare.
#[derive(Default)]
struct Names<'a>(HashMap<&'a [u8], u32>);

impl<'a> Names<'a> {
    /// The number of a name, in the order in which names came.
    fn number(&mut self, name: &'a [u8]) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(name).or_insert(next)
    }

    /// Puts the place among the sorted names where the number is.
    fn rank(&self, order: &mut [Order]) {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_unstable();
        let mut ranks = vec![0; sorted.len()];
        for (rank, (_, number)) in (0..).zip(sorted) {
            if let Some(slot) = ranks.get_mut(*number as usize) {
                *slot = rank;
            }
        }
        for (_, name, _, _) in order {
            *name = ranks.get(*name as usize).copied().unwrap_or_default();
        }
    }
}

pub(crate) fn write(contexts: &Contexts, items: &[Item<'_>], meta: Option<&FileMeta<'_>>) -> Result<Written, TableError> {
    let mut written = Written::default();
    let mut order: Vec<Order> = Vec::with_capacity(items.len());
    let mut names = Names::default();
    let mut bytes = 0;
    for (place, item) in items.iter().enumerate() {
        let read = Span::read(item.bytes, |_, _| Ok(()));
        if let (Ok(span), Some(_)) = (read, contexts.get(item)) {
            order.push((contexts.service_rank(item), names.number(span.name), span.start, place));
            bytes += contexts.row_bytes(item);
        } else {
            written.bad_items += 1;
        }
    }
    names.rank(&mut order);
    order.sort_unstable();
    if order.is_empty() {
        return Ok(written);
    }
    let mut file = FileWriter::new("spans", meta, order.len(), bytes)?;
    let mut scratch = Scratch::new();
    for (_, _, _, place) in order {
        let Some(item) = items.get(place) else { continue };
        let (Ok(span), Some(context)) = (scratch.read(item.bytes), contexts.get(item)) else {
            written.bad_items += 1;
            continue;
        };
        file.row(contexts.row_bytes(item), |row| scratch.write(row, &span, context, item))?;
    }
    written.saturated = scratch.saturating.count;
    written.files.push(file.finish()?);
    Ok(written)
}

/// The word of an OTLP `SpanKind`, as in `spans.kind`.
#[must_use]
pub fn kind_name(kind: u8) -> &'static str {
    KINDS.get(usize::from(kind)).copied().unwrap_or("UNSPECIFIED")
}

/// The word of an OTLP `StatusCode`, as in `spans.status_code`.
#[must_use]
pub fn status_name(status: u8) -> &'static str {
    STATUSES.get(usize::from(status)).copied().unwrap_or("UNSET")
}
