//! Athena's functions under Athena's names.

use super::answer;
use super::planted::{TRACE, plant};
use crate::Lake;

async fn planted() -> (tempfile::TempDir, Lake) {
    let data = tempfile::tempdir().unwrap();
    plant(data.path());
    let lake = Lake::open(data.path()).await.unwrap();
    (data, lake)
}

#[tokio::test]
async fn an_attribute_without_a_column_is_found_by_key_and_null_if_missing() {
    let (_data, lake) = planted().await;
    let by =
        |lookup: &str| format!("SELECT {lookup} AS place, count(*) FROM spans WHERE trace_id = '{TRACE}' GROUP BY 1 ORDER BY 1");
    assert_eq!(answer(&lake, &by("element_at(attributes, 'warehouse')")).await, "w0,5\nw1,5");
    assert_eq!(answer(&lake, &by("attributes['warehouse']")).await, "w0,5\nw1,5");
    assert_eq!(answer(&lake, &by("element_at(attributes, 'colour')")).await, ",10");
    let filtered = "SELECT count(*) FROM spans WHERE element_at(attributes, 'warehouse') = 'w1'";
    assert_eq!(answer(&lake, filtered).await, "5");
    assert_eq!(answer(&lake, "SELECT element_at(attributes, NULL) FROM spans LIMIT 1").await, "");
}

#[tokio::test]
async fn a_list_is_read_from_one_and_from_its_end() {
    let (_data, lake) = planted().await;
    let at =
        |index: &str| format!("SELECT DISTINCT element_at(bucket_counts, {index}) FROM red_1m WHERE service_name = 'inventory'");
    assert_eq!(answer(&lake, &at("2")).await, "10");
    assert_eq!(answer(&lake, &at("-15")).await, "10");
    assert_eq!(answer(&lake, &at("17")).await, "");
    assert_eq!(answer(&lake, &at("-17")).await, "");
    let error = lake.query(&at("0")).await.unwrap_err();
    assert!(error.to_string().contains("is 1, not 0"), "{error}");
}

#[tokio::test]
async fn percentiles_count_weights_and_are_exact_for_few_values() {
    let data = tempfile::tempdir().unwrap();
    let lake = Lake::open(data.path()).await.unwrap();
    for (values, percentile, expected) in [
        ("(1, 1), (2, 1), (3, 1)", "0.5", "2.0"),
        ("(1, 98), (2, 1), (3, 1)", "0.98", "1.0"),
        ("(1, 98), (2, 1), (3, 1)", "0.985", "2.0"),
        ("(-5, 1), (-1, 1), (0, 1), (4, 1)", "0.25", "-5.0"),
        ("(-5, 1), (-1, 1), (0, 1), (4, 1)", "0.5", "-1.0"),
        ("(-5, 1), (-1, 1), (0, 1), (4, 1)", "1", "4.0"),
        ("(7, 0), (8, -1), (NULL, 5), (9, 1)", "0", "9.0"),
        ("(NULL, 1)", "0.5", ""),
    ] {
        let sql = format!("SELECT approx_percentile(x, w, {percentile}) FROM (VALUES {values}) AS t (x, w)");
        assert_eq!(answer(&lake, &sql).await, expected, "{sql}");
    }
    assert_eq!(answer(&lake, "SELECT approx_percentile(x, 0.9) FROM (VALUES (1), (2)) AS t (x)").await, "2.0");
}

#[tokio::test]
async fn percentiles_of_many_values_are_within_two_per_mille() {
    let data = tempfile::tempdir().unwrap();
    let lake = Lake::open(data.path()).await.unwrap();
    for percentile in ["0.5", "0.9", "0.999"] {
        let sql = format!("SELECT approx_percentile(value * 1000, 2.5, {percentile}) FROM generate_series(1, 100000)");
        let got: f64 = answer(&lake, &sql).await.parse().unwrap();
        let exact = percentile.parse::<f64>().unwrap() * 100_000_000.0;
        assert!((got / exact - 1.0).abs() < 0.002, "{percentile}: {got}");
    }
}

#[tokio::test]
async fn a_percentile_must_be_a_constant_fraction() {
    let data = tempfile::tempdir().unwrap();
    let lake = Lake::open(data.path()).await.unwrap();
    for sql in [
        "SELECT approx_percentile(duration_nano, 95) FROM spans",
        "SELECT approx_percentile(duration_nano, sampling_weight) FROM spans",
        "SELECT approx_percentile(name, 0.5) FROM spans",
        "SELECT approx_percentile(duration_nano) FROM spans",
    ] {
        let error = lake.query(sql).await.unwrap_err();
        assert!(error.to_string().contains("approx_percentile"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn exact_times_keep_their_nanoseconds() {
    let data = tempfile::tempdir().unwrap();
    let lake = Lake::open(data.path()).await.unwrap();
    let sql = "SELECT from_unixtime_nanos(1795167000123456789)";
    assert_eq!(answer(&lake, sql).await, "2026-11-20T09:30:00.123456789Z");
}
