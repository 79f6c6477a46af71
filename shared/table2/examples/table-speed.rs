//! Measures how long a span takes from the wire to Parquet: `cargo run --release -p spanlake-table --example table-speed`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement is run by hand")]

use std::time::Instant;

use spanlake_model::Signal;
use spanlake_otlp::wire::{put_fixed64, put_len, put_varint_field};
use spanlake_table2::{Context, FileMeta, Item, Sampling, write_items};

const SPANS: u64 = 200_000;
const SERVICES: u64 = 12;

/// A fixed sequence of numbers that look random (splitmix64).
fn mix(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

fn attribute(out: &mut Vec<u8>, field: u32, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    let (mut any, mut pair) = (Vec::new(), Vec::new());
    value(&mut any);
    put_len(&mut pair, 1, key.as_bytes());
    put_len(&mut pair, 2, &any);
    put_len(out, field, &pair);
}

fn text(value: &str) -> impl FnOnce(&mut Vec<u8>) {
    move |out| put_len(out, 1, value.as_bytes())
}

fn span(index: u64) -> Vec<u8> {
    let (trace, id) = (index / 8, mix(index));
    let mut out = Vec::new();
    put_len(&mut out, 1, &[mix(trace).to_be_bytes(), mix(trace + SPANS).to_be_bytes()].concat());
    put_len(&mut out, 2, &id.to_be_bytes());
    if !index.is_multiple_of(8) {
        put_len(&mut out, 4, &mix(index - 1).to_be_bytes());
    }
    let route = format!("/api/v1/resource{}/{{id}}", id % 40);
    put_len(&mut out, 5, format!("GET {route}").as_bytes());
    put_varint_field(&mut out, 6, 2 + id % 2);
    let start = 1_790_000_000_000_000_000 + trace * 5_000_000 + id % 1_000_000;
    put_fixed64(&mut out, 7, start);
    put_fixed64(&mut out, 8, start + id % 90_000_000);
    attribute(&mut out, 9, "http.request.method", text("GET"));
    attribute(&mut out, 9, "http.route", text(&route));
    attribute(&mut out, 9, "http.response.status_code", |out| put_varint_field(out, 3, 200));
    attribute(&mut out, 9, "url.path", text(&format!("/api/v1/resource{}/{}", id % 40, id % 5_000)));
    attribute(&mut out, 9, "url.scheme", text("https"));
    attribute(&mut out, 9, "server.address", text("shop.example.com"));
    attribute(&mut out, 9, "server.port", |out| put_varint_field(out, 3, 443));
    attribute(&mut out, 9, "client.address", text(&format!("10.0.{}.{}", id % 7, id % 250)));
    attribute(&mut out, 9, "user_agent.original", text("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"));
    attribute(&mut out, 9, "network.protocol.version", text("1.1"));
    attribute(&mut out, 9, "thread.id", |out| put_varint_field(out, 3, id % 64));
    attribute(&mut out, 9, "app.user.id", text(&format!("user-{}", id % 20_000)));
    out
}

fn main() {
    let resources: Vec<Vec<u8>> = (0..SERVICES)
        .map(|service| {
            let mut out = Vec::new();
            attribute(&mut out, 1, "service.name", text(&format!("service-{service}")));
            attribute(&mut out, 1, "service.version", text("1.4.2"));
            attribute(&mut out, 1, "deployment.environment.name", text("production"));
            attribute(&mut out, 1, "host.name", text(&format!("node-{service}")));
            attribute(&mut out, 1, "telemetry.sdk.language", text("rust"));
            attribute(&mut out, 1, "telemetry.sdk.name", text("opentelemetry"));
            out
        })
        .collect();
    let mut scope = Vec::new();
    put_len(&mut scope, 1, b"http-server");
    let contexts: Vec<Context<'_>> = resources
        .iter()
        .map(|resource| Context { resource, resource_schema_url: "", scope: &scope, scope_schema_url: "" })
        .collect();
    let spans: Vec<Vec<u8>> = (0..SPANS).map(span).collect();
    let sampling = Sampling { policy: "errors", weight: 1.0, is_late: false };
    let items: Vec<Item<'_>> = (0_u32..)
        .zip(&spans)
        .map(|(index, bytes)| Item {
            context: index % u32::try_from(SERVICES).unwrap(),
            bytes,
            arrival_nanos: 1_790_000_000_000_000_000,
            sampling,
        })
        .collect();
    let wire: usize = spans.iter().map(Vec::len).sum();
    for _ in 0..3 {
        let begin = Instant::now();
        let files = write_items(Signal::Traces, &contexts, &items, &FileMeta::default()).unwrap();
        let nanos = begin.elapsed().as_nanos() / u128::from(SPANS);
        let bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
        println!("{nanos} ns per span, {} wire bytes and {} stored bytes per span", wire as u64 / SPANS, bytes as u64 / SPANS);
    }
}
