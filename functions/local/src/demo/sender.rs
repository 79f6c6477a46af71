//! Sends the shop's requests to a URL, as an exporter would. It knows the URL and the headers, and nothing of the
//! process behind them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail, ensure};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use spanlake_model::{PerSignal, Signal};
use ureq::Agent;

use super::export::Request;

/// Connections in use at a time.
const CONNECTIONS: usize = 4;
/// A request that is put off more often than this fails the run.
const ATTEMPTS_MAX: u32 = 20;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
const RETRY_AFTER_MAX_SECONDS: u64 = 10;
const ANSWER_BYTES_SHOWN: usize = 300;

/// Where to send.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Like `OTEL_EXPORTER_OTLP_ENDPOINT`: without `/v1/traces`.
    pub(crate) url: String,
    /// Like `OTEL_EXPORTER_OTLP_HEADERS`.
    pub(crate) headers: Vec<(String, String)>,
}

/// What was sent so far; at the end, all of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) requests: u64,
    /// Items acknowledged, each counted once however often it was sent.
    pub(crate) accepted: PerSignal<u64>,
    /// Items that `partial_success` counts as refused.
    pub(crate) refused: PerSignal<u64>,
    /// Items sent again on purpose after their acknowledgement.
    pub(crate) repeated: PerSignal<u64>,
    /// Answers that asked to come again later.
    pub(crate) put_off: u64,
    /// Bytes of the messages before compression, and on the wire.
    pub(crate) raw_bytes: u64,
    pub(crate) wire_bytes: u64,
}

/// Sends every request when it is due and waits for its acknowledgement. `progress` is called after each.
///
/// # Errors
/// When the URL is out of reach, or an answer is neither an acknowledgement nor worth a retry.
pub(crate) fn send(target: &Target, requests: &[Request], progress: &(dyn Fn(&Sent) + Sync)) -> anyhow::Result<Sent> {
    let agent: Agent = Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_TIMEOUT)).build().into();
    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    let sent = Mutex::new(Sent::default());
    let work = || -> anyhow::Result<()> {
        while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
            std::thread::sleep(Duration::from_millis(request.due_ms).saturating_sub(begun.elapsed()));
            let outcome = deliver(&agent, target, request).and_then(|first| {
                let again = if request.is_repeated { Some(deliver(&agent, target, request)?) } else { None };
                Ok((first, again))
            });
            if outcome.is_err() {
                // The other connections stop as well: there is nothing to compare any more.
                next.store(requests.len(), Ordering::Relaxed);
            }
            let (first, again) = outcome?;
            let mut sent = sent.lock().map_err(|_| anyhow!("another connection failed"))?;
            sent.note(request, first);
            if let Some(again) = again {
                sent.repeated[request.signal] += request.items;
                sent.put_off += again.put_off;
            }
            progress(&sent);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let connections: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(work)).collect();
        connections.into_iter().try_for_each(|one| one.join().map_err(|_| anyhow!("a connection's thread failed"))?)
    })?;
    let sent = sent.into_inner().map_err(|_| anyhow!("a connection's thread failed"))?;
    ensure!(sent.requests == requests.len() as u64, "{} of {} requests were acknowledged", sent.requests, requests.len());
    Ok(sent)
}

/// What an acknowledgement says.
#[derive(Clone, Copy, Debug, Default)]
struct Delivery {
    refused: u64,
    put_off: u64,
}

impl Sent {
    fn note(&mut self, request: &Request, delivery: Delivery) {
        self.requests += 1;
        self.accepted[request.signal] += (request.items + request.refused).saturating_sub(delivery.refused);
        self.refused[request.signal] += delivery.refused;
        self.put_off += delivery.put_off;
        self.raw_bytes += request.raw_bytes;
        self.wire_bytes += request.body.len() as u64;
    }
}

/// Sends one request until it is acknowledged, waiting as long as the answers ask for.
fn deliver(agent: &Agent, target: &Target, request: &Request) -> anyhow::Result<Delivery> {
    let url = format!("{}/v1/{}", target.url.trim_end_matches('/'), request.signal.name());
    for put_off in 0..ATTEMPTS_MAX {
        let mut call = agent.post(&url).header("content-type", request.content_type);
        if let Some(encoding) = request.content_encoding {
            call = call.header("content-encoding", encoding);
        }
        for (name, value) in &target.headers {
            call = call.header(name, value);
        }
        let mut answer = call.send(&request.body[..]).with_context(|| format!("send to {url}"))?;
        let status = answer.status().as_u16();
        let wait_seconds = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = answer.body_mut().read_to_vec().with_context(|| format!("read the answer of {url}"))?;
        match status {
            200 => {
                let refused = refused(request, &body).with_context(|| format!("understand the answer of {url}"))?;
                return Ok(Delivery { refused, put_off: u64::from(put_off) });
            }
            429 | 502 | 503 | 504 => {
                std::thread::sleep(Duration::from_secs(wait_seconds.unwrap_or(1).min(RETRY_AFTER_MAX_SECONDS)));
            }
            _ => {
                let shown = body.get(..ANSWER_BYTES_SHOWN).unwrap_or(&body);
                bail!("{url} answered {status}: {}", String::from_utf8_lossy(shown));
            }
        }
    }
    bail!("{url} put one request off {ATTEMPTS_MAX} times")
}

/// How many items the answer's `partial_success` counts as refused.
fn refused(request: &Request, body: &[u8]) -> anyhow::Result<u64> {
    let count = if request.content_type == "application/json" {
        let answer: serde_json::Value = serde_json::from_slice(body)?;
        let key = match request.signal {
            Signal::Traces => "rejectedSpans",
            Signal::Logs => "rejectedLogRecords",
            Signal::Metrics => "rejectedDataPoints",
        };
        let count = answer.get("partialSuccess").and_then(|partial| partial.get(key));
        // JSON writes 64-bit integers as strings, and some servers as numbers.
        let as_text = || count.and_then(|count| count.as_str()?.parse().ok());
        count.and_then(serde_json::Value::as_i64).or_else(as_text).unwrap_or(0)
    } else {
        match request.signal {
            Signal::Traces => {
                ExportTraceServiceResponse::decode(body)?.partial_success.map_or(0, |partial| partial.rejected_spans)
            }
            Signal::Logs => {
                ExportLogsServiceResponse::decode(body)?.partial_success.map_or(0, |partial| partial.rejected_log_records)
            }
            Signal::Metrics => {
                ExportMetricsServiceResponse::decode(body)?.partial_success.map_or(0, |partial| partial.rejected_data_points)
            }
        }
    };
    Ok(u64::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests;
