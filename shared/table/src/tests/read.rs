//! Parquet files as JSON rows, whatever their columns.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value, json};

pub(in crate::tests) fn rows(file: &[u8]) -> Vec<Value> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(file)).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            let fields =
                batch.schema().fields().iter().zip(batch.columns()).map(|(f, c)| (f.name().clone(), cell(c, row))).collect();
            rows.push(Value::Object(fields));
        }
    }
    rows
}

/// Doubles as text, since JSON has no NaN.
pub(in crate::tests) fn double(number: f64) -> Value {
    json!(format!("{number:?}"))
}

fn cell(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(_, zone) => {
            assert_eq!(zone.as_deref(), Some("UTC"));
            json!(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|item| cell(&items, item)).collect()
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            Value::Object(fields.iter().zip(columns).map(|(f, c)| (f.name().clone(), cell(c, row))).collect())
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let keys: Vec<_> = (0..entries.len()).map(|i| cell(entries.column(0), i).as_str().unwrap().to_owned()).collect();
            assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "sorted and distinct: {keys:?}");
            let values = (0..entries.len()).map(|i| cell(entries.column(1), i));
            Value::Object(keys.into_iter().zip(values).collect::<Map<_, _>>())
        }
        other => panic!("{other} is no type of the lake"),
    }
}
