//! The process: opens the folder, starts every role, and stops them in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use spanlake_local::{
    DiskStore, Driver, DriverSettings, Floor, FolderLock, LogOptions, RealDisk, SegmentLog, ServerLimits, ShardLimits,
    SystemClock, Tls, serve,
};
use spanlake_model::{NANOS_PER_MS, Sequence};
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::group::{CompileRules, Grouper};
use spanlake_pipeline::ingest::{Ingest, IngestCounts, IngestSettings};
use spanlake_pipeline::inspect::overview;
use spanlake_pipeline::ports::{Clock, EventStream};
use spanlake_pipeline::rules::Activation;
use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::Rules;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{error, info};

use crate::cli::{StreamLimits, UpArgs};
use crate::folder::STREAM;
use crate::front::Front;

/// Raw bytes of items in one set of lake files: what bounds the archiver's memory.
const FILE_BYTES: u64 = 24 << 20;

/// Shards of a new folder.
const SHARDS: u16 = 2;

/// Threads that answer requests. Grouping and archiving have one each beside them.
const HTTP_THREADS: usize = 2;

type Store = DiskStore<RealDisk>;
type Log = SegmentLog<RealDisk>;
pub(crate) type LocalIngest = Ingest<Log, SystemClock>;

/// What a process runs with.
pub(crate) struct Setup {
    pub(crate) args: UpArgs,
    pub(crate) tokens: Vec<String>,
    pub(crate) tls: Option<Tls>,
    /// The configuration's text.
    pub(crate) config: String,
    pub(crate) rules: Rules,
}

/// A running process.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    pub(crate) driver: Arc<Driver<Store, RealDisk>>,
    pub(crate) log: Arc<Log>,
    ingest: Arc<LocalIngest>,
    /// Ends the intake: HTTP and heartbeats.
    close: watch::Sender<bool>,
    beats: std::thread::JoinHandle<()>,
    server: tokio::task::JoinHandle<()>,
    /// Ends everything else.
    stop: watch::Sender<bool>,
    roles: Vec<std::thread::JoinHandle<()>>,
    _lock: FolderLock,
}

impl Process {
    /// Opens the folder and starts every role. Must be called on a Tokio runtime.
    pub(crate) async fn start(setup: Setup) -> anyhow::Result<Self> {
        let data = setup.args.data.data.clone();
        // A folder in use says more than an address in use.
        let lock = data.is_dir().then(|| FolderLock::take(&data)).transpose()?;
        let listener = TcpListener::bind(setup.args.listen).await.with_context(|| {
            format!("listening on {}: is another program there? Choose another with --listen", setup.args.listen)
        })?;
        let address = listener.local_addr().context("reading the address")?;
        // Only now, so that a start that is refused leaves no folder behind.
        std::fs::create_dir_all(&data).with_context(|| format!("making the data folder {}", data.display()))?;
        let lock = lock.map_or_else(|| FolderLock::take(&data), Ok)?;
        let store = Arc::new(DiskStore::open(RealDisk, data.clone()).with_context(|| format!("opening {}", data.display()))?);
        let log = Arc::new(open_log(&setup, store.as_ref()).await?);
        let compile: Arc<CompileRules> = Arc::new(|text: &str| crate::up::compile(text).map(Arc::new));
        let mut activation = Activation::of(Arc::clone(&store), Arc::clone(&compile), setup.config);
        let active = activation.active(SystemClock.now_nanos()).await;
        let version = active.with_context(|| format!("storing the rules in the data folder {}", data.display()))?.version;
        let (_, delete_after_days) = setup.args.days();
        let settings = DriverSettings { delete_after_days, ..DriverSettings::default() };
        let driver = Arc::new(Driver::new(Arc::clone(&store), Arc::clone(&log), settings, version));
        if !driver.beat().await {
            bail!("the stream takes no records: is the disk full or read-only? The data folder is {}", data.display());
        }
        let (close, closing) = watch::channel(false);
        let (stop, stopping) = watch::channel(false);
        let beating = (Arc::clone(&driver), closing.clone());
        let beats = role("beat", move |local| {
            let (driver, until) = beating;
            local.spawn_local(async move { driver.heartbeats(activation, SystemClock, until).await });
        })?;
        let roles = start_roles(&driver, &store, &log, (Arc::new(setup.rules), compile), &stopping)?;
        let ingest_settings = IngestSettings { tokens: setup.tokens, ..IngestSettings::default() };
        let ingest = Arc::new(Ingest::new(Arc::clone(&log), SystemClock, ingest_settings));
        let front = Arc::new(Front::new(Arc::clone(&ingest)));
        let mut until = closing;
        let shutdown = async move { drop(until.wait_for(|stop| *stop).await) };
        let server = tokio::spawn(serve(listener, setup.tls, front, ServerLimits::default(), shutdown));
        Ok(Self { address, driver, log, ingest, close, beats, server, stop, roles, _lock: lock })
    }

    /// What ingest did since the start.
    pub(crate) fn counts(&self) -> IngestCounts {
        self.ingest.counts()
    }

    /// Finishes requests and steps under way and reads what is on the stream, for some seconds at most; then stops. What is
    /// left is gone on with at the next start.
    pub(crate) async fn stop(self) {
        info!("stopping: finishing what is under way");
        // Nobody listens any more only if every role has ended by itself, which stopping would have done.
        self.close.send_replace(true);
        if self.server.await.is_err() {
            error!("the HTTP server ended by a panic");
        }
        ended(self.beats).await;
        self.stop.send_replace(true);
        for role in self.roles {
            ended(role).await;
        }
        self.driver.trim_all();
        info!("stopped; a start on the same folder goes on where this ended");
    }
}

async fn ended(role: std::thread::JoinHandle<()>) {
    if !matches!(tokio::task::spawn_blocking(|| role.join()).await, Ok(Ok(()))) {
        error!("a role ended by a panic");
    }
}

async fn open_log(setup: &Setup, store: &Store) -> anyhow::Result<Log> {
    let folder = setup.args.data.data.join(STREAM);
    let shards = if folder.is_dir() { spanlake_local::read_shards(&RealDisk, &folder).unwrap_or_default() } else { Vec::new() };
    let data = &setup.args.data.data;
    let known = overview(store).await.with_context(|| format!("reading the manifests of the data folder {}", data.display()))?;
    let floor = Floor {
        sequence: known.manifests.iter().map(|manifest| manifest.watermark).max().and_then(Sequence::to_u64).unwrap_or_default(),
        arrival_nanos: known.manifests.iter().map(|manifest| manifest.clock).max().unwrap_or_default(),
    };
    let made_with = u16::try_from(shards.len()).ok().filter(|count| *count > 0);
    let count = made_with.or(setup.args.shards).unwrap_or(SHARDS);
    if let Some(asked) = setup.args.shards.filter(|asked| *asked != count) {
        bail!("the folder was made with {count} shards, which is fixed: leave out --shards {asked}, or use a new folder");
    }
    let mut options = LogOptions::new(count, floor, SystemClock.now_nanos());
    options.limits = match setup.args.stream_limits {
        StreamLimits::Kinesis => Some(ShardLimits::KINESIS),
        StreamLimits::Off => None,
    };
    let log = SegmentLog::open(RealDisk, folder, options)?;
    let report = log.report();
    if report.torn_bytes > 0 || report.damaged > 0 {
        tracing::warn!(torn_bytes = report.torn_bytes, damaged_records = report.damaged, damages = ?report.damages,
            "the stream was not closed cleanly; what was acknowledged is whole unless records are damaged");
    }
    Ok(log)
}

fn start_roles(
    driver: &Arc<Driver<Store, RealDisk>>,
    store: &Arc<Store>,
    log: &Arc<Log>,
    (rules, compile): (Arc<Rules>, Arc<CompileRules>),
    stopping: &watch::Receiver<bool>,
) -> anyhow::Result<Vec<std::thread::JoinHandle<()>>> {
    let settings = GroupSettings {
        window_nanos: millis(rules.window_ms()),
        late_horizon_nanos: millis(rules.late_horizon_ms()),
        ..GroupSettings::default()
    };
    let shards = log.shards();
    let mut threads = Vec::new();
    let grouping = (Arc::clone(driver), Arc::clone(store), Arc::clone(log), stopping.clone());
    threads.push(role("group", move |local| {
        let (driver, store, stream, stop) = grouping;
        for (number, shard) in shards.into_iter().enumerate() {
            let (store, stream, settings) = (Arc::clone(&store), Arc::clone(&stream), settings.clone());
            let grouper = Grouper::new(store, stream, shard, settings, Arc::clone(&rules), Arc::clone(&compile));
            let (driver, stop) = (Arc::clone(&driver), stop.clone());
            local.spawn_local(async move { driver.group(number, grouper, stop).await });
        }
    })?);
    let (driver, store, stop) = (Arc::clone(driver), Arc::clone(store), stopping.clone());
    threads.push(role("archive", move |local| {
        let writing = Archiver::new(store, FILE_BYTES);
        let (other, other_stop) = (Arc::clone(&driver), stop.clone());
        local.spawn_local(async move { other.archive(writing, other_stop).await });
        local.spawn_local(async move { driver.housekeep(SystemClock, stop).await });
    })?);
    Ok(threads)
}

/// Runs tasks of one role on a thread of their own, so that their work never delays an answer.
fn role(name: &str, start: impl FnOnce(&tokio::task::LocalSet) + Send + 'static) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    let run = move || {
        let local = tokio::task::LocalSet::new();
        start(&local);
        runtime.block_on(local);
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(run).with_context(|| format!("starting the {name} thread"))
}

fn millis(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(NANOS_PER_MS)
}

/// The runtime that answers requests.
pub(crate) fn http_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(HTTP_THREADS).enable_all().thread_keep_alive(Duration::from_secs(10));
    builder.build().context("starting the runtime")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use spanlake_policy::{DEFAULT_CONFIG, load};

    use super::*;
    use crate::cli::{Cli, Command};

    async fn refused(flags: &[&str]) -> String {
        let words = ["spanlake", "up"].iter().chain(flags);
        let Command::Up(args) = Cli::parse_from(words).command else { panic!("another command") };
        let rules = load(DEFAULT_CONFIG, &|_| None).rules.unwrap();
        let setup = Setup { args, tokens: Vec::new(), tls: None, config: DEFAULT_CONFIG.to_owned(), rules };
        Process::start(setup).await.err().unwrap().to_string()
    }

    #[tokio::test]
    async fn a_start_that_is_refused_leaves_no_folder_behind() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("new");
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let said = refused(&["--listen", &address, "--data", data.to_str().unwrap()]).await;
        assert!(said.contains("is another program there?"), "{said}");
        assert!(!data.exists());
    }

    #[tokio::test]
    async fn a_second_process_is_refused_by_name_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let held = FolderLock::take(folder.path()).unwrap();
        let said = refused(&["--listen", "127.0.0.1:0", "--data", folder.path().to_str().unwrap()]).await;
        assert!(said.contains(&format!("in use by process {}", std::process::id())), "{said}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["lock"]);
        drop(held);
    }
}
