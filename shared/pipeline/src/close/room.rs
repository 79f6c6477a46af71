//! What limits of spans and bytes leave room for in a window: a pass over the traces that are due, before any is decided.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use spanlake_model::{NANOS_PER_MS, Signal};
use spanlake_policy::{Admission, Admitted, TraceFacts};

use super::{CloseError, Closer};
use crate::manifest::Manifest;
use crate::ports::ObjectStore;
use crate::settings::GroupSettings;
use crate::stage::RulesBook;
use crate::staged::Key;

/// Candidates for a window's room, by version of the rules that decide on them.
pub(super) struct Room<'b>(BTreeMap<String, Admission<'b>>);

impl Room<'_> {
    /// Takes note of a trace that is due. One that makes the rules panic is no candidate; deciding on it will tell.
    pub(super) fn offer(&mut self, version: &str, key: Key, records: &[TraceFacts]) {
        if let Some(admission) = self.0.get_mut(version) {
            let _told_later = catch_unwind(AssertUnwindSafe(|| admission.offer(&key.trace, records)));
        }
    }
}

/// What there is room for in the window that ends at `end`; nothing is read where no rules limit anything.
///
/// A close in parts comes to the same each time: it looks at the whole window, and decisions of the parts before are those
/// of this window.
pub(super) async fn share_out<S: ObjectStore>(
    store: &S,
    manifest: &Manifest,
    end: i64,
    (book, settings): (&RulesBook, &GroupSettings),
) -> Result<BTreeMap<String, Admitted>, CloseError> {
    let limited = book.limited().collect::<Vec<_>>();
    if limited.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut manifest = manifest.clone();
    manifest.closing = None;
    let (end_ms, window_ms) = (end / NANOS_PER_MS, u64::try_from(settings.window_nanos / NANOS_PER_MS).unwrap_or(0));
    let shard = manifest.buckets();
    let each = limited.iter().map(|(version, rules)| ((*version).to_owned(), rules.admission(end_ms, window_ms, shard)));
    let mut room = Room(each.collect());
    let mut closer = Closer::open(store, manifest, end, book, settings).await?;
    while let Some(key) = closer.next_key() {
        let mut members = closer.gather(key).await?;
        members.retain(|member| member.row().is_some_and(|row| row.signal == Signal::Traces && !row.overflow));
        if !members.is_empty() {
            closer.offer(key, members, &mut room).await?;
        }
    }
    Ok(room.0.into_iter().map(|(version, admission)| (version, admission.finish())).collect())
}
