//! Why a call of the grouper failed, and what to do about it.

use spanlake_model::ErrorKind;
use thiserror::Error;

use crate::archive::PlanDamaged;
use crate::close::CloseError;
use crate::codec::Damaged;
use crate::fetch::FetchError;
use crate::keys;
use crate::manifest::ManifestError;
use crate::ports::{AppendError, StoreError, StreamError};

/// Why a call of the grouper failed. The batch must come again.
#[derive(Debug, Error)]
pub enum GroupError {
    /// The store failed; the outcome may be unknown, which a retry finds out.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A listed object cannot be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The manifest cannot be read.
    #[error("shard {shard}")]
    Manifest {
        /// The shard's id.
        shard: String,
        /// Why.
        #[source]
        source: ManifestError,
    },
    /// The manifest is gone.
    #[error(
        "{} is gone, though archive plans have taken what it listed: bring it back from a backup or an older version of the \
         object; until then nothing of shard {shard} is processed",
        keys::manifest(shard)
    )]
    ManifestLost {
        /// The shard's id.
        shard: String,
    },
    /// An archive plan cannot be read.
    #[error("plan {key}")]
    Plan {
        /// The plan's key.
        key: String,
        /// Why.
        #[source]
        source: PlanDamaged,
    },
    /// A heartbeat names rules that cannot be loaded.
    #[error("rules of version {version:?} cannot be loaded from {}: {reason}", keys::rules(version))]
    Rules {
        /// The version.
        version: String,
        /// Why.
        reason: String,
    },
    /// Another writer kept winning.
    #[error("the manifest of shard {shard} changes faster than it can be swapped")]
    Contended {
        /// The shard's id.
        shard: String,
    },
    /// The stream failed.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// Misplaced parts could not be put on the stream again.
    #[error("parts of other shards could not be forwarded")]
    Forward(#[source] AppendError),
    /// The stream's open shards are not known whole.
    #[error("the list of the stream's shards has a gap: it is being split or merged")]
    Gap,
    /// A parent is still open, or its records cannot all be read yet.
    #[error("shard {shard} has not ended: its children cannot begin")]
    ParentOpen {
        /// The parent's id.
        shard: String,
    },
    /// A shard, perhaps a parent, of which nothing is known.
    #[error("nothing is known of shard {shard}: the stream does not list it, and its lineage was never saved")]
    UnknownShard {
        /// Its id.
        shard: String,
    },
    /// A stored form could not be written: a fault of this program.
    #[error("could not encode")]
    Encode(#[source] Damaged),
}

impl GroupError {
    /// What to do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Fetch(error) => error.kind(),
            Self::Manifest { .. }
            | Self::ManifestLost { .. }
            | Self::Plan { .. }
            | Self::Rules { .. }
            | Self::UnknownShard { .. } => ErrorKind::BadData,
            Self::Contended { .. } | Self::Stream(_) | Self::Forward(_) | Self::Gap | Self::ParentOpen { .. } => {
                ErrorKind::Unavailable
            }
            Self::Encode(_) => ErrorKind::Bug,
        }
    }
}

impl From<CloseError> for GroupError {
    fn from(error: CloseError) -> Self {
        match error {
            CloseError::Fetch(error) => error.into(),
            CloseError::Encode(damaged) => Self::Encode(damaged),
            CloseError::UnknownRules(version) => Self::Rules { version, reason: "not loaded".to_owned() },
        }
    }
}
