//! `work apply`: changes that no commit holds, onto the files here. Nothing that is here and nowhere else is overwritten,
//! and what runs by itself is asked for separately.

mod loose;

use super::runs::by_itself;
use super::{Subject, choose, nothing};
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
    let subject = Subject::of(&asked.identity)?;
    let reader = subject.reader()?;
    let found = reader.work()?;
    let name = choose(&found, asked.repository.as_deref(), |one| one.files > 0)?;
    let loose = asked.repository.is_none() && found.files > 0;
    let mut wish = Wish { all: asked.all, signals: None };
    if let Some(name) = &name {
        let place = subject.place(name)?;
        let patch = reader.file(&["work", "patch", name], Vec::new(), subject.folder.path())?;
        let patch = patch.map(|file| Patch::open(file.into_file(), place)).transpose()?;
        match patch {
            Some(patch) if !patch.paths.is_empty() => {
                patch.is_on_known_ground(&subject.plan.identity)?;
                if let ControlFlow::Break(exit) = patch.apply(&mut wish)? {
                    return Ok(exit);
                }
            }
            _ => say::note(&format!("no uncommitted changes in `{}`", text::one_line(name))),
        }
    }
    if loose {
        return loose::bring(&subject, &reader, &mut wish);
    }
    if name.is_none() {
        nothing("uncommitted changes", &found);
    }
    Ok(Exit::OK)
}

/// A patch, and where it goes. What it touches is git's own word for it.
struct Patch {
    file: File,
    /// Of the first byte that is the patch's.
    start: u64,
    /// The commit it is made on.
    base: Option<String>,
    place: PathBuf,
    paths: Vec<String>,
}

impl Patch {
    fn open(mut file: File, place: PathBuf) -> Result<Patch> {
        file.seek(SeekFrom::Start(0))?;
        let mut first = String::new();
        BufReader::new(&file).read_line(&mut first)?;
        let base = first.strip_prefix("base ").context("the reader is not understood")?.trim_end();
        let base = (base != "none").then(|| base.to_owned());
        let mut patch = Patch { file, start: first.len() as u64, base, place, paths: Vec::new() };
        if patch.file.metadata()?.len() > patch.start {
            patch.paths = patch.touched()?;
        }
        Ok(patch)
    }

    /// `git apply` with these arguments, reading the patch.
    fn git(&self, args: &[String]) -> Result<git::GitOutput> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(self.start))?;
        let quiet =
            ["-c", "apply.whitespace=nowarn", "-c", "apply.ignoreWhitespace=no", "apply", "--whitespace=nowarn"];
        Ok(Git::new(&self.place).args(quiet).args(args).args(["-"]).run_reading(file)?)
    }

    /// # Errors
    /// `UserError` for a patch that git does not read, or that leaves the repository.
    fn touched(&self) -> Result<Vec<String>> {
        let said = self.git(&["--numstat".to_owned(), "-z".to_owned()])?;
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
    fn is_on_known_ground(&self, identity: &str) -> Result<()> {
        let Some(base) = &self.base else { return Ok(()) };
        let known = Git::new(&self.place).args(["cat-file", "-e", &format!("{base}^{{commit}}")]).run(Vec::new())?;
        match known.is_success() {
            true => Ok(()),
            false => {
                Err(UserError::new(format!("`{}` lacks the commit that the changes are made on", self.place.display()))
                    .hint(format!("claude-bottle work fetch {identity}, then merge it"))
                    .into())
            }
        }
    }

    fn apply(&self, wish: &mut Wish) -> Result<ControlFlow<Exit>> {
        let left_out = match wish.leaves_out(&self.paths)? {
            ControlFlow::Continue(left_out) => left_out,
            ControlFlow::Break(exit) => return Ok(ControlFlow::Break(exit)),
        };
        let taken: Vec<&String> = self.paths.iter().filter(|path| !left_out.contains(path)).collect();
        if taken.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let except: Vec<String> = left_out.iter().map(|path| format!("--exclude={}", escaped(path))).collect();
        let with =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).chain(except.clone()).collect::<Vec<_>>();
        self.tell_modes(&with(&["--summary"]))?;
        let plain = self.git(&with(&["--check"]))?;
        // The last commits may have grown apart: by the blobs it names, the patch still finds its place.
        let done = self.git(&with(if plain.is_success() { &[] } else { &["--3way"] }))?;
        if done.is_success() {
            for path in &taken {
                say::out(&format!("{}\n", text::one_line(path)))?;
            }
            say::note(&format!("applied to `{}`", self.place.display()));
            return Ok(ControlFlow::Continue(()));
        }
        let words: Vec<String> = done.stderr.lines().map(text::visible).collect();
        if words.iter().any(|line| line.contains("with conflicts")) {
            say::text(&format!("{}\n", words.join("\n")));
            return Err(UserError::new(format!(
                "applied to `{}` with conflicts, marked as git marks them",
                self.place.display()
            ))
            .hint("git status")
            .into());
        }
        // What lies in the way of a new file is said by the first alone.
        let said = if plain.stderr.contains("already exists") { &plain } else { &done };
        Err(UserError::new(format!("not applied, and nothing changed: {}", text::one_line(said.error_line())))
            .hint("commit, stash or move away what is changed here, then type this again")
            .into())
    }

    /// Links and programs that it makes, in git's words: a name alone does not tell.
    fn tell_modes(&self, args: &[String]) -> Result<()> {
        let said = self.git(args)?.lines();
        for line in said.iter().filter(|line| line.split(' ').take(6).any(|word| word == "120000" || word == "100755"))
        {
            say::line(&format!("note: {}", text::visible(line.trim_start())));
        }
        Ok(())
    }
}

/// Is what runs by itself wanted here?
struct Wish {
    all: bool,
    /// Caught at the first question, once for all of them.
    signals: Option<Signals>,
}

impl Wish {
    /// Of these paths the ones that nobody said yes to; or the whole run ends, as a person wants it to.
    fn leaves_out(&mut self, paths: &[String]) -> Result<ControlFlow<Exit, Vec<String>>> {
        let run: Vec<String> = paths.iter().filter(|path| by_itself(path)).cloned().collect();
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

/// A pattern that only this path fits.
fn escaped(path: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '\\');
    path.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Is this directory what it seems, and no link to elsewhere, below `root`?
fn is_plain(root: &Path, below: &Path) -> bool {
    below.ancestors().filter(|path| !path.as_os_str().is_empty()).all(|path| {
        let found = std::fs::symlink_metadata(root.join(path));
        found.map_or(true, |meta| meta.is_dir())
    })
}
