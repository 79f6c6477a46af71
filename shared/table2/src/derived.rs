//! Rows that Spanlake makes itself: traces, request rates, service edges and decisions.

use std::collections::{BTreeMap, BTreeSet};

use spanlake_model::TraceId;

use crate::RED_BOUNDS_NANO;
use crate::columns::{Columns, saturate};
use crate::file::{FileMeta, FileWriter, TableError, TableFile};
use crate::items::Sampling;
use crate::schema::{DECISIONS, RED_1M, SCHEMA_VERSION, SERVICE_EDGES_1M, TRACES, Table, position};
use crate::spans::{ERROR, Head, kind_name, status_name};
use crate::text::Hex;

macro_rules! at {
    ($table:ident, $name:literal) => {{
        const AT: usize = position($table.columns, $name);
        AT
    }};
}

/// A row of `traces`.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceRow<'a> {
    /// The trace.
    pub trace_id: TraceId,
    /// The first start, in ns since the epoch.
    pub start_nanos: u64,
    /// The last end, in ns since the epoch.
    pub end_nanos: u64,
    /// The root's service; the earliest span's if no root was seen.
    pub root_service: &'a str,
    /// The root's name; the earliest span's if no root was seen.
    pub root_name: &'a str,
    /// Its services, sorted, each once.
    pub services: Vec<&'a str>,
    /// Its spans.
    pub span_count: u64,
    /// Those with status `ERROR`.
    pub error_count: u64,
    /// The policy that kept it.
    pub policy: &'a str,
    /// How many traces it stands for.
    pub weight: f64,
    /// Whether it was decided with all of its spans.
    pub is_complete: bool,
    /// When it arrived, in ns since the epoch.
    pub ingest_nanos: i64,
}

/// A row of `red_1m`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedRow<'a> {
    /// The minute of arrival, in ns since the epoch.
    pub minute_nanos: i64,
    /// The service.
    pub service_name: &'a str,
    /// The environment.
    pub deployment_environment: &'a str,
    /// The span's name.
    pub operation: &'a str,
    /// The OTLP `SpanKind`.
    pub kind: u8,
    /// The OTLP `StatusCode`.
    pub status_code: u8,
    /// Spans.
    pub requests: u64,
    /// Those with status `ERROR`.
    pub errors: u64,
    /// Sum of the durations in ns.
    pub duration_sum_nano: u64,
    /// The shortest duration in ns.
    pub duration_min_nano: u64,
    /// The longest duration in ns.
    pub duration_max_nano: u64,
    /// Spans in each bucket of [`RED_BOUNDS_NANO`], and above: [`crate::RED_BUCKETS`] numbers.
    pub bucket_counts: &'a [u64],
    /// When it was made, in ns since the epoch.
    pub ingest_nanos: i64,
}

/// A row of `service_edges_1m`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeRow<'a> {
    /// The minute of arrival, in ns since the epoch.
    pub minute_nanos: i64,
    /// The calling service.
    pub caller_service: &'a str,
    /// The called service.
    pub callee_service: &'a str,
    /// The OTLP `SpanKind`.
    pub kind: u8,
    /// Calls.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Sum of the durations in ns.
    pub duration_sum_nano: u64,
    /// Calls in each bucket of [`RED_BOUNDS_NANO`], and above: [`crate::RED_BUCKETS`] numbers.
    pub bucket_counts: &'a [u64],
    /// When it was made, in ns since the epoch.
    pub ingest_nanos: i64,
}

/// A row of `decisions`.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRow<'a> {
    /// The trace.
    pub trace_id: TraceId,
    /// When it was decided, in ns since the epoch.
    pub decided_nanos: i64,
    /// The start of its window of arrival, in ns since the epoch.
    pub window_start_nanos: i64,
    /// Whether it was kept or dropped.
    pub verdict: &'a str,
    /// The policy that decided.
    pub policy: &'a str,
    /// How many traces a kept one stands for.
    pub weight: f64,
    /// Policy and vote.
    pub votes: &'a [(String, String)],
    /// Spans seen.
    pub span_count: u64,
    /// Those with status `ERROR`.
    pub error_count: u64,
    /// How long it waited for its spans, in ms.
    pub wait_ms: u32,
    /// Whether it was decided with all of its spans.
    pub is_complete: bool,
    /// The rules in force.
    pub rules_version: &'a str,
}

/// Sums up a trace from its `Span` messages; malformed ones are passed over. Each span comes with the index of its
/// context, by which `services_of_context` has its service's name.
pub fn trace_row<'a>(
    trace_id: TraceId,
    services_of_context: &[&'a str],
    spans: impl Iterator<Item = (u32, &'a [u8])>,
    sampling: &Sampling<'a>,
    is_complete: bool,
    ingest_nanos: i64,
) -> TraceRow<'a> {
    let mut services = BTreeSet::new();
    let (mut start_nanos, mut end_nanos) = (u64::MAX, 0);
    let (mut span_count, mut error_count) = (0, 0);
    let mut root: Option<(bool, u64, &str, &str)> = None;
    for (context, message) in spans {
        let Ok(head) = Head::read(message, |_, _| Ok(())) else { continue };
        let service = usize::try_from(context).ok().and_then(|index| services_of_context.get(index)).copied();
        let service = service.unwrap_or_default();
        services.extend(Some(service).filter(|service| !service.is_empty()));
        span_count += 1;
        error_count += u64::from(head.status_code == ERROR);
        start_nanos = start_nanos.min(head.start);
        end_nanos = end_nanos.max(head.end).max(head.start);
        let has_parent = Hex::of::<8>(head.parent_span_id).is_some();
        if root.is_none_or(|(other_has_parent, start, ..)| (has_parent, head.start) < (other_has_parent, start)) {
            root = Some((has_parent, head.start, service, std::str::from_utf8(head.name).unwrap_or_default()));
        }
    }
    let (.., root_service, root_name) = root.unwrap_or_default();
    TraceRow {
        trace_id,
        start_nanos: start_nanos.min(end_nanos),
        end_nanos,
        root_service,
        root_name,
        services: services.into_iter().collect(),
        span_count,
        error_count,
        policy: sampling.policy,
        weight: sampling.weight,
        is_complete,
        ingest_nanos,
    }
}

/// Writes `traces`, in the order of their starts. No rows, no file.
///
/// # Errors
/// If Arrow or Parquet refuse the rows.
pub fn write_traces(rows: &[TraceRow<'_>], meta: &FileMeta<'_>) -> Result<Option<TableFile>, TableError> {
    write(
        &TRACES,
        rows,
        |row| row.start_nanos,
        meta,
        |row, columns| {
            columns.set_str(at!(TRACES, "trace_id"), Hex::full(row.trace_id.0).as_str());
            columns.set_time(at!(TRACES, "start_time"), saturate(row.start_nanos));
            columns.set_u64(at!(TRACES, "start_unix_nano"), row.start_nanos);
            columns.set_time(at!(TRACES, "end_time"), saturate(row.end_nanos));
            columns.set_u64(at!(TRACES, "duration_nano"), row.end_nanos.saturating_sub(row.start_nanos));
            columns.set_nonempty(at!(TRACES, "root_service"), row.root_service);
            columns.set_str(at!(TRACES, "root_name"), row.root_name);
            columns.set_int(at!(TRACES, "span_count"), saturate(row.span_count));
            columns.set_int(at!(TRACES, "error_count"), saturate(row.error_count));
            if let Some(services) = columns.list(at!(TRACES, "services")) {
                for service in &row.services {
                    services.set_str(0, service);
                    services.end_row();
                }
            }
            columns.set_nonempty(at!(TRACES, "sampling_policy"), row.policy);
            columns.set_f64(at!(TRACES, "sampling_weight"), row.weight);
            columns.set_bool(at!(TRACES, "is_complete"), row.is_complete);
            columns.set_time(at!(TRACES, "ingest_time"), row.ingest_nanos);
            columns.set_int(at!(TRACES, "schema_version"), i64::from(SCHEMA_VERSION));
        },
    )
}

/// Writes `red_1m`, in the order of its key. No rows, no file.
///
/// # Errors
/// If Arrow or Parquet refuse the rows.
pub fn write_red(rows: &[RedRow<'_>], meta: &FileMeta<'_>) -> Result<Option<TableFile>, TableError> {
    let key = |row: &RedRow<'_>| {
        let words = (kind_name(u64::from(row.kind)), status_name(u64::from(row.status_code)));
        let texts = [row.service_name, row.deployment_environment, row.operation].map(str::to_owned);
        (texts, words, row.minute_nanos)
    };
    write(&RED_1M, rows, key, meta, |row, columns| {
        columns.set_time(at!(RED_1M, "minute"), row.minute_nanos);
        columns.set_nonempty(at!(RED_1M, "service_name"), row.service_name);
        columns.set_nonempty(at!(RED_1M, "deployment_environment"), row.deployment_environment);
        columns.set_str(at!(RED_1M, "operation"), row.operation);
        columns.set_str(at!(RED_1M, "kind"), kind_name(u64::from(row.kind)));
        columns.set_str(at!(RED_1M, "status_code"), status_name(u64::from(row.status_code)));
        columns.set_u64(at!(RED_1M, "requests"), row.requests);
        columns.set_u64(at!(RED_1M, "errors"), row.errors);
        columns.set_u64(at!(RED_1M, "duration_sum_nano"), row.duration_sum_nano);
        columns.set_u64(at!(RED_1M, "duration_min_nano"), row.duration_min_nano);
        columns.set_u64(at!(RED_1M, "duration_max_nano"), row.duration_max_nano);
        columns.set_counts(at!(RED_1M, "bucket_bounds_nano"), &RED_BOUNDS_NANO.map(i64::unsigned_abs));
        columns.set_counts(at!(RED_1M, "bucket_counts"), row.bucket_counts);
        columns.set_time(at!(RED_1M, "ingest_time"), row.ingest_nanos);
        columns.set_int(at!(RED_1M, "schema_version"), i64::from(SCHEMA_VERSION));
    })
}

/// Writes `service_edges_1m`, in the order of its key. No rows, no file.
///
/// # Errors
/// If Arrow or Parquet refuse the rows.
pub fn write_edges(rows: &[EdgeRow<'_>], meta: &FileMeta<'_>) -> Result<Option<TableFile>, TableError> {
    let key = |row: &EdgeRow<'_>| {
        let texts = [row.caller_service, row.callee_service].map(str::to_owned);
        (texts, kind_name(u64::from(row.kind)), row.minute_nanos)
    };
    write(&SERVICE_EDGES_1M, rows, key, meta, |row, columns| {
        columns.set_time(at!(SERVICE_EDGES_1M, "minute"), row.minute_nanos);
        columns.set_nonempty(at!(SERVICE_EDGES_1M, "caller_service"), row.caller_service);
        columns.set_nonempty(at!(SERVICE_EDGES_1M, "callee_service"), row.callee_service);
        columns.set_str(at!(SERVICE_EDGES_1M, "kind"), kind_name(u64::from(row.kind)));
        columns.set_u64(at!(SERVICE_EDGES_1M, "requests"), row.requests);
        columns.set_u64(at!(SERVICE_EDGES_1M, "errors"), row.errors);
        columns.set_u64(at!(SERVICE_EDGES_1M, "duration_sum_nano"), row.duration_sum_nano);
        columns.set_counts(at!(SERVICE_EDGES_1M, "bucket_bounds_nano"), &RED_BOUNDS_NANO.map(i64::unsigned_abs));
        columns.set_counts(at!(SERVICE_EDGES_1M, "bucket_counts"), row.bucket_counts);
        columns.set_time(at!(SERVICE_EDGES_1M, "ingest_time"), row.ingest_nanos);
        columns.set_int(at!(SERVICE_EDGES_1M, "schema_version"), i64::from(SCHEMA_VERSION));
    })
}

/// Writes `decisions`, in the order of the trace ids. No rows, no file.
///
/// # Errors
/// If Arrow or Parquet refuse the rows.
pub fn write_decisions(rows: &[DecisionRow<'_>], meta: &FileMeta<'_>) -> Result<Option<TableFile>, TableError> {
    write(
        &DECISIONS,
        rows,
        |row| row.trace_id,
        meta,
        |row, columns| {
            columns.set_str(at!(DECISIONS, "trace_id"), Hex::full(row.trace_id.0).as_str());
            columns.set_time(at!(DECISIONS, "decided_time"), row.decided_nanos);
            columns.set_time(at!(DECISIONS, "window_start"), row.window_start_nanos);
            columns.set_str(at!(DECISIONS, "verdict"), row.verdict);
            columns.set_nonempty(at!(DECISIONS, "policy"), row.policy);
            columns.set_f64(at!(DECISIONS, "weight"), row.weight);
            let votes: BTreeMap<&str, &str> = row.votes.iter().map(|(policy, vote)| (policy.as_str(), vote.as_str())).collect();
            if let Some(map) = columns.map(at!(DECISIONS, "votes")) {
                for (policy, vote) in votes {
                    map.entry(policy, Some(vote));
                }
            }
            columns.set_int(at!(DECISIONS, "span_count"), saturate(row.span_count));
            columns.set_int(at!(DECISIONS, "error_count"), saturate(row.error_count));
            columns.set_int(at!(DECISIONS, "wait_ms"), i64::from(row.wait_ms));
            columns.set_bool(at!(DECISIONS, "is_complete"), row.is_complete);
            columns.set_str(at!(DECISIONS, "rules_version"), row.rules_version);
            columns.set_int(at!(DECISIONS, "schema_version"), i64::from(SCHEMA_VERSION));
        },
    )
}

/// Writes rows in the order of `key`, equal ones as they come.
fn write<R, K: Ord>(
    table: &'static Table,
    rows: &[R],
    key: impl Fn(&R) -> K,
    meta: &FileMeta<'_>,
    set: impl Fn(&R, &mut Columns),
) -> Result<Option<TableFile>, TableError> {
    if rows.is_empty() {
        return Ok(None);
    }
    let mut order: Vec<&R> = rows.iter().collect();
    order.sort_by_cached_key(|row| key(row));
    let mut file = FileWriter::new(table, meta)?;
    for row in order {
        set(row, &mut file.columns);
        file.end_row()?;
    }
    file.finish(0).map(Some)
}
