//! OTLP/HTTP answers, in the request's own encoding.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use spanlake_model::{ErrorKind, Signal};
use spanlake_otlp::limits::Rejected;
use spanlake_otlp::reply::{self, Encoding};

use super::{Refusal, media_type};
use crate::ports::AppendError;

/// What the request's content type says its body is; `None` for anything else.
pub(super) fn encoding_of(parts: &Parts) -> Option<Encoding> {
    match media_type(parts)?.as_str() {
        "application/x-protobuf" | "application/protobuf" => Some(Encoding::Protobuf),
        "application/json" => Some(Encoding::Json),
        _ => None,
    }
}

pub(super) fn success(signal: Signal, encoding: Encoding, rejected: &Rejected) -> Response<Bytes> {
    respond(StatusCode::OK, encoding, reply::success(signal, encoding, rejected))
}

/// An OTLP `Status` answer. JSON where the request's encoding is unknown: a person may be reading. With 503, when to come
/// again.
#[must_use]
pub fn refuse(parts: &Parts, status: StatusCode, message: &str) -> Response<Bytes> {
    let encoding = encoding_of(parts).unwrap_or(Encoding::Json);
    let mut response = respond(status, encoding, reply::status(encoding, grpc_code(status), message));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

pub(super) fn refusal(parts: &Parts, refusal: &Refusal) -> Response<Bytes> {
    let status = status_of(refusal);
    let mut response = refuse(parts, status, &refusal.to_string());
    let headers = response.headers_mut();
    match refusal {
        Refusal::Method => drop(headers.insert(ALLOW, HeaderValue::from_static("POST"))),
        Refusal::Token => drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
        Refusal::Stream(AppendError::Throttled { retry_after_ms }) => {
            drop(headers.insert(RETRY_AFTER, HeaderValue::from(retry_after_ms.div_ceil(1_000).max(1))));
        }
        _ => {}
    }
    response
}

/// The only mapping of refusals to HTTP statuses. What is worth a retry is never 500: exporters give up on it.
fn status_of(refusal: &Refusal) -> StatusCode {
    let kind = match refusal {
        Refusal::Path => return StatusCode::NOT_FOUND,
        Refusal::Method => return StatusCode::METHOD_NOT_ALLOWED,
        Refusal::Token => return StatusCode::UNAUTHORIZED,
        Refusal::ContentType | Refusal::Encoding => return StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::Stream(AppendError::Throttled { .. }) => return StatusCode::TOO_MANY_REQUESTS,
        Refusal::Stream(AppendError::Unavailable { .. }) => return StatusCode::SERVICE_UNAVAILABLE,
        Refusal::RecordTooLarge => return StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Inflate(error) => error.kind(),
        Refusal::Cut(error) => error.kind(),
        Refusal::Json(error) => error.kind(),
    };
    match kind {
        ErrorKind::Invalid | ErrorKind::BadData => StatusCode::BAD_REQUEST,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Bug => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The `google.rpc.Code` that goes with an HTTP status.
const fn grpc_code(status: StatusCode) -> u8 {
    match status {
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => 12,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::PAYLOAD_TOO_LARGE => 8,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::REQUEST_TIMEOUT => 4,
        StatusCode::INTERNAL_SERVER_ERROR => 13,
        _ => 3,
    }
}

fn respond(status: StatusCode, encoding: Encoding, body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(encoding.content_type()));
    response
}
