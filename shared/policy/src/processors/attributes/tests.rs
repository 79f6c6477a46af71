use super::*;
use crate::finding::{Finding, Severity};
use crate::testing::{End, run_processor};

fn findings(kind: &str, config: &str, signal: Signal) -> Vec<Finding> {
    run_processor(kind, config, signal, &[], &|_| None).findings
}

fn errors(kind: &str, config: &str, signal: Signal) -> Vec<(u32, String)> {
    let all = findings(kind, config, signal).into_iter().filter(|finding| finding.severity == Severity::Error);
    all.map(|finding| (finding.line.unwrap_or(0), finding.path)).collect()
}

#[test]
fn all_faults_of_all_actions_are_found_at_once_each_with_its_line_and_place() {
    let config = "include: {match_type: strict, attributes: [{value: 1}], colours: [red]}\n\
                  actions:\n\
                  - {key: a, action: replace}\n\
                  - {value: 1, action: insert}\n\
                  - {key: a, value: 1, from_attribute: b, pattern: x, action: upsert}\n\
                  - {key: a, pattern: '(', action: delete}\n\
                  - {action: hash}\n\
                  - {key: a, pattern: 'x', action: extract}\n\
                  - {key: a, action: convert}\n\
                  - {key: a, value: {x: [2026-01-02 03:04:05]}, action: insert}\n\
                  - {key: a, colour: red, action: delete}\n\
                  other: 1\n";
    let found = errors("attributes", config, Signal::Traces);
    for (line, place) in [
        (1, "include.attributes[0].key"),
        (1, "include.colours"),
        (3, "actions[0].action"),
        (4, "actions[1].key"),
        (5, "actions[2]"),
        (5, "actions[2].pattern"),
        (6, "actions[3].pattern"),
        (7, "actions[4]"),
        (8, "actions[5].pattern"),
        (9, "actions[6].converted_type"),
        (10, "actions[7].value"),
        (11, "actions[8].colour"),
        (12, "other"),
    ] {
        assert!(found.contains(&(line, format!("processors.attributes.{place}"))), "{line} {place}: {found:#?}");
    }
}

#[test]
fn from_context_is_accepted_and_noted_once() {
    let config =
        "attributes:\n- {key: a, from_context: metadata.a, action: insert}\n- {key: b, from_context: b, action: upsert}\n";
    let all = findings("resource", config, Signal::Logs);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((all[0].severity, all[0].line), (Severity::Note, Some(2)));
}

#[test]
fn a_block_for_another_signal_is_refused_where_it_is_used_and_not_elsewhere() {
    let config = "include: {match_type: regexp, log_bodies: [a]}\nactions: [{key: a, action: delete}]\n";
    assert!(errors("attributes", config, Signal::Logs).is_empty());
    assert_eq!(errors("attributes", config, Signal::Traces).len(), 2);
    let all = findings("attributes", config, Signal::Metrics);
    assert!(all.iter().any(|finding| finding.message.contains("no effect on metrics")), "{all:?}");
}

#[test]
fn what_cannot_be_converted_stays() {
    for (from, to, wanted) in [
        (Value::String("1e400".into()), Type::Double, Value::String("1e400".into())),
        (Value::String("inf".into()), Type::Double, Value::Double(f64::INFINITY)),
        (Value::String("12.5".into()), Type::Int, Value::String("12.5".into())),
        (Value::Bytes(b"1"[..].into()), Type::Int, Value::Bytes(b"1"[..].into())),
        (Value::Double(f64::NAN), Type::Int, Value::Int(0)),
        (Value::Empty, Type::String, Value::String("".into())),
    ] {
        let mut value = from;
        convert(&mut value, to);
        assert_eq!(value, wanted);
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let config = "actions: [{pattern: '.', action: hash}, {key: '', pattern: a, action: delete}, \
                      {key: a, value: 1, action: upsert}, {key: a, action: convert, converted_type: string}]\n";
        for signal in Signal::ALL {
            let outcome = run_processor("attributes", config, signal, &bytes, &|_| None);
            proptest::prop_assert!(!matches!(outcome.end, End::Refused), "{outcome:?}");
        }
    }
}
