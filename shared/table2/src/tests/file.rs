use opentelemetry_proto::tonic::trace::v1::Span;
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::ParquetMetaData;

use super::spans::{encoded, span};
use super::*;

fn many() -> Vec<Vec<u8>> {
    let spans = (0_u64..9_000).map(|index| Span {
        trace_id: u128::from(index / 9 + 1).to_be_bytes().to_vec(),
        span_id: (index + 1).to_be_bytes().to_vec(),
        start_time_unix_nano: TIME + index,
        attributes: vec![text("a", "b")],
        ..span()
    });
    spans.map(|span| encoded(&span)).collect()
}

fn metadata(file: &TableFile) -> ParquetMetaData {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file.bytes.clone())).unwrap();
    reader.metadata().as_ref().clone()
}

#[test]
fn the_same_items_give_the_same_bytes() {
    let items = many();
    let first = write(Signal::Traces, &items);
    assert_eq!(first, write(Signal::Traces, &items));
    assert_eq!(rows(&first[0]).len(), 9_000);
}

#[test]
fn columns_are_encoded_as_the_schema_says() {
    let file = write(Signal::Traces, &many()).remove(0);
    let metadata = metadata(&file);
    let group = metadata.row_group(0);
    let chunk = |path: &str| group.columns().iter().find(|chunk| chunk.column_path().string() == path).unwrap();
    for path in ["start_time", "start_unix_nano", "duration_nano", "ingest_time", "events.list.element.time_unix_nano"] {
        assert!(chunk(path).encodings().any(|encoding| encoding == Encoding::DELTA_BINARY_PACKED), "{path}");
        assert_eq!(chunk(path).dictionary_page_offset(), None, "{path}");
    }
    for path in ["span_id", "parent_span_id", "links.list.element.span_id"] {
        assert_eq!(chunk(path).dictionary_page_offset(), None, "{path}");
    }
    assert!(chunk("trace_id").bloom_filter_offset().is_some());
    assert!(chunk("trace_id").dictionary_page_offset().is_some());
    assert!(chunk("name").bloom_filter_offset().is_none());
    assert!(group.columns().iter().all(|chunk| matches!(chunk.compression(), Compression::ZSTD(_))));
    assert!(group.columns().iter().all(|chunk| chunk.column_index_offset().is_some()));
    assert!(group.columns().iter().any(|chunk| chunk.column_path().string() == "attributes.key_value.key"));
    assert!(group.columns().iter().any(|chunk| chunk.column_path().string() == "events.list.element.attributes.key_value.value"));
}

#[test]
fn a_file_explains_itself() {
    let row = crate::TraceRow {
        services: vec!["web"],
        ..crate::trace_row(
            spanlake_model::TraceId([1; 16]),
            &[],
            std::iter::empty(),
            &Sampling { policy: "", weight: 1.0, is_late: false },
            true,
            0,
        )
    };
    let file = crate::write_traces(&[row], &FileMeta { pairs: &[("plan", "p1")] }).unwrap().unwrap();
    let metadata = metadata(&file);
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    let pairs: Vec<_> = pairs.iter().map(|pair| (pair.key.as_str(), pair.value.as_deref().unwrap())).collect();
    assert_eq!(pairs, [("schema_version", "1"), ("sorting_columns", "start_unix_nano"), ("plan", "p1")]);
    assert_eq!(metadata.file_metadata().created_by(), Some("spanlake version 1"));
}
