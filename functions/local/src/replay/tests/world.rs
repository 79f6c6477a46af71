//! A data folder as the local process leaves it, made by the same use cases without sockets and clocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Request;
use spanlake_local::{DiskStore, RealDisk};
use spanlake_model::{NANOS_PER_MS, NANOS_PER_SECOND, Sequence, SpanId, TraceId};
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::group::Grouper;
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::{EventStream, ObjectStore};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_pipeline::sweep::sweep;
use spanlake_policy::{Rules, load};
use spanlake_testkit::{Faults, SimClock, SimStore, SimStream, SpanSpec, block_on, trace_request};
use tempfile::TempDir;

use super::super::scan::{Findings, scan};
use crate::demo::{Size, build};
use crate::folder::{Folder, STREAM, runtime};

/// When the shop opens.
const START_NANOS: i64 = 1_790_000_000 * NANOS_PER_SECOND;

/// When all of it is decided.
pub(super) const END_MS: i64 = 70_000;

const SIZE: Size = Size { traces: 900, lone_logs: 60, spread_ms: 25_000, metric_exports: 1 };

pub(super) struct World {
    pub(super) folder: TempDir,
    /// Traces that are health checks.
    pub(super) health: u64,
}

pub(super) fn rules(text: &str) -> Arc<Rules> {
    let loaded = load(text, &|_| None);
    Arc::new(loaded.rules.unwrap_or_else(|| panic!("{:?}", loaded.findings)))
}

/// A configuration with these policies, and a processor in front of them in all pipelines that take it.
pub(super) fn config(policies: &str, processor: &str) -> String {
    let name = processor.trim().split(':').next().unwrap_or_default();
    let (first, logs) = if name.is_empty() { (String::new(), String::new()) } else { (format!("{name}, "), name.to_owned()) };
    format!(
        "receivers: {{otlp: {{protocols: {{http: }}}}}}\nprocessors:\n{processor}  tail_sampling:\n    decision_wait: 10s\n    \
         policies:{policies}\nexporters: {{debug: }}\nservice:\n  pipelines:\n    traces: {{receivers: [otlp], processors: \
         [{first}tail_sampling], exporters: [debug]}}\n    logs: {{receivers: [otlp], processors: [{logs}], exporters: [debug]}}\n    metrics: {{receivers: [otlp], processors: [{logs}], exporters: \
         [debug]}}\n"
    )
}

/// A span of a trace that is decided by the time it comes.
fn late_span(trace: TraceId) -> SpanSpec {
    let start_nanos = START_NANOS.unsigned_abs();
    SpanSpec {
        trace,
        id: SpanId([9; 8]),
        parent: SpanId([8; 8]),
        name: "late".to_owned(),
        kind: 1,
        start_nanos,
        end_nanos: start_nanos + 1,
        status: 0,
        attributes: Vec::new(),
    }
}

impl World {
    /// The shop's telemetry, under these rules, all decided, filed and swept.
    pub(super) fn new(text: &str) -> Self {
        Self::until(text, END_MS, true)
    }

    /// The same until some time after the shop has opened; with what is swept minutes later, if it is not yet.
    pub(super) fn until(text: &str, end_ms: i64, is_swept: bool) -> Self {
        let (store, stream) = (Arc::new(SimStore::new(0, Faults::default())), Arc::new(SimStream::new(0, 2, 0)));
        let default = rules(text);
        block_on(store.put(&keys::rules(default.version()), text.to_owned().into())).unwrap();
        let shop = build(7, START_NANOS.unsigned_abs(), SIZE).unwrap();
        let ingest = Ingest::new(Arc::clone(&stream), SimClock::default(), IngestSettings::default());
        let beat = |after_ms: i64| {
            stream.set_now(START_NANOS + after_ms * NANOS_PER_MS);
            (0..2).for_each(|shard| stream.push(shard, heartbeat(default.version())));
        };
        beat(0);
        let is_over = |after_ms: i64| after_ms > end_ms;
        for request in shop.requests {
            let due_ms = i64::try_from(request.due_ms).unwrap();
            if is_over(due_ms) {
                continue;
            }
            stream.set_now(START_NANOS + due_ms * NANOS_PER_MS);
            let mut posted = Request::post(format!("/v1/{}", request.signal.name())).header("content-type", request.content_type);
            if let Some(encoding) = request.content_encoding {
                posted = posted.header("content-encoding", encoding);
            }
            assert_eq!(block_on(ingest.handle(posted.body(request.body.into()).unwrap())).status(), 200);
        }
        if end_ms == END_MS {
            beat(40_000);
            let late = trace_request("frontend", &[late_span(shop.truth.shown.unwrap())]);
            let posted = Request::post("/v1/traces").header("content-type", "application/x-protobuf").body(late.into()).unwrap();
            assert_eq!(block_on(ingest.handle(posted)).status(), 200);
        }
        [50_000, 60_000, end_ms].into_iter().filter(|after_ms| !is_over(*after_ms)).for_each(beat);
        let compile = Arc::new(|text: &str| Ok(rules(text)));
        for shard in stream.shards() {
            let records = stream.records(&shard.id, Sequence::ZERO, usize::MAX);
            let (store, stream, settings) = (Arc::clone(&store), Arc::clone(&stream), GroupSettings::default());
            let mut grouper = Grouper::new(store, stream, shard, settings, Arc::clone(&default), compile.clone());
            let handled = block_on(grouper.handle(&records)).unwrap();
            assert!(handled.close_error.is_none(), "{handled:?}");
        }
        block_on(Archiver::new(Arc::clone(&store), 1 << 20).run()).unwrap();
        if is_swept {
            block_on(sweep(&*store, i64::MAX)).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(STREAM)).unwrap();
        let disk = DiskStore::open(RealDisk, folder.path().to_owned()).unwrap();
        runtime().unwrap().block_on(async {
            for (key, bytes) in store.snapshot() {
                disk.put(&key, bytes).await.unwrap();
            }
        });
        Self { folder, health: shop.truth.count(|trace| trace.health) }
    }

    pub(super) fn replay(&self, text: &str) -> Findings {
        self.try_replay(text, START_NANOS - NANOS_PER_SECOND).unwrap()
    }

    pub(super) fn try_replay(&self, text: &str, since_nanos: i64) -> anyhow::Result<Findings> {
        let folder = Folder::open(self.folder.path())?;
        runtime()?.block_on(scan(&folder, &rules(text), since_nanos, &|_| {}))
    }

    pub(super) fn ask(&self, sql: &str) -> Vec<Vec<String>> {
        let lake = crate::lake::open(self.folder.path()).unwrap();
        runtime().unwrap().block_on(crate::lake::texts(&lake, sql)).unwrap()
    }

    /// The files of staged batches.
    pub(super) fn staged(&self) -> Vec<std::path::PathBuf> {
        let folder = std::fs::read_dir(self.folder.path().join(keys::STAGED)).into_iter().flatten();
        folder.map(|entry| entry.unwrap().path()).collect()
    }

    pub(super) fn count(&self, sql: &str) -> u64 {
        self.ask(sql)[0][0].parse().unwrap()
    }

    /// Kept traces, each with its policy and how many spans of it are in the lake.
    pub(super) fn kept(&self) -> BTreeMap<String, (String, u64)> {
        let sql = "SELECT d.trace_id, d.policy, count(*) FROM decisions d JOIN spans s ON s.trace_id = d.trace_id \
                   WHERE d.verdict = 'kept' GROUP BY 1, 2";
        self.ask(sql).into_iter().map(|row| (row[0].clone(), (row[1].clone(), row[2].parse().unwrap()))).collect()
    }
}
