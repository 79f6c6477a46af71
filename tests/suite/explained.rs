//! Every vote with the value that decided it: recorded with the decision, the same in the lake, and never with a value from
//! telemetry.

use std::collections::BTreeMap;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use spanlake_model::{Sequence, TraceId};
use spanlake_pipeline::inspect::find_trace;
use spanlake_testkit::SpanSpec;

use crate::drive::block_on;
use crate::reshard::figures::archive;
use crate::reshard::scene::{Scene, error, fine, trace_in};

const ALL: u16 = 4095;

const RULES: &str = r#"
processors:
  tail_sampling:
    decision_wait: 1s
    policies:
      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
      - {name: slow, type: latency, latency: {threshold_ms: 1000}}
      - {name: gold, type: string_attribute, string_attribute: {key: tenant, values: ["^gold"], enabled_regex_matching: true}}
      - {name: half, type: probabilistic, probabilistic: {sampling_percentage: 50}}
      - {name: limit, type: rate_limiting, rate_limiting: {spans_per_second: 20}}
service: {pipelines: {traces: {processors: [tail_sampling]}}}
"#;

fn scene() -> Scene {
    let mut scene = Scene::new(1);
    RULES.clone_into(&mut scene.rules);
    scene
}

fn spans() -> Vec<SpanSpec> {
    let mut spans: Vec<SpanSpec> = (1..60).map(|number| fine(trace_in(0, ALL, number), 1)).collect();
    let (start_nanos, end_nanos) = (1_000_000_000, 2_432_100_000);
    spans.push(SpanSpec { start_nanos, end_nanos, ..error(trace_in(0, ALL, 1), 2) });
    let secret = ("tenant".to_owned(), "gold-4012888888881881".to_owned());
    spans.push(SpanSpec { attributes: vec![secret], ..fine(trace_in(0, ALL, 2), 2) });
    spans
}

/// Reasons of votes by trace, as the lake has them.
fn in_lake(scene: &Scene) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for (_, file) in scene.store.snapshot().into_iter().filter(|(key, _)| key.starts_with("lake/v1/decisions/")) {
        for row in SerializedFileReader::new(file).unwrap().get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let column = |name: &str| row.get_column_iter().find(|(of, _)| *of == name).unwrap().1.clone();
            let Field::MapInternal(reasons) = column("vote_reasons") else { continue };
            let text = |field: &Field| if let Field::Str(text) = field { text.clone() } else { field.to_string() };
            let reasons = reasons.entries().iter().map(|(policy, reason)| (text(policy), text(reason)));
            found.insert(text(&column("trace_id")), reasons.collect());
        }
    }
    found
}

fn recorded(scene: &Scene, trace: TraceId) -> BTreeMap<String, String> {
    let state = block_on(find_trace(scene.store.as_ref(), trace)).unwrap();
    state.decisions.into_iter().flat_map(|decision| decision.explanations).collect()
}

#[test]
fn each_vote_is_explained_alike_in_the_state_and_in_the_lake() {
    let scene = scene();
    scene.send(&spans());
    scene.settle(20_000);
    archive(&scene);
    let lake = in_lake(&scene);
    assert_eq!(lake.len(), 59);
    for number in 1..60 {
        let trace = trace_in(0, ALL, number);
        let recorded = recorded(&scene, trace);
        assert_eq!(recorded.len(), 5, "{recorded:?}");
        assert_eq!(lake[&trace.to_string()], recorded);
    }
    let one = recorded(&scene, trace_in(0, ALL, 1));
    assert_eq!(one["errors"], "1 of 2 spans has status ERROR");
    assert!(one["slow"].ends_with(" ms, above 1,000 ms"), "{one:?}");
    assert!(one["half"].contains("its hash lies at ") && one["half"].ends_with("50 %"), "{one:?}");
    assert!(one["limit"].contains("20 spans/s"), "{one:?}");
    let two = recorded(&scene, trace_in(0, ALL, 2));
    assert_eq!(two["errors"], "no span has status ERROR");
    assert_eq!(two["gold"], "a span has `tenant` that matches \"^gold\", on itself or its resource");
}

#[test]
fn a_reason_tells_that_a_span_matched_and_not_with_which_value() {
    let scene = scene();
    scene.send(&spans());
    scene.settle(20_000);
    archive(&scene);
    let all = format!("{:?} {:?}", in_lake(&scene), (1..60).map(|n| recorded(&scene, trace_in(0, ALL, n))).collect::<Vec<_>>());
    assert!(all.contains("that matches") && !all.contains("4012888888881881") && !all.contains("gold-"), "{all}");
}

/// However the stream is cut into batches, and whoever closes a window again.
#[test]
fn a_replayed_close_explains_with_the_same_bytes() {
    let decisions = |scene: &Scene| {
        let objects = scene.store.snapshot();
        objects.into_iter().filter(|(key, _)| key.starts_with("decisions/")).collect::<BTreeMap<_, _>>()
    };
    let mut whole = scene();
    spans().chunks(7).for_each(|chunk| whole.send(chunk));
    whole.settle(20_000);
    let cut = scene();
    for chunk in spans().chunks(7) {
        cut.send(chunk);
        cut.group_open();
    }
    cut.settle(20_000);
    assert_eq!(decisions(&whole), decisions(&cut));
    assert_eq!(decisions(&whole).len(), 1);
    let shard = whole.open()[0].id.clone();
    whole.store = scene().store;
    let records = whole.stream.records(&shard, Sequence::ZERO, usize::MAX);
    assert!(block_on(whole.cold(&shard).handle(&records)).unwrap().close_error.is_none());
    assert_eq!(decisions(&whole), decisions(&cut));
}
