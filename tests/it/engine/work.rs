//! Work goes in by `--cwd` and comes home by `work`, `put` and `get`: real git, real Claude Code, and an agent that plants
//! whatever a repository can hold.

use super::session::shell;
use super::{Going, Ran, Rig, docker, run};
use crate::harness::Host;
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

impl Host {
    /// In the rig's folder.
    fn beside(rig: &Rig, name: &str) -> Host {
        Host::new(rig.path().join(name))
    }

    /// The program, here.
    fn ours(&self, rig: &Rig, args: &[&str]) -> Ran {
        run(rig.ours(args).current_dir(&self.path), "")
    }
}

fn the_session(rig: &Rig) -> String {
    let sessions = rig.sessions();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    sessions[0].clone()
}

#[test]
fn a_commit_of_real_claude_code_becomes_a_ref_here() {
    let rig = Rig::new(&json!({}));
    let commit = "echo lantern > lamp && git add lamp && git commit -qm 'Light the lamp' && git tag v1 && echo done";
    let turn = json!({ "tool": { "name": "Bash", "input": { "command": commit, "description": "as asked" } } });
    let model = rig.model(&json!([turn, { "text": "Lit." }]));
    rig.manifest(&json!({
        "bottles": { "b": { "egress": { "routes": [model.model_route("CLAUDE_CODE_OAUTH_TOKEN")] },
            "git": { "user": { "name": "Bot", "email": "bot@example.org" } } } },
        "agents": { "a": { "bottle": "b" } },
    }));
    let host = Host::beside(&rig, "host");
    let mut start = rig.ours(&["start", "--yes", "--cwd", "--headless", "-p", "commit a lamp", "a"]);
    start.current_dir(&host.path).env("CLAUDE_CODE_OAUTH_TOKEN", "sk-real-0f6d1c93b7a54e28a1");
    let ran = run(&mut start, "").code(0);
    assert_eq!(ran.stdout, "Lit.\n");
    let identity = the_session(&rig);
    ran.says(&format!("kept `{identity}`: changes not copied back yet: 1 commit in the workspace"));

    // From anywhere: it goes to where the session was started.
    let name = format!("refs/bottles/{identity}/heads/main");
    rig.run(&["work", "fetch", &identity], "").code(0).says(&format!("{name}  "));
    assert_eq!(host.git(&["log", "-1", "--format=%an %s", &name]), "Bot Light the lamp\n");
    assert_eq!(host.git(&["for-each-ref", "--format=%(refname)"]), format!("{name}\nrefs/heads/main\n"), "no tag");
    assert!(!host.path.join(".git/FETCH_HEAD").exists());
    rig.run(&["work", "fetch", &identity], "").code(0).says("has all commits of `.` already");

    // Without its refs here it is nowhere else again, and goes by its name alone.
    host.git(&["update-ref", "-d", &name]);
    rig.run(&["cleanup", "--yes"], "").code(0).says("left: only by its name");
    rig.run(&["work", "fetch", &identity], "").code(0);
    rig.run(&["cleanup", "--yes"], "").code(0);
    rig.assert_nothing_left();
}

/// What the agent leaves in its repository: all that would run, write or lead out on the machine it comes to.
const HOSTILE: &str = r#"
git config --global user.name x; git config --global user.email x@example.org
echo two >>one; git add one; git commit -qm 'second
$(touch /tmp/PWNED)'
git tag evil; git branch 'a$(touch${IFS}PWNED)b'; git branch "x'y"
echo '* diff=x filter=x' >.gitattributes
echo three >>one
ln -s /etc way-out; ln -s ../../../../etc/cron.d climbs
mkfifo pipe; mknod device c 1 3
printf 'touch /tmp/PWNED\n' >.envrc
mkdir -p .vscode; echo '{}' >.vscode/tasks.json
printf 'esc\033[31m' >"$(printf 'odd\nname')"
echo plain >plain
mkdir -p .git/hooks .git/objects/info
for hook in pre-commit reference-transaction post-checkout post-merge fsmonitor; do
    printf '#!/bin/sh\ntouch /tmp/PWNED\n' >.git/hooks/$hook; chmod +x .git/hooks/$hook
done
printf '[user]\n\tname = y\n' >/tmp/included
cat >>.git/config <<'END'
[core]
	fsmonitor = touch /tmp/PWNED
	hooksPath = .git/hooks
	sshCommand = touch /tmp/PWNED
	pager = touch /tmp/PWNED
	worktree = /
[include]
	path = /tmp/included
[diff]
	external = touch /tmp/PWNED
[diff "x"]
	textconv = touch /tmp/PWNED
	command = touch /tmp/PWNED
[filter "x"]
	clean = touch /tmp/PWNED && cat
	smudge = touch /tmp/PWNED
[alias]
	diff = !touch /tmp/PWNED
[remote "origin"]
	url = ext::touch /tmp/PWNED
[uploadpack]
	packObjectsHook = touch /tmp/PWNED
END
echo /nowhere >.git/objects/info/alternates
exit 0
"#;

#[test]
fn what_a_hostile_repository_holds_does_nothing_here() {
    let rig = Rig::new(&json!({}));
    let host = Host::beside(&rig, "host");
    rig.manifest(&shell(HOSTILE));
    let ran = host.ours(&rig, &["start", "--yes", "--cwd", "a"]).code(0);
    let identity = the_session(&rig);
    ran.says("changes not copied back yet");
    let before = host.seen();
    let shown = host.ours(&rig, &["work", "diff", &identity]).code(0).stdout;
    assert!(shown.contains("+three") && shown.contains("# commit"), "{shown}");
    host.ours(&rig, &["work", "diff", "--stat", &identity]).code(0).says("plain");
    assert_eq!(host.seen(), before, "a look changes nothing");

    host.ours(&rig, &["work", "fetch", &identity]).code(0);
    let refs = host.git(&["for-each-ref", "--format=%(refname)"]);
    for head in ["a%24%28touch%24%7BIFS%7DPWNED%29b", "main", "x%27y"] {
        assert!(refs.contains(&format!("refs/bottles/{identity}/heads/{head}\n")), "{head}: {refs}");
    }
    assert!(!refs.contains("refs/tags/"), "{refs}");
    let mut now = host.seen();
    now.retain(|path, _| !path.starts_with(".git/refs/bottles") && !path.starts_with(".git/packed-refs"));
    let mut then = before.clone();
    then.retain(|path, _| !path.starts_with(".git/packed-refs"));
    assert_eq!(now, then, "refs of its own, and nothing else");

    host.git(&["-c", "core.hooksPath=/dev/null", "merge", "-q", &format!("refs/bottles/{identity}/heads/main")]);
    let ran = host.ours(&rig, &["work", "apply", &identity]);
    ran.says("not copied without a yes, because tools run these files automatically:");
    ran.says("    .envrc");
    ran.says("    .vscode/\n      tasks.json");
    ran.says("    .gitattributes");
    ran.says("  symbolic links, which lead elsewhere:\n");
    ran.says("    way-out\n");
    ran.says("left out: ");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!((host.read("one"), host.read("plain")), ("one\ntwo\nthree\n".into(), "plain\n".into()));
    for path in [".envrc", ".vscode", ".gitattributes", "pipe", "way-out"] {
        assert!(host.path.join(path).symlink_metadata().is_err(), "{path}");
    }
    assert!(!Path::new("/tmp/PWNED").exists() && !host.path.join("PWNED").exists());
    rig.run(&["cleanup", "--yes", &identity], "").code(0);
    rig.assert_nothing_left();
}

#[test]
fn changes_come_home_and_overwrite_nothing() {
    let rig = Rig::new(&json!({}));
    let host = Host::beside(&rig, "host");
    host.write("dirty", "of the host\n");
    rig.manifest(&shell("echo two >>one; echo more >>dirty; echo new >new; echo x >.envrc; exit 3"));
    host.ours(&rig, &["start", "--yes", "--cwd", "a"]).code(3);
    let identity = the_session(&rig);
    rig.run(&["list"], "").code(0).says("work");

    // A file that is here already stays as it is, and so does everything else.
    host.write("new", "mine\n");
    let before = host.seen();
    host.ours(&rig, &["work", "apply", &identity]).code(2).says("not applied, and nothing changed");
    assert_eq!(host.seen(), before);
    std::fs::remove_file(host.path.join("new")).unwrap();

    // On a terminal what runs by itself is asked for.
    let mut apply = rig.on_terminal(&["work", "apply", &identity]);
    apply.until("not copied without a yes, because tools run these files automatically:\r\n  hidden files and folders, of shells, editors, git and others:\r\n    .envrc\r\nbring it, too? [y/N] ");
    apply.say("y\n");
    apply.end().code(0);
    assert_eq!(host.read("one"), "one\ntwo\n");
    assert_eq!(host.read("dirty"), "of the host\nmore\n", "what was uncommitted is the base");
    assert_eq!((host.read("new"), host.read(".envrc")), ("new\n".into(), "x\n".into()));
    rig.run(&["cleanup", "--yes", &identity], "").code(0);
    rig.assert_nothing_left();
}

/// A directory without a repository: new files come, and those that were changed here are replaced after a question alone.
#[test]
fn loose_files_come_home() {
    let rig = Rig::new(&shell(
        "echo agent >>touched; echo agent >>untouched; echo new >new; ln -s /etc/passwd link; cat .env",
    ));
    let folder = rig.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    for name in ["touched", "untouched", ".env"] {
        std::fs::write(folder.join(name), "host\n").unwrap();
    }
    let ours = |args: &[&str]| run(rig.ours(args).current_dir(&folder), "");
    let ran = ours(&["start", "--yes", "--cwd", "a"]).code(0);
    assert_eq!(ran.stdout, "host\n");
    ran.says("changes not copied back yet: 4 files outside repositories");
    let identity = the_session(&rig);
    std::fs::write(folder.join("touched"), "meanwhile\n").unwrap();
    ours(&["work", "apply", &identity]).code(2).says("not overwritten: touched");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("touched"), "meanwhile\n");
    assert_eq!((read("untouched"), read("new")), ("host\nagent\n".into(), "new\n".into()));
    let mut apply = rig.on_terminal(&["work", "apply", &identity]);
    apply.until("these are here already, with other contents:\r\n    touched\r\nreplace it? [y/N] ");
    apply.say("y\n");
    apply.end().code(0);
    assert_eq!((read("untouched"), read("touched")), ("host\nagent\n".into(), "host\nagent\n".into()));
    assert!(folder.join("link").symlink_metadata().is_err(), "links stay inside");
    rig.run(&["cleanup", "--yes", &identity], "").code(0);
}

#[test]
fn no_credential_of_a_repository_goes_in() {
    let rig = Rig::new(&json!({}));
    let lib = Host::beside(&rig, "lib");
    let host = Host::beside(&rig, "host");
    host.git(&["submodule", "add", "-q", lib.path.to_str().unwrap(), "lib"]);
    host.git(&["commit", "-qm", "submodule"]);
    host.write("one", "one\nstashed\n");
    host.git(&["stash", "-q"]);
    for (key, value) in [
        ("remote.origin.url", "https://me:S3CRET-url@git.example.org/a.git"),
        ("http.https://git.example.org/.extraheader", "Authorization: S3CRET-header"),
        ("credential.helper", "!echo S3CRET-helper"),
        ("url.https://S3CRET-instead@git.example.org/.insteadOf", "x:"),
        ("core.sshCommand", "ssh -i S3CRET-ssh"),
    ] {
        host.git(&["config", key, value]);
    }
    host.git(&["-C", "lib", "config", "remote.origin.url", "https://S3CRET-sub@git.example.org/lib.git"]);
    host.write(".git/hooks/pre-push", "echo S3CRET-hook");
    host.write(".git/FETCH_HEAD", "https://S3CRET-fetch@git.example.org/");
    host.write(".git/S3CRET-file", "S3CRET-file");
    host.write(".git/logs/HEAD", "0 0 clone: from https://S3CRET-log@git.example.org\n");
    host.write("built.o", "ignored\n");
    host.write("deep/run", "#!/bin/sh\n");
    std::fs::set_permissions(host.path.join("deep/run"), PermissionsExt::from_mode(0o755)).unwrap();
    symlink("/etc/hostname", host.path.join("link")).unwrap();
    let look = "grep -rl S3CRET . ; find . | grep S3CRET; find . ! -user agent; test -x deep/run && readlink link; \
        ls built.o; git status --porcelain; git stash list; git fsck 2>&1 | grep -v ^dangling; git log --format=%s; \
        git submodule status | cut -c 43-; cat lib/one; git remote get-url origin; git -C lib remote get-url origin; \
        touch one && git rev-parse --show-toplevel";
    rig.manifest(&shell(look));
    let wanted = "/etc/hostname\n?? deep/\n?? link\nstash@{0}: WIP on main: HASH submodule\nsubmodule\nfirst\nlib (heads/main)\n\
        one\nhttps://git.example.org/a.git\nhttps://git.example.org/lib.git\n/home/agent/workspace\n";
    let hash = host.git(&["rev-parse", "--short", "HEAD"]);
    let wanted = wanted.replace("HASH", hash.trim());
    assert_eq!(host.ours(&rig, &["start", "--yes", "--cwd", "a"]).code(0).stdout, wanted);
    rig.assert_nothing_left();

    // A worktree stands for itself, and so does a repository that borrows its objects.
    host.git(&["worktree", "add", "-q", "../tree", "-b", "side"]);
    host.git(&["clone", "-q", "--shared", ".", "../borrows"]);
    rig.manifest(&shell(
        "cat .git/HEAD; git fsck 2>&1 | grep -v ^dangling; git log --format=%s; ls .git/objects/info/alternates",
    ));
    for (name, head) in [("tree", "side"), ("borrows", "main")] {
        let there = Host { path: rig.path().join(name) };
        let ran = there.ours(&rig, &["start", "--yes", "--cwd=all", "a"]);
        assert_eq!(ran.stdout, format!("ref: refs/heads/{head}\nsubmodule\nfirst\n"), "{}", ran.stderr);
        rig.run(&["cleanup", "--yes"], "").code(0);
    }
    rig.assert_nothing_left();
}

#[test]
fn what_git_ignores_goes_in_only_by_name_and_a_home_never() {
    let rig = Rig::new(&shell("ls -A; cat built.o"));
    let host = Host::beside(&rig, "host");
    host.write("built.o", "ignored\n");
    let ran = host.ours(&rig, &["start", "--yes", "--cwd=all", "a"]).code(0);
    assert_eq!(ran.stdout, ".git\n.gitignore\nbuilt.o\none\nignored\n");
    rig.assert_nothing_left();
    let plan = host.ours(&rig, &["start", "--dry-run", "--cwd", "a"]).code(0);
    plan.says("goes in, without what git ignores: ");
    host.ours(&rig, &["start", "--dry-run", "--cwd", "--format", "sh", "a"]).code(2).says("cannot copy a directory");
    for folder in ["/", rig.path().to_str().unwrap()] {
        let ran = run(rig.ours(&["start", "--dry-run", "--cwd", "a"]).current_dir(folder), "").code(2);
        ran.says("`--cwd` would copy all of");
    }
    std::fs::create_dir(host.path.join("sub")).unwrap();
    let plan = run(rig.ours(&["start", "--dry-run", "--cwd", "a"]).current_dir(host.path.join("sub")), "").code(0);
    plan.says("stays out: no history inside");
}

/// Many small files: whole, quick enough for a test, and a comparison that takes them for what came from the host.
#[test]
fn twenty_thousand_files_go_in() {
    let rig =
        Rig::new(&shell("find . -path ./.git -prune -o -name 'f*' -print | wc -l; git status --porcelain | wc -l"));
    let host = Host::beside(&rig, "host");
    for folder in 0..200 {
        let path = host.path.join(format!("d{folder}"));
        std::fs::create_dir(&path).unwrap();
        for file in 0..100 {
            std::fs::write(path.join(format!("f{file}")), format!("{folder} {file}\n")).unwrap();
        }
    }
    host.git(&["add", "."]);
    host.git(&["-c", "gc.auto=0", "commit", "-qm", "many"]);
    let ran = host.ours(&rig, &["start", "--yes", "--cwd", "a"]).code(0);
    assert_eq!(ran.stdout, "20000\n0\n", "{}", ran.stderr);
    rig.assert_nothing_left();
}

#[test]
fn files_go_in_and_out_of_a_live_bottle() {
    let rig = Rig::new(&shell("echo READY; read _; rm -rf ~/inbox *"));
    let picture: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(rig.path().join("shot.png"), &picture).unwrap();
    let mut going = rig.begin(&["start", "--yes", "a"]);
    going.until("READY");
    let identity = the_session(&rig);
    let put = rig.run(&["put", &identity, "shot.png"], "").code(0);
    assert_eq!(put.stdout, "/home/agent/inbox/shot.png\n");
    rig.run(&["put", &identity, "-", "deep/note"], "by hand").code(0).says("/home/agent/workspace/deep/note");
    rig.run(&["get", &identity, "~/inbox/shot.png", "back.png"], "").code(0);
    assert_eq!(std::fs::read(rig.path().join("back.png")).unwrap(), picture);
    assert_eq!(rig.run(&["get", &identity, "deep/note", "-"], "").code(0).stdout, "by hand");
    rig.run(&["get", &identity, "deep/note", "back.png"], "").code(2).says("`back.png` is there already");
    rig.run(&["get", "--force", &identity, "deep/note", "back.png"], "").code(0);
    assert_eq!(std::fs::read(rig.path().join("back.png")).unwrap(), b"by hand");
    rig.run(&["get", &identity, "deep"], "").code(2).says("is a directory");
    rig.run(&["get", &identity, "none"], "").code(2).says("cannot read");
    rig.run(&["put", &identity, "state"], "").code(2).says("is a directory");
    rig.run(&["put", &identity, "-"], "").code(2).says("no name for the file");
    going.say("\n");
    going.end().code(0);
    rig.assert_nothing_left();
    rig.run(&["put", &identity, "shot.png"], "").code(2).says("no session");
}

/// Work is read from a live session and from a lost one, too, and reading settles nothing.
#[test]
fn work_is_seen_in_every_state() {
    let rig = Rig::new(&shell("echo made >made; echo READ''Y; read _; exit 0"));
    let mut going = rig.on_terminal(&["start", "--yes", "a"]);
    going.until("READY");
    let identity = the_session(&rig);
    let diff = |rig: &Rig| rig.run(&["work", "diff", "--stat", &identity], "").code(0).says(" made");
    diff(&rig);
    going.say("\u{1d}d");
    going.end().code(0).says("detached from");
    diff(&rig);
    docker(&["kill", &format!("claude-bottle-{identity}-agent")]);
    diff(&rig);
    let info: Value =
        serde_json::from_str(&rig.run(&["info", "--format", "json", &identity], "").code(0).stdout).unwrap();
    assert_eq!(
        (&info["work"]["files"], &info["on_engine"]["agent"]["status"]),
        (&json!(1), &json!("exited")),
        "{info}"
    );
    rig.run(&["cleanup", "--yes"], "").code(0).says("WORK that is nowhere else: 1 file outside repositories");
    diff(&rig);
    rig.run(&["cleanup", "--yes", &identity], "").code(0);
    rig.assert_nothing_left();
}

/// What PID 1 found is in the audit trail, and a session that goes on does not make it the host's.
#[test]
fn the_audit_trail_has_what_was_left() {
    let rig = Rig::new(&shell("test -e made && exit 0; echo made >made; sleep 600 & exit 0"));
    rig.run(&["start", "--yes", "a"], "").code(0).says("changes not copied back yet: 1 file");
    let identity = the_session(&rig);
    let left = || {
        let audit = std::fs::read_to_string(rig.state(&identity).join("audit.jsonl")).unwrap();
        let lines = audit.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| line["event"] == "work")
            .map(|line| (line["complete"].clone(), line["files"].clone()))
            .collect()
    };
    let one = (json!(true), json!(1));
    let told: Vec<_> = left();
    assert_eq!(told, std::slice::from_ref(&one));
    rig.run(&["resume", "--yes", &identity], "").code(0).says("changes not copied back yet: 1 file");
    let told: Vec<_> = left();
    assert_eq!(told, [one.clone(), one]);
    rig.run(&["cleanup", "--yes", &identity], "").code(0);
    rig.assert_nothing_left();
}

/// Twice in a day, while the session runs; at its end all of it is here, and nothing is kept. The agent commits as the user.
#[test]
fn work_comes_home_while_the_session_runs_and_keeps_nothing() {
    let rig = Rig::new(&json!({}));
    let host = Host::beside(&rig, "host");
    host.shell("git config user.name Al; git config user.email al@example.org");
    rig.manifest(&shell(
        "echo two >>one; git commit -qam two; git init -q ~/workspace/own; echo three >>one; echo REA''DY; read _; \
         git commit -qam three; git branch -q side; echo four >>one; echo AGA''IN; read _; git reset -q --hard; exit 0",
    ));
    let mut command = rig.terminal_command(&["start", "--yes", "--cwd", "a"]);
    let mut start = Going::new(command.current_dir(&host.path));
    start.until("READY");
    let identity = the_session(&rig);
    host.ours(&rig, &["work", "pull", "--yes"]).code(0);
    assert_eq!(
        (host.read("one"), host.git(&["log", "-1", "--format=%an %s"])),
        ("one\ntwo\nthree\n".into(), "Al two\n".into())
    );
    start.say("\n");
    start.until("AGAIN");
    host.git(&["checkout", "-q", "one"]);
    host.ours(&rig, &["work", "pull", "--yes"]).code(0);
    assert_eq!(
        host.git(&["log", "--format=%s", &format!("refs/bottles/{identity}/heads/side")]),
        "three\ntwo\nfirst\n"
    );
    assert_eq!(
        (host.read("one"), host.git(&["log", "-1", "--format=%s"])),
        ("one\ntwo\nthree\nfour\n".into(), "three\n".into())
    );
    start.say("\n");
    start.end().code(0);
    rig.assert_nothing_left();
}

/// In an empty directory: it comes to its path there, with what is not committed, and the session has nothing left.
#[test]
fn a_repository_that_the_agent_made_comes_home() {
    let rig = Rig::new(&shell(
        "git config --global user.name x; git config --global user.email x@example.org; git init -qb trunk myapp; cd myapp
         echo one >one; git add .; git commit -qm first; git branch other; echo two >>one; echo new >new",
    ));
    let folder = rig.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let ours = |args: &[&str]| run(rig.ours(args).current_dir(&folder), "");
    ours(&["start", "--yes", "--cwd", "a"])
        .code(0)
        .says("changes not copied back yet: 1 commit and 2 changed files in `myapp`");
    let identity = the_session(&rig);
    ours(&["work", "pull", "--yes"]).code(0).says(&format!("refs/bottles/{identity}/myapp/heads/trunk  "));
    let host = Host { path: folder.join("myapp") };
    assert_eq!((host.read("one"), host.read("new")), ("one\ntwo\n".into(), "new\n".into()));
    assert_eq!(host.git(&["log", "--format=%s", "trunk"]), "first\n");
    assert_eq!(host.git(&["status", "--porcelain"]), " M one\n?? new\n");
    rig.run(&["cleanup", "--yes"], "").code(0);
    rig.assert_nothing_left();
}
