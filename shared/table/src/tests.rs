//! What is read back from the files equals what a straightforward decode of the messages says.

mod generate;
mod hostile;
mod promoted;
mod read;
mod reference;

use std::collections::BTreeMap;

use generate::Source;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::Value as Json;
use spanlake_model::Signal;

use crate::{Context, FileMeta, Item, Sampling, Written, write_items};

pub(super) const SAMPLING: Sampling<'static> = Sampling { policy: "all", weight: 2.5, is_late: false };
pub(super) const ARRIVAL: i64 = 1_767_225_600_123_456_789;

/// Writes messages that all have the same context.
pub(super) fn write(signal: Signal, context: Context<'_>, messages: &[Vec<u8>]) -> Written {
    let items: Vec<_> =
        messages.iter().map(|bytes| Item { context: 0, bytes, arrival_nanos: ARRIVAL, sampling: SAMPLING }).collect();
    write_items(signal, &[context], &items, &FileMeta::default()).unwrap()
}

/// Rows of all files, without an order, by table.
pub(super) fn rows(written: &Written) -> BTreeMap<&'static str, Vec<String>> {
    let mut tables = BTreeMap::new();
    for file in &written.files {
        let mut rows = read::rows(&file.bytes);
        assert_eq!(rows.len() as u64, file.rows);
        for row in &mut rows {
            // Any hash would do; that it tells series apart is tested by itself.
            if let Some(hash) = row.as_object_mut().unwrap().remove("series_hash") {
                assert_eq!(hash.as_str().unwrap().len(), 16);
            }
        }
        let mut rows: Vec<_> = rows.iter().map(Json::to_string).collect();
        rows.sort();
        tables.insert(file.table, rows);
    }
    tables
}

/// What prost makes of the bytes: it does not encode a negative zero, for one.
fn decoded<M: Message + Default>(messages: &[Vec<u8>]) -> impl Iterator<Item = M> {
    messages.iter().map(|bytes| M::decode(&**bytes).unwrap())
}

fn compare(signal: Signal, source: &mut Source, messages: &[Vec<u8>], expected: BTreeMap<&'static str, Vec<Json>>) {
    let (resource, scope) = (source.resource.encode_to_vec(), source.scope.encode_to_vec());
    let context = Context { resource: &resource, scope: &scope, ..Context::default() };
    let written = write(signal, context, messages);
    assert_eq!(written.bad_items, 0);
    let got = rows(&written);
    for (table, rows) in expected {
        let mut rows: Vec<_> = rows.iter().map(Json::to_string).collect();
        rows.sort();
        let got = got.get(table).cloned().unwrap_or_default();
        for (got, want) in got.iter().zip(&rows) {
            assert_eq!(got, want, "{table}");
        }
        assert_eq!(got.len(), rows.len(), "{table}");
    }
}

#[test]
fn every_value_of_spans_is_read_back() {
    for seed in 0..20 {
        let mut source = Source::new(seed);
        let messages: Vec<_> = (0..50).map(|_| source.span().encode_to_vec()).collect();
        let rows = decoded::<Span>(&messages).map(|span| reference::span(&source, &span)).collect();
        compare(Signal::Traces, &mut source, &messages, BTreeMap::from([("spans", rows)]));
    }
}

#[test]
fn every_value_of_logs_is_read_back() {
    for seed in 0..20 {
        let mut source = Source::new(seed);
        let messages: Vec<_> = (0..50).map(|_| source.log().encode_to_vec()).collect();
        let rows = decoded::<LogRecord>(&messages).map(|log| reference::log(&source, &log)).collect();
        compare(Signal::Logs, &mut source, &messages, BTreeMap::from([("logs", rows)]));
    }
}

#[test]
fn every_value_of_metrics_is_read_back() {
    for seed in 0..20 {
        let mut source = Source::new(seed);
        let messages: Vec<_> = (0..40).map(|_| source.metric().encode_to_vec()).collect();
        let mut expected: BTreeMap<&'static str, Vec<Json>> = BTreeMap::new();
        for metric in decoded::<Metric>(&messages) {
            for (table, row) in reference::metric(&source, &metric) {
                expected.entry(table).or_default().push(row);
            }
        }
        compare(Signal::Metrics, &mut source, &messages, expected);
    }
}

#[test]
fn the_same_items_give_the_same_bytes() {
    let mut source = Source::new(7);
    let messages: Vec<_> = (0..300).map(|_| source.span().encode_to_vec()).collect();
    let resource = source.resource.encode_to_vec();
    let context = Context { resource: &resource, ..Context::default() };
    assert_eq!(write(Signal::Traces, context, &messages), write(Signal::Traces, context, &messages));
}

#[test]
fn rows_are_in_the_tables_order() {
    let mut source = Source::new(8);
    let messages: Vec<_> = (0..300).map(|_| source.span().encode_to_vec()).collect();
    let written = write(Signal::Traces, Context::default(), &messages);
    let rows = read::rows(&written.files[0].bytes);
    let keys: Vec<_> = rows.iter().map(|row| (row["name"].to_string(), row["start_unix_nano"].as_i64())).collect();
    assert!(keys.is_sorted());
}

#[test]
fn a_series_is_the_same_whatever_the_order_of_its_attributes() {
    let mut source = Source::new(3);
    let mut metric = source.metric();
    while !matches!(&metric.data, Some(Data::Summary(summary)) if summary.data_points[0].attributes.len() > 2) {
        metric = source.metric();
    }
    let hashes = |metric: &Metric| {
        let written = write(Signal::Metrics, Context::default(), &[metric.encode_to_vec()]);
        read::rows(&written.files[0].bytes).iter().map(|row| row["series_hash"].to_string()).collect::<Vec<_>>()
    };
    let mut turned = metric.clone();
    let Some(Data::Summary(summary)) = &mut turned.data else { unreachable!() };
    summary.data_points[0].attributes.sort_by(|a, b| b.key.cmp(&a.key));
    summary.data_points[0].attributes.dedup_by(|a, b| a.key == b.key);
    let mut sorted = turned.clone();
    let Some(Data::Summary(summary)) = &mut sorted.data else { unreachable!() };
    summary.data_points[0].attributes.reverse();
    assert_eq!(hashes(&turned), hashes(&sorted));
    sorted.unit.push('x');
    assert_ne!(hashes(&turned), hashes(&sorted));
}
