use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::*;

#[test]
fn every_field_of_a_log_record_is_read_back() {
    let record = LogRecord {
        time_unix_nano: TIME,
        observed_time_unix_nano: TIME + 5,
        severity_number: 17,
        severity_text: "ERROR".to_owned(),
        body: Some(any(map(vec![int("b", 2), text("a", "x")]))),
        attributes: vec![text("exception.type", "Oops"), text("exception.message", "it broke"), text("http.route", "/")],
        flags: 1,
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        event_name: "crash".to_owned(),
        ..Default::default()
    };
    let expected = json!({
        "time": TIME_MICROS, "time_unix_nano": TIME, "observed_unix_nano": TIME + 5,
        "trace_id": "01".repeat(16), "span_id": "02".repeat(8), "flags": 1,
        "severity_number": 17, "severity_text": "ERROR", "event_name": "crash",
        "body": r#"{"a":"x","b":2}"#, "body_type": "map",
        "service_name": "shop", "deployment_environment": "test",
        "exception_type": "Oops", "exception_message": "it broke",
        "attributes": {"http.route": "/"}, "resource_attributes": {"os.type": "linux"}, "scope_attributes": {"team": "shop"},
        "scope_name": "lib", "scope_version": "1.2",
        "sampling_policy": "errors", "sampling_weight": 2.5, "ingest_time": TIME_MICROS, "schema_version": 1,
    });
    assert_eq!(only_row(&write(Signal::Logs, &[record.encode_to_vec()])), expected);
}

#[test]
fn a_record_without_a_time_has_that_of_its_observation() {
    let bodies = [Any::StringValue("hi".to_owned()), Any::IntValue(1), Any::BytesValue(vec![1])];
    let records: Vec<_> = (0_u64..)
        .zip(bodies)
        .map(|(index, body)| {
            LogRecord { observed_time_unix_nano: TIME + index, body: Some(any(body)), ..Default::default() }.encode_to_vec()
        })
        .collect();
    let rows = rows(&write(Signal::Logs, &records)[0]);
    let seen: Vec<_> = rows.iter().map(|row| json!([row["time_unix_nano"], row["body"], row["body_type"]])).collect();
    assert_eq!(seen, [json!([TIME, "hi", "string"]), json!([TIME + 1, "1", "int"]), json!([TIME + 2, "AQ==", "bytes"])]);
    assert_eq!(rows[0].get("trace_id"), None);
}
