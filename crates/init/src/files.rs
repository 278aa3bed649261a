//! Files of the go, written below the home. On `resume` the agent has had the home: anything in it may be hostile.
//!
//! Invariant: no symbolic link is followed in any component, so nothing outside the home is read or written. A file is
//! replaced whole (written beside, then renamed). What is in the way is moved aside, never deleted.

use crate::failure::{Failure, print_error};
use crate::merge;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use wire::{File, GoMessage, Source, WriteMode};

/// Longest existing file that is read for a merge, in bytes. It is longer than any settings file; the agent may have put
/// anything there.
const MAX_EXISTING_BYTES: u64 = 64 << 20;
const DIRECTORY_FLAGS: OFlag =
    OFlag::O_DIRECTORY.union(OFlag::O_RDONLY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Writes all files of the go.
///
/// # Errors
/// A path that is not below the home, a missing value, or a file that cannot be written.
pub fn write_all(message: &GoMessage, home: &Path) -> Result<(), Failure> {
    for file in &message.go.files {
        let content = content(message, &file.source)?;
        write(file, content, home).map_err(|Failure(why)| Failure(format!("cannot write `{}`: {why}", file.path)))?;
    }
    Ok(())
}

/// The bytes of a source.
///
/// # Errors
/// The go does not contain the value that the source names.
pub fn content<'a>(message: &'a GoMessage, source: &'a Source) -> Result<&'a [u8], Failure> {
    match source {
        Source::Text(text) => Ok(text.as_bytes()),
        Source::Value(name) => match message.values.get(name) {
            Some(blob) => Ok(&blob.0),
            None => Err(Failure(format!("the gate's go names a value `{name}` and does not bring it"))),
        },
    }
}

fn write(file: &File, content: &[u8], home: &Path) -> Result<(), Failure> {
    let names: Vec<&str> = file.path.split('/').collect();
    if names.iter().any(|name| matches!(*name, "" | "." | "..") || name.contains('\0')) {
        return Err(Failure("not a path below the home".into()));
    }
    let Some((name, parents)) = names.split_last() else {
        return Err(Failure("no name".into()));
    };
    // The path of the home itself is not the agent's and may contain links.
    let mut directory: OwnedFd = std::fs::File::open(home)?.into();
    for parent in parents {
        directory = open_or_make_directory(&directory, parent)?;
    }
    let merged = match file.how {
        WriteMode::Put => None,
        WriteMode::Merge => {
            let theirs = read_regular(&directory, name);
            let merged = merge::merge_text(theirs.as_deref(), content);
            Some(merged.ok_or_else(|| Failure("the gate's go brings no JSON object for it".into()))?)
        }
    };
    replace(&directory, name, merged.as_deref().unwrap_or(content), file.mode)
}

/// Opens the directory `name`. Makes it if it is missing, and moves aside what is no directory.
fn open_or_make_directory(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Failure> {
    for _ in 0..2 {
        match openat(parent, name, DIRECTORY_FLAGS, Mode::empty()) {
            Err(Errno::ENOENT) => {}
            Err(Errno::ENOTDIR | Errno::ELOOP) => move_aside(parent, name)?,
            end => return Ok(end?),
        }
        mkdirat(parent, name, Mode::from_bits_truncate(0o755))?;
    }
    Ok(openat(parent, name, DIRECTORY_FLAGS, Mode::empty())?)
}

/// The content of a regular file; `None` if there is none or it cannot be read.
fn read_regular(parent: &OwnedFd, name: &str) -> Option<Vec<u8>> {
    // Without O_NONBLOCK the open of a named pipe would wait for ever.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = openat(parent, name, flags, Mode::empty()).ok()?;
    let is_regular = file_type(fstat(&file).ok()?.st_mode) == SFlag::S_IFREG;
    let mut content = Vec::new();
    is_regular.then(|| std::fs::File::from(file).take(MAX_EXISTING_BYTES).read_to_end(&mut content).ok()).flatten()?;
    Some(content)
}

/// Writes the file under a temporary name and renames it over `name`.
fn replace(parent: &OwnedFd, name: &str, content: &[u8], mode: u32) -> Result<(), Failure> {
    if fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|stat| file_type(stat.st_mode) == SFlag::S_IFDIR) {
        move_aside(parent, name)?;
    }
    let temporary = format!(".claude-bottle-{}", std::process::id());
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let made = match openat(parent, temporary.as_str(), flags, Mode::from_bits_truncate(0o600)) {
        // A start that was killed left it.
        Err(Errno::EEXIST) => {
            move_aside(parent, &temporary)?;
            openat(parent, temporary.as_str(), flags, Mode::from_bits_truncate(0o600))?
        }
        end => end?,
    };
    let mut file = std::fs::File::from(made);
    let written = file
        .write_all(content)
        .map_err(Failure::from)
        .and_then(|()| Ok(fchmod(file.as_fd(), Mode::from_bits_truncate(mode & 0o7777))?))
        .and_then(|()| Ok(renameat(parent, temporary.as_str(), parent, name)?));
    if written.is_err() {
        let _ = unlinkat(parent, temporary.as_str(), UnlinkatFlags::NoRemoveDir);
    }
    written
}

/// Renames `name` to the first free `name.aside-NUMBER` and tells the user.
fn move_aside(parent: &OwnedFd, name: &str) -> Result<(), Failure> {
    let taken = Dir::openat(parent, ".", DIRECTORY_FLAGS, Mode::empty()).map(|mut directory| {
        directory.iter().flatten().map(|entry| entry.file_name().to_owned()).collect::<Vec<_>>()
    })?;
    for number in 1.. {
        let aside = format!("{name}.aside-{number}");
        if taken.iter().any(|taken| taken.to_bytes() == aside.as_bytes()) {
            continue;
        }
        renameat2(parent, name, parent, aside.as_str(), RenameFlags::RENAME_NOREPLACE)?;
        print_error(&format!("`{name}` in the bottle's home was no place for its settings: it is now `{aside}`"));
        return Ok(());
    }
    Ok(())
}

fn file_type(mode: nix::libc::mode_t) -> SFlag {
    SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use wire::{Blob, Go};

    fn put(home: &Path, path: &str, how: WriteMode, text: &str) -> Result<(), String> {
        let file = File { path: path.into(), mode: 0o640, how, source: Source::Text(text.into()) };
        let message = GoMessage { go: Go { files: vec![file], ..Go::default() }, values: Default::default() };
        write_all(&message, home).map_err(|Failure(why)| why)
    }

    #[test]
    fn files_are_put_with_their_mode() {
        let home = tempfile::tempdir().unwrap();
        put(home.path(), ".claude/deep/settings.json", WriteMode::Put, "{}").unwrap();
        put(home.path(), ".claude/deep/settings.json", WriteMode::Put, "second").unwrap();
        let path = home.path().join(".claude/deep/settings.json");
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn merging_keeps_the_agents_keys() {
        let home = tempfile::tempdir().unwrap();
        put(home.path(), "a.json", WriteMode::Merge, r#"{"ours":1}"#).unwrap();
        fs::write(home.path().join("a.json"), r#"{"ours":2,"theirs":3}"#).unwrap();
        put(home.path(), "a.json", WriteMode::Merge, r#"{"ours":1}"#).unwrap();
        let merged: serde_json::Value = serde_json::from_slice(&fs::read(home.path().join("a.json")).unwrap()).unwrap();
        assert_eq!(merged, serde_json::json!({"ours":1,"theirs":3}));
        assert!(put(home.path(), "a.json", WriteMode::Merge, "[]").unwrap_err().contains("no JSON object"));
    }

    #[test]
    fn no_path_climbs() {
        let outer = tempfile::tempdir().unwrap();
        let home = outer.path().join("home");
        fs::create_dir(&home).unwrap();
        for path in ["../x", "/x", "", "a/../../x", "a//b", "./a", "a/", "a\0b"] {
            assert!(put(&home, path, WriteMode::Put, "x").is_err(), "{path:?}");
        }
        assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
        assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
    }

    #[test]
    fn no_link_is_followed() {
        let outer = tempfile::tempdir().unwrap();
        let (home, outside) = (outer.path().join("home"), outer.path().join("outside"));
        fs::create_dir_all(home.join(".claude")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret.json"), r#"{"secret":1}"#).unwrap();

        symlink(outside.join("secret.json"), home.join(".claude/settings.json")).unwrap();
        put(&home, ".claude/settings.json", WriteMode::Merge, r#"{"ours":1}"#).unwrap();
        let written = fs::read_to_string(home.join(".claude/settings.json")).unwrap();
        assert!(!written.contains("secret") && written.contains("ours"));
        assert!(!fs::symlink_metadata(home.join(".claude/settings.json")).unwrap().is_symlink());

        symlink(&outside, home.join("link")).unwrap();
        put(&home, "link/new.json", WriteMode::Put, "{}").unwrap();
        assert!(home.join("link/new.json").exists());
        assert_eq!(fs::read_link(home.join("link.aside-1")).unwrap(), outside);

        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(outside.join("secret.json")).unwrap(), r#"{"secret":1}"#);
    }

    #[test]
    fn what_stands_in_the_way_is_moved_aside() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("a.json")).unwrap();
        fs::write(home.path().join("a.json/kept"), "kept").unwrap();
        put(home.path(), "a.json", WriteMode::Merge, "{}").unwrap();
        assert_eq!(fs::read_to_string(home.path().join("a.json.aside-1/kept")).unwrap(), "kept");
        nix::unistd::mkfifo(&home.path().join("pipe"), Mode::from_bits_truncate(0o600)).unwrap();
        put(home.path(), "pipe", WriteMode::Merge, "{}").unwrap();
        fs::write(home.path().join("file"), "kept").unwrap();
        put(home.path(), "file/a", WriteMode::Put, "new").unwrap();
        assert_eq!(fs::read_to_string(home.path().join("file/a")).unwrap(), "new");
        assert_eq!(fs::read_to_string(home.path().join("file.aside-1")).unwrap(), "kept");
    }

    #[test]
    fn a_missing_value_is_an_error() {
        let message = GoMessage { go: Go::default(), values: [("a".to_owned(), Blob(vec![1]))].into() };
        assert_eq!(content(&message, &Source::Value("a".into())).unwrap(), [1]);
        assert!(content(&message, &Source::Value("b".into())).is_err());
    }
}
