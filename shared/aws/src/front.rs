//! A request of the function's URL: tokens and shards that are young enough, then the use case, then what it counted.

#[cfg(test)]
mod tests;

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
        // At the same time: an environment's first request waits for both.
        let (_, fresh) = tokio::join!(self.renew(false), self.stream.freshen());
        // An empty list of tokens would admit everybody.
        if !self.ingest.has_tokens() {
            return unavailable("the tokens that admit requests cannot be read, try again");
        }
        let mut admitted = self.ingest.admit(&parts);
        let is_unknown = admitted.as_ref().is_err_and(|answer| answer.status() == StatusCode::UNAUTHORIZED);
        if is_unknown && self.renew(true).await {
            admitted = self.ingest.admit(&parts);
        }
        if let Err(answer) = admitted {
            return *answer;
        }
        if let Err(error) = fresh {
            tracing::error!(error = &error as &dyn std::error::Error, "the shards cannot be listed");
            return unavailable("the stream is out of reach, try again");
        }
        self.ingest.handle(Request::from_parts(parts, body)).await
    }

    /// Reads the tokens if it is time to; returns whether they were read.
    async fn renew(&self, is_doubted: bool) -> bool {
        match self.tokens.renewed(is_doubted).await {
            Ok(Some(tokens)) => {
                self.ingest.set_tokens(&tokens);
                return true;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the tokens cannot be read"),
        }
        false
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
