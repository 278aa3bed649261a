//! The host's git on the host's repositories. What a repository configures to run by itself (hooks, a file system
//! monitor) stays off, and variables of the caller that lead git to another repository are removed.

use crate::exit::{EngineError, UserError};
use anyhow::Result;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
pub use sys::git::GitOutput;

/// Longest output of git that is read, in bytes. The list of files of the largest known repositories is below it.
const MAX_OUTPUT_BYTES: u64 = 1 << 30;

/// Longest header of a bundle that is read, in bytes: 100,000 refs of the usual length are below it.
const MAX_BUNDLE_HEADER_BYTES: u64 = 16 << 20;

/// Longest part of a ref's name, in bytes: a file's name with `.lock` behind it has at most 255.
const MAX_REF_PART_BYTES: usize = 200;

/// One call of git, to be given its arguments and run. Its errors are the user's.
pub struct Git(sys::git::Git);

impl Git {
    /// git in this folder.
    pub fn new(folder: &Path) -> Git {
        Git(sys::git::Git::new(folder).max_output(MAX_OUTPUT_BYTES))
    }

    /// git in a folder that may come from anyone: no transport is allowed.
    pub fn offline(folder: &Path) -> Git {
        Git(Git::new(folder).0.offline())
    }

    pub fn args<S: AsRef<OsStr>>(self, args: impl IntoIterator<Item = S>) -> Git {
        Git(self.0.args(args))
    }

    /// Runs git with `stdin` as its input.
    ///
    /// # Errors
    /// `UserError` if git is not installed, cannot be run, prints more than 1 GiB or takes longer than an hour.
    pub fn run(self, stdin: Vec<u8>) -> Result<GitOutput, UserError> {
        self.0.run(stdin).map_err(user_error)
    }

    /// Runs git with an open file as its input, from the file's position.
    ///
    /// # Errors
    /// As for [`Git::run`].
    pub fn run_reading(self, stdin: File) -> Result<GitOutput, UserError> {
        self.0.run_reading(stdin).map_err(user_error)
    }
}

fn user_error(error: io::Error) -> UserError {
    match error.kind() {
        ErrorKind::NotFound => UserError::new("no `git` on this machine").hint("install git"),
        _ => UserError::new(format!("cannot run `git`: {error}")),
    }
}

/// The top directory of the repository that contains `folder`; `None` if there is none.
///
/// # Errors
/// As for [`Git::run`].
pub fn top(folder: &Path) -> Result<Option<PathBuf>, UserError> {
    let mut output = Git::new(folder).args(["rev-parse", "--show-toplevel"]).run(Vec::new())?;
    output.stdout.pop();
    let found = output.is_success() && !output.stdout.is_empty();
    Ok(found.then(|| PathBuf::from(OsString::from_vec(output.stdout))))
}

/// The ids of the commits and tags that the refs point at, one on each line.
///
/// # Errors
/// As for [`Git::run`].
pub fn tips(repository: &Path) -> Result<Vec<u8>, UserError> {
    Ok(Git::new(repository).args(["for-each-ref", "--format=%(objectname)"]).run(Vec::new())?.stdout)
}

/// Fetches the refs `refs/bottle/…` of a bundle as `refs/bottles/IDENTITY/…`, and nothing else: no tag, no `FETCH_HEAD`.
/// The bundle's objects are checked first; a name is written by [`plain_ref`].
///
/// # Errors
/// `EngineError` with git's own error line.
pub fn fetch(repository: &Path, bundle: &Path, identity: &str) -> Result<()> {
    expect_success(&check_objects(repository, bundle)?)?;
    let fixed = [
        "-c",
        "fetch.writeCommitGraph=false",
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-recurse-submodules",
        "--no-write-fetch-head",
        "--no-auto-maintenance",
        "--no-prune",
        "--no-prune-tags",
        "--no-show-forced-updates",
        "--refmap=",
        "--stdin",
    ];
    let mut refspecs = BTreeSet::new();
    for name in bundle_refs(bundle)? {
        let to = format!(":refs/bottles/{identity}/{}\n", plain_ref(&name));
        refspecs.insert([b"+refs/bottle/", &*name, to.as_bytes()].concat());
    }
    if refspecs.is_empty() {
        return Ok(());
    }
    let git = Git::new(repository).args(fixed);
    expect_success(&git.args([bundle]).run(refspecs.into_iter().flatten().collect())?)
}

/// The names behind `refs/bottle/` of a bundle's header. One that git takes for no ref of its own is left out, as git's
/// own patterns do.
fn bundle_refs(bundle: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for line in BufReader::new(File::open(bundle)?).take(MAX_BUNDLE_HEADER_BYTES).split(b'\n') {
        let line = line?;
        if line.is_empty() {
            break;
        }
        let id = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let name = line[id..].strip_prefix(b" refs/bottle/");
        names.extend(name.filter(|name| is_ref_name(name)).map(<[u8]>::to_vec));
    }
    Ok(names)
}

/// Does `git check-ref-format` take this name behind `refs/bottle/`?
fn is_ref_name(name: &[u8]) -> bool {
    let is_part = |part: &[u8]| !part.is_empty() && !part.starts_with(b".") && !part.ends_with(b".lock");
    let has_pair = |pair: &[u8]| name.windows(2).any(|two| two == pair);
    name.split(|byte| *byte == b'/').all(is_part)
        && !name.iter().any(|byte| *byte <= b' ' || b"\x7f~^:?*[\\".contains(byte))
        && !has_pair(b"..")
        && !has_pair(b"@{")
        && !name.ends_with(b".")
}

/// The name of a ref of a bottle, as it is written on the host: of `A-Z a-z 0-9 . _ / -`, which no shell reads as anything
/// else; each other byte is `%` and two digits. Two names never become one.
///
/// A part longer than a file's name may be is divided by `%/%`, which no other name contains.
pub fn plain_ref(name: &[u8]) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut part = 0;
    for &byte in name {
        match byte {
            b'/' => part = 0,
            _ if part >= MAX_REF_PART_BYTES => {
                plain.push_str("%/%");
                part = 1;
            }
            _ => {}
        }
        let before = plain.len();
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-' => plain.push(byte.into()),
            _ => plain.push_str(&format!("%{byte:02X}")),
        }
        if byte != b'/' {
            part += plain.len() - before;
        }
    }
    plain
}

fn expect_success(output: &GitOutput) -> Result<()> {
    match output.is_success() {
        true => Ok(()),
        false => Err(EngineError::new(format!("the commits were not taken: {}", output.error_line())).into()),
    }
}

/// Unpacks a bundle into an object folder beside the repository's and lets git check each new object. A fetch is not
/// enough: git before 2.46 does not check a bundle's objects, whatever `fetch.fsckObjects` says.
fn check_objects(repository: &Path, bundle: &Path) -> Result<GitOutput> {
    let mut file = BufReader::new(File::open(bundle)?);
    // The pack begins after the first empty line.
    let (mut line, mut start) = (Vec::new(), 0);
    while line != b"\n" {
        line.clear();
        match file.read_until(b'\n', &mut line)? {
            0 => break,
            count => start += count as u64,
        }
    }
    let mut pack = file.into_inner();
    pack.seek(SeekFrom::Start(start))?;
    let objects = Git::new(repository).args(["rev-parse", "--path-format=absolute", "--git-path", "objects"]);
    let aside = tempfile::tempdir_in(bundle.parent().unwrap_or(Path::new(".")))?;
    fs::create_dir(aside.path().join("info"))?;
    fs::write(aside.path().join("info/alternates"), objects.run(Vec::new())?.stdout)?;
    let Git(git) = Git::new(repository).args(["index-pack", "--stdin", "--fix-thin", "--strict"]);
    Ok(Git(git.env("GIT_OBJECT_DIRECTORY", aside.path())).run_reading(pack)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_fetched_ref_has_a_plain_name_of_its_own() {
        let plain = |name: &str| plain_ref(name.as_bytes());
        assert_eq!(plain("heads/fix/a-b_c.d"), "heads/fix/a-b_c.d");
        assert_eq!(plain("heads/a;touch${IFS}PWN"), "heads/a%3Btouch%24%7BIFS%7DPWN");
        assert_eq!(plain("heads/a%3B"), "heads/a%253B");
        let long = format!("heads/{}.x/é", "é".repeat(100));
        let names =
            ["heads/a;", "heads/a%3B", "heads/a%3b", "heads/@", "heads/é", "heads/e\u{301}", &long, &long[..150]];
        let written: Vec<String> = names.iter().map(|name| plain(name)).collect();
        assert_eq!(written.iter().collect::<HashSet<_>>().len(), names.len(), "{written:?}");
        for name in written {
            assert!(is_ref_name(name.as_bytes()), "{name}");
            assert!(name.split('/').all(|part| part.len() <= MAX_REF_PART_BYTES + 3), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/-%".contains(&byte)), "{name}");
        }
    }

    #[test]
    fn names_that_are_no_refs_are_left_out() {
        for name in ["", "a..b", "a b", ".a", "a/.b", "a.lock", "a/", "a//b", "a:b", "a*", "a@{b", "a.", "a\x07"] {
            assert!(!is_ref_name(name.as_bytes()), "{name}");
        }
    }
}
