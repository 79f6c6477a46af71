//! `spanlake status`: where everything is, read from a folder or from buckets, whether anything works on them or not.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use spanlake_local::{RealDisk, look, read_shards};
use spanlake_model::{NANOS_PER_MS, Sequence, Signal};
use spanlake_pipeline::envelope::Envelope;
use spanlake_pipeline::inspect::{Overview, Usage, overview, usage as usage_of};
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::{ObjectStore, Shard};
use tokio::runtime::Runtime;

use crate::cli::StatusArgs;
use crate::folder::STREAM;
use crate::keep_all::{lines, now_nanos};
use crate::site::{Access, Buckets, Place, Site, Task, on};
use crate::terminal::{note, print, say};

pub(crate) fn run(args: &StatusArgs) -> anyhow::Result<()> {
    on(&args.site, Access::Beside, Status)
}

struct Status;

impl Task for Status {
    type Output = ();

    fn run<S: ObjectStore>(self, runtime: &Runtime, site: &Site<S>) -> anyhow::Result<()> {
        let overview = runtime.block_on(overview(&site.store)).with_context(|| site.place.reading())?;
        match runtime.block_on(lines(&site.store, &site.place, now_nanos()?)) {
            Ok(kept) => print(&kept),
            // Whoever may read manifests need not be one who may read rules.
            Err(error) => note(&format!("What is kept as a whole cannot be told: {error:#}")),
        }
        // What is asked first is not kept waiting by what takes long in a large bucket.
        print(&state(&site.place, &overview)?);
        runtime.block_on(files(site))
    }
}

/// Everything but files.
fn state(place: &Place, overview: &Overview) -> anyhow::Result<String> {
    let mut out = String::new();
    ledger(&mut out, place, overview)?;
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
    let stream = match place {
        Place::Folder(path) => Waiting::count(path, overview)?.text(),
        Place::Buckets(_) => {
            "on Kinesis, not looked at. How far behind it is read is the metric IteratorAge, on the dashboard (the stack's output \
             DashboardUrl)"
                .to_owned()
        }
    };
    writeln!(out, "\nStream: {stream}")?;
    writeln!(out, "\nArchive: {} plans, {} not carried out", overview.plans, overview.plans_undone)?;
    Ok(out)
}

fn ledger(out: &mut String, place: &Place, overview: &Overview) -> std::fmt::Result {
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
    for (what, times) in &overview.ledger.failed {
        writeln!(out, "  could not be executed in {what}: {times}")?;
    }
    if overview.quarantined > 0 {
        let (records, flags) = (overview.quarantined, place.flags());
        writeln!(out, "  records in quarantine: {records} (`spanlake quarantine {flags}` lists them)")?;
    }
    Ok(())
}

/// Prints how many files there are, a line as soon as it is known.
async fn files<S: ObjectStore>(site: &Site<S>) -> anyhow::Result<()> {
    let count = async |prefix: &str| usage_of(&site.store, prefix).await.with_context(|| format!("listing {prefix}"));
    if let Place::Buckets(Buckets { lake: None, .. }) = &site.place {
        say("\nLake: not counted. Name its bucket with --lake-bucket (the stack's output LakeBucketName)");
    } else {
        say("\nLake (under lake/v1)");
        for table in spanlake_table::schema::TABLES {
            let Usage { objects, bytes } = count(&format!("{}{}/", keys::LAKE, table.name)).await?;
            say(&format!("  {:<24} {objects:>8} files {bytes:>12} bytes", table.name));
        }
    }
    say("\nWorking files");
    if let Place::Folder(path) = &site.place {
        let (files, bytes) = usage(&path.join(STREAM))?;
        say(&format!("  {STREAM:<24} {files:>8} files {bytes:>12} bytes"));
    }
    for prefix in [keys::STAGED, keys::SEALED, keys::SEEN, keys::DECISIONS] {
        let Usage { objects, bytes } = count(prefix).await?;
        say(&format!("  {:<24} {objects:>8} files {bytes:>12} bytes", prefix.trim_end_matches('/')));
    }
    Ok(())
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
    fn count(folder: &Path, overview: &Overview) -> anyhow::Result<Self> {
        let stream = folder.join(STREAM);
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
        ..-60 => format!("{} s ahead", seconds.unsigned_abs()),
        -60..120 => format!("{} s ago", seconds.max(0)),
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
    use crate::folder::Folder;

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
        let waiting = Waiting::count(data.path(), &overview).unwrap();
        assert_eq!((waiting.records, waiting.items, waiting.bytes), (1, 12, records[1].bytes.len() as u64));
        assert!(state(&Place::Folder(data.path().to_owned()), &overview).unwrap().contains("12 items in 1 record ("));
        assert_eq!(Waiting::default().text(), "everything is read");
    }
}
