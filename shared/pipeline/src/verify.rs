//! Checks what is at rest: manifests, plans, every object that they refer to, the ledger, the rules, the lake's files.
//!
//! Nothing is changed. It may run beside a working process: what seems to be missing counts only if it is still needed when
//! the references are read again.

mod checks;

use std::error::Error;

use crate::fetch::FetchError;
use crate::group::{GroupError, peek_manifest};
use crate::integrity::{State, state_of};
use crate::keys;
use crate::manifest::Manifest;
use crate::ports::{ObjectStore, StoreError};
use crate::settings::GroupSettings;
use crate::world::World;

/// One kind of check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Each shard's manifest and its page can be read, and fit the plans.
    Manifests,
    /// Each archive plan that counts can be read.
    Plans,
    /// Each object that is needed is there and has its digest.
    Objects,
    /// Every committed item is accounted for exactly once, and what is pending lies in the batches.
    Ledger,
    /// The rules of every version in force are there.
    Rules,
    /// Each file of the lake can be read.
    Lake,
}

impl Check {
    /// All checks, in the order in which they are made.
    pub const ALL: [Self; 6] = [Self::Manifests, Self::Plans, Self::Objects, Self::Ledger, Self::Rules, Self::Lake];

    /// What is looked at.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifests => "manifests",
            Self::Plans => "archive plans",
            Self::Objects => "objects",
            Self::Ledger => "ledgers",
            Self::Rules => "rules",
            Self::Lake => "lake files",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The object that it is wrong with.
    pub key: String,
    /// What is wrong.
    pub what: String,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Which check.
    pub check: Check,
    /// How many of them were looked at.
    pub looked_at: u64,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// Objects that were given up: an empty one stands in for each.
    pub given_up: u64,
}

impl Checked {
    const fn new(check: Check) -> Self {
        Self { check, looked_at: 0, faults: Vec::new(), given_up: 0 }
    }

    fn fault(&mut self, key: &str, what: impl Into<String>) {
        self.faults.push(Fault { key: key.to_owned(), what: what.into() });
    }
}

/// Which files of the lake are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LakeFiles<'a> {
    /// All.
    All,
    /// Those of this partition, `dt=2026-11-21/hour=09`, and of later ones.
    From(&'a str),
    /// None: [`Check::Lake`] is left out.
    None,
}

/// Told how far a check is: which, how many are done, how many there are.
pub trait Progress: FnMut(Check, u64, u64) + Send {}

impl<F: FnMut(Check, u64, u64) + Send> Progress for F {}

/// Makes every check, the last one on some files of the lake.
///
/// # Errors
/// [`StoreError`] if the store cannot be asked; whatever is wrong with what it holds is a [`Fault`].
pub async fn verify<S: ObjectStore>(
    store: &S,
    settings: &GroupSettings,
    lake: LakeFiles<'_>,
    mut progress: impl Progress,
) -> Result<Vec<Checked>, StoreError> {
    let (mut manifests, mut plans) = (Checked::new(Check::Manifests), Checked::new(Check::Plans));
    let world = checks::world(store, &mut manifests, &mut plans).await?;
    for checked in [&manifests, &plans] {
        progress(checked.check, checked.looked_at, checked.looked_at);
    }
    let objects = checks::objects(store, &world, &mut progress).await?;
    let ledger = checks::ledger(store, &world, settings, &objects, &mut progress).await?;
    let rules = checks::rules(store, &world, &mut progress).await?;
    let mut checks = vec![manifests, plans, objects, ledger, rules];
    if lake != LakeFiles::None {
        checks.push(checks::lake(store, lake, &mut progress).await?);
    }
    Ok(checks)
}

/// An error and its causes, in one line.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

/// What is wrong with an object, unless the store could not be asked.
fn fault_of(error: GroupError, key: &str) -> Result<Fault, StoreError> {
    let key = match &error {
        GroupError::Fetch(FetchError::Missing { key } | FetchError::Damaged { key, .. }) => key.clone(),
        _ => key.to_owned(),
    };
    match error {
        GroupError::Store(error @ StoreError::Unavailable { .. })
        | GroupError::Fetch(FetchError::Store(error @ StoreError::Unavailable { .. })) => Err(error),
        error => Ok(Fault { key, what: told(&error) }),
    }
}
