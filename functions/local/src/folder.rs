//! A data folder as the reading commands see it: the store, the shards, the lake. Nothing is locked or changed, so
//! they work beside a running process.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use spanlake_local::{DiskStore, RealDisk};
use spanlake_pipeline::inspect::{Overview, TraceState, find_trace, overview};

/// The folder of a data folder in which the stream is.
pub(crate) const STREAM: &str = "stream";

/// A data folder.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) store: DiskStore<RealDisk>,
}

impl Folder {
    /// Opens an existing data folder for reading.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let stream = path.join(STREAM);
        ensure!(
            stream.is_dir(),
            "{} is no data folder: start `spanlake up --data {}` first, or name another with --data",
            path.display(),
            path.display()
        );
        Ok(Self { path: path.to_owned(), store: DiskStore::attach(RealDisk, path.to_owned()) })
    }

    pub(crate) async fn overview(&self) -> anyhow::Result<Overview> {
        overview(&self.store).await.context("reading the state of the data folder")
    }

    pub(crate) async fn find_trace(&self, id: spanlake_model::TraceId) -> anyhow::Result<TraceState> {
        find_trace(&self.store, id).await.context("looking for the trace")
    }
}

/// The stack of a thread that runs statements: planning one recurses as deep as its expressions nest.
const STACK_BYTES: usize = 64 << 20;

/// A runtime for commands that only read.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).thread_stack_size(STACK_BYTES).enable_all().build().context("starting the runtime")
}
