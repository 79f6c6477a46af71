//! Arrow values as text: plain for scalars, JSON for what nests.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::DataFusionError;

/// One batch, ready to be read by cells.
pub(super) struct Cells<'a> {
    columns: Vec<(&'a ArrayRef, Option<ArrayFormatter<'a>>)>,
}

impl<'a> Cells<'a> {
    /// Prepares a batch's columns once.
    pub(super) fn new(batch: &'a RecordBatch) -> Result<Self, DataFusionError> {
        let columns = batch.columns().iter().map(|column| {
            let formatter = if column.data_type().is_nested() { None } else { Some(formatter(column)?) };
            Ok((column, formatter))
        });
        Ok(Self { columns: columns.collect::<Result<_, DataFusionError>>()? })
    }

    /// The cells of one row.
    pub(super) fn row(&self, row: usize) -> Result<Vec<Option<String>>, DataFusionError> {
        let cell = |(column, formatter): &(&ArrayRef, Option<ArrayFormatter<'_>>)| {
            if is_null(column, row) {
                return Ok(None);
            }
            if let Some(formatter) = formatter {
                return Ok(Some(formatter.value(row).try_to_string()?));
            }
            let mut text = String::new();
            json(column, row, &mut text)?;
            Ok(Some(text))
        };
        self.columns.iter().map(cell).collect()
    }
}

/// A column of nothing but NULL has no bits that say so.
fn is_null(array: &ArrayRef, row: usize) -> bool {
    array.is_null(row) || *array.data_type() == DataType::Null
}

fn formatter(array: &dyn Array) -> Result<ArrayFormatter<'_>, DataFusionError> {
    Ok(ArrayFormatter::try_new(array, &FormatOptions::default())?)
}

/// Appends a value as JSON; doubles that JSON can't hold become text.
fn json(array: &ArrayRef, row: usize, out: &mut String) -> Result<(), DataFusionError> {
    if is_null(array, row) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let [keys, values] = entries.columns() else { return Ok(()) };
            let member = |at: usize, out: &mut String| {
                text(&formatter(keys)?.value(at).try_to_string()?, out);
                out.push(':');
                json(values, at, out)
            };
            joined(entries.len(), ['{', '}'], member, out)
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let member = |at: usize, out: &mut String| {
                let (Some(field), Some(column)) = (fields.get(at), columns.get(at)) else { return Ok(()) };
                text(field.name(), out);
                out.push(':');
                json(column, row, out)
            };
            joined(columns.len(), ['{', '}'], member, out)
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            joined(items.len(), ['[', ']'], |at, out| json(&items, at, out), out)
        }
        kind => {
            let value = formatter(array)?.value(row).try_to_string()?;
            if *kind == DataType::Boolean || (kind.is_numeric() && is_json_number(&value)) {
                out.push_str(&value);
            } else {
                text(&value, out);
            }
            Ok(())
        }
    }
}

fn joined(
    count: usize,
    [open, close]: [char; 2],
    mut member: impl FnMut(usize, &mut String) -> Result<(), DataFusionError>,
    out: &mut String,
) -> Result<(), DataFusionError> {
    out.push(open);
    for at in 0..count {
        if at > 0 {
            out.push(',');
        }
        member(at, out)?;
    }
    out.push(close);
    Ok(())
}

/// Appends a JSON string.
pub(super) fn text(value: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(value).to_string());
}

/// Whether a number's text may stand in JSON as it is.
pub(super) fn is_json_number(text: &str) -> bool {
    !text.contains(['n', 'N'])
}
