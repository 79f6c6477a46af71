//! Arrow builders for the columns of a table, or for the fields of an array's structs, addressed by position.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, ListArray, MapArray, NullBufferBuilder, StringBuilder,
    StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use spanlake_model::NANOS_PER_MS;

use crate::schema::{Column, ColumnType, data_type, element_field, utc};
use crate::text::Hex;

/// A row at a time: set what there is, in any order and each once; [`Columns::end_row`] fills the others with NULL.
pub(crate) struct Columns {
    cells: Vec<Cells>,
    rows: usize,
    text_bytes: usize,
}

enum Cells {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Int(Int32Builder),
    Bigint(Int64Builder),
    Double(Float64Builder),
    Time(TimestampMicrosecondBuilder),
    Map(Box<MapCells>),
    List(Box<ListCells>),
}

/// The entries of a map column.
pub(crate) struct MapCells {
    ends: Ends,
    keys: StringBuilder,
    values: StringBuilder,
    text_bytes: usize,
}

struct ListCells {
    ends: Ends,
    element: FieldRef,
    items: Columns,
}

/// Where each row's elements end, and which rows are NULL.
struct Ends {
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    is_open: bool,
}

impl Ends {
    fn new() -> Self {
        Self { offsets: vec![0], nulls: NullBufferBuilder::new(0), is_open: false }
    }

    fn end_row(&mut self, elements: usize) {
        self.offsets.push(i32::try_from(elements).unwrap_or(i32::MAX));
        self.nulls.append(self.is_open);
        self.is_open = false;
    }

    fn finish(&mut self) -> OffsetBuffer<i32> {
        OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])))
    }
}

impl MapCells {
    /// Adds an entry to the row's map. Keys must come sorted, each once.
    pub(crate) fn entry(&mut self, key: &str, value: Option<&str>) {
        self.text_bytes += key.len() + value.map_or(0, str::len);
        self.keys.append_value(key);
        self.values.append_option(value);
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let DataType::Map(entries, _) = data_type(&ColumnType::Map) else {
            return Err(ArrowError::SchemaError("a map has a map's type".to_owned()));
        };
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(ArrowError::SchemaError("a map's entries are a struct".to_owned()));
        };
        let pairs =
            StructArray::try_new(fields.clone(), vec![Arc::new(self.keys.finish()), Arc::new(self.values.finish())], None)?;
        self.text_bytes = 0;
        Ok(Arc::new(MapArray::try_new(entries, self.ends.finish(), pairs, self.ends.nulls.finish(), false)?))
    }
}

impl ListCells {
    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let elements = self.items.rows;
        let mut arrays = self.items.finish()?;
        let values = match self.element.data_type() {
            DataType::Struct(fields) => {
                Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, None, elements)?) as ArrayRef
            }
            _ => arrays.pop().ok_or_else(|| ArrowError::SchemaError("an array has elements of one type".to_owned()))?,
        };
        let list = ListArray::try_new(Arc::clone(&self.element), self.ends.finish(), values, self.ends.nulls.finish())?;
        Ok(Arc::new(list))
    }
}

impl Cells {
    fn new(kind: &ColumnType) -> Self {
        match kind {
            ColumnType::String => Self::Text(StringBuilder::new()),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnType::Int => Self::Int(Int32Builder::new()),
            ColumnType::Bigint => Self::Bigint(Int64Builder::new()),
            ColumnType::Double => Self::Double(Float64Builder::new()),
            ColumnType::Timestamp => Self::Time(TimestampMicrosecondBuilder::new().with_timezone(utc())),
            ColumnType::Map => Self::Map(Box::new(MapCells {
                ends: Ends::new(),
                keys: StringBuilder::new(),
                values: StringBuilder::new(),
                text_bytes: 0,
            })),
            ColumnType::Array(element) => Self::list(kind, Columns::of_kinds(std::iter::once(*element))),
            ColumnType::Structs(fields) => Self::list(kind, Columns::new(fields)),
        }
    }

    fn list(kind: &ColumnType, items: Columns) -> Self {
        Self::List(Box::new(ListCells { ends: Ends::new(), element: element_field(kind), items }))
    }

    /// Ends a row, of which there have been `rows` with this one.
    fn end_row(&mut self, rows: usize) {
        use arrow::array::ArrayBuilder as _;
        match self {
            Self::Text(cells) if cells.len() < rows => cells.append_null(),
            Self::Boolean(cells) if cells.len() < rows => cells.append_null(),
            Self::Int(cells) if cells.len() < rows => cells.append_null(),
            Self::Bigint(cells) if cells.len() < rows => cells.append_null(),
            Self::Double(cells) if cells.len() < rows => cells.append_null(),
            Self::Time(cells) if cells.len() < rows => cells.append_null(),
            Self::Map(cells) => cells.ends.end_row(cells.keys.len()),
            Self::List(cells) => cells.ends.end_row(cells.items.rows),
            _ => {}
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text(cells) => Arc::new(cells.finish()),
            Self::Boolean(cells) => Arc::new(cells.finish()),
            Self::Int(cells) => Arc::new(cells.finish()),
            Self::Bigint(cells) => Arc::new(cells.finish()),
            Self::Double(cells) => Arc::new(cells.finish()),
            Self::Time(cells) => Arc::new(cells.finish()),
            Self::Map(cells) => cells.finish()?,
            Self::List(cells) => cells.finish()?,
        })
    }
}

impl Columns {
    /// Empty columns.
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self::of_kinds(columns.iter().map(|column| &column.kind))
    }

    fn of_kinds<'k>(kinds: impl Iterator<Item = &'k ColumnType>) -> Self {
        Self { cells: kinds.map(Cells::new).collect(), rows: 0, text_bytes: 0 }
    }

    /// Sets a text.
    pub(crate) fn set_str(&mut self, at: usize, value: &str) {
        self.text_bytes += value.len();
        if let Some(Cells::Text(cells)) = self.cells.get_mut(at) {
            cells.append_value(value);
        }
    }

    /// Sets a text unless it is empty, which protobuf does not tell from absent.
    pub(crate) fn set_nonempty(&mut self, at: usize, value: &str) {
        if !value.is_empty() {
            self.set_str(at, value);
        }
    }

    /// Sets a text, if there is one.
    pub(crate) fn set_option(&mut self, at: usize, value: Option<&str>) {
        if let Some(value) = value {
            self.set_str(at, value);
        }
    }

    /// Sets an id, if there is one.
    pub(crate) fn set_id(&mut self, at: usize, id: Option<&Hex>) {
        self.set_option(at, id.map(Hex::as_str));
    }

    /// Sets a `double`, if there is one.
    pub(crate) fn set_f64_option(&mut self, at: usize, value: Option<f64>) {
        if let Some(value) = value {
            self.set_f64(at, value);
        }
    }

    /// Sets a boolean.
    pub(crate) fn set_bool(&mut self, at: usize, value: bool) {
        if let Some(Cells::Boolean(cells)) = self.cells.get_mut(at) {
            cells.append_value(value);
        }
    }

    /// Sets an `int`; what does not fit is saturated.
    pub(crate) fn set_int(&mut self, at: usize, value: i64) {
        if let Some(Cells::Int(cells)) = self.cells.get_mut(at) {
            let limit = if value < 0 { i32::MIN } else { i32::MAX };
            cells.append_value(i32::try_from(value).unwrap_or(limit));
        }
    }

    /// Sets a `bigint`.
    pub(crate) fn set_i64(&mut self, at: usize, value: i64) {
        if let Some(Cells::Bigint(cells)) = self.cells.get_mut(at) {
            cells.append_value(value);
        }
    }

    /// Sets a `bigint`; what does not fit is saturated.
    pub(crate) fn set_u64(&mut self, at: usize, value: u64) {
        self.set_i64(at, saturate(value));
    }

    /// Sets a `double`.
    pub(crate) fn set_f64(&mut self, at: usize, value: f64) {
        if let Some(Cells::Double(cells)) = self.cells.get_mut(at) {
            cells.append_value(value);
        }
    }

    /// Sets a timestamp. It is cut to whole milliseconds because Trino rounds and other engines do not.
    pub(crate) fn set_time(&mut self, at: usize, nanos: i64) {
        if let Some(Cells::Time(cells)) = self.cells.get_mut(at) {
            cells.append_value(nanos.div_euclid(NANOS_PER_MS) * 1000);
        }
    }

    /// Begins the row's map, which is then not NULL even if it stays empty.
    pub(crate) fn map(&mut self, at: usize) -> Option<&mut MapCells> {
        match self.cells.get_mut(at) {
            Some(Cells::Map(cells)) => {
                cells.ends.is_open = true;
                Some(cells)
            }
            _ => None,
        }
    }

    /// Begins the row's array, which is then not NULL even if it stays empty. Each element is a row of what is returned;
    /// an array of scalars has one column, at 0.
    pub(crate) fn list(&mut self, at: usize) -> Option<&mut Self> {
        match self.cells.get_mut(at) {
            Some(Cells::List(cells)) => {
                cells.ends.is_open = true;
                Some(&mut cells.items)
            }
            _ => None,
        }
    }

    /// Sets an array of `bigint`; what does not fit is saturated.
    pub(crate) fn set_counts(&mut self, at: usize, counts: &[u64]) {
        let Some(list) = self.list(at) else { return };
        for count in counts {
            list.set_u64(0, *count);
            list.end_row();
        }
    }

    /// Ends the row.
    pub(crate) fn end_row(&mut self) {
        self.rows += 1;
        for cells in &mut self.cells {
            cells.end_row(self.rows);
        }
    }

    /// How many rows have been ended since [`Columns::finish`].
    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    /// How many bytes of text these rows hold.
    pub(crate) fn text_bytes(&self) -> usize {
        let nested = self.cells.iter().map(|cells| match cells {
            Cells::Map(cells) => cells.text_bytes,
            Cells::List(cells) => cells.items.text_bytes(),
            _ => 0,
        });
        self.text_bytes + nested.sum::<usize>()
    }

    /// Takes the rows out.
    pub(crate) fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        (self.rows, self.text_bytes) = (0, 0);
        self.cells.iter_mut().map(Cells::finish).collect()
    }
}

/// The largest `i64` for what does not fit.
pub(crate) fn saturate(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
