//! Exports the agent's work to stdout: differences as text, commits as a bundle, changes as a patch, files outside
//! repositories as an archive.

use super::baseline::Baseline;
use super::clean::CleanRepository;
use super::compare::repository_name;
use super::file::open_regular;
use super::git::{Git, lines};
use super::paths::WorkPaths;
use super::repository::Repository;
use super::walk::{WorkspaceListing, walk};
use crate::failure::Failure;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use wire::{nearest, one_line};

/// Exit code of `work bundle` if the host has every commit already.
pub const EXIT_NOTHING_NEW: i32 = 3;

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
}

/// The workspace, and the baseline with which it is compared.
struct Comparison {
    baseline: Baseline,
    listing: WorkspaceListing,
}

impl Comparison {
    fn load(paths: &WorkPaths) -> Result<Comparison, Failure> {
        let baseline = Baseline::load(paths)?;
        let listing = walk(&paths.workspace, baseline.instant)?;
        Ok(Comparison { baseline, listing })
    }
}

/// Runs `export` on the repository of this name.
fn with_repository(
    paths: &WorkPaths,
    name: &str,
    export: impl FnOnce(&CleanRepository) -> Result<i32, Failure>,
) -> Result<i32, Failure> {
    let Comparison { baseline, listing } = Comparison::load(paths)?;
    let path = listing.repositories.iter().find(|path| repository_name(path) == name);
    let path = path.ok_or_else(|| unknown_repository(name, &listing))?;
    let repository = Repository::open(&paths.workspace, path, &listing)?;
    export(&CleanRepository::new(&repository, &baseline, paths)?)
}

fn unknown_repository(name: &str, listing: &WorkspaceListing) -> Failure {
    let names: Vec<String> = listing.repositories.iter().map(|path| repository_name(path)).collect();
    let near = nearest(name, names.iter().map(String::as_str));
    let meant = near.map_or_else(String::new, |near| format!(": did you mean `{near}`?"));
    Failure(format!("no repository `{name}` in the workspace{meant}"))
}

/// Prints a line `base COMMIT` or `base none`, then one patch of the changes in the worktree.
///
/// # Errors
/// There is no such repository, or git fails.
pub fn patch(paths: &WorkPaths, name: &str) -> Result<i32, Failure> {
    with_repository(paths, name, |clean| {
        let head = clean.repository.head()?;
        writeln!(io::stdout(), "base {}", head.as_deref().unwrap_or("none"))?;
        print_changes(clean, Detail::Whole).map(|()| 0)
    })
}

/// Prints the changes in the worktree.
fn print_changes(clean: &CleanRepository, detail: Detail) -> Result<(), Failure> {
    let before = clean.tree_before()?;
    let now = clean.tree_now(&before)?;
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
        Detail::Whole => &["--binary", "--full-index"],
    };
    let git = clean.git().args(fixed).args(form).args([&before, &now]);
    match git.print(b"")?.success() {
        true => Ok(()),
        false => Err(Failure("git made no patch".into())),
    }
}

/// The ids of the host's commits, from stdin.
pub fn read_have() -> Result<Vec<u8>, Failure> {
    let mut have = Vec::new();
    io::stdin().take(MAX_HAVE_BYTES).read_to_end(&mut have)?;
    Ok(have)
}

/// Prints a bundle of the commits and stashes that the host lacks. Stdin lists the commits that it has, one on each line.
/// Returns [`EXIT_NOTHING_NEW`] and prints nothing if the host has them all.
///
/// # Errors
/// There is no such repository, or git fails.
pub fn bundle(paths: &WorkPaths, name: &str) -> Result<i32, Failure> {
    let have = read_have()?;
    with_repository(paths, name, |clean| print_bundle(clean, exported_refs(clean)?, &have))
}

/// Prints a bundle of what these refs lead to and the host lacks. `have`: ids of the commits that it has, one on each line.
/// Returns [`EXIT_NOTHING_NEW`] and prints nothing if the host has them all.
pub fn print_bundle(clean: &CleanRepository, refs: Vec<ExportedRef>, have: &[u8]) -> Result<i32, Failure> {
    let mut wanted = Vec::new();
    for ExportedRef { id, name } in refs {
        let args = [OsStr::new("update-ref"), OsStr::from_bytes(&name), OsStr::new(&id)];
        // A commit whose objects are missing is left out; the others are exported.
        if clean.git().args(args).run(b"")?.is_success() {
            wanted.extend_from_slice(&name);
            wanted.push(b'\n');
        }
    }
    let known = clean.git().args(["cat-file", "--batch-check=%(objectname) %(objecttype)"]).stdout(have)?;
    for line in lines(&known) {
        if let Some((id, "commit")) = line.split_once(' ') {
            wanted.extend_from_slice(format!("^{id}\n").as_bytes());
        }
    }
    let count = clean.git().args(["rev-list", "--count", "--stdin"]).stdout(&wanted)?;
    if lines(&count).first().is_none_or(|count| count == "0") {
        return Ok(EXIT_NOTHING_NEW);
    }
    let status = clean.git().args(["bundle", "create", "--quiet", "-", "--stdin"]).print(&wanted)?;
    match status.success() {
        true => Ok(0),
        false => Err(Failure("git made no bundle".into())),
    }
}

/// A commit to export.
pub struct ExportedRef {
    id: String,
    /// The ref that it gets in the bundle. A name of git's need not be UTF-8.
    name: Vec<u8>,
}

impl ExportedRef {
    pub fn new(id: String, kind: &str, name: &[u8]) -> ExportedRef {
        ExportedRef { id, name: [b"refs/bottle/", kind.as_bytes(), name].concat() }
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
    let head = repository.head()?;
    if repository.git().args(["symbolic-ref", "--quiet", "HEAD"]).line()?.is_none() {
        refs.extend(head.clone().map(|id| ExportedRef::new(id, "HEAD", b"")));
    }
    let stashes = repository.new_stashes(clean.baseline)?.into_iter().enumerate();
    refs.extend(stashes.map(|(number, id)| ExportedRef::new(id, "stash/", number.to_string().as_bytes())));
    // A tag is exported only if its commit is on no branch and not checked out.
    let only_tagged = ["rev-list", "--tags", "--not", "--branches"].into_iter().chain(head.as_deref());
    let only_tagged: HashSet<String> = lines(&repository.git().args(only_tagged).stdout(b"")?).into_iter().collect();
    let format = "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end) %(refname)";
    let tags = repository.git().args(["for-each-ref", format, "refs/tags"]).stdout(b"")?;
    let tags = tags.split(|byte| *byte == b'\n').filter_map(|line| ExportedRef::from_line(line, "tags/"));
    refs.extend(tags.filter(|tag| only_tagged.contains(&tag.id)));
    Ok(refs)
}

/// Prints the new or changed files outside any repository as a tar stream, in one folder `files`.
///
/// # Errors
/// There is no baseline, or stdout cannot be written.
pub fn files(paths: &WorkPaths) -> Result<i32, Failure> {
    let listing = Comparison::load(paths)?.listing;
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
pub fn diff(paths: &WorkPaths, only: Option<&str>, detail: Detail) -> Result<i32, Failure> {
    let Comparison { baseline, listing } = Comparison::load(paths)?;
    let chosen = |path: &&std::path::PathBuf| only.is_none_or(|only| only == repository_name(path));
    let repositories: Vec<_> = listing.repositories.iter().filter(chosen).collect();
    if let (Some(only), true) = (only, repositories.is_empty()) {
        return Err(unknown_repository(only, &listing));
    }
    for path in repositories {
        let printed = Repository::open(&paths.workspace, path, &listing)
            .and_then(|repository| print_repository(&CleanRepository::new(&repository, &baseline, paths)?, detail));
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
            Detail::Whole => print_file(paths, path)?,
        }
    }
    for path in &listing.unreadable {
        print_line(&format!("# cannot be read: {}", repository_name(path)))?;
    }
    Ok(0)
}

/// Prints the work in one repository; nothing if there is none.
fn print_repository(clean: &CleanRepository, detail: Detail) -> Result<(), Failure> {
    let (repository, baseline) = (clean.repository, clean.baseline);
    let commits = repository.new_commits(baseline)?;
    let stashes = repository.new_stashes(baseline)?;
    if commits.is_empty() && stashes.is_empty() && repository.changed_files(baseline)?.is_empty() {
        return Ok(());
    }
    print_line(&format!("# repository {}", repository_name(&repository.path)))?;
    for (what, ids) in [("commit", commits), ("stash", stashes)] {
        let args = ["log", "-z", "--no-walk=unsorted", "--stdin", "--no-color", "--no-decorate", "--format=%h %an: %s"];
        if !ids.is_empty() {
            let told = clean.git().args(args).stdout(ids.join("\n").as_bytes())?;
            for commit in told.split(|byte| *byte == 0).filter(|commit| !commit.is_empty()) {
                print_line(&format!("# {what} {}", String::from_utf8_lossy(commit)))?;
            }
        }
    }
    print_changes(clean, detail)
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
