//! Writes the file `prompt`, which shells read for their prompt: one line, `LIVE DETACHED PENDING`; no file where all are 0.
//!
//! The process that changes a mark counts again, as does one that learns of a proposal or decides about one: an owner from
//! its gate's lines. Of a session without an owner those count that were known when it was detached. An owner that was killed changes nothing any more: its session counts as
//! live until the next change of any mark. No session may fail because of a prompt, so nothing here returns an error.

use super::{Condition, Folder, Home, make_folder};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use wire::{Change, Event};

/// How often one process counts again.
const MAX_RECOUNTS: u32 = 100;

/// Proposals of one session that are counted. A gate has 64 at a time, and a session may have many gates.
const MAX_COUNTED: usize = 1024;

impl Home {
    /// Counts the sessions and writes the file.
    ///
    /// Several processes may count at once. Each counts again after it has written, so the last one to write has seen every
    /// change that was made before.
    pub(super) fn recount(&self) {
        let path = self.path().join("prompt");
        // Other processes may change marks all the time; the last of them writes the right counts.
        for _ in 0..MAX_RECOUNTS {
            let counted = self.count_line();
            if fs::read_to_string(&path).unwrap_or_default() == counted || replace(&path, &counted).is_err() {
                return;
            }
        }
    }

    /// The file's text; empty where there is to be no file.
    fn count_line(&self) -> String {
        let (mut live, mut detached, mut pending) = (0, 0, 0);
        for folder in self.folders() {
            match folder.condition() {
                Condition::Live => live += 1,
                Condition::Detached => detached += 1,
                Condition::Kept(_) | Condition::Lost => {}
            }
            pending += folder.count_asks();
        }
        match (live, detached, pending) {
            (0, 0, 0) => String::new(),
            _ => format!("{live} {detached} {pending}\n"),
        }
    }
}

impl Folder {
    /// Has a file for each proposal that waits: a prompt's count reads no trail, and two processes may decide at once.
    fn asks(&self) -> PathBuf {
        self.path.join("asks")
    }

    fn count_asks(&self) -> usize {
        fs::read_dir(self.asks()).map_or(0, Iterator::count)
    }

    /// Counts a new line of the session's trail.
    pub fn count_event(&self, event: &Event) {
        match event {
            Event::Proposal(proposal) if self.count_asks() < MAX_COUNTED => {
                let file = self.asks().join(proposal.change.id());
                if make_folder(&self.asks()).is_ok() && fs::File::create_new(file).is_ok() {
                    self.home.recount();
                }
            }
            Event::Decided(decision) => self.forget_ask(&decision.change),
            _ => {}
        }
    }

    /// Counts this no more: it is decided.
    pub fn forget_ask(&self, change: &Change) {
        if fs::remove_file(self.asks().join(change.id())).is_ok() {
            self.home.recount();
        }
    }
}

/// Replaces the file, or removes it. It does not wait for the disk: a power loss costs no more than a number in a prompt.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if text.is_empty() {
        // Another process may have removed it.
        return fs::remove_file(path).or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) });
    }
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Folder, Kept, Mark};
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn home() -> (tempfile::TempDir, Home) {
        let root = tempfile::tempdir().unwrap();
        let home = Home { root: root.path().to_owned() };
        (root, home)
    }

    fn shown(home: &Home) -> Option<String> {
        fs::read_to_string(home.path().join("prompt")).ok()
    }

    #[test]
    fn it_follows_every_change() {
        let (_root, home) = home();
        let (one, two) = (home.claim("a-aaaaa").unwrap(), home.claim("a-bbbbb").unwrap());
        assert_eq!(shown(&home), None);
        let _first = one.lock().unwrap();
        one.set_mark(&Mark::Live).unwrap();
        assert_eq!(shown(&home).as_deref(), Some("1 0 0\n"));
        let second = two.lock().unwrap();
        two.set_mark(&Mark::Live).unwrap();
        assert_eq!(shown(&home).as_deref(), Some("2 0 0\n"));
        one.set_mark(&Mark::Detached).unwrap();
        assert_eq!(shown(&home).as_deref(), Some("1 1 0\n"));
        // The owner of the second is killed: that shows at the next change of any mark.
        drop(second);
        assert_eq!(shown(&home).as_deref(), Some("1 1 0\n"));
        one.set_mark(&Mark::Detached).unwrap();
        assert_eq!(shown(&home).as_deref(), Some("0 1 0\n"));
        one.set_mark(&Mark::Kept(Kept::new("because"))).unwrap();
        assert_eq!(shown(&home), None);
        fs::write(two.path().join("plan.json"), "{}").unwrap();
        let saved = two.save().unwrap();
        two.set_mark(&Mark::Detached).unwrap();
        two.put_back(&saved).unwrap();
        assert_eq!(shown(&home), None);
        one.set_mark(&Mark::Detached).unwrap();
        one.clear().unwrap();
        assert_eq!((shown(&home), home.folders().len()), (None, 1));
    }

    #[test]
    fn many_at_once_end_with_the_right_number() {
        let (_root, home) = home();
        let folders: Vec<Folder> = (0..8).map(|n| home.claim(&format!("a-{n}aaaa")).unwrap()).collect();
        for _ in 0..10 {
            std::thread::scope(|scope| {
                for (n, folder) in folders.iter().enumerate() {
                    scope.spawn(move || {
                        folder.set_mark(&Mark::Detached).unwrap();
                        folder.set_mark(&Mark::Kept(Kept::new("because"))).unwrap();
                        if n % 2 == 0 {
                            folder.set_mark(&Mark::Detached).unwrap();
                        }
                    });
                }
            });
            assert_eq!(shown(&home).as_deref(), Some("0 4 0\n"));
        }
    }

    /// A folder is in the file's place, because no mode would stop a test that runs as root.
    #[test]
    fn a_prompt_that_cannot_be_written_stops_nothing() {
        let (_root, home) = home();
        let folder = home.claim("a-aaaaa").unwrap();
        fs::create_dir(home.path().join("prompt")).unwrap();
        folder.set_mark(&Mark::Detached).unwrap();
        folder.set_mark(&Mark::Kept(Kept::new("because"))).unwrap();
        let names: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        fs::remove_dir(home.path().join("prompt")).unwrap();
        folder.set_mark(&Mark::Detached).unwrap();
        let mode = fs::metadata(home.path().join("prompt")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
