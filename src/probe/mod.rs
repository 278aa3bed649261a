//! The facts of a plan, read from the host's environment and disk. Nothing here asks the engine or writes a file.

mod agent;
mod certificates;
mod engine;
mod gate;
mod ids;
mod image;
mod remote;
mod proxy;
mod roots;

pub use agent::agent;
pub use certificates::upstream_certificates;
pub use engine::{detach_keys, engine};
pub use gate::{Processor, gate_binary};
pub use ids::HostIds;
pub use image::image_source;
pub use proxy::upstream_proxy;
pub use remote::{remote, signing_key};
pub use roots::roots;

use anyhow::{Context as _, Result};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The value of an environment variable that is set, UTF-8 and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The current directory.
///
/// # Errors
/// It was removed, or may not be read.
pub fn current_dir() -> Result<PathBuf> {
    std::env::current_dir().context("the current directory is gone")
}

/// Is there an executable file of this name on `PATH`, or at this path where it has a slash? Relative paths count from `folder`.
pub fn can_run(name: &str, folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let runs = |path: PathBuf| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    let folders = std::env::var_os("PATH").filter(|_| !name.contains('/')).unwrap_or_else(|| "".into());
    std::env::split_paths(&folders).any(|path| runs(folder.join(path).join(name)))
}

/// The home's id from the file at `path`, and the place for which it was made, where the file says one; `None` where there is
/// no such file, or no id in it.
pub fn home_id(path: &Path) -> Option<(String, Option<String>)> {
    const MAX_ID_BYTES: u64 = 64 << 10;
    let mut text = String::new();
    fs::File::open(path).ok()?.take(MAX_ID_BYTES).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let id = lines.next().map(str::trim).unwrap_or_default().to_owned();
    let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
    is_id.then(|| (id, lines.next().map(str::to_owned)))
}

/// Where a folder is, on one line: the machine's id, if it has one, and the path without links.
pub fn place(folder: &Path) -> String {
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    format!("{} {folder:?}", machine.trim())
}
