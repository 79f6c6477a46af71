//! Tables that the pipeline derives: traces, requests per minute, edges, decisions.

use std::borrow::Cow;

use crate::any::Any;
use crate::columns::Row;
use crate::file::{FileMeta, FileWriter, TableError, TableFile};
use crate::schema::SCHEMA_VERSION;

/// Upper bounds of the duration buckets of `red_1m` and `service_edges_1m`, inclusive: 1 ms to 60 s, two a doubling where
/// services are slow enough to be looked at.
pub const RED_BOUNDS_NANO: [i64; 16] = [
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    350_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// Duration buckets: one for each bound, and one beyond.
pub const RED_BUCKETS: usize = RED_BOUNDS_NANO.len() + 1;

/// A row of `traces`. Times are nanoseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceRow<'a> {
    /// 16 bytes.
    pub trace_id: &'a [u8],
    /// Earliest start.
    pub start_unix_nano: i64,
    /// Latest end.
    pub end_unix_nano: i64,
    /// Service of the root, if it has one.
    pub root_service: Option<Cow<'a, str>>,
    /// Name of the root.
    pub root_name: Cow<'a, str>,
    /// Spans of this row.
    pub span_count: u32,
    /// Of these with status `ERROR`.
    pub error_count: u32,
    /// Services that took part; sorted, distinct.
    pub services: Vec<Cow<'a, str>>,
    /// The policy that kept it.
    pub policy: &'a str,
    /// How many traces it stands for.
    pub weight: f64,
    /// Whether nothing of it is missing.
    pub is_complete: bool,
    /// When it arrived.
    pub ingest_nanos: i64,
}

/// A row of `red_1m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedRow<'a> {
    /// The minute's start, nanoseconds since 1970.
    pub minute_nanos: i64,
    /// `service.name`.
    pub service_name: &'a str,
    /// `deployment.environment.name`; empty if unknown.
    pub deployment_environment: &'a str,
    /// The span's name.
    pub operation: &'a str,
    /// As in `spans.kind`.
    pub kind: &'a str,
    /// As in `spans.status_code`.
    pub status_code: &'a str,
    /// Spans.
    pub requests: u64,
    /// Spans with status `ERROR`.
    pub errors: u64,
    /// Sum of durations.
    pub duration_sum_nano: u64,
    /// The shortest.
    pub duration_min_nano: u64,
    /// The longest.
    pub duration_max_nano: u64,
    /// [`RED_BUCKETS`] counts.
    pub bucket_counts: &'a [u64],
    /// The window's start.
    pub ingest_nanos: i64,
}

/// A row of `service_edges_1m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeRow<'a> {
    /// The minute's start, nanoseconds since 1970.
    pub minute_nanos: i64,
    /// The calling service.
    pub caller_service: &'a str,
    /// The called service.
    pub callee_service: &'a str,
    /// `SERVER` or `CONSUMER`: the kind of the called span.
    pub kind: &'a str,
    /// Calls.
    pub requests: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Sum of durations.
    pub duration_sum_nano: u64,
    /// [`RED_BUCKETS`] counts.
    pub bucket_counts: &'a [u64],
    /// The window's start.
    pub ingest_nanos: i64,
}

/// A row of `decisions`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecisionRow<'a> {
    /// 16 bytes.
    pub trace_id: &'a [u8],
    /// The end of the window that decided.
    pub decided_nanos: i64,
    /// The start of that window.
    pub window_start_nanos: i64,
    /// `kept`, `sampled_out` or `dropped`.
    pub verdict: &'a str,
    /// The deciding policy; empty for none.
    pub policy: &'a str,
    /// How many traces it stands for.
    pub weight: f64,
    /// Policy and vote.
    pub votes: &'a [(&'a str, &'a str)],
    /// Spans known.
    pub span_count: u32,
    /// Of these with status `ERROR`.
    pub error_count: u32,
    /// From the first arrival to the decision.
    pub wait_ms: u64,
    /// Whether nothing of the trace was missing.
    pub is_complete: bool,
    /// The rules in force.
    pub rules_version: &'a str,
}

/// Writes a file of `traces`, sorted by start.
///
/// # Errors
/// [`TableError`], for faults of the program only.
pub fn write_traces(rows: &[TraceRow<'_>], meta: &FileMeta<'_>) -> Result<TableFile, TableError> {
    write(
        "traces",
        rows,
        meta,
        |row| (row.start_unix_nano, row.trace_id),
        |row, trace| {
            row.hex(trace.trace_id);
            row.timestamp(trace.start_unix_nano);
            row.bigint(Some(trace.start_unix_nano));
            row.timestamp(trace.end_unix_nano);
            row.bigint(trace.end_unix_nano.checked_sub(trace.start_unix_nano));
            row.text(trace.root_service.as_deref());
            row.text(Some(&trace.root_name));
            row.count(trace.span_count);
            row.count(trace.error_count);
            row.list(&trace.services, |row, service| row.text(Some(service)));
            row.text_or_null(trace.policy);
            row.double(Some(trace.weight));
            row.boolean(Some(trace.is_complete));
            row.timestamp(trace.ingest_nanos);
            row.int(Some(SCHEMA_VERSION));
        },
    )
}

/// Writes a file of `red_1m`, sorted by its key.
///
/// # Errors
/// [`TableError`], for faults of the program only.
pub fn write_red(rows: &[RedRow<'_>], meta: &FileMeta<'_>) -> Result<TableFile, TableError> {
    write("red_1m", rows, meta, red_key, |row, red| {
        row.timestamp(red.minute_nanos);
        row.text(Some(red.service_name));
        row.text_or_null(red.deployment_environment);
        row.text(Some(red.operation));
        row.text(Some(red.kind));
        row.text(Some(red.status_code));
        let numbers = [red.requests, red.errors, red.duration_sum_nano, red.duration_min_nano, red.duration_max_nano];
        write_counts(row, &numbers);
        write_buckets(row, red.bucket_counts, red.ingest_nanos);
    })
}

/// Writes a file of `service_edges_1m`, sorted by its key.
///
/// # Errors
/// [`TableError`], for faults of the program only.
pub fn write_edges(rows: &[EdgeRow<'_>], meta: &FileMeta<'_>) -> Result<TableFile, TableError> {
    write("service_edges_1m", rows, meta, edge_key, |row, edge| {
        row.timestamp(edge.minute_nanos);
        row.text(Some(edge.caller_service));
        row.text(Some(edge.callee_service));
        row.text(Some(edge.kind));
        write_counts(row, &[edge.requests, edge.errors, edge.duration_sum_nano]);
        write_buckets(row, edge.bucket_counts, edge.ingest_nanos);
    })
}

/// Writes a file of `decisions`, sorted by trace id. `explain` gives, for the number of a row, the value that decided each vote,
/// by policy.
///
/// # Errors
/// [`TableError`], for faults of the program only.
pub fn write_decisions<'e>(
    rows: &[DecisionRow<'_>],
    meta: &FileMeta<'_>,
    explain: impl Fn(usize) -> Vec<(&'e str, String)>,
) -> Result<TableFile, TableError> {
    let numbered: Vec<_> = rows.iter().enumerate().collect();
    write(
        "decisions",
        &numbered,
        meta,
        |(_, row)| row.trace_id,
        |row, (number, decision)| {
            row.hex(decision.trace_id);
            row.timestamp(decision.decided_nanos);
            row.timestamp(decision.window_start_nanos);
            row.text(Some(decision.verdict));
            row.text_or_null(decision.policy);
            row.double(Some(decision.weight));
            let votes = by_policy(decision.votes.to_vec());
            row.map(votes.iter().map(|(policy, vote)| (*policy, Any::Text(vote.as_bytes()))));
            row.count(decision.span_count);
            row.count(decision.error_count);
            row.int(Some(i32::try_from(decision.wait_ms).unwrap_or(i32::MAX)));
            row.boolean(Some(decision.is_complete));
            row.text(Some(decision.rules_version));
            let reasons = by_policy(explain(*number));
            row.map(reasons.iter().map(|(policy, reason)| (*policy, Any::Text(reason.as_bytes()))));
        },
    )
}

/// Sorted by policy; of several of a name the last.
fn by_policy<T>(mut votes: Vec<(&str, T)>) -> Vec<(&str, T)> {
    votes.reverse();
    votes.sort_by_key(|(policy, _)| *policy);
    votes.dedup_by_key(|(policy, _)| *policy);
    votes
}

fn red_key<'r>(row: &'r RedRow<'r>) -> (i64, [&'r str; 5]) {
    (row.minute_nanos, [row.service_name, row.deployment_environment, row.operation, row.kind, row.status_code])
}

fn edge_key<'r>(row: &'r EdgeRow<'r>) -> (i64, [&'r str; 3]) {
    (row.minute_nanos, [row.caller_service, row.callee_service, row.kind])
}

fn write_counts(row: &mut Row<'_>, counts: &[u64]) {
    for count in counts {
        row.bigint(Some(i64::try_from(*count).unwrap_or(i64::MAX)));
    }
}

fn write_buckets(row: &mut Row<'_>, counts: &[u64], ingest_nanos: i64) {
    row.list(&RED_BOUNDS_NANO, |row, bound| row.bigint(Some(*bound)));
    row.list(counts, |row, count| row.bigint(Some(i64::try_from(*count).unwrap_or(i64::MAX))));
    row.timestamp(ingest_nanos);
    row.int(Some(SCHEMA_VERSION));
}

/// Sorts rows by a key (equal ones stay in input order) and writes them.
fn write<'r, R, K: Ord>(
    table: &'static str,
    rows: &'r [R],
    meta: &FileMeta<'_>,
    key: impl Fn(&'r R) -> K,
    mut write: impl FnMut(&mut Row<'_>, &'r R),
) -> Result<TableFile, TableError> {
    let mut order: Vec<_> = rows.iter().collect();
    order.sort_by_key(|row| key(row));
    let bytes = size_of::<R>() + 256;
    let mut file = FileWriter::new(table, Some(meta), rows.len(), rows.len() * bytes)?;
    for item in order {
        file.row(bytes, |row| write(row, item))?;
    }
    file.finish()
}
