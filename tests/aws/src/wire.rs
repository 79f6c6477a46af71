//! The HTTP/1.1 under both endpoints: whole requests in, and answers that may be cut short, held back or never sent.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// A larger body ends the connection: 10 MiB of records are 14 MiB in base64.
const BODY_BYTES_MAX: usize = 64 << 20;

/// What a client gets.
pub(crate) enum Answer {
    /// This, whole.
    Reply(Response<Bytes>),
    /// The head, so many bytes of the body, and the end of the connection. The head tells the body's full length.
    Cut(Response<Bytes>, usize),
    /// The end of the connection.
    Close,
    /// Nothing, for as long as the client keeps the connection.
    Hold,
}

/// What answers requests.
pub(crate) trait Endpoint: Send + Sync + 'static {
    /// Answers a request that came on this connection. Connections count from 0.
    fn answer(&self, connection: u64, request: Request<Bytes>) -> Answer;
}

/// A listening endpoint; it ends with all its connections when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Server {
    /// Serves on a free port of the loopback interface, on the current runtime.
    ///
    /// # Panics
    /// If there is no such port.
    pub(crate) async fn start(endpoint: Arc<impl Endpoint>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("the loopback interface has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let accepted = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(accept(listener, endpoint, Arc::clone(&accepted))).abort_handle();
        Self { address, accepted, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<E: Endpoint>(listener: TcpListener, endpoint: Arc<E>, accepted: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            Ok((stream, _)) = listener.accept() => {
                let connection = accepted.fetch_add(1, Ordering::Relaxed);
                connections.spawn(converse(stream, connection, Arc::clone(&endpoint)));
            }
        }
    }
}

/// Why a connection ends without an answer.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

async fn converse<E: Endpoint>(stream: TcpStream, connection: u64, endpoint: Arc<E>) {
    // Small answers would otherwise wait for the client's acknowledgement; without it they only come later.
    stream.set_nodelay(true).unwrap_or_default();
    let service = service_fn(move |request: Request<Incoming>| {
        let endpoint = Arc::clone(&endpoint);
        async move { respond(&*endpoint, connection, request).await }
    });
    // An error here is a client that has gone, or one of our own cuts.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.unwrap_or_default();
}

async fn respond(
    endpoint: &impl Endpoint,
    connection: u64,
    request: Request<Incoming>,
) -> Result<Response<Either<Full<Bytes>, CutBody>>, Closed> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|_| Closed)?.to_bytes();
    match endpoint.answer(connection, Request::from_parts(parts, body)) {
        Answer::Reply(response) => Ok(response.map(|bytes| Either::Left(Full::new(bytes)))),
        Answer::Cut(mut response, sent) => {
            let full = response.body().len();
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(full));
            Ok(response
                .map(|bytes| Either::Right(CutBody { full, rest: Some(bytes.slice(..sent.min(full))), is_flushed: false })))
        }
        Answer::Close => Err(Closed),
        Answer::Hold => std::future::pending().await,
    }
}

/// A body that breaks off.
struct CutBody {
    full: usize,
    rest: Option<Bytes>,
    is_flushed: bool,
}

impl Body for CutBody {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        if let Some(bytes) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if !self.is_flushed {
            // The connection sends what it has when a body pends, and throws it away when a body fails.
            self.is_flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Closed)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.full as u64)
    }
}

/// Both bodies have one error type.
impl From<Infallible> for Closed {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
