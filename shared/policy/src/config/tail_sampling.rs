//! The `tail_sampling` processor.

mod conditions;
mod policies;

use super::expand;
use super::own::Own;
use super::reader::{Fields, Findings};
use super::yaml::Tree;
use crate::KEEP_ALL;
use crate::lints::Lint;
use crate::rules::Leaves;
use crate::sampling::{Body, CELLS_MAX, Condition, Options, POLICIES_MAX, Policy, SALTS_MAX, Sampler, UNITS_MAX};
use policies::Reader;

/// Upstream's `decision_wait` where none is given.
const DECISION_WAIT_MS: u64 = 30_000;

/// What a `tail_sampling` block says.
#[derive(Debug, Default)]
pub(super) struct TailSampling {
    pub(super) decision_wait_ms: u64,
    pub(super) root_wait_ms: Option<u64>,
    pub(super) sampler: Sampler,
    pub(super) leaves: Leaves,
}

/// Reads a `tail_sampling` block.
pub(super) fn read(tree: &Tree, path: &str, own: &Own, findings: &mut Findings) -> TailSampling {
    let mut fields = Fields::new(tree, path, findings);
    let decision_wait_ms = fields.duration_ms("decision_wait", findings).unwrap_or(DECISION_WAIT_MS);
    let root_wait_ms = fields.duration_ms("decision_wait_after_root_received", findings).filter(|wait| *wait > 0);
    without_effect(&mut fields, findings);
    let options = options(&mut fields, own, findings);
    let line = fields.line_of("policies");
    let list = fields.list("policies", findings);
    let at = fields.path_of("policies");
    fields.finish(findings);
    if list.is_empty() {
        let advice = "add policies, or take tail_sampling out of the pipeline";
        findings.find(Lint::NoPolicies, line, &at, "there are no policies: nothing is kept", advice);
    }
    if list.len() > POLICIES_MAX {
        findings.refuse(Lint::TooLarge, line, &at, format!("more than {POLICIES_MAX} policies"));
    }
    let mut reader = Reader::new(own.latency_inclusive, findings);
    let mut policies: Vec<Policy> = Vec::new();
    for (place, item) in list.iter().enumerate() {
        let path = format!("{at}[{place}]");
        let Some(policy) = reader.policy(item, &path) else { continue };
        if policies.iter().any(|known| known.name == policy.name) {
            let message = format!("duplicate policy name \"{}\"", policy.name);
            let advice = "give each policy a name of its own: decisions and spans name the policy that kept them";
            reader.findings.find(Lint::DuplicateName, item.line, &path, message, advice);
        }
        if policy.name == KEEP_ALL {
            let message = format!("the policy is named `{KEEP_ALL}`, as what `spanlake keep-all` keeps");
            reader.findings.refuse(Lint::ReservedName, item.line, &path, message);
        }
        if options.by_record {
            by_record(&policy, item.line, &path, reader.findings);
        }
        policies.push(policy);
    }
    reader.check_sizes(line, &at);
    let Reader { leaves, buckets, units, salts, names, findings, .. } = reader;
    if salts.len() > SALTS_MAX {
        findings.refuse(Lint::TooLarge, line, &at, format!("more than {SALTS_MAX} different hash_salts"));
    }
    if units.len() > UNITS_MAX {
        findings.refuse(Lint::TooLarge, line, &at, format!("more than {UNITS_MAX} policies and sub-policies with a limit"));
    }
    let mut sampler = Sampler::new(policies, buckets, units, options);
    sampler.names = names;
    sampler.has_variables = expand::has_variable(tree);
    if sampler.cells_max() > CELLS_MAX {
        let message = format!(
            "the probabilistic policies' percentages and salts make more than {CELLS_MAX} combinations: weights can't be computed"
        );
        findings.refuse(Lint::TooLarge, line, &at, message);
    }
    TailSampling { decision_wait_ms, root_wait_ms, sampler, leaves }
}

/// What says how all policies are evaluated.
fn options(fields: &mut Fields<'_>, own: &Own, findings: &mut Findings) -> Options {
    let first_match = fields.bool("sample_on_first_match", findings).unwrap_or(false);
    let size_bytes_max = fields.integer("maximum_trace_size_bytes", (0, i64::MAX), findings);
    let size_bytes_max = size_bytes_max.and_then(|most| u64::try_from(most).ok()).filter(|most| *most > 0);
    let (line, path) = (fields.line_of("sampling_strategy"), fields.path_of("sampling_strategy"));
    let by_record = match fields.string("sampling_strategy", findings) {
        None | Some("trace-complete") => false,
        Some("span-ingest") => true,
        Some(other) => {
            findings.error(line, &path, format!("invalid sampling_strategy \"{other}\": trace-complete or span-ingest"));
            false
        }
    };
    Options {
        first_match,
        by_record,
        invert_votes: own.invert_decisions,
        consistent: own.consistent,
        hashes_unstated: own.hashes_unstated,
        size_bytes_max,
    }
}

/// What `span-ingest` refuses: a policy that may say yes of a part of a trace and no of the whole.
fn by_record(policy: &Policy, line: u32, path: &str, findings: &mut Findings) {
    let is_stateful = policy.conditions().any(|condition| match condition {
        Condition::Limit(_) => true,
        Condition::Latency(latency) => latency.upper_ms.is_some(),
        Condition::Spans { max, .. } => max.is_some(),
        _ => false,
    });
    if is_stateful {
        let message = "sampling_strategy span-ingest requires all policies to be stateless";
        findings.error(line, path, message);
    }
    if matches!(policy.body, Body::Drop(_)) {
        let advice = "use sampling_strategy trace-complete";
        findings.find(
            Lint::SpanIngestDrop,
            line,
            path,
            "with a drop policy, span-ingest keeps nothing: a later span could still be dropped",
            advice,
        );
    }
}

/// Keys about memory, of which Spanlake has no need.
fn without_effect(fields: &mut Fields<'_>, findings: &mut Findings) {
    const ADVICE: &str = "nothing to do: undecided traces wait on storage, and none is evicted";
    let mut ignored = Vec::new();
    for key in ["num_traces", "expected_new_traces_per_sec"] {
        if fields.integer(key, (0, i64::MAX), findings).is_some() {
            ignored.push(key);
        }
    }
    for key in ["block_on_overflow", "drop_pending_traces_on_shutdown"] {
        if fields.bool(key, findings).is_some() {
            ignored.push(key);
        }
    }
    let storage = fields.string("tail_storage", findings).is_some();
    let shards_line = fields.line_of("num_shards");
    if let Some(shards) = fields.integer("num_shards", (0, i64::MAX), findings) {
        if !(1..=256).contains(&shards) {
            findings.error(shards_line, &fields.path_of("num_shards"), "num_shards must be 1 to 256");
        }
        if shards > 1 && storage {
            findings.error(shards_line, &fields.path_of("num_shards"), "num_shards above 1 excludes tail_storage");
        }
        ignored.push("num_shards");
    }
    if storage {
        ignored.push("tail_storage");
    }
    if let Some(mut cache) = fields.map("decision_cache", findings) {
        cache.integer("sampled_cache_size", (i64::MIN, i64::MAX), findings);
        cache.integer("non_sampled_cache_size", (i64::MIN, i64::MAX), findings);
        cache.finish(findings);
        ignored.push("decision_cache");
    }
    for key in ignored {
        let message = match key {
            "num_traces" => "num_traces has no effect here; in a Collector, traces beyond it are evicted undecided",
            "decision_cache" => "decision_cache has no effect here: every decision is kept for spanlake.late_horizon",
            _ => "this key has no effect here",
        };
        findings.find(Lint::OptionWithoutEffect, fields.line_of(key), &fields.path_of(key), message, ADVICE);
    }
}
