//! One small lake whose figures are known by construction.

use std::path::Path;

use super::NOW_NANOS;
use super::files::{Cell, Row, write};

const SECOND: i64 = 1_000_000_000;
const MS: i64 = 1_000_000;
/// 20 minutes before now: 09:10.
pub(crate) const START: i64 = NOW_NANOS - 1_200 * SECOND;
/// The trace that the single-trace queries look for.
pub(crate) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const HOUR: (&str, &str) = ("2026-11-20", "09");
/// The upper bounds that `red_1m` carries: 20, 50, 100 and 200 ms among them.
const BOUNDS: [i64; 15] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/// Trace number `n`.
pub(crate) fn trace(n: i64) -> String {
    format!("{n:032x}")
}

/// Writes the lake.
pub(crate) fn plant(data_dir: &Path) {
    write(data_dir, "spans", HOUR, "1.parquet", &[payments(), stock(), statements()].concat());
    write(data_dir, "spans", ("2026-11-20", "08"), "0.parquet", &[edge(START - 1_800 * SECOND), edge(START - 3_000 * SECOND)]);
    write(data_dir, "red_1m", HOUR, "1.parquet", &red());
    write(data_dir, "red_1m", ("2026-11-19", "09"), "1.parquet", &red_yesterday());
    write(data_dir, "service_edges_1m", HOUR, "1.parquet", &edges());
    write(data_dir, "decisions", HOUR, "1.parquet", &decisions());
    write(data_dir, "traces", HOUR, "1.parquet", &traces());
    write(data_dir, "logs", HOUR, "1.parquet", &logs());
    write(data_dir, "metrics_number", HOUR, "1.parquet", &points());
}

fn span(service: &str, name: &str, start: i64, duration: i64) -> Row {
    vec![
        ("service_name", service.into()),
        ("name", name.into()),
        ("kind", "SERVER".into()),
        ("start_time", start.into()),
        ("start_unix_nano", start.into()),
        ("duration_nano", duration.into()),
        ("ingest_time", start.into()),
        ("is_late", false.into()),
    ]
}

/// A request of 1 ms at the edge; one before and one after the start of the last hour, in the same partition.
fn edge(start: i64) -> Row {
    let mut row = span("edge", "GET /", start, MS);
    row.push(("sampling_weight", 1.0.into()));
    row
}

/// 95 good payments of 1 to 95 ms that stand for ten each, and 5 failed ones of 96 to 100 ms that stand for themselves.
fn payments() -> Vec<Row> {
    let one = |n: i64| {
        let failed = n > 95;
        let mut row = span("checkout", "POST /pay", START + n * SECOND, n * MS);
        row.extend::<[(&str, Cell); 8]>([
            ("trace_id", trace(n).into()),
            ("span_id", format!("{n:016x}").into()),
            ("is_error", failed.into()),
            ("status_code", if failed { "ERROR" } else { "UNSET" }.into()),
            ("http_request_method", "POST".into()),
            ("http_route", "/pay".into()),
            ("http_response_status_code", if failed { 502 } else { 200 }.into()),
            ("sampling_weight", if failed { 1.0 } else { 10.0 }.into()),
        ]);
        if failed {
            row.push(("exception_type", "Declined".into()));
            row.push(("exception_message", format!("card {n} was declined").into()));
        }
        row
    };
    (1..=100).map(one).collect()
}

/// Ten spans of one trace, 2 ms each, one of them late; they carry an attribute that has no column.
fn stock() -> Vec<Row> {
    let one = |n: i64| {
        let mut row = span("inventory", "GET /stock", START + n * SECOND, 2 * MS);
        row.retain(|(name, _)| *name != "is_late");
        row.extend::<[(&str, Cell); 6]>([
            ("trace_id", TRACE.into()),
            ("span_id", format!("{n:016x}").into()),
            ("is_error", false.into()),
            ("sampling_weight", 1.0.into()),
            ("is_late", (n == 10).into()),
            ("attributes", Cell::Map(vec![("warehouse", format!("w{}", n % 2))])),
        ]);
        row
    };
    (1..=10).map(one).collect()
}

/// Four statements of half a second, each a nanosecond longer than the last, that stand for ten each, the last one refused by the ledger's database.
fn statements() -> Vec<Row> {
    let one = |n: i64| {
        let mut row = span("checkout", "SELECT", START + n * SECOND, 500 * MS + n);
        row.retain(|(name, _)| *name != "kind");
        row.extend::<[(&str, Cell); 9]>([
            ("kind", "CLIENT".into()),
            ("trace_id", trace(n).into()),
            ("span_id", format!("d{n:015x}").into()),
            ("is_error", (n == 4).into()),
            ("db_system", "postgresql".into()),
            ("db_query_text", "SELECT total FROM orders".into()),
            ("peer_service", "ledger".into()),
            ("sampling_weight", 10.0.into()),
            ("status_message", if n == 4 { "connection refused" } else { "" }.into()),
        ]);
        row
    };
    (1..=4).map(one).collect()
}

fn minute(service: &str, operation: &str, at: i64, requests: i64, errors: i64, sum_ms: i64, counts: [i64; 16]) -> Row {
    vec![
        ("minute", at.into()),
        ("service_name", service.into()),
        ("operation", operation.into()),
        ("kind", "SERVER".into()),
        ("requests", requests.into()),
        ("errors", errors.into()),
        ("duration_sum_nano", (sum_ms * MS).into()),
        ("duration_max_nano", (180 * MS).into()),
        ("bucket_bounds_nano", Cell::Ints(BOUNDS.iter().map(|bound| bound * MS).collect())),
        ("bucket_counts", Cell::Ints(counts.to_vec())),
    ]
}

/// 1,000 payments, in two rows that readers must sum: 500 in 20 to 50 ms, 450 in 50 to 100, 50 above, none beyond 180 ms.
fn red() -> Vec<Row> {
    let half = |errors| {
        minute("checkout", "POST /pay", START, 500, errors, 25_000, [0, 0, 0, 0, 0, 250, 225, 25, 0, 0, 0, 0, 0, 0, 0, 0])
    };
    let stock = minute("inventory", "GET /stock", START, 10, 0, 20, [0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    vec![half(5), half(0), stock]
}

/// The same hour a day before: 800 payments, 80 failed, 100 ms each on average.
fn red_yesterday() -> Vec<Row> {
    vec![minute("checkout", "POST /pay", START - 86_400 * SECOND, 800, 80, 80_000, [0; 16])]
}

fn edges() -> Vec<Row> {
    let one = |callee: &str, requests: i64, errors: i64| -> Row {
        vec![
            ("minute", START.into()),
            ("caller_service", "checkout".into()),
            ("callee_service", callee.into()),
            ("kind", "CLIENT".into()),
            ("requests", requests.into()),
            ("errors", errors.into()),
            ("duration_sum_nano", (requests * 3 * MS).into()),
        ]
    };
    vec![one("inventory", 40, 1), one("inventory", 60, 1), one("ledger", 7, 0)]
}

/// Six kept for errors, three sampled in, one dropped: ten.
fn decisions() -> Vec<Row> {
    let one = |n: i64| -> Row {
        let (verdict, policy) = match n {
            1..=6 => ("kept", "errors"),
            7..=9 => ("kept", "sample"),
            _ => ("dropped", "health"),
        };
        vec![
            ("trace_id", if n == 10 { TRACE.to_owned() } else { trace(n) }.into()),
            ("decided_time", START.into()),
            ("verdict", verdict.into()),
            ("policy", policy.into()),
            ("weight", 1.0.into()),
            ("span_count", n.into()),
            ("error_count", i64::from(n <= 6).into()),
            ("wait_ms", 10_000.into()),
            ("is_complete", true.into()),
            ("rules_version", "r1".into()),
            ("votes", Cell::Map(vec![("errors", if n <= 6 { "keep" } else { "none" }.to_owned())])),
        ]
    };
    (1..=10).map(one).collect()
}

fn traces() -> Vec<Row> {
    let one = |n: i64| -> Row {
        vec![
            ("trace_id", trace(n).into()),
            ("start_time", START.into()),
            ("root_service", "checkout".into()),
            ("root_name", "POST /pay".into()),
            ("duration_nano", (n * 100 * MS).into()),
            ("span_count", (n + 1).into()),
            ("error_count", 0.into()),
            ("sampling_policy", "sample".into()),
        ]
    };
    (1..=30).map(one).collect()
}

fn logs() -> Vec<Row> {
    let one = |n: i64, severity: (i64, &str), body: &str, weight: f64| -> Row {
        vec![
            ("time", (START + n * SECOND).into()),
            ("time_unix_nano", (START + n * SECOND).into()),
            ("ingest_time", (START + n * SECOND).into()),
            ("service_name", "inventory".into()),
            ("trace_id", if n < 3 { TRACE.to_owned() } else { trace(n) }.into()),
            ("severity_number", severity.0.into()),
            ("severity_text", severity.1.into()),
            ("body", body.into()),
            ("sampling_weight", weight.into()),
        ]
    };
    let (info, error) = ((9, "INFO"), (17, "ERROR"));
    vec![one(2, error, "out of \"stock\", sorry", 1.0), one(1, info, "asked", 4.0), one(3, info, "other", 4.0)]
}

/// Two series with two points each, one an integer.
fn points() -> Vec<Row> {
    let one = |n: i64, series: &str, value: (&'static str, Cell)| -> Row {
        vec![
            ("time", (START + n * SECOND).into()),
            ("time_unix_nano", (START + n * SECOND).into()),
            ("ingest_time", (START + n * SECOND).into()),
            ("service_name", "inventory".into()),
            ("name", "queue.depth".into()),
            ("unit", "1".into()),
            ("series_hash", series.into()),
            ("attributes", Cell::Map(vec![("queue", series.to_owned())])),
            value,
        ]
    };
    vec![
        one(1, "a", ("int_value", 5.into())),
        one(2, "a", ("int_value", 7.into())),
        one(2, "b", ("double_value", 0.5.into())),
        one(1, "b", ("double_value", 9.5.into())),
    ]
}
