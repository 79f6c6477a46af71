use serde_json::{Value as Json, json};
use spanlake_model::Signal;

use crate::harness::{apply, configuration, json as decoded, lines, protobuf, read};

fn request(row: &Json) -> Json {
    let value = |value: &Json| match value {
        Json::Array(items) => {
            json!({"arrayValue": {"values": items.iter().map(|item| json!({"stringValue": item})).collect::<Vec<_>>()}})
        }
        text => json!({"stringValue": text}),
    };
    let attributes: Vec<Json> =
        row["in_attributes"].as_object().unwrap().iter().map(|(key, text)| json!({"key": key, "value": value(text)})).collect();
    json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "svc"}}]},
        "scopeSpans": [{"spans": [{"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708",
            "name": "GET /a", "attributes": attributes}]}]}]})
}

#[test]
fn statements_rewrite_what_the_reference_rewrites_or_are_refused() {
    let mut executed = 0;
    for row in lines("ottl-replace-pattern.jsonl") {
        let statement = row["statement"].as_str().unwrap().replace('$', "$$");
        let quoted = format!("'{}'", statement.replace('\'', "''"));
        let block = format!("trace_statements:\n  - context: span\n    statements:\n      - {quoted}");
        let loaded = read(&configuration("transform", &block, &["traces"], "off"));
        let Some(rules) = loaded.rules else {
            let excused =
                row["parse_error"].is_string() || loaded.findings.iter().any(|f| f.message.contains("not supported yet"));
            assert!(excused, "{row} {:?}", loaded.findings);
            continue;
        };
        assert!(row["parse_error"].is_null(), "loads: {row}");
        let (masked, _) = apply(&rules, Signal::Traces, &protobuf(Signal::Traces, &request(&row)));
        let masked = decoded(Signal::Traces, &masked);
        let mut wanted = row.clone();
        wanted["in_attributes"] = row["out_attributes"].clone();
        let group = &masked["resourceSpans"][0];
        let span = &group["scopeSpans"][0]["spans"][0];
        assert_eq!(
            span["attributes"],
            decoded(Signal::Traces, &protobuf(Signal::Traces, &request(&wanted)))["resourceSpans"][0]["scopeSpans"][0]["spans"]
                [0]["attributes"],
            "{row}"
        );
        assert_eq!(span["name"], row["out_name"]);
        assert_eq!(group["resource"]["attributes"][0]["value"]["stringValue"], row["out_service_name"]);
        executed += 1;
    }
    assert!(executed >= 18, "{executed}");
}
