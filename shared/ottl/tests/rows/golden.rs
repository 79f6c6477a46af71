//! Every row of the golden vectors: a statement in the context of a span, and what the reference made of it.

use std::borrow::Cow;

use crate::common::{deviations, lines};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use spanlake_otlp::schema::{RESOURCE, SCOPE, SPAN};
use spanlake_otlp::tree::{Map, Node, Slot, Value};
use spanlake_ottl::functions::GOLDEN;
use spanlake_ottl::regex::PatternCache;
use spanlake_ottl::{Context, Frame, Spent, Statement};

const NAME: u32 = 5;
const ATTRIBUTES: u32 = 9;
const STATUS: u32 = 15;

/// What a statement made of an item.
#[derive(Debug, PartialEq)]
struct Outcome {
    matched: bool,
    is_error: bool,
    attributes: Json,
    name: Json,
    service_name: Json,
    status_code: Json,
}

/// A value of plain JSON.
fn value_from(value: &Json) -> Value<'static> {
    match value {
        Json::Null => Value::Empty,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number.as_i64().map_or_else(|| Value::Double(number.as_f64().unwrap()), Value::Int),
        Json::String(text) => Value::String(Cow::Owned(text.clone())),
        Json::Array(items) => Value::List(items.iter().map(value_from).collect()),
        Json::Object(map) => {
            Value::Map(Map(map.iter().map(|(key, value)| (Cow::Owned(key.clone()), value_from(value))).collect()))
        }
    }
}

/// A value as plain JSON; bytes in base64.
fn value_json(value: &Value<'_>) -> Json {
    match value {
        Value::Empty => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Double(value) => json!(value),
        Value::String(text) => json!(text),
        Value::Bytes(bytes) => json!(STANDARD.encode(bytes)),
        Value::List(items) => items.iter().map(value_json).collect(),
        Value::Map(map) => map.iter().map(|(key, value)| (key.to_owned(), value_json(value))).collect(),
    }
}

fn attributes_of(map: &Json) -> Map<'static> {
    let entries = map.as_object().unwrap().iter();
    Map(entries.map(|(key, value)| (Cow::Owned(key.clone()), value_from(value))).collect())
}

/// Attributes as the rows write them: plain JSON, bytes in base64.
fn plain(map: Option<&Map<'_>>) -> Json {
    map.map_or_else(|| serde_json::json!({}), |map| value_json(&Value::Map(map.clone())))
}

fn run(statement: &Statement, row: &Json) -> Outcome {
    let mut resource = Node::new(&RESOURCE);
    let service = Map(vec![("service.name".into(), Value::String("svc".into()))]);
    resource.set(1, Slot::Map(service));
    let mut scope = Node::new(&SCOPE);
    scope.set(1, Slot::Text("lib".into()));
    let mut span = Node::new(&SPAN);
    span.set(NAME, Slot::Text("GET /a".into()));
    span.set(ATTRIBUTES, Slot::Map(attributes_of(&row["in_attributes"])));
    let (mut part, mut exemplar) = (Node::new(&SPAN), Node::new(&SPAN));
    let mut frame = Frame {
        resource: &mut resource,
        resource_schema_url: &mut Cow::Borrowed(""),
        scope: &mut scope,
        scope_schema_url: &mut Cow::Borrowed(""),
        item: &mut span,
        part: &mut part,
        exemplar: &mut exemplar,
        cache: &mut Map::default(),
        added: &mut Vec::new(),

        spent: &mut Spent::default(),
        now_nanos: 0,
    };
    let result = statement.run(&mut frame);
    Outcome {
        matched: result.unwrap_or(true),
        is_error: result.is_err(),
        attributes: plain(span.map(ATTRIBUTES)),
        name: span.text(NAME).into(),
        service_name: value_json(resource.map(1).unwrap().get("service.name").unwrap()),
        status_code: span.node(STATUS).map_or(0, |status| status.number(3)).into(),
    }
}

#[test]
fn every_row_does_what_the_reference_did() {
    let listed = deviations("OTTL");
    let mut differing = Vec::new();
    let rows = lines("ottl-golden.jsonl");
    assert!(rows.len() >= 80);
    for row in &rows {
        let text = row["statement"].as_str().unwrap();
        let statement = match Statement::new(text, Context::Span, GOLDEN, &PatternCache::default()) {
            Err(error) => {
                assert!(!row["parse_error"].is_null(), "{text}: {error}");
                continue;
            }
            Ok(statement) => statement,
        };
        assert!(row["parse_error"].is_null(), "{text} is read");
        let wanted = Outcome {
            matched: row["condition_matched"].as_bool().unwrap(),
            is_error: !row["error"].as_str().unwrap().is_empty(),
            attributes: row["out_attributes"].clone(),
            name: row["out_name"].clone(),
            service_name: row["out_service_name"].clone(),
            status_code: row["out_status_code"].clone(),
        };
        let outcome = run(&statement, row);
        if outcome != wanted {
            assert!(listed.contains(text), "{text}:\n{outcome:#?}\n{wanted:#?}");
            differing.push(text);
        }
    }
    for name in &listed {
        let is_row = rows.iter().any(|row| row["statement"] == name.as_str());
        assert!(!is_row || differing.contains(&name.as_str()), "`{name}` is listed and does not deviate");
    }
}
