//! How the C library's allocator gives memory back.

/// glibc raises by itself, up to 32 MiB, the size from which a freed buffer goes back to the system, and keeps twice of that in
/// each thread's arena. Fixed, a process under hostile load was measured at half the memory. It can be fixed before `main`
/// only, without unsafe code: so the program begins again, once, in the same process, with the settings in its environment.
/// Whoever tunes the allocator there is not overruled.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn settle() {
    use std::env::{args_os, current_exe, var_os};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    const TUNABLES: &str = "GLIBC_TUNABLES";
    const SETTINGS: [&str; 3] = [TUNABLES, "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"];
    /// Buffers of a request or a record stay below the first and are reused; what is larger lives for a batch or a file. The
    /// second is what an arena keeps at its end: with the 128 KiB that a fixed threshold brings along, the kernel hands out the
    /// same pages again and again. No huge pages: under everything hostile at once they took 35 MiB more, and saved no CPU time
    /// that could be measured.
    const VALUES: &str = "glibc.malloc.mmap_threshold=1048576:glibc.malloc.trim_threshold=2097152";

    if SETTINGS.iter().any(|setting| var_os(setting).is_some()) {
        return;
    }
    let mut words = args_os();
    let (Some(name), Ok(program)) = (words.next(), current_exe()) else { return };
    // Comes back only if it fails: then the process takes more memory, and nothing else changes.
    let _error = Command::new(program).arg0(name).args(words).env(TUNABLES, VALUES).exec();
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn settle() {}
