//! Power cuts and full disks under the whole local pipeline, on a disk that forgets what was not fsynced: whatever was
//! answered 200 is in the sealed outputs exactly once, after any number of crashes at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Request;
use spanlake_local::{Disk, DiskStore, Driver, DriverSettings, Faults, Floor, LogOptions, ModelDisk, SegmentLog, SystemClock};
use spanlake_model::{NANOS_PER_SECOND, Sequence, Signal, SpanId, TraceId};
use spanlake_pipeline::group::Grouper;
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::inspect::{overview, sealed_items};
use spanlake_pipeline::lineage::Heartbeats;
use spanlake_pipeline::ports::{EventStream, ObjectStore, Shard};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::Rules;
use spanlake_testkit::{Rng, SpanSpec, trace_request};
use tokio::sync::watch;

use crate::drive::rules;

const KEEP_ALL: &str = include_str!("keep_all.yaml");
const SHARDS: u16 = 2;
const WALL_NANOS: i64 = 1_790_000_000 * NANOS_PER_SECOND;

/// A process on the model disk.
struct Process {
    store: Arc<DiskStore<ModelDisk>>,
    log: Arc<SegmentLog<ModelDisk>>,
    ingest: Ingest<SegmentLog<ModelDisk>, SystemClock>,
    groupers: Vec<Grouper<DiskStore<ModelDisk>, SegmentLog<ModelDisk>>>,
}

/// The stream's ticks, turned by hand.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn forward(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Process {
    async fn start(disk: &ModelDisk, hand: &Hand, rules: &Arc<Rules>) -> Option<Self> {
        let store = Arc::new(DiskStore::open(disk.clone(), PathBuf::from("/data")).ok()?);
        let known = overview(store.as_ref()).await.ok()?;
        let sequence =
            known.manifests.iter().map(|manifest| manifest.watermark).max().and_then(Sequence::to_u64).unwrap_or_default();
        let arrival_nanos = known.manifests.iter().map(|manifest| manifest.clock).max().unwrap_or_default();
        let mut options = LogOptions::new(SHARDS, Floor { sequence, arrival_nanos }, WALL_NANOS);
        let ticks = hand.clone();
        options.ticks = Arc::new(move || Duration::from_secs(ticks.0.load(Ordering::Relaxed)));
        options.limits = None;
        let log = Arc::new(SegmentLog::open(disk.clone(), PathBuf::from("/data/stream"), options).ok()?);
        let ingest = Ingest::new(Arc::clone(&log), SystemClock, IngestSettings::default());
        let grouper = |shard: Shard| {
            let compile = Arc::new(|text: &str| crate::drive::rules(text).map(Arc::new));
            let (store, log, rules) = (Arc::clone(&store), Arc::clone(&log), Arc::clone(rules));
            Grouper::new(store, log, shard, GroupSettings::default(), rules, compile)
        };
        let groupers = log.shards().into_iter().map(grouper).collect();
        Some(Self { store, log, ingest, groupers })
    }

    async fn post(&self, span: &SpanSpec) -> bool {
        let body = trace_request("shop", std::slice::from_ref(span));
        let request = Request::post("/v1/traces").header("content-type", "application/x-protobuf");
        self.ingest.handle(request.body(body.into()).unwrap()).await.status() == 200
    }

    async fn beat(&self) {
        drop(Heartbeats::new(Arc::clone(&self.store), Arc::clone(&self.log)).beat("").await);
    }

    /// One batch on each shard, then what the log no longer needs goes. Answers how far each shard is read.
    async fn group(&mut self) -> Vec<Sequence> {
        let mut watermarks = Vec::new();
        for (shard, grouper) in self.groupers.iter_mut().enumerate() {
            let after = grouper.manifest().await.map(|manifest| manifest.watermark).unwrap_or_default();
            if let Ok(records) = self.log.read_blocking(shard, after, 1_000, 1 << 20) {
                drop(grouper.handle(&records).await);
            }
            watermarks.push(grouper.manifest().await.map(|manifest| manifest.watermark).unwrap_or_default());
        }
        drop(self.log.trim(&watermarks));
        watermarks
    }

    /// Ends as the program does at a stop: reads what is there still, then removes what is read.
    async fn stop(self) {
        let (_stopping, stop) = watch::channel(true);
        let (store, log) = (Arc::clone(&self.store), Arc::clone(&self.log));
        let driver = Driver::new(store, log, DriverSettings::default(), String::new());
        for (shard, grouper) in self.groupers.into_iter().enumerate() {
            driver.group(shard, grouper, stop.clone()).await;
        }
        driver.trim_all();
    }
}

fn segments(disk: &ModelDisk) -> usize {
    let entries = disk.list(Path::new("/data/stream")).unwrap();
    entries.iter().filter(|entry| Path::new(&entry.name).extension().is_some_and(|end| end == "log")).count()
}

fn span(rng: &mut Rng) -> SpanSpec {
    SpanSpec {
        trace: TraceId(rng.bytes()),
        id: SpanId(rng.bytes()),
        parent: SpanId::default(),
        name: "GET /".to_owned(),
        kind: 2,
        start_nanos: 1,
        end_nanos: 2,
        status: 0,
        attributes: Vec::new(),
    }
}

/// Runs a life of crashes; returns what was acknowledged and what is sealed in the end, each with how often.
async fn life(seed: u64, fault: impl Fn(&mut Rng) -> Faults) -> (BTreeSet<TraceId>, BTreeMap<TraceId, u32>) {
    let mut rng = Rng::new(seed);
    let rules = Arc::new(rules(KEEP_ALL).unwrap());
    let hand = Hand::default();
    let mut disk = ModelDisk::new();
    let mut acknowledged = BTreeSet::new();
    let mut waiting: Vec<SpanSpec> = Vec::new();
    for _ in 0..4 {
        disk.set_faults(fault(&mut rng));
        if let Some(mut process) = Process::start(&disk, &hand, &rules).await {
            for _ in 0..6 {
                waiting.push(span(&mut rng));
                let mut refused = Vec::new();
                for span in waiting.drain(..) {
                    if process.post(&span).await {
                        acknowledged.insert(span.trace);
                    } else {
                        refused.push(span);
                    }
                }
                waiting = refused;
                hand.forward(4);
                process.beat().await;
                let watermarks = process.group().await;
                if rng.chance(20) {
                    drop(process.log.trim_all(&watermarks));
                }
            }
        }
        disk = disk.crash(rng.next_u64());
    }
    disk.set_faults(Faults::default());
    let mut process = Process::start(&disk, &hand, &rules).await.expect("a start after the last crash");
    for _ in 0..12 {
        hand.forward(10);
        process.beat().await;
        process.group().await;
    }
    let mut sealed = BTreeMap::new();
    for grouper in &mut process.groupers {
        let manifest = grouper.manifest().await.unwrap().clone();
        assert!(manifest.ledger.balances() && manifest.ledger.account(Signal::Traces).pending == 0, "{:?}", manifest.ledger);
        for output in &manifest.sealed {
            let object = process.store.get(&output.key).await.unwrap().expect("a listed object");
            for item in sealed_items(&object.bytes).unwrap() {
                *sealed.entry(item.trace).or_default() += 1;
            }
        }
    }
    (acknowledged, sealed)
}

fn check(name: &str, fault: impl Fn(&mut Rng) -> Faults) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for seed in 0..12 {
        let (acknowledged, sealed) = runtime.block_on(life(seed, &fault));
        for trace in &acknowledged {
            assert_eq!(sealed.get(trace), Some(&1), "{name}, seed {seed}: acknowledged trace {trace}");
        }
        assert!(sealed.values().all(|times| *times == 1), "{name}, seed {seed}: {sealed:?}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_power_cuts() {
    check("power cut", |rng| Faults { power_off_after: Some(rng.below(400)), ..Faults::default() });
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_a_full_disk() {
    check("full disk", |rng| Faults { capacity_bytes: Some(2_000 + rng.below(60_000)), ..Faults::default() });
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_a_disk_that_cannot_sync_or_write() {
    check("failing disk", |rng| {
        let failing_sync = rng.chance(30);
        Faults { failing_sync, read_only: !failing_sync && rng.chance(30), ..Faults::default() }
    });
}

#[tokio::test]
async fn a_clean_stop_leaves_nothing_unmasked_on_the_stream_and_loses_nothing() {
    let (mut rng, hand, mut disk) = (Rng::new(3), Hand::default(), ModelDisk::new());
    let rules = Arc::new(rules(KEEP_ALL).unwrap());
    let mut highest = Sequence::ZERO;
    for round in 1..=3 {
        let process = Process::start(&disk, &hand, &rules).await.unwrap();
        for _ in 0..5 {
            assert!(process.post(&span(&mut rng)).await);
            process.beat().await;
        }
        assert_eq!(segments(&disk), 1);
        Box::pin(process.stop()).await;
        assert_eq!(segments(&disk), 0);
        disk = disk.crash(round);
        assert_eq!(segments(&disk), 0, "a power cut brings nothing back");
        let known = overview(&DiskStore::attach(disk.clone(), PathBuf::from("/data"))).await.unwrap();
        let watermark = known.manifests.iter().map(|manifest| manifest.watermark).max().unwrap();
        assert!(watermark > highest, "sequence numbers go on over a stream that is gone");
        highest = watermark;
        assert_eq!(known.ledger.account(Signal::Traces).committed, 5 * round);
    }
}
