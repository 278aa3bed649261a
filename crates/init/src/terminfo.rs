//! Whether the image knows the terminal that the host named. New terminals have names of their own (`xterm-ghostty`), which
//! images know years later; programs then fail, or draw without colours.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A terminal that all images with a database know, and that new terminals are like.
pub const DEFAULT_TERM: &str = "xterm-256color";

const DATABASES: [&str; 4] = ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo", "/usr/lib/terminfo"];

/// Replaces a `TERM` that the image does not know; gives the one that was replaced. Without a database nothing is known of
/// either, and it stays.
pub fn replace_unknown(environment: &mut BTreeMap<OsString, OsString>) -> Option<OsString> {
    let home = environment.get(OsStr::new("HOME")).map(|home| Path::new(home).join(".terminfo"));
    let own = environment.get(OsStr::new("TERMINFO")).map(PathBuf::from);
    let databases: Vec<PathBuf> = own.into_iter().chain(home).chain(DATABASES.map(PathBuf::from)).collect();
    replace_unknown_in(environment, &databases)
}

fn replace_unknown_in(environment: &mut BTreeMap<OsString, OsString>, databases: &[PathBuf]) -> Option<OsString> {
    let term = environment.get_mut(OsStr::new("TERM"))?;
    if knows(databases, term) || !knows(databases, OsStr::new(DEFAULT_TERM)) {
        return None;
    }
    Some(std::mem::replace(term, DEFAULT_TERM.into()))
}

/// A database has a folder for each first letter, by the letter or by its number.
fn knows(databases: &[PathBuf], term: &OsStr) -> bool {
    let Some(first) = term.as_bytes().first().filter(|_| !term.as_bytes().contains(&b'/')) else { return false };
    let folders = [char::from(*first).to_string(), format!("{first:x}")];
    databases.iter().any(|database| folders.iter().any(|folder| database.join(folder).join(term).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_the_image_does_not_know_becomes_one_that_it_knows() {
        let folder = tempfile::tempdir().unwrap();
        let databases = [folder.path().to_owned()];
        let replaced = |term: &str| {
            let mut environment = BTreeMap::from([("TERM".into(), term.into())]);
            let was = replace_unknown_in(&mut environment, &databases);
            (was.map(|was| was.into_string().unwrap()), environment[OsStr::new("TERM")].clone().into_string().unwrap())
        };
        assert_eq!(replaced("xterm-ghostty"), (None, "xterm-ghostty".to_owned()), "there is no database");
        for entry in ["x/xterm-256color", "73/screen"] {
            std::fs::create_dir_all(folder.path().join(entry).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(entry), "").unwrap();
        }
        for term in ["xterm-ghostty", "xterm-kitty", "", "../x/xterm-256color", "é"] {
            assert_eq!(replaced(term), (Some(term.to_owned()), DEFAULT_TERM.to_owned()));
        }
        for term in ["xterm-256color", "screen"] {
            assert_eq!(replaced(term), (None, term.to_owned()));
        }
    }
}
