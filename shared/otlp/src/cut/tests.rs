//! What [`cut`] promises: nothing lost, nothing altered, the same parts under every shard map, prost's verdicts.

mod hostile;
mod verdicts;

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message as _;
use spanlake_model::BUCKETS;

use super::*;
use crate::arbitrary;
use crate::json::to_protobuf;
use crate::payload::{Context, Items, item_count, item_trace_id};

fn cut_as(signal: Signal, body: &[u8], shards: &[BucketRange]) -> Result<Cut, CutError> {
    cut(&Request { signal, tenant: "t", body }, &Limits::default(), shards, &mut Scratch::new())
}

fn cut_one(signal: Signal, body: &[u8]) -> Cut {
    cut_as(signal, body, &[BucketRange::ALL]).unwrap()
}

/// Items with their contexts, as bytes: (resource, resource URL, scope, scope URL, item).
type Rows = Vec<[Vec<u8>; 5]>;

/// What an independent decode of a body says, re-encoded: in request order.
fn prost_rows(signal: Signal, body: &[u8]) -> Rows {
    let mut rows = Rows::new();
    macro_rules! rows {
        ($request:ty, $resources:ident, $scopes:ident, $items:ident) => {
            for resource in <$request>::decode(body).unwrap().$resources {
                for scope in resource.$scopes {
                    for item in scope.$items {
                        rows.push([
                            resource.resource.clone().unwrap_or_default().encode_to_vec(),
                            resource.schema_url.clone().into_bytes(),
                            scope.scope.clone().unwrap_or_default().encode_to_vec(),
                            scope.schema_url.clone().into_bytes(),
                            item.encode_to_vec(),
                        ]);
                    }
                }
            }
        };
    }
    match signal {
        Signal::Traces => rows!(ExportTraceServiceRequest, resource_spans, scope_spans, spans),
        Signal::Logs => rows!(ExportLogsServiceRequest, resource_logs, scope_logs, log_records),
        Signal::Metrics => rows!(ExportMetricsServiceRequest, resource_metrics, scope_metrics, metrics),
    }
    rows.retain(|[.., item]| item_count(signal, item) > 0);
    rows
}

/// What our own reader of payloads says, one entry index beside each row.
fn read_rows(record: &CutRecord) -> Vec<(u16, [Vec<u8>; 5])> {
    let mut items = Items::new(&record.payload);
    let mut rows = Vec::new();
    let mut entries = record.entry_of_item.iter();
    while let Some(item) = items.next().unwrap() {
        let Context { resource, resource_schema_url, scope, scope_schema_url } = items.context();
        let row = [resource, resource_schema_url, scope, scope_schema_url, item.bytes].map(<[u8]>::to_vec);
        rows.push((*entries.next().unwrap(), row));
    }
    assert!(entries.next().is_none());
    assert_eq!(record.items as usize, rows.len());
    rows
}

/// The items of each (bucket, part), checking each record on the way.
fn parts(signal: Signal, cut: &Cut, shards: &[BucketRange]) -> BTreeMap<(Bucket, u16, bool), Rows> {
    let mut parts: BTreeMap<(Bucket, u16, bool), Rows> = BTreeMap::new();
    for record in &cut.records {
        let rows = read_rows(record);
        assert_eq!(record.count, rows.iter().map(|(_, row)| item_count(signal, &row[4])).sum::<u64>());
        assert!(record.payload.len() as u64 <= RECORD_BYTES);
        assert!(record.entries.is_sorted_by_key(|entry| (entry.bucket, entry.part)));
        for entry in &record.entries {
            assert!(shards[record.shard].contains(entry.bucket));
            assert_eq!(entry.overflow, entry.part >= OVERFLOW_PARTS);
            let old = parts.insert((entry.bucket, entry.part, entry.overflow), Rows::new());
            assert!(old.is_none(), "a part in two records");
        }
        for (index, row) in rows {
            let entry = record.entries[usize::from(index)];
            if let (Some(trace), false) = (item_trace_id(signal, &row[4]), entry.overflow) {
                assert_eq!(Bucket::of_trace(&trace), entry.bucket);
            } else if !entry.overflow {
                assert_eq!(Bucket::of_batch(&cut.batch_id), entry.bucket);
            }
            parts.get_mut(&(entry.bucket, entry.part, entry.overflow)).unwrap().push(row);
        }
        for entry in &record.entries {
            let rows = &parts[&(entry.bucket, entry.part, entry.overflow)];
            let bytes: usize = rows.iter().map(|row| row[4].len()).sum();
            assert!(bytes as u64 <= PART_BYTES || rows.len() == 1);
            assert_eq!(rows.len(), entry.items as usize);
        }
    }
    parts
}

fn shard_maps() -> Vec<Vec<BucketRange>> {
    let uneven = vec![
        BucketRange { first: 0, last: 0 },
        BucketRange { first: 1, last: 4000 },
        BucketRange { first: 4001, last: BUCKETS - 1 },
    ];
    vec![BucketRange::even(1), BucketRange::even(3), BucketRange::even(64), uneven]
}

fn same_parts_under_every_shard_map(signal: Signal, body: &[u8]) {
    let mut first = None;
    for shards in shard_maps() {
        let cut = cut_as(signal, body, &shards).unwrap();
        assert!(cut.records.is_sorted_by_key(|record| record.shard));
        let parts = parts(signal, &cut, &shards);
        let all: u64 = parts.values().flatten().map(|row| item_count(signal, &row[4])).sum();
        assert_eq!(all, cut.accepted);
        let this = (cut.batch_id, cut.accepted, cut.rejected, parts);
        assert_eq!(first.get_or_insert_with(|| this.clone()), &this);
    }
}

/// Spans of `sizes` bytes each, in the traces and with the resource attributes that are given.
pub(super) fn spans_body(spans: &[(u8, usize)], resource_bytes: usize) -> Vec<u8> {
    let spans = spans.iter().zip(1_u64..).map(|((trace, bytes), n)| Span {
        trace_id: vec![*trace; 16],
        span_id: n.to_be_bytes().to_vec(),
        name: "x".repeat(*bytes),
        ..Default::default()
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..Default::default() }];
    let schema_url = "r".repeat(resource_bytes);
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, schema_url, ..Default::default() }] }
        .encode_to_vec()
}

#[test]
fn captured_bodies_come_through_with_every_item_equal() {
    for (name, signal, json, body) in arbitrary::captures() {
        let body = if json { to_protobuf(signal, &body, &Limits::default()).unwrap().protobuf } else { body };
        let cut = cut_one(signal, &body);
        assert_eq!(cut.rejected, Rejected::default(), "{name}");
        assert_eq!(cut.records.len(), 1, "{name}");
        let expected = prost_rows(signal, &body);
        assert!(!expected.is_empty());
        assert_eq!(prost_rows(signal, &cut.records[0].payload), expected, "{name}");
        same_parts_under_every_shard_map(signal, &body);
    }
}

#[test]
fn an_empty_request_makes_no_record() {
    for signal in Signal::ALL {
        let cut = cut_one(signal, b"");
        assert_eq!((cut.records.len(), cut.accepted), (0, 0));
    }
}

#[test]
fn a_replayed_request_has_the_same_batch_id_and_another_has_not() {
    let id = |tenant, signal, body| batch_id(&Request { signal, tenant, body });
    let one = id("a", Signal::Traces, b"b");
    assert_eq!(one.to_string(), "c6b98c06f5d05c6159093e955b5afde8");
    assert_eq!(one, id("a", Signal::Traces, b"b"));
    for other in [id("ab", Signal::Traces, b""), id("a", Signal::Logs, b"b"), id("a", Signal::Traces, b"c")] {
        assert_ne!(one, other);
    }
}

#[test]
fn a_hot_trace_spills_to_salted_buckets_and_its_neighbours_stay() {
    // 300 spans of 4 kB in one trace, every tenth of another.
    let spans: Vec<_> = (0..300).map(|n| if n % 10 == 0 { (2, 4000) } else { (1, 4000) }).collect();
    let body = spans_body(&spans, 10);
    same_parts_under_every_shard_map(Signal::Traces, &body);
    let cut = cut_one(Signal::Traces, &body);
    let hot = TraceId([1; 16]);
    let overflow: Vec<_> =
        cut.records.iter().flat_map(|record| &record.entries).filter(|entry| entry.overflow).map(|entry| entry.bucket).collect();
    let mut expected: Vec<_> = (1..=4).map(|n| Bucket::of_spill(&hot, n)).collect();
    expected.sort_unstable();
    assert_eq!(overflow, expected);
    let mut home: Vec<_> =
        cut.records.iter().flat_map(|record| &record.entries).filter(|entry| !entry.overflow).map(|entry| entry.bucket).collect();
    home.sort_unstable();
    let mut homes = [Bucket::of_trace(&hot), Bucket::of_trace(&TraceId([2; 16]))];
    homes.sort_unstable();
    assert_eq!(home, homes);
}

/// A change of this golden is a new version of the cutting rule.
#[test]
fn the_cutting_rule_is_this_one_for_ever() {
    // A hot trace of growing spans, and small traces that share nothing with it.
    let spans: Vec<_> = (0..120).map(|n| if n % 5 == 0 { (2 + n % 3, 70_000) } else { (1, 50 * usize::from(n)) }).collect();
    let cut = cut_one(Signal::Traces, &spans_body(&spans, 10));
    let mut entries: Vec<_> = cut
        .records
        .iter()
        .flat_map(|record| &record.entries)
        .map(|entry| (entry.bucket.number(), entry.part, entry.overflow, entry.items))
        .collect();
    entries.sort_unstable();
    let (home, spilt) = (0, OVERFLOW_PARTS);
    assert_eq!(
        entries,
        [
            (400, spilt, true, 2),
            (752, spilt, true, 3),
            (860, spilt, true, 2),
            (963, spilt, true, 3),
            (1922, spilt, true, 2),
            (2042, home, false, 3),
            (2210, home, false, 3),
            (2586, spilt, true, 3),
            (2676, home, false, 91),
            (3575, spilt, true, 5),
            (3958, home, false, 3),
        ]
    );
}

#[test]
fn items_without_a_trace_go_together_in_parts_that_fill_up_in_request_order() {
    let log = |bytes: usize| LogRecord { severity_text: "x".repeat(bytes), ..Default::default() };
    let log_records = [100_000, 100_000, 100_000, 10, 300_000, 10, 10].map(log).to_vec();
    let scope_logs = vec![ScopeLogs { log_records, ..Default::default() }];
    let body =
        ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] }.encode_to_vec();
    same_parts_under_every_shard_map(Signal::Logs, &body);
    let cut = cut_one(Signal::Logs, &body);
    let entries = &cut.records[0].entries;
    assert!(entries.iter().all(|entry| entry.bucket == Bucket::of_batch(&cut.batch_id) && !entry.overflow));
    assert_eq!(entries.iter().map(|entry| (entry.part, entry.items)).collect::<Vec<_>>(), [(0, 2), (1, 2), (2, 1), (3, 2)]);
}

#[test]
fn a_shard_beyond_the_record_size_gets_several_records_of_whole_parts() {
    let spans: Vec<_> = (0..2000).map(|n| (u8::try_from(n % 200 + 1).unwrap(), 1800)).collect();
    let body = spans_body(&spans, 5000);
    same_parts_under_every_shard_map(Signal::Traces, &body);
    let cut = cut_one(Signal::Traces, &body);
    assert_eq!(cut.records.len(), 5);
    assert_eq!(cut.accepted, 2000);
}

#[test]
fn items_with_large_contexts_of_their_own_stay_within_the_record_size() {
    let one = spans_body(&[(1, 10)], 200_000);
    let body: Vec<u8> = std::iter::repeat_n(one, 12).flatten().collect();
    same_parts_under_every_shard_map(Signal::Traces, &body);
    assert_eq!(cut_one(Signal::Traces, &body).accepted, 12);
}

#[test]
fn a_gap_in_the_shard_map_is_told() {
    let shards = [BucketRange { first: 0, last: 1 }];
    let error = cut_as(Signal::Traces, &spans_body(&[(1, 1)], 0), &shards).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_prost_takes_comes_through_with_every_item_equal((signal, body) in arbitrary::body()) {
        let cut = cut_one(signal, &body);
        prop_assert_eq!(cut.rejected, Rejected::default());
        let payload = cut.records.first().map(|record| record.payload.clone()).unwrap_or_default();
        prop_assert_eq!(prost_rows(signal, &payload), prost_rows(signal, &body));
        same_parts_under_every_shard_map(signal, &body);
    }

    #[test]
    fn large_requests_have_the_same_parts_under_every_shard_map(
        spans in proptest::collection::vec((1_u8..6, 0_usize..60_000), 0..60),
        resource_bytes in 0_usize..100_000,
    ) {
        let body = spans_body(&spans, resource_bytes);
        same_parts_under_every_shard_map(Signal::Traces, &body);
    }

    #[test]
    fn scratch_that_was_used_cuts_as_new_scratch_does(bodies in proptest::collection::vec(arbitrary::body(), 1..5)) {
        let mut scratch = Scratch::new();
        for (signal, body) in bodies {
            let request = Request { signal, tenant: "t", body: &body };
            let used = cut(&request, &Limits::default(), &BucketRange::even(5), &mut scratch);
            prop_assert_eq!(used, cut_as(signal, &body, &BucketRange::even(5)));
        }
    }
}
