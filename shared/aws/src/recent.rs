//! Objects whose names fix their content, held in memory by the instance that wrote or read them: a close reads what its
//! shard staged seconds before, and each request to S3 takes tens of milliseconds and costs money.
//!
//! Nothing depends on what is held: an instance that holds nothing reads the store.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::{Conditional, ETag, Listed, Object, ObjectStore, StoreError};

/// What is named by its content, and read more than once.
const IMMUTABLE: [&str; 4] = [keys::STAGED, keys::SEEN, keys::DECISIONS, keys::PAGE];

/// A store with a memory.
#[derive(Debug)]
pub struct Recent<S> {
    inner: S,
    bytes_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    objects: HashMap<String, (Bytes, u64)>,
    /// Keys by their last use.
    uses: BTreeMap<u64, String>,
    bytes: usize,
    last_use: u64,
}

impl Held {
    fn get(&mut self, key: &str) -> Option<Bytes> {
        let (bytes, used) = self.objects.get_mut(key)?;
        self.last_use += 1;
        let name = self.uses.remove(&std::mem::replace(used, self.last_use))?;
        self.uses.insert(self.last_use, name);
        Some(bytes.clone())
    }

    fn remove(&mut self, key: &str) {
        if let Some((bytes, used)) = self.objects.remove(key) {
            self.uses.remove(&used);
            self.bytes -= bytes.len();
        }
    }

    /// Holds an object, and lets go of those used longest ago.
    fn insert(&mut self, key: &str, bytes: Bytes, bytes_max: usize) {
        self.remove(key);
        if bytes.len() > bytes_max / 4 {
            return;
        }
        self.last_use += 1;
        self.bytes += bytes.len();
        self.objects.insert(key.to_owned(), (bytes, self.last_use));
        self.uses.insert(self.last_use, key.to_owned());
        while self.bytes > bytes_max {
            let Some((_, oldest)) = self.uses.pop_first() else { break };
            self.remove(&oldest);
        }
    }
}

impl<S> Recent<S> {
    /// A store in front of `inner` that holds up to `bytes_max` bytes.
    pub fn new(inner: S, bytes_max: usize) -> Self {
        Self { inner, bytes_max, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_immutable(key: &str) -> bool {
    IMMUTABLE.iter().any(|prefix| key.starts_with(prefix))
}

impl<S: ObjectStore> Recent<S> {
    /// The whole of an object that never changes.
    async fn whole(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        if let Some(bytes) = self.held().get(key) {
            return Ok(Some(bytes));
        }
        let Some(object) = self.inner.get(key).await? else { return Ok(None) };
        self.held().insert(key, object.bytes.clone(), self.bytes_max);
        Ok(Some(object.bytes))
    }
}

impl<S: ObjectStore> ObjectStore for Recent<S> {
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        if !is_immutable(key) {
            return self.inner.get(key).await;
        }
        // Nobody swaps such an object: its version is of no use.
        Ok(self.whole(key).await?.map(|bytes| Object { bytes, etag: ETag(String::new()) }))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        if !is_immutable(key) {
            return self.inner.get_range(key, range).await;
        }
        let Some(bytes) = self.whole(key).await? else { return Ok(None) };
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        Ok(Some(bytes.slice(place(range.start)..place(range.end.max(range.start)))))
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.inner.put(key, bytes.clone()).await?;
        if is_immutable(key) {
            self.held().insert(key, bytes, self.bytes_max);
        }
        Ok(())
    }

    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<Conditional, StoreError> {
        self.inner.put_new(key, bytes).await
    }

    async fn swap(&self, key: &str, expected: &ETag, bytes: Bytes) -> Result<Conditional, StoreError> {
        self.inner.swap(key, expected, bytes).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<Listed>, StoreError> {
        self.inner.list(prefix, after, most).await
    }

    async fn delete(&self, listed: &Listed) -> Result<(), StoreError> {
        self.held().remove(&listed.key);
        self.inner.delete(listed).await
    }
}

#[cfg(test)]
mod tests {
    use spanlake_testkit::{Faults, SimStore, block_on, object_store_contract};

    use super::*;

    #[test]
    fn what_was_written_or_read_is_not_asked_for_again() {
        let store = Recent::new(SimStore::new(1, Faults::default()), 1_000);
        block_on(store.put("staged/a", Bytes::from_static(b"0123456789"))).unwrap();
        block_on(store.inner.put("decisions/b", Bytes::from_static(b"abc"))).unwrap();
        assert_eq!(block_on(store.get_range("decisions/b", 1..9)).unwrap().unwrap(), "bc");
        for key in ["staged/a", "decisions/b"] {
            assert!(store.inner.lose(key));
        }
        assert_eq!(block_on(store.get_range("staged/a", 2..4)).unwrap().unwrap(), "23");
        assert_eq!(block_on(store.get_range("staged/a", 8..u64::MAX)).unwrap().unwrap(), "89");
        assert_eq!(block_on(store.get("decisions/b")).unwrap().unwrap().bytes, "abc");
        assert!(block_on(store.get("seen/c")).unwrap().is_none());
    }

    #[test]
    fn what_is_held_has_an_end_and_the_longest_unused_goes_first() {
        let store = Recent::new(SimStore::new(1, Faults::default()), 100);
        for key in ["staged/a", "staged/b", "staged/c", "staged/d"] {
            block_on(store.put(key, Bytes::from(vec![0; 25]))).unwrap();
        }
        assert!(block_on(store.get("staged/a")).unwrap().is_some());
        block_on(store.put("staged/e", Bytes::from(vec![0; 25]))).unwrap();
        block_on(store.put("staged/large", Bytes::from(vec![0; 26]))).unwrap();
        let held = store.held();
        let mut keys: Vec<&str> = held.objects.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!((keys, held.bytes, held.uses.len()), (vec!["staged/a", "staged/c", "staged/d", "staged/e"], 100, 4));
    }

    #[test]
    fn it_is_a_store_like_any_other() {
        block_on(object_store_contract(&Recent::new(SimStore::new(1, Faults::default()), 1 << 20)));
    }
}
