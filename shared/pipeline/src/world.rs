//! All that may refer to an object: manifests, and the archive's plans.

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::{FileGroup, Plan};
use crate::fetch::{get_whole, list_all};
use crate::group::GroupError;
use crate::keys;
use crate::manifest::{Manifest, superseded};
use crate::ports::{ObjectStore, StoreError};
use spanlake_table::schema::TABLES;

/// Manifests and plans.
pub(crate) struct World {
    pub(crate) manifests: Vec<Manifest>,
    superseded: BTreeSet<String>,
    /// The number of the last output of each shard that a plan has taken.
    pub(crate) planned: BTreeMap<String, u64>,
    /// Plans that are not carried out.
    undone: Vec<Plan>,
}

/// A sealed output that is not in the lake yet.
pub(crate) struct Output {
    pub(crate) number: u64,
    pub(crate) key: String,
    pub(crate) items: Option<[u64; 3]>,
    pub(crate) decisions: Option<String>,
}

/// A plan that counts: one that is not carried out, or the newest.
pub(crate) struct PlanName {
    pub(crate) key: String,
    pub(crate) is_done: bool,
}

/// The plans that count, in order of their numbers, and the newest done mark. Read behind the manifests: an output leaves
/// its manifest only once a plan holds it.
pub(crate) async fn plans<S: ObjectStore>(store: &S) -> Result<(Vec<PlanName>, Option<String>), StoreError> {
    let listed = list_all(store, keys::PLAN).await?;
    let stems = |kind: &str| -> BTreeSet<String> {
        listed.iter().filter_map(|listed| listed.key.strip_suffix(kind)).map(str::to_owned).collect()
    };
    let (made, done) = (stems(keys::PLAN_MADE), stems(keys::PLAN_DONE));
    let counts = made.iter().filter(|stem| !done.contains(*stem) || made.last() == Some(stem));
    let name = |stem: &String| PlanName { key: format!("{stem}{}", keys::PLAN_MADE), is_done: done.contains(stem) };
    let newest_done = done.last().map(|stem| format!("{stem}{}", keys::PLAN_MADE));
    Ok((counts.map(name).collect(), newest_done))
}

/// The number of the last output of a shard that a plan has taken.
pub(crate) async fn planned<S: ObjectStore>(store: &S, shard: &str) -> Result<u64, GroupError> {
    let Some(PlanName { key, .. }) = plans(store).await?.0.pop() else { return Ok(0) };
    let bytes = get_whole(store, &key).await?;
    let plan = Plan::decode(&bytes).map_err(|source| GroupError::Plan { key, source })?;
    Ok(plan.positions.get(shard).copied().unwrap_or_default())
}

impl World {
    pub(crate) fn new(manifests: Vec<Manifest>) -> Self {
        let superseded = superseded(&manifests).into_iter().map(str::to_owned).collect();
        Self { manifests, superseded, planned: BTreeMap::new(), undone: Vec::new() }
    }

    /// Notes a plan, in order of their numbers.
    pub(crate) fn note(&mut self, plan: Plan, is_done: bool) {
        self.planned.clone_from(&plan.positions);
        if !is_done {
            self.undone.push(plan);
        }
    }

    /// Whether children have taken over all that the shard lists, but for its sealed outputs.
    pub(crate) fn is_superseded(&self, shard: &str) -> bool {
        self.superseded.contains(shard)
    }

    /// The sealed outputs of a shard that are not in the lake yet, each once.
    pub(crate) fn outputs(&self, manifest: &Manifest) -> Vec<Output> {
        let planned = self.planned.get(&manifest.shard).copied().unwrap_or_default();
        let unplanned = manifest.sealed.iter().filter(|output| output.number > planned).map(|output| Output {
            number: output.number,
            key: output.key.clone(),
            items: output.items,
            decisions: output.decisions.clone(),
        });
        let inputs = self.undone.iter().flat_map(|plan| &plan.groups).flat_map(|group| &group.inputs);
        let taken = inputs.filter(|input| input.shard == manifest.shard).map(|input| Output {
            number: input.number,
            key: input.key.clone(),
            items: input.items,
            decisions: input.decisions.clone(),
        });
        let by_number: BTreeMap<u64, Output> = unplanned.chain(taken).map(|output| (output.number, output)).collect();
        by_number.into_values().collect()
    }

    /// Whether the archive will read this object.
    pub(crate) fn archive_needs(&self, key: &str) -> bool {
        let is_it = |output: &Output| output.key == key || output.decisions.as_deref() == Some(key);
        self.manifests.iter().any(|manifest| self.outputs(manifest).iter().any(is_it))
    }

    /// The files that plans which are not carried out may have written from any of these objects.
    pub(crate) fn files_of(&self, lost: &[String]) -> Vec<String> {
        let reads = |group: &FileGroup| {
            let mut read = group.inputs.iter().flat_map(|input| [Some(&input.key), input.decisions.as_ref()]);
            read.any(|key| key.is_some_and(|key| lost.contains(key)))
        };
        let mut files = Vec::new();
        for plan in &self.undone {
            for (number, _) in plan.groups.iter().enumerate().filter(|(_, group)| reads(group)) {
                files.extend(TABLES.iter().map(|table| plan.file_key(table.name, number)));
            }
        }
        files
    }

    /// Every data object that is needed.
    pub(crate) fn needed(&self) -> BTreeSet<String> {
        let mut needed = BTreeSet::new();
        for manifest in &self.manifests {
            for output in self.outputs(manifest) {
                needed.extend([Some(output.key), output.decisions].into_iter().flatten());
            }
            needed.extend(manifest.page_reference().map(str::to_owned));
            if !self.is_superseded(&manifest.shard) {
                needed.extend(manifest.working_references().map(str::to_owned));
            }
        }
        needed
    }
}
