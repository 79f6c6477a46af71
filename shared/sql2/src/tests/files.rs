//! A writer of small lakes: rows as named cells, straight to Parquet.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, Int64Builder, ListBuilder, MapBuilder,
    MapFieldNames, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::parquet::arrow::ArrowWriter;

use crate::table;

/// A cell's value.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    Map(Vec<(&'static str, String)>),
    Ints(Vec<i64>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

/// A row: what is not named is NULL.
pub(crate) type Row = Vec<(&'static str, Cell)>;

/// The Arrow schema of a table.
pub(crate) fn schema(name: &str) -> SchemaRef {
    crate::schema::schema(table::schema::table(name).unwrap())
}

/// Writes rows as one file of a table's hour.
pub(crate) fn write(data_dir: &Path, name: &str, hour: (&str, &str), file: &str, rows: &[Row]) {
    let schema = schema(name);
    for (column, _) in rows.iter().flatten() {
        assert!(schema.column_with_name(column).is_some(), "{name} has no column {column}");
    }
    let columns = schema.fields().iter().map(|field| column(field, rows)).collect();
    write_batch(data_dir, name, hour, file, &RecordBatch::try_new(schema, columns).unwrap());
}

/// Writes a batch as one file of a table's hour.
pub(crate) fn write_batch(data_dir: &Path, name: &str, (dt, hour): (&str, &str), file: &str, batch: &RecordBatch) {
    let folder = data_dir.join("lake/v1").join(name).join(format!("dt={dt}")).join(format!("hour={hour}"));
    fs::create_dir_all(&folder).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    fs::write(folder.join(file), writer.into_inner().unwrap()).unwrap();
}

fn column(field: &FieldRef, rows: &[Row]) -> ArrayRef {
    let cells: Vec<Option<&Cell>> =
        rows.iter().map(|row| row.iter().find(|(name, _)| name == field.name()).map(|(_, cell)| cell)).collect();
    if cells.iter().all(Option::is_none) {
        return new_null_array(field.data_type(), rows.len());
    }
    let int = |cell: Option<&Cell>| match cell {
        Some(Cell::Int(number)) => Some(*number),
        _ => None,
    };
    match field.data_type() {
        DataType::Utf8 => Arc::new(
            cells.iter().map(|cell| if let Some(Cell::Text(text)) = cell { Some(text) } else { None }).collect::<StringArray>(),
        ),
        DataType::Boolean => Arc::new(
            cells.iter().map(|cell| if let Some(Cell::Bool(flag)) = cell { Some(*flag) } else { None }).collect::<BooleanArray>(),
        ),
        DataType::Float64 => Arc::new(
            cells
                .iter()
                .map(|cell| if let Some(Cell::Double(number)) = cell { Some(*number) } else { None })
                .collect::<Float64Array>(),
        ),
        DataType::Int64 => Arc::new(cells.iter().map(|cell| int(*cell)).collect::<Int64Array>()),
        DataType::Int32 => {
            Arc::new(cells.iter().map(|cell| int(*cell).map(|number| i32::try_from(number).unwrap())).collect::<Int32Array>())
        }
        DataType::Timestamp(..) => Arc::new(
            cells
                .iter()
                .map(|cell| int(*cell).map(|nanos| nanos / 1_000_000 * 1_000))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        DataType::Map(..) => map(&cells),
        DataType::List(item) if *item.data_type() == DataType::Int64 => ints(item, &cells),
        other => panic!("no planted cells of type {other}"),
    }
}

fn map(cells: &[Option<&Cell>]) -> ArrayRef {
    let names = MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for cell in cells {
        if let Some(Cell::Map(entries)) = cell {
            for (key, value) in entries {
                builder.keys().append_value(key);
                builder.values().append_value(value);
            }
        }
        builder.append(matches!(cell, Some(Cell::Map(_)))).unwrap();
    }
    Arc::new(builder.finish())
}

fn ints(item: &FieldRef, cells: &[Option<&Cell>]) -> ArrayRef {
    let mut builder = ListBuilder::new(Int64Builder::new()).with_field(Arc::clone(item));
    for cell in cells {
        if let Some(Cell::Ints(numbers)) = cell {
            builder.values().append_slice(numbers);
        }
        builder.append(matches!(cell, Some(Cell::Ints(_))));
    }
    assert_eq!(builder.len(), cells.len());
    Arc::new(builder.finish())
}
