//! Lost and damaged objects: `verify` names each, `repair` gives them up, and everything else goes on. Each seed makes a
//! stream, loses objects at a random moment, and holds the ledger against what is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use spanlake_model::Signal;
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::group::peek_manifest;
use spanlake_pipeline::inspect::{overview, sealed_items};
use spanlake_pipeline::keys;
use spanlake_pipeline::manifest::Manifest;
use spanlake_pipeline::ports::{EventStream, ObjectStore, Record, Shard};
use spanlake_pipeline::repair::{LOST_OBJECT, Mode, Repaired, repair};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_pipeline::verify::{Checked, verify};
use spanlake_testkit::{Faults, Rng, SimStore};

use crate::captures::{self, Capture};
use crate::cuts::{RULES, other_rules, records};
use crate::drive::{Front, block_on, grouper, rules};

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
    block_on(verify(store, &GroupSettings::default(), |_, _, _| {})).unwrap()
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
}

impl Reader {
    fn new(records: Vec<Record>) -> Self {
        let store = Arc::new(SimStore::new(0, Faults::default()));
        let other = other_rules();
        block_on(store.put(&keys::rules(rules(&other).unwrap().version()), other.into())).unwrap();
        Self { store, shard: Front::new(1).stream.shards().remove(0), records, done: 0 }
    }

    /// Reads up to a record, in small batches, by a grouper that remembers nothing.
    fn read(&mut self, to: usize, rng: &mut Rng) {
        let mut grouper = grouper(&self.store, &self.shard, &GroupSettings::default(), RULES);
        while self.done < to {
            let end = (self.done + 1 + rng.index(6)).min(to);
            let handled = block_on(grouper.handle(&self.records[self.done..end])).unwrap();
            assert!(handled.close_error.is_none(), "{handled:?}");
            self.done = self.records.partition_point(|record| record.sequence <= handled.watermark);
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

/// Items in every sealed output that is whole, by signal.
fn sealed(objects: &BTreeMap<String, Bytes>) -> [u64; 2] {
    let mut counts = [0, 0];
    for (_, object) in objects.iter().filter(|(key, _)| key.starts_with(keys::SEALED)) {
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
    let mut reader = Reader::new(records(seed, metrics).0);
    let moment = 1 + rng.index(reader.records.len());
    reader.read(moment, &mut rng);
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
    assert!(kinds.into_iter().all(|prefix| least(prefix) >= 5) && least("items") > 50, "the seeds are too tame: {met:?}");
}
