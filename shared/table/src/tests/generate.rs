//! Messages from a seed, with the values that break things.
#![expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "random numbers, cut on purpose")]

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

const TEXTS: &[&str] =
    &["", "a", "GET", "shop.Cart/Add", "/pay?card=1", "\u{6771}\u{4eac}", "a\"b\\c\nd\u{0}", "200", "checkout"];
const KEYS: &[&str] = &[
    "a",
    "b",
    "http.method",
    "http.request.method",
    "http.route",
    "http.status_code",
    "http.response.status_code",
    "net.host.name",
    "db.system",
    "db.statement",
    "peer.service",
    "error.type",
    "exception.type",
    "gen_ai.usage.input_tokens",
    "host.name",
    "service.name",
    "service.version",
    "deployment.environment",
    "deployment.environment.name",
    "k8s.pod.name",
    "x y",
    "",
];
const DOUBLES: &[f64] = &[0.0, -0.0, 1.5, 1e300, 5e-324, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1];
const NUMBERS: &[u64] = &[0, 1, 2, 999_999, 1_767_225_600_123_456_789, 1_767_225_600_999_999_999, i64::MAX as u64, u64::MAX];

/// A stream of messages.
pub(in crate::tests) struct Source {
    state: u64,
    pub(in crate::tests) resource: Resource,
    pub(in crate::tests) scope: InstrumentationScope,
}

impl Source {
    pub(in crate::tests) fn new(seed: u64) -> Self {
        let mut source = Self { state: seed, resource: Resource::default(), scope: InstrumentationScope::default() };
        source.resource.attributes = source.attributes();
        source.scope = InstrumentationScope {
            name: source.text(),
            version: source.text(),
            attributes: source.attributes(),
            dropped_attributes_count: 0,
        };
        source
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn text(&mut self) -> String {
        self.pick(TEXTS).to_owned()
    }

    fn number(&mut self) -> u64 {
        if self.below(3) == 0 { self.next() } else { self.pick(NUMBERS) }
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn value(&mut self, depth: u32) -> Option<AnyValue> {
        let kinds = if depth == 0 { 6 } else { 8 };
        let value = match self.below(kinds) {
            0 => return None,
            1 => Value::BoolValue(self.below(2) == 0),
            2 => Value::IntValue(self.number().cast_signed()),
            3 => Value::DoubleValue(self.pick(DOUBLES)),
            4 => Value::BytesValue(self.bytes(5)),
            5 => Value::StringValue(self.text()),
            6 => Value::ArrayValue(ArrayValue { values: (0..self.below(3)).filter_map(|_| self.value(depth - 1)).collect() }),
            _ => Value::KvlistValue(KeyValueList {
                values: vec![KeyValue { key: "k".to_owned(), value: self.value(depth - 1), ..KeyValue::default() }],
            }),
        };
        Some(AnyValue { value: Some(value) })
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        let count = self.below(10);
        (0..count).map(|_| KeyValue { key: self.pick(KEYS).to_owned(), value: self.value(2), ..KeyValue::default() }).collect()
    }

    pub(in crate::tests) fn span(&mut self) -> Span {
        let start = self.number();
        Span {
            trace_id: self.bytes(16),
            span_id: self.bytes(8),
            trace_state: self.text(),
            parent_span_id: if self.below(2) == 0 { Vec::new() } else { self.bytes(8) },
            flags: self.next() as u32,
            name: self.text(),
            kind: self.below(8) as i32,
            start_time_unix_nano: start,
            end_time_unix_nano: if self.below(2) == 0 { start.saturating_add(5) } else { self.number() },
            attributes: self.attributes(),
            dropped_attributes_count: self.next() as u32,
            events: (0..self.below(3))
                .map(|_| Event {
                    time_unix_nano: self.number(),
                    name: self.text(),
                    attributes: self.attributes(),
                    ..Event::default()
                })
                .collect(),
            dropped_events_count: 3,
            links: (0..self.below(3))
                .map(|_| Link {
                    trace_id: self.bytes(16),
                    span_id: self.bytes(8),
                    trace_state: self.text(),
                    attributes: self.attributes(),
                    ..Link::default()
                })
                .collect(),
            dropped_links_count: 4,
            status: (self.below(3) > 0).then(|| Status { message: self.text(), code: self.below(5) as i32 }),
        }
    }

    pub(in crate::tests) fn log(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.number(),
            observed_time_unix_nano: self.number(),
            severity_number: self.below(25) as i32,
            severity_text: self.text(),
            body: self.value(3),
            attributes: self.attributes(),
            dropped_attributes_count: 1,
            flags: 1,
            trace_id: if self.below(2) == 0 { Vec::new() } else { self.bytes(16) },
            span_id: if self.below(2) == 0 { Vec::new() } else { self.bytes(8) },
            event_name: self.text(),
        }
    }

    fn exemplars(&mut self) -> Vec<Exemplar> {
        (0..self.below(3))
            .map(|_| Exemplar {
                filtered_attributes: self.attributes(),
                time_unix_nano: self.number(),
                span_id: self.bytes(8),
                trace_id: self.bytes(16),
                value: [None, Some(exemplar::Value::AsInt(-7)), Some(exemplar::Value::AsDouble(0.5))][self.below(3)],
            })
            .collect()
    }

    fn optional(&mut self) -> Option<f64> {
        (self.below(2) == 0).then(|| self.pick(DOUBLES))
    }

    fn counts(&mut self) -> Vec<u64> {
        (0..self.below(4)).map(|_| self.number()).collect()
    }

    fn buckets(&mut self) -> Option<Buckets> {
        (self.below(2) == 0).then(|| Buckets { offset: self.next() as i32, bucket_counts: self.counts() })
    }

    fn numbers(&mut self) -> Vec<NumberDataPoint> {
        (0..self.below(3))
            .map(|_| NumberDataPoint {
                attributes: self.attributes(),
                start_time_unix_nano: self.number(),
                time_unix_nano: self.number(),
                exemplars: self.exemplars(),
                flags: 1,
                value: match self.below(3) {
                    0 => None,
                    1 => Some(number_data_point::Value::AsInt(self.number().cast_signed())),
                    _ => Some(number_data_point::Value::AsDouble(self.pick(DOUBLES))),
                },
            })
            .collect()
    }

    fn histogram(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.number(),
            time_unix_nano: self.number(),
            count: self.number(),
            sum: self.optional(),
            bucket_counts: self.counts(),
            explicit_bounds: (0..self.below(4)).map(|_| self.pick(DOUBLES)).collect(),
            exemplars: self.exemplars(),
            flags: 0,
            min: self.optional(),
            max: self.optional(),
        }
    }

    fn exponential(&mut self) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.number(),
            time_unix_nano: self.number(),
            count: self.number(),
            sum: self.optional(),
            scale: self.next() as i32,
            zero_count: self.number(),
            positive: self.buckets(),
            negative: self.buckets(),
            flags: 0,
            exemplars: self.exemplars(),
            min: self.optional(),
            max: self.optional(),
            zero_threshold: self.pick(DOUBLES),
        }
    }

    fn summary(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.number(),
            time_unix_nano: self.number(),
            count: self.number(),
            sum: self.pick(DOUBLES),
            quantile_values: (0..self.below(3))
                .map(|_| ValueAtQuantile { quantile: self.pick(DOUBLES), value: self.pick(DOUBLES) })
                .collect(),
            flags: 0,
        }
    }

    pub(in crate::tests) fn metric(&mut self) -> Metric {
        let aggregation_temporality = self.below(4) as i32;
        let data = match self.below(6) {
            0 => None,
            1 => Some(Data::Gauge(Gauge { data_points: self.numbers() })),
            2 => {
                let is_monotonic = self.below(2) == 0;
                Some(Data::Sum(Sum { data_points: self.numbers(), aggregation_temporality, is_monotonic }))
            }
            3 => Some(Data::Histogram(Histogram { data_points: vec![self.histogram()], aggregation_temporality })),
            4 => Some(Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![self.exponential(), self.exponential()],
                aggregation_temporality,
            })),
            _ => Some(Data::Summary(Summary { data_points: vec![self.summary()] })),
        };
        Metric { name: self.text(), description: self.text(), unit: self.text(), metadata: Vec::new(), data }
    }
}
