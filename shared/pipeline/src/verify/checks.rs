//! The checks, one after the other.

use std::collections::BTreeSet;

use spanlake_model::Signal;

use super::{
    Check, Checked, Fault, FetchError, GroupError, GroupSettings, LakeFiles, Manifest, ObjectStore, Progress, State, StoreError,
    World, fault_of, keys, peek_manifest, state_of, told,
};
use crate::archive::Plan;
use crate::close::{pending_of, staged_index};
use crate::fetch::{list_all, list_behind};
use crate::ledger::Ledger;
use crate::lineage;
use crate::manifest::unborn;
use crate::world::plans;
use spanlake_table::schema::TABLES;

/// Manifests and plans, as far as they can be read.
pub(super) async fn world<S: ObjectStore>(store: &S, manifests: &mut Checked, plans: &mut Checked) -> Result<World, StoreError> {
    let mut world = World::new(read_manifests(store, manifests).await?);
    read_plans(store, &mut world, plans).await?;
    for (shard, planned) in &world.planned {
        let key = keys::manifest(shard);
        match world.manifests.iter().find(|manifest| manifest.shard == *shard) {
            Some(manifest) => numbers(manifest, *planned, manifests),
            None if manifests.faults.iter().any(|fault| fault.key == key) => {}
            None if *planned > 0 => {
                manifests.fault(&key, format!("is missing, though plans have taken its outputs up to {planned}"));
            }
            None => {}
        }
    }
    Ok(world)
}

async fn read_manifests<S: ObjectStore>(store: &S, checked: &mut Checked) -> Result<Vec<Manifest>, StoreError> {
    let mut manifests = Vec::new();
    // Children before their parents, as the ledger counts.
    for listed in list_all(store, keys::MANIFEST).await?.into_iter().rev() {
        let Some(shard) = listed.key.strip_prefix(keys::MANIFEST).and_then(|name| name.strip_suffix(".json")) else { continue };
        checked.looked_at += 1;
        match peek_manifest(store, shard).await {
            Ok(manifest) => manifests.extend(manifest.map(|(manifest, _)| manifest)),
            Err(error) => checked.faults.push(fault_of(error, &listed.key)?),
        }
    }
    for listed in list_all(store, keys::LINEAGE).await? {
        let Some(shard) = listed.key.strip_prefix(keys::LINEAGE).and_then(|name| name.strip_suffix(".json")) else { continue };
        if let Err(error) = lineage::saved(store, shard).await {
            checked.faults.push(fault_of(GroupError::Fetch(error), &listed.key)?);
        }
    }
    Ok(manifests)
}

/// The outputs of a shard that no plan has taken are numbered without a gap.
fn numbers(manifest: &Manifest, planned: u64, checked: &mut Checked) {
    let key = keys::manifest(&manifest.shard);
    let listed: Vec<u64> = manifest.sealed.iter().map(|output| output.number).filter(|number| *number > planned).collect();
    if !listed.iter().copied().eq(planned + 1..=manifest.sealed_last) {
        let last = manifest.sealed_last;
        checked.fault(
            &key,
            format!("lists {} outputs behind the last planned one, {planned}, and should up to {last}", listed.len()),
        );
    }
}

async fn read_plans<S: ObjectStore>(store: &S, world: &mut World, checked: &mut Checked) -> Result<(), StoreError> {
    let (names, newest_done) = plans(store).await?;
    let newest = names.last().map(|name| name.key.clone());
    if let Some(done) = newest_done.filter(|done| newest.as_ref().is_none_or(|newest| newest < done)) {
        checked.fault(&done, "is missing, though it was carried out: the archive does not know where to go on");
    }
    for name in names {
        let Some(object) = store.get(&name.key).await? else { continue };
        checked.looked_at += 1;
        match Plan::decode(&object.bytes) {
            Ok(plan) => world.note(plan, name.is_done),
            Err(error) => checked.fault(&name.key, told(&error)),
        }
    }
    Ok(())
}

/// Every needed object is there, and is what was written.
pub(super) async fn objects<S: ObjectStore>(
    store: &S,
    world: &World,
    progress: &mut impl Progress,
) -> Result<Checked, StoreError> {
    let mut checked = Checked::new(Check::Objects);
    let needed = world.needed();
    for key in &needed {
        match state_of(store, key).await? {
            State::Whole => {}
            State::StandIn => checked.given_up += 1,
            State::Missing => checked.fault(key, "is needed and missing"),
            State::Damaged => checked.fault(key, "is damaged: its bytes are not those that its name says"),
        }
        checked.looked_at += 1;
        progress(Check::Objects, checked.looked_at, needed.len() as u64);
    }
    if !checked.faults.is_empty() {
        // A process that works on the store may have let go of it since.
        let (mut manifests, mut plans) = (Checked::new(Check::Manifests), Checked::new(Check::Plans));
        let needed = self::world(store, &mut manifests, &mut plans).await?.needed();
        checked.faults.retain(|fault| needed.contains(&fault.key));
    }
    Ok(checked)
}

/// Every account balances, and what is pending is what the batches hold.
pub(super) async fn ledger<S: ObjectStore>(
    store: &S,
    world: &World,
    settings: &GroupSettings,
    objects: &Checked,
    progress: &mut impl Progress,
) -> Result<Checked, StoreError> {
    let mut checked = Checked::new(Check::Ledger);
    let of = world.manifests.len() as u64;
    let faulty: BTreeSet<&str> = objects.faults.iter().map(|fault| fault.key.as_str()).collect();
    for manifest in &world.manifests {
        let key = keys::manifest(&manifest.shard);
        if !manifest.ledger.balances() {
            checked.fault(&key, "its ledger does not balance: please report this");
        }
        let is_whole = !manifest.working_references().any(|key| faulty.contains(key));
        // Of a closed shard, children may have taken over a part.
        let is_own = !manifest.closed || unborn(manifest, &world.manifests) == [manifest.range];
        if is_own && is_whole && !world.is_superseded(&manifest.shard) {
            checked.faults.extend(pending(store, manifest, settings, &key).await?);
        }
        checked.looked_at += 1;
        progress(Check::Ledger, checked.looked_at, of);
    }
    let sum = Ledger::of_shards(world.manifests.iter().map(|manifest| &manifest.ledger));
    if !sum.balances() {
        checked.fault(keys::MANIFEST, "the ledgers of all shards together do not balance: please report this");
    }
    Ok(checked)
}

async fn pending<S: ObjectStore>(
    store: &S,
    manifest: &Manifest,
    settings: &GroupSettings,
    key: &str,
) -> Result<Option<Fault>, StoreError> {
    let counted = match pending_of(store, manifest, settings).await {
        Ok(counted) => counted,
        Err(error) => return fault_of(error.into(), key).map(Some),
    };
    let ledger = |signal| {
        let account = manifest.ledger.account(signal);
        if manifest.closed { account.handed_over } else { account.pending }
    };
    let differs = Signal::ALL.into_iter().find(|signal| counted[*signal] != ledger(*signal));
    Ok(differs.map(|signal| {
        let (items, said, held) = (signal.items(), ledger(signal), counted[signal]);
        Fault {
            key: key.to_owned(),
            what: format!("its ledger has {said} {items} pending, the batches hold {held}: please report this"),
        }
    }))
}

/// The rules of every version that decides or may decide are there.
pub(super) async fn rules<S: ObjectStore>(store: &S, world: &World, progress: &mut impl Progress) -> Result<Checked, StoreError> {
    let mut checked = Checked::new(Check::Rules);
    let mut versions = BTreeSet::new();
    for manifest in world.manifests.iter().filter(|manifest| !world.is_superseded(&manifest.shard)) {
        versions.insert(manifest.rules.current.clone());
        versions.extend(manifest.rules.previous.iter().map(|previous| previous.version.clone()));
        for staged in &manifest.staged {
            match staged_index(store, staged).await {
                Ok(index) => versions.extend(index.rules),
                Err(FetchError::Store(error @ StoreError::Unavailable { .. })) => return Err(error),
                // Told among the objects.
                Err(_) => {}
            }
        }
    }
    // The empty version is the one before any heartbeat: it is not stored.
    versions.remove("");
    for version in &versions {
        let key = keys::rules(version);
        if store.get(&key).await?.is_none() {
            checked.fault(&key, "is missing: put the configuration there from which it was started");
        }
        checked.looked_at += 1;
        progress(Check::Rules, checked.looked_at, versions.len() as u64);
    }
    Ok(checked)
}

/// Every one of these files of the lake is one of a table, and all its rows can be read.
pub(super) async fn lake<S: ObjectStore>(
    store: &S,
    files: LakeFiles<'_>,
    progress: &mut impl Progress,
) -> Result<Checked, StoreError> {
    let mut checked = Checked::new(Check::Lake);
    let mut listed = Vec::new();
    match files {
        LakeFiles::All => listed = list_all(store, keys::LAKE).await?,
        LakeFiles::From(partition) => {
            for table in TABLES {
                let table = format!("{}{}/", keys::LAKE, table.name);
                listed.extend(list_behind(store, &table, Some(format!("{table}{partition}"))).await?);
            }
        }
        LakeFiles::None => {}
    }
    for file in &listed {
        // What is gone by now was older than the lake keeps.
        if let Some(object) = store.get(&file.key).await? {
            let name = file.key.strip_prefix(keys::LAKE).and_then(|rest| rest.split_once('/')).map_or("", |(table, _)| table);
            if let Err(error) = spanlake_table::check_file(name, object.bytes) {
                checked.fault(&file.key, told(&error));
            }
        }
        checked.looked_at += 1;
        progress(Check::Lake, checked.looked_at, listed.len() as u64);
    }
    Ok(checked)
}
