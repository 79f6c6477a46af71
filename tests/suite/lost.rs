//! What a listed object means when it is gone or damaged: a loud failure that names it, never a skipped item; and the
//! intake of the shard goes on.

use std::sync::Arc;

use spanlake_model::{ErrorKind, NANOS_PER_SECOND, Signal, SpanId, TraceId};
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::{EventStream, ObjectStore};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_testkit::{Faults, SimStore, SpanSpec, trace_request};

use crate::drive::{Front, START_NANOS, block_on, grouper};

const KEEP_ALL: &str = include_str!("keep_all.yaml");

fn body(id: u8) -> Vec<u8> {
    let span = SpanSpec {
        trace: TraceId([id; 16]),
        id: SpanId([id; 8]),
        parent: SpanId::default(),
        name: "work".to_owned(),
        kind: 2,
        start_nanos: 1,
        end_nanos: 2,
        status: 0,
        attributes: Vec::new(),
    };
    trace_request("shop", &[span])
}

fn only_key(store: &SimStore, prefix: &str) -> String {
    store.snapshot().into_keys().find(|key| key.starts_with(prefix)).unwrap()
}

#[test]
fn a_lost_staged_batch_stops_closing_loudly_and_not_the_intake() {
    let front = Front::new(1);
    let store = Arc::new(SimStore::new(0, Faults::default()));
    let shard = front.stream.shards().remove(0);
    let mut grouper = grouper(&store, &shard, &GroupSettings::default(), KEEP_ALL);
    front.post(Signal::Traces, body(1));
    let first = block_on(grouper.handle(&front.records(0))).unwrap();
    assert!(first.close_error.is_none());
    assert!(store.lose(&only_key(&store, keys::STAGED)));
    front.beat(START_NANOS + 40 * NANOS_PER_SECOND);
    front.post(Signal::Traces, body(2));
    let second = block_on(grouper.handle(&front.records(0))).unwrap();
    assert!(second.watermark > first.watermark);
    let error = second.close_error.expect("the close needs what was lost");
    assert_eq!(error.kind(), ErrorKind::BadData);
    assert!(error.to_string().contains(keys::STAGED), "{error}");
    let ledger = &block_on(grouper.manifest()).unwrap().ledger;
    assert!(ledger.balances() && ledger.traces.pending == 2, "{ledger:?}");
}

#[test]
fn a_truncated_or_lost_sealed_output_fails_its_plan_by_name_until_it_is_back() {
    let front = Front::new(1);
    let store = Arc::new(SimStore::new(0, Faults::default()));
    let shard = front.stream.shards().remove(0);
    let mut grouper = grouper(&store, &shard, &GroupSettings::default(), KEEP_ALL);
    front.post(Signal::Traces, body(1));
    front.beat(START_NANOS + 40 * NANOS_PER_SECOND);
    assert!(block_on(grouper.handle(&front.records(0))).unwrap().close_error.is_none());
    let key = only_key(&store, keys::SEALED);
    let whole = store.snapshot().remove(&key).unwrap();
    let mut archiver = Archiver::new(Arc::clone(&store), 1 << 20);
    for damaged in [Some(whole.slice(..whole.len() / 2)), None] {
        match damaged {
            Some(half) => block_on(store.put(&key, half)).unwrap(),
            None => assert!(store.lose(&key)),
        }
        let error = block_on(archiver.run()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadData);
        assert!(error.to_string().contains(&key), "{error}");
        assert!(!store.snapshot().keys().any(|key| key.starts_with(keys::LAKE)), "nothing is filed of a damaged plan");
    }
    block_on(store.put(&key, whole)).unwrap();
    assert_eq!(block_on(archiver.run()).unwrap().plans, 1);
    let filed: Vec<String> = store.snapshot().into_keys().filter(|key| key.starts_with("lake/v1/spans/")).collect();
    assert_eq!(filed.len(), 1);
    // A rerun from the plan writes the same bytes under the same names.
    let before = store.snapshot();
    assert!(store.lose(&keys::plan_done(1)));
    let mut rerun = Archiver::new(Arc::clone(&store), 1 << 20);
    assert_eq!(block_on(rerun.run()).unwrap().plans, 1);
    assert_eq!(store.snapshot(), before);
}

/// A shard with a window that is filed, and records that are not.
fn filed() -> (Front, Arc<SimStore>) {
    let front = Front::new(1);
    let store = Arc::new(SimStore::new(0, Faults::default()));
    let mut grouper = grouper(&store, &front.stream.shards().remove(0), &GroupSettings::default(), KEEP_ALL);
    front.post(Signal::Traces, body(1));
    front.beat(START_NANOS + 40 * NANOS_PER_SECOND);
    block_on(grouper.handle(&front.records(0))).unwrap();
    assert_eq!(block_on(Archiver::new(Arc::clone(&store), 1 << 20).run()).unwrap().plans, 1);
    (front, store)
}

#[test]
fn a_shard_whose_manifest_is_gone_is_not_begun_anew() {
    let (front, store) = filed();
    let key = keys::manifest(&front.stream.shards().remove(0).id);
    let manifest = store.snapshot().remove(&key).unwrap();
    assert!(store.lose(&key));
    let mut cold = grouper(&store, &front.stream.shards().remove(0), &GroupSettings::default(), KEEP_ALL);
    let error = block_on(cold.handle(&front.records(0))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadData);
    assert!(error.to_string().contains(&key), "{error}");
    block_on(store.put(&key, manifest)).unwrap();
    assert!(block_on(cold.handle(&front.records(0))).is_ok());
}

#[test]
fn nothing_is_filed_twice_when_a_plan_is_gone() {
    let (front, store) = filed();
    let plan = store.snapshot().remove(&keys::plan(1)).unwrap();
    assert!(store.lose(&keys::plan(1)));
    let refused = |names: &str| {
        let error = block_on(Archiver::new(Arc::clone(&store), 1 << 20).run()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadData);
        assert!(error.to_string().contains(names), "{error}");
    };
    refused(&keys::plan(1));
    assert!(store.lose(&keys::plan_done(1)));
    // What the plan took is no longer listed: the next output shows that something is missing.
    front.post(Signal::Traces, body(2));
    front.beat(START_NANOS + 90 * NANOS_PER_SECOND);
    let mut grouper = grouper(&store, &front.stream.shards().remove(0), &GroupSettings::default(), KEEP_ALL);
    block_on(grouper.handle(&front.records(0))).unwrap();
    refused("shard");
    block_on(store.put(&keys::plan(1), plan)).unwrap();
    assert_eq!(block_on(Archiver::new(Arc::clone(&store), 1 << 20).run()).unwrap().plans, 2);
}
