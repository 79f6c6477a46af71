use std::fs;
use std::path::Path;

use super::*;
use crate::{ddl, docs};

/// Compares with a file of the workspace, or rewrites it if `UPDATE_GOLDEN` is set.
fn golden(path: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, made).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == made, "{} differs: run with UPDATE_GOLDEN=1", path.display());
}

#[test]
fn the_documented_schema_is_the_one_in_code() {
    golden("docs/schema.md", &docs::page());
}

#[test]
fn the_ddl_of_athena_follows_from_the_schema() {
    golden("infra/athena/tables.sql", &ddl::athena_all());
}

#[test]
fn names_are_snake_case_and_unique_in_their_table() {
    for table in TABLES {
        let mut names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
        assert!(names.iter().all(|name| name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit())));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), table.columns.len(), "{}", table.name);
        assert!(table.sort.split(", ").all(|name| names.contains(&name)), "{}", table.name);
    }
    assert_eq!(table("logs").map(|table| table.columns.len()), Some(34));
    assert_eq!(table("nothing"), None);
}
