//! What the tests of the vectors share.


use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use spanlake_otlp::tree::{Map, Value};

/// A file below the project.
#[expect(clippy::disallowed_methods, reason = "vectors are files; the crate itself touches none")]
pub(crate) fn file(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../../{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The lines of a file of the vectors.
pub(crate) fn lines(name: &str) -> Vec<Json> {
    let text = file(&format!("tests/data/vectors/{name}"));
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The cases of a section of the list of deviations.
pub(crate) fn deviations(section: &str) -> BTreeSet<String> {
    let page = file("docs/deviations.md");
    let heading = format!("## {section}");
    let lines = page.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    lines.filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` |")?.0.to_owned())).collect()
}

/// A value of plain JSON.
pub(crate) fn value_from(value: &Json) -> Value<'static> {
    match value {
        Json::Null => Value::Empty,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number.as_i64().map_or_else(|| Value::Double(number.as_f64().unwrap()), Value::Int),
        Json::String(text) => Value::String(Cow::Owned(text.clone())),
        Json::Array(items) => Value::List(items.iter().map(value_from).collect()),
        Json::Object(map) => Value::Map(Map(map.iter().map(|(key, value)| (Cow::Owned(key.clone()), value_from(value))).collect())),
    }
}

/// A value as plain JSON; bytes in base64.
pub(crate) fn value_json(value: &Value<'_>) -> Json {
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
