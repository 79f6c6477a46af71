//! Every row of the table of answers: what a client gets for what it sends, and that neighbours are kept.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use prost::Message;
use spanlake_model::{Sequence, SpanId, TraceId};
use spanlake_otlp::inflate::{Coding, Inflater};
use spanlake_pipeline::envelope::Envelope;
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::ports::EventStream;
use spanlake_testkit::{SimClock, SimStream, SpanSpec, block_on, trace_request};

const TOKEN: &str = "a-token-for-this-test";

struct Server {
    stream: Arc<SimStream>,
    ingest: Ingest<SimStream, SimClock>,
}

impl Server {
    fn with(settings: IngestSettings, fault_percent: u64) -> Self {
        let stream = Arc::new(SimStream::new(1, 2, fault_percent));
        Self { ingest: Ingest::new(Arc::clone(&stream), SimClock::default(), settings), stream }
    }

    fn new() -> Self {
        Self::with(IngestSettings::default(), 0)
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Bytes> {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap())
    }

    fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        if let Err(refusal) = self.ingest.admit(&parts) {
            return *refusal;
        }
        block_on(self.ingest.handle(Request::from_parts(parts, body)))
    }

    /// Items on the stream.
    fn stored(&self) -> u64 {
        let shards = self.stream.shards().into_iter();
        let records = shards.flat_map(|shard| self.stream.records(&shard.id, Sequence::ZERO, 1_000));
        records.map(|record| if let Ok(Envelope::Items(items)) = Envelope::decode(&record.bytes) { items.count } else { 0 }).sum()
    }
}

fn span(id: u8) -> SpanSpec {
    SpanSpec {
        trace: TraceId([id; 16]),
        id: SpanId([id; 8]),
        parent: SpanId::default(),
        name: format!("span {id}"),
        kind: 2,
        start_nanos: 1,
        end_nanos: 2,
        status: 0,
        attributes: Vec::new(),
    }
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// `google.rpc.Status` as far as tests look.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

fn status(response: &Response<Bytes>) -> Status {
    assert_eq!(response.headers()["content-type"], "application/x-protobuf");
    Status::decode(response.body().clone()).unwrap()
}

#[test]
fn a_good_request_is_answered_200_in_its_own_encoding_and_is_on_the_stream() {
    let server = Server::new();
    let answer = server.post("/v1/traces", &[PROTOBUF], trace_request("web", &[span(1), span(2)]));
    assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 0));
    assert_eq!(answer.headers()["content-type"], "application/x-protobuf");
    let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}"#;
    let answer = server.post("/v1/logs", &[("content-type", "application/json; charset=utf-8")], json);
    assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, &b"{}"[..]));
    assert_eq!(server.stored(), 3);
}

#[test]
fn without_the_right_token_nothing_is_read_and_the_answer_is_401() {
    let settings =
        IngestSettings { tokens: vec![TOKEN.to_owned(), "another-token-here".to_owned()], ..IngestSettings::default() };
    let server = Server::with(settings, 0);
    let body = trace_request("web", &[span(1)]);
    for header in ["", "Bearer ", "Bearer wrong", "Basic a-token-for-this-test", TOKEN] {
        let answer = server.post("/v1/traces", &[PROTOBUF, ("authorization", header)], body.clone());
        assert_eq!(answer.status(), 401, "{header}");
        assert_eq!(status(&answer).code, 16);
    }
    assert_eq!(server.stored(), 0);
    for header in ["Bearer a-token-for-this-test", "bearer another-token-here"] {
        assert_eq!(server.post("/v1/traces", &[PROTOBUF, ("authorization", header)], body.clone()).status(), 200);
    }
}

#[test]
fn what_is_no_otlp_is_400_and_says_where() {
    let server = Server::new();
    let mut truncated = trace_request("web", &[span(1)]);
    truncated.pop();
    let mut garbage = trace_request("web", &[span(1)]);
    garbage.push(0x07);
    for body in [truncated, garbage, b"\xff\xff\xff".to_vec()] {
        let answer = server.post("/v1/traces", &[PROTOBUF], body);
        assert_eq!(answer.status(), 400);
        assert!(status(&answer).message.contains("byte"), "{}", status(&answer).message);
    }
    let answer = server.post("/v1/traces", &[JSON], r#"{"resourceSpans":[}"#);
    assert_eq!(answer.status(), 400);
    assert!(String::from_utf8_lossy(answer.body()).contains("line 1"), "{:?}", answer.body());
    let answer = server.post("/v1/traces", &[PROTOBUF, ("content-encoding", "gzip")], "not gzip");
    assert_eq!(answer.status(), 400);
    assert_eq!(server.stored(), 0);
}

#[test]
fn unknown_path_method_type_and_encoding_have_their_own_answers() {
    let server = Server::new();
    assert_eq!(server.post("/v1/spans", &[PROTOBUF], "").status(), 404);
    let get = server.send(Request::get("/v1/traces").body(Bytes::new()).unwrap());
    assert_eq!((get.status().as_u16(), get.headers()["allow"].to_str().unwrap()), (405, "POST"));
    assert_eq!(server.post("/v1/traces", &[("content-type", "text/plain")], "").status(), 415);
    assert_eq!(server.post("/v1/traces", &[], "").status(), 415);
    assert_eq!(server.post("/v1/traces", &[PROTOBUF, ("content-encoding", "br")], "").status(), 415);
    assert_eq!(server.post("/v1/traces", &[PROTOBUF, ("content-encoding", "gzip, zstd")], "").status(), 415);
}

#[test]
fn beyond_a_limit_is_413_and_names_the_limit() {
    let server = Server::new();
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
    assert!(bomb.len() < 10_000);
    let answer = server.post("/v1/traces", &[PROTOBUF, ("content-encoding", "zstd")], bomb);
    assert_eq!(answer.status(), 413);
    assert!(status(&answer).message.contains("16777216"), "{}", status(&answer).message);
    let flood: Vec<u8> = [0x12, 0x00].repeat(100_000);
    let mut scope = Vec::new();
    spanlake_otlp::wire::put_len(&mut scope, 2, &flood);
    let mut body = Vec::new();
    spanlake_otlp::wire::put_len(&mut body, 1, &scope);
    let answer = server.post("/v1/traces", &[PROTOBUF], body);
    assert_eq!(answer.status(), 413);
    assert_eq!(server.stored(), 0);
}

#[test]
fn a_stream_that_takes_nothing_is_429_or_503_with_retry_after_and_never_500() {
    let server = Server::with(IngestSettings::default(), 100);
    let mut seen = [false; 2];
    for id in 1..40 {
        let answer = server.post("/v1/traces", &[PROTOBUF], trace_request("web", &[span(id)]));
        assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        match answer.status().as_u16() {
            429 => seen[0] = true,
            503 => seen[1] = true,
            other => panic!("{other}"),
        }
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn a_bad_item_is_refused_alone_with_its_reason() {
    let server = Server::new();
    let mut bad = span(9);
    bad.trace = TraceId::default();
    let answer = server.post("/v1/traces", &[PROTOBUF], trace_request("web", &[span(1), bad, span(2)]));
    assert_eq!(answer.status(), 200);
    let reply =
        opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse::decode(answer.body().clone()).unwrap();
    let partial = reply.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert!(partial.error_message.contains("trace_id"), "{}", partial.error_message);
    assert_eq!(server.stored(), 2);
}

#[test]
fn every_member_of_a_gzip_body_counts() {
    use std::io::Write;
    let server = Server::new();
    let body = [1, 2].map(|id| trace_request("web", &[span(id)]));
    let mut members = Vec::new();
    for half in body {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&half).unwrap();
        members.extend(encoder.finish().unwrap());
    }
    let mut inflated = Vec::new();
    Inflater::new().inflate(Coding::Gzip, &members, 1 << 20, &mut inflated).unwrap();
    assert_eq!(server.post("/v1/traces", &[PROTOBUF, ("content-encoding", "gzip")], members).status(), 200);
    assert_eq!(server.stored(), 2);
}
