//! Answers as OTLP/HTTP wants them, in the encoding of the request: `Export*ServiceResponse` with `partial_success`, and
//! `google.rpc.Status` on errors (OTLP specification, section OTLP/HTTP Response).

use serde_json::json;
use spanlake_model::Signal;

use crate::limits::Rejected;
use crate::wire::{put_len, put_varint_field};

/// How a request and its answer are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Encoding {
    /// The `Content-Type` of bodies in this encoding.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// The body of a 200: empty, or with what was refused and why.
#[must_use]
pub fn success(signal: Signal, encoding: Encoding, rejected: &Rejected) -> Vec<u8> {
    let (items, reasons) = (rejected.items(), rejected.reasons(signal));
    if items == 0 {
        return match encoding {
            Encoding::Protobuf => Vec::new(),
            Encoding::Json => b"{}".to_vec(),
        };
    }
    match encoding {
        Encoding::Protobuf => {
            let mut partial = Vec::new();
            put_varint_field(&mut partial, 1, items);
            put_len(&mut partial, 2, reasons.as_bytes());
            let mut response = Vec::new();
            put_len(&mut response, 1, &partial);
            response
        }
        Encoding::Json => {
            let key = match signal {
                Signal::Traces => "rejectedSpans",
                Signal::Logs => "rejectedLogRecords",
                Signal::Metrics => "rejectedDataPoints",
            };
            // Protobuf's JSON mapping writes 64-bit integers as strings.
            let response = json!({ "partialSuccess": { key: items.to_string(), "errorMessage": reasons } });
            response.to_string().into_bytes()
        }
    }
}

/// The body of an error: a gRPC code (`google.rpc.Code`) and a message for whoever runs the client.
#[must_use]
pub fn status(encoding: Encoding, grpc_code: u8, message: &str) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => {
            let mut status = Vec::new();
            put_varint_field(&mut status, 1, u64::from(grpc_code));
            put_len(&mut status, 2, message.as_bytes());
            status
        }
        Encoding::Json => json!({ "code": grpc_code, "message": message }).to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    use prost::Message;

    use super::*;
    use crate::limits::Reason;

    fn three_refused() -> Rejected {
        let mut rejected = Rejected::default();
        rejected.add(Reason::TraceId, 3);
        rejected
    }

    #[test]
    fn full_success_is_an_empty_response() {
        for signal in Signal::ALL {
            assert_eq!(success(signal, Encoding::Protobuf, &Rejected::default()), b"");
            assert_eq!(success(signal, Encoding::Json, &Rejected::default()), b"{}");
        }
    }

    #[test]
    fn partial_success_is_what_the_published_types_read() {
        let protobuf = |signal| success(signal, Encoding::Protobuf, &three_refused());
        let spans = ExportTraceServiceResponse::decode(&protobuf(Signal::Traces)[..]).unwrap().partial_success.unwrap();
        assert_eq!((spans.rejected_spans, &*spans.error_message), (3, "3 spans with an invalid trace_id"));
        let logs = ExportLogsServiceResponse::decode(&protobuf(Signal::Logs)[..]).unwrap().partial_success.unwrap();
        assert_eq!((logs.rejected_log_records, &*logs.error_message), (3, "3 log records with an invalid trace_id"));
        let points = ExportMetricsServiceResponse::decode(&protobuf(Signal::Metrics)[..]).unwrap().partial_success.unwrap();
        assert_eq!((points.rejected_data_points, &*points.error_message), (3, "3 data points with an invalid trace_id"));
    }

    #[test]
    fn replies_have_these_bytes() {
        let mut rejected = Rejected::default();
        rejected.add(Reason::Text, 1);
        assert_eq!(
            success(Signal::Traces, Encoding::Protobuf, &rejected),
            b"\x0a\x26\x08\x01\x12\x221 span with text that is not UTF-8"
        );
        assert_eq!(
            String::from_utf8(success(Signal::Logs, Encoding::Json, &rejected)).unwrap(),
            r#"{"partialSuccess":{"errorMessage":"1 log record with text that is not UTF-8","rejectedLogRecords":"1"}}"#
        );
        assert_eq!(status(Encoding::Protobuf, 3, "no"), b"\x08\x03\x12\x02no");
        assert_eq!(status(Encoding::Json, 3, "say \"no\""), br#"{"code":3,"message":"say \"no\""}"#);
    }
}
