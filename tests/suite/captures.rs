//! Bodies that the published SDKs sent, with the headers they sent: every one is answered 200, and every item of it is
//! on the stream and in the sealed outputs with every value that a straightforward decode of the body gives.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::Value;
use spanlake_model::{NANOS_PER_SECOND, Signal, TraceId};
use spanlake_pipeline::envelope::Envelope;
use spanlake_pipeline::inspect::{overview, sealed_items};
use spanlake_pipeline::ports::EventStream;
use spanlake_pipeline::settings::GroupSettings;
use spanlake_testkit::{Faults, SimStore};

use crate::drive::{Front, START_NANOS, block_on, grouper};

const KEEP_EVERYTHING: &str = include_str!("captures/everything.yaml");

/// A body as it came over the wire.
pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) signal: Signal,
    path: String,
    headers: BTreeMap<String, String>,
    wire: Vec<u8>,
}

impl Capture {
    fn is_json(&self) -> bool {
        self.name.contains(".json")
    }

    /// The body without its encoding, by another decoder than the product's way of calling it.
    pub(crate) fn inflated(&self) -> Vec<u8> {
        let mut body = Vec::new();
        if self.headers.contains_key("content-encoding") {
            flate2::read::MultiGzDecoder::new(&self.wire[..]).read_to_end(&mut body).unwrap();
        } else {
            body.clone_from(&self.wire);
        }
        body
    }

    fn request(&self) -> Request<Bytes> {
        let mut request = Request::post(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(self.wire.clone().into()).unwrap()
    }
}

/// Every body of `tests/data/captures`, in order of their names.
pub(crate) fn all() -> Vec<Capture> {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data");
    let heads: Value = serde_json::from_slice(&std::fs::read(format!("{data}/captures-headers.json")).unwrap()).unwrap();
    let heads = heads.as_object().unwrap();
    let files = std::fs::read_dir(format!("{data}/captures")).unwrap().count();
    assert!(heads.len() == files && files >= 42, "{files} bodies, {} heads", heads.len());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let capture = |(name, head): (&String, &Value)| Capture {
        name: name.clone(),
        signal: Signal::ALL.into_iter().find(|signal| name.contains(signal.name())).unwrap(),
        path: text(&head["path"]),
        headers: head["headers"].as_object().unwrap().iter().map(|(name, value)| (name.to_lowercase(), text(value))).collect(),
        wire: std::fs::read(format!("{data}/captures/{name}")).unwrap(),
    };
    let mut all: Vec<_> = heads.iter().map(capture).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// An item with all its values, and its resource's and scope's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    context: String,
    trace: TraceId,
    values: String,
}

fn item(context: &str, trace: &[u8], message: &impl std::fmt::Debug) -> Item {
    Item { context: context.to_owned(), trace: TraceId::from_slice(trace).unwrap_or_default(), values: format!("{message:?}") }
}

fn decode<M: Message + Default + serde::de::DeserializeOwned>(body: &[u8], is_json: bool) -> M {
    if is_json { serde_json::from_slice(body).unwrap() } else { M::decode(body).unwrap() }
}

/// The items of a request, in order of their values.
fn items(signal: Signal, body: &[u8], is_json: bool) -> Vec<Item> {
    let mut items = Vec::new();
    match signal {
        Signal::Traces => {
            for group in decode::<ExportTraceServiceRequest>(body, is_json).resource_spans {
                for scope in group.scope_spans {
                    let context = format!("{:?} {:?} {:?} {:?}", group.resource, group.schema_url, scope.scope, scope.schema_url);
                    items.extend(scope.spans.iter().map(|span| item(&context, &span.trace_id, span)));
                }
            }
        }
        Signal::Logs => {
            for group in decode::<ExportLogsServiceRequest>(body, is_json).resource_logs {
                for scope in group.scope_logs {
                    let context = format!("{:?} {:?} {:?} {:?}", group.resource, group.schema_url, scope.scope, scope.schema_url);
                    items.extend(scope.log_records.iter().map(|record| item(&context, &record.trace_id, record)));
                }
            }
        }
        Signal::Metrics => {
            for group in decode::<ExportMetricsServiceRequest>(body, is_json).resource_metrics {
                for scope in group.scope_metrics {
                    let context = format!("{:?} {:?} {:?} {:?}", group.resource, group.schema_url, scope.scope, scope.schema_url);
                    items.extend(scope.metrics.iter().map(|metric| item(&context, &[], metric)));
                }
            }
        }
    }
    items.sort();
    items
}

/// What the stream's records hold.
fn streamed(front: &Front) -> Vec<Item> {
    let mut all = Vec::new();
    for shard in 0..front.stream.shards().len() {
        for record in front.records(shard) {
            let Envelope::Items(held) = Envelope::decode(&record.bytes).unwrap() else { continue };
            all.extend(items(held.signal, &held.inflate().unwrap(), false));
        }
    }
    all.sort();
    all
}

/// What the sealed outputs hold; they show no context.
fn sealed(store: &SimStore) -> Vec<Item> {
    let objects = store.snapshot().into_iter().filter(|(key, _)| key.starts_with("sealed/"));
    let mut all = Vec::new();
    for view in objects.flat_map(|(_, object)| sealed_items(&object).unwrap()) {
        let shown = match view.signal {
            Signal::Traces => item("", &view.trace.0, &Span::decode(&view.bytes[..]).unwrap()),
            Signal::Logs => item("", &view.trace.0, &LogRecord::decode(&view.bytes[..]).unwrap()),
            Signal::Metrics => item("", &view.trace.0, &Metric::decode(&view.bytes[..]).unwrap()),
        };
        all.push(shown);
    }
    all.sort();
    all
}

/// Groups everything on the stream until all windows are closed.
fn group(front: &Front, name: &str) -> Arc<SimStore> {
    let store = Arc::new(SimStore::new(0, Faults::default()));
    front.beat(START_NANOS + 60 * NANOS_PER_SECOND);
    let shards = front.stream.shards();
    for (number, shard) in shards.iter().enumerate() {
        let mut grouper = grouper(&store, shard, &GroupSettings::default(), KEEP_EVERYTHING);
        let handled = block_on(grouper.handle(&front.records(number))).unwrap();
        assert!(handled.close_error.is_none(), "{name}: {handled:?}");
    }
    let state = block_on(overview(store.as_ref())).unwrap();
    for signal in Signal::ALL {
        let account = state.ledger.account(signal);
        assert_eq!((account.kept, account.pending), (account.committed, 0), "{name}");
    }
    assert_eq!(state.ledger.masked, BTreeMap::new(), "{name}");
    store
}

#[test]
fn every_body_that_an_sdk_sent_is_sealed_with_every_value() {
    for capture in all() {
        let name = &capture.name;
        let sent = items(capture.signal, &capture.inflated(), capture.is_json());
        assert!(!sent.is_empty(), "{name}");
        let front = Front::new(3);
        let answer = front.handle(capture.request());
        let expected: &[u8] = if capture.is_json() { b"{}" } else { b"" };
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, expected), "{name}");
        assert_eq!(streamed(&front), sent, "{name}");
        let mut bare: Vec<Item> = sent.into_iter().map(|item| Item { context: String::new(), ..item }).collect();
        bare.sort();
        assert_eq!(sealed(&group(&front, name)), bare, "{name}");
    }
}
