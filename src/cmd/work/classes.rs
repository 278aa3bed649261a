//! Which of the files that are to come run by themselves here, by class. The one answer for every verb that brings files.

use super::autorun::{AutorunClass, FileKind, class_of};
use super::git_folders::git_folders;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is said before such files are listed.
pub const TITLE: &str = "not copied without a yes, because tools run these files automatically:";

/// Those of `files`, which are to come below `top`, that run by themselves there.
pub fn autorun_classes<'a>(top: &Path, files: &[(&'a Path, FileKind)]) -> BTreeMap<AutorunClass, BTreeSet<&'a Path>> {
    let is_here = |path: &Path| top.join(path).symlink_metadata().is_ok();
    let repositories = git_folders(files.iter().map(|(path, _)| *path), is_here);
    let mut classes: BTreeMap<AutorunClass, BTreeSet<&Path>> = BTreeMap::new();
    for (path, kind) in files {
        let is_of_git = path.ancestors().skip(1).any(|folder| repositories.contains(folder));
        let class = if is_of_git { Some(AutorunClass::Repository) } else { class_of(path, *kind) };
        if let Some(class) = class {
            classes.entry(class).or_default().insert(path);
        }
    }
    classes
}
