//! Gives up lost or damaged objects, on an operator's word: what they held is counted as `dropped{lost_object}`, and their
//! shard goes on.
//!
//! Every step may be repeated: a manifest is swapped once, with its references and its ledger together, and what stands in
//! for an object comes after all else. Groupers and archivers may work on the store meanwhile: a swap that one of them won is
//! planned anew, and nobody writes files of an object that is missing. Only an archiver that has read the object before it was
//! lost may file it all the same; it is then in the lake and counted as lost.

mod count;
mod error;

use std::collections::BTreeSet;

use bytes::Bytes;
use spanlake_model::{PerSignal, Signal};

use crate::archive::Plan;
use crate::fetch::get_whole;
use crate::group::{all_manifests, peek_manifest, stored};
use crate::integrity::{State, decisions_stand_in, sealed_stand_in, state_of};
use crate::keys;
use crate::manifest::Manifest;
use crate::ports::{Conditional, ObjectStore};
use crate::settings::GroupSettings;
use crate::world::{World, plans};
pub use error::RepairError;

/// The ledger's reason for what was lost with an object.
pub const LOST_OBJECT: &str = "lost_object";

/// How often a swap that another writer won is tried again.
const SWAP_TRIES: u32 = 8;

/// Whether anything is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only says what would be done.
    Look,
    /// Does it.
    GiveUp,
}

/// What was done, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// What became of each shard that needs one of the objects; empty if none does, or all was done before.
    pub shards: Vec<ShardRepair>,
    /// Keys under which an empty object is put, since an archive plan reads them.
    pub stand_ins: Vec<String>,
}

/// What was done to a shard, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardRepair {
    /// The shard's id.
    pub shard: String,
    /// The objects that it no longer refers to, or refers to as given up.
    pub objects: Vec<String>,
    /// Items that are now counted as `dropped{lost_object}`.
    pub dropped: PerSignal<u64>,
    /// Items among those that lie in no lost object: without the lost decisions nobody can say which of the items that wait are
    /// decided.
    pub waiting: PerSignal<u64>,
}

/// A manifest after it, and what to put before the swap.
struct Next {
    manifest: Manifest,
    puts: Vec<(String, Bytes)>,
    repair: ShardRepair,
}

/// Gives up objects that are missing or damaged. All that are lost should be named in one call: what one held is counted
/// from what the others still hold.
///
/// # Errors
/// [`RepairError`]; what was swapped stays, and the same call goes on.
pub async fn repair<S: ObjectStore>(
    store: &S,
    objects: &[String],
    settings: &GroupSettings,
    mode: Mode,
) -> Result<Repaired, RepairError> {
    let lost = confirm(store, objects).await?;
    let world = read_world(store).await?;
    let mut repaired = Repaired::default();
    for manifest in &world.manifests {
        repaired.shards.extend(repair_shard(store, &manifest.shard, &lost, settings, mode).await?);
    }
    for key in &lost {
        if world.archive_needs(key) && state_of(store, key).await? != State::StandIn {
            repaired.stand_ins.push(key.clone());
        }
    }
    if mode == Mode::GiveUp {
        go_on_without(store, &world, &repaired.stand_ins).await?;
    }
    Ok(repaired)
}

/// Lets plans that are not carried out go on without these objects. Their files go first: from the moment in which something
/// stands in for an object, what is found there may be an archiver's that has gone on.
async fn go_on_without<S: ObjectStore>(store: &S, world: &World, lost: &[String]) -> Result<(), RepairError> {
    for file in world.files_of(lost) {
        remove(store, &file).await?;
    }
    for key in lost {
        store.put(key, stand_in(key)?).await?;
    }
    Ok(())
}

/// Removes a file of a plan that is not carried out: it may show rows that are given up now, and what it may show is
/// written anew.
async fn remove<S: ObjectStore>(store: &S, file: &str) -> Result<(), RepairError> {
    Ok(store.delete(&store.list(file, None, 1).await?).await?)
}

async fn read_world<S: ObjectStore>(store: &S) -> Result<World, RepairError> {
    let mut world = World::new(all_manifests(store).await?);
    for name in plans(store).await?.0 {
        let bytes = get_whole(store, &name.key).await?;
        let plan = Plan::decode(&bytes).map_err(|source| RepairError::Plan { key: name.key, source })?;
        world.note(plan, name.is_done);
    }
    Ok(world)
}

fn stand_in(key: &str) -> Result<Bytes, RepairError> {
    let object = if key.starts_with(keys::SEALED) { sealed_stand_in() } else { decisions_stand_in() };
    Ok(object.map_err(RepairError::Encode)?.bytes)
}

/// The keys, once it is certain that each names a data object and that the object is not there as it was written.
async fn confirm<S: ObjectStore>(store: &S, objects: &[String]) -> Result<BTreeSet<String>, RepairError> {
    for key in objects {
        error::refuse_other_kinds(key)?;
        if state_of(store, key).await? == State::Whole {
            return Err(RepairError::Whole { key: key.clone() });
        }
    }
    Ok(objects.iter().cloned().collect())
}

async fn repair_shard<S: ObjectStore>(
    store: &S,
    shard: &str,
    lost: &BTreeSet<String>,
    settings: &GroupSettings,
    mode: Mode,
) -> Result<Option<ShardRepair>, RepairError> {
    for _ in 0..SWAP_TRIES {
        // Before the rest of the world: what changes after this refuses the swap.
        let Some((manifest, etag)) = peek_manifest(store, shard).await? else { return Ok(None) };
        let world = read_world(store).await?;
        let Some(mut next) = plan(store, &manifest, &world, lost, settings).await? else { return Ok(None) };
        if mode == Mode::Look {
            return Ok(Some(next.repair));
        }
        for (key, bytes) in next.puts {
            store.put(&key, bytes).await?;
        }
        let bytes = stored(store, &mut next.manifest, settings.manifest_bytes_max).await?;
        if let Conditional::Done(_) = store.swap(&keys::manifest(shard), &etag, bytes).await? {
            return Ok(Some(next.repair));
        }
    }
    Err(RepairError::Contended { shard: shard.to_owned() })
}

/// What becomes of a manifest; `None` if it needs none of the objects.
async fn plan<S: ObjectStore>(
    store: &S,
    manifest: &Manifest,
    world: &World,
    lost: &BTreeSet<String>,
    settings: &GroupSettings,
) -> Result<Option<Next>, RepairError> {
    let repair = ShardRepair {
        shard: manifest.shard.clone(),
        objects: Vec::new(),
        dropped: PerSignal::default(),
        waiting: PerSignal::default(),
    };
    let mut next = Next { manifest: manifest.clone(), puts: Vec::new(), repair };
    if !world.is_superseded(&manifest.shard) {
        count::give_up_working(store, &mut next, world, lost, settings).await?;
    }
    give_up_sealed(&mut next, world, lost)?;
    Ok((!next.repair.objects.is_empty()).then_some(next))
}

/// Counts sealed outputs as dropped that were counted as kept.
fn give_up_sealed(next: &mut Next, world: &World, lost: &BTreeSet<String>) -> Result<(), RepairError> {
    let Next { manifest, repair, .. } = next;
    let needed = world.outputs(manifest);
    manifest.given_up.retain(|key| needed.iter().any(|output| output.key == *key));
    let before: BTreeSet<String> = manifest.given_up.iter().cloned().collect();
    for output in needed.into_iter().filter(|output| lost.contains(&output.key) && !before.contains(&output.key)) {
        let items = PerSignal(output.items.ok_or_else(|| RepairError::Uncounted { key: output.key.clone() })?);
        for signal in Signal::ALL {
            let account = manifest.ledger.account_mut(signal);
            let rest = account.kept.checked_sub(items[signal]);
            account.kept = rest.ok_or_else(|| RepairError::Ledger { shard: manifest.shard.clone() })?;
            account.drop_items(LOST_OBJECT, items[signal]);
            repair.dropped[signal] += items[signal];
        }
        if !manifest.given_up.contains(&output.key) {
            repair.objects.push(output.key.clone());
            manifest.given_up.push(output.key);
        }
    }
    Ok(())
}
