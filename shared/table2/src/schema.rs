//! The tables of the lake, in one place: the SQL schema that users are promised.
//!
//! Everything else follows from [`TABLES`]: the Arrow schema, the Parquet settings, the DDL and the documentation page.
//! Columns are only ever appended.

mod arrow_types;
mod derived;
mod groups;
mod metrics;
mod signals;

#[cfg(test)]
mod tests;

pub use arrow_types::{arrow_schema, data_type};
pub(crate) use arrow_types::{element_field, utc};
pub use derived::{DECISIONS, RED_1M, SERVICE_EDGES_1M, TRACES};
pub use metrics::{METRICS_EXP_HISTOGRAM, METRICS_HISTOGRAM, METRICS_NUMBER, METRICS_SUMMARY};
pub use signals::{LOGS, SPANS};

/// The version in every file's metadata and in the `schema_version` columns. It grows when columns are appended.
pub const SCHEMA_VERSION: i32 = 1;

/// How a column's values are laid out in Parquet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// A dictionary, falling back to plain.
    Default,
    /// Plain without a dictionary: values that hardly ever repeat, such as span ids.
    Plain,
    /// `DELTA_BINARY_PACKED` without a dictionary: times and durations.
    Delta,
    /// A dictionary of up to 8 MiB and a bloom filter.
    TraceId,
}

/// A column's type. Only types that Athena, Trino, Spark, `DuckDB`, `ClickHouse`, Polars and `DataFusion` all read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    String,
    /// True or false.
    Boolean,
    /// 32 bits, signed.
    Int,
    /// 64 bits, signed.
    Bigint,
    /// 64 bits, floating.
    Double,
    /// Microseconds since the epoch, UTC; cut to whole milliseconds.
    Timestamp,
    /// `map<string,string>`: keys sorted, each once.
    Map,
    /// An array of scalars; an element is never NULL.
    Array(&'static ColumnType),
    /// An array of structs with these fields.
    Structs(&'static [Column]),
}

/// One column, or one field of a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name in SQL.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnType,
    /// What it holds, for the documentation.
    pub doc: &'static str,
    /// How it is stored.
    pub encoding: Encoding,
}

/// One table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name in SQL and in the lake's folders.
    pub name: &'static str,
    /// What a row is, for the documentation.
    pub doc: &'static str,
    /// Its columns in order, without the partition columns `dt` and `hour`.
    pub columns: &'static [Column],
    /// The columns by which the rows of a file are ordered, separated by `, `.
    pub sort: &'static str,
}

/// All tables.
pub const TABLES: &[Table] = &[
    SPANS,
    TRACES,
    LOGS,
    METRICS_NUMBER,
    METRICS_HISTOGRAM,
    METRICS_EXP_HISTOGRAM,
    METRICS_SUMMARY,
    RED_1M,
    SERVICE_EDGES_1M,
    DECISIONS,
];

/// The table of this name.
#[must_use]
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// The place of a column in its table, found when the program is compiled.
///
/// # Panics
/// When there is no such column; every caller is a constant, so that this is a compile error.
pub(crate) const fn position(columns: &[Column], name: &str) -> usize {
    let mut rest = columns;
    let mut index = 0;
    while let [first, after @ ..] = rest {
        if same(first.name.as_bytes(), name.as_bytes()) {
            return index;
        }
        rest = after;
        index += 1;
    }
    assert!(!columns.is_empty() && index < columns.len(), "no such column");
    index
}

const fn same(mut left: &[u8], mut right: &[u8]) -> bool {
    while let ([a, left_rest @ ..], [b, right_rest @ ..]) = (left, right) {
        if *a != *b {
            return false;
        }
        (left, right) = (left_rest, right_rest);
    }
    left.is_empty() && right.is_empty()
}
