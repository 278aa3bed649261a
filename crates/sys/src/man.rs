//! Opens a manual page with `man(1)`.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Replaces this process by `man SECTION PAGE`. Returns only if `man` is not installed or does not have the page.
pub fn open(section: &str, page: &str) {
    let mut find = Command::new("man");
    find.args(["-w", section, page]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if find.status().is_ok_and(|status| status.success()) {
        let _ = Command::new("man").args([section, page]).exec();
    }
}
