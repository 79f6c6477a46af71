//! Short constructors for OTLP attributes.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};

/// A string value.
pub(crate) fn text(value: impl Into<String>) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(value.into())) }
}

/// A list of values.
pub(crate) fn list(values: Vec<AnyValue>) -> AnyValue {
    AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) }
}

/// A nested set of attributes.
pub(crate) fn map(values: Vec<KeyValue>) -> AnyValue {
    AnyValue { value: Some(Value::KvlistValue(KeyValueList { values })) }
}

/// An attribute of any type.
pub(crate) fn attribute(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// A string attribute.
pub(crate) fn string(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, text(value))
}

/// An integer attribute.
pub(crate) fn int(key: &str, value: u64) -> KeyValue {
    attribute(key, AnyValue { value: Some(Value::IntValue(value.cast_signed())) })
}

/// A floating-point attribute.
pub(crate) fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, AnyValue { value: Some(Value::DoubleValue(value)) })
}

/// A boolean attribute.
pub(crate) fn boolean(key: &str, value: bool) -> KeyValue {
    attribute(key, AnyValue { value: Some(Value::BoolValue(value)) })
}
