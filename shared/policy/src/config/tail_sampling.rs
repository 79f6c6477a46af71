//! The `tail_sampling` processor.

use std::collections::{BTreeMap, BTreeSet};

use super::reader::{Fields, Findings};
use super::yaml::Tree;
use crate::regex::compile;
use crate::rules::{Matcher, StringLeaf};
use crate::sampling::{Chance, Condition, Latency, POLICIES_MAX, Part, Policy, Sampler, salted, threshold};

/// Upstream's `decision_wait` where none is given.
const DECISION_WAIT_MS: u64 = 30_000;
/// One bit for each condition on spans.
const LEAVES_MAX: usize = 64;

/// Types that upstream has and Spanlake does not have yet.
const LATER: [&str; 9] = [
    "boolean_attribute",
    "bytes_limiting",
    "composite",
    "numeric_attribute",
    "ottl_condition",
    "rate_limiting",
    "span_count",
    "trace_flags",
    "trace_state",
];

/// What a `tail_sampling` block says.
#[derive(Debug)]
pub(super) struct TailSampling {
    pub(super) decision_wait_ms: u64,
    pub(super) sampler: Sampler,
    pub(super) status_leaves: Vec<(u64, u8)>,
    pub(super) string_leaves: Vec<StringLeaf>,
}

/// Reads a `tail_sampling` block. `inclusive` is the older reading of `latency`'s lower bound.
pub(super) fn read(tree: &Tree, path: &str, inclusive: bool, findings: &mut Findings) -> TailSampling {
    let mut fields = Fields::new(tree, path, findings);
    let decision_wait_ms = fields.duration_ms("decision_wait", findings).unwrap_or(DECISION_WAIT_MS);
    without_effect(&mut fields, findings);
    not_yet(&mut fields, findings);
    let first_match = fields.bool("sample_on_first_match", findings).unwrap_or(false);
    let line = fields.line_of("policies");
    let list = fields.list("policies", findings);
    let at = fields.path_of("policies");
    fields.finish(findings);
    if list.is_empty() {
        findings.warn(
            line,
            &at,
            "there are no policies: nothing is kept",
            "add policies, or take tail_sampling out of the pipeline",
        );
    }
    if list.len() > POLICIES_MAX {
        findings.error(line, &at, format!("more than {POLICIES_MAX} policies"));
    }
    let mut reader = Reader { inclusive, salts: BTreeMap::new(), status_leaves: Vec::new(), string_leaves: Vec::new(), findings };
    let mut policies: Vec<Policy> = Vec::new();
    for (place, item) in list.iter().enumerate() {
        let path = format!("{at}[{place}]");
        let Some(policy) = reader.policy(item, &path) else { continue };
        if policies.iter().any(|known| known.name == policy.name) {
            reader.findings.error(item.line, &path, format!("duplicate policy name \"{}\"", policy.name));
        }
        policies.push(policy);
    }
    let salts = u8::try_from(reader.salts.len()).unwrap_or(u8::MAX);
    let Reader { status_leaves, string_leaves, findings, .. } = reader;
    if status_leaves.len() + string_leaves.len() > LEAVES_MAX {
        findings.error(line, &at, format!("more than {LEAVES_MAX} conditions on spans"));
    }
    TailSampling { decision_wait_ms, sampler: Sampler::new(policies, salts, first_match), status_leaves, string_leaves }
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
        findings.note(fields.line_of(key), &fields.path_of(key), message, ADVICE);
    }
}

fn not_yet(fields: &mut Fields<'_>, findings: &mut Findings) {
    let line = fields.line_of("decision_wait_after_root_received");
    if fields.duration_ms("decision_wait_after_root_received", findings).is_some_and(|wait| wait > 0) {
        findings.unsupported(line, &fields.path_of("decision_wait_after_root_received"), "decision_wait_after_root_received");
    }
    let line = fields.line_of("maximum_trace_size_bytes");
    if fields.integer("maximum_trace_size_bytes", (0, i64::MAX), findings).is_some_and(|size| size > 0) {
        findings.unsupported(line, &fields.path_of("maximum_trace_size_bytes"), "maximum_trace_size_bytes");
    }
    let line = fields.line_of("sampling_strategy");
    let path = fields.path_of("sampling_strategy");
    match fields.string("sampling_strategy", findings) {
        None | Some("trace-complete") => {}
        Some("span-ingest") => findings.unsupported(line, &path, "sampling_strategy span-ingest"),
        Some(other) => {
            findings.error(line, &path, format!("invalid sampling_strategy \"{other}\": trace-complete or span-ingest"));
        }
    }
}

struct Reader<'a> {
    inclusive: bool,
    salts: BTreeMap<String, u8>,
    status_leaves: Vec<(u64, u8)>,
    string_leaves: Vec<StringLeaf>,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn policy(&mut self, tree: &Tree, path: &str) -> Option<Policy> {
        let mut fields = Fields::new(tree, path, self.findings);
        let name = fields.string("name", self.findings).unwrap_or_default().to_owned();
        if name.is_empty() {
            self.findings.error(tree.line, path, "a policy needs a name");
        }
        let line = fields.line_of("type");
        let kind = fields.string("type", self.findings).unwrap_or_default();
        let (kind, drops, parts) = match kind {
            "and" => ("and", false, self.parts(&mut fields, "and", "and_sub_policy")),
            "drop" => ("drop", true, self.parts(&mut fields, "drop", "drop_sub_policy")),
            "not" => ("not", false, self.not(&mut fields).into_iter().collect()),
            _ => {
                let (kind, condition) = self.condition(&mut fields, kind, line)?;
                (kind, false, vec![Part { condition, negated: false }])
            }
        };
        fields.finish(self.findings);
        self.one_chance(&parts, tree.line, path);
        Some(Policy { name, kind, drops, parts })
    }

    /// The weight of a kept trace is only known where a policy depends on one share of one salt.
    fn one_chance(&mut self, parts: &[Part], line: u32, path: &str) {
        let chances = parts.iter().filter_map(|part| match part.condition {
            Condition::Chance(chance) => Some((chance.salt, part.negated)),
            _ => None,
        });
        let kinds: BTreeSet<(u8, bool)> = chances.collect();
        if kinds.len() > 1 {
            self.findings.unsupported(
                line,
                path,
                "one policy with probabilistic parts of different salts, or with and without `not`,",
            );
        }
    }

    /// The sub-policies of `and` and `drop`.
    fn parts(&mut self, fields: &mut Fields<'_>, kind: &str, key: &str) -> Vec<Part> {
        let line = fields.line_of(kind);
        let Some(mut block) = fields.map(kind, self.findings) else {
            self.empty(kind, line, &fields.path);
            return Vec::new();
        };
        let items = block.list(key, self.findings);
        let path = block.path_of(key);
        block.finish(self.findings);
        if items.is_empty() {
            self.empty(kind, line, &path);
        }
        let parts = items.iter().enumerate().filter_map(|(place, item)| self.sub_policy(item, &format!("{path}[{place}]"), true));
        parts.collect()
    }

    fn empty(&mut self, kind: &str, line: u32, path: &str) {
        let effect = if kind == "drop" { "an empty drop drops everything" } else { "an empty and samples everything" };
        self.findings.warn(line, path, effect, "list its sub-policies");
    }

    fn sub_policy(&mut self, tree: &Tree, path: &str, nested_not: bool) -> Option<Part> {
        let mut fields = Fields::new(tree, path, self.findings);
        fields.string("name", self.findings);
        let line = fields.line_of("type");
        let kind = fields.string("type", self.findings).unwrap_or_default();
        let part = match kind {
            "not" if nested_not => self.not(&mut fields),
            "and" | "drop" | "not" | "composite" => {
                self.findings.error(line, path, format!("unknown sampling policy type `{kind}` within another policy"));
                None
            }
            _ => self.condition(&mut fields, kind, line).map(|(_, condition)| Part { condition, negated: false }),
        };
        fields.finish(self.findings);
        part
    }

    fn not(&mut self, fields: &mut Fields<'_>) -> Option<Part> {
        let line = fields.line;
        let mut block = fields.map("not", self.findings);
        let path = format!("{}.not", fields.path);
        let sub = block.as_mut().and_then(|block| block.get("not_sub_policy"));
        if let Some(block) = block {
            block.finish(self.findings);
        }
        let Some(sub) = sub else {
            self.findings.error(line, &path, "not needs a not_sub_policy");
            return None;
        };
        let part = self.sub_policy(sub, &format!("{path}.not_sub_policy"), false)?;
        Some(Part { negated: true, ..part })
    }

    /// A basic policy's condition; its name as a static text comes along.
    fn condition(&mut self, fields: &mut Fields<'_>, kind: &str, line: u32) -> Option<(&'static str, Condition)> {
        match kind {
            "always_sample" => {
                if let Some(block) = fields.map("always_sample", self.findings) {
                    block.finish(self.findings);
                }
                Some(("always_sample", Condition::Always))
            }
            "latency" => Some(("latency", self.latency(fields))),
            "probabilistic" => Some(("probabilistic", self.probabilistic(fields))),
            "status_code" => Some(("status_code", self.status_code(fields)?)),
            "string_attribute" => Some(("string_attribute", self.string_attribute(fields)?)),
            _ => {
                // Its own block is not looked into: one finding is enough.
                fields.all();
                let path = fields.path_of("type");
                if LATER.contains(&kind) {
                    self.findings.unsupported(line, &path, &format!("the policy type {kind}"));
                } else {
                    self.findings.error(line, &path, format!("unknown sampling policy type `{kind}`"));
                }
                None
            }
        }
    }

    fn latency(&mut self, fields: &mut Fields<'_>) -> Condition {
        let mut bounds = (0, 0);
        if let Some(mut block) = fields.map("latency", self.findings) {
            bounds.0 = block.integer("threshold_ms", (i64::MIN, i64::MAX), self.findings).unwrap_or(0);
            bounds.1 = block.integer("upper_threshold_ms", (i64::MIN, i64::MAX), self.findings).unwrap_or(0);
            block.finish(self.findings);
        }
        let upper_ms = (bounds.1 != 0).then_some(bounds.1);
        Condition::Latency(Latency { lower_ms: bounds.0, upper_ms, inclusive: self.inclusive })
    }

    fn probabilistic(&mut self, fields: &mut Fields<'_>) -> Condition {
        let (mut salt, mut percentage) = ("default-hash-seed", 0.0);
        if let Some(mut block) = fields.map("probabilistic", self.findings) {
            percentage = block.float("sampling_percentage", self.findings).unwrap_or(0.0);
            salt = block.string("hash_salt", self.findings).filter(|salt| !salt.is_empty()).unwrap_or(salt);
            block.finish(self.findings);
        }
        let next = u8::try_from(self.salts.len()).unwrap_or(u8::MAX);
        let place = *self.salts.entry(salt.to_owned()).or_insert(next);
        let ratio = percentage / 100.0;
        Condition::Chance(Chance { salt: place, salted: salted(salt), threshold: threshold(ratio), ratio })
    }

    fn next_mask(&self) -> u64 {
        let place = u32::try_from(self.status_leaves.len() + self.string_leaves.len()).unwrap_or(u32::MAX);
        1_u64.checked_shl(place).unwrap_or(0)
    }

    fn status_code(&mut self, fields: &mut Fields<'_>) -> Option<Condition> {
        let (line, path) = (fields.line_of("status_code"), fields.path_of("status_code"));
        let mut listed = Vec::new();
        if let Some(mut block) = fields.map("status_code", self.findings) {
            listed = block.strings("status_codes", self.findings);
            block.finish(self.findings);
        }
        if listed.is_empty() {
            self.findings.error(line, &path, "status_code needs at least one of OK, ERROR and UNSET");
            return None;
        }
        let mut codes = 0;
        for (line, code) in listed {
            codes |= match code {
                "UNSET" => 1,
                "OK" => 2,
                "ERROR" => 4,
                _ => {
                    self.findings.error(line, &path, format!("unknown status code \"{code}\": OK, ERROR or UNSET"));
                    0
                }
            };
        }
        let mask = self.next_mask();
        self.status_leaves.push((mask, codes));
        Some(Condition::Bit { mask, inverted: false })
    }

    fn string_attribute(&mut self, fields: &mut Fields<'_>) -> Option<Condition> {
        let path = fields.path_of("string_attribute");
        let mut block = fields.map("string_attribute", self.findings)?;
        let key = block.string("key", self.findings).unwrap_or_default().to_owned();
        let values = block.strings("values", self.findings);
        let regex = block.bool("enabled_regex_matching", self.findings).unwrap_or(false);
        let inverted = block.bool("invert_match", self.findings).unwrap_or(false);
        block.integer("cache_max_size", (i64::MIN, i64::MAX), self.findings);
        block.finish(self.findings);
        let matcher = if regex {
            let mut regexes = Vec::new();
            for (line, pattern) in values {
                match compile(pattern) {
                    Ok(regex) => regexes.push(regex),
                    Err(message) => self.findings.error(line, &path, format!("invalid regex `{pattern}`: {message}")),
                }
            }
            Matcher::Regex(regexes)
        } else {
            Matcher::Exact(values.into_iter().map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty()).collect())
        };
        let mask = self.next_mask();
        self.string_leaves.push(StringLeaf { mask, key, matcher });
        Some(Condition::Bit { mask, inverted })
    }
}
