//! The engine's errors in our words. Its own name places and types as its source code does, and some end with a request
//! to report a fault of the engine, which none of these is.

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use spanlake_table::schema::TABLES;

use super::SqlError;
use super::nearest::nearest;

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::SchemaError(inner, _) => schema_error(inner),
            DataFusionError::Plan(text) | DataFusionError::Internal(text) | DataFusionError::Execution(text) => plan_error(text),
            DataFusionError::SQL(inner, _) => Self::Invalid { reason: format!("not understood: {}", plain(&inner.to_string())) },
            DataFusionError::NotImplemented(text) => Self::Invalid { reason: not_implemented(text) },
            DataFusionError::ResourcesExhausted(text) => Self::TooMuchMemory { reason: plain(text) },
            DataFusionError::ArrowError(inner, _) if is_about_values(inner) => {
                Self::Uncomputable { reason: plain(&inner.to_string()) }
            }
            DataFusionError::ArrowError(inner, _) if matches!(inner.as_ref(), ArrowError::ParseError(_)) => {
                Self::Invalid { reason: plain(&inner.to_string()) }
            }
            root => Self::Failed { reason: plain(&root.to_string()) },
        }
    }
}

fn schema_error(error: &SchemaError) -> SqlError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => SqlError::UnknownColumn {
            nearest: nearest(&field.name, valid_fields.iter().map(|column| column.name.clone())),
            name: field.name.clone(),
        },
        SchemaError::AmbiguousReference { field } => SqlError::Invalid {
            reason: format!("several tables here have a column {0}: write its table before it, such as spans.{0}", field.name),
        },
        other => SqlError::Invalid { reason: plain(&other.to_string()) },
    }
}

fn plan_error(text: &str) -> SqlError {
    let refused = ["DDL not supported: ", "DML not supported: ", "Statement not supported: "];
    if let Some(refused) = refused.iter().find_map(|kind| text.strip_prefix(kind)) {
        return SqlError::NotAQuery { reason: format!("{refused} is none") };
    }
    if let Some(name) = between(text, "table '", "' not found") {
        let name = name.rsplit('.').next().unwrap_or(name).to_owned();
        let tables: Vec<_> = TABLES.iter().map(|table| table.name).collect();
        let nearest = nearest(&name, tables.iter().map(|table| (*table).to_owned()));
        return SqlError::UnknownTable { name, nearest, tables };
    }
    if let Some(name) = between(text, "Invalid function '", "'") {
        let suggested = between(text, "Did you mean '", "'").map(str::to_owned);
        return SqlError::UnknownFunction { nearest: nearest(name, suggested.into_iter()), name: name.to_owned() };
    }
    wrong_arguments(text).unwrap_or_else(|| SqlError::Invalid { reason: plain(text) })
}

/// What is said of a call whose arguments do not fit.
fn wrong_arguments(text: &str) -> Option<SqlError> {
    let (before, candidates) = text.split_once("Candidate functions:")?;
    if let Some((_, own)) = before.split_once("user-defined coercion failed with: ") {
        // Our own functions say in words what they take.
        let (own, _) = own.split_once(". No function matches").unwrap_or((own, ""));
        return Some(SqlError::Invalid { reason: plain(own) });
    }
    let call = sql_types(between(before, "argument types '", "'. ")?);
    let possible: Vec<_> = candidates.lines().map(str::trim).filter(|line| !line.is_empty()).map(sql_types).collect();
    (!possible.is_empty()).then_some(SqlError::WrongArguments { call, possible })
}

fn not_implemented(text: &str) -> String {
    if text.starts_with("Dot access") {
        return "a field of a record in a list or map is written with brackets, such as events[1]['name']".to_owned();
    }
    format!("not possible here: {}", plain(text))
}

/// Whether a kernel's error comes from the values, not from a file.
const fn is_about_values(error: &ArrowError) -> bool {
    matches!(
        error,
        ArrowError::CastError(_)
            | ArrowError::ComputeError(_)
            | ArrowError::DivideByZero
            | ArrowError::ArithmeticOverflow(_)
            | ArrowError::InvalidArgumentError(_)
    )
}

/// The engine's names of types, and the names that a statement uses; longer ones first.
const TYPES: &[(&str, &str)] = &[
    ("Utf8View", "varchar"),
    ("LargeUtf8", "varchar"),
    ("Utf8", "varchar"),
    ("String", "varchar"),
    ("UInt64", "bigint"),
    ("UInt32", "bigint"),
    ("Int64", "bigint"),
    ("Int32", "int"),
    ("Float64", "double"),
    ("Float32", "double"),
    ("Boolean", "boolean"),
    ("Decimal", "decimal"),
    ("Timestamp(us, \"UTC\")", "timestamp"),
];

fn sql_types(text: &str) -> String {
    TYPES.iter().fold(text.to_owned(), |text, (engine, sql)| text.replace(engine, sql))
}

/// What the engine puts before its words to say which of its parts they come from.
const PARTS: &[&str] = &[
    "Error during planning: ",
    "Execution error: ",
    "Internal error: ",
    "External error: ",
    "Schema error: ",
    "Arrow error: ",
    "Parquet error: ",
    "Object Store error: ",
    "IO error: ",
    "Cast error: ",
    "Parser error: ",
    "Compute error: ",
    "Invalid argument error: ",
    "sql parser error: ",
    "datafusion.public.",
];

/// The engine's words without its parts' names, and with SQL's names of types.
fn plain(text: &str) -> String {
    let (text, _) = text.split_once("\nThis issue was likely caused by a bug").unwrap_or((text, ""));
    let text = PARTS.iter().fold(text.to_owned(), |text, part| text.replace(part, ""));
    sql_types(&text)
}

/// What stands between two marks.
fn between<'text>(text: &'text str, start: &str, end: &str) -> Option<&'text str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(found, _)| found)
}
