//! The three forms of a result.

use super::planted::{TRACE, plant};
use crate::{Format, Lake, ResultSet};

fn text(result: &ResultSet, format: Format) -> String {
    let mut bytes = Vec::new();
    result.render(format, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

async fn result(sql: &str) -> ResultSet {
    let data = tempfile::tempdir().unwrap();
    plant(data.path());
    Lake::open(data.path()).await.unwrap().query(sql).await.unwrap()
}

#[tokio::test]
async fn a_table_is_aligned_by_what_a_terminal_shows() {
    let values = "(1, '\u{65e5}\u{672c}', true), (-20, 'e\u{301}', NULL)";
    let result = result(&format!("SELECT * FROM (VALUES {values}) AS t (n, word, flag)")).await;
    assert_eq!(
        text(&result, Format::Table),
        "  n | word | flag\n----+------+-----\n  1 | \u{65e5}\u{672c} | true\n-20 | e\u{301}    |\n(2 rows)\n"
    );
}

#[tokio::test]
async fn a_table_cuts_long_cells_and_shows_no_control_characters() {
    let result = result(&format!("SELECT '{}' AS long, 'a\u{1b}[31mb\nc' AS wild", "x".repeat(61))).await;
    let shown = text(&result, Format::Table);
    assert!(shown.contains(&format!("\n{}... | ", "x".repeat(57))), "{shown}");
    assert!(shown.contains("a\\u{1b}[31mb\\nc"), "{shown}");
    assert!(shown.ends_with("(1 row)\n"));
    assert!(text(&result, Format::Csv).contains(&"x".repeat(61)), "only a table cuts");
}

#[tokio::test]
async fn json_keeps_types_and_nests() {
    let result = result(&format!(
        "SELECT 1 AS i, 0.5 AS d, 'a\"b' AS t, true AS b, NULL AS n, CAST('nan' AS double) AS nan, attributes, \
         dt, start_time FROM spans WHERE trace_id = '{TRACE}' ORDER BY start_unix_nano LIMIT 1"
    ))
    .await;
    assert_eq!(
        text(&result, Format::Json),
        "{\"i\":1,\"d\":0.5,\"t\":\"a\\\"b\",\"b\":true,\"n\":null,\"nan\":\"NaN\",\"attributes\":{\"warehouse\":\"w1\"},\
         \"dt\":\"2026-11-20\",\"start_time\":\"2026-11-20T09:10:01Z\"}\n"
    );
}

#[tokio::test]
async fn json_holds_lists_and_records() {
    let result = result("SELECT make_array(1, NULL, 3) AS l, named_struct('a', make_array('x'), 'b', false) AS r").await;
    assert_eq!(text(&result, Format::Json), "{\"l\":[1,null,3],\"r\":{\"a\":[\"x\"],\"b\":false}}\n");
}

#[tokio::test]
async fn csv_quotes_what_needs_it_and_ends_lines_as_the_standard_says() {
    let result = result("SELECT 'a,b' AS \"x,y\", 'say \"hi\"' AS q, 'two\nlines' AS l, NULL AS n").await;
    assert_eq!(text(&result, Format::Csv), "\"x,y\",q,l,n\r\n\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\r\n");
}
