//! The way of one request through the front: admitted by its header, read within its limits, handled.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::meter::UnderWay;
use super::{HEADER_BYTES_MAX, Handler, ServerLimits, grpc};

/// How long, and how many times its limit, a refused body is read on and thrown away: a client that still writes would
/// see a broken connection instead of the answer, and try again.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
const DISCARD_FACTOR: usize = 4;

/// What a request takes beside its head and its body, roughly.
const REQUEST_BYTES: usize = 4 << 10;

/// What a header takes beside its text (RFC 9113, section 6.5.2).
const HEADER_BYTES: usize = 32;

/// The room that is made for a body at first; as much again is made when it is full, whatever was announced.
const ROOM_BYTES: usize = 16 << 10;

/// What all connections share.
pub(super) struct Front<H> {
    handler: Arc<H>,
    limits: ServerLimits,
    secure: bool,
    /// One permit for each byte of a request in memory.
    in_flight: Arc<Semaphore>,
    /// One permit for each connection.
    slots: Arc<Semaphore>,
}

/// Why the front refuses a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    TooLarge,
    TooSlow,
    Broken,
    Overload,
}

impl<H: Handler> Front<H> {
    pub(super) fn new(handler: Arc<H>, limits: ServerLimits, secure: bool) -> Self {
        let largest = limits.body_bytes_max.saturating_add(HEADER_BYTES_MAX as usize + REQUEST_BYTES);
        let in_flight = Arc::new(Semaphore::new(limits.in_flight_bytes_max.max(largest).min(Semaphore::MAX_PERMITS)));
        let slots = Arc::new(Semaphore::new(limits.connections_max));
        Self { handler, limits, secure, in_flight, slots }
    }

    pub(super) const fn limits(&self) -> &ServerLimits {
        &self.limits
    }

    /// What connections take their slots from.
    pub(super) const fn slots(&self) -> &Arc<Semaphore> {
        &self.slots
    }

    /// How much of the budget is taken.
    #[cfg(test)]
    pub(super) fn in_flight_bytes(&self) -> usize {
        self.limits.in_flight_bytes_max - self.in_flight.available_permits()
    }

    /// Answers a request, which is under way as long as anything of it is read.
    pub(super) async fn answer(&self, request: Request<Incoming>, under_way: UnderWay) -> Response<Full<Bytes>> {
        let (parts, mut body) = request.into_parts();
        if grpc::asked(&parts) {
            return grpc::advice(&parts, self.secure).map(Full::new);
        }
        if let Err(refused) = self.handler.admit(&parts) {
            self.discard(&parts, body, under_way);
            return refused.map(Full::new);
        }
        let read = match self.share_of_head(&parts) {
            Ok(share) => timeout(self.limits.body_timeout, self.read(&mut body, share)).await.unwrap_or(Err(Refusal::TooSlow)),
            Err(refusal) => Err(refusal),
        };
        let answer = match read {
            // The share of the budget is held until the body has been handled.
            Ok((bytes, _share)) => self.handler.handle(Request::from_parts(parts, bytes)).await,
            Err(refusal) => {
                let answer = self.refuse(&parts, refusal);
                if matches!(refusal, Refusal::TooLarge | Refusal::Overload) {
                    self.discard(&parts, body, under_way);
                }
                answer
            }
        };
        answer.map(Full::new)
    }

    /// The whole body, and its share of the budget: the room that was made for what has arrived, never for what was
    /// announced. Else a few clients that announce much and send nothing would take all of it.
    async fn read(&self, body: &mut Incoming, mut share: OwnedSemaphorePermit) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
        let announced = body.size_hint();
        if announced.lower() > self.limits.body_bytes_max as u64 {
            return Err(Refusal::TooLarge);
        }
        let room_max = announced.exact().and_then(|exact| usize::try_from(exact).ok()).unwrap_or(self.limits.body_bytes_max);
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Refusal::Broken)?.into_data() else { continue };
            let length = whole.len() + data.len();
            if length > self.limits.body_bytes_max {
                return Err(Refusal::TooLarge);
            }
            if length > whole.capacity() {
                let room = whole.capacity().saturating_mul(2).max(ROOM_BYTES).min(room_max).max(length);
                share.merge(self.share(room - whole.capacity()).await?);
                if whole.is_empty() && announced.exact() == Some(length as u64) {
                    return Ok((data, share));
                }
                whole.reserve_exact(room - whole.len());
            }
            whole.extend_from_slice(&data);
        }
        Ok((whole.into(), share))
    }

    /// The head is in memory already, so it does not wait for its share.
    fn share_of_head(&self, parts: &Parts) -> Result<OwnedSemaphorePermit, Refusal> {
        let headers: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_BYTES).sum();
        let path = parts.uri.path_and_query().map_or(0, |path| path.as_str().len());
        let permits = u32::try_from(REQUEST_BYTES + headers + path).unwrap_or(u32::MAX);
        Arc::clone(&self.in_flight).try_acquire_many_owned(permits).map_err(|_| Refusal::Overload)
    }

    /// A body that finds no room is refused after a moment, which frees what it has: so bodies never wait for each other.
    async fn share(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let permits = u32::try_from(bytes).map_err(|_| Refusal::TooLarge)?;
        let share = timeout(self.limits.in_flight_wait, Arc::clone(&self.in_flight).acquire_many_owned(permits)).await;
        share.ok().and_then(Result::ok).ok_or(Refusal::Overload)
    }

    fn refuse(&self, parts: &Parts, refusal: Refusal) -> Response<Bytes> {
        let (status, message) = match refusal {
            Refusal::TooLarge => {
                let limit = self.limits.body_bytes_max;
                (
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("the body is over the limit of {limit} bytes as sent: send smaller batches"),
                )
            }
            Refusal::TooSlow => {
                let limit = self.limits.body_timeout.as_secs();
                (StatusCode::REQUEST_TIMEOUT, format!("the body did not arrive within {limit} s"))
            }
            Refusal::Broken => (StatusCode::BAD_REQUEST, "the body ended before its announced end".to_owned()),
            Refusal::Overload => (StatusCode::SERVICE_UNAVAILABLE, "too many requests are under way, try again".to_owned()),
        };
        let mut answer = self.handler.fault(parts, status, &message);
        if refusal == Refusal::Overload {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // The rest of the body would be read as the next request.
        if refusal == Refusal::TooSlow && parts.version < Version::HTTP_2 {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// Reads on what a client still writes, unless it waits to be asked for it.
    fn discard(&self, parts: &Parts, mut body: Incoming, under_way: UnderWay) {
        if body.is_end_stream() || parts.headers.contains_key(EXPECT) {
            return;
        }
        let mut left = self.limits.body_bytes_max.saturating_mul(DISCARD_FACTOR);
        let read_on = async move {
            while let Some(Ok(frame)) = body.frame().await {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                if bytes > left {
                    break;
                }
                left -= bytes;
            }
            drop(under_way);
        };
        tokio::spawn(timeout(DISCARD_TIMEOUT, read_on));
    }
}
