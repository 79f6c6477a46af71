//! A statement's answer, and its three forms.

mod cell;
mod render;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::DataFusionError;

/// Text of a result beyond which rows are cut, in bytes: a forgotten LIMIT must not fill the memory.
const MAX_TEXT_BYTES: usize = 64 << 20;

/// How [`ResultSet::render`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for a terminal, long cells cut, with the number of rows.
    Table,
    /// One JSON object a line; numbers, booleans, NULL, maps and lists keep their types.
    Json,
    /// RFC 4180 with a header line; NULL is an empty cell.
    Csv,
}

/// What a column's cells are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text, times included.
    Text,
    /// A number; a double may be `NaN`, `inf` or `-inf`.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A map, list or record, as JSON text.
    Json,
}

/// The rows of one statement, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultSet {
    /// Column names.
    pub columns: Vec<String>,
    /// What each column holds.
    pub kinds: Vec<Kind>,
    /// One cell a column; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// Whether rows were cut at the limit of [`crate::Settings`], or at 64 MiB of text.
    pub is_cut: bool,
    text_bytes: usize,
}

impl ResultSet {
    /// An empty result with the columns of a schema.
    pub(crate) fn with_schema(schema: &Schema) -> Self {
        Self {
            columns: schema.fields().iter().map(|field| field.name().clone()).collect(),
            kinds: schema.fields().iter().map(|field| kind(field.data_type())).collect(),
            rows: Vec::new(),
            is_cut: false,
            text_bytes: 0,
        }
    }

    /// Appends a batch; false when the result is full and the rest of the statement need not run.
    pub(crate) fn push(&mut self, batch: &RecordBatch, max_rows: usize) -> Result<bool, DataFusionError> {
        let cells = cell::Cells::new(batch)?;
        for row in 0..batch.num_rows() {
            if self.rows.len() >= max_rows || self.text_bytes >= MAX_TEXT_BYTES {
                self.is_cut = true;
                return Ok(false);
            }
            let row = cells.row(row)?;
            self.text_bytes += row.iter().flatten().map(String::len).sum::<usize>();
            self.rows.push(row);
        }
        Ok(true)
    }
}

fn kind(kind: &DataType) -> Kind {
    match kind {
        DataType::Boolean => Kind::Boolean,
        other if other.is_numeric() => Kind::Number,
        other if other.is_nested() => Kind::Json,
        _ => Kind::Text,
    }
}
