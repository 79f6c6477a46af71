//! The archiver: plan, commit, then write.
//!
//! Plan k takes, from each shard, the sealed outputs behind the last planned number. It is created once, under
//! `If-None-Match`, and fixes everything that decides bytes and names of the files: inputs, order, cuts, schema. Any
//! number of archivers may carry it out, at any time and repeatedly: they write the same bytes under the same names.

mod build;
mod plan;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use spanlake_model::ErrorKind;
use spanlake_table::TableError;
use thiserror::Error;

use crate::codec::Damaged;
use crate::fetch::{FetchError, get_whole};
use crate::figures::Figures;
use crate::group::{GroupError, all_manifests, peek_manifest, stored};
use crate::keys;
use crate::manifest::Manifest;
use crate::ports::{Conditional, ObjectStore, StoreError};

pub use plan::{FileGroup, Input, Plan, PlanDamaged, partition_of};

/// How many plans are looked at in one listing.
const LIST_MOST: usize = 1_000;

/// How often a swap of a manifest that another writer won is tried again.
const SWAP_TRIES: u32 = 8;

/// Why archiving failed. A later run goes on where it stopped.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A planned object cannot be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A manifest cannot be read.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// A plan cannot be read.
    #[error("plan {key}")]
    Plan {
        /// The plan's key.
        key: String,
        /// Why.
        #[source]
        source: PlanDamaged,
    },
    /// A plan that was carried out is gone.
    #[error(
        "{} is gone, though it was carried out: bring it back from a backup or an older version of the object; without it \
         what it took would be filed twice", keys::plan(*number)
    )]
    PlanLost {
        /// Its number.
        number: u64,
    },
    /// Outputs are neither listed nor planned.
    #[error(
        "shard {shard} lists its outputs from number {first} on, and plans have taken them up to {planned}: the newest plan \
         or an older manifest is missing; bring it back from a backup or an older version of the object"
    )]
    OutputsLost {
        /// The shard's id.
        shard: String,
        /// The last number that a plan has taken.
        planned: u64,
        /// The first one listed behind it.
        first: u64,
    },
    /// A table could not be written.
    #[error("writing the files of plan {plan}")]
    Table {
        /// The plan's number.
        plan: u64,
        /// Why.
        #[source]
        source: TableError,
    },
}

impl ArchiveError {
    /// What to do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Fetch(error) => error.kind(),
            Self::Group(error) => error.kind(),
            Self::Plan { .. } | Self::PlanLost { .. } | Self::OutputsLost { .. } => ErrorKind::BadData,
            Self::Table { .. } => ErrorKind::Bug,
        }
    }
}

/// What a run of the archiver did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archived {
    /// Plans carried out.
    pub plans: u64,
    /// Files written.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// Rows left out because writing them panics: a fault of this program.
    pub poisoned: u64,
    /// Requests of each service in those files, before sampling. Of a plan that is carried out twice, twice.
    pub figures: Figures,
}

impl Archived {
    /// Adds what another run did.
    pub fn merge(&mut self, more: &Self) {
        self.plans += more.plans;
        self.files += more.files;
        self.bytes += more.bytes;
        self.poisoned += more.poisoned;
        self.figures.merge(&more.figures);
    }
}

/// Turns sealed outputs into the lake's files.
pub struct Archiver<S> {
    store: Arc<S>,
    /// Raw bytes of items in a file set, at most.
    file_bytes: u64,
    /// Every plan up to here is known to be done: listing begins behind it.
    done_to: u64,
}

impl<S: ObjectStore> Archiver<S> {
    /// An archiver of all shards. `file_bytes` bounds the raw items of one file set, and with it the memory needed.
    pub const fn new(store: Arc<S>, file_bytes: u64) -> Self {
        Self { store, file_bytes, done_to: 0 }
    }

    /// Finishes every plan under way, then plans what has been sealed since and carries that out.
    ///
    /// # Errors
    /// [`ArchiveError`]; what was committed stays, and the next run goes on.
    pub async fn run(&mut self) -> Result<Archived, ArchiveError> {
        let mut archived = Archived::default();
        let mut last = None;
        for number in self.undone().await? {
            let plan = self.read_plan(number).await?;
            if !self.is_done(number).await? {
                self.carry_out(&plan, &mut archived).await?;
            }
            self.done_to = number;
            last = Some(plan);
        }
        let last = match last {
            Some(plan) => Some(plan),
            None if self.done_to > 0 => Some(self.read_plan(self.done_to).await?),
            None => None,
        };
        let mut manifests = all_manifests(self.store.as_ref()).await?;
        manifests.sort_by(|one, other| one.shard.cmp(&other.shard));
        if let Some(last) = &last {
            self.prune(last, &manifests).await?;
        }
        if let Err(gap) = refuse_gaps(last.as_ref(), &manifests) {
            // Another archiver may have planned, and pruned, since the plans were read.
            let next = keys::plan(last.map_or(1, |plan| plan.number + 1));
            return if self.store.get(&next).await?.is_some() { Ok(archived) } else { Err(gap) };
        }
        let Some(plan) = Plan::next(last.as_ref(), &manifests, self.file_bytes) else { return Ok(archived) };
        match self.store.put_new(&keys::plan(plan.number), plan.encode()).await? {
            Conditional::Done(_) => {}
            // Another archiver was faster: its plan is the plan, and the next run carries it out.
            Conditional::Refused => return Ok(archived),
        }
        self.carry_out(&plan, &mut archived).await?;
        self.done_to = plan.number;
        self.prune(&plan, &manifests).await?;
        Ok(archived)
    }

    /// Numbers of all plans without a done mark, and of the newest one, ascending.
    async fn undone(&self) -> Result<Vec<u64>, ArchiveError> {
        let (mut numbers, mut done) = (Vec::new(), BTreeSet::new());
        let mut after = keys::plan(self.done_to);
        loop {
            let page = self.store.list(keys::PLAN, Some(&after), LIST_MOST).await?;
            numbers.extend(page.iter().filter_map(|listed| plan::number_of(&listed.key, keys::PLAN_MADE)));
            done.extend(page.iter().filter_map(|listed| plan::number_of(&listed.key, keys::PLAN_DONE)));
            match page.last() {
                Some(last) if page.len() == LIST_MOST => after.clone_from(&last.key),
                _ => break,
            }
        }
        let newest = numbers.last().copied().unwrap_or(self.done_to);
        if let Some(number) = done.last().copied().filter(|last| *last > newest) {
            return Err(ArchiveError::PlanLost { number });
        }
        numbers.retain(|number| !done.contains(number) || *number == newest);
        Ok(numbers)
    }

    async fn read_plan(&self, number: u64) -> Result<Plan, ArchiveError> {
        let key = keys::plan(number);
        let bytes = get_whole(self.store.as_ref(), &key).await?;
        Plan::decode(&bytes).map_err(|source| ArchiveError::Plan { key, source })
    }

    async fn is_done(&self, number: u64) -> Result<bool, StoreError> {
        Ok(self.store.get(&keys::plan_done(number)).await?.is_some())
    }

    async fn carry_out(&self, plan: &Plan, archived: &mut Archived) -> Result<(), ArchiveError> {
        plan.check_writer().map_err(|source| ArchiveError::Plan { key: keys::plan(plan.number), source })?;
        for (number, group) in plan.groups.iter().enumerate() {
            let built = build::files(self.store.as_ref(), plan, number, group, &mut archived.figures).await?;
            archived.poisoned += built.poisoned;
            for (key, bytes) in built.files {
                archived.files += 1;
                archived.bytes += bytes.len() as u64;
                self.store.put(&key, bytes).await?;
            }
        }
        self.store.put(&keys::plan_done(plan.number), Bytes::from_static(b"{}")).await?;
        archived.plans += 1;
        Ok(())
    }

    /// Takes planned outputs off the manifests; what they refer to is the plan's now.
    async fn prune(&self, plan: &Plan, manifests: &[Manifest]) -> Result<(), ArchiveError> {
        for manifest in manifests {
            let planned = plan.positions.get(&manifest.shard).copied().unwrap_or_default();
            if manifest.sealed.first().is_some_and(|output| output.number <= planned) {
                self.prune_shard(&manifest.shard, planned).await?;
            }
        }
        Ok(())
    }

    async fn prune_shard(&self, shard: &str, planned: u64) -> Result<(), ArchiveError> {
        for _ in 0..SWAP_TRIES {
            let Some((mut manifest, etag)) = peek_manifest(self.store.as_ref(), shard).await? else { return Ok(()) };
            manifest.sealed.retain(|output| output.number > planned);
            // It only became shorter.
            let bytes = stored(self.store.as_ref(), &mut manifest, usize::MAX).await?;
            if let Conditional::Done(_) = self.store.swap(&keys::manifest(shard), &etag, bytes).await? {
                return Ok(());
            }
        }
        // The grouper kept winning: the outputs are skipped by position all the same, and a later run prunes them.
        Ok(())
    }
}

/// Every output of a shard is in a plan, or listed: there is none between.
fn refuse_gaps(last: Option<&Plan>, manifests: &[Manifest]) -> Result<(), ArchiveError> {
    for Manifest { shard, sealed, .. } in manifests {
        let planned = last.and_then(|plan| plan.positions.get(shard)).copied().unwrap_or_default();
        if let Some(first) = sealed.iter().map(|output| output.number).find(|number| *number > planned)
            && first > planned + 1
        {
            return Err(ArchiveError::OutputsLost { shard: shard.clone(), planned, first });
        }
    }
    Ok(())
}

impl Damaged {
    /// The error that names a planned object.
    fn of_plan(self, key: &str) -> ArchiveError {
        ArchiveError::Fetch(self.of(key))
    }
}
