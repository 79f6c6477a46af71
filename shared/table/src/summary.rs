//! The row of `traces` for the spans of one trace.

use std::borrow::Cow;
use std::collections::BTreeSet;

use spanlake_otlp::wire::{Reader, Value};

use crate::any::{Any, Attribute, lossy};
use crate::derived::TraceRow;
use crate::spans::Span;

/// What is known of a trace beside its spans.
#[derive(Debug, Clone, Copy)]
pub struct TraceFacts<'a> {
    /// 16 bytes.
    pub trace_id: &'a [u8],
    /// The policy that kept it.
    pub policy: &'a str,
    /// How many traces it stands for.
    pub weight: f64,
    /// Whether nothing of it is missing, as far as the pipeline knows.
    pub is_complete: bool,
    /// When it arrived, nanoseconds since 1970.
    pub ingest_nanos: i64,
}

/// The `service.name` of a `Resource` message.
#[must_use]
pub fn service_name(resource: &[u8]) -> Option<Cow<'_, str>> {
    let mut name = None;
    let mut reader = Reader::new(resource);
    while let Ok(Some(field)) = reader.next() {
        if let (1, Value::Len(attribute)) = (field.number, field.value)
            && let Ok(attribute) = Attribute::read(attribute)
            && attribute.key == "service.name"
        {
            name = (attribute.value != Any::Empty).then(|| attribute.value.text());
        }
    }
    name
}

/// The row of a trace: `spans` are places among `services` (of their contexts, see [`service_name`]) and `Span` messages.
/// The root is the earliest span without a parent, or the earliest of all if each has one. Malformed spans are left out;
/// `None` if no span is left.
#[must_use]
pub fn trace_summary<'a>(
    services: &[Option<Cow<'a, str>>],
    spans: &[(u32, &'a [u8])],
    facts: TraceFacts<'a>,
) -> Option<TraceRow<'a>> {
    let mut row = TraceRow {
        trace_id: facts.trace_id,
        start_unix_nano: i64::MAX,
        end_unix_nano: i64::MIN,
        root_service: None,
        root_name: Cow::Borrowed(""),
        span_count: 0,
        error_count: 0,
        services: Vec::new(),
        policy: facts.policy,
        weight: facts.weight,
        is_complete: facts.is_complete,
        ingest_nanos: facts.ingest_nanos,
    };
    let mut seen = BTreeSet::new();
    let mut root: Option<((bool, u64), u32, &[u8])> = None;
    for (context, message) in spans {
        let Ok(span) = Span::read(message, |_, _| Ok(())) else { continue };
        row.span_count = row.span_count.saturating_add(1);
        row.error_count = row.error_count.saturating_add(u32::from(span.is_error()));
        row.start_unix_nano = row.start_unix_nano.min(saturate(span.start));
        // A span that ends before it starts still lasted to its start.
        row.end_unix_nano = row.end_unix_nano.max(saturate(span.end.max(span.start)));
        seen.insert(*context);
        let rank = (!span.is_root(), span.start);
        if root.is_none_or(|(best, _, _)| rank < best) {
            root = Some((rank, *context, span.name));
        }
    }
    let (_, context, name) = root?;
    row.root_service = service_of(services, context);
    row.root_name = lossy(name);
    let named: BTreeSet<_> = seen.into_iter().filter_map(|context| service_of(services, context)).collect();
    row.services = named.into_iter().collect();
    Some(row)
}

fn service_of<'a>(services: &[Option<Cow<'a, str>>], context: u32) -> Option<Cow<'a, str>> {
    services.get(context as usize).cloned().flatten()
}

fn saturate(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}
