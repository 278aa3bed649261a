//! Names of the refs here that are a bottle's: `refs/bottles/IDENTITY/PATH/KIND/…`, without `PATH/` for the repository that is
//! the workspace itself. Pure.

use crate::git::{RefSpace, plain_ref};

/// The folder of the refs of all bottles.
const BOTTLES: &str = "refs/bottles/";
/// What a repository of a bottle has below its path, each a ref or a folder of refs.
const OWN: [&str; 6] = ["HEAD", "heads", "main-worktree", "stash", "tags", "worktrees"];
/// Folder of what was pushed to a local remote.
const REMOTES: &str = "remotes";
/// Folder of commits that the bottle has no ref for any more.
const FORMER: &str = "former";

/// The refs of one repository of a bottle.
pub struct BottleRefs {
    folder: String,
    former: String,
    /// Name of the local remote of which the refs are, else those of the repository itself.
    own: Vec<String>,
}

impl BottleRefs {
    /// The folder of all refs of this session.
    pub fn folder_of(identity: &str) -> String {
        format!("{BOTTLES}{identity}/")
    }

    /// `repository`: its path in the workspace, `.` for the workspace itself.
    pub fn of_repository(identity: &str, repository: &str) -> BottleRefs {
        let path = if repository == "." { String::new() } else { format!("{}/", path_ref(repository)) };
        BottleRefs::below(format!("{BOTTLES}{identity}/{path}"), OWN.map(str::to_owned).into())
    }

    /// What was pushed to the local remote of this name.
    pub fn of_remote(identity: &str, remote: &str) -> BottleRefs {
        let own = format!("{REMOTES}/{}", plain_ref(remote.as_bytes()));
        BottleRefs::below(BottleRefs::folder_of(identity), vec![own])
    }

    fn below(folder: String, own: Vec<String>) -> BottleRefs {
        BottleRefs { former: format!("{folder}{FORMER}/"), folder, own }
    }

    pub fn space(&self) -> RefSpace<'_> {
        RefSpace { folder: &self.folder, own: &self.own, former: &self.former }
    }

    /// The folder of the branches.
    pub fn heads(&self) -> String {
        format!("{}heads/", self.folder)
    }

    /// The branch of this ref; `None` where it is none.
    pub fn branch<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(&self.folder)?.strip_prefix("heads/")
    }

    /// Is this ref the head that no branch has?
    pub fn is_head(&self, name: &str) -> bool {
        name.strip_prefix(&self.folder) == Some("HEAD")
    }
}

/// The path of a repository as a folder of refs. Two paths never become one, and none is in the way of another's refs.
fn path_ref(path: &str) -> String {
    let escaped = |byte: u8| format!("%{byte:02X}");
    let plain = plain_ref(path.as_bytes());
    let parts = plain.split('/').map(|part| {
        let is_taken = OWN.iter().chain(&[REMOTES, FORMER]).any(|name| part.eq_ignore_ascii_case(name));
        let part = match part.as_bytes() {
            [first, ..] if is_taken => format!("{}{}", escaped(*first), &part[1..]),
            _ => part.to_owned(),
        };
        // git takes no dot at either end of a part, no two in a row, and no lock.
        let is_lock = part.to_ascii_lowercase().ends_with(".lock");
        let is_odd = part.starts_with('.') || part.ends_with('.') || part.contains("..") || is_lock;
        if is_odd { part.replace('.', &escaped(b'.')) } else { part }
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_a_folder_of_refs_of_its_own() {
        for (path, folder) in [
            ("app", "app"),
            ("deep/er/my app", "deep/er/my%20app"),
            ("heads", "%68eads"),
            ("a/HEAD/Former", "a/%48EAD/%46ormer"),
            (".hidden/a.b", "%2Ehidden/a.b"),
            ("x.lock/y./a..b", "x%2Elock/y%2E/a%2E%2Eb"),
            ("%68eads", "%2568eads"),
        ] {
            assert_eq!(path_ref(path), folder);
        }
        assert_eq!(BottleRefs::of_repository("a-1", ".").heads(), "refs/bottles/a-1/heads/");
        assert_eq!(BottleRefs::of_repository("a-1", "sub").heads(), "refs/bottles/a-1/sub/heads/");
    }
}
