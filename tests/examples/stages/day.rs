//! The files of a day, as a process of that day would have left them.

use std::path::Path;
use std::sync::Arc;

use spanlake_local::{DiskStore, RealDisk};
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::ports::EventStream;

use crate::pipeline::{self, BEGUN_NANOS, FILE_BYTES_MAX};
use crate::{bodies, open_log};

/// One each two minutes.
const PLANS: usize = 720;

/// Stream time of a plan, nanoseconds.
const PLAN_NANOS: i64 = 120_000_000_000;

/// Takes the requests of `input` in as if they had come over a day, and files them in a data folder under `out`.
pub(crate) async fn make(input: &Path, out: &Path, config: &str) {
    let paths = bodies::paths(input);
    let log = open_log(&out.join("made/stream"));
    let store = Arc::new(DiskStore::open(RealDisk, out.to_path_buf()).unwrap());
    let mut groupers: Vec<_> =
        log.shards().into_iter().map(|shard| (0, pipeline::grouper(&log, &store, shard, config))).collect();
    let mut archiver = Archiver::new(Arc::clone(&store), FILE_BYTES_MAX);
    let (mut files, mut bytes) = (0, 0);
    for plan in 0..PLANS {
        let of_plan = paths.len() * plan / PLANS..paths.len() * (plan + 1) / PLANS;
        let requests: Vec<_> = paths.get(of_plan).unwrap().iter().map(|path| bodies::one(path)).collect();
        pipeline::send(&requests, &log, 4).await;
        let begun = BEGUN_NANOS + PLAN_NANOS * i64::try_from(plan).unwrap();
        for (shard, (taken, grouper)) in groupers.iter_mut().enumerate() {
            let mut records = log.read_blocking(shard, *taken, usize::MAX, usize::MAX).unwrap();
            pipeline::stamp(&mut records, begun, PLAN_NANOS);
            *taken = records.last().map_or(*taken, |record| record.sequence);
            pipeline::take(grouper, records).await;
        }
        let archived = archiver.run().await.unwrap();
        (files, bytes) = (files + archived.files, bytes + archived.bytes);
    }
    println!("{PLANS} plans, {files} files, {bytes} bytes");
}
