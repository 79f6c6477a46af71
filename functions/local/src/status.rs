//! `spanlake status`: where everything is, read from the folder, whether a process runs or not.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use spanlake_local::{RealDisk, look, read_shards};
use spanlake_model::{NANOS_PER_MS, Sequence, Signal};
use spanlake_pipeline::envelope::Envelope;
use spanlake_pipeline::inspect::Overview;
use spanlake_pipeline::ports::Shard;

use crate::cli::DataArgs;
use crate::folder::{Folder, STREAM, runtime};
use crate::terminal::print;

pub(crate) fn run(args: &DataArgs) -> anyhow::Result<()> {
    let folder = Folder::open(&args.data)?;
    let overview = runtime()?.block_on(folder.overview())?;
    print(&text(&folder, &overview)?);
    Ok(())
}

fn text(folder: &Folder, overview: &Overview) -> anyhow::Result<String> {
    let mut out = String::new();
    writeln!(out, "Ledger (committed = kept + sampled out + dropped + pending)")?;
    writeln!(
        out,
        "  {:<12} {:>12} {:>12} {:>12} {:>12} {:>12} {:>12}",
        "", "committed", "kept", "sampled out", "dropped", "pending", "duplicates"
    )?;
    for signal in Signal::ALL {
        let account = overview.ledger.account(signal);
        let numbers =
            [account.committed, account.kept, account.sampled_out, account.dropped_total(), account.pending, account.duplicates];
        write!(out, "  {:<12}", signal.items())?;
        numbers.iter().try_for_each(|number| write!(out, " {number:>12}"))?;
        writeln!(out)?;
        for (reason, items) in &account.dropped {
            writeln!(out, "    dropped by {reason}: {items}")?;
        }
    }
    for (rule, values) in &overview.ledger.masked {
        writeln!(out, "  masked by {rule}: {values}")?;
    }
    if overview.quarantined > 0 {
        writeln!(
            out,
            "  records in quarantine: {} (`spanlake quarantine --data {}` lists them)",
            overview.quarantined,
            folder.path.display()
        )?;
    }
    writeln!(out, "\nShards")?;
    for manifest in &overview.manifests {
        let open: u64 = manifest.staged.iter().map(|staged| staged.items).sum();
        writeln!(
            out,
            "  {}: clock {}, {} batches staged ({open} items), {} outputs sealed and not archived",
            manifest.shard,
            ago(manifest.clock),
            manifest.staged.len(),
            manifest.sealed.len()
        )?;
    }
    writeln!(out, "\nStream: {}", Waiting::count(folder, overview)?.text())?;
    writeln!(out, "\nArchive: {} plans, {} not carried out", overview.plans, overview.plans_undone)?;
    writeln!(out, "\nLake (under lake/v1)")?;
    for table in spanlake_table::schema::TABLES {
        let path = folder.path.join("lake/v1").join(table.name);
        let (files, bytes) = usage(&path).with_context(|| format!("reading {}", path.display()))?;
        writeln!(out, "  {:<24} {files:>8} files {:>12} bytes", table.name, bytes)?;
    }
    writeln!(out, "\nWorking files")?;
    for name in ["stream", "staged", "sealed", "seen", "decisions"] {
        let (files, bytes) = usage(&folder.path.join(name))?;
        writeln!(out, "  {name:<24} {files:>8} files {bytes:>12} bytes")?;
    }
    Ok(out)
}

/// What stands on the stream and is not read yet. After a stop, the next start reads it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Waiting {
    /// Records of requests.
    records: u64,
    items: u64,
    bytes: u64,
    /// Arrival of the first, Unix nanoseconds.
    oldest_nanos: i64,
}

impl Waiting {
    fn count(folder: &Folder, overview: &Overview) -> anyhow::Result<Self> {
        let stream = folder.path.join(STREAM);
        let reading = || format!("reading {}", stream.display());
        let shards = read_shards(&RealDisk, &stream).with_context(reading)?;
        let watermark = |shard: &Shard| {
            overview
                .manifests
                .iter()
                .find(|manifest| manifest.shard == shard.id)
                .map_or(Sequence::ZERO, |manifest| manifest.watermark)
        };
        let watermarks: Vec<Sequence> = shards.iter().map(watermark).collect();
        let from = watermarks.iter().min().map_or(Sequence::ZERO, |watermark| watermark.wrapping_add(1.into()));
        let mut waiting = Self::default();
        look(&RealDisk, &stream, from, |seen| {
            let is_read = watermarks.get(seen.shard).is_some_and(|watermark| seen.sequence <= *watermark);
            // A heartbeat only moves the clock.
            let Some(items) = (match Envelope::decode(&seen.bytes) {
                _ if is_read => None,
                Ok(Envelope::Heartbeat { .. }) => None,
                Ok(Envelope::Items(items)) => Some(items.count),
                Err(_) => Some(0),
            }) else {
                return;
            };
            if waiting.records == 0 {
                waiting.oldest_nanos = seen.arrival_nanos;
            }
            waiting.records += 1;
            waiting.items += items;
            waiting.bytes += seen.bytes.len() as u64;
        })
        .with_context(reading)?;
        Ok(waiting)
    }

    fn text(&self) -> String {
        match self.records {
            0 => "everything is read".to_owned(),
            records => format!(
                "{} items in {records} record{} ({} bytes) are not read yet, the first came {}; `spanlake up` reads them",
                self.items,
                if records == 1 { "" } else { "s" },
                self.bytes,
                ago(self.oldest_nanos)
            ),
        }
    }
}

/// How long ago a point of the stream's clock is.
fn ago(nanos: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
    let seconds = now.saturating_sub(nanos) / NANOS_PER_MS / 1_000;
    match seconds {
        _ if nanos == 0 => "not begun".to_owned(),
        ..120 => format!("{} s ago", seconds.max(0)),
        120..7_200 => format!("{} min ago", seconds / 60),
        _ => format!("{} h ago", seconds / 3_600),
    }
}

/// Files below a folder, and their bytes. What vanishes meanwhile was swept.
pub(crate) fn usage(path: &Path) -> anyhow::Result<(u64, u64)> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((0, 0)),
        Err(error) => return Err(error.into()),
    };
    let (mut files, mut bytes) = (0, 0);
    for entry in entries {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else { continue };
        let (more_files, more_bytes) = if metadata.is_dir() { usage(&entry.path())? } else { (1, metadata.len()) };
        (files, bytes) = (files + more_files, bytes + more_bytes);
    }
    Ok((files, bytes))
}

#[cfg(test)]
mod tests {
    use spanlake_local::{Floor, LogOptions, SegmentLog};
    use spanlake_model::{BatchId, Bucket};
    use spanlake_pipeline::envelope::{Items, heartbeat};
    use spanlake_pipeline::payload::Dictionary;
    use spanlake_pipeline::ports::{EventStream, NewRecord};

    use super::*;

    #[tokio::test]
    async fn what_a_stopped_process_has_not_read_is_counted() {
        let data = tempfile::tempdir().unwrap();
        let log = SegmentLog::open(RealDisk, data.path().join(STREAM), LogOptions::new(2, Floor::default(), 7)).unwrap();
        let items = Items {
            only: None,
            signal: Signal::Logs,
            tenant: "",
            cutting_rule: 1,
            batch_id: BatchId([3; 16]),
            received_nanos: 7,
            count: 12,
            parts: Vec::new(),
            part_of_item: Vec::new(),
            payload_bytes: 0,
            dictionary: Dictionary::None,
            payload: &[],
        };
        let bucket = Bucket::new(0).unwrap();
        let mut encoded = Vec::new();
        items.encode(&mut encoded);
        let records = [heartbeat("r1"), encoded].map(|bytes| NewRecord { bucket, bytes: bytes.into() });
        assert!(log.append(records.to_vec()).await.iter().all(Result::is_ok));
        drop(log);
        let folder = Folder::open(data.path()).unwrap();
        let overview = folder.overview().await.unwrap();
        let waiting = Waiting::count(&folder, &overview).unwrap();
        assert_eq!((waiting.records, waiting.items, waiting.bytes), (1, 12, records[1].bytes.len() as u64));
        assert!(text(&folder, &overview).unwrap().contains("12 items in 1 record ("));
        assert_eq!(Waiting::default().text(), "everything is read");
    }
}
