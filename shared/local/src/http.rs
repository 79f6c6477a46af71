//! The HTTP front: sockets, TLS and limits, before a handler that sees whole requests. HTTP/1.1 and HTTP/2, plain or TLS.
//!
//! Everything that a client can make big or slow has a limit here: connections, headers, bodies, all bodies together, and
//! the time that each takes. Not for routes, tokens or what a body means: that is the handler's.

mod grpc;
mod meter;
mod request;
#[cfg(test)]
mod tests;
mod tls;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use meter::{Activity, Metered, UnderWay};
use request::Front;
pub use tls::{Tls, TlsError};

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Looks at a request before its body is read: the answer of an error is sent at once.
    fn admit(&self, parts: &Parts) -> Result<(), Box<Response<Bytes>>>;

    /// Answers a whole request.
    fn handle(&self, request: Request<Bytes>) -> impl Future<Output = Response<Bytes>> + Send;

    /// The answer to a request that the front itself refuses: 400, 408, 413 or 503, in the request's own encoding.
    fn fault(&self, parts: &Parts, status: StatusCode, message: &str) -> Response<Bytes>;
}

/// What the front allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// A body as it is sent, compressed or not.
    pub body_bytes_max: usize,
    /// From the end of a request's header to the end of its body.
    pub body_timeout: Duration,
    /// For a TLS handshake.
    pub handshake_timeout: Duration,
    /// For a request's header to arrive, and for a connection without a request.
    pub idle_timeout: Duration,
    /// The same while every connection is taken: who does nothing makes room.
    pub pressed_idle_timeout: Duration,
    /// Open connections; more wait until one is closed.
    pub connections_max: usize,
    /// All requests that are being read or handled, together: heads, and bodies as far as they have arrived. At least one
    /// request of the largest size is let in.
    pub in_flight_bytes_max: usize,
    /// How long a body waits for its share of that. A head does not wait.
    pub in_flight_wait: Duration,
    /// How long requests under way may take when the server stops.
    pub shutdown_grace: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 4 << 20,
            body_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(1),
            pressed_idle_timeout: Duration::from_secs(1),
            connections_max: 512,
            in_flight_bytes_max: 32 << 20,
            in_flight_wait: Duration::from_millis(250),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

/// A header larger than this is refused: it is in memory before the front can count it. Also what HTTP/1.1 reads of a body
/// at once.
const HEADER_BYTES_MAX: u32 = 16 << 10;

/// How many requests an HTTP/2 connection may have under way: so many heads are in memory.
const STREAMS_MAX: u32 = 16;

/// What an HTTP/2 connection may have in memory before the front has read it, and before the client has.
const WINDOW_BYTES: u32 = 64 << 10;
const SEND_BYTES_MAX: usize = 16 << 10;

/// How long to wait after the system could not give a connection: mostly it has too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is done, then lets requests under way come to their end.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    tls: Option<Tls>,
    handler: Arc<H>,
    limits: ServerLimits,
    shutdown: impl Future<Output = ()>,
) {
    let front = Arc::new(Front::new(handler, limits, tls.is_some()));
    let slots = Arc::clone(front.slots());
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, slot) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => {
                note_panic(ended);
                continue;
            }
            accepted = accept(&listener, &slots) => accepted,
        };
        connections.spawn(connection(stream, tls.clone(), Arc::clone(&front), stopping.clone(), slot));
    }
    drop(listener);
    stop.send_replace(true);
    let rest = async {
        while let Some(ended) = connections.join_next().await {
            note_panic(ended);
        }
    };
    if timeout(limits.shutdown_grace, rest).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests under way were cut off by the shutdown");
        connections.shutdown().await;
    }
}

fn note_panic(ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("a connection was lost to a panic");
    }
}

/// The next connection, once there is a slot for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let Ok(slot) = Arc::clone(slots).acquire_owned().await else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection<H: Handler>(
    stream: TcpStream,
    tls: Option<Tls>,
    front: Arc<Front<H>>,
    stopping: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch off delays");
    }
    let Some(tls) = tls else { return converse(stream, front, stopping).await };
    match timeout(front.limits().handshake_timeout, tls.accept(stream)).await {
        Ok(Ok(stream)) => converse(stream, front, stopping).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// Answers the requests of one connection.
async fn converse<S, H>(stream: S, front: Arc<Front<H>>, mut stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let limits = *front.limits();
    let activity = Arc::new(Activity::default());
    let io = TokioIo::new(Metered::new(stream, Arc::clone(&activity)));
    let seen = Arc::clone(&activity);
    let slots = Arc::clone(front.slots());
    let service = service_fn(move |request: Request<Incoming>| {
        let (front, under_way) = (Arc::clone(&front), UnderWay::begin(&seen));
        async move { Ok::<_, Infallible>(front.answer(request, under_way).await) }
    });
    let builder = builder(&limits);
    let mut conversation = pin!(builder.serve_connection(io, service));
    let (mut begun, mut idle) = (0, Duration::ZERO);
    let look_every = limits.pressed_idle_timeout.min(limits.idle_timeout);
    let mut stops = false;
    loop {
        let turn = poll_fn(|context| {
            activity.begin_turn();
            conversation.as_mut().poll(context)
        });
        tokio::select! {
            ended = turn => {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection ended early");
                }
                return;
            }
            _ = stopping.wait_for(|stop| *stop), if !stops => {
                stops = true;
                conversation.as_mut().graceful_shutdown();
            }
            // Also covers what the protocol's own timeout does not: the first bytes, and HTTP/2.
            () = sleep(look_every) => {
                idle = if activity.is_idle_since(&mut begun) { idle + look_every } else { Duration::ZERO };
                let is_pressed = !idle.is_zero() && slots.available_permits() == 0;
                if is_pressed || idle >= limits.idle_timeout {
                    return;
                }
            }
        }
    }
}

fn builder(limits: &ServerLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let mut http1 = builder.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(limits.idle_timeout).max_buf_size(HEADER_BYTES_MAX as usize);
    let mut http2 = builder.http2();
    http2.timer(TokioTimer::new()).max_header_list_size(HEADER_BYTES_MAX).max_concurrent_streams(STREAMS_MAX);
    http2.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
    http2.max_send_buf_size(SEND_BYTES_MAX);
    builder
}
