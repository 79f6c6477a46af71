//! The writers of tables: any bytes as items and contexts make files, or are counted as bad.

use spanlake_model::Signal;
use spanlake_table::{
    Context, FileMeta, Item, Sampling, TraceFacts, Written, build_items, service_name, trace_summary, write_items, write_traces,
};
use xxhash_rust::xxh3::xxh3_64;

use super::draw::Draw;
use super::generate;

/// Rows are built of every input, files of one in this many: they take fifty times as long, and how a column is encoded
/// does not depend on what its values were made of.
const FILES_ONE_IN: u64 = 256;

/// The target.
pub fn tables(data: &[u8]) {
    let mut draw = Draw::new(data);
    let mode = draw.byte();
    let signal = Signal::ALL[usize::from(mode & 15) % 3];
    let (mut resource, mut scope, mut item) = (Vec::new(), Vec::new(), Vec::new());
    if mode & 128 == 0 {
        resource.extend_from_slice(draw.bytes(80));
        scope.extend_from_slice(draw.bytes(80));
        item.extend_from_slice(draw.rest());
    } else {
        generate::message(&mut draw, &spanlake_otlp::schema::RESOURCE, 0, &mut resource);
        generate::message(&mut draw, &spanlake_otlp::schema::SCOPE, 0, &mut scope);
        generate::message(&mut draw, spanlake_otlp::schema::item(signal), 0, &mut item);
    }
    let context = Context { resource: &resource, scope: &scope, ..Context::default() };
    let contexts = [context, Context::default()];
    let sampling = Sampling { policy: "p", weight: 20.0, is_late: mode & 64 != 0 };
    let arrival_nanos = draw.number() as i64;
    let of = |context, bytes| Item { context, bytes, arrival_nanos, sampling };
    let items = [of(0, &item), of(1, &item), of(2, &item), of(1, &[])];
    let built = build_items(signal, &contexts, &items).expect("no fault of the input");
    assert!((1..=4).contains(&built.bad_items) && built.files.len() <= 4);
    let services = [service_name(&resource), None];
    let facts = TraceFacts { trace_id: &[7; 16], policy: "p", weight: 1.0, is_complete: true, ingest_nanos: arrival_nanos };
    let summary = trace_summary(&services, &[(0, &item), (1, &item)], facts);
    if xxh3_64(data).is_multiple_of(FILES_ONE_IN) {
        let written = files(signal, &contexts, &items);
        assert!(written == files(signal, &contexts, &items), "the same items make other bytes");
        assert_eq!((written.bad_items, written.saturated), (built.bad_items, built.saturated));
        let rows = |written: &Written| written.files.iter().map(|file| (file.table, file.rows)).collect::<Vec<_>>();
        assert_eq!(rows(&written), rows(&built));
        if let Some(row) = summary {
            assert_eq!(write_traces(&[row], &FileMeta::default()).expect("no fault of the input").rows, 1);
        }
    }
}

fn files(signal: Signal, contexts: &[Context<'_>], items: &[Item<'_>]) -> Written {
    write_items(signal, contexts, items, &FileMeta::default()).expect("no fault of the input")
}
