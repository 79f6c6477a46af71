//! Both Arrow schemas follow from one list of columns and must say the same.

use super::schema;
use crate::table;

#[test]
fn the_engine_and_the_files_have_the_same_columns() {
    for table in table::schema::TABLES {
        let files = table::schema::arrow_schema(table);
        let engine = schema(table);
        let written: Vec<(String, String)> =
            files.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect();
        let read: Vec<(String, String)> =
            engine.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect();
        assert_eq!(written, read, "{}", table.name);
    }
}
