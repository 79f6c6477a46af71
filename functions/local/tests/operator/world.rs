//! A state with something of everything, in a data folder and in buckets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use spanlake_aws_twin::S3Twin;
use spanlake_local::{DiskStore, Floor, LogOptions, RealDisk, SegmentLog};
use spanlake_model::{NANOS_PER_SECOND, Sequence, SpanId, TraceId};
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::group::Grouper;
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::{EventStream, ObjectStore};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::{DEFAULT_CONFIG, load};
use spanlake_testkit::{Faults, SimClock, SimStore, SimStream, SpanSpec, block_on, trace_request};
use tempfile::TempDir;

use crate::{Ran, run};

/// How long ago the telemetry came: in the middle of an hour, so that no command tells another number of hours than the next.
const AGE_SECONDS: i64 = 100 * 3_600 + 1_800;

/// The same objects in a data folder and in buckets.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) s3: S3Twin,
}

impl World {
    /// Two traces are filed; a third waits for its decision; a record was no envelope.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        drop(SegmentLog::open(RealDisk, folder.path().join("stream"), LogOptions::new(1, Floor::default(), 0)).unwrap());
        let store = DiskStore::open(RealDisk, folder.path().to_owned()).unwrap();
        let s3 = S3Twin::start(&["state", "lake", "empty"], 1).await;
        s3.enable_versioning("state");
        for (key, bytes) in state() {
            s3.put(if key.starts_with(keys::LAKE) { "lake" } else { "state" }, &key, bytes.clone());
            store.put(&key, bytes).await.unwrap();
        }
        Self { folder, s3 }
    }

    /// Keys of the state with this prefix.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        self.s3.objects("state").into_keys().filter(|key| key.starts_with(prefix)).collect()
    }

    /// The batch that the manifest lists.
    pub(crate) fn waiting_batch(&self) -> String {
        let manifest = self.keys(keys::MANIFEST).pop().map(|key| self.s3.objects("state").remove(&key).unwrap()).unwrap();
        let manifest = String::from_utf8(manifest.to_vec()).unwrap();
        self.keys(keys::STAGED).into_iter().find(|key| manifest.contains(key)).unwrap()
    }

    /// Takes an object away from both.
    pub(crate) fn lose(&self, key: &str) {
        assert!(self.s3.lose("state", key));
        std::fs::remove_file(self.folder.path().join(key)).unwrap();
    }

    /// Runs a command on the folder.
    pub(crate) fn on_folder(&self, words: &[&str]) -> Ran {
        let folder = self.folder.path().display().to_string();
        run(&[words, &["--data", &folder]].concat(), &[])
    }

    /// Runs a command on both buckets.
    pub(crate) fn on_buckets(&self, words: &[&str]) -> Ran {
        self.with(&[words, &["--bucket", "state", "--lake-bucket", "lake"]].concat())
    }

    /// Runs a command against the stand-in.
    pub(crate) fn with(&self, words: &[&str]) -> Ran {
        let url = self.s3.url();
        let environment = [
            ("AWS_ENDPOINT_URL", url.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ];
        // The stand-in answers on this runtime.
        tokio::task::block_in_place(|| run(words, &environment))
    }
}

/// Objects, by their keys.
fn state() -> BTreeMap<String, Bytes> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let begin = GroupSettings::default().window_start((now - AGE_SECONDS) * NANOS_PER_SECOND);
    let (store, stream) = (Arc::new(SimStore::new(0, Faults::default())), Arc::new(SimStream::new(0, 1, 0)));
    let ingest = Ingest::new(Arc::clone(&stream), SimClock::default(), IngestSettings::default());
    let rules = Arc::new(load(DEFAULT_CONFIG, &|_| None).rules.unwrap());
    let shard = stream.shards().remove(0);
    let compile = Arc::new(|_: &str| Err("there are no other rules".to_owned()));
    let settings = GroupSettings::default();
    let mut grouper = Grouper::new(Arc::clone(&store), Arc::clone(&stream), shard.clone(), settings, rules, compile);
    for (id, after_seconds) in [(1, 0), (2, 40), (3, 80)] {
        stream.set_now(begin + after_seconds * NANOS_PER_SECOND);
        let request =
            Request::post("/v1/traces").header("content-type", "application/x-protobuf").body(failed_trace(id)).unwrap();
        assert_eq!(block_on(ingest.handle(request)).status(), 200);
        stream.set_now(begin + (after_seconds + 5) * NANOS_PER_SECOND);
        stream.push(0, heartbeat(""));
    }
    stream.push(0, b"no envelope".to_vec());
    let handled = block_on(grouper.handle(&stream.records(&shard.id, Sequence::ZERO, usize::MAX))).unwrap();
    assert!(handled.close_error.is_none(), "{handled:?}");
    assert_eq!(block_on(Archiver::new(Arc::clone(&store), 1 << 20).run()).unwrap().plans, 1);
    store.snapshot()
}

/// A request of one span with an error, which the built-in rules keep.
fn failed_trace(id: u8) -> Bytes {
    let span = SpanSpec {
        trace: TraceId([id; 16]),
        id: SpanId([id; 8]),
        parent: SpanId::default(),
        name: "work".to_owned(),
        kind: 2,
        start_nanos: 1,
        end_nanos: 2,
        status: 2,
        attributes: Vec::new(),
    };
    trace_request("shop", &[span]).into()
}
