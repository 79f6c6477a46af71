//! The rules in the grouper: processors in their order, limits over a window, weights and tracestates of what is kept.

use std::collections::BTreeMap;
use std::io::Read;

use spanlake_model::{Signal, TraceId};
use spanlake_pipeline::inspect::sealed_items;
use spanlake_pipeline::ledger::Ledger;
use spanlake_pipeline::ports::ObjectStore;
use spanlake_testkit::{SpanSpec, logs_request};

use crate::drive::block_on;
use crate::reshard::figures::{archive, sum};
use crate::reshard::scene::{Scene, error, fine, trace_in};

const ALL: u16 = 4095;
/// The magic number of a zstd frame.
const FRAME: &[u8] = b"\x28\xb5\x2f\xfd";

/// A scene whose traces pipeline has these processors, in this order.
fn scene(shards: u16, order: &str, processors: &str) -> Scene {
    let mut scene = Scene::new(shards);
    let service = format!("service: {{pipelines: {{traces: {{processors: [{order}]}}, logs: {{processors: []}}}}}}\n");
    scene.rules = format!("processors:\n{processors}\n{service}");
    scene
}

fn with(spec: SpanSpec, key: &str, value: &str) -> SpanSpec {
    SpanSpec { attributes: vec![(key.to_owned(), value.to_owned())], ..spec }
}

/// A trace of its own for each number, spread over all ids as FNV and randomness need them.
fn spread(number: u64) -> TraceId {
    TraceId((u128::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes())
}

/// Whether any object holds a text, as it lies there or in what is compressed in it.
fn stored(scene: &Scene, text: &str) -> bool {
    let found = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let compressed = |object: &[u8]| {
        let starts = object.windows(FRAME.len()).enumerate().filter(|(_, window)| *window == FRAME);
        starts.map(|(at, _)| at).any(|at| {
            let mut plain = Vec::new();
            let mut frame = zstd::stream::read::Decoder::new(&object[at..]).unwrap().single_frame();
            frame.read_to_end(&mut plain).is_ok() && found(&plain)
        })
    };
    scene.store.snapshot().values().any(|object| found(object) || compressed(object))
}

/// Weights of the sealed spans by trace.
fn weights(scene: &Scene) -> BTreeMap<TraceId, f64> {
    let mut weights = BTreeMap::new();
    for output in scene.manifests().into_iter().flat_map(|manifest| manifest.sealed) {
        let object = block_on(scene.store.get(&output.key)).unwrap().unwrap();
        for item in sealed_items(&object.bytes).unwrap().into_iter().filter(|item| item.signal == Signal::Traces) {
            weights.insert(item.trace, item.weight);
        }
    }
    weights
}

#[test]
fn what_a_filter_drops_is_counted_under_its_name_and_decides_nothing_where_it_comes_first() {
    let filter = "  filter/health: {traces: {span: ['attributes[\"url.path\"] == \"/healthz\"']}}\n";
    let sampling = "  tail_sampling: {decision_wait: 1s, policies: [{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}]}\n";
    let trace = trace_in(0, ALL, 1);
    for (order, kept) in [("filter/health, tail_sampling", 0), ("tail_sampling", 2)] {
        let scene = scene(1, order, &format!("{filter}{sampling}"));
        scene.send(&[fine(trace, 1), with(error(trace, 2), "url.path", "/healthz")]);
        scene.settle(20_000);
        assert_eq!(scene.kept(trace), kept, "{order}");
        let account = scene.ledger().traces;
        assert!(account.balances() && account.committed == 2, "{account:?}");
        assert_eq!(account.dropped.get("processor filter/health").copied(), (kept == 0).then_some(1), "{account:?}");
        assert_eq!(account.dropped_unasked(), 0);
    }
}

#[test]
fn policies_see_what_a_later_redaction_takes_away_and_nothing_of_it_is_stored() {
    let redaction = "  redaction: {allow_all_keys: true, blocked_values: ['tenant-[0-9]+']}\n";
    let sampling = "  tail_sampling: {decision_wait: 1s, policies: [{name: one, type: string_attribute, \
                    string_attribute: {key: tenant, values: [tenant-1]}}]}\n";
    let (one, two) = (trace_in(0, ALL, 1), trace_in(0, ALL, 2));
    for (order, kept) in [("tail_sampling, redaction", 1), ("redaction, tail_sampling", 0)] {
        let scene = scene(1, order, &format!("{redaction}{sampling}"));
        scene.send(&[with(fine(one, 1), "tenant", "tenant-1"), with(fine(two, 1), "tenant", "tenant-2")]);
        scene.group_open();
        assert!(!stored(&scene, "tenant-1") && !stored(&scene, "tenant-2"), "{order}");
        scene.settle(20_000);
        assert_eq!((scene.kept(one), scene.kept(two)), (kept, 0), "{order}");
        assert!(!stored(&scene, "tenant-1") && stored(&scene, "shop"), "{order}");
    }
}

#[test]
fn a_redacting_statement_that_fails_masks_unless_it_is_told_not_to() {
    let transform = "  transform: {trace_statements: [{context: span, statements: ['replace_pattern(attributes[\"note\"], \
                     \"[0-9]+\", \"#\") where HasPrefix(attributes[\"missing\"], \"x\")']}]}\n";
    let trace = trace_in(0, ALL, 1);
    for (own, is_stored) in [("", false), ("spanlake: {fail_closed: false}\n", true)] {
        let mut scene = scene(1, "transform", transform);
        scene.rules.push_str(own);
        scene.send(&[with(fine(trace, 1), "note", "account 12345678")]);
        scene.settle(20_000);
        assert_eq!((scene.kept(trace), stored(&scene, "account 12345678")), (1, is_stored), "{own}");
    }
}

#[test]
fn what_cannot_be_executed_is_counted_by_processor_line_and_reason_however_requests_are_cut() {
    let processors = "  transform/ids:
    trace_statements:
      - context: span
        conditions: ['Int(attributes[\"n\"]) > 0', 'true']
        statements:
          - set(attributes[\"i\"], ParseJSON(attributes[\"n\"]))
          - set(attributes[\"fine\"], true)
  filter/n:
    traces: {span: ['Len(attributes[\"none\"]) == 7']}
";
    let ledgers = [1, 4].map(|batch| {
        let scene = scene(1, "transform/ids, filter/n", processors);
        for spans in [1, 2, 3, 4].map(|span| with(fine(trace_in(0, ALL, 1), span), "n", "x")).chunks(batch) {
            scene.send(spans);
        }
        scene.settle(20_000);
        assert_eq!(scene.kept(trace_in(0, ALL, 1)), 4);
        scene.ledger()
    });
    let failed = |ledger: &Ledger| ledger.failed.iter().map(|(what, times)| format!("{what} {times}")).collect::<Vec<_>>();
    assert_eq!(failed(&ledgers[0]), failed(&ledgers[1]));
    let expected = [
        "filter/n, line 10: this type has no length 4",
        "transform/ids, line 5: not a whole number 4",
        "transform/ids, line 7: not a JSON object or array 4",
    ];
    assert_eq!(failed(&ledgers[0]), expected);
}

#[test]
fn a_condition_of_ottl_decides_on_a_trace_across_requests() {
    let sampling = "  tail_sampling: {decision_wait: 1s, policies: [{name: slow-db, type: ottl_condition, ottl_condition: \
                    {span: ['attributes[\"db.system\"] != nil and name == \"work\"']}}]}\n";
    let scene = scene(1, "tail_sampling", sampling);
    let (yes, no) = (trace_in(0, ALL, 1), trace_in(0, ALL, 2));
    scene.send(&[fine(yes, 1), fine(no, 1)]);
    scene.at_ms(500);
    scene.send(&[with(fine(yes, 2), "db.system", "postgresql")]);
    scene.settle(20_000);
    assert_eq!((scene.kept(yes), scene.kept(no)), (2, 0));
}

#[test]
fn a_rate_is_kept_over_all_shards_and_the_weights_of_what_is_kept_stand_for_the_rest() {
    let sampling = "  tail_sampling: {decision_wait: 1s, policies: [{name: limit, type: rate_limiting, \
                    rate_limiting: {spans_per_second: 20}}, {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}]}\n";
    for shards in [1, 4] {
        let scene = scene(shards, "tail_sampling", sampling);
        let spans: Vec<SpanSpec> = (0..800).map(|number| fine(spread(number), 1)).collect();
        spans.chunks(100).for_each(|chunk| scene.send(chunk));
        scene.send(&[error(spread(900), 1)]);
        scene.settle(20_000);
        let weights = weights(&scene);
        // 20 spans a second in a window of 10 seconds; the error takes no room.
        assert!((190..=201).contains(&weights.len()), "{shards}: {}", weights.len());
        assert!((weights[&spread(900)] - 1.0).abs() < 1e-9);
        let sum: f64 = weights.values().sum();
        assert!((sum / 801.0 - 1.0).abs() < 0.2, "{shards}: {sum}");
    }
}

#[test]
fn a_rate_of_less_than_a_span_for_a_shard_is_kept_over_all_shards() {
    let sampling = "  tail_sampling: {decision_wait: 1s, policies: [{name: limit, type: rate_limiting, \
                    rate_limiting: {spans_per_second: 1}}]}\n";
    let scene = scene(16, "tail_sampling", sampling);
    let spans: Vec<SpanSpec> = (0..400).map(|number| fine(spread(number), 1)).collect();
    spans.chunks(100).for_each(|chunk| scene.send(chunk));
    scene.settle(20_000);
    let weights = weights(&scene);
    // A window of 10 seconds has room for 10 spans. A shard has five eighths of one.
    assert_eq!(weights.len(), 10, "{weights:?}");
    assert!(weights.values().all(|weight| *weight >= 1.6), "each took luck of five eighths: {weights:?}");
}

#[test]
fn what_is_kept_states_its_threshold_and_late_spans_state_the_same() {
    let sampling = "  tail_sampling: {decision_wait: 1s, policies: [{name: half, type: probabilistic, \
                    probabilistic: {sampling_percentage: 50}}]}\n";
    let mut scene = scene(1, "tail_sampling", sampling);
    scene.rules.push_str("spanlake: {sampling: {probabilistic_mode: consistent}}\n");
    let traces: Vec<TraceId> = (0..40).map(spread).collect();
    scene.send(&traces.iter().map(|trace| fine(*trace, 1)).collect::<Vec<_>>());
    scene.settle(20_000);
    let kept = scene.spans();
    assert!((10..=30).contains(&kept.len()), "{}", kept.len());
    scene.at_ms(70_000);
    scene.send(&traces.iter().map(|trace| fine(*trace, 2)).collect::<Vec<_>>());
    scene.settle(80_000);
    assert_eq!(scene.spans().len(), 2 * kept.len());
    for ((trace, span), _) in scene.spans() {
        assert!(span.windows(7).any(|window| window == b"ot=th:8"), "{trace}");
        assert!(trace.0[9] & 0x80 != 0, "{trace}: below the threshold");
    }
}

#[test]
fn a_trace_that_is_too_large_goes_with_its_reason() {
    let sampling =
        "  tail_sampling: {decision_wait: 1s, maximum_trace_size_bytes: 400, policies: [{name: all, type: always_sample}]}\n";
    let scene = scene(1, "tail_sampling", sampling);
    let (small, large) = (trace_in(0, ALL, 1), trace_in(0, ALL, 2));
    scene.send(&[fine(small, 1), with(fine(large, 1), "text", &"x".repeat(500))]);
    scene.settle(20_000);
    assert_eq!((scene.kept(small), scene.kept(large)), (1, 0));
    let dropped = scene.ledger().traces.dropped;
    assert_eq!(dropped.get("policy maximum_trace_size_bytes"), Some(&1), "{dropped:?}");
}

#[test]
fn a_root_brings_a_decision_forward() {
    for (wait_after_root, is_decided) in [("1s", true), ("0s", false)] {
        let sampling = format!(
            "  tail_sampling: {{decision_wait: 60s, decision_wait_after_root_received: {wait_after_root}, policies: [{{name: all, type: always_sample}}]}}\n"
        );
        let scene = scene(1, "tail_sampling", &sampling);
        let trace = trace_in(0, ALL, 1);
        scene.send(&[fine(trace, 1)]);
        scene.beat_all(21_000);
        scene.group_open();
        assert_eq!(scene.kept(trace), usize::from(is_decided), "{wait_after_root}");
        scene.settle(75_000);
        assert_eq!(scene.kept(trace), 1);
    }
}

#[test]
fn a_strategy_by_record_keeps_what_one_record_alone_would_have_kept() {
    let sampling = "  tail_sampling: {decision_wait: 1s, sampling_strategy: span-ingest, policies: [{name: both, type: and, and: \
                    {and_sub_policy: [{name: a, type: status_code, status_code: {status_codes: [ERROR]}}, \
                    {name: b, type: string_attribute, string_attribute: {key: k, values: [v]}}]}}]}\n";
    let scene = scene(1, "tail_sampling", sampling);
    let (together, apart) = (trace_in(0, ALL, 1), trace_in(0, ALL, 2));
    scene.send(&[error(together, 1), with(fine(together, 2), "k", "v"), error(apart, 1)]);
    scene.send(&[with(fine(apart, 2), "k", "v")]);
    scene.settle(20_000);
    assert_eq!((scene.kept(together), scene.kept(apart)), (2, 0));
}

#[test]
fn logs_and_metrics_pass_through_the_processors_of_their_own_pipelines() {
    let mut scene = Scene::new(1);
    scene.rules = "processors:\n  filter: {logs: {log_record: ['IsMatch(body, \"debug\")']}}\n  transform: {log_statements: \
                   ['replace_pattern(log.body, \"user-[0-9]+\", \"user\")']}\nservice: {pipelines: {logs: {processors: [filter, transform]}}}\n"
        .to_owned();
    let records = [(TraceId::default(), "debug: nothing".to_owned()), (trace_in(0, ALL, 1), "hello user-77".to_owned())];
    scene.post(Signal::Logs, logs_request("shop", &records));
    scene.settle(20_000);
    assert_eq!(scene.logs(), 1);
    assert!(!stored(&scene, "user-77") && !stored(&scene, "debug: nothing"));
    assert_eq!(scene.ledger().logs.dropped.get("processor filter"), Some(&1));
}

#[test]
fn of_several_attributes_of_one_key_none_slips_past_a_rule() {
    let rules = [
        "  transform: {trace_statements: ['delete_key(span.attributes, \"who\")']}\n",
        "  attributes: {actions: [{key: who, action: delete}]}\n",
        "  redaction: {allow_all_keys: true, blocked_key_patterns: [who]}\n",
    ];
    let trace = trace_in(0, ALL, 1);
    for (order, processor) in ["transform", "attributes", "redaction"].into_iter().zip(rules) {
        let scene = scene(1, order, processor);
        let attributes = ["who-is-one", "who-is-two"].map(|value| ("who".to_owned(), value.to_owned())).to_vec();
        scene.send(&[SpanSpec { attributes, ..fine(trace, 1) }]);
        scene.settle(20_000);
        assert_eq!((scene.kept(trace), stored(&scene, "who-is-one"), stored(&scene, "who-is-two")), (1, false, false), "{order}");
    }
}

#[test]
fn a_failing_statement_about_keys_leaves_none_of_them() {
    let transform = "  transform: {trace_statements: [{context: span, statements: ['delete_matching_keys(attributes, \"^user-\") \
                     where HasPrefix(attributes[\"missing\"], \"x\")']}]}\n";
    let scene = scene(1, "transform", transform);
    let trace = trace_in(0, ALL, 1);
    scene.send(&[with(fine(trace, 1), "user-4711", "x")]);
    scene.settle(20_000);
    assert_eq!((scene.kept(trace), stored(&scene, "user-4711")), (1, false));
}

#[test]
fn a_payload_that_statements_make_too_large_loses_what_is_beyond_and_says_so() {
    let transform = "  transform: {trace_statements: ['set(span.attributes[\"copy\"], span.attributes[\"long\"])', \
                     'set(span.attributes[\"more\"], Concat([span.attributes[\"long\"], span.attributes[\"copy\"]], \"\"))', \
                     'set(span.attributes[\"most\"], Concat([span.attributes[\"more\"], span.attributes[\"more\"]], \"\"))', \
                     'set(span.attributes[\"all\"], Concat([span.attributes[\"most\"], span.attributes[\"most\"]], \"\"))']}\n";
    let scene = scene(1, "transform", transform);
    let trace = trace_in(0, ALL, 1);
    let text = "x".repeat(50_000);
    (1..=4).for_each(|request: u8| {
        let spans = (1..=5).map(|number| with(fine(trace, 10 * request + number), "long", &text)).collect::<Vec<_>>();
        scene.send(&spans);
    });
    scene.settle(20_000);
    let account = scene.ledger().traces;
    assert!(account.balances(), "{account:?}");
    let lost = account.dropped.get("too_large").copied().unwrap_or(0);
    assert_eq!(scene.kept(trace) as u64 + account.dropped_total(), 20, "{account:?}");
    assert!(lost == 0 || scene.kept(trace) > 0);
}

#[test]
fn figures_before_sampling_know_kind_and_times_behind_processors_without_any_sampling() {
    let scene = scene(1, "attributes", "  attributes: {actions: [{key: a, value: b, action: insert}]}\n");
    let trace = trace_in(0, ALL, 1);
    scene.send(&[SpanSpec { start_nanos: 1_000, end_nanos: 6_000, ..fine(trace, 1) }]);
    scene.settle(20_000);
    archive(&scene);
    assert_eq!((sum(&scene, "red_1m", "requests"), sum(&scene, "red_1m", "duration_sum_nano")), (1, 5_000));
}
