//! The rules file: any text is read or refused with findings, soon; rules that were read work on any text.

use std::time::{Duration, Instant};

use spanlake_model::{BucketRange, Signal, TraceId};
use spanlake_policy::{Context, Rules, Scratch, SpanFacts, TraceFacts, load, span_weight};
use xxhash_rust::xxh3::xxh3_64;

use super::draw::Draw;
use super::used;

/// Far beyond what any file of this size takes, so that a busy machine does not look like a fault.
const LOAD_TIME_MAX: Duration = Duration::from_secs(5);

/// Far beyond what the bounds of all functions allow for two small items and one statement each.
const PROCESSED_BYTES_MAX: usize = 64 << 20;

/// Of this many inputs that are taken, one is read again: reading takes most of the time.
const AGAIN_ONE_IN: u64 = 16;

/// The target.
pub fn rules(data: &[u8]) {
    let mut draw = Draw::new(data);
    let text = config(&mut draw);
    let begun = Instant::now();
    let env = |name: &str| (name.len() % 2 == 1).then(|| format!("\"{name}: 1"));
    let loaded = load(&text, &env);
    assert!(begun.elapsed() < LOAD_TIME_MAX, "{:?} for {} bytes", begun.elapsed(), text.len());
    let lines = text.split(['\n', '\r']).count() as u32 + 1;
    assert!(loaded.findings.iter().all(|finding| finding.line <= Some(lines)), "a finding beyond the file");
    if let Some(rules) = loaded.rules {
        if xxh3_64(data).is_multiple_of(AGAIN_ONE_IN) {
            assert_eq!(load(&text, &env).rules.expect("the same text").version(), rules.version());
        }
        run(&rules);
    }
}

/// A configuration: the text as it is, or in the place of one of the things that a configuration holds.
fn config(draw: &mut Draw<'_>) -> String {
    let kind = draw.byte();
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''").replace(['\n', '\r'], " "));
    let rest = String::from_utf8_lossy(draw.rest());
    let service = "service: {pipelines: {traces: {receivers: [otlp], processors: [p], exporters: [x]}}}\n\
                   receivers: {otlp: {protocols: {http: }}}\nexporters: {x: }\n";
    match kind & 15 {
        0 => {
            let (pattern, replacement) = rest.split_once('\u{1}').unwrap_or((&rest, "*"));
            let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let statement = format!("replace_pattern(span.name, \"{}\", \"{}\")", escape(pattern), escape(replacement));
            format!("processors: {{transform: {{trace_statements: [{}]}}}}\n{}", quoted(&statement), named(service, "transform"))
        }
        1 => {
            format!("processors: {{transform: {{trace_statements: [{}]}}}}\n{}", quoted(&rest), named(service, "transform"))
        }
        2 => {
            let values: Vec<String> = rest.split('\u{1}').map(quoted).collect();
            let list = ["blocked_values", "blocked_key_patterns", "allowed_values", "ignored_key_patterns", "allowed_keys"];
            let key = list[usize::from(kind >> 4) % list.len()];
            let redaction = format!("redaction: {{allow_all_keys: {}, {key}: [{}]}}", key != "allowed_keys", values.join(", "));
            format!("processors: {{{redaction}}}\n{}", named(service, "redaction"))
        }
        3 => {
            let attribute = format!(
                "{{name: s, type: string_attribute, string_attribute: {{key: k, values: [{}], enabled_regex_matching: true}}}}",
                quoted(&rest)
            );
            format!("processors: {{tail_sampling: {{policies: [{attribute}]}}}}\n{}", named(service, "tail_sampling"))
        }
        4 => format!("processors:\n  tail_sampling:\n    {rest}\n{}", named(service, "tail_sampling")),
        5 => format!("processors:\n  tail_sampling:\n    policies:\n      - {rest}\n{}", named(service, "tail_sampling")),
        6 => format!("spanlake:\n  {rest}\n"),
        7 => format!("processors:\n  transform:\n    {rest}\n{}", named(service, "transform")),
        8 => format!("processors:\n  redaction:\n    {rest}\n{}", named(service, "redaction")),
        9 => {
            let conditions = format!("processors: {{filter: {{traces: {{span: [{}]}}}}}}\n", quoted(&rest));
            format!("{conditions}{}", named(service, "filter"))
        }
        10 => format!("processors:\n  filter:\n    {rest}\n{}", named(service, "filter")),
        11 => format!("processors:\n  attributes:\n    actions:\n      - {rest}\n{}", named(service, "attributes")),
        12 => format!("processors:\n  probabilistic_sampler:\n    {rest}\n{}", named(service, "probabilistic_sampler")),
        13 => {
            let condition = format!("{{name: o, type: ottl_condition, ottl_condition: {{span: [{}]}}}}", quoted(&rest));
            format!("processors: {{tail_sampling: {{policies: [{condition}]}}}}\n{}", named(service, "tail_sampling"))
        }
        _ => rest.into_owned(),
    }
}

fn named(service: &str, processor: &str) -> String {
    service.replace("[p]", &format!("[{processor}]"))
}

/// Sends two items of one request through the processors: whatever they do, all is accounted for and no text is endless.
fn process(rules: &Rules, signal: Signal, item: &[u8], scratch: &mut Scratch) {
    let (mut scope, mut group, mut request) = (Vec::new(), Vec::new(), Vec::new());
    spanlake_otlp::wire::put_len(&mut scope, 2, item);
    spanlake_otlp::wire::put_len(&mut scope, 2, item);
    spanlake_otlp::wire::put_len(&mut group, 1, b"\x0a\x0a\x0a\x01r\x12\x05\x0a\x03res");
    spanlake_otlp::wire::put_len(&mut group, 2, &scope);
    spanlake_otlp::wire::put_len(&mut request, 1, &group);
    let Ok(processed) = rules.process(signal, &request, 1_000_000_000, scratch) else { return };
    assert!(processed.origins.iter().all(|origin| *origin < 2), "an item from nowhere");
    assert!(processed.payload.len() < PROCESSED_BYTES_MAX, "{} bytes of {}", processed.payload.len(), request.len());
    if signal == Signal::Traces {
        used(rules.facts(&request, 1_000_000_000, scratch).is_ok());
    }
}

/// Uses everything that rules are for.
fn run(rules: &Rules) {
    let text = b"a aa aaa 4111 1111 1111 1111 jane@example.com \xc3\xa9 \xff 10.1.2.3 {\"k\":[1,\"x\"]} Bearer abcdef0123456789";
    let mut item = Vec::new();
    spanlake_otlp::wire::put_len(&mut item, 5, text);
    spanlake_otlp::wire::put_len(&mut item, 9, b"\x0a\x01k\x12\x06\x0a\x04aaaa");
    let mut scratch = Scratch::new();
    for signal in Signal::ALL {
        let context = rules.context(signal, Context::default(), &mut scratch);
        let mut out = Vec::new();
        rules.item(signal, &context, &item, &mut out, &mut scratch);
        process(rules, signal, &item, &mut scratch);
    }
    let most = TraceFacts { bits: u64::MAX, start_nanos: 1, end_nanos: u64::MAX, spans: u64::MAX, ..TraceFacts::default() };
    for facts in [most, TraceFacts { spans: 1, ..TraceFacts::default() }] {
        let mut admission = rules.admission(10_000, rules.window_ms(), BucketRange { first: 0, last: 1023 });
        (0..8).for_each(|id| admission.offer(&TraceId([id; 16]), &[facts]));
        let admitted = admission.finish();
        for decision in
            [rules.decide(&TraceId([7; 16]), &facts), rules.decide_in_window(&TraceId([7; 16]), &[facts, most], &admitted)]
        {
            assert!(decision.weight >= 1.0 && decision.weight.is_finite(), "weight {}", decision.weight);
            used(rules.votes_text(&decision));
            used(rules.policy_name(decision.policy));
            used(rules.sub_policy_name(&decision));
            used(rules.outgoing_tracestate(decision.weight, decision.threshold, "x=1,ot=th:8;rv:95e7fd44ec1fba"));
            used(span_weight(decision.weight, decision.threshold, Some(1 << 55)));
        }
    }
    used(rules.keeps_late_span(&TraceId([7; 16]), &SpanFacts::default()));
}
