//! The lake folder as tables, and one statement at a time over them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, TableReference};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParser, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{SetExpr, Statement};
use futures::StreamExt as _;
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

use crate::error::{explain, is_vanished};
use crate::{ResultSet, SqlError, functions, schema, table};

/// Longest statement, in bytes. With it, the depth of what the engine must walk is bounded too.
const MAX_STATEMENT_BYTES: usize = 16 << 10;
/// Stack of a thread that runs statements, in bytes: far more than 16 KiB of OR need. It is address
/// space, not memory, until it is used.
const STACK_BYTES: usize = 256 << 20;

/// Limits of a query.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Memory for sorts, joins and groups, in bytes. Nothing is spilled to disk: a query beyond it fails with
    /// [`SqlError::OutOfMemory`].
    pub memory_bytes: usize,
    /// How many parts a query runs in at once.
    pub target_partitions: usize,
    /// Rows of a result; what is beyond is cut and said so in [`ResultSet::is_cut`].
    pub max_rows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { memory_bytes: 192 << 20, target_partitions: 2, max_rows: 100_000 }
    }
}

/// A lake folder, open for queries.
///
/// Files are listed anew for each statement, so that one instance sees what a running process adds and expires.
pub struct Lake {
    session: Session,
    /// Threads of our own: deep statements need more stack than a caller's threads have. `None` only while dropping.
    threads: Option<Runtime>,
}

impl Drop for Lake {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            // The caller may be a task itself, which must not wait for threads to end.
            threads.shutdown_background();
        }
    }
}

/// What a statement needs while it runs.
#[derive(Clone)]
struct Session {
    context: SessionContext,
    settings: Settings,
}

/// Ends a statement whose caller no longer waits for it.
struct Abort(AbortHandle);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Lake {
    /// Opens `<data_dir>/lake/v1` with the default limits. Tables without files are empty, not missing.
    ///
    /// Fails with [`SqlError::NoFolder`] if `data_dir` is not a folder.
    pub async fn open(data_dir: &Path) -> Result<Self, SqlError> {
        Self::open_with(data_dir, Settings::default()).await
    }

    /// As [`Lake::open`], with other limits.
    pub async fn open_with(data_dir: &Path, settings: Settings) -> Result<Self, SqlError> {
        let no_folder = || SqlError::NoFolder { folder: data_dir.display().to_string() };
        let data_dir = tokio::fs::canonicalize(data_dir).await.map_err(|_| no_folder())?;
        if !data_dir.is_dir() {
            return Err(no_folder());
        }
        let build = || -> Result<SessionContext, DataFusionError> {
            let context = SessionContext::new_with_config_rt(config(&settings), runtime(&settings)?);
            functions::register(&context);
            for table in table::schema::TABLES {
                let folder = data_dir.join("lake").join("v1").join(table.name);
                context.register_table(TableReference::bare(table.name), Arc::new(listing(table, &folder)?))?;
            }
            Ok(context)
        };
        let context = build().map_err(|error| explain(&error, settings.memory_bytes))?;
        let threads = Builder::new_multi_thread()
            .worker_threads(settings.target_partitions.max(1))
            .thread_name("sql")
            .thread_stack_size(STACK_BYTES)
            .enable_time()
            .build()
            .map_err(|error| SqlError::Failed { reason: format!("no thread for queries: {error}") })?;
        Ok(Self { session: Session { context, settings }, threads: Some(threads) })
    }

    /// Runs one reading statement (SELECT, WITH, EXPLAIN, SHOW, DESCRIBE) and collects its rows.
    ///
    /// A file that expires while the statement runs makes it run once more, over a new listing.
    pub async fn query(&self, sql: &str) -> Result<ResultSet, SqlError> {
        let sql = sql.trim().trim_end_matches(';');
        if sql.len() > MAX_STATEMENT_BYTES {
            return Err(SqlError::Syntax { reason: format!("give at most {MAX_STATEMENT_BYTES} bytes") });
        }
        let outcome = match self.guarded(sql).await {
            Err(Fault::Engine(error)) if is_vanished(&error) => self.guarded(sql).await,
            outcome => outcome,
        };
        outcome.map_err(|fault| match fault {
            Fault::Refused(error) => error,
            Fault::Engine(error) => explain(&error, self.session.settings.memory_bytes),
        })
    }

    /// A damaged file can make the engine panic: that ends the statement, not the process.
    async fn guarded(&self, sql: &str) -> Result<ResultSet, Fault> {
        let failed = |reason: &str| Err(Fault::Refused(SqlError::Failed { reason: reason.to_owned() }));
        let Some(threads) = &self.threads else { return failed("the lake is closed") };
        let (session, sql) = (self.session.clone(), sql.to_owned());
        let running = threads.spawn(async move { session.run(&sql).await });
        let _abort = Abort(running.abort_handle());
        match running.await {
            Ok(outcome) => outcome,
            Err(_) => {
                failed("the engine gave up, most likely over a damaged file: narrow the statement by dt and hour to find it")
            }
        }
    }
}

impl Session {
    async fn run(&self, sql: &str) -> Result<ResultSet, Fault> {
        let state = self.context.state();
        let mut statements = DFParser::parse_sql(sql)?;
        let (Some(statement), None) = (statements.pop_front(), statements.pop_front()) else {
            return Err(Fault::Refused(SqlError::Syntax { reason: "give one statement".to_owned() }));
        };
        if !is_reading(&statement) {
            return Err(Fault::Refused(SqlError::NotReading));
        }
        let plan = state.statement_to_plan(statement).await?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|_| Fault::Refused(SqlError::NotReading))?;
        let frame = self.context.execute_logical_plan(plan).await?;
        let mut result = ResultSet::with_schema(frame.schema().as_arrow());
        let mut batches = frame.execute_stream().await?;
        while let Some(batch) = batches.next().await {
            if !result.push(&batch?, self.settings.max_rows)? {
                break;
            }
        }
        Ok(result)
    }
}

/// A refusal of ours, or the engine's error.
enum Fault {
    Refused(SqlError),
    Engine(DataFusionError),
}

impl From<DataFusionError> for Fault {
    fn from(error: DataFusionError) -> Self {
        Self::Engine(error)
    }
}

fn is_reading(statement: &Parsed) -> bool {
    match statement {
        Parsed::Statement(statement) => match &**statement {
            Statement::Query(query) => !writes(&query.body),
            other => matches!(
                other,
                Statement::ExplainTable { .. }
                    | Statement::ShowTables { .. }
                    | Statement::ShowColumns { .. }
                    | Statement::ShowFunctions { .. }
                    | Statement::ShowVariable { .. }
            ),
        },
        Parsed::Explain(explain) => is_reading(&explain.statement),
        _ => false,
    }
}

/// Whether a WITH leads to a statement that changes something.
fn writes(body: &SetExpr) -> bool {
    matches!(body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_))
}

fn config(settings: &Settings) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_information_schema(true)
        .with_target_partitions(settings.target_partitions.max(1))
        .with_parquet_bloom_filter_pruning(true);
    // As in Athena, whose ORDER BY puts NULL last in either direction.
    config.options_mut().sql_parser.default_null_ordering.replace_range(.., "nulls_last");
    // A trace lookup reads one column of a wide row and then only the pages of the rows that it found.
    config.options_mut().execution.parquet.pushdown_filters = true;
    config
}

fn runtime(settings: &Settings) -> Result<Arc<RuntimeEnv>, DataFusionError> {
    RuntimeEnvBuilder::new()
        .with_memory_limit(settings.memory_bytes, 1.0)
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        // The archiver adds files while a prompt is open: a listing that is kept would hide them.
        .with_object_list_cache_limit(0)
        .build_arc()
}

fn listing(table: &table::schema::Table, folder: &Path) -> Result<ListingTable, DataFusionError> {
    let mut folder = PathBuf::from(folder);
    // The trailing separator says that it is a folder even while it does not exist.
    folder.push("");
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()))
        .with_table_partition_cols(vec![("dt".to_owned(), DataType::Utf8), ("hour".to_owned(), DataType::Utf8)]);
    let config = ListingTableConfig::new(ListingTableUrl::parse(folder.to_string_lossy())?)
        .with_listing_options(options)
        .with_schema(schema::schema(table));
    ListingTable::try_new(config)
}

#[cfg(test)]
mod tests;
