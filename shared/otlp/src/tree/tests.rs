use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use spanlake_model::Signal;

use super::*;
use crate::arbitrary;

fn through_the_tree(signal: Signal, bytes: &[u8], want: Want) -> Vec<u8> {
    let mut out = Vec::new();
    Payload::decode(signal, bytes, want).unwrap().encode(&mut out);
    out
}

/// As JSON, without what means nothing: indices into a table of strings that no request has, and absent resources.
fn normal(request: &impl serde::Serialize) -> serde_json::Value {
    fn strip(json: &mut serde_json::Value) {
        match json {
            serde_json::Value::Array(items) => items.iter_mut().for_each(strip),
            serde_json::Value::Object(fields) => {
                fields.retain(|name, _| !name.to_lowercase().ends_with("strindex"));
                fields.values_mut().for_each(strip);
                fields.retain(|name, value| {
                    let is_empty = value.is_null()
                        || value.as_object().is_some_and(|inner| {
                            inner.values().all(|inner| *inner == 0 || *inner == "" || inner.as_array().is_some_and(Vec::is_empty))
                        });
                    !(is_empty && ["resource", "scope", "value"].contains(&name.as_str()))
                });
            }
            _ => {}
        }
    }
    let mut json = serde_json::to_value(request).unwrap();
    strip(&mut json);
    json
}

proptest::proptest! {
    #[test]
    fn a_request_comes_out_of_the_tree_as_prost_reads_it(
        traces in arbitrary::traces(),
        logs in arbitrary::logs(),
        metrics in arbitrary::metrics(),
        wants in proptest::prelude::any::<[u32; 3]>(),
        all in proptest::prelude::any::<bool>(),
    ) {
        let want = if all { Want::ALL } else { Want { resource: wants[0], scope: wants[1], item: wants[2] } };
        let out = through_the_tree(Signal::Traces, &traces.encode_to_vec(), want);
        proptest::prop_assert_eq!(normal(&ExportTraceServiceRequest::decode(out.as_slice()).unwrap()), normal(&traces));
        let out = through_the_tree(Signal::Logs, &logs.encode_to_vec(), want);
        proptest::prop_assert_eq!(normal(&ExportLogsServiceRequest::decode(out.as_slice()).unwrap()), normal(&logs));
        let out = through_the_tree(Signal::Metrics, &metrics.encode_to_vec(), want);
        let read = ExportMetricsServiceRequest::decode(out.as_slice()).unwrap();
        proptest::prop_assert_eq!(normal(&read), normal(&metrics));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        for signal in Signal::ALL {
            drop(Payload::decode(signal, &bytes, Want::ALL));
        }
    }
}

#[test]
fn numbers_are_written_as_go_writes_them() {
    for (number, text) in [
        (0.0, "0"),
        (1.0, "1"),
        (-2.5, "-2.5"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (1e-7, "1e-7"),
        (1e-6, "0.000001"),
    ] {
        assert_eq!(float_text(number), text);
    }
}

#[test]
fn a_map_is_written_as_json_with_sorted_keys() {
    let map =
        Map(vec![("b".into(), Value::String("<&>\u{7}\"".into())), ("a".into(), Value::List(vec![Value::Int(1), Value::Empty]))]);
    assert_eq!(Value::Map(map).to_text(), r#"{"a":[1,null],"b":"\u003c\u0026\u003e\u0007\""}"#);
}

#[test]
fn of_several_attributes_of_one_key_the_last_stays_however_many_there_are() {
    for others in [0, 50, 100] {
        let pair = |key: &str, value| (key.to_owned().into(), Value::Int(value));
        let inner = Map(vec![pair("k", 1), pair("k", 2)]);
        let mut map = Map(vec![pair("a", 1), ("m".into(), Value::List(vec![Value::Map(inner)])), pair("a", 2), pair("b", 3)]);
        map.0.extend((0..others).map(|number| pair(&format!("x{number}"), number)));
        map.dedupe();
        assert_eq!(map.len(), 3 + usize::try_from(others).unwrap());
        assert_eq!((map.get("a"), map.get("b")), (Some(&Value::Int(2)), Some(&Value::Int(3))));
        assert_eq!(map.get("m"), Some(&Value::List(vec![Value::Map(Map(vec![pair("k", 2)]))])));
    }
}
