//! The incident switch: a service is kept as a whole until its time, and goes by the rules again after it, however the stream is
//! read, whoever is there to take the overlay away, and whatever is pushed meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use spanlake_model::{NANOS_PER_SECOND, Signal, SpanId, TraceId};
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::group::CompileRules;
use spanlake_pipeline::inspect::{RecordedDecision, find_trace, sealed_items};
use spanlake_pipeline::keep_all::{keep, kept, kept_by};
use spanlake_pipeline::keys;
use spanlake_pipeline::manifest::Manifest;
use spanlake_pipeline::ports::{EventStream, ObjectStore, Record};
use spanlake_pipeline::rules::{Activation, RulesError, push, wanted};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::{DEFAULT_CONFIG, Overlay};
use spanlake_testkit::{Faults, SimStore, SpanSpec, trace_request};

use crate::drive::{Front, START_NANOS, block_on, grouper, rules};

/// Drops what failed, and keeps nothing else.
const NOTHING: &str = "
processors:
  tail_sampling:
    decision_wait: 10s
    policies:
      - {name: failed, type: drop, drop: {drop_sub_policy: [{name: e, type: status_code, status_code: {status_codes: [ERROR]}}]}}
      - {name: endless, type: latency, latency: {threshold_ms: 3600000}}
service: {pipelines: {traces: {processors: [tail_sampling]}}}
";

/// The end of what is kept, in seconds after the start.
const UNTIL: i64 = 60;

fn compile() -> Arc<CompileRules> {
    Arc::new(|text: &str| rules(text).map(Arc::new))
}

fn version(text: &str) -> String {
    compile()(text).unwrap().version().to_owned()
}

fn at(seconds: i64) -> i64 {
    START_NANOS + seconds * NANOS_PER_SECOND
}

fn overlay(service: &str) -> Overlay {
    let mut overlay = Overlay::default();
    overlay.add(service, at(UNTIL) / NANOS_PER_SECOND).unwrap();
    overlay
}

fn store() -> Arc<SimStore> {
    Arc::new(SimStore::new(0, Faults::default()))
}

fn want(store: &SimStore, overlay: &Overlay) {
    let (_, etag) = block_on(kept(store)).unwrap();
    block_on(keep(store, overlay, etag.as_ref())).unwrap();
}

/// What heartbeats would carry then, and why not what is wanted.
fn active(activation: &mut Activation<SimStore>, seconds: i64) -> (String, Option<String>) {
    let active = block_on(activation.active(at(seconds))).unwrap();
    (active.version, active.refused)
}

/// A span of a trace, sent at a second.
fn send(front: &Front, seconds: i64, service: &str, trace: u8, failed: bool) {
    front.stream.set_now(at(seconds));
    let span = SpanSpec {
        trace: TraceId([trace; 16]),
        id: SpanId([trace, u8::try_from(seconds).unwrap(), 1, 1, 1, 1, 1, 1]),
        parent: SpanId::default(),
        name: "work".to_owned(),
        kind: 2,
        start_nanos: 1,
        end_nanos: 2,
        status: if failed { 2 } else { 0 },
        attributes: Vec::new(),
    };
    front.post(Signal::Traces, trace_request(service, &[span]));
}

/// A stream of which `store` holds the rules: checkout is kept from second 5 on, and the overlay is taken away at second 62.
fn stream(store: &Arc<SimStore>) -> Vec<Record> {
    let front = Front::new(1);
    let mut activation = Activation::of(Arc::clone(store), compile(), NOTHING.to_owned());
    let mut beat = |seconds: i64| {
        front.stream.set_now(at(seconds));
        let (version, refused) = active(&mut activation, seconds);
        assert_eq!(refused, None);
        front.stream.push(0, heartbeat(&version));
    };
    beat(0);
    send(&front, 1, "checkout", 1, false);
    want(store, &overlay("checkout"));
    beat(5);
    send(&front, 6, "checkout", 1, false);
    send(&front, 7, "checkout", 2, false);
    send(&front, 8, "cart", 3, true);
    send(&front, 9, "cart", 4, false);
    send(&front, 10, "checkout", 4, false);
    send(&front, 11, "checkout", 5, true);
    send(&front, 45, "checkout", 1, false);
    send(&front, 59, "checkout", 6, true);
    send(&front, 60, "checkout", 7, false);
    send(&front, 61, "cart", 6, false);
    beat(62);
    send(&front, 63, "checkout", 8, false);
    for seconds in [80, 95, 110] {
        beat(seconds);
    }
    front.records(0)
}

/// Reads a stream in batches of so many records, each by a grouper that remembers nothing; what is sealed and decided then.
fn read(store: &Arc<SimStore>, records: &[Record], batch: usize) -> BTreeMap<String, Bytes> {
    let shard = Front::new(1).stream.shards().remove(0);
    for records in records.chunks(batch) {
        let handled = block_on(grouper(store, &shard, &GroupSettings::default(), NOTHING).handle(records)).unwrap();
        assert!(handled.close_error.is_none(), "{handled:?}");
    }
    let is_output = |key: &String| key.starts_with(keys::SEALED) || key.starts_with(keys::DECISIONS);
    store.snapshot().into_iter().filter(|(key, _)| is_output(key)).collect()
}

/// How many spans of a trace are kept, and its decision.
fn outcome(store: &SimStore, outputs: &BTreeMap<String, Bytes>, trace: u8) -> (usize, RecordedDecision) {
    let sealed = outputs.iter().filter(|(key, _)| key.starts_with(keys::SEALED));
    let items = sealed.flat_map(|(_, object)| sealed_items(object).unwrap());
    let spans = items.filter(|item| item.trace == TraceId([trace; 16]));
    let weights: Vec<f64> = spans.map(|item| item.weight).collect();
    assert!(weights.iter().all(|weight| weight.to_bits() == 1_f64.to_bits()), "{weights:?}");
    let mut decisions = block_on(find_trace(store, TraceId([trace; 16]))).unwrap().decisions;
    assert_eq!(decisions.len(), 1, "trace {trace}: {decisions:?}");
    (weights.len(), decisions.remove(0))
}

#[test]
fn a_service_is_kept_until_its_time_and_goes_by_the_rules_before_and_after_it() {
    let store = store();
    let records = stream(&store);
    let outputs = read(&store, &records, records.len());
    for (trace, spans, policy, what) in [
        (1, 1, "", "it began before; its late span is kept by itself"),
        (2, 1, "keep_all", "it began after the heartbeat"),
        (3, 0, "failed", "another service"),
        (4, 2, "keep_all", "one of its spans is the service's: the whole trace"),
        (5, 1, "keep_all", "a drop would have vetoed it"),
        (6, 2, "keep_all", "its first span came in time, its decision and its second span did not"),
        (7, 0, "", "it came at the end itself, under the same rules"),
        (8, 0, "", "the overlay is taken away"),
    ] {
        let (kept, decision) = outcome(&store, &outputs, trace);
        assert_eq!((kept, decision.reason.policy.as_str()), (spans, policy), "trace {trace}: {what}: {decision:?}");
        let votes = [("keep_all".to_owned(), "sampled".to_owned())];
        assert_eq!(decision.reason.votes == votes, policy == "keep_all", "trace {trace}: {decision:?}");
    }
    let laid = version(&overlay("checkout").compose(NOTHING));
    let of = |trace| outcome(&store, &outputs, trace).1.reason.rules;
    assert_eq!([1, 2, 7, 8].map(of), [version(NOTHING), laid.clone(), laid, version(NOTHING)]);
}

#[test]
fn a_stream_with_an_overlay_is_decided_the_same_however_it_is_read() {
    let whole = store();
    let records = stream(&whole);
    let expected = read(&whole, &records, records.len());
    for batch in [1, 2, 5] {
        let other = store();
        // Whoever reads it again has the stored rules and the stream, and no note of what is kept.
        for (key, bytes) in whole.snapshot().into_iter().filter(|(key, _)| key.starts_with(keys::RULES)) {
            if !keys::RULES_CHANGING.contains(&key.as_str()) {
                block_on(other.put(&key, bytes)).unwrap();
            }
        }
        assert_eq!(read(&other, &records, batch), expected, "batches of {batch}");
    }
}

#[test]
fn what_is_kept_survives_a_restart_and_goes_with_its_time() {
    let store = store();
    let laid = version(&overlay("checkout").compose(NOTHING));
    want(&store, &overlay("checkout"));
    for _ in 0..2 {
        let mut started = Activation::of(Arc::clone(&store), compile(), NOTHING.to_owned());
        assert_eq!(active(&mut started, 0), (laid.clone(), None));
        assert_eq!(active(&mut started, UNTIL), (version(NOTHING), None), "nobody has asked for an end");
    }
    let stored = block_on(store.get(&keys::rules(&laid))).unwrap().unwrap().bytes;
    assert_eq!(stored, overlay("checkout").compose(NOTHING), "a grouper finds what the heartbeats carry");
}

#[test]
fn a_shard_tells_what_its_rules_keep() {
    let store = store();
    let records = stream(&store);
    let in_force = |records: &[Record]| {
        read(&store, records, 1);
        let manifest = store.snapshot().remove(&keys::manifest(&Front::new(1).stream.shards()[0].id)).unwrap();
        block_on(kept_by(store.as_ref(), &Manifest::decode(&manifest).unwrap().rules.current)).unwrap()
    };
    assert_eq!(in_force(&records[..1]), Overlay::default());
    assert_eq!(in_force(&records[..4]), overlay("checkout"));
    assert_eq!(in_force(&records), Overlay::default());
}

#[test]
fn a_push_of_rules_leaves_what_is_kept_and_takes_none_of_it_in() {
    let store = store();
    let mut archiver = Activation::new(Arc::clone(&store), compile(), DEFAULT_CONFIG);
    want(&store, &overlay("checkout"));
    assert_eq!(active(&mut archiver, 0), (version(&overlay("checkout").compose(DEFAULT_CONFIG)), None));
    let push_now = |text: &str| {
        let before = block_on(wanted(store.as_ref())).unwrap().map(|(_, etag)| etag);
        block_on(push(store.as_ref(), text, before.as_ref(), compile().as_ref()))
    };
    push_now(NOTHING).unwrap();
    let laid = version(&overlay("checkout").compose(NOTHING));
    assert_eq!(active(&mut archiver, 1), (laid.clone(), None));
    let stored = block_on(store.get(&keys::rules(&laid))).unwrap().unwrap().bytes;
    let baked = push_now(std::str::from_utf8(&stored).unwrap());
    assert!(matches!(&baked, Err(RulesError::Refused(reason)) if reason.contains("keep-all")), "{baked:?}");
    assert_eq!(active(&mut archiver, UNTIL), (version(NOTHING), None));
}

#[test]
fn rules_that_break_under_what_is_kept_do_not_end_it_and_do_not_keep_it_longer() {
    let store = store();
    let mut archiver = Activation::new(Arc::clone(&store), compile(), NOTHING);
    want(&store, &overlay("checkout"));
    let laid = version(&overlay("checkout").compose(NOTHING));
    assert_eq!(active(&mut archiver, 0), (laid.clone(), None));
    block_on(store.put(keys::RULES_CURRENT, Bytes::from_static(b"processors: ["))).unwrap();
    for (seconds, version) in [(1, laid), (UNTIL, version(NOTHING))] {
        let (found, refused) = active(&mut archiver, seconds);
        assert!(found == version && refused.is_some(), "{seconds}: {found} {refused:?}");
    }
}

#[test]
fn what_cannot_be_kept_is_told_and_changes_nothing() {
    let store = store();
    for broken in [&b"keep_all: 7"[..], b"\xff", b"other: 1"] {
        block_on(store.put(keys::RULES_KEEP_ALL, Bytes::copy_from_slice(broken))).unwrap();
        let mut archiver = Activation::new(Arc::clone(&store), compile(), NOTHING);
        let (found, refused) = active(&mut archiver, 0);
        assert_eq!(found, version(NOTHING));
        assert!(refused.is_some_and(|reason| reason.contains(keys::RULES_KEEP_ALL)));
    }
}
