//! A reader's eyes: lists the lake's prefix and reads the Parquet files as any engine would, by column names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

/// A row of a table: the columns that the oracle looks at, as text, in the order of [`COLUMNS`].
pub(crate) type Values = Vec<String>;

/// The tables and columns that are read.
const COLUMNS: [(&str, &[&str]); 7] = [
    ("spans", &["trace_id", "span_id", "sampling_policy", "sampling_weight", "is_late"]),
    ("logs", &["body", "sampling_weight"]),
    ("metrics_number", &["name"]),
    ("traces", &["trace_id", "span_count"]),
    ("red_1m", &["service_name", "operation", "kind", "status_code", "requests"]),
    ("service_edges_1m", &["caller_service", "callee_service", "kind", "requests"]),
    ("decisions", &["trace_id", "decided_time", "verdict", "weight", "span_count", "rules_version", "is_complete", "policy"]),
];

/// What is visible, by table.
pub(crate) type Visible = BTreeMap<&'static str, Vec<Values>>;

/// Reads the lake again and again. A name fixes the content, so no file is decoded twice.
#[derive(Default)]
pub(crate) struct Reader {
    known: BTreeMap<String, Arc<[Values]>>,
}

impl Reader {
    /// Files may have been written anew.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }

    /// All rows of all files, listed under their keys.
    pub(crate) fn read(&mut self, files: &[(String, Bytes)]) -> Result<Visible, String> {
        let mut visible: Visible = COLUMNS.iter().map(|(table, _)| (*table, Vec::new())).collect();
        for (key, bytes) in files {
            let name = key.split('/').nth(2).unwrap_or_default();
            let Some((table, columns)) = COLUMNS.iter().find(|(table, _)| *table == name) else {
                return Err(format!("I10: {key} is of no table that anything was sent for"));
            };
            let rows = match self.known.get(key) {
                Some(rows) => Arc::clone(rows),
                None => decode(bytes, columns).map_err(|error| format!("{key} cannot be read: {error}"))?.into(),
            };
            visible.entry(table).or_default().extend(rows.iter().cloned());
            self.known.insert(key.clone(), rows);
        }
        Ok(visible)
    }
}

fn decode(bytes: &Bytes, columns: &[&str]) -> Result<Vec<Values>, ParquetError> {
    let reader = SerializedFileReader::new(bytes.clone())?;
    let schema = reader.metadata().file_metadata().schema();
    let wanted: BTreeSet<&str> = columns.iter().copied().collect();
    let fields = schema.get_fields().iter().filter(|field| wanted.contains(field.name())).cloned().collect();
    let projection = Type::group_type_builder(schema.name()).with_fields(fields).build()?;
    reader.get_row_iter(Some(projection))?.map(|row| row.map(|row| values(&row, columns))).collect()
}

fn values(row: &Row, columns: &[&str]) -> Values {
    let text = |field: &Field| match field {
        Field::Str(text) => text.clone(),
        Field::Null => String::new(),
        other => other.to_string(),
    };
    let value = |name: &&str| row.get_column_iter().find(|(column, _)| column == name).map(|(_, field)| text(field));
    columns.iter().map(|name| value(name).unwrap_or_default()).collect()
}
