//! `spanlake rules`: the rules of a deployment on AWS, where they lie in its bucket of state. A change takes effect with the
//! next heartbeats, without a deployment.

use std::path::Path;

use anyhow::{Context, anyhow};
use similar::TextDiff;
use spanlake_aws::environment::Environment;
use spanlake_aws::rules::{VARIABLE_PREFIX, compiler};
use spanlake_aws::{Buckets, S3Store};
use spanlake_pipeline::keep_all::kept_by;
use spanlake_pipeline::rules::{RulesError, active_version, push, wanted};
use spanlake_policy::{DEFAULT_CONFIG, Overlay, Severity, load, render};

use crate::cli::RulesCommand;
use crate::keep_all::{lines, now_nanos};
use crate::site;
use crate::terminal::{note, print, say};

/// Lines around a change that are shown.
const CONTEXT_LINES: usize = 3;

pub(crate) fn run(command: &RulesCommand) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        match command {
            RulesCommand::Show(of) => show(&store(&of.bucket).await, &of.bucket).await,
            RulesCommand::Diff { file, of } => diff(&store(&of.bucket).await, file).await.map(|differs| say_if(!differs)),
            RulesCommand::Push { file, of } => push_file(&store(&of.bucket).await, file).await,
        }
    })
}

fn say_if(is_same: bool) {
    if is_same {
        say("The file is what the deployment has: nothing would change.");
    }
}

async fn store(bucket: &str) -> S3Store {
    Environment::load().await.store_of(Buckets { state: bucket.to_owned(), lake: String::new() })
}

async fn show(store: &S3Store, bucket: &str) -> anyhow::Result<()> {
    let wanted = wanted(store).await.context("reading the rules")?;
    let (text, origin) = match wanted {
        Some((text, _)) => (text, "pushed"),
        None => (DEFAULT_CONFIG.to_owned(), "the built-in configuration: none was pushed"),
    };
    let active = active_version(store).await.context("reading which rules hold")?;
    // What is kept for a while makes versions of its own, and is no part of what is shown.
    let laid = match &active {
        Some(active) => kept_by(store, active).await.context("reading which rules hold")?,
        None => Overlay::default(),
    };
    let state = match (compiler()(&laid.compose(&text)), active) {
        (Err(reason), _) => format!("NOT IN FORCE, it cannot be used: {reason}"),
        (Ok(rules), Some(active)) if rules.version() == active => format!("in force, version {active}"),
        (Ok(rules), _) => format!("version {}, in force with the archiver's next run", rules.version()),
    };
    print(&text);
    note(&format!("# {origin}; {state}"));
    let place = site::Place::Buckets(site::Buckets { state: bucket.to_owned(), lake: None });
    let kept = lines(store, &place, now_nanos()?).await?;
    kept.lines().for_each(|line| note(&format!("# over them lies {line}")));
    Ok(())
}

/// Prints what pushing the file would change, and on standard error what looks wrong in it; returns whether anything would change.
async fn diff(store: &S3Store, file: &Path) -> anyhow::Result<bool> {
    let new = read(file)?;
    let old = wanted(store).await.context("reading the rules")?.map_or_else(|| DEFAULT_CONFIG.to_owned(), |(text, _)| text);
    let diff = TextDiff::from_lines(&old, &new);
    let loaded = load(&new, &variable);
    if loaded.findings.iter().any(|finding| finding.severity != Severity::Note) {
        note(render(&loaded, &file.display().to_string()).trim_end());
    }
    let shown =
        diff.unified_diff().context_radius(CONTEXT_LINES).header("the deployment", &file.display().to_string()).to_string();
    print(&shown);
    Ok(!shown.is_empty())
}

async fn push_file(store: &S3Store, file: &Path) -> anyhow::Result<()> {
    let text = read(file)?;
    let loaded = load(&text, &variable);
    note(render(&loaded, &file.display().to_string()).trim_end());
    let before = match wanted(store).await {
        Ok(before) => before.map(|(_, etag)| etag),
        // What is there cannot even be read as text: it is what the push mends.
        Err(RulesError::Refused(_)) => {
            return Err(anyhow!("what lies there is no configuration: delete rules/current.yaml, and push again"));
        }
        Err(error) => return Err(error).context("reading the rules"),
    };
    let version = push(store, &text, before.as_ref(), compiler().as_ref()).await.context("nothing has changed")?;
    say(&format!(
        "Version {version} is wanted now. The archiver checks it once more within a minute; traces that begin after the next \
         heartbeat are decided by it. `spanlake rules show` tells when it is in force."
    ));
    Ok(())
}

/// What a deployment's rules may ask of the environment.
fn variable(name: &str) -> Option<String> {
    name.starts_with(VARIABLE_PREFIX).then(|| std::env::var(name).ok()).flatten()
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}
