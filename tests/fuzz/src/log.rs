//! The stream's segments, as they might lie on a disk after anything: the log opens, hands out records, and shows the same
//! after another start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flate2::Crc;
use spanlake_local::{Disk, DiskFile, Floor, LogOptions, ModelDisk, SegmentLog, look};
use spanlake_model::Sequence;

use super::draw::Draw;
use super::used;

const FOLDER: &str = "/stream";
const MARKER: u64 = 0x8877_6655_4433_2211;
const SHARDS: u16 = 3;

fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

/// An entry whose checksums are right.
fn entry(shard: u16, sequence: u64, arrival: i64, record: &[u8]) -> Vec<u8> {
    let mut out = MARKER.to_le_bytes().to_vec();
    out.extend_from_slice(&(record.len() as u32).to_le_bytes());
    out.extend_from_slice(&shard.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&arrival.to_le_bytes());
    out.extend_from_slice(&crc(record));
    out.extend_from_slice(&crc(&out));
    out.extend_from_slice(record);
    out
}

/// A segment: entries, most of them whole and in order, and whatever else.
fn segment(draw: &mut Draw<'_>, first: u64) -> Vec<u8> {
    let (mut out, mut next) = (Vec::new(), first);
    for _ in 0..draw.below(7) {
        match draw.below(16) {
            0 => out.extend_from_slice(draw.bytes(60)),
            1 => out.extend_from_slice(&MARKER.to_le_bytes()[..draw.below(9)]),
            2 => next = next.wrapping_add(draw.number()),
            3 => {
                let whole = entry(0, next, 5, draw.bytes(30));
                out.extend_from_slice(&whole[..draw.below(whole.len() + 1)]);
                next = next.wrapping_add(1);
            }
            4 => {
                let mut damaged = entry(0, next, 5, draw.bytes(30));
                let at = draw.below(damaged.len());
                damaged[at] ^= draw.byte();
                out.extend_from_slice(&damaged);
                next = next.wrapping_add(1);
            }
            5 => out.extend_from_slice(&entry(draw.number() as u16, draw.number(), draw.number() as i64, draw.bytes(30))),
            choice => {
                out.extend_from_slice(&entry(choice as u16 % SHARDS, next, draw.below(100) as i64, draw.bytes(30)));
                next = next.wrapping_add(1);
            }
        }
    }
    out
}

fn write(disk: &ModelDisk, name: &str, bytes: &[u8]) {
    let mut file = disk.create(&Path::new(FOLDER).join(name)).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
}

fn options() -> LogOptions {
    LogOptions { ticks: Arc::new(|| Duration::ZERO), limits: None, ..LogOptions::new(SHARDS, Floor::default(), 1_000) }
}

/// Every record: shard, sequence, arrival and bytes.
fn records(log: &SegmentLog<ModelDisk>) -> Vec<(usize, Sequence, i64, Vec<u8>)> {
    let mut all = Vec::new();
    for shard in 0..usize::from(SHARDS) {
        let records = log.read_blocking(shard, Sequence::ZERO, usize::MAX, usize::MAX).unwrap();
        all.extend(records.into_iter().map(|record| (shard, record.sequence, record.arrival_nanos, record.bytes.to_vec())));
    }
    all
}

/// The target.
pub fn log(data: &[u8]) {
    let mut draw = Draw::new(data);
    let mode = draw.byte();
    let disk = ModelDisk::new();
    disk.make_dir(Path::new(FOLDER)).unwrap();
    if mode & 7 == 7 {
        write(&disk, "shards.json", draw.bytes(120));
    } else {
        write(&disk, "shards.json", format!("{{\"format\":1,\"shards\":{SHARDS},\"marker\":\"{MARKER:016x}\"}}").as_bytes());
    }
    let mut first = 1;
    for _ in 0..mode >> 3 & 3 {
        let bytes = if mode & 128 == 0 { segment(&mut draw, first) } else { draw.bytes(200).to_vec() };
        write(&disk, &format!("{first:020}.log"), &bytes);
        first = first.saturating_add(draw.number().max(1));
    }
    let folder = PathBuf::from(FOLDER);
    let mut seen = 0_u64;
    used(look(&disk, &folder, Sequence::ZERO, |_| seen += 1));
    let Ok(log) = SegmentLog::open_to_read(disk.clone(), folder.clone(), options()) else { return };
    let before = records(&log);
    assert!(log.report().damaged >= log.report().damages.len() as u64);
    drop(log);
    let log = SegmentLog::open_to_read(disk, folder, options()).unwrap();
    assert_eq!(records(&log), before, "another start shows other records");
    let everything = [Sequence::MAX; SHARDS as usize];
    log.trim(&everything).unwrap();
}
