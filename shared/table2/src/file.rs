//! One Parquet file of a table, written in batches of rows.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding as ParquetEncoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use thiserror::Error;

use crate::columns::Columns;
use crate::schema::{Column, ColumnType, Encoding, SCHEMA_VERSION, Table, arrow_schema};

/// Written into every file, whatever the version of the writing library: the same rows give the same bytes.
const CREATED_BY: &str = "spanlake version 1";
/// Rows in a row group: the unit of the cost of looking up a trace.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Rows that are built before they are encoded.
const BATCH_ROWS: usize = 8 * 1024;
/// Bytes of text that are built before they are encoded: bounds memory, and keeps 32-bit offsets far from their end.
const BATCH_TEXT_BYTES: usize = 32 << 20;
/// The default of 1 MiB overflows at 29,000 traces in a row group, from where the column costs three times as much.
const TRACE_ID_DICTIONARY_BYTES: usize = 8 << 20;
const ZSTD_LEVEL: i32 = 3;
const BLOOM_FPP: f64 = 0.01;

/// Why a file could not be written.
#[derive(Debug, Error)]
pub enum TableError {
    /// Rows did not fit the table's Arrow schema.
    #[error("the rows do not fit the table")]
    Arrow(#[from] ArrowError),
    /// They could not be encoded.
    #[error("the parquet file could not be encoded")]
    Parquet(#[from] ParquetError),
}

/// What is written into a file's metadata.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileMeta<'a> {
    /// Key-value pairs beside `schema_version` and `sorting_columns`.
    pub pairs: &'a [(&'a str, &'a str)],
}

/// A finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFile {
    /// The table's name.
    pub table: &'static str,
    /// The Parquet file; empty without rows.
    pub bytes: Vec<u8>,
    /// Its rows.
    pub rows: u64,
    /// Items that were left out because they are malformed. Where one call gives several files, the last has them all.
    pub bad_items: u64,
}

/// Collects a table's rows and encodes them.
pub(crate) struct FileWriter {
    table: &'static Table,
    schema: SchemaRef,
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
    /// The row being built.
    pub(crate) columns: Columns,
}

impl FileWriter {
    pub(crate) fn new(table: &'static Table, meta: &FileMeta<'_>) -> Result<Self, TableError> {
        let schema = Arc::new(arrow_schema(table));
        let options = ArrowWriterOptions::new().with_properties(properties(table, meta)?).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&schema), options)?;
        Ok(Self { table, schema, writer, rows: 0, columns: Columns::new(table.columns) })
    }

    /// Ends the row.
    pub(crate) fn end_row(&mut self) -> Result<(), TableError> {
        self.rows += 1;
        self.columns.end_row();
        let is_full = self.columns.rows() >= BATCH_ROWS || self.columns.text_bytes() >= BATCH_TEXT_BYTES;
        if is_full { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TableError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), self.columns.finish()?)?;
        Ok(self.writer.write(&batch)?)
    }

    /// The file, if it has rows or bad items to tell of.
    pub(crate) fn finish_all(self, bad_items: u64) -> Result<Vec<TableFile>, TableError> {
        if self.rows == 0 && bad_items == 0 { Ok(Vec::new()) } else { Ok(vec![self.finish(bad_items)?]) }
    }

    /// The file.
    pub(crate) fn finish(mut self, bad_items: u64) -> Result<TableFile, TableError> {
        if self.rows == 0 {
            return Ok(TableFile { table: self.table.name, bytes: Vec::new(), rows: 0, bad_items });
        }
        if self.columns.rows() > 0 {
            self.flush()?;
        }
        Ok(TableFile { table: self.table.name, bytes: self.writer.into_inner()?, rows: self.rows, bad_items })
    }
}

fn properties(table: &Table, meta: &FileMeta<'_>) -> Result<WriterProperties, TableError> {
    let own = [("schema_version".to_owned(), SCHEMA_VERSION.to_string()), ("sorting_columns".to_owned(), table.sort.to_owned())];
    let given = meta.pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let pairs = own.into_iter().chain(given).map(|(key, value)| KeyValue::new(key, value)).collect();
    let builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_key_value_metadata(Some(pairs));
    Ok(table.columns.iter().fold(builder, |builder, column| encode(builder, &[], column)).build())
}

fn encode(builder: WriterPropertiesBuilder, above: &[String], column: &Column) -> WriterPropertiesBuilder {
    let mut path = above.to_vec();
    path.push(column.name.to_owned());
    if let ColumnType::Structs(fields) = column.kind {
        path.extend(["list".to_owned(), "element".to_owned()]);
        return fields.iter().fold(builder, |builder, field| encode(builder, &path, field));
    }
    let path = ColumnPath::new(path);
    match column.encoding {
        Encoding::Default => builder,
        Encoding::Plain => {
            builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, ParquetEncoding::PLAIN)
        }
        Encoding::Delta => builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, ParquetEncoding::DELTA_BINARY_PACKED),
        Encoding::TraceId => builder
            .set_column_dictionary_page_size_limit(path.clone(), TRACE_ID_DICTIONARY_BYTES)
            .set_column_bloom_filter_fpp(path.clone(), BLOOM_FPP)
            .set_column_bloom_filter_max_ndv(path, ROW_GROUP_ROWS as u64),
    }
}
