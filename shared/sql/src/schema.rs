//! The tables as the engine's Arrow schemas. The engine has an Arrow of its own version, hence not `arrow_schema`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use spanlake_table::schema::{ColumnType, Table};

/// The schema of a table's files, without the partition columns.
pub(crate) fn file_schema(table: &Table) -> Schema {
    Schema::new(table.columns().map(|column| Field::new(column.name, data_type(&column.kind), true)).collect::<Vec<_>>())
}

fn data_type(kind: &ColumnType) -> DataType {
    match kind {
        ColumnType::Text => DataType::Utf8,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Int => DataType::Int32,
        ColumnType::Bigint => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Map => {
            let entry = vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)];
            DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry.into()), false)), false)
        }
        ColumnType::List(item) => DataType::List(Arc::new(Field::new("element", data_type(item), true))),
        ColumnType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|(name, kind)| Field::new(*name, data_type(kind), true)).collect())
        }
    }
}
