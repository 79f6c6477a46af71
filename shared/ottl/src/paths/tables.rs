//! The paths of each context.

use super::{Access, Field, Form, Root};
use crate::frame::Context;

type Row = (&'static str, Access);

const fn at(field: u32, form: Form) -> Access {
    Access { via: None, field: Field::Number(field), form }
}

const fn via(outer: u32, field: u32, form: Form) -> Access {
    Access { via: Some(Field::Number(outer)), field: Field::Number(field), form }
}

const fn named(field: &'static str, form: Form) -> Access {
    Access { via: None, field: Field::Named(field), form }
}

const fn named_via(outer: &'static str, field: &'static str, form: Form) -> Access {
    Access { via: Some(Field::Named(outer)), field: Field::Named(field), form }
}

const RESOURCE: &[Row] = &[
    ("attributes", at(1, Form::Attributes)),
    ("dropped_attributes_count", at(2, Form::Int)),
    ("schema_url", at(0, Form::SchemaUrl)),
];

const SCOPE: &[Row] = &[
    ("name", at(1, Form::Text)),
    ("version", at(2, Form::Text)),
    ("attributes", at(3, Form::Attributes)),
    ("dropped_attributes_count", at(4, Form::Int)),
    ("schema_url", at(0, Form::SchemaUrl)),
];

const SPAN: &[Row] = &[
    ("attributes", at(9, Form::Attributes)),
    ("name", at(5, Form::Text)),
    ("kind", at(6, Form::Int)),
    ("kind.string", at(6, Form::KindText)),
    ("kind.deprecated_string", at(6, Form::KindDeprecatedText)),
    ("status", via(15, 3, Form::Int)),
    ("status.code", via(15, 3, Form::Int)),
    ("status.message", via(15, 2, Form::Text)),
    ("trace_id", at(1, Form::TraceId)),
    ("trace_id.string", at(1, Form::TraceIdText)),
    ("span_id", at(2, Form::SpanId)),
    ("span_id.string", at(2, Form::SpanIdText)),
    ("trace_state", at(3, Form::TraceState)),
    ("parent_span_id", at(4, Form::SpanId)),
    ("parent_span_id.string", at(4, Form::SpanIdText)),
    ("start_time_unix_nano", at(7, Form::Int)),
    ("end_time_unix_nano", at(8, Form::Int)),
    ("start_time", at(7, Form::Time)),
    ("end_time", at(8, Form::Time)),
    ("dropped_attributes_count", at(10, Form::Int)),
    ("dropped_events_count", at(12, Form::Int)),
    ("dropped_links_count", at(14, Form::Int)),
    ("flags", at(16, Form::Int)),
];

const SPAN_EVENT: &[Row] = &[
    ("attributes", at(3, Form::Attributes)),
    ("name", at(2, Form::Text)),
    ("time_unix_nano", at(1, Form::Int)),
    ("time", at(1, Form::Time)),
    ("dropped_attributes_count", at(4, Form::Int)),
    ("event_index", at(0, Form::EventIndex)),
];

const LOG: &[Row] = &[
    ("attributes", at(6, Form::Attributes)),
    ("body", at(5, Form::Value)),
    ("body.string", at(5, Form::ValueText)),
    ("severity_number", at(2, Form::Int)),
    ("severity_text", at(3, Form::Text)),
    ("time_unix_nano", at(1, Form::Int)),
    ("time", at(1, Form::Time)),
    ("observed_time_unix_nano", at(11, Form::Int)),
    ("observed_time", at(11, Form::Time)),
    ("dropped_attributes_count", at(7, Form::Int)),
    ("flags", at(8, Form::Int)),
    ("trace_id", at(9, Form::TraceId)),
    ("trace_id.string", at(9, Form::TraceIdText)),
    ("span_id", at(10, Form::SpanId)),
    ("span_id.string", at(10, Form::SpanIdText)),
    ("event_name", at(12, Form::Text)),
];

const METRIC: &[Row] = &[
    ("name", at(1, Form::Text)),
    ("description", at(2, Form::Text)),
    ("unit", at(3, Form::Text)),
    ("metadata", at(12, Form::Attributes)),
    ("type", at(0, Form::MetricType)),
    ("aggregation_temporality", at(0, Form::Temporality)),
    ("is_monotonic", at(0, Form::Monotonic)),
];

const DATA_POINT: &[Row] = &[
    ("attributes", named("attributes", Form::Attributes)),
    ("value_int", named("as_int", Form::Int)),
    ("value_double", named("as_double", Form::Double)),
    ("start_time_unix_nano", named("start_time_unix_nano", Form::Int)),
    ("time_unix_nano", named("time_unix_nano", Form::Int)),
    ("start_time", named("start_time_unix_nano", Form::Time)),
    ("time", named("time_unix_nano", Form::Time)),
    ("flags", named("flags", Form::Int)),
    ("count", named("count", Form::Int)),
    ("sum", named("sum", Form::Double)),
    ("min", named("min", Form::Double)),
    ("max", named("max", Form::Double)),
    ("bucket_counts", named("bucket_counts", Form::Ints)),
    ("explicit_bounds", named("explicit_bounds", Form::Doubles)),
    ("scale", named("scale", Form::Zigzag)),
    ("zero_count", named("zero_count", Form::Int)),
    ("zero_threshold", named("zero_threshold", Form::Double)),
    ("positive.offset", named_via("positive", "offset", Form::Zigzag)),
    ("positive.bucket_counts", named_via("positive", "bucket_counts", Form::Ints)),
    ("negative.offset", named_via("negative", "offset", Form::Zigzag)),
    ("negative.bucket_counts", named_via("negative", "bucket_counts", Form::Ints)),
];

const EXEMPLAR: &[Row] = &[
    ("filtered_attributes", at(7, Form::Attributes)),
    ("time_unix_nano", at(2, Form::Int)),
    ("time", at(2, Form::Time)),
    ("value_int", at(6, Form::Int)),
    ("value_double", at(3, Form::Double)),
    ("trace_id", at(5, Form::TraceId)),
    ("trace_id.string", at(5, Form::TraceIdText)),
    ("span_id", at(4, Form::SpanId)),
    ("span_id.string", at(4, Form::SpanIdText)),
];

/// The field of this name in a context, and the message that it belongs to.
pub(crate) fn find(context: Context, name: &str) -> Option<(Root, Access)> {
    if name == "cache" {
        return Some((Root::Cache, at(0, Form::Cache)));
    }
    let (root, rows) = match context {
        Context::Resource => (Root::Resource, RESOURCE),
        Context::Scope => (Root::Scope, SCOPE),
        Context::Span => (Root::Item, SPAN),
        Context::SpanEvent => (Root::Part, SPAN_EVENT),
        Context::Log => (Root::Item, LOG),
        Context::Metric => (Root::Item, METRIC),
        Context::DataPoint => (Root::Part, DATA_POINT),
        Context::Exemplar => (Root::Exemplar, EXEMPLAR),
    };
    rows.iter().find(|(known, _)| *known == name).map(|(_, access)| (root, *access))
}

#[cfg(test)]
mod tests {
    use spanlake_otlp::schema::{EVENT, EXEMPLAR, LOG_RECORD, METRIC, RESOURCE, SCOPE, SPAN};

    use super::*;

    #[test]
    fn every_path_names_a_field_that_its_message_has() {
        let tables = [
            (&RESOURCE, super::RESOURCE),
            (&SCOPE, super::SCOPE),
            (&SPAN, super::SPAN),
            (&EVENT, SPAN_EVENT),
            (&LOG_RECORD, LOG),
            (&METRIC, super::METRIC),
            (&EXEMPLAR, super::EXEMPLAR),
        ];
        for (message, rows) in tables {
            for (name, access) in rows {
                let number = match (access.via, access.field) {
                    (Some(Field::Number(outer)), _) => outer,
                    (None, Field::Number(0)) => continue,
                    (None, Field::Number(number)) => number,
                    other => panic!("{name}: {other:?}"),
                };
                let field = message.field(number).unwrap_or_else(|| panic!("{name}"));
                let first = name.split('.').next().unwrap().trim_start_matches("filtered_");
                let is_same = field.name.contains(first) || first.starts_with("value") || first.contains("time");
                assert!(is_same, "{name} is {}", field.name);
            }
        }
    }
}
