//! Every saved query, run against what was planted.

use super::planted::{TRACE, plant, trace};
use super::{NOW_NANOS, answer};
use crate::saved::{self, ParamKind};
use crate::{Lake, SqlError};

fn given(params: &[(&str, &str)]) -> Vec<(String, String)> {
    params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A query, its parameters, and its rows as CSV.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], String);

async fn check(cases: &[Case<'_>]) {
    let data = tempfile::tempdir().unwrap();
    plant(data.path());
    let lake = Lake::open(data.path()).await.unwrap();
    for (name, params, expected) in cases {
        let sql = saved::fill(name, &given(params), NOW_NANOS).unwrap();
        assert_eq!(answer(&lake, &sql).await, *expected, "{name} {params:?}");
    }
}

#[tokio::test]
async fn requests_are_answered_as_planted() {
    check(&[
        (
            "slow-endpoints",
            &[],
            format!(
                "checkout,POST /pay,955.0,48.0,91.0,95.0,100.0,{}\ninventory,GET /stock,10.0,2.0,2.0,2.0,2.0,{TRACE}\n\
                 edge,GET /,1.0,1.0,1.0,1.0,1.0,",
                trace(100)
            ),
        ),
        ("slow-endpoints", &[("service", "edge"), ("since", "2h")], "edge,GET /,2.0,1.0,1.0,1.0,1.0,".to_owned()),
        ("error-rate", &[], "2026-11-20T09:10:00Z,checkout,1000,5,0.5\n2026-11-20T09:10:00Z,inventory,10,0,0.0".to_owned()),
        (
            "percentiles",
            &[],
            "checkout,POST /pay,1000.0,955.0,50.0,48.0,100.0,91.0,164.0,95.0\n\
             inventory,GET /stock,10.0,10.0,1.5,2.0,1.95,2.0,1.99,2.0"
                .to_owned(),
        ),
        (
            "compare-periods",
            &[],
            "checkout,POST /pay,800,1000,10.0,0.5,100.0,50.0\ninventory,GET /stock,0,10,,0.0,,2.0".to_owned(),
        ),
        ("http-status", &[("service", "checkout")], "checkout,POST,/pay,200,950.0\ncheckout,POST,/pay,502,5.0".to_owned()),
        ("rare-endpoints", &[("limit", "1")], "inventory,GET /stock,10,0,2026-11-20T09:10:00Z".to_owned()),
        ("traffic", &[], "checkout,1000,955.0,100,-4.5\ninventory,10,10.0,10,0.0".to_owned()),
        ("who-calls-whom", &[], "checkout,inventory,CLIENT,100,2,3.0\ncheckout,ledger,CLIENT,7,0,3.0".to_owned()),
        ("who-calls-whom", &[("service", "ledger")], "checkout,ledger,CLIENT,7,0,3.0".to_owned()),
    ])
    .await;
}

#[tokio::test]
async fn failures_are_answered_as_planted() {
    let four = trace(4);
    let hundred = trace(100);
    check(&[
        (
            "failing-dependency",
            &[("dependency", "ledger")],
            format!("2026-11-20T09:10:04Z,{four},checkout,SELECT,ledger,500.0,,connection refused"),
        ),
        ("failing-dependency", &[("dependency", "mysql")], String::new()),
        (
            "recent-errors",
            &[("limit", "2")],
            format!(
                "2026-11-20T09:11:40Z,checkout,POST /pay,SERVER,Declined,card 100 was declined,{hundred}\n\
                 2026-11-20T09:11:39Z,checkout,POST /pay,SERVER,Declined,card 99 was declined,{}",
                trace(99)
            ),
        ),
        (
            "failed-requests",
            &[("service", "checkout")],
            format!("checkout,POST /pay,502,Declined,5.0,2026-11-20T09:11:40Z,{hundred}"),
        ),
        (
            "exceptions",
            &[],
            format!("checkout,Declined,5.0,2026-11-20T09:11:36Z,2026-11-20T09:11:40Z,card 100 was declined,{hundred}"),
        ),
        (
            "db-slow-queries",
            &[("service", "checkout")],
            format!("checkout,postgresql,SELECT total FROM orders,40.0,500.0,20.0,{four}"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn traces_are_answered_as_planted() {
    let spans: Vec<String> =
        (1..=10).map(|n| format!("2026-11-20T09:10:{n:02}Z,2.0,inventory,GET /stock,SERVER,,{n:016x},,{}", n == 10)).collect();
    check(&[
        ("trace", &[("trace-id", &TRACE.to_uppercase())], spans.join("\n")),
        (
            "trace-logs",
            &[("trace-id", TRACE)],
            "2026-11-20T09:10:01Z,inventory,INFO,asked,\n\
             2026-11-20T09:10:02Z,inventory,ERROR,\"out of \"\"stock\"\", sorry\","
                .to_owned(),
        ),
        (
            "where-is-my-trace",
            &[("trace-id", TRACE)],
            "2026-11-20T09:10:00Z,dropped,health,1.0,10,0,10000,true,r1,\"{\"\"errors\"\":\"\"none\"\"}\"".to_owned(),
        ),
        (
            "slowest-traces",
            &[("limit", "2")],
            format!(
                "2026-11-20T09:10:00Z,{},checkout,POST /pay,3000.0,31,0,sample\n\
                 2026-11-20T09:10:00Z,{},checkout,POST /pay,2900.0,30,0,sample",
                trace(30),
                trace(29)
            ),
        ),
        ("dropped-why", &[], "kept,errors,6,21,6,60.0\nkept,sample,3,24,0,30.0\ndropped,health,1,10,0,10.0".to_owned()),
        ("late-spans", &[], format!("inventory,1,1,2026-11-20T09:10:10Z,{TRACE}")),
    ])
    .await;
}

#[tokio::test]
async fn volumes_are_answered_as_planted() {
    check(&[
        ("cost-by-service", &[], "checkout,104,0,0,84.55\ninventory,10,3,4,13.82\nedge,2,0,0,1.63".to_owned()),
        ("log-volume", &[], "inventory,INFO,9,8.0,2\ninventory,ERROR,17,1.0,1".to_owned()),
        (
            "metric-latest",
            &[("metric", "queue.depth")],
            "2026-11-20T09:10:02Z,inventory,queue.depth,7.0,1,\"{\"\"queue\"\":\"\"a\"\"}\"\n\
             2026-11-20T09:10:02Z,inventory,queue.depth,0.5,1,\"{\"\"queue\"\":\"\"b\"\"}\""
                .to_owned(),
        ),
    ])
    .await;
}

#[tokio::test]
async fn every_saved_query_runs_over_an_empty_lake() {
    let data = tempfile::tempdir().unwrap();
    let lake = Lake::open(data.path()).await.unwrap();
    assert!(saved::all().count() >= 15);
    for saved in saved::all() {
        let required = saved.params.iter().filter(|param| param.default.is_none());
        let params = required.map(|param| (param.name.to_owned(), TRACE.to_owned())).collect::<Vec<_>>();
        let sql = saved::fill(saved.name, &params, NOW_NANOS).unwrap();
        assert_eq!(answer(&lake, &sql).await, "", "{}", saved.name);
    }
}

#[tokio::test]
async fn a_text_parameter_can_not_leave_its_quotes() {
    let data = tempfile::tempdir().unwrap();
    plant(data.path());
    let lake = Lake::open(data.path()).await.unwrap();
    for hostile in ["' OR 1 = 1 --", "\\' OR 1 = 1 --", "{limit}", "{time:since}", "'; DROP TABLE spans; --", "''", "${x}", "?"] {
        let sql = saved::fill("recent-errors", &given(&[("service", hostile)]), NOW_NANOS).unwrap();
        assert_eq!(answer(&lake, &sql).await, "", "{hostile}");
    }
}

#[test]
fn values_that_do_not_fit_their_kind_are_refused() {
    for (name, value) in [
        ("since", "1"),
        ("since", "h"),
        ("since", ""),
        ("since", "-1h"),
        ("since", "0s"),
        ("since", "99999999999999999999d"),
        ("since", "1h OR 1=1"),
        ("since", "401d"),
        ("limit", "0"),
        ("limit", "20; DROP"),
        ("limit", "1e9"),
        ("limit", "-1"),
        ("service", "a\nb"),
        ("service", "a\0b"),
        ("service", &"x".repeat(1_025)),
        ("colour", "red"),
    ] {
        let refusal = saved::fill("slow-endpoints", &given(&[(name, value)]), NOW_NANOS);
        assert!(matches!(refusal, Err(SqlError::Parameter { .. })), "{name}={value}: {refusal:?}");
    }
    for id in [
        "",
        "abc",
        "zaf7651916cd43dd8448eb211c80319c",
        "0af7651916cd43dd8448eb211c80319c'",
        "\u{e9}af7651916cd43dd8448eb211c80319",
    ] {
        let refusal = saved::fill("trace", &given(&[("trace-id", id)]), NOW_NANOS);
        assert!(matches!(refusal, Err(SqlError::Parameter { .. })), "{id}: {refusal:?}");
    }
    assert!(matches!(saved::fill("trace", &[], NOW_NANOS), Err(SqlError::Parameter { .. })));
    assert!(matches!(saved::fill("slow", &[], NOW_NANOS), Err(SqlError::UnknownQuery { .. })));
}

#[test]
fn every_saved_query_reads_only_the_partitions_of_its_time() {
    for saved in saved::all() {
        let from = saved.sql.matches("FROM ").count();
        assert!(from > 0 && saved.sql.contains("{days:"), "{}", saved.name);
        for param in saved.params {
            let used = match param.kind {
                ParamKind::Duration => {
                    saved.sql.contains(&format!("+{}}}", param.name)) || saved.sql.contains(&format!(":{}}}", param.name))
                }
                _ => saved.sql.contains(&format!("{{{}}}", param.name)),
            };
            assert!(used, "{} does not use {}", saved.name, param.name);
        }
    }
}

#[test]
fn times_are_those_of_the_calendar() {
    for (now, day) in
        [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (4_107_542_399, "2100-02-28"), (1_795_167_000, "2026-11-20")]
    {
        let sql = saved::fill("trace-logs", &given(&[("trace-id", TRACE), ("since", "1s")]), (now + 1) * 1_000_000_000).unwrap();
        assert!(sql.contains(&format!("dt >= '{day}'")), "{now}: {sql}");
    }
    for now in [i64::MIN, -1, i64::MAX] {
        saved::fill("slow-endpoints", &given(&[("since", "400d")]), now).unwrap();
    }
}
