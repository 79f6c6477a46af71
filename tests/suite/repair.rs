//! Lost and damaged objects: `verify` names each, `repair` gives them up, and everything else goes on. Each seed makes a
//! stream, loses objects at a random moment, and holds the ledger against what is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use spanlake_model::{NANOS_PER_SECOND, Signal, SpanId, TraceId};
use spanlake_pipeline::archive::{Archiver, partition_of};
use spanlake_pipeline::group::{Grouper, peek_manifest};
use spanlake_pipeline::inspect::{overview, sealed_items};
use spanlake_pipeline::keys;
use spanlake_pipeline::manifest::Manifest;
use spanlake_pipeline::ports::{EventStream, ObjectStore, Record, Shard};
use spanlake_pipeline::repair::{LOST_OBJECT, Mode, RepairError, Repaired, repair};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_pipeline::verify::{Check, Checked, LakeFiles, verify};
use spanlake_testkit::{Faults, Rng, SimStore, SimStream, SpanSpec, trace_request};

use crate::captures::{self, Capture};
use crate::cuts::{RULES, other_rules, records};
use crate::drive::{Front, START_NANOS, block_on, grouper, rules};

const SEEDS: u64 = 40;

/// What an operator's mistake, or a disk, does to an object.
fn spoil(store: &SimStore, key: &str, how: u64) {
    let whole = store.snapshot().remove(key).unwrap();
    match how % 3 {
        0 => assert!(store.lose(key)),
        1 => block_on(store.put(key, whole.slice(..whole.len() / 2))).unwrap(),
        _ => {
            let mut flipped = whole.to_vec();
            let middle = flipped.len() / 2;
            flipped[middle] ^= 1;
            block_on(store.put(key, flipped.into())).unwrap();
        }
    }
}

fn checked(store: &SimStore) -> Vec<Checked> {
    block_on(verify(store, &GroupSettings::default(), LakeFiles::All, |_, _, _| {})).unwrap()
}

/// The keys that `verify` finds fault with.
fn faulty(store: &SimStore) -> Vec<String> {
    let mut keys: Vec<String> = checked(store).into_iter().flat_map(|checked| checked.faults).map(|fault| fault.key).collect();
    keys.sort();
    keys
}

fn give_up(store: &SimStore, keys: &[String]) -> Repaired {
    let looked = block_on(repair(store, keys, &GroupSettings::default(), Mode::Look)).unwrap();
    let before = store.snapshot();
    assert_eq!(block_on(repair(store, keys, &GroupSettings::default(), Mode::Look)).unwrap(), looked);
    assert_eq!(store.snapshot(), before, "looking changes nothing");
    let done = block_on(repair(store, keys, &GroupSettings::default(), Mode::GiveUp)).unwrap();
    assert_eq!(done, looked, "what was said is what was done");
    done
}

/// A shard that is being read.
struct Reader {
    store: Arc<SimStore>,
    shard: Shard,
    records: Vec<Record>,
    done: usize,
    settings: GroupSettings,
    rules: &'static str,
}

impl Reader {
    /// Half of the seeds close their windows in small parts.
    fn new(seed: u64, rules_text: &'static str, records: Vec<Record>) -> Self {
        let store = Arc::new(SimStore::new(seed, Faults::default()));
        let seal_bytes = if seed.is_multiple_of(2) { 64 } else { GroupSettings::default().seal_bytes };
        let settings = GroupSettings { seal_bytes, ..GroupSettings::default() };
        let other = other_rules(rules_text);
        block_on(store.put(&keys::rules(rules(&other).unwrap().version()), other.into())).unwrap();
        Self { store, shard: Front::new(1).stream.shards().remove(0), records, done: 0, settings, rules: rules_text }
    }

    /// Reads up to a record, in small batches, by a grouper that remembers nothing.
    fn read(&mut self, to: usize, rng: &mut Rng) {
        let mut grouper = grouper(&self.store, &self.shard, &self.settings, self.rules);
        while self.done < to {
            let end = (self.done + 1 + rng.index(6)).min(to);
            let handled = block_on(grouper.handle(&self.records[self.done..end])).unwrap();
            assert!(handled.close_error.is_none(), "{handled:?}");
            self.done = self.records.partition_point(|record| record.sequence <= handled.watermark);
        }
    }

    /// Reads on with calls that fail, until a close stops in its middle, if one does.
    fn stumble(&mut self, rng: &mut Rng) {
        for _ in 0..40 {
            self.store.set_faults(Faults { fail_before: 4, ..Faults::default() });
            let end = (self.done + 1 + rng.index(4)).min(self.records.len());
            let mut grouper = grouper(&self.store, &self.shard, &self.settings, self.rules);
            drop(block_on(grouper.handle(&self.records[self.done..end])));
            self.store.set_faults(Faults::default());
            let manifest = self.manifest();
            self.done = self.records.partition_point(|record| record.sequence <= manifest.watermark);
            if manifest.closing.is_some() {
                return;
            }
        }
    }

    fn archive(&self) {
        block_on(Archiver::new(Arc::clone(&self.store), 1 << 20).run()).unwrap();
    }

    fn manifest(&self) -> Manifest {
        block_on(peek_manifest(self.store.as_ref(), &self.shard.id)).unwrap().unwrap().0
    }

    fn held(&self, prefix: &str) -> Vec<String> {
        let manifest = self.manifest();
        let all = manifest.working_references().chain(manifest.sealed_references());
        all.filter(|key| key.starts_with(prefix)).map(str::to_owned).collect()
    }
}

/// What the ledger calls lost.
fn lost(manifest: &Manifest) -> [u64; 3] {
    Signal::ALL.map(|signal| manifest.ledger.account(signal).dropped.get(LOST_OBJECT).copied().unwrap_or_default())
}

fn committed(manifest: &Manifest) -> [u64; 3] {
    Signal::ALL.map(|signal| manifest.ledger.account(signal).committed)
}

/// Items in every sealed output that was archived, by signal. What a close left that was cut off is nobody's.
fn sealed(objects: &BTreeMap<String, Bytes>) -> [u64; 2] {
    let mut counts = [0, 0];
    let plans: Vec<_> = objects.iter().filter(|(key, _)| key.starts_with(keys::PLAN)).map(|(_, plan)| plan).collect();
    let is_planned = |key: &str| plans.iter().any(|plan| plan.windows(key.len()).any(|part| part == key.as_bytes()));
    for (_, object) in objects.iter().filter(|(key, _)| key.starts_with(keys::SEALED) && is_planned(key)) {
        for item in sealed_items(object).unwrap() {
            match item.signal {
                Signal::Traces => counts[0] += 1,
                Signal::Logs => counts[1] += 1,
                // An item is a metric with many points, which the ledger counts.
                Signal::Metrics => {}
            }
        }
    }
    counts
}

fn metrics() -> Vec<Capture> {
    captures::all().into_iter().filter(|capture| capture.signal == Signal::Metrics && capture.name.contains(".pb")).collect()
}

/// Loses objects at a random moment of a stream, gives them up, and reads on to the end.
fn lose_and_go_on(seed: u64, metrics: &[Capture], met: &mut BTreeMap<&'static str, u64>) {
    let mut rng = Rng::new(seed ^ 0x5ea1);
    let text = RULES[usize::from(seed & 2 != 0)];
    let mut reader = Reader::new(seed, text, records(seed, text, metrics).0);
    let moment = 1 + rng.index(reader.records.len() / 2);
    reader.read(moment, &mut rng);
    reader.stumble(&mut rng);
    *met.entry("parts").or_default() += u64::from(reader.manifest().closing.is_some());
    if rng.chance(30) {
        reader.archive();
    }
    assert_eq!(faulty(&reader.store), [""; 0], "seed {seed}, before");
    let mut gone = Vec::new();
    for prefix in [keys::STAGED, keys::SEEN, keys::DECISIONS, keys::SEALED] {
        let held = reader.held(prefix);
        if !held.is_empty() && rng.chance(40) {
            let key = held[rng.index(held.len())].clone();
            spoil(&reader.store, &key, rng.below(3));
            gone.push(key);
            *met.entry(prefix).or_default() += 1;
        }
    }
    gone.sort();
    gone.dedup();
    assert_eq!(faulty(&reader.store), gone, "seed {seed}");
    let before = reader.manifest();
    let done = give_up(&reader.store, &gone);
    let after = reader.manifest();
    assert!(after.ledger.balances(), "seed {seed}: {:?}", after.ledger);
    assert_eq!(committed(&after), committed(&before), "seed {seed}");
    let dropped: u64 = done.shards.iter().flat_map(|shard| shard.dropped.0).sum();
    assert_eq!(lost(&after).iter().sum::<u64>(), dropped, "seed {seed}");
    *met.entry("items").or_default() += dropped;
    *met.entry("waiting").or_default() += done.shards.iter().flat_map(|shard| shard.waiting.0).sum::<u64>();
    assert_eq!(faulty(&reader.store), [""; 0], "seed {seed}, after {done:?}");
    let again = block_on(repair(reader.store.as_ref(), &gone, &GroupSettings::default(), Mode::GiveUp)).unwrap();
    assert_eq!(again, Repaired::default(), "seed {seed}: a second call finds nothing to do");
    reader.read(reader.records.len(), &mut rng);
    reader.archive();
    assert_eq!(faulty(&reader.store), [""; 0], "seed {seed}, at the end");
    let overview = block_on(overview(reader.store.as_ref())).unwrap();
    assert!(overview.ledger.balances(), "seed {seed}: {:?}", overview.ledger);
    // What is filed, is filed once: every kept item lies in a sealed output, and no other.
    let kept = [overview.ledger.traces.kept, overview.ledger.logs.kept];
    assert_eq!(sealed(&reader.store.snapshot()), kept, "seed {seed}");
}

#[test]
fn what_is_lost_is_named_and_counted_and_everything_else_goes_on() {
    let (metrics, mut met) = (metrics(), BTreeMap::new());
    for seed in 0..SEEDS {
        lose_and_go_on(seed, &metrics, &mut met);
    }
    let least = |prefix| met.get(prefix).copied().unwrap_or_default();
    let kinds = [keys::STAGED, keys::SEEN, keys::DECISIONS, keys::SEALED];
    assert!(kinds.into_iter().all(|prefix| least(prefix) >= 5), "the seeds are too tame: {met:?}");
    assert!(least("items") > 50 && least("waiting") > 0 && least("parts") > 5, "the seeds are too tame: {met:?}");
}

const KEEP_ALL: &str = include_str!("keep_all.yaml");

fn span(id: u8) -> Vec<u8> {
    let (trace, parent, attributes) = (TraceId([id; 16]), SpanId::default(), Vec::new());
    let (id, name) = (SpanId([id; 8]), "work".to_owned());
    let span = SpanSpec { trace, id, parent, name, kind: 2, start_nanos: 1, end_nanos: 2, status: 0, attributes };
    trace_request("shop", &[span])
}

/// A front of one shard, and its grouper.
fn scene() -> (Front, Arc<SimStore>, Grouper<SimStore, SimStream>) {
    let (front, store) = (Front::new(1), Arc::new(SimStore::new(0, Faults::default())));
    let shard = front.stream.shards().remove(0);
    let grouper = grouper(&store, &shard, &GroupSettings::default(), KEEP_ALL);
    (front, store, grouper)
}

fn refused(store: &SimStore, key: &str) -> RepairError {
    block_on(repair(store, &[key.to_owned()], &GroupSettings::default(), Mode::GiveUp)).unwrap_err()
}

#[test]
fn what_is_whole_or_no_data_object_is_not_given_up() {
    let (front, store, mut grouper) = scene();
    front.post(Signal::Traces, span(1));
    block_on(grouper.handle(&front.records(0))).unwrap();
    let before = store.snapshot();
    let whole = before.keys().find(|key| key.starts_with(keys::STAGED)).unwrap();
    assert!(matches!(refused(&store, whole), RepairError::Whole { .. }));
    let manifest = before.keys().find(|key| key.starts_with(keys::MANIFEST)).unwrap();
    for other in [manifest.as_str(), "page/0", "plan/000000000001.json", "rules/1.yaml", "lake/v1/spans/x.parquet", "nothing"] {
        assert!(matches!(refused(&store, other), RepairError::Kind { .. }), "{other}");
    }
    let unknown = vec![format!("{}00", keys::STAGED)];
    let nothing = block_on(repair(store.as_ref(), &unknown, &GroupSettings::default(), Mode::GiveUp)).unwrap();
    assert_eq!(nothing, Repaired::default(), "what nothing refers to is not needed");
    assert_eq!(store.snapshot(), before);
}

#[test]
fn lost_objects_must_be_named_together() {
    let (front, store, mut grouper) = scene();
    for id in [1, 2] {
        front.post(Signal::Traces, span(id));
        block_on(grouper.handle(&front.records(0))).unwrap();
    }
    let staged: Vec<String> = store.snapshot().into_keys().filter(|key| key.starts_with(keys::STAGED)).collect();
    assert!(staged.iter().all(|key| store.lose(key)));
    let error = refused(&store, &staged[0]);
    assert!(error.to_string().contains(&staged[1]), "{error}");
    let done = give_up(&store, &staged);
    assert_eq!(done.shards[0].dropped.0, [2, 0, 0]);
    assert_eq!(faulty(&store), [""; 0]);
}

#[test]
fn a_sealed_output_that_a_plan_has_taken_is_given_up_and_the_rest_of_the_plan_is_filed() {
    let (front, store, mut grouper) = scene();
    for id in [1, 2] {
        front.post(Signal::Traces, span(id));
        front.beat(START_NANOS + i64::from(id) * 40 * NANOS_PER_SECOND);
    }
    assert!(block_on(grouper.handle(&front.records(0))).unwrap().close_error.is_none());
    let sealed: Vec<String> = store.snapshot().into_keys().filter(|key| key.starts_with(keys::SEALED)).collect();
    let of_first = |key: &&String| sealed_items(&store.snapshot()[*key]).unwrap().iter().any(|item| item.trace.0 == [1; 16]);
    let lost = sealed.iter().find(of_first).unwrap().clone();
    assert!(store.lose(&lost));
    // The plan is made, and cannot be carried out.
    let mut archiver = Archiver::new(Arc::clone(&store), 1 << 20);
    block_on(archiver.run()).unwrap_err();
    assert!(store.snapshot().contains_key(&keys::plan(1)) && !store.snapshot().contains_key(&keys::plan_done(1)));
    let done = give_up(&store, std::slice::from_ref(&lost));
    assert_eq!((done.shards[0].dropped.0, done.stand_ins), ([1, 0, 0], vec![lost]));
    assert_eq!(block_on(archiver.run()).unwrap().plans, 1);
    let settled = block_on(overview(store.as_ref())).unwrap();
    let account = &settled.ledger.traces;
    assert!(settled.is_settled() && account.balances());
    assert_eq!((account.committed, account.kept, account.dropped[LOST_OBJECT]), (2, 1, 1));
    assert!(store.snapshot().keys().any(|key| key.starts_with("lake/v1/spans/")), "the other trace is in the lake");
    assert_eq!(faulty(&store), [""; 0]);
}

#[test]
fn a_repair_that_is_cut_off_at_any_call_is_made_again_and_counts_once() {
    for percent in 1..40 {
        let (front, store, mut grouper) = scene();
        front.post(Signal::Traces, span(1));
        front.beat(START_NANOS + 40 * NANOS_PER_SECOND);
        front.post(Signal::Traces, span(2));
        block_on(grouper.handle(&front.records(0))).unwrap();
        let is_lost = |key: &String| [keys::STAGED, keys::SEALED].iter().any(|prefix| key.starts_with(prefix));
        let manifest = block_on(grouper.manifest()).unwrap().clone();
        let referenced = |key: &String| manifest.working_references().chain(manifest.sealed_references()).any(|of| of == key);
        let lost: Vec<String> = store.snapshot().into_keys().filter(|key| is_lost(key) && referenced(key)).collect();
        assert!(lost.iter().all(|key| store.lose(key)));
        // So many of a hundred calls fail before, and as many after they took effect.
        store.set_faults(Faults { fail_before: percent, fail_after: percent, ..Faults::default() });
        let mut tries = 0;
        while block_on(repair(store.as_ref(), &lost, &GroupSettings::default(), Mode::GiveUp)).is_err() {
            tries += 1;
            assert!(tries < 100_000);
        }
        store.set_faults(Faults::default());
        let ledger = block_on(overview(store.as_ref())).unwrap().ledger;
        assert!(ledger.balances(), "{ledger:?}");
        assert_eq!((ledger.traces.committed, ledger.traces.dropped[LOST_OBJECT]), (2, 2), "after {tries} tries");
        assert_eq!(faulty(&store), [""; 0]);
    }
}

#[test]
fn what_an_archiver_writes_while_objects_are_given_up_stays() {
    for percent in 1..20 {
        let (front, store, mut grouper) = scene();
        for id in [1, 2] {
            front.post(Signal::Traces, span(id));
            front.beat(START_NANOS + i64::from(id) * 40 * NANOS_PER_SECOND);
        }
        block_on(grouper.handle(&front.records(0))).unwrap();
        let lost: Vec<String> = store.snapshot().into_keys().filter(|key| key.starts_with(keys::SEALED)).take(1).collect();
        // An archiver is killed when all files are written, and before it says so.
        let file = || {
            assert_eq!(block_on(Archiver::new(Arc::clone(&store), 1 << 20).run()).unwrap().plans, 1);
            assert!(store.lose(&keys::plan_done(1)));
        };
        let has_files = || store.snapshot().keys().any(|key| key.starts_with(keys::LAKE));
        file();
        assert!(store.lose(&lost[0]) && has_files());
        store.set_faults(Faults { fail_before: percent, fail_after: percent, ..Faults::default() });
        while block_on(repair(store.as_ref(), &lost, &GroupSettings::default(), Mode::GiveUp)).is_err() {
            let goes_on = store.snapshot().contains_key(&lost[0]);
            assert!(!goes_on || !has_files(), "an archiver would write again what is still to be removed");
        }
        store.set_faults(Faults::default());
        file();
        let before = store.snapshot();
        assert!(has_files());
        let again = block_on(repair(store.as_ref(), &lost, &GroupSettings::default(), Mode::GiveUp)).unwrap();
        assert_eq!((again, store.snapshot() == before), (Repaired::default(), true), "what was written since stays");
    }
}

#[test]
fn a_batch_lost_around_a_split_is_counted_once_by_those_that_hold_it() {
    let buckets = |id: u8| spanlake_model::Bucket::of_trace(&TraceId([id; 16])).number();
    let middle = 2048;
    let low: u8 = (1..=255).find(|id| buckets(*id) < middle).unwrap();
    let high: u8 = (1..=255).find(|id| buckets(*id) >= middle).unwrap();
    // How many children have begun when the batch is lost.
    for born in 0..=2_usize {
        let (front, store, mut parent) = scene();
        front.post(Signal::Traces, span(low));
        front.post(Signal::Traces, span(high));
        block_on(parent.handle(&front.records(0))).unwrap();
        let parent_id = front.stream.shards()[0].id.clone();
        front.stream.split(&parent_id, middle);
        let child = |at: usize| {
            let (shard, rules) = (front.stream.open_shards()[at].clone(), Arc::new(rules(KEEP_ALL).unwrap()));
            let (store, stream, settings) = (Arc::clone(&store), Arc::clone(&front.stream), GroupSettings::default());
            Grouper::new(store, stream, shard, settings, rules, Arc::new(|text: &str| crate::drive::rules(text).map(Arc::new)))
        };
        // A child that begins ends the parent; if none is to have begun, its manifest goes again.
        for at in 0..born.max(1) {
            block_on(child(at).manifest()).unwrap();
        }
        if born == 0 {
            assert!(store.lose(&keys::manifest(&front.stream.open_shards()[0].id)));
        }
        let staged = store.snapshot().into_keys().find(|key| key.starts_with(keys::STAGED)).unwrap();
        assert!(store.lose(&staged));
        assert_eq!(faulty(&store), [staged.as_str()], "{born} born");
        let done = give_up(&store, &[staged]);
        assert_eq!(done.shards.len(), [1, 2, 2][born], "{done:?}");
        let at_once = block_on(overview(store.as_ref())).unwrap().ledger;
        assert!(at_once.balances() && at_once.traces.dropped[LOST_OBJECT] == 2, "{at_once:?}");
        front.beat(START_NANOS + 40 * NANOS_PER_SECOND);
        for at in 0..2 {
            let handled = block_on(child(at).handle(&front.records(at))).unwrap();
            assert!(handled.close_error.is_none(), "{handled:?}");
        }
        let ledger = block_on(overview(store.as_ref())).unwrap().ledger;
        assert!(ledger.balances(), "{ledger:?}");
        assert_eq!((ledger.traces.committed, ledger.traces.pending, ledger.traces.dropped[LOST_OBJECT]), (2, 0, 2));
        assert_eq!(faulty(&store), [""; 0]);
    }
}

#[test]
fn verify_names_whatever_else_is_lost_or_damaged() {
    let (front, store, mut grouper) = scene();
    front.post(Signal::Traces, span(1));
    front.beat(START_NANOS + 40 * NANOS_PER_SECOND);
    front.post(Signal::Traces, span(2));
    block_on(grouper.handle(&front.records(0))).unwrap();
    block_on(Archiver::new(Arc::clone(&store), 1 << 20).run()).unwrap();
    assert_eq!(checked(&store).iter().map(|checked| checked.check).collect::<Vec<_>>(), Check::ALL);
    assert!(checked(&store).iter().all(|checked| checked.faults.is_empty()), "{:?}", checked(&store));
    let looked_at = |files| {
        let checks = block_on(verify(store.as_ref(), &GroupSettings::default(), files, |_, _, _| {})).unwrap();
        checks.into_iter().find(|checked| checked.check == Check::Lake).map(|checked| checked.looked_at)
    };
    let all = looked_at(LakeFiles::All).unwrap();
    assert!(all > 1, "{all}");
    let (hour, next) = (partition_of(START_NANOS), partition_of(START_NANOS + 3_600 * NANOS_PER_SECOND));
    let parts = [LakeFiles::From(&hour), LakeFiles::From(&next), LakeFiles::None];
    assert_eq!(parts.map(looked_at), [Some(all), Some(0), None]);
    let good = store.snapshot();
    let of = |prefix: &str| good.keys().find(|key| key.starts_with(prefix)).unwrap().clone();
    let (manifest, plan, done, file) = (of(keys::MANIFEST), keys::plan(1), keys::plan_done(1), of("lake/v1/spans/"));
    let spoilt = |key: &str, how: u64| {
        spoil(&store, key, how);
        let named = faulty(&store);
        block_on(store.put(key, good[key].clone())).unwrap();
        named
    };
    for (key, hows) in [(&manifest, 0..2), (&plan, 0..2), (&file, 1..2)] {
        for how in hows {
            assert!(spoilt(key, how).contains(key), "{key}, {how}");
        }
    }
    // A plan that is not marked as done is carried out again: its inputs are needed, and are there.
    assert_eq!(spoilt(&done, 0), [""; 0]);
    assert_eq!(faulty(&store), [""; 0]);
    // A ledger that does not fit what is staged.
    let text = String::from_utf8(good[&manifest].to_vec()).unwrap();
    let other = text.replacen("\"committed\":2", "\"committed\":3", 1).replacen("\"pending\":1", "\"pending\":2", 1);
    assert_ne!(text, other);
    block_on(store.put(&manifest, other.into())).unwrap();
    let ledger = checked(&store).into_iter().find(|checked| checked.check == Check::Ledger).unwrap();
    assert_eq!(ledger.faults.len(), 1, "{ledger:?}");
}
