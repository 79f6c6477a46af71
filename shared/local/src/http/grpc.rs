//! What a gRPC client is told: which exporter speaks to this address. A proper gRPC answer, so that the client logs the
//! text instead of a protocol error.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Response};

/// Whether this is a gRPC call.
pub(super) fn asked(parts: &Parts) -> bool {
    let content_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    content_type.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
}

/// UNIMPLEMENTED, with what to change, in a trailers-only answer.
pub(super) fn advice(parts: &Parts, secure: bool) -> Response<Bytes> {
    let scheme = if secure { "https" } else { "http" };
    // Without a user's name and password.
    let host = parts.uri.authority().and_then(|authority| authority.as_str().rsplit('@').next());
    let address = host.map_or_else(|| "this address".to_owned(), |host| format!("{scheme}://{host}"));
    let text = format!(
        "this port speaks OTLP over HTTP, not gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf (in a Collector: the \
         otlphttp exporter) and OTEL_EXPORTER_OTLP_ENDPOINT={address}"
    );
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static("12"));
    if let Ok(message) = HeaderValue::from_str(&text.replace('%', "%25")) {
        headers.insert("grpc-message", message);
    }
    response
}
