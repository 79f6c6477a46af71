use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use prost::Message;
use serde_json::{Value as Json, json};
use spanlake_model::Signal;

use super::{read, write};
use crate::Context;

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn int(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn row(span: &Span) -> Json {
    let written = write(Signal::Traces, Context::default(), &[span.encode_to_vec()]);
    read::rows(&written.files[0].bytes).remove(0)
}

fn of(kind: i32, attributes: Vec<KeyValue>) -> Json {
    row(&Span { trace_id: vec![1; 16], span_id: vec![2; 8], kind, attributes, ..Span::default() })
}

#[test]
fn the_current_name_wins_and_the_older_one_stays_in_the_map() {
    let row = of(2, vec![text("http.method", "GET"), text("http.request.method", "POST")]);
    assert_eq!((&row["http_request_method"], &row["attributes"]), (&json!("POST"), &json!({"http.method": "GET"})));
}

#[test]
fn a_value_of_the_wrong_type_stays_in_the_map_and_the_older_key_feeds_the_column() {
    let row = of(2, vec![text("http.response.status_code", "teapot"), int("http.status_code", 418)]);
    assert_eq!(row["http_response_status_code"], json!(418));
    assert_eq!(row["attributes"], json!({"http.response.status_code": "teapot"}));
    let row = of(2, vec![int("server.port", i64::MAX)]);
    assert_eq!((&row["server_port"], &row["attributes"]), (&Json::Null, &json!({"server.port": i64::MAX.to_string()})));
}

#[test]
fn a_target_is_cut_at_its_query_and_the_query_stays() {
    let row = of(2, vec![text("http.target", "/pay?x=1&y=?")]);
    assert_eq!((&row["url_path"], &row["attributes"]), (&json!("/pay"), &json!({"url.query": "x=1&y=?"})));
    let row = of(2, vec![text("http.target", "/pay")]);
    assert_eq!((&row["url_path"], &row["attributes"]), (&json!("/pay"), &json!({})));
    let row = of(2, vec![text("http.target", "/pay?x=1"), text("url.query", "z")]);
    assert_eq!(row["url_path"], json!("/pay"));
    assert_eq!(row["attributes"], json!({"http.target": "/pay?x=1", "url.query": "z"}));
}

#[test]
fn a_qualified_method_feeds_service_and_method() {
    let row = of(3, vec![text("rpc.method", "shop.Cart/Add"), text("rpc.service", "other")]);
    assert_eq!((&row["rpc_service"], &row["rpc_method"]), (&json!("shop.Cart"), &json!("Add")));
    assert_eq!(row["attributes"], json!({"rpc.service": "other"}));
    let row = of(3, vec![text("rpc.method", "Add"), text("rpc.service", "shop.Cart")]);
    assert_eq!((&row["rpc_service"], &row["rpc_method"]), (&json!("shop.Cart"), &json!("Add")));
    assert_eq!(row["attributes"], json!({}));
}

#[test]
fn the_peer_is_the_server_on_client_spans_only() {
    let peer = vec![text("net.peer.name", "db"), int("net.peer.port", 5432)];
    let row = of(3, peer.clone());
    assert_eq!((&row["server_address"], &row["server_port"]), (&json!("db"), &json!(5432)));
    let row = of(2, peer);
    assert_eq!((&row["server_address"], &row["server_port"]), (&Json::Null, &Json::Null));
    assert_eq!(row["attributes"], json!({"net.peer.name": "db", "net.peer.port": "5432"}));
}

#[test]
fn an_exception_event_feeds_the_columns_unless_the_span_says_it_itself() {
    let event = |kind: &str| Event {
        name: "exception".to_owned(),
        attributes: vec![text("exception.message", "no"), text("exception.type", kind)],
        ..Event::default()
    };
    let mut span = Span { trace_id: vec![1; 16], span_id: vec![2; 8], events: vec![event("A"), event("B")], ..Span::default() };
    let first = row(&span);
    assert_eq!((&first["exception_type"], &first["exception_message"]), (&json!("A"), &json!("no")));
    span.attributes = vec![text("exception.type", "own")];
    assert_eq!(row(&span)["exception_type"], json!("own"));
}
