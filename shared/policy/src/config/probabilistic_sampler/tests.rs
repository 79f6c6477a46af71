#![expect(clippy::disallowed_methods, reason = "vectors are files; the crate itself touches none")]

use std::path::PathBuf;

use serde_json::Value as Json;
use spanlake_model::TraceId;

use super::super::yaml;
use super::*;
use crate::sampling::Priority;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/vectors/probabilistic-sampler")
}

/// The sampler of a block with its key, or that something is wrong with it.
fn sampler(text: &str) -> Option<ProbabilisticSampler> {
    let tree = yaml::parse(text).ok().unwrap();
    let mut findings = Findings::default();
    let block = Fields::new(&tree, "", &mut findings).get("probabilistic_sampler").unwrap();
    let sampler = read(block, "probabilistic_sampler", &mut findings);
    assert!(findings.list.iter().all(|finding| finding.line.is_some()));
    (!findings.has_errors()).then_some(sampler)
}

fn spans(case: &Json) -> Vec<Json> {
    let lists = |json: &Json, key: &str| json[key].as_array().cloned().unwrap_or_default();
    let groups = lists(case, "batches").into_iter().flat_map(|batch| lists(&batch, "resourceSpans"));
    let scopes = groups.flat_map(|group| lists(&group, "scopeSpans"));
    scopes.flat_map(|scope| lists(&scope, "spans")).collect()
}

fn priority(span: &Json) -> Priority<'_> {
    let attributes = span["attributes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(found) = attributes.iter().find(|pair| pair["key"] == "sampling.priority") else { return Priority::None };
    let value = &found["value"];
    if let Some(text) = value["stringValue"].as_str() {
        return Priority::Text(text);
    }
    let int = value["intValue"].as_str().map(|text| text.parse().unwrap());
    int.or_else(|| value["doubleValue"].as_f64()).map_or(Priority::None, Priority::Number)
}

#[test]
fn spans_are_sampled_as_the_reference_samples_them() {
    for number in 1..=9 {
        let text = std::fs::read_to_string(folder().join(format!("probabilistic-sampler-{number}.json"))).unwrap();
        let case: Json = serde_json::from_str(&text).unwrap();
        let sampler = sampler(case["config"].as_str().unwrap()).unwrap();
        for span in spans(&case) {
            let id: TraceId = span["traceId"].as_str().unwrap().parse().unwrap();
            let incoming = span["traceState"].as_str().unwrap_or_default();
            let outcome = sampler.span(&id, incoming, priority(&span));
            let kept = &case["kept"][id.to_string()];
            assert_eq!(outcome.is_kept, kept.is_object(), "{number} {span}");
            if outcome.is_kept {
                let outgoing = outcome.tracestate.as_deref().unwrap_or(incoming);
                assert_eq!(outgoing, kept["tracestate"].as_str().unwrap_or_default(), "{number} {span}");
            }
        }
    }
}

#[test]
fn what_the_reference_refuses_is_refused() {
    let text = std::fs::read_to_string(folder().join("configs-refused.jsonl")).unwrap();
    for line in text.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        assert!(sampler(case["config"].as_str().unwrap()).is_none(), "{line}");
    }
}

#[test]
fn log_records_are_sampled_by_their_source() {
    let sampler =
        sampler("probabilistic_sampler: {sampling_percentage: 50, attribute_source: record, from_attribute: id}").unwrap();
    assert_eq!(sampler.source(), &Source::Record("id".to_owned()));
    let kept = |source: &str, priority| sampler.record(source.as_bytes(), priority).is_kept;
    let share =
        (0..1000_u64).filter(|number| kept(&format!("{:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)), Priority::None)).count();
    assert!((450..550).contains(&share), "{share}");
    assert!(!kept("", Priority::None), "without a source it fails closed");
    assert!(!kept("a", Priority::Number(0.0)) && kept("a", Priority::Number(100.0)));
}
