//! Whole-processor vectors of `tail_sampling`: requests in phases, windows that close, late spans.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use spanlake_model::{BucketRange, TraceId};
use spanlake_policy::{Decision, Rules, TraceFacts, Verdict, span_weight};

use crate::harness::{configuration, deviations, path, read};
use crate::windows::{Arrival, arrivals, records};
/// Windows as short as they can be: nearly the reference's ticks.
const WINDOW_MS: u64 = 1000;

/// What became of a case's traces.
#[derive(Default)]
struct Outcome {
    kept: BTreeMap<String, Kept>,
    seen: BTreeSet<String>,
    dropped_by: BTreeMap<String, String>,
    votes: BTreeMap<(String, &'static str), u64>,
    errors: u64,
    /// For each phase, the traces of which spans arrived in it, and of which some were kept.
    by_phase: Vec<BTreeMap<String, bool>>,
}

#[derive(Default)]
struct Kept {
    policy: String,
    sub_policy: String,
    spans: u64,
    tracestates: Vec<String>,
}

/// The traces that wait, and the decisions.
struct World<'a> {
    rules: &'a Rules,
    /// Late spans that a policy keeps by itself are kept.
    alone: bool,
    pending: BTreeMap<TraceId, Vec<(usize, Arrival)>>,
    decided: BTreeMap<TraceId, Decision>,
    outcome: Outcome,
}

impl World<'_> {
    /// When a trace is due, in milliseconds.
    fn due_ms(&self, trace: &[(usize, Arrival)]) -> u64 {
        let first = trace.iter().map(|(_, span)| span.at_ms).min().unwrap();
        let root = trace.iter().filter(|(_, span)| span.facts.is_root).map(|(_, span)| span.at_ms).min();
        let due = first + self.rules.decision_wait_ms();
        self.rules.decision_wait_after_root_ms().zip(root).map_or(due, |(wait, at)| due.min(at + wait))
    }

    fn arrive(&mut self, phase: usize, span: Arrival) {
        let id = span.id;
        self.outcome.seen.insert(id.to_string());
        self.outcome.by_phase[phase].entry(id.to_string()).or_default();
        match self.decided.get(&id).copied() {
            None => self.pending.entry(id).or_default().push((phase, span)),
            Some(_) if self.alone && self.rules.keeps_late_span(&id, &span.facts) => self.keep(phase, &span, None),
            Some(decision) if decision.verdict == Verdict::Kept => self.keep(phase, &span, Some(&decision)),
            Some(_) => {}
        }
    }

    /// Closes every window that ends by then, one after the other.
    fn close_until(&mut self, until_ms: u64) {
        while let Some(due) = self.pending.values().map(|trace| self.due_ms(trace)).min() {
            let end = due.div_ceil(WINDOW_MS) * WINDOW_MS;
            if end > until_ms {
                return;
            }
            let is_due = |trace: &Vec<(usize, Arrival)>| self.due_ms(trace) <= end;
            let ids: Vec<TraceId> = self.pending.iter().filter(|(_, trace)| is_due(trace)).map(|(id, _)| *id).collect();
            let mut admission = self.rules.admission(i64::try_from(end).unwrap(), WINDOW_MS, BucketRange::ALL);
            let traces: Vec<_> = ids.iter().map(|id| (*id, self.pending.remove(id).unwrap())).collect();
            let facts: Vec<_> = traces.iter().map(|(_, spans)| records(self.rules, spans)).collect();
            for ((id, _), facts) in traces.iter().zip(&facts) {
                admission.offer(id, facts);
            }
            let admitted = admission.finish();
            for ((id, spans), facts) in traces.iter().zip(&facts) {
                let decision = self.rules.decide_in_window(id, facts, &admitted);
                self.count(&decision, facts, |facts| self.rules.decide_in_window(id, facts, &admitted));
                self.decide(*id, decision, spans);
            }
        }
    }

    /// Counts votes; where records are evaluated one by one, each evaluation's.
    fn count(&mut self, decision: &Decision, records: &[TraceFacts], decide: impl Fn(&[TraceFacts]) -> Decision) {
        let mut votes = Vec::new();
        if self.rules.evaluates_records() {
            for number in 1..=records.len() {
                let step = decide(&records[..number]);
                votes.push(step);
                if step.verdict != Verdict::SampledOut {
                    break;
                }
            }
        } else {
            votes.push(*decision);
        }
        for step in votes {
            self.outcome.errors += u64::from(step.votes.errors());
            for (policy, vote) in self.rules.votes_text(&step).into_iter().filter(|(_, vote)| *vote != "error") {
                *self.outcome.votes.entry((policy.to_owned(), vote)).or_default() += 1;
            }
        }
    }

    fn decide(&mut self, id: TraceId, decision: Decision, spans: &[(usize, Arrival)]) {
        assert!(decision.weight >= 1.0 && decision.weight.is_finite());
        self.decided.insert(id, decision);
        match decision.verdict {
            Verdict::Kept => spans.iter().for_each(|(phase, span)| self.keep(*phase, span, Some(&decision))),
            Verdict::SampledOut => {}
            Verdict::Dropped => {
                self.outcome.dropped_by.insert(id.to_string(), self.rules.policy_name(decision.policy).to_owned());
            }
        }
    }

    fn keep(&mut self, phase: usize, span: &Arrival, decision: Option<&Decision>) {
        let kept = self.outcome.kept.entry(span.id.to_string()).or_default();
        if let Some(decision) = decision {
            self.rules.policy_name(decision.policy).clone_into(&mut kept.policy);
            self.rules.sub_policy_name(decision).clone_into(&mut kept.sub_policy);
            assert!(span_weight(decision.weight, decision.threshold, span.facts.threshold) >= 1.0);
            let outgoing = self.rules.outgoing_tracestate(decision.weight, decision.threshold, &span.tracestate);
            kept.tracestates.push(outgoing.unwrap_or_else(|| span.tracestate.clone()));
        }
        kept.spans += 1;
        self.outcome.by_phase[phase].insert(span.id.to_string(), true);
    }
}

fn run(rules: &Rules, case: &Json, alone: bool) -> Outcome {
    let phases = case["phases"].as_array().unwrap();
    let outcome = Outcome { by_phase: vec![BTreeMap::new(); phases.len()], ..Outcome::default() };
    let mut world = World { rules, alone, pending: BTreeMap::new(), decided: BTreeMap::new(), outcome };
    let mut record = 0;
    for (number, phase) in phases.iter().enumerate() {
        let at_ms = phase["at_ms"].as_u64().unwrap();
        world.close_until(at_ms);
        for batch in phase["batches"].as_array().unwrap() {
            for span in arrivals(rules, batch, record, at_ms) {
                world.arrive(number, span);
            }
            record += 1;
        }
    }
    world.close_until(u64::MAX / 2);
    world.outcome
}

/// What differs from the reference.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn note(&mut self, what: &str, ours: &str, theirs: &str) {
        if ours != theirs {
            self.0.push(format!("{what}: {ours}, in the reference {theirs}"));
        }
    }

    /// Where the reference depends on the order of a map.
    fn bounds(&mut self, outcome: &Outcome, bounds: &Json) {
        let spans: u64 = outcome.kept.values().map(|kept| kept.spans).sum();
        for (key, number) in [("kept_traces", outcome.kept.len() as u64), ("kept_spans", spans)] {
            let bound = |place: usize| bounds[key][place].as_u64().unwrap();
            let is_within = (bound(0)..=bound(1)).contains(&number);
            self.note(&format!("{number} {key} within {}", bounds[key]), &is_within.to_string(), "true");
        }
        for (key, wanted) in [("always_kept", "true"), ("never_kept", "false")] {
            for id in bounds[key].as_array().into_iter().flatten() {
                let kept = outcome.kept.contains_key(id.as_str().unwrap());
                self.note(&format!("{key} {id}"), &kept.to_string(), wanted);
            }
        }
    }

    fn traces(&mut self, outcome: &Outcome, expected: &Json) {
        let kept = expected["kept"].as_object().unwrap();
        let dropped = expected["dropped"].as_array().unwrap().iter().filter_map(Json::as_str);
        let ids = kept.keys().map(String::as_str).chain(dropped).chain(outcome.seen.iter().map(String::as_str));
        for id in ids.collect::<BTreeSet<&str>>() {
            let (ours, theirs) = (outcome.kept.get(id), kept.get(id));
            self.note(&format!("{id} is kept"), &ours.is_some().to_string(), &theirs.is_some().to_string());
            let dropped_by = expected["dropped_by"][id].as_str().unwrap_or_default();
            self.note(&format!("{id} is dropped by"), outcome.dropped_by.get(id).map_or("", String::as_str), dropped_by);
            let (Some(ours), Some(theirs)) = (ours, theirs) else { continue };
            self.note(&format!("spans of {id}"), &ours.spans.to_string(), &theirs["spans"].to_string());
            for (key, ours) in [("policy", &ours.policy), ("composite_policy", &ours.sub_policy)] {
                self.note(&format!("{key} of {id}"), ours, theirs[key].as_str().unwrap_or(ours));
            }
            if theirs["tracestates"].is_array() {
                let mut states = ours.tracestates.clone();
                states.sort();
                self.note(&format!("tracestates of {id}"), &Json::from(states).to_string(), &theirs["tracestates"].to_string());
            }
        }
    }

    fn votes(&mut self, outcome: &Outcome, expected: &Json) {
        let mut votes = BTreeMap::new();
        for (policy, results) in expected["votes"].as_object().into_iter().flatten() {
            for (vote, count) in results.as_object().unwrap() {
                votes.insert((policy.as_str(), vote.as_str()), count.as_u64().unwrap());
            }
        }
        let ours: BTreeMap<_, _> =
            outcome.votes.iter().map(|((policy, vote), count)| ((policy.as_str(), *vote), *count)).collect();
        self.note("votes", &format!("{ours:?}"), &format!("{votes:?}"));
        let errors = expected["policy_errors"].as_u64().unwrap_or(0);
        self.note("policy errors", &outcome.errors.to_string(), &errors.to_string());
    }

    fn phases(&mut self, outcome: &Outcome, expected: &Json) {
        for (number, phase) in expected["by_phase"].as_array().into_iter().flatten().enumerate() {
            let kept = phase["kept"].as_object().unwrap().keys().map(|id| (id.clone(), true));
            let dropped = phase["dropped"].as_array().unwrap().iter().map(|id| (id.as_str().unwrap().to_owned(), false));
            let theirs: BTreeMap<String, bool> = kept.chain(dropped).collect();
            self.note(&format!("phase {number}"), &format!("{:?}", outcome.by_phase[number]), &format!("{theirs:?}"));
        }
    }
}

fn differences(outcome: &Outcome, expected: &Json) -> Vec<String> {
    let mut found = Differences::default();
    if expected["bounds"].is_object() {
        found.bounds(outcome, &expected["bounds"]);
    } else {
        found.traces(outcome, expected);
        found.votes(outcome, expected);
        found.phases(outcome, expected);
    }
    found.0
}

/// The configuration of a case, with what of ours stands for the reference's feature gates.
fn text(case: &Json) -> String {
    let block = case["config"].as_str().unwrap();
    let body = block.lines().skip(1).map(|line| line.strip_prefix("  ").unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let gates = case["feature_gates"].to_string();
    let mode = if gates.contains("usetracestate") { "usetracestate" } else { "hash" };
    configuration("tail_sampling", &body, &["traces"], "on")
        + &format!("  window: 1s\n  sampling: {{probabilistic_mode: {mode}}}\n")
}

#[test]
fn traces_are_decided_as_the_reference_decides_them() {
    let mut files: Vec<_> = std::fs::read_dir(path("tail-sampling")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let listed = deviations("tail_sampling");
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for file in &files {
        let case: Json = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let name = case["name"].as_str().unwrap().to_owned();
        names.insert(name.clone());
        let loaded = read(&text(&case));
        let rules = loaded.rules.unwrap_or_else(|| panic!("{name}: {:?}", loaded.findings));
        let found = differences(&run(&rules, &case, true), &case["expected"]);
        // Whatever else a listed case with late spans does must be as in the reference.
        let otherwise = differences(&run(&rules, &case, false), &case["expected"]);
        if case["phases"].as_array().unwrap().len() > 1 && !name.starts_with("quirk-") && !otherwise.is_empty() {
            faults.push(format!("{name} without late spans that are kept alone: {otherwise:#?}"));
        }
        if listed.contains(&name) {
            if found.is_empty() {
                faults.push(format!("{name} is listed and does not differ"));
            }
        } else if !found.is_empty() {
            faults.push(format!("{name}: {found:#?}"));
        }
    }
    assert!(faults.is_empty(), "{} of {} cases\n{}", faults.len(), files.len(), faults.join("\n"));
    assert_eq!(files.len(), 132);
    assert!(listed.is_subset(&names), "{listed:?}");
}

#[test]
fn conditions_compare_values_by_their_real_type() {
    let policies = [
        "{name: n, type: numeric_attribute, numeric_attribute: {key: x, min_value: 4, max_value: 6}}",
        "{name: b, type: boolean_attribute, boolean_attribute: {key: x, value: false}}",
        "{name: s, type: string_attribute, string_attribute: {key: x, values: ['5']}}",
        "{name: f, type: trace_flags}",
        "{name: t, type: trace_state, trace_state: {key: ot, values: ['th:8']}}",
    ];
    let block = policies.iter().flat_map(|policy| ["  - ", policy, "\n"]).collect::<String>();
    let rules = crate::harness::rules(&configuration("tail_sampling", &format!("policies:\n{block}"), &["traces"], "on"));
    let met = |span: Json| {
        let mut span = span;
        span["traceId"] = Json::from("0102030405060708090a0b0c0d0e0f10");
        span["spanId"] = Json::from("0102030405060708");
        let request = serde_json::json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]});
        let spans = arrivals(&rules, &request, 0, 0);
        (spans[0].facts.bits, spans[0].facts.threshold)
    };
    let value = |value: Json| serde_json::json!({"attributes": [{"key": "x", "value": value}]});
    for (span, bits) in [
        (value(serde_json::json!({"intValue": "5"})), 1),
        (value(serde_json::json!({"doubleValue": 5.5})), 1),
        (value(serde_json::json!({"doubleValue": 6.5})), 0),
        (value(serde_json::json!({"stringValue": "5"})), 4),
        (value(serde_json::json!({"boolValue": false})), 2),
        (value(serde_json::json!({"boolValue": true})), 0),
        (value(serde_json::json!({"arrayValue": {"values": [{"intValue": "5"}]}})), 0),
        (serde_json::json!({"flags": 257}), 8),
        (serde_json::json!({"flags": 256}), 0),
    ] {
        assert_eq!(met(span.clone()), (bits, None), "{span}");
    }
    assert_eq!(met(serde_json::json!({"traceState": "ot=th:8"})), (16, Some(1 << 55)));
}
