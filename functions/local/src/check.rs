//! `spanlake check`: reads a Collector configuration and prints the findings.

use std::process::ExitCode;

use anyhow::Context;
use spanlake_policy::{Severity, load, render};

use crate::cli::CheckArgs;
use crate::terminal::print;

/// Exit code 0 if the file can be used, 1 if not.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("reading {}", args.file.display()))?;
    let loaded = load(&text, &|name| std::env::var(name).ok());
    print(&render(&loaded, &args.file.display().to_string()));
    let is_refused = loaded.findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if is_refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
