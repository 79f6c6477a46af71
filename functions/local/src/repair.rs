//! `spanlake repair`: gives up lost objects on an explicit word, or says what that would mean.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::ensure;
use spanlake_model::Signal;
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::ObjectStore;
use spanlake_pipeline::repair::{Mode, RepairError, Repaired, ShardRepair, repair};
use spanlake_pipeline::settings::GroupSettings;
use tokio::runtime::Runtime;

use crate::cli::RepairArgs;
use crate::site::{Access, Buckets, Place, Site, Task, on};
use crate::terminal::{fail, print};

/// Nothing was given up, and why.
const NOT_POSSIBLE: u8 = 2;

/// Exit code 0 if it is done, 1 if the word is missing, 2 if it is not possible.
pub(crate) fn run(args: &RepairArgs) -> ExitCode {
    match on(&args.site, Access::Alone, args) {
        Ok(code) => code,
        Err(error) => {
            fail(&error);
            ExitCode::from(NOT_POSSIBLE)
        }
    }
}

impl Task for &RepairArgs {
    type Output = ExitCode;

    fn run<S: ObjectStore>(self, runtime: &Runtime, site: &Site<S>) -> anyhow::Result<ExitCode> {
        ensure!(
            !matches!(site.place, Place::Buckets(Buckets { lake: None, .. })),
            "name the lake's bucket with --lake-bucket (the stack's output LakeBucketName): files that hold what is given up are \
             removed there"
        );
        let mode = if self.yes_count_as_lost { Mode::GiveUp } else { Mode::Look };
        let repaired = runtime.block_on(repair(&site.store, &self.objects, &GroupSettings::default(), mode));
        let repaired = repaired.map_err(|error| next_step(error, &site.place))?;
        print(&text(&self.objects, &repaired, mode, &site.place)?);
        let waits = mode == Mode::Look && repaired != Repaired::default();
        Ok(if waits { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// What a deployment's operator does about a shard that is too busy.
fn next_step(error: RepairError, place: &Place) -> anyhow::Error {
    let is_busy = matches!((&error, place), (RepairError::Contended { .. }, Place::Buckets(_)));
    let error = anyhow::Error::new(error);
    if is_busy {
        return error.context(
            "disable the event source mapping of the grouper, wait until its state is Disabled, and make the same call again (A lost \
             object in docs/guides/aws-operations.md)",
        );
    }
    error
}

fn text(objects: &[String], repaired: &Repaired, mode: Mode, place: &Place) -> Result<String, std::fmt::Error> {
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
    match (mode, place) {
        (Mode::Look, Place::Folder(_)) => writeln!(out, "Nothing was changed. To do it, add --yes-count-as-lost.")?,
        (Mode::Look, Place::Buckets(_)) => writeln!(
            out,
            "Nothing was changed. First look for a version of each object that can be brought back (Restore in \
             docs/guides/aws-operations.md). To give them up, disable the event source mapping of the grouper, and add \
             --yes-count-as-lost."
        )?,
        (Mode::GiveUp, Place::Folder(_)) => {
            writeln!(out, "`spanlake status` counts it under dropped by lost_object. Start the process again.")?;
        }
        (Mode::GiveUp, Place::Buckets(_)) => writeln!(
            out,
            "`spanlake status {}` counts it under dropped by lost_object. Enable the event source mapping of the grouper again; the \
             archiver goes on with its next run.",
            place.flags()
        )?,
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
    for signal in Signal::ALL.into_iter().filter(|signal| shard.waiting[*signal] > 0) {
        writeln!(
            out,
            "    {} of the {} waited for a decision in other batches: which of them the lost record had decided is unknown",
            shard.waiting[signal],
            signal.items()
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
