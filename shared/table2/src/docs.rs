//! The documentation page of the tables.

use crate::ddl::sql_type;
use crate::schema::{ColumnType, SCHEMA_VERSION, TABLES, Table};

/// A Markdown page of all tables and columns.
#[must_use]
pub fn page() -> String {
    let mut out = format!(
        "# Tables\n\n\
         Generated from the schema in code; version {SCHEMA_VERSION}. Columns are only ever appended.\n\n\
         Every table has the partition columns `dt` (`2026-11-21`) and `hour` (`00` to `23`), both `string`, from the time\n\
         of arrival. Filter on `dt`: without it every hour is listed. Timestamps are UTC and cut to whole milliseconds; the\n\
         `*_unix_nano` columns are exact. A map holds only the keys that have no column of their own, its values as text.\n"
    );
    for table in TABLES {
        section(table, &mut out);
    }
    out
}

fn section(table: &Table, out: &mut String) {
    out.extend([format!("\n## {}\n\n{} Rows of a file are ordered by {}.\n\n", table.name, table.doc, table.sort)]);
    out.push_str("| column | type | what it holds |\n|---|---|---|\n");
    for column in table.columns {
        out.extend([format!("| `{}` | `{}` | {} |\n", column.name, sql_type(&column.kind), column.doc)]);
        if let ColumnType::Structs(fields) = column.kind {
            for field in fields {
                out.extend([format!("| - `{}` | `{}` | {} |\n", field.name, sql_type(&field.kind), field.doc)]);
            }
        }
    }
}
