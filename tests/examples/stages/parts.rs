//! The parts that the stages are made of, each alone over the same bodies: what their sum says is what a stage can reach.
//! Measured are calls that write where they have written before; what the next part needs is made again behind it.

use std::io::{Read, Write};

use flate2::read::MultiGzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spanlake_model::{BucketRange, Signal};
use spanlake_otlp::cut;
use spanlake_otlp::limits::Limits;
use spanlake_otlp::payload::Items;
use spanlake_policy::{Rules, Scratch};
use spanlake_table::{Context, FileMeta, Item, Sampling, build_items, write_items};
use zstd::bulk::{Compressor, Decompressor};

use crate::SHARDS;
use crate::bodies::Body;
use crate::meter::Meter;

/// A block of a stored object, bytes.
const BLOCK_BYTES: usize = 256 << 10;
/// Spans of a file.
const FILE_SPANS: usize = 40_960;

/// Measures every part over all of `bodies`, which hold so many spans.
pub(crate) fn measure(bodies: &[Body], rules: &Rules, folder: &std::path::Path, spans: u64) {
    let raw = inflate(bodies, spans);
    prost(&raw, spans);
    let records = split(&raw, spans);
    let packed = compress("ingest: zstd level 1 (crate zstd, bulk)", &records, 1, spans);
    hash("ingest: blake3 of the body (crate blake3)", &raw, spans);
    write("ingest: write and fdatasync (std)", &packed, folder, spans);
    decompress("group: zstd of records (crate zstd, bulk)", &packed, &records, spans);
    let masked = mask(&records, rules, spans);
    let blocks: Vec<Vec<u8>> = masked.concat().chunks(BLOCK_BYTES).map(<[u8]>::to_vec).collect();
    let staged = compress("group: zstd level -5 of masked spans (crate zstd, bulk)", &blocks, -5, spans);
    hash("group: blake3 of the object (crate blake3)", &staged, spans);
    write("group: write and fdatasync of the object (std)", &staged, folder, spans);
    decompress("group: zstd of masked spans (crate zstd, bulk)", &staged, &blocks, spans);
    let sealed = compress("group: zstd level -5 of what is kept (crate zstd, bulk)", &blocks, -5, spans);
    decompress("archive: zstd of what is kept (crate zstd, bulk)", &sealed, &blocks, spans);
    tables(&records, spans);
}

fn inflate(bodies: &[Body], spans: u64) -> Vec<Vec<u8>> {
    let mut room = Vec::new();
    let meter = Meter::start();
    for body in bodies {
        room.clear();
        MultiGzDecoder::new(body.bytes.as_ref()).read_to_end(&mut room).unwrap();
    }
    meter.print("part ingest: gzip (crate flate2 with zlib-rs, MultiGzDecoder)", spans);
    bodies.iter().map(Body::inflate).collect()
}

fn prost(raw: &[Vec<u8>], spans: u64) {
    let meter = Meter::start();
    for body in raw {
        std::hint::black_box(ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
    }
    meter.print("prost decode (crate opentelemetry-proto)", spans);
}

/// The payloads of the records.
fn split(raw: &[Vec<u8>], spans: u64) -> Vec<Vec<u8>> {
    let shards = BucketRange::even(SHARDS);
    let mut scratch = cut::Scratch::new();
    let mut records = Vec::new();
    let meter = Meter::start();
    for body in raw {
        let request = cut::Request { signal: Signal::Traces, tenant: "", body };
        let cut = cut::cut(&request, &Limits::default(), &shards, &mut scratch).unwrap();
        records.extend(cut.records.into_iter().map(|record| record.payload));
    }
    meter.print("part ingest: check every field and split (our walker, cut)", spans);
    records
}

fn compress(part: &str, blocks: &[Vec<u8>], level: i32, spans: u64) -> Vec<Vec<u8>> {
    let mut compressor = Compressor::new(level).unwrap();
    let most = blocks.iter().map(Vec::len).max().unwrap_or(0);
    let mut room = Vec::with_capacity(zstd::zstd_safe::compress_bound(most));
    let meter = Meter::start();
    for block in blocks {
        compressor.compress_to_buffer(block, &mut room).unwrap();
    }
    meter.print(&format!("part {part}"), spans);
    blocks.iter().map(|block| compressor.compress(block).unwrap()).collect()
}

fn decompress(part: &str, packed: &[Vec<u8>], blocks: &[Vec<u8>], spans: u64) {
    let mut decompressor = Decompressor::new().unwrap();
    let mut room = Vec::with_capacity(blocks.iter().map(Vec::len).max().unwrap_or(0));
    let meter = Meter::start();
    for packed in packed {
        decompressor.decompress_to_buffer(packed, &mut room).unwrap();
    }
    meter.print(&format!("part {part}"), spans);
}

fn hash(part: &str, blocks: &[Vec<u8>], spans: u64) {
    let meter = Meter::start();
    for block in blocks {
        std::hint::black_box(blake3::hash(block));
    }
    meter.print(&format!("part {part}"), spans);
}

fn write(part: &str, blocks: &[Vec<u8>], folder: &std::path::Path, spans: u64) {
    let path = folder.join("part");
    let meter = Meter::start();
    let mut file = std::fs::File::create(&path).unwrap();
    for (number, block) in blocks.iter().enumerate() {
        file.write_all(block).unwrap();
        if number % 8 == 7 {
            file.sync_data().unwrap();
        }
    }
    file.sync_data().unwrap();
    meter.print(&format!("part {part}"), spans);
}

/// The masked items of each record, one after the other.
fn mask(records: &[Vec<u8>], rules: &Rules, spans: u64) -> Vec<Vec<u8>> {
    let (mut scratch, mut room) = (Scratch::default(), Vec::new());
    let meter = Meter::start();
    for record in records {
        room.clear();
        mask_record(record, rules, &mut room, &mut scratch);
    }
    meter.print("part group: masking and facts (our Rules::item)", spans);
    let masked = |record: &Vec<u8>| {
        let mut out = Vec::new();
        mask_record(record, rules, &mut out, &mut scratch);
        out
    };
    records.iter().map(masked).collect()
}

fn mask_record(record: &[u8], rules: &Rules, out: &mut Vec<u8>, scratch: &mut Scratch) {
    let mut items = Items::new(record);
    let mut context = None;
    while let Some(item) = items.next().unwrap() {
        if context.as_ref().is_none_or(|(number, _)| *number != item.context) {
            context = Some((item.context, rules.context(Signal::Traces, items.context(), scratch)));
        }
        if let Some((_, context)) = &context {
            rules.item(Signal::Traces, context, item.bytes, out, scratch);
        }
    }
}

/// Arrow rows, and Parquet from them: files as large as an archiver's.
fn tables(records: &[Vec<u8>], spans: u64) {
    let (mut contexts, mut items) = (Vec::new(), Vec::new());
    let mut files = Vec::new();
    for record in records {
        let mut all = Items::new(record);
        let mut number = None;
        while let Some(item) = all.next().unwrap() {
            if number != Some(item.context) {
                let raw = all.context();
                contexts.push(Context { resource: raw.resource, scope: raw.scope, ..Context::default() });
                number = Some(item.context);
            }
            let sampling = Sampling { policy: "all", weight: 1.0, is_late: false };
            let context = u32::try_from(contexts.len() - 1).unwrap();
            items.push(Item { context, bytes: item.bytes, arrival_nanos: 0, sampling });
        }
        if items.len() >= FILE_SPANS {
            files.push((std::mem::take(&mut contexts), std::mem::take(&mut items)));
        }
    }
    files.push((contexts, items));
    let meter = Meter::start();
    for (contexts, items) in &files {
        std::hint::black_box(build_items(Signal::Traces, contexts, items).unwrap());
    }
    let rows = meter.cpu_nanos();
    meter.print("part archive: spans into Arrow rows (our build_items, crate arrow)", spans);
    let meter = Meter::start();
    for (contexts, items) in &files {
        std::hint::black_box(write_items(Signal::Traces, contexts, items, &FileMeta::default()).unwrap());
    }
    let nanos = meter.cpu_nanos().saturating_sub(rows) / spans.max(1);
    println!("part archive: rows into Parquet (crate parquet, zstd level 1): {spans} spans, {nanos} ns/span of CPU");
}
