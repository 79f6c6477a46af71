use opentelemetry_proto::tonic::trace::v1::Span;

use super::spans::{encoded, span};
use super::*;
use crate::promote::{How, SPAN};

/// The row of a span of this kind with these attributes.
fn row(kind: i32, attributes: Vec<KeyValue>) -> Value {
    only_row(&write(Signal::Traces, &[encoded(&Span { kind, attributes, ..span() })]))
}

#[test]
fn each_key_feeds_its_column_and_leaves_the_map() {
    for promotion in SPAN {
        let (value, expected) = match promotion.how {
            How::Int | How::Bigint | How::ClientInt => (Any::IntValue(5), json!(5)),
            _ => (Any::StringValue("value".to_owned()), json!("value")),
        };
        let row = row(3, vec![attribute(promotion.key, value)]);
        assert_eq!(row[promotion.column], expected, "{}", promotion.key);
        assert_eq!(row["attributes"], json!({}), "{}", promotion.key);
    }
}

#[test]
fn the_new_name_wins_and_the_old_one_stays_in_the_map() {
    let new_first = row(2, vec![text("db.system.name", "new"), text("db.system", "old")]);
    let old_first = row(2, vec![text("db.system", "old"), text("db.system.name", "new")]);
    for row in [new_first, old_first] {
        assert_eq!((&row["db_system"], &row["attributes"]), (&json!("new"), &json!({"db.system": "old"})));
    }
}

#[test]
fn a_value_of_the_wrong_type_stays_in_the_map() {
    let wrong =
        row(2, vec![text("http.status_code", "200"), int("server.port", i64::MAX), text("gen_ai.usage.input_tokens", "many")]);
    assert_eq!(wrong.get("http_response_status_code"), None);
    let rest = json!({"http.status_code": "200", "server.port": "9223372036854775807", "gen_ai.usage.input_tokens": "many"});
    assert_eq!(wrong["attributes"], rest);
    let second = row(2, vec![text("http.response.status_code", "?"), int("http.status_code", 201)]);
    assert_eq!(second["http_response_status_code"], json!(201));
    assert_eq!(second["attributes"], json!({"http.response.status_code": "?"}));
}

#[test]
fn a_peer_is_the_server_only_for_a_client() {
    let peer = || vec![text("net.peer.name", "db"), int("net.peer.port", 5432)];
    let client = row(3, peer());
    assert_eq!((&client["server_address"], &client["server_port"]), (&json!("db"), &json!(5432)));
    let server = row(2, peer());
    assert_eq!(server.get("server_address"), None);
    assert_eq!(server["attributes"], json!({"net.peer.name": "db", "net.peer.port": "5432"}));
}

#[test]
fn an_old_target_is_cut_into_path_and_query() {
    let cut = row(2, vec![text("http.target", "/a?b=1?2"), text("zone", "z")]);
    assert_eq!((&cut["url_path"], &cut["attributes"]), (&json!("/a"), &json!({"url.query": "b=1?2", "zone": "z"})));
    let both = row(2, vec![text("http.target", "/a?b"), text("url.query", "c")]);
    assert_eq!(both["attributes"], json!({"http.target": "/a?b", "url.query": "c"}));
    let none = row(2, vec![text("http.target", "/a"), text("url.path", "/b")]);
    assert_eq!((&none["url_path"], &none["attributes"]), (&json!("/b"), &json!({"http.target": "/a"})));
}

#[test]
fn a_qualified_method_names_its_service() {
    let new = row(2, vec![text("rpc.method", "shop.Cart/Add"), text("rpc.service", "old")]);
    assert_eq!((&new["rpc_service"], &new["rpc_method"]), (&json!("shop.Cart"), &json!("Add")));
    assert_eq!(new["attributes"], json!({"rpc.service": "old"}));
    let old = row(2, vec![text("rpc.method", "Add"), text("rpc.service", "shop.Cart")]);
    assert_eq!((&old["rpc_service"], &old["rpc_method"]), (&json!("shop.Cart"), &json!("Add")));
}
