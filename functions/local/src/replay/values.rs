//! OTLP values out of their canonical texts.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value};
use spanlake_sql::Cell;
use spanlake_table::format_double;

/// An attribute.
pub(super) fn pair(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// The fields of a map or record; none of anything else.
pub(super) fn record(cell: &Cell) -> &[(String, Cell)] {
    match cell {
        Cell::Record(fields) => fields,
        _ => &[],
    }
}

/// The text of a cell.
pub(super) fn text_of(cell: &Cell) -> String {
    cell.as_text().map_or_else(|| cell.to_text(), str::to_owned)
}

/// An attribute's value out of its text: text, or with `is_typed` whatever has this text.
pub(super) fn value_of(cell: &Cell, is_typed: bool) -> Option<AnyValue> {
    if *cell == Cell::Null {
        return None;
    }
    let text = text_of(cell);
    let value = if is_typed { typed(&text) } else { None };
    Some(AnyValue { value: Some(value.unwrap_or(Value::StringValue(text))) })
}

/// The value that is no text and has this text, if there is one.
fn typed(text: &str) -> Option<Value> {
    match text.as_bytes().first()? {
        b't' | b'f' => text.parse().ok().map(Value::BoolValue),
        b'[' | b'{' => {
            let json: serde_json::Value = serde_json::from_str(text).ok()?;
            let canonical = json.to_string();
            (canonical == text).then(|| of_json(&json)).flatten()
        }
        _ => {
            let int = text.parse::<i64>().ok().filter(|number| number.to_string() == text).map(Value::IntValue);
            let double = || text.parse::<f64>().ok().filter(|number| format_double(*number) == text).map(Value::DoubleValue);
            int.or_else(double)
        }
    }
}

fn of_json(json: &serde_json::Value) -> Option<Value> {
    let any = |json: &serde_json::Value| AnyValue { value: of_json(json) };
    Some(match json {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(bit) => Value::BoolValue(*bit),
        serde_json::Value::Number(number) => {
            number.as_i64().map_or_else(|| Value::DoubleValue(number.as_f64().unwrap_or_default()), Value::IntValue)
        }
        serde_json::Value::String(text) => Value::StringValue(text.clone()),
        serde_json::Value::Array(values) => Value::ArrayValue(ArrayValue { values: values.iter().map(any).collect() }),
        serde_json::Value::Object(fields) => {
            let values = fields.iter().map(|(key, value)| pair(key, Some(any(value)))).collect();
            Value::KvlistValue(KeyValueList { values })
        }
    })
}

/// The body of a log record, whose type has a column.
pub(super) fn body(cell: &Cell, kind: &str) -> Option<AnyValue> {
    if *cell == Cell::Null && kind.is_empty() {
        return None;
    }
    let text = text_of(cell);
    let value = match kind {
        "bool" => text.parse().ok().map(Value::BoolValue),
        "int" => text.parse().ok().map(Value::IntValue),
        "double" => text.parse().ok().map(Value::DoubleValue),
        "array" | "map" => serde_json::from_str(&text).ok().as_ref().and_then(of_json),
        // Bytes stand as base64; no rule looks into them, and their length is nearly the same.
        _ => None,
    };
    Some(AnyValue { value: Some(value.unwrap_or(Value::StringValue(text))) })
}
