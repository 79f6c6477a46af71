use serde_json::Value as Json;
use spanlake_otlp::json::to_protobuf;
use spanlake_otlp::limits::Limits;
use spanlake_otlp::schema::{METRIC, RESOURCE, SCOPE};
use spanlake_otlp::tree::{Payload, Slot, Want};

use super::*;
use crate::config::read_oldest;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/vectors/processors/");

#[expect(clippy::disallowed_methods, reason = "vectors are files; the crate itself touches none")]
fn file(name: &str) -> String {
    std::fs::read_to_string(format!("{VECTORS}{name}")).unwrap()
}

/// A document's protobuf, with fields in the order of their names.
fn request(signal: Signal, json: &str) -> Vec<u8> {
    let json: Json = serde_json::from_str(json).unwrap();
    to_protobuf(signal, json.to_string().as_bytes(), &Limits::default()).unwrap().protobuf
}

/// The bytes of the items that a selection leaves.
fn left(signal: Signal, request: &[u8], selection: &Selection) -> Vec<Vec<u8>> {
    let payload = Payload::decode(signal, request, Want::ALL).unwrap();
    let mut all = Vec::new();
    for group in &payload.groups {
        for scope in &group.scopes {
            for entry in &scope.items {
                let item = Item { resource: &group.resource, scope: &scope.scope, node: &entry.node };
                if selection.selects(signal, item) {
                    let mut bytes = Vec::new();
                    entry.node.encode(&mut bytes);
                    all.push(bytes);
                }
            }
        }
    }
    all
}

#[test]
fn the_oldest_blocks_of_filter_leave_what_the_reference_leaves() {
    let mut seen = 0;
    for line in file("filter.jsonl").lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let config = case["config"].as_str().unwrap();
        if !config.contains("match_type") {
            continue;
        }
        let signal = Signal::ALL.into_iter().find(|signal| signal.name() == case["signal"].as_str().unwrap()).unwrap();
        let selection = read_oldest(signal, config).unwrap();
        let found = left(signal, &request(signal, &file(case["input"].as_str().unwrap())), &selection);
        let wanted = left(signal, &request(signal, &case["expected"].to_string()), &Selection::default());
        assert_eq!(found, wanted, "{}", case["name"]);
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn metrics_are_included_by_name_and_resource_and_excluded_by_either() {
    let blocks = |kind: &str| {
        let block = "{match_type: strict, metric_names: [a], resource_attributes: [{key: host, value: h}]}";
        read_oldest(Signal::Metrics, &format!("metrics: {{{kind}: {block}}}")).unwrap()
    };
    let (include, exclude) = (blocks("include"), blocks("exclude"));
    for (name, host, included, excluded) in
        [("a", "h", true, true), ("a", "g", false, true), ("b", "h", false, true), ("b", "g", false, false)]
    {
        let (mut resource, scope, mut node) = (Node::new(&RESOURCE), Node::new(&SCOPE), Node::new(&METRIC));
        resource.map_mut(1).unwrap().set("host".into(), Value::String(host.into()));
        node.set(1, Slot::Text(name.into()));
        let item = Item { resource: &resource, scope: &scope, node: &node };
        let found = (include.selects(Signal::Metrics, item), !exclude.selects(Signal::Metrics, item));
        assert_eq!(found, (included, excluded), "{name} {host}");
    }
}

#[test]
fn what_is_wrong_with_a_block_is_said_at_once_and_with_its_place() {
    let config = "logs:\n  include:\n    match_type: sometimes\n    bodies: [a]\n    severity_number: {min: LOUD}\n    \
                  record_attributes: [{value: 1}]\n    colour: red\n";
    let errors = read_oldest(Signal::Logs, config).unwrap_err();
    let found: Vec<_> = errors.iter().map(|error| (error.line.unwrap(), error.path.as_str())).collect();
    for wanted in [
        (3, "filter.logs.include.match_type"),
        (5, "filter.logs.include.severity_number.min"),
        (6, "filter.logs.include.record_attributes[0].key"),
        (7, "filter.logs.include.colour"),
    ] {
        assert!(found.contains(&wanted), "{wanted:?} {found:?}");
    }
    let errors = read_oldest(Signal::Metrics, "metrics: {include: {match_type: expr, expressions: [x]}}").unwrap_err();
    assert!(errors.iter().all(|error| error.message.contains("OTTL")), "{errors:?}");
    let errors = read_oldest(Signal::Traces, "spans: {include: {services: [a], span_names: [b]}}").unwrap_err();
    assert_eq!(errors.len(), 1, "a missing match_type is said once: {errors:?}");
}

#[test]
fn severities_have_names_and_numbers() {
    for (name, number) in [("info", 9), ("INFO4", 12), ("10", 10), ("fatal2", 22), ("TRACE", 1)] {
        let config = format!("logs: {{include: {{severity_number: {{min: '{name}'}}}}}}");
        let selection = read_oldest(Signal::Logs, &config).unwrap();
        assert_eq!(selection.include.unwrap().log_severity.unwrap().number, number, "{name}");
    }
}
