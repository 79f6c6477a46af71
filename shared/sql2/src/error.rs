//! What can go wrong, in words that say what to do next.

use datafusion::common::{DataFusionError, SchemaError};

use crate::table;

/// How many names are suggested for one that is unknown.
const SUGGESTIONS: usize = 3;

/// Why a statement has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The data folder is missing or can't be read.
    #[error("no folder {folder}: give the data folder of a Spanlake process with --data")]
    NoFolder {
        /// The folder that was asked for.
        folder: String,
    },
    /// The text is not one statement of SQL.
    #[error("not valid SQL: {reason}")]
    Syntax {
        /// What the parser expected, and where.
        reason: String,
    },
    /// A statement that would change something.
    #[error("the lake is read only: use SELECT, WITH, EXPLAIN, SHOW or DESCRIBE")]
    NotReading,
    /// A table that the lake does not have.
    #[error("no table {name}; there are {}", tables.join(", "))]
    UnknownTable {
        /// The name in the statement.
        name: String,
        /// All tables.
        tables: Vec<&'static str>,
    },
    /// A column that no table of the statement has.
    #[error("no column {name}; {}", suggestion(nearest))]
    UnknownColumn {
        /// The name in the statement.
        name: String,
        /// The nearest names in scope, best first.
        nearest: Vec<String>,
    },
    /// The statement needs more memory than its limit.
    #[error(
        "the query needs more than its {limit_mib} MiB: narrow it by dt and hour, select fewer columns, or group less finely"
    )]
    OutOfMemory {
        /// The limit.
        limit_mib: usize,
    },
    /// A file is missing or damaged, or the engine can't do what the statement asks.
    #[error("the query failed: {reason}")]
    Failed {
        /// The engine's own words.
        reason: String,
    },
    /// No saved query has this name.
    #[error("no saved query {name}; there are {}", names.join(", "))]
    UnknownQuery {
        /// The name asked for.
        name: String,
        /// All names.
        names: Vec<&'static str>,
    },
    /// A saved query has no such parameter, or the value does not fit.
    #[error("parameter {name}: {reason}")]
    Parameter {
        /// The parameter.
        name: String,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The result could not be written.
    #[error("cannot write the result: {0}")]
    Write(#[from] std::io::Error),
}

/// The names of all tables.
pub(crate) fn table_names() -> Vec<&'static str> {
    table::schema::TABLES.iter().map(|table| table.name).collect()
}

/// The engine's error in our words; `limit_bytes` is the memory limit in force.
pub(crate) fn explain(error: &DataFusionError, limit_bytes: usize) -> SqlError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => SqlError::OutOfMemory { limit_mib: limit_bytes >> 20 },
        DataFusionError::SQL(parser, _) => SqlError::Syntax { reason: parser.to_string() },
        DataFusionError::SchemaError(schema, _) => {
            unknown_column(schema).unwrap_or_else(|| SqlError::Failed { reason: schema.to_string() })
        }
        DataFusionError::Plan(text) => match unknown_table(text) {
            Some(name) => SqlError::UnknownTable { name, tables: table_names() },
            None => SqlError::Failed { reason: text.clone() },
        },
        DataFusionError::Diagnostic(_, inner) => explain(inner, limit_bytes),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => explain(first, limit_bytes),
            None => SqlError::Failed { reason: error.strip_backtrace() },
        },
        other => SqlError::Failed { reason: other.strip_backtrace() },
    }
}

/// Whether a file that was listed is gone by now.
pub(crate) fn is_vanished(error: &DataFusionError) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        let text = error.to_string();
        if text.contains("not found") && text.contains(".parquet") {
            return true;
        }
        source = error.source();
    }
    false
}

fn unknown_column(error: &SchemaError) -> Option<SqlError> {
    let SchemaError::FieldNotFound { field, valid_fields } = error else { return None };
    let mut ranked: Vec<(usize, &str)> =
        valid_fields.iter().map(|valid| (strangeness(&field.name, &valid.name), valid.name.as_str())).collect();
    ranked.sort_unstable();
    ranked.dedup();
    let nearest = ranked.into_iter().take(SUGGESTIONS).map(|(_, name)| name.to_owned()).collect();
    Some(SqlError::UnknownColumn { name: field.name.clone(), nearest })
}

fn suggestion(nearest: &[String]) -> String {
    let attribute = "an attribute without a column is element_at(attributes, 'its.key')";
    match nearest {
        [] => attribute.to_owned(),
        names => format!("the nearest are {}; {attribute}", names.join(", ")),
    }
}

/// The table's name out of the planner's sentence, which has no typed form.
fn unknown_table(text: &str) -> Option<String> {
    let name = text.strip_prefix("table '")?.strip_suffix("' not found")?;
    Some(name.rsplit('.').next().unwrap_or(name).to_owned())
}

/// How little two names have in common: nothing is less strange than one within the other.
fn strangeness(wanted: &str, name: &str) -> usize {
    if name.contains(wanted) || wanted.contains(name) { 0 } else { distance(wanted, name) }
}

/// Levenshtein's distance in characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut corner = index;
        let mut before = index + 1;
        for (slot, to) in row.iter_mut().skip(1).zip(&right) {
            let replaced = corner + usize::from(from != *to);
            corner = *slot;
            before = replaced.min(before + 1).min(corner + 1);
            *slot = before;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
