//! The objects of an exported repository: one pack of what the exported refs, files and index lead to, and of nothing else.
//! A store is never copied: it holds what was thrown away, the work of other bottles, and what it borrows from others.

use crate::exit::UserError;
use crate::git::CleanRepository;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

#[derive(Debug)]
pub struct Objects {
    clean: CleanRepository,
    /// Ids that the export names; not all are of objects.
    tips: BTreeSet<String>,
}

impl Objects {
    pub fn new(clean: CleanRepository, tips: BTreeSet<String>) -> Objects {
        Objects { clean, tips }
    }

    /// About as many bytes as the pack will have: those of all packs and loose objects.
    pub fn estimated_bytes(&self) -> u64 {
        let files = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
        let is_kept =
            |name: &str| name == "pack" || (name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let folders = self.clean.repository.stores().flat_map(files);
        let folders = folders.filter(|folder| is_kept(&folder.file_name().to_string_lossy()));
        let sizes =
            folders.flat_map(|folder| files(folder.path())).filter_map(|file| Some(file.metadata().ok()?.size()));
        sizes.sum()
    }

    /// Makes the pack; its files, with their paths on the disk until this value is dropped.
    ///
    /// # Errors
    /// `UserError` if git does not read the repository.
    pub fn files(&self) -> Result<Vec<PathBuf>, UserError> {
        let clean = &self.clean;
        let asked: String = self.tips.iter().map(|id| format!("{id}\n")).collect();
        let known =
            clean.git().args(["cat-file", "--batch-check=%(objecttype) %(objectname)"]).run(asked.into_bytes())?;
        let is_known = |line: &String| ["commit", "tag", "tree", "blob"].iter().any(|kind| line.starts_with(kind));
        let ids = known.lines().into_iter().filter(is_known);
        let ids: String = ids.filter_map(|line| Some(format!("{}\n", line.split_once(' ')?.1))).collect();
        let folder = clean.scratch("pack")?;
        let options = ["--revs", "--reflog", "--indexed-objects", "--missing=allow-any", "--delta-base-offset"];
        let git =
            clean.git().args(["pack-objects", "--quiet", "--non-empty"]).args(options).args([folder.join("pack")]);
        clean.successful(git.writes().run(ids.into_bytes())?)?;
        let mut files: Vec<PathBuf> = fs::read_dir(&folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
        if let (true, Some(first)) = (clean.repository.is_partial(), files.first()) {
            // What the pack lacks is to be fetched, and no damage.
            let promise = first.with_extension("promisor");
            fs::write(&promise, "").map_err(|error| UserError::unreadable(&promise, &error))?;
            files.push(promise);
        }
        Ok(files)
    }
}
