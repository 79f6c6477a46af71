use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    Sum, Summary, SummaryDataPoint, exemplar, exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
    summary_data_point::ValueAtQuantile,
};

use super::*;

fn metric(name: &str, data: Data) -> Vec<u8> {
    let (description, unit) = ("what it is".to_owned(), "ms".to_owned());
    Metric { name: name.to_owned(), description, unit, data: Some(data), ..Default::default() }.encode_to_vec()
}

fn exemplars() -> Vec<Exemplar> {
    vec![Exemplar {
        filtered_attributes: vec![text("user", "u1")],
        time_unix_nano: TIME + 1,
        span_id: vec![2; 8],
        trace_id: vec![1; 16],
        value: Some(exemplar::Value::AsInt(9)),
    }]
}

fn number(value: number_data_point::Value, time: u64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: vec![text("http.route", "/")],
        start_time_unix_nano: TIME - 10,
        time_unix_nano: time,
        exemplars: exemplars(),
        flags: 1,
        value: Some(value),
    }
}

/// What every table of points holds of the points in these tests, with `own` columns.
fn expected(name: &str, series: &Value, own: Value) -> Value {
    let exemplar = json!({
        "time_unix_nano": TIME + 1, "value": 9.0, "trace_id": "01".repeat(16), "span_id": "02".repeat(8),
        "attributes": {"user": "u1"},
    });
    let mut all = json!({
        "time": TIME_MICROS, "time_unix_nano": TIME, "start_unix_nano": TIME - 10, "name": name, "unit": "ms",
        "description": "what it is", "series_hash": series, "service_name": "shop", "deployment_environment": "test",
        "attributes": {"http.route": "/"}, "resource_attributes": {"os.type": "linux"}, "scope_attributes": {"team": "shop"},
        "scope_name": "lib", "scope_version": "1.2", "flags": 1, "exemplars": [exemplar],
        "ingest_time": TIME_MICROS, "schema_version": 1,
    });
    let (Value::Object(all_columns), Value::Object(own)) = (&mut all, own) else { unreachable!() };
    all_columns.extend(own);
    all
}

#[test]
fn gauges_and_sums_are_read_back() {
    let gauge = Gauge { data_points: vec![number(number_data_point::Value::AsDouble(1.5), TIME)] };
    let sum = Sum {
        data_points: vec![number(number_data_point::Value::AsInt(i64::MAX), TIME)],
        aggregation_temporality: 2,
        is_monotonic: true,
    };
    let files = write(Signal::Metrics, &[metric("s", Data::Sum(sum)), metric("g", Data::Gauge(gauge))]);
    assert_eq!((files.len(), files[0].table), (1, "metrics_number"));
    let rows = rows(&files[0]);
    let own = json!({"metric_type": "gauge", "double_value": 1.5});
    assert_eq!(rows[0], expected("g", &rows[0]["series_hash"], own));
    let own = json!({"metric_type": "sum", "is_monotonic": true, "temporality": "CUMULATIVE", "int_value": i64::MAX});
    assert_eq!(rows[1], expected("s", &rows[1]["series_hash"], own));
    assert_ne!(rows[0]["series_hash"], rows[1]["series_hash"]);
}

#[test]
fn a_histogram_is_read_back_with_counts_saturated() {
    let point = HistogramDataPoint {
        attributes: vec![text("http.route", "/")],
        start_time_unix_nano: TIME - 10,
        time_unix_nano: TIME,
        count: u64::MAX,
        sum: Some(2.5),
        bucket_counts: vec![1, u64::MAX, 3],
        explicit_bounds: vec![0.5, 10.0],
        exemplars: exemplars(),
        flags: 1,
        min: Some(0.25),
        max: None,
    };
    let row = only_row(&write(
        Signal::Metrics,
        &[metric("h", Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: 1 }))],
    ));
    let own = json!({
        "temporality": "DELTA", "count": i64::MAX, "sum": 2.5, "min": 0.25, "bucket_counts": [1, i64::MAX, 3],
        "explicit_bounds": [0.5, 10.0],
    });
    assert_eq!(row, expected("h", &row["series_hash"], own));
}

#[test]
fn an_exponential_histogram_is_read_back() {
    let point = ExponentialHistogramDataPoint {
        attributes: vec![text("http.route", "/")],
        start_time_unix_nano: TIME - 10,
        time_unix_nano: TIME,
        count: 6,
        sum: None,
        scale: -3,
        zero_count: 2,
        positive: Some(Buckets { offset: -7, bucket_counts: vec![1, 300] }),
        negative: Some(Buckets { offset: i32::MIN, bucket_counts: Vec::new() }),
        flags: 1,
        exemplars: exemplars(),
        min: Some(-1.0),
        max: Some(4.0),
        zero_threshold: 0.125,
    };
    let data = ExponentialHistogram { data_points: vec![point], aggregation_temporality: 2 };
    let row = only_row(&write(Signal::Metrics, &[metric("e", Data::ExponentialHistogram(data))]));
    let own = json!({
        "temporality": "CUMULATIVE", "count": 6, "min": -1.0, "max": 4.0, "scale": -3, "zero_count": 2,
        "zero_threshold": 0.125, "positive_offset": -7, "positive_counts": [1, 300], "negative_offset": i32::MIN,
        "negative_counts": [],
    });
    assert_eq!(row, expected("e", &row["series_hash"], own));
}

#[test]
fn a_summary_is_read_back() {
    let point = SummaryDataPoint {
        attributes: vec![text("http.route", "/")],
        start_time_unix_nano: TIME - 10,
        time_unix_nano: TIME,
        count: 3,
        sum: 4.5,
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 1.0 }, ValueAtQuantile { quantile: 1.0, value: 2.0 }],
        flags: 1,
    };
    let row = only_row(&write(Signal::Metrics, &[metric("q", Data::Summary(Summary { data_points: vec![point] }))]));
    let quantiles = json!([{"quantile": 0.5, "value": 1.0}, {"quantile": 1.0, "value": 2.0}]);
    let own = json!({"count": 3, "sum": 4.5, "quantiles": quantiles, "exemplars": []});
    assert_eq!(row, expected("q", &row["series_hash"], own));
}

#[test]
fn points_are_ordered_by_name_series_and_time_and_a_bad_metric_is_left_out() {
    let value = || number_data_point::Value::AsInt(1);
    let gauge = |times: [u64; 2]| Data::Gauge(Gauge { data_points: times.map(|time| number(value(), time)).to_vec() });
    let mut bad = metric("a", gauge([1, 2]));
    bad.extend([0x2a, 0x04, 0x0a, 0x02, 0x3a, 0x09]);
    let files = write(Signal::Metrics, &[metric("b", gauge([9, 3])), bad, metric("a", gauge([5, 4]))]);
    let rows = rows(&files[0]);
    let order: Vec<_> = rows.iter().map(|row| (row["name"].clone(), row["time_unix_nano"].clone())).collect();
    assert_eq!(order, [("a", 4), ("a", 5), ("b", 3), ("b", 9)].map(|(name, time)| (json!(name), json!(time))));
    assert_eq!(rows[0]["series_hash"], rows[1]["series_hash"]);
    assert_eq!(files[0].bad_items, 1);
}
