//! A request of the function's URL: tokens and shards that are young enough, then the use case, then what it counted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use spanlake_pipeline::ingest::{Ingest, IngestCounts, refuse};
use spanlake_pipeline::ports::Clock;

use crate::metrics::{Metrics, Unit, count};
use crate::{KinesisStream, SystemClock, Tokens};

/// How long counts may wait for the next request before they are written with it.
const WRITE_AFTER: Duration = Duration::from_secs(10);

/// After how many requests they are written anyhow: a line of the log costs as much as some requests.
const WRITE_REQUESTS: u64 = 100;

/// The ingest function.
pub struct Front {
    stream: Arc<KinesisStream>,
    ingest: Ingest<KinesisStream, SystemClock>,
    tokens: Tokens,
    metrics: Metrics,
    written: Mutex<(IngestCounts, SystemTime)>,
}

impl Front {
    /// In front of `ingest`, which puts records on `stream`.
    #[must_use]
    pub fn new(stream: Arc<KinesisStream>, ingest: Ingest<KinesisStream, SystemClock>, tokens: Tokens, metrics: Metrics) -> Self {
        let written = Mutex::new((IngestCounts::default(), SystemTime::UNIX_EPOCH));
        Self { stream, ingest, tokens, metrics, written }
    }

    /// Fetches tokens and shards at the same time, so that the first request need not.
    pub async fn warm(&self) {
        let (_, shards) = tokio::join!(self.renew(false), self.stream.freshen());
        if let Err(error) = shards {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the shards cannot be listed; the next request tries again"
            );
        }
    }

    /// Answers a request. Nothing goes on after the answer.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let response = self.handle(request).await;
        self.write(response.status());
        response
    }

    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let unavailable = |what: &str| {
            self.ingest.count_refusal(StatusCode::SERVICE_UNAVAILABLE);
            refuse(&parts, StatusCode::SERVICE_UNAVAILABLE, what)
        };
        if !self.renew(false).await {
            return unavailable("the tokens that admit requests cannot be read, try again");
        }
        let is_doubted = self.ingest.admit(&parts).is_err_and(|answer| answer.status() == StatusCode::UNAUTHORIZED);
        if is_doubted {
            self.renew(true).await;
        }
        if let Err(answer) = self.ingest.admit(&parts) {
            return *answer;
        }
        if let Err(error) = self.stream.freshen().await {
            tracing::error!(error = &error as &dyn std::error::Error, "the shards cannot be listed");
            return unavailable("the stream is out of reach, try again");
        }
        self.ingest.handle(Request::from_parts(parts, body)).await
    }

    /// Whether there are tokens. Without them nobody is admitted: an empty list would admit everybody.
    async fn renew(&self, is_doubted: bool) -> bool {
        match self.tokens.renewed(is_doubted).await {
            Ok(Some(tokens)) => self.ingest.set_tokens(&tokens),
            Ok(None) => {}
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the tokens cannot be read"),
        }
        self.ingest.has_tokens()
    }

    /// Writes what was counted since it was last written, at the latest with the first trouble.
    fn write(&self, status: StatusCode) {
        let counts = self.ingest.counts();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, at) = &*written;
        let requests = requests(&counts).saturating_sub(requests(before));
        let is_trouble = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let is_long_ago = SystemTime::now().duration_since(*at).is_ok_and(|since| since >= WRITE_AFTER);
        if !is_trouble && !is_long_ago && requests < WRITE_REQUESTS {
            return;
        }
        let refused =
            |counts: &IngestCounts, range: std::ops::Range<u16>| -> u64 { counts.refusals.range(range).map(|(_, n)| n).sum() };
        let since = |of: &dyn Fn(&IngestCounts) -> u64| count(of(&counts).saturating_sub(of(before)));
        self.metrics.write(
            SystemClock.now_nanos(),
            &[
                ("Requests", count(requests), Unit::Count),
                ("Items", since(&|counts| counts.accepted.iter().sum()), Unit::Count),
                ("RejectedItems", since(&|counts| counts.rejected.iter().sum()), Unit::Count),
                ("Refused4xx", since(&|counts| refused(counts, 400..429) + refused(counts, 430..500)), Unit::Count),
                ("Throttled", since(&|counts| refused(counts, 429..430)), Unit::Count),
                ("Unavailable", since(&|counts| refused(counts, 500..600)), Unit::Count),
            ],
        );
        *written = (counts, SystemTime::now());
    }
}

fn requests(counts: &IngestCounts) -> u64 {
    counts.requests + counts.refusals.values().sum::<u64>()
}
