//! Over splits, merges and switches of rules too, verdicts and sealed bytes follow from the records alone: not from how
//! they were cut into batches, which instance read them, or whether a shard or its child read them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use spanlake_model::{Sequence, Signal, TraceId};
use spanlake_pipeline::ledger::Ledger;
use spanlake_pipeline::ports::Shard;
use spanlake_testkit::{Faults, Rng, SimStore, logs_request, trace_request};

use super::scene::{ERRORS, Scene, error, fine};
use crate::drive::block_on;

const SEEDS: u64 = 60;

/// What the stream changes between: each waits for another time.
fn all_rules() -> [String; 3] {
    [5, 10, 40].map(|seconds| ERRORS.replace("decision_wait: 10s", &format!("decision_wait: {seconds}s")))
}

/// Puts records on shards that come and go; nothing is read yet.
fn write(scene: &Scene, rng: &mut Rng) {
    let versions = all_rules().map(|rules| scene.save_rules(&rules));
    let (mut ms, mut traces, mut sent) = (1_000_i64, Vec::<TraceId>::new(), Vec::<(Signal, Bytes)>::new());
    for _ in 0..30 + rng.below(40) {
        ms += i64::try_from([rng.below(3_000), rng.below(3_000), 15_000, rng.below(200_000)][rng.index(4)]).unwrap();
        scene.at_ms(ms - if rng.chance(10) { 2_000 } else { 0 });
        let open = scene.open();
        let place = rng.index(open.len());
        match rng.below(12) {
            0..=4 => {
                for _ in 0..=rng.below(2) {
                    let known =
                        if traces.is_empty() || rng.chance(40) { TraceId(rng.bytes()) } else { traces[rng.index(traces.len())] };
                    traces.push(known);
                }
                let number = u8::try_from(sent.len()).unwrap();
                let span = if rng.chance(30) { error } else { fine };
                let spans: Vec<_> = traces.iter().rev().take(2).map(|trace| span(*trace, number)).collect();
                sent.push((Signal::Traces, trace_request("shop", &spans).into()));
                scene.post(Signal::Traces, sent[sent.len() - 1].1.clone());
            }
            5 | 6 => {
                let body = logs_request("shop", &[(TraceId(rng.bytes()), format!("log {ms}"))]);
                sent.push((Signal::Logs, body.into()));
                scene.post(Signal::Logs, sent[sent.len() - 1].1.clone());
            }
            7 if !sent.is_empty() => {
                let (signal, body) = sent[rng.index(sent.len())].clone();
                scene.post(signal, body);
            }
            8 => scene.beat(place, &versions[rng.index(3)]),
            9 => reshard(scene, rng, &open, place),
            _ => scene.beat(place, ""),
        }
    }
    for step in 1..=5 {
        scene.beat_all(ms + step * 15_000);
    }
}

fn reshard(scene: &Scene, rng: &mut Rng, open: &[Shard], place: usize) {
    let Shard { id, range, .. } = &open[place];
    match open.get(place + 1) {
        Some(upper) if rng.chance(50) => scene.stream.merge(id, &upper.id),
        _ => scene.stream.split(id, range.first + (range.last - range.first) / 2 + 1),
    }
}

type Outcome = (BTreeMap<(String, u64), (i64, Bytes)>, Ledger);

/// Reads everything into a store of its own; `whole`: each shard in one call, parents first. Otherwise in random pieces
/// by instances that remember nothing, of random shards.
fn read(scene: &mut Scene, rng: &mut Rng, whole: bool) -> Outcome {
    scene.store = Arc::new(SimStore::new(0, Faults::default()));
    for rules in all_rules() {
        scene.save_rules(&rules);
    }
    let all = scene.stream.all_shards();
    if !whole {
        for _ in 0..rng.below(25) {
            let id = &all[rng.index(all.len())].id;
            let records = scene.stream.records(id, Sequence::ZERO, 1 + rng.index(20));
            assert!(block_on(scene.cold(id).handle(&records)).unwrap().close_error.is_none());
        }
    }
    for shard in all.iter().filter(|shard| whole || scene.open().contains(shard)) {
        assert!(scene.try_group(&shard.id).unwrap().close_error.is_none());
    }
    let ledger = scene.ledger();
    assert!(ledger.balances() && scene.pending() == 0, "{ledger:?}");
    (scene.outputs(), ledger)
}

#[test]
fn every_way_to_read_shards_that_split_and_merge_seals_the_same_bytes() {
    let (mut reshards, mut outputs, mut repeats) = (0, 0, 0);
    for seed in 0..SEEDS {
        let mut rng = Rng::new(seed);
        let mut scene = Scene::new(u16::try_from(1 + rng.below(3)).unwrap());
        if rng.chance(50) {
            scene.settings.seal_bytes = 100;
            scene.settings.red_keys_max = 2;
            scene.settings.manifest_bytes_max = 3_000;
        }
        write(&scene, &mut rng);
        let (one, ledger) = read(&mut scene, &mut rng, true);
        for way in 0..2 {
            let (other, other_ledger) = read(&mut scene, &mut rng, false);
            let differing: Vec<_> =
                one.iter().filter(|(key, output)| other.get(key) != Some(output)).map(|(key, _)| key).collect();
            assert!(one == other, "seed {seed}, way {way}: {differing:?} of {} and {}", one.len(), other.len());
            assert_eq!(ledger, other_ledger, "seed {seed}, way {way}");
        }
        reshards += scene.stream.all_shards().iter().filter(|shard| !shard.parents.is_empty()).count();
        outputs += one.len();
        repeats += ledger.traces.duplicates;
    }
    assert!(reshards > 100 && outputs > 500 && repeats > 20, "the streams were too tame: {reshards}, {outputs}, {repeats}");
}
