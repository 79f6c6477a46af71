//! Rows into the bytes of a Parquet file, with the lake's settings.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnDescPtr, ColumnPath};
use thiserror::Error;

use crate::columns::{Columns, Row};
use crate::schema::{Layout, SCHEMA_VERSION, Table, arrow_schema};

/// The writer's name in every file: no library's version, so that an update changes no bytes by itself.
pub const CREATED_BY: &str = "spanlake version 1.0.0 (build 0)";

/// A file of fewer rows is not compressed: a page of a few values gains nothing, and a compressor's start costs more than
/// all the rest of such a file.
const SMALL_ROWS: usize = 64;
/// How hard pages are compressed (zstd): but for span ids level 3 saves nothing, neither of lean spans nor of fat ones.
const LEVEL: i32 = 1;
/// Of span ids only parents repeat. Level 1 misses many of them, level 3 is no better.
const SPAN_ID_LEVEL: i32 = 2;
/// Rows handed to the Parquet writer at a time.
const BATCH_ROWS: usize = 8_192;
/// Bytes handed to the Parquet writer at a time, about: keeps 32-bit offsets and memory far from their limits.
const BATCH_BYTES: usize = 8 << 20;
/// Rows of a row group, unless a file would need too many groups.
const GROUP_ROWS: usize = 128 << 10;
/// Bytes of a row group, unless a file would need too many groups.
const GROUP_BYTES: usize = 32 << 20;
/// Trino reads the last 48 KiB of a file; the footer of more row groups does not fit and costs a second read per split.
const GROUPS_MAX: usize = 4;
/// A dictionary of trace ids that overflows falls back to plain values, at six times the size.
const TRACE_ID_DICTIONARY_BYTES: usize = 8 << 20;
/// A larger share of false hits saves little; a smaller one costs more than it saves.
const BLOOM_FPP: f64 = 0.01;

/// Why a table could not be written: always a fault of the program, never of its input.
#[derive(Debug, Error)]
pub enum TableError {
    /// Rows do not fit the schema.
    #[error("building a batch of table {table}")]
    Batch {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        source: ArrowError,
    },
    /// The file could not be encoded.
    #[error("writing a file of table {table}")]
    File {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        source: ParquetError,
    },
    /// No table of this name is in the schema.
    #[error("no table {table} in the schema")]
    NoTable {
        /// The name.
        table: &'static str,
    },
}

/// What a file says about itself beside its schema version and row order.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileMeta<'a> {
    /// Key-value metadata, such as the plan's number and hash.
    pub pairs: &'a [(&'a str, &'a str)],
}

/// A finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFile {
    /// The table it belongs to.
    pub table: &'static str,
    /// The Parquet file.
    pub bytes: Vec<u8>,
    /// Its rows.
    pub rows: u64,
}

/// Writes the rows of one file. Row groups close by rows and by bytes, at places that follow from the totals given.
pub(crate) struct FileWriter {
    table: &'static Table,
    columns: Columns,
    /// `None` if the rows are all that is wanted.
    writer: Option<ArrowWriter<Vec<u8>>>,
    group_rows: usize,
    group_bytes: usize,
    in_batch: Filled,
    in_group: Filled,
    groups: usize,
    rows: u64,
}

#[derive(Default)]
struct Filled {
    rows: usize,
    bytes: usize,
}

impl Filled {
    const fn add(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes;
    }
}

impl FileWriter {
    /// A writer of a file of about `rows` rows made from `bytes` bytes of items; without `meta` of the rows only.
    pub(crate) fn new(name: &'static str, meta: Option<&FileMeta<'_>>, rows: usize, bytes: usize) -> Result<Self, TableError> {
        let table = crate::schema::table(name).ok_or(TableError::NoTable { table: name })?;
        let schema: SchemaRef = Arc::new(arrow_schema(table));
        let writer = meta.map(|meta| parquet_writer(table, &schema, meta, rows)).transpose();
        let writer = writer.map_err(|source| TableError::File { table: name, source })?;
        Ok(Self {
            table,
            columns: Columns::new(table, schema, rows),
            writer,
            group_rows: rows.div_ceil(GROUPS_MAX).max(GROUP_ROWS),
            group_bytes: bytes.div_ceil(GROUPS_MAX).max(GROUP_BYTES),
            in_batch: Filled::default(),
            in_group: Filled::default(),
            groups: 1,
            rows: 0,
        })
    }

    /// Adds a row of about `bytes` bytes.
    pub(crate) fn row(&mut self, bytes: usize, write: impl FnOnce(&mut Row<'_>)) -> Result<(), TableError> {
        let group_is_full = self.in_group.rows >= self.group_rows || self.in_group.bytes >= self.group_bytes;
        if group_is_full && self.groups < GROUPS_MAX {
            self.flush_batch()?;
            let flushed = self.writer.as_mut().map_or(Ok(()), ArrowWriter::flush);
            flushed.map_err(|source| TableError::File { table: self.table.name, source })?;
            self.in_group = Filled::default();
            self.groups += 1;
        } else if self.in_batch.rows >= BATCH_ROWS || self.in_batch.bytes >= BATCH_BYTES {
            self.flush_batch()?;
        }
        write(&mut self.columns.row());
        self.in_batch.add(bytes);
        self.in_group.add(bytes);
        self.rows += 1;
        Ok(())
    }

    fn flush_batch(&mut self) -> Result<(), TableError> {
        let table = self.table.name;
        let batch = self.columns.finish().map_err(|source| TableError::Batch { table, source })?;
        self.in_batch = Filled::default();
        let written = self.writer.as_mut().map_or(Ok(()), |writer| writer.write(&batch));
        written.map_err(|source| TableError::File { table, source })
    }

    pub(crate) fn finish(mut self) -> Result<TableFile, TableError> {
        self.flush_batch()?;
        let table = self.table.name;
        let bytes = self.writer.map_or(Ok(Vec::new()), ArrowWriter::into_inner);
        let bytes = bytes.map_err(|source| TableError::File { table, source })?;
        Ok(TableFile { table, bytes, rows: self.rows })
    }
}

fn parquet_writer(
    table: &Table,
    schema: &SchemaRef,
    meta: &FileMeta<'_>,
    rows: usize,
) -> Result<ArrowWriter<Vec<u8>>, ParquetError> {
    let parquet = ArrowSchemaConverter::new().convert(schema)?;
    let properties = properties(table, meta, parquet.columns(), rows)?;
    // The Arrow schema would be a second copy of the Parquet one, encoded by the library's version.
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(schema), options)
}

fn properties(
    table: &Table,
    meta: &FileMeta<'_>,
    leaves: &[ColumnDescPtr],
    rows: usize,
) -> Result<WriterProperties, ParquetError> {
    let mut pairs = vec![
        KeyValue::new("spanlake.schema_version".to_owned(), SCHEMA_VERSION.to_string()),
        KeyValue::new("spanlake.sorting_columns".to_owned(), table.sort.join(",")),
    ];
    pairs.extend(meta.pairs.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned())));
    let mut builder = WriterProperties::builder()
        .set_compression(compression(rows, LEVEL)?)
        .set_max_row_group_row_count(None)
        .set_created_by(CREATED_BY.to_owned())
        .set_key_value_metadata(Some(pairs));
    for leaf in leaves {
        let path = leaf.path();
        let column = table.columns().find(|column| path.parts().first().is_some_and(|part| part == column.name));
        let layout = match (path.parts().len(), path.parts().last().map(String::as_str)) {
            (1, _) => column.map_or(Layout::Dictionary, |column| column.layout),
            (_, Some("time_unix_nano")) => Layout::Delta,
            (_, Some("span_id")) => Layout::SpanId,
            _ => Layout::Dictionary,
        };
        builder = match layout {
            Layout::Dictionary => builder,
            Layout::SpanId => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
                .set_column_compression(path.clone(), compression(rows, SPAN_ID_LEVEL)?),
            Layout::Delta => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED),
            Layout::TraceId => builder
                .set_column_dictionary_page_size_limit(path.clone(), TRACE_ID_DICTIONARY_BYTES)
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), BLOOM_FPP)
                .set_column_bloom_filter_max_ndv(path.clone(), GROUP_ROWS as u64),
        };
        builder = nested_statistics(builder, path);
    }
    Ok(builder.build())
}

fn compression(rows: usize, level: i32) -> Result<Compression, ParquetError> {
    Ok(if rows < SMALL_ROWS { Compression::UNCOMPRESSED } else { Compression::ZSTD(ZstdLevel::try_new(level)?) })
}

/// No engine prunes by values within maps and lists: their statistics would only fatten the file, and each value is compared for them.
fn nested_statistics(
    builder: parquet::file::properties::WriterPropertiesBuilder,
    path: &ColumnPath,
) -> parquet::file::properties::WriterPropertiesBuilder {
    if path.parts().len() == 1 {
        return builder;
    }
    builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
}
