//! `spanlake verify`: marked items through the running process and back, then everything that is at rest.

mod marked;
mod path;

use std::process::ExitCode;

use spanlake_pipeline::settings::GroupSettings;
use spanlake_pipeline::verify::{Check, Checked, verify};

use crate::cli::VerifyArgs;
use crate::folder::{Folder, runtime};
use crate::terminal::{fail, is_interactive, note, say, status};

/// Something could not be checked.
const NOT_CHECKED: u8 = 2;

/// Faults of one check that are printed.
const FAULTS_SHOWN: usize = 50;

/// What a part of the command came to, the worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Right,
    NotChecked,
    Wrong,
}

/// Exit code 0 if everything is right, 1 if something is wrong, 2 if something could not be checked.
pub(crate) fn run(args: &VerifyArgs) -> ExitCode {
    let folder = match Folder::open(&args.data.data) {
        Ok(folder) => folder,
        Err(error) => {
            fail(&error);
            return ExitCode::from(NOT_CHECKED);
        }
    };
    let through = if args.offline { Outcome::Right } else { told(path::check(args, &folder)) };
    let outcome = through.max(told(at_rest(&folder)));
    match outcome {
        Outcome::Right => ExitCode::SUCCESS,
        Outcome::Wrong => ExitCode::FAILURE,
        Outcome::NotChecked => ExitCode::from(NOT_CHECKED),
    }
}

fn told(result: anyhow::Result<Outcome>) -> Outcome {
    result.unwrap_or_else(|error| {
        finish_line();
        fail(&error);
        Outcome::NotChecked
    })
}

fn at_rest(folder: &Folder) -> anyhow::Result<Outcome> {
    let progress = |check: Check, done, of| progress(&format!("{}: {done} of {of}", check.name()));
    let checks = runtime()?.block_on(verify(&folder.store, &GroupSettings::default(), progress))?;
    finish_line();
    let mut lost = Vec::new();
    for checked in &checks {
        show(checked);
        if checked.check == Check::Objects {
            lost.extend(checked.faults.iter().map(|fault| fault.key.as_str()));
        }
    }
    if !lost.is_empty() {
        say("        Bring lost objects back from a backup. Or give them up, once the process is stopped:");
        say(&format!("        spanlake repair --data {} {}", folder.path.display(), lost.join(" ")));
    }
    let is_right = checks.iter().all(|checked| checked.faults.is_empty());
    Ok(if is_right { Outcome::Right } else { Outcome::Wrong })
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
