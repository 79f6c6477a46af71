//! Turns batches into OTLP/HTTP request bodies: protobuf or JSON, compressed or not, as different SDKs would.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context as _;
use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics, metric::Data};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span::SpanKind};
use prost::Message;
use spanlake_model::Signal;

use super::flows::{SERVICES, Service};
use super::rng::Rng;
use super::secrets::{Kind, Planter};
use super::values::{int, string};

const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";
const NANOS_PER_MS: u64 = 1_000_000;

/// One request, ready to be sent.
#[derive(Debug)]
pub(crate) struct Request {
    /// When to send it, after the start.
    pub(crate) due_ms: u64,
    pub(crate) signal: Signal,
    /// Spans, log records or data points that must be accepted.
    pub(crate) items: u64,
    /// Items that must be refused, each for itself.
    pub(crate) refused: u64,
    pub(crate) content_type: &'static str,
    pub(crate) content_encoding: Option<&'static str>,
    /// Size of the message before compression.
    pub(crate) raw_bytes: u64,
    pub(crate) body: Vec<u8>,
    /// Sent a second time after it was acknowledged.
    pub(crate) is_repeated: bool,
}

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Zstd,
    Plain,
    Json,
    JsonGzip,
}

/// Makes requests; holds each service's resource.
pub(crate) struct Exporter {
    rng: Rng,
    start_nanos: u64,
    resources: BTreeMap<&'static str, Resource>,
    /// Whether the request with a span that must be refused was made.
    has_refused: bool,
}

impl Exporter {
    /// An exporter for a run that begins at `start_nanos`.
    pub(crate) fn new(seed: u64, start_nanos: u64, planter: &mut Planter) -> Self {
        let mut rng = Rng::new(seed.wrapping_add(1));
        let resources = SERVICES.iter().map(|service| (service.name, resource(&mut rng, planter, service))).collect();
        Self { rng, start_nanos, resources, has_refused: false }
    }

    /// A request of spans.
    pub(crate) fn traces(&mut self, service: &'static str, due_nanos: u64, mut spans: Vec<Span>) -> anyhow::Result<Request> {
        let items = spans.len() as u64;
        let refused = u64::from(!std::mem::replace(&mut self.has_refused, true));
        if let Some(first) = spans.first().cloned().filter(|_| refused > 0) {
            spans.push(Span { trace_id: vec![7; 15], ..first });
        }
        let is_internal = |span: &Span| span.kind == i32::from(SpanKind::Internal);
        let (own, library): (Vec<_>, Vec<_>) = spans.into_iter().partition(is_internal);
        let scope_spans = [(scope(service, true), own), (scope(service, false), library)]
            .into_iter()
            .filter(|(_, spans)| !spans.is_empty())
            .map(|(scope, spans)| ScopeSpans { scope: Some(scope), spans, schema_url: SCHEMA_URL.to_owned() })
            .collect();
        let resource_spans =
            vec![ResourceSpans { resource: self.resource(service), scope_spans, schema_url: SCHEMA_URL.to_owned() }];
        let message = ExportTraceServiceRequest { resource_spans };
        let coding = self.coding();
        let json = coding.is_json().then(|| serde_json::to_vec(&message)).transpose().context("write JSON")?;
        self.request(Signal::Traces, due_nanos, items, refused, coding, json.unwrap_or_else(|| message.encode_to_vec()))
    }

    /// A request of log records.
    pub(crate) fn logs(&mut self, service: &'static str, due_nanos: u64, log_records: Vec<LogRecord>) -> anyhow::Result<Request> {
        let items = log_records.len() as u64;
        let scope_logs = vec![ScopeLogs { scope: Some(scope(service, true)), log_records, schema_url: String::new() }];
        let resource_logs =
            vec![ResourceLogs { resource: self.resource(service), scope_logs, schema_url: SCHEMA_URL.to_owned() }];
        let message = ExportLogsServiceRequest { resource_logs };
        let coding = self.coding();
        let json = coding.is_json().then(|| serde_json::to_vec(&message)).transpose().context("write JSON")?;
        self.request(Signal::Logs, due_nanos, items, 0, coding, json.unwrap_or_else(|| message.encode_to_vec()))
    }

    /// A request of metrics.
    pub(crate) fn metrics(&mut self, service: &'static str, due_nanos: u64, metrics: Vec<Metric>) -> anyhow::Result<Request> {
        let items = metrics.iter().map(points).sum();
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope(service, false)), metrics, schema_url: String::new() }];
        let resource_metrics =
            vec![ResourceMetrics { resource: self.resource(service), scope_metrics, schema_url: SCHEMA_URL.to_owned() }];
        let message = ExportMetricsServiceRequest { resource_metrics };
        let coding = self.coding();
        let json = coding.is_json().then(|| serde_json::to_vec(&message)).transpose().context("write JSON")?;
        self.request(Signal::Metrics, due_nanos, items, 0, coding, json.unwrap_or_else(|| message.encode_to_vec()))
    }

    fn request(
        &self,
        signal: Signal,
        due_nanos: u64,
        items: u64,
        refused: u64,
        coding: Coding,
        message: Vec<u8>,
    ) -> anyhow::Result<Request> {
        let raw_bytes = message.len() as u64;
        let (content_encoding, body) = match coding {
            Coding::Plain | Coding::Json => (None, message),
            Coding::Gzip | Coding::JsonGzip => (Some("gzip"), gzip(&message).context("compress with gzip")?),
            Coding::Zstd => (Some("zstd"), zstd::bulk::compress(&message, 1).context("compress with zstd")?),
        };
        Ok(Request {
            due_ms: due_nanos.saturating_sub(self.start_nanos).div_ceil(NANOS_PER_MS),
            signal,
            items,
            refused,
            content_type: if coding.is_json() { "application/json" } else { "application/x-protobuf" },
            content_encoding,
            raw_bytes,
            body,
            is_repeated: false,
        })
    }

    fn coding(&mut self) -> Coding {
        match self.rng.below(100) {
            0..55 => Coding::Gzip,
            55..70 => Coding::Zstd,
            70..80 => Coding::Plain,
            80..90 => Coding::Json,
            _ => Coding::JsonGzip,
        }
    }

    fn resource(&self, service: &str) -> Option<Resource> {
        self.resources.get(service).cloned()
    }
}

impl Coding {
    fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::JsonGzip)
    }
}

fn gzip(message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::new(4));
    encoder.write_all(message)?;
    encoder.finish()
}

/// The number of data points of a metric.
fn points(metric: &Metric) -> u64 {
    let points = match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    };
    points as u64
}

fn scope(service: &str, is_own: bool) -> InstrumentationScope {
    let language = SERVICES.iter().find(|known| known.name == service).map_or("", |known| known.language);
    let name = if is_own { format!("shop.{service}") } else { format!("io.opentelemetry.{language}.http") };
    let attributes = if is_own { vec![string("shop.team", "storefront")] } else { Vec::new() };
    InstrumentationScope { name, version: "2.4.0".to_owned(), attributes, ..InstrumentationScope::default() }
}

fn resource(rng: &mut Rng, planter: &mut Planter, service: &Service) -> Resource {
    let pod = format!("{}-{:08x}-{:04x}", service.name, rng.bits() >> 32, rng.below(1 << 16));
    let mut attributes = vec![
        string("service.name", service.name),
        string("service.namespace", "shop"),
        string("service.version", service.version),
        string("service.instance.id", format!("{:016x}{:016x}", rng.bits(), rng.bits())),
        string("deployment.environment.name", "demo"),
        string("telemetry.sdk.language", service.language),
        string("telemetry.sdk.name", "opentelemetry"),
        string("telemetry.sdk.version", "1.40.0"),
        string("cloud.region", "eu-central-1"),
        string("k8s.namespace.name", "shop"),
        string("k8s.deployment.name", service.name),
        string("k8s.pod.name", pod),
        string("host.arch", "arm64"),
        int("process.pid", 1),
    ];
    if service.name == "cart-service" {
        let password = planter.plant(Kind::Password, "a resource attribute");
        attributes.push(string("process.command_line", format!("cart --listen :8080 --db-password={password}")));
    }
    Resource { attributes, ..Resource::default() }
}
