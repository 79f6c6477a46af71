//! How many items were lost: what the ledger calls pending, less what the batches that are left still hold.

use std::collections::{BTreeMap, BTreeSet};

use spanlake_model::{BucketRange, PerSignal, Signal};

use super::{LOST_OBJECT, Next, RepairError};
use crate::close::{PendingKey, walk_pending};
use crate::decided::{Decided, DecidedWriter, Reason, Verdict};
use crate::keys;
use crate::manifest::{DecisionsRef, Manifest, unborn};
use crate::object::Finished;
use crate::ports::{ObjectStore, Shard};
use crate::reshard::inherit;
use crate::settings::GroupSettings;
use crate::world::World;

/// What the batches that are left hold of what is pending.
#[derive(Default)]
struct Left {
    /// Items that no close has passed.
    fresh: PerSignal<u64>,
    /// Items that closes have passed, and of which no decision is recorded.
    waiting: PerSignal<u64>,
    /// The keys of those items.
    keys: Vec<PendingKey>,
}

/// Takes lost batches, ids and decisions off a manifest's lists, and counts what was pending in them.
pub(super) async fn give_up_working<S: ObjectStore>(
    store: &S,
    next: &mut Next,
    world: &World,
    lost: &BTreeSet<String>,
    settings: &GroupSettings,
) -> Result<(), RepairError> {
    let Next { manifest, repair, .. } = &mut *next;
    let gone: Vec<String> = manifest.working_references().filter(|key| lost.contains(*key)).map(str::to_owned).collect();
    manifest.staged.retain(|staged| !lost.contains(&staged.key));
    manifest.seen.retain(|seen| !lost.contains(&seen.key));
    manifest.decisions.retain(|decisions| !lost.contains(&decisions.key));
    let lacks = |prefix: &str| gone.iter().any(|key| key.starts_with(prefix));
    let (lacks_batches, lacks_decisions) = (lacks(keys::STAGED), lacks(keys::DECISIONS));
    repair.objects.extend(gone);
    if !lacks_batches && !lacks_decisions {
        return Ok(());
    }
    let left = Left::read(store, manifest, world, settings).await?;
    let pending = pending(manifest, world);
    // Without its decision, an item that was dealt with looks like one that waits. If there are none of the former, the
    // count says so; if there are, none of them may be filed a second time.
    let any_waits = Signal::ALL.into_iter().any(|signal| left.waiting[signal] > 0);
    let all_wait = Signal::ALL.into_iter().all(|signal| left.fresh[signal] + left.waiting[signal] == pending[signal]);
    let is_unclear = lacks_decisions && any_waits && (lacks_batches || !all_wait);
    for signal in Signal::ALL {
        let waiting = if is_unclear { 0 } else { left.waiting[signal] };
        let dropped = pending[signal].checked_sub(left.fresh[signal] + waiting);
        let dropped = dropped.ok_or_else(|| RepairError::Ledger { shard: manifest.shard.clone() })?;
        let is_closed = manifest.closed;
        let account = manifest.ledger.account_mut(signal);
        *(if is_closed { &mut account.handed_over } else { &mut account.pending }) -= dropped;
        account.drop_items(LOST_OBJECT, dropped);
        repair.dropped[signal] += dropped;
    }
    if is_unclear {
        repair.waiting = PerSignal(Signal::ALL.map(|signal| left.waiting[signal].min(repair.dropped[signal])));
        decide_lost(next, &left.keys, settings)?;
    }
    Ok(())
}

/// What of a shard is pending; of a closed one, what no child has taken over.
fn pending(manifest: &Manifest, world: &World) -> PerSignal<u64> {
    let children: Vec<&Manifest> = world.manifests.iter().filter(|child| child.parents.contains(&manifest.shard)).collect();
    PerSignal(Signal::ALL.map(|signal| {
        let account = manifest.ledger.account(signal);
        let taken = children.iter().map(|child| child.ledger.account(signal).inherited).sum();
        if manifest.closed { account.handed_over.saturating_sub(taken) } else { account.pending }
    }))
}

impl Left {
    async fn read<S: ObjectStore>(
        store: &S,
        manifest: &Manifest,
        world: &World,
        settings: &GroupSettings,
    ) -> Result<Self, RepairError> {
        let mut left = Self::default();
        if !manifest.closed {
            walk_pending(store, manifest, settings, |key| left.note(key)).await?;
            return Ok(left);
        }
        // As the children that are still to come will count it.
        for [first, last] in unborn(manifest, &world.manifests) {
            let (range, parents) = (BucketRange { first, last }, vec![manifest.shard.clone()]);
            let child = inherit(&Shard { id: String::new(), range, parents }, std::slice::from_ref(manifest), settings);
            walk_pending(store, &child, settings, |key| left.note(key)).await?;
        }
        Ok(left)
    }

    fn note(&mut self, key: PendingKey) {
        for signal in Signal::ALL {
            self.fresh[signal] += key.fresh[signal];
            self.waiting[signal] += key.waiting[signal];
        }
        if key.waiting != PerSignal::default() {
            self.keys.push(key);
        }
    }
}

/// Records that these traces are dealt with: what of them arrived before is not filed, what comes late is kept.
fn decide_lost(next: &mut Next, waiting: &[PendingKey], settings: &GroupSettings) -> Result<(), RepairError> {
    let rules = next.manifest.rules.current.clone();
    let reason = |verdict| {
        let (policy, rules) = (LOST_OBJECT.to_owned(), rules.clone());
        Reason { verdict, policy, weight: 1.0, threshold: None, rules, votes: Vec::new() }
    };
    let (of_trace, of_logs) = (reason(Verdict::Kept), reason(Verdict::LogsAlone));
    let mut by_mark: BTreeMap<i64, DecidedWriter> = BTreeMap::new();
    for PendingKey { key, waiting, mark, .. } in waiting {
        let writer = by_mark.entry(*mark).or_default();
        let spans = u32::try_from(waiting[Signal::Traces]).unwrap_or(u32::MAX);
        let reason = writer.reason(if spans > 0 { &of_trace } else { &of_logs });
        writer.push(Decided { key: *key, reason, spans, errors: 0, wait_ms: 0, is_complete: false });
    }
    for (end, writer) in by_mark {
        let finished = writer.finish(end.saturating_sub(settings.window_nanos), end).map_err(RepairError::Encode)?;
        let Finished { bytes, index_bytes, hash } = finished;
        let key = keys::data(keys::DECISIONS, hash);
        next.manifest.decisions.push(DecisionsRef { key: key.clone(), bytes: bytes.len() as u64, index_bytes, end });
        next.puts.push((key, bytes));
    }
    Ok(())
}
