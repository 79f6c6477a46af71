//! Why an object was not given up, and what to do instead.

use spanlake_model::ErrorKind;
use thiserror::Error;

use crate::archive::PlanDamaged;
use crate::close::CloseError;
use crate::codec::Damaged;
use crate::fetch::FetchError;
use crate::group::GroupError;
use crate::keys;
use crate::ports::StoreError;

/// Why an object was not given up.
#[derive(Debug, Error)]
pub enum RepairError {
    /// The store failed; the same call is worth a retry.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another object is lost too: it must be named in the same call.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] GroupError),
    /// A plan cannot be read.
    #[error("plan {key}")]
    Plan {
        /// The plan's key.
        key: String,
        /// Why.
        #[source]
        source: PlanDamaged,
    },
    /// The object is there, and is what was written.
    #[error("object {key} is there and whole: it is not given up")]
    Whole {
        /// Its key.
        key: String,
    },
    /// Not a data object that can be given up.
    #[error("{key} cannot be given up: {why}")]
    Kind {
        /// Its key.
        key: String,
        /// What it is, and the next step.
        why: &'static str,
    },
    /// The output was sealed by a version that did not note how many items it holds.
    #[error("nobody knows how many items are in {key}: an older version sealed it; bring it back from a backup")]
    Uncounted {
        /// Its key.
        key: String,
    },
    /// The ledger has fewer items than the object would take off it.
    #[error("the ledger of shard {shard} does not fit what is left: nothing was changed; please report this")]
    Ledger {
        /// The shard's id.
        shard: String,
    },
    /// Another writer kept winning.
    #[error("the manifest of shard {shard} changes faster than it can be swapped: stop what works on it first")]
    Contended {
        /// The shard's id.
        shard: String,
    },
    /// A stored form could not be written: a fault of this program.
    #[error("could not encode")]
    Encode(#[source] Damaged),
}

impl RepairError {
    /// What to do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Fetch(error) => error.kind(),
            Self::Manifest(error) => error.kind(),
            Self::Plan { .. } | Self::Uncounted { .. } => ErrorKind::BadData,
            Self::Whole { .. } | Self::Kind { .. } => ErrorKind::Invalid,
            Self::Contended { .. } => ErrorKind::Unavailable,
            Self::Ledger { .. } | Self::Encode(_) => ErrorKind::Bug,
        }
    }
}

impl From<CloseError> for RepairError {
    fn from(error: CloseError) -> Self {
        match GroupError::from(error) {
            GroupError::Fetch(error) => Self::Fetch(error),
            error => Self::Manifest(error),
        }
    }
}

/// Refuses what is no data object, with the next step.
pub(super) fn refuse_other_kinds(key: &str) -> Result<(), RepairError> {
    if [keys::STAGED, keys::SEEN, keys::DECISIONS, keys::SEALED].iter().any(|prefix| key.starts_with(prefix)) {
        return Ok(());
    }
    let why = match () {
        () if key.starts_with(keys::MANIFEST) => {
            "it says what of a shard exists, so without it nobody knows what was lost; bring it back from a backup"
        }
        () if key.starts_with(keys::PAGE) => {
            "it holds the older entries of a shard's manifest, so without it nobody knows what was lost; bring it back from a \
             backup"
        }
        () if key.starts_with(keys::PLAN) => {
            "it says which sealed outputs become which files; bring it back from a backup, or outputs may be filed twice"
        }
        () if key.starts_with(keys::RULES) => "it is a configuration: put the file there from which it was started",
        () if key.starts_with(keys::LAKE) => {
            "it is a file of the lake, and nothing waits for it: bring it back from a backup, or remove it and its rows are gone"
        }
        () => "it is no data object: name one such as staged/..., sealed/..., seen/... or decisions/...",
    };
    Err(RepairError::Kind { key: key.to_owned(), why })
}
