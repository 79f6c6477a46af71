//! Every saved query against planted rows; the answers are worked out by hand.

mod plant;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::{Format, Limits, open};
use plant::{NOW, TRACE, plant};

/// Compares a generated text with the file beside the crate; `UPDATE_GOLDEN=1` writes it instead.
fn golden(name: &str, text: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == text, "{} is not what the code says; run with UPDATE_GOLDEN=1", path.display());
}

#[test]
fn the_page_and_the_athena_files_are_the_queries() {
    golden("docs/queries.md", &docs_page().unwrap());
    for query in SAVED {
        golden(&format!("infra/athena/queries/{}.sql", query.name), &athena_file(query).unwrap());
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
fn the_queries_of_the_template_are_the_saved_ones() {
    let name = "infra/template.yaml";
    let mut template = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)).unwrap();
    let place = section(&template, "queries");
    template.replace_range(place, &named_queries().unwrap());
    golden(name, &template);
}

const TRACE_ROWS: &str = "1767267000000000010,shop,GET /pay,SERVER,ERROR,900.0,00000000000000bb,,true\n\
     1767267000000000011,cart,charge,CLIENT,ERROR,50.0,00000000000000cc,00000000000000bb,false\n\
     1767267000000000012,cart,SELECT orders,CLIENT,UNSET,5.0,00000000000000dd,00000000000000bb,false";

/// The answers' lines without their header; `*` at the end of a line stands for figures that the engine approximates.
const ANSWERS: &[(&str, &str)] = &[
    ("compare-periods", "shop,100,50,10.0,2.0"),
    ("cost-by-service", "shop,11,21.0,84.62\ncart,2,5.0,15.38"),
    ("database-calls", "cart,postgresql,,SELECT,,4.0,5.0,5.0"),
    ("error-logs", "shop,ERROR,card declined,2,2026-01-01T11:30:00.000Z,bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
    ("error-rate", "2026-01-01T11:30:00.000Z,shop,100,10,10.0"),
    (
        "errors",
        "cart,charge,timeout,1.0,2026-01-01T11:30:00.000Z,bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n\
         shop,GET /pay,declined,1.0,2026-01-01T11:30:00.000Z,bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    ),
    ("failing-dependency", "2026-01-01T11:30:00.000Z,bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb,cart,charge,bank,timeout"),
    ("http-status", "shop,200,20.0\nshop,500,1.0"),
    ("late-spans", "shop,11,1"),
    ("latency", "shop,GET /pay,100,100,1000,1000"),
    ("latency-sampled", "shop,GET /pay,21.0,100.0,*\ncart,SELECT orders,4.0,5.0,5.0,5.0\ncart,charge,1.0,50.0,50.0,50.0"),
    ("metrics", "shop,queue.depth,,gauge,3,1,2026-01-01T11:30:00.000Z"),
    ("sampling", "kept,errors,1,13,1.0,10000.0\nsampled_out,sample,1,5,0.0,10000.0"),
    ("services", "shop,100,10,2026-01-01T11:30:00.000Z"),
    ("slow-endpoints", "shop,/pay,21.0,*"),
    ("slow-traces", "2026-01-01T11:30:00.000Z,bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb,shop,GET /pay,900.0,3,2"),
    ("trace", TRACE_ROWS),
    ("trace-logs", "2026-01-01T11:30:00.000Z,shop,ERROR,card declined,\n2026-01-01T11:30:00.000Z,shop,ERROR,card declined,"),
    ("who-calls-whom", "shop,cart,CLIENT,40,4,2.0"),
    (
        "why",
        "2026-01-01T11:30:00.000Z,kept,errors,1.0,\"{\"\"errors\"\":\"\"sampled\"\"}\",\"{\"\"errors\"\":\"\"2 of 13 spans have status ERROR\"\"}\",13,2,10000,true,r1",
    ),
];

#[tokio::test]
async fn a_join_holds_the_smaller_table_in_memory_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path());
    let lake = open(folder.path()).unwrap();
    for tables in ["decisions d JOIN spans s ON s.trace_id = d.trace_id", "spans s JOIN decisions d ON s.trace_id = d.trace_id"] {
        let answer = lake.query(&format!("EXPLAIN SELECT count(*) FROM {tables}")).await.unwrap();
        let plan = format!("{:?}", answer.rows.last().unwrap());
        let place = |table: &str| plan.find(&format!("/{table}/dt=")).unwrap_or_else(|| panic!("{table} is not in {plan}"));
        assert!(place("decisions") < place("spans"), "{plan}");
    }
}

#[tokio::test]
async fn every_saved_query_gives_the_planted_answer() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path());
    let lake = open(folder.path()).unwrap();
    for query in SAVED {
        let trace_id = query.parameters.contains(&Parameter::TraceId).then_some(TRACE);
        let sql = query.sql(&Arguments { trace_id, ..Arguments::at(NOW) }).unwrap();
        let answer = lake.query(&sql).await.unwrap_or_else(|error| panic!("{}: {error:?}\n{sql}", query.name));
        let text = answer.format(Format::Csv).replace("\r\n", "\n");
        let got: Vec<_> = text.lines().skip(1).collect();
        let (_, expected) = ANSWERS.iter().find(|(name, _)| *name == query.name).unwrap();
        let expected: Vec<_> = expected.lines().collect();
        assert_eq!(got.len(), expected.len(), "{}\n{text}", query.name);
        for (got, expected) in got.iter().zip(&expected) {
            match expected.strip_suffix('*') {
                Some(start) => assert!(got.starts_with(start), "{}: {got}", query.name),
                None => assert_eq!(got, expected, "{}", query.name),
            }
        }
    }
}

#[tokio::test]
async fn a_service_narrows_a_query_and_is_never_more_than_a_value() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path());
    let lake = open(folder.path()).unwrap();
    for (service, rows) in [("cart", 1), ("shop", 1), ("x' OR '1'='1", 0), ("{limit}", 0)] {
        let sql = saved("errors").unwrap().sql(&Arguments { service: Some(service), ..Arguments::at(NOW) }).unwrap();
        assert_eq!(lake.query(&sql).await.unwrap().rows.len(), rows, "{service}");
    }
}

#[test]
fn parameters_are_checked() {
    let run = |name, arguments: &Arguments<'_>| saved(name).unwrap().sql(arguments).map_err(|error| error.to_string());
    let at = Arguments::at(NOW);
    assert!(run("trace", &at).unwrap_err().contains("trace-id"));
    assert!(run("trace", &Arguments { trace_id: Some("' OR 1=1 --"), ..at }).is_err());
    assert!(run("services", &Arguments { service: Some("x"), ..at }).unwrap_err().contains("does not ask for it"));
    assert!(run("errors", &Arguments { since: Duration::MAX, ..at }).unwrap().contains("1970-01-01 00"));
}

#[tokio::test]
async fn only_queries_are_answered_and_errors_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).unwrap();
    assert_eq!(lake.query("SELECT count(*) AS n FROM spans").await.unwrap().cell(0, "n").unwrap().as_int(), Some(0));
    let failed = async |sql: &str| lake.query(sql).await.unwrap_err().to_string();
    for sql in [
        "CREATE TABLE x (a int)",
        "DROP TABLE spans",
        "INSERT INTO spans SELECT * FROM spans",
        "SET a = 1",
        "COPY spans TO '/tmp/x.parquet'",
        "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/etc'",
    ] {
        let text = failed(sql).await;
        assert!(text.starts_with("only queries are possible"), "{sql}: {text}");
    }
    let limits = Limits { rows: 2, ..Limits::default() };
    let few = lake.clone().with_limits(limits).query("SELECT * FROM (VALUES (1), (2), (3)) AS t(a)").await.unwrap();
    assert_eq!((few.rows.len(), few.is_truncated), (2, true));
}

#[tokio::test]
async fn files_may_come_and_go_while_the_lake_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).unwrap();
    let count = async || lake.query("SELECT count(*) AS n FROM logs WHERE hour = '11'").await.unwrap().rows[0][0].as_int();
    assert_eq!(count().await, Some(0));
    plant(folder.path());
    assert_eq!(count().await, Some(3));
    fs::remove_file(folder.path().join("lake/v1/logs/dt=2026-01-01/hour=11/0.parquet")).unwrap();
    assert_eq!(count().await, Some(0));
}

#[tokio::test]
async fn maps_lists_and_awkward_folder_names_work() {
    let folder = tempfile::tempdir().unwrap();
    let awkward = folder.path().join("a b%20[1]*{x}#?");
    plant(&awkward);
    let lake = open(&awkward).unwrap();
    let answer = lake.query("SELECT votes['errors'] AS vote, votes['none'] AS none FROM decisions WHERE verdict = 'kept'").await;
    let answer = answer.unwrap();
    assert_eq!(answer.cell(0, "vote").unwrap().as_text(), Some("sampled"));
    assert_eq!(answer.cell(0, "none"), Some(&crate::Cell::Null));
    let answer = lake.query("SELECT services FROM traces").await.unwrap();
    assert_eq!(answer.rows[0][0].to_text(), "[\"cart\",\"shop\"]");
}
