use prost::Message as _;
use spanlake_model::Signal;

use super::*;
use crate::arbitrary;

fn through_the_tree(signal: Signal, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Payload::decode(signal, bytes).unwrap().encode(&mut out);
    out
}

proptest::proptest! {
    #[test]
    fn a_request_comes_out_of_the_tree_as_prost_reads_it(
        traces in arbitrary::traces(),
        logs in arbitrary::logs(),
        metrics in arbitrary::metrics(),
    ) {
        use opentelemetry_proto::tonic::collector::{logs, metrics, trace};
        // Prost tells an absent resource from an empty one; no reader of ours does.
        let out = through_the_tree(Signal::Traces, &traces.encode_to_vec());
        let mut read = trace::v1::ExportTraceServiceRequest::decode(out.as_slice()).unwrap();
        let mut wanted = traces;
        for (read, wanted) in read.resource_spans.iter_mut().zip(&mut wanted.resource_spans) {
            read.resource.get_or_insert_default();
            wanted.resource.get_or_insert_default();
            read.scope_spans.iter_mut().chain(&mut wanted.scope_spans).for_each(|scope| drop(scope.scope.get_or_insert_default()));
        }
        proptest::prop_assert_eq!(read, wanted);
        let out = through_the_tree(Signal::Logs, &logs.encode_to_vec());
        let mut read = logs::v1::ExportLogsServiceRequest::decode(out.as_slice()).unwrap();
        let mut wanted = logs;
        for (read, wanted) in read.resource_logs.iter_mut().zip(&mut wanted.resource_logs) {
            wanted.resource.get_or_insert_default();
            read.scope_logs.iter_mut().chain(&mut wanted.scope_logs).for_each(|scope| drop(scope.scope.get_or_insert_default()));
        }
        proptest::prop_assert_eq!(read, wanted);
        let out = through_the_tree(Signal::Metrics, &metrics.encode_to_vec());
        let mut read = metrics::v1::ExportMetricsServiceRequest::decode(out.as_slice()).unwrap();
        let mut wanted = metrics;
        for (read, wanted) in read.resource_metrics.iter_mut().zip(&mut wanted.resource_metrics) {
            wanted.resource.get_or_insert_default();
            read.scope_metrics.iter_mut().chain(&mut wanted.scope_metrics).for_each(|scope| drop(scope.scope.get_or_insert_default()));
        }
        proptest::prop_assert_eq!(read, wanted);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        for signal in Signal::ALL {
            drop(Payload::decode(signal, &bytes));
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
