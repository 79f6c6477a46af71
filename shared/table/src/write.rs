//! Items of one signal into the files of its tables.

use spanlake_model::Signal;

use crate::context::Parsed;
use crate::file::{FileMeta, TableError, TableFile};
use crate::promote::{Promotions, RESOURCE_RULES};
use crate::{logs, metrics, spans};

/// What items have in common.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// A `Resource` message.
    pub resource: &'a [u8],
    /// The resource's schema URL; not stored.
    pub resource_schema_url: &'a str,
    /// An `InstrumentationScope` message.
    pub scope: &'a [u8],
    /// The scope's schema URL; not stored.
    pub scope_schema_url: &'a str,
}

/// How an item came through sampling.
#[derive(Debug, Clone, Copy)]
pub struct Sampling<'a> {
    /// The policy that kept it.
    pub policy: &'a str,
    /// How many items it stands for.
    pub weight: f64,
    /// Whether it came after its trace was decided.
    pub is_late: bool,
}

/// A span, log record or metric.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// Its place among the contexts.
    pub context: u32,
    /// A `Span`, `LogRecord` or `Metric` message.
    pub bytes: &'a [u8],
    /// When it arrived, nanoseconds since 1970.
    pub arrival_nanos: i64,
    /// How it came through sampling; not stored for metrics.
    pub sampling: Sampling<'a>,
}

/// What came of items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// One file of `spans` or `logs`, or up to four of metrics; none without rows.
    pub files: Vec<TableFile>,
    /// Items left out because their bytes, or their context's, are no such message. Ingest refuses these.
    pub bad_items: u64,
    /// Times and counts that were too large for a `bigint` and are stored as the largest one.
    pub saturated: u64,
}

/// Writes items of a signal to the files of its tables. Rows are in the tables' sort order, equal ones in input order.
///
/// # Errors
/// [`TableError`] only for faults of the program. Malformed items are left out and counted.
pub fn write_items(
    signal: Signal,
    contexts: &[Context<'_>],
    items: &[Item<'_>],
    meta: &FileMeta<'_>,
) -> Result<Written, TableError> {
    write(signal, contexts, items, Some(meta))
}

/// Builds the rows that [`write_items`] would write, in Arrow, and encodes none of them: the files that come back have no
/// bytes. This is all that an item's own bytes decide on, for checks of many hostile ones.
///
/// # Errors
/// As [`write_items`].
pub fn build_items(signal: Signal, contexts: &[Context<'_>], items: &[Item<'_>]) -> Result<Written, TableError> {
    write(signal, contexts, items, None)
}

fn write(
    signal: Signal,
    contexts: &[Context<'_>],
    items: &[Item<'_>],
    meta: Option<&FileMeta<'_>>,
) -> Result<Written, TableError> {
    let contexts = Contexts::read(contexts);
    match signal {
        Signal::Traces => spans::write(&contexts, items, meta),
        Signal::Logs => logs::write(&contexts, items, meta),
        Signal::Metrics => metrics::write(&contexts, items, meta),
    }
}

/// All contexts, parsed; `None` for a malformed one.
pub(crate) struct Contexts {
    parsed: Vec<Option<Parsed>>,
    /// For each context the place of its service among all services, sorted: cheaper to compare than names.
    service_ranks: Vec<u32>,
}

impl Contexts {
    fn read(contexts: &[Context<'_>]) -> Self {
        let promotions = Promotions::new(RESOURCE_RULES);
        let parsed: Vec<_> = contexts.iter().map(|context| Parsed::read(context, &promotions).ok()).collect();
        let services: Vec<_> = parsed.iter().map(|context| context.as_ref().and_then(Parsed::service)).collect();
        let mut sorted = services.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let rank = |service| u32::try_from(sorted.binary_search(service).unwrap_or_default()).unwrap_or(u32::MAX);
        let service_ranks = services.iter().map(rank).collect();
        Self { parsed, service_ranks }
    }

    pub(crate) fn get(&self, item: &Item<'_>) -> Option<&Parsed> {
        self.parsed.get(item.context as usize)?.as_ref()
    }

    pub(crate) fn service_rank(&self, item: &Item<'_>) -> u32 {
        self.service_ranks.get(item.context as usize).copied().unwrap_or_default()
    }

    /// About how many bytes a row of this item takes.
    pub(crate) fn row_bytes(&self, item: &Item<'_>) -> usize {
        self.get(item).map_or(0, |context| context.bytes) + item.bytes.len()
    }
}

/// Numbers that OTLP has without a sign and the lake with one: saturated and counted.
#[derive(Debug, Default)]
pub(crate) struct Saturating {
    pub(crate) count: u64,
}

impl Saturating {
    pub(crate) fn bigint(&mut self, value: u64) -> i64 {
        i64::try_from(value).unwrap_or_else(|_| {
            self.count += 1;
            i64::MAX
        })
    }
}

/// An enumeration's value as it stands on the wire.
#[expect(clippy::cast_possible_truncation, reason = "protobuf: an int32 is the low 32 bits of its varint")]
pub(crate) const fn int32(varint: u64) -> i32 {
    varint as i32
}

/// A `uint32` as it stands on the wire.
#[expect(clippy::cast_possible_truncation, reason = "protobuf: a uint32 is the low 32 bits of its varint")]
pub(crate) const fn uint32(varint: u64) -> u32 {
    varint as u32
}

/// A zigzag `sint32`.
pub(crate) const fn sint32(varint: u64) -> i32 {
    let bits = uint32(varint);
    (bits >> 1).cast_signed() ^ -(bits & 1).cast_signed()
}

/// An enumeration's word; the number itself where no word is known.
pub(crate) fn word<'w>(words: &[&'w str], number: i32, buffer: &'w mut String) -> &'w str {
    if let Some(word) = usize::try_from(number).ok().and_then(|place| words.get(place)) {
        return word;
    }
    *buffer = number.to_string();
    buffer
}
