//! How a shard's records are cut into batches changes nothing: not the verdicts, not a byte of what is sealed, not the
//! ledger. Each seed makes one stream (several signals, repeats, stragglers, quiet times, clocks that jump back, records
//! that are no records, a change of rules) and reads it in several cuts.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use spanlake_model::{NANOS_PER_SECOND, Signal, SpanId, TraceId};
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::keys;
use spanlake_pipeline::ledger::Ledger;
use spanlake_pipeline::manifest::{Manifest, SealedRef};
use spanlake_pipeline::ports::{EventStream, ObjectStore, Record};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_testkit::{Faults, Rng, SimStore, SpanSpec, logs_request, trace_request};

use crate::captures::{self, Capture};
use crate::drive::{Front, START_NANOS, block_on, grouper, rules};

/// Policies alone; and processors around limits, with logs that follow their trace.
pub(crate) const RULES: [&str; 2] = [include_str!("sampled.yaml"), include_str!("processed.yaml")];
const SEEDS: u64 = 60;
const CUTS: u64 = 3;

/// The same rules with another share of chance: what a stream changes to. Where logs follow their trace, they no longer do, and
/// traces wait longer.
pub(crate) fn other_rules(rules: &str) -> String {
    let other = rules.replace("sampling_percentage: 20", "sampling_percentage: 60");
    match other.strip_suffix("spanlake:\n  logs: follow_trace\n") {
        Some(apart) => apart.replace("decision_wait: 10s", "decision_wait: 35s"),
        None => other,
    }
}

/// A stream under way.
struct Scene<'a> {
    rng: Rng,
    front: Front,
    now: i64,
    traces: Vec<(TraceId, i64)>,
    sent: Vec<(Signal, Bytes)>,
    metrics: &'a [Capture],
    stragglers: u32,
}

impl Scene<'_> {
    fn step(&mut self) {
        self.now += match self.rng.below(20) {
            0 => 1_000 * NANOS_PER_SECOND,
            1..=3 => 12 * NANOS_PER_SECOND,
            _ => i64::try_from(self.rng.below(5_000)).unwrap() * 1_000_000,
        };
        let jump = if self.rng.chance(15) { 3 * NANOS_PER_SECOND } else { 0 };
        self.front.stream.set_now(self.now - jump);
        match self.rng.below(12) {
            0..=4 => self.spans(),
            5 | 6 => self.logs(),
            7 => self.metrics(),
            8 | 9 => self.repeat(),
            10 => self.front.stream.push(0, heartbeat("")),
            _ => self.front.stream.push(0, self.rng.bytes::<24>().to_vec()),
        }
    }

    fn trace(&mut self) -> TraceId {
        if !self.traces.is_empty() && self.rng.chance(50) {
            let (trace, first) = self.traces[self.rng.index(self.traces.len())];
            let age = self.now - first;
            self.stragglers += u32::from(age > 25 * NANOS_PER_SECOND && age < 500 * NANOS_PER_SECOND);
            return trace;
        }
        let trace = TraceId(self.rng.bytes());
        self.traces.push((trace, self.now));
        trace
    }

    fn spans(&mut self) {
        let mut spans = Vec::new();
        for _ in 0..=self.rng.below(3) {
            let trace = self.trace();
            for _ in 0..=self.rng.below(2) {
                let start_nanos = START_NANOS.unsigned_abs() + self.rng.below(1_000_000_000);
                let status = if self.rng.chance(10) { 2 } else { 0 };
                let attributes = vec![("card".to_owned(), format!("4111 1111 1111 1111 {}", self.rng.below(9)))];
                let (id, parent, name) = (SpanId(self.rng.bytes()), SpanId::default(), "work".to_owned());
                let end_nanos = start_nanos + self.rng.below(1_100_000_000);
                spans.push(SpanSpec { trace, id, parent, name, kind: 2, start_nanos, end_nanos, status, attributes });
            }
        }
        let service = ["web", "cart", "payment-service"][self.rng.index(3)];
        self.send(Signal::Traces, trace_request(service, &spans).into());
    }

    fn logs(&mut self) {
        let mut records = Vec::new();
        for _ in 0..=self.rng.below(2) {
            let trace = if self.rng.chance(50) { self.trace() } else { TraceId::default() };
            records.push((trace, format!("log {}", self.rng.next_u64())));
        }
        self.send(Signal::Logs, logs_request("web", &records).into());
    }

    fn metrics(&mut self) {
        let body = self.metrics[self.rng.index(self.metrics.len())].inflated();
        self.send(Signal::Metrics, body.into());
    }

    fn repeat(&mut self) {
        if !self.sent.is_empty() {
            let (signal, body) = self.sent[self.rng.index(self.sent.len())].clone();
            self.front.post(signal, body);
        }
    }

    fn send(&mut self, signal: Signal, body: Bytes) {
        self.sent.push((signal, body.clone()));
        self.front.post(signal, body);
    }
}

/// A shard's records, and how many times a span came for a trace that was already decided.
pub(crate) fn records(seed: u64, text: &str, metrics: &[Capture]) -> (Vec<Record>, u32) {
    let front = Front::new(1);
    let (now, traces, sent) = (START_NANOS, Vec::new(), Vec::new());
    let mut scene = Scene { rng: Rng::new(seed), front, now, traces, sent, metrics, stragglers: 0 };
    let steps = 20 + scene.rng.below(30);
    let switch_at = scene.rng.below(2 * steps);
    for step in 0..steps {
        scene.step();
        if step == switch_at {
            scene.front.stream.push(0, heartbeat(rules(&other_rules(text)).unwrap().version()));
        }
    }
    for seconds in (1..=9).map(|number| 12 * number) {
        scene.front.beat(scene.now + seconds * NANOS_PER_SECOND);
    }
    (scene.front.records(0), scene.stragglers)
}

/// Everything that must not depend on the cuts.
#[derive(Debug, PartialEq)]
struct Outcome {
    objects: BTreeMap<String, Bytes>,
    sealed: Vec<SealedRef>,
    ledger: Ledger,
}

/// Reads the records in batches that end where `cut` says, each beginning some records too early if `overlap` says so,
/// each perhaps by a grouper that remembers nothing.
fn run(records: &[Record], text: &str, settings: &GroupSettings, mut batch: impl FnMut(usize) -> Batch) -> Outcome {
    let store = Arc::new(SimStore::new(0, Faults::default()));
    let other = other_rules(text);
    block_on(store.put(&keys::rules(rules(&other).unwrap().version()), other.into())).unwrap();
    let shard = Front::new(1).stream.shards().remove(0);
    let mut reader = grouper(&store, &shard, settings, text);
    let mut done = 0;
    while done < records.len() {
        let Batch { takes, again, forgets } = batch(records.len() - done);
        if forgets {
            reader = grouper(&store, &shard, settings, text);
        }
        let given = &records[done.saturating_sub(again)..(done + takes).min(records.len())];
        let handled = block_on(reader.handle(given)).unwrap();
        assert!(handled.close_error.is_none(), "{handled:?}");
        // A call may take a front of what it was given; it says how far it came.
        done = records.partition_point(|record| record.sequence <= handled.watermark);
    }
    let objects: BTreeMap<_, _> = store.snapshot();
    let Manifest { sealed, ledger, staged, .. } = Manifest::decode(&objects[&keys::manifest(&shard.id)]).unwrap();
    let pending: u64 = Signal::ALL.into_iter().map(|signal| ledger.account(signal).pending).sum();
    assert!(ledger.balances() && staged.is_empty() && pending == 0, "{ledger:?} {staged:?}");
    let kept = |key: &String| key.starts_with(keys::SEALED) || key.starts_with(keys::DECISIONS);
    Outcome { objects: objects.into_iter().filter(|(key, _)| kept(key)).collect(), sealed, ledger }
}

/// How the next batch is taken.
struct Batch {
    takes: usize,
    again: usize,
    forgets: bool,
}

fn random_batch(rng: &mut Rng, most: u64) -> Batch {
    let takes = 1 + usize::try_from(rng.below(most)).unwrap();
    let again = if rng.chance(30) { rng.index(8) } else { 0 };
    Batch { takes, again, forgets: rng.chance(30) }
}

#[test]
fn every_cut_of_the_same_records_seals_the_same_bytes() {
    let metrics: Vec<_> =
        captures::all().into_iter().filter(|capture| capture.signal == Signal::Metrics && capture.name.contains(".pb")).collect();
    let (mut met, mut stragglers, mut outputs) = (Ledger::default(), 0, 0);
    for (seed, text) in (0..SEEDS).zip(RULES.into_iter().cycle()) {
        let (records, late) = records(seed, text, &metrics);
        let mut rng = Rng::new(seed ^ 0xc075);
        let mut settings = GroupSettings::default();
        if rng.chance(50) {
            settings.seal_bytes = 1_000;
            settings.red_keys_max = 2;
            settings.trace_spans_max = 4;
        }
        let whole = run(&records, text, &settings, |rest| Batch { takes: rest, again: 0, forgets: false });
        for cut in 0..CUTS {
            let most = [1, 3, 10, 40][rng.index(4)];
            let other = run(&records, text, &settings, |_| random_batch(&mut rng, most));
            let differing: Vec<_> = other.objects.keys().filter(|key| !whole.objects.contains_key(*key)).collect();
            assert!(
                other == whole,
                "seed {seed}, cut {cut}, batches of up to {most}: {differing:?}\n{:#?}\n{:#?}",
                whole.ledger,
                other.ledger
            );
        }
        met.add(&whole.ledger);
        stragglers += late;
        outputs += whole.sealed.len();
    }
    for signal in Signal::ALL {
        let account = met.account(signal);
        assert!(account.kept > 0 && account.duplicates > 0, "the streams were too tame: {met:?}");
    }
    let counts = [
        met.traces.sampled_out,
        4 * met.logs.sampled_out,
        met.traces.dropped_total(),
        met.quarantined_records,
        u64::from(stragglers),
    ];
    assert!(counts.iter().all(|count| *count > 20) && outputs > 300, "the streams were too tame: {counts:?}, {outputs} outputs");
}

/// A shard that catches up reads in one batch what came minutes apart.
#[test]
fn a_batch_longer_than_the_late_horizon_decides_each_trace_once() {
    let front = Front::new(1);
    for number in [1, 2] {
        let (trace, id, parent, name) = (TraceId([number; 16]), SpanId([number; 8]), SpanId::default(), "work".to_owned());
        let span = SpanSpec { trace, id, parent, name, kind: 2, start_nanos: 1, end_nanos: 2, status: 2, attributes: Vec::new() };
        front.stream.set_now(START_NANOS + i64::from(number) * 700 * NANOS_PER_SECOND);
        front.post(Signal::Traces, trace_request("web", &[span]));
    }
    front.beat(START_NANOS + 1_430 * NANOS_PER_SECOND);
    let Outcome { ledger, .. } =
        run(&front.records(0), RULES[0], &GroupSettings::default(), |rest| Batch { takes: rest, again: 0, forgets: false });
    assert_eq!((ledger.traces.committed, ledger.traces.kept), (2, 2), "{ledger:?}");
}
