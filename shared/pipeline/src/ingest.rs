//! Ingest: one OTLP/HTTP request to records on the stream, and the answer. No state.
//!
//! [`Ingest::admit`] looks at the head alone, so that a request without the token is refused before its body is read;
//! [`Ingest::handle`] does the rest. Who has several requests under way gives each to [`Ingest::prepare_small`] first, and what
//! that leaves to [`Ingest::prepare`], one at a time: so a few small bodies that inflate to the limit never take memory
//! together. The mapping of errors to HTTP statuses is here and nowhere else.

mod answer;
mod counts;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use spanlake_model::{BucketRange, Signal};
use spanlake_otlp::cut::{self, CUTTING_RULE, CutError, CutRecord};
use spanlake_otlp::inflate::{Coding, InflateError, Inflater};
use spanlake_otlp::json::{self, JsonError};
use spanlake_otlp::limits::{Limits, Rejected};
use spanlake_otlp::reply::Encoding;
use subtle::ConstantTimeEq;
use thiserror::Error;

pub use answer::refuse;
pub use counts::{IngestCounts, Refusals};

use crate::envelope::{Items, Part, RECORD_BYTES_MAX};
use crate::payload::{Dictionary, Payloads};
use crate::ports::{AppendError, Clock, EventStream, NewRecord};

/// A body that inflates to no more is prepared beside others.
const SMALL_BYTES_MAX: usize = 1 << 20;

/// Reserved: one tenant per deployment.
const TENANT: &str = "default";

/// Settings of ingest.
#[derive(Clone, Debug)]
pub struct IngestSettings {
    /// Bearer tokens, any of which admits; none: everybody is admitted.
    pub tokens: Vec<String>,
    /// The largest body, inflated.
    pub inflated_bytes_max: usize,
    /// Limits on what a request holds.
    pub limits: Limits,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self { tokens: Vec::new(), inflated_bytes_max: 16 << 20, limits: Limits::default() }
    }
}

/// Why a request is refused as a whole.
#[derive(Debug, Error)]
pub enum Refusal {
    /// No such path (404). The answer does not repeat it: it may hold a secret.
    #[error("no such path: send OTLP to /v1/traces, /v1/logs or /v1/metrics")]
    Path,
    /// Not POST (405).
    #[error("this method is not allowed: use POST")]
    Method,
    /// Missing or wrong token (401).
    #[error("missing or wrong token: send the header `authorization: Bearer <token>`, for example by OTEL_EXPORTER_OTLP_HEADERS")]
    Token,
    /// Neither protobuf nor JSON (415).
    #[error("content type must be application/x-protobuf or application/json")]
    ContentType,
    /// An encoding that is not offered (415).
    #[error("content encoding must be identity, gzip or zstd")]
    Encoding,
    /// The body does not inflate, or grows beyond the limit (400, 413).
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// The body is not OTLP, or beyond a limit (400, 413).
    #[error(transparent)]
    Cut(#[from] CutError),
    /// The body is not OTLP/JSON, or beyond a limit (400, 413).
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The stream did not take it (429, 503).
    #[error(transparent)]
    Stream(#[from] AppendError),
    /// A record came out larger than the stream takes (413).
    #[error("the request compresses too badly: send smaller batches")]
    RecordTooLarge,
}

/// The use case.
pub struct Ingest<S, C> {
    stream: Arc<S>,
    clock: C,
    settings: IngestSettings,
    token_hashes: RwLock<Vec<[u8; 32]>>,
    /// For small requests: as many as were ever prepared at the same time.
    workers: Mutex<Vec<Worker>>,
    /// Held while a large request is prepared.
    large: Mutex<()>,
    counts: Mutex<IngestCounts>,
}

/// Working memory of one request at a time.
struct Worker {
    inflater: Inflater,
    scratch: cut::Scratch,
    payloads: Option<Payloads>,
    body: Vec<u8>,
}

impl Worker {
    fn new() -> Self {
        Self { inflater: Inflater::new(), scratch: cut::Scratch::new(), payloads: Payloads::new().ok(), body: Vec::new() }
    }
}

/// What a request comes to before the stream has it.
struct Prepared {
    signal: Signal,
    encoding: Encoding,
    records: Vec<NewRecord>,
    accepted: u64,
    rejected: Rejected,
}

/// A request that is cut into records, or refused: [`Ingest::finish`] makes it an answer.
pub struct Ready(Result<Prepared, Refusal>);

impl<S: EventStream, C: Clock> Ingest<S, C> {
    /// Ingest onto `stream`.
    pub fn new(stream: Arc<S>, clock: C, settings: IngestSettings) -> Self {
        let token_hashes = RwLock::new(hashes(&settings.tokens));
        let (workers, counts) = (Mutex::new(Vec::new()), Mutex::new(IngestCounts::default()));
        Self { stream, clock, settings, token_hashes, workers, large: Mutex::new(()), counts }
    }

    /// From now on these tokens admit, and no others. None: everybody is admitted.
    pub fn set_tokens(&self, tokens: &[String]) {
        *self.token_hashes.write().unwrap_or_else(PoisonError::into_inner) = hashes(tokens);
    }

    /// Whether any token is asked for.
    pub fn has_tokens(&self) -> bool {
        !self.token_hashes.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether a request with this head may send its body.
    ///
    /// # Errors
    /// The answer, if it may not.
    pub fn admit(&self, parts: &Parts) -> Result<(), Box<Response<Bytes>>> {
        self.check(parts).map(drop).map_err(|refusal| Box::new(self.refused(parts, &refusal)))
    }

    /// Handles a whole request and answers it.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let ready = self.prepare_small(&parts, &body).unwrap_or_else(|| self.prepare(&parts, &body));
        self.finish(&parts, ready).await
    }

    /// The first half of [`Ingest::handle`]: checks, inflates, cuts and compresses. `None`: it takes more than a little
    /// memory, and is for [`Ingest::prepare`].
    pub fn prepare_small(&self, parts: &Parts, body: &[u8]) -> Option<Ready> {
        let what = match self.check(parts) {
            Ok(what) => what,
            Err(refusal) => return Some(Ready(Err(refusal))),
        };
        let mut worker = self.workers.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_else(Worker::new);
        let small_bytes_max = SMALL_BYTES_MAX.min(self.settings.inflated_bytes_max);
        // Whatever does not inflate goes on to the other half, whose larger buffer takes frames that this one refuses.
        let ready = match worker.inflater.inflate(what.2, body, small_bytes_max, &mut worker.body) {
            Ok(()) => Some(Ready(self.cut(&mut worker, what.0, what.1))),
            Err(_) => None,
        };
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        ready
    }

    /// As [`Ingest::prepare_small`], for a request of any size. One at a time: a further call waits, on its thread.
    pub fn prepare(&self, parts: &Parts, body: &[u8]) -> Ready {
        let _one = self.large.lock().unwrap_or_else(PoisonError::into_inner);
        // Its buffers go with it: they are many times those of other requests.
        let mut worker = Worker::new();
        Ready(self.check(parts).and_then(|(signal, encoding, coding)| {
            worker.inflater.inflate(coding, body, self.settings.inflated_bytes_max, &mut worker.body)?;
            self.cut(&mut worker, signal, encoding)
        }))
    }

    /// The second half of [`Ingest::handle`]: puts the records on the stream and answers.
    pub async fn finish(&self, parts: &Parts, ready: Ready) -> Response<Bytes> {
        let appended = match ready.0 {
            Ok(prepared) => self.append(prepared).await,
            Err(refusal) => Err(refusal),
        };
        match appended {
            Ok(prepared) => {
                self.count(|counts| counts.accept(prepared.signal, prepared.accepted, &prepared.rejected));
                answer::success(prepared.signal, prepared.encoding, &prepared.rejected)
            }
            Err(refusal) => self.refused(parts, &refusal),
        }
    }

    /// What was accepted and refused since the start.
    pub fn counts(&self) -> IngestCounts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn append(&self, mut prepared: Prepared) -> Result<Prepared, Refusal> {
        let records = std::mem::take(&mut prepared.records);
        if !records.is_empty() {
            // 200 only if every record is durable: a retry of the whole request is recognised by its batch id.
            for result in self.stream.append(records).await {
                result?;
            }
        }
        Ok(prepared)
    }

    /// The records of the worker's body.
    fn cut(&self, worker: &mut Worker, signal: Signal, encoding: Encoding) -> Result<Prepared, Refusal> {
        let mut rejected = Rejected::default();
        if encoding == Encoding::Json {
            let read = json::to_protobuf(signal, &worker.body, &self.settings.limits)?;
            rejected.merge(&read.rejected);
            worker.body = read.protobuf;
        }
        let request = cut::Request { signal, tenant: TENANT, body: &worker.body };
        let ranges: Vec<BucketRange> = self.stream.shards().into_iter().map(|shard| shard.range).collect();
        let cut = cut::cut(&request, &self.settings.limits, &ranges, &mut worker.scratch)?;
        rejected.merge(&cut.rejected);
        let received_nanos = self.clock.now_nanos();
        let mut records = Vec::with_capacity(cut.records.len());
        for record in cut.records {
            let (dictionary, payload) = compress(worker.payloads.as_mut(), &record.payload)?;
            let mut bytes = Vec::with_capacity(payload.len() + 64 + 4 * record.entries.len() + record.entry_of_item.len() * 2);
            envelope(signal, cut.batch_id, received_nanos, &record, (dictionary, &payload)).encode(&mut bytes);
            if bytes.len() > RECORD_BYTES_MAX {
                return Err(Refusal::RecordTooLarge);
            }
            let bucket = record.entries.first().map(|entry| entry.bucket).unwrap_or_default();
            records.push(NewRecord { bucket, bytes: bytes.into() });
        }
        Ok(Prepared { signal, encoding, records, accepted: cut.accepted, rejected })
    }

    fn check(&self, parts: &Parts) -> Result<(Signal, Encoding, Coding), Refusal> {
        let signal = match parts.uri.path() {
            "/v1/traces" => Signal::Traces,
            "/v1/logs" => Signal::Logs,
            "/v1/metrics" => Signal::Metrics,
            _ => return Err(Refusal::Path),
        };
        if parts.method != Method::POST {
            return Err(Refusal::Method);
        }
        self.check_token(parts)?;
        let encoding = answer::encoding_of(parts).ok_or(Refusal::ContentType)?;
        let mut codings = parts.headers.get_all(CONTENT_ENCODING).iter();
        let coding = match (codings.next(), codings.next()) {
            (None, _) => Coding::Identity,
            (Some(one), None) => one.to_str().ok().and_then(|text| Coding::parse(text).ok()).ok_or(Refusal::Encoding)?,
            _ => return Err(Refusal::Encoding),
        };
        Ok((signal, encoding, coding))
    }

    /// Compares hashes in constant time: neither a token nor how much of it was right shows in the answer's time.
    fn check_token(&self, parts: &Parts) -> Result<(), Refusal> {
        let known = self.token_hashes.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return Ok(());
        }
        let given = parts.headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes).unwrap_or_default();
        let scheme = given.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
        let token = if scheme { given.get(7..).unwrap_or_default() } else { &[] };
        let hash = *blake3::hash(token.trim_ascii()).as_bytes();
        let matches = known.iter().fold(0_u8, |matches, known| matches | known.ct_eq(&hash).unwrap_u8());
        if matches == 1 { Ok(()) } else { Err(Refusal::Token) }
    }

    fn refused(&self, parts: &Parts, refusal: &Refusal) -> Response<Bytes> {
        let response = answer::refusal(parts, refusal);
        let status = response.status();
        self.count(|counts| counts.refuse(status));
        response
    }

    /// Counts a refusal that the HTTP front made on its own.
    pub fn count_refusal(&self, status: StatusCode) {
        self.count(|counts| counts.refuse(status));
    }

    fn count(&self, count: impl FnOnce(&mut IngestCounts)) {
        count(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn hashes(tokens: &[String]) -> Vec<[u8; 32]> {
    tokens.iter().map(|token| *blake3::hash(token.as_bytes()).as_bytes()).collect()
}

fn compress(payloads: Option<&mut Payloads>, payload: &[u8]) -> Result<(Dictionary, Vec<u8>), Refusal> {
    let unavailable = || Refusal::Stream(AppendError::Unavailable { what: "no memory to compress".to_owned() });
    payloads.ok_or_else(unavailable)?.compress(payload).map_err(|_| unavailable())
}

fn envelope<'a>(
    signal: Signal,
    batch_id: spanlake_model::BatchId,
    received_nanos: i64,
    record: &CutRecord,
    (dictionary, payload): (Dictionary, &'a [u8]),
) -> Items<'a> {
    let part = |entry: &cut::Entry| Part { bucket: entry.bucket, part: entry.part, overflow: entry.overflow };
    Items {
        only: None,
        signal,
        tenant: TENANT,
        cutting_rule: CUTTING_RULE,
        batch_id,
        received_nanos,
        count: record.count,
        parts: record.entries.iter().map(part).collect(),
        part_of_item: record.entry_of_item.clone(),
        payload_bytes: record.payload.len(),
        dictionary,
        payload,
    }
}

/// The header's media type, without parameters, in lower case.
fn media_type(parts: &Parts) -> Option<String> {
    let value = parts.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}
