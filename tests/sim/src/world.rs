//! The world of a run: who acts, when, and what they know. Everything random comes from the seed.

mod loss;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use http::Request;
use spanlake_model::{Bucket, Sequence};
use spanlake_pipeline::archive::{ArchiveError, Archiver};
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::group::{GroupError, Grouper, peek_manifest};
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::keys;
use spanlake_pipeline::lineage::Heartbeats;
use spanlake_pipeline::ports::{Record, Shard};
use spanlake_pipeline::sweep::{expire, sweep};
use spanlake_policy::Rules;
use spanlake_testkit::{Rng, SimStream, block_on};

use crate::evidence::Policies;
use crate::journal::{Journal, Rates};
use crate::lake::Reader;
use crate::mix::{self, Mix, Options};
use crate::scheduler::Scheduler;
use crate::store::{LATE_NANOS, Quiet, Store};
use crate::stream::{Stream, Wall, seconds};
use crate::traffic::{GIVE_UP_NANOS, HALF_READABLE_LOGS, Sent, Traffic, half_readable};

/// The hour near which runs begin.
const HOUR_NANOS: i64 = seconds(1_790_002_800);

/// Makes a seed of its own for what the rules are.
const RULES_SALT: u64 = 0x7275_6c65;

/// A call that takes longer is ended.
pub(crate) const CALL_NANOS: i64 = seconds(8);

/// Older than anything that a call under way, or a late write, may still refer to.
pub(crate) const SWEEP_NANOS: i64 = CALL_NANOS + LATE_NANOS + seconds(1);

type TheGrouper = Grouper<Store, Stream>;
type Warm<T> = Rc<RefCell<Vec<T>>>;

/// A client's attempt under way.
struct Attempt {
    request: usize,
    begun_nanos: i64,
    /// How often shards had been split or merged, if the client surely knew the newest list.
    epoch: Option<u64>,
}

/// The world.
pub(crate) struct World {
    pub(crate) mix: Mix,
    pub(crate) rng: Rng,
    pub(crate) journal: Arc<Journal>,
    pub(crate) store: Arc<Store>,
    pub(crate) stream: Arc<Stream>,
    pub(crate) scheduler: Scheduler,
    pub(crate) sent: Vec<Sent>,
    pub(crate) policies: Vec<Policies>,
    pub(crate) switched_nanos: Option<i64>,
    /// Records that cannot be read, put on the stream.
    pub(crate) unreadable: u64,
    /// Logs that some of these say they hold.
    pub(crate) poisoned_logs: u64,
    pub(crate) reader: RefCell<Reader>,
    traffic: Traffic,
    traces: u64,
    rounds: u64,
    client: Rc<Ingest<Stream, Wall>>,
    rules: Arc<Rules>,
    version: String,
    epoch: u64,
    stale_rounds: u64,
    attempts: BTreeMap<u64, usize>,
    under_way: BTreeMap<u64, Attempt>,
    answers: Rc<RefCell<Vec<(u64, u16, i64)>>>,
    checkpoints: Rc<RefCell<BTreeMap<String, Sequence>>>,
    /// Shards of which a round of heartbeats without a fault has heard.
    known_shards: Rc<RefCell<BTreeSet<String>>>,
    groupers: Rc<RefCell<BTreeMap<String, Vec<TheGrouper>>>>,
    archivers: Warm<Archiver<Store>>,
    heartbeats: Warm<Heartbeats<Store, Stream>>,
}

impl World {
    pub(crate) fn new(seed: u64, options: &Options) -> Result<Self, String> {
        let mut rng = Rng::new(seed);
        let mut mix = Mix::draw(&mut rng, options);
        mix.draw_rules(&mut Rng::new(seed ^ RULES_SALT));
        let journal = Arc::new(Journal::new(rng.next_u64(), mix.rates, options.is_logged));
        journal.set_now(HOUR_NANOS - seconds(mix.hour_in_seconds.cast_signed()));
        journal.note(|| format!("{mix:?}"));
        let store = Arc::new(Store::new(Arc::clone(&journal)));
        let inner = SimStream::new(rng.next_u64(), mix.shards, 0);
        let stream = Arc::new(Stream::new(inner, Arc::clone(&journal), mix.jump_percent));
        let client = Ingest::new(Arc::clone(&stream), Wall(Arc::clone(&journal)), IngestSettings::default());
        let traffic = Traffic {
            rng: Rng::new(rng.next_u64()),
            hostile_percent: mix.hostile_percent,
            big_trace_spans: mix.settings.trace_spans_max.min(12) as u64 + 5,
            overflow_percent: mix.overflow_percent,
        };
        let [first, second] = mix.texts();
        let rules = mix::compiled(first)?;
        let version = if mix.names_rules { rules.version().to_owned() } else { String::new() };
        store.plant(&keys::rules(rules.version()), first.into());
        store.plant(&keys::rules(&mix::version(second)?), second.into());
        if mix.names_rules && mix.switches_rules {
            // A third version at once with the other two is more than a shard remembers: see `RulesInForce`.
            for shard in 0..usize::from(mix.shards) {
                stream.push(shard, heartbeat(&version));
            }
        }
        Ok(Self {
            scheduler: Scheduler::new(Arc::clone(&journal)),
            sent: Vec::new(),
            policies: mix::policies(&mix)?,
            switched_nanos: None,
            unreadable: 0,
            poisoned_logs: 0,
            reader: RefCell::default(),
            traffic,
            traces: 0,
            rounds: 0,
            client: Rc::new(client),
            rules,
            version,
            epoch: 0,
            stale_rounds: 0,
            attempts: BTreeMap::new(),
            under_way: BTreeMap::new(),
            answers: Rc::default(),
            checkpoints: Rc::default(),
            known_shards: Rc::default(),
            groupers: Rc::default(),
            archivers: Rc::default(),
            heartbeats: Rc::default(),
            mix,
            rng,
            journal,
            store,
            stream,
        })
    }

    /// Faults end: calls and late writes under way come to their end, everybody knows the newest list of shards.
    pub(crate) fn calm(&mut self) {
        self.journal.set_rates(Rates::default());
        self.stream.inner.refresh_maps();
        self.stream.inner.set_stale(0);
        self.stale_rounds = 0;
        self.store.settle(100);
        self.stream.settle(100);
    }

    /// Time goes on, the world changes, and everybody who may act begins to.
    pub(crate) fn begin_round(&mut self, is_calm: bool) {
        self.journal.advance(if is_calm { 7_000_000_000 } else { self.rng.below(self.mix.pace_ms) * 1_000_000 });
        self.store.settle(30);
        self.stream.settle(30);
        self.scheduler.end_older_than(self.journal.now() - CALL_NANOS);
        if !is_calm {
            self.reshard();
            self.switch_rules();
            self.send_new();
            if self.rng.chance(self.mix.hostile_percent) {
                self.push_unreadable();
            }
            self.trim();
        }
        self.spawn_clients();
        for _ in 0..=u64::from(self.rng.chance(20)) {
            self.spawn_heartbeats();
        }
        self.spawn_groupers(is_calm);
        self.rounds += 1;
        // Parquet is what a run costs most, and two at once are what is worth it.
        let archivers = match self.rng.below(10) {
            _ if is_calm => u64::from(self.rounds.is_multiple_of(3)),
            0..5 => 0,
            5..8 => 1,
            _ => 2,
        };
        for _ in 0..archivers {
            self.spawn_archiver();
        }
        if !is_calm && self.mix.sweeps && self.rng.chance(60) {
            self.spawn_sweeper();
        }
    }

    /// One caller makes a step, and a little time goes by.
    pub(crate) fn step(&mut self) {
        self.journal.advance(self.rng.below(8) * 1_000_000);
        self.scheduler.step(&mut self.rng);
    }

    fn reshard(&mut self) {
        self.stale_rounds = self.stale_rounds.saturating_sub(1);
        if self.stale_rounds == 0 {
            self.stream.inner.refresh_maps();
            self.stream.inner.set_stale(0);
        }
        if !self.rng.chance(self.mix.reshard_percent) {
            return;
        }
        for _ in 0..=self.rng.below(2) {
            let open = self.stream.inner.open_shards();
            let at = self.rng.index(open.len());
            let Some(shard) = open.get(at) else { continue };
            if open.len() < 5 && self.rng.chance(60) {
                let middle = 1 + self.rng.below(u64::from(shard.range.last - shard.range.first).max(1));
                self.stream.inner.split(&shard.id, shard.range.first + u16::try_from(middle).unwrap_or(0));
                self.journal.happened("a shard is split");
            } else if let Some(upper) = open.get(at + 1) {
                self.stream.inner.merge(&shard.id, &upper.id);
                self.journal.happened("two shards are merged");
            }
        }
        self.epoch += 1;
        self.stream.inner.set_stale(self.mix.stale_percent);
        self.stale_rounds = 2 + self.rng.below(3);
    }

    fn switch_rules(&mut self) {
        if self.mix.switches_rules && self.switched_nanos.is_none() && self.rng.chance(20) {
            self.switched_nanos = Some(self.journal.now());
            let [_, second] = self.mix.texts();
            self.version = mix::version(second).unwrap_or_default();
            self.journal.happened("the rules are switched");
        }
    }

    fn send_new(&mut self) {
        let now = self.journal.now();
        let count = self.rng.below(self.mix.burst).min(self.mix.traces_max.saturating_sub(self.traces));
        self.traces += count;
        let requests = self.traffic.traces(now, count);
        self.sent.extend(requests);
        let nonsense = self.traffic.nonsense(now);
        self.sent.extend(nonsense);
    }

    fn push_unreadable(&mut self) {
        let open = self.stream.inner.open_shards().len();
        let at = self.rng.index(open);
        if self.rng.chance(50) {
            let bytes: [u8; 24] = self.rng.bytes();
            self.stream.push(at, bytes.to_vec());
        } else if let Some(bucket) = self.stream.inner.open_shards().get(at).and_then(|shard| Bucket::new(shard.range.first)) {
            self.stream.push(at, half_readable(bucket, self.rng.next_u64()));
            self.poisoned_logs += HALF_READABLE_LOGS;
        }
        self.journal.happened("an unreadable record is put");
        self.unreadable += 1;
    }

    /// The retention of what is read ends; a closed shard may vanish from the list.
    fn trim(&mut self) {
        if !self.rng.chance(20) || self.mix.limits {
            return;
        }
        for shard in self.stream.inner.all_shards() {
            if self.known_shards.borrow().contains(&shard.id) {
                let found = block_on(peek_manifest(&Quiet(&self.store), &shard.id));
                let watermark = found.ok().flatten().map_or(Sequence::ZERO, |(manifest, _)| manifest.watermark);
                self.stream.inner.trim(&shard.id, watermark);
                if self.rng.chance(self.mix.expire_percent) {
                    self.expire(&shard.id, watermark);
                }
            }
        }
    }

    fn spawn_clients(&mut self) {
        let now = self.journal.now();
        for request in 0..self.sent.len() {
            let Some(sent) = self.sent.get_mut(request) else { continue };
            let tries = self.under_way.values().filter(|attempt| attempt.request == request);
            let is_awaited = tries.clone().any(|attempt| attempt.begun_nanos > now - seconds(5));
            let is_old = sent.known_since_nanos().is_some_and(|since| now - since > GIVE_UP_NANOS);
            if is_old && sent.acknowledged_nanos.is_none() && tries.clone().next().is_none() {
                sent.is_given_up = true;
            }
            let wants = !sent.is_given_up && sent.due_nanos <= now && !is_awaited;
            let is_done = sent.acknowledged_nanos.is_some() && (sent.repeats == 0 || is_old);
            if !wants || is_done {
                continue;
            }
            if sent.acknowledged_nanos.is_some() {
                sent.repeats -= 1;
            }
            self.send(request);
        }
    }

    /// Sends a request; the answer is noted with its time.
    pub(crate) fn send(&mut self, request: usize) {
        let Some(sent) = self.sent.get(request) else { return };
        let content_type = if sent.form.is_json { "application/json" } else { "application/x-protobuf" };
        let mut head = Request::post(format!("/v1/{}", sent.signal.name())).header("content-type", content_type);
        if sent.form.is_gzip {
            head = head.header("content-encoding", "gzip");
        }
        let Ok(message) = head.body(sent.body.clone()) else { return };
        let (client, answers, journal) = (Rc::clone(&self.client), Rc::clone(&self.answers), Arc::clone(&self.journal));
        let id = self.scheduler.spawn("ingest", |id| async move {
            let status = client.handle(message).await.status().as_u16();
            answers.borrow_mut().push((id, status, journal.now()));
        });
        let (begun_nanos, epoch) = (self.journal.now(), (self.stale_rounds == 0).then_some(self.epoch));
        self.attempts.insert(id, request);
        self.under_way.insert(id, Attempt { request, begun_nanos, epoch });
    }

    /// Learns what was stored, answered, and lost.
    pub(crate) fn collect(&mut self) -> Result<(), String> {
        for (caller, stamp) in self.stream.arrivals() {
            if let Some(sent) = self.attempts.get(&caller).and_then(|request| self.sent.get_mut(*request)) {
                let (first, last) = sent.stored.unwrap_or((stamp, stamp));
                sent.stored = Some((first.min(stamp), last.max(stamp)));
            }
        }
        for (id, status, nanos) in self.answers.take() {
            let Some(Attempt { request, epoch, begun_nanos }) = self.under_way.get(&id) else { continue };
            let Some(sent) = self.sent.get_mut(*request) else { continue };
            if status != sent.expected && !matches!(status, 429 | 503) {
                return Err(format!("I9: {status} for a request that deserves {}", sent.expected));
            }
            if status == sent.expected {
                sent.acknowledged_nanos.get_or_insert(nanos);
                sent.whole_nanos = sent.whole_nanos.max(Some(*begun_nanos));
                if *epoch == Some(self.epoch) {
                    sent.straight_nanos.get_or_insert(nanos);
                }
            }
        }
        let now = self.journal.now();
        for id in self.scheduler.ended() {
            if let Some(attempt) = self.under_way.remove(&id)
                && let Some(sent) = self.sent.get_mut(attempt.request)
            {
                let wait_ms = if sent.acknowledged_nanos.is_some() { self.rng.below(30_000) } else { self.rng.below(4_000) };
                sent.due_nanos = now + wait_ms.cast_signed() * 1_000_000;
            }
        }
        Ok(())
    }

    /// Whether some client still wants something; those that wait are hurried.
    pub(crate) fn hurry_clients(&mut self) -> bool {
        let now = self.journal.now();
        let mut waits = false;
        for sent in &mut self.sent {
            sent.due_nanos = sent.due_nanos.min(now);
            waits |= sent.acknowledged_nanos.is_none() && !sent.is_given_up;
        }
        waits
    }

    fn spawn_heartbeats(&mut self) {
        let warm = Rc::clone(&self.heartbeats);
        let taken = if self.rng.chance(70) { warm.borrow_mut().pop() } else { None };
        let mut beats = taken.unwrap_or_else(|| Heartbeats::new(Arc::clone(&self.store), Arc::clone(&self.stream)));
        let (version, known) = (self.version.clone(), Rc::clone(&self.known_shards));
        let listed: Vec<String> = self.stream.inner.all_shards().into_iter().map(|shard| shard.id).collect();
        self.journal.note(|| format!("heartbeats of {version:?}"));
        self.scheduler.spawn("heartbeats", |_| async move {
            if beats.beat(&version).await.is_ok_and(|all| all) {
                known.borrow_mut().extend(listed);
            }
            warm.borrow_mut().push(beats);
        });
    }

    fn spawn_groupers(&mut self, is_calm: bool) {
        // Nobody is called for a shard that is gone.
        for shard in self.stream.inner.listed() {
            let is_left = self.rounds < self.mix.laggard_rounds && shard.id.ends_with(['1', '3', '5', '7', '9']);
            let calls = match self.rng.below(100) {
                _ if is_calm => 1,
                _ if is_left => 0,
                drawn if drawn < self.mix.lag_percent => 0,
                drawn if drawn < 75 => 1,
                _ => 2,
            };
            for _ in 0..calls {
                self.spawn_grouper(&shard, is_calm);
            }
        }
    }

    fn spawn_grouper(&mut self, shard: &Shard, is_calm: bool) {
        let (warm, checkpoints) = (Rc::clone(&self.groupers), Rc::clone(&self.checkpoints));
        let taken = if self.rng.chance(70) { warm.borrow_mut().entry(shard.id.clone()).or_default().pop() } else { None };
        let mut grouper = taken.unwrap_or_else(|| self.cold_grouper(shard));
        let records = self.batch(&shard.id, is_calm);
        let (id, store) = (shard.id.clone(), Arc::clone(&self.store));
        self.scheduler.spawn("grouper", |_| async move {
            let handled = grouper.handle(&records).await;
            if let Err(error @ GroupError::ManifestLost { .. }) = &handled {
                store.violated(format!("a false alarm: {error}"));
            }
            if let Ok(handled) = handled {
                let last = records.iter().map(|record| record.sequence).max().unwrap_or_default();
                let mut checkpoints = checkpoints.borrow_mut();
                let checkpoint = checkpoints.entry(id.clone()).or_default();
                *checkpoint = (*checkpoint).max(handled.watermark.min(last));
            }
            warm.borrow_mut().entry(id).or_default().push(grouper);
        });
    }

    fn cold_grouper(&self, shard: &Shard) -> TheGrouper {
        let (store, stream, settings) = (Arc::clone(&self.store), Arc::clone(&self.stream), self.mix.settings.clone());
        Grouper::new(store, stream, shard.clone(), settings, Arc::clone(&self.rules), Arc::new(|text: &str| mix::compiled(text)))
    }

    /// What the event source gives: what is behind its checkpoint, in order; or something of that again, cut anew; or only
    /// what was taken before, in any order.
    fn batch(&mut self, shard: &str, is_calm: bool) -> Vec<Record> {
        let checkpoint = self.checkpoints.borrow().get(shard).copied().unwrap_or_default();
        if is_calm {
            return self.stream.inner.records(shard, checkpoint, 500);
        }
        let most = 1 + self.rng.index(30);
        if !self.rng.chance(self.mix.redeliver_percent) {
            return self.stream.inner.records(shard, checkpoint, most);
        }
        self.journal.happened("records are delivered again");
        let back = self.rng.below(200);
        let is_behind = checkpoint > SimStream::sequence(back);
        let from = if is_behind { checkpoint.wrapping_sub(back.into()) } else { Sequence::ZERO };
        let mut records = self.stream.inner.records(shard, from, most);
        if records.last().is_some_and(|last| last.sequence <= checkpoint) && self.rng.chance(50) {
            records.reverse();
        }
        records
    }

    fn spawn_archiver(&mut self) {
        let (warm, store) = (Rc::clone(&self.archivers), Arc::clone(&self.store));
        let taken = if self.rng.chance(70) { warm.borrow_mut().pop() } else { None };
        let mut archiver = taken.unwrap_or_else(|| Archiver::new(Arc::clone(&self.store), self.mix.file_bytes));
        self.scheduler.spawn("archiver", |_| async move {
            if let Err(error @ (ArchiveError::PlanLost { .. } | ArchiveError::OutputsLost { .. })) = archiver.run().await {
                store.violated(format!("a false alarm: {error}"));
            }
            warm.borrow_mut().push(archiver);
        });
    }

    fn spawn_sweeper(&mut self) {
        let (store, now) = (Arc::clone(&self.store), self.journal.now());
        if self.rng.chance(70) {
            self.scheduler.spawn("sweeper", |_| async move { drop(sweep(store.as_ref(), now - SWEEP_NANOS).await) });
        } else {
            self.scheduler.spawn("lifecycle", |_| async move { drop(expire(store.as_ref(), now - seconds(3_600)).await) });
        }
    }

    /// Sends some of the acknowledged requests once more, if every part of them is surely remembered.
    pub(crate) fn repeat_some(&mut self) {
        // A repeat takes a round and some calls until it is stored.
        let remembered = self.mix.settings.seen_nanos - seconds(25);
        for request in 0..self.sent.len() {
            let now = self.journal.now();
            let may = self.sent.get(request).is_some_and(|sent| {
                sent.acknowledged_nanos.is_some()
                    && !sent.is_expired
                    && sent.known_since_nanos().is_some_and(|since| now - since < remembered)
            });
            if may && self.rng.chance(40) {
                self.send(request);
            }
        }
    }
}
