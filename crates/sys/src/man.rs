//! The manual's own program.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Becomes `man` with this page. Returns where it is not installed, or has no such page.
pub fn open(section: &str, page: &str) {
    let mut look = Command::new("man");
    look.args(["-w", section, page]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if look.status().is_ok_and(|status| status.success()) {
        let _ = Command::new("man").args([section, page]).exec();
    }
}
