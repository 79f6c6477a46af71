//! Measures what the walk costs per span: `cargo run --release --example measure_walk -- BODY...`, where each BODY is a traces
//! request as an exporter sends it, `.pb`, `.pb.gz` or `.pb.zst` (loadgen's `--out` writes such files).
#![expect(clippy::print_stdout, reason = "a command's output")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads bodies and the time; the crate itself does not")]

use std::hint::black_box;
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spanlake_model::{BucketRange, Signal};
use spanlake_otlp::cut::{Request, Scratch, cut};
use spanlake_otlp::inflate::{Coding, Inflater};
use spanlake_otlp::limits::Limits;
use spanlake_otlp::payload::Items;

type Failure = Box<dyn std::error::Error>;

const ROUNDS: u32 = 15;

/// The median over the rounds, in nanoseconds per span.
fn measure(name: &str, spans: u64, mut work: impl FnMut() -> Result<(), Failure>) -> Result<(), Failure> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        work()?;
        rounds.push(begin.elapsed().as_nanos() / u128::from(spans.max(1)));
    }
    rounds.sort_unstable();
    println!("{name:<26} {:>6} ns/span", rounds.get(rounds.len() / 2).copied().unwrap_or_default());
    Ok(())
}

fn main() -> Result<(), Failure> {
    let limits = Limits::default();
    let (mut inflater, mut scratch, mut out) = (Inflater::new(), Scratch::new(), Vec::new());
    let mut bodies = Vec::new();
    for path in std::env::args().skip(1) {
        let gzip = path.rsplit_once('.').is_some_and(|(_, end)| end == "gz");
        let zstd = path.rsplit_once('.').is_some_and(|(_, end)| end == "zst");
        let coding = if gzip {
            Coding::Gzip
        } else if zstd {
            Coding::Zstd
        } else {
            Coding::Identity
        };
        let wire = std::fs::read(&path)?;
        inflater.inflate(coding, &wire, 64 << 20, &mut out)?;
        bodies.push((coding, wire, out.clone()));
    }
    let request = |body| Request { signal: Signal::Traces, tenant: "t", body };
    let shards = BucketRange::even(4);
    let mut spans = 0;
    for (_, _, body) in &bodies {
        spans += cut(&request(body), &limits, &shards, &mut scratch)?.accepted;
    }
    let bytes: usize = bodies.iter().map(|(_, _, body)| body.len()).sum();
    println!("{} bodies, {spans} spans, {} bytes/span", bodies.len(), bytes as u64 / spans.max(1));
    measure("inflate", spans, || {
        for (coding, wire, _) in &bodies {
            inflater.inflate(*coding, wire, 64 << 20, &mut out)?;
            black_box(&out);
        }
        Ok(())
    })?;
    for shards in [1, 4] {
        let map = BucketRange::even(shards);
        measure(&format!("cut for {shards} shards"), spans, || {
            for (_, _, body) in &bodies {
                black_box(cut(&request(body), &limits, &map, &mut scratch)?);
            }
            Ok(())
        })?;
    }
    measure("batch id alone", spans, || {
        for (_, _, body) in &bodies {
            black_box(spanlake_otlp::cut::batch_id(&request(body)));
        }
        Ok(())
    })?;
    measure("prost decode, to compare", spans, || {
        for (_, _, body) in &bodies {
            black_box(ExportTraceServiceRequest::decode(&body[..])?);
        }
        Ok(())
    })?;
    measure("read a payload", spans, || {
        for (_, _, body) in &bodies {
            let mut items = Items::new(body);
            while let Some(item) = items.next()? {
                black_box(item);
            }
        }
        Ok(())
    })
}
