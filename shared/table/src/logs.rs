//! Log records to the table `logs`.

use spanlake_otlp::wire::{Reader, Value, WireError};

use crate::any::{Any, lossy};
use crate::attributes::Attributes;
use crate::columns::Row;
use crate::context::Parsed;
use crate::file::{FileMeta, FileWriter, TableError};
use crate::promote::{LOG_RULES, Promotions};
use crate::schema::SCHEMA_VERSION;
use crate::write::{Contexts, Item, Saturating, Written, int32};

/// A log record's own fields, borrowed from the message.
#[derive(Default)]
struct Log<'a> {
    time: u64,
    observed: u64,
    severity_number: i32,
    severity_text: &'a [u8],
    body: Any<'a>,
    flags: u32,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a [u8],
}

impl<'a> Log<'a> {
    fn read(message: &'a [u8], mut attribute: impl FnMut(&'a [u8]) -> Result<(), WireError>) -> Result<Self, WireError> {
        let mut log = Self::default();
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Fixed64(nanos)) => log.time = nanos,
                (2, Value::Varint(number)) => log.severity_number = int32(number),
                (3, Value::Len(text)) => log.severity_text = text,
                (5, Value::Len(body)) => log.body = Any::read(body)?,
                (6, Value::Len(message)) => attribute(message)?,
                (8, Value::Fixed32(flags)) => log.flags = flags,
                (9, Value::Len(id)) => log.trace_id = id,
                (10, Value::Len(id)) => log.span_id = id,
                (11, Value::Fixed64(nanos)) => log.observed = nanos,
                (12, Value::Len(name)) => log.event_name = name,
                _ => {}
            }
        }
        Ok(log)
    }

    /// When it happened, or else when it was observed: sources that know no time of their own leave it zero.
    const fn best_time(&self) -> u64 {
        if self.time == 0 { self.observed } else { self.time }
    }

    fn write_head(&self, row: &mut Row<'_>, saturating: &mut Saturating) {
        row.timestamp(i64::try_from(self.best_time()).unwrap_or(i64::MAX));
        row.bigint(Some(saturating.bigint(self.time)));
        row.bigint(Some(saturating.bigint(self.observed)));
        row.hex(self.trace_id);
        row.hex(self.span_id);
        row.count(self.flags);
        row.int(Some(self.severity_number));
        row.text_or_null(&lossy(self.severity_text));
        row.text_or_null(&lossy(self.event_name));
        row.any(self.body);
        row.text(self.body.type_name());
    }
}

/// What is reused from record to record.
struct Scratch<'a> {
    attributes: Attributes<'a>,
    promotions: Promotions,
    saturating: Saturating,
}

impl<'a> Scratch<'a> {
    fn read(&mut self, message: &'a [u8]) -> Result<Log<'a>, WireError> {
        self.attributes.clear();
        let log = Log::read(message, |attribute| self.attributes.push(attribute))?;
        self.attributes.promote(&self.promotions, 0);
        Ok(log)
    }

    fn write(&mut self, row: &mut Row<'_>, log: &Log<'_>, context: &Parsed, item: &Item<'_>) {
        log.write_head(row, &mut self.saturating);
        context.write_place(row);
        self.attributes.write_promoted(&self.promotions, row);
        self.attributes.write_rest(row);
        context.write_rest(row);
        row.text_or_null(item.sampling.policy);
        row.double(Some(item.sampling.weight));
        row.timestamp(item.arrival_nanos);
        row.int(Some(SCHEMA_VERSION));
    }
}

pub(crate) fn write(contexts: &Contexts, items: &[Item<'_>], meta: Option<&FileMeta<'_>>) -> Result<Written, TableError> {
    let mut written = Written::default();
    let mut order = Vec::with_capacity(items.len());
    let mut bytes = 0;
    for (place, item) in items.iter().enumerate() {
        if let (Ok(log), Some(_)) = (Log::read(item.bytes, |_| Ok(())), contexts.get(item)) {
            order.push((contexts.service_rank(item), log.best_time(), place));
            bytes += contexts.row_bytes(item);
        } else {
            written.bad_items += 1;
        }
    }
    order.sort_unstable();
    if order.is_empty() {
        return Ok(written);
    }
    let mut file = FileWriter::new("logs", meta, order.len(), bytes)?;
    let mut scratch =
        Scratch { attributes: Attributes::new(), promotions: Promotions::new(LOG_RULES), saturating: Saturating::default() };
    for (_, _, place) in order {
        let Some(item) = items.get(place) else { continue };
        let (Ok(log), Some(context)) = (scratch.read(item.bytes), contexts.get(item)) else {
            written.bad_items += 1;
            continue;
        };
        file.row(contexts.row_bytes(item), |row| scratch.write(row, &log, context, item))?;
    }
    written.saturated = scratch.saturating.count;
    written.files.push(file.finish()?);
    Ok(written)
}
