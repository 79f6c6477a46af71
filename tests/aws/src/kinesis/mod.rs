//! The stream's endpoint: `PutRecords`, `ListShards`, `GetShardIterator`, `GetRecords` and `DescribeStreamSummary` in
//! JSON 1.1, with the limits of the service's API reference.

mod api;
mod faults;
mod sequence;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use spanlake_testkit::Rng;

use crate::fault::Told;
use crate::log::Log;
use crate::wire::{Answer, Endpoint, Server};
pub use api::SentEntry;
use api::{ApiError, check_entries, describe, get_records, get_shard_iterator, list_shards, put_records, throttled};
pub use faults::{EntryFault, KinesisFault, KinesisFaults};
use sequence::Sequence;
use stream::Stream;
pub use stream::{HeldRecord, TwinShard};

/// Where the clock stands at first: 2026-08-01T00:00:00Z.
const FIRST_NANOS: i64 = 1_785_542_400_000_000_000;

/// What a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KinesisAction {
    /// `PutRecords`.
    PutRecords,
    /// `ListShards`.
    ListShards,
    /// `GetShardIterator`.
    GetShardIterator,
    /// `GetRecords`.
    GetRecords,
    /// `DescribeStreamSummary`.
    DescribeStreamSummary,
}

impl KinesisAction {
    fn of(request: &Request<Bytes>) -> Option<Self> {
        let target = request.headers().get("x-amz-target")?.to_str().ok()?;
        Some(match target.strip_prefix("Kinesis_20131202.")? {
            "PutRecords" => Self::PutRecords,
            "ListShards" => Self::ListShards,
            "GetShardIterator" => Self::GetShardIterator,
            "GetRecords" => Self::GetRecords,
            "DescribeStreamSummary" => Self::DescribeStreamSummary,
            _ => return None,
        })
    }
}

/// A call that was made. Calls that are not understood at all are not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KinesisCall {
    /// What was asked for.
    pub action: KinesisAction,
    /// The TCP connection that it came on; they count from 0.
    pub connection: u64,
    /// The entries of a `PutRecords` call within its limits; none otherwise.
    pub entries: Vec<SentEntry>,
    /// What happened to it.
    pub fault: KinesisFault,
}

struct State {
    stream: Stream,
    rng: Rng,
    faults: KinesisFaults,
    told: Told<KinesisAction, KinesisFault>,
    page_max: usize,
}

struct Shared {
    state: Mutex<State>,
    log: Log<KinesisCall>,
}

/// A stream of Kinesis behind an endpoint of its own, until it is dropped.
pub struct KinesisTwin {
    shared: Arc<Shared>,
    server: Server,
}

impl KinesisTwin {
    /// Serves a stream with open shards of even hash ranges, without faults, on the current tokio runtime.
    ///
    /// # Panics
    /// If the loopback interface has no free port.
    pub async fn start(stream: &str, shards: u16, seed: u64) -> Self {
        let stream = Stream::new(stream, shards, seed, FIRST_NANOS);
        let (faults, told) = (KinesisFaults::default(), Told::new());
        let state = State { stream, rng: Rng::new(seed), faults, told, page_max: usize::MAX };
        let shared = Arc::new(Shared { state: Mutex::new(state), log: Log::new() });
        let server = Server::start(Arc::clone(&shared)).await;
        Self { shared, server }
    }

    /// What a client takes for its endpoint: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Splits an open shard: the second child begins at hash key `at`. Answers the children, lower first, or `None` if no
    /// such split is possible.
    pub fn split(&self, shard: &str, at: u128) -> Option<[String; 2]> {
        self.shared.state().stream.split(shard, at)
    }

    /// Merges two open neighbours; the first is the child's `ParentShardId`. Answers the child, or `None` if they are not
    /// that.
    pub fn merge(&self, shard: &str, adjacent: &str) -> Option<String> {
        self.shared.state().stream.merge(shard, adjacent)
    }

    /// Takes records up to and with a sequence number away, as the end of their retention does; a closed shard without
    /// records is no longer listed and cannot be read. Does nothing if this is no sequence number of the stream.
    pub fn trim(&self, shard: &str, up_to: &str) {
        if let Some(up_to) = Sequence::parse(up_to) {
            self.shared.state().stream.trim(shard, up_to);
        }
    }

    /// Sets the time that stamps records, Unix nanoseconds. At first it is midnight UTC of 2026-08-01.
    pub fn set_now(&self, now_nanos: i64) {
        self.shared.state().stream.now_nanos = now_nanos;
    }

    /// A page of `ListShards` has at most so many shards, however many a client asks for.
    pub fn set_page_max(&self, shards: usize) {
        self.shared.state().page_max = shards.max(1);
    }

    /// Every shard that there ever was, as it truly is, in order of their ids.
    pub fn shards(&self) -> Vec<TwinShard> {
        self.shared.state().stream.views()
    }

    /// What a shard holds, in order.
    pub fn records(&self, shard: &str) -> Vec<HeldRecord> {
        let state = self.shared.state();
        let held = state.stream.shards.iter().find(|held| held.id == shard);
        held.map(|held| held.records.iter().map(|(_, record)| record.clone()).collect()).unwrap_or_default()
    }

    /// Puts a record on the stream as another producer would: without a call and without faults.
    pub fn push(&self, hash_key: u128, bytes: Bytes) {
        // Every hash key has its open shard.
        self.shared.state().stream.push(hash_key, "pushed".to_owned(), bytes);
    }

    /// Sets how often calls go wrong.
    pub fn set_faults(&self, faults: KinesisFaults) {
        self.shared.state().faults = faults;
    }

    /// What happens to the next call of this kind for which nothing was told yet.
    pub fn fault_next(&self, action: KinesisAction, fault: KinesisFault) {
        self.shared.state().told.push(action, fault);
    }

    /// Every call so far, in order of arrival.
    pub fn requests(&self) -> Vec<KinesisCall> {
        self.shared.log.all()
    }

    /// Returns when there have been so many calls.
    pub async fn wait_for_requests(&self, calls: usize) {
        self.shared.log.wait(calls).await;
    }

    /// How many TCP connections there have been.
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The fault of a call, and what it did.
    fn meet(&mut self, action: KinesisAction, input: &Value, entries: &[SentEntry]) -> (KinesisFault, Answer) {
        let drawn = self.faults.draw(&mut self.rng, action, entries.len());
        let fault = self.told.take(&action).unwrap_or(drawn);
        let answer = match fault {
            KinesisFault::Throttled => refuse(&throttled(action)),
            KinesisFault::InternalFailure => refuse(&ApiError::new(500, "InternalFailure", "told by a test")),
            KinesisFault::Unavailable => refuse(&ApiError::new(503, "ServiceUnavailable", "told by a test")),
            KinesisFault::LostRequest => Answer::Close,
            KinesisFault::NoAnswer { takes_effect: false } => Answer::Hold,
            KinesisFault::ExpiredIterator if action == KinesisAction::GetRecords => {
                refuse(&ApiError::new(400, "ExpiredIteratorException", "Iterator expired."))
            }
            KinesisFault::ExpiredToken if input.get("NextToken").is_some() => {
                refuse(&ApiError::new(400, "ExpiredNextTokenException", "The token has expired."))
            }
            _ => match (self.act(action, input, entries, &fault), &fault) {
                (_, KinesisFault::LostReply) => Answer::Close,
                (_, KinesisFault::NoAnswer { .. }) => Answer::Hold,
                (_, KinesisFault::Garbage) => Answer::Reply(reply(StatusCode::OK, Bytes::from_static(b"{\"Records\": [{"))),
                (Ok(output), KinesisFault::CutReply) => cut(reply(StatusCode::OK, output.to_string().into())),
                (Ok(output), _) => Answer::Reply(reply(StatusCode::OK, output.to_string().into())),
                (Err(error), _) => refuse(&error),
            },
        };
        (fault, answer)
    }

    fn act(
        &mut self,
        action: KinesisAction,
        input: &Value,
        entries: &[SentEntry],
        fault: &KinesisFault,
    ) -> Result<Value, ApiError> {
        match action {
            KinesisAction::PutRecords => {
                let failed = if let KinesisFault::Entries(failed) = fault { failed.as_slice() } else { &[] };
                let order = self.order(entries.len());
                Ok(put_records(&mut self.stream, entries, failed, &order))
            }
            KinesisAction::ListShards => {
                let stale_by = if let KinesisFault::StaleMap { reshards } = fault { *reshards } else { 0 };
                list_shards(&self.stream, input, stale_by, self.page_max)
            }
            KinesisAction::GetShardIterator => get_shard_iterator(&self.stream, input),
            KinesisAction::GetRecords => get_records(&self.stream, input, *fault == KinesisFault::EmptyRead),
            KinesisAction::DescribeStreamSummary => describe(&self.stream, input),
        }
    }

    /// In which order the entries of a call are stored.
    fn order(&mut self, entries: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..entries).collect();
        if self.rng.chance(self.faults.reordered) {
            for at in (1..entries).rev() {
                order.swap(at, self.rng.index(at + 1));
            }
        }
        order
    }
}

impl Endpoint for Shared {
    fn answer(&self, connection: u64, request: Request<Bytes>) -> Answer {
        let Some(action) = KinesisAction::of(&request) else {
            return refuse(&ApiError::new(400, "UnknownOperationException", "this action is not supported here"));
        };
        let Ok(input) = serde_json::from_slice::<Value>(request.body()) else {
            return refuse(&ApiError::new(400, "SerializationException", "the body is no JSON"));
        };
        let mut state = self.state();
        let entries = match action {
            KinesisAction::PutRecords => check_entries(&state.stream, &input),
            _ => Ok(Vec::new()),
        };
        let (entries, (fault, answer)) = match entries {
            Ok(entries) => {
                let met = state.meet(action, &input, &entries);
                (entries, met)
            }
            // What breaks a limit is refused, and no fault that was told is spent on it.
            Err(error) => (Vec::new(), (KinesisFault::Nothing, refuse(&error))),
        };
        // Still under the lock: the log is in the order of the effects.
        self.log.push(KinesisCall { action, connection, entries, fault });
        answer
    }
}

fn refuse(error: &ApiError) -> Answer {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer::Reply(reply(status, json!({"__type": error.code, "message": error.message}).to_string().into()))
}

fn cut(response: Response<Bytes>) -> Answer {
    let sent = response.body().len() / 2;
    Answer::Cut(response, sent)
}

fn reply(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-amz-json-1.1"));
    headers.insert("x-amzn-requestid", http::HeaderValue::from_static("00000000-0000-0000-0000-000000000000"));
    response
}
