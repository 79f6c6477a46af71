//! The rules file: any text is read or refused with findings, soon; rules that were read work on any text.

use std::time::{Duration, Instant};

use spanlake_model::{BucketRange, Signal, TraceId};
use spanlake_otlp::wire::{put_fixed64, put_len, put_varint_field};
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

/// A configuration: the text as it is, in the place of one of the things that a configuration holds, or made up.
fn config(draw: &mut Draw<'_>) -> String {
    let kind = draw.byte();
    if kind & 15 == 14 {
        let (section, name, _) = super::ottl::processor(draw);
        return format!("{section}{}", pipelines(name));
    }
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''").replace(['\n', '\r'], " "));
    let rest = String::from_utf8_lossy(draw.rest());
    match kind & 15 {
        0 => {
            let (pattern, replacement) = rest.split_once('\u{1}').unwrap_or((&rest, "*"));
            let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let statement = format!("replace_pattern(span.name, \"{}\", \"{}\")", escape(pattern), escape(replacement));
            format!("processors: {{transform: {{trace_statements: [{}]}}}}\n{}", quoted(&statement), pipelines("transform"))
        }
        1 => {
            format!("processors: {{transform: {{trace_statements: [{}]}}}}\n{}", quoted(&rest), pipelines("transform"))
        }
        2 => {
            let values: Vec<String> = rest.split('\u{1}').map(quoted).collect();
            let list = ["blocked_values", "blocked_key_patterns", "allowed_values", "ignored_key_patterns", "allowed_keys"];
            let key = list[usize::from(kind >> 4) % list.len()];
            let redaction = format!("redaction: {{allow_all_keys: {}, {key}: [{}]}}", key != "allowed_keys", values.join(", "));
            format!("processors: {{{redaction}}}\n{}", pipelines("redaction"))
        }
        3 => {
            let attribute = format!(
                "{{name: s, type: string_attribute, string_attribute: {{key: k, values: [{}], enabled_regex_matching: true}}}}",
                quoted(&rest)
            );
            format!("processors: {{tail_sampling: {{policies: [{attribute}]}}}}\n{}", pipelines("tail_sampling"))
        }
        4 => format!("processors:\n  tail_sampling:\n    {rest}\n{}", pipelines("tail_sampling")),
        5 => format!("processors:\n  tail_sampling:\n    policies:\n      - {rest}\n{}", pipelines("tail_sampling")),
        6 => format!("spanlake:\n  {rest}\n"),
        7 => format!("processors:\n  transform:\n    {rest}\n{}", pipelines("transform")),
        8 => format!("processors:\n  redaction:\n    {rest}\n{}", pipelines("redaction")),
        9 => {
            let conditions = format!("processors: {{filter: {{traces: {{span: [{}]}}}}}}\n", quoted(&rest));
            format!("{conditions}{}", pipelines("filter"))
        }
        10 => format!("processors:\n  filter:\n    {rest}\n{}", pipelines("filter")),
        11 if kind >> 4 < 4 => format!("processors:\n  resource:\n    attributes:\n      - {rest}\n{}", pipelines("resource")),
        11 => format!("processors:\n  attributes:\n    actions:\n      - {rest}\n{}", pipelines("attributes")),
        12 => format!("processors:\n  probabilistic_sampler:\n    {rest}\n{}", pipelines("probabilistic_sampler")),
        13 => {
            let condition = format!("{{name: o, type: ottl_condition, ottl_condition: {{span: [{}]}}}}", quoted(&rest));
            format!("processors: {{tail_sampling: {{policies: [{condition}]}}}}\n{}", pipelines("tail_sampling"))
        }
        _ => rest.into_owned(),
    }
}

/// A service that runs a processor on every signal that it works on.
pub fn pipelines(processor: &str) -> String {
    let signals: &[&str] = match processor {
        "tail_sampling" => &["traces"],
        "probabilistic_sampler" => &["traces", "logs"],
        _ => &["traces", "logs", "metrics"],
    };
    let all: Vec<String> = signals
        .iter()
        .map(|signal| format!("{signal}: {{receivers: [otlp], processors: [{processor}], exporters: [x]}}"))
        .collect();
    let service = format!("service: {{pipelines: {{{}}}}}\n", all.join(", "));
    format!("{service}receivers: {{otlp: {{protocols: {{http: }}}}}}\nexporters: {{x: }}\n")
}

/// Sends two items of one request through the processors: whatever they do, all is accounted for and no text is endless.
fn process(rules: &Rules, signal: Signal, item: &[u8], scratch: &mut Scratch) {
    let (mut scope, mut group, mut request) = (Vec::new(), Vec::new(), Vec::new());
    put_len(&mut scope, 2, item);
    put_len(&mut scope, 2, item);
    put_len(&mut group, 1, b"\x0a\x0a\x0a\x01r\x12\x05\x0a\x03res");
    put_len(&mut group, 2, &scope);
    put_len(&mut request, 1, &group);
    let processed = rules.process(signal, &request, 1_000_000_000, scratch).expect("a good request");
    assert!(processed.origins.iter().all(|origin| *origin < 2), "an item from nowhere");
    assert!(processed.payload.len() < PROCESSED_BYTES_MAX, "{} bytes of {}", processed.payload.len(), request.len());
    if signal == Signal::Traces {
        used(rules.facts(&request, 1_000_000_000, scratch).is_ok());
    }
}

/// An attribute, or an entry of a map.
fn entry(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, 1, key);
    put_len(&mut out, 2, value);
    out
}

/// An item with something in every place that rules look at.
fn item(signal: Signal) -> Vec<u8> {
    let text =
        "a aa aaa 4111 1111 1111 1111 jane@example.com \u{e9} 10.1.2.3 {\"k\":[1,\"x\"]} Bearer abcdef0123456789".as_bytes();
    let string = [&[0x0a, text.len() as u8], text].concat();
    let list = [&[0x2a, 2 + string.len() as u8, 0x0a, string.len() as u8], &string[..]].concat();
    let (mut map, mut value) = (Vec::new(), Vec::new());
    put_len(&mut map, 1, &entry(b"k", &list));
    put_len(&mut map, 1, &entry(b"x", b"\x18\x07"));
    put_len(&mut value, 6, &map);
    let attributes = [entry(b"k", b"\x0a\x04aaaa"), entry(b"m", &value), entry(b"n", b"\x18\x05"), entry(b"http.url", &string)];
    let with = |number: u32, mut head: Vec<u8>| {
        for attribute in &attributes {
            put_len(&mut head, number, attribute);
        }
        head
    };
    let mut out = Vec::new();
    match signal {
        Signal::Traces => {
            put_len(&mut out, 1, &[7; 16]);
            put_len(&mut out, 2, &[8; 8]);
            put_len(&mut out, 3, b"x=1,ot=th:8;rv:95e7fd44ec1fba");
            put_len(&mut out, 5, text);
            put_varint_field(&mut out, 6, 2);
            put_fixed64(&mut out, 7, 1_000_000_000);
            put_fixed64(&mut out, 8, 3_000_000_000);
            put_len(&mut out, 11, &with(3, entry(b"\x01\x02\x03\x04", b"event")));
            put_len(&mut out, 15, b"\x12\x02no\x18\x02");
            with(9, out)
        }
        Signal::Logs => {
            put_fixed64(&mut out, 1, 1_000_000_000);
            put_varint_field(&mut out, 2, 9);
            put_len(&mut out, 3, b"INFO");
            put_len(&mut out, 5, &value);
            put_len(&mut out, 9, &[7; 16]);
            with(6, out)
        }
        Signal::Metrics => out,
    }
}

/// A metric of each kind, with a point that has an exemplar where it can.
fn metric(data: u32) -> Vec<u8> {
    let (mut point, mut exemplar, mut points, mut out) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (attributes, exemplars) = match data {
        9 => (9, Some(8)),
        10 => (1, Some(11)),
        11 => (7, None),
        _ => (7, Some(5)),
    };
    put_len(&mut exemplar, 7, &entry(b"k", b"\x0a\x04aaaa"));
    put_fixed64(&mut exemplar, 2, 5);
    put_len(&mut point, attributes, &entry(b"k", b"\x0a\x04aaaa"));
    put_fixed64(&mut point, 2, 1_000_000_000);
    put_fixed64(&mut point, 3, 2_000_000_000);
    put_fixed64(&mut point, if data < 9 { 6 } else { 4 }, 3);
    put_fixed64(&mut point, 5, 4.5_f64.to_bits());
    match data {
        9 => {
            put_len(&mut point, 6, &[1_u64, 2].map(u64::to_le_bytes).concat());
            put_len(&mut point, 7, &1.5_f64.to_le_bytes());
        }
        10 => put_len(&mut point, 8, b"\x08\x02\x12\x02\x01\x02"),
        _ => {}
    }
    exemplars.into_iter().filter(|number| data >= 9 || *number == 5).for_each(|number| put_len(&mut point, number, &exemplar));
    put_len(&mut points, 1, &point);
    if data != 5 && data != 11 {
        put_varint_field(&mut points, 2, 1);
    }
    put_len(&mut out, 1, b"name.of a");
    put_len(&mut out, 3, b"By");
    put_len(&mut out, data, &points);
    out
}

/// The items of a signal that everything is tried with.
fn items(signal: Signal) -> Vec<Vec<u8>> {
    match signal {
        Signal::Metrics => [5, 7, 9, 10, 11].map(metric).into(),
        _ => vec![item(signal)],
    }
}

/// Uses everything that rules are for.
fn run(rules: &Rules) {
    let mut scratch = Scratch::new();
    for signal in Signal::ALL {
        for item in items(signal) {
            let context = rules.context(signal, Context::default(), &mut scratch);
            let mut out = Vec::new();
            rules.item(signal, &context, &item, &mut out, &mut scratch);
            process(rules, signal, &item, &mut scratch);
        }
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
