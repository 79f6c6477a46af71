//! Builds the files of one file group of a plan, from the plan alone: the same plan gives the same bytes.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use spanlake_model::Signal;
use spanlake_table::{
    Context, DecisionRow, EdgeRow, FileMeta, Item, RedRow, Sampling, TableFile, TraceFacts, TraceRow, kind_name, service_name,
    status_name, trace_summary, write_decisions, write_edges, write_items, write_red, write_traces,
};

use super::{ArchiveError, FileGroup, Plan};
use crate::codec::Damaged;
use crate::decided::{Decided, DecidedIndex, Explained};
use crate::fetch::get_whole;
use crate::figures::Figures;
use crate::ports::ObjectStore;
use crate::red::{RedCell, RedKey};
use crate::sealed::{GroupHead, Sealed, SealedItem};
use crate::staged::StagedContext;

/// The decisions of one close, in memory.
type DecidedRows = (DecidedIndex, Vec<Decided>, Explained);

/// The files of a file group.
pub(super) struct Files {
    /// Each with its key.
    pub(super) files: Vec<(String, Bytes)>,
    /// Rows left out because writing them panics.
    pub(super) poisoned: u64,
}

/// The files of group `number` of a plan; adds what services answered to `figures`.
pub(super) async fn files<S: ObjectStore>(
    store: &S,
    plan: &Plan,
    number: usize,
    group: &FileGroup,
    figures: &mut Figures,
) -> Result<Files, ArchiveError> {
    let plan_number = plan.number.to_string();
    let pairs = [("spanlake.plan", plan_number.as_str())];
    let meta = FileMeta { pairs: &pairs };
    let table_error = |source| ArchiveError::Table { plan: plan.number, source };
    let mut poisoned = 0;
    let sealed = read_sealed(store, group).await?;
    sealed.iter().flat_map(|sealed| &sealed.red).for_each(|(key, cell)| figures.add(key, cell));
    let mut files = tables(&sealed, &meta, &mut poisoned).map_err(table_error)?;
    // Before decisions are read: both at once would take twice the memory, and neither needs the other.
    drop(sealed);
    files.push(decisions(&read_decided(store, group).await?, &meta).map_err(table_error)?);
    let rows = files.into_iter().filter(|file| file.rows > 0);
    let files = rows.map(|file| (plan.file_key(file.table, number), Bytes::from(file.bytes))).collect();
    Ok(Files { files, poisoned })
}

async fn read_sealed<S: ObjectStore>(store: &S, group: &FileGroup) -> Result<Vec<Sealed>, ArchiveError> {
    let mut all = Vec::new();
    for input in &group.inputs {
        let object = get_whole(store, &input.key).await?;
        all.push(Sealed::read(&object).map_err(|damaged| damaged.of_plan(&input.key))?);
    }
    Ok(all)
}

async fn read_decided<S: ObjectStore>(store: &S, group: &FileGroup) -> Result<Vec<DecidedRows>, ArchiveError> {
    let mut all = Vec::new();
    for key in group.inputs.iter().filter_map(|input| input.decisions.as_ref()) {
        let object = get_whole(store, key).await?;
        let damaged = |damaged: Damaged| damaged.of_plan(key);
        let index = DecidedIndex::read(&object).map_err(damaged)?;
        let (rows, explained) = index.all_explained(&object).map_err(damaged)?;
        all.push((index, rows, explained));
    }
    Ok(all)
}

type Tables = Result<Vec<TableFile>, spanlake_table::TableError>;

fn tables(all: &[Sealed], meta: &FileMeta<'_>, poisoned: &mut u64) -> Tables {
    let mut files = Vec::new();
    for signal in Signal::ALL {
        let (contexts, items) = items(all, signal);
        files.extend(without_poison(items, poisoned, |items| write_items(signal, &contexts, items, meta))?.files);
    }
    files.push(without_poison(traces(all), poisoned, |rows| write_traces(rows, meta))?);
    let (red, edges) = (summed(all, |sealed| &sealed.red), summed(all, |sealed| &sealed.edges));
    files.push(write_red(&red.iter().map(red_row).collect::<Vec<_>>(), meta)?);
    files.push(write_edges(&edges.iter().map(edge_row).collect::<Vec<_>>(), meta)?);
    Ok(files)
}

/// Writes rows; if that panics, writes those that do not make it panic by themselves. One row that nobody foresaw must not
/// stop the archive for ever, and what is left out follows from the rows alone.
fn without_poison<T, R>(mut rows: Vec<T>, poisoned: &mut u64, write: impl Fn(&[T]) -> R) -> R {
    let tries = |rows: &[T]| catch_unwind(AssertUnwindSafe(|| write(rows)));
    if let Ok(written) = tries(&rows) {
        return written;
    }
    let before = rows.len();
    rows.retain(|row| tries(std::slice::from_ref(row)).is_ok());
    *poisoned += (before - rows.len()) as u64;
    write(&rows)
}

fn contexts_of(sealed: &Sealed) -> Vec<Context<'_>> {
    sealed.contexts.iter().map(context_of).collect()
}

fn context_of(context: &StagedContext) -> Context<'_> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    let StagedContext { resource, resource_schema_url, scope, scope_schema_url, .. } = context;
    Context { resource, resource_schema_url: text(resource_schema_url), scope, scope_schema_url: text(scope_schema_url) }
}

/// All items of a signal, with the contexts of all inputs in one list.
fn items(all: &[Sealed], signal: Signal) -> (Vec<Context<'_>>, Vec<Item<'_>>) {
    let mut contexts = Vec::new();
    let mut items = Vec::new();
    for sealed in all {
        let base = u32::try_from(contexts.len()).unwrap_or(u32::MAX);
        contexts.extend(contexts_of(sealed));
        collect(sealed, signal, |GroupHead { policy, weight, is_late, .. }, group| {
            items.extend(group.iter().map(|item| to_item((base, policy, weight, is_late, *item))));
        });
    }
    (contexts, items)
}

fn to_item<'a>((base, policy, weight, is_late, item): (u32, &'a str, f64, bool, SealedItem<'a>)) -> Item<'a> {
    Item {
        context: base.saturating_add(item.context),
        bytes: item.body,
        arrival_nanos: item.arrival,
        sampling: Sampling { policy, weight, is_late },
    }
}

/// Calls `each` with every group. The object was checked by its checksums and written by this program.
fn collect<'a>(sealed: &'a Sealed, signal: Signal, each: impl FnMut(GroupHead<'a>, Vec<SealedItem<'a>>)) {
    drop(sealed.groups(signal, each));
}

fn traces(all: &[Sealed]) -> Vec<TraceRow<'_>> {
    let mut rows = Vec::new();
    for sealed in all {
        let named = sealed.contexts.iter().map(|context| catch_unwind(|| service_name(&context.resource)).ok().flatten());
        let services: Vec<_> = named.collect();
        collect(sealed, Signal::Traces, |head, items| {
            let spans: Vec<(u32, &[u8])> = items.iter().map(|item| (item.context, item.body)).collect();
            let facts = TraceFacts {
                trace_id: trace_id_of(&items),
                policy: head.policy,
                weight: head.weight,
                is_complete: head.is_complete,
                ingest_nanos: items.iter().map(|item| item.arrival).min().unwrap_or_default(),
            };
            let summary = catch_unwind(AssertUnwindSafe(|| trace_summary(&services, &spans, facts)));
            rows.extend(summary.ok().flatten());
        });
    }
    rows
}

/// The trace id, as it stands in the group's first span.
fn trace_id_of<'a>(items: &[SealedItem<'a>]) -> &'a [u8] {
    let mut reader = spanlake_otlp::wire::Reader::new(items.first().map(|item| item.body).unwrap_or_default());
    let mut id: &[u8] = &[];
    while let Ok(Some(field)) = reader.next() {
        if let (1, Some(bytes)) = (field.number, field.value.bytes()) {
            id = bytes;
        }
    }
    id
}

/// Figures of the same key over all inputs, summed: a plan has one row of a key.
fn summed(all: &[Sealed], table: impl Fn(&Sealed) -> &Vec<(RedKey, RedCell)>) -> Vec<(RedKey, RedCell, i64)> {
    type Name<'a> = (i64, &'a str, &'a str, &'a str, u8, u8);
    let mut rows: BTreeMap<Name<'_>, (RedKey, RedCell, i64)> = BTreeMap::new();
    for sealed in all {
        for (key, cell) in table(sealed) {
            let name = (key.minute, key.service.as_str(), key.environment.as_str(), key.operation.as_str(), key.kind, key.status);
            let entry = rows.entry(name);
            let (_, sum, window) = entry.or_insert_with(|| (key.clone(), RedCell::default(), sealed.window_start));
            sum.merge(cell);
            *window = (*window).max(sealed.window_start);
        }
    }
    rows.into_values().collect()
}

fn red_row((key, cell, window): &(RedKey, RedCell, i64)) -> RedRow<'_> {
    RedRow {
        minute_nanos: key.minute,
        service_name: &key.service,
        deployment_environment: &key.environment,
        operation: &key.operation,
        kind: kind_name(key.kind),
        status_code: status_name(key.status),
        requests: cell.requests,
        errors: cell.errors,
        duration_sum_nano: cell.duration_sum,
        duration_min_nano: cell.duration_min,
        duration_max_nano: cell.duration_max,
        bucket_counts: &cell.buckets,
        ingest_nanos: *window,
    }
}

fn edge_row((key, cell, window): &(RedKey, RedCell, i64)) -> EdgeRow<'_> {
    EdgeRow {
        minute_nanos: key.minute,
        caller_service: &key.service,
        callee_service: &key.operation,
        kind: kind_name(key.kind),
        requests: cell.requests,
        errors: cell.errors,
        duration_sum_nano: cell.duration_sum,
        bucket_counts: &cell.buckets,
        ingest_nanos: *window,
    }
}

fn decisions(all: &[DecidedRows], meta: &FileMeta<'_>) -> Result<TableFile, spanlake_table::TableError> {
    let votes: Vec<Vec<Vec<(&str, &str)>>> = all.iter().map(|(index, ..)| votes_of(index)).collect();
    let (mut rows, mut explained_by) = (Vec::new(), Vec::new());
    for ((index, decided, explained), votes) in all.iter().zip(&votes) {
        for (place, row) in decided.iter().enumerate() {
            let number = row.reason as usize;
            let (Some(reason), Some(votes)) = (index.reasons.get(number), votes.get(number)) else { continue };
            if !reason.is_of_trace() {
                continue;
            }
            explained_by.push((explained, place, row, reason));
            rows.push(DecisionRow {
                trace_id: &row.key.trace.0,
                decided_nanos: index.end,
                window_start_nanos: index.start,
                verdict: reason.verdict.name(),
                policy: &reason.policy,
                weight: reason.weight,
                votes,
                span_count: row.spans,
                error_count: row.errors,
                wait_ms: u64::from(row.wait_ms),
                is_complete: row.is_complete,
                rules_version: &reason.rules,
            });
        }
    }
    // In words only where they are written: they are larger than all else that is known of a decision.
    let explain = |number: usize| match explained_by.get(number) {
        // Words are not worth an archive that stands still.
        Some((explained, place, row, reason)) => {
            catch_unwind(AssertUnwindSafe(|| explained.of(*place, row, reason))).unwrap_or_default()
        }
        None => Vec::new(),
    };
    write_decisions(&rows, meta, explain)
}

fn votes_of(index: &DecidedIndex) -> Vec<Vec<(&str, &str)>> {
    index
        .reasons
        .iter()
        .map(|reason| reason.votes.iter().map(|(policy, vote)| (policy.as_str(), vote.as_str())).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_makes_the_writer_panic_costs_its_neighbours_nothing() {
        let mut poisoned = 0;
        let write = |rows: &[u32]| rows.iter().map(|row| row.checked_sub(3).unwrap()).collect::<Vec<_>>();
        assert_eq!(without_poison(vec![3, 1, 5, 2, 9], &mut poisoned, write), [0, 2, 6]);
        assert_eq!((without_poison(vec![4], &mut poisoned, write), poisoned), (vec![1], 2));
    }
}
