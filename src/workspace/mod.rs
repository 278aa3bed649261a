//! The host's directory, on its way into a workspace: what goes in is found first, then written as one tar stream.
//!
//! Nothing named `.git` is ever copied: a repository is exported, and what is exported holds no credential, no hook and
//! nothing that runs. Links are kept, and never followed.

mod export;
mod survey;
mod tar;

pub use survey::{Survey, survey};
pub use tar::{Archive, Stamp};

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// What a copy did not bring as it was found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// Files that became shorter while they were read.
    pub changed: u64,
    /// Neither files, folders nor links; or not readable.
    pub left_out: u64,
}

/// How often it is looked again for what moved away meanwhile.
const ROUNDS: usize = 4;

impl Survey {
    /// About how long the archive is: each entry has a header, and fills its last block.
    pub fn length(&self) -> u64 {
        self.found.bytes + 768 * self.found.files
    }

    /// Writes the archive, everything below `workspace/`.
    ///
    /// git may pack a repository's objects while they are copied, in the background and at any time: what is gone when its
    /// turn comes is somewhere else by then, and is looked for again.
    ///
    /// # Errors
    /// The writer's.
    pub fn pack(&self, into: impl Write) -> io::Result<Packed> {
        let mut archive = Archive::new(io::BufWriter::with_capacity(256 << 10, into));
        let mut packed = Packed::default();
        let mut sent = BTreeSet::new();
        let mut again = None;
        for _ in 0..ROUNDS {
            let mut gone = false;
            for entry in again.as_ref().unwrap_or(self).entries() {
                if sent.contains(entry.inside) {
                    continue;
                }
                let inside = Path::new("workspace").join(entry.inside);
                // An empty name is the workspace itself.
                let inside = if entry.inside.as_os_str().is_empty() { Path::new("workspace") } else { &inside };
                match entry.from {
                    survey::From::Text(text) => {
                        let stamp = Stamp { mode: 0o644, time: self.time() };
                        archive.file(inside, text.len() as u64, stamp, &text[..])?;
                    }
                    survey::From::Disk(path) => {
                        if !put(&mut archive, inside, path, &mut packed)? {
                            gone = true;
                            continue;
                        }
                    }
                }
                sent.insert(entry.inside.to_owned());
            }
            again = gone.then(|| self.again()).flatten();
            if again.is_none() {
                break;
            }
        }
        archive.finish()?;
        Ok(packed)
    }
}

/// One file, folder or link of the disk; false where it is gone.
fn put(archive: &mut Archive<impl Write>, inside: &Path, path: &Path, packed: &mut Packed) -> io::Result<bool> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(false) };
    // Whoever may enter or run it here may there; no set-uid bits.
    let open = if meta.mode() & 0o100 != 0 || meta.is_dir() { 0o755 } else { 0o644 };
    let stamp = Stamp { mode: meta.mode() & open | 0o600 | open & 0o100, time: meta.mtime() };
    if meta.is_dir() {
        archive.folder(inside, stamp)?;
    } else if meta.is_symlink() {
        match fs::read_link(path) {
            Ok(target) => archive.link(inside, &target, stamp)?,
            Err(_) => return Ok(false),
        }
    } else if meta.is_file() {
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
        match OpenOptions::new().read(true).custom_flags(flags).open(path).and_then(|f| Ok((f.metadata()?, f))) {
            Ok((meta, file)) if meta.is_file() => {
                if archive.file(inside, meta.len(), stamp, file)? > 0 {
                    packed.changed += 1;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            _ => packed.left_out += 1,
        }
    } else {
        packed.left_out += 1;
    }
    Ok(true)
}

/// Files below a folder, as an archive whose one folder is `name`.
///
/// # Errors
/// The writer's, and the disk's.
pub fn pack_folder(folder: &Path, name: &Path, into: impl Write) -> io::Result<()> {
    let mut archive = Archive::new(io::BufWriter::with_capacity(256 << 10, into));
    let mut packed = Packed::default();
    // The engine makes no folders above it with the agent's rights.
    let above: Vec<&Path> = name.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
    for path in above.iter().rev() {
        archive.folder(path, Stamp { mode: 0o755, time: 0 })?;
    }
    let mut left = vec![std::path::PathBuf::new()];
    while let Some(path) = left.pop() {
        let from = folder.join(&path);
        let inside = if path.as_os_str().is_empty() { name.to_owned() } else { name.join(&path) };
        if fs::symlink_metadata(&from)?.is_dir() {
            for entry in fs::read_dir(&from)? {
                left.push(path.join(entry?.file_name()));
            }
        }
        put(&mut archive, &inside, &from, &mut packed)?;
    }
    archive.finish()
}
