//! The tables as Athena DDL and as a page of documentation; what Athena is told of a table, whichever way.

use std::fmt::Write as _;

use super::{ColumnType, SCHEMA_VERSION, TABLES, Table};

/// Names of types as Athena spells them.
pub(super) fn athena_type(kind: &ColumnType) -> String {
    match kind {
        ColumnType::Text => "string".to_owned(),
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Int => "int".to_owned(),
        ColumnType::Bigint => "bigint".to_owned(),
        ColumnType::Double => "double".to_owned(),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::Map => "map<string,string>".to_owned(),
        ColumnType::List(item) => format!("array<{}>", athena_type(item)),
        ColumnType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|(name, kind)| format!("{name}:{}", athena_type(kind))).collect();
            format!("struct<{}>", fields.join(","))
        }
    }
}

/// Where a table's files lie, with `${LakeBucket}` in the place of the bucket's name.
pub(super) fn location(table: &Table) -> String {
    format!("s3://${{LakeBucket}}/lake/v1/{}/", table.name)
}

/// The table's properties for Athena, the same for its DDL and for its entry in the catalog. `${LakeDays}` stands in the
/// place of the number of days that it looks back: rows of older days are not seen, and each hour that is projected in vain
/// costs requests.
///
/// The location template and the digits of the hour are needed: without them a query silently finds no rows, or half of
/// them.
pub(super) fn properties(table: &Table) -> Vec<(&'static str, String)> {
    vec![
        ("parquet.compression", "ZSTD".to_owned()),
        ("projection.enabled", "true".to_owned()),
        ("projection.dt.type", "date".to_owned()),
        ("projection.dt.range", "NOW-${LakeDays}DAYS,NOW".to_owned()),
        ("projection.dt.format", "yyyy-MM-dd".to_owned()),
        ("projection.dt.interval", "1".to_owned()),
        ("projection.dt.interval.unit", "DAYS".to_owned()),
        ("projection.hour.type", "integer".to_owned()),
        ("projection.hour.range", "0,23".to_owned()),
        ("projection.hour.digits", "2".to_owned()),
        ("storage.location.template", format!("{}dt=${{dt}}/hour=${{hour}}/", location(table))),
    ]
}

/// The `CREATE EXTERNAL TABLE` statement for Athena, with the placeholders of the bucket and the days.
///
/// Every column name is quoted, so that no reserved word can break it.
#[must_use]
pub fn ddl(table: &Table) -> String {
    let columns: Vec<_> = table.columns().map(|column| format!("  `{}` {}", column.name, athena_type(&column.kind))).collect();
    let properties: Vec<_> = properties(table).iter().map(|(key, value)| format!("  '{key}' = '{value}'")).collect();
    format!(
        "-- Generated from shared/table/src/schema. {}\n-- LakeBucket is the bucket of the lake. LakeDays is how many days back \
         rows are seen: at least as many as they are kept.\nCREATE EXTERNAL TABLE IF NOT EXISTS `{}` (\n{}\n)\n\
         PARTITIONED BY (`dt` string, `hour` string)\nSTORED AS PARQUET\nLOCATION '{}'\nTBLPROPERTIES (\n{}\n);\n",
        table.doc,
        table.name,
        columns.join(",\n"),
        location(table),
        properties.join(",\n")
    )
}

/// The documentation page of all tables, in Markdown.
#[must_use]
pub fn docs_page() -> String {
    let mut page = format!(
        "# Tables of the lake\n\nGenerated from `shared/table/src/schema`; schema version {SCHEMA_VERSION}. Columns are only \
         ever appended.\n\nEvery table is partitioned by `dt` (`YYYY-MM-DD`) and `hour` (`HH`), both strings, both by \
         **arrival** in UTC: filter by them first. Ids are lower-case hex. Timestamps are whole milliseconds in UTC; the \
         exact time stands beside as nanoseconds since 1970. Attributes with a column of their own are in no map; values \
         that are not text stand in the maps as text (arrays and maps as JSON, bytes as base64), and a value of the wrong \
         type for a numeric column stays in the map. Numbers too large for a column are the largest that fits.\n"
    );
    for table in TABLES {
        section(&mut page, table);
    }
    page
}

fn section(page: &mut String, table: &Table) {
    let sort: Vec<_> = table.sort.iter().map(|name| format!("`{name}`")).collect();
    let rows: String = table.columns().fold(String::new(), |mut rows, column| {
        let _infallible = writeln!(rows, "| `{}` | {} | {} |", column.name, athena_type(&column.kind), column.doc);
        rows
    });
    let _infallible = write!(
        page,
        "\n## `{}`\n\n{} Rows of a file are sorted by {}.\n\n| column | type | |\n|---|---|---|\n{rows}",
        table.name,
        table.doc,
        sort.join(", ")
    );
}
