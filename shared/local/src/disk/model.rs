//! A disk in memory that forgets: [`ModelDisk::crash`] loses what was not fsynced, or parts of it, as a seed says.
//!
//! Nastier than real file systems are: names of one folder survive independently of each other, and pages that a failed
//! fsync gave up are never written again.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, Entry, Stat};

/// The disk. A clone is the same disk.
#[derive(Clone, Debug)]
pub struct ModelDisk(Arc<Mutex<Machine>>);

/// A file of [`ModelDisk`].
#[derive(Debug)]
pub struct ModelFile {
    disk: ModelDisk,
    node: usize,
}

/// What goes wrong from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The disk holds no more than this: an append writes what fits, then fails.
    pub capacity_bytes: Option<u64>,
    /// Everything that writes is refused.
    pub read_only: bool,
    /// Every fsync fails, of files and folders; what it should have saved is never saved.
    pub failing_sync: bool,
    /// After so many further changes the power goes: the last one may or may not have happened, all calls fail.
    pub power_off_after: Option<u64>,
}

#[derive(Debug)]
struct Machine {
    nodes: Vec<Node>,
    faults: Faults,
    off: bool,
    used_bytes: u64,
    changes: u64,
}

#[derive(Clone, Debug)]
enum Node {
    File(FileNode),
    Folder(FolderNode),
}

#[derive(Clone, Debug, Default)]
struct FileNode {
    live: Vec<u8>,
    /// So much of the front of `live` is durable.
    durable_bytes: usize,
    /// What was durable before a cut that was not fsynced yet.
    before_cut: Option<Vec<u8>>,
    /// An fsync failed: nothing gets durable any more.
    lost: bool,
    modified_nanos: i64,
}

#[derive(Clone, Debug, Default)]
struct FolderNode {
    live: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
}

/// The root's place among the nodes.
const ROOT: usize = 0;

impl Default for ModelDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl ModelDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::with(vec![Node::Folder(FolderNode::default())])
    }

    fn with(nodes: Vec<Node>) -> Self {
        let live_bytes = |node: &Node| if let Node::File(file) = node { file.live.len() as u64 } else { 0 };
        let used_bytes = nodes.iter().map(live_bytes).sum();
        Self(Arc::new(Mutex::new(Machine { nodes, faults: Faults::default(), off: false, used_bytes, changes: 0 })))
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.machine().faults = faults;
    }

    /// How many changes (writes, fsyncs, names) were tried: the crash points of a run.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.machine().changes
    }

    /// Turns a bit of a stored byte, durably; false if there is no such byte.
    #[must_use]
    pub fn flip(&self, path: &Path, offset: usize) -> bool {
        let mut machine = self.machine();
        let Ok(node) = machine.find(path) else { return false };
        let Ok(file) = machine.file(node) else { return false };
        file.live.get_mut(offset).map(|byte| *byte ^= 0x10).is_some()
    }

    /// Cuts the power and starts again: what comes up is a disk without faults that holds everything that was fsynced
    /// and, by the seed, some of the rest. The old disk and its files fail from now on.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        let mut machine = self.machine();
        machine.off = true;
        let mut draw = Draw(seed);
        Self::with(machine.nodes.iter().map(|node| node.after_crash(&mut draw)).collect())
    }
}

impl Node {
    fn after_crash(&self, draw: &mut Draw) -> Self {
        match self {
            Self::File(file) => {
                let mut live = file.after_crash(draw);
                live.shrink_to_fit();
                let durable_bytes = live.len();
                Self::File(FileNode { live, durable_bytes, modified_nanos: file.modified_nanos, ..FileNode::default() })
            }
            Self::Folder(folder) => {
                let live = folder.after_crash(draw);
                Self::Folder(FolderNode { durable: live.clone(), live })
            }
        }
    }
}

impl FileNode {
    fn after_crash(&self, draw: &mut Draw) -> Vec<u8> {
        if let Some(old) = &self.before_cut
            && draw.below(2) == 0
        {
            return old.clone();
        }
        let unsynced = self.live.len().saturating_sub(self.durable_bytes);
        let survivors = draw.below(unsynced + 1);
        let mut bytes: Vec<u8> = self.live.iter().copied().take(self.durable_bytes + survivors).collect();
        // The last block may hold anything: zeros, or half of what was written.
        let torn = draw.below(survivors.min(512) + 1);
        let mask = if draw.below(2) == 0 { 0 } else { 0xa5 };
        bytes.iter_mut().rev().take(torn).for_each(|byte| *byte &= mask);
        bytes
    }
}

impl FolderNode {
    fn after_crash(&self, draw: &mut Draw) -> BTreeMap<String, usize> {
        let mut names = self.durable.clone();
        for (name, node) in &self.live {
            if self.durable.get(name) != Some(node) && draw.below(2) == 0 {
                names.insert(name.clone(), *node);
            }
        }
        names.retain(|name, _| self.live.contains_key(name) || draw.below(2) == 0);
        names
    }
}

impl Machine {
    fn find(&self, path: &Path) -> io::Result<usize> {
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        let mut at = ROOT;
        for part in path.components() {
            let std::path::Component::Normal(name) = part else { continue };
            let Some(Node::Folder(folder)) = self.nodes.get(at) else { return Err(ErrorKind::NotADirectory.into()) };
            let next = name.to_str().and_then(|name| folder.live.get(name));
            at = *next.ok_or(ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    fn file(&mut self, node: usize) -> io::Result<&mut FileNode> {
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        match self.nodes.get_mut(node) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(ErrorKind::IsADirectory.into()),
        }
    }

    fn folder(&mut self, path: &Path) -> io::Result<&mut FolderNode> {
        let node = self.find(path)?;
        match self.nodes.get_mut(node) {
            Some(Node::Folder(folder)) => Ok(folder),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    /// The names next to this one, and the name itself.
    fn place<'path>(&mut self, path: &'path Path) -> io::Result<(&mut BTreeMap<String, usize>, &'path str)> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(ErrorKind::InvalidInput)?;
        let parent = path.parent().ok_or(ErrorKind::InvalidInput)?;
        Ok((&mut self.folder(parent)?.live, name))
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<usize> {
        let number = self.nodes.len();
        let (names, name) = self.place(path)?;
        names.insert(name.to_owned(), number);
        self.nodes.push(node);
        Ok(number)
    }

    /// Takes a name away; its node stays for those who have it open.
    fn unlink(&mut self, path: &Path) -> io::Result<usize> {
        let node = self.find(path)?;
        let bytes = self.file(node)?.live.len() as u64;
        let (names, name) = self.place(path)?;
        names.remove(name);
        self.used_bytes = self.used_bytes.saturating_sub(bytes);
        Ok(node)
    }

    /// Makes one change, unless a fault forbids it; whether it counts if the power goes is up to the crash.
    fn change<T>(&mut self, apply: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.faults.read_only {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        self.changes += 1;
        let last = match &mut self.faults.power_off_after {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        let done = apply(self);
        if last {
            self.off = true;
            return Err(io::Error::other("the power goes off"));
        }
        done
    }

    /// Whether an fsync of now fails, by a fault or by the power.
    fn sync_fails(&self) -> bool {
        self.faults.failing_sync || self.faults.power_off_after == Some(0)
    }

    fn append(&mut self, node: usize, bytes: &[u8]) -> io::Result<()> {
        let room = self.faults.capacity_bytes.map_or(u64::MAX, |most| most.saturating_sub(self.used_bytes));
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let now = i64::try_from(self.changes).unwrap_or(i64::MAX);
        let file = self.file(node)?;
        file.live.extend(bytes.iter().take(fits));
        file.modified_nanos = now;
        self.used_bytes += fits as u64;
        if fits < bytes.len() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn truncate(&mut self, node: usize, bytes: u64) -> io::Result<()> {
        let file = self.file(node)?;
        let bytes = file.live.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
        let freed = (file.live.len() - bytes) as u64;
        if bytes < file.durable_bytes {
            let old: Vec<u8> = file.live.iter().copied().take(file.durable_bytes).collect();
            file.before_cut.get_or_insert(old);
            file.durable_bytes = bytes;
        }
        file.live.truncate(bytes);
        self.used_bytes = self.used_bytes.saturating_sub(freed);
        Ok(())
    }

    fn sync(&mut self, node: usize) -> io::Result<()> {
        let fails = self.sync_fails();
        let file = self.file(node)?;
        file.lost |= fails;
        if !file.lost {
            file.durable_bytes = file.live.len();
            file.before_cut = None;
        }
        if fails { Err(io::Error::other("fsync fails")) } else { Ok(()) }
    }
}

impl Disk for ModelDisk {
    type File = ModelFile;

    fn create(&self, path: &Path) -> io::Result<ModelFile> {
        let node = self.machine().change(|machine| match machine.find(path) {
            Ok(node) => machine.truncate(node, 0).map(|()| node),
            Err(error) if error.kind() == ErrorKind::NotFound => machine.add(path, Node::File(FileNode::default())),
            Err(error) => Err(error),
        })?;
        Ok(ModelFile { disk: self.clone(), node })
    }

    fn open(&self, path: &Path) -> io::Result<ModelFile> {
        Ok(ModelFile { node: self.machine().find(path)?, disk: self.clone() })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.machine().change(|machine| {
            machine.place(to)?;
            let node = machine.unlink(from)?;
            let bytes = machine.file(node)?.live.len() as u64;
            if machine.find(to).is_ok() {
                machine.unlink(to)?;
            }
            let (names, name) = machine.place(to)?;
            names.insert(name.to_owned(), node);
            machine.used_bytes += bytes;
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.machine().change(|machine| machine.unlink(path).map(drop))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        match machine.find(path) {
            Ok(_) => machine.folder(path).map(drop),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                machine.change(|machine| machine.add(path, Node::Folder(FolderNode::default())).map(drop))
            }
            Err(error) => Err(error),
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.machine().change(|machine| {
            let fails = machine.sync_fails();
            let folder = machine.folder(path)?;
            if fails {
                return Err(io::Error::other("fsync fails"));
            }
            folder.durable.clone_from(&folder.live);
            Ok(())
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut machine = self.machine();
        let names: Vec<(String, usize)> = machine.folder(path)?.live.clone().into_iter().collect();
        let folder = |node: usize| matches!(machine.nodes.get(node), Some(Node::Folder(_)));
        Ok(names.into_iter().map(|(name, node)| Entry { name, folder: folder(node) }).collect())
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        let mut machine = self.machine();
        match machine.find(path) {
            Ok(node) => Ok(machine.file(node).ok().map(|file| Stat {
                bytes: file.live.len() as u64,
                modified_nanos: file.modified_nanos,
                number: node as u64,
            })),
            Err(error) if super::is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl DiskFile for ModelFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.machine().change(|machine| machine.append(self.node, bytes))
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.machine().change(|machine| machine.sync(self.node))
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.disk.machine().change(|machine| machine.truncate(self.node, bytes))
    }

    fn read_at(&self, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut machine = self.disk.machine();
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(machine.file(self.node)?.live.iter().copied().skip(offset).take(bytes).collect())
    }

    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.disk.machine().file(self.node)?.live.len() as u64)
    }
}

/// A stream of numbers from a seed (`SplitMix64`).
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % (most.max(1) as u64)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(disk: &ModelDisk, path: &str) -> Option<Vec<u8>> {
        disk.open(Path::new(path)).ok().map(|file| file.read_at(0, 1000).unwrap())
    }

    #[test]
    fn a_crash_keeps_what_was_fsynced_and_a_front_part_of_the_rest() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let disk = ModelDisk::new();
            let mut file = disk.create(Path::new("/x")).unwrap();
            disk.sync_dir(Path::new("/")).unwrap();
            file.append(b"safe").unwrap();
            file.sync().unwrap();
            file.append(b"lost").unwrap();
            let after = bytes_of(&disk.crash(seed), "/x").unwrap();
            assert!(after.starts_with(b"safe"));
            lengths.insert(after.len());
            assert!(file.append(b"x").is_err(), "the old machine is off");
        }
        assert_eq!(lengths, (4..=8).collect());
    }

    #[test]
    fn a_name_without_a_fsync_of_its_folder_may_vanish() {
        let (mut kept, mut old) = (0, 0);
        for seed in 0..100 {
            let disk = ModelDisk::new();
            disk.create(Path::new("/x")).unwrap();
            disk.sync_dir(Path::new("/")).unwrap();
            disk.rename(Path::new("/x"), Path::new("/y")).unwrap();
            let disk = disk.crash(seed);
            kept += u32::from(disk.stat(Path::new("/y")).unwrap().is_some());
            old += u32::from(disk.stat(Path::new("/x")).unwrap().is_some());
        }
        assert!((20..80).contains(&kept) && (20..80).contains(&old), "{kept} {old}");
    }

    #[test]
    fn what_a_failed_fsync_lost_stays_lost() {
        let disk = ModelDisk::new();
        let mut file = disk.create(Path::new("/x")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.append(&[7; 100]).unwrap();
        disk.set_faults(Faults { failing_sync: true, ..Faults::default() });
        assert!(file.sync().is_err());
        disk.set_faults(Faults::default());
        file.sync().unwrap();
        assert!((0..50).any(|seed| bytes_of(&disk.crash(seed), "/x").unwrap().len() < 100));
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_a_read_only_one_nothing() {
        let disk = ModelDisk::new();
        let mut file = disk.create(Path::new("/x")).unwrap();
        disk.set_faults(Faults { capacity_bytes: Some(5), ..Faults::default() });
        assert_eq!(file.append(b"too long").unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(bytes_of(&disk, "/x").unwrap(), b"too l");
        disk.remove(Path::new("/x")).unwrap();
        let mut other = disk.create(Path::new("/y")).unwrap();
        other.append(b"fits").unwrap();
        disk.set_faults(Faults { read_only: true, ..Faults::default() });
        assert_eq!(other.append(b"x").unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
        assert_eq!(bytes_of(&disk, "/y").unwrap(), b"fits");
    }

    #[test]
    fn the_power_goes_at_the_change_that_was_named() {
        let disk = ModelDisk::new();
        disk.set_faults(Faults { power_off_after: Some(1), ..Faults::default() });
        let mut file = disk.create(Path::new("/x")).unwrap();
        assert!(file.append(b"x").is_err());
        assert!(disk.open(Path::new("/x")).is_err());
        assert_eq!(disk.changes(), 2);
    }
}
