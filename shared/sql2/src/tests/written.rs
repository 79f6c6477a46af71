//! Files of the real writers, read back through SQL.

use std::fs;
use std::path::Path;

use crate::table::{Context, FileMeta, Item, RED_BUCKETS, RedRow, Sampling, TableFile, write_items, write_red};
use spanlake_model::Signal;
use spanlake_otlp::wire::{put_fixed64, put_len, put_varint_field};

use super::planted::START;
use super::{NOW_NANOS, answer};
use crate::{Lake, saved};

/// A `KeyValue` with a text.
fn attribute(key: &str, value: &str) -> Vec<u8> {
    let (mut any, mut pair) = (Vec::new(), Vec::new());
    put_len(&mut any, 1, value.as_bytes());
    put_len(&mut pair, 1, key.as_bytes());
    put_len(&mut pair, 2, &any);
    pair
}

/// A SERVER `Span` of `duration` ns.
fn span(id: u8, duration: u64) -> Vec<u8> {
    let start = u64::try_from(START).unwrap() + 999_999;
    let mut span = Vec::new();
    put_len(&mut span, 1, &[id; 16]);
    put_len(&mut span, 2, &[id; 8]);
    put_len(&mut span, 5, b"GET /stock");
    put_varint_field(&mut span, 6, 2);
    put_fixed64(&mut span, 7, start);
    put_fixed64(&mut span, 8, start + duration);
    put_len(&mut span, 9, &attribute("warehouse", "w1"));
    put_len(&mut span, 9, &attribute("http.route", "/stock"));
    span
}

fn keep(data_dir: &Path, file: &TableFile) {
    let folder = data_dir.join("lake/v1").join(file.table).join("dt=2026-11-20/hour=09");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("1.parquet"), &file.bytes).unwrap();
}

#[tokio::test]
async fn what_the_writers_write_is_what_sql_reads() {
    let data = tempfile::tempdir().unwrap();
    let meta = FileMeta { pairs: &[] };
    let mut resource = Vec::new();
    put_len(&mut resource, 1, &attribute("service.name", "inventory"));
    let contexts = [Context { resource: &resource, resource_schema_url: "", scope: &[], scope_schema_url: "" }];
    let spans = [span(1, 3_000_000), span(2, 9_000_000)];
    let sampling = Sampling { policy: "sample", weight: 20.0, is_late: false };
    let items = spans.each_ref().map(|bytes| Item { context: 0, bytes, arrival_nanos: START, sampling });
    for file in write_items(Signal::Traces, &contexts, &items, &meta).unwrap() {
        keep(data.path(), &file);
    }
    let mut counts = [0; RED_BUCKETS];
    counts[2] = 40;
    let red = RedRow {
        minute_nanos: START,
        service_name: "inventory",
        deployment_environment: "",
        operation: "GET /stock",
        kind: 2,
        status_code: 0,
        requests: 40,
        errors: 1,
        duration_sum_nano: 40 * 4_000_000,
        duration_min_nano: 3_000_000,
        duration_max_nano: 5_000_000,
        bucket_counts: &counts,
        ingest_nanos: START,
    };
    keep(data.path(), &write_red(&[red], &meta).unwrap().unwrap());

    let lake = Lake::open(data.path()).await.unwrap();
    let found = "SELECT start_time, start_unix_nano, http_route, element_at(attributes, 'warehouse'), duration_nano FROM spans \
                 WHERE trace_id = '01010101010101010101010101010101'";
    assert_eq!(answer(&lake, found).await, "2026-11-20T09:10:00Z,1795165800000999999,/stock,w1,3000000");
    assert_eq!(answer(&lake, "SELECT count(*) FROM spans WHERE trace_id = '0'").await, "0");
    for (name, expected) in [
        ("traffic", "inventory,40,40.0,2,0.0"),
        ("error-rate", "2026-11-20T09:10:00Z,inventory,40,1,2.5"),
        ("percentiles", "inventory,GET /stock,40.0,40.0,3.5,3.0,4.85,9.0,4.97,9.0"),
    ] {
        let sql = saved::fill(name, &[], NOW_NANOS).unwrap();
        assert_eq!(answer(&lake, &sql).await, expected, "{name}");
    }
}
