//! A state with something of everything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use spanlake_model::{NANOS_PER_SECOND, Sequence, SpanId, TraceId};
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::group::Grouper;
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::ports::EventStream;
use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::{DEFAULT_CONFIG, load};
use spanlake_testkit::{Faults, SimClock, SimStore, SimStream, SpanSpec, block_on, trace_request};

/// How long ago the telemetry came: in the middle of an hour, so that no command tells another number of hours than the next.
const AGE_SECONDS: i64 = 100 * 3_600 + 1_800;

/// Objects, by their keys: two traces are filed, a third waits for its decision, and a record was no envelope.
pub(crate) fn objects() -> BTreeMap<String, Bytes> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let begin = GroupSettings::default().window_start((now - AGE_SECONDS) * NANOS_PER_SECOND);
    let (store, stream) = (Arc::new(SimStore::new(0, Faults::default())), Arc::new(SimStream::new(0, 1, 0)));
    let ingest = Ingest::new(Arc::clone(&stream), SimClock::default(), IngestSettings::default());
    let rules = Arc::new(load(DEFAULT_CONFIG, &|_| None).rules.unwrap());
    let shard = stream.shards().remove(0);
    let compile = Arc::new(|_: &str| Err("there are no other rules".to_owned()));
    let settings = GroupSettings::default();
    let mut grouper = Grouper::new(Arc::clone(&store), Arc::clone(&stream), shard.clone(), settings, rules, compile);
    for (id, after_seconds) in [(1, 0), (2, 40), (3, 80)] {
        stream.set_now(begin + after_seconds * NANOS_PER_SECOND);
        let request =
            Request::post("/v1/traces").header("content-type", "application/x-protobuf").body(failed_trace(id)).unwrap();
        assert_eq!(block_on(ingest.handle(request)).status(), 200);
        stream.set_now(begin + (after_seconds + 5) * NANOS_PER_SECOND);
        stream.push(0, heartbeat(""));
    }
    stream.push(0, b"no envelope".to_vec());
    let handled = block_on(grouper.handle(&stream.records(&shard.id, Sequence::ZERO, usize::MAX))).unwrap();
    assert!(handled.close_error.is_none(), "{handled:?}");
    assert_eq!(block_on(Archiver::new(Arc::clone(&store), 1 << 20).run()).unwrap().plans, 1);
    store.snapshot()
}

/// A request of one span with an error, which the built-in rules keep.
fn failed_trace(id: u8) -> Bytes {
    let span = SpanSpec {
        trace: TraceId([id; 16]),
        id: SpanId([id; 8]),
        parent: SpanId::default(),
        name: "work".to_owned(),
        kind: 2,
        start_nanos: 1,
        end_nanos: 2,
        status: 2,
        attributes: Vec::new(),
    };
    trace_request("shop", &[span]).into()
}
