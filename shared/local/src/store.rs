//! The object store on a folder of a [`Disk`]. Every write goes to a temporary file first and is renamed when it is
//! durable, so that a reader sees a whole object or none.
//!
//! One process at a time: conditional writes are serialised by a mutex of this store, not by the file system.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use spanlake_pipeline::ports::{Conditional, ETag, Listed, Object, ObjectStore, StoreError};

use crate::disk::{Disk, DiskFile, Entry, Stat, is_missing, make_dirs};

/// The folder of unfinished writes, in the store's root: no key may begin with it.
const UNFINISHED: &str = "tmp";

/// Objects as files: `<root>/<key>`. The version of an object is the hash of its bytes, so that equal bytes are the
/// same version, as on S3. Folders of deleted objects stay.
#[derive(Debug)]
pub struct DiskStore<D: Disk>(Arc<Inner<D>>);

impl<D: Disk> Clone for DiskStore<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<D> {
    disk: D,
    root: PathBuf,
    /// Numbers the unfinished files.
    writes: AtomicU64,
    /// Held from a condition's check until its write took effect, and by whatever could come between.
    names: Mutex<()>,
    /// Folders whose own names are durable.
    folders: Mutex<BTreeSet<PathBuf>>,
}

impl<D: Disk> DiskStore<D> {
    /// Opens the store in a folder of its own, which is made if need be; what an earlier process left unfinished is
    /// removed.
    pub fn open(disk: D, root: PathBuf) -> io::Result<Self> {
        let unfinished = root.join(UNFINISHED);
        make_dirs(&disk, &unfinished)?;
        for entry in disk.list(&unfinished)? {
            disk.remove(&unfinished.join(entry.name))?;
        }
        Ok(Self::attach(disk, root))
    }

    /// The store of a folder that another process may be writing: nothing is made or removed. Whoever writes through it writes
    /// objects that the other process only reads, and shares conditions with nobody but itself.
    #[must_use]
    pub fn attach(disk: D, root: PathBuf) -> Self {
        let folders = Mutex::new(BTreeSet::from([root.clone()]));
        Self(Arc::new(Inner { disk, root, writes: AtomicU64::new(0), names: Mutex::new(()), folders }))
    }

    /// Runs a call that blocks where it may. It goes on to its end even if nobody waits for it any more.
    async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Inner<D>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.0);
        let stopped = |_| StoreError::Unavailable { what: "the disk's thread stopped".to_owned() };
        tokio::task::spawn_blocking(move || call(&inner)).await.map_err(stopped)?
    }
}

impl<D: Disk> ObjectStore for DiskStore<D> {
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        let key = key.to_owned();
        self.run(move |inner| inner.get(&key)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        let key = key.to_owned();
        self.run(move |inner| inner.read(&key, range)).await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        let key = key.to_owned();
        self.run(move |inner| inner.put(&key, &bytes)).await
    }

    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<Conditional, StoreError> {
        let key = key.to_owned();
        self.run(move |inner| inner.put_if(&key, &bytes, None)).await
    }

    async fn swap(&self, key: &str, expected: &ETag, bytes: Bytes) -> Result<Conditional, StoreError> {
        let (key, expected) = (key.to_owned(), expected.clone());
        self.run(move |inner| inner.put_if(&key, &bytes, Some(&expected))).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<Listed>, StoreError> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.run(move |inner| {
            let mut found = Vec::new();
            let wanted = Wanted { prefix: &prefix, after: after.as_deref().unwrap_or_default(), most };
            inner.walk(&wanted, "", &mut found).map_err(|error| unavailable("list", &prefix, &error))?;
            Ok(found)
        })
        .await
    }

    async fn delete(&self, listed: &[Listed]) -> Result<(), StoreError> {
        let listed = listed.to_vec();
        self.run(move |inner| listed.iter().try_for_each(|listed| inner.delete(listed))).await
    }
}

/// What a listing asks for.
struct Wanted<'call> {
    prefix: &'call str,
    after: &'call str,
    most: usize,
}

impl Wanted<'_> {
    /// Whether a folder, as the beginning of keys with its slash, can hold a wanted key.
    fn enters(&self, folder: &str) -> bool {
        let in_prefix = folder.starts_with(self.prefix) || self.prefix.starts_with(folder);
        in_prefix && (folder > self.after || self.after.starts_with(folder))
    }

    fn takes(&self, key: &str) -> bool {
        key.starts_with(self.prefix) && key > self.after
    }
}

impl<D: Disk> Inner<D> {
    fn path(&self, key: &str) -> Result<PathBuf, StoreError> {
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._=-".contains(&byte);
        let part = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255 && part.bytes().all(in_name);
        if !key.split('/').all(part) || key.split('/').next() == Some(UNFINISHED) {
            return Err(StoreError::Damaged { key: key.escape_default().to_string(), what: "this is no key".to_owned() });
        }
        Ok(self.root.join(key))
    }

    fn names(&self) -> MutexGuard<'_, ()> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        Ok(self.read(key, 0..u64::MAX)?.map(|bytes| Object { etag: etag(&bytes), bytes }))
    }

    fn read(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        let path = self.path(key)?;
        let read = || -> io::Result<Option<Bytes>> {
            if self.disk.stat(&path)?.is_none() {
                return Ok(None);
            }
            let bytes = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
            Ok(Some(self.disk.open(&path)?.read_at(range.start, bytes)?.into()))
        };
        match read() {
            // Deleted between the two calls.
            Err(error) if is_missing(&error) => Ok(None),
            result => result.map_err(|error| unavailable("read", key, &error)),
        }
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(key)?;
        let write = || {
            let folder = self.make_folder(&path)?;
            let unfinished = self.write(bytes)?;
            {
                let _held = self.names();
                self.disk.rename(&unfinished, &path).inspect_err(|_| self.forget(&unfinished))?;
            }
            self.disk.sync_dir(folder)
        };
        write().map_err(|error| unavailable("write", key, &error))
    }

    /// Writes if the object has the expected version; none expected means that there must be no object.
    fn put_if(&self, key: &str, bytes: &[u8], expected: Option<&ETag>) -> Result<Conditional, StoreError> {
        let path = self.path(key)?;
        let write = || {
            let folder = self.make_folder(&path)?;
            let unfinished = self.write(bytes)?;
            let _held = self.names();
            let found = self.version(&path).inspect_err(|_| self.forget(&unfinished))?;
            if found.as_ref() != expected {
                self.forget(&unfinished);
                return Ok(Conditional::Refused);
            }
            self.disk.rename(&unfinished, &path).inspect_err(|_| self.forget(&unfinished))?;
            // Under the lock: the next writer must not build on what a power cut could still take back.
            self.disk.sync_dir(folder)?;
            Ok(Conditional::Done(etag(bytes)))
        };
        write().map_err(|error: io::Error| unavailable("write", key, &error))
    }

    fn version(&self, path: &Path) -> io::Result<Option<ETag>> {
        if self.disk.stat(path)?.is_none() {
            return Ok(None);
        }
        Ok(Some(etag(&self.disk.open(path)?.read_at(0, usize::MAX)?)))
    }

    fn delete(&self, listed: &Listed) -> Result<(), StoreError> {
        let path = self.path(&listed.key)?;
        let delete = || {
            let _held = self.names();
            // Of that name there may be a folder, which is no object, or what was put there since.
            if self.disk.stat(&path)?.is_none_or(|found| write_of(found) != listed.version) {
                return Ok(());
            }
            self.disk.remove(&path)?;
            self.disk.sync_dir(parent(&path))
        };
        delete().map_err(|error| unavailable("delete", &listed.key, &error))
    }

    /// Makes the bytes durable under a name of their own.
    fn write(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        // Not the name of what another process writes beside this one.
        let path = self.root.join(UNFINISHED).join(format!("{}-{number}", std::process::id()));
        let mut file = self.disk.create(&path)?;
        file.append(bytes).and_then(|()| file.sync()).inspect_err(|_| self.forget(&path))?;
        Ok(path)
    }

    /// Removes an unfinished file; where that fails, the next start does it.
    fn forget(&self, unfinished: &Path) {
        if let Err(error) = self.disk.remove(unfinished) {
            tracing::debug!(%error, "an unfinished file stays until the next start");
        }
    }

    /// Makes the folder of an object, durably, and answers it.
    fn make_folder<'path>(&self, object: &'path Path) -> io::Result<&'path Path> {
        let folder = parent(object);
        let known = || self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !known().contains(*folder)).collect();
        for folder in missing.into_iter().rev() {
            self.disk.make_dir(folder)?;
            // Also where it was there already: who made it may have been killed before this.
            self.disk.sync_dir(parent(folder))?;
            known().insert(folder.to_path_buf());
        }
        Ok(folder)
    }

    /// Adds the wanted objects below a folder, which is given as the beginning of keys: `""`, or with its slash.
    fn walk(&self, wanted: &Wanted<'_>, folder: &str, found: &mut Vec<Listed>) -> io::Result<()> {
        let entries = match self.disk.list(&self.root.join(folder)) {
            Err(error) if is_missing(&error) => return Ok(()),
            result => result?,
        };
        for (key, is_folder) in in_key_order(folder, entries) {
            if found.len() >= wanted.most {
                break;
            }
            if is_folder {
                if wanted.enters(&key) {
                    self.walk(wanted, &key, found)?;
                }
            } else if wanted.takes(&key)
                && let Some(stat) = self.disk.stat(&self.root.join(&key))?
            {
                found.push(Listed { key, bytes: stat.bytes, modified_nanos: stat.modified_nanos, version: write_of(stat) });
            }
        }
        Ok(())
    }
}

/// The entries as keys, in the order of all keys below them: a folder counts with its slash.
fn in_key_order(folder: &str, entries: Vec<Entry>) -> Vec<(String, bool)> {
    let slash = |entry: &Entry| if entry.folder { "/" } else { "" };
    let visible = |entry: &Entry| !(folder.is_empty() && entry.name == UNFINISHED);
    let keys = entries.into_iter().filter(visible);
    let mut keys: Vec<_> = keys.map(|entry| (format!("{folder}{}{}", entry.name, slash(&entry)), entry.folder)).collect();
    keys.sort_unstable();
    keys
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// Which write a file is of.
fn write_of(stat: Stat) -> String {
    format!("{}-{}", stat.number, stat.modified_nanos)
}

fn etag(bytes: &[u8]) -> ETag {
    ETag(blake3::hash(bytes).to_hex().to_string())
}

fn unavailable(deed: &str, key: &str, error: &io::Error) -> StoreError {
    StoreError::Unavailable { what: format!("cannot {deed} {}: {error}", key.escape_default()) }
}
