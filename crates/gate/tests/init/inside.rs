//! What `init` knows of the work in a home, run without a container: noted, compared and handed out, from real
//! repositories and from those that an agent spoilt. Needs `git`, `setpriv` and `mkfifo`.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use testing::process::{finish, output};
use testing::wait::until;
use wire::{Repository, Work};

/// A home with a workspace.
struct Inside(TempDir);

impl Inside {
    /// Before the baseline.
    fn new() -> Inside {
        let inside = Inside(tempfile::tempdir().unwrap());
        fs::create_dir_all(inside.at("")).unwrap();
        inside
    }

    /// A new home whose agent's program starts now.
    fn started() -> Inside {
        let inside = Inside::new();
        inside.start();
        inside
    }

    fn home(&self) -> PathBuf {
        self.0.path().join("home")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home().join("workspace").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn init(&self, words: &[&str]) -> Command {
        let mut init = Command::new(testing::gate_program());
        init.args(["init", "--home"]).arg(self.home()).args(words).stdin(Stdio::null());
        init
    }

    /// Ends well; its stdout.
    #[track_caller]
    fn asked(&self, words: &[&str]) -> Vec<u8> {
        let Output { status, stdout, stderr } = output(&mut self.init(words));
        assert!(status.success(), "{words:?}: {status} {}", String::from_utf8_lossy(&stderr));
        stdout
    }

    #[track_caller]
    fn said(&self, words: &[&str]) -> String {
        String::from_utf8_lossy(&self.asked(words)).into_owned()
    }

    /// Takes the baseline. The kernel's clock for files goes in steps: what was there before must be older.
    fn start(&self) {
        let probe = self.0.path().join("probe");
        let tick = || {
            fs::write(&probe, "").unwrap();
            let meta = fs::metadata(&probe).unwrap();
            (meta.ctime(), meta.ctime_nsec())
        };
        let before = tick();
        until("the clock of files to go on", || tick() != before);
        self.asked(&["work", "baseline"]);
        self.mark_baseline_done();
    }

    /// The agent's program starts.
    fn mark_baseline_done(&self) {
        fs::create_dir_all(self.home().join(".claude-bottle")).unwrap();
        fs::write(self.home().join(".claude-bottle/baseline.done"), "").unwrap();
    }

    #[track_caller]
    fn work(&self) -> Work {
        serde_json::from_slice(&self.asked(&["work", "report"])).unwrap()
    }

    /// Nothing else is reported than this.
    #[track_caller]
    fn has(&self, files: u64, repositories: &[(&str, u64, u64, u64)]) {
        let repository = |(path, commits, stashes, files): &(&str, u64, u64, u64)| Repository {
            path: (*path).to_owned(),
            commits: *commits,
            stashes: *stashes,
            files: *files,
        };
        let repositories = repositories.iter().map(repository).collect();
        let found = Work { reflog: Vec::new(), ..self.work() };
        assert_eq!(found, Work { complete: true, repositories, files, ..Work::default() });
    }

    /// A repository with a first commit.
    fn repository(&self, path: &str) -> Git {
        fs::create_dir_all(self.at(path)).unwrap();
        Git::new(&self.at(path))
    }

    /// The patch, without its first line, which is the base.
    #[track_caller]
    fn patch(&self, repository: &str) -> (String, Vec<u8>) {
        let said = self.asked(&["work", "patch", repository]);
        let line = said.iter().position(|byte| *byte == b'\n').unwrap();
        let base = std::str::from_utf8(&said[..line]).unwrap().strip_prefix("base ").unwrap();
        (base.to_owned(), said[line + 1..].to_owned())
    }

    /// Exit code and what is printed, for who has these commits.
    fn bundle(&self, repository: &str, have: &str) -> (Option<i32>, Vec<u8>) {
        let mut init = self.init(&["work", "bundle", repository]);
        let output = fed(init.stdout(Stdio::piped()).stderr(Stdio::piped()), have.as_bytes());
        (output.status.code(), output.stdout)
    }
}

fn fed(command: &mut Command, stdin: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let (mut pipe, bytes) = (child.stdin.take().unwrap(), stdin.to_vec());
    std::thread::spawn(move || pipe.write_all(&bytes));
    finish(&format!("{command:?}"), child)
}

/// A repository, used as an agent or a person uses it.
struct Git {
    path: PathBuf,
}

impl Git {
    fn new(path: &Path) -> Git {
        let git = Git { path: path.to_owned() };
        git.run(&["init", "-q", "-b", "main"]);
        git.write(".gitignore", "*.o\n");
        git.write("one", "one\n");
        // Of the same second, they would be the same commit.
        git.commit(&format!("first of {}", path.display()));
        git
    }

    /// Another one with the same commits.
    fn copy(&self, path: &Path) -> Git {
        self.run(&["clone", "-q", self.path.to_str().unwrap(), path.to_str().unwrap()]);
        Git { path: path.to_owned() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut git = Command::new("git");
        git.current_dir(&self.path).env("HOME", "/nonexistent").env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "Agent").env(format!("GIT_{who}_EMAIL"), "agent@example.org");
        }
        git.args(["-c", "protocol.file.allow=always", "-c", "core.fsync=none", "-c", "gc.auto=0"]).args(args);
        git.stdout(Stdio::piped()).stderr(Stdio::piped());
        git
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> String {
        self.fed(args, b"")
    }

    #[track_caller]
    fn fed(&self, args: &[&str], stdin: &[u8]) -> String {
        let output = fed(&mut self.command(args), stdin);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path.join(path).parent().unwrap()).unwrap();
        fs::write(self.path.join(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path.join(path)).unwrap()).into_owned()
    }

    fn commit(&self, subject: &str) -> String {
        self.run(&["add", "-A"]);
        self.run(&["commit", "-q", "--allow-empty", "-m", subject]);
        self.run(&["rev-parse", "HEAD"]).trim().to_owned()
    }
}

fn pipe(path: &Path) {
    assert!(output(Command::new("mkfifo").arg(path)).status.success());
}

fn age(path: &Path, seconds: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

#[test]
fn where_nothing_was_made_nothing_is_found() {
    let inside = Inside::started();
    inside.has(0, &[]);
    fs::create_dir_all(inside.at("empty/folders")).unwrap();
    inside.has(0, &[]);
    assert_eq!(inside.said(&["work", "diff"]), "");
    fs::remove_dir_all(inside.at("")).unwrap();
    inside.has(0, &[]);
}

#[test]
fn files_outside_repositories_are_new_or_changed() {
    let inside = Inside::new();
    for name in ["same", "grown", "swapped", "moved", "open", "gone"] {
        inside.write(&format!("came/{name}"), "from the host\n");
    }
    inside.start();
    inside.has(0, &[]);
    fs::File::options().append(true).open(inside.at("came/grown")).unwrap().write_all(b"more\n").unwrap();
    // Neither length nor time tells.
    fs::write(inside.at("came/swapped"), "by the agent!\n").unwrap();
    age(&inside.at("came/swapped"), 1_000_000_000);
    fs::rename(inside.at("came/moved"), inside.at("came/here")).unwrap();
    fs::set_permissions(inside.at("came/open"), PermissionsExt::from_mode(0o777)).unwrap();
    fs::remove_file(inside.at("came/gone")).unwrap();
    inside.write("-new", "-n\n");
    inside.write("deep/er/odd\nname", "x");
    symlink("/etc/passwd", inside.at("link")).unwrap();
    pipe(&inside.at("pipe"));
    inside.has(8, &[]);

    let diff = inside.said(&["work", "diff"]);
    for part in ["# files outside repositories\n", "+more\n", "+by the agent!\n", "+-n\n", "+/etc/passwd\n"] {
        assert!(diff.contains(part), "{part}: {diff}");
    }
    assert!(diff.contains("# no regular file: pipe\n"), "{diff}");
    let stat = inside.said(&["work", "diff", "--stat"]);
    assert!(stat.starts_with("# files outside repositories\n -new\n came/grown\n"), "{stat}");

    let archive = inside.asked(&["work", "files"]);
    let mut archive = tar::Archive::new(&archive[..]);
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.push((
            entry.path().unwrap().to_string_lossy().into_owned(),
            entry.header().mode().unwrap() & 0o777,
            text,
        ));
    }
    let names: Vec<&str> = files.iter().map(|(name, ..)| name.strip_prefix("files/").unwrap()).collect();
    assert_eq!(names, ["-new", "came/grown", "came/here", "came/open", "came/swapped", "deep/er/odd\nname"]);
    assert_eq!(files[3].1, 0o777);
    assert_eq!(files[1].2, "from the host\nmore\n");
}

#[test]
fn a_repository_is_work_as_far_as_it_is_nowhere_else() {
    let inside = Inside::started();
    let git = inside.repository("app");
    inside.has(0, &[("app", 1, 0, 0)]);
    git.write("one", "changed\n");
    git.write("new/file", "untracked\n");
    git.write("built.o", "ignored\n");
    inside.has(0, &[("app", 1, 0, 2)]);
    git.run(&["stash", "-q", "--include-untracked"]);
    git.write("one", "again\n");
    git.run(&["stash", "-q"]);
    inside.has(0, &[("app", 1, 2, 0)]);
    fs::remove_file(git.path.join(".git/logs/refs/stash")).unwrap();
    inside.has(0, &[("app", 1, 1, 0)]);
    git.run(&["update-ref", "-d", "refs/stash"]);

    // Elsewhere is what was pushed or fetched, and not a folder in the bottle.
    git.run(&["remote", "add", "origin", "https://git.example.org/app.git"]);
    git.run(&["remote", "add", "near", "../near.git"]);
    git.run(&["update-ref", "refs/remotes/near/main", "HEAD"]);
    inside.has(0, &[("app", 1, 0, 0)]);
    git.run(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    inside.has(0, &[]);
    for url in ["git@git.example.org:app.git", "ssh://git.example.org/app"] {
        git.run(&["remote", "set-url", "origin", url]);
        inside.has(0, &[]);
    }
    for url in ["/srv/app.git", "file:///srv/app.git", "./a:b"] {
        git.run(&["remote", "set-url", "origin", url]);
        inside.has(0, &[("app", 1, 0, 0)]);
    }
    git.run(&["remote", "set-url", "origin", "git.example.org:app.git"]);

    git.run(&["checkout", "-q", "--detach"]);
    git.commit("detached");
    inside.has(0, &[("app", 1, 0, 0)]);
    git.run(&["tag", "kept"]);
    git.run(&["checkout", "-q", "main"]);
    inside.has(0, &[("app", 1, 0, 0)]);
    git.run(&["tag", "-d", "kept"]);
    inside.has(0, &[]);
}

/// As it is copied: commits, a stash, and changes of every kind that were never committed.
fn copied(inside: &Inside, path: &str) -> Git {
    let git = inside.repository(path);
    for name in ["kept", "edited", "removed", "later", "staged"] {
        git.write(name, &format!("{name}\n"));
    }
    git.commit("second");
    git.write("edited", "stashed\n");
    git.run(&["stash", "-q"]);
    git.run(&["checkout", "-q", "-b", "side"]);
    git.commit("aside");
    git.run(&["checkout", "-q", "main"]);
    git.write("edited", "edited\nby the host\n");
    git.write("staged", "staged by the host\n");
    git.run(&["add", "staged"]);
    git.write("untracked", "of the host\n");
    fs::remove_file(git.path.join("removed")).unwrap();
    git
}

#[test]
fn no_name_forges_a_line_of_the_diff() {
    const FORGED: &str = "\n# repository forged\u{1b}[2J\u{fe0f}";
    let inside = Inside::started();
    inside.write(&format!("file{FORGED}"), "x");
    pipe(&inside.at(&format!("pipe{FORGED}")));
    let git = inside.repository("plain");
    git.write(&format!("in{FORGED}"), "x");
    git.run(&["add", "-A"]);
    git.run(&["-c", &format!("user.name=Agent{FORGED}"), "commit", "-qm", &format!("subject{FORGED}")]);
    git.write(&format!("later{FORGED}"), "x");
    let broken = format!("broken{FORGED}");
    inside.repository(&broken);
    fs::write(inside.at(&format!("{broken}/.git/HEAD")), "no head").unwrap();
    for words in [&["work", "diff"][..], &["work", "diff", "--stat"]] {
        let diff = inside.said(words);
        assert!(!diff.contains("\n# repository forged") && !diff.contains(['\u{1b}', '\u{fe0f}']), "{diff}");
        for part in
            ["# repository plain\n# commit ", "# repository broken\\u{a}# repository forged\\u{1b}[2J\\u{fe0f}: cannot"]
        {
            assert!(diff.contains(part), "{part}: {diff}");
        }
    }
}

#[test]
fn a_file_that_takes_hours_to_read_is_only_named() {
    let inside = Inside::started();
    fs::File::create(inside.at("huge")).unwrap().set_len(1 << 40).unwrap();
    inside.write("small", "x");
    let diff = inside.said(&["work", "diff"]);
    assert!(diff.contains("# too large to show (1099511627776 bytes): huge\n") && diff.contains("+x"), "{diff}");
}

#[test]
fn what_came_from_the_host_is_no_work_until_it_is_touched() {
    let inside = Inside::new();
    let git = copied(&inside, "");
    let host = Git { path: inside.0.path().join("host") };
    fs::create_dir(&host.path).unwrap();
    // The host's own, to which the patch comes home.
    assert!(output(Command::new("cp").arg("-a").arg(git.path.join(".")).arg(&host.path)).status.success());
    inside.start();
    inside.has(0, &[]);
    let head = git.run(&["rev-parse", "HEAD"]).trim().to_owned();
    assert_eq!(inside.patch("."), (head.clone(), Vec::new()));
    assert_eq!(inside.said(&["work", "diff"]), "");

    git.write("edited", "edited\nby the host\nand the agent\n");
    git.write("untracked", "of the host\nand the agent\n");
    git.write("later", "by the agent\n");
    git.write("made", "by the agent\n");
    fs::remove_file(git.path.join("kept")).unwrap();
    inside.has(0, &[(".", 0, 0, 5)]);
    let (base, patch) = inside.patch(".");
    assert_eq!(base, head);
    host.fed(&["apply", "-"], &patch);
    assert_eq!(host.read("edited"), "edited\nby the host\nand the agent\n");
    assert_eq!(host.read("untracked"), "of the host\nand the agent\n");
    assert_eq!((host.read("later"), host.read("made")), ("by the agent\n".into(), "by the agent\n".into()));
    assert!(!host.path.join("kept").exists() && !host.path.join("removed").exists());
    assert_eq!(host.read("staged"), "staged by the host\n");

    // A commit takes it in, what was the host's with it: the patch has nothing of it any more.
    let commit = git.commit("all of it");
    git.run(&["stash", "drop", "-q"]);
    inside.has(0, &[(".", 1, 0, 0)]);
    assert_eq!(inside.patch("."), (commit, Vec::new()));
    // And a resumed session begins with the baseline that is there.
    git.write("more", "after\n");
    let bottle = inside.home().join(".claude-bottle/baseline/baseline.json");
    assert_eq!(fs::metadata(bottle.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    inside.has(0, &[(".", 1, 0, 1)]);
}

/// A moved folder leaves the time of its files as it was.
#[test]
fn what_is_moved_is_handed_out() {
    let inside = Inside::new();
    let git = inside.repository("");
    git.write("src/tracked", "tracked\n");
    git.commit("second");
    git.write("data/untracked", "untracked\n");
    inside.start();
    fs::rename(inside.at("src"), inside.at("lib")).unwrap();
    fs::rename(inside.at("data"), inside.at("stuff")).unwrap();
    inside.has(0, &[(".", 0, 0, 3)]);
    let patch = String::from_utf8(inside.patch(".").1).unwrap();
    for line in ["+++ b/lib/tracked", "--- a/src/tracked", "+++ b/stuff/untracked", "--- a/data/untracked"] {
        assert!(patch.contains(&format!("\n{line}\n")), "{line}: {patch}");
    }
}

/// Git knows a change by length and second alone, but for what is younger than its index: a copy of that must not look
/// younger than it is.
#[test]
fn a_change_within_the_second_of_a_commit_is_seen() {
    let inside = Inside::new();
    let git = inside.repository("");
    let edit = |text: &str| {
        git.write("one", text);
        age(&git.path.join("one"), 1_700_000_000);
    };
    edit("two\n");
    git.commit("second");
    edit("new\n");
    age(&git.path.join(".git/index"), 1_700_000_000);
    inside.start();
    inside.has(0, &[]);
    assert_eq!(inside.patch(".").1, b"", "it was so before");
    git.run(&["commit", "-qam", "third"]);
    edit("old\n");
    age(&git.path.join(".git/index"), 1_700_000_000);
    inside.has(0, &[(".", 1, 0, 1)]);
    let patch = String::from_utf8(inside.patch(".").1).unwrap();
    assert!(patch.ends_with("-new\n+old\n"), "{patch}");
}

/// On the host a filter stood between the files and their blobs; the bottle has none.
#[test]
fn a_filter_of_the_hosts_makes_no_change() {
    let inside = Inside::new();
    let git = inside.repository("");
    git.run(&["config", "filter.large.clean", "sed 's/.*/pointer/'"]);
    git.write(".gitattributes", "*.bin filter=large\n");
    git.write("a.bin", "the large file\n");
    git.commit("large");
    git.run(&["config", "--unset", "filter.large.clean"]);
    // Copied: another file, of the same time.
    fs::copy(git.path.join("a.bin"), git.path.join("b.bin")).unwrap();
    let time = fs::metadata(git.path.join("a.bin")).unwrap().modified().unwrap();
    fs::rename(git.path.join("b.bin"), git.path.join("a.bin")).unwrap();
    fs::File::options().write(true).open(git.path.join("a.bin")).unwrap().set_modified(time).unwrap();
    age(&git.path.join(".git/index"), 4_000_000_000);
    inside.start();
    inside.has(0, &[]);
    assert_eq!(inside.patch(".").1, b"");
    git.write("a.bin", "another large file\n");
    inside.has(0, &[(".", 0, 0, 1)]);
}

#[test]
fn repositories_lie_in_repositories() {
    let inside = Inside::new();
    let outer = inside.repository("");
    let library = inside.0.path().join("library");
    fs::create_dir(&library).unwrap();
    Git::new(&library);
    outer.run(&["submodule", "add", "-q", library.to_str().unwrap(), "sub"]);
    outer.commit("with a submodule");
    inside.start();
    inside.has(0, &[]);
    // One without a commit, one in an ignored folder, a worktree, and the submodule.
    let inner = Git { path: inside.at("inner") };
    fs::create_dir(&inner.path).unwrap();
    inner.run(&["init", "-q"]);
    inner.write("seed", "x\n");
    outer.write(".gitignore", "*.o\nbuild/\n");
    let built = inside.repository("build/dependency");
    built.write("two", "two\n");
    let sub = Git { path: inside.at("sub") };
    sub.commit("in the submodule");
    sub.write("one", "changed\n");
    outer.run(&["worktree", "add", "-q", "tree", "-b", "tree"]);
    let tree = Git { path: inside.at("tree") };
    tree.write("two", "two\n");
    // A commit on the worktree's branch is in both, being one repository.
    tree.commit("in the worktree");
    tree.write("three", "three\n");
    inside.has(
        0,
        &[(".", 1, 0, 1), ("build/dependency", 1, 0, 1), ("inner", 0, 0, 1), ("sub", 1, 0, 1), ("tree", 1, 0, 1)],
    );
    // What the host has is not made here because it is cloned.
    outer.copy(&inside.at("clone")).run(&["reset", "-q", "--hard", "HEAD"]);
    inside.has(
        0,
        &[(".", 1, 0, 1), ("build/dependency", 1, 0, 1), ("inner", 0, 0, 1), ("sub", 1, 0, 1), ("tree", 1, 0, 1)],
    );
    fs::remove_dir_all(inside.at("clone")).unwrap();
    let names = |repository: &str| {
        let patch = String::from_utf8(inside.patch(repository).1).unwrap();
        patch.lines().filter_map(|line| line.strip_prefix("+++ b/").map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(names("."), [".gitignore"]);
    assert_eq!(
        (names("inner"), names("sub"), names("tree")),
        (vec!["seed".into()], vec!["one".into()], vec!["three".into()])
    );
    assert_eq!(inside.patch("inner").0, "none");
    let diff = inside.said(&["work", "diff", "sub"]);
    assert!(diff.starts_with("# repository sub\n# commit ") && diff.contains("in the submodule\n"), "{diff}");
    assert!(!diff.contains("inner"), "{diff}");
}

#[test]
fn without_a_baseline_nothing_is_known() {
    let inside = Inside::new();
    assert_eq!(inside.work(), Work::default());
    inside.start();
    let notes = inside.home().join(".claude-bottle/baseline/baseline.json");
    fs::write(&notes, "{\"instant\":[1").unwrap();
    assert_eq!(inside.work(), Work::default());
    for words in [&["work", "files"][..], &["work", "diff"], &["work", "nonsense"], &["nonsense"]] {
        let output = output(&mut inside.init(words));
        assert_eq!((output.status.code(), output.stdout.len()), (Some(125), 0), "{words:?}");
    }
}

#[test]
fn no_git_no_answer_but_where_there_is_nothing_to_ask() {
    let inside = Inside::started();
    inside.write("loose", "x");
    let report = || {
        let output = output(inside.init(&["work", "report"]).env("PATH", "/nonexistent"));
        serde_json::from_slice::<Work>(&output.stdout).unwrap()
    };
    assert_eq!(report(), Work { complete: true, files: 1, ..Work::default() });
    inside.repository("app");
    assert_eq!(report(), Work { complete: false, files: 1, ..Work::default() });
}

/// Root reads everything, but for this.
fn bound(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound.args(["--bounding-set", "-dac_override,-dac_read_search"]);
    if !nix::unistd::geteuid().is_root() {
        bound = Command::new("env");
    }
    bound.arg(command.get_program()).args(command.get_args());
    bound
}

#[test]
fn what_cannot_be_read_hides_nothing_else() {
    let inside = Inside::started();
    let git = inside.repository("app");
    git.write("secret", "x\n");
    git.write("open", "x\n");
    inside.write("closed/file", "x\n");
    inside.write("loose", "x\n");
    // Git takes none of these for a repository.
    for broken in ["empty/.git/x", "file/.git"] {
        inside.write(broken, "nonsense\n");
    }
    let close = |mode: u32| {
        for path in ["app/secret", "closed"] {
            fs::set_permissions(inside.at(path), PermissionsExt::from_mode(mode)).unwrap();
        }
    };
    close(0);
    let asked = |words: &[&str]| {
        let output = output(&mut bound(&inside.init(words)));
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let work: Work = serde_json::from_str(&asked(&["work", "report"])).unwrap();
    let app = Repository { path: "app".into(), commits: 1, stashes: 0, files: 2 };
    assert_eq!(work, Work { complete: false, repositories: vec![app], files: 1, ..Work::default() });
    let diff = asked(&["work", "diff"]);
    for part in ["+++ b/open\n", "# repository empty: cannot be read: ", "+++ b/loose\n", "# cannot be read: closed\n"]
    {
        assert!(diff.contains(part), "{part}: {diff}");
    }
    let patch = asked(&["work", "patch", "app"]);
    assert!(patch.contains("+++ b/open\n") && !patch.contains("secret"), "{patch}");
    asked(&["work", "files"]);
    close(0o700);
}

/// All that would run a program or lead away, and names that tools trip over.
#[test]
fn a_hostile_repository_hides_and_runs_nothing() {
    let inside = Inside::started();
    let git = inside.repository("app");
    let trap = inside.0.path().join("trap");
    let touch = format!("touch {}", trap.display());
    git.write("one", "changed\n");
    git.write(".gitattributes", "* diff=x filter=x\n");
    let odd: [&[u8]; 4] = [b"-rf", b"new\nline", b"not\xffutf8", b":(top)magic"];
    for name in odd {
        fs::write(git.path.join(OsStr::from_bytes(name)), "odd\n").unwrap();
    }
    symlink("/etc", git.path.join("way-out")).unwrap();
    pipe(&git.path.join("pipe"));
    for hook in ["pre-commit", "reference-transaction", "post-index-change", "fsmonitor-watchman"] {
        git.write(&format!(".git/hooks/{hook}"), &format!("#!/bin/sh\n{touch}\n"));
        fs::set_permissions(git.path.join(".git/hooks").join(hook), PermissionsExt::from_mode(0o755)).unwrap();
    }
    git.write(".git/objects/info/alternates", "/nowhere\n");
    let included = inside.0.path().join("included");
    fs::write(&included, format!("[diff]\n\texternal = {touch}\n")).unwrap();
    let config = format!(
        "[core]\n\tworktree = /\n\tbare = true\n\tfsmonitor = {touch}\n\thooksPath = .git/hooks\n\tpager = {touch}\n\
         \tquotePath = false\n[include]\n\tpath = {}\n[diff \"x\"]\n\ttextconv = {touch}\n\tcommand = {touch}\n\
         [log]\n\tshowSignature = true\n[gpg]\n\tprogram = {touch}\n[diff]\n\tnoprefix = true\n\
         [color]\n\tui = always\n[pager]\n\tdiff = {touch}\n[alias]\n\tdiff = !{touch}\n\
         [filter \"x\"]\n\tclean = {touch}; echo forged\n\trequired = true\n\
         [status]\n\tshowUntrackedFiles = no\n[uploadpack]\n\tpackObjectsHook = {touch}\n",
        included.display()
    );
    fs::File::options().append(true).open(git.path.join(".git/config")).unwrap().write_all(config.as_bytes()).unwrap();
    // `one`, the attributes, four odd names, a link.
    inside.has(0, &[("app", 1, 0, 7)]);
    let (_, patch) = inside.patch("app");
    let (code, bundle) = inside.bundle("app", "");
    assert_eq!(code, Some(0));
    inside.asked(&["work", "diff"]);
    assert!(!trap.exists(), "something ran");

    // Real git takes them.
    let host = Git { path: inside.0.path().join("host") };
    fs::create_dir(&host.path).unwrap();
    host.run(&["init", "-q", "-b", "main"]);
    let file = inside.0.path().join("bundle");
    fs::write(&file, bundle).unwrap();
    host.run(&["fetch", "-q", file.to_str().unwrap(), "refs/bottle/*:refs/bottles/x/*"]);
    assert_eq!(host.run(&["for-each-ref", "--format=%(refname)"]), "refs/bottles/x/heads/main\n");
    host.run(&["reset", "-q", "--hard", "refs/bottles/x/heads/main"]);
    host.fed(&["apply", "-"], &patch);
    assert_eq!(host.read("one"), "changed\n");
    for name in odd {
        assert_eq!(fs::read(host.path.join(OsStr::from_bytes(name))).unwrap(), b"odd\n");
    }
    assert_eq!(fs::read_link(host.path.join("way-out")).unwrap(), Path::new("/etc"));
    assert!(host.path.join("pipe").symlink_metadata().is_err());

    // The traps are set: plain git springs them.
    output(&mut git.command(&["--git-dir=.git", "--work-tree=.", "hash-object", "--path=one", "one"]));
    assert!(trap.exists());
    // An index that no git reads.
    fs::write(git.path.join(".git/index"), "nonsense").unwrap();
    assert_eq!(inside.patch("app").1, patch);
    assert!(!inside.work().complete);
}

/// A pipe where git has a file, and programs that the baseline's own git would run.
#[test]
fn what_a_repository_names_neither_runs_nor_holds_up_its_baseline() {
    let inside = Inside::new();
    let git = inside.repository("app");
    let trap = inside.0.path().join("trap");
    let included = inside.0.path().join("included");
    pipe(&included);
    git.write(".gitattributes", "* filter=x\n");
    git.write("one", "changed\n");
    for (key, value) in [("filter.x.clean", "touch"), ("core.fsmonitor", "touch"), ("filter.x.process", "touch")] {
        git.run(&["config", key, &format!("{value} {}", trap.display())]);
    }
    let config = git.read(".git/config");
    git.write(".git/config", &format!("{config}[include]\n\tpath = {}\n", included.display()));
    inside.start();
    inside.has(0, &[]);
    git.write("one", "changed again\n");
    inside.has(0, &[("app", 0, 0, 1)]);
    assert!(!trap.exists());
    git.write(".git/config", &config);
    output(&mut git.command(&["status"]));
    assert!(trap.exists(), "plain git springs it");
}

#[test]
fn a_bundle_has_what_the_host_lacks() {
    let inside = Inside::new();
    let git = copied(&inside, "");
    let host = git.copy(&inside.0.path().join("host"));
    let tips = host.run(&["rev-parse", "HEAD", "origin/side"]);
    inside.start();
    let (first, side) = tips.trim_end().split_once('\n').unwrap();
    let known = format!("# v2 git bundle\n{first} refs/bottle/heads/main\n{side} refs/bottle/heads/side\n\n");
    assert_eq!(inside.bundle(".", &tips), (Some(0), known.into_bytes()), "branches on known commits, and no pack");
    let main = git.commit("on main");
    git.run(&["checkout", "-q", "-b", "feature/x"]);
    let feature = git.commit("a feature");
    git.write("edited", "to be stashed\n");
    git.run(&["stash", "-q"]);
    let stash = git.run(&["rev-parse", "stash"]).trim().to_owned();
    git.run(&["checkout", "-q", "--detach", "main"]);
    let detached = git.commit("detached");
    git.run(&["tag", "-a", "-m", "tag", "v1"]);
    git.commit("the tag alone");
    git.run(&["tag", "alone"]);
    git.run(&["checkout", "-q", &detached]);
    inside.has(0, &[(".", 4, 1, 0)]);

    let (code, bundle) = inside.bundle(".", &format!("{tips}{}\nnonsense\n", "1".repeat(40)));
    assert_eq!(code, Some(0));
    let file = inside.0.path().join("bundle");
    fs::write(&file, &bundle).unwrap();
    host.run(&["fetch", "-q", file.to_str().unwrap(), "refs/bottle/*:refs/bottles/x/*"]);
    let refs = host.run(&["for-each-ref", "--format=%(objectname) %(refname)", "refs/bottles"]);
    let alone = git.run(&["rev-parse", "alone"]).trim().to_owned();
    assert_eq!(
        refs,
        format!(
            "{detached} refs/bottles/x/HEAD\n{feature} refs/bottles/x/heads/feature/x\n{main} refs/bottles/x/heads/main\n\
             {side} refs/bottles/x/heads/side\n{stash} refs/bottles/x/stash/0\n{alone} refs/bottles/x/tags/alone\n"
        )
    );
    host.run(&["fsck", "--strict"]);
    let all = [&main, &feature, &stash, &detached, &alone].map(|id| format!("{id}\n")).concat();
    let (code, bundle) = inside.bundle(".", &(tips + &all));
    assert!(code == Some(0) && bundle.ends_with(b" refs/bottle/tags/alone\n\n"), "all refs, and no pack");
    assert_eq!(inside.bundle("nowhere", "").0, Some(4));
}

/// git takes any bytes for a name.
#[test]
fn branches_that_are_not_utf_8_come_out_each_by_its_name() {
    let inside = Inside::started();
    let git = inside.repository("app");
    for name in [&b"\xe9"[..], b"\xe8"] {
        git.run(&["checkout", "-q", "--detach", "main"]);
        git.commit("more");
        output(git.command(&["update-ref"]).arg(OsStr::from_bytes(&[b"refs/heads/", name].concat())).arg("HEAD"));
    }
    git.run(&["checkout", "-q", "main"]);
    let (code, bundle) = inside.bundle("app", "");
    assert_eq!(code, Some(0));
    for name in [&b"\xe9"[..], b"\xe8", b"main"] {
        let line = [b" refs/bottle/heads/", name, b"\n"].concat();
        assert!(bundle.windows(line.len()).any(|bytes| bytes == line), "{name:?}");
    }
}

/// Of a size that is met: it must not take a process a file, or the square of them.
#[test]
fn fifty_thousand_files_are_no_trouble() {
    let inside = Inside::new();
    let git = inside.repository("");
    for folder in 0..100 {
        fs::create_dir(inside.at(&format!("d{folder}"))).unwrap();
        for file in 0..500 {
            fs::write(inside.at(&format!("d{folder}/f{file}")), format!("{folder} {file}\n")).unwrap();
        }
    }
    git.commit("many");
    inside.start();
    inside.has(0, &[]);
    for folder in 0..100 {
        for file in 0..50 {
            fs::write(inside.at(&format!("d{folder}/f{file}")), "changed\n").unwrap();
        }
    }
    inside.has(0, &[(".", 0, 0, 5_000)]);
    let (_, patch) = inside.patch(".");
    assert_eq!(patch.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"+++ ")).count(), 5_000);
}

#[test]
fn a_file_goes_in_whole_and_comes_out_whole() {
    let inside = Inside::started();
    let put = |path: &str, bytes: &[u8]| {
        let mut init = inside.init(&["put", path]);
        let output = fed(init.stdout(Stdio::piped()).stderr(Stdio::piped()), bytes);
        let said = String::from_utf8(if output.status.success() { output.stdout } else { output.stderr }).unwrap();
        (output.status.success(), said)
    };
    let get = |path: &str| {
        let output = output(&mut inside.init(&["get", path]));
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(String::from_utf8(output.stderr).unwrap()),
        }
    };
    let bytes: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    let line = |path: PathBuf| (true, format!("{}\n", path.display()));
    assert_eq!(put("deep/er/file", &bytes), line(inside.at("deep/er/file")));
    assert_eq!(get("deep/er/file").unwrap(), bytes);
    assert_eq!(fs::metadata(inside.at("deep/er/file")).unwrap().mode() & 0o777, 0o644);
    assert_eq!(put("~/inbox/shot.png", b"png"), line(inside.home().join("inbox/shot.png")));
    let absolute = inside.0.path().join("absolute");
    assert_eq!(put(absolute.to_str().unwrap(), b"x"), line(absolute.clone()));

    // Over a link the link is replaced, not what it leads to; a pipe is not waited for.
    symlink(&absolute, inside.at("link")).unwrap();
    assert_eq!(get("link").unwrap(), b"x", "the agent reads through it, too");
    put("link", b"new");
    assert_eq!((fs::read(&absolute).unwrap(), get("link").unwrap()), (b"x".to_vec(), b"new".to_vec()));
    pipe(&inside.at("pipe"));
    assert!(get("pipe").unwrap_err().ends_with("` is no regular file\n"));
    assert!(put("pipe", b"now a file").0);
    assert_eq!(get("pipe").unwrap(), b"now a file");

    for folder in ["deep", "~/inbox", "new/", ""] {
        let (done, why) = put(folder, b"x");
        assert!(!done && why.ends_with("is a directory\n"), "{folder}: {why}");
    }
    assert!(get("deep").unwrap_err().ends_with("is a directory\n"));
    assert!(get("none").unwrap_err().contains("cannot read"));
    assert!(put("link/below", b"x").1.contains("cannot make the folder"));
    assert!(fs::read_dir(inside.at("")).unwrap().all(|entry| !entry.unwrap().file_name().as_bytes().starts_with(b".")));
}

/// It would be taken for what came from the host.
#[test]
fn no_file_goes_in_before_the_baseline() {
    let inside = Inside::new();
    let mut put = Command::new("timeout");
    put.arg("1").arg(testing::gate_program()).args(["init", "--home"]).arg(inside.home()).args(["put", "file"]);
    assert_eq!(fed(&mut put, b"content").status.code(), Some(124), "it waits");
    assert!(!inside.at("file").exists());
    inside.start();
    assert!(fed(inside.init(&["put", "file"]).stdout(Stdio::null()), b"content").status.success());
    inside.has(1, &[]);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_as_long_as_it_was_or_an_error() {
    let inside = Inside::started();
    // More than a pipe holds: it is still being read.
    let size = 20 << 20;
    for (length, good) in [(size * 2, true), (size / 2, false)] {
        let path = inside.at("file");
        fs::File::create(&path).unwrap().set_len(size).unwrap();
        let mut get = inside.init(&["get", "file"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = get.stdout.take().unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        let read = std::io::copy(&mut stdout, &mut std::io::sink()).unwrap() + 1;
        let output = finish("`init get`", get);
        assert_eq!((output.status.success(), read), (good, length.min(size)));
        assert_eq!(output.stderr.is_empty(), good);
    }
}
