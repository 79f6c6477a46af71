//! Measures the stages of the pipeline one by one, on real requests and the real disk: CPU time of this process per span.
//!
//! `cargo run --release -p spanlake-tests --example stages -- FOLDER [--config FILE] [--steady]`
//!
//! FOLDER holds gzipped protobuf trace requests, as `loadgen --out` writes them. Every body is used once, so that no cache
//! flatters a stage. `--steady` does the same work in the same order each time, without the comparison: for counting
//! instructions (`tests/ci/instructions.py`).
#![expect(clippy::print_stdout, reason = "its purpose is to print")]
#![expect(clippy::unwrap_used, reason = "a measurement stops where something is wrong")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message;
use spanlake_local::{DiskStore, Floor, LogOptions, RealDisk, SegmentLog, SystemClock};
use spanlake_model::Bucket;
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::group::Grouper;
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::ports::{EventStream, NewRecord, Record};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::{DEFAULT_CONFIG, load};

const SHARDS: u16 = 2;

/// Bytes that the grouper is given at a time, as the local driver does.
const BATCH_BYTES: usize = 1 << 20;

/// When the load's stream time begins, seconds since 1970: a whole hour.
const BEGUN_SECONDS: i64 = 1_790_002_800;

/// Seconds of stream time over which the load is spread.
const STREAM_SECONDS: i64 = 60;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| arguments.iter().position(|word| word == name).and_then(|at| arguments.get(at + 1).cloned());
    let config = value("--config").map_or_else(|| DEFAULT_CONFIG.to_owned(), |path| std::fs::read_to_string(path).unwrap());
    let bodies = bodies(Path::new(arguments.first().unwrap()));
    let is_steady = arguments.iter().any(|word| word == "--steady");
    let folder = std::env::temp_dir().join(format!("spanlake-stages-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(stages(&bodies, &config, &folder, is_steady));
    std::fs::remove_dir_all(&folder).unwrap();
}

fn bodies(folder: &Path) -> Vec<Bytes> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| Bytes::from(std::fs::read(path).unwrap())).collect()
}

async fn stages(bodies: &[Bytes], config: &str, folder: &Path, is_steady: bool) {
    let mut options = LogOptions::new(SHARDS, Floor::default(), 1_790_000_000_000_000_000);
    options.limits = None;
    let log = Arc::new(SegmentLog::open(RealDisk, folder.join("stream"), options.clone()).unwrap());
    let spans = ingest(bodies, &log, if is_steady { 1 } else { 4 }).await;
    if !is_steady {
        let other = SegmentLog::open(RealDisk, folder.join("prost"), options).unwrap();
        prost(bodies, &other, spans).await;
    }

    let rules = Arc::new(load(config, &|_| None).rules.unwrap());
    let store = Arc::new(DiskStore::open(RealDisk, folder.join("store")).unwrap());
    let meter = Meter::start();
    for (number, shard) in log.shards().into_iter().enumerate() {
        let records = spread(&log, number);
        let compile = Arc::new(|text: &str| load(text, &|_| None).rules.map(Arc::new).ok_or_else(String::new));
        let settings = GroupSettings::default();
        let stream = Arc::clone(&log);
        let mut grouper = Grouper::new(Arc::clone(&store), stream, shard, settings, Arc::clone(&rules), compile);
        for batch in batches(&records) {
            let handled = grouper.handle(batch).await.unwrap();
            assert!(handled.close_error.is_none(), "{:?}", handled.close_error);
        }
    }
    meter.print("group", spans);
    let meter = Meter::start();
    let archived = Archiver::new(store, 64 << 20).run().await.unwrap();
    meter.print("archive (of all spans, kept or not)", spans);
    println!("{} files, {} bytes", archived.files, archived.bytes);
}

/// What the front does with a request, once it is in memory: so many at a time.
async fn ingest(bodies: &[Bytes], log: &Arc<SegmentLog<RealDisk>>, clients_max: usize) -> u64 {
    let ingest = Arc::new(Ingest::new(Arc::clone(log), SystemClock, IngestSettings::default()));
    let meter = Meter::start();
    let mut clients = tokio::task::JoinSet::new();
    for first in 0..clients_max {
        let mine: Vec<Bytes> = bodies.iter().skip(first).step_by(clients_max).cloned().collect();
        let ingest = Arc::clone(&ingest);
        clients.spawn(async move {
            for body in mine {
                let head = Request::post("/v1/traces").header("content-type", "application/x-protobuf");
                let answer = ingest.handle(head.header("content-encoding", "gzip").body(body).unwrap()).await;
                assert_eq!(answer.status(), 200);
            }
        });
    }
    clients.join_all().await;
    let spans = ingest.counts().accepted.iter().sum();
    meter.print("ingest", spans);
    spans
}

/// The same, as one would write it with the published types: inflate, decode, group by shard, encode, compress, append.
async fn prost(bodies: &[Bytes], log: &SegmentLog<RealDisk>, spans: u64) {
    let meter = Meter::start();
    for body in bodies {
        let mut raw = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(body.as_ref()), &mut raw).unwrap();
        let request = ExportTraceServiceRequest::decode(raw.as_slice()).unwrap();
        let mut records = Vec::new();
        for (shard, request) in regroup(request) {
            let first = u32::from(shard) * u32::from(spanlake_model::BUCKETS) / u32::from(SHARDS);
            let bucket = Bucket::new(u16::try_from(first).unwrap()).unwrap();
            let bytes = zstd::bulk::compress(&request.encode_to_vec(), 1).unwrap().into();
            records.push(NewRecord { bucket, bytes });
        }
        assert!(log.append(records).await.iter().all(Result::is_ok));
    }
    meter.print("ingest with prost", spans);
}

fn regroup(request: ExportTraceServiceRequest) -> BTreeMap<u16, ExportTraceServiceRequest> {
    let mut requests: BTreeMap<u16, ExportTraceServiceRequest> = BTreeMap::new();
    for group in request.resource_spans {
        let ResourceSpans { resource, scope_spans, schema_url } = group;
        for ScopeSpans { scope, spans, schema_url: scope_url } in scope_spans {
            let mut of_shard: BTreeMap<u16, Vec<_>> = BTreeMap::new();
            for span in spans {
                let shard = span.trace_id.first().map_or(0, |byte| u16::from(*byte)) * SHARDS / 256;
                of_shard.entry(shard).or_default().push(span);
            }
            for (shard, spans) in of_shard {
                let scope_spans = vec![ScopeSpans { scope: scope.clone(), spans, schema_url: scope_url.clone() }];
                let group = ResourceSpans { resource: resource.clone(), scope_spans, schema_url: schema_url.clone() };
                requests.entry(shard).or_default().resource_spans.push(group);
            }
        }
    }
    requests
}

/// A shard's records as if they had come over a minute, and a heartbeat long after them.
fn spread(log: &SegmentLog<RealDisk>, shard: usize) -> Vec<Record> {
    let mut records = log.read_blocking(shard, 0, usize::MAX, usize::MAX).unwrap();
    let begun = BEGUN_SECONDS * 1_000_000_000;
    let step = STREAM_SECONDS * 1_000_000_000 / i64::try_from(records.len()).unwrap();
    let mut now = begun;
    for record in &mut records {
        record.arrival_nanos = now;
        now += step;
    }
    let sequence = records.last().unwrap().sequence + 1;
    records.push(Record { sequence, arrival_nanos: now + 60_000_000_000, bytes: heartbeat("").into() });
    records
}

fn batches(records: &[Record]) -> Vec<&[Record]> {
    let (mut batches, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (at, record) in records.iter().enumerate() {
        bytes += record.bytes.len();
        if bytes >= BATCH_BYTES || at + 1 == records.len() {
            batches.push(records.get(from..=at).unwrap());
            (from, bytes) = (at + 1, 0);
        }
    }
    batches
}

/// CPU and wall time from a moment on.
struct Meter {
    wall: Instant,
    ticks: u64,
}

impl Meter {
    fn start() -> Self {
        Self { wall: Instant::now(), ticks: ticks() }
    }

    fn print(&self, stage: &str, spans: u64) {
        let (milliseconds, wall) = ((ticks() - self.ticks) * 10, self.wall.elapsed().as_millis());
        let nanos = milliseconds * 1_000_000 / spans.max(1);
        let per_second = spans * 1_000 / milliseconds.max(1);
        println!(
            "{stage}: {spans} spans, {nanos} ns/span of CPU, {per_second} spans/CPU-s, CPU {milliseconds} ms, wall {wall} ms"
        );
    }
}

/// User and system time of this process, hundredths of a second.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields.get(11..13).unwrap().iter().map(|field| field.parse::<u64>().unwrap()).sum()
}
