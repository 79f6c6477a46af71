//! `spanlake replay`: a dry run of a configuration on what is stored.
//!
//! [`scan`] reads what is staged, and rows of the lake window by window; [`request`] makes OTLP of rows, [`judge`] and
//! [`items`] run the rules with the pipeline's own staging and decisions, [`outcome`] says what they come to, [`tally`] counts, [`estimate`] says what that
//! stands for, [`report`] tells.

mod cost;
mod estimate;
mod items;
mod judge;
mod outcome;
mod points;
mod rebuild;
mod report;
mod request;
mod scan;
mod tally;
#[cfg(test)]
mod tests;
mod values;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use spanlake_policy::{Loaded, Severity, load, render};

use crate::cli::{ReplayArgs, ReplayFormat};
use crate::configuration::read;
use crate::folder::{Folder, runtime};
use crate::terminal::{is_interactive, note, print, status};

/// Exit code 0 with a report, 1 if the configuration is refused.
///
/// # Errors
/// There is nothing to run it on, or it cannot be read.
pub(crate) fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let (name, text) = read(&args.config)?;
    let loaded = load(&text, &|name| std::env::var(name).ok());
    if let Some(said) = said(&loaded, &name) {
        note(&said);
    }
    let Some(rules) = loaded.rules else { return Ok(ExitCode::FAILURE) };
    let rules = Arc::new(rules);
    let folder = Folder::open(&args.data.data)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("reading the clock")?;
    let since = scan::ago(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX), args.since);
    let progress = |line: &str| {
        if is_interactive() {
            status(line);
        }
    };
    let findings = runtime()?.block_on(scan::scan(&folder, &rules, since, &progress));
    if is_interactive() {
        status("");
    }
    let findings = findings?;
    match args.format {
        ReplayFormat::Text => print(&report::text(&findings, &rules, &name)),
        ReplayFormat::Json => print(&format!("{:#}\n", report::to_json(&findings, &rules, &name))),
    }
    Ok(ExitCode::SUCCESS)
}

/// What `spanlake check` says of the file, if there is more than notes.
fn said(loaded: &Loaded, name: &str) -> Option<String> {
    let matters = loaded.findings.iter().any(|finding| finding.severity != Severity::Note);
    matters.then(|| format!("{}\n", render(loaded, name).trim_end()))
}
