//! The tables' columns as the engine's types. The engine has an Arrow version of its own, so the table crate's Arrow
//! schema does not fit; both follow from the same list of columns.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::table::schema::{Column, ColumnType, Table};

/// A table's columns without the partition columns; every one may be NULL.
pub(crate) fn schema(table: &Table) -> SchemaRef {
    Arc::new(Schema::new(fields(table.columns)))
}

fn fields(columns: &[Column]) -> Fields {
    columns.iter().map(|column| Field::new(column.name, data_type(&column.kind), true)).collect()
}

fn data_type(kind: &ColumnType) -> DataType {
    match kind {
        ColumnType::String => DataType::Utf8,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Int => DataType::Int32,
        ColumnType::Bigint => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Map => {
            let entry = [Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)];
            DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry.into_iter().collect()), false)), false)
        }
        ColumnType::Array(item) => DataType::List(element(data_type(item))),
        ColumnType::Structs(columns) => DataType::List(element(DataType::Struct(fields(columns)))),
    }
}

fn element(kind: DataType) -> FieldRef {
    Arc::new(Field::new("element", kind, true))
}

#[cfg(test)]
mod tests;
