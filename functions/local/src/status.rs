//! `spanlake status`: where everything is, read from the folder, whether a process runs or not.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use spanlake_model::{NANOS_PER_MS, Signal};
use spanlake_pipeline::inspect::Overview;

use crate::cli::DataArgs;
use crate::folder::{Folder, runtime};
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
        writeln!(out, "  records in quarantine: {} (see {}/quarantine)", overview.quarantined, folder.path.display())?;
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
