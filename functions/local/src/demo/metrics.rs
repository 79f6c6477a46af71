//! What each service measures: data points of all five shapes, cumulative and delta, some with exemplars.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, Sum, Summary, SummaryDataPoint, exemplar, exponential_histogram_data_point::Buckets, metric::Data,
    number_data_point::Value, summary_data_point::ValueAtQuantile,
};
use spanlake_model::{SpanId, TraceId};

use super::flows::Service;
use super::rng::Rng;
use super::secrets::{Kind, Planter};
use super::values::{double, int, string};

const BOUNDS_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The metric whose sum the report compares.
pub(crate) const ORDERS: &str = "shop.orders";

/// How many data points of each shape an export holds, and what it counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Points {
    pub(crate) number: u64,
    pub(crate) histogram: u64,
    pub(crate) exp_histogram: u64,
    pub(crate) summary: u64,
    /// Sum over the points of [`ORDERS`].
    pub(crate) orders: u64,
    /// Sum over the counts of the explicit histograms.
    pub(crate) observations: u64,
}

/// One export of one service.
pub(crate) struct Export<'a> {
    pub(crate) rng: &'a mut Rng,
    pub(crate) planter: &'a mut Planter,
    pub(crate) points: &'a mut Points,
    pub(crate) service: &'static Service,
    pub(crate) start_nanos: u64,
    pub(crate) at_nanos: u64,
    /// A span of this service for exemplars.
    pub(crate) span: Option<(TraceId, SpanId)>,
}

impl Export<'_> {
    /// All metrics of the export.
    pub(crate) fn metrics(&mut self) -> Vec<Metric> {
        vec![self.cpu(), self.orders(), self.requests(), self.queries(), self.pauses()]
    }

    fn cpu(&mut self) -> Metric {
        let points = (0..16).map(|core| {
            let used = ratio(self.rng.below(1_000), 1_000);
            let attributes =
                vec![int("cpu.logical_number", core / 2), string("cpu.mode", if core % 2 == 0 { "user" } else { "system" })];
            self.number(attributes, Value::AsDouble(used))
        });
        let data_points: Vec<_> = points.collect();
        self.points.number += data_points.len() as u64;
        metric("system.cpu.utilization", "1", "Share of a core in use", Data::Gauge(Gauge { data_points }))
    }

    fn orders(&mut self) -> Metric {
        let mut data_points = Vec::new();
        for country in ["DE", "FR", "IT", "ES", "NL", "PL", "SE", "AT", "BE", "DK", "FI", "IE", "PT", "CZ", "GR"] {
            let placed = self.rng.between(1, 40);
            let mut attributes = vec![string("shop.country", country), string("shop.service", self.service.name)];
            if self.rng.chance(5) {
                attributes.push(string("psp.key", self.planter.plant(Kind::ApiKey, "a metric's attribute")));
            }
            self.points.orders += placed;
            data_points.push(self.number(attributes, Value::AsInt(placed.cast_signed())));
        }
        self.points.number += data_points.len() as u64;
        let sum = Sum { data_points, aggregation_temporality: AggregationTemporality::Delta.into(), is_monotonic: true };
        metric(ORDERS, "{order}", "Orders placed", Data::Sum(sum))
    }

    fn requests(&mut self) -> Metric {
        let mut data_points = Vec::new();
        for route in ["/products/{id}", "/search", "/cart", "/cart/items", "/login", "/checkout", "/orders", "/v1/search"] {
            for status in [200, 500] {
                let attributes = vec![string("http.route", route), int("http.response.status_code", status)];
                data_points.push(self.histogram(attributes));
            }
        }
        self.points.histogram += data_points.len() as u64;
        let histogram = Histogram { data_points, aggregation_temporality: AggregationTemporality::Cumulative.into() };
        metric("http.server.request.duration", "s", "Duration of HTTP requests", Data::Histogram(histogram))
    }

    fn histogram(&mut self, attributes: Vec<KeyValue>) -> HistogramDataPoint {
        let bucket_counts: Vec<u64> = (0..=BOUNDS_SECONDS.len()).map(|_| self.rng.below(50)).collect();
        let count = bucket_counts.iter().sum();
        self.points.observations += count;
        HistogramDataPoint {
            attributes,
            start_time_unix_nano: self.start_nanos,
            time_unix_nano: self.at_nanos,
            count,
            sum: Some(ratio(count * 37, 1_000)),
            min: Some(0.001),
            max: Some(3.25),
            bucket_counts,
            explicit_bounds: BOUNDS_SECONDS.to_vec(),
            exemplars: self.exemplars(),
            ..HistogramDataPoint::default()
        }
    }

    fn queries(&mut self) -> Metric {
        let mut data_points = Vec::new();
        for table in ["products", "stock", "orders", "payments", "users", "carts"] {
            let bucket_counts: Vec<u64> = (0..12).map(|_| self.rng.below(30)).collect();
            let zero_count = self.rng.below(3);
            let count = zero_count + bucket_counts.iter().sum::<u64>();
            data_points.push(ExponentialHistogramDataPoint {
                attributes: vec![string("db.collection.name", table), string("db.system.name", "postgresql")],
                start_time_unix_nano: self.start_nanos,
                time_unix_nano: self.at_nanos,
                count,
                sum: Some(ratio(count * 11, 1_000)),
                scale: 3,
                zero_count,
                positive: Some(Buckets { offset: -40, bucket_counts }),
                min: Some(0.0),
                max: Some(0.4),
                ..ExponentialHistogramDataPoint::default()
            });
        }
        self.points.exp_histogram += data_points.len() as u64;
        let histogram = ExponentialHistogram { data_points, aggregation_temporality: AggregationTemporality::Delta.into() };
        metric("db.client.operation.duration", "s", "Duration of database calls", Data::ExponentialHistogram(histogram))
    }

    fn pauses(&mut self) -> Metric {
        let mut data_points = Vec::new();
        for pool in ["young", "old", "humongous", "metaspace"] {
            let count = self.rng.between(1, 20);
            let at = |quantile, value| ValueAtQuantile { quantile, value };
            data_points.push(SummaryDataPoint {
                attributes: vec![string("gc.pool", pool), double("gc.threshold", 0.75)],
                start_time_unix_nano: self.start_nanos,
                time_unix_nano: self.at_nanos,
                count,
                sum: ratio(count * 9, 1_000),
                quantile_values: vec![at(0.5, 0.004), at(0.99, 0.05)],
                ..SummaryDataPoint::default()
            });
        }
        self.points.summary += data_points.len() as u64;
        metric("runtime.gc.pause", "s", "Pauses of the garbage collector", Data::Summary(Summary { data_points }))
    }

    fn number(&self, attributes: Vec<KeyValue>, value: Value) -> NumberDataPoint {
        NumberDataPoint {
            attributes,
            start_time_unix_nano: self.start_nanos,
            time_unix_nano: self.at_nanos,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }

    fn exemplars(&mut self) -> Vec<Exemplar> {
        let Some((trace_id, span_id)) = self.span.filter(|_| self.rng.chance(250)) else { return Vec::new() };
        let mut filtered_attributes = vec![string("shop.tier", "gold")];
        if self.rng.chance(30) {
            let token = self.planter.plant(Kind::Bearer, "an exemplar's attribute");
            filtered_attributes.push(string("http.request.header.authorization", format!("Bearer {token}")));
        }
        vec![Exemplar {
            filtered_attributes,
            time_unix_nano: self.at_nanos.saturating_sub(NANOS_PER_SECOND),
            span_id: span_id.0.to_vec(),
            trace_id: trace_id.0.to_vec(),
            value: Some(exemplar::Value::AsDouble(0.042)),
        }]
    }
}

fn metric(name: &str, unit: &str, description: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: description.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

/// A quotient of small numbers, exact enough for a demonstration.
fn ratio(part: u64, whole: u32) -> f64 {
    f64::from(u32::try_from(part).unwrap_or(u32::MAX)) / f64::from(whole)
}
