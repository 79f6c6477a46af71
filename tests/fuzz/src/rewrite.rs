//! Rules over items: what the walker took is taken by the rules, too, and comes out as protobuf that others read, without
//! fields that nobody knows and without text that is not UTF-8.

use std::cell::RefCell;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanlake_model::{BucketRange, Signal};
use spanlake_otlp::cut::{Cut, Request, Scratch as CutScratch, cut};
use spanlake_otlp::limits::Limits;
use spanlake_otlp::payload::Items;
use spanlake_otlp::schema;
use spanlake_policy::{Context, DEFAULT_CONFIG, Rules, Scratch, load};

use super::draw::Draw;
use super::{generate, used};

/// Rules of every kind, and bounds that short items pass.
const STRICT: &str = r#"
processors:
  transform:
    trace_statements:
      - replace_pattern(span.attributes["url.full"], "^(https?://[^?]*).*$", "$$1")
      - replace_pattern(span.name, "[0-9]+", "{n}")
    log_statements:
      - replace_pattern(log.body, "password", "")
  redaction:
    allow_all_keys: false
    allowed_keys: [url.full, http.request.method, k, user.id]
    ignored_keys: [service.name]
    blocked_values: ["4[0-9]{3}", "x+"]
    summary: silent
receivers: {otlp: {protocols: {http: }}}
exporters: {x: }
service:
  pipelines:
    traces: {receivers: [otlp], processors: [transform, redaction], exporters: [x]}
    logs: {receivers: [otlp], processors: [transform, redaction], exporters: [x]}
    metrics: {receivers: [otlp], processors: [redaction], exporters: [x]}
"#;

const SEED: &str = include_str!("../../data/vectors/seed-collector-config.yaml");

thread_local! {
    static RULES: Vec<Rules> = [DEFAULT_CONFIG, SEED, STRICT].map(rules_of).into();
    static USED: RefCell<(CutScratch, Scratch)> = RefCell::default();
}

fn rules_of(text: &str) -> Rules {
    let loaded = load(text, &|_| None);
    loaded.rules.unwrap_or_else(|| panic!("{:?}", loaded.findings))
}

/// The target.
pub fn rewrite(data: &[u8]) {
    let mut draw = Draw::new(data);
    let mode = draw.byte();
    let signal = Signal::ALL[usize::from(mode & 15) % 3];
    RULES.with(|all| {
        let rules = &all[usize::from(mode >> 4 & 7) % all.len()];
        USED.with_borrow_mut(|(cut_scratch, scratch)| {
            if mode & 128 == 0 {
                any_bytes(rules, signal, draw.rest(), scratch);
            } else {
                let body = generate::request(&mut draw, signal);
                let request = Request { signal, tenant: "t", body: &body };
                if let Ok(cut) = cut(&request, &Limits::default(), &[BucketRange::ALL], cut_scratch) {
                    what_was_taken(rules, signal, &cut, scratch);
                }
            }
        });
    });
}

/// Bytes that no walker has seen: no panic, and nothing is left behind by what is dropped.
fn any_bytes(rules: &Rules, signal: Signal, bytes: &[u8], scratch: &mut Scratch) {
    let context = Context { resource: bytes, scope: bytes, resource_schema_url: bytes, scope_schema_url: bytes };
    used(rules.context(signal, context, scratch));
    let context = rules.context(signal, Context::default(), scratch);
    let mut out = b"before".to_vec();
    let outcome = rules.item(signal, &context, bytes, &mut out, scratch);
    assert!(out.starts_with(b"before"));
    if outcome.dropped.is_some() {
        assert_eq!(out, b"before");
    } else {
        prost_reads(signal, bytes, &out["before".len()..]);
    }
}

/// Every item that the walker takes is taken by the rules.
fn what_was_taken(rules: &Rules, signal: Signal, cut: &Cut, scratch: &mut Scratch) {
    let mut out = Vec::new();
    for record in &cut.records {
        let mut items = Items::new(&record.payload);
        while let Some(item) = items.next().unwrap() {
            let masked = rules.context(signal, items.context(), scratch);
            assert_eq!(masked.dropped, None);
            Resource::decode(&masked.resource[..]).expect("a masked resource");
            out.clear();
            let outcome = rules.item(signal, &masked, item.bytes, &mut out, scratch);
            assert_eq!(outcome.dropped, None);
            prost_reads(signal, item.bytes, &out);
            only_known_fields(schema::item(signal), &out);
        }
    }
}

/// If prost reads the item as it came, it reads it as it is now.
fn prost_reads(signal: Signal, before: &[u8], after: &[u8]) {
    let read = |bytes: &[u8]| match signal {
        Signal::Traces => Span::decode(bytes).map(drop),
        Signal::Logs => LogRecord::decode(bytes).map(drop),
        Signal::Metrics => Metric::decode(bytes).map(drop),
    };
    if read(before).is_ok()
        && let Err(error) = read(after)
    {
        panic!("masked: {error}");
    }
}

fn only_known_fields(message: &'static schema::Message, bytes: &[u8]) {
    let mut reader = spanlake_otlp::wire::Reader::new(bytes);
    while let Some(field) = reader.next().expect("what was masked is well-formed") {
        let known = message.field(field.number).unwrap_or_else(|| panic!("an unknown field {}", field.number));
        if let (schema::Kind::Message(inner), Some(bytes)) = (known.kind, field.value.bytes()) {
            only_known_fields(inner, bytes);
        }
    }
}
