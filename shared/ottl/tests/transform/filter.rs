//! What the `filter` processor has for metrics, in the case that uses it.

use std::borrow::Cow;

use spanlake_model::Signal;
use spanlake_otlp::json::to_protobuf;
use spanlake_otlp::limits::Limits;
use spanlake_otlp::schema::{RESOURCE, SCOPE, SPAN};
use spanlake_otlp::tree::{Map, Node, Payload};
use spanlake_ottl::functions::{CONDITIONS, FILTER};
use spanlake_ottl::{Condition, Context, Frame};

use crate::common::{file, lines};

fn names<'a>(payload: &'a Payload<'_>) -> Vec<&'a str> {
    let items = payload.groups.iter().flat_map(|group| &group.scopes).flat_map(|scope| &scope.items);
    items.map(|item| item.node.text(1)).collect()
}

#[test]
fn metrics_are_dropped_by_their_data_points() {
    let case = lines("processors/filter.jsonl").into_iter().find(|case| case["name"] == "metrics-metric-functions").unwrap();
    let protobuf = |text: &str| to_protobuf(Signal::Metrics, text.as_bytes(), &Limits::default()).unwrap().protobuf;
    let (input, expected) =
        (protobuf(&file("tests/data/vectors/processors/inputs/metrics-shop.json")), protobuf(&case["expected"].to_string()));
    let texts = ["HasAttrOnDatapoint(\"route\", \"/healthz\")", "HasAttrKeyOnDatapoint(\"state\")"];
    let conditions = texts.map(|text| Condition::new(text, Context::Metric, FILTER).unwrap());
    let mut payload = Payload::decode(Signal::Metrics, &input).unwrap();
    for scope in payload.groups.iter_mut().flat_map(|group| &mut group.scopes) {
        scope.items.retain_mut(|item| {
            let mut frame = Frame {
                resource: &mut Node::new(&RESOURCE),
                resource_schema_url: &mut Cow::Borrowed(""),
                scope: &mut Node::new(&SCOPE),
                scope_schema_url: &mut Cow::Borrowed(""),
                item: &mut item.node,
                part: &mut Node::new(&SPAN),
                exemplar: &mut Node::new(&SPAN),
                cache: &mut Map::default(),
                added: &mut Vec::new(),
                now_nanos: 0,
            };
            // A metric without data is an error, which counts as false.
            !conditions.iter().any(|condition| condition.holds(&mut frame).unwrap_or(false))
        });
    }
    assert_eq!(names(&payload), names(&Payload::decode(Signal::Metrics, &expected).unwrap()));
}

#[test]
fn a_component_has_its_own_functions_and_no_others() {
    let is_known = |text: &str, context| Condition::new(text, context, CONDITIONS).is_ok();
    assert!(is_known("IsRootSpan()", Context::Span));
    assert!(!is_known("IsRootSpan()", Context::SpanEvent));
    assert!(!is_known("HasAttrKeyOnDatapoint(\"k\")", Context::Metric));
    assert!(!is_known("set(name, \"x\")", Context::Span));
    let error = Condition::new("UserAgent(name)[\"k\"] == \"x\"", Context::Span, CONDITIONS).unwrap_err();
    assert!(error.message.contains("is not supported here: "), "{error}");
}
