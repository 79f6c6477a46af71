//! Requests from files.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

/// What of a request its headers say.
#[derive(Clone)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) content_type: &'static str,
    pub(crate) coding: &'static str,
}

/// The files of a folder, in the order of their names.
pub(crate) fn paths(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// All requests of a folder.
pub(crate) fn read(folder: &Path) -> Vec<Body> {
    paths(folder).iter().map(|path| one(path)).collect()
}

/// A request: how it is compressed shows in its first bytes.
pub(crate) fn one(path: &Path) -> Body {
    let bytes = Bytes::from(std::fs::read(path).unwrap());
    let coding = match bytes.as_ref() {
        [0x1f, 0x8b, ..] => "gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        _ => "identity",
    };
    Body { bytes, content_type: "application/x-protobuf", coding }
}

impl Body {
    /// The request, inflated.
    pub(crate) fn inflate(&self) -> Vec<u8> {
        let mut raw = Vec::new();
        match self.coding {
            "gzip" => MultiGzDecoder::new(self.bytes.as_ref()).read_to_end(&mut raw).unwrap(),
            "zstd" => zstd::stream::read::Decoder::new(self.bytes.as_ref()).unwrap().read_to_end(&mut raw).unwrap(),
            _ => self.bytes.as_ref().read_to_end(&mut raw).unwrap(),
        };
        raw
    }
}

/// The same requests as OTLP/JSON, by gzip.
pub(crate) fn as_json(bodies: &[Body]) -> Vec<Body> {
    let json = |body: &Body| {
        let request = ExportTraceServiceRequest::decode(body.inflate().as_slice()).unwrap();
        let mut packed = GzEncoder::new(Vec::new(), Compression::new(6));
        packed.write_all(&serde_json::to_vec(&request).unwrap()).unwrap();
        Body { bytes: packed.finish().unwrap().into(), content_type: "application/json", coding: "gzip" }
    };
    bodies.iter().map(json).collect()
}
