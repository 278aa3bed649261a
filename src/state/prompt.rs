//! `prompt`: one line, `LIVE DETACHED PENDING`, which a shell's prompt reads by itself; no file where all are none.
//!
//! It is counted anew at every change of a mark, by whoever changed it. An owner that was killed changes nothing any more:
//! its session is counted as live until the next change of any. A prompt is no reason for a session to fail, so nothing
//! here does.

use super::{Condition, Home};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

impl Home {
    /// Writes what is there now.
    ///
    /// Several may count at once. Whoever has written looks again, so the last one to write has seen every change that
    /// was made before.
    pub(super) fn recount(&self) {
        let path = self.path().join("prompt");
        // An end where others never cease to change something: the last of them is right.
        for _ in 0..100 {
            let counted = self.counted();
            if fs::read_to_string(&path).unwrap_or_default() == counted || put(&path, &counted).is_err() {
                return;
            }
        }
    }

    /// The file's text.
    fn counted(&self) -> String {
        let (mut live, mut detached) = (0, 0);
        for folder in self.folders() {
            match folder.condition() {
                Condition::Live => live += 1,
                Condition::Detached => detached += 1,
                Condition::Kept(_) | Condition::Lost => {}
            }
        }
        // Nobody can propose anything yet.
        let pending = 0;
        match (live, detached, pending) {
            (0, 0, 0) => String::new(),
            _ => format!("{live} {detached} {pending}\n"),
        }
    }
}

/// In one move. Nothing waits for the disk: after a power loss, too, it is only a number in a prompt.
fn put(path: &Path, text: &str) -> io::Result<()> {
    if text.is_empty() {
        // Another one may have been quicker.
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
        // The owner of the second is killed: nobody says so, until anything else changes.
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

    /// Not as root, whom no mode stops: a folder is in its place.
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
