//! `spanlake repair`: gives up lost objects on an explicit word, or says what that would mean.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context;
use spanlake_local::{DiskStore, FolderLock, RealDisk};
use spanlake_model::Signal;
use spanlake_pipeline::keys;
use spanlake_pipeline::repair::{Mode, Repaired, ShardRepair, repair};
use spanlake_pipeline::settings::GroupSettings;

use crate::cli::RepairArgs;
use crate::folder::{Folder, runtime};
use crate::terminal::{fail, print};

/// Nothing was given up, and why.
const NOT_POSSIBLE: u8 = 2;

/// Exit code 0 if it is done, 1 if the word is missing, 2 if it is not possible.
pub(crate) fn run(args: &RepairArgs) -> ExitCode {
    match give_up(args) {
        Ok(code) => code,
        Err(error) => {
            fail(&error);
            ExitCode::from(NOT_POSSIBLE)
        }
    }
}

fn give_up(args: &RepairArgs) -> anyhow::Result<ExitCode> {
    let folder = Folder::open(&args.data.data)?;
    // Nothing may work on the folder meanwhile; a look is true only then as well.
    let _lock = FolderLock::take(&folder.path)?;
    let store = DiskStore::open(RealDisk, folder.path.clone()).context("opening the data folder")?;
    let mode = if args.yes_count_as_lost { Mode::GiveUp } else { Mode::Look };
    let repaired = runtime()?.block_on(repair(&store, &args.objects, &GroupSettings::default(), mode))?;
    print(&text(&args.objects, &repaired, mode)?);
    let waits = mode == Mode::Look && repaired != Repaired::default();
    Ok(if waits { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn text(objects: &[String], repaired: &Repaired, mode: Mode) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    if *repaired == Repaired::default() {
        writeln!(out, "Nothing needs {}: there is nothing to give up, or it was given up before.", objects.join(", "))?;
        return Ok(out);
    }
    writeln!(out, "{}", if mode == Mode::Look { "What would be given up:" } else { "Given up:" })?;
    for shard in &repaired.shards {
        one(&mut out, shard)?;
    }
    for key in &repaired.stand_ins {
        writeln!(out, "  an empty object stands in for {key}, since an archive plan reads it")?;
    }
    match mode {
        Mode::Look => writeln!(out, "Nothing was changed. To do it, add --yes-count-as-lost.")?,
        Mode::GiveUp => writeln!(out, "`spanlake status` counts it under dropped by lost_object. Start the process again.")?,
    }
    Ok(out)
}

fn one(out: &mut String, shard: &ShardRepair) -> std::fmt::Result {
    let counts: Vec<String> =
        Signal::ALL.into_iter().map(|signal| format!("{} {}", shard.dropped[signal], signal.items())).collect();
    writeln!(out, "  {}: {} counted as dropped by lost_object", shard.shard, counts.join(", "))?;
    for key in &shard.objects {
        writeln!(out, "    {key}: {}", meaning(key))?;
    }
    if shard.waiting > 0 {
        writeln!(
            out,
            "    {} of the spans waited for a decision in other batches: which of them the lost record had decided is unknown",
            shard.waiting
        )?;
    }
    Ok(())
}

/// What else goes with an object.
fn meaning(key: &str) -> &'static str {
    match () {
        () if key.starts_with(keys::STAGED) => {
            "its figures before sampling go too, and a request that was in it may show twice if it is sent again"
        }
        () if key.starts_with(keys::SEEN) => "no items; a request of that time may show twice if it is sent again",
        () if key.starts_with(keys::DECISIONS) => {
            "its rows in the table decisions go if they are not filed; late spans of its traces begin new traces"
        }
        () => "its figures before sampling go too",
    }
}
