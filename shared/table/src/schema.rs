//! The one place that says which tables and columns the lake has; writers, DDL and the documentation follow it.
//!
//! Only types that Athena and the usual engines all read. Columns are only ever appended: the schema is the public
//! promise.

mod arrow;
mod ddl;
mod glue;
mod tables;

pub use self::arrow::arrow_schema;
pub(crate) use self::arrow::{element_field, map_entries_field, map_fields, struct_fields};
pub use self::ddl::{ddl, docs_page};
pub use self::glue::glue_tables;
pub use self::tables::TABLES;

/// The version of the schema that these tables describe; in the column `schema_version` and in every file's metadata.
pub const SCHEMA_VERSION: i32 = 2;

/// A column's type: everything that the lake may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// `boolean`.
    Boolean,
    /// 32 bits, signed.
    Int,
    /// 64 bits, signed.
    Bigint,
    /// 64-bit floating point.
    Double,
    /// A point in time, UTC, stored in microseconds. Whole milliseconds only, because Trino rounds and others cut.
    Timestamp,
    /// `map<string,string>`, keys sorted and distinct.
    Map,
    /// A list.
    List(&'static ColumnType),
    /// A record with named fields.
    Struct(&'static [(&'static str, ColumnType)]),
}

/// How a column's values are laid out in a file, where the default (a dictionary) is not best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A dictionary, falling back to plain values.
    Dictionary,
    /// `DELTA_BINARY_PACKED`: times, durations.
    Delta,
    /// Span ids, which hardly ever repeat: no dictionary, and the lengths, all equal, apart from the digits
    /// (`DELTA_LENGTH_BYTE_ARRAY`).
    SpanId,
    /// Trace ids: a dictionary of up to 8 MiB and a bloom filter.
    TraceId,
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Snake case, without dots.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnType,
    /// How it is stored.
    pub layout: Layout,
    /// One sentence for the documentation page.
    pub doc: &'static str,
}

/// A table of the lake; partitioned by the strings `dt` (`YYYY-MM-DD`) and `hour` (`HH`) of arrival.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name, also the folder's.
    pub name: &'static str,
    /// One sentence for the documentation page.
    pub doc: &'static str,
    /// The order of rows within a file.
    pub sort: &'static [&'static str],
    /// Columns in file order, in groups that tables share.
    pub columns: &'static [&'static [Column]],
}

impl Table {
    /// All columns, in file order, without the partition columns.
    pub fn columns(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().copied().flatten()
    }
}

/// The table of this name.
#[must_use]
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

#[cfg(test)]
mod tests;
