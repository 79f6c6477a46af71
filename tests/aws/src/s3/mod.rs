//! The store's endpoint: `PutObject`, `GetObject`, `HeadObject`, `DeleteObject`, `DeleteObjects`, `ListObjectsV2` and `ListObjectVersions`
//! with paths that begin with the bucket, as the service's API reference describes them.

mod date;
mod delete;
mod faults;
mod list;
mod object;
mod request;
mod store;
#[cfg(test)]
mod tests;
mod xml;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use spanlake_testkit::Rng;

use crate::fault::Told;
use crate::log::Log;
use crate::wire::{Answer, Endpoint, Server};
pub use faults::{S3Fault, S3Faults};
use request::{Call, S3Error};
pub use store::HeldVersion;
use store::Store;

/// Where the clock stands at first: 2026-08-01T00:00:00Z.
const FIRST_NANOS: i64 = 1_785_542_400_000_000_000;

/// What a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Action {
    /// `PutObject`.
    PutObject,
    /// `GetObject`.
    GetObject,
    /// `HeadObject`.
    HeadObject,
    /// `DeleteObject`.
    DeleteObject,
    /// `DeleteObjects`.
    DeleteObjects,
    /// `ListObjectsV2`.
    ListObjectsV2,
    /// `ListObjectVersions`.
    ListObjectVersions,
}

/// A call that was made. Calls that are not understood at all are not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Call {
    /// What was asked for.
    pub action: S3Action,
    /// The TCP connection that it came on; they count from 0.
    pub connection: u64,
    /// The bucket.
    pub bucket: String,
    /// The key; of a listing, the prefix.
    pub key: String,
    /// The version that was asked for.
    pub version: Option<String>,
    /// The headers `If-Match`, `If-None-Match` and `Range`, as they came.
    pub conditions: Vec<(String, String)>,
    /// How many bytes came with it.
    pub bytes: usize,
    /// What happened to it.
    pub fault: S3Fault,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
}

struct State {
    store: Store,
    rng: Rng,
    faults: S3Faults,
    told: Told<S3Action, S3Fault>,
}

struct Shared {
    state: Mutex<State>,
    log: Log<S3Call>,
}

/// Buckets of S3 behind an endpoint of their own, until it is dropped.
pub struct S3Twin {
    shared: Arc<Shared>,
    server: Server,
}

impl S3Twin {
    /// Serves empty buckets without versions, without faults, on the current tokio runtime.
    ///
    /// # Panics
    /// If the loopback interface has no free port.
    pub async fn start(buckets: &[&str], seed: u64) -> Self {
        let store = Store::new(buckets, seed, FIRST_NANOS);
        let state = State { store, rng: Rng::new(seed), faults: S3Faults::default(), told: Told::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), log: Log::new() });
        let server = Server::start(Arc::clone(&shared)).await;
        Self { shared, server }
    }

    /// What a client takes for its endpoint, with `force_path_style`: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// From now on every write of this bucket is a version of its own. What is there already has the version `null`.
    pub fn enable_versioning(&self, bucket: &str) {
        self.shared.state().store.enable_versioning(bucket);
    }

    /// Sets the time that stamps objects, Unix nanoseconds; clients are told whole seconds. At first it is midnight UTC of
    /// 2026-08-01.
    pub fn set_now(&self, now_nanos: i64) {
        self.shared.state().store.now_nanos = now_nanos;
    }

    /// A page of a listing has at most so many entries, however many a client asks for.
    pub fn set_page_max(&self, entries: usize) {
        self.shared.state().store.page_max = entries.clamp(1, store::PAGE_MAX);
    }

    /// Every object of a bucket, as a reader sees them now.
    pub fn objects(&self, bucket: &str) -> BTreeMap<String, Bytes> {
        self.shared.state().store.objects(bucket)
    }

    /// The versions of a key, newest first.
    pub fn versions(&self, bucket: &str, key: &str) -> Vec<HeldVersion> {
        self.shared.state().store.versions(bucket, key)
    }

    /// Writes an object as another writer would: without a call and without faults.
    pub fn put(&self, bucket: &str, key: &str, bytes: Bytes) {
        self.shared.state().store.put(bucket, key, bytes);
    }

    /// Takes a key away with all its versions, as an operator's mistake would. Answers whether there was one.
    pub fn lose(&self, bucket: &str, key: &str) -> bool {
        self.shared.state().store.lose(bucket, key)
    }

    /// From now on an object cannot be deleted, as if a policy denied it.
    pub fn deny_delete(&self, bucket: &str, key: &str) {
        self.shared.state().store.deny_delete(bucket, key);
    }

    /// Sets how often calls go wrong.
    pub fn set_faults(&self, faults: S3Faults) {
        self.shared.state().faults = faults;
    }

    /// What happens to the next call of this kind for which nothing was told yet.
    pub fn fault_next(&self, action: S3Action, fault: S3Fault) {
        self.shared.state().told.push(action, fault);
    }

    /// Every call so far, in order of arrival.
    pub fn requests(&self) -> Vec<S3Call> {
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
    fn meet(&mut self, call: &Call) -> (S3Fault, Answer) {
        let drawn = self.faults.draw(&mut self.rng, call.action);
        let fault = self.told.take(&call.action).unwrap_or(drawn);
        let refuse = |status, code| Answer::Reply(S3Error::new(status, code, "told by a test").answer(call.action));
        let answer = match fault {
            S3Fault::SlowDown => refuse(503, "SlowDown"),
            S3Fault::InternalError => refuse(500, "InternalError"),
            S3Fault::Denied => refuse(403, "AccessDenied"),
            S3Fault::Conflict if call.is_conditional_write() => refuse(409, "ConditionalRequestConflict"),
            S3Fault::LostRequest => Answer::Close,
            S3Fault::NoAnswer { takes_effect: false } => Answer::Hold,
            _ => {
                let response = self.act(call).unwrap_or_else(|error| error.answer(call.action));
                spoil(response, fault)
            }
        };
        (fault, answer)
    }

    fn act(&mut self, call: &Call) -> Result<Response<Bytes>, S3Error> {
        let store = &mut self.store;
        match call.action {
            S3Action::PutObject => object::put(store, call),
            S3Action::GetObject | S3Action::HeadObject => object::get(store, call),
            S3Action::DeleteObject => object::delete(store, call),
            S3Action::DeleteObjects => delete::objects(store, call),
            S3Action::ListObjectsV2 => list::objects(store, call),
            S3Action::ListObjectVersions => list::versions(store, call),
        }
    }
}

/// Does to an answer what this fault does once a call took effect.
fn spoil(response: Response<Bytes>, fault: S3Fault) -> Answer {
    let bytes = response.body().len();
    let is_success = response.status().is_success();
    match fault {
        S3Fault::LostReply => Answer::Close,
        S3Fault::NoAnswer { .. } => Answer::Hold,
        S3Fault::CutReply if bytes > 0 => Answer::Cut(response, bytes / 2),
        S3Fault::Corrupted if is_success => Answer::Reply(response.map(|body| {
            let mut body = body.to_vec();
            body.get_mut(bytes / 2).into_iter().for_each(|byte| *byte ^= 1);
            body.into()
        })),
        _ => Answer::Reply(response),
    }
}

impl Endpoint for Shared {
    fn answer(&self, connection: u64, request: Request<Bytes>) -> Answer {
        let call = match Call::read(&request) {
            Ok(call) => call,
            Err((action, error)) => return Answer::Reply(error.answer(action)),
        };
        let mut state = self.state();
        let (fault, mut answer) = state.meet(&call);
        let status = match &mut answer {
            Answer::Reply(response) | Answer::Cut(response, _) => {
                response.headers_mut().insert("x-amz-request-id", HeaderValue::from_static("0000000000000000"));
                Some(response.status().as_u16())
            }
            Answer::Close | Answer::Hold => None,
        };
        // Still under the lock: the log is in the order of the effects.
        let Call { action, bucket, key, version, conditions, body, .. } = call;
        self.log.push(S3Call { action, connection, bucket, key, version, conditions, bytes: body.len(), fault, status });
        answer
    }
}

fn respond(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
