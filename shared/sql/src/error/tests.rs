use crate::{Cell, Format, open};

/// A statement, and what its refusal begins with.
const REFUSED: &[(&str, &str)] = &[
    ("SELECT bogus FROM spans", "there is no column bogus here; a table's columns: describe spans"),
    ("SELECT ServiceName FROM spans", "there is no column servicename here (did you mean service_name?); "),
    ("SELECT s.durationnano FROM spans s", "there is no column durationnano here (did you mean duration_nano?); "),
    ("SELECT 1 FROM spans ORDER BY \"Name\"", "there is no column Name here (did you mean name or "),
    ("SELECT * FROM spans WHERE trace_id IN (SELECT tid FROM traces)", "there is no column tid here"),
    ("SELECT 1 FROM span", "there is no table span (did you mean spans?); the tables are spans, traces, logs"),
    ("SELECT 1 FROM datafusion.public.nothing", "there is no table nothing; the tables are spans, traces, logs"),
    ("DESCRIBE trace", "there is no table trace (did you mean traces?); "),
    ("SELECT * FROM '/etc/passwd'", "there is no table /etc/passwd; the tables are"),
    ("SELECT trace_id FROM spans, traces", "several tables here have a column trace_id: write its table before it"),
    ("SELECT quux(1)", "there is no function quux; all functions: show functions"),
    ("SELECT substrr('a', 1)", "there is no function substrr (did you mean substr"),
    ("SELECT lower(1, 2)", "lower(bigint, bigint) is not possible; possible: lower(varchar); cast"),
    ("SELECT sum(service_name) FROM spans", "sum(varchar) is not possible; possible: sum("),
    ("SELECT approx_percentile(duration_nano) FROM spans", "approx_percentile takes (value, percentile) or"),
    ("SELECT service_name + 1 FROM spans", "Cannot coerce arithmetic expression varchar + bigint"),
    ("SELECT events[1].name FROM spans", "a field of a record in a list or map is written with brackets"),
    ("SELECT cast('a' AS int)", "the statement cannot be computed: Cannot cast string 'a' to value of int type; try_cast"),
    ("SELECT 1/0", "the statement cannot be computed: Divide by zero"),
    ("SELECT now() - interval 'x'", "Invalid input syntax for type interval"),
    ("SELECT regexp_like(name, '(') FROM spans", "the query failed: regex parse error"),
    ("SELECT 1 FROM spans WHERE dt = ", "not understood: Expected: an expression, found: EOF"),
];

/// Words that only somebody who writes the engine understands.
const ENGINE_WORDS: &[&str] =
    &["Error during", "Schema error", "Arrow error", "Internal error", "bug", "Utf8", "Int64", "datafusion.public", "Ident {"];

#[tokio::test]
async fn a_refusal_names_what_is_wrong_and_the_next_step_in_words_of_sql() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).unwrap();
    let mut wrong = Vec::new();
    for (sql, expected) in REFUSED {
        let text = lake.query(sql).await.unwrap_err().to_string();
        if !text.starts_with(expected) || ENGINE_WORDS.iter().any(|word| text.contains(word)) {
            wrong.push(format!("{sql}\n    {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn no_value_is_written_alike_whatever_its_type() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).unwrap();
    let answer = lake.query("SELECT NULL AS a, cast(NULL AS varchar) AS b, '' AS c, [NULL] AS d").await.unwrap();
    assert_eq!(answer.rows, [[Cell::Null, Cell::Null, Cell::Text(String::new()), Cell::List(vec![Cell::Null])]]);
    assert_eq!(answer.format(Format::Json), "{\"a\":null,\"b\":null,\"c\":\"\",\"d\":[null]}\n");
    assert_eq!(answer.format(Format::Csv), "a,b,c,d\r\n,,,[null]\r\n");
}
