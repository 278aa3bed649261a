//! `work apply`: applies uncommitted changes to the files here. Nothing that exists only here is overwritten, and files
//! that run by themselves are asked for separately.

mod loose;

use super::autorun::runs_by_itself;
use super::{SessionWork, choose_repository, note_nothing};
use crate::cli::WorkApplyArgs;
use crate::exit::{Exit, UserError};
use crate::git::{self, Git};
use crate::say;
use crate::text;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use sys::signals::{self, Signals};
use sys::tty::{Answer, Tty};

pub fn run(asked: &WorkApplyArgs) -> Result<Exit> {
    let session = SessionWork::open(&asked.identity)?;
    let reader = session.reader()?;
    let found = reader.work()?;
    let name = choose_repository(&found, asked.repository.as_deref(), |repository| repository.files > 0)?;
    let loose = asked.repository.is_none() && found.files > 0;
    let mut autorun = AutorunConsent { all: asked.all, signals: None };
    if let Some(name) = &name {
        let repository = session.local_repository(name)?;
        let patch = reader.answer_in_file(&["work", "patch", name], Vec::new(), session.folder.path())?;
        let patch = patch.map(|file| Patch::open(file.into_file(), repository)).transpose()?;
        match patch {
            Some(patch) if !patch.paths.is_empty() => {
                patch.check_base(&session.plan.identity)?;
                if let ControlFlow::Break(exit) = patch.apply(&mut autorun)? {
                    return Ok(exit);
                }
            }
            _ => say::note(&format!("no uncommitted changes in `{}`", text::one_line(name))),
        }
    }
    if loose {
        return loose::apply(&session, &reader, &mut autorun);
    }
    if name.is_none() {
        note_nothing("uncommitted changes", &found);
    }
    Ok(Exit::OK)
}

/// A patch of uncommitted changes, and the repository it is applied to.
struct Patch {
    file: File,
    /// Offset of the patch's first byte in the file.
    start: u64,
    /// The commit it is made on.
    base: Option<String>,
    repository: PathBuf,
    /// The files it changes, as git reads it.
    paths: Vec<String>,
}

impl Patch {
    fn open(mut file: File, repository: PathBuf) -> Result<Patch> {
        file.seek(SeekFrom::Start(0))?;
        let mut first = String::new();
        BufReader::new(&file).read_line(&mut first)?;
        let base = first.strip_prefix("base ").context("the reader is not understood")?.trim_end();
        let base = (base != "none").then(|| base.to_owned());
        let mut patch = Patch { file, start: first.len() as u64, base, repository, paths: Vec::new() };
        if patch.file.metadata()?.len() > patch.start {
            patch.paths = patch.changed_paths()?;
        }
        Ok(patch)
    }

    /// Runs `git apply` with these arguments on the patch.
    fn git_apply(&self, args: &[String]) -> Result<git::GitOutput> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(self.start))?;
        let quiet =
            ["-c", "apply.whitespace=nowarn", "-c", "apply.ignoreWhitespace=no", "apply", "--whitespace=nowarn"];
        Ok(Git::new(&self.repository).args(quiet).args(args).args(["-"]).run_reading(file)?)
    }

    /// The files that the patch changes, as git reads it.
    ///
    /// # Errors
    /// `UserError` for a patch that git does not read, or that leaves the repository.
    fn changed_paths(&self) -> Result<Vec<String>> {
        let said = self.git_apply(&["--numstat".to_owned(), "-z".to_owned()])?;
        if !said.is_success() {
            return Err(
                UserError::new(format!("the changes cannot be read: {}", text::visible(said.error_line()))).into()
            );
        }
        let path = |field: &[u8]| {
            let text = String::from_utf8(field.to_vec()).ok()?;
            Some(text.splitn(3, '\t').nth(2)?.to_owned())
        };
        let paths = said.fields().map(path).collect::<Option<Vec<_>>>();
        paths.ok_or_else(|| UserError::new("a changed file's name is not UTF-8").into())
    }

    /// # Errors
    /// `UserError` where the repository here lacks the commit that the changes are made on.
    fn check_base(&self, identity: &str) -> Result<()> {
        let Some(base) = &self.base else { return Ok(()) };
        let known =
            Git::new(&self.repository).args(["cat-file", "-e", &format!("{base}^{{commit}}")]).run(Vec::new())?;
        match known.is_success() {
            true => Ok(()),
            false => Err(UserError::new(format!(
                "`{}` lacks the commit that the changes are made on",
                self.repository.display()
            ))
            .hint(format!("claude-bottle work fetch {identity}, then merge it"))
            .into()),
        }
    }

    /// Applies what has consent; breaks with an exit code after a signal.
    ///
    /// # Errors
    /// `UserError` for changes that do not apply, or that conflict.
    fn apply(&self, autorun: &mut AutorunConsent) -> Result<ControlFlow<Exit>> {
        let left_out = match autorun.left_out(&self.paths)? {
            ControlFlow::Continue(left_out) => left_out,
            ControlFlow::Break(exit) => return Ok(ControlFlow::Break(exit)),
        };
        let taken: Vec<&String> = self.paths.iter().filter(|path| !left_out.contains(path)).collect();
        if taken.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let except: Vec<String> = left_out.iter().map(|path| format!("--exclude={}", glob_literal(path))).collect();
        let with =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).chain(except.clone()).collect::<Vec<_>>();
        self.note_modes(&with(&["--summary"]))?;
        let plain = self.git_apply(&with(&["--check"]))?;
        // Where the commits differ by now, a three-way merge by the blobs that the patch names may still succeed.
        let done = self.git_apply(&with(if plain.is_success() { &[] } else { &["--3way"] }))?;
        if done.is_success() {
            for path in &taken {
                say::out(&format!("{}\n", text::one_line(path)))?;
            }
            say::note(&format!("applied to `{}`", self.repository.display()));
            return Ok(ControlFlow::Continue(()));
        }
        let words: Vec<String> = done.stderr.lines().map(text::visible).collect();
        if words.iter().any(|line| line.contains("with conflicts")) {
            say::text(&format!("{}\n", words.join("\n")));
            return Err(UserError::new(format!(
                "applied to `{}` with conflicts, marked as git marks them",
                self.repository.display()
            ))
            .hint("git status")
            .into());
        }
        // Only the check without a merge tells that a new file exists already.
        let said = if plain.stderr.contains("already exists") { &plain } else { &done };
        Err(UserError::new(format!("not applied, and nothing changed: {}", text::one_line(said.error_line())))
            .hint("commit, stash or move away what is changed here, then type this again")
            .into())
    }

    /// Notes symlinks and executable files that the patch makes: their names do not show it.
    fn note_modes(&self, args: &[String]) -> Result<()> {
        let said = self.git_apply(args)?.lines();
        for line in said.iter().filter(|line| line.split(' ').take(6).any(|word| word == "120000" || word == "100755"))
        {
            say::line(&format!("note: {}", text::visible(line.trim_start())));
        }
        Ok(())
    }
}

/// Consent to files that run by themselves.
struct AutorunConsent {
    /// Given for all files.
    all: bool,
    /// Caught at the first question, for all questions.
    signals: Option<Signals>,
}

impl AutorunConsent {
    /// Asks for those of these paths that run by themselves; the ones without consent. Breaks with an exit code after a
    /// signal.
    fn left_out(&mut self, paths: &[String]) -> Result<ControlFlow<Exit, Vec<String>>> {
        let run: Vec<String> = paths.iter().filter(|path| runs_by_itself(path)).cloned().collect();
        if run.is_empty() || self.all {
            return Ok(ControlFlow::Continue(Vec::new()));
        }
        say::line("these can run by themselves here:");
        for path in &run {
            say::line(&format!("  {}", text::one_line(path)));
        }
        if let Some(mut tty) = Tty::open() {
            if self.signals.is_none() {
                self.signals = Some(signals::catch()?);
            }
            match self.signals.as_ref().map(|signals| tty.ask("bring them, too? [y/N] ", signals)) {
                Some(Answer::Signal(number)) => return Ok(ControlFlow::Break(Exit::signal(number))),
                Some(answer) if answer.is_yes() => return Ok(ControlFlow::Continue(Vec::new())),
                _ => {}
            }
        }
        say::line("they are left out");
        say::hint("look at them with `claude-bottle work diff`; `--all` brings them");
        Ok(ControlFlow::Continue(run))
    }
}

/// The glob pattern that matches this path alone.
fn glob_literal(path: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '\\');
    path.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Is every existing component of the path `below` under `root` a directory, and none a symlink?
fn is_plain(root: &Path, below: &Path) -> bool {
    below.ancestors().filter(|path| !path.as_os_str().is_empty()).all(|path| {
        let found = std::fs::symlink_metadata(root.join(path));
        found.map_or(true, |meta| meta.is_dir())
    })
}
