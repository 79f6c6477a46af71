//! Objects whose names fix their content, held in memory by the instance that wrote or read them: a close reads what its
//! shard staged seconds before, and each request to S3 takes tens of milliseconds and costs money.
//!
//! Bodies and the rest are held apart. What a shard staged is large, and needed once more, when its window closes; its lists of
//! what was seen and decided are small, and looked at by each close for a quarter of an hour. In one memory bodies that nobody
//! needs any more would push the lists out.
//!
//! Nothing depends on what is held: an instance that holds nothing reads the store.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::{Conditional, ETag, Listed, Object, ObjectStore, StoreError};

/// How many bytes are held.
#[derive(Clone, Copy, Debug)]
pub struct HeldBytes {
    /// Of staged objects.
    pub bodies: usize,
    /// Of what was seen and decided, of pages and rules.
    pub lists: usize,
}

impl Default for HeldBytes {
    /// What a shard stages in half a minute at its limit, twice; and the lists of 100,000 spans a second over the late horizon,
    /// which are some 200 MB, twice.
    fn default() -> Self {
        Self { bodies: 128 << 20, lists: 384 << 20 }
    }
}

/// A store with a memory.
#[derive(Debug)]
pub struct Recent<S> {
    inner: S,
    bodies: Memory,
    lists: Memory,
}

/// Objects up to a number of bytes.
#[derive(Debug)]
struct Memory {
    bytes_max: usize,
    held: Mutex<Held>,
}

impl Memory {
    fn new(bytes_max: usize) -> Self {
        Self { bytes_max, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, key: &str, bytes: Bytes) {
        self.held().insert(key, bytes, self.bytes_max);
    }
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
    /// A store in front of `inner` that holds up to so many bytes.
    pub fn new(inner: S, held: HeldBytes) -> Self {
        Self { inner, bodies: Memory::new(held.bodies), lists: Memory::new(held.lists) }
    }

    /// Where an object is held that is read more than once and whose name fixes its content.
    fn memory(&self, key: &str) -> Option<&Memory> {
        let is_rules = || key.starts_with(keys::RULES) && !keys::RULES_CHANGING.contains(&key);
        if key.starts_with(keys::STAGED) {
            Some(&self.bodies)
        } else if [keys::SEEN, keys::DECISIONS, keys::PAGE].iter().any(|prefix| key.starts_with(prefix)) || is_rules() {
            Some(&self.lists)
        } else {
            None
        }
    }
}

impl<S: ObjectStore> Recent<S> {
    /// The whole of an object that never changes.
    async fn whole(&self, memory: &Memory, key: &str) -> Result<Option<Bytes>, StoreError> {
        let held = memory.held().get(key);
        if held.is_some() {
            return Ok(held);
        }
        let Some(object) = self.inner.get(key).await? else { return Ok(None) };
        memory.insert(key, object.bytes.clone());
        Ok(Some(object.bytes))
    }
}

impl<S: ObjectStore> ObjectStore for Recent<S> {
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        let Some(memory) = self.memory(key) else { return self.inner.get(key).await };
        // Nobody swaps such an object: its version is of no use.
        Ok(self.whole(memory, key).await?.map(|bytes| Object { bytes, etag: ETag(String::new()) }))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        let Some(memory) = self.memory(key) else { return self.inner.get_range(key, range).await };
        let Some(bytes) = self.whole(memory, key).await? else { return Ok(None) };
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        Ok(Some(bytes.slice(place(range.start)..place(range.end.max(range.start)))))
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.inner.put(key, bytes.clone()).await?;
        if let Some(memory) = self.memory(key) {
            memory.insert(key, bytes);
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

    async fn delete(&self, listed: &[Listed]) -> Result<(), StoreError> {
        for key in listed.iter().map(|listed| listed.key.as_str()) {
            self.memory(key).into_iter().for_each(|memory| memory.held().remove(key));
        }
        self.inner.delete(listed).await
    }
}

#[cfg(test)]
mod tests {
    use spanlake_testkit::{Faults, SimStore, block_on, object_store_contract};

    use super::*;

    fn held(bodies: usize, lists: usize) -> Recent<SimStore> {
        Recent::new(SimStore::new(1, Faults::default()), HeldBytes { bodies, lists })
    }

    #[test]
    fn what_was_written_or_read_is_not_asked_for_again() {
        let store = held(1_000, 1_000);
        block_on(store.put("staged/a", Bytes::from_static(b"0123456789"))).unwrap();
        block_on(store.inner.put("decisions/b", Bytes::from_static(b"abc"))).unwrap();
        assert_eq!(block_on(store.get_range("decisions/b", 1..9)).unwrap().unwrap(), "bc");
        block_on(store.inner.put("rules/c.yaml", Bytes::from_static(b"rules"))).unwrap();
        block_on(store.inner.put(keys::RULES_CURRENT, Bytes::from_static(b"wanted"))).unwrap();
        for key in ["rules/c.yaml", keys::RULES_CURRENT] {
            assert!(block_on(store.get(key)).unwrap().is_some());
        }
        for key in ["staged/a", "decisions/b", "rules/c.yaml", keys::RULES_CURRENT] {
            assert!(store.inner.lose(key));
        }
        assert!(block_on(store.get("rules/c.yaml")).unwrap().is_some());
        assert!(block_on(store.get(keys::RULES_CURRENT)).unwrap().is_none(), "what is swapped is read anew");
        assert_eq!(block_on(store.get_range("staged/a", 2..4)).unwrap().unwrap(), "23");
        assert_eq!(block_on(store.get_range("staged/a", 8..u64::MAX)).unwrap().unwrap(), "89");
        assert_eq!(block_on(store.get("decisions/b")).unwrap().unwrap().bytes, "abc");
        assert!(block_on(store.get("seen/c")).unwrap().is_none());
    }

    #[test]
    fn what_is_held_has_an_end_and_the_longest_unused_goes_first() {
        let store = held(100, 10);
        block_on(store.put("seen/a", Bytes::from_static(b"0"))).unwrap();
        for key in ["staged/a", "staged/b", "staged/c", "staged/d"] {
            block_on(store.put(key, Bytes::from(vec![0; 25]))).unwrap();
        }
        assert!(block_on(store.get("staged/a")).unwrap().is_some());
        block_on(store.put("staged/e", Bytes::from(vec![0; 25]))).unwrap();
        block_on(store.put("staged/large", Bytes::from(vec![0; 26]))).unwrap();
        assert!(store.lists.held().get("seen/a").is_some(), "bodies push out no lists");
        let held = store.bodies.held();
        let mut keys: Vec<&str> = held.objects.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!((keys, held.bytes, held.uses.len()), (vec!["staged/a", "staged/c", "staged/d", "staged/e"], 100, 4));
    }

    #[test]
    fn it_is_a_store_like_any_other() {
        block_on(object_store_contract(&held(1 << 20, 1 << 20)));
    }
}
