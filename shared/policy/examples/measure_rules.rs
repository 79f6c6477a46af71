//! Measures what the rules cost: nanoseconds a span for contexts and items together, over the trace requests (plain
//! protobuf) in a folder, with the built-in default or the configuration that is named.
//!
//! `cargo run --release -p spanlake-policy --example measure_rules -- FOLDER [CONFIG]`
#![expect(clippy::print_stdout, reason = "its purpose is to print")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads bodies and the time; the crate itself does not")]
#![expect(clippy::unwrap_used, reason = "a measurement stops where something is wrong")]

use std::time::Instant;

use spanlake_model::{Signal, TraceId};
use spanlake_otlp::wire::{Field, Reader};
use spanlake_policy::{Context, DEFAULT_CONFIG, Rules, Scratch, TraceFacts, load, render};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap();
    let config = arguments.next().map_or_else(|| DEFAULT_CONFIG.to_owned(), |path| std::fs::read_to_string(path).unwrap());
    let loaded = load(&config, &|name| std::env::var(name).ok());
    println!("{}", render(&loaded, "config"));
    let rules = loaded.rules.unwrap();
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let bodies: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let mut scratch = Scratch::new();
    for round in 0..5 {
        let start = Instant::now();
        let (mut spans, mut bytes) = (0, 0);
        for body in &bodies {
            let (more, written) = apply(&rules, body, &mut scratch);
            spans += more;
            bytes += written;
        }
        let nanos = start.elapsed().as_nanos() / u128::from(spans.max(1));
        println!("round {round}: {spans} spans, {bytes} bytes written, {nanos} ns a span");
    }
    println!("{:?}", scratch.take_masked());
    decide(&rules);
}

/// Nanoseconds for one decision on ids that FNV spreads well.
fn decide(rules: &Rules) {
    let start = Instant::now();
    let rounds = 1_000_000_u32;
    let mut kept = 0.0;
    for number in 0..rounds {
        let id = TraceId(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes());
        let facts = TraceFacts { spans: 1, start_nanos: 1, end_nanos: 2, ..TraceFacts::default() };
        kept += rules.decide(&id, &facts).weight;
    }
    println!("decide: {} ns, mean weight {}", start.elapsed().as_nanos() / u128::from(rounds), kept / f64::from(rounds));
}

fn apply(rules: &Rules, request: &[u8], scratch: &mut Scratch) -> (u64, usize) {
    let processed = rules.has_processors(Signal::Traces).then(|| rules.process(Signal::Traces, request, 0, scratch).unwrap());
    let request = processed.as_ref().map_or(request, |processed| processed.payload.as_slice());
    let mut out = Vec::with_capacity(request.len());
    let mut spans = 0;
    for (_, group) in fields(request) {
        let group = fields(group);
        for (_, scope) in group.iter().filter(|(number, _)| *number == 2) {
            let scope = fields(scope);
            let one = |fields: &[(u32, &[u8])], number: u32| fields.iter().position(|(found, _)| *found == number);
            let resource = one(&group, 1).and_then(|at| group.get(at)).map_or(&[][..], |(_, bytes)| bytes);
            let name = one(&scope, 1).and_then(|at| scope.get(at)).map_or(&[][..], |(_, bytes)| bytes);
            let context = rules.context(Signal::Traces, Context { resource, scope: name, ..Context::default() }, scratch);
            for (_, span) in scope.iter().filter(|(number, _)| *number == 2) {
                let _outcome = rules.item(Signal::Traces, &context, span, &mut out, scratch);
                spans += 1;
            }
        }
    }
    (spans, out.len())
}

fn fields(message: &[u8]) -> Vec<(u32, &[u8])> {
    let mut reader = Reader::new(message);
    let mut all = Vec::new();
    while let Some(Field { number, value, .. }) = reader.next().unwrap() {
        all.extend(value.bytes().map(|bytes| (number, bytes)));
    }
    all
}
