//! Splits, merges and stale lists of shards, one schedule at a time: each test names what must hold.

mod cuts;
pub(crate) mod figures;
mod misplaced;
pub(crate) mod scene;

use std::task::{Context, Waker};

use scene::{ERRORS, Scene, error, fine, nanos, trace_in};
use spanlake_model::{Sequence, Signal};
use spanlake_pipeline::inspect::find_trace;
use spanlake_pipeline::keys;
use spanlake_pipeline::lineage::Heartbeats;
use spanlake_pipeline::ports::ObjectStore;
use spanlake_pipeline::sweep::sweep;
use spanlake_testkit::{Faults, logs_request, trace_request};

use crate::drive::block_on;

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
fn a_first_heartbeat_before_any_span_leaves_no_older_rules_to_walk_every_item_under() {
    let scene = Scene::new(1);
    let shard = scene.open().remove(0).id;
    let version = scene.save_rules(&renamed());
    let trace = trace_in(0, ALL, 1);
    scene.beat(0, &version);
    scene.at_ms(1_000);
    scene.send(&[fine(trace, 1), error(trace, 2)]);
    scene.group(&shard);
    assert!(scene.manifest(&shard).rules.previous.is_none());
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

#[test]
fn after_a_merge_a_retry_is_recognised_part_by_part() {
    // The first try reached one of two shards; 200 was answered only to the retry, which is one record for the child.
    let scene = Scene::new(2);
    let (low, high) = (trace_in(0, HALF - 1, 1), trace_in(HALF, ALL, 1));
    let body = trace_request("shop", &[error(low, 1), error(high, 2)]);
    scene.at_ms(1_000);
    scene.post(Signal::Traces, body.clone());
    let [one, two] = [0, 1].map(|place| scene.open()[place].id.clone());
    let lost = scene.stream.records(&two, Sequence::ZERO, 1).remove(0).sequence;
    scene.stream.trim(&two, lost);
    scene.stream.merge(&one, &two);
    scene.at_ms(2_000);
    scene.post(Signal::Traces, body);
    scene.settle(20_000);
    assert_eq!((scene.kept(low), scene.kept(high)), (1, 1));
    assert_eq!((scene.ledger().traces.committed, scene.ledger().traces.duplicates), (2, 1));
}

#[test]
fn a_child_waits_for_an_open_parent_and_reads_what_its_parents_left_unread() {
    let scene = Scene::new(2);
    let traces = [trace_in(0, HALF - 1, 1), trace_in(HALF, ALL, 1)];
    scene.at_ms(1_000);
    scene.send(&traces.map(|trace| fine(trace, 1)));
    let [one, two] = [0, 1].map(|place| scene.open()[place].id.clone());
    scene.stream.merge(&one, &two);
    let child = scene.open()[0].id.clone();
    // Of grandchildren the first call ends the child as well, which nobody ever read.
    scene.stream.split(&child, HALF);
    scene.at_ms(2_000);
    scene.send(&traces.map(|trace| error(trace, 2)));
    scene.group(&scene.open()[1].id);
    assert!([&one, &two, &child].into_iter().all(|id| scene.manifest(id).closed));
    scene.settle(20_000);
    assert_eq!(traces.map(|trace| scene.kept(trace)), [2, 2]);
}

#[test]
fn an_ancestor_that_was_never_read_and_is_listed_no_more_does_not_stop_its_children() {
    let scene = Scene::new(1);
    let parent = scene.open()[0].id.clone();
    block_on(Heartbeats::new(scene.store.clone(), scene.told.clone()).beat("")).unwrap();
    scene.stream.split(&parent, HALF);
    let short_lived = scene.open()[0].id.clone();
    block_on(Heartbeats::new(scene.store.clone(), scene.told.clone()).beat("")).unwrap();
    scene.stream.split(&short_lived, 9);
    for id in [&parent, &short_lived] {
        scene.stream.trim(id, Sequence::MAX);
    }
    let trace = trace_in(0, 8, 1);
    scene.at_ms(1_000);
    scene.send(&[error(trace, 1)]);
    scene.settle(20_000);
    assert_eq!(scene.kept(trace), 1);
}

#[test]
fn lineage_is_saved_though_the_first_try_meets_another_writer() {
    let scene = Scene::new(1);
    let mut heartbeats = Heartbeats::new(scene.store.clone(), scene.told.clone());
    scene.store.set_faults(Faults { conflict: 100, ..Faults::default() });
    drop(block_on(heartbeats.beat("")));
    scene.store.set_faults(Faults::default());
    block_on(heartbeats.beat("")).unwrap();
    let saved = block_on(scene.store.get(&keys::lineage(&scene.open()[0].id))).unwrap();
    assert!(saved.is_some(), "a refused write is no saved lineage");
}

#[test]
fn a_merge_of_shards_with_different_clocks_seals_everything_once() {
    let scene = Scene::new(2);
    let (slow, quick) = (trace_in(0, HALF - 1, 1), trace_in(HALF, ALL, 1));
    let [one, two] = [0, 1].map(|place| scene.open()[place].id.clone());
    scene.at_ms(1_000);
    scene.send(&[fine(slow, 1)]);
    scene.log(slow, "slow");
    scene.at_ms(95_000);
    scene.send(&[error(quick, 1)]);
    scene.log(quick, "quick");
    scene.group(&one);
    scene.group(&two);
    scene.stream.merge(&one, &two);
    scene.at_ms(96_000);
    scene.send(&[error(slow, 2)]);
    scene.group_open();
    let child = scene.manifest(&scene.open()[0].id);
    assert_eq!((child.clock, child.ledger.traces.inherited), (nanos(96_000), 2));
    scene.settle(110_000);
    assert_eq!((scene.kept(slow), scene.kept(quick), scene.logs()), (2, 1, 2));
}

#[test]
fn a_late_span_follows_the_decision_of_its_traces_earlier_shard() {
    let scene = Scene::new(1);
    let (kept, dropped) = (trace_in(0, HALF - 1, 1), trace_in(0, HALF - 1, 2));
    scene.at_ms(1_000);
    scene.send(&[error(kept, 1), fine(dropped, 1)]);
    scene.settle(20_000);
    let parent = scene.open()[0].id.clone();
    scene.stream.split(&parent, HALF);
    scene.at_ms(300_000);
    scene.send(&[fine(kept, 2), fine(dropped, 2)]);
    scene.settle(320_000);
    assert_eq!((scene.kept(kept), scene.kept(dropped)), (2, 0));
    assert_eq!(scene.ledger().traces.sampled_out, 2);
}

#[test]
fn a_close_under_way_in_a_parent_is_finished_there() {
    let mut scene = Scene::new(1);
    scene.settings.seal_bytes = 1;
    let traces: Vec<_> = (0..8).map(|number| trace_in(0, ALL, number)).collect();
    scene.at_ms(1_000);
    scene.send(&traces.iter().map(|trace| error(*trace, 1)).collect::<Vec<_>>());
    scene.at_ms(25_000);
    scene.beat(0, "");
    let parent = scene.open()[0].id.clone();
    for outputs in 1..=3 {
        kill_after(&scene, &parent, outputs);
    }
    assert!(scene.manifest(&parent).closing.is_some());
    scene.stream.split(&parent, HALF);
    scene.settle(40_000);
    assert!(traces.iter().all(|trace| scene.kept(*trace) == 1));
    assert_eq!(scene.manifest(&parent).ledger.traces.handed_over, 0);
}

/// Lets a grouper go on until its shard has sealed so many outputs, then kills it.
fn kill_after(scene: &Scene, shard: &str, outputs: u64) {
    let records = scene.stream.records(shard, Sequence::ZERO, usize::MAX);
    let mut grouper = scene.cold(shard);
    let mut call = std::pin::pin!(grouper.handle(&records));
    let mut context = Context::from_waker(Waker::noop());
    let sealed = || scene.manifests().first().map_or(0, |manifest| manifest.sealed_last);
    while sealed() < outputs {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
}

#[test]
fn a_parent_that_is_closed_takes_nothing_from_zombies_and_redeliveries() {
    let scene = Scene::new(1);
    let parent = scene.open()[0].id.clone();
    let trace = trace_in(0, HALF - 1, 1);
    scene.at_ms(1_000);
    scene.send(&[error(trace, 1)]);
    // A zombie that has read the manifest and not yet the record.
    let mut zombie = scene.cold(&parent);
    block_on(zombie.manifest()).unwrap();
    scene.stream.split(&parent, HALF);
    scene.beat_all(2_000);
    scene.group_open();
    let closed = scene.manifest(&parent);
    let records = scene.stream.records(&parent, Sequence::ZERO, usize::MAX);
    assert_eq!(block_on(zombie.handle(&records)).unwrap().watermark, Sequence::MAX);
    scene.group(&parent);
    assert_eq!(scene.manifest(&parent), closed);
    scene.settle(20_000);
    assert_eq!((scene.kept(trace), scene.ledger().traces.committed), (1, 1));
}

#[test]
fn what_a_closed_parent_lists_outlives_the_sweeper_until_all_children_exist() {
    let scene = Scene::new(1);
    let parent = scene.open()[0].id.clone();
    let (low, high) = (trace_in(0, HALF - 1, 1), trace_in(HALF, ALL, 1));
    scene.at_ms(1_000);
    scene.send(&[error(low, 1), error(high, 1)]);
    scene.stream.split(&parent, HALF);
    let [one, two] = [0, 1].map(|place| scene.open()[place].id.clone());
    for (ms, id) in [(20_000, &one), (40_000, &one), (60_000, &one), (61_000, &two)] {
        scene.beat_all(ms);
        scene.group(id);
        scene.store.set_now(nanos(ms));
        block_on(sweep(scene.store.as_ref(), i64::MAX)).unwrap();
        assert!(!scene.manifest(&parent).staged.is_empty());
    }
    scene.settle(80_000);
    block_on(sweep(scene.store.as_ref(), i64::MAX)).unwrap();
    assert_eq!((scene.kept(low), scene.kept(high)), (1, 1));
    let left = scene.store.snapshot().into_keys().filter(|key| key.starts_with(keys::STAGED)).count();
    assert_eq!(left, 0, "what no child needs any more is removed");
}

#[test]
fn what_is_shown_of_a_trace_is_there_once_however_many_children_list_it() {
    let scene = Scene::new(1);
    let parent = scene.open()[0].id.clone();
    let (one, other) = (trace_in(0, HALF - 1, 1), trace_in(0, HALF - 1, 2));
    let show = |trace| {
        let state = block_on(find_trace(scene.store.as_ref(), trace)).unwrap();
        (state.spans.len(), state.decisions.len())
    };
    scene.at_ms(1_000);
    scene.send(&[error(other, 1), error(other, 2)]);
    scene.settle(11_000);
    scene.at_ms(60_000);
    scene.send(&[error(one, 1), error(one, 2)]);
    scene.group(&parent);
    assert_eq!((show(one), show(other)), ((2, 0), (2, 1)));
    scene.stream.split(&parent, HALF);
    let [low, high] = [0, 1].map(|place| scene.open()[place].id.clone());
    scene.beat_all(61_000);
    for id in [&low, &high] {
        scene.group(id);
        assert_eq!((show(one), show(other)), ((2, 0), (2, 1)), "{id}");
    }
    scene.beat_all(80_000);
    scene.group(&low);
    assert_eq!((show(one), show(other)), ((2, 1), (2, 1)), "the other child still lists the parent's batch");
}

#[test]
fn the_sealed_bytes_of_a_child_do_not_depend_on_how_its_parents_records_were_cut() {
    let outputs = |cut: bool| {
        let scene = Scene::new(2);
        let [one, two] = [0, 1].map(|place| scene.open()[place].id.clone());
        let slow_rules = ERRORS.replace("decision_wait: 10s", "decision_wait: 300s");
        let version = scene.save_rules(&slow_rules);
        scene.at_ms(5_000);
        scene.log(trace_in(HALF, ALL, 1), "early");
        scene.at_ms(40_000);
        scene.beat(1, "");
        if cut {
            scene.group(&two);
        }
        scene.at_ms(101_000);
        scene.log(trace_in(0, HALF - 1, 1), "left over");
        scene.at_ms(1_000_000);
        scene.beat(1, &version);
        scene.stream.merge(&one, &two);
        scene.settle(1_300_000);
        scene.outputs()
    };
    assert_eq!(outputs(false), outputs(true));
}

#[test]
fn ids_do_not_pile_up_where_one_reshard_follows_the_other() {
    let mut scene = Scene::new(1);
    scene.settings.retention_nanos = nanos(4 * 3_600_000) - nanos(0);
    let mut most = 0;
    // Every 20 minutes a split or a merge.
    for round in 0..36_i64 {
        let ms = round * 1_200_000;
        scene.at_ms(ms);
        scene.post(Signal::Logs, logs_request("shop", &[(trace_in(0, 9, 1), format!("log {round}"))]));
        scene.beat_all(ms + 30_000);
        let open = scene.open();
        for shard in &open {
            assert!(scene.try_group(&shard.id).unwrap().close_error.is_none());
        }
        most = open.iter().map(|shard| scene.manifest(&shard.id).seen.len()).max().unwrap();
        match open.as_slice() {
            [one, two] => scene.stream.merge(&one.id, &two.id),
            one => scene.stream.split(&one[0].id, HALF),
        }
    }
    assert!((10..=14).contains(&most), "{most} lists of ids, one for each 20 minutes");
    assert_eq!(scene.logs(), 36);
}

#[test]
fn a_merge_of_shards_under_different_rules_decides_each_trace_by_those_at_its_first_span() {
    let scene = Scene::new(2);
    let [one, two] = [0, 1].map(|place| scene.open()[place].id.clone());
    let (old, new) = (scene.save_rules(ERRORS), scene.save_rules(&renamed()));
    let (low, high) = (trace_in(0, HALF - 1, 1), trace_in(HALF, ALL, 1));
    scene.at_ms(1_000);
    scene.beat(0, &old);
    scene.beat(1, &old);
    scene.at_ms(32_000);
    scene.beat(1, &new);
    scene.at_ms(33_000);
    scene.send(&[fine(low, 1), fine(high, 1)]);
    scene.stream.merge(&one, &two);
    scene.at_ms(39_000);
    scene.send(&[error(low, 2), error(high, 2)]);
    scene.settle(50_000);
    assert_eq!((scene.kept(low), scene.kept(high)), (2, 2));
    let rules = |trace| block_on(find_trace(scene.store.as_ref(), trace)).unwrap().decisions.remove(0).reason.rules;
    assert_eq!((rules(low), rules(high)), (old, new));
}
