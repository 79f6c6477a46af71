//! The same records once more, without any fault: one grouper for each shard, one batch, one part for each close.

use std::collections::BTreeSet;
use std::sync::Arc;

use spanlake_model::Sequence;
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::group::Grouper;
use spanlake_pipeline::inspect::overview;
use spanlake_pipeline::keys;
use spanlake_pipeline::settings::GroupSettings;
use spanlake_testkit::block_on;

use crate::evidence::ensure;
use crate::lake::{Reader, Values};
use crate::mix;
use crate::store::{Quiet, Store};
use crate::world::World;

/// Calls after which everything must be decided and archived.
const CALLS_MAX: usize = 200;

/// Whatever went wrong, each trace was decided as it is from the same records where nothing does. Limits have no other oracle:
/// who competes for a window's room follows from all records of it.
pub(crate) fn check_decisions(world: &World) -> Result<(), String> {
    let told = decisions(&mut Reader::default(), &world.store)?;
    let store = decide(world)?;
    let wanted = decisions(&mut Reader::default(), &store)?;
    let differs = told.symmetric_difference(&wanted).next();
    ensure(differs.is_none(), || {
        let is_told = differs.is_some_and(|one| told.contains(one));
        format!("limits: {differs:?} is {}", if is_told { "told, and not without faults" } else { "told without faults only" })
    })
}

fn decisions(reader: &mut Reader, store: &Store) -> Result<BTreeSet<Values>, String> {
    let lake = reader.read(&store.below(keys::LAKE))?;
    Ok(lake.get("decisions").into_iter().flatten().cloned().collect())
}

/// A store with what the stream's records come to.
fn decide(world: &World) -> Result<Arc<Store>, String> {
    let store = Arc::new(Store::new(Arc::clone(&world.journal)));
    for text in world.mix.texts() {
        store.plant(&keys::rules(&mix::version(text)?), text.into());
    }
    let GroupSettings { seal_bytes, manifest_bytes_max, .. } = GroupSettings::default();
    let settings = GroupSettings { seal_bytes, manifest_bytes_max, ..world.mix.settings.clone() };
    let [first, _] = world.mix.texts();
    for shard in world.stream.inner.all_shards() {
        let (rules, stream) = (mix::compiled(first)?, Arc::clone(&world.stream));
        let compile = Arc::new(|text: &str| mix::compiled(text));
        let mut grouper = Grouper::new(Arc::clone(&store), stream, shard.clone(), settings.clone(), rules, compile);
        let mut watermark = Sequence::ZERO;
        for _ in 0..CALLS_MAX {
            let records = world.stream.inner.records(&shard.id, watermark, usize::MAX);
            if records.is_empty() {
                break;
            }
            watermark = block_on(grouper.handle(&records)).map_err(|error| format!("limits: again: {error}"))?.watermark;
        }
    }
    let mut archiver = Archiver::new(Arc::clone(&store), 1 << 20);
    for _ in 0..CALLS_MAX {
        block_on(archiver.run()).map_err(|error| format!("limits: again: {error}"))?;
        if block_on(overview(&Quiet(&store))).is_ok_and(|state| state.is_settled()) {
            return Ok(store);
        }
    }
    Err("limits: again: not at rest".to_owned())
}
