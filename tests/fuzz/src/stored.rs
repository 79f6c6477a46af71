//! What is read back from the stream and the store: records, data objects, manifests and plans. These bytes are the
//! product's own, so whatever gets through their checksums must still not panic, or make anybody allocate without bound.

use std::cell::RefCell;

use spanlake_model::{Bucket, BucketRange};
use spanlake_otlp::payload;
use spanlake_pipeline::archive::Plan;
use spanlake_pipeline::envelope::{Envelope, Items, forwarded};
use spanlake_pipeline::inspect::{contents, sealed_items};
use spanlake_pipeline::ledger::Ledger;
use spanlake_pipeline::manifest::{Manifest, superseded};
use spanlake_pipeline::settings::GroupSettings;
use xxhash_rust::xxh3::xxh3_64;
use zstd::bulk::Compressor;

use super::draw::Draw;
use super::used;

/// Records of the stream.
pub fn envelope(data: &[u8]) {
    let mut draw = Draw::new(data);
    let made;
    let record = if draw.byte() & 128 == 0 {
        draw.rest()
    } else {
        made = record(&mut draw);
        &made
    };
    let Ok(Envelope::Items(items)) = Envelope::decode(record) else { return };
    let mut again = Vec::new();
    items.encode(&mut again);
    assert_eq!(Envelope::decode(&again), Ok(Envelope::Items(items.clone())), "written again, it says something else");
    assert!(items.part_of_item.iter().all(|part| usize::from(*part) < items.parts.len()));
    let range = BucketRange { first: 5, last: 4000 };
    let copy = forwarded(record, range).expect("what was decoded can be forwarded");
    let Ok(Envelope::Items(copied)) = Envelope::decode(&copy) else { panic!("a copy is no record") };
    for bucket in [0, 5, 77, 4000, 4001, 4095].into_iter().filter_map(Bucket::new) {
        assert_eq!(copied.is_for(bucket), range.contains(bucket));
    }
    assert_eq!(Items { only: None, ..copied }, Items { only: None, ..items.clone() });
    if let Ok(inflated) = items.inflate() {
        assert_eq!(inflated.len(), items.payload_bytes);
        let mut messages = payload::Items::new(&inflated);
        while let Ok(Some(item)) = messages.next() {
            used(payload::item_trace_id(items.signal, item.bytes));
            used(payload::item_count(items.signal, item.bytes));
        }
    }
}

fn varint(out: &mut Vec<u8>, number: u64) {
    spanlake_otlp::wire::put_varint(out, number);
}

/// A record that is well-formed up to where a choice says otherwise.
fn record(draw: &mut Draw<'_>) -> Vec<u8> {
    let mut out = b"SL\x01".to_vec();
    if draw.one_in(4) {
        // A forwarded copy: the range comes first.
        out.extend_from_slice(&[2, draw.byte(), draw.byte() & 31, draw.byte(), draw.byte() & 31]);
    } else {
        out.push(0);
    }
    out.extend_from_slice(&[draw.byte() % 4, 1, 1, 0]);
    varint(&mut out, 2);
    out.extend_from_slice(b"te");
    out.extend_from_slice(&[draw.byte(); 16]);
    varint(&mut out, draw.number());
    varint(&mut out, draw.number());
    let parts = draw.below(6);
    varint(&mut out, if draw.one_in(16) { draw.number() } else { parts as u64 });
    for _ in 0..parts {
        varint(&mut out, draw.number() % 4200);
        varint(&mut out, draw.number() % 70_000);
        out.push(draw.byte());
    }
    let items = draw.below(8);
    varint(&mut out, if draw.one_in(16) { draw.number() } else { items as u64 });
    (0..items).for_each(|_| varint(&mut out, draw.below(7) as u64));
    let plain = draw.rest();
    let length = if plain.first() == Some(&7) { 1 << 40 } else { plain.len() as u64 };
    varint(&mut out, length);
    out.extend_from_slice(&compressed(plain));
    out
}

thread_local! {
    /// A context costs more to make than a small frame to write.
    static COMPRESSOR: RefCell<Compressor<'static>> = RefCell::new(Compressor::new(1).unwrap());
}

fn compressed(plain: &[u8]) -> Vec<u8> {
    COMPRESSOR.with_borrow_mut(|compressor| compressor.compress(plain).unwrap())
}

/// The container of data objects, with right checksums around whatever its blocks and its header hold.
fn object(blocks: &[&[u8]], header: &[u8]) -> Vec<u8> {
    let (mut out, mut index) = (Vec::new(), Vec::new());
    varint(&mut index, blocks.len() as u64);
    for block in blocks {
        let written = compressed(block);
        varint(&mut index, written.len() as u64);
        varint(&mut index, block.len() as u64);
        index.extend_from_slice(&xxh3_64(&written).to_le_bytes());
        out.extend_from_slice(&written);
    }
    varint(&mut index, header.len() as u64);
    index.extend_from_slice(header);
    out.extend_from_slice(&index);
    out.extend_from_slice(&(index.len() as u32).to_le_bytes());
    out.extend_from_slice(&xxh3_64(&index).to_le_bytes());
    out.extend_from_slice(b"SLO1");
    out
}

/// An object that is read as each of these kinds: its header and blocks out of the data, each with its length in front.
fn data_object(kinds: &[&str], data: &[u8]) {
    let mut draw = Draw::new(data);
    let mode = draw.byte();
    if mode & 128 == 0 {
        let object = draw.rest();
        for kind in kinds {
            used(contents(kind, object));
        }
        return;
    }
    let header = draw.bytes(255);
    let blocks: Vec<&[u8]> = (0..mode & 7).map(|_| draw.bytes(255)).collect();
    let blocks = [&blocks[..], &[draw.rest()]].concat();
    let object = object(&blocks, header);
    for kind in kinds {
        let read = contents(kind, &object);
        if *kind == SEALED {
            assert_eq!(read.map(|contents| contents.items), sealed_items(&object).map(|items| items.len() as u64));
        }
    }
}

const SEALED: &str = "sealed/";

/// Staged batches, and the ids that were seen.
pub fn staged(data: &[u8]) {
    data_object(&["staged/", "seen/"], data);
}

/// Sealed outputs.
pub fn sealed(data: &[u8]) {
    data_object(&[SEALED], data);
}

/// Recorded decisions.
pub fn decisions(data: &[u8]) {
    data_object(&["decisions/"], data);
}

const MANIFEST: &str = r##"{"format":3,"shard":"s","range":[#,#],"parents":["p"],"born":#,"born_mark":#,"closed":true,
"watermark":"#","clock":#,"mark":#,"rules":{"current":"c","since":#,"previous":{"version":"v","until":#}},"staged":[{"key":
"staged/1","bytes":#,"index_bytes":#,"arrivals":[#,#],"items":#,"inherited":{"range":[#,#],"mark":#}}],
"seen":[{"key":"seen/1","bytes":#,"index_bytes":#,"until":#,"at_least":#}],"decisions":[{"key":"decisions/1","bytes":#,
"index_bytes":#,"end":#}],"sealed":[{"number":#,"key":"sealed/1","bytes":#,"raw_bytes":#,"window_start":#,"decisions":
"decisions/1"},{"number":#,"key":"sealed/2","bytes":#,"raw_bytes":#,"window_start":#}],"sealed_last":#,"closing":{"end":#,
"done":[#,"00"]},"ledger":{"traces":{"committed":#,"kept":#,"sampled_out":#,"dropped":{"a":#,"b":#},"pending":#,
"duplicates":#},"logs":{"committed":#,"kept":#,"sampled_out":#,"pending":#,"duplicates":#},"metrics":{"committed":#,"kept":#,
"sampled_out":#,"pending":#,"duplicates":#},"quarantined_records":#,"masked":{"r":#}},"paged":{"key":"page/1","alive":
[[[#,#]],[],[],[]]}}"##;

const PLAN: &str = r#"{"format":1,"writer":1,"number":#,"positions":{"s":#,"t":#},"groups":[{"hour":#,"inputs":[{"shard":
"s","number":#,"key":"sealed/1","decisions":"decisions/1"},{"shard":"t","number":#,"key":"sealed/2"}]},{"hour":#,
"inputs":[]}]}"#;

/// The text as it is, or the template with numbers in its places.
fn text(data: &[u8], template: &str) -> Vec<u8> {
    let mut draw = Draw::new(data);
    if draw.byte() < 0x80 {
        return data.to_vec();
    }
    let mut out = Vec::new();
    for (at, piece) in template.split('#').enumerate() {
        if at > 0 {
            let number = if draw.is_empty() { 1 } else { draw.number() };
            let number = if draw.one_in(4) { (number as i64).to_string() } else { number.to_string() };
            out.extend_from_slice(number.as_bytes());
        }
        out.extend_from_slice(piece.as_bytes());
    }
    out
}

/// Manifests, and the plan that follows from one.
pub fn manifest(data: &[u8]) {
    let text = text(data, MANIFEST);
    let Ok(manifest) = Manifest::decode(&text) else { return };
    let references = manifest.sealed_references().chain(manifest.working_references()).count();
    assert!(references <= text.len());
    manifest.staged.iter().for_each(|staged| used(manifest.mark_of(staged)));
    used(manifest.inherited_until(&GroupSettings::default()));
    let manifests = [manifest];
    used(superseded(&manifests));
    if let Some(plan) = Plan::next(None, &manifests, 64 << 20) {
        assert_eq!(Plan::decode(&plan.encode()).expect("a plan of this program"), plan);
    }
    used(Ledger::of_shards(manifests.iter().map(|manifest| &manifest.ledger)));
}

/// Archive plans.
pub fn plan(data: &[u8]) {
    let text = text(data, PLAN);
    let Ok(plan) = Plan::decode(&text) else { return };
    assert!(plan.groups.iter().map(|group| group.inputs.len()).sum::<usize>() <= text.len());
    assert_eq!(Plan::decode(&plan.encode()).expect("a plan of this program"), plan);
    for group in 0..plan.groups.len() {
        assert!(plan.file_key("spans", group).starts_with("lake/v1/spans/dt="));
    }
    // The next number, and the positions that it begins from.
    used(Plan::next(Some(&plan), &[Manifest::new("s", BucketRange::ALL)], 1));
}
