//! A lake folder as tables.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::DataFusionError;
use datafusion::execution::cache::cache_manager::{CacheManagerConfig, FileMetadataCache};
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use spanlake_table::schema::{TABLES, Table};

use crate::blooms::Blooms;
use crate::error::SqlError;
use crate::functions;
use crate::result::ResultSet;
use crate::schema::file_schema;

/// How often a query whose file was deleted under it is run again.
const TRIES: usize = 3;

/// What a query may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of memory for sorting, grouping and joining.
    pub memory_bytes: usize,
    /// Time until the last row.
    pub time: Duration,
    /// Rows of the answer; the rest is left out.
    pub rows: usize,
    /// Threads at work.
    pub threads: usize,
}

impl Default for Limits {
    /// 512 MiB, a minute, 100,000 rows, 2 threads.
    fn default() -> Self {
        Self { memory_bytes: 512 << 20, time: Duration::from_mins(1), rows: 100_000, threads: 2 }
    }
}

/// Footers of files that are kept for the next query, bytes: those of a few days.
const FOOTERS_BYTES_MAX: usize = 256 << 20;

/// How much of a file's end is read at once: its footer and the indexes of pages, nearly always.
const FOOTER_BYTES: usize = 64 << 10;

/// The tables of a lake, to be queried any number of times.
#[derive(Clone)]
pub struct Lake {
    /// `file://` URL of the folder above the tables, ended by a slash.
    root: String,
    limits: Limits,
    /// The files' footers, by name, size and time of change.
    footers: Arc<FileMetadataCache>,
    blooms: Arc<Blooms>,
}

/// Opens the lake of a data folder; tables without files are empty. Files may come and go while it is open.
///
/// # Errors
/// [`SqlError::Folder`] if the path cannot be written as a URL; [`SqlError::Failed`] if the engine does not start.
pub fn open(data_dir: &Path) -> Result<Lake, SqlError> {
    let absolute = std::path::absolute(data_dir).map_err(|_| SqlError::Folder)?;
    let mut root = "file://".to_owned();
    for byte in absolute.to_str().ok_or(SqlError::Folder)?.trim_end_matches('/').bytes() {
        // Everything that means something in a URL, or a pattern to the engine, is escaped.
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            root.push(char::from(byte));
        } else {
            let _infallible = write!(root, "%{byte:02X}");
        }
    }
    root.push_str("/lake/v1/");
    let footers = Arc::new(DefaultCache::new(FOOTERS_BYTES_MAX));
    let lake = Lake { root, limits: Limits::default(), footers, blooms: Arc::default() };
    lake.session()?;
    Ok(lake)
}

impl Lake {
    /// The same lake with other limits.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Answers one statement. Only statements that read are possible.
    ///
    /// # Errors
    /// [`SqlError`]; its text says what to do.
    pub async fn query(&self, sql: &str) -> Result<ResultSet, SqlError> {
        let sql = sql.trim().trim_end_matches(';');
        if sql.is_empty() {
            return Err(SqlError::Invalid { reason: "the statement is empty".to_owned() });
        }
        // A task of its own: a damaged file may make the engine panic, which must end the statement and not the process,
        // and a runtime's threads can be given the stack that deep expressions need.
        let (lake, statement) = (self.clone(), sql.to_owned());
        let mut running = tokio::spawn(async move { lake.run(&statement).await });
        match tokio::time::timeout(self.limits.time, &mut running).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(SqlError::Panicked),
            Err(_) => {
                running.abort();
                Err(SqlError::TimedOut { seconds: self.limits.time.as_secs() })
            }
        }
    }

    async fn run(&self, sql: &str) -> Result<ResultSet, SqlError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.run_once(sql).await {
                Err(SqlError::Failed { reason }) if tries < TRIES && is_missing_file(&reason) => {}
                answer => return answer,
            }
        }
    }

    async fn run_once(&self, sql: &str) -> Result<ResultSet, SqlError> {
        let session = self.session()?;
        let (columns, plan) = self.plan(&session, sql).await?;
        let mut stream = execute_stream(plan, session.task_ctx())?;
        let mut answer = ResultSet { columns, ..ResultSet::default() };
        while let Some(batch) = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await {
            answer.push(&batch?, self.limits.rows)?;
            if answer.is_truncated {
                break;
            }
        }
        Ok(answer)
    }

    /// How a statement is to be answered, and the names of the answer's columns.
    pub(crate) async fn plan(
        &self,
        session: &SessionContext,
        sql: &str,
    ) -> Result<(Vec<String>, Arc<dyn ExecutionPlan>), SqlError> {
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let frame = session.sql_with_options(sql, options).await?;
        let columns = frame.schema().fields().iter().map(|field| field.name().clone()).collect();
        let (mut state, plan) = frame.into_parts();
        state.config_mut().options_mut().execution.collect_statistics = joins(&plan);
        let plan = state.create_physical_plan(&plan).await?;
        let (blooms, threads) = (Arc::clone(&self.blooms), self.limits.threads);
        let pruned = tokio::task::spawn_blocking(move || blooms.prune(plan, threads)).await;
        Ok((columns, pruned.map_err(|_| SqlError::Panicked)??))
    }

    /// A session of its own for each query, so that each has its own memory. Listings are not kept, since files come and go.
    pub(crate) fn session(&self) -> Result<SessionContext, SqlError> {
        let cache = CacheManagerConfig::default()
            .with_list_files_cache_limit(0)
            .with_metadata_cache_limit(FOOTERS_BYTES_MAX)
            .with_file_metadata_cache(Some(Arc::clone(&self.footers)));
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(self.limits.memory_bytes, 1.0).with_cache_manager(cache);
        let runtime = runtime.build_arc()?;
        let mut config = SessionConfig::new().with_target_partitions(self.limits.threads).with_information_schema(true);
        config.options_mut().execution.parquet.pushdown_filters = true;
        config.options_mut().execution.parquet.metadata_size_hint = Some(FOOTER_BYTES);
        config.options_mut().execution.time_zone = Some("UTC".to_owned());
        config.options_mut().execution.listing_table_ignore_subdirectory = false;
        let session = SessionContext::new_with_config_rt(config, runtime);
        functions::register(&session);
        for table in TABLES {
            session.register_table(table.name, Arc::new(self.provider(table)?))?;
        }
        Ok(session)
    }

    fn provider(&self, table: &Table) -> Result<ListingTable, DataFusionError> {
        let url = ListingTableUrl::parse(format!("{}{}/", self.root, table.name))?;
        let partitions = vec![("dt".to_owned(), DataType::Utf8), ("hour".to_owned(), DataType::Utf8)];
        let options = ListingOptions::new(Arc::new(ParquetFormat::default()))
            .with_file_extension(".parquet")
            .with_table_partition_cols(partitions);
        let config = ListingTableConfig::new(url).with_listing_options(options).with_schema(Arc::new(file_schema(table)));
        ListingTable::try_new(config)
    }
}

/// Whether a statement reads more than one table. Then the files' statistics must be known beforehand: the smaller side of
/// a join is the one that is held in memory. For one table they would only mean opening every file twice.
fn joins(plan: &LogicalPlan) -> bool {
    let mut tables = 0;
    let _infallible = plan.apply_with_subqueries(|node| {
        tables += usize::from(matches!(node, LogicalPlan::TableScan(_)));
        Ok(TreeNodeRecursion::Continue)
    });
    tables > 1
}

/// Whether a file was deleted between its listing and its reading.
fn is_missing_file(reason: &str) -> bool {
    reason.contains("not found") || reason.contains("No such file")
}
