//! The names that stand for numbers.

use spanlake_otlp::schema::{Kind, LOG_RECORD, SPAN, STATUS, SUM};

use crate::frame::Context;

const METRIC_TYPES: [&str; 6] = [
    "METRIC_DATA_TYPE_NONE",
    "METRIC_DATA_TYPE_GAUGE",
    "METRIC_DATA_TYPE_SUM",
    "METRIC_DATA_TYPE_HISTOGRAM",
    "METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM",
    "METRIC_DATA_TYPE_SUMMARY",
];

/// The number that a name stands for in a context.
pub(crate) fn value(context: Context, name: &str) -> Option<i64> {
    let listed = |kind: Option<Kind>| match kind {
        Some(Kind::Enum(names)) => names.iter().find(|(known, _)| *known == name).map(|(_, value)| i64::from(*value)),
        _ => None,
    };
    let field = |message: &'static spanlake_otlp::schema::Message, number| message.field(number).map(|field| field.kind);
    match context {
        Context::Span | Context::SpanEvent => listed(field(&SPAN, 6)).or_else(|| listed(field(&STATUS, 3))),
        Context::Log => listed(field(&LOG_RECORD, 2)),
        Context::Metric | Context::DataPoint | Context::Exemplar => match name {
            "FLAG_NONE" => Some(0),
            "FLAG_NO_RECORDED_VALUE" => Some(1),
            _ => {
                let place = METRIC_TYPES.iter().position(|known| *known == name).and_then(|place| i64::try_from(place).ok());
                place.or_else(|| listed(field(&SUM, 2)))
            }
        },
        Context::Resource | Context::Scope => None,
    }
}
