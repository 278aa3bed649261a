//! Facts about this machine: host name, kernel release, free disk space.

use nix::sys::statvfs::statvfs;
use std::path::Path;

/// Host name and kernel release, to compare with those that an engine reports.
pub fn host_and_kernel() -> [String; 2] {
    ["hostname", "osrelease"].map(|file| {
        let name = std::fs::read_to_string(format!("/proc/sys/kernel/{file}"));
        name.unwrap_or_default().trim().to_owned()
    })
}

/// Bytes that may still be written to the file system of `path`.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let stat = statvfs(path).ok()?;
    Some(stat.blocks_available().saturating_mul(stat.fragment_size()))
}
