//! Generated files at the workspace's root are what the code generates.

use std::fs;
use std::path::PathBuf;

use crate::saved;

fn check(path: &str, expected: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, expected).unwrap();
    }
    let present = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}; run with UPDATE_GOLDEN=1"));
    assert!(present == expected, "{path} is stale; run with UPDATE_GOLDEN=1");
}

#[test]
fn the_page_of_saved_queries_is_current() {
    check("docs/queries.md", &saved::docs().unwrap());
}

#[test]
fn the_queries_for_athena_are_current() {
    for query in saved::all() {
        check(&format!("infra/athena/queries/{}.sql", query.name), &saved::athena(query.name).unwrap());
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../infra/athena/queries");
    assert_eq!(fs::read_dir(folder).unwrap().count(), saved::all().count(), "a file whose query is gone");
}
