//! How often a use case calls the store: locally each call wakes a thread, on S3 each is paid for.

use std::sync::Arc;

use spanlake_model::{NANOS_PER_SECOND, Signal, SpanId, TraceId};
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::EventStream;
use spanlake_pipeline::settings::GroupSettings;
use spanlake_testkit::{Faults, Rng, SimStore, SpanSpec, trace_request};

use crate::drive::{Front, START_NANOS, block_on, grouper};

const KEEP_ALL: &str = include_str!("keep_all.yaml");

/// A span of its own trace with a text that compresses about as well as telemetry does.
fn body(number: u16, rng: &mut Rng) -> Vec<u8> {
    let text: Vec<String> = (0..64).map(|_| format!("{:016x}", rng.next_u64())).collect();
    let mut trace = [0; 16];
    trace[..2].copy_from_slice(&number.to_be_bytes());
    let span = SpanSpec {
        trace: TraceId(trace),
        id: SpanId([1; 8]),
        parent: SpanId::default(),
        name: "work".to_owned(),
        kind: 2,
        start_nanos: 1,
        end_nanos: 2,
        status: 0,
        attributes: vec![("text".to_owned(), text.concat().repeat(8))],
    };
    trace_request("shop", &[span])
}

#[test]
fn a_close_reads_a_staged_batch_in_fewer_calls_than_it_has_segments() {
    const SPANS: u16 = 800;
    const SEGMENT_BYTES: u64 = 256 << 10;
    let (front, mut rng) = (Front::new(1), Rng::new(1));
    let store = Arc::new(SimStore::new(0, Faults::default()));
    let shard = front.stream.shards().remove(0);
    let mut grouper = grouper(&store, &shard, &GroupSettings::default(), KEEP_ALL);
    let mut sent_bytes = 0;
    for number in 1..=SPANS {
        let body = body(number, &mut rng);
        sent_bytes += body.len() as u64;
        front.post(Signal::Traces, body);
    }
    block_on(grouper.handle(&front.records(0))).unwrap();
    let staged = store.snapshot().into_keys().filter(|key| key.starts_with(keys::STAGED)).count();
    assert_eq!(staged, 1);
    front.beat(START_NANOS + 15 * NANOS_PER_SECOND);
    let before = store.counts().calls;
    let handled = block_on(grouper.handle(&front.records(0))).unwrap();
    assert_eq!((handled.closes, handled.close_error.is_none()), (1, true));
    let (calls, segments) = (store.counts().calls - before, sent_bytes / SEGMENT_BYTES);
    assert!(segments > 20 && calls < segments, "{calls} calls for {segments} segments");
}
