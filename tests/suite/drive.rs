//! Drives the real use cases over the memory twins of the ports, without faults: for the tests that compare what comes
//! out with what went in. The simulation has a world of its own, with faults.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use spanlake_model::{NANOS_PER_SECOND, Sequence, Signal};
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::group::Grouper;
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::ports::{EventStream, Record, Shard};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::Rules;
pub(crate) use spanlake_testkit::block_on;
use spanlake_testkit::{SimClock, SimStore, SimStream};

/// When the stream begins: the start of a window.
pub(crate) const START_NANOS: i64 = 1_790_000_000 * NANOS_PER_SECOND;

/// Ingest in front of a stream.
pub(crate) struct Front {
    pub(crate) stream: Arc<SimStream>,
    ingest: Ingest<SimStream, SimClock>,
}

impl Front {
    pub(crate) fn new(shards: u16) -> Self {
        let stream = Arc::new(SimStream::new(0, shards, 0));
        stream.set_now(START_NANOS);
        let ingest = Ingest::new(Arc::clone(&stream), SimClock::default(), IngestSettings::default());
        Self { stream, ingest }
    }

    pub(crate) fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        block_on(self.ingest.handle(request))
    }

    /// Sends a protobuf body, which must be taken whole.
    pub(crate) fn post(&self, signal: Signal, body: impl Into<Bytes>) {
        let request = Request::post(format!("/v1/{}", signal.name())).header("content-type", "application/x-protobuf");
        let answer = self.handle(request.body(body.into()).unwrap());
        assert!(answer.status() == 200 && answer.body().is_empty(), "{answer:?}");
    }

    /// Moves the stream's clock on every shard.
    pub(crate) fn beat(&self, now_nanos: i64) {
        self.stream.set_now(now_nanos);
        for shard in 0..self.stream.shards().len() {
            self.stream.push(shard, heartbeat(""));
        }
    }

    /// Everything on a shard.
    pub(crate) fn records(&self, shard: usize) -> Vec<Record> {
        let shard = &self.stream.shards()[shard].id;
        self.stream.records(shard, Sequence::ZERO, usize::MAX)
    }
}

pub(crate) fn rules(text: &str) -> Result<Rules, String> {
    let loaded = spanlake_policy::load(text, &|_| None);
    loaded.rules.ok_or_else(|| format!("{:?}", loaded.findings))
}

/// A grouper that has read nothing yet.
pub(crate) fn grouper(
    store: &Arc<SimStore>,
    shard: &Shard,
    settings: &GroupSettings,
    rules_text: &str,
) -> Grouper<SimStore, SimStream> {
    let default = Arc::new(rules(rules_text).unwrap());
    // Whole buckets only, and no parents: the stream is not asked.
    let stream = Arc::new(SimStream::new(0, 1, 0));
    Grouper::new(
        Arc::clone(store),
        stream,
        shard.clone(),
        settings.clone(),
        default,
        Arc::new(|text: &str| rules(text).map(Arc::new)),
    )
}
