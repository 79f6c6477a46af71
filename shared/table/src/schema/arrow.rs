//! The tables as Arrow schemas.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};

use super::{ColumnType, Table};

/// The Arrow schema of a table's files. Every column may be null, so that columns can be appended.
#[must_use]
pub fn arrow_schema(table: &Table) -> Schema {
    Schema::new(table.columns().map(|column| Field::new(column.name, data_type(&column.kind), true)).collect::<Vec<_>>())
}

/// The Arrow type of a column's type.
pub(crate) fn data_type(kind: &ColumnType) -> DataType {
    match kind {
        ColumnType::Text => DataType::Utf8,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Int => DataType::Int32,
        ColumnType::Bigint => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Map => DataType::Map(map_entries_field(), false),
        ColumnType::List(item) => DataType::List(element_field(item)),
        ColumnType::Struct(fields) => DataType::Struct(struct_fields(fields)),
    }
}

/// The entries of a map, named as the Parquet format names them: arrow-rs has other names by default.
pub(crate) fn map_entries_field() -> Arc<Field> {
    Arc::new(Field::new("key_value", DataType::Struct(map_fields()), false))
}

/// Key and value of a map's entry.
pub(crate) fn map_fields() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)])
}

/// The item of a list.
pub(crate) fn element_field(item: &ColumnType) -> Arc<Field> {
    Arc::new(Field::new("element", data_type(item), true))
}

/// The fields of a record.
pub(crate) fn struct_fields(fields: &[(&str, ColumnType)]) -> Fields {
    fields.iter().map(|(name, kind)| Field::new(*name, data_type(kind), true)).collect()
}
