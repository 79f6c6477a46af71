//! `logs`: one row a log record.

use spanlake_otlp::wire::{Reader, Value, WireError};

use crate::attributes::{self, Attribute};
use crate::columns::{Columns, saturate};
use crate::context::{ContextColumns, Prepared};
use crate::file::{FileMeta, FileWriter, TableError, TableFile};
use crate::items::{Item, context_of};
use crate::promote::{LOG, Promoter};
use crate::schema::{LOGS, SCHEMA_VERSION, position};
use crate::text::{AnyValue, Arena, Hex};

macro_rules! at {
    ($name:literal) => {{
        const AT: usize = position(LOGS.columns, $name);
        AT
    }};
}

/// A log record's fields except its attributes.
#[derive(Debug, Clone, Copy)]
struct Head<'a> {
    time: u64,
    observed: u64,
    severity_number: u64,
    severity_text: &'a [u8],
    body: AnyValue<'a>,
    flags: u32,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a [u8],
}

impl<'a> Head<'a> {
    fn read(message: &'a [u8], mut attribute: impl FnMut(&'a [u8]) -> Result<(), WireError>) -> Result<Self, WireError> {
        let mut head = Self {
            time: 0,
            observed: 0,
            severity_number: 0,
            severity_text: &[],
            body: AnyValue::Empty,
            flags: 0,
            trace_id: &[],
            span_id: &[],
            event_name: &[],
        };
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Fixed64(nanos)) => head.time = nanos,
                (2, Value::Varint(number)) => head.severity_number = number,
                (3, Value::Len(bytes)) => head.severity_text = bytes,
                (5, Value::Len(bytes)) => head.body = AnyValue::read(bytes)?,
                (6, Value::Len(bytes)) => attribute(bytes)?,
                (8, Value::Fixed32(flags)) => head.flags = flags,
                (9, Value::Len(bytes)) => head.trace_id = bytes,
                (10, Value::Len(bytes)) => head.span_id = bytes,
                (11, Value::Fixed64(nanos)) => head.observed = nanos,
                (12, Value::Len(bytes)) => head.event_name = bytes,
                _ => {}
            }
        }
        Ok(head)
    }

    /// When it happened or, if the source did not say, was observed, as the OTLP log data model recommends.
    const fn time(&self) -> u64 {
        if self.time == 0 { self.observed } else { self.time }
    }
}

/// Writes log records in the order (service, time).
pub(crate) fn write(
    contexts: &[Option<Prepared>],
    items: &[Item<'_>],
    meta: &FileMeta<'_>,
) -> Result<Vec<TableFile>, TableError> {
    let mut bad_items = 0;
    let mut order = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match (context_of(contexts, item), Head::read(item.bytes, |_| Ok(()))) {
            (Some(context), Ok(head)) => order.push((context.service_rank, head.time(), index)),
            _ => bad_items += 1,
        }
    }
    order.sort_unstable();
    let mut file = FileWriter::new(&LOGS, meta)?;
    let mut promoter = Promoter::new(LOG, LOGS.columns);
    let mut arena = Arena::default();
    let mut group = Vec::new();
    for (.., index) in order {
        let Some(item) = items.get(index) else { continue };
        let Some(context) = context_of(contexts, item) else { continue };
        if write_row(&mut file.columns, item, &mut arena, &mut group, &mut promoter).is_err() {
            bad_items += 1;
            continue;
        }
        context.write(&mut file.columns, const { ContextColumns::of(LOGS.columns) });
        file.end_row()?;
    }
    file.finish_all(bad_items)
}

/// Sets nothing if the record is malformed.
fn write_row<'a>(
    columns: &mut Columns,
    item: &Item<'a>,
    arena: &mut Arena,
    group: &mut Vec<Attribute<'a>>,
    promoter: &mut Promoter,
) -> Result<(), WireError> {
    arena.clear();
    group.clear();
    let head = Head::read(item.bytes, |bytes| {
        group.push(attributes::read(bytes, arena)?);
        Ok(())
    })?;
    let body = arena.value(head.body)?;
    attributes::sort(group, arena);

    let time = saturate(head.time());
    columns.set_time(at!("time"), time);
    columns.set_i64(at!("time_unix_nano"), time);
    if head.observed != 0 {
        columns.set_u64(at!("observed_unix_nano"), head.observed);
    }
    columns.set_id(at!("trace_id"), Hex::of::<16>(head.trace_id).as_ref());
    columns.set_id(at!("span_id"), Hex::of::<8>(head.span_id).as_ref());
    columns.set_int(at!("flags"), i64::from(head.flags));
    columns.set_int(at!("severity_number"), saturate(head.severity_number));
    for (at, bytes) in [(at!("severity_text"), head.severity_text), (at!("event_name"), head.event_name)] {
        let text = arena.utf8(bytes);
        columns.set_nonempty(at, arena.get(text));
    }
    columns.set_option(at!("body"), body.map(|body| arena.get(body)));
    columns.set_option(at!("body_type"), head.body.type_name());
    promoter.promote(group, arena, false, |at, value| value.set(columns, at));
    attributes::write(group, arena, columns.map(at!("attributes")));
    columns.set_nonempty(at!("sampling_policy"), item.sampling.policy);
    columns.set_f64(at!("sampling_weight"), item.sampling.weight);
    columns.set_time(at!("ingest_time"), item.arrival_nanos);
    columns.set_int(at!("schema_version"), i64::from(SCHEMA_VERSION));
    Ok(())
}
