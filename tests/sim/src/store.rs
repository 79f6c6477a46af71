//! The object store with faults. It also holds the pipeline to its word: what is not a manifest never changes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use spanlake_model::NANOS_PER_SECOND;
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::{Conditional, ETag, Listed, Object, ObjectStore, StoreError, check_key};

use crate::journal::{Call, Fault, Journal};

/// A write that takes effect later does so within this time.
pub(crate) const LATE_NANOS: i64 = 8 * NANOS_PER_SECOND;

#[derive(Clone)]
struct Stored {
    bytes: Bytes,
    version: u64,
    modified_nanos: i64,
}

#[derive(Clone)]
enum Write {
    Put(Bytes),
    New(Bytes),
    Swap(ETag, Bytes),
    Delete(String),
}

struct State {
    objects: BTreeMap<String, Stored>,
    versions: u64,
    late: Vec<(i64, String, Write)>,
    violation: Option<String>,
    /// Whether an operator gave something up: then a file may be written anew, without it.
    is_lossy: bool,
}

/// The store.
pub(crate) struct Store {
    state: Mutex<State>,
    journal: Arc<Journal>,
}

impl Store {
    pub(crate) fn new(journal: Arc<Journal>) -> Self {
        let (objects, late) = (BTreeMap::new(), Vec::new());
        Self { state: Mutex::new(State { objects, versions: 0, late, violation: None, is_lossy: false }), journal }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes that were to take effect later do, with some luck or when it is high time.
    pub(crate) fn settle(&self, percent: u64) {
        let now = self.journal.now();
        let mut state = self.state();
        for (until, key, write) in std::mem::take(&mut state.late) {
            if now >= until || self.journal.chance(percent) {
                self.journal.note(|| format!("late write of {key}"));
                drop(state.apply(&key, write, now));
            } else {
                state.late.push((until, key, write));
            }
        }
    }

    /// Writes an object without faults.
    pub(crate) fn plant(&self, key: &str, bytes: Bytes) {
        drop(self.state().apply(key, Write::Put(bytes), self.journal.now()));
    }

    /// Notes what a caller should not have said or done.
    pub(crate) fn violated(&self, what: String) {
        self.state().violation.get_or_insert(what);
    }

    /// An object is gone, or no longer what was written.
    pub(crate) fn lose(&self, key: &str, is_gone: bool) {
        let mut state = self.state();
        state.is_lossy = true;
        if is_gone {
            state.objects.remove(key);
        } else if let Some(stored) = state.objects.get_mut(key) {
            let mut bytes = stored.bytes.to_vec();
            bytes.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
            stored.bytes = bytes.into();
        }
    }

    /// What was found that the store itself can tell.
    pub(crate) fn violation(&self) -> Option<String> {
        self.state().violation.clone()
    }

    /// Every object below a prefix.
    pub(crate) fn below(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let state = self.state();
        let from = state.objects.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        from.map(|(key, stored)| (key.clone(), stored.bytes.clone())).collect()
    }

    async fn write(&self, name: &'static str, key: &str, write: Write) -> Result<Conditional, StoreError> {
        check_key(key)?;
        let call = if matches!(write, Write::New(_) | Write::Swap(..)) { Call::Conditional } else { Call::Write };
        let fault = self.journal.step(call, name, key).await;
        let now = self.journal.now();
        let outcome = match fault {
            Some(Fault::Error500 | Fault::Error503) => return Err(unavailable(fault)),
            Some(Fault::Conflict409) => return Ok(Conditional::Refused),
            Some(Fault::CrashBefore) => return self.journal.crash().await,
            Some(Fault::Zombie) => {
                self.state().late.push((now + LATE_NANOS, key.to_owned(), write));
                return Err(unavailable(fault));
            }
            _ => self.state().apply(key, write, now),
        };
        if outcome == Conditional::Refused {
            self.journal.refused(name, key);
        }
        match fault {
            Some(Fault::LostReply) => Err(unavailable(fault)),
            Some(Fault::CrashAfter) => self.journal.crash().await,
            _ => Ok(outcome),
        }
    }

    async fn read<T>(&self, name: &'static str, key: &str, read: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        match self.journal.step(Call::Read, name, key).await {
            Some(Fault::CrashBefore) => self.journal.crash().await,
            Some(fault) => Err(unavailable(Some(fault))),
            None => Ok(read(&self.state())),
        }
    }
}

fn unavailable(fault: Option<Fault>) -> StoreError {
    StoreError::Unavailable { what: format!("simulated: {fault:?}") }
}

fn tag(stored: &Stored) -> ETag {
    ETag(stored.version.to_string())
}

impl State {
    fn apply(&mut self, key: &str, write: Write, now: i64) -> Conditional {
        let found = self.objects.get(key);
        let bytes = match write {
            Write::Delete(version) => {
                if found.is_some_and(|found| tag(found).0 == version) {
                    self.objects.remove(key);
                }
                return Conditional::Done(ETag(String::new()));
            }
            Write::Put(bytes) => bytes,
            Write::New(bytes) if found.is_none() => bytes,
            Write::Swap(etag, bytes) if found.is_some_and(|found| tag(found) == etag) => bytes,
            Write::New(_) | Write::Swap(..) => return Conditional::Refused,
        };
        let is_other = found.is_some_and(|found| found.bytes != bytes);
        if is_other && !key.starts_with(keys::MANIFEST) && !self.is_lossy {
            self.violation.get_or_insert_with(|| format!("I8: {key} was written again with other bytes"));
        }
        self.versions += 1;
        let stored = Stored { bytes, version: self.versions, modified_nanos: now };
        let etag = tag(&stored);
        self.objects.insert(key.to_owned(), stored);
        Conditional::Done(etag)
    }

    fn get(&self, key: &str) -> Option<Object> {
        self.objects.get(key).map(|stored| Object { bytes: stored.bytes.clone(), etag: tag(stored) })
    }

    fn get_range(&self, key: &str, range: &Range<u64>) -> Option<Bytes> {
        let stored = self.objects.get(key)?;
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(stored.bytes.len());
        let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
        Some(stored.bytes.slice(start..end))
    }

    fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Vec<Listed> {
        let from = after.filter(|after| *after > prefix).unwrap_or(prefix);
        let listed = |(key, stored): (&String, &Stored)| {
            let (bytes, modified_nanos) = (stored.bytes.len() as u64, stored.modified_nanos);
            Listed { key: key.clone(), bytes, modified_nanos, version: tag(stored).0 }
        };
        let behind = self.objects.range(from.to_owned()..).filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        behind.take_while(|(key, _)| key.starts_with(prefix)).take(most).map(listed).collect()
    }
}

impl ObjectStore for Store {
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        check_key(key)?;
        self.read("get", key, |state| state.get(key)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        check_key(key)?;
        self.read("get", key, |state| state.get_range(key, &range)).await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.write("put", key, Write::Put(bytes)).await.map(drop)
    }

    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<Conditional, StoreError> {
        self.write("put new", key, Write::New(bytes)).await
    }

    async fn swap(&self, key: &str, expected: &ETag, bytes: Bytes) -> Result<Conditional, StoreError> {
        self.write("swap", key, Write::Swap(expected.clone(), bytes)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<Listed>, StoreError> {
        self.read("list", prefix, |state| state.list(prefix, after, most)).await
    }

    async fn delete(&self, listed: &[Listed]) -> Result<(), StoreError> {
        // Each is a step of its own, so that a fault leaves some of them.
        for listed in listed {
            self.write("delete", &listed.key, Write::Delete(listed.version.clone())).await?;
        }
        Ok(())
    }
}

/// The same objects for the judge: no faults, no steps, and nothing is written.
pub(crate) struct Quiet<'a>(pub(crate) &'a Store);

impl ObjectStore for Quiet<'_> {
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        Ok(self.0.state().get(key))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.state().get_range(key, &range))
    }

    async fn put(&self, _key: &str, _bytes: Bytes) -> Result<(), StoreError> {
        Err(unavailable(None))
    }

    async fn put_new(&self, _key: &str, _bytes: Bytes) -> Result<Conditional, StoreError> {
        Err(unavailable(None))
    }

    async fn swap(&self, _key: &str, _expected: &ETag, _bytes: Bytes) -> Result<Conditional, StoreError> {
        Err(unavailable(None))
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<Listed>, StoreError> {
        Ok(self.0.state().list(prefix, after, most))
    }

    async fn delete(&self, _listed: &[Listed]) -> Result<(), StoreError> {
        Err(unavailable(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Rates;
    use spanlake_testkit::block_on;

    #[test]
    fn the_store_without_faults_keeps_the_contract_of_every_store() {
        let store = Store::new(Arc::new(Journal::new(1, Rates::default(), false)));
        block_on(spanlake_testkit::object_store_contract(&store));
    }
}
