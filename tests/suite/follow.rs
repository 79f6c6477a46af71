//! Log records that follow their trace: they share its verdict and its weight, also late; none is filed twice or lost.

use spanlake_model::{Signal, TraceId};
use spanlake_otlp::wire::{put_len, put_varint_field};
use spanlake_pipeline::inspect::sealed_items;
use spanlake_pipeline::ports::ObjectStore;

use crate::drive::block_on;
use crate::reshard::figures::{archive, sum};
use crate::reshard::scene::{Scene, error, fine, trace_in};

const ALL: u16 = 4095;

/// Errors are kept, and half of the rest; logs are as `logs` says.
fn scene(logs: &str) -> Scene {
    let mut scene = Scene::new(1);
    scene.rules = format!(
        "processors:\n  tail_sampling: {{decision_wait: 1s, policies: [{{name: errors, type: status_code, status_code: {{status_codes: [ERROR]}}}}, \
         {{name: half, type: probabilistic, probabilistic: {{sampling_percentage: 50}}}}]}}\n\
         service: {{pipelines: {{traces: {{processors: [tail_sampling]}}, logs: {{processors: []}}}}}}\nspanlake: {{logs: {logs}}}\n"
    );
    scene
}

/// Traces of one span each: the first of each pair is kept for chance, the second is not.
fn pairs(scene: &Scene, most: u32) -> Vec<(TraceId, TraceId)> {
    let traces: Vec<TraceId> = (0..8 * most).map(|number| trace_in(0, ALL, 100 + number)).collect();
    scene.send(&traces.iter().map(|trace| fine(*trace, 1)).collect::<Vec<_>>());
    scene.settle(20_000);
    let (kept, out): (Vec<TraceId>, Vec<TraceId>) = traces.into_iter().partition(|trace| scene.kept(*trace) == 1);
    let pairs: Vec<_> = kept.into_iter().zip(out).take(most as usize).collect();
    assert_eq!(pairs.len(), most as usize);
    pairs
}

/// The weights of the sealed logs of a trace, in order.
fn logs_of(scene: &Scene, trace: TraceId) -> Vec<f64> {
    let mut weights = Vec::new();
    for output in scene.manifests().into_iter().flat_map(|manifest| manifest.sealed) {
        let object = block_on(scene.store.get(&output.key)).unwrap().unwrap();
        let items = sealed_items(&object.bytes).unwrap().into_iter();
        weights.extend(items.filter(|item| item.signal == Signal::Logs && item.trace == trace).map(|item| item.weight));
    }
    weights
}

/// A request of one log record with a severity number and text.
fn severe(trace: TraceId, number: u64, text: &str) -> Vec<u8> {
    let (mut record, mut out) = (Vec::new(), Vec::new());
    put_varint_field(&mut record, 2, number);
    put_len(&mut record, 3, text.as_bytes());
    put_len(&mut record, 9, &trace.0);
    for number in [2, 2, 1] {
        out.clear();
        put_len(&mut out, number, &record);
        record.clone_from(&out);
    }
    out
}

#[test]
fn logs_share_verdict_and_weight_of_their_trace_whenever_they_come() {
    let probe = scene("follow_trace");
    let (kept, out) = pairs(&probe, 1)[0];
    for (before, after) in [(true, false), (false, true)] {
        let scene = scene("follow_trace");
        let failed = trace_in(0, ALL, 1);
        let logs = || [kept, out, failed].iter().for_each(|trace| scene.log(*trace, "told"));
        if before {
            logs();
        }
        scene.at_ms(400);
        scene.send(&[fine(kept, 1), fine(out, 1), error(failed, 1)]);
        scene.settle(20_000);
        if after {
            scene.at_ms(90_000);
            logs();
            scene.settle(100_000);
        }
        assert_eq!((logs_of(&scene, kept), logs_of(&scene, out), logs_of(&scene, failed)), (vec![2.0], vec![], vec![1.0]));
        let account = scene.ledger().logs;
        assert_eq!((account.committed, account.kept, account.sampled_out), (3, 2, 1), "{account:?}");
        archive(&scene);
        assert_eq!(sum(&scene, "traces", "span_count"), 2);
    }
}

#[test]
fn logs_of_no_trace_and_those_of_errors_that_are_exempt_wait_for_nothing() {
    let probe = scene("follow_trace");
    let (_, out) = pairs(&probe, 1)[0];
    for (logs, filed) in [("{follow_trace: false}", 5), ("follow_trace", 1), ("{follow_trace: true, always_keep: ERROR}", 3)] {
        let scene = scene(logs);
        scene.send(&[fine(out, 1)]);
        scene.log(TraceId::default(), "of no trace");
        for (number, text) in [(17, ""), (0, "error"), (9, "INFO"), (0, "")] {
            scene.post(Signal::Logs, severe(out, number, text));
        }
        scene.settle(20_000);
        let account = scene.ledger().logs;
        assert_eq!((account.kept, account.sampled_out), (filed, 5 - filed), "{logs}: {account:?}");
    }
}

#[test]
fn logs_whose_trace_has_no_spans_are_kept_once_and_decide_nothing() {
    let probe = scene("follow_trace");
    let (_, out) = pairs(&probe, 1)[0];
    let scene = scene("follow_trace");
    scene.log(out, "alone");
    scene.settle(20_000);
    assert_eq!(logs_of(&scene, out), [1.0]);
    // Spans that come later are decided as if nothing had been, and what is told from then on follows them.
    scene.at_ms(90_000);
    scene.log(out, "with a span");
    scene.send(&[fine(out, 1)]);
    scene.settle(100_000);
    assert_eq!((logs_of(&scene, out), scene.kept(out)), (vec![1.0], 0));
    let ledger = scene.ledger();
    assert_eq!((ledger.logs.kept, ledger.logs.sampled_out, ledger.traces.sampled_out), (1, 1, 1));
    archive(&scene);
    assert_eq!(sum(&scene, "decisions", "span_count"), 1);
}
