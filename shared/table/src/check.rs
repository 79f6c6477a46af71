//! Whether a file of the lake can be read: all of it, not its footer alone.

use arrow::datatypes::Schema;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use thiserror::Error;

use crate::schema::{Table, table};

/// Why a file is no readable file of a table.
#[derive(Debug, Error)]
pub enum CheckError {
    /// No table of this name is in the schema.
    #[error("it belongs to no table")]
    NoTable,
    /// It is no Parquet file, or a part of it is damaged.
    #[error("it cannot be read as Parquet")]
    Unreadable(#[source] ParquetError),
    /// It has a column that its table lacks, or none.
    #[error("its columns are not those of the table")]
    Columns,
    /// It holds another number of rows than it says.
    #[error("it says that it has {said} rows and has {found}")]
    Rows {
        /// Rows by the footer.
        said: u64,
        /// Rows read.
        found: u64,
    },
}

/// Reads a whole file of table `name`, and returns its rows.
///
/// # Errors
/// [`CheckError`] if it is not one.
pub fn check_file(name: &str, file: Bytes) -> Result<u64, CheckError> {
    let table = table(name).ok_or(CheckError::NoTable)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(CheckError::Unreadable)?;
    if !fits(builder.schema(), table) {
        return Err(CheckError::Columns);
    }
    let said = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
    let mut found = 0;
    for batch in builder.build().map_err(CheckError::Unreadable)? {
        found += batch.map_err(|error| CheckError::Unreadable(error.into()))?.num_rows() as u64;
    }
    if said == found { Ok(found) } else { Err(CheckError::Rows { said, found }) }
}

/// Columns are only ever added: an older file has some of them.
fn fits(schema: &Schema, table: &Table) -> bool {
    let is_known = |name: &str| table.columns().any(|column| column.name == name);
    !schema.fields().is_empty() && schema.fields().iter().all(|field| is_known(field.name()))
}
