//! Figures over a split and a merge: every accepted span is counted once, wherever its shard ended.

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Row, RowAccessor};
use spanlake_model::SpanId;
use spanlake_pipeline::archive::Archiver;
use spanlake_testkit::SpanSpec;

use super::scene::{Scene, error, fine, trace_in};
use super::{ALL, HALF};
use crate::drive::block_on;

/// The sum of a column of whole numbers over a table's files.
pub(crate) fn sum(scene: &Scene, table: &str, column: &str) -> i64 {
    let prefix = format!("lake/v1/{table}/");
    let mut sum = 0;
    for (_, file) in scene.store.snapshot().into_iter().filter(|(key, _)| key.starts_with(&prefix)) {
        let reader = SerializedFileReader::new(file).unwrap();
        let fields = reader.metadata().file_metadata().schema().get_fields();
        let place = fields.iter().position(|field| field.name() == column).unwrap();
        sum += reader.get_row_iter(None).unwrap().map(|row| long(&row.unwrap(), place)).sum::<i64>();
    }
    sum
}

fn long(row: &Row, place: usize) -> i64 {
    row.get_long(place).or_else(|_| row.get_int(place).map(i64::from)).unwrap()
}

pub(crate) fn archive(scene: &Scene) {
    block_on(Archiver::new(scene.store.clone(), 1 << 20).run()).unwrap();
}

#[test]
fn red_and_edges_count_every_span_once_over_a_split_and_a_merge() {
    let scene = Scene::new(1);
    let parent = scene.open()[0].id.clone();
    let traces = [trace_in(0, HALF - 1, 1), trace_in(HALF, ALL, 1)];
    let call = |trace, number| SpanSpec { kind: 3, ..fine(trace, number) };
    let served = |trace, number| SpanSpec { parent: SpanId([number, 1, 1, 1, 1, 1, 1, 1]), ..error(trace, number + 10) };
    scene.at_ms(4_000);
    scene.send(&traces.map(|trace| call(trace, 1)));
    scene.at_ms(12_000);
    scene.send(&traces.map(|trace| call(trace, 2)));
    scene.group(&parent);
    // The parent ends in the middle of a window.
    scene.at_ms(14_000);
    scene.send(&traces.map(|trace| call(trace, 3)));
    scene.stream.split(&parent, HALF);
    scene.at_ms(16_000);
    scene.send(&traces.map(|trace| served(trace, 1)));
    scene.group_open();
    archive(&scene);
    let [one, two] = [0, 1].map(|place| scene.open()[place].id.clone());
    scene.stream.merge(&one, &two);
    scene.at_ms(18_000);
    scene.send(&traces.map(|trace| served(trace, 2)));
    scene.settle(20_000);
    archive(&scene);
    assert_eq!(scene.ledger().traces.committed, 10);
    assert_eq!(sum(&scene, "red_1m", "requests"), 10);
    assert_eq!(sum(&scene, "service_edges_1m", "requests"), 4);
}
