//! Writes a survey, or a folder, as a tar stream.

use super::content::Content;
use super::survey::Survey;
use super::tar::{Archive, Stamp};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use wire::{Blob, ContentHasher, WrittenFile};

/// What a copy brought, and counts of what it did not bring as it was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The files outside repositories. Those that changed meanwhile are left out.
    pub loose: Vec<WrittenFile>,
    /// Files that became shorter while they were read.
    pub changed: u64,
    /// Entries that are neither files, folders nor links, or that cannot be read.
    pub left_out: u64,
}

/// Most surveys for one archive: the first, and new ones for files that moved away meanwhile.
const MAX_SURVEYS: usize = 4;

/// Average overhead of an entry in the archive, in bytes: its header, and half of its last block.
const ENTRY_OVERHEAD_BYTES: u64 = 768;

/// Buffer in front of the archive's writer, in bytes.
const BUFFER_BYTES: usize = 256 << 10;

impl Survey {
    /// Estimated length of the archive, in bytes.
    pub fn length(&self) -> u64 {
        self.found.bytes + ENTRY_OVERHEAD_BYTES * self.found.files
    }

    /// Writes the archive, everything below `workspace/`.
    ///
    /// A file that is gone when its turn comes may have another name by then, so the directory is surveyed again.
    ///
    /// `owner`: the user id, and group id, of every entry.
    ///
    /// # Errors
    /// Those of the writer, and of git where it packs a repository's objects.
    pub fn pack(&self, into: impl Write, owner: u32) -> io::Result<Packed> {
        let mut archive = Archive::new(io::BufWriter::with_capacity(BUFFER_BYTES, into), owner);
        let mut packed = Packed::default();
        let mut sent = BTreeSet::new();
        let mut newer: Option<Survey> = None;
        for _ in 0..MAX_SURVEYS {
            let mut gone = false;
            for entry in newer.as_ref().unwrap_or(self).entries() {
                if sent.contains(entry.path) {
                    continue;
                }
                let inside = Path::new("workspace").join(entry.path);
                // The empty path is the workspace itself; joined, it would end in a slash.
                let inside = if entry.path.as_os_str().is_empty() { Path::new("workspace") } else { &inside };
                match entry.content {
                    Content::Bytes(bytes) => {
                        let stamp = Stamp { mode: 0o644, time: self.time() };
                        archive.file(inside, bytes.len() as u64, stamp, &bytes[..])?;
                    }
                    Content::Objects(objects) => {
                        for path in objects.files().map_err(io::Error::other)? {
                            let inside = inside.with_file_name(path.file_name().unwrap_or_default());
                            add_from_disk(&mut archive, &inside, Source { path: &path, loose: None }, &mut packed)?;
                        }
                    }
                    Content::File(path) => {
                        let loose = self.is_loose(entry.path).then_some(entry.path);
                        if !add_from_disk(&mut archive, inside, Source { path, loose }, &mut packed)? {
                            gone = true;
                            continue;
                        }
                    }
                }
                sent.insert(entry.path.to_owned());
            }
            newer = gone.then(|| self.repeat()).flatten();
            if newer.is_none() {
                break;
            }
        }
        archive.finish()?;
        Ok(packed)
    }
}

/// A file, folder or link of the disk.
struct Source<'a> {
    path: &'a Path,
    /// Its path in the workspace, if it is in no repository there.
    loose: Option<&'a Path>,
}

/// Hashes what is read, if that is wanted.
struct HashingReader<R> {
    inner: R,
    hasher: Option<ContentHasher>,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// Adds one file, folder or link of the disk. False if it is gone.
fn add_from_disk(
    archive: &mut Archive<impl Write>,
    inside: &Path,
    source: Source,
    packed: &mut Packed,
) -> io::Result<bool> {
    let Source { path, loose } = source;
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(false) };
    // Executables and folders stay so, the owner may always write, and set-uid bits are dropped.
    let allowed = if meta.mode() & 0o100 != 0 || meta.is_dir() { 0o755 } else { 0o644 };
    let stamp = Stamp { mode: meta.mode() & allowed | 0o600 | allowed & 0o100, time: meta.mtime() };
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
                let mut content = HashingReader { inner: file, hasher: loose.map(|_| ContentHasher::default()) };
                if archive.file(inside, meta.len(), stamp, &mut content)? > 0 {
                    packed.changed += 1;
                } else if let (Some(path), Some(hasher)) = (loose, content.hasher) {
                    let path = Blob(path.as_os_str().as_bytes().to_vec());
                    let executable = stamp.mode & 0o100 != 0;
                    packed.loose.push(WrittenFile { path, content: hasher.finish(), executable });
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

/// Writes the content of `folder` as an archive in which it is the folder `name`, and everything is `owner`'s.
///
/// # Errors
/// Those of the writer and of the disk.
pub fn pack_folder(folder: &Path, name: &Path, into: impl Write, owner: u32) -> io::Result<()> {
    let mut archive = Archive::new(io::BufWriter::with_capacity(BUFFER_BYTES, into), owner);
    let mut packed = Packed::default();
    // The engine would make missing parent folders as root.
    let parents: Vec<&Path> = name.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
    for path in parents.iter().rev() {
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
        add_from_disk(&mut archive, &inside, Source { path: &from, loose: None }, &mut packed)?;
    }
    archive.finish()
}
