//! One run: clients, stream, store, groupers and their zombies under one seed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use spanlake_model::{NANOS_PER_SECOND, Signal, SpanId, TraceId};
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::group::{Grouper, all_manifests};
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::inspect::{overview, sealed_items};
use spanlake_pipeline::lineage::Heartbeats;
use spanlake_pipeline::ports::{ObjectStore, Shard};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::Rules;
use spanlake_testkit::{Faults, Rng, Scheduler, SimClock, SimStore, SimStream, SpanSpec, logs_request, trace_request};

use super::oracle::{Acknowledged, SentSpan, Visible, check_any_time, check_at_rest};

const RULES: &str = include_str!("rules.yaml");
const SERVICES: [&str; 3] = ["web", "cart", "payment-service"];
const START_NANOS: i64 = 1_790_000_000 * NANOS_PER_SECOND;

type Client = Ingest<SimStream, SimClock>;

fn rules(text: &str) -> Result<Rules, String> {
    let loaded = spanlake_policy::load(text, &|_| None);
    loaded.rules.ok_or_else(|| format!("{:?}", loaded.findings))
}

/// A request that is sent until it is acknowledged.
#[derive(Clone)]
struct Outgoing {
    signal: Signal,
    body: Bytes,
    holds: Acknowledged,
    /// After an acknowledgement, how often it is sent all the same: the reply was lost.
    repeats: u32,
}

struct World {
    rng: Rng,
    store: Arc<SimStore>,
    stream: Arc<SimStream>,
    client: Rc<Client>,
    rules: Arc<Rules>,
    settings: GroupSettings,
    now: i64,
    outgoing: Vec<Outgoing>,
    sent: Vec<Acknowledged>,
    acknowledged: Vec<Acknowledged>,
    /// For each trace, when the first and the last of its requests was first stored.
    spread: BTreeMap<TraceId, (i64, i64)>,
    /// Rounds until every caller knows the newest list of shards.
    stale_rounds: u64,
    /// Traces sent while somebody may have known an older list: parts of them may be late.
    misplaced: BTreeSet<TraceId>,
}

/// Runs a seed; returns a digest of everything stored, or the first violation.
pub(super) fn run_seed(seed: u64) -> Result<String, String> {
    let mut world = World::new(seed)?;
    let rounds = 10 + world.rng.below(10);
    for round in 0..rounds {
        world.send_some();
        world.round(true);
        if round % 3 == 0 {
            world.check_any_time()?;
        }
    }
    world.calm();
    for _ in 0..14 {
        world.now += 3 * NANOS_PER_SECOND;
        world.round(false);
        world.calm();
    }
    world.check_any_time()?;
    world.check_at_rest()?;
    Ok(world.digest())
}

impl World {
    fn new(seed: u64) -> Result<Self, String> {
        let mut rng = Rng::new(seed);
        let swarm = |rng: &mut Rng, most: u64| if rng.chance(50) { rng.below(most) } else { 0 };
        let faults = Faults {
            fail_before: swarm(&mut rng, 15),
            fail_after: swarm(&mut rng, 15),
            late_write: swarm(&mut rng, 15),
            conflict: swarm(&mut rng, 20),
        };
        let stream_faults = swarm(&mut rng, 30);
        let shards = u16::try_from(1 + rng.below(4)).unwrap_or(1);
        let store = Arc::new(SimStore::new(rng.next_u64(), faults));
        let stream = Arc::new(SimStream::new(rng.next_u64(), shards, stream_faults));
        let client = Ingest::new(Arc::clone(&stream), SimClock::default(), IngestSettings::default());
        let rules = Arc::new(rules(RULES)?);
        let mut settings = GroupSettings::default();
        if rng.chance(50) {
            settings.seal_bytes = 2_000;
        }
        if rng.chance(50) {
            settings.manifest_bytes_max = 3_000;
        }
        let mut world = Self {
            rng,
            store,
            stream,
            client: Rc::new(client),
            rules,
            settings,
            now: START_NANOS,
            outgoing: Vec::new(),
            sent: Vec::new(),
            acknowledged: Vec::new(),
            spread: BTreeMap::new(),
            stale_rounds: 0,
            misplaced: BTreeSet::new(),
        };
        world.beat();
        Ok(world)
    }

    /// Time goes on, or jumps back a little for the stream's stamps.
    fn tick(&mut self) {
        let jump = if self.rng.chance(10) { -2 } else { 0 };
        self.now += i64::try_from(self.rng.below(4_000)).unwrap_or_default() * 1_000_000;
        self.stream.set_now(self.now + jump * NANOS_PER_SECOND);
        self.store.set_now(self.now);
    }

    fn beat(&mut self) {
        self.stream.set_now(self.now);
        drop(block_on(Heartbeats::new(Arc::clone(&self.store), Arc::clone(&self.stream)).beat("")));
        for shard in 0..usize::from(spanlake_model::BUCKETS) {
            self.stream.push(shard, heartbeat(""));
        }
    }

    /// Shards split and merge; for two rounds callers may know the older list.
    fn reshard(&mut self) {
        self.stale_rounds = self.stale_rounds.saturating_sub(1);
        if self.stale_rounds == 0 {
            self.stream.refresh_maps();
            self.stream.set_stale(0);
        }
        if !self.rng.chance(20) {
            return;
        }
        for _ in 0..=self.rng.below(2) {
            let open = self.stream.open_shards();
            let at = self.rng.index(open.len());
            if self.rng.chance(50) {
                let range = open[at].range;
                let middle = u64::from(range.first) + 1 + self.rng.below(u64::from(range.last - range.first).max(1));
                self.stream.split(&open[at].id, u16::try_from(middle).unwrap());
            } else if let Some(upper) = open.get(at + 1) {
                self.stream.merge(&open[at].id, &upper.id);
            }
        }
        self.stream.set_stale(self.rng.below(80));
        self.stale_rounds = 2;
    }

    /// New traces, their spans scattered over requests, and logs.
    fn send_some(&mut self) {
        for _ in 0..=self.rng.below(4) {
            let trace = TraceId(self.rng.bytes());
            let mut pieces: BTreeMap<&'static str, Vec<SentSpan>> = BTreeMap::new();
            let count = 1 + self.rng.below(6);
            let is_error = self.rng.chance(15);
            let slow = self.rng.chance(15);
            for number in 0..count {
                let service = if self.rng.chance(10) { SERVICES[2] } else { SERVICES[self.rng.index(2)] };
                let start = START_NANOS.unsigned_abs() + number * 1_000_000;
                let end = start + if slow && number == 0 { 1_500_000_000 } else { 5_000_000 };
                let span =
                    SentSpan { trace, id: SpanId(self.rng.bytes()), is_error: is_error && number == 0, start, end, service };
                pieces.entry(service).or_default().push(span);
            }
            for (service, spans) in pieces {
                let logs = if self.rng.chance(40) {
                    vec![format!("log {:x}-note", self.rng.next_u64() | 0xa000_0000_0000_000b)]
                } else {
                    Vec::new()
                };
                if !logs.is_empty() {
                    let records: Vec<_> = logs.iter().map(|log| (trace, log.clone())).collect();
                    let holds = Acknowledged { spans: Vec::new(), logs };
                    self.queue(Signal::Logs, logs_request(service, &records), holds);
                }
                let specs: Vec<SpanSpec> = spans.iter().map(spec).collect();
                let holds = Acknowledged { spans, logs: Vec::new() };
                self.queue(Signal::Traces, trace_request(service, &specs), holds);
            }
        }
    }

    fn queue(&mut self, signal: Signal, body: Vec<u8>, holds: Acknowledged) {
        let repeats = u32::from(self.rng.chance(20));
        self.sent.push(holds.clone());
        self.outgoing.push(Outgoing { signal, body: body.into(), holds, repeats });
    }

    /// Clients send, heartbeats fall, groupers and zombies run, everything interleaved.
    fn round(&mut self, with_crashes: bool) {
        self.tick();
        if with_crashes {
            self.reshard();
        } else {
            self.stream.refresh_maps();
        }
        let crash_percent = if with_crashes && self.rng.chance(50) { self.rng.below(4) } else { 0 };
        let outcomes = Rc::new(RefCell::new(Vec::new()));
        let mut scheduler = Scheduler::default();
        for outgoing in std::mem::take(&mut self.outgoing) {
            let (client, outcomes) = (Rc::clone(&self.client), Rc::clone(&outcomes));
            self.note_spread(&outgoing.holds);
            // Until an answer is noted, the client believes that its request was lost.
            let index = outcomes.borrow().len();
            outcomes.borrow_mut().push((outgoing.clone(), 0));
            scheduler.spawn(async move {
                let status = send(&client, &outgoing).await;
                if let Some(outcome) = outcomes.borrow_mut().get_mut(index) {
                    outcome.1 = status;
                }
            });
        }
        scheduler.finish(&mut self.rng, crash_percent);
        drop(scheduler);
        for (mut outgoing, status) in outcomes.take() {
            if status == 200 {
                self.acknowledged.push(outgoing.holds.clone());
                if outgoing.repeats > 0 {
                    outgoing.repeats -= 1;
                    self.outgoing.push(outgoing);
                }
            } else {
                self.outgoing.push(outgoing);
            }
        }
        self.beat();
        self.group(crash_percent);
    }

    /// A trace is together if all its requests were under way within a few seconds of each other.
    fn note_spread(&mut self, holds: &Acknowledged) {
        for span in &holds.spans {
            let spread = self.spread.entry(span.trace).or_insert((self.now, self.now));
            spread.1 = self.now;
            if self.stale_rounds > 0 {
                self.misplaced.insert(span.trace);
            }
        }
    }

    fn group(&mut self, crash_percent: u64) {
        let mut scheduler = Scheduler::default();
        for shard in self.stream.all_shards() {
            let callers = if self.rng.chance(25) { 2 } else { 1 };
            for _ in 0..callers {
                let mut grouper = self.grouper(&shard);
                // Any cut of the stream, from any point that may be redelivered.
                let after = if self.rng.chance(30) { self.rng.below(200) } else { 0 };
                let most = 1 + self.rng.index(60);
                let (stream, shard) = (Arc::clone(&self.stream), shard.clone());
                scheduler.spawn(async move {
                    let from = match grouper.manifest().await {
                        Ok(manifest) => manifest.watermark.saturating_sub(after),
                        Err(_) => return,
                    };
                    drop(grouper.handle(&stream.records(&shard.id, from, most)).await);
                });
            }
        }
        scheduler.finish(&mut self.rng, crash_percent);
    }

    fn grouper(&self, shard: &Shard) -> Grouper<SimStore, SimStream> {
        let shard = shard.clone();
        let compile = Arc::new(|text: &str| rules(text));
        Grouper::new(
            Arc::clone(&self.store),
            Arc::clone(&self.stream),
            shard,
            self.settings.clone(),
            Arc::clone(&self.rules),
            compile,
        )
    }

    /// The faults end; everything must come to rest.
    fn calm(&mut self) {
        self.store.set_faults(Faults::default());
        self.stream.set_faults(0);
        for _ in 0..8 {
            let mut scheduler = Scheduler::default();
            for shard in self.stream.all_shards() {
                let mut grouper = self.grouper(&shard);
                let (stream, shard) = (Arc::clone(&self.stream), shard.clone());
                scheduler.spawn(async move {
                    let from = grouper.manifest().await.map(|manifest| manifest.watermark).unwrap_or_default();
                    drop(grouper.handle(&stream.records(&shard.id, from, 500)).await);
                });
            }
            scheduler.finish(&mut self.rng, 0);
        }
    }

    fn visible(&self) -> Result<Visible, String> {
        let mut visible = Visible::default();
        // Through a manifest's eyes, as the archiver reads; faults are for callers, not for the judge.
        let snapshot = self.store.snapshot();
        let quiet = SimStore::new(0, Faults::default());
        for (key, bytes) in &snapshot {
            block_on(quiet.put(key, bytes.clone())).map_err(|error| error.to_string())?;
        }
        for manifest in block_on(all_manifests(&quiet)).map_err(|error| error.to_string())? {
            if !manifest.ledger.balances() {
                return Err(format!("I2: the ledger of {} does not balance: {:?}", manifest.shard, manifest.ledger));
            }
            for output in &manifest.sealed {
                let object = snapshot.get(&output.key).ok_or_else(|| format!("{} is listed and missing", output.key))?;
                for item in sealed_items(object).map_err(|error| error.to_string())? {
                    if item.signal == Signal::Traces {
                        *visible.spans.entry((item.trace, span_id(&item.bytes))).or_default() += 1;
                    } else {
                        *visible.logs.entry(log_body(&item.bytes)).or_default() += 1;
                    }
                }
            }
        }
        Ok(visible)
    }

    fn check_any_time(&self) -> Result<(), String> {
        check_any_time(&self.sent, &self.visible()?)
    }

    fn check_at_rest(&self) -> Result<(), String> {
        if !self.outgoing.is_empty() {
            return Err("liveness: a request is still refused after the faults ended".to_owned());
        }
        let wait = 8 * NANOS_PER_SECOND;
        let together = self
            .spread
            .iter()
            .filter(|(trace, (first, last))| last - first < wait && !self.misplaced.contains(trace))
            .map(|(trace, _)| *trace);
        let together: BTreeSet<TraceId> = together.collect();
        check_at_rest(&self.acknowledged, &self.visible()?, &together)?;
        let state = block_on(overview(self.store.as_ref())).map_err(|error| error.to_string())?;
        for signal in Signal::ALL {
            let account = state.ledger.account(signal);
            if account.pending > 0 {
                return Err(format!("liveness: {} {} are pending at rest", account.pending, signal.items()));
            }
        }
        Ok(())
    }

    fn digest(&self) -> String {
        let all: Vec<String> = self.store.snapshot().into_iter().map(|(key, bytes)| format!("{key} {}\n", bytes.len())).collect();
        all.concat()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

async fn send(client: &Client, outgoing: &Outgoing) -> u16 {
    let path = format!("/v1/{}", outgoing.signal.name());
    let request = Request::post(path).header("content-type", "application/x-protobuf").body(outgoing.body.clone());
    client.handle(request.unwrap()).await.status().as_u16()
}

fn spec(span: &SentSpan) -> SpanSpec {
    SpanSpec {
        trace: span.trace,
        id: span.id,
        parent: SpanId::default(),
        name: format!("work in {}", span.service),
        kind: 2,
        start_nanos: span.start,
        end_nanos: span.end,
        status: if span.is_error { 2 } else { 0 },
        attributes: vec![("http.route".to_owned(), "/cart".to_owned())],
    }
}

fn span_id(span: &[u8]) -> SpanId {
    use prost::Message;
    let span = opentelemetry_proto::tonic::trace::v1::Span::decode(span).unwrap();
    SpanId::from_slice(&span.span_id).unwrap()
}

fn log_body(record: &[u8]) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use prost::Message;
    let record = opentelemetry_proto::tonic::logs::v1::LogRecord::decode(record).unwrap();
    match record.body.and_then(|body| body.value) {
        Some(Value::StringValue(text)) => text,
        other => panic!("a body that nobody sent: {other:?}"),
    }
}
