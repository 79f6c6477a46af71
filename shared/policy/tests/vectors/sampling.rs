use std::collections::BTreeMap;

use serde_json::Value as Json;
use spanlake_model::{Signal, TraceId};
use spanlake_policy::{TraceFacts, Verdict};

use crate::harness::{apply, configuration, path, protobuf, rules};

/// Cases in which the reference does something that is done otherwise here, on purpose.
const OTHERWISE: &str = "quirk-";

fn check(name: &str, case: &Json) {
    let block = case["config"].as_str().unwrap();
    let body = block.lines().skip(1).map(|line| line.strip_prefix("  ").unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let rules = rules(&configuration("tail_sampling", &body, &["traces"], "on"));
    let mut traces: BTreeMap<TraceId, TraceFacts> = BTreeMap::new();
    for batch in case["phases"][0]["batches"].as_array().unwrap() {
        let (_, facts) = apply(&rules, Signal::Traces, &protobuf(Signal::Traces, batch));
        for (id, facts) in facts {
            traces.entry(id).or_default().merge(&facts);
        }
    }
    let expected = &case["expected"];
    let mut votes: BTreeMap<(String, &str), u64> = BTreeMap::new();
    for (id, facts) in &traces {
        let decision = rules.decide(id, facts);
        let key = id.to_string();
        let kept = &expected["kept"][&key];
        let verdict = if kept.is_object() {
            Verdict::Kept
        } else if expected["dropped_by"][&key].is_string() {
            Verdict::Dropped
        } else {
            Verdict::SampledOut
        };
        assert_eq!(decision.verdict, verdict, "{name} {key} {facts:?}");
        if let Some(policy) = kept["policy"].as_str().or_else(|| expected["dropped_by"][&key].as_str()) {
            assert_eq!(rules.policy_name(decision.policy), policy, "{name} {key}");
        }
        assert!(decision.weight >= 1.0, "{name} {key}");
        for (policy, vote) in rules.votes_text(&decision) {
            *votes.entry((policy.to_owned(), vote)).or_default() += 1;
        }
    }
    for (policy, results) in expected["votes"].as_object().into_iter().flatten() {
        for (vote, count) in results.as_object().into_iter().flatten() {
            let found = votes.iter().find(|((name, cast), _)| name == policy && *cast == vote).map_or(0, |(_, count)| *count);
            assert_eq!(Some(found), count.as_u64(), "{name} {policy} {vote}");
        }
    }
}

#[test]
fn traces_are_decided_as_the_reference_decides_them() {
    let mut files: Vec<_> = std::fs::read_dir(path("tail-sampling")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut checked = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        if name.starts_with(OTHERWISE) {
            continue;
        }
        check(&name, &serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap());
        checked += 1;
    }
    assert!(checked >= 15, "only {checked} cases were found");
}
