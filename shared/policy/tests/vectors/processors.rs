//! Whole processors: what the reference sent on, and what is sent on here.

use std::collections::BTreeSet;

use spanlake_model::Signal;
use spanlake_policy::testing::{End, run_processor, run_processor_widely};

use crate::harness::{Case, deviations, json, lines, normal};

/// Checks a list of cases against the page of deviations: those that are listed must differ, all others must not.
fn check(cases: &[Case], section: &str, enough: usize) {
    let listed = deviations(section);
    assert!(cases.len() >= enough, "{} cases", cases.len());
    let mut faults = Vec::new();
    for case in cases {
        let outcome = case.run(run_processor);
        let difference = case.difference(&outcome).err();
        match (difference, listed.contains(&case.name)) {
            (Some(difference), false) => faults.push(format!("{}: {difference}", case.name)),
            (None, true) => faults.push(format!("{} is listed as a deviation and does not differ", case.name)),
            _ => {}
        }
    }
    let known: BTreeSet<_> = cases.iter().map(|case| case.name.clone()).collect();
    faults.extend(listed.difference(&known).map(|name| format!("{name} is listed, and no case")));
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

fn cases(file: &str) -> Vec<Case> {
    lines(&format!("processors/{file}.jsonl")).iter().map(Case::new).collect()
}

#[test]
fn redaction_does_to_the_byte_what_the_reference_does() {
    check(&cases("redaction"), "redaction", 38);
}

#[test]
fn attributes_and_resource_do_what_the_reference_does() {
    let mut all = cases("attributes");
    all.extend(cases("resource"));
    check(&all, "attributes and resource", 31);
}

#[test]
fn transform_does_what_the_reference_does() {
    check(&cases("transform"), "transform", 107);
}

#[test]
fn filter_drops_what_the_reference_drops() {
    check(&cases("filter"), "filter", 31);
}

#[test]
fn refused_configurations_are_refused_and_strange_ones_mean_what_they_mean_there() {
    let mut all = cases("invalid");
    all.extend(cases("strange"));
    check(&all, "refused and strange configurations", 90);
}

#[test]
fn every_refusal_names_a_line_and_a_place() {
    for case in &cases("invalid") {
        let outcome = case.run(run_processor);
        let errors = outcome.findings.iter().filter(|finding| finding.severity == spanlake_policy::Severity::Error);
        for error in errors {
            // A variable is no part of any processor yet.
            let has_place = !error.path.is_empty() || error.message.contains("names no variable");
            assert!(error.line.is_some() && has_place, "{}: {error:?}", case.name);
        }
    }
}

/// `****` in base64.
const MASKED_BYTES: &str = "KioqKg==";

#[test]
fn what_the_core_masks_or_removes_is_masked_or_removed_by_the_wider_coverage() {
    let mut checked = 0;
    for case in cases("redaction").iter().filter(|case| !case.config.contains("hash_function")) {
        let (core, wide) = (case.run(run_processor), case.run(run_processor_widely));
        let (End::Sent(core), End::Sent(wide)) = (&core.end, &wide.end) else { continue };
        let (core, wide) = (leaves(case.signal, core), leaves(case.signal, wide));
        // What is not masked stands in the core's outcome as it is: nothing that the core masked has come back.
        for (at, text) in
            wide.iter().filter(|(at, text)| ![at, text].iter().any(|part| part.contains("****") || *part == MASKED_BYTES))
        {
            if at.contains("/redaction.") {
                continue;
            }
            assert!(core.iter().any(|known| known == &(at.clone(), text.clone())), "{} {at}: {text}", case.name);
        }
        checked += 1;
    }
    assert!(checked >= 24, "{checked}");
}

/// Every text and number of a request with its path.
fn leaves(signal: Signal, request: &[u8]) -> Vec<(String, String)> {
    fn walk(json: &serde_json::Value, at: &str, out: &mut Vec<(String, String)>) {
        match json {
            serde_json::Value::Array(items) => items.iter().enumerate().for_each(|(place, item)| {
                let name = item["key"].as_str().map_or_else(|| place.to_string(), str::to_owned);
                walk(item, &format!("{at}/{name}"), out);
            }),
            serde_json::Value::Object(fields) => {
                fields.iter().filter(|(name, _)| *name != "key").for_each(|(key, value)| {
                    // A masked value is a text, whatever it was.
                    let name = if key.ends_with("Value") { "value" } else { key };
                    walk(value, &format!("{at}/{name}"), out);
                });
            }
            serde_json::Value::String(text) => out.push((at.to_owned(), text.clone())),
            other => out.push((at.to_owned(), other.to_string())),
        }
    }
    let mut out = Vec::new();
    walk(&normal(&json(signal, request)), "", &mut out);
    out
}
