//! Arrow builders for the columns of a table, filled row by row in the order of the schema.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, ListArray, MapArray, RecordBatch,
    StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use spanlake_model::NANOS_PER_MS;

use crate::any::{Any, Attribute};
use crate::schema::{ColumnType, Table};

/// Room is made for this many rows at first.
const FIRST_ROWS_MAX: usize = 1_024;

/// A column under construction.
pub(crate) enum Builder {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Int(Int32Builder),
    Bigint(Int64Builder),
    Double(Float64Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Map { ends: Vec<i32>, keys: StringBuilder, values: StringBuilder },
    List { ends: Vec<i32>, item: &'static ColumnType, fields: Vec<Self> },
}

impl Builder {
    /// A builder with room for some rows, which grows.
    fn new(kind: &ColumnType, rows: usize) -> Self {
        let text = || StringBuilder::with_capacity(rows, rows);
        match kind {
            ColumnType::Text | ColumnType::Struct(_) => Self::Text(text()),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            ColumnType::Int => Self::Int(Int32Builder::with_capacity(rows)),
            ColumnType::Bigint => Self::Bigint(Int64Builder::with_capacity(rows)),
            ColumnType::Double => Self::Double(Float64Builder::with_capacity(rows)),
            ColumnType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC")),
            ColumnType::Map => Self::Map { ends: vec![0], keys: text(), values: text() },
            ColumnType::List(item) => {
                let fields = match item {
                    ColumnType::Struct(fields) => fields.iter().map(|(_, kind)| Self::new(kind, rows)).collect(),
                    item => vec![Self::new(item, rows)],
                };
                Self::List { ends: vec![0], item, fields }
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(b) => b.len(),
            Self::Boolean(b) => b.len(),
            Self::Int(b) => b.len(),
            Self::Bigint(b) => b.len(),
            Self::Double(b) => b.len(),
            Self::Timestamp(b) => b.len(),
            Self::Map { ends, .. } | Self::List { ends, .. } => ends.len() - 1,
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text(b) => Arc::new(b.finish()),
            Self::Boolean(b) => Arc::new(b.finish()),
            Self::Int(b) => Arc::new(b.finish()),
            Self::Bigint(b) => Arc::new(b.finish()),
            Self::Double(b) => Arc::new(b.finish()),
            Self::Timestamp(b) => Arc::new(b.finish()),
            Self::Map { ends, keys, values } => {
                let columns: Vec<ArrayRef> = vec![Arc::new(keys.finish()), Arc::new(values.finish())];
                let entries = StructArray::try_new(crate::schema::map_fields(), columns, None)?;
                Arc::new(MapArray::try_new(crate::schema::map_entries_field(), offsets(ends), entries, None, false)?)
            }
            Self::List { ends, item, fields } => {
                let columns = fields.iter_mut().map(Self::finish).collect::<Result<Vec<_>, _>>()?;
                let values = match item {
                    ColumnType::Struct(names) => {
                        Arc::new(StructArray::try_new(crate::schema::struct_fields(names), columns, None)?) as ArrayRef
                    }
                    _ => columns.into_iter().next().ok_or_else(|| ArrowError::SchemaError("a list without items".to_owned()))?,
                };
                Arc::new(ListArray::try_new(crate::schema::element_field(item), offsets(ends), values, None)?)
            }
        })
    }
}

fn offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(ends, vec![0])))
}

/// Batches are cut long before 2^31 bytes or entries, so that this never saturates.
fn end(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

/// All columns of a table.
pub(crate) struct Columns {
    schema: SchemaRef,
    builders: Vec<Builder>,
}

impl Columns {
    /// For about `rows` rows: a small file must not pay for room that it never fills.
    pub(crate) fn new(table: &Table, schema: SchemaRef, rows: usize) -> Self {
        let rows = rows.min(FIRST_ROWS_MAX);
        Self { schema, builders: table.columns().map(|column| Builder::new(&column.kind, rows)).collect() }
    }

    /// Begins a row. Each column must get exactly one value, in order; a row of another shape makes `finish` fail.
    pub(crate) fn row(&mut self) -> Row<'_> {
        Row { builders: self.builders.iter_mut() }
    }

    /// Takes the rows so far.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let arrays = self.builders.iter_mut().map(Builder::finish).collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
    }
}

/// A row (or a record within a list) being written, column after column.
pub(crate) struct Row<'b> {
    builders: std::slice::IterMut<'b, Builder>,
}

impl<'b> Row<'b> {
    /// A value for a column of another type is dropped: the column comes out short, and the batch is refused.
    fn next(&mut self) -> Option<&'b mut Builder> {
        self.builders.next()
    }

    pub(crate) fn text(&mut self, value: Option<&str>) {
        if let Some(Builder::Text(builder)) = self.next() {
            builder.append_option(value);
        }
    }

    /// NULL for an empty text.
    pub(crate) fn text_or_null(&mut self, value: &str) {
        self.text(Some(value).filter(|text| !text.is_empty()));
    }

    /// Lower-case hex; NULL for no bytes.
    pub(crate) fn hex(&mut self, bytes: &[u8]) {
        if let Some(Builder::Text(builder)) = self.next() {
            if bytes.is_empty() {
                builder.append_null();
            } else {
                append_hex(builder, bytes);
            }
        }
    }

    /// The canonical text; NULL for no value.
    pub(crate) fn any(&mut self, value: Any<'_>) {
        if let Some(Builder::Text(builder)) = self.next() {
            append_any(builder, value);
        }
    }

    pub(crate) fn boolean(&mut self, value: Option<bool>) {
        if let Some(Builder::Boolean(builder)) = self.next() {
            builder.append_option(value);
        }
    }

    pub(crate) fn int(&mut self, value: Option<i32>) {
        if let Some(Builder::Int(builder)) = self.next() {
            builder.append_option(value);
        }
    }

    /// Saturates.
    pub(crate) fn count(&mut self, value: u32) {
        self.int(Some(i32::try_from(value).unwrap_or(i32::MAX)));
    }

    pub(crate) fn bigint(&mut self, value: Option<i64>) {
        if let Some(Builder::Bigint(builder)) = self.next() {
            builder.append_option(value);
        }
    }

    pub(crate) fn double(&mut self, value: Option<f64>) {
        if let Some(Builder::Double(builder)) = self.next() {
            builder.append_option(value);
        }
    }

    /// Cuts to whole milliseconds.
    pub(crate) fn timestamp(&mut self, nanos: i64) {
        if let Some(Builder::Timestamp(builder)) = self.next() {
            builder.append_value(nanos.div_euclid(NANOS_PER_MS) * 1_000);
        }
    }

    /// Entries must be sorted by key and distinct.
    pub(crate) fn map<'v>(&mut self, entries: impl IntoIterator<Item = (&'v str, Any<'v>)>) {
        if let Some(Builder::Map { ends, keys, values }) = self.next() {
            for (key, value) in entries {
                keys.append_value(key);
                append_any(values, value);
            }
            ends.push(end(keys.len()));
        }
    }

    /// Sorted, distinct attributes.
    pub(crate) fn attributes(&mut self, attributes: &[Attribute<'_>]) {
        self.map(attributes.iter().map(|attribute| (&*attribute.key, attribute.value)));
    }

    /// Sorted, distinct pairs of text.
    pub(crate) fn pairs(&mut self, pairs: &[(String, Option<String>)]) {
        self.map(pairs.iter().map(|(key, value)| (&**key, value.as_ref().map_or(Any::Empty, |text| Any::Text(text.as_bytes())))));
    }

    /// A list: `write` fills the columns of one element (a record's fields, or the single value).
    pub(crate) fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Row<'_>, T)) {
        if let Some(Builder::List { ends, fields, .. }) = self.next() {
            for item in items {
                write(&mut Row { builders: fields.iter_mut() }, item);
            }
            ends.push(end(fields.first().map_or(0, Builder::len)));
        }
    }
}

fn append_any(builder: &mut StringBuilder, value: Any<'_>) {
    match value {
        Any::Empty => builder.append_null(),
        Any::Text(text) => builder.append_value(crate::any::lossy(text)),
        value => {
            let _infallible = value.write_text(builder);
            builder.append_value("");
        }
    }
}

fn append_hex(builder: &mut StringBuilder, bytes: &[u8]) {
    let mut buffer = [0_u8; 32];
    if let Some(digits) = buffer.get_mut(..bytes.len() * 2) {
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        builder.append_value(std::str::from_utf8(digits).unwrap_or_default());
        return;
    }
    // An id of a length that ingest refuses.
    for byte in bytes {
        let _infallible = write!(builder, "{byte:02x}");
    }
    builder.append_value("");
}

const fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}
