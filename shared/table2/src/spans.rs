//! `spans`: one row a span.

use spanlake_otlp::wire::{Reader, Value, WireError};

use crate::attributes::{self, Attribute};
use crate::columns::{Columns, saturate};
use crate::context::{ContextColumns, Prepared};
use crate::file::{FileMeta, FileWriter, TableError, TableFile};
use crate::items::{Item, context_of};
use crate::promote::{Promoter, SPAN};
use crate::schema::{SPANS, position};
use crate::text::{Arena, Hex, Text};

/// The `SpanKind` that is a client.
const CLIENT: u64 = 3;
/// The `StatusCode` that is an error.
pub(crate) const ERROR: u64 = 2;

macro_rules! at {
    ($name:literal) => {{
        const AT: usize = position(SPANS.columns, $name);
        AT
    }};
}

/// The words of `SpanKind`; unknown numbers are unspecified.
pub(crate) const fn kind_name(kind: u64) -> &'static str {
    match kind {
        1 => "INTERNAL",
        2 => "SERVER",
        3 => "CLIENT",
        4 => "PRODUCER",
        5 => "CONSUMER",
        _ => "UNSPECIFIED",
    }
}

/// The words of `StatusCode`; unknown numbers are unset.
pub(crate) const fn status_name(code: u64) -> &'static str {
    match code {
        1 => "OK",
        2 => "ERROR",
        _ => "UNSET",
    }
}

/// A span's fields except those that nest.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) trace_id: &'a [u8],
    pub(crate) span_id: &'a [u8],
    pub(crate) parent_span_id: &'a [u8],
    trace_state: &'a [u8],
    pub(crate) name: &'a [u8],
    kind: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    flags: u32,
    dropped: [u64; 3],
    status_message: &'a [u8],
    pub(crate) status_code: u64,
}

impl<'a> Head<'a> {
    /// Reads a `Span` message and hands on its attributes, events and links, by field number.
    pub(crate) fn read(
        message: &'a [u8],
        mut nested: impl FnMut(u32, &'a [u8]) -> Result<(), WireError>,
    ) -> Result<Self, WireError> {
        let mut head = Self::default();
        let [attributes, events, links] = &mut head.dropped;
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Len(bytes)) => head.trace_id = bytes,
                (2, Value::Len(bytes)) => head.span_id = bytes,
                (3, Value::Len(bytes)) => head.trace_state = bytes,
                (4, Value::Len(bytes)) => head.parent_span_id = bytes,
                (5, Value::Len(bytes)) => head.name = bytes,
                (6, Value::Varint(kind)) => head.kind = kind,
                (7, Value::Fixed64(nanos)) => head.start = nanos,
                (8, Value::Fixed64(nanos)) => head.end = nanos,
                (10, Value::Varint(count)) => *attributes = count,
                (12, Value::Varint(count)) => *events = count,
                (14, Value::Varint(count)) => *links = count,
                (15, Value::Len(bytes)) => {
                    let mut status = Reader::new(bytes);
                    while let Some(field) = status.next()? {
                        match (field.number, field.value) {
                            (2, Value::Len(bytes)) => head.status_message = bytes,
                            (3, Value::Varint(code)) => head.status_code = code,
                            _ => {}
                        }
                    }
                }
                (16, Value::Fixed32(flags)) => head.flags = flags,
                (number @ (9 | 11 | 13), Value::Len(bytes)) => nested(number, bytes)?,
                _ => {}
            }
        }
        Ok(head)
    }
}

/// An event or a link, whose attributes lie in [`Scratch::nested`].
#[derive(Debug, Clone, Copy)]
struct Nested<'a> {
    /// An event's time.
    time: u64,
    /// An event's name, or a link's trace state.
    text: Text<'a>,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    attributes: (usize, usize),
}

/// What of the span at hand nests; reused from span to span.
#[derive(Debug, Default)]
struct Scratch<'a> {
    arena: Arena,
    attributes: Vec<Attribute<'a>>,
    group: Vec<Attribute<'a>>,
    nested: Vec<Attribute<'a>>,
    events: Vec<Nested<'a>>,
    links: Vec<Nested<'a>>,
}

impl<'a> Scratch<'a> {
    fn clear(&mut self) {
        self.arena.clear();
        self.attributes.clear();
        self.nested.clear();
        self.events.clear();
        self.links.clear();
    }

    fn read(&mut self, message: &'a [u8]) -> Result<Head<'a>, WireError> {
        self.clear();
        let head = Head::read(message, |number, bytes| {
            match number {
                9 => self.attributes.push(attributes::read(bytes, &mut self.arena)?),
                11 => {
                    let event = self.event(bytes)?;
                    self.events.push(event);
                }
                _ => {
                    let link = self.link(bytes)?;
                    self.links.push(link);
                }
            }
            Ok(())
        })?;
        attributes::sort(&mut self.attributes, &self.arena);
        Ok(head)
    }

    fn event(&mut self, message: &'a [u8]) -> Result<Nested<'a>, WireError> {
        let mut event = Nested { time: 0, text: Text::Wire(""), trace_id: &[], span_id: &[], attributes: (0, 0) };
        self.group.clear();
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Fixed64(nanos)) => event.time = nanos,
                (2, Value::Len(bytes)) => event.text = self.arena.utf8(bytes),
                (3, Value::Len(bytes)) => self.group.push(attributes::read(bytes, &mut self.arena)?),
                _ => {}
            }
        }
        event.attributes = self.end_group();
        Ok(event)
    }

    fn link(&mut self, message: &'a [u8]) -> Result<Nested<'a>, WireError> {
        let mut link = Nested { time: 0, text: Text::Wire(""), trace_id: &[], span_id: &[], attributes: (0, 0) };
        self.group.clear();
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Len(bytes)) => link.trace_id = bytes,
                (2, Value::Len(bytes)) => link.span_id = bytes,
                (3, Value::Len(bytes)) => link.text = self.arena.utf8(bytes),
                (4, Value::Len(bytes)) => self.group.push(attributes::read(bytes, &mut self.arena)?),
                _ => {}
            }
        }
        link.attributes = self.end_group();
        Ok(link)
    }

    fn end_group(&mut self) -> (usize, usize) {
        attributes::sort(&mut self.group, &self.arena);
        let start = self.nested.len();
        self.nested.append(&mut self.group);
        (start, self.nested.len())
    }

    fn of(&self, range: (usize, usize)) -> &[Attribute<'a>] {
        self.nested.get(range.0..range.1).unwrap_or_default()
    }

    /// The attribute of the first event called `exception`.
    fn of_exception(&self, key: &str) -> Option<&str> {
        let event = self.events.iter().find(|event| self.arena.get(event.text) == "exception")?;
        let attribute = self.of(event.attributes).iter().find(|attribute| self.arena.get(attribute.key) == key)?;
        attribute.value.map(|value| self.arena.get(value))
    }

    fn write_nested(&self, columns: &mut Columns) {
        if let Some(events) = columns.list(at!("events")) {
            for event in &self.events {
                events.set_u64(0, event.time);
                events.set_str(1, self.arena.get(event.text));
                attributes::write(self.of(event.attributes), &self.arena, events.map(2));
                events.end_row();
            }
        }
        if let Some(links) = columns.list(at!("links")) {
            for link in &self.links {
                links.set_id(0, Hex::of::<16>(link.trace_id).as_ref());
                links.set_id(1, Hex::of::<8>(link.span_id).as_ref());
                links.set_nonempty(2, self.arena.get(link.text));
                attributes::write(self.of(link.attributes), &self.arena, links.map(3));
                links.end_row();
            }
        }
    }
}

/// Writes spans in the order (service, name, start).
pub(crate) fn write(
    contexts: &[Option<Prepared>],
    items: &[Item<'_>],
    meta: &FileMeta<'_>,
) -> Result<Vec<TableFile>, TableError> {
    let mut bad_items = 0;
    let mut order = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let head = Head::read(item.bytes, |_, _| Ok(())).ok();
        let head = head.filter(|head| Hex::of::<16>(head.trace_id).is_some() && Hex::of::<8>(head.span_id).is_some());
        match (context_of(contexts, item), head) {
            (Some(context), Some(head)) => order.push((context.service_rank, head.name, head.start, index)),
            _ => bad_items += 1,
        }
    }
    order.sort_unstable();
    let mut file = FileWriter::new(&SPANS, meta)?;
    let mut promoter = Promoter::new(SPAN, SPANS.columns);
    let mut scratch = Scratch::default();
    for (.., index) in order {
        let Some(item) = items.get(index) else { continue };
        let Some(context) = context_of(contexts, item) else { continue };
        match scratch.read(item.bytes) {
            Ok(head) => {
                write_head(&mut file.columns, &head, &mut scratch.arena);
                context.write(&mut file.columns, const { ContextColumns::of(SPANS.columns) });
                write_attributes(&mut file.columns, head.kind == CLIENT, &mut scratch, &mut promoter);
                scratch.write_nested(&mut file.columns);
                write_sampling(&mut file.columns, item);
                file.end_row()?;
            }
            Err(_) => bad_items += 1,
        }
    }
    file.finish_all(bad_items)
}

fn write_head(columns: &mut Columns, head: &Head<'_>, arena: &mut Arena) {
    let start = saturate(head.start);
    columns.set_time(at!("start_time"), start);
    columns.set_i64(at!("start_unix_nano"), start);
    columns.set_u64(at!("duration_nano"), head.end.saturating_sub(head.start));
    columns.set_id(at!("trace_id"), Hex::of::<16>(head.trace_id).as_ref());
    columns.set_id(at!("span_id"), Hex::of::<8>(head.span_id).as_ref());
    let parent = Hex::of::<8>(head.parent_span_id);
    columns.set_id(at!("parent_span_id"), parent.as_ref());
    for (at, bytes) in [(at!("trace_state"), head.trace_state), (at!("status_message"), head.status_message)] {
        let text = arena.utf8(bytes);
        columns.set_nonempty(at, arena.get(text));
    }
    let name = arena.utf8(head.name);
    columns.set_str(at!("name"), arena.get(name));
    columns.set_int(at!("flags"), i64::from(head.flags));
    columns.set_str(at!("kind"), kind_name(head.kind));
    columns.set_str(at!("status_code"), status_name(head.status_code));
    columns.set_bool(at!("is_root"), parent.is_none());
    columns.set_bool(at!("is_error"), head.status_code == ERROR);
    let [attributes, events, links] = head.dropped.map(saturate);
    columns.set_int(at!("dropped_attributes_count"), attributes);
    columns.set_int(at!("dropped_events_count"), events);
    columns.set_int(at!("dropped_links_count"), links);
}

fn write_attributes(columns: &mut Columns, is_client: bool, scratch: &mut Scratch<'_>, promoter: &mut Promoter) {
    let (mut has_type, mut has_message) = (false, false);
    promoter.promote(&mut scratch.attributes, &scratch.arena, is_client, |at, value| {
        has_type |= at == at!("exception_type");
        has_message |= at == at!("exception_message");
        value.set(columns, at);
    });
    attributes::write(&scratch.attributes, &scratch.arena, columns.map(at!("attributes")));
    if !has_type {
        columns.set_option(at!("exception_type"), scratch.of_exception("exception.type"));
    }
    if !has_message {
        columns.set_option(at!("exception_message"), scratch.of_exception("exception.message"));
    }
}

fn write_sampling(columns: &mut Columns, item: &Item<'_>) {
    columns.set_nonempty(at!("sampling_policy"), item.sampling.policy);
    columns.set_f64(at!("sampling_weight"), item.sampling.weight);
    columns.set_bool(at!("is_late"), item.sampling.is_late);
    columns.set_time(at!("ingest_time"), item.arrival_nanos);
    columns.set_int(at!("schema_version"), i64::from(crate::schema::SCHEMA_VERSION));
}
