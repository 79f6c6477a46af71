//! What clients send, remembered in plain values for the oracle, and written as OTLP for the product.

use std::io::Write;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;
use spanlake_model::{BatchId, Bucket, Signal, SpanId, TraceId};
use spanlake_otlp::wire::{put_fixed64, put_len, put_varint_field};
use spanlake_pipeline::envelope::{Items, Part};
use spanlake_pipeline::payload::Dictionary;
use spanlake_testkit::Rng;

use crate::scan::SECRET;
use crate::stream::seconds;

/// Services; the third is the one that every trace is kept for.
pub(crate) const SERVICES: [&str; 3] = ["web", "cart", "payment-service"];

/// Spans begin here, whatever the stream's clock says.
const SPANS_BEGIN_NANOS: u64 = 1_790_000_000_000_000_000;

/// How many logs such a record says it holds.
pub(crate) const HALF_READABLE_LOGS: u64 = 3;

/// A span as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace: TraceId,
    pub(crate) id: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) service: &'static str,
    pub(crate) name: &'static str,
    /// OTLP `SpanKind`: 2 SERVER, 3 CLIENT.
    pub(crate) kind: u8,
    pub(crate) is_error: bool,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// A record of which only the header can be believed: it lists one item more than there are.
pub(crate) fn half_readable(bucket: Bucket, salt: u64) -> Vec<u8> {
    let logs = ["good", "good too", "of no part"].map(|text| log_bytes(&TraceId::default(), text));
    let good = request(SERVICES[0], &logs);
    let payload = zstd::bulk::compress(&good, 1).unwrap_or_default();
    let items = Items {
        only: None,
        signal: Signal::Logs,
        tenant: "",
        cutting_rule: 1,
        batch_id: BatchId(u128::from(salt).to_be_bytes()),
        received_nanos: 0,
        count: HALF_READABLE_LOGS,
        parts: vec![Part { bucket, part: 0, overflow: false }],
        part_of_item: vec![0, 0, 0, 0],
        payload_bytes: good.len(),
        dictionary: Dictionary::None,
        payload: &payload,
    };
    let mut record = Vec::new();
    items.encode(&mut record);
    record
}

/// How a body is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Form {
    pub(crate) is_json: bool,
    pub(crate) is_gzip: bool,
}

/// A request: what it holds that must be taken, and what the client knows of its fate.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) signal: Signal,
    pub(crate) body: Bytes,
    pub(crate) form: Form,
    pub(crate) spans: Vec<Span>,
    /// Bodies of logs, or names of points.
    pub(crate) texts: Vec<String>,
    /// The trace that its logs are of.
    pub(crate) trace: Option<TraceId>,
    /// The status that a client may expect.
    pub(crate) expected: u16,
    /// When it is sent next.
    pub(crate) due_nanos: i64,
    /// How often it is sent again after its acknowledgement: the reply was lost.
    pub(crate) repeats: u32,
    /// When the first and the last record of it was stored, by their stamps.
    pub(crate) stored: Option<(i64, i64)>,
    /// When the first acknowledgement came.
    pub(crate) acknowledged_nanos: Option<i64>,
    /// When the last attempt began that was acknowledged, and so stored every part.
    pub(crate) whole_nanos: Option<i64>,
    /// Whether an attempt was cut by the newest list of shards and acknowledged by then.
    pub(crate) straight_nanos: Option<i64>,
    /// Whether the client gave it up without an acknowledgement.
    pub(crate) is_given_up: bool,
    /// Whether the retention of a record of it ended before it was read.
    pub(crate) is_expired: bool,
    /// Whether its trace is beyond what one request may hold of a trace: parts of it overflow.
    pub(crate) overflows: bool,
}

impl Sent {
    /// Every part that was ever stored was stored then or later. `None` if nothing was.
    pub(crate) fn known_since_nanos(&self) -> Option<i64> {
        self.whole_nanos.or_else(|| self.stored.map(|(first, _)| first))
    }
}

fn attribute(key: &str, value: &[u8]) -> Vec<u8> {
    let (mut any, mut out) = (Vec::new(), Vec::new());
    put_len(&mut any, 1, value);
    put_len(&mut out, 1, key.as_bytes());
    put_len(&mut out, 2, &any);
    out
}

/// What no rule lets through.
fn secret(salt: &[u8]) -> Vec<u8> {
    let salt = salt.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
    [SECRET, format!("{salt:x}").as_bytes()].concat()
}

fn span_bytes(span: &Span, name: &[u8], id: &[u8], filler: usize) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, 1, &span.trace.0);
    put_len(&mut out, 2, id);
    if !span.parent.is_zero() {
        put_len(&mut out, 4, &span.parent.0);
    }
    put_len(&mut out, 5, name);
    put_varint_field(&mut out, 6, u64::from(span.kind));
    put_fixed64(&mut out, 7, span.start);
    put_fixed64(&mut out, 8, span.end);
    if span.is_error {
        put_len(&mut out, 9, &attribute("db.password", &secret(&span.id.0)));
    }
    if filler > 0 {
        put_len(&mut out, 9, &attribute("filler", &vec![b'x'; filler]));
    }
    if span.is_error {
        let mut status = Vec::new();
        put_varint_field(&mut status, 3, 2);
        put_len(&mut out, 15, &status);
    }
    out
}

fn log_bytes(trace: &TraceId, body: &str) -> Vec<u8> {
    let (mut any, mut out) = (Vec::new(), Vec::new());
    put_len(&mut any, 1, body.as_bytes());
    put_fixed64(&mut out, 1, SPANS_BEGIN_NANOS);
    put_len(&mut out, 5, &any);
    if body.ends_with("0 end") {
        put_len(&mut out, 6, &attribute("session_token", &secret(body.as_bytes())));
    }
    if !trace.is_zero() {
        put_len(&mut out, 9, &trace.0);
    }
    out
}

fn gauge_bytes(name: &str) -> Vec<u8> {
    let (mut point, mut gauge, mut out) = (Vec::new(), Vec::new(), Vec::new());
    put_fixed64(&mut point, 3, SPANS_BEGIN_NANOS);
    put_fixed64(&mut point, 6, 7);
    put_len(&mut gauge, 1, &point);
    put_len(&mut out, 1, name.as_bytes());
    put_len(&mut out, 5, &gauge);
    out
}

fn request(service: &str, items: &[Vec<u8>]) -> Bytes {
    let (mut resource, mut scope, mut group, mut out) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    put_len(&mut resource, 1, &attribute("service.name", service.as_bytes()));
    for item in items {
        put_len(&mut scope, 2, item);
    }
    put_len(&mut group, 1, &resource);
    put_len(&mut group, 2, &scope);
    put_len(&mut out, 1, &group);
    out.into()
}

/// Writes a request in another form; JSON as the published types write it. What they cannot read stays as it is.
fn encode<M: Message + Default + Serialize>(body: Bytes, form: &mut Form) -> Bytes {
    let json =
        if form.is_json { M::decode(body.clone()).ok().and_then(|request| serde_json::to_vec(&request).ok()) } else { None };
    form.is_json = json.is_some();
    let body = json.map_or(body, Bytes::from);
    if !form.is_gzip {
        return body;
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zipped = gzip.write_all(&body).and_then(|()| gzip.finish());
    form.is_gzip = zipped.is_ok();
    zipped.map_or(body, Bytes::from)
}

/// Makes requests.
pub(crate) struct Traffic {
    pub(crate) rng: Rng,
    /// Of a hundred requests, how many have something wrong in them.
    pub(crate) hostile_percent: u64,
    /// Spans of a trace beyond what is kept.
    pub(crate) big_trace_spans: u64,
    pub(crate) overflow_percent: u64,
}

impl Traffic {
    /// Traces: their spans by service, several traces in a request, sent together, a little apart, or much too late;
    /// perhaps with logs and points.
    pub(crate) fn traces(&mut self, now: i64, count: u64) -> Vec<Sent> {
        let (mut requests, mut pooled) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (spans, overflows) = self.trace();
            if overflows {
                requests.push(self.spans(SERVICES[0], spans, now, true));
            } else {
                pooled.extend(spans);
            }
        }
        for service in SERVICES {
            let of_service: Vec<Span> = pooled.iter().filter(|span| span.service == service).cloned().collect();
            let pieces = if self.rng.chance(30) { 1 + of_service.len() / 2 } else { of_service.len().max(1) };
            for piece in of_service.chunks(pieces) {
                requests.push(self.spans(service, piece.to_vec(), now, false));
            }
            if let Some(span) = of_service.first().filter(|_| self.rng.chance(30)) {
                requests.push(self.texts(service, span.trace, now));
            }
        }
        requests
    }

    /// The spans of a trace, and whether they are more than a request may hold of a trace.
    fn trace(&mut self) -> (Vec<Span>, bool) {
        let rng = &mut self.rng;
        let trace = TraceId(rng.bytes());
        let (is_error, slow, is_big) = (rng.chance(15), rng.below(10), rng.chance(4));
        let count = if is_big { self.big_trace_spans } else { 1 + rng.below(6) };
        let overflows = !is_big && rng.chance(self.overflow_percent);
        let mut spans: Vec<Span> = Vec::new();
        for number in 0..count {
            let service = match rng.below(20) {
                0 | 1 => SERVICES[2],
                2..11 => SERVICES[1],
                _ => SERVICES[0],
            };
            let service = if is_big || overflows { SERVICES[0] } else { service };
            let parent = spans.last().map_or_else(SpanId::default, |span| span.id);
            let start = SPANS_BEGIN_NANOS + number * 1_000_000;
            let length = match (number, slow) {
                (0, 0) => 1_500_000_000,
                (0, 1) => 600_000_000,
                _ => 5_000_000,
            };
            let kind = 2 + u8::from(number % 2 == 0);
            let name = if rng.chance(50) { "GET /cart" } else { "work" };
            let is_error = is_error && !is_big && number + 1 == count;
            let id = SpanId(rng.bytes());
            spans.push(Span { trace, id, parent, service, name, kind, is_error, start, end: start + length });
        }
        (spans, overflows)
    }

    fn due(&mut self, now: i64) -> i64 {
        let later = match self.rng.below(10) {
            0..5 => self.rng.below(500),
            5..9 => self.rng.below(8_000),
            _ => 15_000 + self.rng.below(50_000),
        };
        now + later.cast_signed() * 1_000_000
    }

    fn form(&mut self) -> Form {
        Form { is_json: self.rng.chance(10), is_gzip: self.rng.chance(20) }
    }

    fn sent(&mut self, signal: Signal, body: Bytes, now: i64) -> Sent {
        Sent {
            signal,
            body,
            form: Form::default(),
            spans: Vec::new(),
            texts: Vec::new(),
            trace: None,
            expected: 200,
            due_nanos: self.due(now),
            repeats: if self.rng.chance(25) { 1 + u32::from(self.rng.chance(50)) } else { 0 },
            stored: None,
            acknowledged_nanos: None,
            whole_nanos: None,
            straight_nanos: None,
            is_given_up: false,
            is_expired: false,
            overflows: false,
        }
    }

    fn spans(&mut self, service: &str, spans: Vec<Span>, now: i64, overflows: bool) -> Sent {
        let filler = if overflows { 120_000 } else { 0 };
        let mut items: Vec<Vec<u8>> =
            spans.iter().map(|span| span_bytes(span, span.name.as_bytes(), &span.id.0, filler)).collect();
        // Neighbours that must be refused, and must not take the good ones with them.
        if let Some(span) = spans.first().filter(|_| self.rng.chance(self.hostile_percent)) {
            items.push(span_bytes(span, b"work", &[0; 8], 0));
            items.push(span_bytes(span, b"work", &[7; 5], 0));
            items.insert(0, span_bytes(span, b"\xff\xfe", &[9; 8], 0));
        }
        let body = request(service, &items);
        let mut form = self.form();
        let body = encode::<ExportTraceServiceRequest>(body, &mut form);
        Sent { form, spans, overflows, ..self.sent(Signal::Traces, body, now) }
    }

    /// Logs, half of them of the trace, or data points.
    fn texts(&mut self, service: &str, trace: TraceId, now: i64) -> Sent {
        let count = 1 + self.rng.below(3);
        let texts: Vec<String> = (0..count).map(|_| format!("text {:x} end", self.rng.next_u64() | 0xa << 60)).collect();
        let mut of = None;
        let (signal, items): (_, Vec<_>) = if self.rng.chance(60) {
            of = self.rng.chance(50).then_some(trace);
            let trace = of.unwrap_or_default();
            (Signal::Logs, texts.iter().map(|text| log_bytes(&trace, text)).collect())
        } else {
            (Signal::Metrics, texts.iter().map(|text| gauge_bytes(text)).collect())
        };
        let (body, mut form) = (request(service, &items), self.form());
        form.is_json &= signal == Signal::Logs;
        let body = encode::<ExportLogsServiceRequest>(body, &mut form);
        Sent { form, texts, trace: of, ..self.sent(signal, body, now) }
    }

    /// A request that holds nothing that could be taken.
    pub(crate) fn nonsense(&mut self, now: i64) -> Option<Sent> {
        if !self.rng.chance(self.hostile_percent) {
            return None;
        }
        let signal = if self.rng.chance(50) { Signal::Traces } else { Signal::Logs };
        let is_empty = self.rng.chance(40);
        let body = if is_empty { Bytes::new() } else { Bytes::from_static(b"\x0a\xff\xff\xff\xff\x01nonsense") };
        let expected = if is_empty { 200 } else { 400 };
        Some(Sent { expected, repeats: 0, ..self.sent(signal, body, now) })
    }
}

/// How long a client that has no answer at all keeps trying once something of its request may be stored: less than the
/// time for which a part is remembered.
pub(crate) const GIVE_UP_NANOS: i64 = seconds(35);
