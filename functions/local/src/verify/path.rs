//! Sends marked items to the running process, waits until they are in the lake, and compares every value.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use spanlake_model::Signal;
use spanlake_pipeline::Verdict;
use spanlake_pipeline::archive::partition_of;
use spanlake_pipeline::inspect::RecordedDecision;
use spanlake_pipeline::ledger::BY_PROCESSOR;
use tokio::runtime::Runtime;

use super::marked::{Expected, Marked};
use super::{Outcome, begin, finish_line, progress};
use crate::cli::VerifyArgs;
use crate::demo::{Target, send};
use crate::folder::{Folder, runtime};
use crate::lake::{open, texts};
use crate::terminal::say;
use crate::up::TOKEN_VARIABLE;

/// Between two looks.
const POLL: Duration = Duration::from_secs(1);

/// How long a trace may take until it is found by its id.
const SEEN_TIMEOUT: Duration = Duration::from_secs(15);

const HOUR_NANOS: i64 = 3_600 * spanlake_model::NANOS_PER_SECOND;

/// Every value that was sent is found again, or the rules say why not.
pub(super) fn check(args: &VerifyArgs, folder: &Folder) -> anyhow::Result<Outcome> {
    ensure!(
        !args.url.starts_with("https:"),
        "marked items are sent without TLS: name the process' own address behind its proxy with --url, or check with --offline \
         what is at rest"
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("reading the clock")?;
    let now_nanos = u64::try_from(now.as_nanos())?;
    let marked = Marked::new(now_nanos);
    let headers = token(args)?.map(|token| ("authorization".to_owned(), format!("Bearer {token}"))).into_iter().collect();
    let target = Target { url: args.url.clone(), headers };
    let sent = send(&target, &marked.requests(), &|_| {}).with_context(|| {
        format!("the marked items were not taken at {}: does `spanlake up` run there? --offline checks without it", args.url)
    })?;
    finish_line();
    let refused: u64 = sent.refused.0.iter().sum();
    if refused > 0 {
        say(&format!("WRONG   intake: {refused} marked items were refused"));
        return Ok(Outcome::Wrong);
    }
    say(&format!("ok      intake: {} answered 200 to all three signals, trace {}", args.url, marked.trace));
    let runtime = runtime()?;
    by_id(&runtime, folder, &marked, &args.url)?;
    say("ok      by id: the trace is found");
    let since = partition_of(i64::try_from(now_nanos)?.saturating_sub(HOUR_NANOS));
    let since = since.split('/').next().unwrap_or_default().trim_start_matches("dt=").to_owned();
    by_sql(&runtime, folder, &marked, &since, args.timeout)
}

fn token(args: &VerifyArgs) -> anyhow::Result<Option<String>> {
    let text = match &args.token_file {
        Some(file) => Some(std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?),
        None => std::env::var(TOKEN_VARIABLE).ok(),
    };
    Ok(text.and_then(|text| text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)))
}

/// Waits until the folder shows the trace by its id, decided or not.
fn by_id(runtime: &Runtime, folder: &Folder, marked: &Marked, url: &str) -> anyhow::Result<()> {
    begin("waiting until the trace is found by its id");
    let begun = Instant::now();
    let mut wanted = marked.span_ids();
    wanted.sort();
    loop {
        let state = runtime.block_on(folder.find_trace(marked.trace))?;
        let mut found: Vec<_> = state.spans.iter().map(spanlake_pipeline::inspect::PendingSpan::span_id).collect();
        found.sort();
        if found == wanted || !state.decisions.is_empty() {
            finish_line();
            return Ok(());
        }
        if begun.elapsed() > SEEN_TIMEOUT {
            bail!(
                "{url} took the items, and after {} s {} does not show them: does that process work on this folder, and does it keep \
                 up? `spanlake status` shows its clocks",
                SEEN_TIMEOUT.as_secs(),
                folder.path.display()
            );
        }
        std::thread::sleep(POLL);
    }
}

/// Waits until everything is in the lake, and compares.
fn by_sql(runtime: &Runtime, folder: &Folder, marked: &Marked, since: &str, timeout: Duration) -> anyhow::Result<Outcome> {
    begin("waiting until the marked items are decided and archived");
    let expected = marked.expected(since);
    let begun = Instant::now();
    loop {
        let mut answers = Vec::new();
        let lake = open(&folder.path)?;
        for expected in &expected {
            let mut rows =
                runtime.block_on(texts(&lake, &expected.sql)).with_context(|| format!("asking for {}", expected.what))?;
            rows.sort();
            answers.push(rows);
        }
        let decision = runtime.block_on(folder.find_trace(marked.trace))?.decisions.into_iter().next();
        let is_kept = decision.as_ref().is_none_or(|decision| decision.reason.verdict == Verdict::Kept);
        let arrived = |(number, rows): (usize, &Vec<Vec<String>>)| !rows.is_empty() || number == 0 && !is_kept;
        if answers.iter().enumerate().all(arrived) {
            finish_line();
            return Ok(compare(&expected, &answers, decision.filter(|_| !is_kept).as_ref()));
        }
        if begun.elapsed() > timeout {
            finish_line();
            let lacks: Vec<&str> =
                expected.iter().zip(&answers).filter(|(_, rows)| rows.is_empty()).map(|(of, _)| of.what).collect();
            let droppers = runtime.block_on(droppers(folder, &lacks))?;
            if lacks.iter().all(|what| droppers.iter().any(|(dropped, _)| dropped == what)) {
                say(&format!(
                    "skipped by SQL: the lake has no {} of this run, and rules here drop such items: {}. Whether they did, or the way \
                     to the lake is broken, cannot be told by them",
                    lacks.join(", "),
                    droppers.into_iter().map(|(_, reason)| reason).collect::<Vec<_>>().join(", ")
                ));
                return Ok(Outcome::NotChecked);
            }
            say(&format!(
                "WRONG   by SQL: after {} s the lake has no {} of this run. `spanlake status` shows where they are; a longer \
                 decision wait needs a longer --timeout",
                timeout.as_secs(),
                lacks.join(", ")
            ));
            return Ok(Outcome::Wrong);
        }
        progress(&format!("waiting until the marked items are decided and archived, {} s", begun.elapsed().as_secs()));
        std::thread::sleep(POLL);
    }
}

/// The processors that have dropped items of these kinds so far, each with the kind.
async fn droppers(folder: &Folder, kinds: &[&'static str]) -> anyhow::Result<Vec<(&'static str, String)>> {
    let ledger = folder.overview().await?.ledger;
    let mut droppers = Vec::new();
    for what in kinds {
        let accounts = Signal::ALL.into_iter().filter(|signal| signal.items() == *what).map(|signal| ledger.account(signal));
        let reasons = accounts.flat_map(|account| account.dropped.keys().filter(|reason| reason.starts_with(BY_PROCESSOR)));
        droppers.extend(reasons.map(|reason| (*what, reason.clone())));
    }
    Ok(droppers)
}

fn compare(expected: &[Expected], answers: &[Vec<Vec<String>>], not_kept: Option<&RecordedDecision>) -> Outcome {
    let mut outcome = Outcome::Right;
    for (expected, rows) in expected.iter().zip(answers) {
        let what = expected.what;
        match not_kept.filter(|_| rows.is_empty()) {
            Some(decision) => say(&format!(
                "ok      by SQL: no {what}, since your rules did not keep the trace ({}, policy {:?})",
                decision.reason.verdict.name(),
                decision.reason.policy
            )),
            None if *rows == expected.rows => say(&format!("ok      by SQL: {} {what}, every value equal", rows.len())),
            None => {
                outcome = Outcome::Wrong;
                say(&format!("WRONG   by SQL: the {what} are not what was sent (do your rules rewrite them?)"));
                for (word, rows) in [("sent ", &expected.rows), ("found", rows)] {
                    for row in rows {
                        say(&format!("        {word} {}", row.join(" | ")));
                    }
                }
            }
        }
    }
    outcome
}
