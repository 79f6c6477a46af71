//! Every case of the `transform` processor, as far as it is a matter of statements: a small shell of groups and contexts
//! runs them on the inputs.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

mod common;
#[path = "transform/filter.rs"]
mod filter;
#[path = "transform/shell.rs"]
mod shell;

use common::{deviations, file, lines};
use serde_json::Value as Json;
use shell::{Processor, decoded, protobuf, signal};
use spanlake_otlp::tree::Payload;

/// Absent and zero are the same, and the order of attributes does not matter.
fn normal(value: &mut Json) {
    match value {
        Json::Object(map) => {
            map.values_mut().for_each(normal);
            map.retain(|key, value| {
                let is_zero = match value {
                    Json::Null => true,
                    Json::Array(items) => items.is_empty(),
                    Json::Object(inner) => inner.is_empty(),
                    Json::String(text) => text.is_empty() || text == "0",
                    Json::Number(number) => number.as_f64() == Some(0.0),
                    Json::Bool(value) => !*value,
                };
                // A value of an attribute is what it is, and a point's number too.
                !is_zero || key.ends_with("Value") || key == "asInt" || key == "asDouble"
            });
            map.values_mut().for_each(|value| {
                if let Json::Number(number) = value {
                    *value = serde_json::json!(number.as_f64());
                }
            });
        }
        Json::Array(items) => {
            items.iter_mut().for_each(normal);
            if items.iter().all(|item| item.get("key").is_some()) {
                items.sort_by_key(|item| item["key"].to_string());
            }
        }
        _ => {}
    }
}

/// Where two documents differ first.
fn difference(path: &str, got: &Json, wanted: &Json) -> Option<String> {
    match (got, wanted) {
        _ if got == wanted => None,
        (Json::Object(one), Json::Object(two)) => {
            let keys: std::collections::BTreeSet<_> = one.keys().chain(two.keys()).collect();
            keys.into_iter().find_map(|key| difference(&format!("{path}.{key}"), &got[key], &wanted[key]))
        }
        (Json::Array(one), Json::Array(two)) if one.len() == two.len() => {
            let place = |at: usize| one[at].get("key").map_or_else(|| at.to_string(), Json::to_string);
            (0..one.len()).find_map(|at| difference(&format!("{path}[{}]", place(at)), &one[at], &two[at]))
        }
        _ => Some(format!("{path}: {got} instead of {wanted}")),
    }
}

/// What went wrong with a case, or nothing.
fn failure(case: &Json) -> Option<String> {
    let signal = signal(case["signal"].as_str().unwrap());
    let stage = case["error_stage"].as_str();
    let processor = match Processor::new(case) {
        Err(error) if stage.is_some_and(|stage| stage != "consume") => {
            drop(error);
            return None;
        }
        Err(error) => return Some(format!("is refused: {error}")),
        Ok(_) if stage.is_some_and(|stage| stage != "consume") => return Some("is accepted".to_owned()),
        Ok(processor) => processor,
    };
    let input: Json = serde_json::from_str(&file(&format!("tests/data/vectors/processors/{}", case["input"].as_str()?))).unwrap();
    let bytes = protobuf(signal, &input);
    let mut payload = Payload::decode(signal, &bytes).unwrap();
    match processor.run(&mut payload) {
        Err(_) if stage == Some("consume") => return None,
        Err(error) => return Some(format!("fails: {error}")),
        Ok(()) if stage.is_some() => return Some("does not fail".to_owned()),
        Ok(()) => {}
    }
    let mut out = Vec::new();
    payload.encode(&mut out);
    let mut got = decoded(signal, &out);
    let mut wanted = decoded(signal, &protobuf(signal, &case["expected"]));
    normal(&mut got);
    normal(&mut wanted);
    difference("", &got, &wanted)
}

#[test]
fn every_case_comes_out_as_in_the_reference() {
    let (mut listed, mut failed) = (deviations("transform"), Vec::new());
    listed.extend(deviations("refused and strange configurations"));
    let mut count = 0;
    for name in ["transform", "invalid", "strange"] {
        for case in lines(&format!("processors/{name}.jsonl")) {
            let is_yaml = ["resolve", "decode"].contains(&case["error_stage"].as_str().unwrap_or_default());
            if case["processor"] != "transform" || is_yaml {
                continue;
            }
            count += 1;
            let name = case["name"].as_str().unwrap();
            match failure(&case) {
                None => assert!(!listed.contains(name), "`{name}` is listed and does not deviate"),
                Some(_) if listed.contains(name) => {}
                Some(difference) => failed.push(format!("{name}{difference}")),
            }
        }
    }
    assert!(count >= 120, "{count}");
    assert!(failed.is_empty(), "{} of {count}:\n{}", failed.len(), failed.join("\n"));
}
