//! The files of a day or of some other stretch of time, as a process of that time would have left them.

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

use crate::pipeline::{self, FILE_BYTES_MAX};
use crate::{bodies, open_log};

/// The time that is played, all of it the stream's.
pub(crate) struct Stretch {
    pub(crate) plans: usize,
    pub(crate) plan_nanos: i64,
    /// Windows as long as a plan file the same rows of spans, and a day is made in minutes.
    pub(crate) window_nanos: i64,
    pub(crate) begun_nanos: i64,
}

/// A shard's grouper, and how far it has read.
struct Reader {
    shard: usize,
    taken: Sequence,
    grouper: Grouper<DiskStore<RealDisk>, SegmentLog<RealDisk>>,
}

/// Takes the requests of `input` in as if they had come over that time, and files them in a data folder under `out`.
pub(crate) async fn make(input: &Path, out: &Path, config: &str, stretch: &Stretch) {
    let &Stretch { plans, plan_nanos, window_nanos, begun_nanos } = stretch;
    let paths = bodies::paths(input);
    let log = open_log(&out.join("made/stream"));
    let store = Arc::new(DiskStore::open(RealDisk, out.to_path_buf()).unwrap());
    let settings = GroupSettings { window_nanos, ..GroupSettings::default() };
    let reader = |(shard, of)| Reader {
        shard,
        taken: Sequence::ZERO,
        grouper: pipeline::grouper(&log, &store, of, config, settings.clone()),
    };
    let mut readers: Vec<Reader> = log.shards().into_iter().enumerate().map(reader).collect();
    let mut archiver = Archiver::new(Arc::clone(&store), FILE_BYTES_MAX);
    let (mut files, mut bytes) = (0, 0);
    for plan in 0..plans {
        let of_plan = paths.len() * plan / plans..paths.len() * (plan + 1) / plans;
        let requests: Vec<_> = paths.get(of_plan).unwrap().iter().map(|path| bodies::one(path)).collect();
        pipeline::send(&requests, &log, 4).await;
        let begun = begun_nanos + plan_nanos * i64::try_from(plan).unwrap();
        let is_last = plan + 1 == plans;
        let mut tasks = JoinSet::new();
        for reader in readers.drain(..) {
            tasks.spawn(read(reader, Arc::clone(&log), begun, plan_nanos, is_last));
        }
        readers = tasks.join_all().await;
        let done = archiver.run().await.unwrap();
        (files, bytes) = (files + done.files, bytes + done.bytes);
    }
    println!("{plans} plans, {files} files, {bytes} bytes");
}

/// Groups what has come on a shard since. The last time a heartbeat closes all windows.
async fn read(mut reader: Reader, log: Arc<SegmentLog<RealDisk>>, begun: i64, plan_nanos: i64, is_last: bool) -> Reader {
    let mut records = log.read_blocking(reader.shard, reader.taken, usize::MAX, usize::MAX).unwrap();
    pipeline::stamp(&mut records, begun, plan_nanos);
    reader.taken = records.last().map_or(reader.taken, |record| record.sequence);
    if is_last {
        let arrival_nanos = begun + 3 * plan_nanos;
        records.push(Record { sequence: reader.taken.wrapping_add(1.into()), arrival_nanos, bytes: heartbeat("").into() });
    }
    pipeline::take(&mut reader.grouper, records).await;
    reader
}
