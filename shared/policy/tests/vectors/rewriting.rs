//! What becomes of the bytes.

use serde_json::json;
use spanlake_model::Signal;
use spanlake_otlp::schema::{self, Kind, Message};
use spanlake_otlp::wire::{Reader, put_len, put_varint_field};
use spanlake_policy::{Context, DEFAULT_CONFIG, MaskedContext, Rules, Scratch};

use crate::harness::{apply, configuration, json as decoded, protobuf, rules};

const SECRET: &str = "password=hunter2";

/// A message in which every string and every attribute value, at every depth that the schema names, is a secret.
fn full_of_secrets(message: &'static Message, depth: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for field in message.fields {
        match field.kind {
            Kind::String if field.name == "key" => put_len(&mut out, field.number, b"note"),
            Kind::String | Kind::Bytes => put_len(&mut out, field.number, SECRET.as_bytes()),
            Kind::Message(inner) if depth < 12 => put_len(&mut out, field.number, &full_of_secrets(inner, depth + 1)),
            _ => {}
        }
    }
    out
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn context(rules: &Rules, signal: Signal, scratch: &mut Scratch) -> MaskedContext {
    rules.context(signal, Context::default(), scratch)
}

#[test]
fn every_string_position_of_every_signal_is_masked() {
    let rules = rules(DEFAULT_CONFIG);
    let mut scratch = Scratch::new();
    for signal in Signal::ALL {
        let item = full_of_secrets(schema::item(signal), 0);
        let resource = full_of_secrets(&schema::RESOURCE, 0);
        let scope = full_of_secrets(&schema::SCOPE, 0);
        assert!(contains(&item, SECRET) && contains(&resource, SECRET) && contains(&scope, SECRET));
        let raw = Context {
            resource: &resource,
            resource_schema_url: SECRET.as_bytes(),
            scope: &scope,
            scope_schema_url: SECRET.as_bytes(),
        };
        let masked = rules.context(signal, raw, &mut scratch);
        let mut out = Vec::new();
        assert_eq!(rules.item(signal, &masked, &item, &mut out, &mut scratch).dropped, None);
        for bytes in [&out, &masked.resource, &masked.scope, &masked.resource_schema_url, &masked.scope_schema_url] {
            assert!(!contains(bytes, "hunter2"), "{signal:?} {:?}", String::from_utf8_lossy(bytes));
            assert!(contains(bytes, "password=****"));
        }
        let again = scratch.take_masked();
        assert!(again.iter().any(|(rule, count)| rule == "builtin/secret_value" && *count > 3), "{again:?}");
        assert_eq!(scratch.masked().count(), 0);
    }
}

#[test]
fn an_item_without_secrets_keeps_its_bytes_and_unknown_fields_go() {
    let rules = rules(DEFAULT_CONFIG);
    let mut scratch = Scratch::new();
    let masked = context(&rules, Signal::Traces, &mut scratch);
    let request = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "0102030405060708090a0b0c0d0e0f10",
        "spanId": "0102030405060708", "name": "GET /a", "kind": 2, "startTimeUnixNano": "5", "endTimeUnixNano": "9",
        "attributes": [{"key": "http.method", "value": {"stringValue": "GET"}}], "status": {"code": 2}}]}]}]});
    let bytes = protobuf(Signal::Traces, &request);
    let mut item = bytes.as_slice();
    for number in [1, 2, 2] {
        let mut fields = Reader::new(item);
        while let Some(field) = fields.next().unwrap() {
            if field.number == number {
                item = field.value.bytes().unwrap();
            }
        }
    }
    let mut out = Vec::new();
    let outcome = rules.item(Signal::Traces, &masked, item, &mut out, &mut scratch);
    assert_eq!(out, item);
    let facts = outcome.facts;
    assert_eq!((facts.start_nanos, facts.end_nanos, facts.kind, facts.is_error, facts.is_root), (5, 9, 2, true, true));
    let mut with_unknown = item.to_vec();
    put_len(&mut with_unknown, 99, SECRET.as_bytes());
    put_varint_field(&mut with_unknown, 100, 7);
    out.clear();
    let _ = rules.item(Signal::Traces, &masked, &with_unknown, &mut out, &mut scratch);
    assert_eq!(out, item);
}

#[test]
fn a_value_whose_name_is_a_secrets_is_masked_whatever_its_type() {
    let rules = rules(DEFAULT_CONFIG);
    let value = |value: serde_json::Value| json!({"key": "db.password", "value": value});
    let attributes = json!([
        value(json!({"stringValue": "x"})), value(json!({"intValue": "7"})), value(json!({"bytesValue": "/v8="})),
        value(json!({"arrayValue": {"values": [{"stringValue": "x"}]}})), value(json!({"boolValue": true})),
        {"key": "card", "value": {"kvlistValue": {"values": [{"key": "cvc", "value": {"intValue": "123"}}]}}},
    ]);
    let request =
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "ok"}, "attributes": attributes}]}]}]});
    let (masked, _) = apply(&rules, Signal::Logs, &protobuf(Signal::Logs, &request));
    let masked = decoded(Signal::Logs, &masked);
    let record = &masked["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    for place in 0..4 {
        assert_eq!(record["attributes"][place]["value"], json!({"stringValue": "****"}), "{place}");
    }
    assert_eq!(record["attributes"][4]["value"], json!({"boolValue": true}));
    assert_eq!(record["attributes"][5]["value"]["kvlistValue"]["values"][0]["value"], json!({"stringValue": "****"}));
}

#[test]
fn surplus_attributes_and_long_values_are_cut_after_masking_and_counted() {
    let text = "spanlake:\n  limits: {attributes_per_item: 2, attribute_value_bytes: 16}\n";
    let rules = rules(text);
    let secret = "0123456789 token=abcdefghij";
    let attributes = json!([
        {"key": "a", "value": {"stringValue": secret}}, {"key": "b", "value": {"stringValue": "short"}},
        {"key": "c", "value": {"stringValue": secret}}]);
    let request = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
        {"body": {"stringValue": "a body may be long"}, "attributes": attributes, "droppedAttributesCount": 5}]}]}]});
    let (masked, _) = apply(&rules, Signal::Logs, &protobuf(Signal::Logs, &request));
    let masked = decoded(Signal::Logs, &masked);
    let record = &masked["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["attributes"].as_array().unwrap().len(), 2);
    assert_eq!(record["attributes"][0]["value"]["stringValue"], "0123456789 token");
    assert_eq!(record["body"]["stringValue"], "a body may be long");
    assert_eq!(record["droppedAttributesCount"], 7);
}

#[test]
fn masks_between_all_characters_do_not_make_a_text_grow_without_an_end() {
    let request = |text: &str| {
        protobuf(Signal::Logs, &json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": text}}]}]}]}))
    };
    let masked = |patterns: usize, text: &str| {
        let block = format!("allow_all_keys: true\nblocked_values: [{}]", vec!["'x*'"; patterns].join(", "));
        let rules = rules(&configuration("redaction", &block, &["logs"], "off"));
        let (masked, _) = apply(&rules, Signal::Logs, &request(text));
        let masked = decoded(Signal::Logs, &masked);
        let body = &masked["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["body"]["stringValue"];
        body.as_str().unwrap().to_owned()
    };
    assert_eq!(masked(1, "ab"), "****a****b****");
    assert_eq!(masked(20, "ab"), "****");
    let long = "a".repeat(100_000);
    assert_eq!(masked(1, &long), "****");
}

#[test]
fn facts_are_taken_where_tail_sampling_stands() {
    let file = |order: &str| {
        format!(
            "processors:\n  tail_sampling:\n    policies:\n      - {{name: p, type: string_attribute, string_attribute: {{key: user, values: [ann]}}}}\n  \
             redaction: {{allow_all_keys: true, blocked_values: [ann]}}\nservice:\n  pipelines:\n    traces: {{processors: [{order}]}}\n"
        )
    };
    let request = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "0102030405060708090a0b0c0d0e0f10",
        "spanId": "0102030405060708", "attributes": [{"key": "user", "value": {"stringValue": "ann"}}]}]}]}]});
    let bytes = protobuf(Signal::Traces, &request);
    for (order, met) in [("tail_sampling, redaction", true), ("redaction, tail_sampling", false)] {
        let rules = rules(&file(order));
        let (masked, facts) = apply(&rules, Signal::Traces, &bytes);
        assert!(!contains(&masked, "ann"), "{order}");
        assert_eq!(facts.values().next().unwrap().bits != 0, met, "{order}");
    }
}

#[test]
fn what_can_not_be_walked_is_dropped_and_leaves_nothing() {
    let rules = rules(DEFAULT_CONFIG);
    let mut scratch = Scratch::new();
    let masked = context(&rules, Signal::Logs, &mut scratch);
    let mut out = b"before".to_vec();
    let mut deep = Vec::new();
    for _ in 0..200 {
        let inner = std::mem::take(&mut deep);
        let mut list = Vec::new();
        put_len(&mut list, 1, &inner);
        put_len(&mut deep, 5, &list);
    }
    let mut log = Vec::new();
    put_len(&mut log, 5, &deep);
    for item in [b"\xff".as_slice(), b"\x2a\x05abc", &log] {
        assert_eq!(rules.item(Signal::Logs, &masked, item, &mut out, &mut scratch).dropped, Some("malformed"));
        assert_eq!(out, b"before");
    }
}

#[test]
fn bytes_that_hold_a_secret_among_others_are_masked_whole_and_other_bytes_stay() {
    let rules = rules(DEFAULT_CONFIG);
    let mut scratch = Scratch::new();
    let masked = context(&rules, Signal::Logs, &mut scratch);
    for (bytes, stays) in [(&b"\xff password=hunter2 \xfe"[..], false), (b"\xff pass \xfe", true)] {
        let (mut any, mut log, mut out) = (Vec::new(), Vec::new(), Vec::new());
        put_len(&mut any, 7, bytes);
        put_len(&mut log, 5, &any);
        let _ = rules.item(Signal::Logs, &masked, &log, &mut out, &mut scratch);
        assert_eq!(contains(&out, "****"), !stays);
        assert_eq!(out == log, stays);
    }
}

#[test]
fn ids_of_a_wrong_length_go() {
    let rules = rules(DEFAULT_CONFIG);
    let mut scratch = Scratch::new();
    let masked = context(&rules, Signal::Traces, &mut scratch);
    let (mut link, mut span, mut out) = (Vec::new(), Vec::new(), Vec::new());
    put_len(&mut link, 1, b"password=hunter22");
    put_len(&mut link, 1, &[1; 16]);
    put_len(&mut link, 2, b"password=hunter22");
    put_len(&mut span, 1, &[2; 16]);
    put_len(&mut span, 4, b"hunter2");
    put_len(&mut span, 13, &link);
    let _ = rules.item(Signal::Traces, &masked, &span, &mut out, &mut scratch);
    let (mut link, mut wanted) = (Vec::new(), Vec::new());
    put_len(&mut link, 1, &[1; 16]);
    put_len(&mut wanted, 1, &[2; 16]);
    put_len(&mut wanted, 13, &link);
    assert_eq!(out, wanted);
}

#[test]
fn a_value_that_a_value_of_another_kind_follows_goes() {
    let rules = rules(&configuration("redaction", "allow_all_keys: true\nblocked_values: ['^7$']", &["logs"], "on"));
    let mut scratch = Scratch::new();
    let masked = context(&rules, Signal::Logs, &mut scratch);
    let (mut element, mut list, mut any, mut pair) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    put_len(&mut element, 1, b"hunter2");
    put_len(&mut list, 1, &element);
    put_len(&mut any, 5, &list);
    put_varint_field(&mut any, 3, 12);
    put_varint_field(&mut any, 2, 1);
    put_len(&mut pair, 1, b"password");
    put_len(&mut pair, 2, &any);
    let (mut log, mut out) = (Vec::new(), Vec::new());
    put_len(&mut log, 6, &pair);
    let _ = rules.item(Signal::Logs, &masked, &log, &mut out, &mut scratch);
    assert_eq!(out, b"\x32\x0e\x0a\x08password\x12\x02\x10\x01");
    // What stands before a number that is masked as text must not keep what comes behind it from being masked.
    let (mut any, mut log) = (Vec::new(), Vec::new());
    put_len(&mut any, 1, SECRET.as_bytes());
    put_varint_field(&mut any, 3, 7);
    put_len(&mut log, 5, &any);
    put_len(&mut log, 12, SECRET.as_bytes());
    out.clear();
    let outcome = rules.item(Signal::Logs, &masked, &log, &mut out, &mut scratch);
    assert_eq!(outcome.dropped, None);
    assert!(!contains(&out, "hunter2") && contains(&out, "password=****"), "{}", String::from_utf8_lossy(&out));
}

#[test]
fn what_came_before_changes_neither_the_bytes_nor_the_counts() {
    let block = "allow_all_keys: true\nblocked_values: ['\\*{4}', ann]\nignored_keys: [free]";
    let limits = "  limits: {attributes_per_item: 3, attribute_value_bytes: 16}\n";
    let rules = rules(&(configuration("redaction", block, &["logs"], "on") + limits));
    let pair = |key: &str, kind: u32, value: &[u8]| {
        let (mut any, mut pair, mut field) = (Vec::new(), Vec::new(), Vec::new());
        put_len(&mut any, kind, value);
        put_len(&mut pair, 1, key.as_bytes());
        put_len(&mut pair, 2, &any);
        put_len(&mut field, 6, &pair);
        field
    };
    let texts = ["GET", "****", "ann", "longer than sixteen", "free", "4111 1111 1111 1111", "f28552314067da2133b1"];
    let pairs = texts.iter().flat_map(|text| ["a", "free", "password"].map(|key| pair(key, 1, text.as_bytes())));
    let mut pairs: Vec<Vec<u8>> = pairs.chain([pair("a", 7, b"\xff\xfe"), pair("list", 5, b"\x0a\x05\x0a\x03ann")]).collect();
    pairs.push(b"\x32\x07\x0a\x01a\x12\x02\x18\x07".to_vec());
    let items =
        (0..pairs.len()).map(|at| (0..5).flat_map(|step| pairs[(at + 4 * step) % pairs.len()].clone()).collect::<Vec<u8>>());
    let items: Vec<Vec<u8>> = items.collect();
    let mut warm = Scratch::new();
    let masked = context(&rules, Signal::Logs, &mut warm);
    for round in 0..3 {
        for item in &items {
            let (mut out, mut expected, mut cold) = (Vec::new(), Vec::new(), Scratch::new());
            let outcome = rules.item(Signal::Logs, &masked, item, &mut out, &mut warm);
            assert_eq!(rules.item(Signal::Logs, &masked, item, &mut expected, &mut cold), outcome);
            assert_eq!((out, warm.take_masked()), (expected, cold.take_masked()), "round {round}: {item:?}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let rules = rules(DEFAULT_CONFIG);
        let mut scratch = Scratch::new();
        for signal in Signal::ALL {
            let raw = Context { resource: &bytes, scope: &bytes, ..Context::default() };
            drop(rules.context(signal, raw, &mut scratch));
            let mut out = Vec::new();
            let masked = context(&rules, signal, &mut scratch);
            let _ = rules.item(signal, &masked, &bytes, &mut out, &mut scratch);
        }
    }
}
