//! Power cuts in the middle of writes, on the disk that forgets: what is left of half-written files holds no secret, but
//! in the stream's own folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Request;
use spanlake_local::{Disk, DiskFile, DiskStore, Faults, Floor, LogOptions, ModelDisk, SegmentLog, SystemClock};
use spanlake_model::{NANOS_PER_SECOND, Sequence, TraceId};
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::group::Grouper;
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::inspect::overview;
use spanlake_pipeline::ports::{EventStream, NewRecord};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_testkit::trace_request;

use super::scan::{self, Seen};
use super::{SEED, paths};
use crate::drive::rules;

const WALL_NANOS: i64 = 1_790_000_000 * NANOS_PER_SECOND;

/// Every file below a folder.
fn files(disk: &ModelDisk, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in disk.list(folder).unwrap_or_default() {
        let path = folder.join(&entry.name);
        if entry.folder { found.extend(files(disk, &path)) } else { found.push(path) }
    }
    found
}

/// Looks into every file outside the stream's folder; returns how many secrets lie in that one.
fn search(disk: &ModelDisk, seen: &mut Seen) -> usize {
    let mut raw = 0;
    for path in files(disk, Path::new("/data")) {
        let file = disk.open(&path).unwrap();
        let bytes = file.read_at(0, usize::try_from(file.len_bytes().unwrap()).unwrap()).unwrap();
        let name = path.display().to_string();
        // Half of a Parquet file is no Parquet file: it is looked at as it lies there.
        let whole = name.ends_with(".parquet") && bytes.ends_with(b"PAR1");
        let key = if whole { name.clone() } else { name.replace(".parquet", ".half") };
        let found = scan::object(&key, &bytes.into(), seen);
        if path.starts_with("/data/stream") {
            raw += usize::from(found.is_some());
        } else {
            assert_eq!(found, None);
        }
    }
    raw
}

/// Sends, groups and archives on this disk until it is done or the power goes.
async fn life(disk: &ModelDisk, seconds: u64, serial: &mut u32) -> Option<()> {
    let rules = Arc::new(rules(SEED).unwrap());
    let store = Arc::new(DiskStore::open(disk.clone(), PathBuf::from("/data")).ok()?);
    let known = overview(store.as_ref()).await.ok()?;
    let sequence = known.manifests.iter().map(|manifest| manifest.watermark).max().and_then(Sequence::to_u64).unwrap_or_default();
    let arrival_nanos = known.manifests.iter().map(|manifest| manifest.clock).max().unwrap_or_default();
    let wall = WALL_NANOS + i64::try_from(seconds).unwrap() * NANOS_PER_SECOND;
    let mut options = LogOptions::new(1, Floor { sequence, arrival_nanos }, wall);
    options.limits = None;
    let log = Arc::new(SegmentLog::open(disk.clone(), PathBuf::from("/data/stream"), options).ok()?);
    let ingest = Ingest::new(Arc::clone(&log), SystemClock, IngestSettings::default());
    let trace = TraceId([u8::try_from(seconds % 200).unwrap() + 1; 16]);
    let body = trace_request("shop", &[paths::span(trace, seconds + 1, serial)]);
    let request = Request::post("/v1/traces").header("content-type", "application/x-protobuf").body(body.into()).unwrap();
    drop(ingest.handle(request).await);
    let shard = log.shards().remove(0);
    let bucket = spanlake_model::Bucket::new(shard.range.first).unwrap();
    drop(log.append(vec![NewRecord { bucket, bytes: heartbeat("").into() }]).await);
    let compile = Arc::new(|text: &str| crate::drive::rules(text).map(Arc::new));
    let mut grouper = Grouper::new(Arc::clone(&store), Arc::clone(&log), shard, GroupSettings::default(), rules, compile);
    let watermark = grouper.manifest().await.ok()?.watermark;
    let records = log.read_blocking(0, watermark, 1_000, 1 << 20).ok()?;
    let handled = grouper.handle(&records).await.ok()?;
    Archiver::new(store, 1 << 20).run().await.ok()?;
    log.trim(&[handled.watermark]).ok()?;
    Some(())
}

#[test]
fn no_secret_is_left_outside_the_stream_by_a_power_cut_at_any_moment() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (mut seen, mut raw, mut cuts, mut serial) = (Seen::default(), 0, 0, 0);
    for seed in 0..2 {
        let mut disk = ModelDisk::new();
        let mut seconds = 0;
        // A cut each few changes, until lives come to their end.
        for after in (1..).step_by(3) {
            disk.set_faults(Faults { power_off_after: Some(after + seed), ..Faults::default() });
            let ended = runtime.block_on(life(&disk, seconds, &mut serial)).is_some();
            seconds += 25;
            disk = disk.crash(seed ^ after);
            raw += search(&disk, &mut seen);
            cuts += 1;
            if ended && seen.rows > 0 && after > 60 {
                break;
            }
        }
    }
    assert!(raw > 0 && cuts > 30 && seen.frames > 0 && seen.pages > 0 && seen.rows > 0, "{raw} {cuts} {seen:?}");
}
