//! The ports on a disk, the event source's local twin, and the HTTP front.
