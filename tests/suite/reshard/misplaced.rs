//! Stale lists of shards: parts on a shard that does not own them.

use spanlake_model::{Bucket, Sequence, Signal, TraceId};
use spanlake_pipeline::envelope::Envelope;
use spanlake_testkit::trace_request;

use super::scene::{Scene, error, fine, nanos, trace_in};
use super::{ALL, HALF};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// A shard that was split, two traces of its children, and a request with both, cut under the older list: it lies on the
/// lower child.
fn split() -> (Scene, [TraceId; 2], Vec<u8>) {
    let scene = Scene::new(1);
    scene.beat_all(1_000);
    let older = scene.open();
    scene.stream.split(&older[0].id, HALF);
    scene.tell(Some(older));
    let traces = [trace_in(0, HALF - 1, 1), trace_in(HALF, ALL, 1)];
    let body = trace_request("shop", &traces.map(|trace| error(trace, 1)));
    (scene, traces, body)
}

/// How many records with items lie on the open shard of this place.
fn records(scene: &Scene, place: usize) -> usize {
    let records = scene.stream.records(&scene.open()[place].id, Sequence::ZERO, usize::MAX);
    records.iter().filter(|record| matches!(Envelope::decode(&record.bytes), Ok(Envelope::Items(_)))).count()
}

#[test]
fn a_part_on_a_wrong_shard_is_put_on_its_owners_and_counted_there_alone() {
    let (scene, [low, high], body) = split();
    scene.at_ms(2_000);
    scene.post(Signal::Traces, body);
    scene.tell(None);
    assert_eq!((records(&scene, 0), records(&scene, 1)), (1, 0));
    scene.group(&scene.open()[0].id);
    assert_eq!(scene.ledger().traces.committed, 1, "the other part is its owner's to count");
    assert_eq!(records(&scene, 1), 1);
    scene.settle(20_000);
    assert_eq!((scene.kept(low), scene.kept(high)), (1, 1));
    assert_eq!((scene.ledger().traces.committed, scene.ledger().traces.duplicates), (2, 0));
}

#[test]
fn a_copy_that_goes_astray_again_is_put_on_the_stream_again() {
    let (scene, [low, high], body) = split();
    scene.at_ms(2_000);
    scene.post(Signal::Traces, body);
    // The forwarder knows of the first split, and not of the second: its copy is for both grandchildren.
    let known = scene.open();
    let bucket = Bucket::of_trace(&high).number();
    scene.stream.split(&known[1].id, HALF + 1);
    assert!(bucket > HALF);
    scene.tell(Some(known));
    let other = trace_in(HALF, HALF, 7);
    scene.at_ms(3_000);
    scene.post(Signal::Traces, trace_request("shop", &[error(low, 9), error(other, 9), error(high, 9)]));
    scene.group(&scene.open()[0].id);
    scene.tell(None);
    scene.settle(20_000);
    assert_eq!((scene.kept(low), scene.kept(high), scene.kept(other)), (2, 2, 1));
    assert_eq!(scene.ledger().traces.committed, 5);
}

#[test]
fn a_copy_is_forwarded_though_its_record_is_a_repeat_for_the_forwarder() {
    let (scene, [low, high], body) = split();
    scene.at_ms(2_000);
    scene.post(Signal::Traces, body.clone());
    scene.post(Signal::Traces, body);
    scene.tell(None);
    scene.settle(20_000);
    assert_eq!((scene.kept(low), scene.kept(high)), (1, 1));
    assert_eq!((scene.ledger().traces.committed, scene.ledger().traces.duplicates), (2, 2));
}

#[test]
fn an_id_that_was_only_forwarded_is_not_taken_for_seen_when_it_comes_back() {
    // A part is forwarded by a shard that owns it later, by a merge: the copy must be taken then.
    let (scene, [low, high], body) = split();
    scene.at_ms(2_000);
    scene.post(Signal::Traces, body);
    scene.tell(None);
    let [one, two] = [0, 1].map(|place| scene.open()[place].id.clone());
    scene.group(&one);
    scene.stream.merge(&one, &two);
    scene.settle(20_000);
    assert_eq!((scene.kept(low), scene.kept(high)), (1, 1));
    assert_eq!(scene.ledger().traces.committed, 2);
}

/// The wrong shard is read so late that the copy comes when the stream's retention has nearly ended; the client's retry
/// came on the right shard, `retry_ms` after the split.
fn late_copy(scene: &Scene, [low, high]: [TraceId; 2], body: Vec<u8>, retry_ms: i64) {
    let [wrong, owner] = [0, 1].map(|place| scene.open()[place].id.clone());
    scene.at_ms(60_000);
    scene.post(Signal::Traces, body.clone());
    scene.tell(None);
    scene.at_ms(retry_ms);
    scene.post(Signal::Traces, body);
    scene.group(&owner);
    scene.at_ms(60_000 + 48 * HOUR - 1_000);
    scene.beat(1, "");
    scene.group(&owner);
    scene.at_ms(60_000 + 48 * HOUR);
    scene.group(&wrong);
    scene.settle(49 * HOUR);
    assert_eq!((scene.kept(low), scene.kept(high)), (1, 1));
}

#[test]
fn a_copy_at_the_end_of_the_retention_is_known_to_a_child_that_took_the_retry_when_young() {
    for retry_ms in [2_000, 3 * MINUTE, 15 * MINUTE] {
        let (scene, traces, body) = split();
        late_copy(&scene, traces, body, retry_ms);
    }
}

#[test]
fn a_child_of_shards_that_never_had_a_record_is_young_from_its_own_first_record() {
    let scene = Scene::new(1);
    let older = scene.open();
    scene.stream.split(&older[0].id, HALF);
    scene.tell(Some(older));
    let traces = [trace_in(0, HALF - 1, 1), trace_in(HALF, ALL, 1)];
    let body = trace_request("shop", &traces.map(|trace| error(trace, 1)));
    late_copy(&scene, traces, body, 2_000);
}

#[test]
fn what_the_parent_took_shortly_before_is_known_when_a_misplaced_repeat_comes_very_late() {
    let scene = Scene::new(1);
    let older = scene.open();
    let traces = [trace_in(0, HALF - 1, 1), trace_in(HALF, ALL, 1)];
    let body = trace_request("shop", &traces.map(|trace| error(trace, 1)));
    scene.at_ms(1_000);
    scene.post(Signal::Traces, body.clone());
    scene.settle(20_000);
    scene.stream.split(&older[0].id, HALF);
    scene.tell(Some(older));
    late_copy(&scene, traces, body, 5 * MINUTE);
    assert_eq!(scene.ledger().traces.committed, 2);
}

#[test]
fn a_record_that_cannot_be_read_costs_only_what_of_it_is_the_shards_own() {
    let (scene, [low, high], body) = split();
    scene.at_ms(2_000);
    scene.post(Signal::Traces, body);
    let mut damaged = scene.stream.records(&scene.open()[0].id, Sequence::ZERO, 1).remove(0).bytes.to_vec();
    let end = damaged.len() - 1;
    damaged.truncate(end);
    scene.stream.trim(&scene.open()[0].id, Sequence::MAX);
    scene.stream.push(0, damaged);
    scene.tell(None);
    scene.send(&[fine(low, 5), error(low, 6), error(high, 6)]);
    scene.settle(20_000);
    let traces = scene.ledger().traces;
    assert_eq!((traces.committed, traces.dropped.get("poison").copied(), traces.kept), (5, Some(2), 3));
    assert_eq!(scene.ledger().quarantined_records, 2, "noted by each shard that owns a part");
}

#[test]
fn nothing_is_committed_before_every_misplaced_part_is_on_the_stream() {
    let (scene, [low, high], body) = split();
    scene.at_ms(2_000);
    scene.post(Signal::Traces, body);
    scene.tell(None);
    let forwarder = scene.open()[0].id.clone();
    // The stream lists only a half of its buckets: an owner is unknown.
    scene.tell(Some(scene.open().into_iter().take(1).collect()));
    assert!(scene.try_group(&forwarder).is_err());
    assert_eq!((scene.manifest(&forwarder).watermark, records(&scene, 1)), (Sequence::ZERO, 0));
    scene.tell(None);
    scene.settle(20_000);
    assert_eq!((scene.kept(low), scene.kept(high)), (1, 1));
    assert_eq!(scene.manifest(&forwarder).clock, nanos(53_000));
}
