//! `work` again and again, in both directions: `init` itself reads a home on this disk, in the place of the fake engine's
//! reader, and the program brings what it says to the directory that the session was started in.

use crate::harness::{FAKE, Host, PLAIN, Place, Run};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A kept session, the directory that was copied into it, and its workspace.
pub struct Bottle {
    pub place: Place,
    pub host: Host,
    pub agent: Host,
    pub identity: String,
}

impl Bottle {
    /// Started in a repository with one commit.
    pub fn new(prepare: impl FnOnce(&Host)) -> Bottle {
        let place = Place::new(PLAIN);
        let host = Host::new(place.path("work"));
        prepare(&host);
        Bottle::started(place, host)
    }

    /// Started in a directory without a repository.
    pub fn loose(files: &[(&str, &str)]) -> Bottle {
        Bottle::loose_with(|host| files.iter().for_each(|(name, content)| host.write(name, content)))
    }

    /// Started in a directory without a repository of its own.
    pub fn loose_with(prepare: impl FnOnce(&Host)) -> Bottle {
        let place = Place::new(PLAIN);
        let host = Host { path: place.path("work") };
        fs::create_dir_all(&host.path).unwrap();
        prepare(&host);
        Bottle::started(place, host)
    }

    pub fn started(place: Place, host: Host) -> Bottle {
        let start = place.run(&["start", "--yes", "--cwd", "plain"]).env("PATH", format!("{FAKE}:/usr/bin:/bin"));
        let start = start.env("FAKE_WORK", r#""complete":true,"files":1"#).env("FAKE_TAR", place.transcript());
        let done = start.done();
        assert_eq!(done.status, 0, "{done:?}");
        let (identity, home) = (place.session(), place.engine("handed/home"));
        let gate = std::env::var("CLAUDE_BOTTLE_GATE").expect("CLAUDE_BOTTLE_GATE names the gate's program");
        symlink(fs::canonicalize(gate).unwrap(), place.engine("handed/init")).unwrap();
        fs::create_dir_all(&home).unwrap();
        host.shell(&format!("cp -a . '{}'", home.join("workspace").display()));
        let agent = Host { path: home.join("workspace") };
        let bottle = Bottle { place, host, agent, identity };
        // What is changed within one tick of the file system's clock is not told apart.
        std::thread::sleep(Duration::from_millis(30));
        bottle.init(&["work", "baseline"]);
        std::thread::sleep(Duration::from_millis(30));
        bottle
    }

    pub fn init(&self, words: &[&str]) -> String {
        let mut command = Command::new(self.place.engine("handed/init"));
        command.args(["init", "--home"]).arg(self.place.engine("handed/home")).args(words);
        let output = testing::process::output(&mut command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn work(&self, words: &[&str]) -> Run<'_> {
        let words = [&["work", words[0], &self.identity], &words[1..]].concat();
        self.ours(&words)
    }

    pub fn ours(&self, words: &[&str]) -> Run<'_> {
        // `init` of the reader has the report, and not this variable.
        self.place.run(words).env("PATH", format!("{FAKE}:/usr/bin:/bin"))
    }

    #[track_caller]
    pub fn applies(&self, files: &str) {
        let done = self.work(&["apply", "--all"]).done();
        assert_eq!((done.status, done.stdout.as_str()), (0, files), "{done:?}");
    }

    #[track_caller]
    pub fn has_nothing_left(&self) {
        let list = self.ours(&["list"]).done();
        assert!(list.stdout.contains("all of its work is here") && !list.stdout.contains("  work  "), "{list:?}");
        let done = self.ours(&["cleanup", "--dry-run"]).done();
        assert!(done.status == 0 && !done.stdout.contains("WORK"), "{done:?}");
    }

    #[track_caller]
    pub fn has_left(&self, what: &str) {
        let done = self.ours(&["cleanup", "--dry-run"]).done();
        assert!(done.stdout.contains(&format!("WORK that is nowhere else: {what}")), "{what}: {done:?}");
    }

    pub fn refs(&self) -> Vec<String> {
        let folder = format!("refs/bottles/{}/", self.identity);
        let listed = self.host.git(&["for-each-ref", "--format=%(refname) %(contents:subject)", &folder]);
        listed.lines().map(|line| line.strip_prefix(&folder).unwrap().to_owned()).collect()
    }
}

#[test]
fn changes_are_applied_again_and_again() {
    let bottle = Bottle::new(|_| {});
    let (host, agent) = (&bottle.host, &bottle.agent);
    for (change, files, content) in [
        ("echo x >>one", "one\n", "one\nx\n"),
        ("echo y >>one", "one\n", "one\nx\ny\n"),
        ("echo z >>one; echo n >new", "new\none\n", "one\nx\ny\nz\n"),
        ("true", "", "one\nx\ny\nz\n"),
        ("sed -i /y/d one; rm new", "new\none\n", "one\nx\nz\n"),
        ("chmod +x one", "one\n", "one\nx\nz\n"),
        ("git mv one two", "one\ntwo\n", "one\nx\nz\n"),
        ("git mv two one; chmod -x one", "one\ntwo\n", "one\nx\nz\n"),
        ("rm one; mkdir one; echo d >one/d", "one\none/d\n", ""),
        // What the agent took back is taken back here.
        ("rm -r one; git checkout -q one", "one\none/d\n", "one\n"),
    ] {
        agent.shell(change);
        bottle.applies(files);
        let now = ["one", "two"].into_iter().find(|name| host.path.join(name).is_file());
        assert_eq!(now.map(|name| host.read(name)).unwrap_or_default(), content, "{change}");
        let tree = |of: &Host| of.shell("find . -path ./.git -prune -o -type f -printf '%P %m\n' | sort");
        assert_eq!(tree(host), tree(agent), "{change}");
        bottle.has_nothing_left();
    }
    assert_eq!(host.git(&["status", "--porcelain"]), "");
}

/// What was applied, and then committed in the bottle; and what a user took back.
#[test]
fn what_was_applied_is_known_whatever_became_of_it() {
    let bottle = Bottle::new(|host| host.write("dirty", "of the host\n"));
    let (host, agent) = (&bottle.host, &bottle.agent);
    agent.shell("echo x >>one; echo more >>dirty");
    bottle.applies("dirty\none\n");
    bottle.has_nothing_left();

    // Taken back here: it is work again, and comes again.
    host.git(&["checkout", "-q", "one"]);
    bottle.has_left("1 changed file in the workspace");
    bottle.applies("dirty\none\n".strip_prefix("dirty\n").unwrap());
    assert_eq!(host.read("one"), "one\nx\n");
    // In a stash, or committed: it is here.
    for change in ["git stash -q", "git stash pop -q", "git commit -qam mine", "echo further >>one"] {
        host.shell(change);
        bottle.has_nothing_left();
    }
    // Anything else may be the only copy, and a session without work is removed.
    for change in ["git commit -qam further", "rm one", "git checkout -q HEAD~2 -- one"] {
        host.shell(change);
        bottle.has_left("1 changed file in the workspace");
    }
    host.shell("git reset -q --hard HEAD~1");
    bottle.has_nothing_left();

    // Committed there, with more.
    agent.shell("git commit -qam there; echo y >later");
    bottle.has_left("1 commit and 1 changed file in the workspace");
    let done = bottle.work(&["apply"]).done();
    assert!(done.status == 2 && done.stderr.contains("lacks the commit that the changes are made on"), "{done:?}");
    bottle.work(&["fetch"]).done();
    bottle.has_left("1 changed file in the workspace");
    bottle.applies("later\n");
    bottle.has_nothing_left();
}

#[test]
fn changes_on_a_commit_that_is_not_merged_say_so() {
    let bottle = Bottle::new(|_| {});
    bottle.agent.shell("echo committed >one; git commit -qam c; echo changed >one");
    bottle.work(&["fetch"]).done();
    let before = bottle.host.seen();
    let done = bottle.work(&["apply"]).done();
    assert!(
        done.status == 2
            && done.stderr.contains("fetched and not merged\nhint: merge it first: `git merge refs/bottles/"),
        "{done:?}"
    );
    assert_eq!(bottle.host.seen(), before);
    bottle.host.git(&["merge", "-q", &format!("refs/bottles/{}/heads/main", bottle.identity)]);
    bottle.applies("one\n");
    assert_eq!(bottle.host.read("one"), "changed\n");
    bottle.has_nothing_left();
}

/// What was left out is asked for the next time, and is still work.
#[test]
fn what_was_left_out_is_not_forgotten() {
    let bottle = Bottle::new(|_| {});
    bottle.agent.shell("echo x >.envrc; echo y >plain");
    bottle.work(&["apply"]).done();
    assert!(bottle.host.has("plain") && !bottle.host.has(".envrc"));
    bottle.has_left("1 changed file in the workspace");
    bottle.agent.shell("echo z >>plain");
    bottle.applies(".envrc\nplain\n");
    bottle.has_nothing_left();
}

#[test]
fn files_outside_repositories_are_written_again_and_again() {
    let bottle = Bottle::loose(&[("a", "host\n"), ("b", "host\n"), ("run", "host\n")]);
    let (host, agent) = (&bottle.host, &bottle.agent);
    // A save without a change, and another mode: the content is what went in.
    host.shell("cp a c; mv c a; chmod 600 b; chmod +x run; touch b");
    for (change, files) in [
        ("echo 1 >>a; echo 1 >>b; echo 1 >>run; echo 1 >new", "a\nb\nnew\nrun\n"),
        ("echo 2 >>a; echo 2 >>new", "a\nnew\n"),
        ("true", ""),
        ("chmod +x a", "a\n"),
        (": >a", "a\n"),
    ] {
        agent.shell(change);
        bottle.applies(files);
        for name in ["a", "b", "new", "run"] {
            assert_eq!(host.read(name), agent.read(name), "{change}: {name}");
        }
        bottle.has_nothing_left();
    }
    let modes = host.shell("stat -c '%n %a' a b new run");
    assert_eq!(modes, "a 755\nb 600\nnew 644\nrun 755\n");
    // A file that a user has changed stays, and so does the rest.
    host.write("b", "mine\n");
    agent.shell("echo 3 >>b; echo 3 >>new");
    let done = bottle.work(&["apply", "--all"]).done();
    assert_eq!((done.status, done.stdout.as_str()), (2, "new\n"), "{done:?}");
    assert_eq!(host.read("b"), "mine\n");
    bottle.has_left("1 file outside repositories");
    // One that was taken away again is work again.
    fs::remove_file(host.path.join("new")).unwrap();
    bottle.has_left("2 files outside repositories");
}

/// A file that is too large for the disk: nothing of the others is here.
#[test]
fn on_a_full_disk_all_is_as_it_was() {
    for bottle in [Bottle::new(|_| {}), Bottle::loose(&[("one", "one\n")])] {
        bottle.agent.shell("echo x >>one; head -c 3000000 /dev/zero >zeros; echo a >aa");
        let before: Vec<_> = files(&bottle.host.path);
        let script = format!(
            "trap '' XFSZ; ulimit -f 2000; exec {} work apply --all {}",
            crate::harness::PROGRAM,
            bottle.identity
        );
        let run = bottle.place.run_other("/bin/sh", &["-c", &script]).env("PATH", format!("{FAKE}:/usr/bin:/bin"));
        let done = run.done();
        assert_eq!((done.status, done.stdout.as_str(), files(&bottle.host.path)), (2, "", before), "{done:?}");
        assert!(done.stderr.contains("not applied, and nothing changed: "), "{done:?}");
        bottle.applies("aa\none\nzeros\n");
    }
}

/// Files of zeros cost an agent nothing, in a commit and in the worktree; here they would be written out.
#[test]
fn files_that_are_more_than_is_written_at_once_stay() {
    let bottle = Bottle::new(|_| {});
    let before = files(&bottle.host.path);
    let entries =
        "for name in b c d e f g; do git update-index --add --cacheinfo 100644,$(git rev-parse :a),$name; done";
    bottle.agent.shell(&format!("truncate -s 320M a && git add a && {entries} && git commit -qm zeros"));
    let done = bottle.work(&["pull", "--all", "--yes"]).done();
    assert_ne!(done.status, 0, "{done:?}");
    assert!(done.stderr.contains("nothing was merged: its files are 2.2 GiB"), "{done:?}");
    assert_eq!(files(&bottle.host.path), before);
}

/// Files and folders in a worktree, with their content.
pub fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true if entry.file_name() == ".git" => {}
                true => folders.push(entry.path()),
                false => found.push((entry.path(), fs::read(entry.path()).unwrap())),
            }
        }
    }
    found.sort();
    found
}

/// A ref for each branch, stash and detached head inside, and for nothing else.
#[test]
fn refs_are_the_branches_inside() {
    let bottle = Bottle::new(|_| {});
    let (host, agent) = (&bottle.host, &bottle.agent);
    let commit = "git -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m";
    let fetched = |script: &str| {
        agent.shell(script);
        let done = bottle.work(&["fetch"]).done();
        assert_eq!(done.status, 0, "{script}: {done:?}");
        assert!(host.git(&["fsck", "--connectivity-only"]).is_empty());
        done.stdout
    };
    // A branch on a commit that is known.
    let said = fetched("git branch new");
    assert!(said.contains("heads/new  ") && bottle.refs() == ["heads/main first", "heads/new first"], "{said}");
    fetched(&format!("{commit} two; echo s >>one; git stash -q"));
    assert_eq!(
        bottle.refs(),
        ["heads/main two", "heads/new first", "stash/0 WIP on main: HASH two"]
            .map(|line| { line.replace("HASH", agent.git(&["rev-parse", "--short", "HEAD"]).trim()) })
    );
    let two = agent.git(&["rev-parse", "HEAD"]);
    // Ahead, then back, amended, and a stash that was dropped.
    let said = fetched(&format!("{commit} three"));
    let ahead = format!("heads/main  {}..{} three\n", short(agent, "HEAD~1"), short(agent, "HEAD"));
    assert!(said.ends_with(&ahead), "{said}");
    let three = agent.git(&["rev-parse", "HEAD"]);
    let said = fetched("git reset -q --hard HEAD~2; git stash drop -q");
    assert!(
        said.contains(&format!("heads/main  +{}...{} (forced) first\n", &three[..7], short(agent, "HEAD"))),
        "{said}"
    );
    assert!(said.contains("stash/0  removed (was "), "{said}");
    assert_eq!(bottle.refs()[2..], ["heads/main first", "heads/new first"], "{:?}", bottle.refs());
    for old in [&two, &three] {
        let holding = host.git(&["for-each-ref", "--contains", old.trim(), "--format=%(refname)"]);
        assert!(holding.contains("/former/"), "{holding}");
    }
    // A branch in the place of another, twice.
    fetched(&format!("git checkout -q -b fix; {commit} fix"));
    fetched(&format!(
        "git checkout -q main; git branch -q -m fix other; git checkout -q -b fix/more other; {commit} more; git branch -q -D other"
    ));
    let heads = || bottle.refs().into_iter().filter(|name| !name.starts_with("former/")).collect::<Vec<_>>();
    assert_eq!(heads(), ["heads/fix/more more", "heads/main first", "heads/new first"]);
    fetched("git checkout -q main; git branch -q -m fix/more x; git branch -q -m x fix");
    assert_eq!(heads(), ["heads/fix more", "heads/main first", "heads/new first"]);
    bottle.work(&["fetch"]).stderr("`[PLACE]/work` has all commits of `.` already\n").test();
    bottle.has_nothing_left();
    // A user who takes the refs away has the work nowhere else.
    for name in bottle.refs() {
        let name = name.split(' ').next().unwrap();
        host.git(&["update-ref", "-d", &format!("refs/bottles/{}/{name}", bottle.identity)]);
    }
    bottle.has_left("2 commits in the workspace");
    let list = bottle.ours(&["list"]).done();
    assert!(!list.stdout.contains("all of its work is here"), "{list:?}");
}

fn short(of: &Host, revision: &str) -> String {
    of.git(&["rev-parse", "--short", revision]).trim().to_owned()
}

/// In a worktree outside the workspace, too, and each by a name of its own.
#[test]
fn detached_heads_of_all_worktrees_are_work() {
    let bottle = Bottle::new(|_| {});
    let agent = &bottle.agent;
    let commit = "git -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m";
    agent.shell(&format!(
        "git checkout -q --detach; {commit} here; git worktree add -q --detach ../away; cd ../away; {commit} away
         git worktree add -q --detach ../workspace/tree HEAD~1; cd ../workspace/tree; {commit} tree"
    ));
    let report = bottle.init(&["work", "report"]);
    assert!(report.contains(r#"{"path":".","commits":3,"#), "{report}");
    bottle.work(&["fetch", "."]).done();
    assert_eq!(
        bottle.refs(),
        ["HEAD here", "heads/main first", "worktrees/away/HEAD away", "worktrees/tree/HEAD tree"]
    );
    bottle.has_nothing_left();
}

/// They are no work, so that an agent that amends its commits keeps no session by it; and they are named, each once.
#[test]
fn commits_that_only_a_reflog_has_are_named_once() {
    let bottle = Bottle::new(|_| {});
    let agent = &bottle.agent;
    agent.shell(
        "git worktree add -q ../tree -b tree; git checkout -q --detach; git commit -q --allow-empty -m left
         git checkout -q main; git commit -q --allow-empty -m before; git commit -q --amend --allow-empty -m after",
    );
    let report = bottle.init(&["work", "report"]);
    assert!(report.contains(r#""path":".","commits":1,"#) && report.contains(r#""reflog":["#), "{report}");
    let diff = bottle.work(&["diff"]).done().stdout;
    for subject in ["left", "before"] {
        assert_eq!(report.matches(&format!("Host: {subject}\"")).count(), 1, "{report}");
        assert_eq!(diff.matches("# only in a reflog: ").count(), 2, "{diff}");
        assert!(diff.contains(&format!("Host: {subject}\n")), "{diff}");
    }
    assert_eq!(bottle.work(&["pull", "--yes"]).done().status, 0);
    bottle.has_nothing_left();
    let resume = bottle.ours(&["resume", "--yes", &bottle.identity]).env("FAKE_TAR", bottle.place.transcript());
    let work = r#""complete":true,"reflog":["0a1b2c3 Host: left"]"#;
    let done = resume.env("FAKE_WORK", work).done();
    let said = "only a reflog has these commits\n  0a1b2c3 Host: left\n";
    assert!(done.status == 0 && done.stderr.contains(said) && !done.stderr.contains("kept `"), "{done:?}");
}

/// No program of Git LFS runs inside, so that a commit of a changed file has its content.
#[test]
fn a_commit_without_a_pointer_is_named() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n";
    let bottle = Bottle::new(|host| {
        host.write(".gitattributes", "*.bin filter=lfs\n");
        host.write("a.bin", pointer);
        host.shell("git add .; git commit -qm lfs");
    });
    bottle.agent.write("b.bin", pointer);
    bottle.agent.shell("echo text >text; git add .; git commit -qm good");
    let done = bottle.work(&["fetch"]).done();
    assert!(done.status == 0 && !done.stderr.contains("pointer"), "{done:?}");
    bottle.agent.shell("echo content >a.bin; echo more >c.bin; git add .; git commit -qm wrong; echo y >y; git add .; git commit -qm later");
    let wrong = short(&bottle.agent, "HEAD~1");
    let done = bottle.work(&["fetch"]).done();
    let said =
        ["a.bin", "c.bin"].map(|name| format!("`{name}` in {wrong} is the file itself, where Git LFS has a pointer\n"));
    assert!(done.status == 0 && done.stderr.contains(&said.concat()), "{done:?}");
    assert!(done.stderr.contains("hint: after a merge: git lfs migrate import --no-rewrite -- a.bin\n"), "{done:?}");
    let done = bottle.work(&["fetch"]).done();
    assert!(!done.stderr.contains("pointer"), "said once: {done:?}");
}

/// git takes no name for one to leave out that is in a submodule.
#[test]
fn a_repository_in_a_submodule_hides_nothing() {
    let bottle = Bottle::new(|host| {
        host.shell(
            "git init -q ../lib; cd ../lib; git commit -q --allow-empty -m lib; cd ../work
             git submodule add -q ../lib lib; git commit -qm submodule",
        );
    });
    bottle.agent.shell("git init -q lib/inner; echo x >lib/inner/x; echo y >>one");
    let report = bottle.init(&["work", "report"]);
    assert!(report.starts_with(r#"{"complete":true,"#), "{report}");
    let done = bottle.work(&["apply", "."]).done();
    assert_eq!((done.status, done.stdout.as_str()), (0, "one\n"), "{done:?}");
}

#[test]
fn an_unknown_repository_is_a_mistake_with_the_names() {
    let bottle = Bottle::new(|_| {});
    bottle.agent.shell("echo x >>one; git init -q inner; echo y >inner/y");
    for verb in ["diff", "apply", "fetch"] {
        let done = bottle.work(&[verb, "iner"]).done();
        let said = "no repository `iner` in the workspace: there is `.`, `inner`; did you mean `inner`?\n";
        assert!(done.status == 2 && done.stderr.ends_with(said), "{verb}: {done:?}");
    }
}

/// The session goes on, and ends: what was brought meanwhile, and is here, does not keep it.
#[test]
fn a_session_whose_work_is_all_here_is_not_kept() {
    let bottle = Bottle::new(|_| {});
    bottle.agent.shell("git checkout -q --detach; git commit -q --allow-empty -m more; echo x >>one");
    let resume = || {
        let resume = bottle.ours(&["resume", "--yes", &bottle.identity]).env("FAKE_TAR", bottle.place.transcript());
        let work = r#""complete":true,"repositories":[{"path":".","commits":1,"files":1}]"#;
        let done = resume.env("FAKE_WORK", work).done();
        assert_eq!(done.status, 0, "{done:?}");
        done.stderr
    };
    assert!(resume().contains("changes not copied back yet: 1 commit and 1 changed file in the workspace"));
    bottle.work(&["fetch"]).done();
    assert!(resume().contains("changes not copied back yet: 1 changed file in the workspace"));
    bottle.host.git(&["merge", "-q", &format!("refs/bottles/{}/HEAD", bottle.identity)]);
    bottle.applies("one\n");
    bottle.host.git(&["checkout", "-q", "one"]);
    assert!(resume().contains("changes not copied back yet: 1 changed file in the workspace"), "taken back");
    bottle.applies("one\n");
    let said = resume();
    assert!(!said.contains("kept `"), "{said}");
    assert!(bottle.place.objects().is_empty());
}

/// A question may be open for long, and an editor beside it.
#[test]
fn what_is_edited_while_a_question_is_open_is_not_overwritten() {
    for (bottle, edited) in
        [(Bottle::new(|_| {}), "one"), (Bottle::loose(&[("a", "host\n"), ("Makefile", "all:\n")]), "a")]
    {
        let (host, agent) = (&bottle.host, &bottle.agent);
        agent.shell(&format!("echo theirs >>{edited}; echo theirs >>Makefile"));
        let before = host.read(edited);
        let mut terminal = bottle.work(&["apply"]).on_terminal();
        terminal.until("bring it, too? [y/N] ");
        host.shell(&format!("echo mine >>{edited}"));
        terminal.types("y\n");
        let (status, seen) = terminal.end();
        assert!(status == 2 && seen.contains("was changed here in the meantime"), "{status} {seen}");
        assert!(seen.contains("nothing changed"), "{seen}");
        assert_eq!(host.read(edited), format!("{before}mine\n"));
    }
}

/// By the session of this directory, and with one question.
#[test]
fn a_pull_fetches_merges_and_applies() {
    let bottle = Bottle::new(|_| {});
    let (host, agent) = (&bottle.host, &bottle.agent);
    let pull = |words: &[&str]| bottle.ours(&[&["work", "pull"], words].concat()).env("GIT_CONFIG_GLOBAL", "/dev/null");
    let log = || host.git(&["log", "--format=%s"]);
    agent.shell("echo two >>one; echo new >new; git add .; git commit -qm two; echo three >>one");
    let before = host.seen();
    let mut terminal = pull(&[]).on_terminal();
    terminal.until("Host: two\r\n");
    terminal.until("+1 -0 one\r\n");
    terminal.until("merge this? [y/N] ");
    terminal.types("n\n");
    assert_eq!(terminal.end().0, 0);
    let mut now = host.seen();
    now.retain(|path, _| !path.starts_with(".git/refs/bottles"));
    assert_eq!(now, before, "only its refs");
    let mut terminal = pull(&[]).on_terminal();
    terminal.until("merge this? [y/N] ");
    terminal.types("y\n");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(
        (log(), host.read("one"), host.read("new")),
        ("two\nfirst\n".into(), "one\ntwo\nthree\n".into(), "new\n".into())
    );
    assert_eq!(host.git(&["status", "--porcelain"]), " M one\n");
    bottle.has_nothing_left();

    // Again; and after commits on both sides, which merge.
    host.git(&["checkout", "-q", "one"]);
    agent.shell("git commit -qam three; echo four >>new");
    assert_eq!(pull(&["--yes"]).done().status, 0);
    assert_eq!(
        (log(), host.read("one"), host.read("new")),
        ("three\ntwo\nfirst\n".into(), "one\ntwo\nthree\n".into(), "new\nfour\n".into())
    );
    host.shell("git checkout -q new; echo mine >mine; git add mine; git commit -qm mine; git config user.name H; git config user.email h@example.org");
    agent.shell("git commit -qam four");
    assert_eq!(pull(&["--yes"]).done().status, 0);
    assert_eq!(host.git(&["log", "-1", "--format=%an %p %s"]).split(' ').count(), 5, "{}", log());
    assert_eq!(
        (host.read("mine"), host.read("new"), host.git(&["status", "--porcelain"])),
        ("mine\n".into(), "new\nfour\n".into(), String::new())
    );
    bottle.has_nothing_left();
}

/// git runs what the configuration of such a folder names.
#[test]
fn a_pull_takes_no_folder_that_is_a_repository_unasked() {
    let bottle = Bottle::new(|_| {});
    bottle
        .agent
        .shell("mkdir -p docs/objects docs/refs; for f in HEAD config objects/x refs/x; do echo x >docs/$f; done");
    bottle.agent.shell("git add docs; git commit -qm docs");
    let done = bottle.work(&["pull", "--yes"]).done();
    assert!(done.status == 2 && done.stderr.contains("docs/config"), "{done:?}");
    assert!(!bottle.host.has("docs/config"));
    assert_eq!(bottle.work(&["pull", "--yes", "--all"]).done().status, 0);
    assert!(bottle.host.has("docs/config"));
}

/// It takes nothing that needs a decision, and then nothing at all.
#[test]
fn a_pull_that_cannot_merge_changes_nothing() {
    for (there, here, said) in [
        ("echo agent >one; git commit -qam one", "echo host >one; git commit -qam one", "does not merge cleanly"),
        ("echo agent >one; git commit -qam one", "echo host >one", "nothing was merged or applied: "),
        ("echo x >b.o; git add -f b.o; git commit -qm b", "echo mine >b.o", "`b.o` is here, and in no commit"),
        (
            "mkdir b.o; echo x >b.o/f; git add -f b.o; git commit -qm b",
            "echo mine >b.o",
            "`b.o` is here, and in no commit",
        ),
        ("echo x >.envrc; git add .; git commit -qm e", "true", "files that run by themselves are among it"),
        (
            "echo x >f; git add .; git commit -qm f",
            "echo '* filter=lfs' >.gitattributes",
            "by a filter, and none runs here",
        ),
    ] {
        let bottle = Bottle::new(|_| {});
        bottle.agent.shell(there);
        bottle.host.shell(here);
        let (before, head) = (files(&bottle.host.path), bottle.host.git(&["rev-parse", "HEAD"]));
        let done = bottle.work(&["pull", "--yes"]).done();
        assert!(done.status == 2 && done.stderr.contains(said), "{there}: {done:?}");
        assert_eq!((files(&bottle.host.path), bottle.host.git(&["rev-parse", "HEAD"])), (before, head), "{there}");
    }
}

#[test]
fn a_session_is_known_by_less_than_its_name() {
    let bottle = Bottle::new(|_| {});
    bottle.agent.shell("echo x >>one");
    let diff = |words: &[&str]| bottle.ours(&[&["work", "diff", "--stat"], words].concat()).done();
    let wanted = diff(&[&bottle.identity]);
    assert!(wanted.stdout.contains(" one |"), "{wanted:?}");
    for words in [&[][..], &["-"], &["plain"], &[&bottle.identity[..8]], &["-", "."]] {
        assert_eq!(diff(words).stdout, wanted.stdout, "{words:?}");
    }
    let done = diff(&["x"]);
    assert!(done.status == 2 && done.stderr.starts_with("claude-bottle: no session `x`\n"), "{done:?}");
    let elsewhere =
        bottle.place.run_other("/bin/sh", &["-c", &format!("cd /; exec {} work diff", crate::harness::PROGRAM)]);
    elsewhere
        .status(2)
        .stderr("claude-bottle: no session of this directory\nhint: `claude-bottle list` shows the sessions\n")
        .test();
    let start =
        bottle.ours(&["start", "--yes", "plain"]).env("FAKE_CODE", 7).env("FAKE_TAR", bottle.place.transcript());
    assert_eq!(start.done().status, 7);
    let done = diff(&["plain"]);
    assert!(done.status == 2 && done.stderr.contains("`plain` means several sessions: `plain-"), "{done:?}");
    assert_eq!(bottle.ours(&["cleanup", "--yes", "plain"]).done().status, 2, "what removes takes whole names");
}

/// Without a name the newest session of this directory is meant, by every verb that takes nothing away.
#[test]
fn the_session_of_this_directory_needs_no_name() {
    let bottle = Bottle::loose(&[("shot.png", "a picture\n")]);
    let ours = |words: &[&str]| bottle.ours(words).done();
    // It does not run: that is what is said, of this session.
    let resting = format!("hint: claude-bottle resume {}\n", bottle.identity);
    for words in [
        &["put", "shot.png"][..],
        &["get", "report"],
        &["forward", "5173"],
        &["forward", "8080:5173", "0:9"],
        &["detach"],
    ] {
        let (unnamed, named) = (ours(words), ours(&[&words[..1], &[&bottle.identity], &words[1..]].concat()));
        assert_eq!((unnamed.status, &unnamed.stderr), (2, &named.stderr), "{words:?}");
        assert!(unnamed.stderr.ends_with(&resting), "{unnamed:?}");
    }
    for words in [&["info"][..], &["info", "--format", "json"], &["routes", "list"]] {
        let (unnamed, named) = (ours(words), ours(&[words, &[&bottle.identity]].concat()));
        // Its age is another by then.
        let without_age = |text: &str| text.lines().filter(|line| !line.contains("state")).collect::<String>();
        assert_eq!((unnamed.status, without_age(&unnamed.stdout)), (0, without_age(&named.stdout)), "{words:?}");
    }
    let before = bottle.place.sessions();
    for words in [
        &["stop"][..],
        &["routes", "add", "{}"],
        &["routes", "edit"],
        &["routes", "remove", "x"],
        &["git", "allow", "abcdef0"],
    ] {
        assert_eq!(ours(words).status, 2, "{words:?}: what changes a session wants its name");
    }
    assert_eq!(bottle.place.sessions(), before);
    let resume = bottle.ours(&["resume", "--yes"]).env("FAKE_AGENT", "detaches");
    assert_eq!(resume.done().status, 0);
    bottle.ours(&["put", "shot.png"]).stdout("/home/agent/workspace/~/inbox/shot.png\n").test();
    fs::write(bottle.place.engine("handed/get"), "a report\n").unwrap();
    assert_eq!(ours(&["get", "report"]).status, 0);
    assert_eq!(bottle.host.read("report"), "a report\n");
}

/// Such a name is no work because of it, and its file is applied like any other.
#[test]
fn names_that_are_not_utf_8_come_and_go() {
    let odd = |host: &Host| host.path.join(OsStr::from_bytes(b"caf\xe9"));
    let bottle = Bottle::new(|host| fs::write(odd(host), "host\n").unwrap());
    assert_eq!(bottle.init(&["work", "report"]), "{\"complete\":true,\"repositories\":[],\"files\":0}\n");
    fs::write(odd(&bottle.agent), "agent\n").unwrap();
    bottle.applies("caf\u{fffd}\n");
    assert_eq!(fs::read(odd(&bottle.host)).unwrap(), b"agent\n");
    fs::write(odd(&bottle.agent), "again\n").unwrap();
    bottle.applies("caf\u{fffd}\n");
    bottle.has_nothing_left();
}

#[test]
fn a_diff_shows_commits_on_demand_and_what_is_unmerged() {
    let bottle = Bottle::new(|_| {});
    bottle.agent.shell(
        "git checkout -q -b side; echo side >one; git commit -qam side; git checkout -q main; echo mine >one
         git commit -qam mine; git merge -q side || true",
    );
    let plain = bottle.work(&["diff"]).done().stdout;
    assert!(
        plain.contains("# unmerged: one\n") && plain.contains("Host: side\n") && !plain.contains("+side\n-"),
        "{plain}"
    );
    assert_eq!(plain.matches("+side").count() + plain.matches("+mine").count(), 1, "{plain}");
    let whole = bottle.work(&["diff", "--commits"]).done().stdout;
    assert!(whole.contains("-one\n+side\n") && whole.contains("-one\n+mine\n"), "{whole}");
    assert_eq!(whole, bottle.work(&["diff", "--commits"]).done().stdout, "in the same order");
}

/// As git of the user has it there: the repository's own, else what the user includes for this folder.
#[test]
fn an_agent_commits_as_the_user_does_in_the_directory() {
    let place = Place::new(PLAIN);
    let host = Host::new(place.path("work"));
    let user = "[user]\n\tname = Al\n\temail = al@example.org\n";
    place.write(
        "gitconfig",
        &format!("{user}[includeIf \"gitdir:{0}/\"]\n\tpath = {0}/at-work\n", place.path("").display()),
    );
    let planned = |verb: &[&str]| {
        let words = [&["start", "--dry-run"], verb, &["plain"]].concat();
        let run = place.run(&words).env("PATH", format!("{FAKE}:/usr/bin:/bin"));
        let done = run.env("GIT_CONFIG_GLOBAL", place.path("gitconfig").display()).done();
        assert_eq!(done.status, 0, "{done:?}");
        done.stdout
    };
    let git = |line: &str| format!("git      commits as {line}, as you do in this directory\n");
    assert!(planned(&["--cwd"]).contains(&git("Al <al@example.org>")), "{}", planned(&["--cwd"]));
    assert!(!planned(&[]).contains("commits as"), "without the directory, without its user");
    place.write("at-work", "[user]\n\temail = al@work.example.org\n");
    assert!(planned(&["--cwd"]).contains(&git("Al <al@work.example.org>")));
    host.git(&["config", "user.name", "Bo"]);
    assert!(planned(&["--cwd"]).contains(&git("Bo <al@work.example.org>")));
    let json = planned(&["--cwd", "--format", "json"]);
    assert!(json.contains("\"GIT_CONFIG_VALUE_0\""), "{json}");
    host.git(&["config", "user.name", "x\ty\u{1b}[2J"]);
    assert!(!planned(&["--cwd"]).contains("commits as"), "no text of one line");
    // What git would write by a program.
    host.write("deep/.gitattributes", "# filter=none\n*.bin filter=lfs diff=lfs -text\n");
    let line = "no filter `lfs` inside, unless the image sets it up: a commit there has the file itself\n";
    let plan = planned(&["--cwd"]);
    assert!(plan.contains(line) && plan.matches("no filter").count() == 1, "{plan}");
    fs::remove_file(host.path.join("deep/.gitattributes")).unwrap();
    // A file of holes.
    fs::File::create(host.path.join("disk.img")).unwrap().set_len(9 << 30).unwrap();
    let line = "`disk.img` stays out: most of its 9.0 GiB are holes; `claude-bottle put` copies it\n";
    assert!(planned(&["--cwd"]).contains(line), "{}", planned(&["--cwd"]));
    fs::remove_file(host.path.join("disk.img")).unwrap();
    // All of a directory that git ignores.
    fs::remove_file(host.path.join("one")).unwrap();
    host.shell("git rm -q --cached one .gitignore; git config --unset user.name; mkdir -p .git/info; echo '*' >.git/info/exclude");
    assert!(planned(&["--cwd"]).contains("NONE OF ITS FILES goes in"), "{}", planned(&["--cwd"]));
}
