//! Handed out: what differs as text, commits as a bundle, changes as a patch, loose files as an archive.
//!
//! Made in a git directory of our own that borrows the repository's objects: no configuration, hook, filter or attribute
//! file of the agent's decides what leaves.

use super::super::Failure;
use super::baseline::{self, Baseline, Known};
use super::compare::shown;
use super::git::{Git, fields, lines};
use super::repository::{Repository, all};
use super::walk::walk;
use super::{NOTHING, Place};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How much a diff shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Stat,
    Whole,
}

/// Settings that say how bytes in the worktree and in the repository differ; the worktree was written by them.
const OF_DATA: [&str; 5] = ["core.autocrlf", "core.eol", "core.filemode", "core.symlinks", "core.ignorecase"];

/// A git directory of ours over a repository of the agent's; gone when it is dropped.
struct Clean<'a> {
    repository: &'a Repository,
    folder: PathBuf,
}

impl<'a> Clean<'a> {
    fn new(repository: &'a Repository, known: Option<&Known>, place: &Place) -> Result<Clean<'a>, Failure> {
        let folder = std::env::temp_dir().join(format!("claude-bottle-work-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let clean = Clean { repository, folder };
        let kind = repository.git().args(["rev-parse", "--show-object-format"]).line()?;
        let format = format!("--object-format={}", kind.as_deref().unwrap_or("sha1"));
        fs::create_dir(&clean.folder)?;
        let init = ["init", "--quiet", "--bare", "--template=", &format, "."];
        Git::without(&clean.folder).args(init).must(b"")?;
        clean.git().args(["config", "core.bare", "false"]).must(b"")?;
        for name in OF_DATA {
            if let Some(value) = repository.git().args(["config", "--get", name]).line()? {
                clean.git().args(["config", name, &value]).must(b"")?;
            }
        }
        let mut borrowed = vec![repository.objects.clone()];
        borrowed.extend(known.map(|known| place.notes.join(&known.objects)));
        let mut alternates = Vec::new();
        for path in borrowed {
            alternates.extend_from_slice(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
            alternates.push(b'\n');
        }
        fs::create_dir_all(clean.folder.join("objects/info"))?;
        fs::write(clean.folder.join("objects/info/alternates"), alternates)?;
        fs::create_dir_all(clean.folder.join("info"))?;
        copy(&repository.git_dir.join("info/exclude"), &clean.folder.join("info/exclude"));
        copy(&repository.git_dir.join("shallow"), &clean.folder.join("shallow"));
        Ok(clean)
    }

    fn git(&self) -> Git {
        Git::of(&self.folder, &self.repository.work)
    }

    fn tree(&self, index: &str) -> Result<String, Failure> {
        let tree = self.git().env("GIT_INDEX_FILE", self.folder.join(index)).args(["write-tree"]).line()?;
        tree.ok_or_else(|| Failure("the index is no tree".into()))
    }

    /// Of the worktree as it is now.
    fn tree_now(&self, head: Option<&str>) -> Result<String, Failure> {
        let index = self.folder.join("now");
        copy(&self.repository.git_dir.join("index"), &index);
        let git = || self.git().env("GIT_INDEX_FILE", &index);
        if let (false, Some(head)) = (index.exists(), head) {
            git().args(["read-tree", head]).must(b"")?;
        }
        git().args(self.repository.add()).must(b"")?;
        self.tree("now")
    }

    /// What a patch is made from: the last commit, and what was uncommitted even at the baseline, where no commit has
    /// touched it since.
    fn tree_before(&self, head: Option<&str>, known: Option<&Known>) -> Result<String, Failure> {
        let index = self.folder.join("before");
        let git = || self.git().env("GIT_INDEX_FILE", &index);
        let read = head.map_or_else(|| vec!["read-tree", "--empty"], |head| vec!["read-tree", head]);
        git().args(read).must(b"")?;
        if let Some(known) = known {
            let empty = self.repository.empty_tree()?;
            let (then, now) = (known.head.as_ref().unwrap_or(&empty), head.unwrap_or(&empty));
            let args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", then, now];
            let committed = self.git().args(args).must(b"")?;
            let committed: std::collections::BTreeSet<&[u8]> = fields(&committed).collect();
            let mut lines = Vec::new();
            for (path, was) in known.dirty.iter().filter(|(path, _)| !committed.contains(path.as_bytes())) {
                let none = ("0".to_owned(), "0".repeat(empty.len()));
                let (mode, blob) = was.as_ref().unwrap_or(&none);
                lines.extend_from_slice(format!("{mode} {blob}\t{path}\0").as_bytes());
            }
            git().args(["update-index", "-z", "--index-info"]).must(&lines)?;
        }
        self.tree("before")
    }
}

impl Drop for Clean<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Where there is one, and only a regular file.
fn copy(from: &Path, to: &Path) {
    let open = fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK).open(from);
    if let Ok(mut file) = open
        && file.metadata().is_ok_and(|meta| meta.is_file())
        && let Ok(mut copy) = fs::File::create(to)
    {
        let _ = std::io::copy(&mut file, &mut copy);
    }
}

/// The workspace as it is compared.
struct Seen {
    baseline: Baseline,
    repositories: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

fn look(place: &Place) -> Result<Seen, Failure> {
    let baseline = baseline::load(place)?;
    let found = walk(&place.workspace, baseline.instant)?;
    Ok(Seen { baseline, repositories: found.repositories, files: found.files })
}

/// Runs this on the repository of this name.
fn on<T>(
    place: &Place,
    name: &str,
    hand: impl FnOnce(&Repository, Option<&Known>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let seen = look(place)?;
    let all = all(&place.workspace, &seen.repositories, &seen.baseline)?;
    match all.iter().find(|(repository, _)| shown(&repository.path) == name) {
        Some((repository, known)) => hand(repository, *known),
        None => Err(Failure(format!("no repository `{name}` in the workspace"))),
    }
}

/// `base COMMIT` or `base none`, then one patch.
pub fn patch(place: &Place, name: &str) -> Result<i32, Failure> {
    on(place, name, |repository, known| {
        let head = repository.head()?;
        let base = format!("base {}\n", head.as_deref().unwrap_or("none"));
        std::io::stdout().write_all(base.as_bytes())?;
        differences(place, repository, known, Detail::Whole)
    })
}

/// Of the worktree, on stdout.
fn differences(place: &Place, repository: &Repository, known: Option<&Known>, detail: Detail) -> Result<i32, Failure> {
    let clean = Clean::new(repository, known, place)?;
    let head = repository.head()?;
    let (before, now) = (clean.tree_before(head.as_deref(), known)?, clean.tree_now(head.as_deref())?);
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
    match git.through(b"")?.success() {
        true => Ok(0),
        false => Err(Failure("git made no patch".into())),
    }
}

/// What the host lacks of commits and stashes; `stdin` has what it has, a commit a line.
pub fn bundle(place: &Place, name: &str) -> Result<i32, Failure> {
    let mut have = Vec::new();
    std::io::stdin().take(16 << 20).read_to_end(&mut have)?;
    on(place, name, |repository, known| {
        let clean = Clean::new(repository, known, place)?;
        let mut refs = Vec::new();
        let format = "--format=%(objectname) %(refname)";
        for line in lines(&repository.git().args(["for-each-ref", format, "refs/heads"]).must(b"")?) {
            if let Some((id, branch)) = line.split_once(" refs/heads/") {
                refs.push((id.to_owned(), format!("refs/bottle/heads/{branch}")));
            }
        }
        if repository.git().args(["symbolic-ref", "--quiet", "HEAD"]).line()?.is_none() {
            refs.extend(repository.head()?.map(|id| (id, "refs/bottle/HEAD".to_owned())));
        }
        let stashes = repository.new_stashes(known)?.into_iter().enumerate();
        refs.extend(stashes.map(|(number, id)| (id, format!("refs/bottle/stash/{number}"))));

        let mut wanted = String::new();
        for (id, name) in refs {
            // One whose objects are not there is left out, not all of them.
            if clean.git().args(["update-ref", &name, &id]).ask(b"")?.status.success() {
                wanted.push_str(&format!("{name}\n"));
            }
        }
        let known = clean.git().args(["cat-file", "--batch-check=%(objectname) %(objecttype)"]).must(&have)?;
        for line in lines(&known) {
            if let Some((id, "commit")) = line.split_once(' ') {
                wanted.push_str(&format!("^{id}\n"));
            }
        }
        let count = clean.git().args(["rev-list", "--count", "--stdin"]).must(wanted.as_bytes())?;
        if lines(&count).first().is_none_or(|count| count == "0") {
            return Ok(NOTHING);
        }
        let made = clean.git().args(["bundle", "create", "--quiet", "-", "--stdin"]).through(wanted.as_bytes())?;
        match made.success() {
            true => Ok(0),
            false => Err(Failure("git made no bundle".into())),
        }
    })
}

/// New or changed files outside any repository, as a tar stream with one folder around them.
pub fn files(place: &Place) -> Result<i32, Failure> {
    let mut archive = tar::Builder::new(std::io::stdout());
    archive.follow_symlinks(false);
    for path in look(place)?.files {
        let open = fs::OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
            .open(place.workspace.join(&path));
        // Links, pipes and what cannot be read are named by the diff.
        let Ok(mut file) = open else { continue };
        if file.metadata()?.is_file() {
            archive.append_file(Path::new("files").join(&path), &mut file)?;
        }
    }
    archive.finish()?;
    Ok(0)
}

/// For people, and for whatever reads patches: all that is nowhere else.
pub fn diff(place: &Place, only: Option<&str>, detail: Detail) -> Result<i32, Failure> {
    let seen = look(place)?;
    let mut out = std::io::stdout();
    let mut found = only.is_none();
    for (repository, known) in all(&place.workspace, &seen.repositories, &seen.baseline)? {
        let name = shown(&repository.path);
        if only.is_some_and(|only| only != name) {
            continue;
        }
        found = true;
        let commits = repository.commits(known)?;
        let stashes = repository.new_stashes(known)?;
        let changes = repository.changes(known, seen.baseline.instant)?;
        if commits.is_empty() && stashes.is_empty() && changes.is_empty() {
            continue;
        }
        writeln!(out, "# repository {name}")?;
        for (what, ids) in [("commit", &commits), ("stash", &stashes)] {
            let args = ["log", "--no-walk=unsorted", "--stdin", "--no-color", "--no-decorate"];
            let format = format!("--format=# {what} %h %an: %s");
            if !ids.is_empty() {
                out.write_all(&repository.git().args(args).args([format]).must(ids.join("\n").as_bytes())?)?;
            }
        }
        out.flush()?;
        differences(place, &repository, known, detail)?;
    }
    if !found {
        return Err(Failure(format!("no repository `{}` in the workspace", only.unwrap_or_default())));
    }
    if only.is_none() && !seen.files.is_empty() {
        writeln!(out, "# files outside repositories")?;
        for path in &seen.files {
            match detail {
                Detail::Stat => writeln!(out, " {}", path.display())?,
                Detail::Whole => loose(place, path)?,
            }
        }
    }
    Ok(0)
}

/// One file as a patch that makes it.
fn loose(place: &Place, path: &Path) -> Result<(), Failure> {
    let git = Git::without(&place.workspace);
    let args = ["diff", "--no-index", "--no-color", "--no-ext-diff", "--no-textconv", "--", "/dev/null"];
    // It ends with 1 for what differs.
    git.args(args).arg_path(path).through(b"").map(drop)
}
