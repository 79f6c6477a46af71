//! The Arrow schema of a table.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};

use super::{Column, ColumnType, Table};

/// The time zone of every timestamp.
pub(crate) fn utc() -> Arc<str> {
    Arc::from("UTC")
}

/// The Arrow schema of `table`. All columns are nullable.
#[must_use]
pub fn arrow_schema(table: &Table) -> Schema {
    Schema::new(struct_fields(table.columns))
}

/// The Arrow type of a column. Maps and lists have the names that the Parquet format prescribes (`key_value`, `key`,
/// `value`, `element`).
#[must_use]
pub fn data_type(kind: &ColumnType) -> DataType {
    match kind {
        ColumnType::String => DataType::Utf8,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Int => DataType::Int32,
        ColumnType::Bigint => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(utc())),
        ColumnType::Map => {
            let entry = [Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)];
            DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry.into_iter().collect()), false)), false)
        }
        ColumnType::Array(_) | ColumnType::Structs(_) => DataType::List(element_field(kind)),
    }
}

/// The field of an array's elements.
pub(crate) fn element_field(kind: &ColumnType) -> FieldRef {
    let element = match kind {
        ColumnType::Array(element) => data_type(element),
        ColumnType::Structs(columns) => DataType::Struct(struct_fields(columns)),
        scalar => data_type(scalar),
    };
    Arc::new(Field::new("element", element, true))
}

/// The fields of these columns.
fn struct_fields(columns: &[Column]) -> Fields {
    columns.iter().map(|column| Field::new(column.name, data_type(&column.kind), true)).collect()
}
