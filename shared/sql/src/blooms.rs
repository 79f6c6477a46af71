//! Leaves files out of a scan by their bloom filters, before the engine opens any of them. A trace's spans are in one or two of
//! a day's 700 files; the engine needs most of a millisecond to find out that a file has none, reading its filter needs a tenth.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::path::Path as Location;
use datafusion::parquet::bloom_filter::Sbbf;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{ParquetMetaDataReader, RowGroupMetaData};
use datafusion::physical_expr::utils::{Guarantee, LiteralGuarantee};
use datafusion::physical_plan::ExecutionPlan;

/// The column that has a filter, in every table that has one.
const COLUMN: &str = "trace_id";
/// Filters that are kept for the next query, bytes: those of a few days. Beyond it all are read again.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// A block of a filter, bytes (Parquet's format, "Bloom Filter").
const BLOCK_BYTES: usize = 32;

/// The filters of a file's row groups; `None` for a group without one.
type Filters = Vec<Option<Sbbf>>;

/// What a file is known by: a file that was written again has another time.
type Name = (Location, u64, i64);

/// Filters of the files that queries asked for.
#[derive(Debug, Default)]
pub(crate) struct Blooms(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    filters: HashMap<Name, Arc<Filters>>,
    bytes: usize,
}

impl Blooms {
    /// The plan without the files that hold none of the ids that it asks for. Blocks while files are read, `threads` at a time.
    pub(crate) fn prune(&self, plan: Arc<dyn ExecutionPlan>, threads: usize) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let pruned = plan.transform_down(|node| {
            let Some((config, ids)) = asked(&node) else { return Ok(Transformed::no(node)) };
            let kept = self.matching(config.file_groups.iter().flat_map(FileGroup::iter), &ids, threads);
            let is_kept = |file: &PartitionedFile| kept.contains(&name_of(file));
            // Groups stay, though some are empty: what is above them counts on their number.
            let group = |group: &FileGroup| FileGroup::new(group.iter().filter(|file| is_kept(file)).cloned().collect());
            let groups = config.file_groups.iter().map(group).collect();
            let config = FileScanConfigBuilder::from(config.clone()).with_file_groups(groups).build();
            Ok(Transformed::yes(DataSourceExec::from_data_source(config) as Arc<dyn ExecutionPlan>))
        });
        Ok(pruned?.data)
    }

    /// The files that may hold one of the ids.
    fn matching<'a>(&self, files: impl Iterator<Item = &'a PartitionedFile>, ids: &[String], threads: usize) -> HashSet<Name> {
        // A large file is there several times, a range of it in each group.
        let files: Vec<Name> = files.map(name_of).collect::<HashSet<_>>().into_iter().collect();
        let share = files.len().div_ceil(threads.max(1)).max(1);
        let find = |files: &[Name]| files.iter().filter(|name| self.may_hold(name, ids)).cloned().collect::<Vec<_>>();
        let found: Result<Vec<_>, _> = std::thread::scope(|scope| {
            let running: Vec<_> = files.chunks(share).map(|files| scope.spawn(|| find(files))).collect();
            running.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        });
        // A damaged file may make its reader panic: then the engine is left to find out which.
        found.map_or_else(|_| files.iter().cloned().collect(), |found| found.into_iter().flatten().collect())
    }

    fn may_hold(&self, name: &Name, ids: &[String]) -> bool {
        let any = |filter: &Option<Sbbf>| filter.as_ref().is_none_or(|filter| ids.iter().any(|id| filter.check(id.as_str())));
        // What cannot be read is left to the engine, whose error names it.
        self.filters(name).is_none_or(|filters| filters.iter().any(any))
    }

    fn filters(&self, name: &Name) -> Option<Arc<Filters>> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().filters.get(name) {
            return Some(Arc::clone(known));
        }
        let path = LocalFileSystem::new().path_to_filesystem(&name.0).ok()?;
        let filters = Arc::new(read(&path).ok()?);
        let bytes: usize = filters.iter().flatten().map(|filter| filter.num_blocks() * BLOCK_BYTES).sum();
        let mut kept = lock();
        if kept.bytes + bytes > KEPT_BYTES_MAX {
            *kept = Kept::default();
        }
        kept.bytes += bytes;
        kept.filters.insert(name.clone(), Arc::clone(&filters));
        Some(filters)
    }
}

fn name_of(file: &PartitionedFile) -> Name {
    let meta = &file.object_meta;
    (meta.location.clone(), meta.size, meta.last_modified.timestamp_nanos_opt().unwrap_or_default())
}

/// What a node scans, and the ids one of which a row must have for its predicate to hold; `None` if it is no scan or does not
/// say.
fn asked(node: &Arc<dyn ExecutionPlan>) -> Option<(&FileScanConfig, Vec<String>)> {
    let (config, source) = node.downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>()?;
    let says = |guarantee: &LiteralGuarantee| guarantee.column.name() == COLUMN && guarantee.guarantee == Guarantee::In;
    let guarantee = LiteralGuarantee::analyze(&source.filter()?).into_iter().find(says)?;
    let ids: Option<_> = guarantee.literals.iter().map(|literal| literal.try_as_str().flatten().map(str::to_owned)).collect();
    Some((config, ids?))
}

/// The filters in a file.
fn read(path: &Path) -> Result<Filters, ParquetError> {
    let file = File::open(path)?;
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file)?;
    let filter = |group: &RowGroupMetaData| {
        let column = group.columns().iter().find(|column| column.column_path().string() == COLUMN);
        column.map_or(Ok(None), |column| Sbbf::read_from_column_chunk(column, &file))
    };
    metadata.row_groups().iter().map(filter).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use spanlake_table::{DecisionRow, FileMeta, write_decisions};

    use super::*;
    use crate::{Lake, open};

    const FILES: u8 = 20;

    fn decision(trace_id: &[u8]) -> DecisionRow<'_> {
        DecisionRow {
            trace_id,
            decided_nanos: 0,
            window_start_nanos: 0,
            verdict: "kept",
            policy: "",
            weight: 1.0,
            votes: &[],
            span_count: 1,
            error_count: 0,
            wait_ms: 0,
            is_complete: true,
            rules_version: "",
        }
    }

    /// A lake of `FILES` files of decisions; file `n` holds the trace whose id is sixteen times `n`.
    fn planted() -> (tempfile::TempDir, Lake) {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..FILES {
            let id = [number; 16];
            let hour = folder.path().join(format!("lake/v1/decisions/dt=2026-01-01/hour={number:02}"));
            fs::create_dir_all(&hour).unwrap();
            let file = write_decisions(&[decision(&id)], &FileMeta::default(), |_| Vec::new()).unwrap();
            fs::write(hour.join("0.parquet"), file.bytes).unwrap();
        }
        let lake = open(folder.path()).unwrap();
        (folder, lake)
    }

    /// How many files a statement reads, and how many rows it answers.
    async fn read(lake: &Lake, wanted: &str) -> (usize, usize) {
        let sql = format!("SELECT trace_id, hour FROM decisions WHERE {wanted}");
        let (_, plan) = lake.plan(&lake.session().unwrap(), &sql).await.unwrap();
        let mut files = 0;
        let _plan = plan
            .transform_down(|node| {
                let scan =
                    node.downcast_ref::<DataSourceExec>().and_then(DataSourceExec::downcast_to_file_source::<ParquetSource>);
                files += scan.map_or(0, |(config, _)| config.file_groups.iter().map(FileGroup::len).sum());
                Ok(Transformed::no(node))
            })
            .unwrap();
        (files, lake.query(&sql).await.unwrap().rows.len())
    }

    fn id(number: u8) -> String {
        format!("'{}'", format!("{number:02x}").repeat(16))
    }

    #[tokio::test]
    async fn only_files_that_may_hold_an_id_are_read_and_no_row_is_lost() {
        let (_folder, lake) = planted();
        for _ in 0..2 {
            assert_eq!(read(&lake, &format!("trace_id = {}", id(7))).await, (1, 1));
            assert_eq!(read(&lake, &format!("trace_id IN ({}, {})", id(7), id(11))).await, (2, 2));
            assert_eq!(read(&lake, &format!("hour <> '07' AND trace_id = {}", id(7))).await, (0, 0));
            assert_eq!(read(&lake, &format!("trace_id = {}", id(FILES))).await, (0, 0));
            // What does not say which ids: every file.
            assert_eq!(read(&lake, &format!("trace_id = {} OR weight > 0", id(7))).await.1, usize::from(FILES));
            assert_eq!(read(&lake, &format!("trace_id <> {}", id(7))).await.1, usize::from(FILES) - 1);
            assert_eq!(read(&lake, &format!("upper(trace_id) = upper({})", id(7))).await.1, 1);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_written_again_is_known_by_its_new_filter() {
        let (folder, lake) = planted();
        assert_eq!(read(&lake, &format!("trace_id = {}", id(99))).await, (0, 0));
        let rows = [99, 7].map(|number| [number; 16]);
        let rows: Vec<_> = rows.iter().map(|id| decision(id)).collect();
        let file = write_decisions(&rows, &FileMeta::default(), |_| Vec::new()).unwrap();
        fs::write(folder.path().join("lake/v1/decisions/dt=2026-01-01/hour=07/0.parquet"), file.bytes).unwrap();
        assert_eq!(read(&lake, &format!("trace_id = {}", id(99))).await, (1, 1));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_left_to_the_engine_to_complain_about() {
        let (folder, lake) = planted();
        let broken = folder.path().join("lake/v1/decisions/dt=2026-01-01/hour=07/0.parquet");
        fs::write(broken, b"PAR1 and nothing else PAR1").unwrap();
        let sql = format!("SELECT * FROM decisions WHERE trace_id = {}", id(3));
        assert!(lake.query(&sql).await.is_err());
    }
}
