//! The tables of data points, one for each shape.

use super::ColumnType::{Array, Bigint, Boolean, Double, Int, Structs, Timestamp};
use super::groups::{INGEST_TIME, INNER_ATTRIBUTES, PLACE, REST, SCHEMA, SERVICE, col, delta, join, plain, text};
use super::{Column, Table};

const SORT: &str = "name, series_hash, time_unix_nano";

const EXEMPLAR: &[Column] = &[
    delta("time_unix_nano", Bigint, "When it was measured, in ns since the epoch."),
    col("value", Double, "The measured value."),
    plain("trace_id", "The trace in which it was measured."),
    plain("span_id", "The span in which it was measured."),
    INNER_ATTRIBUTES,
];

const QUANTILE: &[Column] =
    &[col("quantile", Double, "The quantile, 0 to 1."), col("value", Double, "The value at the quantile.")];

const POINT: &[Column] = &[
    delta("time", Timestamp, "The point's time, cut to whole milliseconds."),
    delta("time_unix_nano", Bigint, "The same, exact, in ns since the epoch."),
    delta("start_unix_nano", Bigint, "When the counting began, in ns since the epoch; NULL if not said."),
    text("name", "The metric's name."),
    text("unit", "The metric's unit (UCUM)."),
    text("description", "The metric's description."),
    text("series_hash", "What makes a time series: a hash of resource, scope, metric, shape and attributes."),
];

const TAIL: &[Column] = &[
    col("flags", Int, "OTLP data point flags; bit 0: no recorded value."),
    col("exemplars", Structs(EXEMPLAR), "Measurements that were kept with their traces."),
    INGEST_TIME,
    SCHEMA,
];

const TEMPORALITY: Column = text("temporality", "`UNSPECIFIED`, `DELTA` or `CUMULATIVE`; NULL for a gauge.");
const COUNT: Column = col("count", Bigint, "Number of measurements.");
const SUM: Column = col("sum", Double, "Sum of the measurements.");
const MIN: Column = col("min", Double, "The smallest measurement.");
const MAX: Column = col("max", Double, "The largest measurement.");

const NUMBER: &[Column] = &[
    text("metric_type", "`gauge` or `sum`."),
    col("is_monotonic", Boolean, "Whether the sum only grows; NULL for a gauge."),
    TEMPORALITY,
    col("int_value", Bigint, "The value, if it was sent as an integer."),
    col("double_value", Double, "The value, if it was sent as a double."),
];

const HISTOGRAM: &[Column] = &[
    TEMPORALITY,
    COUNT,
    SUM,
    MIN,
    MAX,
    col("bucket_counts", Array(&Bigint), "Measurements in each bucket; one more than there are bounds."),
    col("explicit_bounds", Array(&Double), "The buckets' upper bounds."),
];

const EXP_HISTOGRAM: &[Column] = &[
    TEMPORALITY,
    COUNT,
    SUM,
    MIN,
    MAX,
    col("scale", Int, "The bounds are powers of 2^(2^-scale)."),
    col("zero_count", Bigint, "Measurements within the zero threshold."),
    col("zero_threshold", Double, "Measurements this close to zero count as zero."),
    col("positive_offset", Int, "Index of the first positive bucket."),
    col("positive_counts", Array(&Bigint), "Measurements in each positive bucket."),
    col("negative_offset", Int, "Index of the first negative bucket."),
    col("negative_counts", Array(&Bigint), "Measurements in each negative bucket."),
];

const SUMMARY: &[Column] = &[COUNT, SUM, col("quantiles", Structs(QUANTILE), "The quantiles that were sent.")];

const NUMBER_COLUMNS: [Column; 33] = join(&[POINT, &SERVICE, &PLACE, &REST, NUMBER, TAIL]);
const HISTOGRAM_COLUMNS: [Column; 35] = join(&[POINT, &SERVICE, &PLACE, &REST, HISTOGRAM, TAIL]);
const EXP_HISTOGRAM_COLUMNS: [Column; 40] = join(&[POINT, &SERVICE, &PLACE, &REST, EXP_HISTOGRAM, TAIL]);
const SUMMARY_COLUMNS: [Column; 31] = join(&[POINT, &SERVICE, &PLACE, &REST, SUMMARY, TAIL]);

/// One row a data point of a gauge or sum.
pub const METRICS_NUMBER: Table = Table {
    name: "metrics_number",
    doc: "One row for each data point of a gauge or a sum.",
    columns: &NUMBER_COLUMNS,
    sort: SORT,
};

/// One row a data point of a histogram.
pub const METRICS_HISTOGRAM: Table = Table {
    name: "metrics_histogram",
    doc: "One row for each data point of a histogram.",
    columns: &HISTOGRAM_COLUMNS,
    sort: SORT,
};

/// One row a data point of an exponential histogram.
pub const METRICS_EXP_HISTOGRAM: Table = Table {
    name: "metrics_exp_histogram",
    doc: "One row for each data point of an exponential histogram.",
    columns: &EXP_HISTOGRAM_COLUMNS,
    sort: SORT,
};

/// One row a data point of a summary.
pub const METRICS_SUMMARY: Table =
    Table { name: "metrics_summary", doc: "One row for each data point of a summary.", columns: &SUMMARY_COLUMNS, sort: SORT };
