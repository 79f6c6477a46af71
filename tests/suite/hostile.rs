//! Hostile requests against the real HTTP server on a socket, with the exact answer of each. Heavier ones, and many at
//! once, are in `tests/ci/hostile.py`.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use spanlake_local::{Floor, Handler, LogOptions, ModelDisk, SegmentLog, ServerLimits, SystemClock, serve};
use spanlake_model::Sequence;
use spanlake_otlp::wire::put_len;
use spanlake_pipeline::envelope::Envelope;
use spanlake_pipeline::ingest::{Ingest, IngestSettings, refuse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Ingest behind the server and in front of the log, as the program has it.
struct Front {
    ingest: Ingest<SegmentLog<ModelDisk>, SystemClock>,
    log: Arc<SegmentLog<ModelDisk>>,
}

const SHARDS: u16 = 2;

impl Handler for Front {
    fn admit(&self, parts: &Parts) -> Result<(), Box<Response<Bytes>>> {
        self.ingest.admit(parts)
    }

    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.ingest.handle(request).await
    }

    fn fault(&self, parts: &Parts, status: StatusCode, message: &str) -> Response<Bytes> {
        refuse(parts, status, message)
    }
}

struct Server {
    address: std::net::SocketAddr,
    front: Arc<Front>,
}

impl Server {
    async fn start() -> Self {
        let options = LogOptions::new(SHARDS, Floor::default(), 0);
        let log = Arc::new(SegmentLog::open(ModelDisk::new(), "/stream".into(), options).unwrap());
        let ingest = Ingest::new(Arc::clone(&log), SystemClock, IngestSettings::default());
        let front = Arc::new(Front { ingest, log });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, None, Arc::clone(&front), ServerLimits::default(), std::future::pending()));
        Self { address, front }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a new connection; what comes back until the server closes it or has answered.
    async fn raw(&self, bytes: &[u8]) -> String {
        let mut client = self.connect().await;
        client.write_all(bytes).await.unwrap();
        answer(&mut client).await.map_or_else(String::new, |answer| answer.status)
    }

    async fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut client = self.connect().await;
        send(&mut client, path, headers, body).await;
        answer(&mut client).await.unwrap()
    }

    /// Items on the stream.
    fn stored(&self) -> u64 {
        let records = (0..usize::from(SHARDS))
            .flat_map(|shard| self.front.log.read_blocking(shard, Sequence::ZERO, 1_000, 1 << 30).unwrap());
        records.map(|record| if let Ok(Envelope::Items(items)) = Envelope::decode(&record.bytes) { items.count } else { 0 }).sum()
    }
}

const PROTOBUF: &str = "content-type: application/x-protobuf\r\n";
const JSON: &str = "content-type: application/json\r\n";

async fn send(client: &mut TcpStream, path: &str, headers: &str, body: &[u8]) {
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {}\r\n\r\n", body.len());
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(body).await.unwrap();
}

struct Answer {
    /// Its first line, without the protocol.
    status: String,
    body: Vec<u8>,
}

impl Answer {
    /// The text in an answer of protobuf or JSON: what is printable in it.
    fn says(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The next answer; none if the connection ends before.
async fn answer(client: &mut TcpStream) -> Option<Answer> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    client.read_exact(&mut body).await.unwrap();
    Some(Answer { status: head.lines().next().unwrap().trim_start_matches("HTTP/1.1 ").to_owned(), body })
}

// --- bodies -----------------------------------------------------------------------------------------------------------

fn message(field: u32, inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, field, inner);
    out
}

/// An export request of these items.
fn request(items: &[u8]) -> Vec<u8> {
    message(1, &message(2, items))
}

fn span_with(trace: &[u8], id: &[u8], more: &[u8]) -> Vec<u8> {
    message(2, &[message(1, trace), message(2, id), more.to_vec()].concat())
}

fn span(number: u8, more: &[u8]) -> Vec<u8> {
    span_with(&[number; 16], &[number; 8], more)
}

/// A span with one attribute of this value.
fn span_of_value(number: u8, value: &[u8]) -> Vec<u8> {
    span(number, &message(9, &[message(1, b"key"), message(2, value)].concat()))
}

/// A list in a list in a list.
fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |value, _| message(5, &message(1, &value)))
}

#[tokio::test]
async fn floods_of_empty_items_are_refused_or_counted_whatever_they_are() {
    let server = Server::start().await;
    let empty = |field: u32, count: usize| message(field, b"").repeat(count);
    let one_point = |points: &[u8]| message(2, &message(7, points));
    let whole = [
        ("/v1/traces", empty(1, 4097), "more than 4096 resources and scopes in a request"),
        ("/v1/traces", message(1, &empty(2, 4097)), "more than 4096 resources and scopes in a request"),
        ("/v1/traces", request(&empty(2, 65_537)), "more than 65536 items in a request"),
        ("/v1/logs", request(&empty(2, 65_537)), "more than 65536 items in a request"),
        ("/v1/metrics", request(&empty(2, 65_537)), "more than 65536 items in a request"),
    ];
    for (path, body, says) in whole {
        let answer = server.post(path, PROTOBUF, &body).await;
        assert_eq!(answer.status, "413 Payload Too Large", "{path} {says}");
        assert!(answer.says().contains(says), "{}", answer.says());
    }
    let one_by_one = [
        ("/v1/traces", request(&empty(2, 65_536)), "65536 spans with an invalid trace_id"),
        ("/v1/traces", request(&span(1, &empty(9, 16_385))), "1 span with too many attributes"),
        ("/v1/traces", request(&span(1, &empty(11, 65_537))), "1 span with too many elements"),
        ("/v1/traces", request(&span(1, &empty(13, 65_537))), "1 span with too many elements"),
        ("/v1/traces", request(&span_of_value(1, &message(5, &empty(1, 65_537)))), "1 span with too many elements"),
        ("/v1/traces", request(&span_of_value(1, &message(6, &empty(1, 16_385)))), "1 span with too many attributes"),
        ("/v1/logs", request(&message(2, &empty(6, 16_385))), "1 log record with too many attributes"),
        ("/v1/metrics", request(&one_point(&empty(1, 65_537))), "65537 data points with too many elements"),
    ];
    for (path, body, says) in one_by_one {
        let answer = server.post(path, PROTOBUF, &body).await;
        assert_eq!(answer.status, "200 OK", "{path} {says}");
        assert!(answer.says().contains(says), "{says}: {}", answer.says());
    }
    assert_eq!(server.stored(), 0);
}

#[tokio::test]
async fn a_body_may_be_as_large_as_its_limits_and_not_a_byte_larger() {
    let server = Server::start().await;
    // Four MiB as sent: unknown fields, which are skipped.
    let filled = |bytes: usize| message(999, &vec![0; bytes - 6]);
    assert_eq!(filled(4 << 20).len(), 4 << 20);
    assert_eq!(server.post("/v1/traces", PROTOBUF, &filled(4 << 20)).await.status, "200 OK");
    let answer = server.post("/v1/traces", PROTOBUF, &filled((4 << 20) + 1)).await;
    assert_eq!(answer.status, "413 Payload Too Large");
    assert!(answer.says().contains("the body is over the limit of 4194304 bytes as sent"), "{}", answer.says());
    for (bytes, status) in [(16 << 20, "200 OK"), ((16 << 20) + 1, "413 Payload Too Large")] {
        let packed = zstd::bulk::compress(&filled(bytes), 1).unwrap();
        let answer = server.post("/v1/traces", &format!("{PROTOBUF}content-encoding: zstd\r\n"), &packed).await;
        assert_eq!(answer.status, status, "{}", answer.says());
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_item_costs_that_item_only() {
    let server = Server::start().await;
    let deep = |depth| span_of_value(1, &nested(depth));
    let ids = [&[][..], &[1; 1], &[1; 15], &[1; 17], &[1; 32]];
    let traces: Vec<u8> = ids.iter().flat_map(|id| span_with(id, &[1; 8], b"")).collect();
    let spans: Vec<u8> = ids.iter().flat_map(|id| span_with(&[1; 16], id, b"")).collect();
    let long = "n".repeat((512 << 10) + 1);
    let cases = [
        (traces, "5 spans with an invalid trace_id"),
        (spans, "5 spans with an invalid span_id"),
        (span_with(&[0; 16], &[1; 8], b""), "1 span with an invalid trace_id"),
        (span_with(&[1; 16], &[0; 8], b""), "1 span with an invalid span_id"),
        (span(1, &message(4, &[1; 7])), "1 span with an invalid parent_span_id"),
        (span(1, &message(5, b"\xff")), "1 span with text that is not UTF-8"),
        (span_of_value(1, &message(1, b"\xed\xa0\x80")), "1 span with text that is not UTF-8"),
        (span(1, &message(5, long.as_bytes())), "1 span with too many bytes"),
        (deep(32), "1 span with values nested too deep"),
        (deep(10_000), "1 span with values nested too deep"),
    ];
    for (number, (bad, says)) in (100..).zip(cases) {
        let answer = server.post("/v1/traces", PROTOBUF, &request(&[span(number, b""), bad, span(number, b"")].concat())).await;
        assert_eq!(answer.status, "200 OK", "{says}");
        assert!(answer.says().contains(says), "{says}: {}", answer.says());
    }
    assert_eq!(server.stored(), 20);
    // A bad resource costs its own items.
    let bad = [message(1, &message(1, &message(1, b"\xff"))), message(2, &span(1, b""))].concat();
    let answer = server.post("/v1/traces", PROTOBUF, &[message(1, &bad), request(&span(9, b""))].concat()).await;
    assert!(answer.says().contains("1 span with an invalid or oversized resource or scope"), "{}", answer.says());
    assert_eq!(server.stored(), 21);
}

#[tokio::test]
async fn fields_of_the_future_and_times_that_no_clock_shows_are_taken() {
    let server = Server::start().await;
    let time = |number: u8, nanos: u64| [vec![number << 3 | 1], nanos.to_le_bytes().to_vec()].concat();
    let times = [(0, 0), (u64::MAX, u64::MAX), (u64::MAX, 0), (1 << 63, (1 << 63) - 1)];
    let spans = times.iter().flat_map(|(start, end)| span(1, &[time(7, *start), time(8, *end)].concat()));
    let answer = server.post("/v1/traces", PROTOBUF, &request(&spans.collect::<Vec<u8>>())).await;
    assert_eq!((answer.status.as_str(), answer.body.len()), ("200 OK", 0));
    for field in [17, 64, 1000, (1 << 29) - 1] {
        let body = [request(&span(2, &message(field, b"later"))), message(field, b"later")].concat();
        assert_eq!(server.post("/v1/traces", PROTOBUF, &body).await.body.len(), 0, "{field}");
    }
    assert_eq!(server.stored(), 8);
}

#[tokio::test]
async fn json_that_is_deep_long_or_strange_is_answered() {
    let server = Server::start().await;
    let spans = |attributes: &str| {
        format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"01020304050607080102030405060708","spanId":"0102030405060708","attributes":[{attributes}]}}]}}]}}]}}"#
        )
    };
    let of_value = |value: &str| spans(&format!(r#"{{"key":"a","value":{value}}}"#));
    let list = |depth: usize| format!("{}{{}}{}", r#"{"arrayValue":{"values":["#.repeat(depth), "]}}".repeat(depth));
    let keys = (0..20_000).map(|key| format!(r#"{{"key":"{key}","value":{{}}}}"#)).collect::<Vec<_>>().join(",");
    let cases = [
        (of_value(&list(1_000)), "200 OK", "1 span with values nested too deep"),
        (spans(&keys), "200 OK", "1 span with too many attributes"),
        (of_value(r#"{"intValue":"9223372036854775808"}"#), "200 OK", "1 span with a JSON value that does not fit its field"),
        (of_value(r#"{"stringValue":"\ud800"}"#), "200 OK", "1 span with a JSON value that does not fit its field"),
        (of_value(r#"{"boolValue":"maybe"}"#), "200 OK", "1 span with a JSON value that does not fit its field"),
        (format!(r#"{{"later":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000)), "200 OK", "{}"),
        (format!(r#"{{"resourceSpans":{}"#, "[".repeat(100_000)), "400 Bad Request", "line 1 column"),
        (r#"{"resourceSpans":[]} {}"#.to_owned(), "400 Bad Request", "line 1 column"),
        ("\u{feff}{}".to_owned(), "200 OK", "{}"),
        ("null".to_owned(), "200 OK", "{}"),
        ("1".repeat(1 << 20), "400 Bad Request", "line 1 column"),
    ];
    for (body, status, says) in cases {
        let answer = server.post("/v1/traces", JSON, body.as_bytes()).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(answer.status, status, "{shown}: {}", answer.says());
        assert!(answer.says().contains(says), "{shown}: {}", answer.says());
    }
    assert_eq!(server.stored(), 0);
}

// --- HTTP -------------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn requests_that_two_servers_could_read_differently_are_refused() {
    let server = Server::start().await;
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    let refused = [
        format!("{head}content-length: 0\r\ncontent-length: 5\r\n\r\n"),
        format!("{head}content-length: -1\r\n\r\n"),
        format!("{head}content-length: 0x10\r\n\r\n"),
        format!("{head}content-length: 99999999999999999999999\r\n\r\n"),
        format!("{head}transfer-encoding: gzip\r\n\r\n"),
        format!("{head}x: a\r\n b\r\ncontent-length: 0\r\n\r\n"),
        format!("{head}x : a\r\ncontent-length: 0\r\n\r\n"),
        format!("{head}x: a\0b\r\ncontent-length: 0\r\n\r\n"),
        format!("{head}no colon\r\ncontent-length: 0\r\n\r\n"),
        format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n"),
        format!("{head}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
        "POST /v1/traces HTTP/9.9\r\nhost: x\r\n\r\n".to_owned(),
        "POST  /v1/traces HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03 a hello of TLS\r\n\r\n".to_owned(),
    ];
    for bytes in refused {
        assert_eq!(server.raw(bytes.as_bytes()).await, "400 Bad Request", "{bytes:?}");
    }
    // A length beside chunks: only the chunks count, and nothing behind them is another request.
    let both = format!("{head}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(server.raw(both.as_bytes()).await, "200 OK");
    assert_eq!(
        server.raw(format!("{head}{}\r\n", "x: y\r\n".repeat(200)).as_bytes()).await,
        "431 Request Header Fields Too Large"
    );
}

#[tokio::test]
async fn a_refused_request_does_not_cost_the_connection_and_pipelined_ones_are_answered_in_order() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for (path, headers, body, status) in [
        ("/v1/traces", PROTOBUF, &b"\xff"[..], "400 Bad Request"),
        ("/v1/nothing", PROTOBUF, b"body", "404 Not Found"),
        ("/v1/traces", "content-type: text/html\r\n", b"body", "415 Unsupported Media Type"),
        ("/v1/traces", PROTOBUF, &vec![0; (4 << 20) + 1], "413 Payload Too Large"),
        ("/v1/traces", PROTOBUF, &request(&span(1, b"")), "200 OK"),
    ] {
        send(&mut client, path, headers, body).await;
        assert_eq!(answer(&mut client).await.unwrap().status, status);
    }
    for number in 0..100 {
        let path = if number % 2 == 0 { "/v1/traces" } else { "/v1/other" };
        send(&mut client, path, PROTOBUF, &request(&span(number + 1, b""))).await;
    }
    for number in 0..100 {
        let status = if number % 2 == 0 { "200 OK" } else { "404 Not Found" };
        assert_eq!(answer(&mut client).await.unwrap().status, status, "{number}");
    }
    assert_eq!(server.stored(), 51);
}

#[tokio::test]
async fn clients_that_never_finish_do_not_hold_up_others() {
    let server = Server::start().await;
    let mut stuck = Vec::new();
    for number in 0..100 {
        let mut client = server.connect().await;
        let begun = match number % 3 {
            0 => "POST /v1/tr".to_owned(),
            1 => format!("POST /v1/traces HTTP/1.1\r\nhost: x\r\n{PROTOBUF}content-length: 4194304\r\n\r\n"),
            _ => format!("POST /v1/traces HTTP/1.1\r\nhost: x\r\n{PROTOBUF}transfer-encoding: chunked\r\n\r\n1\r\n\n\r\n"),
        };
        client.write_all(begun.as_bytes()).await.unwrap();
        stuck.push(client);
    }
    let large = request(&span(1, &message(999, &vec![0; 400 << 10])).repeat(9));
    assert_eq!(server.post("/v1/traces", PROTOBUF, &large).await.status, "200 OK");
    assert_eq!(server.stored(), 9);
}

#[tokio::test]
async fn a_large_request_is_taken_whole() {
    let server = Server::start().await;
    let spans: Vec<u8> = (1..=20_000_u64)
        .flat_map(|number| span_with(&(u128::from(number) << 3).to_le_bytes(), &number.to_le_bytes(), b""))
        .collect();
    let answer = server.post("/v1/traces", PROTOBUF, &request(&spans)).await;
    assert_eq!((answer.status.as_str(), answer.body.len()), ("200 OK", 0));
    assert_eq!(server.stored(), 20_000);
}
