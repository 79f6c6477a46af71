//! The object store's memory twin, with faults: every call is a step at which the scheduler may let others go first,
//! and which may fail before or after it takes effect, or take effect later.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use spanlake_pipeline::ports::{Conditional, ETag, Listed, Object, ObjectStore, StoreError, check_key};

use crate::Rng;
use crate::scheduler::yield_once;

/// How often calls fail, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The call fails and has no effect.
    pub fail_before: u64,
    /// The call takes effect and fails all the same: a lost reply.
    pub fail_after: u64,
    /// A write fails and takes effect later, at a random step of the future.
    pub late_write: u64,
    /// A conditional write is refused though its condition holds (S3: 409).
    pub conflict: u64,
}

/// How often each kind of fault was drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepCounts {
    /// Calls.
    pub calls: u64,
    /// Calls that failed without effect.
    pub failed_before: u64,
    /// Calls that took effect and failed.
    pub failed_after: u64,
    /// Writes that took effect later.
    pub late_writes: u64,
    /// Conditional writes refused at random.
    pub conflicts: u64,
}

#[derive(Clone)]
struct Stored {
    bytes: Bytes,
    etag: ETag,
    modified_nanos: i64,
    /// Which write it is of.
    write: u64,
}

enum Late {
    Put(String, Bytes),
    PutNew(String, Bytes),
    Swap(String, ETag, Bytes),
    Delete(Vec<Listed>),
}

struct State {
    objects: BTreeMap<String, Stored>,
    late: Vec<Late>,
    writes: u64,
    rng: Rng,
    faults: Faults,
    counts: StepCounts,
    now_nanos: i64,
}

enum Draw {
    Good,
    Before,
    After,
    Late,
}

/// The store.
pub struct SimStore {
    state: Mutex<State>,
}

impl SimStore {
    /// An empty store whose faults follow from `seed`.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        let (objects, late, counts) = (BTreeMap::new(), Vec::new(), StepCounts::default());
        Self { state: Mutex::new(State { objects, late, writes: 0, rng: Rng::new(seed), faults, counts, now_nanos: 0 }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how often calls fail; ends with everything that was still to take effect.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.state();
        state.faults = faults;
        while !state.late.is_empty() {
            state.apply_late();
        }
    }

    /// Moves the store's own clock, which stamps objects.
    pub fn set_now(&self, now_nanos: i64) {
        self.state().now_nanos = now_nanos;
    }

    /// How often each fault was drawn.
    pub fn counts(&self) -> StepCounts {
        self.state().counts
    }

    /// Every object, as a reader sees them now.
    pub fn snapshot(&self) -> BTreeMap<String, Bytes> {
        self.state().objects.iter().map(|(key, stored)| (key.clone(), stored.bytes.clone())).collect()
    }

    /// Takes an object away, as an operator's mistake would.
    pub fn lose(&self, key: &str) -> bool {
        self.state().objects.remove(key).is_some()
    }

    async fn read<T>(&self, read: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        yield_once().await;
        let mut state = self.state();
        match state.draw(false) {
            Draw::Good => Ok(read(&state)),
            _ => Err(unavailable()),
        }
    }

    async fn write<T>(&self, late: Late, write: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        yield_once().await;
        let mut state = self.state();
        match state.draw(true) {
            Draw::Good => Ok(write(&mut state)),
            Draw::Before => Err(unavailable()),
            Draw::After => {
                drop(write(&mut state));
                Err(unavailable())
            }
            Draw::Late => {
                state.late.push(late);
                Err(unavailable())
            }
        }
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable { what: "simulated fault".to_owned() }
}

impl State {
    fn draw(&mut self, is_write: bool) -> Draw {
        self.counts.calls += 1;
        if self.rng.chance(20) {
            self.apply_late();
        }
        let Faults { fail_before, fail_after, late_write, .. } = self.faults;
        let drawn = self.rng.below(100);
        if drawn < fail_before {
            self.counts.failed_before += 1;
            Draw::Before
        } else if is_write && drawn < fail_before + fail_after {
            self.counts.failed_after += 1;
            Draw::After
        } else if is_write && drawn < fail_before + fail_after + late_write {
            self.counts.late_writes += 1;
            Draw::Late
        } else {
            Draw::Good
        }
    }

    fn apply_late(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let at = self.rng.index(self.late.len());
        match self.late.swap_remove(at) {
            Late::Put(key, bytes) => drop(self.store(key, bytes)),
            Late::PutNew(key, bytes) => drop(self.store_if(key, bytes, |found| found.is_none())),
            Late::Swap(key, etag, bytes) => {
                drop(self.store_if(key, bytes, |found| found.is_some_and(|found| found.etag == etag)));
            }
            Late::Delete(listed) => self.delete(&listed),
        }
    }

    fn delete(&mut self, listed: &[Listed]) {
        for listed in listed {
            if self.objects.get(&listed.key).is_some_and(|found| found.write.to_string() == listed.version) {
                self.objects.remove(&listed.key);
            }
        }
    }

    fn store(&mut self, key: String, bytes: Bytes) -> ETag {
        // Equal bytes are the same version, as on S3 and on a disk.
        let etag = ETag(blake3::hash(&bytes).to_hex().to_string());
        self.writes += 1;
        let (write, modified_nanos) = (self.writes, self.now_nanos);
        self.objects.insert(key, Stored { bytes, etag: etag.clone(), modified_nanos, write });
        etag
    }

    fn store_if(&mut self, key: String, bytes: Bytes, holds: impl FnOnce(Option<&Stored>) -> bool) -> Conditional {
        if self.rng.chance(self.faults.conflict) {
            self.counts.conflicts += 1;
            return Conditional::Refused;
        }
        if holds(self.objects.get(&key)) { Conditional::Done(self.store(key, bytes)) } else { Conditional::Refused }
    }
}

impl ObjectStore for SimStore {
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        check_key(key)?;
        let object = |stored: &Stored| Object { bytes: stored.bytes.clone(), etag: stored.etag.clone() };
        self.read(|state| state.objects.get(key).map(object)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        check_key(key)?;
        let cut = |stored: &Stored| {
            let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(stored.bytes.len());
            let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
            stored.bytes.slice(start..end)
        };
        self.read(|state| state.objects.get(key).map(cut)).await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        check_key(key)?;
        let late = Late::Put(key.to_owned(), bytes.clone());
        self.write(late, |state| drop(state.store(key.to_owned(), bytes))).await
    }

    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<Conditional, StoreError> {
        check_key(key)?;
        let late = Late::PutNew(key.to_owned(), bytes.clone());
        self.write(late, |state| state.store_if(key.to_owned(), bytes, |found| found.is_none())).await
    }

    async fn swap(&self, key: &str, expected: &ETag, bytes: Bytes) -> Result<Conditional, StoreError> {
        check_key(key)?;
        let late = Late::Swap(key.to_owned(), expected.clone(), bytes.clone());
        let holds = |found: Option<&Stored>| found.is_some_and(|found| found.etag == *expected);
        self.write(late, |state| state.store_if(key.to_owned(), bytes, holds)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<Listed>, StoreError> {
        let is_listed = |key: &str| key.starts_with(prefix) && after.is_none_or(|after| key > after);
        let listed = |(key, stored): (&String, &Stored)| Listed {
            key: key.clone(),
            bytes: stored.bytes.len() as u64,
            modified_nanos: stored.modified_nanos,
            version: stored.write.to_string(),
        };
        self.read(|state| state.objects.iter().filter(|(key, _)| is_listed(key)).take(most).map(listed).collect()).await
    }

    async fn delete(&self, listed: &[Listed]) -> Result<(), StoreError> {
        listed.iter().try_for_each(|listed| check_key(&listed.key))?;
        self.write(Late::Delete(listed.to_vec()), |state| state.delete(listed)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scheduler, object_store_contract};

    #[test]
    fn the_store_keeps_the_contract_of_every_store() {
        for seed in 0..20 {
            let store = SimStore::new(seed, Faults::default());
            let mut scheduler = Scheduler::default();
            scheduler.spawn(object_store_contract(&store));
            scheduler.finish(&mut Rng::new(seed), 0);
        }
    }
}
