//! Ingest as one would write it with the published types, to compare with.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message;
use spanlake_local::{RealDisk, SegmentLog};
use spanlake_model::Bucket;
use spanlake_pipeline::ports::{EventStream, NewRecord};

use crate::SHARDS;
use crate::bodies::Body;
use crate::meter::Meter;

/// Inflate, decode, group by shard, encode, compress, append.
pub(crate) async fn ingest(bodies: &[Body], log: &SegmentLog<RealDisk>, spans: u64) {
    let meter = Meter::start();
    for body in bodies {
        let raw = body.inflate();
        let request = ExportTraceServiceRequest::decode(raw.as_slice()).unwrap();
        let mut records = Vec::new();
        for (shard, request) in regroup(request) {
            let first = u32::from(shard) * u32::from(spanlake_model::BUCKETS) / u32::from(SHARDS);
            let bucket = Bucket::new(u16::try_from(first).unwrap()).unwrap();
            let bytes = zstd::bulk::compress(&request.encode_to_vec(), 1).unwrap().into();
            records.push(NewRecord { bucket, bytes });
        }
        assert!(log.append(records).await.iter().all(Result::is_ok));
    }
    meter.print("ingest with prost", spans);
}

fn regroup(request: ExportTraceServiceRequest) -> BTreeMap<u16, ExportTraceServiceRequest> {
    let mut requests: BTreeMap<u16, ExportTraceServiceRequest> = BTreeMap::new();
    for group in request.resource_spans {
        let ResourceSpans { resource, scope_spans, schema_url } = group;
        for ScopeSpans { scope, spans, schema_url: scope_url } in scope_spans {
            let mut of_shard: BTreeMap<u16, Vec<_>> = BTreeMap::new();
            for span in spans {
                let shard = span.trace_id.first().map_or(0, |byte| u16::from(*byte)) * SHARDS / 256;
                of_shard.entry(shard).or_default().push(span);
            }
            for (shard, spans) in of_shard {
                let scope_spans = vec![ScopeSpans { scope: scope.clone(), spans, schema_url: scope_url.clone() }];
                let group = ResourceSpans { resource: resource.clone(), scope_spans, schema_url: schema_url.clone() };
                requests.entry(shard).or_default().resource_spans.push(group);
            }
        }
    }
    requests
}
