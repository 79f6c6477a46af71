//! What a dry run tells: as text, and as JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde_json::{Value, json};
use spanlake_model::Signal;
use spanlake_policy::{BY_PROCESSOR, Rules};

use super::cost::{FORMULA, volume};
use super::scan::{Findings, Text};
use super::tally::{Basis, Counted, Fate, Move, Ruling, Service, Sum, Taken, Unknown};
use crate::why::timestamp_text;

/// Rows of a table; the JSON has all of them.
const ROWS_MAX: usize = 30;

/// What a day is told by without a warning.
const DAY_MINUTES_LEAST: f64 = 60.0;

/// The report as text.
pub(super) fn text(findings: &Findings, rules: &Rules, name: &str) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _infallible = write(&mut out, findings, rules, name);
    out
}

fn write(out: &mut String, findings: &Findings, rules: &Rules, name: &str) -> fmt::Result {
    let tally = &findings.tally;
    let since = timestamp_text(findings.since_nanos);
    writeln!(
        out,
        "Dry run of {name} (version {}) on what was decided since {since} (UTC), and on what waits. Nothing was changed.\n",
        rules.version()
    )?;
    write_verdicts(out, findings, rules)?;
    write_services(out, findings)?;
    if let Some(followed) = &tally.followed {
        writeln!(
            out,
            "Under these rules logs follow their trace: {} log records would go with one that is not kept.\n",
            followed.gone
        )?;
    }
    write_policies(out, findings, rules)?;
    write_rules(out, "Taken away by processors", &tally.filtered(), |Taken { reason, signal, service }| {
        let reason = reason.strip_prefix(BY_PROCESSOR).unwrap_or(reason);
        format!("{} of {} by {reason}", signal.items(), named(service))
    })?;
    let (masked, ran) = (tally.masked(), tally.statements());
    let in_service = |(rule, service): &(String, String)| format!("{rule}  in {}", named(service));
    write_rules(out, "Masked beside what is masked already, values", &masked, in_service)?;
    write_rules(
        out,
        "Runs of redacting statements of transform, whether they change a value or not, beside those that run already",
        &ran,
        in_service,
    )?;
    if masked.is_empty() && ran.is_empty() {
        writeln!(out, "Masked beside what is masked already: nothing.\n")?;
    }
    write_rules(out, "Statements and conditions that cannot be executed on an item, times", &tally.failed(), in_service)?;
    write_volume(out, findings, rules)?;
    write_limits(out, findings)
}

fn write_verdicts(out: &mut String, findings: &Findings, rules: &Rules) -> fmt::Result {
    let tally = &findings.tally;
    let all = tally.judged.values().fold(Sum::default(), |mut all, sum| {
        all.add(sum.traces, sum.spans);
        all
    });
    writeln!(out, "Judged: {}.", traces(all))?;
    let bases = [
        (Basis::Rows, "are kept, and were read from rows of the lake"),
        (Basis::Kept, "are kept, and were read from their staged bodies"),
        (Basis::NotKept, "are not kept, and were read from their staged bodies"),
        (Basis::Waiting, "wait for their decision, and were judged by their spans so far as if it fell now"),
    ];
    for (basis, words) in bases {
        if let Some(sum) = tally.judged.get(&basis) {
            writeln!(out, "  {:>10} traces, {:>10} spans  {words}", sum.traces, sum.spans)?;
        }
    }
    writeln!(out, "Of these:")?;
    let fates = [
        (Fate::Kept, "would be kept"),
        (Fate::SampledOut, "would not: no policy keeps them"),
        (Fate::Dropped, "would not: a policy drops them"),
        (Fate::Filtered, "would not: processors take all of their spans"),
    ];
    for (fate, words) in fates {
        if let Some(sum) = tally.fates.get(&fate) {
            writeln!(out, "  {:>10} traces, {:>10} spans  {words}", sum.traces, sum.spans)?;
        }
    }
    for why in Unknown::ALL {
        if let Some(unknown) = tally.unknown.get(&why) {
            writeln!(out, "  {:>10} traces, {:>10} spans  cannot be told: {}", unknown.sum.traces, unknown.sum.spans, why.why())?;
            writeln!(out, "{:39}such as {}", "", unknown.examples.join(", "))?;
        }
    }
    let Move { sum, examples } = &tally.uncertain;
    if sum.traces > 0 {
        writeln!(
            out,
            "Of these, {} have another verdict or other spans if attributes had older names or other types than is likely, which columns \
             do not hold:\n{:39}such as {}",
            traces(*sum),
            "",
            examples.join(", ")
        )?;
    }
    let changed: Vec<_> = tally.moves.iter().collect();
    if changed.is_empty() {
        writeln!(out, "No verdict changes, and no policy.\n")?;
        return Ok(());
    }
    writeln!(out, "\nWhat changes, with examples (spanlake why TRACE_ID tells what was decided on one):")?;
    for ((before, then), Move { sum, examples }) in changed.into_iter().take(ROWS_MAX) {
        let becomes = match (then.fate, then.policy.as_str()) {
            (Fate::Kept, "") if !rules.samples() => "kept: no tail_sampling, so all are".to_owned(),
            _ => told(then),
        };
        writeln!(out, "  {} -> {becomes}: {}", told(before), traces(*sum))?;
        writeln!(out, "      {}", examples.join(" "))?;
    }
    writeln!(out)
}

fn write_services(out: &mut String, findings: &Findings) -> fmt::Result {
    let mut services: Vec<_> = findings.tally.services.iter().collect();
    let items = |service: &Service| service.spans + service.records.0.iter().map(|[now, _]| now).sum::<u64>();
    services.sort_by_key(|(name, service)| (std::cmp::Reverse(items(service)), (*name).clone()));
    let width = services.iter().take(ROWS_MAX).map(|(name, _)| named(name).chars().count()).max().unwrap_or(7).max(7);
    writeln!(
        out,
        "{:<width$} {:>10} {:>10} {:>8} {:>10} {:>10} {:>10} {:>10}",
        "service", "spans now", "then", "change", "logs now", "then", "points now", "then"
    )?;
    for (name, service) in services.iter().take(ROWS_MAX) {
        let ([logs, new_logs], [points, new_points]) = (service.records[Signal::Logs], service.records[Signal::Metrics]);
        writeln!(
            out,
            "{:<width$} {:>10} {:>10} {:>8} {logs:>10} {new_logs:>10} {points:>10} {new_points:>10}",
            named(name),
            service.spans,
            service.new_spans,
            change(service.spans, service.new_spans),
        )?;
    }
    write_more(out, services.len())?;
    writeln!(out)
}

fn write_policies(out: &mut String, findings: &Findings, rules: &Rules) -> fmt::Result {
    let policies = &findings.tally.policies;
    let width = policies.keys().map(|name| named(name).chars().count()).max().unwrap_or(9).max(9);
    writeln!(
        out,
        "{:<width$} {:>11} {:>10} {:>10} {:>11} {:>10}",
        "kept by", "traces now", "spans now", "stand for", "traces then", "spans"
    )?;
    for (name, policy) in policies {
        let (old, new) = (policy.old, policy.new);
        let weight = policy.old_weight;
        writeln!(
            out,
            "{:<width$} {:>11} {:>10} {weight:>10.0} {:>11} {:>10}",
            named(name),
            old.traces,
            old.spans,
            new.traces,
            new.spans
        )?;
    }
    if !rules.samples() {
        writeln!(out, "These rules have no tail_sampling: all traces are kept, by no policy.")?;
    }
    writeln!(out)
}

fn write_rules<K>(out: &mut String, title: &str, counts: &BTreeMap<K, Counted>, name: impl Fn(&K) -> String) -> fmt::Result {
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(out, "{title}:")?;
    for (key, Counted { likely, least, most }) in counts.iter().take(ROWS_MAX) {
        write!(out, "  {likely:>10}  {}", name(key))?;
        if least == most {
            writeln!(out)?;
        } else {
            writeln!(out, "  (from {least} to {most}, if attributes had older names or other types)")?;
        }
    }
    write_more(out, counts.len())?;
    writeln!(out)
}

/// Says how many rows a table has that are not shown.
fn write_more(out: &mut String, rows: usize) -> fmt::Result {
    if rows > ROWS_MAX {
        writeln!(out, "... and {} more; --format json has all of them", rows - ROWS_MAX)?;
    }
    Ok(())
}

fn write_volume(out: &mut String, findings: &Findings, rules: &Rules) -> fmt::Result {
    let (estimate, gone) = (findings.estimate(), findings.gone());
    if gone.traces > 0 {
        let told = if rules.samples() {
            "Whether these rules would keep one of them cannot be told."
        } else {
            "These rules would keep all of them, but for what processors take away: estimates lack those that no weight stands for."
        };
        writeln!(out, "Not kept, and their bodies are gone: {}. {told}", traces(gone))?;
        for ((verdict, policy), sum) in &findings.gone {
            let by = if policy.is_empty() { String::new() } else { format!(" by {policy}") };
            writeln!(out, "  {:>10} traces, {:>10} spans  {}{by}", sum.traces, sum.spans, verdict.replace('_', " "))?;
        }
        writeln!(
            out,
            "By their weights, the traces that were read from the lake stand for about {:.0} of them ({:.0} spans), which chance or limits \
             alone left out.",
            estimate.left_out_traces, estimate.left_out_spans
        )?;
        writeln!(out, "For the others nothing in the lake stands: no policy might have kept them, or one dropped them.")?;
    }
    if findings.is_limited {
        writeln!(
            out,
            "How much of everything these rules would keep is not estimated: they limit rates, and what would compete for the room is \
             gone.\n"
        )?;
    } else {
        writeln!(
            out,
            "Of everything that was judged or that the lake stands for, these rules would keep about {:.0} traces ({:.0} spans); {} are \
             kept now.\n",
            estimate.traces,
            estimate.spans,
            traces(findings.tally.now)
        )?;
    }
    write_day(out, findings)
}

fn write_day(out: &mut String, findings: &Findings) -> fmt::Result {
    let Some(volume) = volume(findings) else { return Ok(()) };
    let minutes = nanos_to_minutes(findings.covered_nanos);
    if minutes < DAY_MINUTES_LEAST {
        writeln!(out, "These {minutes:.1} minutes are a short basis for a day: with an hour or more its figures mean more.")?;
    }
    let by = if findings.is_limited { "of what was judged alone" } else { "by that estimate" };
    writeln!(out, "A day like these {minutes:.1} minutes, {by}:")?;
    writeln!(out, "{:<46} {:>10} {:>10} {:>9}", "", "now", "then", "change")?;
    let mut line = |name: &str, unit: f64, [now, then]: [f64; 2], digits: usize| {
        writeln!(out, "  {name:<44} {:>10.digits$} {:>10.digits$} {:>9}", now / unit, then / unit, percent(now, then))
    };
    for signal in Signal::ALL {
        let lacks = if signal == Signal::Logs && findings.logs_sampled_out > 0 { " (then: at least)" } else { "" };
        line(&format!("{}, thousands{lacks}", signal.items()), 1e3, volume.items[signal], 1)?;
    }
    if let Some(files) = volume.files {
        line("their files, MB", 1e6, files.bytes, 1)?;
        line("on AWS: storage, USD a month", 1.0, files.storage_usd, 4)?;
        line("on AWS: a query that reads a whole day, USD", 1.0, files.scan_usd, 6)?;
        writeln!(out, "  {FORMULA}.")?;
    } else {
        writeln!(out, "  What files take cannot be told: there are none yet to tell sizes by. Ask again in half a minute.")?;
    }
    writeln!(
        out,
        "  Ingest, stream and grouping cost the same: they follow what is sent. `infra/cost --kept SHARE` has the whole bill.\n"
    )
}

fn write_limits(out: &mut String, findings: &Findings) -> fmt::Result {
    writeln!(out, "Bear in mind:")?;
    writeln!(
        out,
        "- The rules ran on what is stored or staged: behind the processors and the masking of their time. What those have taken away or \
         masked is not there any more; a statement that is not the same when it is done twice comes out otherwise."
    )?;
    for (version, text) in &findings.old {
        let why = match text {
            Text::Usable => continue,
            Text::Missing => "is not in the folder",
            Text::Differs => {
                "is in the folder, but does not come to this version here: an environment variable that it names is not set, or has \
                 another value than then. Set it as it was and ask again. Until then it is as if the text were missing"
            }
        };
        writeln!(
            out,
            "- Rules of version {version} decided some traces, or are in force. Their text {why}, so nothing says how well the traces are read back."
        )?;
    }
    if findings.kept_whole.traces > 0 {
        writeln!(
            out,
            "- {} were kept because of spanlake keep-all, which was in force for a while. It is not part of this file: the report says \
             what these rules make of them by themselves.",
            traces(findings.kept_whole)
        )?;
    }
    if findings.is_limited {
        writeln!(
            out,
            "- These rules limit rates. Traces whose bodies are gone do not compete for the room here, so fewer may be kept than said."
        )?;
    }
    if findings.waits_differ {
        writeln!(
            out,
            "- decision_wait or window differ. Traces are taken with the spans that they were decided by; another wait sees others."
        )?;
    }
    if let Some(followed) = findings.tally.followed.as_ref().filter(|followed| followed.untold > 0) {
        writeln!(
            out,
            "- Under these rules logs follow their trace. Of {} log records the trace was not judged, and they are taken as kept: it is \
             gone, was decided before, is not known for sure, or has no spans and leaves them to be kept.",
            followed.untold
        )?;
    }
    write_not_run(out, findings)
}

/// What of the folder no number has.
fn write_not_run(out: &mut String, findings: &Findings) -> fmt::Result {
    if findings.logs_sampled_out > 0 {
        writeln!(
            out,
            "- {} log records were sampled out with their traces since the folder began. Their bodies are gone: whether these rules \
             would keep them cannot be told: what logs and their files come to \"then\" is the least that it can be.",
            findings.logs_sampled_out
        )?;
    }
    for (policy, spans) in &findings.undecided {
        writeln!(out, "- {spans} spans were kept beside the decision on their trace ({policy}). They are not run.")?;
    }
    if findings.not_filed > 0 {
        writeln!(
            out,
            "- {} kept traces are neither staged nor in the lake: not filed yet, or no more there.",
            findings.not_filed
        )?;
    }
    if findings.tally.waiting_not_run > 0 {
        writeln!(
            out,
            "- {} spans wait for a decision and were not run: they were decided meanwhile, their rules cannot be read, or they are too \
             many. Ask again in half a minute.",
            findings.tally.waiting_not_run
        )?;
    }
    Ok(())
}

fn range(counted: Counted) -> Value {
    json!({ "likely": counted.likely, "at_least": counted.least, "at_most": counted.most })
}

/// Rows of counts by something and service; `what` and `unit` are the keys of that and of the count.
fn by_service(counts: BTreeMap<(String, String), Counted>, what: &str, unit: &str) -> Vec<Value> {
    counts.into_iter().map(|((of, service), counted)| json!({ what: of, "service": service, unit: range(counted) })).collect()
}

/// The report as JSON.
pub(super) fn to_json(findings: &Findings, rules: &Rules, name: &str) -> Value {
    let (tally, estimate, of_rows) = (&findings.tally, findings.estimate(), findings.estimate_of_rows());
    let is_estimated = !findings.is_limited;
    let sum = |sum: &Sum| json!({ "traces": sum.traces, "spans": sum.spans });
    // Where all is cut to what was decided, each service is.
    let part = if tally.estimate.spans > 0.0 { of_rows.spans / tally.estimate.spans } else { 1.0 };
    #[expect(clippy::cast_precision_loss, reason = "estimates")]
    let estimated = |service: &Service| service.estimated_spans * part + service.staged_spans as f64;
    let services = tally.services.iter().map(|(name, service)| {
        json!({
            "service": name, "spans": service.spans, "new_spans": service.new_spans,
            "estimated_spans": is_estimated.then(|| estimated(service)),
            "log_records": service.records[Signal::Logs][0], "new_log_records": service.records[Signal::Logs][1],
            "data_points": service.records[Signal::Metrics][0], "new_data_points": service.records[Signal::Metrics][1],
        })
    });
    let policies = tally.policies.iter().map(|(name, policy)| {
        json!({ "policy": name, "now": sum(&policy.old), "now_weight": policy.old_weight, "new": sum(&policy.new) })
    });
    let moves = tally.moves.iter().map(|((before, then), Move { sum: of, examples })| {
        json!({
            "verdict": before.fate.name(), "policy": before.policy, "new_verdict": then.fate.name(), "new_policy": then.policy,
            "sum": sum(of), "examples": examples,
        })
    });
    let judged = Basis::ALL.map(|basis| (basis.name(), sum(&tally.judged.get(&basis).copied().unwrap_or_default())));
    let unknown = tally
        .unknown
        .iter()
        .map(|(why, Move { sum: of, examples })| json!({ "reason": why.name(), "sum": sum(of), "examples": examples }));
    let gone =
        findings.gone.iter().map(|((verdict, policy), of)| json!({ "verdict": verdict, "policy": policy, "sum": sum(of) }));
    let filtered = tally.filtered().into_iter().map(|(taken, counts)| {
        json!({ "reason": taken.reason, "signal": taken.signal.name(), "service": taken.service, "items": range(counts) })
    });
    let volume = volume(findings).map(|volume| {
        json!({
            "by": if is_estimated { "estimate" } else { "judged" },
            "spans": volume.items[Signal::Traces], "log_records": volume.items[Signal::Logs],
            "data_points": volume.items[Signal::Metrics], "file_bytes": volume.files.map(|files| files.bytes),
            "storage_usd_a_month": volume.files.map(|files| files.storage_usd),
            "query_of_a_day_usd": volume.files.map(|files| files.scan_usd), "formula": FORMULA,
        })
    });
    let old_rules: BTreeMap<&String, &str> = findings.old.iter().map(|(version, text)| (version, text.name())).collect();
    let fates: serde_json::Map<String, Value> = tally.fates.iter().map(|(fate, of)| (fate.name().to_owned(), sum(of))).collect();
    json!({
        "config": name, "rules_version": rules.version(), "since": timestamp_text(findings.since_nanos),
        "judged": BTreeMap::from(judged), "now": sum(&tally.now), "new": sum(&tally.new), "verdicts": fates,
        "services": services.collect::<Vec<_>>(), "policies": policies.collect::<Vec<_>>(), "changes": moves.collect::<Vec<_>>(),
        "unknown": unknown.collect::<Vec<_>>(),
        "uncertain": { "sum": sum(&tally.uncertain.sum), "examples": tally.uncertain.examples },
        "not_kept": gone.collect::<Vec<_>>(), "masked": by_service(tally.masked(), "rule", "values"),
        "redacting_statements": by_service(tally.statements(), "rule", "runs"),
        "filtered": filtered.collect::<Vec<_>>(), "failed": by_service(tally.failed(), "what", "times"),
        "estimate": {
            "left_out_by_chance": { "traces": estimate.left_out_traces, "spans": estimate.left_out_spans },
            "new": is_estimated.then(|| json!({ "traces": estimate.traces, "spans": estimate.spans })),
        },
        "a_day": volume, "has_limits": rules.has_limits(), "waits_differ": findings.waits_differ, "old_rules": old_rules,
        "spans_not_run": findings.undecided,
        "kept_by_keep_all": sum(&findings.kept_whole), "log_records_sampled_out": findings.logs_sampled_out,
        "logs_follow_trace": tally.followed.as_ref().map(|followed| {
            json!({ "log_records_not_kept": followed.gone, "log_records_not_told": followed.untold })
        }),
        "traces_not_filed": findings.not_filed, "waiting_spans_not_run": tally.waiting_not_run,
    })
}

/// A ruling in words.
fn told(ruling: &Ruling) -> String {
    match ruling.fate {
        Fate::Kept if ruling.policy.is_empty() => "kept without a policy".to_owned(),
        Fate::Kept => format!("kept by {}", ruling.policy),
        Fate::Dropped => format!("dropped by {}", named(&ruling.policy)),
        Fate::SampledOut => "kept by no policy".to_owned(),
        Fate::Filtered => "taken away by processors".to_owned(),
    }
}

/// A name; in words where it is empty.
fn named(name: &str) -> &str {
    if name.is_empty() { "(none)" } else { name }
}

fn traces(sum: Sum) -> String {
    format!("{} traces ({} spans)", sum.traces, sum.spans)
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn change(now: u64, then: u64) -> String {
    percent(now as f64, then as f64)
}

fn percent(now: f64, then: f64) -> String {
    // Sums of shares are rounded.
    if (now - then).abs() <= now.abs() * 1e-9 {
        return "=".to_owned();
    }
    if now == 0.0 { "new".to_owned() } else { format!("{:+.1} %", (then / now - 1.0) * 100.0) }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn nanos_to_minutes(nanos: i64) -> f64 {
    nanos as f64 / 60e9
}
