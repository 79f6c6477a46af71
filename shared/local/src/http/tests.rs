use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::{BodyExt, Full};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::*;

/// Answers with the length of the body; `/wait` only when it is let go, `/panic` never.
struct Echo {
    entered: Semaphore,
    let_go: Semaphore,
    handled: AtomicU64,
}

impl Echo {
    fn new() -> Arc<Self> {
        Arc::new(Self { entered: Semaphore::new(0), let_go: Semaphore::new(0), handled: AtomicU64::new(0) })
    }

    async fn is_entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }
}

impl Handler for Echo {
    fn admit(&self, parts: &Parts) -> Result<(), Box<Response<Bytes>>> {
        if parts.headers.contains_key("x-stranger") {
            return Err(Box::new(Response::builder().status(401).body(Bytes::from_static(b"who?")).unwrap()));
        }
        Ok(())
    }

    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.handled.fetch_add(1, Ordering::Relaxed);
        self.entered.add_permits(1);
        match request.uri().path() {
            "/wait" => self.let_go.acquire().await.unwrap().forget(),
            "/panic" => panic!("as asked"),
            _ => {}
        }
        Response::new(Bytes::from(format!("{} bytes", request.body().len())))
    }

    fn fault(&self, _: &Parts, status: StatusCode, message: &str) -> Response<Bytes> {
        let body = Bytes::copy_from_slice(message.as_bytes());
        Response::builder().status(status).header("x-fault", "yes").body(body).unwrap()
    }
}

fn limits() -> ServerLimits {
    ServerLimits { body_bytes_max: 1000, ..ServerLimits::default() }
}

fn front(limits: ServerLimits) -> (Arc<Echo>, Arc<Front<Echo>>) {
    let echo = Echo::new();
    (Arc::clone(&echo), Arc::new(Front::new(echo, limits, false)))
}

/// A connection without sockets, so that time can stand still.
fn connect(front: &Arc<Front<Echo>>) -> DuplexStream {
    let (client, server) = duplex(64 << 10);
    let (stop, stopping) = watch::channel(false);
    let front = Arc::clone(front);
    tokio::spawn(async move {
        converse(server, front, stopping).await;
        drop(stop);
    });
    client
}

async fn send(client: &mut (impl AsyncWrite + Unpin), text: &str) {
    client.write_all(text.as_bytes()).await.unwrap();
}

/// The next answer as text; empty if the connection ends before.
async fn answer(client: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => text.push(byte),
            Err(_) => return String::new(),
        }
    }
    let header = String::from_utf8(text).unwrap();
    let length = header.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    client.read_exact(&mut body).await.unwrap();
    header + std::str::from_utf8(&body).unwrap()
}

fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whole_bodies_reach_the_handler_over_one_connection() {
    let (_, front) = front(limits());
    let mut client = connect(&front);
    send(&mut client, &post("/", "hello")).await;
    has(&answer(&mut client).await, &["200 OK", "5 bytes"]);
    send(&mut client, "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n").await;
    has(&answer(&mut client).await, &["200 OK", "7 bytes"]);
    send(&mut client, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    has(&answer(&mut client).await, &["200 OK", "0 bytes"]);
    send(&mut client, &post("/", &"x".repeat(1000))).await;
    has(&answer(&mut client).await, &["200 OK", "1000 bytes"]);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_refused_before_the_body_is_read() {
    let (echo, front) = front(limits());
    let mut client = connect(&front);
    send(&mut client, "POST / HTTP/1.1\r\nhost: x\r\nx-stranger: 1\r\ncontent-length: 500\r\n\r\n").await;
    has(&answer(&mut client).await, &["401", "who?"]);
    assert_eq!(echo.handled.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_refused_with_the_limit_named() {
    let (echo, front) = front(limits());
    let mut client = connect(&front);
    send(&mut client, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n").await;
    has(&answer(&mut client).await, &["413", "x-fault", "1000 bytes"]);
    // What the client writes on is read, so that it sees the answer and can go on.
    send(&mut client, &"x".repeat(1001)).await;
    send(&mut client, &post("/", "next")).await;
    has(&answer(&mut client).await, &["200 OK", "4 bytes"]);

    let mut chunked = connect(&front);
    send(&mut chunked, "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for _ in 0..2 {
        send(&mut chunked, &format!("1f5\r\n{}\r\n", "x".repeat(501))).await;
    }
    has(&answer(&mut chunked).await, &["413", "1000 bytes"]);
    assert_eq!(echo.handled.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_to_be_asked_is_not_asked_for_a_refused_body() {
    let (_, front) = front(limits());
    let mut client = connect(&front);
    send(&mut client, "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1001\r\n\r\n").await;
    has(&answer(&mut client).await, &["413"]);
    let mut client = connect(&front);
    send(&mut client, "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    has(&answer(&mut client).await, &["100 Continue"]);
    send(&mut client, "ok").await;
    has(&answer(&mut client).await, &["200 OK", "2 bytes"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_given_up() {
    let (echo, front) = front(limits());
    let mut client = connect(&front);
    let start = Instant::now();
    send(&mut client, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345").await;
    has(&answer(&mut client).await, &["408", "connection: close", "30 s"]);
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(answer(&mut client).await, "", "the connection is closed");
    assert_eq!(echo.handled.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn connections_that_do_nothing_are_closed() {
    let (_, front) = front(limits());
    // Nothing; what could begin HTTP/2; half a header; a whole request before.
    for (begun, answered) in [("", false), ("PRI", false), ("POST / HT", false), (post("/", "x").as_str(), true)] {
        let mut client = connect(&front);
        let start = Instant::now();
        send(&mut client, begun).await;
        assert_eq!(!answer(&mut client).await.is_empty(), answered, "{begun:?}");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert!((60..=120).contains(&start.elapsed().as_secs()), "{begun:?}: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_do_nothing_make_room_when_every_slot_is_taken() {
    let (echo, front) = front(ServerLimits { connections_max: 3, ..limits() });
    let _slots = Arc::clone(front.slots()).acquire_many_owned(3).await.unwrap();
    let (mut busy, mut silent, mut slow) = (connect(&front), connect(&front), connect(&front));
    send(&mut busy, &post("/wait", "x")).await;
    echo.is_entered().await;
    send(&mut slow, "POST / HT").await;
    let start = Instant::now();
    for idle in [&mut silent, &mut slow] {
        assert_eq!(answer(idle).await, "");
        assert!(start.elapsed().as_secs() <= 2, "{:?}", start.elapsed());
    }
    echo.let_go.add_permits(1);
    has(&answer(&mut busy).await, &["200 OK", "1 bytes"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_long_is_no_idle_connection() {
    let (echo, front) = front(limits());
    let mut client = connect(&front);
    send(&mut client, &post("/wait", "x")).await;
    echo.is_entered().await;
    tokio::time::advance(Duration::from_mins(10)).await;
    echo.let_go.add_permits(1);
    has(&answer(&mut client).await, &["200 OK"]);
}

#[tokio::test(start_paused = true)]
async fn all_requests_together_have_one_budget() {
    // There is room for one request with the largest body and the largest head: 20 KiB more than the body.
    let (echo, front) = front(ServerLimits { in_flight_bytes_max: 1, body_bytes_max: 200_000, ..limits() });
    let mut first = connect(&front);
    send(&mut first, &post("/wait", &"x".repeat(200_000))).await;
    echo.is_entered().await;
    let start = Instant::now();
    let chunk = "x".repeat(50_000);
    let chunked = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nc350\r\n{chunk}\r\nc350\r\n{chunk}\r\n0\r\n\r\n"
    );
    for request in [post("/", &"x".repeat(100_000)), chunked] {
        let mut second = connect(&front);
        send(&mut second, &request).await;
        has(&answer(&mut second).await, &["503", "retry-after: 1", "x-fault"]);
    }
    assert_eq!(start.elapsed().as_millis(), 2 * 250);
    let mut small = connect(&front);
    send(&mut small, &post("/", &"x".repeat(10_000))).await;
    has(&answer(&mut small).await, &["200 OK", "10000 bytes"]);
    echo.let_go.add_permits(1);
    has(&answer(&mut first).await, &["200 OK", "200000 bytes"]);
    let mut again = connect(&front);
    send(&mut again, &post("/", &"x".repeat(200_000))).await;
    has(&answer(&mut again).await, &["200 OK", "200000 bytes"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_announced_and_does_not_come_takes_nothing_from_others() {
    let (_, front) = front(ServerLimits { in_flight_bytes_max: 1, body_bytes_max: 200_000, ..limits() });
    let mut silent = Vec::new();
    for _ in 0..3 {
        let mut client = connect(&front);
        send(&mut client, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n").await;
        silent.push(client);
    }
    let mut client = connect(&front);
    send(&mut client, &post("/", &"x".repeat(200_000))).await;
    has(&answer(&mut client).await, &["200 OK", "200000 bytes"]);
}

#[tokio::test(start_paused = true)]
async fn heads_are_part_of_the_budget_and_do_not_wait() {
    let (_, front) = front(ServerLimits { in_flight_bytes_max: 1, ..limits() });
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\nx: {}\r\ncontent-length: 5\r\n\r\n", "y".repeat(8_000));
    let (mut first, mut second) = (connect(&front), connect(&front));
    send(&mut first, &head).await;
    send(&mut second, &head).await;
    // Until both have been looked at.
    sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    let mut third = connect(&front);
    send(&mut third, &format!("{head}12345")).await;
    has(&answer(&mut third).await, &["503", "retry-after: 1"]);
    assert_eq!(start.elapsed().as_millis(), 0);
    send(&mut first, "12345").await;
    has(&answer(&mut first).await, &["200 OK", "5 bytes"]);
    send(&mut third, &format!("{head}12345")).await;
    has(&answer(&mut third).await, &["200 OK", "5 bytes"]);
}

#[tokio::test(start_paused = true)]
async fn half_a_body_is_not_handled() {
    let (echo, front) = front(limits());
    let mut client = connect(&front);
    send(&mut client, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345").await;
    client.shutdown().await.unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(echo.handled.load(Ordering::Relaxed), 0);
    assert_eq!(front.in_flight_bytes(), 0, "its share of the budget is free again");
}

#[tokio::test(start_paused = true)]
async fn a_grpc_client_is_told_what_to_change_and_http2_is_served() {
    let (echo, front) = front(limits());
    let executor = TokioExecutor::new();
    let io = TokioIo::new(connect(&front));
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = |content_type: &str, body: &str| {
        let uri = "http://telemetry.example:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let builder = Request::post(uri).header("content-type", content_type);
        builder.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()
    };
    let told = client.send_request(request("application/grpc+proto", "\0\0\0\0\0")).await.unwrap();
    assert_eq!(told.status(), 200);
    assert_eq!(told.headers()["content-type"], "application/grpc");
    assert_eq!(told.headers()["grpc-status"], "12");
    has(told.headers()["grpc-message"].to_str().unwrap(), &["http/protobuf", "http://telemetry.example:4317"]);
    assert_eq!(echo.handled.load(Ordering::Relaxed), 0);

    let refused = client.send_request(request("application/x-protobuf", &"x".repeat(3000))).await.unwrap();
    assert_eq!(refused.status(), 413);
    let served = client.send_request(request("application/x-protobuf", "12345")).await.unwrap();
    assert_eq!(served.into_body().collect().await.unwrap().to_bytes(), "5 bytes");
}

struct Server {
    address: SocketAddr,
    echo: Arc<Echo>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

async fn start(tls: Option<Tls>, limits: ServerLimits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let echo = Echo::new();
    let shutdown = async move { drop(stopped.await) };
    let task = tokio::spawn(serve(listener, tls, Arc::clone(&echo), limits, shutdown));
    Server { address, echo, stop: Some(stop), task }
}

#[tokio::test]
async fn a_shutdown_lets_requests_under_way_come_to_their_end() {
    let mut server = start(None, limits()).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    send(&mut idle, &post("/", "x")).await;
    has(&answer(&mut idle).await, &["200 OK"]);
    server.echo.is_entered().await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    send(&mut busy, &post("/wait", "x")).await;
    server.echo.is_entered().await;
    drop(server.stop.take());
    assert_eq!(answer(&mut idle).await, "", "an idle connection is closed at once");
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
    assert!(!server.task.is_finished());
    server.echo.let_go.add_permits(1);
    has(&answer(&mut busy).await, &["200 OK", "1 bytes"]);
    server.task.await.unwrap();
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let mut server = start(None, ServerLimits { shutdown_grace: Duration::ZERO, ..limits() }).await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    send(&mut busy, &post("/wait", "x")).await;
    server.echo.is_entered().await;
    drop(server.stop.take());
    server.task.await.unwrap();
    assert_eq!(answer(&mut busy).await, "");
}

#[tokio::test]
async fn a_panic_costs_its_own_connection_only() {
    let server = start(None, limits()).await;
    let mut lost = TcpStream::connect(server.address).await.unwrap();
    send(&mut lost, &post("/panic", "x")).await;
    assert_eq!(answer(&mut lost).await, "");
    let mut other = TcpStream::connect(server.address).await.unwrap();
    send(&mut other, &post("/", "x")).await;
    has(&answer(&mut other).await, &["200 OK"]);
}

#[tokio::test]
async fn a_connection_over_the_cap_waits_for_a_slot() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slots = Arc::new(Semaphore::new(1));
    let address = listener.local_addr().unwrap();
    let _clients = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
    let (_first, slot) = accept(&listener, &slots).await;
    let mut second = pin!(accept(&listener, &slots));
    tokio::select! {
        biased;
        _ = &mut second => panic!("over the cap"),
        () = tokio::task::yield_now() => {}
    }
    drop(slot);
    drop(second.await);
}

#[tokio::test]
async fn requests_come_over_tls() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = Tls::from_pem(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes()).unwrap();
    let server = start(Some(tls), limits()).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    send(&mut client, &post("/", "secret")).await;
    has(&answer(&mut client).await, &["200 OK", "6 bytes"]);

    let mut plain = TcpStream::connect(server.address).await.unwrap();
    send(&mut plain, &post("/", "plain")).await;
    assert!(!answer(&mut plain).await.contains("200"));
}

#[test]
fn unusable_certificates_and_keys_are_named_and_never_shown() {
    let one = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (one.cert.pem(), one.signing_key.serialize_pem());
    let says = |cert: &str, key: &str| Tls::from_pem(cert.as_bytes(), key.as_bytes()).err().unwrap().to_string();
    has(&says("", &key), &["certificate", "no certificate"]);
    has(&says(&key, &key), &["no certificate"]);
    has(&says(&cert, "hunter2"), &["key", "PEM"]);
    has(&says(&cert, &cert), &["key", "PEM"]);
    has(&says(&cert, &other.signing_key.serialize_pem()), &["do not work together"]);
    assert!(!says(&cert, "hunter2").contains("hunter2"));
}
