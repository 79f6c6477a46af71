//! Minutes of a stream: requests, batches and the schedule, in the order in which they would come.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use spanlake_aws::archive::Tasks;
use spanlake_aws::group::Groupers;
use spanlake_aws::rules::compiler;
use spanlake_aws::{HeldBytes, KinesisStream, Metrics, Recent, StreamSettings, SystemClock};
use spanlake_aws_twin::KinesisTwin;
use spanlake_model::Signal;
use spanlake_pipeline::group::all_manifests;
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::keys;
use spanlake_pipeline::ledger::{Account, Ledger};
use spanlake_pipeline::ports::{EventStream, ObjectStore, Shard};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_testkit::Rng;

use crate::store::Counted;
use crate::stream::Shelf;

/// What is played.
pub(crate) struct Plan {
    pub(crate) shards: u16,
    /// Spans a second, of the whole stream.
    pub(crate) rate: u64,
    pub(crate) minutes: u64,
    /// Minutes that are not counted: the lists of what was seen and decided fill up in them.
    pub(crate) warm: u64,
    /// Environments of the grouper, any of which takes a batch; 0: each shard has its own.
    pub(crate) environments: usize,
    /// Seconds that an event is waited for.
    pub(crate) window_seconds: u64,
    /// What an environment of the grouper holds.
    pub(crate) held: HeldBytes,
    pub(crate) config: Option<String>,
}

/// When the stream begins, milliseconds since 1970: a whole hour.
const BEGUN_MS: u64 = 1_790_002_800_000;

/// The longest event, bytes of its JSON.
const EVENT_BYTES_MAX: usize = 6_000_000;

/// Between the end of an event's wait and the next: how long a batch takes. The windows of the event source do not stand still
/// against those of the stream.
const BATCH_MS: u64 = 300;

const MINUTE_MS: u64 = 60_000;

type Environments = Vec<Groupers<Recent<Counted>>>;

/// What waits on a shard.
struct Queue {
    shard: Shard,
    records: Vec<Value>,
    bytes: usize,
    sequence: u64,
    due_ms: u64,
}

struct World {
    twin: KinesisTwin,
    buckets: Counted,
    queues: Vec<Queue>,
    environments: Environments,
    shelf: Arc<Shelf>,
    ingest: Ingest<Shelf, SystemClock>,
    tasks: Tasks<Counted>,
    rng: Rng,
    batches: u64,
    records: u64,
    spans: u64,
}

/// Plays it, and tells what was called.
pub(crate) async fn play(plan: &Plan, folder: &Path) -> Value {
    let mut world = world(plan).await;
    let mut requests = crate::bodies(folder).into_iter();
    let (mut sent, mut next_minute) = (0, 0);
    let mut before = None;
    loop {
        let due = world.queues.iter().map(|queue| queue.due_ms).min().unwrap();
        let at = (sent * 1_000 / plan.rate).min(due).min(next_minute * MINUTE_MS);
        if at >= plan.minutes * MINUTE_MS {
            break;
        }
        if at >= plan.warm * MINUTE_MS && before.is_none() {
            world.buckets.reset();
            (world.batches, world.records, world.spans) = (0, 0, 0);
            before = Some(world.account().await);
            println!("counted from here on");
        }
        if at == next_minute * MINUTE_MS {
            world.minute(at).await;
            next_minute += 1;
        } else if at == due {
            world.batch(plan, at).await;
        } else {
            sent += world.request(at, requests.next()).await;
        }
    }
    println!("counted up to here");
    let counts = world.buckets.counts();
    let (before, after) = (before.unwrap(), world.account().await);
    json!({
        "shards": plan.shards, "environments": plan.environments, "window_seconds": plan.window_seconds,
        "held_bytes": plan.held.bodies + plan.held.lists, "minutes": plan.minutes - plan.warm,
        "batches": world.batches, "records": world.records, "spans": world.spans,
        "committed": after.committed - before.committed, "kept": after.kept - before.kept, "calls": counts,
    })
}

async fn stream(url: &str) -> Arc<KinesisStream> {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(url)
        .build();
    let stream = KinesisStream::new(aws_sdk_kinesis::Client::from_conf(config), "spans".to_owned(), StreamSettings::default());
    stream.freshen().await.unwrap();
    Arc::new(stream)
}

async fn world(plan: &Plan) -> World {
    let twin = KinesisTwin::start("spans", plan.shards, 1).await;
    let stream = stream(&twin.url()).await;
    let buckets = Counted::new("nobody");
    if let Some(config) = &plan.config {
        buckets.put(keys::RULES_CURRENT, Bytes::copy_from_slice(config.as_bytes())).await.unwrap();
    }
    let metrics = || Metrics::new("spanlake".to_owned());
    let environment = |_| {
        let store = Arc::new(Recent::new(buckets.of("grouper"), plan.held));
        Groupers::new(store, Arc::clone(&stream), GroupSettings::default(), compiler(), metrics()).unwrap()
    };
    let several = if plan.environments == 0 { usize::from(plan.shards) } else { plan.environments };
    let settings = GroupSettings::default();
    let shelf = Arc::new(Shelf::new(stream.shards()));
    let ingest = Ingest::new(Arc::clone(&shelf), SystemClock, IngestSettings::default());
    let archiver = Arc::new(buckets.of("archiver"));
    let tasks = Tasks::new(archiver, Arc::clone(&stream), compiler(), metrics(), Vec::new(), settings.retention_nanos);
    let period_ms = plan.window_seconds * 1_000;
    let queue = |(number, shard): (usize, Shard)| Queue {
        shard,
        records: Vec::new(),
        bytes: 0,
        sequence: 0,
        due_ms: period_ms + number as u64 * period_ms / u64::from(plan.shards),
    };
    World {
        twin,
        queues: stream.shards().into_iter().enumerate().map(queue).collect(),
        environments: (0..several).map(environment).collect(),
        buckets,
        shelf,
        ingest,
        tasks,
        rng: Rng::new(1),
        batches: 0,
        records: 0,
        spans: 0,
    }
}

impl Queue {
    /// A record, as Lambda's event has it.
    fn push(&mut self, bytes: &[u8], at_ms: u64) {
        self.sequence += 1;
        let sequence = format!("{:056}", self.sequence);
        let now_ms = BEGUN_MS + at_ms;
        let arrival: Value = serde_json::from_str(&format!("{}.{:03}", now_ms / 1_000, now_ms % 1_000)).unwrap();
        let record = json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": self.shard.range.first.to_string(), "sequenceNumber": sequence,
                "data": STANDARD.encode(bytes), "approximateArrivalTimestamp": arrival,
            },
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": format!("{}:{sequence}", self.shard.id),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::123456789012:role/spanlake-GrouperRole-0123456789AB",
            "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/spanlake-Stream-0123456789AB",
        });
        self.bytes += record.to_string().len() + 1;
        self.records.push(record);
    }

    /// The next event: as many of the records as fit into it.
    fn take(&mut self) -> Vec<Value> {
        let mut bytes = 0;
        let fits = |record: &&Value| {
            bytes += record.to_string().len() + 1;
            bytes <= EVENT_BYTES_MAX
        };
        let count = self.records.iter().take_while(fits).count();
        let rest = self.records.split_off(count);
        self.bytes = rest.iter().map(|record| record.to_string().len() + 1).sum();
        std::mem::replace(&mut self.records, rest)
    }
}

impl World {
    async fn account(&self) -> Account {
        let manifests = all_manifests(&self.buckets).await.unwrap();
        Ledger::of_shards(manifests.iter().map(|manifest| &manifest.ledger)).account(Signal::Traces).clone()
    }

    fn put(&mut self, shard: usize, bytes: &[u8], at: u64) {
        let queue = self.queues.get_mut(shard).unwrap();
        queue.push(bytes, at);
        // A full event is not waited for.
        if queue.bytes >= EVENT_BYTES_MAX {
            queue.due_ms = queue.due_ms.min(at);
        }
    }

    async fn request(&mut self, at: u64, path: Option<PathBuf>) -> u64 {
        let spans = crate::send(&self.ingest, &path.expect("more requests: the folder has too few spans")).await;
        for record in self.shelf.take() {
            let shard = self.queues.iter().position(|queue| queue.shard.range.contains(record.bucket)).unwrap();
            self.put(shard, &record.bytes, at);
            self.records += 1;
        }
        self.spans += spans;
        spans
    }

    async fn batch(&mut self, plan: &Plan, at: u64) {
        let shard = self.queues.iter().position(|queue| queue.due_ms == at).unwrap();
        let environment = if plan.environments == 0 { shard } else { self.rng.index(plan.environments) };
        let queue = self.queues.get_mut(shard).unwrap();
        queue.due_ms = at + plan.window_seconds * 1_000 + BATCH_MS;
        let records = queue.take();
        if records.is_empty() {
            return;
        }
        self.batches += 1;
        let event = serde_json::from_value(json!({ "Records": records })).unwrap();
        let answer = self.environments.get_mut(environment).unwrap().handle(event).await.unwrap();
        assert_eq!(serde_json::to_value(&answer).unwrap(), json!({ "batchItemFailures": [] }));
    }

    /// The schedule: its heartbeats go to the stand-in, and from there on.
    async fn minute(&mut self, at: u64) {
        let task = serde_json::from_value(json!({ "task": "archive" })).unwrap();
        self.tasks.run(task).await.unwrap();
        for shard in 0..self.queues.len() {
            let held = self.twin.records(&self.queues.get(shard).unwrap().shard.id);
            let heartbeat = held.last().unwrap().bytes.clone();
            self.put(shard, &heartbeat, at);
        }
    }
}
