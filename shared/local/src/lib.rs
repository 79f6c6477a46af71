//! The ports on a disk, the event source's local twin, and the HTTP front.
//!
//! Everything that touches files goes through the [`Disk`] trait, so that the same store and the same log run on a
//! model that forgets what was not fsynced ([`ModelDisk`]). Not for decisions: those are made in the use cases.

mod clock;
mod disk;
mod driver;
mod http;
mod lock;
mod log;
mod store;

pub use clock::{SystemClock, Ticks, real_ticks};
pub use disk::{Disk, DiskFile, Entry, Faults, ModelDisk, ModelFile, RealDisk, RealFile, Stat};
pub use driver::{Driver, DriverSettings, Progress};
pub use http::{Handler, ServerLimits, Tls, TlsError, serve};
pub use lock::{FolderLock, LockError};
pub use log::{
    Damage, Floor, Lag, LogOptions, LogReport, OpenError, ReadError, Seen, SegmentLog, ShardLimits, look, read_shards,
};
pub use store::DiskStore;
