//! Every path that data can take.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Method, Request};
use spanlake_model::{Signal, SpanId, TraceId};
use spanlake_otlp::wire::{put_len, put_varint_field};
use spanlake_pipeline::ingest::IngestSettings;
use spanlake_policy::DEFAULT_CONFIG;
use spanlake_testkit::{Faults, Rng, SpanSpec, logs_request, trace_request};

use super::positions::{self, Ids};
use super::world::World;
use super::{SEED, scan, secrets};

/// A span of which every text is a secret.
pub(super) fn span(trace: TraceId, id: u64, serial: &mut u32) -> SpanSpec {
    let secrets = secrets::all(serial);
    let mut attributes: Vec<_> = secrets.iter().map(|secret| (format!("note {}", secret.kind), secret.text.clone())).collect();
    attributes.extend(secrets::named(serial).into_iter().map(|(name, text)| (name.to_owned(), text)));
    SpanSpec {
        trace,
        id: SpanId(id.to_be_bytes()),
        parent: SpanId::default(),
        name: secrets[serial_of(*serial, secrets.len())].text.clone(),
        kind: 2,
        start_nanos: 1_790_000_000_000_000_000,
        end_nanos: 1_790_000_000_900_000_000,
        status: 2,
        attributes,
    }
}

fn serial_of(serial: u32, count: usize) -> usize {
    usize::try_from(serial).unwrap() % count
}

fn secret(serial: &mut u32) -> String {
    *serial += 1;
    format!("password=Lk9Zq{serial:06}k7")
}

#[test]
fn no_secret_is_at_rest_after_a_decision_or_beyond_the_share_of_a_trace() {
    for rules in [SEED, DEFAULT_CONFIG] {
        let mut world = World::new(rules, 2);
        let mut serial = 0;
        let trace = TraceId([7; 16]);
        assert_eq!(world.post(Signal::Traces, trace_request(&secret(&mut serial), &[span(trace, 1, &mut serial)])), 200);
        world.round(10);
        world.round(20);
        assert_eq!(world.post(Signal::Traces, trace_request(&secret(&mut serial), &[span(trace, 2, &mut serial)])), 200);
        let many: Vec<_> = (0..150).map(|id| span(TraceId([9; 16]), 100 + id, &mut serial)).collect();
        let body = trace_request(&secret(&mut serial), &many);
        assert!(body.len() > 2 * 256 * 1024);
        // A client's retry, and a copy that comes later still.
        for seconds in [0, 1, 30] {
            assert_eq!(world.post(Signal::Traces, body.clone()), 200);
            world.round(seconds);
        }
        world.finish();
        assert!(world.ledger().account(Signal::Traces).duplicates >= 300);
        world.assert_clean();
    }
}

#[test]
fn no_secret_of_a_record_that_cannot_be_read_is_at_rest() {
    let mut world = World::new(SEED, 1);
    let mut serial = 0;
    let other = World::new(SEED, 1)
        .record(Signal::Traces, trace_request(&secret(&mut serial), &[span(TraceId([3; 16]), 1, &mut serial)]));
    let good = other.to_vec();
    world.stream.push(0, secret(&mut serial).into_bytes());
    for (at, flip) in [(0, 0xff), (2, 0x40), (good.len() / 2, 0x10), (good.len() - 1, 0x01)] {
        let mut damaged = good.clone();
        damaged[at] ^= flip;
        world.stream.push(0, damaged);
        world.round(1);
    }
    world.stream.push(0, [&good[..], secret(&mut serial).as_bytes()].concat());
    // A good one, so that there is something in the lake.
    assert_eq!(world.post(Signal::Traces, trace_request(&secret(&mut serial), &[span(TraceId([4; 16]), 2, &mut serial)])), 200);
    world.stream.push(0, good[..good.len() / 2].to_vec());
    world.finish();
    assert!(world.ledger().quarantined_records >= 3, "{:?}", world.ledger());
    assert!(world.store.snapshot().keys().any(|key| key.starts_with("quarantine/")));
    world.assert_clean();
}

#[test]
fn no_secret_of_an_item_that_is_refused_is_answered_or_at_rest() {
    let mut world = World::new(SEED, 1);
    let (mut ids, mut serial) = (Ids::default(), 0);
    let (positions, _) = positions::all();
    for position in positions.iter().filter(|position| position.refuses_odd_text()) {
        let mut body = position.plant(secret(&mut serial).as_bytes(), &mut ids);
        body.extend(trace_or_log(position.signal, &mut serial));
        assert_eq!(world.post(position.signal, body), 200, "{position}");
    }
    for position in positions.iter().filter(|position| position.is_value()) {
        // Not UTF-8.
        let text = [secret(&mut serial).as_bytes(), b"\xff"].concat();
        assert_eq!(world.post(position.signal, position.plant(&text, &mut ids)), 200, "{position}");
    }
    let huge = "x ".repeat(300_000) + &secret(&mut serial);
    assert_eq!(world.post(Signal::Logs, logs_request("shop", &[(TraceId([1; 16]), huge)])), 200);
    let json = |value: &str| {
        format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"a"}},"timeUnixNano":"{value}"}}]}}]}}]}}"#
        )
    };
    let request = Request::post("/v1/logs").header("content-type", "application/json").body(json(&secret(&mut serial)).into());
    let answer = world.send(request.unwrap());
    assert!(answer.status() == 200 && answer.body().len() > 40, "{answer:?}");
    world.finish();
    world.assert_clean();
}

fn trace_or_log(signal: Signal, serial: &mut u32) -> Vec<u8> {
    let trace = TraceId([u8::try_from(*serial % 200).unwrap() + 1; 16]);
    match signal {
        Signal::Traces => trace_request(&secret(serial), &[span(trace, 5, serial)]),
        _ => logs_request(&secret(serial), &[(trace, secret(serial))]),
    }
}

#[test]
fn no_secret_of_a_request_that_is_refused_is_answered() {
    let settings = IngestSettings {
        tokens: vec!["a-token-for-this-test".to_owned()],
        inflated_bytes_max: 4_096,
        ..IngestSettings::default()
    };
    let mut world = World::with(SEED, 1, settings, 0, Faults::default());
    let mut serial = 0;
    let mut refused = |status: u16, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>| {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        for (name, value) in [("authorization", "Bearer a-token-for-this-test"), ("content-type", "application/x-protobuf")] {
            if !headers.iter().any(|(given, _)| *given == name) {
                request = request.header(name, value);
            }
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = world.send(request.body(Bytes::from(body)).unwrap());
        assert_eq!(answer.status(), status, "{method} {path} {headers:?}");
        assert_eq!(world.leaks, Vec::<String>::new());
    };
    let text = secret(&mut serial);
    let body = || text.clone().into_bytes();
    let gzip = |body: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        std::io::Write::write_all(&mut encoder, body).unwrap();
        encoder.finish().unwrap()
    };
    refused(404, "POST", &format!("/{text}"), &[], body());
    refused(404, "POST", &format!("/v1/traces/{text}?{text}"), &[], body());
    refused(405, "LK9ZQ000001", "/v1/traces", &[], body());
    refused(401, "POST", "/v1/traces", &[("authorization", &format!("Bearer {text}"))], body());
    refused(415, "POST", "/v1/traces", &[("content-type", &text)], body());
    refused(415, "POST", "/v1/traces", &[("content-encoding", &text)], body());
    refused(400, "POST", "/v1/traces", &[], body());
    refused(400, "POST", "/v1/traces", &[("content-encoding", "gzip")], body());
    refused(400, "POST", "/v1/traces", &[("content-encoding", "zstd")], body());
    refused(400, "POST", "/v1/traces", &[("content-encoding", "gzip")], [gzip(&body()), body()].concat());
    refused(413, "POST", "/v1/traces", &[("content-encoding", "gzip")], gzip(&body().repeat(400)));
    for json in [
        text.clone(),
        format!("\"{text}\""),
        format!("{{\"{text}\""),
        format!(r#"{{"resourceSpans":"{text}"}}"#),
        format!(r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"a","value":{{"intValue":"{text}"}}}}]}}}}]}}"#),
        format!(r#"{{"resourceSpans":[{{"resource":"{text}"}}]}}"#),
    ] {
        refused(400, "POST", "/v1/traces", &[("content-type", "application/json")], json.into_bytes());
    }
}

#[test]
fn no_secret_that_a_limit_cuts_through_is_at_rest() {
    for limit in [48, 64] {
        let rules =
            format!("{DEFAULT_CONFIG}\n").replace("attribute_value_bytes: 16384", &format!("attribute_value_bytes: {limit}"));
        let rules = rules.replace("attributes_per_item: 128", "attributes_per_item: 4");
        assert!(rules.contains(&format!("attribute_value_bytes: {limit}")) && rules.contains("attributes_per_item: 4"));
        let mut world = World::new(&rules, 1);
        let (mut serial, mut id) = (0, 0);
        let mut spans = Vec::new();
        for before in (0..=limit).step_by(3) {
            for secret in secrets::all(&mut serial) {
                let mut text = ". ".repeat(before / 2);
                text.push_str(&secret.text);
                id += 1;
                let mut span = span(TraceId(Ids::from(id)), id, &mut 0);
                // The fifth attribute goes; the others are cut.
                span.attributes = (0..5).map(|place| (format!("a{place}"), text.clone())).collect();
                span.name = text;
                spans.push(span);
            }
            assert_eq!(world.post(Signal::Traces, trace_request("shop", &std::mem::take(&mut spans))), 200);
            world.round(1);
        }
        world.finish();
        world.assert_clean();
    }
}

#[test]
fn no_secret_far_within_a_long_text_is_at_rest() {
    let mut world = World::new(SEED, 1);
    let mut serial = 0;
    for edge in [64, 16_384, usize::from(u16::MAX)] {
        for secret in secrets::all(&mut serial) {
            let text = ". ".repeat((edge - secret.text.len() / 2) / 2) + &secret.text + &" .".repeat(9);
            assert_eq!(world.post(Signal::Logs, logs_request("shop", &[(TraceId([5; 16]), text)])), 200);
        }
        world.round(1);
    }
    world.finish();
    world.assert_clean();
}

/// A value that no reader sees, since another one of another kind follows, is not stored either.
#[test]
fn no_secret_that_hides_behind_another_value_is_at_rest() {
    let value = |fields: &[(u32, &[u8])]| {
        let mut out = Vec::new();
        for (number, bytes) in fields {
            put_len(&mut out, *number, bytes);
        }
        out
    };
    let mut serial = 0;
    let mut values = Vec::new();
    let secret_text = b"Lk9Zq000000k7";
    let list = value(&[(1, &value(&[(1, secret_text)]))]);
    let map = value(&[(1, &value(&[(1, b"n"), (2, &value(&[(1, secret_text)]))]))]);
    for hidden in [(1, &secret_text[..]), (5, &list), (6, &map), (7, secret_text)] {
        for shown in [(1, &b"x"[..]), (5, b""), (6, b""), (7, b"x")] {
            values.push(value(&[hidden, shown]));
        }
        let mut flag = value(&[hidden]);
        put_varint_field(&mut flag, 2, 1);
        values.push(flag);
    }
    let mut world = World::new(SEED, 1);
    for any in values {
        let pair = value(&[(1, b"db.password"), (2, &any)]);
        // Also behind an id, a name and a status that come twice.
        let twice = value(&[(2, secret(&mut serial).as_bytes())]);
        let body = value(&[(
            1,
            &value(&[(
                2,
                &value(&[(
                    2,
                    &value(&[
                        (1, secret(&mut serial).as_bytes()),
                        (1, &Ids::from(u64::from(serial))),
                        (2, secret(&mut serial).as_bytes()),
                        (2, &[6; 8]),
                        (5, secret(&mut serial).as_bytes()),
                        (5, b"name"),
                        (9, &pair),
                        (15, &twice),
                        (15, &value(&[(2, b"late")])),
                        (99, secret(&mut serial).as_bytes()),
                    ]),
                )]),
            )]),
        )]);
        assert_eq!(world.post(Signal::Traces, body), 200);
    }
    world.finish();
    let kept = world.ledger().account(Signal::Traces).committed;
    assert_eq!(kept, 20);
    world.assert_clean();
}

#[test]
fn no_secret_is_at_rest_after_retries_reshards_and_lost_replies() {
    for seed in 0..6 {
        let faults = Faults { fail_before: 8, fail_after: 8, late_write: 8, conflict: 8 };
        let mut world = World::with(SEED, 2, IngestSettings::default(), seed, faults);
        let mut rng = Rng::new(seed);
        let mut serial = 0;
        world.stream.set_faults(10);
        for round in 0..8 {
            let spans: Vec<_> = (0..6).map(|_| span(TraceId(rng.bytes()), rng.next_u64() | 1, &mut serial)).collect();
            let body = trace_request(&secret(&mut serial), &spans);
            for _ in 0..3 {
                world.post(Signal::Traces, body.clone());
            }
            if round == 2 || round == 4 {
                let shard = world.stream.open_shards()[0].clone();
                world.stream.split(&shard.id, shard.range.first + 300);
                world.stream.set_stale(60);
            }
            if round == 6 {
                let open = world.stream.open_shards();
                world.stream.merge(&open[0].id, &open[1].id);
            }
            world.round(3);
        }
        world.stream.refresh_maps();
        world.stream.set_stale(0);
        world.finish();
        world.assert_clean();
    }
}

#[test]
fn the_stream_holds_what_was_planted() {
    let mut world = World::new(SEED, 1);
    let record = world.record(Signal::Traces, trace_request("shop", &[span(TraceId([3; 16]), 1, &mut 0)]));
    assert!(scan::object("record", &record, &mut scan::Seen::default()).is_some());
}
