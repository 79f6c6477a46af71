//! The policies of `tail_sampling`: each by itself, and each beside the others.

use super::super::own::Own;
use super::super::reader::Findings;
use super::super::yaml::Tree;
use super::asks::{Ask, Part};
use super::{child, composite, duration_ms, integer, items, line_of, settings, text};
use crate::lints::Lint;
use crate::regex::PatternCache;

/// Upstream's `decision_wait` where none is given.
const DECISION_WAIT_MS: u64 = 30_000;
/// How often SDKs send what they have by default.
const SDK_INTERVAL_MS: u64 = 5_000;
const DECISION_WAIT_MS_MAX: u64 = 600_000;
/// A whole trace is larger.
const TRACE_BYTES_MIN: i64 = 1_000;

/// A policy of the list, or a sub-policy of a composite.
pub(super) struct Rule<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    pub(super) line: u32,
    pub(super) path: String,
    /// What must hold, all of it; nothing of a composite.
    pub(super) parts: Vec<Part>,
}

impl<'a> Rule<'a> {
    pub(super) fn read(tree: &'a Tree, path: String, inverts: bool) -> Self {
        let kind = text(tree, "type").unwrap_or_default();
        let parts = match kind {
            "and" => subs(tree, "and", "and_sub_policy", inverts),
            "drop" => subs(tree, "drop", "drop_sub_policy", inverts),
            "composite" => Vec::new(),
            _ => vec![part(tree, inverts)],
        };
        Self { name: text(tree, "name").unwrap_or_default(), kind, line: tree.line, path, parts }
    }

    fn drops(&self) -> bool {
        self.kind == "drop"
    }

    /// Every trace meets it, and nothing else says so already.
    fn is_certain(&self) -> bool {
        !self.parts.is_empty() && self.parts.iter().all(Part::is_certain)
    }

    /// The line of what no trace meets.
    pub(super) fn impossible(&self, patterns: &PatternCache) -> Option<u32> {
        let single = self.parts.iter().find(|part| part.is_impossible()).map(|part| part.line);
        let pair = || {
            self.parts
                .iter()
                .enumerate()
                .find(|(place, part)| self.parts.iter().take(*place).any(|other| part.excludes(other, patterns)))
        };
        single.or_else(|| pair().map(|(_, part)| part.line))
    }

    /// Whether every trace that meets this meets the other. A limit may always say no.
    pub(super) fn implies(&self, other: &Self, patterns: &PatternCache) -> bool {
        let is_open = other.parts.iter().all(|part| !matches!(part.ask, Ask::Limit { .. } | Ask::Other));
        is_open
            && !other.parts.is_empty()
            && other
                .parts
                .iter()
                .all(|wanted| wanted.is_certain() || self.parts.iter().any(|part| part.implies(wanted, patterns)))
    }
}

fn part(tree: &Tree, inverts: bool) -> Part {
    if text(tree, "type") != Some("not") {
        return Part::read(tree, false, inverts);
    }
    let sub = child(tree, "not").and_then(|block| child(block, "not_sub_policy"));
    let null = Tree::null(tree.line);
    Part::read(sub.unwrap_or(&null), true, inverts)
}

fn subs(tree: &Tree, kind: &str, key: &str, inverts: bool) -> Vec<Part> {
    child(tree, kind).map(|block| items(block, key).iter().map(|sub| part(sub, inverts)).collect()).unwrap_or_default()
}

/// Looks through a `tail_sampling` block.
pub(super) fn check(tree: &Tree, path: &str, own: &Own, findings: &mut Findings) {
    let wait_ms = waits(tree, path, findings);
    let inverts = !own.invert_decisions;
    let policies = items(tree, "policies");
    let mut rules = Vec::new();
    for (place, policy) in policies.iter().enumerate() {
        let at = format!("{path}.policies[{place}]");
        settings::check(policy, &at, wait_ms, findings);
        let rule = Rule::read(policy, at, inverts);
        if rule.kind == "composite" {
            composite::check(policy, &rule.path, inverts, findings);
        }
        rules.push(rule);
    }
    settings::deprecated_keys(tree, &format!("{path}.policies"), findings);
    for rule in &rules {
        alone(rule, findings);
    }
    if text(tree, "sampling_strategy") == Some("span-ingest") {
        rules.iter().filter(|rule| !rule.drops()).for_each(|rule| by_record(rule, findings));
    }
    beside(&rules, findings);
}

/// How long traces wait, in milliseconds.
fn waits(tree: &Tree, path: &str, findings: &mut Findings) -> u64 {
    let at = |key: &str| (line_of(tree, key), format!("{path}.{key}"));
    let given = duration_ms(tree, "decision_wait");
    let wait_ms = given.unwrap_or(DECISION_WAIT_MS);
    let (line, place) = at("decision_wait");
    if given.is_some_and(|wait| wait < SDK_INTERVAL_MS) {
        let message = format!("a trace is decided after {wait_ms} ms; SDKs send every {SDK_INTERVAL_MS} ms by default");
        findings.refuse(Lint::ShortDecisionWait, line, &place, message);
    } else if wait_ms > DECISION_WAIT_MS_MAX {
        findings.refuse(
            Lint::LongDecisionWait,
            line,
            &place,
            format!("nothing of a trace can be queried for {} s", wait_ms / 1000),
        );
    }
    if duration_ms(tree, "decision_wait_after_root_received").is_some_and(|root| root >= wait_ms) {
        let (line, place) = at("decision_wait_after_root_received");
        let message = format!("it is not below decision_wait ({wait_ms} ms): no decision falls sooner");
        findings.refuse(Lint::RootWaitWithoutEffect, line, &place, message);
    }
    if let Some(bytes) = integer(tree, "maximum_trace_size_bytes").filter(|bytes| (1..TRACE_BYTES_MIN).contains(bytes)) {
        let (line, place) = at("maximum_trace_size_bytes");
        findings.refuse(
            Lint::ThresholdUnit,
            line,
            &place,
            format!("{bytes} bytes: nearly every trace is larger, and is dropped"),
        );
    }
    wait_ms
}

/// What a policy says whatever the others say.
fn alone(rule: &Rule<'_>, findings: &mut Findings) {
    if let Some(part) = rule.parts.iter().find(|part| part.is_bare) {
        let message = format!("policy \"{}\" has no settings: they count as zeros", rule.name);
        findings.refuse(Lint::MissingSettings, part.line, &rule.path, message);
        return;
    }
    if let Some(line) = rule.impossible(&findings.patterns) {
        findings.refuse(Lint::NeverMatches, line, &rule.path, format!("no trace can meet policy \"{}\"", rule.name));
        return;
    }
    if rule.is_certain() {
        if rule.drops() {
            findings.refuse(Lint::DropsEverything, rule.line, &rule.path, format!("policy \"{}\" drops every trace", rule.name));
        } else if rule.kind != "always_sample" {
            findings.refuse(Lint::KeepsEverything, rule.line, &rule.path, format!("policy \"{}\" keeps every trace", rule.name));
        }
        return;
    }
    if let [part] = rule.parts.as_slice()
        && part.inverted
        && part.ask != Ask::Other
        && rule.kind != "drop"
    {
        let message = format!("policy \"{}\" keeps every trace that has no such value: it excludes nothing", rule.name);
        findings.refuse(Lint::InvertedPolicy, part.line, &rule.path, message);
    }
    let of_a_span = rule.parts.iter().filter(|part| part.is_of_a_span()).count();
    if of_a_span > 1 {
        let message = format!("the conditions of policy \"{}\" may be met by different spans of a trace", rule.name);
        findings.refuse(Lint::AndAcrossSpans, rule.line, &rule.path, message);
    }
}

/// What `span-ingest` turns around.
fn by_record(rule: &Rule<'_>, findings: &mut Findings) {
    if let Some(part) = rule.parts.iter().find(|part| part.negated) {
        let message = format!("policy \"{}\" keeps a trace as soon as some of its spans lack the match", rule.name);
        findings.refuse(Lint::SpanIngestNot, part.line, &rule.path, message);
    }
}

/// What policies leave of each other.
fn beside(rules: &[Rule<'_>], findings: &mut Findings) {
    let (drops, keeps): (Vec<&Rule<'_>>, Vec<&Rule<'_>>) =
        rules.iter().filter(|rule| rule.impossible(&findings.patterns).is_none()).partition(|rule| rule.drops());
    for list in [&drops, &keeps] {
        for (place, rule) in list.iter().enumerate() {
            covered(rule, list, place, findings);
        }
    }
    for rule in keeps.iter().filter(|rule| !rule.parts.is_empty()) {
        if let Some(drop) = drops.iter().find(|drop| !drop.is_certain() && rule.implies(drop, &findings.patterns)) {
            let message = format!("the drop policy \"{}\" vetoes all that policy \"{}\" keeps", drop.name, rule.name);
            findings.refuse(Lint::VetoedPolicy, rule.line, &rule.path, message);
        }
    }
}

/// Whether another policy of the same effect leaves this one nothing. Of two that ask the same, the later one is named.
fn covered(rule: &Rule<'_>, list: &[&Rule<'_>], place: usize, findings: &mut Findings) {
    let verb = if rule.drops() { "drops" } else { "keeps" };
    let others = list.iter().enumerate().filter(|(other, _)| *other != place);
    for (other, by) in others.filter(|(_, by)| rule.implies(by, &findings.patterns)) {
        let is_mutual = by.implies(rule, &findings.patterns);
        if is_mutual && other > place {
            continue;
        }
        let same = is_mutual && !by.is_certain();
        let (kind, message) = if same {
            (Lint::DuplicatePolicy, format!("policy \"{}\" asks the same as \"{}\"", rule.name, by.name))
        } else {
            let message = format!("policy \"{}\" has no effect: \"{}\" {verb} all that it {verb}", rule.name, by.name);
            (Lint::ShadowedPolicy, message)
        };
        findings.refuse(kind, rule.line, &rule.path, message);
        return;
    }
}
