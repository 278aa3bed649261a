//! Handed out: what differs as text, commits as a bundle, changes as a patch, loose files as an archive.

use super::super::Failure;
use super::baseline::{self, Baseline};
use super::clean::Clean;
use super::compare::shown;
use super::git::{Git, lines};
use super::repository::Repository;
use super::walk::{Found, regular, walk};
use super::{NOTHING, Place};
use std::collections::HashSet;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use wire::nearest;

/// How much a diff shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Stat,
    Whole,
}

/// The workspace as it is compared.
struct Seen {
    baseline: Baseline,
    found: Found,
}

fn look(place: &Place) -> Result<Seen, Failure> {
    let baseline = baseline::load(place)?;
    let found = walk(&place.workspace, baseline.instant)?;
    Ok(Seen { baseline, found })
}

/// Runs this on the repository of this name.
fn on(place: &Place, name: &str, hand: impl FnOnce(&Clean) -> Result<i32, Failure>) -> Result<i32, Failure> {
    let Seen { baseline, found } = look(place)?;
    let path = found.repositories.iter().find(|path| shown(path) == name);
    let path = path.ok_or_else(|| unknown(name, &found))?;
    let repository = Repository::open(&place.workspace, path, &found)?;
    hand(&Clean::new(&repository, &baseline, place)?)
}

fn unknown(name: &str, found: &Found) -> Failure {
    let names: Vec<String> = found.repositories.iter().map(|path| shown(path)).collect();
    let near = nearest(name, names.iter().map(String::as_str));
    let meant = near.map_or_else(String::new, |near| format!(": did you mean `{near}`?"));
    Failure(format!("no repository `{name}` in the workspace{meant}"))
}

/// `base COMMIT` or `base none`, then one patch.
pub fn patch(place: &Place, name: &str) -> Result<i32, Failure> {
    on(place, name, |clean| {
        let head = clean.repository.head()?;
        writeln!(io::stdout(), "base {}", head.as_deref().unwrap_or("none"))?;
        changes(clean, Detail::Whole).map(|()| 0)
    })
}

/// Of the worktree, on stdout.
fn changes(clean: &Clean, detail: Detail) -> Result<(), Failure> {
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
    match git.through(b"")?.success() {
        true => Ok(()),
        false => Err(Failure("git made no patch".into())),
    }
}

/// What the host lacks of commits and stashes; `stdin` has what it has, a commit a line.
pub fn bundle(place: &Place, name: &str) -> Result<i32, Failure> {
    let mut have = Vec::new();
    io::stdin().take(16 << 20).read_to_end(&mut have)?;
    on(place, name, |clean| {
        let mut wanted = String::new();
        for (id, name) in leaving(clean)? {
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

/// Commits to hand out, each with the name of a ref for it.
fn leaving(clean: &Clean) -> Result<Vec<(String, String)>, Failure> {
    let repository = clean.repository;
    let mut refs = Vec::new();
    for line in
        lines(&repository.git().args(["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads"]).must(b"")?)
    {
        if let Some((id, branch)) = line.split_once(" refs/heads/") {
            refs.push((id.to_owned(), format!("refs/bottle/heads/{branch}")));
        }
    }
    let head = repository.head()?;
    if repository.git().args(["symbolic-ref", "--quiet", "HEAD"]).line()?.is_none() {
        refs.extend(head.clone().map(|id| (id, "refs/bottle/HEAD".to_owned())));
    }
    let stashes = repository.new_stashes(clean.baseline)?.into_iter().enumerate();
    refs.extend(stashes.map(|(number, id)| (id, format!("refs/bottle/stash/{number}"))));
    // A tag counts where nothing else has its commit.
    let alone = ["rev-list", "--tags", "--not", "--branches"].into_iter().chain(head.as_deref());
    let alone: HashSet<String> = lines(&repository.git().args(alone).must(b"")?).into_iter().collect();
    let format = "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end) %(refname)";
    for line in lines(&repository.git().args(["for-each-ref", format, "refs/tags"]).must(b"")?) {
        if let Some((id, tag)) = line.split_once(" refs/tags/")
            && alone.contains(id)
        {
            refs.push((id.to_owned(), format!("refs/bottle/tags/{tag}")));
        }
    }
    Ok(refs)
}

/// New or changed files outside any repository, as a tar stream with one folder around them.
pub fn files(place: &Place) -> Result<i32, Failure> {
    let seen = look(place)?;
    let mut archive = tar::Builder::new(io::stdout());
    for path in seen.found.files {
        // Links, pipes and what cannot be read are named by the diff.
        let Some((file, meta)) = regular(&place.workspace.join(&path)) else { continue };
        let mut header = tar::Header::new_gnu();
        header.set_metadata(&meta);
        // As long as its head says, whatever is being written to it.
        let whole = file.chain(io::repeat(0)).take(meta.len());
        archive.append_data(&mut header, Path::new("files").join(&path), whole)?;
    }
    archive.finish()?;
    Ok(0)
}

/// For people, and for whatever reads patches: all that is nowhere else.
pub fn diff(place: &Place, only: Option<&str>, detail: Detail) -> Result<i32, Failure> {
    let Seen { baseline, found } = look(place)?;
    let mut out = io::stdout();
    let chosen = |path: &&std::path::PathBuf| only.is_none_or(|only| only == shown(path));
    let repositories: Vec<_> = found.repositories.iter().filter(chosen).collect();
    if let (Some(only), true) = (only, repositories.is_empty()) {
        return Err(unknown(only, &found));
    }
    for path in repositories {
        let told = Repository::open(&place.workspace, path, &found)
            .and_then(|repository| tell(&Clean::new(&repository, &baseline, place)?, detail));
        // It hides nothing of the others.
        if let Err(Failure(why)) = told {
            writeln!(out, "# repository {}: cannot be read: {why}", shown(path))?;
        }
    }
    if only.is_some() {
        return Ok(0);
    }
    if !found.files.is_empty() {
        writeln!(out, "# files outside repositories")?;
    }
    for path in &found.files {
        match detail {
            Detail::Stat => writeln!(out, " {}", path.display())?,
            Detail::Whole => loose(place, path)?,
        }
    }
    for path in &found.closed {
        writeln!(out, "# cannot be read: {}", shown(path))?;
    }
    Ok(0)
}

/// Of one repository, where there is anything to tell.
fn tell(clean: &Clean, detail: Detail) -> Result<(), Failure> {
    let (repository, baseline) = (clean.repository, clean.baseline);
    let commits = repository.commits(baseline)?;
    let stashes = repository.new_stashes(baseline)?;
    if commits.is_empty() && stashes.is_empty() && repository.changes(baseline)?.is_empty() {
        return Ok(());
    }
    let mut out = io::stdout();
    writeln!(out, "# repository {}", shown(&repository.path))?;
    for (what, ids) in [("commit", commits), ("stash", stashes)] {
        let args = ["log", "--no-walk=unsorted", "--stdin", "--no-color", "--no-decorate"];
        let format = format!("--format=# {what} %h %an: %s");
        if !ids.is_empty() {
            out.write_all(&clean.git().args(args).args([format]).must(ids.join("\n").as_bytes())?)?;
        }
    }
    changes(clean, detail)
}

/// One file as a patch that makes it; only named where it is no file.
fn loose(place: &Place, path: &Path) -> Result<(), Failure> {
    let kind = fs::symlink_metadata(place.workspace.join(path)).map(|meta| meta.file_type());
    if !kind.is_ok_and(|kind| kind.is_file() || kind.is_symlink()) {
        return Ok(writeln!(io::stdout(), "# no regular file: {}", path.display())?);
    }
    let git = Git::without(&place.workspace);
    let args = ["diff", "--no-index", "--no-color", "--no-ext-diff", "--no-textconv", "--", "/dev/null"];
    // It ends with 1 for what differs.
    git.args(args).arg_path(path).through(b"").map(drop)
}
