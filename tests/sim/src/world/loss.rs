//! What is lost, and what an operator does about it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use spanlake_model::Sequence;
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::Shard;
use spanlake_pipeline::repair::{Mode, repair};
use spanlake_testkit::SimStream;

use super::World;

impl World {
    /// The retention of records ends though they were not read: what is on the stream for too long is lost.
    pub(super) fn expire(&mut self, shard: &str, watermark: Sequence) {
        let up_to = watermark.max(SimStream::sequence(0)).wrapping_add(self.rng.below(60).into());
        for caller in self.stream.expire(shard, watermark, up_to) {
            if let Some(sent) = self.attempts.get(&caller).and_then(|request| self.sent.get_mut(*request)) {
                // How long a part is remembered counts from its last copy that was read.
                (sent.is_expired, sent.repeats) = (true, 0);
                sent.is_given_up |= sent.acknowledged_nanos.is_none();
                self.journal.happened("a record expires unread");
            }
        }
    }

    /// Clients and everybody else stop; without faults, groupers go on with what is on the stream. Returns whether there
    /// is more.
    pub(crate) fn stop_all_but_groupers(&mut self) -> bool {
        self.calm();
        self.scheduler.end_older_than(i64::MAX);
        // With a lost batch the ids in it are lost, and what comes again is new.
        for sent in &mut self.sent {
            sent.is_given_up |= sent.acknowledged_nanos.is_none();
            sent.repeats = 0;
        }
        let before = self.stream.inner.last_sequence();
        self.spawn_groupers(true);
        while !self.scheduler.is_empty() {
            self.step();
        }
        let read = self.checkpoints.borrow();
        let is_unread = |shard: &Shard| {
            let from = read.get(&shard.id).copied().unwrap_or_default();
            !self.stream.inner.records(&shard.id, from, 1).is_empty()
        };
        self.stream.inner.last_sequence() > before || self.stream.inner.all_shards().iter().any(is_unread)
    }

    /// Some objects are gone or damaged; nobody has anything in memory.
    pub(crate) fn lose_some(&mut self) -> Vec<String> {
        self.groupers.borrow_mut().clear();
        self.archivers.borrow_mut().clear();
        self.heartbeats.borrow_mut().clear();
        let mut objects = BTreeSet::new();
        for _ in 0..=self.rng.below(self.mix.lost_objects) {
            let kinds = [keys::STAGED, keys::SEALED, keys::DECISIONS];
            let held = self.store.below(kinds.get(self.rng.index(3)).copied().unwrap_or_default());
            objects.extend(held.get(self.rng.index(held.len())).map(|(key, _)| key.clone()));
        }
        for key in &objects {
            self.store.lose(key, self.rng.chance(50));
            self.journal.happened("an object is lost");
        }
        objects.into_iter().collect()
    }

    /// Begins to give objects up; whether that succeeds is told by the second.
    pub(crate) fn spawn_repair(&mut self, objects: &[String]) -> Rc<RefCell<Option<Result<(), String>>>> {
        let (store, settings, objects) = (Arc::clone(&self.store), self.mix.settings.clone(), objects.to_vec());
        let outcome = Rc::new(RefCell::new(None));
        let told = Rc::clone(&outcome);
        self.scheduler.spawn("repair", |_| async move {
            let repaired = repair(store.as_ref(), &objects, &settings, Mode::GiveUp).await;
            *told.borrow_mut() = Some(repaired.map(drop).map_err(|error| error.to_string()));
        });
        outcome
    }
}
