//! What of the staged batches no close has dealt with: what the ledger calls pending, counted from the batches themselves.

use spanlake_model::{PerSignal, Signal};

use super::trace::State;
use super::{CloseError, Closer, Member, done_key};
use crate::manifest::Manifest;
use crate::ports::ObjectStore;
use crate::settings::GroupSettings;
use crate::stage::RulesBook;
use crate::staged::Key;

/// What of a key is pending.
pub(crate) struct PendingKey {
    pub(crate) key: Key,
    /// Items that arrived since the last close that passed this key.
    pub(crate) fresh: PerSignal<u64>,
    /// Items that arrived before and have no recorded decision: spans, and log records that follow them.
    pub(crate) waiting: PerSignal<u64>,
    /// Those items arrived before this: the end of the last close that passed them.
    pub(crate) mark: i64,
}

/// Counts what of the batches that a manifest lists no close has dealt with.
pub(crate) async fn pending_of<S: ObjectStore>(
    store: &S,
    manifest: &Manifest,
    settings: &GroupSettings,
) -> Result<PerSignal<u64>, CloseError> {
    let mut pending = PerSignal::default();
    walk_pending(store, manifest, settings, |key| {
        for signal in Signal::ALL {
            pending[signal] += key.fresh[signal] + key.waiting[signal];
        }
    })
    .await?;
    Ok(pending)
}

/// Calls `each` with every key of the batches that a manifest lists, in order.
pub(crate) async fn walk_pending<S: ObjectStore>(
    store: &S,
    manifest: &Manifest,
    settings: &GroupSettings,
    mut each: impl FnMut(PendingKey),
) -> Result<(), CloseError> {
    let mut manifest = manifest.clone();
    // A close under way is done with the front of the keys up to its own end, and with the rest up to the one before.
    let front = match manifest.closing.take() {
        Some(closing) => Some((done_key(&closing)?, closing.end)),
        None => None,
    };
    let book = RulesBook::default();
    let mut closer = Closer::open(store, manifest, i64::MAX, &book, settings).await?;
    while let Some(key) = closer.next_key() {
        let mut members = closer.gather(key).await?;
        let passed = front.filter(|(done, _)| key <= *done).map_or(i64::MIN, |(_, end)| end);
        for member in &mut members {
            member.is_fresh &= member.arrival >= passed;
        }
        each(closer.count(key, &members, passed).await?);
    }
    Ok(())
}

impl<S: ObjectStore> Closer<'_, S> {
    /// What of a key is pending; a close under way has passed it up to `passed`.
    async fn count(&mut self, key: Key, members: &[Member], passed: i64) -> Result<PendingKey, CloseError> {
        let recorded = self.recorded(key).await?;
        let (fresh, waiting) = (PerSignal::default(), PerSignal::default());
        let mut pending = PendingKey { key, fresh, waiting, mark: passed };
        for member in members {
            let Some(row) = member.row() else { continue };
            let waits = row.waits || row.signal == Signal::Traces && !row.overflow;
            if member.is_fresh {
                pending.fresh[row.signal] += u64::from(row.count);
            } else if waits && matches!(self.state_of(member, &recorded), State::Undecided) {
                pending.waiting[row.signal] += u64::from(row.count);
                pending.mark = pending.mark.max(self.readers.get(member.reader).map_or(passed, |reader| reader.mark));
            }
        }
        Ok(pending)
    }
}
