//! Unpacks the tar stream that comes out of a container, strictly: regular files and directories only, bounded sizes and
//! counts, no path that leaves the folder, masked modes. Every other entry is skipped and counted.

use super::budget::UnpackBounds;
use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// The size of a header, and what entries are padded to. Bytes.
const BLOCK_BYTES: usize = 512;
/// A longer name, or extended header, is cut.
const MAX_NAME_BYTES: u64 = 64 << 10;
/// Most folders in one another: to remove them, each is held open, and most users may open 1024 files.
const MAX_DEPTH: usize = 128;
/// What is read behind the archive's end.
const MAX_TRAILING_BYTES: u64 = 1 << 20;

/// What was in the archive.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    pub files: u64,
    /// Entries that are neither files nor directories, or whose path leaves the folder.
    pub skipped: u64,
}

/// The error for an archive that holds more than may be unpacked.
#[derive(Debug)]
pub enum TooLarge {
    Content(UnpackBounds),
    /// Folders in one another.
    Depth,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TooLarge::Content(bounds) => {
                write!(to, "more than {} entries or {} MiB", bounds.entries, bounds.bytes >> 20)
            }
            TooLarge::Depth => write!(to, "more than {MAX_DEPTH} folders in one another"),
        }
    }
}

impl std::error::Error for TooLarge {}

/// Unpacks what is below the archive's first directory into `into`: an empty folder that no other process writes to.
///
/// # Errors
/// [`TooLarge`]; the archive is broken; the disk's error.
pub fn unpack(mut tar: impl Read, into: &Path, bounds: UnpackBounds) -> Result<Unpacked> {
    let mut found = Unpacked::default();
    let mut bytes = 0;
    let mut long_name: Option<Vec<u8>> = None;
    let mut entries: u64 = 0;
    loop {
        let mut header = [0; BLOCK_BYTES];
        if !read_block(&mut tar, &mut header)? || header.iter().all(|byte| *byte == 0) {
            // Padding follows the end. The sender must be able to finish writing it.
            io::copy(&mut tar.take(MAX_TRAILING_BYTES), &mut io::sink())?;
            return Ok(found);
        }
        check_sum(&header)?;
        let size = number(&header[124..136])?;
        entries += 1;
        // The sum must not overflow: a size near the largest number would make it small.
        bytes = size.saturating_add(bytes);
        if entries > bounds.entries || bytes > bounds.bytes {
            bail!(TooLarge::Content(bounds));
        }
        let mut body = (&mut tar).take(size);
        match header[156] {
            // The next entry's name, in GNU's and in POSIX's way.
            b'L' => long_name = Some(until_nul(&extended(&mut body)?).to_owned()),
            b'x' => long_name = pax_path(&extended(&mut body)?).or(long_name),
            b'g' => drop(extended(&mut body)?),
            kind => {
                let name = long_name.take().unwrap_or_else(|| short_name(&header));
                let mode = number(&header[100..108])? as u32 & 0o700;
                let path = below_first(&name);
                if matches!(kind, b'5' | b'0' | 0) && path.as_ref().is_some_and(|path| path.iter().count() > MAX_DEPTH)
                {
                    bail!(TooLarge::Depth);
                }
                match (kind, path) {
                    (b'5', Some(path)) => make_folder(&into.join(path))?,
                    (b'0' | 0, Some(path)) if path.as_os_str().is_empty() => found.skipped += 1,
                    (b'0' | 0, Some(path)) => {
                        let path = into.join(path);
                        write(&mut body, &path, mode | 0o600).with_context(|| shown(&path))?;
                        found.files += 1;
                    }
                    _ => found.skipped += 1,
                }
            }
        }
        io::copy(&mut body, &mut io::sink())?;
        let missing = body.limit();
        let mut padding = (&mut tar).take(missing + size.next_multiple_of(BLOCK_BYTES as u64) - size);
        io::copy(&mut padding, &mut io::sink())?;
        if padding.limit() > 0 {
            bail!("the archive ends in the middle of an entry");
        }
    }
}

/// Reads one block; false where the archive has ended before it.
fn read_block(tar: &mut impl Read, block: &mut [u8; BLOCK_BYTES]) -> Result<bool> {
    let mut filled = 0;
    while filled < BLOCK_BYTES {
        match tar.read(&mut block[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => bail!("the archive ends in the middle of a header"),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

fn check_sum(header: &[u8; BLOCK_BYTES]) -> Result<()> {
    let sum = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) };
    let counted: u64 = header.iter().enumerate().map(sum).sum();
    if number(&header[148..156])? != counted {
        bail!("not a tar archive");
    }
    Ok(())
}

/// A number of a header: octal text, or GNU's binary form for large numbers.
fn number(field: &[u8]) -> Result<u64> {
    if field[0] & 0x80 != 0 {
        let mut digits = field.iter().enumerate().map(|(at, byte)| if at == 0 { byte & 0x7f } else { *byte });
        return digits
            .try_fold(0u64, |sum, byte| sum.checked_mul(256).map(|sum| sum + u64::from(byte)))
            .context("a number is too large");
    }
    let text = std::str::from_utf8(field).context("a number is not text")?;
    let text = text.trim_matches(['\0', ' ']);
    if text.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(text, 8).context("a number is not octal")
}

/// A name, or an extended header.
fn extended(body: &mut impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    body.take(MAX_NAME_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The value of the record `path` of an extended header: `LENGTH path=VALUE\n`.
fn pax_path(records: &[u8]) -> Option<Vec<u8>> {
    let mut rest = records;
    let mut path = None;
    while let Some(blank) = rest.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(&rest[..blank]).ok()?.parse().ok()?;
        let pair = rest.get(blank + 1..length)?;
        if let Some(value) = pair.strip_prefix(b"path=") {
            path = Some(value.strip_suffix(b"\n").unwrap_or(value).to_owned());
        }
        rest = rest.get(length..)?;
    }
    path
}

fn short_name(header: &[u8; BLOCK_BYTES]) -> Vec<u8> {
    let name = until_nul(&header[..100]);
    let is_posix = &header[257..262] == b"ustar" && header[263..265] == *b"00";
    let prefix = if is_posix { until_nul(&header[345..500]) } else { &[] };
    if prefix.is_empty() { name.to_owned() } else { [prefix, b"/", name].concat() }
}

/// The path below its first component; `None` for an absolute path, or one with `..`.
fn below_first(name: &[u8]) -> Option<PathBuf> {
    if name.contains(&0) {
        return None;
    }
    let mut parts = Path::new(OsStr::from_bytes(name)).components().filter(|part| !matches!(part, Component::CurDir));
    match parts.next() {
        Some(Component::Normal(_)) => {}
        _ => return None,
    }
    let mut path = PathBuf::new();
    for part in parts {
        match part {
            Component::Normal(name) => path.push(name),
            _ => return None,
        }
    }
    Some(path)
}

fn make_folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(|| shown(path))
}

/// A path in an error. The agent chose the name: it must neither break the line nor be longer than one.
fn shown(path: &Path) -> String {
    let text: String = path.to_string_lossy().chars().take(200).collect();
    format!("`{}`", text.escape_debug())
}

/// Writes one file. It follows no link and replaces nothing: the folder was empty, and only files and directories are made
/// in it.
fn write(body: &mut impl Read, path: &Path, mode: u32) -> Result<()> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    io::copy(body, &mut file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::budget::TRANSCRIPT;

    fn archive(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        fill(&mut builder);
        builder.into_inner().unwrap()
    }

    fn header(kind: tar::EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o4777);
        header
    }

    /// A header whose name is taken as it is, climbing or not.
    fn raw(name: &str, kind: tar::EntryType) -> tar::Header {
        let mut header = header(kind, 3);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        header
    }

    #[test]
    fn files_and_directories_come_out_with_masked_modes() {
        use std::os::unix::fs::PermissionsExt;
        let deep = format!("projects/{}/s.jsonl", "long/".repeat(60));
        let bytes = archive(|tar| {
            tar.append_data(&mut header(tar::EntryType::Directory, 0), "projects", io::empty()).unwrap();
            tar.append_data(&mut header(tar::EntryType::Regular, 3), "projects/a/s.jsonl", &b"abc"[..]).unwrap();
            let mut gnu = tar::Header::new_gnu();
            gnu.set_size(2);
            gnu.set_mode(0o644);
            tar.append_data(&mut gnu, &deep, &b"de"[..]).unwrap();
        });
        let into = tempfile::tempdir().unwrap();
        assert_eq!(unpack(&bytes[..], into.path(), TRANSCRIPT).unwrap(), Unpacked { files: 2, skipped: 0 });
        assert_eq!(fs::read(into.path().join("a/s.jsonl")).unwrap(), b"abc");
        assert_eq!(fs::read(into.path().join(&deep["projects/".len()..])).unwrap(), b"de");
        assert_eq!(fs::metadata(into.path().join("a/s.jsonl")).unwrap().permissions().mode() & 0o7777, 0o700);
    }

    #[test]
    fn nothing_hostile_is_made() {
        let bytes = archive(|tar| {
            for (name, kind) in [
                ("projects/../../climbs", tar::EntryType::Regular),
                ("/absolute", tar::EntryType::Regular),
                ("projects/link", tar::EntryType::Symlink),
                ("projects/hard", tar::EntryType::Link),
                ("projects/device", tar::EntryType::Char),
                ("projects/pipe", tar::EntryType::Fifo),
                ("..", tar::EntryType::Directory),
            ] {
                tar.append(&raw(name, kind), &b"bad"[..]).unwrap();
            }
            tar.append(&raw("projects/link/through", tar::EntryType::Regular), &b"fine"[..3]).unwrap();
        });
        let outer = tempfile::tempdir().unwrap();
        let into = outer.path().join("into");
        fs::create_dir(&into).unwrap();
        assert_eq!(unpack(&bytes[..], &into, TRANSCRIPT).unwrap(), Unpacked { files: 1, skipped: 7 });
        assert!(into.join("link").is_dir() && fs::read_dir(outer.path()).unwrap().count() == 1);
    }

    #[test]
    fn no_size_and_no_name_is_believed() {
        let mut huge = header(tar::EntryType::Regular, 0);
        huge.as_mut_bytes()[..10].copy_from_slice(b"projects/a");
        huge.as_mut_bytes()[124..136].copy_from_slice(&[0x80, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
        huge.set_cksum();
        let bytes = archive(|tar| {
            tar.append_data(&mut header(tar::EntryType::Regular, 3), "projects/b", &b"abc"[..]).unwrap();
            tar.append(&huge, io::empty()).unwrap();
        });
        let error = unpack(&bytes[..], tempfile::tempdir().unwrap().path(), TRANSCRIPT).unwrap_err();
        assert!(error.to_string().starts_with("more than"), "{error:#}");
        // Deeper than any path may be: the error names it.
        let mut long = tar::Header::new_gnu();
        long.set_size(0);
        let deep = format!("projects/x\nhint: type this\x1b[2J/{}f", "long/".repeat(2000));
        let bytes = archive(|tar| tar.append_data(&mut long, &deep, io::empty()).unwrap());
        let error = format!("{:#}", unpack(&bytes[..], tempfile::tempdir().unwrap().path(), TRANSCRIPT).unwrap_err());
        assert!(!error.contains(char::is_control) && error.len() < 1000, "{error:?}");
    }

    /// To remove a folder, this program opens all that it is in at once.
    #[test]
    fn what_is_too_deep_to_be_removed_is_not_made() {
        for (kind, depth, is_taken) in [
            (tar::EntryType::Directory, MAX_DEPTH, true),
            (tar::EntryType::Directory, MAX_DEPTH + 1, false),
            (tar::EntryType::Regular, MAX_DEPTH, true),
            (tar::EntryType::Regular, MAX_DEPTH + 1, false),
            (tar::EntryType::Regular, 1500, false),
        ] {
            let deep = format!("projects{}", "/a".repeat(depth));
            let bytes = archive(|tar| {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(kind);
                header.set_size(0);
                tar.append_data(&mut header, &deep, io::empty()).unwrap();
            });
            let into = tempfile::tempdir().unwrap();
            let unpacked = unpack(&bytes[..], into.path(), TRANSCRIPT);
            assert_eq!(unpacked.is_ok(), is_taken, "{kind:?} {depth}");
            assert!(unpacked.err().is_none_or(|error| error.is::<TooLarge>()));
            assert_eq!(into.path().join("a").exists(), is_taken);
        }
    }

    #[test]
    fn broken_archives_are_refused() {
        let good = archive(|tar| {
            tar.append_data(&mut header(tar::EntryType::Regular, 3), "projects/a", &b"abc"[..]).unwrap();
        });
        for length in [1, 511, 513, 700] {
            assert!(unpack(&good[..length], tempfile::tempdir().unwrap().path(), TRANSCRIPT).is_err(), "{length}");
        }
        let twice = archive(|tar| {
            for _ in 0..2 {
                tar.append_data(&mut header(tar::EntryType::Regular, 3), "projects/a", &b"abc"[..]).unwrap();
            }
        });
        assert!(unpack(&twice[..], tempfile::tempdir().unwrap().path(), TRANSCRIPT).is_err());
        assert!(unpack(&b"garbage".repeat(100)[..], tempfile::tempdir().unwrap().path(), TRANSCRIPT).is_err());
        let mut changed = good.clone();
        changed[0] = b'q';
        let error = unpack(&changed[..], tempfile::tempdir().unwrap().path(), TRANSCRIPT).unwrap_err();
        assert_eq!(error.to_string(), "not a tar archive");
    }

    /// A name that is a file and a folder in turn: the first one stays what it is.
    #[test]
    fn nothing_becomes_something_else() {
        use tar::EntryType::{Directory, Regular, Symlink};
        for (first, second) in [
            (raw("projects/a", Regular), raw("projects/a/b", Regular)),
            (raw("projects/a", Directory), raw("projects/a", Regular)),
            (raw("projects/a", Regular), raw("projects/a", Directory)),
        ] {
            let bytes = archive(|tar| {
                tar.append(&first, &b"one"[..]).unwrap();
                tar.append(&second, &b"two"[..]).unwrap();
            });
            let into = tempfile::tempdir().unwrap();
            assert!(unpack(&bytes[..], into.path(), TRANSCRIPT).is_err());
            let left = into.path().join("a");
            assert!(left.is_dir() == (first.entry_type() == Directory), "{left:?}");
            assert!(left.is_dir() || fs::read(left).unwrap() == b"one");
        }
        // A link is never made, so that nothing goes through it.
        let outer = tempfile::tempdir().unwrap();
        let mut link = raw("projects/out", Symlink);
        link.set_link_name(outer.path()).unwrap();
        link.set_cksum();
        let bytes = archive(|tar| {
            tar.append(&link, &b"bad"[..]).unwrap();
            tar.append(&raw("projects/out/file", Regular), &b"two"[..]).unwrap();
        });
        let into = tempfile::tempdir().unwrap();
        unpack(&bytes[..], into.path(), TRANSCRIPT).unwrap();
        assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 0);
    }

    /// Kinds that say more than their size does, or that this reader does not know.
    #[test]
    fn what_is_not_known_is_skipped() {
        let kinds = [tar::EntryType::GNUSparse, tar::EntryType::Continuous, tar::EntryType::new(b'V')];
        let bytes = archive(|tar| {
            for kind in kinds {
                tar.append(&raw("projects/a", kind), &b"bad"[..]).unwrap();
            }
        });
        let into = tempfile::tempdir().unwrap();
        assert_eq!(unpack(&bytes[..], into.path(), TRANSCRIPT).unwrap(), Unpacked { files: 0, skipped: 3 });
        assert_eq!(fs::read_dir(into.path()).unwrap().count(), 0);
    }

    /// A sender that never ends is left at last.
    #[test]
    fn an_endless_archive_ends() {
        let endless = |entry: &[u8]| {
            let entry = entry.to_vec();
            let into = tempfile::tempdir().unwrap();
            unpack(Endless { entry, at: 0 }, into.path(), TRANSCRIPT).map(drop)
        };
        assert!(endless(&[0; BLOCK_BYTES]).is_ok(), "an end that is never over");
        // Names of what never comes.
        let mut header = raw("projects/a", tar::EntryType::XHeader);
        header.set_size(0);
        header.set_cksum();
        let error = endless(header.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("more than"), "{error:#}");
    }

    /// Every size counts before a byte of it is written, a sparse file's too.
    #[test]
    fn what_is_larger_than_its_bound_is_not_begun() {
        let into = tempfile::tempdir().unwrap();
        let mut large = header(tar::EntryType::Regular, 2 << 20);
        large.as_mut_bytes()[..10].copy_from_slice(b"projects/a");
        large.set_cksum();
        let bounds = UnpackBounds { bytes: 1 << 20, entries: 10 };
        let error = unpack(&large.as_bytes()[..], into.path(), bounds).unwrap_err();
        assert!(error.is::<TooLarge>(), "{error:#}");
        assert_eq!(error.to_string(), "more than 10 entries or 1 MiB");
        assert_eq!(fs::read_dir(into.path()).unwrap().count(), 0);
    }

    /// Repeats one entry without an end.
    struct Endless {
        entry: Vec<u8>,
        at: usize,
    }

    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = into.len().min(self.entry.len() - self.at);
            into[..count].copy_from_slice(&self.entry[self.at..self.at + count]);
            self.at = (self.at + count) % self.entry.len();
            Ok(count)
        }
    }
}
