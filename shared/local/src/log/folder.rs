//! The log's folder: its description `shards.json`, which fixes the number of shards for ever, and the segments' names.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use spanlake_model::BucketRange;
use spanlake_pipeline::ports::Shard;

use super::OpenError;
use super::entry::Marker;
use crate::disk::{Disk, DiskFile, make_dirs};

/// The version of the log's files that this program reads and writes.
const FORMAT: u64 = 1;

const DESCRIPTION: &str = "shards.json";

/// Opens the folder, or makes it for this number of shards.
pub(super) fn open<D: Disk>(disk: &D, folder: &Path, shards: u16) -> Result<Marker, OpenError> {
    let path = folder.join(DESCRIPTION);
    let failed = |source| OpenError::Io { path: path.clone(), source };
    make_dirs(disk, folder).map_err(|source| OpenError::Io { path: folder.to_path_buf(), source })?;
    if disk.stat(&path).map_err(failed)?.is_some() {
        let bytes = disk.open(&path).and_then(|file| file.read_at(0, 1 << 16)).map_err(failed)?;
        // The process that wrote it may have been killed before the name was durable.
        disk.sync_dir(folder).map_err(failed)?;
        return read(&path, &bytes, shards);
    }
    if !segments(disk, folder).map_err(failed)?.is_empty() {
        return Err(OpenError::Description { path, what: "it is missing, but there are segments" });
    }
    let marker = Marker(RandomState::new().hash_one(DESCRIPTION).to_le_bytes());
    write(disk, folder, shards, marker).map_err(failed)?;
    Ok(marker)
}

fn write<D: Disk>(disk: &D, folder: &Path, shards: u16, marker: Marker) -> io::Result<()> {
    let description = json!({ "format": FORMAT, "shards": shards, "marker": format!("{:016x}", u64::from_le_bytes(marker.0)) });
    let unfinished = folder.join("shards.json.tmp");
    let mut file = disk.create(&unfinished)?;
    file.append(format!("{description}\n").as_bytes())?;
    file.sync()?;
    disk.rename(&unfinished, &folder.join(DESCRIPTION))?;
    disk.sync_dir(folder)
}

fn read(path: &Path, bytes: &[u8], asked: u16) -> Result<Marker, OpenError> {
    let damaged = |what| OpenError::Description { path: path.to_path_buf(), what };
    let description: Value = serde_json::from_slice(bytes).map_err(|_| damaged("it is no JSON"))?;
    let number = |name: &str| description.get(name).and_then(Value::as_u64);
    let format = number("format").ok_or_else(|| damaged("it has no format"))?;
    if format != FORMAT {
        return Err(OpenError::Format { path: path.to_path_buf(), found: format });
    }
    let made_with = number("shards").ok_or_else(|| damaged("it has no number of shards"))?;
    if made_with != u64::from(asked) {
        return Err(OpenError::ShardCount { path: path.to_path_buf(), made_with, asked });
    }
    let marker = description.get("marker").and_then(Value::as_str).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    marker.map(|marker| Marker(marker.to_le_bytes())).ok_or_else(|| damaged("it has no marker"))
}

/// The shards of an existing log folder, without opening the log: for readers beside the process that writes it.
pub fn read_shards<D: Disk>(disk: &D, folder: &Path) -> io::Result<Vec<Shard>> {
    Ok(shards(describe(disk, folder)?.1))
}

/// The marker of an existing log folder, and its number of shards.
pub(super) fn describe<D: Disk>(disk: &D, folder: &Path) -> io::Result<(Marker, u16)> {
    let bytes = disk.open(&folder.join(DESCRIPTION)).and_then(|file| file.read_at(0, 1 << 16))?;
    let description: Value = serde_json::from_slice(&bytes)?;
    let count = description.get("shards").and_then(Value::as_u64).and_then(|count| u16::try_from(count).ok());
    let count = count.ok_or_else(|| io::Error::other("shards.json names no number of shards"))?;
    let marker = description.get("marker").and_then(Value::as_str).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let marker = marker.ok_or_else(|| io::Error::other("shards.json has no marker"))?;
    Ok((Marker(marker.to_le_bytes()), count))
}

/// The shards of a log: even ranges, in order.
pub(super) fn shards(count: u16) -> Vec<Shard> {
    let ranges = BucketRange::even(count).into_iter().enumerate();
    ranges.map(|(number, range)| Shard { id: format!("shard-{number:012}"), range, parents: Vec::new() }).collect()
}

/// The segments that are there, each by its first sequence number, in order.
pub(super) fn segments<D: Disk>(disk: &D, folder: &Path) -> io::Result<Vec<u64>> {
    let number = |name: &str| {
        let digits = name.strip_suffix(".log")?;
        (digits.len() == 20).then(|| digits.parse().ok()).flatten()
    };
    let mut found: Vec<u64> = disk.list(folder)?.iter().filter_map(|entry| number(&entry.name)).collect();
    found.sort_unstable();
    Ok(found)
}

/// The file of a segment.
pub(super) fn segment_path(folder: &Path, first_sequence: u64) -> PathBuf {
    folder.join(format!("{first_sequence:020}.log"))
}
