//! Records that a request is cut into, for each number of open shards.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use spanlake_aws::SystemClock;
use spanlake_model::BucketRange;
use spanlake_pipeline::ingest::{Ingest, IngestSettings};
use spanlake_pipeline::ports::Shard;

use crate::stream::Shelf;

const SHARDS: [u16; 9] = [1, 4, 8, 16, 32, 64, 128, 256, 512];

/// Kinesis bills a record by these bytes, rounded up.
const UNIT_BYTES: usize = 25 << 10;

/// Sends every request of a folder to streams of so many shards.
pub(crate) async fn measure(folder: &Path) -> Value {
    let paths = crate::bodies(folder);
    let wire_bytes: u64 = paths.iter().map(|path| std::fs::metadata(path).unwrap().len()).sum();
    let mut rows = Vec::new();
    let mut spans = 0;
    for shards in SHARDS {
        let shard = |(number, range): (usize, BucketRange)| Shard { id: number.to_string(), range, parents: Vec::new() };
        let shelf = Arc::new(Shelf::new(BucketRange::even(shards).into_iter().enumerate().map(shard).collect()));
        let ingest = Ingest::new(Arc::clone(&shelf), SystemClock, IngestSettings::default());
        let (mut records, mut bytes, mut units) = (0, 0, 0);
        spans = 0;
        for path in &paths {
            spans += crate::send(&ingest, path).await;
            for record in shelf.take() {
                records += 1;
                bytes += record.bytes.len();
                units += record.bytes.len().div_ceil(UNIT_BYTES);
            }
        }
        rows.push(json!({ "shards": shards, "records": records, "bytes": bytes, "put_units": units }));
    }
    json!({ "requests": paths.len(), "spans": spans, "wire_bytes": wire_bytes, "rows": rows })
}
