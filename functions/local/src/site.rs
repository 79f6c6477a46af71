//! What the operator's commands work on: a data folder, or a deployment on AWS by its buckets. What a command does is written
//! once, for any store; what differs is said by [`Place`].

#[cfg(feature = "aws")]
mod buckets;

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use spanlake_local::{DiskStore, FolderLock, RealDisk};
use spanlake_pipeline::ports::ObjectStore;
use tokio::runtime::Runtime;

use crate::cli::SiteArgs;
use crate::folder::{Folder, runtime};

/// How S3 says that a right is missing.
const DENIED: &str = "AccessDenied";

/// How the store on S3 tells what it was about.
const DEEDS: [&str; 4] = ["reading ", "listing ", "writing ", "deleting "];

/// A store, and where it is.
pub(crate) struct Site<S> {
    pub(crate) store: S,
    pub(crate) place: Place,
}

/// Where a store is.
pub(crate) enum Place {
    /// In a data folder.
    Folder(PathBuf),
    /// In buckets of S3.
    #[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "a build without AWS knows folders only"))]
    Buckets(Buckets),
}

/// A deployment's buckets.
pub(crate) struct Buckets {
    pub(crate) state: String,
    /// That of the lake, if it was named.
    pub(crate) lake: Option<String>,
}

impl Place {
    /// How commands name it.
    pub(crate) fn flags(&self) -> String {
        match self {
            Self::Folder(path) => format!("--data {}", path.display()),
            Self::Buckets(Buckets { state, lake: None }) => format!("--bucket {state}"),
            Self::Buckets(Buckets { state, lake: Some(lake) }) => format!("--bucket {state} --lake-bucket {lake}"),
        }
    }

    /// What was being done when the state could not be read.
    pub(crate) fn reading(&self) -> String {
        match self {
            Self::Folder(_) => "reading the state of the data folder".to_owned(),
            Self::Buckets(Buckets { state, .. }) => format!("reading the state in bucket {state}"),
        }
    }

    /// An error with the next step, if that is a right that is missing.
    pub(crate) fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let Self::Buckets(Buckets { state, .. }) = self else { return error };
        let Some(denied) = error.chain().map(ToString::to_string).find(|text| text.contains(DENIED)) else { return error };
        let is_deed = |part: &&str| DEEDS.iter().any(|deed| part.starts_with(deed));
        let deed = denied.split(": ").find(is_deed).unwrap_or("a request");
        anyhow!(
            "{deed} is denied to these credentials: the rights that an operator needs on bucket {state}, and on that of the lake, are \
             in docs/guides/aws-operations.md"
        )
    }
}

/// Whether others may work on a folder meanwhile. To buckets nobody can be denied: what changes them there must bear it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Others may, and nothing is written that they write.
    Beside,
    /// Nobody may.
    Alone,
}

/// What a command does on a store, whichever it is.
pub(crate) trait Task {
    /// What comes out.
    type Output;

    /// Does it.
    fn run<S: ObjectStore>(self, runtime: &Runtime, site: &Site<S>) -> anyhow::Result<Self::Output>;
}

/// Opens what was named, and does the task on it.
pub(crate) fn on<T: Task>(args: &SiteArgs, access: Access, task: T) -> anyhow::Result<T::Output> {
    if let Some(state) = &args.bucket {
        return on_buckets(state, args.lake_bucket.as_deref(), task);
    }
    let Folder { path, mut store } = Folder::open(&args.data.data)?;
    // A look is true only if nothing works on the folder as well.
    let _lock = if access == Access::Alone { Some(FolderLock::take(&path)?) } else { None };
    if access == Access::Alone {
        store = DiskStore::open(RealDisk, path.clone()).context("opening the data folder")?;
    }
    task.run(&runtime()?, &Site { store, place: Place::Folder(path) })
}

#[cfg(feature = "aws")]
fn on_buckets<T: Task>(state: &str, lake: Option<&str>, task: T) -> anyhow::Result<T::Output> {
    let runtime = runtime()?;
    let site = runtime.block_on(buckets::open(state, lake))?;
    task.run(&runtime, &site).map_err(|error| site.place.explain(error))
}

#[cfg(not(feature = "aws"))]
fn on_buckets<T: Task>(_state: &str, _lake: Option<&str>, _task: T) -> anyhow::Result<T::Output> {
    Err(no_aws())
}

/// What a build without AWS says to whoever names a bucket.
#[cfg(not(feature = "aws"))]
pub(crate) fn no_aws() -> anyhow::Error {
    anyhow!("this build knows no AWS: install it with `cargo install --path functions/local --features aws`")
}
