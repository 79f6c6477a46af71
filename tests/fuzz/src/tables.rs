//! The writers of tables: any bytes as items and contexts make files, or are counted as bad.

use spanlake_model::Signal;
use spanlake_table::{Context, FileMeta, Item, Sampling, TraceFacts, service_name, trace_summary, write_items, write_traces};

use super::draw::Draw;
use super::{generate, used};

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
    let written = write_items(signal, &contexts, &items, &FileMeta::default()).expect("no fault of the input");
    let again = write_items(signal, &contexts, &items, &FileMeta::default()).expect("no fault of the input");
    assert!(written == again, "the same items make other bytes");
    assert!((1..=4).contains(&written.bad_items) && written.files.len() <= 4);
    used(service_name(&resource));
    let facts = TraceFacts { trace_id: &[7; 16], policy: "p", weight: 1.0, is_complete: true, ingest_nanos: arrival_nanos };
    if let Some(row) = trace_summary(&contexts, &[(0, &item), (1, &item)], facts) {
        assert_eq!(write_traces(&[row], &FileMeta::default()).expect("no fault of the input").rows, 1);
    }
}
