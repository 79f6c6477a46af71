//! `spanlake why`: every policy's vote on a trace with the value that decided it, the deciding one, weight, wait and lateness.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use spanlake_model::TraceId;
use spanlake_pipeline::Verdict;
use spanlake_pipeline::archive::partition_of;
use spanlake_pipeline::inspect::RecordedDecision;
use spanlake_policy::TOO_LARGE;

use crate::cli::IdArgs;
use crate::folder::{Folder, runtime};
use crate::lake::{open, texts};
use crate::terminal::print;

/// A longer name of a policy moves what stands behind it.
const COLUMN_MAX: usize = 32;

/// Exit code 0 if anything is known of the trace, 1 if not.
pub(crate) fn run(args: &IdArgs) -> anyhow::Result<ExitCode> {
    let id = parse_id(&args.id)?;
    let folder = Folder::open(&args.data.data)?;
    let (found, text) = runtime()?.block_on(explain(&folder, id))?;
    print(&text);
    Ok(if found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(crate) fn parse_id(text: &str) -> anyhow::Result<TraceId> {
    text.trim().parse().map_err(|error| anyhow!("{text:?} is no trace id: {error}"))
}

/// Whether anything is known of a trace, and the text about it.
pub(crate) async fn explain(folder: &Folder, id: TraceId) -> anyhow::Result<(bool, String)> {
    let state = folder.find_trace(id).await?;
    let mut decisions = in_lake(folder, id).await?;
    let newer = state.decisions.iter().map(Decision::from);
    decisions.extend(newer.filter(|newer| !decisions.iter().any(|known| known.decided == newer.decided)).collect::<Vec<_>>());
    decisions.sort_by(|a, b| a.decided.cmp(&b.decided));
    let mut out = String::new();
    for decision in &decisions {
        decision.write(&mut out, id)?;
    }
    out.push_str(&late_text(late_spans(folder, id).await?, &decisions));
    let waiting = state.spans.iter().filter(|span| !span.is_decided).count();
    if waiting > 0 {
        writeln!(
            out,
            "{waiting} of its spans wait for a decision; it falls when the wait and the window are over. Ask again in half a minute."
        )?;
    }
    let found = !out.is_empty();
    if !found {
        writeln!(
            out,
            "Nothing is known of trace {id}. Either its spans arrived within the last seconds (ask again), or none arrived here, or it was \
             decided longer ago than files are kept.\n\
             Look whether its service sends here: spanlake sql --saved services --data {}",
            folder.path.display()
        )?;
    }
    Ok((found, out))
}

/// A point in time as the SQL engine writes it: `2026-11-21T08:15:00.000Z`.
pub(crate) fn timestamp_text(nanos: i64) -> String {
    let partition = partition_of(nanos);
    let (date, hour) = partition.split_once('/').unwrap_or_default();
    let (date, hour) = (date.trim_start_matches("dt="), hour.trim_start_matches("hour="));
    let ms = nanos.div_euclid(spanlake_model::NANOS_PER_MS).rem_euclid(3_600_000);
    format!("{date}T{hour}:{:02}:{:02}.{:03}Z", ms / 60_000, ms / 1_000 % 60, ms % 1_000)
}

/// A decision, from the lake or from the folder's state.
struct Decision {
    /// RFC 3339-like, UTC, to compare and to print.
    decided: String,
    verdict: String,
    policy: String,
    weight: f64,
    votes: Vec<(String, String)>,
    /// The value that decided each vote, by policy.
    reasons: Vec<(String, String)>,
    spans: String,
    errors: String,
    wait_ms: String,
    is_complete: bool,
    rules: String,
}

impl From<&RecordedDecision> for Decision {
    fn from(recorded: &RecordedDecision) -> Self {
        let reason = &recorded.reason;
        Self {
            decided: timestamp_text(recorded.decided_nanos),
            verdict: reason.verdict.name().to_owned(),
            policy: reason.policy.clone(),
            weight: reason.weight,
            votes: reason.votes.clone(),
            reasons: recorded.explanations.clone(),
            spans: recorded.spans.to_string(),
            errors: recorded.errors.to_string(),
            wait_ms: recorded.wait_ms.to_string(),
            is_complete: recorded.is_complete,
            rules: reason.rules.clone(),
        }
    }
}

impl Decision {
    fn write(&self, out: &mut String, id: TraceId) -> std::fmt::Result {
        let verdict = match self.verdict.as_str() {
            name if name == Verdict::Kept.name() => "was kept",
            name if name == Verdict::Dropped.name() && self.is_too_large() => {
                "was dropped: it is larger than maximum_trace_size_bytes"
            }
            name if name == Verdict::Dropped.name() => "was dropped: a drop policy vetoed it",
            _ => "was sampled out: no policy kept it",
        };
        writeln!(out, "Trace {id} {verdict}.")?;
        writeln!(out, "  decided     {} (UTC), {} ms after its first span", self.decided, self.wait_ms)?;
        writeln!(out, "  on          {} spans, {} of them errors", self.spans, self.errors)?;
        match self.reason(&self.policy).filter(|_| !self.has_vote(&self.policy)) {
            _ if self.policy.is_empty() => writeln!(out, "  deciding    none")?,
            Some(reason) => writeln!(out, "  deciding    {}: {reason}", self.policy)?,
            None => writeln!(out, "  deciding    {}", self.policy)?,
        }
        if self.verdict == Verdict::Kept.name() {
            writeln!(
                out,
                "  weight      {} (it stands for so many traces that came here; head samplers count on top of it)",
                self.weight
            )?;
            if !self.is_complete {
                writeln!(out, "  incomplete  it passed the caps of a trace; the rest was dropped and counted")?;
            }
        }
        writeln!(out, "  rules       {}", self.rules)?;
        self.write_votes(out)
    }

    /// A line for each vote, in columns; the policy that decided is marked.
    fn write_votes(&self, out: &mut String) -> std::fmt::Result {
        if self.votes.is_empty() {
            return Ok(());
        }
        writeln!(out, "  votes       (> decided)")?;
        let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0).min(COLUMN_MAX);
        let names = widest(&mut self.votes.iter().map(|(policy, _)| policy.chars().count()));
        let words = widest(&mut self.votes.iter().map(|(_, vote)| vote.len()));
        for (policy, vote) in &self.votes {
            let sub = self.policy.strip_prefix(policy.as_str());
            let mark = if sub.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) { '>' } else { ' ' };
            let line = format!("  {mark} {policy:<names$}  {:<words$}", vote.replace('_', " "));
            match self.reason(policy) {
                Some(reason) => writeln!(out, "{line}  {reason}")?,
                None => writeln!(out, "{}", line.trim_end())?,
            }
        }
        Ok(())
    }

    /// Whether its size alone decided: then no policy was asked, and none of the configuration has this name.
    fn is_too_large(&self) -> bool {
        self.policy == TOO_LARGE && !self.has_vote(TOO_LARGE)
    }

    fn has_vote(&self, policy: &str) -> bool {
        self.votes.iter().any(|(of, _)| of == policy)
    }

    fn reason(&self, policy: &str) -> Option<&str> {
        self.reasons.iter().find(|(of, _)| of == policy).map(|(_, reason)| reason.as_str())
    }
}

async fn in_lake(folder: &Folder, id: TraceId) -> anyhow::Result<Vec<Decision>> {
    let lake = open(&folder.path)?;
    let sql = format!(
        "SELECT decided_time, verdict, policy, weight, votes, span_count, error_count, wait_ms, is_complete, rules_version, \
         vote_reasons \
         FROM decisions WHERE trace_id = '{id}' ORDER BY decided_time"
    );
    let rows = texts(&lake, &sql).await.context("asking the decisions table")?;
    let mut decisions = Vec::new();
    for row in rows {
        let text = |column: usize| row.get(column).cloned().unwrap_or_default();
        decisions.push(Decision {
            decided: text(0),
            verdict: text(1),
            policy: text(2),
            weight: text(3).parse().unwrap_or(1.0),
            votes: by_policy(&text(4)),
            reasons: by_policy(&text(10)),
            spans: text(5),
            errors: text(6),
            wait_ms: text(7),
            is_complete: text(8) == "true",
            rules: text(9),
        });
    }
    Ok(decisions)
}

/// A map of texts, as the SQL engine writes it.
fn by_policy(map: &str) -> Vec<(String, String)> {
    let map: serde_json::Map<String, serde_json::Value> = serde_json::from_str(map).unwrap_or_default();
    map.into_iter().map(|(policy, text)| (policy, text.as_str().unwrap_or_default().to_owned())).collect()
}

/// What is said of the late spans that are in the lake, which are the ones that are kept.
fn late_text(kept: u64, decisions: &[Decision]) -> String {
    let is_kept = |decision: &Decision| decision.verdict == Verdict::Kept.name();
    let why = match (decisions.iter().any(is_kept), decisions.iter().all(is_kept)) {
        (true, true) => " with the trace",
        (false, false) => ": a policy keeps them by themselves",
        _ => "",
    };
    if kept == 0 { String::new() } else { format!("{kept} of its spans came late, after a decision, and are kept{why}.\n") }
}

async fn late_spans(folder: &Folder, id: TraceId) -> anyhow::Result<u64> {
    let lake = open(&folder.path)?;
    let rows = texts(&lake, &format!("SELECT count(*) FROM spans WHERE trace_id = '{id}' AND is_late")).await?;
    Ok(rows.into_iter().flatten().next().and_then(|count| count.parse().ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(policy, text)| ((*policy).to_owned(), (*text).to_owned())).collect()
    }

    fn decision(verdict: Verdict) -> Decision {
        Decision {
            decided: String::new(),
            verdict: verdict.name().to_owned(),
            policy: "slow".to_owned(),
            weight: 1.0,
            votes: pairs(&[("errors", "not_sampled"), ("slow", "sampled"), ("old", "sampled")]),
            reasons: pairs(&[("errors", "no span has status ERROR"), ("slow", "1,432 ms, above 1,000 ms")]),
            spans: "3".to_owned(),
            errors: "0".to_owned(),
            wait_ms: "30000".to_owned(),
            is_complete: true,
            rules: "r1".to_owned(),
        }
    }

    #[test]
    fn late_spans_are_told_by_what_keeps_them() {
        let (kept, out) = (decision(Verdict::Kept), decision(Verdict::SampledOut));
        assert_eq!(late_text(0, &[]), "");
        assert!(late_text(2, std::slice::from_ref(&kept)).ends_with("are kept with the trace.\n"));
        assert!(late_text(1, std::slice::from_ref(&out)).ends_with("are kept: a policy keeps them by themselves.\n"));
        assert!(late_text(1, &[out, kept]).ends_with("are kept.\n"));
    }

    #[test]
    fn votes_stand_in_columns_with_their_reasons_and_the_deciding_one_is_marked() {
        let decision = decision(Verdict::Kept);
        let mut out = String::new();
        decision.write_votes(&mut out).unwrap();
        let wanted = "  votes       (> decided)\n    errors  not sampled  no span has status ERROR\n  > slow    sampled      1,432 ms, above \
                      1,000 ms\n    old     sampled\n";
        assert_eq!(out, wanted);
        let large = Decision {
            verdict: Verdict::Dropped.name().to_owned(),
            policy: TOO_LARGE.to_owned(),
            votes: Vec::new(),
            reasons: pairs(&[("maximum_trace_size_bytes", "1,432 bytes, beyond 1,000")]),
            ..decision
        };
        let mut out = String::new();
        large.write(&mut out, TraceId::default()).unwrap();
        assert!(out.contains("deciding    maximum_trace_size_bytes: 1,432 bytes, beyond 1,000\n"), "{out}");
        assert!(!out.contains("votes") && !out.contains("a drop policy"), "{out}");
        assert!(out.contains("was dropped: it is larger than maximum_trace_size_bytes.\n"), "{out}");
    }
}
