//! A git repository of this machine's: work comes from it and goes to it. What a verb did to it is seen by looking at
//! everything in it before and after.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

pub struct Host {
    pub path: PathBuf,
}

impl Host {
    /// With one commit.
    pub fn new(path: PathBuf) -> Host {
        let host = Host { path };
        fs::create_dir_all(&host.path).unwrap();
        host.git(&["init", "-q", "--template=", "-b", "main"]);
        host.write("one", "one\n");
        host.write(".gitignore", "*.o\n");
        host.git(&["add", "."]);
        host.git(&["commit", "-qm", "first"]);
        host
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path.join(name)).unwrap()
    }

    /// Is anything there, be it a link to nowhere?
    pub fn has(&self, name: &str) -> bool {
        self.path.join(name).symlink_metadata().is_ok()
    }

    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        self.run(Command::new("git").args(args))
    }

    /// For what git takes from a pipe.
    #[track_caller]
    pub fn shell(&self, script: &str) -> String {
        self.run(Command::new("sh").args(["-euc", script]))
    }

    #[track_caller]
    fn run(&self, command: &mut Command) -> String {
        command.current_dir(&self.path).env("HOME", self.path.parent().unwrap());
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Host").env(format!("GIT_{who}_EMAIL"), "host@example.org");
        }
        command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "protocol.file.allow");
        let output = testing::process::output(command.env("GIT_CONFIG_VALUE_0", "always"));
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Everything in `.git` but objects, and in the worktree: name → what it is.
    pub fn seen(&self) -> BTreeMap<PathBuf, String> {
        let (mut seen, mut left) = (BTreeMap::new(), vec![PathBuf::new()]);
        while let Some(path) = left.pop() {
            let disk = self.path.join(&path);
            let meta = fs::symlink_metadata(&disk).unwrap();
            if meta.is_dir() {
                let entries = fs::read_dir(&disk).unwrap();
                left.extend(entries.map(|entry| path.join(entry.unwrap().file_name())));
            } else if !path.starts_with(".git/objects") {
                let what = match meta.is_symlink() {
                    true => format!("-> {}", fs::read_link(&disk).unwrap().display()),
                    false => String::from_utf8_lossy(&fs::read(&disk).unwrap()).into_owned(),
                };
                seen.insert(path, format!("{:o} {what}", meta.permissions().mode()));
            }
        }
        seen
    }
}
