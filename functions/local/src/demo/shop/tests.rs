//! The shop is as large and as varied as it says, and its bodies hold exactly what the truth counted.

use std::collections::BTreeSet;
use std::io::Read;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::super::secrets::leaks;
use super::*;

const START_NANOS: u64 = 1_767_225_600_000_000_000;

fn inflated(request: &Request) -> Vec<u8> {
    let mut message = Vec::new();
    match request.content_encoding {
        Some("gzip") => drop(flate2::read::GzDecoder::new(&request.body[..]).read_to_end(&mut message).unwrap()),
        Some("zstd") => message = zstd::stream::decode_all(&request.body[..]).unwrap(),
        _ => message.clone_from(&request.body),
    }
    message
}

fn decoded<M: Message + Default>(request: &Request, from_json: fn(&[u8]) -> serde_json::Result<M>) -> M {
    let message = inflated(request);
    if request.content_type == "application/json" { from_json(&message).unwrap() } else { M::decode(&message[..]).unwrap() }
}

#[test]
fn the_usual_shop_is_large_and_varied_enough() {
    let shop = build(SEED, START_NANOS, Size::USUAL).unwrap();
    let truth = &shop.truth;
    let items = truth.accepted();
    assert!((25_000..35_000).contains(&items[Signal::Traces]), "{items:?}");
    assert!((5_000..8_000).contains(&items[Signal::Logs]) && (2_500..3_500).contains(&items[Signal::Metrics]), "{items:?}");
    for (share, per_mille) in [
        (truth.count(|trace| trace.failed), 10..40),
        (truth.count(|trace| trace.slow), 20..45),
        (truth.count(|trace| trace.payment), 70..130),
        (truth.count(|trace| trace.health), 20..45),
    ] {
        assert!(per_mille.contains(&(share * 1_000 / 3_000)), "{share}");
    }
    assert_eq!(truth.served().len(), 9, "every service but the mailer, which only takes messages, answers requests");
    assert!(truth.planter.planted.len() >= 15 && truth.shown.is_some());
    assert!(shop.requests.last().unwrap().due_ms < 12_000);
    let encodings: BTreeSet<_> = shop.requests.iter().map(|request| (request.content_type, request.content_encoding)).collect();
    assert_eq!(encodings.len(), 5);
}

#[test]
fn the_bodies_hold_exactly_what_the_truth_counted() {
    let size = Size { traces: 300, lone_logs: 40, spread_ms: 3_000, metric_exports: 1 };
    let shop = build(3, START_NANOS, size).unwrap();
    let (mut spans, mut refused, mut logs, mut requests_of_a_trace) = (BTreeSet::new(), 0, 0, BTreeSet::new());
    for (at, request) in shop.requests.iter().enumerate() {
        match request.signal {
            Signal::Traces => {
                let message: ExportTraceServiceRequest = decoded(request, |text| serde_json::from_slice(text));
                let all = message.resource_spans.into_iter().flat_map(|group| group.scope_spans).flat_map(|group| group.spans);
                for span in all {
                    let Some(trace) = TraceId::from_slice(&span.trace_id) else {
                        refused += 1;
                        continue;
                    };
                    let id = SpanId::from_slice(&span.span_id).unwrap();
                    let sent = &shop.truth.spans[&id];
                    assert_eq!((sent.trace, &sent.name, sent.start_nanos), (trace, &span.name, span.start_time_unix_nano));
                    assert_eq!(sent.duration_nanos, span.end_time_unix_nano - span.start_time_unix_nano);
                    assert!(span.end_time_unix_nano <= START_NANOS + request.due_ms * NANOS_PER_MS, "sent before it ended");
                    assert!(spans.insert(id));
                    requests_of_a_trace.insert((trace, at));
                }
            }
            Signal::Logs => {
                let message: ExportLogsServiceRequest = decoded(request, |text| serde_json::from_slice(text));
                logs += message
                    .resource_logs
                    .iter()
                    .flat_map(|group| &group.scope_logs)
                    .map(|group| group.log_records.len())
                    .sum::<usize>();
            }
            Signal::Metrics => {}
        }
    }
    assert_eq!((spans.len(), refused), (shop.truth.spans.len(), 1));
    assert_eq!(logs as u64, shop.truth.logs.total);
    assert!(requests_of_a_trace.len() > 2 * shop.truth.traces.len(), "a trace arrives in several requests");
    assert!(shop.requests.iter().filter(|request| request.is_repeated).count() >= 2);
}

#[test]
fn every_planted_secret_is_in_a_body_under_its_mark() {
    let size = Size { traces: 60, lone_logs: 60, spread_ms: 1_000, metric_exports: 1 };
    let shop = build(7, START_NANOS, size).unwrap();
    let bodies: Vec<_> = shop.requests.iter().map(|request| String::from_utf8_lossy(&inflated(request)).into_owned()).collect();
    assert!(bodies.iter().filter(|body| leaks(body)).count() >= 3);
    assert!(shop.truth.planter.examples.iter().all(|example| leaks(&example.sent)));
}
