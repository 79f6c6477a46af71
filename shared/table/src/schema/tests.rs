use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a generated text with the file in the repository; `UPDATE_GOLDEN=1` writes it instead.
#[expect(clippy::disallowed_methods, reason = "a golden test compares with a file; the crate itself touches none")]
fn golden(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let stored = fs::read_to_string(path).unwrap_or_default();
    assert!(stored == text, "{} is not what the schema says; run with UPDATE_GOLDEN=1", path.display());
}

#[test]
fn the_documentation_page_is_the_schema() {
    golden(&root().join("docs/schema.md"), &docs_page());
}

#[test]
fn the_athena_tables_are_the_schema() {
    for table in TABLES {
        golden(&root().join(format!("infra/athena/tables/{}.sql", table.name)), &ddl(table));
    }
}

/// Where a section of a text begins and ends: behind the line that opens it, and before the one that closes it.
fn section(text: &str, name: &str) -> std::ops::Range<usize> {
    let opening = text.find(&format!("# generated: {name},")).unwrap();
    let start = opening + text[opening..].find('\n').unwrap() + 1;
    let closing = start + text[start..].find(&format!("# end of generated: {name}")).unwrap();
    start..text[..closing].rfind('\n').unwrap() + 1
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a golden test compares with a file; the crate itself touches none")]
fn the_tables_of_the_template_are_the_schema() {
    let path = root().join("infra/template.yaml");
    let mut template = fs::read_to_string(&path).unwrap();
    let place = section(&template, "tables");
    template.replace_range(place, &glue_tables());
    golden(&path, &template);
}

#[test]
fn the_catalog_takes_every_comment_and_type() {
    for table in TABLES {
        assert!(table.columns().all(|column| column.doc.len() <= 255), "{}", table.name);
        // The longest type that the catalog takes; the whole table may have a megabyte.
        assert!(table.columns().all(|column| ddl::athena_type(&column.kind).len() <= 131_072), "{}", table.name);
    }
}

#[test]
fn column_names_are_distinct_and_need_no_quoting() {
    for table in TABLES {
        let mut seen = BTreeSet::from(["dt", "hour"]);
        for column in table.columns() {
            assert!(seen.insert(column.name), "{}.{}", table.name, column.name);
            assert!(column.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{}", column.name);
        }
        assert!(table.sort.iter().all(|name| seen.contains(name)), "{}", table.name);
    }
}
