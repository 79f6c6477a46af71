//! What answers the HTTP server's requests: ingest, with large requests one after the other on a thread of their own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use spanlake_local::Handler;
use spanlake_pipeline::ingest::{Ready, refuse};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::runtime::LocalIngest;

/// How long a large request waits for those before it: beyond that its client does better to come again.
const LARGE_WAIT: Duration = Duration::from_secs(5);

/// The handler. A few kilobytes may inflate to the limit, so it is not the front's budget that bounds what large requests
/// take together, but that there is one of them at a time. Those that wait have only their bodies.
pub(crate) struct Front {
    ingest: Arc<LocalIngest>,
    large: Arc<Semaphore>,
}

impl Front {
    /// In front of `ingest`.
    pub(crate) fn new(ingest: Arc<LocalIngest>) -> Self {
        Self { ingest, large: Arc::new(Semaphore::new(1)) }
    }

    /// `None` if there are too many before it.
    async fn prepare_large(&self, parts: &Parts, body: Bytes) -> Option<Ready> {
        let turn = timeout(LARGE_WAIT, Arc::clone(&self.large).acquire_owned()).await.ok()?.ok()?;
        let (ingest, parts) = (Arc::clone(&self.ingest), parts.clone());
        let prepared = spawn_blocking(move || {
            let ready = ingest.prepare(&parts, &body);
            drop(turn);
            ready
        });
        match prepared.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(ready) => Some(ready),
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(_)) => None,
        }
    }
}

impl Handler for Front {
    fn admit(&self, parts: &Parts) -> Result<(), Box<Response<Bytes>>> {
        self.ingest.admit(parts)
    }

    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let ready = match self.ingest.prepare_small(&parts, &body) {
            None => self.prepare_large(&parts, body).await,
            ready => ready,
        };
        match ready {
            Some(ready) => self.ingest.finish(&parts, ready).await,
            None => self.fault(&parts, StatusCode::SERVICE_UNAVAILABLE, "too many large requests are under way, try again"),
        }
    }

    fn fault(&self, parts: &Parts, status: StatusCode, message: &str) -> Response<Bytes> {
        self.ingest.count_refusal(status);
        refuse(parts, status, message)
    }
}
