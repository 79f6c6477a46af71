//! Measures what rules cost: nanoseconds an item, for every configuration of the vectors over its own input, by processor and by
//! policy, with the built-in masking behind it. An item is a span, a log record or a metric.
//!
//! `cargo run --release -p spanlake-policy --example measure_vectors [NAME] [--traces FILE]`
//!
//! With a name only configurations whose name holds it are measured, each in a line of its own. With a file, the trace request
//! (plain protobuf) that it holds takes the place of the inputs of all configurations for traces; there are no others then.
#![expect(clippy::print_stdout, reason = "its purpose is to print")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the time; the crate itself does not")]
#![expect(clippy::unwrap_used, reason = "a measurement stops where something is wrong")]
#![expect(clippy::cast_precision_loss, reason = "figures of a few digits")]
#![expect(clippy::indexing_slicing, reason = "a key that a vector lacks is null")]
#![expect(clippy::format_collect, reason = "a line for each line, once for each file")]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value as Json;
use spanlake_model::{Signal, TraceId};
use spanlake_otlp::json::to_protobuf;
use spanlake_otlp::limits::Limits;
use spanlake_otlp::payload::{Items, item_trace_id};
use spanlake_policy::{DEFAULT_CONFIG, MaskedContext, Rules, Scratch, TraceFacts, load};

/// An input is repeated until it has so many items: as many as a usual request.
const ITEMS: usize = 512;
/// The best of so many rounds counts: others share the machine.
const ROUNDS: usize = 15;
/// No configuration may be slower.
const NANOS_MAX: f64 = 5_000.0;

/// A configuration, and what it is measured on.
struct Case {
    group: String,
    name: String,
    rules: Rules,
    signal: Signal,
    request: Vec<u8>,
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = arguments.iter().position(|argument| argument == "--traces");
    let file = option.map(|at| arguments.drain(at..=at + 1).next_back().unwrap());
    let wanted = arguments.pop();
    let mut cases = processors();
    cases.extend(policies());
    cases.extend(whole_files());
    if let Some(file) = file {
        let request = repeated(&std::fs::read(file).unwrap());
        cases.retain(|case| case.signal == Signal::Traces);
        for case in &mut cases {
            case.request.clone_from(&request);
        }
    }
    let mut groups: BTreeMap<&str, Vec<(f64, &str)>> = BTreeMap::new();
    println!("| rules | configurations | median, ns an item | slowest | which |\n|---|---|---|---|---|");
    for case in &cases {
        if wanted.as_ref().is_some_and(|wanted| !case.name.contains(wanted.as_str())) {
            continue;
        }
        let nanos = nanos_an_item(case);
        groups.entry(&case.group).or_default().push((nanos, &case.name));
        if wanted.is_some() {
            println!("| {} | 1 | {nanos:.0} | {nanos:.0} | {} |", case.group, case.name);
        }
    }
    let mut slow = 0;
    for (group, mut figures) in groups {
        figures.sort_by(|one, two| one.0.total_cmp(&two.0));
        slow += figures.iter().filter(|(nanos, _)| *nanos > NANOS_MAX).count();
        let (median, slowest) = (figures.get(figures.len() / 2).unwrap(), figures.last().unwrap());
        println!("| {group} | {} | {:.0} | {:.0} | {} |", figures.len(), median.0, slowest.0, slowest.1);
    }
    println!("\n{slow} configurations are slower than {NANOS_MAX:.0} ns an item");
}

/// Sends the request through the rules as the grouper does, again and again.
fn nanos_an_item(case: &Case) -> f64 {
    let mut scratch = Scratch::new();
    let mut best = f64::INFINITY;
    let mut items = 1;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        items = std::hint::black_box(pass(case, &mut scratch));
        best = best.min(start.elapsed().as_secs_f64());
    }
    best * 1e9 / items as f64
}

/// Processors, masking and facts of every item, and the decision on every trace; returns how many items came.
fn pass(case: &Case, scratch: &mut Scratch) -> usize {
    let Case { rules, signal, request, .. } = case;
    let signal = *signal;
    let (mut known, mut processed) = (None, None);
    if rules.has_processors(signal) {
        let whole = rules.process(signal, request, 0, scratch).unwrap();
        processed = Some(whole.payload);
        known = Some(whole.facts);
    } else if signal == Signal::Traces && rules.reads_facts_apart() {
        known = Some(rules.facts(request, 0, scratch).unwrap());
    }
    let mut traces: HashMap<TraceId, TraceFacts> = HashMap::new();
    let mut contexts: HashMap<(&[u8], &[u8]), MaskedContext> = HashMap::new();
    let (mut out, mut place) = (Vec::new(), 0);
    let mut all = Items::new(processed.as_deref().unwrap_or(request));
    while let Some(item) = all.next().unwrap() {
        let raw = all.context();
        let context = contexts.entry((raw.resource, raw.scope)).or_insert_with(|| rules.context(signal, raw, scratch));
        out.clear();
        let outcome = rules.item(signal, context, item.bytes, &mut out, scratch);
        if signal == Signal::Traces {
            let facts = known.as_ref().and_then(|known| known.get(place).copied().flatten()).unwrap_or(outcome.facts);
            let id = item_trace_id(signal, item.bytes).unwrap_or_default();
            traces.entry(id).or_default().then(&TraceFacts::of(&facts), rules.pairs());
        }
        place += 1;
    }
    for (id, facts) in &traces {
        std::hint::black_box(rules.decide(id, facts));
    }
    std::hint::black_box(out.len());
    count(request)
}

fn count(request: &[u8]) -> usize {
    let (mut all, mut count) = (Items::new(request), 0);
    while all.next().unwrap().is_some() {
        count += 1;
    }
    count
}

/// A request that holds an input's again and again: a message repeated is a message with all of its lists.
fn repeated(request: &[u8]) -> Vec<u8> {
    request.repeat(ITEMS.div_ceil(count(request).max(1)))
}

fn vectors(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/vectors").join(name)
}

fn document(path: &Path) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn protobuf(signal: Signal, request: &Json) -> Vec<u8> {
    to_protobuf(signal, request.to_string().as_bytes(), &Limits::default()).unwrap().protobuf
}

/// A whole file around a processor's block.
fn file(id: &str, block: &str, signal: Signal) -> String {
    let indented: String = block.lines().map(|line| format!("    {line}\n")).collect();
    let name = signal.name();
    format!("processors:\n  {id}:\n{indented}service:\n  pipelines:\n    {name}:\n      processors: [{id}]\n")
}

/// The cases of whole processors, but for those that are refused.
fn processors() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ["attributes", "filter", "redaction", "resource", "transform", "strange"] {
        let text = std::fs::read_to_string(vectors(&format!("processors/{name}.jsonl"))).unwrap();
        for line in text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()) {
            let signal = Signal::ALL.into_iter().find(|signal| line["signal"] == signal.name()).unwrap();
            let id = line["processor"].as_str().unwrap();
            let text = file(id, line["config"].as_str().unwrap(), signal);
            let Some(rules) = load(&text, &|_| None).rules else { continue };
            let input = document(&vectors("processors").join(line["input"].as_str().unwrap()));
            let (group, name) = (format!("`{id}`, {}", signal.name()), line["name"].as_str().unwrap().to_owned());
            cases.push(Case { group, name, rules, signal, request: repeated(&protobuf(signal, &input)) });
        }
    }
    cases
}

/// The cases of whole sampling policies.
fn policies() -> Vec<Case> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(vectors("tail-sampling")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let case = document(path);
        let block = case["config"].as_str().unwrap();
        let body: String = block.lines().skip(1).map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
        let Some(rules) = load(&file("tail_sampling", &body, Signal::Traces), &|_| None).rules else { continue };
        let phases = case["phases"].as_array().into_iter().flatten();
        let batches = phases.flat_map(|phase| phase["batches"].as_array().unwrap());
        let request: Vec<u8> = batches.flat_map(|batch| protobuf(Signal::Traces, batch)).collect();
        let name = case["name"].as_str().unwrap().to_owned();
        let kind = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-').to_owned();
        let is_type = rules.policies().any(|(_, known)| known == kind.replace('-', "_"));
        let group = if is_type { format!("policy `{}`", kind.replace('-', "_")) } else { "policies, mixed".to_owned() };
        cases.push(Case { group, name, rules, signal: Signal::Traces, request: repeated(&request) });
    }
    cases
}

/// The built-in default, the guide's configuration, and the masking alone, on the spans of a shop.
fn whole_files() -> Vec<Case> {
    let seed = std::fs::read_to_string(vectors("seed-collector-config.yaml")).unwrap();
    let alone = "service: {pipelines: {}}";
    let input = document(&vectors("processors/inputs/traces-shop.json"));
    let request = repeated(&protobuf(Signal::Traces, &input));
    let files = [("the built-in default", DEFAULT_CONFIG), ("the seed's rules", &seed), ("the built-in masking alone", alone)];
    let case = |(name, text): (&str, &str)| Case {
        group: format!("({name})"),
        name: name.to_owned(),
        rules: load(text, &|_| None).rules.unwrap(),
        signal: Signal::Traces,
        request: request.clone(),
    };
    files.into_iter().map(case).collect()
}
