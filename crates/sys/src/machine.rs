//! This machine: its name, its kernel, the room on its disks.

use nix::sys::statvfs::statvfs;
use std::path::Path;

/// Host name and kernel, as an engine tells its own.
pub fn names() -> [String; 2] {
    ["hostname", "osrelease"].map(|of| {
        let name = std::fs::read_to_string(format!("/proc/sys/kernel/{of}"));
        name.unwrap_or_default().trim().to_owned()
    })
}

/// Bytes that may still be written where `path` is.
pub fn room(path: &Path) -> Option<u64> {
    let about = statvfs(path).ok()?;
    Some(about.blocks_available().saturating_mul(about.fragment_size()))
}
