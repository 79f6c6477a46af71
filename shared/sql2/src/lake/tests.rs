//! Opening a lake and running statements over it.

use std::fs;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, StringArray};

use crate::tests::answer;
use crate::tests::files::{Row, schema, write, write_batch};
use crate::tests::planted::plant;
use crate::{Lake, Settings, SqlError};

#[tokio::test]
async fn an_empty_folder_is_a_lake_of_empty_tables() {
    let data = tempfile::tempdir().unwrap();
    let lake = Lake::open(data.path()).await.unwrap();
    assert_eq!(answer(&lake, "SELECT count(*) FROM spans").await, "0");
    assert_eq!(answer(&lake, "SELECT dt, hour, trace_id FROM traces").await, "");
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0, "reading leaves nothing behind");
    let missing = Lake::open(&data.path().join("nowhere")).await;
    assert!(matches!(missing, Err(SqlError::NoFolder { .. })));
}

#[tokio::test]
async fn an_open_lake_sees_files_come_and_go() {
    let data = tempfile::tempdir().unwrap();
    let lake = Lake::open(data.path()).await.unwrap();
    let row: Row = vec![("service_name", "a".into())];
    let count = "SELECT dt, hour, count(*) FROM spans GROUP BY 1, 2 ORDER BY 1, 2";
    assert_eq!(answer(&lake, count).await, "");
    write(data.path(), "spans", ("2026-11-20", "08"), "1.parquet", std::slice::from_ref(&row));
    assert_eq!(answer(&lake, count).await, "2026-11-20,08,1");
    write(data.path(), "spans", ("2026-11-20", "09"), "1.parquet", &[row.clone(), row]);
    assert_eq!(answer(&lake, count).await, "2026-11-20,08,1\n2026-11-20,09,2");
    fs::remove_file(data.path().join("lake/v1/spans/dt=2026-11-20/hour=08/1.parquet")).unwrap();
    assert_eq!(answer(&lake, count).await, "2026-11-20,09,2");
}

#[tokio::test]
async fn hidden_and_foreign_files_are_not_read() {
    let data = tempfile::tempdir().unwrap();
    let row: Row = vec![("service_name", "a".into())];
    write(data.path(), "spans", ("2026-11-20", "08"), "1.parquet", &[row]);
    fs::write(data.path().join("lake/v1/spans/dt=2026-11-20/hour=08/2.parquet.tmp"), b"half").unwrap();
    let lake = Lake::open(data.path()).await.unwrap();
    assert_eq!(answer(&lake, "SELECT count(*) FROM spans").await, "1");
}

#[tokio::test]
async fn a_damaged_file_ends_the_statement_and_not_the_process() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("lake/v1/spans/dt=2026-11-20/hour=08");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("broken.parquet"), b"PAR1 this is not Parquet PAR1").unwrap();
    let lake = Lake::open(data.path()).await.unwrap();
    let error = lake.query("SELECT count(*) FROM spans").await.unwrap_err();
    assert!(matches!(error, SqlError::Failed { .. }), "{error}");
    assert_eq!(answer(&lake, "SELECT count(*) FROM logs").await, "0", "other tables still answer");
}

#[tokio::test]
async fn a_file_that_expires_after_it_was_listed_is_told_from_other_faults() {
    let data = tempfile::tempdir().unwrap();
    let rows: Vec<Row> = (0..10).map(|n| vec![("service_name", n.to_string().into())]).collect();
    write(data.path(), "spans", ("2026-11-20", "08"), "1.parquet", &rows);
    let lake = Lake::open(data.path()).await.unwrap();
    let plan = lake.session.context.sql("SELECT service_name FROM spans").await.unwrap().create_physical_plan().await.unwrap();
    fs::remove_file(data.path().join("lake/v1/spans/dt=2026-11-20/hour=08/1.parquet")).unwrap();
    let error = datafusion::physical_plan::collect(plan, lake.session.context.task_ctx()).await.unwrap_err();
    assert!(super::is_vanished(&error), "{error}");
    let other = lake.session.context.sql("SELECT x FROM spans").await.unwrap_err();
    assert!(!super::is_vanished(&other), "{other}");
}

#[tokio::test]
async fn only_the_partitions_asked_for_are_read() {
    let data = tempfile::tempdir().unwrap();
    plant(data.path());
    let broken = data.path().join("lake/v1/spans/dt=2026-11-19/hour=23");
    fs::create_dir_all(&broken).unwrap();
    fs::write(broken.join("1.parquet"), b"not read").unwrap();
    let lake = Lake::open(data.path()).await.unwrap();
    let sql = "SELECT count(*) FROM spans WHERE dt >= '2026-11-20' AND (dt > '2026-11-20' OR hour >= '09')";
    assert_eq!(answer(&lake, sql).await, "114");
}

#[tokio::test]
async fn an_older_file_without_a_column_reads_as_null() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("lake/v1/spans/dt=2026-11-20/hour=08");
    plant(data.path());
    let lake = Lake::open(data.path()).await.unwrap();
    let all = schema("spans");
    let kept = all.project(&[all.index_of("service_name").unwrap()]).unwrap();
    let names = StringArray::from(vec!["old"]);
    let batch = RecordBatch::try_new(kept.into(), vec![Arc::new(names)]).unwrap();
    write_batch(data.path(), "spans", ("2026-11-20", "08"), "old.parquet", &batch);
    assert!(folder.join("old.parquet").exists());
    let sql = "SELECT service_name, name, sampling_weight, attributes FROM spans WHERE service_name = 'old'";
    assert_eq!(answer(&lake, sql).await, "old,,,");
}

#[tokio::test]
async fn only_reading_statements_run() {
    let data = tempfile::tempdir().unwrap();
    plant(data.path());
    let lake = Lake::open(data.path()).await.unwrap();
    let target = data.path().join("out.parquet");
    for sql in [
        "DROP TABLE spans".to_owned(),
        "CREATE TABLE x AS SELECT 1".to_owned(),
        "CREATE VIEW x AS SELECT 1".to_owned(),
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/hosts'".to_owned(),
        "INSERT INTO spans SELECT * FROM spans".to_owned(),
        "DELETE FROM spans".to_owned(),
        "UPDATE spans SET name = 'x'".to_owned(),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        "PREPARE p AS SELECT 1".to_owned(),
        "BEGIN".to_owned(),
        "SELECT 1 INTO x".to_owned(),
        format!("COPY (SELECT 1) TO '{}'", target.display()),
        format!("EXPLAIN ANALYZE COPY (SELECT 1) TO '{}'", target.display()),
        "EXPLAIN INSERT INTO spans SELECT * FROM spans".to_owned(),
        "WITH x AS (SELECT 1) INSERT INTO spans SELECT * FROM spans".to_owned(),
    ] {
        let error = lake.query(&sql).await.expect_err(&sql);
        assert!(matches!(error, SqlError::NotReading | SqlError::Syntax { .. }), "{sql}: {error:?}");
    }
    assert!(!target.exists());
    assert!(matches!(lake.query("SELECT 1; SELECT 2").await, Err(SqlError::Syntax { .. })));
    assert!(lake.query("SELECT * FROM '/etc/hosts'").await.is_err(), "no file outside of the lake");
}

#[tokio::test]
async fn reading_statements_of_every_kind_run() {
    let data = tempfile::tempdir().unwrap();
    let lake = Lake::open(data.path()).await.unwrap();
    for sql in [
        "SELECT 1;",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
        "VALUES (1)",
        "EXPLAIN SELECT * FROM spans",
        "SHOW TABLES",
        "SHOW COLUMNS FROM spans",
        "DESCRIBE spans",
        "(SELECT 1) UNION ALL (SELECT 2)",
    ] {
        assert!(!answer(&lake, sql).await.is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let lake = Lake::open(data.path()).await.unwrap();
    let text = async |sql: &str| lake.query(sql).await.unwrap_err().to_string();
    assert!(text("SELECT * FROM span").await.starts_with("no table span; there are spans, traces, logs"));
    let column = text("SELECT duration FROM spans").await;
    assert!(column.starts_with("no column duration; the nearest are duration_nano"), "{column}");
    assert!(column.ends_with("element_at(attributes, 'its.key')"), "{column}");
    assert!(text("SELEC 1").await.starts_with("not valid SQL:"));
    assert!(text("").await.starts_with("not valid SQL:"));
    assert!(text("SELECT frobnicate(1)").await.contains("frobnicate"));
}

#[tokio::test]
async fn a_query_beyond_its_memory_says_so_and_the_next_one_runs() {
    let data = tempfile::tempdir().unwrap();
    let settings = Settings { memory_bytes: 1 << 20, ..Settings::default() };
    let lake = Lake::open_with(data.path(), settings).await.unwrap();
    let error = lake.query("SELECT value, count(*) FROM generate_series(1, 300000) GROUP BY 1").await.unwrap_err();
    assert!(matches!(error, SqlError::OutOfMemory { limit_mib: 1 }), "{error}");
    assert_eq!(answer(&lake, "SELECT 1").await, "1");
}

#[tokio::test]
async fn a_result_is_cut_at_its_limit_and_says_so() {
    let data = tempfile::tempdir().unwrap();
    let settings = Settings { max_rows: 10, ..Settings::default() };
    let lake = Lake::open_with(data.path(), settings).await.unwrap();
    let ten = lake.query("SELECT * FROM generate_series(1, 10)").await.unwrap();
    assert_eq!((ten.rows.len(), ten.is_cut), (10, false));
    let more = lake.query("SELECT * FROM generate_series(1, 100000)").await.unwrap();
    assert_eq!((more.rows.len(), more.is_cut), (10, true));
}

#[tokio::test]
async fn a_deep_statement_is_answered_and_a_longer_one_refused() {
    let data = tempfile::tempdir().unwrap();
    plant(data.path());
    let lake = Lake::open(data.path()).await.unwrap();
    let deep = |terms| format!("SELECT count(*) FROM spans WHERE {}", vec!["is_late"; terms].join(" OR "));
    // A thread of the usual 2 MiB overflows at this depth, which would end the process.
    assert_eq!(answer(&lake, &deep(200)).await, "1");
    assert!(matches!(lake.query(&deep(2_000)).await, Err(SqlError::Syntax { .. })));
}
