//! The whole pipeline on the memory twins, from requests to Parquet. Whatever it answers and stores is searched at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use spanlake_model::{NANOS_PER_SECOND, Sequence, Signal};
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::envelope::heartbeat;
use spanlake_pipeline::group::Grouper;
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::inspect::overview;
use spanlake_pipeline::ledger::Ledger;
use spanlake_pipeline::lineage::Heartbeats;
use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::Rules;
use spanlake_testkit::{Faults, SimClock, SimStore, SimStream};

use super::scan::{self, Seen};
use crate::drive::{START_NANOS, block_on, rules};

/// Raw bytes of items in one set of lake files.
const FILE_BYTES: u64 = 4 << 20;

pub(super) struct World {
    pub(super) stream: Arc<SimStream>,
    pub(super) store: Arc<SimStore>,
    pub(super) looked: Seen,
    /// What was found; empty unless something leaks.
    pub(super) leaks: Vec<String>,
    ingest: Ingest<SimStream, SimClock>,
    rules: Arc<Rules>,
    groupers: BTreeMap<String, (Grouper<SimStore, SimStream>, Sequence)>,
    archiver: Archiver<SimStore>,
    searched: BTreeMap<String, Bytes>,
    now: i64,
}

impl World {
    pub(super) fn new(rules_text: &str, shards: u16) -> Self {
        Self::with(rules_text, shards, IngestSettings::default(), 0, Faults::default())
    }

    pub(super) fn with(rules_text: &str, shards: u16, settings: IngestSettings, seed: u64, faults: Faults) -> Self {
        let stream = Arc::new(SimStream::new(seed, shards, 0));
        stream.set_now(START_NANOS);
        let store = Arc::new(SimStore::new(seed, faults));
        let ingest = Ingest::new(Arc::clone(&stream), SimClock::default(), settings);
        let archiver = Archiver::new(Arc::clone(&store), FILE_BYTES);
        let rules = Arc::new(rules(rules_text).unwrap());
        let (groupers, searched) = (BTreeMap::new(), BTreeMap::new());
        let (looked, leaks) = (Seen::default(), Vec::new());
        Self { stream, store, looked, leaks, ingest, rules, groupers, archiver, searched, now: START_NANOS }
    }

    /// Sends a request and searches the answer.
    pub(super) fn send(&mut self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let answer = match self.ingest.admit(&parts) {
            Ok(()) => block_on(self.ingest.handle(Request::from_parts(parts, body))),
            Err(refusal) => *refusal,
        };
        let shown = format!("{:?} {}", answer.headers(), String::from_utf8_lossy(answer.body()));
        self.leaks.extend(scan::plain(shown.as_bytes()).map(|found| format!("answer {}: {found}", answer.status())));
        self.leaks.extend(scan::plain(answer.body()).map(|found| format!("answer {}: {found}", answer.status())));
        answer
    }

    /// Sends a protobuf body; returns the status.
    pub(super) fn post(&mut self, signal: Signal, body: impl Into<Bytes>) -> u16 {
        let request = Request::post(format!("/v1/{}", signal.name())).header("content-type", "application/x-protobuf");
        self.send(request.body(body.into()).unwrap()).status().as_u16()
    }

    /// Sends a protobuf body; returns the first record of the stream.
    pub(super) fn record(&mut self, signal: Signal, body: impl Into<Bytes>) -> Bytes {
        assert_eq!(self.post(signal, body), 200);
        let shard = self.stream.all_shards().remove(0);
        self.stream.records(&shard.id, Sequence::ZERO, 1).remove(0).bytes
    }

    /// Time goes on; everything on the stream is grouped, what is due is decided and archived, and all of it searched.
    pub(super) fn round(&mut self, seconds: i64) {
        self.now += seconds * NANOS_PER_SECOND;
        self.stream.set_now(self.now);
        self.store.set_now(self.now);
        drop(block_on(Heartbeats::new(Arc::clone(&self.store), Arc::clone(&self.stream)).beat("")));
        for shard in 0..self.stream.open_shards().len() {
            self.stream.push(shard, heartbeat(""));
        }
        for shard in self.stream.all_shards() {
            let (store, stream, default) = (&self.store, &self.stream, &self.rules);
            let (grouper, watermark) = self.groupers.entry(shard.id.clone()).or_insert_with(|| {
                let compile = Arc::new(|text: &str| rules(text).map(Arc::new));
                let (store, stream, settings) = (Arc::clone(store), Arc::clone(stream), GroupSettings::default());
                (Grouper::new(store, stream, shard.clone(), settings, Arc::clone(default), compile), Sequence::ZERO)
            });
            let records = stream.records(&shard.id, *watermark, usize::MAX);
            match block_on(grouper.handle(&records)) {
                Ok(handled) => *watermark = handled.watermark,
                Err(error) => self.leaks.extend(scan::plain(format!("{error:?} {error}").as_bytes())),
            }
            self.search();
        }
        if let Err(error) = block_on(self.archiver.run()) {
            self.leaks.extend(scan::plain(format!("{error:?} {error}").as_bytes()));
        }
        self.search();
    }

    /// Looks into every object that is new.
    fn search(&mut self) {
        let now = self.store.snapshot();
        for (key, bytes) in &now {
            if self.searched.get(key) != Some(bytes) {
                self.leaks.extend(scan::object(key, bytes, &mut self.looked));
            }
        }
        self.searched.extend(now);
    }

    /// Why policies voted as they did, by policy, as the lake tells it.
    pub(super) fn explained(&self) -> Vec<(String, String)> {
        let mut explained = Vec::new();
        for (key, bytes) in self.searched.iter().filter(|(key, _)| key.starts_with("lake/v1/decisions/")) {
            for row in SerializedFileReader::new(bytes.clone()).expect(key).get_row_iter(None).unwrap() {
                let row = row.unwrap();
                let Some((_, Field::MapInternal(reasons))) = row.get_column_iter().find(|(name, _)| *name == "vote_reasons")
                else {
                    continue;
                };
                explained.extend(reasons.entries().iter().filter_map(|(policy, reason)| match (policy, reason) {
                    (Field::Str(policy), Field::Str(reason)) => Some((policy.clone(), reason.clone())),
                    _ => None,
                }));
            }
        }
        explained
    }

    pub(super) fn ledger(&self) -> Ledger {
        block_on(overview(self.store.as_ref())).unwrap().ledger
    }

    /// Closes everything and archives it.
    pub(super) fn finish(&mut self) {
        self.store.set_faults(Faults::default());
        self.stream.set_faults(0);
        for _ in 0..8 {
            self.round(10);
        }
        for signal in Signal::ALL {
            assert_eq!(self.ledger().account(signal).pending, 0);
        }
    }

    /// Nothing was found, in objects that were really looked into.
    pub(super) fn assert_clean(&self) {
        let Seen { frames, pages, rows } = self.looked;
        assert!(frames > 0 && pages > 0 && rows > 0, "nothing was searched: {:?}", self.looked);
        let shown: Vec<_> = self.leaks.iter().take(40).collect();
        assert!(self.leaks.is_empty(), "{} leaks: {shown:#?}", self.leaks.len());
    }
}
