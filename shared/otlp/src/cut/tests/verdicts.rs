//! Where prost refuses a request, so do we, and where it takes one, so do we: but for the named exceptions.

use prost::DecodeError;

use super::*;
use crate::wire::{put_len, put_varint, put_varint_field};

fn prost_verdict(signal: Signal, body: &[u8]) -> Result<(), DecodeError> {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(body).map(drop),
        Signal::Logs => ExportLogsServiceRequest::decode(body).map(drop),
        Signal::Metrics => ExportMetricsServiceRequest::decode(body).map(drop),
    }
}

fn same_verdict(signal: Signal, body: &[u8]) {
    let ours = cut_as(signal, body, &[BucketRange::ALL]);
    let theirs = prost_verdict(signal, body);
    match (&ours, &theirs) {
        (Ok(_), Ok(())) | (Err(_), Err(_)) => {}
        // The exceptions: both cost us just an item.
        (Ok(_), Err(error)) => {
            let text = error.to_string();
            assert!(text.contains("not UTF-8") || text.contains("recursion limit"), "{text} {body:02x?}");
        }
        (Err(error), Ok(())) => panic!("{error} {body:02x?}"),
    }
    if theirs.is_ok() && ours.is_ok_and(|cut| cut.rejected == Rejected::default()) {
        let expected = prost_rows(signal, body);
        let cut = cut_one(signal, body);
        let payload = cut.records.first().map(|record| record.payload.clone()).unwrap_or_default();
        assert_eq!(prost_rows(signal, &payload), expected, "{body:02x?}");
    }
}

fn nest(fields: &[u32], message: &[u8]) -> Vec<u8> {
    fields.iter().rev().fold(message.to_vec(), |inner, number| {
        let mut out = Vec::new();
        put_len(&mut out, *number, &inner);
        out
    })
}

#[test]
fn any_value_of_any_wire_type_in_any_known_field_has_prosts_verdict() {
    let values: [(u8, &[u8]); 9] =
        [(0, &[1]), (0, &[0xff; 11]), (1, &[0; 8]), (1, &[0; 7]), (2, &[0]), (2, &[1, 0x08]), (3, &[]), (4, &[]), (5, &[0; 4])];
    for (signal, fields) in [
        (Signal::Traces, &[1, 2, 2, 11, 3, 2, 6, 1][..]),
        (Signal::Traces, &[1, 2, 2, 13]),
        (Signal::Traces, &[1, 2, 2, 15]),
        (Signal::Traces, &[1, 1, 3]),
        (Signal::Traces, &[1, 2, 1, 3]),
        (Signal::Logs, &[1, 2, 2, 5, 5]),
        (Signal::Metrics, &[1, 2, 2, 5, 1, 5, 7]),
        (Signal::Metrics, &[1, 2, 2, 7, 1]),
        (Signal::Metrics, &[1, 2, 2, 9, 1, 8]),
        (Signal::Metrics, &[1, 2, 2, 10, 1, 8]),
        (Signal::Metrics, &[1, 2, 2, 11, 1, 6]),
    ] {
        for depth in 0..=fields.len() {
            for number in 1..=20_u64 {
                for (wire_type, value) in values {
                    let mut message = Vec::new();
                    put_varint(&mut message, number << 3 | u64::from(wire_type));
                    message.extend_from_slice(value);
                    same_verdict(signal, &nest(&fields[..depth], &message));
                }
            }
        }
    }
}

#[test]
fn packed_and_single_numbers_are_taken_alike() {
    let mut point = Vec::new();
    put_len(&mut point, 6, &[1; 16]);
    crate::wire::put_fixed64(&mut point, 6, 7);
    same_verdict(Signal::Metrics, &nest(&[1, 2, 2, 9, 1], &point));
    put_len(&mut point, 6, &[1; 15]);
    same_verdict(Signal::Metrics, &nest(&[1, 2, 2, 9, 1], &point));
    let mut buckets = Vec::new();
    put_len(&mut buckets, 2, &[1, 0x80, 1]);
    put_varint_field(&mut buckets, 2, 9);
    same_verdict(Signal::Metrics, &nest(&[1, 2, 2, 10, 1, 8], &buckets));
    put_len(&mut buckets, 2, &[1, 0x80]);
    same_verdict(Signal::Metrics, &nest(&[1, 2, 2, 10, 1, 8], &buckets));
}

#[test]
fn groups_pass_as_unknown_fields_only() {
    for message in [&[0xa3_u8, 1, 0x08, 1, 0xa4, 1][..], &[0xa3, 1, 0x08, 1], &[0x0b, 0x0c], &[0xa4, 1]] {
        for fields in [&[][..], &[1], &[1, 2], &[1, 2, 2], &[1, 2, 2, 9], &[1, 2, 2, 9, 2]] {
            same_verdict(Signal::Traces, &nest(fields, message));
        }
    }
}

#[test]
fn a_resource_or_scope_in_pieces_is_merged_wherever_the_pieces_stand() {
    let attribute = |key: &str| nest(&[1, 1], &[&nest(&[1], key.as_bytes())[..]].concat());
    let span = spans_body(&[(1, 3)], 0);
    let mut reader = crate::wire::Reader::new(&span);
    let scope_spans = reader.next().unwrap().unwrap().value.bytes().unwrap().to_vec();
    let named = |name: &str| nest(&[2, 1, 1], name.as_bytes());
    let parts = [
        attribute("a"),
        scope_spans.clone(),
        attribute("b"),
        nest(&[3], b"u"),
        named("s"),
        scope_spans,
        attribute("c"),
        nest(&[3], b"v"),
    ];
    let body = nest(&[1], &parts.concat());
    same_verdict(Signal::Traces, &body);
    let cut = cut_one(Signal::Traces, &body);
    let rows = read_rows(&cut.records[0]);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].1[0], [attribute("a"), attribute("b"), attribute("c")].map(|field| field[2..].to_vec()).concat());
    assert_eq!(rows[0].1[1], b"v");
}

#[test]
fn an_error_names_its_place_in_the_body() {
    let body = nest(&[1, 2, 2], &[0x0a, 0x7f]);
    let CutError::Invalid(error) = cut_as(Signal::Traces, &body, &[BucketRange::ALL]).unwrap_err() else { panic!() };
    assert_eq!(error.offset, body.len() - 1);
    assert_eq!(error.to_string(), "length beyond the end of the message at byte 7");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_request_has_prosts_verdict(
        (signal, body) in arbitrary::body(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut_at in any::<Option<proptest::sample::Index>>(),
    ) {
        let mut body = body;
        if !body.is_empty() {
            for (at, byte) in damage {
                let at = at.index(body.len());
                body[at] = byte;
            }
            if let Some(at) = cut_at {
                body.truncate(at.index(body.len()));
            }
        }
        same_verdict(signal, &body);
    }

    #[test]
    fn random_bytes_have_prosts_verdict(body in proptest::collection::vec(0_u8..48, 0..60), code in 0_u8..3) {
        same_verdict(Signal::from_code(code).unwrap(), &body);
    }
}
