//! What can go wrong with a query, said so that the reader knows what to do.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use spanlake_table::schema::TABLES;
use thiserror::Error;

/// How many similar names are offered.
const NEAREST_MOST: usize = 5;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum SqlError {
    /// The statement would change something.
    #[error("only queries are possible here (select, with, show, describe, explain): {reason}")]
    NotAQuery {
        /// What the engine refused.
        reason: String,
    },
    /// No such table.
    #[error("unknown table {name}; the tables are {}", .tables.join(", "))]
    UnknownTable {
        /// The name.
        name: String,
        /// All tables.
        tables: Vec<&'static str>,
    },
    /// No such column.
    #[error("unknown column {name}; near it: {}", .nearest.join(", "))]
    UnknownColumn {
        /// The name.
        name: String,
        /// The most similar names.
        nearest: Vec<String>,
    },
    /// The statement cannot be understood.
    #[error("{reason}")]
    Invalid {
        /// What and where.
        reason: String,
    },
    /// The engine gave up in the middle: a fault of its own, or a damaged file.
    #[error("the SQL engine failed on this statement; if simpler statements work, rephrase it, else a file may be damaged")]
    Panicked,
    /// It took too long.
    #[error("no answer within {seconds} s; narrow the query with dt and hour, or raise the time limit")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// It needed too much memory.
    #[error("the query needs more memory than allowed; narrow it with dt and hour, or raise the memory limit: {reason}")]
    TooMuchMemory {
        /// What asked for it.
        reason: String,
    },
    /// A saved query's parameter is missing or not what it should be.
    #[error("parameter {name}: {reason}")]
    Parameter {
        /// The parameter.
        name: String,
        /// What it should be.
        reason: String,
    },
    /// The folder's name cannot be used.
    #[error("the data folder's path must be absolute and UTF-8")]
    Folder,
    /// Reading failed.
    #[error("the query failed")]
    Failed(#[source] Box<DataFusionError>),
}

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::SchemaError(inner, _) => {
                if let SchemaError::FieldNotFound { field, valid_fields } = inner.as_ref() {
                    let valid = valid_fields.iter().map(|column| column.name.clone()).collect();
                    return Self::UnknownColumn { nearest: nearest(&field.name, valid), name: field.name.clone() };
                }
                Self::Invalid { reason: inner.to_string() }
            }
            DataFusionError::Plan(text) => plan_error(text),
            DataFusionError::SQL(inner, _) => Self::Invalid { reason: inner.to_string() },
            DataFusionError::NotImplemented(text) => Self::Invalid { reason: text.clone() },
            DataFusionError::ResourcesExhausted(text) => Self::TooMuchMemory { reason: text.clone() },
            _ => Self::Failed(Box::new(error)),
        }
    }
}

fn plan_error(text: &str) -> SqlError {
    if text.contains("not supported:") || text.contains("can not") {
        return SqlError::NotAQuery { reason: text.to_owned() };
    }
    if let Some((_, rest)) = text.split_once("table '")
        && let Some((name, _)) = rest.split_once("' not found")
    {
        let name = name.rsplit('.').next().unwrap_or(name).to_owned();
        return SqlError::UnknownTable { name, tables: TABLES.iter().map(|table| table.name).collect() };
    }
    SqlError::Invalid { reason: text.to_owned() }
}

/// The names most like `name`, best first.
fn nearest(name: &str, mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names.sort_by_cached_key(|candidate| {
        (!candidate.contains(name) && !name.contains(candidate.as_str()), distance(name, candidate))
    });
    names.truncate(NEAREST_MOST);
    names
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.chars().zip(row.iter_mut().skip(1)) {
            let best = (diagonal + usize::from(x != y)).min(left + 1).min(*above + 1);
            diagonal = std::mem::replace(above, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
