//! The tables' DDL.

use std::fmt::Write as _;

use crate::schema::{Column, ColumnType, TABLES, Table};

/// The column names that Athena's DDL reserves, of those in use.
const RESERVED: &[&str] = &["end", "time", "timestamp", "start", "values", "table", "date", "hour", "minute"];

/// A `CREATE EXTERNAL TABLE` for Athena, with partition projection on `dt` and `hour`. `${LakeBucket}` stands for the
/// bucket's name.
///
/// `storage.location.template` and `digits` are not optional: without them Trino silently finds none or half of the rows.
#[must_use]
pub fn athena(table: &Table) -> String {
    let columns: Vec<String> =
        table.columns.iter().map(|column| format!("  {} {}", quoted(column.name), sql_type(&column.kind))).collect();
    let location = format!("s3://${{LakeBucket}}/lake/v1/{}/", table.name);
    let mut out = format!("CREATE EXTERNAL TABLE IF NOT EXISTS {} (\n{}\n)\n", table.name, columns.join(",\n"));
    out.push_str("PARTITIONED BY (dt string, `hour` string)\nSTORED AS PARQUET\n");
    out.extend([format!("LOCATION '{location}'\nTBLPROPERTIES (\n")]);
    let template = format!("{location}dt=${{dt}}/hour=${{hour}}/");
    let properties = [
        ("parquet.compression", "ZSTD"),
        ("projection.enabled", "true"),
        ("projection.dt.type", "date"),
        ("projection.dt.range", "2026-01-01,NOW"),
        ("projection.dt.format", "yyyy-MM-dd"),
        ("projection.dt.interval", "1"),
        ("projection.dt.interval.unit", "DAYS"),
        ("projection.hour.type", "integer"),
        ("projection.hour.range", "0,23"),
        ("projection.hour.digits", "2"),
        ("storage.location.template", template.as_str()),
    ];
    let properties = properties.map(|(key, value)| format!("  '{key}' = '{value}'"));
    out.push_str(&properties.join(",\n"));
    out.push_str("\n);\n");
    out
}

/// The DDL of all tables.
#[must_use]
pub fn athena_all() -> String {
    let mut out = String::from("-- Generated from the schema in code. ${LakeBucket} stands for the bucket's name.\n");
    for table in TABLES {
        out.push('\n');
        out.push_str(&athena(table));
    }
    out
}

/// The type in SQL, as Athena and Spark write it.
#[must_use]
pub fn sql_type(kind: &ColumnType) -> String {
    match kind {
        ColumnType::String => "string".to_owned(),
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Int => "int".to_owned(),
        ColumnType::Bigint => "bigint".to_owned(),
        ColumnType::Double => "double".to_owned(),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::Map => "map<string,string>".to_owned(),
        ColumnType::Array(element) => format!("array<{}>", sql_type(element)),
        ColumnType::Structs(fields) => format!("array<struct<{}>>", struct_fields(fields)),
    }
}

fn struct_fields(fields: &[Column]) -> String {
    fields.iter().enumerate().fold(String::new(), |mut out, (index, field)| {
        let separator = if index == 0 { "" } else { "," };
        let result = write!(out, "{separator}{}:{}", field.name, sql_type(&field.kind));
        debug_assert!(result.is_ok(), "a String takes everything");
        out
    })
}

fn quoted(name: &str) -> String {
    if RESERVED.contains(&name) { format!("`{name}`") } else { name.to_owned() }
}
