//! A stream that a test splits, merges and reads as it pleases: no faults, no chance, one step after the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use spanlake_model::{Bucket, NANOS_PER_SECOND, Sequence, Signal, SpanId, TraceId};
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::group::{GroupError, Grouper, Handled, all_manifests};
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::inspect::sealed_items;
use spanlake_pipeline::keys;
use spanlake_pipeline::ledger::Ledger;
use spanlake_pipeline::manifest::Manifest;
use spanlake_pipeline::ports::{AppendError, EventStream, NewRecord, ObjectStore, Shard, Slice, StreamError};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_testkit::{Faults, SimClock, SimStore, SimStream, SpanSpec, logs_request, trace_request};

use crate::drive::{START_NANOS, block_on, rules};

/// Keeps traces with an error, nothing else.
pub(crate) const ERRORS: &str = include_str!("errors.yaml");

/// Which span of a trace: the last byte of its id.
pub(crate) type Number = u8;

/// The stream as a caller knows it, who may have been told an older list of shards.
pub(crate) struct Told {
    stream: Arc<SimStream>,
    map: Mutex<Option<Vec<Shard>>>,
}

impl EventStream for Told {
    fn shards(&self) -> Vec<Shard> {
        self.map.lock().unwrap().clone().unwrap_or_else(|| self.stream.open_shards())
    }

    async fn list(&self) -> Result<Vec<Shard>, StreamError> {
        self.stream.list().await
    }

    async fn append(&self, records: Vec<NewRecord>) -> Vec<Result<(), AppendError>> {
        self.stream.append(records).await
    }

    async fn read(&self, shard: &str, after: Sequence, records_max: usize, bytes_max: usize) -> Result<Slice, StreamError> {
        self.stream.read(shard, after, records_max, bytes_max).await
    }
}

/// Clients, a stream and a store.
pub(crate) struct Scene {
    pub(crate) stream: Arc<SimStream>,
    pub(crate) told: Arc<Told>,
    pub(crate) store: Arc<SimStore>,
    pub(crate) settings: GroupSettings,
    pub(crate) rules: String,
    ingest: Ingest<Told, SimClock>,
}

impl Scene {
    pub(crate) fn new(shards: u16) -> Self {
        let stream = Arc::new(SimStream::new(0, shards, 0));
        stream.set_now(START_NANOS);
        let told = Arc::new(Told { stream: Arc::clone(&stream), map: Mutex::new(None) });
        let ingest = Ingest::new(Arc::clone(&told), SimClock::default(), IngestSettings::default());
        let store = Arc::new(SimStore::new(0, Faults::default()));
        Self { stream, told, store, settings: GroupSettings::default(), rules: ERRORS.to_owned(), ingest }
    }

    /// The stream stamps what comes now so many milliseconds after the start.
    pub(crate) fn at_ms(&self, ms: i64) {
        self.stream.set_now(nanos(ms));
    }

    /// From now on clients and groupers know this list of shards; `None` for the true one.
    pub(crate) fn tell(&self, map: Option<Vec<Shard>>) {
        *self.told.map.lock().unwrap() = map;
    }

    /// Sends a body, which must be taken whole.
    pub(crate) fn post(&self, signal: Signal, body: impl Into<Bytes>) {
        let request = Request::post(format!("/v1/{}", signal.name())).header("content-type", "application/x-protobuf");
        let answer = block_on(self.ingest.handle(request.body(body.into()).unwrap()));
        assert!(answer.status() == 200 && answer.body().is_empty(), "{answer:?}");
    }

    /// Sends spans in one request.
    pub(crate) fn send(&self, spans: &[SpanSpec]) {
        self.post(Signal::Traces, trace_request("shop", spans));
    }

    /// Sends one log of a trace.
    pub(crate) fn log(&self, trace: TraceId, text: &str) {
        self.post(Signal::Logs, logs_request("shop", &[(trace, text.to_owned())]));
    }

    /// A heartbeat on the open shard of this place.
    pub(crate) fn beat(&self, place: usize, rules: &str) {
        self.stream.push(place, heartbeat(rules));
    }

    /// Heartbeats on all open shards, so many milliseconds after the start.
    pub(crate) fn beat_all(&self, ms: i64) {
        self.at_ms(ms);
        for place in 0..self.open().len() {
            self.beat(place, "");
        }
    }

    pub(crate) fn open(&self) -> Vec<Shard> {
        self.stream.open_shards()
    }

    /// A grouper of any shard that ever was, which remembers nothing.
    pub(crate) fn cold(&self, id: &str) -> Grouper<SimStore, Told> {
        let shard = self.stream.all_shards().into_iter().find(|shard| shard.id == id).unwrap();
        let default = Arc::new(rules(&self.rules).unwrap());
        let compile = Arc::new(|text: &str| rules(text).map(Arc::new));
        Grouper::new(Arc::clone(&self.store), Arc::clone(&self.told), shard, self.settings.clone(), default, compile)
    }

    /// Gives a cold grouper all records of its shard.
    pub(crate) fn try_group(&self, id: &str) -> Result<Handled, GroupError> {
        let records = self.stream.records(id, Sequence::ZERO, usize::MAX);
        block_on(self.cold(id).handle(&records))
    }

    pub(crate) fn group(&self, id: &str) {
        let handled = self.try_group(id).unwrap();
        assert!(handled.close_error.is_none(), "{handled:?}");
        self.check();
    }

    /// Every open shard reads what it has.
    pub(crate) fn group_open(&self) {
        self.open().iter().for_each(|shard| self.group(&shard.id));
    }

    /// Heartbeats and groupers until nothing waits; `ms` is when.
    pub(crate) fn settle(&self, ms: i64) {
        for step in 0..4 {
            self.beat_all(ms + step * 11_000);
            self.group_open();
        }
        assert_eq!(self.pending(), 0);
    }

    pub(crate) fn manifests(&self) -> Vec<Manifest> {
        block_on(all_manifests(self.store.as_ref())).unwrap()
    }

    pub(crate) fn manifest(&self, id: &str) -> Manifest {
        self.manifests().into_iter().find(|manifest| manifest.shard == id).unwrap()
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::of_shards(self.manifests().iter().map(|manifest| &manifest.ledger))
    }

    pub(crate) fn pending(&self) -> u64 {
        let ledger = self.ledger();
        Signal::ALL.into_iter().map(|signal| ledger.account(signal).pending).sum()
    }

    /// The ledger balances, and nothing is visible twice: at every moment.
    pub(crate) fn check(&self) {
        for manifest in self.manifests() {
            assert!(manifest.ledger.balances(), "{}: {:?}", manifest.shard, manifest.ledger);
        }
        assert!(self.ledger().balances(), "{:?}", self.ledger());
        assert!(self.spans().values().all(|times| *times == 1), "{:?}", self.spans());
    }

    /// What is sealed of a signal: how often each message is there.
    fn sealed(&self, signal: Signal) -> BTreeMap<(TraceId, Vec<u8>), u32> {
        let mut sealed = BTreeMap::new();
        for output in self.manifests().iter().flat_map(|manifest| &manifest.sealed) {
            let object = block_on(self.store.get(&output.key)).unwrap().unwrap();
            for item in sealed_items(&object.bytes).unwrap().into_iter().filter(|item| item.signal == signal) {
                *sealed.entry((item.trace, item.bytes)).or_default() += 1;
            }
        }
        sealed
    }

    /// The sealed spans: how often each is there.
    pub(crate) fn spans(&self) -> BTreeMap<(TraceId, Vec<u8>), u32> {
        self.sealed(Signal::Traces)
    }

    /// How many sealed spans a trace has.
    pub(crate) fn kept(&self, trace: TraceId) -> usize {
        self.spans().keys().filter(|(of, _)| *of == trace).count()
    }

    /// How many logs are sealed, repeats included.
    pub(crate) fn logs(&self) -> u32 {
        self.sealed(Signal::Logs).values().sum()
    }

    /// Everything sealed, by shard, number and window.
    pub(crate) fn outputs(&self) -> BTreeMap<(String, u64), (i64, Bytes)> {
        let objects = self.store.snapshot();
        let mut outputs = BTreeMap::new();
        for manifest in self.manifests() {
            for output in &manifest.sealed {
                let bytes = objects[&output.key].clone();
                outputs.insert((manifest.shard.clone(), output.number), (output.window_start, bytes));
            }
        }
        outputs
    }

    /// Saves rules where a grouper finds them, and returns their version.
    pub(crate) fn save_rules(&self, text: &str) -> String {
        let version = rules(text).unwrap().version().to_owned();
        block_on(self.store.put(&keys::rules(&version), text.to_owned().into())).unwrap();
        version
    }
}

/// So many milliseconds after the start, Unix nanoseconds.
pub(crate) const fn nanos(ms: i64) -> i64 {
    START_NANOS + ms * (NANOS_PER_SECOND / 1_000)
}

/// A trace whose bucket lies in a range; `number` tells it from others there.
pub(crate) fn trace_in(first: u16, last: u16, number: u32) -> TraceId {
    let ids = (0_u64..).map(|n| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&(number + 1).to_be_bytes());
        id[8..].copy_from_slice(&n.to_be_bytes());
        TraceId(id)
    });
    ids.into_iter().find(|id| (first..=last).contains(&Bucket::of_trace(id).number())).unwrap()
}

/// A span of a trace that ends well.
pub(crate) fn fine(trace: TraceId, number: Number) -> SpanSpec {
    let id = SpanId([number, 1, 1, 1, 1, 1, 1, 1]);
    let parent = SpanId::default();
    SpanSpec {
        trace,
        id,
        parent,
        name: "work".to_owned(),
        kind: 2,
        start_nanos: 1,
        end_nanos: 2,
        status: 0,
        attributes: Vec::new(),
    }
}

/// A span that failed: its trace is kept.
pub(crate) fn error(trace: TraceId, number: Number) -> SpanSpec {
    SpanSpec { status: 2, ..fine(trace, number) }
}
