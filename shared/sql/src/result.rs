//! Answers as plain values, so that no caller needs Arrow.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, MapArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use serde_json::{Map, Number, Value};

/// How times are shown: UTC, to the millisecond.
const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.3fZ";

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// Any whole number.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Text; times as `2026-11-21T08:15:00.000Z`.
    Text(String),
    /// A list.
    List(Vec<Cell>),
    /// A map or record.
    Record(Vec<(String, Cell)>),
}

impl Cell {
    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, whole or not, if it is one.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "asked for as a floating-point number")]
    pub const fn as_double(&self) -> Option<f64> {
        match self {
            Self::Double(number) => Some(*number),
            Self::Int(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// As JSON; numbers that JSON lacks as text.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(bit) => Value::Bool(*bit),
            Self::Int(number) => Value::from(*number),
            Self::Double(number) => {
                Number::from_f64(*number).map_or_else(|| Value::String(spanlake_table::format_double(*number)), Value::Number)
            }
            Self::Text(text) => Value::String(text.clone()),
            Self::List(cells) => Value::Array(cells.iter().map(Self::to_json).collect()),
            Self::Record(fields) => {
                Value::Object(fields.iter().map(|(name, cell)| (name.clone(), cell.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// As text for people; nothing for no value.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(bit) => bit.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Double(number) => spanlake_table::format_double(*number),
            Self::Text(text) => text.clone(),
            Self::List(_) | Self::Record(_) => self.to_json().to_string(),
        }
    }
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResultSet {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// One cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// Whether rows beyond the limit were left out.
    pub is_truncated: bool,
}

impl ResultSet {
    /// The cell of a row by its column's name.
    #[must_use]
    pub fn cell(&self, row: usize, column: &str) -> Option<&Cell> {
        let place = self.columns.iter().position(|name| name == column)?;
        self.rows.get(row)?.get(place)
    }

    pub(crate) fn push(&mut self, batch: &RecordBatch, most: usize) -> Result<(), DataFusionError> {
        let wanted = most.saturating_sub(self.rows.len());
        self.is_truncated |= batch.num_rows() > wanted;
        for row in 0..batch.num_rows().min(wanted) {
            self.rows.push(batch.columns().iter().map(|array| cell(array, row)).collect::<Result<_, _>>()?);
        }
        Ok(())
    }
}

/// The rows of a batch.
pub(crate) fn rows(batch: &RecordBatch) -> Result<Vec<Vec<Cell>>, DataFusionError> {
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|array| cell(array, row)).collect()).collect()
}

fn cell(array: &ArrayRef, row: usize) -> Result<Cell, DataFusionError> {
    if array.is_null(row) {
        return Ok(Cell::Null);
    }
    Ok(match array.data_type() {
        // An array of nothing but NULL marks none of them.
        DataType::Null => Cell::Null,
        DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Utf8View => Cell::Text(array.as_string_view().value(row).to_owned()),
        DataType::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Int32 => Cell::Int(i64::from(array.as_primitive::<Int32Type>().value(row))),
        DataType::Float64 => Cell::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => Cell::Double(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::List(_) => Cell::List(cells(&array.as_list::<i32>().value(row))?),
        DataType::Map(_, _) => map(array.as_map(), row)?,
        DataType::Struct(fields) => {
            let values = array.as_struct();
            let cells = values.columns().iter().map(|array| cell(array, row));
            Cell::Record(
                fields
                    .iter()
                    .zip(cells)
                    .map(|(field, cell)| Ok((field.name().clone(), cell?)))
                    .collect::<Result<_, DataFusionError>>()?,
            )
        }
        kind => {
            let options =
                FormatOptions::default().with_timestamp_tz_format(Some(TIME_FORMAT)).with_timestamp_format(Some(TIME_FORMAT));
            let text = ArrayFormatter::try_new(array.as_ref(), &options)?.value(row).try_to_string()?;
            match text.parse() {
                Ok(number) if kind.is_integer() => Cell::Int(number),
                _ => Cell::Text(text),
            }
        }
    })
}

fn cells(array: &ArrayRef) -> Result<Vec<Cell>, DataFusionError> {
    (0..array.len()).map(|row| cell(array, row)).collect()
}

fn map(array: &MapArray, row: usize) -> Result<Cell, DataFusionError> {
    let entries = array.value(row);
    let [keys, values] = entries.columns() else { return Ok(Cell::Record(Vec::new())) };
    Ok(Cell::Record(cells(keys)?.iter().map(Cell::to_text).zip(cells(values)?).collect()))
}
