//! The report over a lake that is a table of answers: a perfect one agrees, and any changed figure is found.

use std::collections::BTreeMap;

use super::super::figures::Rows;
use super::super::shop::{Shop, Size, build};
use super::*;

const SMALL: Size = Size { traces: 120, lone_logs: 20, spread_ms: 2_000, metric_exports: 1 };

/// Answers every query of the report from the truth, as a lake would that kept everything but health checks.
fn perfect(truth: &Truth, sql: &str) -> Rows {
    let cell = |value: u64| vec![vec![value.to_string()]];
    let kept = || truth.spans.iter().filter(|(_, span)| !truth.traces[&span.trace].health);
    let one: &[(&str, u64)] = &[
        ("status_code = 'ERROR'", truth.count(|trace| trace.failed)),
        ("length_nanos >", truth.count(|trace| trace.slow)),
        ("'payment-service'", truth.count(|trace| trace.payment)),
        ("'/health'", 0),
        ("verdict = 'dropped'", truth.count(|trace| trace.health)),
        ("count(DISTINCT trace_id) FROM decisions", truth.traces.len() as u64),
        ("SELECT sum(requests)", truth.spans.len() as u64),
        ("trace_id <> ''", truth.logs.with_trace),
        ("severity_text = 'ERROR'", truth.logs.errors),
        ("count(*) FROM logs", truth.logs.total),
        ("count(*) FROM metrics_number", truth.points.number),
        ("count(*) FROM metrics_histogram", truth.points.histogram),
        ("count(*) FROM metrics_exp_histogram", truth.points.exp_histogram),
        ("count(*) FROM metrics_summary", truth.points.summary),
        ("FROM traces", kept().count() as u64),
        ("'shop.orders'", truth.points.orders),
        ("sum(\"count\")", truth.points.observations),
    ];
    if let Some((_, answer)) = one.iter().find(|(part, _)| sql.contains(part)) {
        return cell(*answer);
    }
    if sql.contains("kind = 'SERVER'") {
        return truth
            .served()
            .into_iter()
            .map(|(name, (all, bad))| vec![name.to_owned(), all.to_string(), bad.to_string()])
            .collect();
    }
    if sql.contains("FROM red_1m GROUP BY") {
        return truth.operations.iter().map(operation).collect();
    }
    if sql.contains("FROM service_edges_1m GROUP BY") {
        return truth.edges.iter().map(|((a, b), calls)| vec![(*a).to_owned(), (*b).to_owned(), calls.to_string()]).collect();
    }
    if sql.starts_with("SELECT span_id") {
        return kept().map(span).collect();
    }
    vec![vec!["a value".to_owned()]]
}

fn operation(((service, name, kind), sent): (&(&str, String, &str), &super::super::truth::Operation)) -> Vec<String> {
    let durations = &sent.durations_nanos;
    let figures =
        [sent.requests, sent.errors, durations.iter().sum(), *durations.iter().min().unwrap(), *durations.iter().max().unwrap()];
    [*service, name, *kind].map(str::to_owned).into_iter().chain(figures.map(|figure| figure.to_string())).collect()
}

fn span((id, sent): (&spanlake_model::SpanId, &super::super::truth::SpanTruth)) -> Vec<String> {
    vec![
        id.to_string(),
        sent.trace.to_string(),
        "1.0".to_owned(),
        sent.parent.map(|parent| parent.to_string()).unwrap_or_default(),
        sent.name.clone(),
        sent.service.to_owned(),
        sent.kind.to_owned(),
        if sent.failed { "ERROR" } else { "UNSET" }.to_owned(),
        sent.start_nanos.to_string(),
        sent.duration_nanos.to_string(),
    ]
}

fn state(shop: &Shop) -> (Sent, State) {
    let truth = &shop.truth;
    let mut sent = Sent { accepted: truth.accepted(), ..Sent::default() };
    for request in shop.requests.iter().filter(|request| request.is_repeated) {
        sent.repeated[request.signal] += request.items;
    }
    let mut state = State::default();
    for signal in Signal::ALL {
        let committed = truth.accepted()[signal];
        state.ledger[signal] =
            LedgerLine { committed, kept: committed, duplicates: sent.repeated[signal], ..LedgerLine::default() };
    }
    let health: u64 = truth.traces.values().filter(|trace| trace.health).map(|trace| trace.spans).sum();
    let spans = &mut state.ledger[Signal::Traces];
    spans.kept -= health;
    spans.dropped = vec![("by rule".to_owned(), health)];
    spans.refused = truth.refused_spans;
    (sent, state)
}

fn report(shop: &Shop, answer: &dyn Fn(&str) -> Rows) -> (bool, String) {
    let (sent, state) = state(shop);
    let echo = |text: &str| Ok(text.to_owned());
    let lake = Lake { query: &|sql| Ok(answer(sql)), saved: &echo, trace: &echo, why: &echo };
    let mut out = Vec::new();
    let agree = print(&mut out, false, &shop.truth, &sent, &lake, &state).unwrap();
    (agree, String::from_utf8(out).unwrap())
}

#[test]
fn a_lake_that_holds_what_was_sent_agrees_in_every_figure() {
    let shop = build(5, 1_767_225_600_000_000_000, SMALL).unwrap();
    let (agree, text) = report(&shop, &|sql| perfect(&shop.truth, sql));
    assert!(agree, "{text}");
    assert!(text.contains("figures agree with what was sent") && !text.contains('\x1b'));
}

#[test]
fn a_lost_doubled_or_changed_span_is_found() {
    let shop = build(5, 1_767_225_600_000_000_000, SMALL).unwrap();
    let changes: BTreeMap<&str, fn(&mut Rows)> = BTreeMap::from([
        ("kept traces with a span missing", (|rows: &mut Rows| drop(rows.pop())) as fn(&mut Rows)),
        ("spans stored twice", |rows| rows.push(rows[0].clone())),
        ("spans that differ from what was sent", |rows| rows[3][9].push('1')),
    ]);
    for (name, change) in changes {
        let (agree, text) = report(&shop, &|sql| {
            let mut rows = perfect(&shop.truth, sql);
            if sql.starts_with("SELECT span_id") {
                change(&mut rows);
            }
            rows
        });
        assert!(!agree && text.contains("do NOT agree"), "{name}");
        assert!(text.lines().any(|line| line.contains(name) && line.ends_with("NO")), "{name}: {text}");
    }
}

#[test]
fn a_leaked_secret_is_found_in_any_table() {
    let shop = build(5, 1_767_225_600_000_000_000, SMALL).unwrap();
    let secret = shop.truth.planter.examples[0].sent.clone();
    let (agree, text) = report(&shop, &|sql| {
        if sql == "SELECT * FROM decisions" { vec![vec![secret.clone()]] } else { perfect(&shop.truth, sql) }
    });
    assert!(!agree && text.contains("1 of 10"), "{text}");
}

#[test]
fn a_query_that_fails_is_a_figure_that_does_not_agree() {
    let shop = build(5, 1_767_225_600_000_000_000, SMALL).unwrap();
    let (sent, state) = state(&shop);
    let fails = |_: &str| anyhow::bail!("no such table");
    let says = |text: &str| Ok(text.to_owned());
    let lake = Lake { query: &fails, saved: &says, trace: &says, why: &says };
    let mut out = Vec::new();
    assert!(!print(&mut out, true, &shop.truth, &sent, &lake, &state).unwrap());
    assert!(String::from_utf8(out).unwrap().contains("failed: no such table"));
}

#[test]
fn the_same_seed_and_start_give_the_same_requests() {
    let bytes =
        |seed| build(seed, 1_000_000_000, SMALL).unwrap().requests.into_iter().map(|request| request.body).collect::<Vec<_>>();
    assert_eq!(bytes(9), bytes(9));
    assert_ne!(bytes(9), bytes(10));
}
