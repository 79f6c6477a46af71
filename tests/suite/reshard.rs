//! Splits, merges and stale lists of shards, one schedule at a time: each test names what must hold.

mod scene;

use scene::{ERRORS, Scene, error, fine, trace_in};
use spanlake_model::Signal;
use spanlake_testkit::trace_request;

const HALF: u16 = 2048;
const ALL: u16 = 4095;

/// The same policies under another name: another version that decides the same.
fn renamed() -> String {
    ERRORS.replace("name: errors", "name: failures")
}

#[test]
fn rules_before_a_switch_still_take_facts_after_it_however_cold_the_grouper_is() {
    for cold in [false, true] {
        let scene = Scene::new(1);
        let shard = scene.open().remove(0).id;
        let (old, new) = (scene.save_rules(ERRORS), scene.save_rules(&renamed()));
        let trace = trace_in(0, ALL, 1);
        scene.beat(0, &old);
        scene.at_ms(8_000);
        scene.send(&[fine(trace, 1)]);
        scene.at_ms(9_000);
        scene.beat(0, &new);
        if cold {
            scene.group(&shard);
        }
        scene.at_ms(12_000);
        scene.send(&[error(trace, 2)]);
        scene.group(&shard);
        scene.settle(20_000);
        assert_eq!(scene.kept(trace), 2, "cold: {cold}");
    }
}

#[test]
fn a_trace_that_began_before_the_first_heartbeat_is_decided_by_all_its_spans() {
    let scene = Scene::new(1);
    let version = scene.save_rules(&renamed());
    let trace = trace_in(0, ALL, 1);
    scene.at_ms(1_000);
    scene.send(&[fine(trace, 1)]);
    scene.at_ms(2_000);
    scene.beat(0, &version);
    scene.send(&[error(trace, 2)]);
    scene.settle(20_000);
    assert_eq!(scene.kept(trace), 2);
}

#[test]
fn a_trace_whose_shard_splits_is_whole() {
    let scene = Scene::new(1);
    let parent = scene.open().remove(0).id;
    let (low, high) = (trace_in(0, HALF - 1, 1), trace_in(HALF, ALL, 1));
    scene.at_ms(1_000);
    scene.send(&[fine(low, 1), fine(high, 1)]);
    scene.log(low, "before");
    scene.stream.split(&parent, HALF);
    scene.at_ms(2_000);
    scene.send(&[error(low, 2), error(high, 2)]);
    scene.log(low, "after");
    scene.group_open();
    assert_eq!(scene.ledger().traces.committed, 4);
    scene.settle(20_000);
    assert_eq!((scene.kept(low), scene.kept(high), scene.logs()), (2, 2, 2));
    assert!(scene.manifest(&parent).closed);
}

#[test]
fn a_clients_retry_after_a_split_is_recognised_by_the_child() {
    let scene = Scene::new(1);
    let trace = trace_in(HALF, ALL, 1);
    let body = trace_request("shop", &[error(trace, 1)]);
    scene.at_ms(1_000);
    scene.post(Signal::Traces, body.clone());
    scene.stream.split(&scene.open()[0].id, HALF);
    scene.at_ms(600_000);
    scene.post(Signal::Traces, body);
    scene.settle(620_000);
    assert_eq!((scene.kept(trace), scene.ledger().traces.duplicates), (1, 1));
}
