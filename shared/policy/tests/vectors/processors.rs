use serde_json::{Map, Value as Json};
use spanlake_model::Signal;

use crate::harness::{apply, configuration, lines, path, protobuf, read};

/// A document with everything in an order that does not matter.
fn normal(json: &Json) -> Json {
    match json {
        Json::Array(items) => {
            let mut items: Vec<Json> = items.iter().map(normal).filter(|item| !is_summary(item)).collect();
            if items.iter().all(|item| item.get("key").is_some()) {
                items.sort_by_key(|item| item["key"].as_str().unwrap_or_default().to_owned());
            }
            Json::Array(items)
        }
        Json::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.clone(), normal(value)));
            Json::Object(fields.filter(|(_, value)| !is_empty(value)).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn is_summary(item: &Json) -> bool {
    item["key"].as_str().is_some_and(|key| key.starts_with("redaction."))
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Array(items) => items.is_empty(),
        Json::Object(fields) => fields.is_empty(),
        Json::Null => true,
        other => *other == "" || *other == 0,
    }
}

/// Every text and number of a document with its path.
fn leaves(json: &Json, at: &str, out: &mut Vec<(String, String)>) {
    match json {
        Json::Array(items) => items.iter().enumerate().for_each(|(place, item)| {
            let name = item["key"].as_str().map_or_else(|| place.to_string(), str::to_owned);
            leaves(item, &format!("{at}/{name}"), out);
        }),
        Json::Object(fields) => fields.iter().for_each(|(key, value)| leaves(value, &format!("{at}/{key}"), out)),
        other => out.push((at.to_owned(), other.to_string())),
    }
}

/// Runs the cases of a file that load; returns how many did.
fn run(file: &str, exact: bool) -> usize {
    let mut checked = 0;
    for case in lines(file) {
        let block = case["config"]
            .as_str()
            .unwrap()
            .replace("summary: debug", "summary: silent")
            .replace("summary: info", "summary: silent");
        let signal = Signal::ALL.into_iter().find(|signal| signal.name() == case["signal"].as_str().unwrap()).unwrap();
        let id = case["processor"].as_str().unwrap();
        let loaded = read(&configuration(id, &block, &[signal.name()], "off"));
        let Some(rules) = loaded.rules else {
            assert!(loaded.findings.iter().any(|finding| finding.message.contains("not supported yet")), "{:?}", loaded.findings);
            continue;
        };
        let input: Json =
            serde_json::from_str(&std::fs::read_to_string(path("processors").join(case["input"].as_str().unwrap())).unwrap())
                .unwrap();
        let (masked, _) = apply(&rules, signal, &protobuf(signal, &input));
        let wanted = protobuf(signal, &case["expected"]);
        compare(signal, &masked, &wanted, &case, exact);
        checked += 1;
    }
    checked
}

fn compare(signal: Signal, masked: &[u8], wanted: &[u8], case: &Json, exact: bool) {
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    leaves(&normal(&crate::harness::json(signal, masked)), "", &mut found);
    leaves(&normal(&crate::harness::json(signal, wanted)), "", &mut expected);
    let found: std::collections::BTreeMap<_, _> = found.into_iter().collect();
    // Attributes that upstream leaves alone and that are deleted here like any other.
    let uncovered = ["/links/", "/metadata/", "/filteredAttributes/"];
    for (at, value) in &expected {
        let now = found.get(at);
        // Where more is covered than upstream covers, more is masked, never less.
        let more = now.map_or_else(|| uncovered.iter().any(|part| at.contains(part)), |now| now.contains("****"));
        let same = now == Some(value) || (!exact && more);
        assert!(same, "{} {at}: expected {value}, found {now:?}", case["name"]);
    }
    let known: std::collections::BTreeSet<_> = expected.iter().map(|(at, _)| at).collect();
    assert!(found.keys().all(|at| known.contains(at)), "{}", case["name"]);
}

#[test]
fn replace_pattern_rewrites_what_the_reference_rewrites() {
    assert!(run("processors/transform.jsonl", true) >= 3);
}

#[test]
fn redaction_masks_at_least_what_the_reference_masks() {
    assert!(run("processors/redaction.jsonl", false) >= 12);
}
