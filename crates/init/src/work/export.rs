//! Exports the agent's work to stdout: differences as text, commits as a bundle, changes as a patch, files outside
//! repositories as an archive.

use super::clean::CleanRepository;
use super::compare::Comparison;
use super::file::open_regular;
use super::git::{Git, fields, lines};
use super::paths::{WorkPaths, repository_name};
use super::repository::Repository;
use super::walk::WorkspaceListing;
use crate::failure::Failure;
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use wire::{Elsewhere, MAX_REFLOG_COMMITS, nearest, one_line};

/// Exit code of `pushed bundle` if nothing was pushed.
pub const EXIT_NOTHING_NEW: i32 = 3;

/// Exit code of every verb on one repository if there is none of its name; its names are on stderr then.
pub const EXIT_UNKNOWN: i32 = 4;

/// Folder of all refs in a bundle.
const BOTTLE_REFS: &[u8] = b"refs/bottle/";

/// Longest list of the host's commits that `work bundle` reads, in bytes.
const MAX_HAVE_BYTES: u64 = 16 << 20;
/// Longest loose file that a difference shows: as much as the host takes of a whole difference. A sparse file can have a
/// length that takes hours to read.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// How much a diff shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Stat,
    Whole,
    /// What each commit and stash changes, too.
    Commits,
}

/// Runs `export` on the repository of this name. [`EXIT_UNKNOWN`] if there is none.
fn with_repository(
    paths: &WorkPaths,
    name: &str,
    host: Elsewhere,
    export: impl FnOnce(&CleanRepository, &Elsewhere) -> Result<i32, Failure>,
) -> Result<i32, Failure> {
    let Comparison { baseline, listing, host } = Comparison::load(paths, host)?;
    let path = listing.repositories.iter().find(|path| repository_name(path) == name);
    let Some(path) = path else { return say_unknown(name, &listing) };
    let repository = Repository::open(&paths.workspace, path, &listing)?;
    export(&CleanRepository::new(&repository, &baseline, paths)?, &host)
}

/// Says on stderr that the workspace has no repository of this name, and which it has.
fn say_unknown(name: &str, listing: &WorkspaceListing) -> Result<i32, Failure> {
    let names: Vec<String> = listing.repositories.iter().map(|path| one_line(&repository_name(path))).collect();
    let near = nearest(name, names.iter().map(String::as_str));
    let meant = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    let has = match names.is_empty() {
        true => "there is none".to_owned(),
        false => format!("there is `{}`", names.join("`, `")),
    };
    writeln!(io::stderr(), "no repository `{}` in the workspace: {has}{meant}", one_line(name))?;
    Ok(EXIT_UNKNOWN)
}

/// Prints a line `base COMMIT` or `base none`, then one patch of the changes in the worktree that the host lacks.
///
/// If changes of this repository were applied there, a second patch follows, of all changes, then the length of the first in
/// [`wire::LENGTH_DIGITS`] digits, and a newline.
///
/// # Errors
/// There is no such repository, or git fails.
pub fn patch(paths: &WorkPaths, name: &str, host: Elsewhere) -> Result<i32, Failure> {
    with_repository(paths, name, host, |clean, host| {
        let head = clean.repository.head()?;
        let mut out = CountingWriter { out: io::stdout(), count: 0 };
        writeln!(out, "base {}", head.as_deref().unwrap_or("none"))?;
        let start = out.count;
        let trees = clean.trees(host)?;
        print_changes(clean, [&trees.host, &trees.now], Detail::Whole, &mut out)?;
        if host.changes.contains_key(name) {
            let length = out.count - start;
            print_changes(clean, [&trees.before, &trees.now], Detail::Whole, &mut out)?;
            writeln!(out, "{length:0width$}", width = wire::LENGTH_DIGITS)?;
        }
        Ok(0)
    })
}

/// Counts the bytes that pass.
struct CountingWriter<W> {
    out: W,
    count: u64,
}

impl<W: Write> Write for CountingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Prints the changes from one tree to another.
fn print_changes(
    clean: &CleanRepository,
    trees: [&str; 2],
    detail: Detail,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let fixed = [
        "diff",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--src-prefix=a/",
        "--dst-prefix=b/",
        "--ignore-submodules=all",
    ];
    let form: &[&str] = match detail {
        Detail::Stat => &["--stat"],
        Detail::Whole | Detail::Commits => &["--binary", "--full-index"],
    };
    let git = clean.git().args(fixed).args(form).args(trees);
    match git.print_to(b"", out)?.success() {
        true => Ok(()),
        false => Err(Failure("git made no patch".into())),
    }
}

/// What the host says that it has, from stdin; nothing if that is empty.
///
/// # Errors
/// It is not understood.
pub fn read_elsewhere() -> Result<Elsewhere, Failure> {
    let mut bytes = Vec::new();
    io::stdin().take(wire::MAX_ELSEWHERE_BYTES).read_to_end(&mut bytes)?;
    Ok(if bytes.is_empty() { Elsewhere::default() } else { serde_json::from_slice(&bytes)? })
}

/// The ids of the host's commits, from stdin.
pub fn read_have() -> Result<Vec<u8>, Failure> {
    let mut have = Vec::new();
    io::stdin().take(MAX_HAVE_BYTES).read_to_end(&mut have)?;
    Ok(have)
}

/// Prints a bundle with all branches and stashes of the agent's, what is checked out first, and those of their commits that the
/// host lacks. Stdin lists
/// the commits that it has, one on each line. Where it has them all, no pack follows the header.
///
/// # Errors
/// There is no such repository, or git fails.
pub fn bundle(paths: &WorkPaths, name: &str) -> Result<i32, Failure> {
    let have = read_have()?;
    with_repository(paths, name, Elsewhere::default(), |clean, _| print_bundle(clean, exported_refs(clean)?, &have))
}

/// Prints a bundle with these refs, and what they lead to and the host lacks. `have`: ids of the commits that it has, one on
/// each line. Where it has them all, no pack follows the header.
pub fn print_bundle(clean: &CleanRepository, refs: Vec<ExportedRef>, have: &[u8]) -> Result<i32, Failure> {
    let mut exported = Vec::new();
    for ExportedRef { id, name } in refs {
        let args = [OsStr::new("update-ref"), OsStr::from_bytes(&name), OsStr::new(&id)];
        // A commit whose objects are missing is left out; the others are exported.
        if clean.git().args(args).run(b"")?.is_success() {
            exported.push((id, name));
        }
    }
    let mut revisions = Vec::new();
    for id in exported.iter().map(|(id, _)| id) {
        revisions.extend_from_slice(format!("{id}\n").as_bytes());
    }
    let known = clean.git().args(["cat-file", "--batch-check=%(objectname) %(objecttype)"]).stdout(have)?;
    for line in lines(&known) {
        if let Some((id, "commit")) = line.split_once(' ') {
            revisions.extend_from_slice(format!("^{id}\n").as_bytes());
        }
    }
    let mut out = io::stdout();
    print_bundle_header(clean, &exported, &mut out)?;
    let count = clean.git().args(["rev-list", "--count", "--stdin"]).stdout(&revisions)?;
    // Beside commits there may be tags of known ones.
    if lines(&count).first().is_none_or(|count| count == "0")
        && clean.git().args(["rev-list", "--objects", "--stdin"]).stdout(&revisions)?.is_empty()
    {
        return Ok(0);
    }
    let options = ["--quiet", "--revs", "--thin", "--delta-base-offset", "--stdout"];
    match clean.git().args(["pack-objects"]).args(options).print_to(&revisions, &mut out)?.success() {
        true => Ok(0),
        false => Err(Failure("git made no pack".into())),
    }
}

/// Prints the header of a bundle: what git writes, but with all refs, whether the pack has their commits or not.
fn print_bundle_header(
    clean: &CleanRepository,
    exported: &[(String, Vec<u8>)],
    out: &mut impl Write,
) -> Result<(), Failure> {
    match clean.repository.empty_tree()?.len() {
        40 => writeln!(out, "# v2 git bundle")?,
        _ => writeln!(out, "# v3 git bundle\n@object-format=sha256")?,
    }
    for (id, name) in exported {
        out.write_all(&[id.as_bytes(), b" ", name, b"\n"].concat())?;
    }
    Ok(out.write_all(b"\n")?)
}

/// A commit to export.
pub struct ExportedRef {
    id: String,
    /// The ref that it gets in the bundle. A name of git's need not be UTF-8.
    name: Vec<u8>,
}

impl ExportedRef {
    pub fn new(id: String, kind: &str, name: &[u8]) -> ExportedRef {
        ExportedRef { id, name: [BOTTLE_REFS, kind.as_bytes(), name].concat() }
    }

    /// Reads a line of `git for-each-ref`: the id, and the ref's name below `refs/`, which begins with `kind`.
    fn from_line(line: &[u8], kind: &str) -> Option<ExportedRef> {
        let blank = line.iter().position(|byte| *byte == b' ')?;
        let name = line[blank + 1..].strip_prefix(b"refs/")?.strip_prefix(kind.as_bytes())?;
        Some(ExportedRef::new(String::from_utf8_lossy(&line[..blank]).into_owned(), kind, name))
    }
}

fn exported_refs(clean: &CleanRepository) -> Result<Vec<ExportedRef>, Failure> {
    let repository = clean.repository;
    let branches = repository.git().args(["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads"]);
    let branches = branches.stdout(b"")?;
    let branches = branches.split(|byte| *byte == b'\n');
    let mut refs: Vec<ExportedRef> = branches.filter_map(|line| ExportedRef::from_line(line, "heads/")).collect();
    let heads = repository.detached_heads();
    refs.extend(heads.iter().map(|(name, id)| ExportedRef::new(id.clone(), "", name)));
    let stashes = repository.new_stashes(clean.baseline, &Elsewhere::default())?.into_iter().enumerate();
    refs.extend(stashes.map(|(number, id)| ExportedRef::new(id, "stash/", number.to_string().as_bytes())));
    // A tag is exported only if its commit is on no branch and not checked out.
    let only_tagged = ["rev-list", "--ignore-missing", "--tags", "--not", "--branches"].into_iter();
    let only_tagged = only_tagged.chain(heads.iter().map(|(_, id)| id.as_str()));
    let only_tagged: HashSet<String> = lines(&repository.git().args(only_tagged).stdout(b"")?).into_iter().collect();
    let format = "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end) %(refname)";
    let tags = repository.git().args(["for-each-ref", format, "refs/tags"]).stdout(b"")?;
    let tags = tags.split(|byte| *byte == b'\n').filter_map(|line| ExportedRef::from_line(line, "tags/"));
    refs.extend(tags.filter(|tag| only_tagged.contains(&tag.id)));
    // What is checked out comes first: a clone begins with it.
    let branch = repository.git().args(["symbolic-ref", "--quiet", "HEAD"]).run(b"")?.stdout;
    let head = branch.trim_ascii_end().strip_prefix(b"refs/").unwrap_or(b"HEAD");
    refs.sort_by_key(|exported| exported.name.strip_prefix(BOTTLE_REFS) != Some(head));
    Ok(refs)
}

/// Prints the new or changed files outside any repository as a tar stream, in one folder `files`.
///
/// # Errors
/// There is no baseline, or stdout cannot be written.
pub fn files(paths: &WorkPaths) -> Result<i32, Failure> {
    let listing = Comparison::load(paths, Elsewhere::default())?.listing;
    let mut archive = tar::Builder::new(io::stdout());
    for path in listing.files {
        // Links, pipes and unreadable files are not exported; `work diff` lists them.
        let Some((file, meta)) = open_regular(&paths.workspace.join(&path)) else { continue };
        let mut header = tar::Header::new_gnu();
        header.set_metadata(&meta);
        // Exactly as many bytes as the header says, whatever another process writes to the file meanwhile.
        let content = file.chain(io::repeat(0)).take(meta.len());
        archive.append_data(&mut header, Path::new("files").join(&path), content)?;
    }
    archive.finish()?;
    Ok(0)
}

/// Prints all work that exists nowhere else, readable for people and for programs that read patches. `only`: the name of
/// one repository, without the others and without files outside repositories.
///
/// # Errors
/// There is no baseline or no such repository, or stdout cannot be written.
pub fn diff(paths: &WorkPaths, only: Option<&str>, detail: Detail, host: Elsewhere) -> Result<i32, Failure> {
    let Comparison { baseline, listing, host } = Comparison::load(paths, host)?;
    let chosen = |path: &&std::path::PathBuf| only.is_none_or(|only| only == repository_name(path));
    let repositories: Vec<_> = listing.repositories.iter().filter(chosen).collect();
    if let (Some(only), true) = (only, repositories.is_empty()) {
        return say_unknown(only, &listing);
    }
    for path in repositories {
        let printed = Repository::open(&paths.workspace, path, &listing).and_then(|repository| {
            print_repository(&CleanRepository::new(&repository, &baseline, paths)?, detail, &host)
        });
        // A repository that cannot be read does not hide the others.
        if let Err(Failure(why)) = printed {
            print_line(&format!("# repository {}: cannot be read: {why}", repository_name(path)))?;
        }
    }
    if only.is_some() {
        return Ok(0);
    }
    if !listing.files.is_empty() {
        print_line("# files outside repositories")?;
    }
    for path in &listing.files {
        match detail {
            Detail::Stat => print_line(&format!(" {}", path.display()))?,
            Detail::Whole | Detail::Commits => print_file(paths, path)?,
        }
    }
    for path in &listing.unreadable {
        print_line(&format!("# cannot be read: {}", repository_name(path)))?;
    }
    Ok(0)
}

/// Prints the work in one repository; nothing if there is none.
fn print_repository(clean: &CleanRepository, detail: Detail, host: &Elsewhere) -> Result<(), Failure> {
    let (repository, baseline) = (clean.repository, clean.baseline);
    let commits = repository.new_commits(baseline, host)?;
    let stashes = repository.new_stashes(baseline, host)?;
    let is_changed = || match host.changes.contains_key(&repository_name(&repository.path)) {
        true => clean.trees(host).map(|trees| trees.host != trees.now),
        false => repository.changed_files(baseline).map(|files| !files.is_empty()),
    };
    // What cannot be read has none to be named.
    let mut reflog = repository.reflog_commits(baseline, host).unwrap_or_default();
    reflog.truncate(MAX_REFLOG_COMMITS);
    if commits.is_empty() && stashes.is_empty() && reflog.is_empty() && !is_changed()? {
        return Ok(());
    }
    print_line(&format!("# repository {}", repository_name(&repository.path)))?;
    for (what, ids) in [("commit", commits), ("stash", stashes), ("only in a reflog:", reflog)] {
        for (commit, id) in repository.describe(&ids)?.iter().zip(&ids) {
            print_line(&format!("# {what} {commit}"))?;
            if detail == Detail::Commits {
                print_commit(clean, id)?;
            }
        }
    }
    let unmerged = repository.git().args(["ls-files", "--unmerged", "-z"]).stdout(b"")?;
    let unmerged: BTreeSet<&[u8]> =
        fields(&unmerged).filter_map(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1)).collect();
    for path in unmerged {
        print_line(&format!("# unmerged: {}", String::from_utf8_lossy(path)))?;
    }
    let trees = clean.trees(host)?;
    print_changes(clean, [&trees.host, &trees.now], detail, &mut io::stdout())
}

/// Prints what a commit changes against its first parent.
fn print_commit(clean: &CleanRepository, id: &str) -> Result<(), Failure> {
    let args = ["diff-tree", "--root", "-m", "--first-parent", "-p", "--no-commit-id", "--no-color", "--no-ext-diff"];
    clean.git().args(args).args(["--no-textconv", "--no-renames", id]).print(b"").map(drop)
}

/// Prints a line of ours between the patches. What is named in it is the agent's, and must not end the line or hide in it.
fn print_line(text: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{}", one_line(text))?)
}

/// Prints one file outside any repository as a patch that creates it. Anything but a file or a link, and a file above
/// [`MAX_FILE_BYTES`], is only named.
fn print_file(paths: &WorkPaths, path: &Path) -> Result<(), Failure> {
    let meta = fs::symlink_metadata(paths.workspace.join(path));
    let Some(meta) = meta.ok().filter(|meta| meta.is_file() || meta.is_symlink()) else {
        return print_line(&format!("# no regular file: {}", path.display()));
    };
    if meta.len() > MAX_FILE_BYTES {
        return print_line(&format!("# too large to show ({} bytes): {}", meta.len(), path.display()));
    }
    let git = Git::without_repository(&paths.workspace);
    let args = ["diff", "--no-index", "--no-color", "--no-ext-diff", "--no-textconv", "--", "/dev/null"];
    // git ends with status 1 if there is a difference.
    git.args(args).args([path]).print(b"").map(drop)
}
