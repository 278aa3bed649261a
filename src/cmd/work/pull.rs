//! `work pull`: `work fetch`, then a merge of the agent's branch into the one here if that needs no decision, then
//! `work apply`. What the merge brings is shown before it is asked for.
//!
//! Invariant: a merge that conflicts, or meets a file that exists only here, changes nothing.

use super::autorun::FileKind;
use super::classes::{self, autorun_classes};
use super::file_consent::FileConsent;
use super::place::LocalPlace;
use super::refs::BottleRefs;
use super::{SessionWork, apply, expect_placeable, fetch};
use crate::cli::WorkPullArgs;
use crate::cmd::consent::terminal_to_ask_on;
use crate::cmd::home_reader::HomeReader;
use crate::exit::{Exit, UserError};
use crate::git::{self, Author, CleanRepository, GitOutput};
use crate::hint;
use crate::say;
use crate::text;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::signals;
use sys::tty::Answer;

/// Commits that are shown before a merge; the others are counted.
const MAX_SHOWN_COMMITS: usize = 50;

pub fn run(asked: &WorkPullArgs) -> Result<Exit> {
    let session = SessionWork::open(asked.identity.as_deref())?;
    let reader = session.reader()?;
    let ended = bring(&session, &reader, asked);
    session.end(&reader, ended)
}

fn bring(session: &SessionWork, reader: &HomeReader, asked: &WorkPullArgs) -> Result<Exit> {
    let named = asked.repository.as_deref();
    let mut consent = FileConsent::new(asked.all).unasked(asked.yes);
    let fetched = match fetch::bring(session, reader, named, &mut consent)? {
        ControlFlow::Continue(fetched) => fetched,
        ControlFlow::Break(exit) => return Ok(exit),
    };
    let mut targets = Vec::new();
    for name in fetched {
        if let LocalPlace::Here(target) = session.place_of(&name)? {
            targets.push((target.with_user_data()?, name));
        }
    }
    let found = targets
        .iter()
        .map(|(target, name)| Merge::find(target, &BottleRefs::of_repository(&session.plan.identity, name)));
    let merges = distinct(found.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())?;
    if let ControlFlow::Break(exit) = ask_and_do(&merges, asked)? {
        return Ok(exit);
    }
    apply::bring(session, reader, named, consent)
}

/// One merge for each repository here: a worktree of the bottle has the branches of its repository, and without `--cwd` several
/// belong to the one around.
///
/// # Errors
/// `UserError` where two are not the same.
fn distinct(mut merges: Vec<Merge>) -> Result<Vec<Merge>, UserError> {
    merges.sort_by(|one, other| one.target.repository.top.cmp(&other.target.repository.top));
    merges.dedup_by(|later, first| {
        later.target.repository.top == first.target.repository.top && later.their_commit() == first.their_commit()
    });
    let twice = merges
        .iter()
        .zip(merges.iter().skip(1))
        .find(|(one, other)| one.target.repository.top == other.target.repository.top);
    match twice {
        None => Ok(merges),
        Some((one, _)) => {
            let top = text::path(&one.target.repository.top);
            let what = format!("nothing was merged or applied: several repositories of the bottle belong to `{top}`");
            Err(UserError::new(what).hint("name one of them"))
        }
    }
}

/// Asks once for all merges, after each was shown.
fn ask_and_do(merges: &[Merge], asked: &WorkPullArgs) -> Result<ControlFlow<Exit>> {
    if merges.is_empty() {
        return Ok(ControlFlow::Continue(()));
    }
    for merge in merges {
        merge.check_filters()?;
        merge.check_files_here()?;
        merge.check_changes_here()?;
    }
    for merge in merges {
        if merges.len() > 1 {
            say::line(&format!("in `{}`:", text::path(&merge.target.repository.top)));
        }
        merge.show(asked)?;
    }
    if !asked.yes {
        let mut tty = terminal_to_ask_on("add `--yes` to merge without the question")?;
        let question = if merges.len() == 1 { "merge this? [y/N] " } else { "merge all of these? [y/N] " };
        match tty.ask(question, &signals::catch()?) {
            answer if answer.is_yes() => {}
            Answer::Signal(number) => return Ok(ControlFlow::Break(Exit::signal(number))),
            _ => return Ok(ControlFlow::Break(Exit::OK)),
        }
    }
    let commits = merges.iter().map(Merge::make_commit).collect::<Result<Vec<String>>>()?;
    merges.iter().zip(&commits).try_for_each(|(merge, commit)| merge.perform(commit))?;
    Ok(ControlFlow::Continue(()))
}

/// A merge that needs no decision.
struct Merge<'a> {
    target: &'a CleanRepository,
    /// The branch here.
    branch: String,
    ours: String,
    /// The ref of the bottle's branch.
    theirs: String,
    /// What the branch here becomes: the bottle's commit, or a new one with the tree of both.
    result: MergeResult,
    /// What it makes of the files that it changes; `None` for one that it removes.
    files: BTreeMap<PathBuf, Option<u32>>,
}

enum MergeResult {
    FastForward(String),
    /// The tree of a merge, and the bottle's commit.
    Merged {
        tree: String,
        commit: String,
    },
}

impl<'a> Merge<'a> {
    /// The merge of the bottle's branch of the same name as the one here, else of its only one. `None` where there is nothing
    /// to merge.
    ///
    /// # Errors
    /// `UserError` for a merge that conflicts.
    fn find(target: &'a CleanRepository, refs: &BottleRefs) -> Result<Option<Merge<'a>>> {
        let line = |args: &[&str]| -> Result<Option<String>> {
            let said = target.git().args(args).run(Vec::new())?;
            Ok(said.lines().into_iter().next().filter(|line| said.is_success() && !line.is_empty()))
        };
        let Some(branch) = line(&["symbolic-ref", "--quiet", "HEAD"])? else {
            say::note(&format!(
                "no branch is checked out in `{}`: nothing is merged",
                text::path(&target.repository.top)
            ));
            return Ok(None);
        };
        let Some(ours) = line(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])? else { return Ok(None) };
        let folder = refs.heads();
        let heads = target.query(&["for-each-ref", "--format=%(refname)", &folder])?.lines();
        let same = format!("{folder}{}", branch.strip_prefix("refs/heads/").unwrap_or(&branch));
        let theirs = heads.iter().find(|name| **name == same).or(heads.first().filter(|_| heads.len() == 1));
        let Some(theirs) = theirs.cloned() else { return Ok(None) };
        let Some(commit) = line(&["rev-parse", "--verify", "--quiet", &format!("{theirs}^{{commit}}")])? else {
            return Ok(None);
        };
        if target.is_ancestor(&commit, &ours)? {
            return Ok(None);
        }
        let result = match target.is_ancestor(&ours, &commit)? {
            true => MergeResult::FastForward(commit),
            false => match line(&["merge-tree", "--write-tree", &ours, &commit])? {
                Some(tree) => MergeResult::Merged { tree, commit },
                None => {
                    let what = "does not merge cleanly, and nothing of it was merged or applied";
                    let error = UserError::new(format!("`{theirs}` {what}"));
                    return Err(error.hint(hint!("git merge {}", theirs)).into());
                }
            },
        };
        let tree = match &result {
            MergeResult::FastForward(commit) => commit,
            MergeResult::Merged { tree, .. } => tree,
        };
        let raw = target.query(&["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", &ours, tree])?;
        let changes = git::raw_changes(&raw);
        let ids = changes.iter().map(|change| change.id.as_str());
        expect_placeable(target.total_size(target.git(), ids)?, "merged")?;
        let files = changes.into_iter().map(|change| (change.path, change.mode)).collect();
        Ok(Some(Merge { target, branch, ours, theirs, result, files }))
    }

    /// Shows the commits, the counts of changed lines, and the files that run by themselves.
    ///
    /// # Errors
    /// `UserError` for such files where nothing is asked and they are not wanted.
    fn show(&self, asked: &WorkPullArgs) -> Result<()> {
        let commit = self.their_commit();
        let range = format!("{}..{commit}", self.ours);
        let log = ["log", "-z", "--no-show-signature", "--no-color", "--format=%h %an: %s", &range, "--"];
        let commits = self.target.query(&log)?;
        let commits: Vec<String> =
            commits.fields().map(|line| text::one_line(&String::from_utf8_lossy(line))).collect();
        say::line(&format!("to be merged into `{}`:", text::one_line(self.branch_name())));
        commits.iter().take(MAX_SHOWN_COMMITS).for_each(|line| say::line(&format!("  {line}")));
        if commits.len() > MAX_SHOWN_COMMITS {
            say::line(&format!("  and {} more", commits.len() - MAX_SHOWN_COMMITS));
        }
        let range = format!("{}...{commit}", self.ours);
        let stat = ["diff", "--numstat", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", &range, "--"];
        for line in self.target.query(&stat)?.fields() {
            let words: Vec<String> =
                line.splitn(3, |byte| *byte == b'\t').map(|w| String::from_utf8_lossy(w).into_owned()).collect();
            if let [added, removed, path] = &words[..] {
                say::line(&format!("  +{added} -{removed} {}", text::one_line(path)));
            }
        }
        let kind = |mode: &Option<u32>| mode.map(FileKind::of_mode);
        let files: Vec<(&Path, FileKind)> =
            self.files.iter().filter_map(|(path, mode)| Some((path.as_path(), kind(mode)?))).collect();
        let runs: BTreeSet<&Path> =
            autorun_classes(&self.target.repository.top, &files).into_values().flatten().collect();
        if !runs.is_empty() && !asked.all {
            say::line(classes::TITLE);
            runs.iter().for_each(|path| say::line(&format!("    {}", text::path(path))));
            if asked.yes {
                return Err(UserError::new("nothing was merged or applied: files that run by themselves are among it")
                    .hint("add `--all` to take them unasked")
                    .into());
            }
        }
        Ok(())
    }

    fn their_commit(&self) -> &str {
        let (MergeResult::FastForward(commit) | MergeResult::Merged { commit, .. }) = &self.result;
        commit
    }

    fn branch_name(&self) -> &str {
        self.branch.strip_prefix("refs/heads/").unwrap_or(&self.branch)
    }

    /// # Errors
    /// `UserError` for a file that a filter would have to write: none runs here.
    fn check_filters(&self) -> Result<()> {
        let filters = self.target.filters(self.files.keys().map(PathBuf::as_path))?;
        match self.files.keys().zip(filters).find(|(_, filter)| filter.is_some()) {
            None => Ok(()),
            Some((path, _)) => {
                let path = text::path(path);
                let what =
                    format!("nothing was merged or applied: git writes `{path}` by a filter, and none runs here");
                Err(UserError::new(what).hint(hint!("git merge {}", self.theirs)).into())
            }
        }
    }

    /// # Errors
    /// `UserError` for a file that is here, and in no commit, where the merge makes one.
    fn check_files_here(&self) -> Result<()> {
        let tracked = self.target.query(&["ls-tree", "-r", "-z", "--name-only", &self.ours])?;
        let tracked: std::collections::HashSet<&[u8]> = tracked.fields().collect();
        for path in self.files.iter().filter(|(_, mode)| mode.is_some()).map(|(path, _)| path) {
            for part in path.ancestors().filter(|part| !part.as_os_str().is_empty()) {
                let is_in_the_way = self.target.repository.top.join(part).symlink_metadata();
                let is_in_the_way = is_in_the_way.is_ok_and(|meta| part == path || !meta.is_dir());
                if is_in_the_way && !tracked.contains(part.as_os_str().as_bytes()) {
                    let what =
                        format!("nothing was merged or applied: `{}` is here, and in no commit", text::path(part));
                    return Err(UserError::new(what).hint("commit it or move it away, then type this again").into());
                }
            }
        }
        Ok(())
    }

    /// # Errors
    /// `UserError` where a file that the merge changes is changed here.
    fn check_changes_here(&self) -> Result<()> {
        let _ = self.target.git().args(["update-index", "-q", "--refresh"]).run(Vec::new())?;
        let tree = match &self.result {
            MergeResult::FastForward(commit) => commit,
            MergeResult::Merged { tree, .. } => tree,
        };
        let tried = self.target.git().args(["read-tree", "-n", "-m", "-u", &self.ours, tree]).run(Vec::new())?;
        self.expect_merged(&tried, "nothing was merged or applied")
    }

    fn expect_merged(&self, done: &GitOutput, what: &str) -> Result<()> {
        match done.is_success() {
            true => Ok(()),
            false => {
                let what = format!("{what}: {}", text::one_line(done.error_line()));
                Err(UserError::new(what).hint("commit or stash what is changed here, then type this again").into())
            }
        }
    }

    /// What the branch here becomes.
    fn make_commit(&self) -> Result<String> {
        match &self.result {
            MergeResult::FastForward(commit) => Ok(commit.clone()),
            MergeResult::Merged { tree, commit } => self.commit(tree, commit),
        }
    }

    /// Updates files, index and branch.
    fn perform(&self, new: &str) -> Result<()> {
        let target = self.target;
        // What was changed here since it was asked for is found before any file is written.
        self.check_changes_here()?;
        let what = format!("`{}` was not merged", text::path(&target.repository.top));
        let done = target.git().args(["read-tree", "-m", "-u", &self.ours, new]).writes().run(Vec::new())?;
        self.expect_merged(&done, &what)?;
        let done = target.git().args(["update-ref", "-m", "work pull", &self.branch, new, &self.ours]);
        self.expect_merged(&done.run(Vec::new())?, &what)?;
        let short = |id: &str| id.chars().take(7).collect::<String>();
        say::out(&format!("{}  {}..{}\n", text::one_line(self.branch_name()), short(&self.ours), short(new)))?;
        Ok(())
    }

    /// Makes the commit of a merge.
    fn commit(&self, tree: &str, theirs: &str) -> Result<String> {
        let author = Author::effective(Some(&self.target.repository))?.ok_or_else(|| {
            UserError::new("nothing was merged or applied: git knows no `user.name` and `user.email` here")
                .hint("git config --global user.name NAME")
        })?;
        let message = format!("Merge {}", self.theirs);
        let settings = [format!("user.name={}", author.name), format!("user.email={}", author.email)];
        let git = self.target.git().args(["-c", &settings[0], "-c", &settings[1]]);
        let git = git.args(["commit-tree", tree, "-p", &self.ours, "-p", theirs, "-m", &message]);
        let made = self.target.successful(git.run(Vec::new())?)?;
        Ok(made.lines().into_iter().next().unwrap_or_default())
    }
}
