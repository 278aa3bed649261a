//! Folders that git takes for repositories, whatever they are called: in one, `git status` runs what its `config` names.
//! Pure.

use super::autorun::comparable;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What makes a folder a git directory: `HEAD`, with `objects` and `refs`, or with a file that tells where these are.
const PARTS: [&str; 4] = ["HEAD", "objects", "refs", "commondir"];

/// The folders with one of these files in or below them that git takes for repositories once the files are there.
/// `is_here`: is anything at this path already?
pub fn git_folders<'a>(
    paths: impl IntoIterator<Item = &'a Path>,
    is_here: impl Fn(&Path) -> bool,
) -> BTreeSet<PathBuf> {
    let mut found: BTreeMap<&Path, BTreeSet<&str>> = BTreeMap::new();
    for path in paths {
        for (child, folder) in path.ancestors().zip(path.ancestors().skip(1)) {
            let name = comparable(&child.file_name().unwrap_or_default().to_string_lossy());
            let part = PARTS.into_iter().find(|part| name == part.to_lowercase());
            found.entry(folder).or_default().extend(part);
        }
    }
    let is_repository = |(folder, parts): &(&Path, BTreeSet<&str>)| {
        let [head, objects, refs, commondir] = PARTS.map(|part| parts.contains(part) || is_here(&folder.join(part)));
        head && (commondir || (objects && refs))
    };
    found.into_iter().filter(is_repository).map(|(folder, _)| folder.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folders found for these new files beside these that are there.
    fn found(new: &[&str], here: &[&str]) -> Vec<String> {
        let folders = git_folders(new.iter().map(Path::new), |path| here.iter().any(|name| Path::new(name) == path));
        folders.iter().map(|folder| folder.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_git_directory_is_known_by_its_parts() {
        for (new, here) in [
            (&["a/b/HEAD", "a/b/objects/x", "a/b/refs/x"][..], &[][..]),
            (&["a/b/config"], &["a/b/HEAD", "a/b/objects", "a/b/refs"]),
            (&["a/b/HEAD"], &["a/b/objects", "a/b/refs"]),
            (&["a/b/refs/heads/x", "a/b/objects/info/x"], &["a/b/HEAD"]),
            (&["a/b/head.", "a/b/Objects /x", "a/b/REFS/x"], &[]),
            (&["a/b/commondir", "a/b/HEAD"], &[]),
            (&["a/b/hooks/deep/down"], &["a/b/HEAD", "a/b/commondir"]),
        ] {
            assert_eq!(found(new, here), ["a/b"], "{new:?} {here:?}");
        }
        assert_eq!(found(&["HEAD", "objects/x", "refs/x", "src/a"], &[]), [""], "the folder itself");
    }

    #[test]
    fn parts_in_several_folders_are_none() {
        for new in [
            &["a/HEAD", "b/objects/x", "a/refs/x"][..],
            &["HEAD/x", "a/objects", "a/refs"],
            &["a/objects/x", "a/refs/x", "a/config"],
            &["a/HEAD", "a/objects/x"],
            &["commondir"],
        ] {
            assert_eq!(found(new, &[]), [""; 0], "{new:?}");
        }
    }
}
