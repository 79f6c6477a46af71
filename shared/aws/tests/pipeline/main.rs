//! The use cases on the adapters, the real SDK clients and endpoints with faults: what ingest answers 200 is counted once, while
//! shards are split and merged, lists of them are old, answers are lost and writes race.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use spanlake_aws::event::KinesisEvent;
use spanlake_aws::group::Groupers;
use spanlake_aws::rules::compiler;
use spanlake_aws::{Buckets, HeldBytes, KinesisStream, Metrics, Recent, S3Store, StreamSettings, SystemClock};
use spanlake_aws_twin::{KinesisFaults, KinesisTwin, S3Faults, S3Twin};
use spanlake_model::{NANOS_PER_SECOND, Signal, SpanId, TraceId};
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::inspect::overview;
use spanlake_pipeline::ledger::Account;
use spanlake_pipeline::lineage::Heartbeats;
use spanlake_pipeline::settings::GroupSettings;
use spanlake_testkit::{Rng, SpanSpec, trace_request};

const START_NANOS: i64 = 1_790_000_000 * NANOS_PER_SECOND;
const SPANS: usize = 6;

type Store = Recent<S3Store>;

/// Retries as they are on AWS, but for the waits.
fn quick() -> RetryConfig {
    RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)).with_max_backoff(Duration::from_millis(2))
}

struct World {
    kinesis: KinesisTwin,
    s3: S3Twin,
    stream: Arc<KinesisStream>,
    ingest: Ingest<KinesisStream, SystemClock>,
    /// What the event source has given, by shard: how many records.
    given: BTreeMap<String, usize>,
    rng: Rng,
    now_nanos: i64,
    sent: u64,
}

impl World {
    async fn start(seed: u64) -> Self {
        let kinesis = KinesisTwin::start("spans", 2, seed).await;
        let s3 = S3Twin::start(&["state", "lake"], seed).await;
        s3.enable_versioning("state");
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(quick())
            .endpoint_url(kinesis.url());
        let settings = StreamSettings { backoff: Duration::from_millis(1), ..StreamSettings::default() };
        let client = aws_sdk_kinesis::Client::from_conf(config.build());
        let stream = Arc::new(KinesisStream::new(client, "spans".to_owned(), settings));
        let ingest = Ingest::new(Arc::clone(&stream), SystemClock, IngestSettings::default());
        let (given, rng) = (BTreeMap::new(), Rng::new(seed));
        Self { kinesis, s3, stream, ingest, given, rng, now_nanos: START_NANOS, sent: 0 }
    }

    /// A store as a new instance of a function has it.
    fn store(&self) -> Arc<Store> {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(quick())
            .endpoint_url(self.s3.url())
            .force_path_style(true);
        let buckets = Buckets { state: "state".to_owned(), lake: "lake".to_owned() };
        Arc::new(Recent::new(
            S3Store::new(&aws_sdk_s3::Client::from_conf(config.build()), buckets),
            HeldBytes { bodies: 1 << 20, lists: 1 << 16 },
        ))
    }

    fn groupers(&self) -> Groupers<Store> {
        let settings = GroupSettings::default();
        Groupers::new(self.store(), Arc::clone(&self.stream), settings, compiler(), Metrics::off()).unwrap()
    }

    fn set_faults(&self, percent: u64) {
        self.kinesis.set_faults(KinesisFaults {
            throttled: percent,
            internal_failure: percent,
            lost_request: percent,
            lost_reply: percent,
            garbage: percent,
            entry_throttled: 3 * percent,
            entry_internal_failure: percent,
            reordered: 5 * percent,
            stale_map: 10 * percent,
            stale_reshards_max: 2,
            expired_iterator: percent,
            empty_read: percent,
            ..KinesisFaults::default()
        });
        self.s3.set_faults(S3Faults {
            slow_down: percent,
            internal_error: percent,
            lost_request: percent,
            lost_reply: percent,
            conflict: percent,
            cut_reply: percent,
            ..S3Faults::default()
        });
    }

    fn pass(&mut self, seconds: i64) {
        self.now_nanos += seconds * NANOS_PER_SECOND;
        self.kinesis.set_now(self.now_nanos);
        self.s3.set_now(self.now_nanos);
    }

    /// Sends a request of some traces as an exporter does: again, until it is answered 200.
    async fn post(&mut self) {
        let spans: Vec<SpanSpec> = (0..SPANS)
            .map(|_| SpanSpec {
                trace: TraceId(std::array::from_fn(|_| u8::try_from(self.rng.below(256)).unwrap())),
                id: SpanId(std::array::from_fn(|_| 1 + u8::try_from(self.rng.below(255)).unwrap())),
                parent: SpanId::default(),
                name: "work".to_owned(),
                kind: 2,
                status: 2,
                start_nanos: self.now_nanos.cast_unsigned(),
                end_nanos: self.now_nanos.cast_unsigned() + 5_000_000,
                attributes: Vec::new(),
            })
            .collect();
        let body = Bytes::from(trace_request("shop", &spans));
        for _ in 0..50 {
            let request = Request::post("/v1/traces").header("content-type", "application/x-protobuf");
            let is_listed = self.stream.freshen().await.is_ok();
            if is_listed && self.ingest.handle(request.body(body.clone()).unwrap()).await.status() == 200 {
                self.sent += SPANS as u64;
                return;
            }
        }
        panic!("a request is never taken");
    }

    /// Splits or merges open shards.
    fn reshard(&mut self) {
        let open: Vec<_> = self.kinesis.shards().into_iter().filter(|shard| shard.is_open).collect();
        let at = self.rng.index(open.len());
        let next = open.iter().find(|shard| open[at].last.checked_add(1) == Some(shard.first));
        match next.filter(|_| self.rng.chance(50)) {
            Some(next) => drop(self.kinesis.merge(&open[at].id, &next.id)),
            None => drop(self.kinesis.split(&open[at].id, open[at].first / 2 + open[at].last / 2)),
        }
    }

    /// What the event source gives of a shard now: some records behind those that were answered for, and sometimes before them.
    fn event(&mut self, shard: &str, most: usize) -> Option<(KinesisEvent, usize)> {
        let records = self.kinesis.records(shard);
        let from = self.given.get(shard).copied().unwrap_or_default();
        let back = if self.rng.chance(20) { self.rng.index(from + 1) } else { 0 };
        let batch: Vec<_> = records.iter().skip(from - back).take(most.saturating_add(back)).collect();
        let event = batch.iter().map(|record| {
            let seconds = record.arrival_nanos / NANOS_PER_SECOND;
            serde_json::json!({ "eventID": format!("{shard}:{}", record.sequence), "kinesis": {
                "sequenceNumber": record.sequence, "approximateArrivalTimestamp": seconds, "data": STANDARD.encode(&record.bytes) } })
        });
        let event = serde_json::json!({ "Records": event.collect::<Vec<_>>() });
        let until = from.max(from - back + batch.len());
        (until > from || back > 0).then(|| (serde_json::from_value(event).unwrap(), until))
    }

    /// Gives every shard's grouper a batch; what fails is given again later.
    async fn group(&mut self, groupers: &mut Groupers<Store>, most: usize) {
        for shard in self.kinesis.shards() {
            if let Some((event, until)) = self.event(&shard.id, most)
                && let Ok(answer) = groupers.handle(event).await
            {
                assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"batchItemFailures":[]}"#);
                self.given.insert(shard.id, until);
            }
        }
    }

    async fn account(&self) -> Account {
        overview(self.store().as_ref()).await.unwrap().ledger.account(Signal::Traces).clone()
    }
}

async fn what_is_answered_200_is_counted_once(seed: u64, percent: u64) {
    let mut world = World::start(seed).await;
    let mut groupers = world.groupers();
    let mut beats = Heartbeats::new(world.store(), Arc::clone(&world.stream));
    world.set_faults(percent);
    for round in 0..12 {
        for _ in 0..3 {
            world.post().await;
        }
        if round % 3 == 1 {
            world.reshard();
        }
        world.pass(3);
        drop(beats.beat("").await);
        world.group(&mut groupers, 4).await;
        // Another instance, which remembers nothing.
        if world.rng.chance(30) {
            groupers = world.groupers();
        }
        drop(Archiver::new(world.store(), 1 << 20).run().await);
    }
    world.set_faults(0);
    for _ in 0..12 {
        world.pass(10);
        world.stream.freshen().await.unwrap();
        assert!(beats.beat("").await.unwrap());
        world.group(&mut groupers, usize::MAX).await;
        Archiver::new(world.store(), 1 << 20).run().await.unwrap();
    }
    let account = world.account().await;
    assert_eq!((account.committed, account.pending, account.balances()), (world.sent, 0, true), "seed {seed}: {account:?}");
    // Every span is an error, which the built-in rules keep.
    assert_eq!(account.kept, world.sent, "seed {seed}: {account:?}");
}

#[tokio::test]
async fn without_faults_everything_is_counted_once() {
    what_is_answered_200_is_counted_once(1, 0).await;
}

#[tokio::test]
async fn under_faults_splits_and_merges_everything_is_counted_once() {
    for seed in 2..5 {
        what_is_answered_200_is_counted_once(seed, 3).await;
    }
}
