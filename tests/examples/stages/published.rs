//! Ingest as one would write it with the published types, to compare with.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message;
use spanlake_local::{RealDisk, SegmentLog};
use spanlake_model::Bucket;
use spanlake_otlp::inflate::{Coding, Inflater};
use spanlake_pipeline::ports::{EventStream, NewRecord};
use zstd::bulk::Compressor;

use crate::SHARDS;
use crate::bodies::Body;
use crate::meter::Meter;

/// Inflate, decode, group by shard, encode, compress, append, with everything but the types as ours has it.
pub(crate) async fn ingest(bodies: &[Body], log: &Arc<SegmentLog<RealDisk>>, (clients_max, spans): (usize, u64)) {
    let meter = Meter::start();
    let mut clients = tokio::task::JoinSet::new();
    for first in 0..clients_max {
        let mine: Vec<Body> = bodies.iter().skip(first).step_by(clients_max).cloned().collect();
        clients.spawn(client(mine, Arc::clone(log)));
    }
    clients.join_all().await;
    meter.print("ingest with prost", spans);
}

async fn client(bodies: Vec<Body>, log: Arc<SegmentLog<RealDisk>>) {
    let (mut inflater, mut raw, mut compressor) = (Inflater::new(), Vec::new(), Compressor::new(1).unwrap());
    for body in bodies {
        inflater.inflate(Coding::parse(body.coding).unwrap(), &body.bytes, usize::MAX, &mut raw).unwrap();
        let request = ExportTraceServiceRequest::decode(raw.as_slice()).unwrap();
        let mut records = Vec::new();
        for (shard, request) in regroup(request) {
            let first = u32::from(shard) * u32::from(spanlake_model::BUCKETS) / u32::from(SHARDS);
            let bucket = Bucket::new(u16::try_from(first).unwrap()).unwrap();
            let bytes = compressor.compress(&request.encode_to_vec()).unwrap().into();
            records.push(NewRecord { bucket, bytes });
        }
        assert!(log.append(records).await.iter().all(Result::is_ok));
    }
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
