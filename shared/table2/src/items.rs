//! Items as they lie on the wire, and the tables they go to.

use spanlake_model::Signal;

use crate::context;
use crate::file::{FileMeta, TableError, TableFile};
use crate::{logs, metrics, spans};

/// A resource and a scope, as messages on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// A `Resource` message.
    pub resource: &'a [u8],
    /// The schema URL of the resource's attributes; old and new names are understood whatever it says.
    pub resource_schema_url: &'a str,
    /// An `InstrumentationScope` message.
    pub scope: &'a [u8],
    /// The schema URL of the items' attributes; old and new names are understood whatever it says.
    pub scope_schema_url: &'a str,
}

/// How an item came to be kept.
#[derive(Debug, Clone, Copy)]
pub struct Sampling<'a> {
    /// The policy; empty for none.
    pub policy: &'a str,
    /// How many items it stands for, at least 1.
    pub weight: f64,
    /// Whether it arrived after its trace was decided.
    pub is_late: bool,
}

/// One item.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// Its resource and scope: an index into the contexts.
    pub context: u32,
    /// A `Span`, `LogRecord` or `Metric` message.
    pub bytes: &'a [u8],
    /// When it arrived, in ns since the epoch.
    pub arrival_nanos: i64,
    /// How it came to be kept.
    pub sampling: Sampling<'a>,
}

/// Writes items to the tables of their signal: spans to `spans`, log records to `logs`, the data points of metrics to
/// the four `metrics_*` tables. A table without rows has no file;
/// if there are only bad items, a [`TableFile`] without bytes tells their number.
///
/// Items that are malformed, or whose context is, are left out and counted; a metric counts once.
///
/// # Errors
/// If Arrow or Parquet refuse the rows.
pub fn write_items(
    signal: Signal,
    contexts: &[Context<'_>],
    items: &[Item<'_>],
    meta: &FileMeta<'_>,
) -> Result<Vec<TableFile>, TableError> {
    let contexts = context::prepare(contexts);
    match signal {
        Signal::Traces => spans::write(&contexts, items, meta),
        Signal::Logs => logs::write(&contexts, items, meta),
        Signal::Metrics => metrics::write(&contexts, items, meta),
    }
}

/// Its resource and scope, if they are well-formed.
pub(crate) fn context_of<'c>(contexts: &'c [Option<context::Prepared>], item: &Item<'_>) -> Option<&'c context::Prepared> {
    contexts.get(usize::try_from(item.context).ok()?)?.as_ref()
}
