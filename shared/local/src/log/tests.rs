mod contract;
mod queue;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use proptest::prelude::{any, proptest};

use super::*;
use crate::disk::{Faults, ModelDisk, RealDisk};

const FOLDER: &str = "/data/stream";

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Ticks that a test turns by hand, in milliseconds.
fn hand_ticks() -> (Arc<AtomicU64>, Ticks) {
    let now_ms = Arc::new(AtomicU64::new(0));
    let shown = Arc::clone(&now_ms);
    (now_ms, Arc::new(move || Duration::from_millis(shown.load(Ordering::Relaxed))))
}

fn options(shards: u16) -> LogOptions {
    let (_, ticks) = hand_ticks();
    LogOptions { ticks, limits: None, ..LogOptions::new(shards, Floor::default(), 1000) }
}

fn open(disk: &ModelDisk, options: LogOptions) -> SegmentLog<ModelDisk> {
    SegmentLog::open(disk.clone(), PathBuf::from(FOLDER), options).unwrap()
}

/// A bucket of a shard.
fn of<D: Disk>(log: &SegmentLog<D>, shard: usize) -> Bucket {
    Bucket::new(log.shards()[shard].range.first).unwrap()
}

fn append(log: &SegmentLog<ModelDisk>, shard: usize, bytes: &str) -> Result<(), AppendError> {
    let records = vec![NewRecord { bucket: of(log, shard), bytes: Bytes::copy_from_slice(bytes.as_bytes()) }];
    wait_for(log.append(records)).remove(0)
}

fn texts(log: &SegmentLog<ModelDisk>, shard: usize) -> Vec<String> {
    let records = log.read_blocking(shard, 0.into(), usize::MAX, usize::MAX).unwrap();
    records.into_iter().map(|record| String::from_utf8(record.bytes.to_vec()).unwrap()).collect()
}

fn segment_files(disk: &ModelDisk) -> Vec<PathBuf> {
    let segments = folder::segments(disk, Path::new(FOLDER)).unwrap();
    segments.into_iter().map(|first| folder::segment_path(Path::new(FOLDER), first)).collect()
}

#[test]
fn records_come_back_by_shard_in_order() {
    let disk = ModelDisk::new();
    let log = open(&disk, options(3));
    for (shard, bytes) in [(0, "a"), (2, "b"), (0, "c"), (0, ""), (2, "d")] {
        append(&log, shard, bytes).unwrap();
    }
    let check = |log: &SegmentLog<ModelDisk>| {
        assert_eq!(texts(log, 0), ["a", "c", ""]);
        assert_eq!(texts(log, 1), [""; 0]);
        assert_eq!(texts(log, 2), ["b", "d"]);
        assert_eq!(texts(log, 9), [""; 0]);
    };
    check(&log);
    let first = log.read_blocking(0, 0.into(), 1, usize::MAX).unwrap();
    assert_eq!((first.len(), first[0].sequence), (1, 1.into()));
    assert_eq!(log.read_blocking(0, first[0].sequence, 9, 1).unwrap().len(), 2, "an empty record fits");
    assert_eq!(log.read_blocking(2, 0.into(), 9, 0).unwrap().len(), 1, "there is always progress");
    assert_eq!(log.lag(0, 1.into()), Lag { records: 2, bytes: 1, oldest_age_nanos: 0 });
    drop(log);
    check(&open(&disk, options(3)));
}

#[test]
fn the_real_disk_keeps_records_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = || LogOptions::new(2, Floor::default(), 0);
    let log = SegmentLog::open(RealDisk, folder.path().join("stream"), options()).unwrap();
    let record = NewRecord { bucket: of(&log, 1), bytes: Bytes::from(vec![7; RECORD_BYTES_MAX]) };
    assert_eq!(wait_for(log.append(vec![record])), [Ok(())]);
    drop(log);
    let log = SegmentLog::open(RealDisk, folder.path().join("stream"), options()).unwrap();
    assert_eq!(log.read_blocking(1, 0.into(), 9, 9).unwrap()[0].bytes, vec![7; RECORD_BYTES_MAX]);
    assert_eq!(log.report(), LogReport::default());
    assert!(log.trim(&[0.into(), 1.into()]).unwrap() > 1 << 20);
}

#[test]
fn many_requests_share_one_fsync() {
    let disk = ModelDisk::new();
    let log = open(&disk, options(1));
    let before = disk.changes();
    let mut calls: Vec<_> = (0..50)
        .map(|number: u32| Box::pin(log.append(vec![NewRecord { bucket: of(&log, 0), bytes: Bytes::from(number.to_string()) }])))
        .collect();
    {
        let _held = log.shared.writer();
        let mut context = Context::from_waker(Waker::noop());
        assert!(calls.iter_mut().all(|call| call.as_mut().poll(&mut context) == Poll::Pending));
        assert_eq!(texts(&log, 0), [""; 0], "nothing is seen before it is durable");
    }
    for call in calls {
        assert_eq!(wait_for(call), [Ok(())]);
    }
    // A file and its name, then at most two batches: the one that the writer held already, and all the others.
    assert!(disk.changes() - before <= 2 + 2 * 2, "{}", disk.changes() - before);
    assert_eq!(texts(&log, 0).len(), 50);
}

/// What the power cut must not take: by shard, sequence numbers and bytes of what was answered.
#[derive(Default)]
struct Sure {
    texts: Vec<(usize, String)>,
    trimmed: u64,
}

/// Appends, trims and rolls segments until the power goes.
fn work(disk: &ModelDisk, sizes: &[u8]) -> Sure {
    let mut sure = Sure::default();
    let small = LogOptions { segment_bytes: 150, ..options(2) };
    let Ok(log) = SegmentLog::open(disk.clone(), PathBuf::from(FOLDER), small) else { return sure };
    for (number, size) in sizes.iter().enumerate() {
        let text = format!("{number}:{}", "x".repeat((*size).into()));
        let shard = usize::from(*size) % 2;
        if append(&log, shard, &text).is_ok() {
            sure.texts.push((shard, text));
        }
        if size % 7 == 0 {
            let consumed = log
                .read_blocking(0, 0.into(), 2, usize::MAX)
                .ok()
                .and_then(|records| records.last().and_then(|last| last.sequence.to_u64()));
            sure.trimmed = sure.trimmed.max(consumed.unwrap_or(0));
            drop(log.trim(&[sure.trimmed.into(), sure.trimmed.into()]));
        }
    }
    sure
}

/// Every answered record above the watermark is there, once and in order, whatever else is.
fn check_survivors(sure: &Sure, log: &SegmentLog<ModelDisk>) {
    let mut found = BTreeMap::new();
    let (mut sequence_max, mut arrival_max) = (sure.trimmed, 0);
    for shard in 0..2 {
        let records = log.read_blocking(shard, 0.into(), usize::MAX, usize::MAX).unwrap();
        assert!(records.is_sorted_by(|one, next| one.sequence < next.sequence && one.arrival_nanos <= next.arrival_nanos));
        for record in records {
            sequence_max = sequence_max.max(record.sequence.to_u64().unwrap());
            arrival_max = arrival_max.max(record.arrival_nanos);
            let text = String::from_utf8(record.bytes.to_vec()).unwrap();
            assert_eq!(found.insert(text, (shard, record.sequence)), None, "twice");
        }
    }
    for (number, (shard, text)) in sure.texts.iter().enumerate() {
        // Without a fault the n-th record has the n-th sequence number.
        let consumed = (number as u64) < sure.trimmed;
        assert!(consumed || found.get(text).is_some_and(|place| place.0 == *shard), "lost {text}");
    }
    assert_eq!(log.report().damaged, 0);
    append(log, 1, "next").unwrap();
    let next = log.read_blocking(1, sequence_max.into(), 9, usize::MAX).unwrap();
    assert_eq!(next.len(), 1, "a new sequence number lies above all that were seen");
    assert!(next[0].arrival_nanos >= arrival_max);
}

fn survives(sizes: &[u8], point: u64, seed: u64) {
    let disk = ModelDisk::new();
    disk.set_faults(Faults { power_off_after: Some(point), ..Faults::default() });
    let sure = work(&disk, sizes);
    let floor = Floor { sequence: sure.trimmed, arrival_nanos: 0 };
    let disk = disk.crash(seed);
    check_survivors(&sure, &open(&disk, LogOptions { floor, ..options(2) }));
    // Again, from what the first start left: a second power cut takes nothing that was there.
    let disk = disk.crash(seed ^ 1);
    let log = open(&disk, LogOptions { floor, ..options(2) });
    assert_eq!(texts(&log, 1).last().map(String::as_str), Some("next"));
}

#[test]
fn an_answered_record_survives_a_power_cut_at_any_moment() {
    let sizes = [3, 40, 8, 7, 100, 21, 60, 5, 14];
    let disk = ModelDisk::new();
    assert_eq!(work(&disk, &sizes).texts.len(), sizes.len());
    for point in 0..=disk.changes() {
        for seed in 0..12 {
            survives(&sizes, point, seed);
        }
    }
}

proptest! {
    #[test]
    fn any_run_survives_any_power_cut(sizes in proptest::collection::vec(0_u8..120, 1..20), point in 0_u64..70, seed in any::<u64>()) {
        survives(&sizes, point, seed);
    }

    #[test]
    fn any_flipped_byte_costs_one_record_and_shows(at in 0.0..1.0_f64, middle in 1_usize..4) {
        let disk = ModelDisk::new();
        let log = open(&disk, LogOptions { segment_bytes: 1, ..options(2) });
        for round in 0..5 {
            let records = (0..3).map(|n| NewRecord { bucket: of(&log, n % 2), bytes: Bytes::from(format!("{round}.{n}")) }).collect();
            assert_eq!(wait_for(log.append(records)), [Ok(()), Ok(()), Ok(())]);
        }
        drop(log);
        let path = segment_files(&disk)[middle].clone();
        let bytes = disk.stat(&path).unwrap().unwrap().bytes;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a small file")]
        let place = (at * bytes as f64) as usize;
        assert!(disk.flip(&path, place));
        let log = open(&disk, options(2));
        let report = log.report();
        assert_eq!((report.damaged, report.torn_bytes), (1, 0));
        assert_eq!(report.damages[0].file, path);
        let all = [texts(&log, 0), texts(&log, 1)].concat();
        assert_eq!(all.len(), 15);
        assert_eq!(all.iter().filter(|text| text.is_empty()).count(), 1);
        append(&log, 0, "goes on").unwrap();
    }
}

#[test]
fn a_record_that_rots_while_the_log_is_open_shows_when_it_is_read() {
    let disk = ModelDisk::new();
    let log = open(&disk, options(1));
    for text in ["one", "two", "three"] {
        append(&log, 0, text).unwrap();
    }
    let second = 2 * HEADER_BYTES + 3;
    assert!(disk.flip(&segment_files(&disk)[0], second));
    for _ in 0..2 {
        assert_eq!(texts(&log, 0), ["one", "", "three"]);
    }
    let report = log.report();
    assert_eq!((report.damaged, report.damages[0].sequence, report.damages[0].shard), (1, Some(2), Some(0)));
}

#[test]
fn a_torn_tail_of_the_newest_segment_is_cut_and_counted() {
    let disk = ModelDisk::new();
    let log = open(&disk, options(1));
    append(&log, 0, "whole").unwrap();
    drop(log);
    let path = segment_files(&disk)[0].clone();
    disk.open(&path).unwrap().append(b"half of an entry").unwrap();
    let log = open(&disk, options(1));
    assert_eq!((log.report().torn_bytes, log.report().damaged), (16, 0));
    assert_eq!(texts(&log, 0), ["whole"]);
    drop(log);
    assert_eq!(open(&disk, options(1)).report(), LogReport::default());
}

#[test]
fn what_a_killed_process_left_is_durable_before_it_is_read() {
    let disk = ModelDisk::new();
    let log = open(&disk, options(1));
    append(&log, 0, "one").unwrap();
    let mut entry = Vec::new();
    let header = Header { record_bytes: 3, shard: 0, sequence: 2, arrival_nanos: 9, record_crc: crc32fast::hash(b"two") };
    header.encode(log.shared.marker, &mut entry);
    drop(log);
    entry.extend(b"two");
    disk.open(&segment_files(&disk)[0]).unwrap().append(&entry).unwrap();
    assert_eq!(texts(&open(&disk, options(1)), 0), ["one", "two"]);
    for seed in 0..20 {
        assert_eq!(texts(&open(&disk.crash(seed), options(1)), 0), ["one", "two"]);
    }
}

#[test]
fn an_older_segment_without_its_end_is_damaged_not_torn() {
    let disk = ModelDisk::new();
    let log = open(&disk, LogOptions { segment_bytes: 1, ..options(1) });
    for text in ["one", "two", "three"] {
        append(&log, 0, text).unwrap();
    }
    drop(log);
    let path = segment_files(&disk)[1].clone();
    disk.open(&path).unwrap().truncate(20).unwrap();
    let log = open(&disk, options(1));
    assert_eq!(texts(&log, 0), ["one", "", "three"]);
    let damage = Damage { file: path, offset: 0, bytes: 20, shard: None, sequence: Some(2) };
    assert_eq!(log.report(), LogReport { torn_bytes: 0, damaged: 1, damages: vec![damage] });
}

#[test]
fn damage_before_an_empty_segment_is_damage_after_every_start() {
    let disk = ModelDisk::new();
    let log = open(&disk, LogOptions { segment_bytes: 1, ..options(1) });
    for text in ["one", "two", "three"] {
        append(&log, 0, text).unwrap();
    }
    drop(log);
    let paths = segment_files(&disk);
    disk.open(&paths[1]).unwrap().truncate(20).unwrap();
    disk.open(&paths[2]).unwrap().truncate(0).unwrap();
    for _ in 0..2 {
        let log = open(&disk, options(1));
        assert_eq!(texts(&log, 0), ["one", ""]);
        assert_eq!((log.report().torn_bytes, log.report().damaged), (0, 1));
    }
    let log = open(&disk, options(1));
    append(&log, 0, "next").unwrap();
    assert_eq!(texts(&log, 0), ["one", "", "next"]);
    drop(log);
    assert_eq!(texts(&open(&disk, options(1)), 0), ["one", "", "next"]);
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room_again() {
    let disk = ModelDisk::new();
    let log = open(&disk, options(1));
    append(&log, 0, "one").unwrap();
    disk.set_faults(Faults { capacity_bytes: Some(150), ..Faults::default() });
    let refused = append(&log, 0, &"x".repeat(100)).unwrap_err();
    assert!(matches!(refused, AppendError::Unavailable { .. }), "{refused}");
    disk.set_faults(Faults { read_only: true, ..Faults::default() });
    append(&log, 0, "two").unwrap_err();
    disk.set_faults(Faults::default());
    append(&log, 0, "three").unwrap();
    assert_eq!(texts(&log, 0), ["one", "three"]);
    disk.set_faults(Faults { capacity_bytes: Some(0), ..Faults::default() });
    append(&log, 0, "four").unwrap_err();
    disk.set_faults(Faults::default());
    append(&log, 0, "five").unwrap();
    assert_eq!(texts(&log, 0), ["one", "three", "five"]);
    let disk = disk.crash(1);
    assert_eq!(texts(&open(&disk, options(1)), 0), ["one", "three", "five"]);
}

#[test]
fn after_a_failed_fsync_nothing_is_taken_until_a_restart() {
    let disk = ModelDisk::new();
    let log = open(&disk, options(1));
    append(&log, 0, "one").unwrap();
    disk.set_faults(Faults { failing_sync: true, ..Faults::default() });
    append(&log, 0, "two").unwrap_err();
    disk.set_faults(Faults::default());
    let refused = append(&log, 0, "three").unwrap_err().to_string();
    assert!(refused.contains("fsync failed") && refused.contains("restart"), "{refused}");
    assert_eq!(texts(&log, 0), ["one"]);
    drop(log);
    let log = open(&disk.crash(3), options(1));
    append(&log, 0, "four").unwrap();
    assert_eq!(texts(&log, 0).first().map(String::as_str), Some("one"));
}

#[test]
fn a_read_only_folder_is_not_opened() {
    let disk = ModelDisk::new();
    disk.set_faults(Faults { read_only: true, ..Faults::default() });
    let opened = SegmentLog::open(disk, PathBuf::from(FOLDER), options(1));
    assert!(matches!(opened.err(), Some(OpenError::Io { .. })));
}

#[test]
fn the_number_of_shards_is_fixed_when_the_folder_is_made() {
    let disk = ModelDisk::new();
    let ids: Vec<String> = open(&disk, options(2)).shards().into_iter().map(|shard| shard.id).collect();
    assert_eq!(ids, ["shard-000000000000", "shard-000000000001"]);
    let refused = SegmentLog::open(disk.clone(), PathBuf::from(FOLDER), options(4)).err().unwrap().to_string();
    assert!(refused.contains("says 2 shards, asked for are 4"), "{refused}");

    let description = Path::new(FOLDER).join("shards.json");
    for (text, says) in [("{\"format\":2,\"shards\":2}", "format 2"), ("{", "no JSON"), ("{\"format\":1,\"shards\":2}", "marker")]
    {
        disk.create(&description).unwrap().append(text.as_bytes()).unwrap();
        let refused = SegmentLog::open(disk.clone(), PathBuf::from(FOLDER), options(2)).err().unwrap().to_string();
        assert!(refused.contains(says), "{refused}");
    }
}

#[test]
fn numbers_and_stamps_never_go_back() {
    let disk = ModelDisk::new();
    let (now_ms, ticks) = hand_ticks();
    now_ms.store(5, Ordering::Relaxed);
    let log = open(&disk, LogOptions { ticks, ..options(1) });
    now_ms.store(7, Ordering::Relaxed);
    append(&log, 0, "one").unwrap();
    drop(log);
    let log = open(&disk, LogOptions { wall_nanos: -50, ..options(1) });
    append(&log, 0, "two").unwrap();
    drop(log);
    let floor = Floor { sequence: 77, arrival_nanos: 9_000_000 };
    let log = open(&disk, LogOptions { floor, ..options(1) });
    append(&log, 0, "three").unwrap();
    let records = log.read_blocking(0, 0.into(), 9, 99).unwrap();
    let stamps: Vec<_> = records.iter().map(|record| (record.sequence.to_u64().unwrap(), record.arrival_nanos)).collect();
    assert_eq!(stamps, [(1, 2_001_000), (2, 2_001_000), (78, 9_000_000)]);
}

#[test]
fn consumed_segments_go_and_old_ones_do_not_linger() {
    let disk = ModelDisk::new();
    let (now_ms, ticks) = hand_ticks();
    let log = open(&disk, LogOptions { ticks, segment_bytes: 100, ..options(2) });
    for (shard, text) in [(0, "a"), (1, "b"), (0, "c"), (0, "d"), (1, "e")] {
        append(&log, shard, &text.repeat(40)).unwrap();
    }
    assert_eq!(segment_files(&disk).len(), 3);
    assert_eq!(log.trim(&[3.into(), 0.into()]).unwrap(), 0, "the other shard needs the first segment");
    assert!(log.trim(&[4.into(), 2.into()]).unwrap() > 0);
    assert_eq!(segment_files(&disk).len(), 1);
    assert_eq!((texts(&log, 0).len(), texts(&log, 1).len()), (0, 1));
    assert_eq!(log.trim(&[4.into(), 5.into()]).unwrap(), 0, "still being written");
    now_ms.store(60_000, Ordering::Relaxed);
    assert!(log.trim(&[4.into(), 5.into()]).unwrap() > 0);
    assert_eq!((segment_files(&disk).len(), log.bytes()), (0, 0));
    append(&log, 0, "next").unwrap();
    assert_eq!(log.read_blocking(0, 0.into(), 9, 9).unwrap()[0].sequence, 6.into());
    assert_eq!(log.trim_all(&[5.into(), 5.into()]).unwrap(), 0, "not consumed");
    assert!(log.trim_all(&[6.into(), 5.into()]).unwrap() > 0, "a stop waits for no age");
    assert_eq!((segment_files(&disk).len(), log.bytes()), (0, 0));
}

#[test]
fn a_log_at_its_cap_is_unavailable_until_it_is_consumed() {
    let disk = ModelDisk::new();
    let log = open(&disk, LogOptions { bytes_max: 150, segment_bytes: 1, ..options(1) });
    append(&log, 0, &"x".repeat(100)).unwrap();
    let refused = append(&log, 0, &"x".repeat(100)).unwrap_err().to_string();
    assert!(refused.contains("full"), "{refused}");
    append(&log, 0, "").unwrap_err();
    let few = open(&ModelDisk::new(), LogOptions { records_max: 1, ..options(1) });
    append(&few, 0, "x").unwrap();
    append(&few, 0, "x").unwrap_err();
}

#[test]
fn a_record_that_is_no_record_does_not_cost_its_neighbours() {
    let log = open(&ModelDisk::new(), options(2));
    let record = |shard, bytes| NewRecord { bucket: of(&log, shard), bytes: Bytes::from(vec![0; bytes]) };
    let results = wait_for(log.append(vec![record(0, 1), record(1, (1 << 20) + 1), record(1, 5)]));
    assert!(matches!(&results[..], [Ok(()), Err(AppendError::Unavailable { .. }), Ok(())]));
    assert_eq!((log.lag(0, 0.into()).records, log.lag(1, 0.into()).records), (1, 1));
}

#[test]
fn of_records_of_which_one_is_throttled_none_is_taken() {
    let log = open(&ModelDisk::new(), LogOptions { limits: Some(ShardLimits::KINESIS), ..options(2) });
    let record = |shard, bytes| NewRecord { bucket: of(&log, shard), bytes: Bytes::from(vec![0; bytes]) };
    assert_eq!(wait_for(log.append(vec![record(0, 1 << 19), record(1, 1)])), [Ok(()), Ok(())]);
    let throttled = Err(AppendError::Throttled { retry_after_ms: 500 });
    let results = wait_for(log.append(vec![record(1, 5), record(0, 1 << 20), record(1, 5)]));
    assert_eq!(results, [throttled.clone(), throttled.clone(), throttled]);
    assert_eq!((log.lag(0, 0.into()).records, log.lag(1, 0.into()).records), (1, 1));
    // What was refused has used up nothing: both shards take all that is left to them.
    assert_eq!(wait_for(log.append(vec![record(0, 1 << 19), record(1, (1 << 20) - 1)])), [Ok(()), Ok(())]);
}

#[test]
fn a_reader_is_woken_by_a_record_of_its_shard() {
    let log = open(&ModelDisk::new(), options(2));
    let mut context = Context::from_waker(Waker::noop());
    let mut first = Box::pin(log.wait(0, 0.into()));
    let mut other = Box::pin(log.wait(1, 0.into()));
    let mut none = Box::pin(log.wait(7, 0.into()));
    assert!(first.as_mut().poll(&mut context).is_pending());
    append(&log, 0, "x").unwrap();
    wait_for(first);
    assert!(other.as_mut().poll(&mut context).is_pending());
    assert!(none.as_mut().poll(&mut context).is_pending());
    assert!(Box::pin(log.wait(0, 0.into())).as_mut().poll(&mut context).is_ready());
    assert!(Box::pin(log.wait(0, 1.into())).as_mut().poll(&mut context).is_pending());
}

#[test]
fn a_look_shows_what_is_there_and_changes_nothing() {
    let disk = ModelDisk::new();
    let log = open(&disk, LogOptions { segment_bytes: 100, ..options(2) });
    for (shard, text) in [(0, "a"), (1, "b"), (0, "c"), (1, "d")] {
        append(&log, shard, &text.repeat(40)).unwrap();
    }
    // A last write that was cut short: the process that opens the log cuts it off, a reader passes over it.
    let last = segment_files(&disk).pop().unwrap();
    disk.open(&last).unwrap().append(b"torn").unwrap();
    let before = disk.changes();
    let seen = |from: u64| {
        let mut seen = Vec::new();
        look(&disk, Path::new(FOLDER), from.into(), |record| {
            seen.push((record.shard, record.sequence.to_u64().unwrap(), record.bytes[0]));
        })
        .unwrap();
        seen
    };
    assert_eq!(seen(0), [(0, 1, b'a'), (1, 2, b'b'), (0, 3, b'c'), (1, 4, b'd')]);
    assert_eq!(seen(2), seen(0)[1..]);
    assert_eq!(seen(4), [(1, 4, b'd')]);
    assert_eq!(seen(5), []);
    assert_eq!(disk.changes(), before);
    log.trim(&[3.into(), 2.into()]).unwrap();
    assert_eq!(seen(0), [(0, 3, b'c'), (1, 4, b'd')]);
}
