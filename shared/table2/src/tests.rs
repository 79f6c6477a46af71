//! What prost encodes must be what is read back from Parquet.

mod derived;
mod file;
mod logs;
mod metrics;
mod promotions;
mod spans;

use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value as Any,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use prost::Message;
use serde_json::{Map, Value, json};
use spanlake_model::Signal;

use crate::{Context, FileMeta, Item, Sampling, TableFile, write_items};

/// 2026-11-21 10:00:00.123456789 UTC.
const TIME: u64 = 1_795_255_200_123_456_789;
/// The same in microseconds, cut to milliseconds.
const TIME_MICROS: i64 = 1_795_255_200_123_000;

fn any(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(value)), ..Default::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Any::StringValue(value.to_owned()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Any::IntValue(value))
}

fn array(values: Vec<Any>) -> Any {
    Any::ArrayValue(ArrayValue { values: values.into_iter().map(any).collect() })
}

fn map(values: Vec<KeyValue>) -> Any {
    Any::KvlistValue(KeyValueList { values })
}

fn resource(service: &str) -> Vec<u8> {
    let attributes = vec![text("service.name", service), text("os.type", "linux"), text("deployment.environment", "test")];
    Resource { attributes, ..Default::default() }.encode_to_vec()
}

fn scope() -> Vec<u8> {
    let attributes = vec![text("team", "shop")];
    InstrumentationScope { name: "lib".to_owned(), version: "1.2".to_owned(), attributes, ..Default::default() }.encode_to_vec()
}

/// The items of service `shop`, written and read back.
fn write(signal: Signal, items: &[Vec<u8>]) -> Vec<TableFile> {
    let (resource, scope) = (resource("shop"), scope());
    let context = Context { resource: &resource, resource_schema_url: "", scope: &scope, scope_schema_url: "" };
    let sampling = Sampling { policy: "errors", weight: 2.5, is_late: true };
    let arrival_nanos = i64::try_from(TIME).unwrap();
    let items: Vec<_> = items.iter().map(|bytes| Item { context: 0, bytes, arrival_nanos, sampling }).collect();
    write_items(signal, &[context], &items, &FileMeta::default()).unwrap()
}

/// The only row of the only file, without its NULLs.
fn only_row(files: &[TableFile]) -> Value {
    assert_eq!(files.len(), 1);
    let mut rows = rows(&files[0]);
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

/// The rows of a file without their NULLs.
fn rows(file: &TableFile) -> Vec<Value> {
    let bytes = Bytes::from(file.bytes.clone());
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            let schema = batch.schema();
            let cells = schema.fields().iter().zip(batch.columns()).filter(|(_, column)| column.is_valid(row));
            rows.push(Value::Object(cells.map(|(field, column)| (field.name().clone(), cell(column, row))).collect()));
        }
    }
    assert_eq!(rows.len() as u64, file.rows);
    rows
}

fn cell(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    let all = |values: ArrayRef| (0..values.len()).map(|index| cell(&values, index)).collect::<Vec<_>>();
    match column.data_type() {
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(_, Some(zone)) if &**zone == "UTC" => {
            json!(column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::List(_) => Value::Array(all(column.as_list::<i32>().value(row))),
        DataType::Struct(fields) => {
            let cells = fields.iter().zip(column.as_struct().columns());
            Value::Object(cells.map(|(field, column)| (field.name().clone(), cell(column, row))).collect())
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let keys = all(entries.column(0).clone());
            let mut map = Map::new();
            for (key, value) in keys.iter().zip(all(entries.column(1).clone())) {
                assert_eq!(map.insert(key.as_str().unwrap().to_owned(), value), None, "a key twice");
            }
            assert!(keys.is_sorted_by_key(|key| key.as_str()));
            Value::Object(map)
        }
        other => panic!("{other} has no place in the lake"),
    }
}
