//! Metrics out of rows of data points. Columns do not hold a metric's metadata, nor which points came in one message: neighbours of
//! one metric are taken together.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use spanlake_sql::Cell;

use super::rebuild::{Reading, Row, bytes_of_hex, field, list, map, number_of, shared_columns};
use super::request::Table;
use super::values::{record, text_of};

/// The columns of a table of data points that a metric is made of.
pub(super) fn point_columns(table: Table) -> Vec<&'static str> {
    let own = ["name", "unit", "description", "time_unix_nano", "start_unix_nano", "flags", "exemplars"];
    let histogram = ["temporality", "count", "sum", "min", "max"];
    let of_shape: &[&str] = match table {
        Table::Numbers => &["metric_type", "is_monotonic", "temporality", "int_value", "double_value"],
        Table::Histograms => &["bucket_counts", "explicit_bounds"],
        Table::Exponentials => {
            &["scale", "zero_count", "zero_threshold", "positive_offset", "positive_counts", "negative_offset", "negative_counts"]
        }
        _ => &["count", "sum", "quantiles"],
    };
    let histogram = histogram.iter().filter(|_| matches!(table, Table::Histograms | Table::Exponentials));
    own.into_iter().chain(histogram.copied()).chain(of_shape.iter().copied()).chain(shared_columns()).collect()
}

/// The metric of a data point.
pub(super) fn metric(table: Table, row: Row<'_>, reading: Reading) -> Metric {
    let aggregation_temporality = number_of(row.text("temporality"), spanlake_table::temporality_name);
    let data = match table {
        Table::Histograms => Data::Histogram(Histogram { data_points: vec![histogram(row, reading)], aggregation_temporality }),
        Table::Exponentials => {
            let data_points = vec![exponential(row, reading)];
            Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })
        }
        Table::Summaries => Data::Summary(Summary { data_points: vec![summary(row, reading)] }),
        _ if row.text("metric_type") == "gauge" => Data::Gauge(Gauge { data_points: vec![number(row, reading)] }),
        _ => {
            let (data_points, is_monotonic) = (vec![number(row, reading)], row.is("is_monotonic"));
            Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
        }
    };
    Metric {
        name: row.text("name").to_owned(),
        description: row.text("description").to_owned(),
        unit: row.text("unit").to_owned(),
        metadata: Vec::new(),
        data: Some(data),
    }
}

/// Takes the points of another metric in, if it is the same one; gives it back if not.
pub(super) fn join(metric: &mut Metric, other: Metric) -> Option<Metric> {
    let is_same = (&metric.name, &metric.description, &metric.unit) == (&other.name, &other.description, &other.unit);
    if !is_same {
        return Some(other);
    }
    match (&mut metric.data, other.data) {
        (Some(Data::Gauge(known)), Some(Data::Gauge(more))) => known.data_points.extend(more.data_points),
        (Some(Data::Sum(known)), Some(Data::Sum(more)))
            if (known.aggregation_temporality, known.is_monotonic) == (more.aggregation_temporality, more.is_monotonic) =>
        {
            known.data_points.extend(more.data_points);
        }
        (Some(Data::Histogram(known)), Some(Data::Histogram(more)))
            if known.aggregation_temporality == more.aggregation_temporality =>
        {
            known.data_points.extend(more.data_points);
        }
        (Some(Data::ExponentialHistogram(known)), Some(Data::ExponentialHistogram(more)))
            if known.aggregation_temporality == more.aggregation_temporality =>
        {
            known.data_points.extend(more.data_points);
        }
        (Some(Data::Summary(known)), Some(Data::Summary(more))) => known.data_points.extend(more.data_points),
        (_, data) => return Some(Metric { data, ..other }),
    }
    None
}

fn number(row: Row<'_>, reading: Reading) -> NumberDataPoint {
    let int = row.cell("int_value").as_int().map(number_data_point::Value::AsInt);
    NumberDataPoint {
        attributes: map(row.cell("attributes"), reading),
        start_time_unix_nano: row.uint("start_unix_nano"),
        time_unix_nano: row.uint("time_unix_nano"),
        exemplars: exemplars(row, reading),
        flags: row.count("flags"),
        value: int.or_else(|| row.cell("double_value").as_double().map(number_data_point::Value::AsDouble)),
    }
}

fn histogram(row: Row<'_>, reading: Reading) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: map(row.cell("attributes"), reading),
        start_time_unix_nano: row.uint("start_unix_nano"),
        time_unix_nano: row.uint("time_unix_nano"),
        count: row.uint("count"),
        sum: row.cell("sum").as_double(),
        bucket_counts: counts(row.cell("bucket_counts")),
        explicit_bounds: list(row.cell("explicit_bounds")).iter().filter_map(Cell::as_double).collect(),
        exemplars: exemplars(row, reading),
        flags: row.count("flags"),
        min: row.cell("min").as_double(),
        max: row.cell("max").as_double(),
    }
}

fn exponential(row: Row<'_>, reading: Reading) -> ExponentialHistogramDataPoint {
    let int = |name: &str| i32::try_from(row.int(name)).unwrap_or_default();
    let buckets = |offset: &str, of: &str| Buckets { offset: int(offset), bucket_counts: counts(row.cell(of)) };
    ExponentialHistogramDataPoint {
        attributes: map(row.cell("attributes"), reading),
        start_time_unix_nano: row.uint("start_unix_nano"),
        time_unix_nano: row.uint("time_unix_nano"),
        count: row.uint("count"),
        sum: row.cell("sum").as_double(),
        scale: int("scale"),
        zero_count: row.uint("zero_count"),
        positive: Some(buckets("positive_offset", "positive_counts")),
        negative: Some(buckets("negative_offset", "negative_counts")),
        flags: row.count("flags"),
        exemplars: exemplars(row, reading),
        min: row.cell("min").as_double(),
        max: row.cell("max").as_double(),
        zero_threshold: row.cell("zero_threshold").as_double().unwrap_or_default(),
    }
}

fn summary(row: Row<'_>, reading: Reading) -> SummaryDataPoint {
    let quantile = |cell: &Cell| {
        let of = |name: &str| field(record(cell), name).as_double().unwrap_or_default();
        ValueAtQuantile { quantile: of("quantile"), value: of("value") }
    };
    SummaryDataPoint {
        attributes: map(row.cell("attributes"), reading),
        start_time_unix_nano: row.uint("start_unix_nano"),
        time_unix_nano: row.uint("time_unix_nano"),
        count: row.uint("count"),
        sum: row.cell("sum").as_double().unwrap_or_default(),
        quantile_values: list(row.cell("quantiles")).iter().map(quantile).collect(),
        flags: row.count("flags"),
    }
}

fn exemplars(row: Row<'_>, reading: Reading) -> Vec<Exemplar> {
    let exemplar = |cell: &Cell| {
        let of = |name: &str| field(record(cell), name);
        Exemplar {
            filtered_attributes: map(of("attributes"), reading),
            time_unix_nano: u64::try_from(of("time_unix_nano").as_int().unwrap_or_default()).unwrap_or_default(),
            span_id: bytes_of_hex(&text_of(of("span_id"))),
            trace_id: bytes_of_hex(&text_of(of("trace_id"))),
            value: of("value").as_double().map(exemplar::Value::AsDouble),
        }
    };
    list(row.cell("exemplars")).iter().map(exemplar).collect()
}

fn counts(cell: &Cell) -> Vec<u64> {
    list(cell).iter().filter_map(Cell::as_int).filter_map(|count| u64::try_from(count).ok()).collect()
}
