//! `spanlake verify`: marked items through the running process and back, then everything that is at rest.

mod marked;
mod path;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use spanlake_pipeline::archive::partition_of;
use spanlake_pipeline::ports::ObjectStore;
use spanlake_pipeline::settings::GroupSettings;
use spanlake_pipeline::verify::{Check, Checked, LakeFiles, verify};
use tokio::runtime::Runtime;

use crate::cli::VerifyArgs;
use crate::folder::Folder;
use crate::site::{Access, Buckets, Place, Site, Task, on};
use crate::terminal::{fail, is_interactive, note, say, status};

/// Something could not be checked.
const NOT_CHECKED: u8 = 2;

/// Faults of one check that are printed.
const FAULTS_SHOWN: usize = 50;

/// What a part of the command came to, the worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Right,
    NotChecked,
    Wrong,
}

/// How far back the files of a lake in a bucket are read: there may be terabytes.
const BUCKET_SINCE: Duration = Duration::from_hours(1);

/// Exit code 0 if everything is right, 1 if something is wrong, 2 if something could not be checked.
pub(crate) fn run(args: &VerifyArgs) -> ExitCode {
    match told(on(&args.site, Access::Beside, args)) {
        Outcome::Right => ExitCode::SUCCESS,
        Outcome::Wrong => ExitCode::FAILURE,
        Outcome::NotChecked => ExitCode::from(NOT_CHECKED),
    }
}

impl Task for &VerifyArgs {
    type Output = Outcome;

    fn run<S: ObjectStore>(self, runtime: &Runtime, site: &Site<S>) -> anyhow::Result<Outcome> {
        let through = match &site.place {
            Place::Folder(path) if !self.offline => told(Folder::open(path).and_then(|folder| path::check(self, &folder))),
            Place::Folder(_) => Outcome::Right,
            Place::Buckets(_) => {
                skipped(
                    "marked items",
                    "they are sent to a local process only. Send a span to the URL and ask Athena for it: The first span, and The first \
                     query, in docs/guides/aws.md",
                );
                skipped("the stream", "it is on Kinesis: the dashboard shows how far behind it is read");
                Outcome::Right
            }
        };
        Ok(through.max(told(self.at_rest(runtime, site).map_err(|error| site.place.explain(error)))))
    }
}

impl VerifyArgs {
    fn at_rest<S: ObjectStore>(&self, runtime: &Runtime, site: &Site<S>) -> anyhow::Result<Outcome> {
        let default = if matches!(site.place, Place::Buckets(_)) { Some(BUCKET_SINCE) } else { None };
        let since = self.lake_since.or(default).map(partition);
        let files = match (&site.place, &since) {
            (Place::Buckets(Buckets { lake: None, .. }), _) => LakeFiles::None,
            (_, Some(since)) => LakeFiles::From(since),
            (_, None) => LakeFiles::All,
        };
        let progress = |check: Check, done, of| progress(&format!("{}: {done} of {of}", check.name()));
        let checks = runtime.block_on(verify(&site.store, &GroupSettings::default(), files, progress))?;
        finish_line();
        checks.iter().for_each(show);
        match files {
            LakeFiles::All => {}
            LakeFiles::From(partition) => skipped(
                Check::Lake.name(),
                &format!(
                    "those before {partition} are read with --lake-since 7d. A query over a file that cannot be read fails and names it"
                ),
            ),
            LakeFiles::None => skipped(Check::Lake.name(), "name their bucket with --lake-bucket"),
        }
        let lost = checks.iter().filter(|checked| checked.check == Check::Objects).flat_map(|checked| &checked.faults);
        let lost: Vec<&str> = lost.map(|fault| fault.key.as_str()).collect();
        if !lost.is_empty() {
            advise(&site.place, &lost);
        }
        let is_right = checks.iter().all(|checked| checked.faults.is_empty());
        Ok(if is_right { Outcome::Right } else { Outcome::Wrong })
    }
}

/// The partition of so long ago.
fn partition(since: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    partition_of(i64::try_from(now.saturating_sub(since).as_nanos()).unwrap_or(i64::MAX))
}

/// What to do about lost objects.
fn advise(place: &Place, lost: &[&str]) {
    let (how, flags) = match place {
        Place::Folder(_) => ("from a backup. Or give them up, once the process is stopped:", place.flags()),
        Place::Buckets(Buckets { lake, .. }) => (
            "by their versions (Restore in docs/guides/aws-operations.md). Or give them up; this only says what that means:",
            if lake.is_some() { place.flags() } else { format!("{} --lake-bucket LAKE", place.flags()) },
        ),
    };
    say(&format!("        Bring lost objects back {how}"));
    say(&format!("        spanlake repair {flags} {}", lost.join(" ")));
}

/// Tells what is not checked, and what to do instead.
fn skipped(name: &str, why: &str) {
    say(&format!("skipped {name}: {why}"));
}

fn told(result: anyhow::Result<Outcome>) -> Outcome {
    result.unwrap_or_else(|error| {
        finish_line();
        fail(&error);
        Outcome::NotChecked
    })
}

fn show(checked: &Checked) {
    let name = checked.check.name();
    let given_up = if checked.given_up > 0 { format!(", {} given up before", checked.given_up) } else { String::new() };
    if checked.faults.is_empty() {
        say(&format!("ok      {name}: {} looked at{given_up}", checked.looked_at));
        return;
    }
    say(&format!("WRONG   {name}: {} faults, {} looked at{given_up}", checked.faults.len(), checked.looked_at));
    for fault in checked.faults.iter().take(FAULTS_SHOWN) {
        say(&format!("        {} {}", fault.key, fault.what));
    }
    if let Some(more) = checked.faults.len().checked_sub(FAULTS_SHOWN).filter(|more| *more > 0) {
        say(&format!("        ... and {more} more"));
    }
}

/// Shows how far it is, on a terminal.
fn progress(line: &str) {
    if is_interactive() {
        status(line);
    }
}

fn finish_line() {
    if is_interactive() {
        status("");
    }
}

/// Tells what takes long, where there is no terminal to rewrite a line on.
fn begin(line: &str) {
    if is_interactive() { status(line) } else { note(line) }
}
