//! What `work fetch` and `work apply` have brought of a session's work to this machine, so that it does not count as work that
//! is nowhere else while it is here.
//!
//! Invariant: this is a record of what was done, and no proof. [`Brought::elsewhere`] asks the directories each time: a file
//! that is not there just as it was applied last counts again, because a session without work is removed.

use super::{Folder, write};
use crate::git::{CleanRepository, Repository, TrialIndex};
use crate::text;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use wire::{AppliedChanges, Blob, ContentHash, Elsewhere, Work, WrittenFile};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Brought {
    /// By the name that init has for the repository.
    pub repositories: BTreeMap<String, BroughtRepository>,
    /// Files outside repositories.
    pub files: Vec<BroughtFile>,
    /// What was in the home and nowhere else after that.
    pub left: Option<WorkLeft>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct WorkLeft {
    pub work: Work,
    /// Why the session is kept, with this work in words.
    pub why: String,
}

/// What was brought of one repository.
#[derive(Debug, Serialize, Deserialize)]
pub struct BroughtRepository {
    /// Where it was brought to.
    pub top: PathBuf,
    /// The commits that were fetched last.
    pub tips: Vec<String>,
    /// The uncommitted changes that were applied last.
    pub changes: Option<BroughtChanges>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct BroughtChanges {
    pub applied: AppliedChanges,
    pub files: Vec<ChangedFile>,
}

/// A file that an applied patch has changed. `None` for the blob of one that is not there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangedFile {
    /// Relative to the top of the worktree.
    pub path: Blob,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// A file outside repositories that was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BroughtFile {
    /// The directory that is the workspace there.
    pub root: PathBuf,
    /// What was there before; `None` for no file.
    pub before: Option<ContentHash>,
    pub after: WrittenFile,
}

impl Folder {
    fn went_in_path(&self) -> PathBuf {
        self.path.join("went-in.json")
    }

    /// The files outside repositories that went into the workspace, as they were then.
    pub fn went_in(&self) -> Vec<WrittenFile> {
        fs::read(self.went_in_path()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// # Errors
    /// The disk's.
    pub fn set_went_in(&self, files: &[WrittenFile]) -> Result<()> {
        write(&self.went_in_path(), &serde_json::to_vec(files)?)
    }

    fn brought_path(&self) -> PathBuf {
        self.path.join("brought.json")
    }

    /// What was brought here of the session's work; nothing where the record cannot be read.
    pub fn brought(&self) -> Brought {
        fs::read(self.brought_path()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Was anything of its work brought here?
    pub fn has_brought(&self) -> bool {
        self.brought_path().exists()
    }

    /// # Errors
    /// The disk's.
    pub fn set_brought(&self, brought: &Brought) -> Result<()> {
        write(&self.brought_path(), &serde_json::to_vec(brought)?).context("what was brought here cannot be noted")
    }
}

impl Brought {
    pub fn is_empty(&self) -> bool {
        self.repositories.is_empty() && self.files.is_empty()
    }

    /// What was brought of this repository to the one at `top`.
    fn repository(&mut self, name: &str, top: &Path) -> &mut BroughtRepository {
        let new = || BroughtRepository { top: top.to_owned(), tips: Vec::new(), changes: None };
        let repository = self.repositories.entry(name.to_owned()).or_insert_with(new);
        if repository.top != top {
            *repository = new();
        }
        repository
    }

    /// Notes that these commits of a repository were fetched into the one at `top`.
    pub fn note_fetch(&mut self, name: &str, top: &Path, tips: Vec<String>) {
        self.repository(name, top).tips = tips;
    }

    /// Notes changes that were applied to the repository at `top`.
    pub fn note_changes(&mut self, name: &str, top: &Path, mut changes: BroughtChanges) {
        let repository = self.repository(name, top);
        let earlier = repository.changes.take().map(|changes| changes.files).unwrap_or_default();
        let again: BTreeSet<Vec<u8>> = changes.files.iter().map(|file| file.path.0.clone()).collect();
        for old in earlier {
            match changes.files.iter_mut().find(|new| new.path == old.path) {
                // What was there before the first of several changes is what a user gets back.
                Some(new) => new.before = old.before,
                None if !again.contains(&old.path.0) => changes.files.push(old),
                None => {}
            }
        }
        repository.changes = Some(changes);
    }

    /// The changes of a bottle's repository that were applied to this one and not taken back, whatever became of the files.
    ///
    /// # Errors
    /// `UserError` if git does not read it.
    pub fn applied(&self, name: &str, clean: &CleanRepository) -> Result<Option<AppliedChanges>> {
        let here = self.repositories.get(name).filter(|repository| repository.top == clean.repository.top);
        let changes = here.and_then(|repository| repository.changes.as_ref());
        changes.map(|changes| Ok(changes.without(changes.taken_back(clean)?))).transpose()
    }

    /// The repositories of which changes were applied.
    pub fn changed(&self) -> impl Iterator<Item = String> {
        self.repositories.iter().filter(|(_, repository)| repository.changes.is_some()).map(|(name, _)| name.clone())
    }

    /// Notes a file outside repositories that was written.
    pub fn note_file(&mut self, file: BroughtFile) {
        let earlier = self.files.iter().position(|old| (&old.root, &old.after.path) == (&file.root, &file.after.path));
        match earlier.map(|at| &mut self.files[at]) {
            Some(old) => old.after = file.after,
            None => self.files.push(file),
        }
    }

    /// Is everything still here that was brought, as the directories say now?
    pub fn is_still_here(&self) -> bool {
        self.repositories.values().all(|repository| repository.is_still_here().is_ok_and(|is_here| is_here))
            && self.files.iter().all(|file| file.still_here().is_some())
    }

    /// What was brought and is still here, as the directories say now.
    pub fn elsewhere(&self) -> Elsewhere {
        let mut elsewhere = Elsewhere::default();
        for (name, repository) in &self.repositories {
            // What cannot be asked for counts as work.
            let _ = repository.add_to(&mut elsewhere, name);
        }
        elsewhere.files = self.files.iter().filter_map(BroughtFile::still_here).collect();
        elsewhere
    }
}

impl BroughtRepository {
    fn open(&self) -> Result<CleanRepository> {
        let missing = || format!("`{}` is no repository any more", text::path(&self.top));
        let found = Repository::find(&self.top)?.filter(|found| found.top == self.top).with_context(missing)?;
        Ok(CleanRepository::new(found)?.with_user_data()?)
    }

    fn is_still_here(&self) -> Result<bool> {
        let clean = self.open()?;
        let tips: String = self.tips.iter().map(|id| format!("{id}\n")).collect();
        let unreachable = clean.git().args(["rev-list", "--max-count=1", "--stdin", "--not", "--all"]);
        let unreachable = unreachable.run(tips.into_bytes())?;
        let is_reachable = self.tips.is_empty() || (unreachable.is_success() && unreachable.stdout.is_empty());
        let missing = self.changes.as_ref().map(|changes| changes.missing(&clean)).transpose()?;
        Ok(is_reachable && missing.is_none_or(|files| files.is_empty()))
    }

    fn add_to(&self, elsewhere: &mut Elsewhere, name: &str) -> Result<()> {
        let clean = self.open()?;
        elsewhere.commits.extend(sys::git::lines(&clean.tips()?));
        if let Some(changes) = &self.changes {
            elsewhere.changes.insert(name.to_owned(), changes.without(changes.missing(&clean)?));
        }
        Ok(())
    }
}

impl BroughtChanges {
    fn without(&self, files: Vec<Blob>) -> AppliedChanges {
        let mut applied = self.applied.clone();
        applied.left_out.extend(files);
        applied
    }

    /// The files that are not just as they were applied last: not in the worktree, not in the commit that is checked out, and
    /// not in the last stash.
    fn missing(&self, clean: &CleanRepository) -> Result<Vec<Blob>> {
        let here = self.blobs_here(clean)?;
        let others = here.into_iter().filter(|(file, blob)| *blob != file.after).map(|(file, _)| file);
        let others: Vec<&ChangedFile> = others.collect();
        // A name with a line feed cannot be asked for in a line.
        let asked = others.iter().filter(|file| !file.path.0.contains(&b'\n'));
        let question = |file: &&&ChangedFile| {
            ["HEAD:", "refs/stash:"].map(|tree| [tree.as_bytes(), &file.path.0, b"\n"].concat()).concat()
        };
        let questions: Vec<u8> = asked.clone().flat_map(|file| question(&file)).collect();
        let answers = clean.git().args(["cat-file", "--batch-check=%(objectname)"]).run(questions)?.lines();
        let is_answer = |file: &ChangedFile, answer: &String| match &file.after {
            Some(blob) => answer == blob,
            None => answer.ends_with(" missing"),
        };
        let found: BTreeSet<&[u8]> = (asked.zip(answers.chunks(2)))
            .filter(|(file, answers)| answers.iter().any(|answer| is_answer(file, answer)))
            .map(|(file, _)| &file.path.0[..])
            .collect();
        Ok(others.iter().filter(|file| !found.contains(&file.path.0[..])).map(|file| file.path.clone()).collect())
    }

    /// The files that were changed, each with its blob in the worktree now.
    fn blobs_here(&self, clean: &CleanRepository) -> Result<Vec<(&ChangedFile, Option<String>)>> {
        let path = |file: &ChangedFile| PathBuf::from(OsStr::from_bytes(&file.path.0));
        let mut blobs = TrialIndex::new(clean)?.worktree_blobs(self.files.iter().map(path))?;
        let changed = self.files.iter().filter(|file| file.before != file.after);
        Ok(changed.map(|file| (file, blobs.remove(&path(file)))).collect())
    }

    /// The files that are again what they were before, and whose new content is not in the repository either.
    fn taken_back(&self, clean: &CleanRepository) -> Result<Vec<Blob>> {
        let is_taken_back = |(file, blob): &(&ChangedFile, Option<String>)| {
            *blob == file.before && !file.after.as_deref().is_some_and(|blob| clean.has_object(blob))
        };
        let files = self.blobs_here(clean)?;
        Ok(files.iter().filter(|file| is_taken_back(file)).map(|(file, _)| file.path.clone()).collect())
    }
}

impl BroughtFile {
    fn still_here(&self) -> Option<WrittenFile> {
        let path = self.root.join(OsStr::from_bytes(&self.after.path.0));
        let meta = path.symlink_metadata().ok().filter(fs::Metadata::is_file);
        let content = meta.and_then(|_| ContentHash::of(File::open(&path).ok()?).ok());
        (content.as_ref() == Some(&self.after.content)).then(|| self.after.clone())
    }
}
