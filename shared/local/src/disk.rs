//! What the store and the log need of a file system, with every fsync spelled out, so that a model can take its place.
//!
//! A file's bytes are durable after [`DiskFile::sync`], its name after [`Disk::sync_dir`] of the folder that holds it.

mod model;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

pub use model::{Faults, ModelDisk, ModelFile};

use crate::clock::nanos_since_epoch;

/// A folder's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without a path.
    pub name: String,
    /// Whether it is a folder itself.
    pub folder: bool,
}

/// What is known of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its length.
    pub bytes: u64,
    /// When it was last written, Unix nanoseconds.
    pub modified_nanos: i64,
    /// Which file it is: one that is put in its place has another number.
    pub number: u64,
}

/// A file system, as far as it is needed here. Calls block.
pub trait Disk: Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;

    /// Makes an empty file for appending, readable by its owner only; one that exists is emptied.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file for reading, truncating and syncing.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// Gives a file another name; a file of that name is replaced, at once.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder, for its owner only; one that exists is no error. Its parent must exist.
    fn make_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// A folder's entries, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// Length and time of a file; `None` if there is none of that name, or if it is a folder.
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>>;
}

/// An open file of a [`Disk`].
pub trait DiskFile: Send + Sync + 'static {
    /// Writes at the end. After an error any part of the bytes may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the bytes durable. **After an error they may never be, whatever later calls say.**
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;

    /// Up to `bytes` bytes from `offset`: fewer only at the end of the file.
    fn read_at(&self, offset: u64, bytes: usize) -> io::Result<Vec<u8>>;

    /// The file's length.
    fn len_bytes(&self) -> io::Result<u64>;
}

/// The computer's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

/// A file of [`RealDisk`].
#[derive(Debug)]
pub struct RealFile(File);

impl Disk for RealDisk {
    type File = RealFile;

    fn create(&self, path: &Path) -> io::Result<RealFile> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let file = options.open(path)?;
        file.set_len(0)?;
        Ok(RealFile(file))
    }

    fn open(&self, path: &Path) -> io::Result<RealFile> {
        // Reading must work on a read-only disk too; truncating then fails by itself.
        let file = OpenOptions::new().read(true).write(true).open(path);
        file.or_else(|_| File::open(path)).map(RealFile)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result,
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // A name that is no text was not made by this program.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, folder: entry.file_type()?.is_dir() });
            }
        }
        Ok(entries)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Ok(None),
            Ok(found) => {
                let modified_nanos = nanos_since_epoch(found.modified()?);
                Ok(Some(Stat { bytes: found.len(), modified_nanos, number: found.ino() }))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl DiskFile for RealFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn read_at(&self, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let left = self.len_bytes()?.saturating_sub(offset);
        let mut buffer = vec![0; bytes.min(usize::try_from(left).unwrap_or(usize::MAX))];
        self.0.read_exact_at(&mut buffer, offset)?;
        Ok(buffer)
    }

    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// Whether the error says that there is no such file.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Makes a folder and its missing parents, durable before this returns.
pub(crate) fn make_dirs<D: Disk>(disk: &D, path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return disk.make_dir(path);
    };
    match disk.make_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_dirs(disk, parent)?;
            disk.make_dir(path)?;
        }
        result => result?,
    }
    // Also where the folder was there already: who made it may have been killed before this.
    disk.sync_dir(parent)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Both disks behave alike as long as nothing fails.
    fn behaves<D: Disk>(disk: &D, root: &Path) {
        make_dirs(disk, &root.join("a/b")).unwrap();
        make_dirs(disk, &root.join("a/b")).unwrap();
        let path = root.join("a/b/one");
        assert_eq!(disk.stat(&path).unwrap(), None);
        assert_eq!(disk.open(&path).err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
        let mut file = disk.create(&path).unwrap();
        file.append(b"hello ").unwrap();
        file.append(b"world").unwrap();
        file.truncate(8).unwrap();
        file.append(b"!").unwrap();
        file.sync().unwrap();
        disk.sync_dir(&root.join("a/b")).unwrap();
        assert_eq!(file.len_bytes().unwrap(), 9);

        let read = disk.open(&path).unwrap();
        assert_eq!(read.read_at(6, 100).unwrap(), b"wo!");
        assert_eq!(read.read_at(100, 1).unwrap(), b"");
        disk.rename(&path, &root.join("a/two")).unwrap();
        assert_eq!(disk.stat(&root.join("a/two")).unwrap().unwrap().bytes, 9);
        assert_eq!(disk.stat(&root.join("a/b")).unwrap(), None, "a folder is no file");
        assert_eq!(disk.stat(&root.join("a/two/three")).unwrap(), None, "a file is no folder");
        let mut entries = disk.list(&root.join("a")).unwrap();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        let expected = [("b", true), ("two", false)].map(|(name, folder)| Entry { name: name.to_owned(), folder });
        assert_eq!(entries, expected);
        disk.create(&root.join("a/two")).unwrap();
        assert_eq!(disk.stat(&root.join("a/two")).unwrap().unwrap().bytes, 0, "creating empties");
        disk.remove(&root.join("a/two")).unwrap();
        assert!(is_missing(&disk.remove(&root.join("a/two")).unwrap_err()));
    }

    #[test]
    fn the_model_behaves_as_the_real_disk() {
        let folder = tempfile::tempdir().unwrap();
        behaves(&RealDisk, folder.path());
        behaves(&ModelDisk::new(), Path::new("/data"));
    }

    #[test]
    fn files_and_folders_are_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        RealDisk.make_dir(&folder.path().join("f")).unwrap();
        RealDisk.create(&folder.path().join("f/x")).unwrap();
        let mode = |name| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("f"), mode("f/x")), (0o700, 0o600));
    }
}
