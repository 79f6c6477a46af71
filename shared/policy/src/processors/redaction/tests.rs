use spanlake_model::Signal;
use spanlake_otlp::schema::{self, ANY_VALUE, Kind, Message};
use spanlake_otlp::tree::{Map, Node, Payload, Slot, Want};
use spanlake_otlp::wire::put_len;

use super::*;
use crate::testing::{End, Outcome, run_processor, run_processor_widely};

const SECRET: &str = "sekret-4711";
const BLOCKED: &str = "allow_all_keys: true\nblocked_values: ['sekret-[0-9]+']\n";

/// The fields from the request down to a text.
type Position = Vec<(&'static str, u32)>;

/// Every text below a message. Values are followed through `nested` lists and maps.
fn positions(message: &'static Message, at: &Position, nested: u32, out: &mut Vec<Position>) {
    for field in message.fields {
        let mut at = at.clone();
        at.push((field.name, field.number));
        match field.kind {
            Kind::String | Kind::Bytes => out.push(at),
            Kind::Message(inner) => {
                let is_value = std::ptr::eq(inner, &raw const ANY_VALUE);
                if !is_value || nested > 0 {
                    positions(inner, &at, if is_value { nested - 1 } else { nested }, out);
                }
            }
            _ => {}
        }
    }
}

/// A request that holds nothing but the secret, there.
fn request(position: &Position) -> Vec<u8> {
    position.iter().rev().fold(SECRET.as_bytes().to_vec(), |inner, (_, number)| {
        let mut out = Vec::new();
        put_len(&mut out, *number, &inner);
        out
    })
}

fn sent(outcome: Outcome) -> Vec<u8> {
    match outcome.end {
        End::Sent(bytes) => bytes,
        other => panic!("{other:?} {:?}", outcome.findings),
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_secret_in_any_text_of_any_signal_is_masked() {
    let mut seen = 0;
    for signal in Signal::ALL {
        let mut all = Vec::new();
        positions(schema::request(signal), &Vec::new(), 3, &mut all);
        for position in all {
            let input = request(&position);
            let mut read = Vec::new();
            Payload::decode(signal, &input, Want::ALL).unwrap().encode(&mut read);
            assert!(holds(&read, SECRET), "{position:?} is not read at all");
            let out = sent(run_processor_widely("redaction", BLOCKED, signal, &input, &|_| None));
            assert!(!holds(&out, SECRET) && holds(&out, MASK), "{signal:?} {position:?}");
            seen += 1;
        }
    }
    assert!(seen > 300, "{seen}");
}

#[test]
fn the_core_leaves_what_the_collector_leaves() {
    for (signal, position) in [
        (Signal::Traces, vec![("", 1), ("", 2), ("", 2), ("name", 5)]),
        (Signal::Traces, vec![("", 1), ("", 2), ("", 2), ("links", 13), ("attributes", 4), ("value", 2), ("string", 1)]),
        (Signal::Metrics, vec![("", 1), ("", 2), ("", 2), ("metadata", 12), ("value", 2), ("string", 1)]),
    ] {
        let input = request(&position);
        assert!(holds(&sent(run_processor("redaction", BLOCKED, signal, &input, &|_| None)), SECRET), "{position:?}");
    }
}

fn text(text: &str) -> Value<'_> {
    Value::String(text.into())
}

/// A span with these attributes after a `redaction` block.
fn span<'a>(config: &str, attributes: Vec<(&'a str, Value<'a>)>) -> Vec<(String, Value<'static>)> {
    let mut node = Node::new(&SPAN);
    node.set(9, Slot::Map(Map(attributes.into_iter().map(|(key, value)| (key.into(), value)).collect())));
    let mut bytes = Vec::new();
    node.encode(&mut bytes);
    for number in [2, 2, 1] {
        let mut outer = Vec::new();
        put_len(&mut outer, number, &bytes);
        bytes = outer;
    }
    let out = sent(run_processor_widely("redaction", config, Signal::Traces, &bytes, &|_| None));
    let payload = Payload::decode(Signal::Traces, &out, Want::ALL).unwrap();
    let span = &payload.groups[0].scopes[0].items[0].node;
    let all = span.map(9).into_iter().flat_map(Map::iter);
    // Through text, which needs no lifetime; numbers stay numbers.
    all.map(|(key, value)| {
        let value = match value {
            Value::Int(number) => Value::Int(*number),
            other => Value::String(other.to_text().into_owned().into()),
        };
        (key.to_owned(), value)
    })
    .collect()
}

#[test]
fn a_value_that_grows_without_an_end_is_masked_whole() {
    let all = "allow_all_keys: true\n";
    let grown = span(&format!("{all}blocked_values: ['', '', '', '', '']\n"), vec![("9", text(&"x".repeat(3000)))]);
    assert_eq!(grown, [("9".to_owned(), text(MASK))]);
    let hashed = format!("{all}hash_function: sha3\nblocked_values: ['[a-z]']\n");
    assert_eq!(span(&hashed, vec![("9", text(&"x".repeat(3000)))]), [("9".to_owned(), text(MASK))]);
}

#[test]
fn a_value_that_is_nested_too_deep_is_masked() {
    let rules = Redaction { coverage: Coverage::Wide, blocked_values: Patterns::default(), ..Redaction::default() };
    let mut value = text("x");
    for _ in 0..DEPTH_MAX + 2 {
        value = Value::List(vec![value]);
    }
    let mut resource = Node::new(&RESOURCE);
    resource.set(1, Slot::Map(Map(vec![("k".into(), value)])));
    let group = spanlake_otlp::tree::ResourceGroup { resource, schema_url: "".into(), scopes: Vec::new() };
    let mut payload = Payload { signal: Signal::Traces, groups: vec![group] };
    rules.process(&mut payload, &mut Tally::default()).unwrap();
    let map = payload.groups[0].resource.map(1).unwrap();
    assert!(map.get("k").unwrap().to_text().contains(MASK));
}

#[test]
fn a_key_that_holds_a_secret_is_masked_also_where_the_summary_names_it() {
    let config = format!("{BLOCKED}summary: debug\nblocked_key_patterns: ['^user']\n");
    let found = span(&config, vec![("user.sekret-1", text("x")), ("a", Value::Bytes(b"sekret-2"[..].into()))]);
    let keys = found.iter().find(|(key, _)| key == "redaction.masked.keys").unwrap();
    assert_eq!(keys.1, text("a,user.****"));
    assert!(!format!("{found:?}").contains("sekret"), "{found:?}");
}

#[test]
fn a_summary_that_a_sender_made_up_hides_no_secret() {
    let config = format!("{BLOCKED}summary: info\n");
    let found = span(&config, vec![("redaction.masked.keys", text("a,sekret-12")), ("redaction.allowed.keys", text("sekret-1"))]);
    assert_eq!(found, [("redaction.masked.keys".to_owned(), text("a,****"))]);
}

#[test]
fn nested_keys_follow_the_rules_for_keys_and_are_never_deleted() {
    let config = format!(
        "allowed_keys: [m]\nblocked_key_patterns: [pass]\nignored_keys: [free]\n{}",
        "blocked_values: ['sekret-[0-9]+']\n"
    );
    let inner = Map(vec![("pass".into(), text("p")), ("free".into(), text("sekret-1")), ("other".into(), text("sekret-2 x"))]);
    let found = span(&config, vec![("gone", text("x")), ("m", Value::Map(inner))]);
    assert_eq!(found, [("m".to_owned(), text(r#"{"free":"sekret-1","other":"**** x","pass":"****"}"#))]);
}

#[test]
fn a_pattern_that_matches_nothing_masks_no_name() {
    let config = "allow_all_keys: true\nblocked_values: ['x*']\n";
    let position = vec![("", 1), ("", 2), ("", 2), ("name", 5)];
    let out = sent(run_processor_widely("redaction", config, Signal::Traces, &request(&position), &|_| None));
    assert!(holds(&out, SECRET));
}

#[test]
fn the_key_of_a_keyed_hash_is_in_no_finding_and_in_no_debug_output() {
    let key = "4711471147114711471147114711471147114711471147114711471147114711";
    for config in [
        format!("hash_function: hmac-sha512\nhmac_key: {key}\n"),
        format!("hash_function: hmac-sha256\nhmac_key: [{key}]\n"),
        format!("hash_function: hmac-sha256\nhmac_key: {{a: {key}}}\n"),
        format!("hash_function: nothing\nhmac_key: '{key}'\n"),
    ] {
        let outcome = run_processor("redaction", &config, Signal::Traces, &[], &|_| None);
        assert!(!format!("{outcome:?}").contains("4711"), "{outcome:?}");
    }
    let mask = Mask::hmac_sha512(key.as_bytes()).unwrap();
    let debug = format!("{:?}", Redaction { mask, ..Redaction::default() });
    assert!(debug.contains("HmacSha512") && !debug.contains("52, 55"), "{debug}");
}

#[test]
fn a_key_in_the_file_is_a_warning_and_one_out_of_a_variable_is_none() {
    let key = "0123456789abcdef0123456789abcdef";
    let warnings = |line: &str| {
        let config = format!("allow_all_keys: true\nhash_function: hmac-sha256\nhmac_key: {line}\n");
        let outcome = run_processor("redaction", &config, Signal::Traces, &[], &|_| Some(key.to_owned()));
        assert!(!matches!(outcome.end, End::Refused), "{outcome:?}");
        outcome.findings.iter().filter(|finding| finding.path.ends_with("hmac_key")).count()
    };
    assert_eq!((warnings(key), warnings("${env:KEY}"), warnings("\"${KEY}\"")), (1, 0, 0));
}

#[test]
fn a_key_of_digits_out_of_a_variable_is_a_text() {
    let config = "hash_function: hmac-sha256\nhmac_key: ${env:KEY}\n";
    let outcome = run_processor("redaction", config, Signal::Traces, &[], &|_| Some("1".repeat(32)));
    assert!(!matches!(outcome.end, End::Refused), "{outcome:?}");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_no_request_makes_it_fail(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let config = "summary: debug\nallowed_keys: [a, '']\nredact_all_types: true\nhash_function: md5\nblocked_values: ['[0-9a-f]', '']\n";
        for signal in Signal::ALL {
            if Payload::decode(signal, &bytes, Want::ALL).is_ok() {
                let outcome = run_processor_widely("redaction", config, signal, &bytes, &|_| None);
                proptest::prop_assert!(matches!(outcome.end, End::Sent(_) | End::Nothing), "{outcome:?}");
            }
        }
    }
}
