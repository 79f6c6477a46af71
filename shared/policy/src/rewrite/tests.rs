//! No error leaves what was to be masked: each way in which a rule or a walk can fail, and what is stored then.

use spanlake_otlp::schema::{LOG_RECORD, SPAN};
use spanlake_otlp::wire::put_len;

use super::edits::Edits;
use super::*;
use crate::{DEFAULT_CONFIG, load};

fn rules(text: &str) -> Rules {
    let loaded = load(text, &|_| None);
    loaded.rules.unwrap_or_else(|| panic!("{:?}", loaded.findings))
}

fn pair(key: &[u8], kind: u32, value: &[u8]) -> Vec<u8> {
    let (mut any, mut pair) = (Vec::new(), Vec::new());
    put_len(&mut any, kind, value);
    put_len(&mut pair, 1, key);
    put_len(&mut pair, 2, &any);
    pair
}

fn field(number: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, number, payload);
    out
}

/// What is stored of an item; `None` if it is dropped.
fn stored(rules: &Rules, signal: Signal, item: &[u8]) -> Option<Vec<u8>> {
    let (mut scratch, mut out) = (Scratch::new(), b"before".to_vec());
    let context = rules.context(signal, Context::default(), &mut scratch);
    let outcome = rules.item(signal, &context, item, &mut out, &mut scratch);
    let written = out.strip_prefix(b"before").unwrap().to_vec();
    assert!(outcome.dropped.is_none() || written.is_empty(), "a dropped item left {written:?}");
    outcome.dropped.is_none().then_some(written)
}

fn shows(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_text_that_is_not_utf_8_is_masked_whole_wherever_it_stands_and_whatever_it_holds() {
    let rules = rules(DEFAULT_CONFIG);
    let raw = b"hunter2 \xff";
    let list = field(1, &field(1, raw));
    let map = field(1, &pair(b"k", 1, raw));
    for (signal, item) in [
        (Signal::Traces, field(5, raw)),
        (Signal::Traces, field(3, raw)),
        (Signal::Traces, field(9, &pair(b"note", 1, raw))),
        (Signal::Traces, field(9, &pair(raw, 1, b"x"))),
        (Signal::Traces, field(9, &pair(b"note", 5, &list))),
        (Signal::Traces, field(9, &pair(b"note", 6, &map))),
        (Signal::Traces, field(9, &pair(b"note", 6, &field(1, &pair(raw, 1, b"x"))))),
        (Signal::Traces, field(11, &field(2, raw))),
        (Signal::Traces, field(15, &field(2, raw))),
        (Signal::Logs, field(3, raw)),
        (Signal::Logs, field(5, &field(1, raw))),
        (Signal::Metrics, field(1, raw)),
    ] {
        let out = stored(&rules, signal, &item).unwrap();
        assert!(shows(&out, "****") && !shows(&out, "hunter2"), "{signal:?} {}", String::from_utf8_lossy(&out));
    }
    let raw = Context {
        resource: &field(1, &pair(b"note", 1, raw)),
        resource_schema_url: raw,
        scope: &field(1, raw),
        scope_schema_url: raw,
    };
    let masked = rules.context(Signal::Logs, raw, &mut Scratch::new());
    for bytes in [&masked.resource, &masked.resource_schema_url, &masked.scope, &masked.scope_schema_url] {
        assert!(shows(bytes, "****") && !shows(bytes, "hunter2"));
    }
}

#[test]
fn bytes_that_are_no_text_and_hold_a_secret_are_masked_whole_and_without_a_digest() {
    let key = "k".repeat(32);
    let rules = rules(&format!("spanlake: {{builtin_redaction: {{emails: true, hash: hmac-sha256, hmac_key: {key}}}}}\n"));
    let out = stored(&rules, Signal::Traces, &field(9, &pair(b"note", 7, b"\xff token=hunter2 \xfe"))).unwrap();
    assert!(shows(&out, "****") && !shows(&out, "hunter2") && !shows(&out, "****:"));
}

#[test]
fn equal_secrets_have_one_digest_in_every_place_signal_and_replay() {
    let key = "k".repeat(32);
    let text = format!("spanlake: {{builtin_redaction: {{emails: true, hash: hmac-sha256, hmac_key: {key}}}}}\n");
    let masked = |item: &[u8], signal: Signal| stored(&rules(&text), signal, item).unwrap();
    let span = [
        field(5, b"got token=hunter2"),
        field(9, &pair(b"db.password", 1, b"hunter2")),
        field(9, &pair(b"note", 1, b"postgres://app:hunter2@db/x")),
        field(9, &pair(b"password=hunter2", 1, b"x")),
    ]
    .concat();
    // By `printf %s hunter2 | openssl dgst -sha256 -hmac kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk`, cut to 32 digits.
    let digest = "****:f6c2ff60161a7959f8156ad5426e4037";
    let out = masked(&span, Signal::Traces);
    assert_eq!(String::from_utf8_lossy(&out).matches(digest).count(), 4, "{}", String::from_utf8_lossy(&out));
    assert!(!shows(&out, "hunter2"));
    assert!(shows(&masked(&field(5, &field(1, b"token=hunter2")), Signal::Logs), digest));
    assert_eq!(masked(&span, Signal::Traces), out);
    assert_eq!(masked(&out, Signal::Traces), out, "what is masked already stays");
    let number = [field(1, b"password"), field(2, &[0x18, 7])].concat();
    assert_eq!(masked(&field(9, &number), Signal::Traces), field(9, &pair(b"password", 1, b"****")));
}

#[test]
fn an_item_that_is_nested_too_deep_or_cut_or_not_protobuf_is_dropped_with_all_that_was_written_of_it() {
    let rules = rules(DEFAULT_CONFIG);
    let mut any = field(1, b"token=hunter2");
    for _ in 0..200 {
        any = field(5, &field(1, &any));
    }
    assert_eq!(stored(&rules, Signal::Logs, &field(5, &any)), None);
    let log = [field(3, b"token=hunter2"), field(5, &field(1, b"token=hunter2"))].concat();
    assert!(stored(&rules, Signal::Logs, &log).is_some());
    for end in (1..log.len()).filter(|end| *end != field(3, b"token=hunter2").len()) {
        assert_eq!(stored(&rules, Signal::Logs, &log[..end]), None, "{end}");
    }
    assert_eq!(stored(&rules, Signal::Logs, b"\xff\xff\xff"), None);
    let masked = rules.context(Signal::Logs, Context { resource: b"\xff", ..Context::default() }, &mut Scratch::new());
    let outcome = rules.item(Signal::Logs, &masked, &log, &mut Vec::new(), &mut Scratch::new());
    assert!(outcome.dropped.is_some() && masked.resource.is_empty());
}

#[test]
fn a_pattern_that_is_too_large_to_be_compiled_is_an_error_and_no_rules() {
    let text = "processors:\n  redaction: {allow_all_keys: true, blocked_values: ['(a{1000}){1000}']}\n";
    let loaded = load(text, &|_| None);
    assert!(loaded.rules.is_none() && loaded.findings.iter().any(|finding| finding.line == Some(2)), "{:?}", loaded.findings);
}

#[test]
fn a_limit_cuts_what_is_masked_already() {
    for bytes in 1..60 {
        let rules = rules(&format!("spanlake: {{limits: {{attribute_value_bytes: {bytes}}}}}\n"));
        let out = stored(&rules, Signal::Traces, &field(9, &pair(b"note", 1, b"a token=hunter2hunter2 b"))).unwrap();
        assert!(!shows(&out, "hun"), "{bytes}");
    }
}

#[test]
fn a_very_long_text_is_masked_to_its_end() {
    let rules = rules(DEFAULT_CONFIG);
    let body = format!("{}\ntoken=hunter2 {} 4111111111111111", "plain text, ".repeat(40_000), "x ".repeat(40_000));
    let out = stored(&rules, Signal::Logs, &field(5, &field(1, body.as_bytes()))).unwrap();
    assert!(!shows(&out, "hunter2") && !shows(&out, "4111111"));
}

#[test]
fn an_edit_that_finds_no_place_is_an_error_and_not_a_message_without_it() {
    for (schema, message) in [(&LOG_RECORD, field(3, b"hunter2")), (&SPAN, field(5, b"hunter2"))] {
        let mut edits = Edits::default();
        edits.payload(3, 5, |out| out.extend_from_slice(b"****"));
        assert!(edits.write(schema, &message, &mut Vec::new()).is_err());
    }
}
