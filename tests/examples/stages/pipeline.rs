//! The stages, driven as the local process does.

use std::sync::Arc;

use http::Request;
use spanlake_local::{DiskStore, RealDisk, SegmentLog, SystemClock};
use spanlake_model::Sequence;
use spanlake_pipeline::archive::{Archived, Archiver};
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::group::Grouper;
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::ports::{EventStream, Record, Shard};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::load;

use crate::bodies::Body;
use crate::meter::Meter;

/// Bytes that the grouper is given at a time.
const BATCH_BYTES: usize = 1 << 20;

/// When the load's stream time begins, nanoseconds since 1970: a whole hour.
pub(crate) const BEGUN_NANOS: i64 = 1_790_002_800_000_000_000;

/// Stream time over which the load is spread, nanoseconds.
const SPREAD_NANOS: i64 = 60_000_000_000;

/// Raw bytes of a lake file in the making.
pub(crate) const FILE_BYTES_MAX: u64 = 64 << 20;

type Log = Arc<SegmentLog<RealDisk>>;
type Store = Arc<DiskStore<RealDisk>>;

/// Measures what the front does with a request, once it is in memory.
pub(crate) async fn ingest(bodies: &[Body], log: &Log, clients_max: usize) -> u64 {
    let meter = Meter::start();
    let spans = send(bodies, log, clients_max).await;
    meter.print("ingest", spans);
    spans
}

/// Sends requests, so many at a time; answers how many spans were accepted.
pub(crate) async fn send(bodies: &[Body], log: &Log, clients_max: usize) -> u64 {
    let ingest = Arc::new(Ingest::new(Arc::clone(log), SystemClock, IngestSettings::default()));
    let mut clients = tokio::task::JoinSet::new();
    for first in 0..clients_max {
        let mine: Vec<Body> = bodies.iter().skip(first).step_by(clients_max).cloned().collect();
        let ingest = Arc::clone(&ingest);
        clients.spawn(async move {
            for body in mine {
                let head = Request::post("/v1/traces").header("content-type", body.content_type);
                let answer = ingest.handle(head.header("content-encoding", body.coding).body(body.bytes).unwrap()).await;
                assert_eq!(answer.status(), 200);
            }
        });
    }
    clients.join_all().await;
    ingest.counts().accepted.iter().sum()
}

/// A grouper of a shard.
pub(crate) fn grouper(
    log: &Log,
    store: &Store,
    shard: Shard,
    config: &str,
    settings: GroupSettings,
) -> Grouper<DiskStore<RealDisk>, SegmentLog<RealDisk>> {
    let rules = Arc::new(load(config, &|_| None).rules.unwrap());
    let compile = Arc::new(|text: &str| load(text, &|_| None).rules.map(Arc::new).ok_or_else(String::new));
    Grouper::new(Arc::clone(store), Arc::clone(log), shard, settings, rules, compile)
}

/// Groups what is on the log as if it had come over a minute, and closes every window.
pub(crate) async fn group(log: &Log, store: &Store, config: &str) {
    for (number, shard) in log.shards().into_iter().enumerate() {
        let records = log.read_blocking(number, Sequence::ZERO, usize::MAX, usize::MAX).unwrap();
        take(&mut grouper(log, store, shard, config, GroupSettings::default()), spread(records, BEGUN_NANOS, SPREAD_NANOS)).await;
    }
}

/// Gives records to a grouper.
pub(crate) async fn take(grouper: &mut Grouper<DiskStore<RealDisk>, SegmentLog<RealDisk>>, records: Vec<Record>) {
    for batch in batches(&records) {
        let handled = grouper.handle(batch).await.unwrap();
        assert!(handled.close_error.is_none(), "{:?}", handled.close_error);
    }
}

pub(crate) async fn archive(store: Store) -> Archived {
    Archiver::new(store, FILE_BYTES_MAX).run().await.unwrap()
}

/// Records as if they had come from `begun` on, evenly, and a heartbeat long after them.
fn spread(mut records: Vec<Record>, begun: i64, nanos: i64) -> Vec<Record> {
    let sequence = records.last().unwrap().sequence.wrapping_add(1.into());
    stamp(&mut records, begun, nanos);
    records.push(Record { sequence, arrival_nanos: begun + nanos + 60_000_000_000, bytes: heartbeat("").into() });
    records
}

/// Makes records arrive from `begun` on, evenly.
pub(crate) fn stamp(records: &mut [Record], begun: i64, nanos: i64) {
    let step = nanos / i64::try_from(records.len().max(1)).unwrap();
    let mut now = begun;
    for record in records {
        record.arrival_nanos = now;
        now += step;
    }
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
