//! The files of a day, as a process of that day would have left them.

use std::path::Path;
use std::sync::Arc;

use spanlake_local::{DiskStore, RealDisk, SegmentLog};
use spanlake_model::Sequence;
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::group::Grouper;
use spanlake_pipeline::ports::{EventStream, Record};
use spanlake_pipeline::settings::GroupSettings;
use tokio::task::JoinSet;

use crate::pipeline::{self, BEGUN_NANOS, FILE_BYTES_MAX};
use crate::{bodies, open_log};

/// One each two minutes.
const PLANS: usize = 720;

/// Stream time of a plan, nanoseconds.
const PLAN_NANOS: i64 = 120_000_000_000;

/// A shard's grouper, and how far it has read.
struct Reader {
    shard: usize,
    taken: Sequence,
    grouper: Grouper<DiskStore<RealDisk>, SegmentLog<RealDisk>>,
}

/// Takes the requests of `input` in as if they had come over a day, and files them in a data folder under `out`.
pub(crate) async fn make(input: &Path, out: &Path, config: &str) {
    let paths = bodies::paths(input);
    let log = open_log(&out.join("made/stream"));
    let store = Arc::new(DiskStore::open(RealDisk, out.to_path_buf()).unwrap());
    // Windows as long as a plan: what is filed is the same, and a day is made in minutes.
    let settings = GroupSettings { window_nanos: PLAN_NANOS, ..GroupSettings::default() };
    let reader = |(shard, of)| Reader {
        shard,
        taken: Sequence::ZERO,
        grouper: pipeline::grouper(&log, &store, of, config, settings.clone()),
    };
    let mut readers: Vec<Reader> = log.shards().into_iter().enumerate().map(reader).collect();
    let mut archiver = Archiver::new(Arc::clone(&store), FILE_BYTES_MAX);
    let (mut files, mut bytes) = (0, 0);
    for plan in 0..PLANS {
        let of_plan = paths.len() * plan / PLANS..paths.len() * (plan + 1) / PLANS;
        let requests: Vec<_> = paths.get(of_plan).unwrap().iter().map(|path| bodies::one(path)).collect();
        pipeline::send(&requests, &log, 4).await;
        let begun = BEGUN_NANOS + PLAN_NANOS * i64::try_from(plan).unwrap();
        let mut tasks = JoinSet::new();
        for reader in readers.drain(..) {
            tasks.spawn(read(reader, Arc::clone(&log), begun, plan + 1 == PLANS));
        }
        readers = tasks.join_all().await;
        let done = archiver.run().await.unwrap();
        (files, bytes) = (files + done.files, bytes + done.bytes);
    }
    println!("{PLANS} plans, {files} files, {bytes} bytes");
}

/// Groups what has come on a shard since. The last time a heartbeat closes all windows.
async fn read(mut reader: Reader, log: Arc<SegmentLog<RealDisk>>, begun: i64, is_last: bool) -> Reader {
    let mut records = log.read_blocking(reader.shard, reader.taken, usize::MAX, usize::MAX).unwrap();
    pipeline::stamp(&mut records, begun, PLAN_NANOS);
    reader.taken = records.last().map_or(reader.taken, |record| record.sequence);
    if is_last {
        let arrival_nanos = begun + 3 * PLAN_NANOS;
        records.push(Record { sequence: reader.taken.wrapping_add(1.into()), arrival_nanos, bytes: heartbeat("").into() });
    }
    pipeline::take(&mut reader.grouper, records).await;
    reader
}
