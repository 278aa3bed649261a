//! Verbs in a directory whose repository names programs in every place that git has for one. Each trap writes a file of
//! its own name when it runs; that plain git springs it is checked first, in the same repository.

use super::work::Desk;
use crate::harness::FAKE;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The places, each as lines of `.git/config` in which `RUN` is a program that takes the trap's name; and a command by
/// which plain git runs it.
const TRAPS: [(&str, &str, &str); 27] = [
    (
        "insteadof",
        "[protocol \"ext\"]\nallow = always\n[url \"ext::RUN insteadof \"]\ninsteadOf = /",
        "git fetch /x/bundle",
    ),
    ("alternaterefs", "[core]\nalternateRefsCommand = RUN alternaterefs", "git rev-list --alternate-refs --count"),
    ("fsmonitor", "[core]\nfsmonitor = RUN fsmonitor", "git status"),
    ("ssh", "[core]\nsshCommand = RUN ssh", "git ls-remote ssh://h/x"),
    ("proxy", "[core]\ngitProxy = RUN-proxy", "git ls-remote git://h/x"),
    ("askpass", "[core]\naskPass = RUN-askpass", "printf 'protocol=https\\nhost=h\\n\\n' | git credential fill"),
    ("helper", "[credential]\nhelper = !RUN helper", "printf 'protocol=https\\nhost=h\\n\\n' | git credential fill"),
    ("reference-transaction", "[core]\nhooksPath = HOOKS", "git update-ref refs/x/y HEAD; git update-ref -d refs/x/y"),
    ("post-index-change", "", "git update-index --force-write-index || git read-tree HEAD"),
    ("applypatch-msg", "", "git hook run applypatch-msg"),
    ("pre-auto-gc", "[gc]\nauto = 1\nautoDetach = false", "git hook run pre-auto-gc"),
    ("clean", "[filter \"trap\"]\nclean = RUN clean", "git hash-object --path=one one"),
    ("smudge", "[filter \"trap\"]\nsmudge = RUN smudge", "git cat-file --filters HEAD:one"),
    ("process", "[filter \"long\"]\nprocess = RUN process", "git hash-object --path=two two"),
    ("textconv", "[diff \"trap\"]\ntextconv = RUN textconv", "git cat-file --textconv HEAD:one"),
    ("command", "[diff \"trap\"]\ncommand = RUN command", "git diff HEAD~1 -- one"),
    ("merge", "[merge \"trap\"]\nname = x\ndriver = RUN merge %A", "git merge-tree --write-tree main side"),
    ("gpg", "[gpg]\nprogram = RUN-gpg", "git commit-tree -S -m x HEAD^{tree}"),
    (
        "gpg-ssh",
        "[gpg \"ssh\"]\nprogram = RUN-gpg-ssh",
        "git -c gpg.format=ssh -c user.signingKey=x commit-tree -S -m x HEAD^{tree}",
    ),
    ("include", "[include]\npath = INCLUDED", "git diff HEAD~2 HEAD -- three"),
    ("includeif", "[includeIf \"gitdir:/\"]\npath = INCLUDED-if", "git config -e"),
    ("promisor", PROMISOR, "git cat-file -p 1234567890123456789012345678901234567890"),
    ("vcs", "[remote \"other\"]\nurl = x\nvcs = trap", "git ls-remote other"),
    (
        "submodule",
        "[submodule \"sub\"]\nurl = x\nactive = true\nupdate = \"!RUN submodule\"",
        "git submodule update sub",
    ),
    ("pager", "[core]\npager = RUN-pager", "git grep -O acht"),
    ("trailer", "[trailer \"x\"]\nkey = x\ncommand = RUN trailer", "echo x | git interpret-trailers"),
    ("alias", "[alias]\nls-trap = !RUN alias", "git ls-trap"),
];

const PROMISOR: &str = "[extensions]\npartialClone = origin\n[remote \"origin\"]\nurl = x:y\npromisor = true\n\
    vcs = promise";

/// A repository with all traps, and what springs is seen.
struct Trapped {
    desk: Desk,
    folder: PathBuf,
}

impl Trapped {
    fn new(desk: Desk) -> Trapped {
        let folder = desk.place.path("traps");
        fs::create_dir_all(folder.join("sprung")).unwrap();
        fs::create_dir_all(folder.join("hooks")).unwrap();
        let program = |path: &str, name: &str| {
            let path = folder.join(path);
            // A filter passes on what it reads; anything else that waits for git would wait for ever.
            let pass = "case ${1-} in clean | smudge) cat ;; esac";
            let script = format!("#!/bin/sh\n: >{}/sprung/{name}\n{pass}\n", folder.display());
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        program("run", "\"$1\"");
        for name in ["proxy", "askpass", "gpg", "gpg-ssh", "pager"] {
            program(&format!("run-{name}"), name);
        }
        for (file, name) in [("git-remote-trap", "vcs"), ("git-remote-promise", "promisor")] {
            program(file, name);
        }
        for hook in ["reference-transaction", "post-index-change", "applypatch-msg", "pre-auto-gc"] {
            program(&format!("hooks/{hook}"), hook);
        }
        let run = folder.join("run").display().to_string();
        fs::write(folder.join("included"), format!("[diff]\nexternal = {run} include\n")).unwrap();
        fs::write(folder.join("included-if"), format!("[core]\neditor = {run} includeif\n")).unwrap();
        let host = &desk.host;
        host.shell(
            "git init -q sub; git -C sub commit -q --allow-empty -m sub; git -C sub commit -q --allow-empty -m sub
             git update-index --add --cacheinfo 160000,$(git -C sub rev-parse HEAD~1),sub
             printf '[submodule \"sub\"]\\n\\tpath = sub\\n\\turl = ./sub\\n' >.gitmodules
             git init -q --bare ../lender; echo $PWD/../lender/objects >.git/objects/info/alternates
             git -C ../lender update-ref refs/heads/x $(GIT_DIR=../lender git commit-tree -m x $(GIT_DIR=../lender git mktree </dev/null))",
        );
        let mut config = host.read(".git/config").replace("repositoryformatversion = 0", "repositoryformatversion = 1");
        for (_, lines, _) in TRAPS {
            let lines = lines.replace("RUN", &run).replace("HOOKS", &folder.join("hooks").display().to_string());
            config.push_str(&lines.replace("INCLUDED", &folder.join("included").display().to_string()));
            config.push('\n');
        }
        host.write(".git/config", &config);
        host.write(".git/info/attributes", "one filter=trap diff=trap merge=trap\ntwo filter=long\n");
        Trapped { desk, folder }
    }

    /// The traps that have sprung since the last call.
    fn sprung(&self) -> BTreeSet<String> {
        let folder = self.folder.join("sprung");
        let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names: BTreeSet<String> = names.collect();
        for name in &names {
            fs::remove_file(folder.join(name)).unwrap();
        }
        names
    }

    fn path(&self) -> String {
        format!("{}:{FAKE}:/usr/bin:/bin", self.folder.display())
    }
}

/// The bottle hands over a commit of its own, and a patch of files as they were before they changed here.
fn desk_with_work() -> Desk {
    let desk = Desk::new();
    desk.host.shell(
        "seq 9 >one; echo two >two; echo three >three; git add .; git commit -qm lines
         git checkout -qb side; sed -i s/^3$/drei/ one; git commit -qam drei; git checkout -q main; git clone -q . ../agent
         git -C ../agent commit -q --allow-empty -m more; git -C ../agent update-ref refs/bottle/heads/main HEAD
         git -C ../agent bundle create -q ../engine/handed/bundle refs/bottle/heads/main ^HEAD~1",
    );
    desk.patch("sed -i s/^2$/zwei/ one; echo zwei >two");
    desk.host.shell("sed -i s/^5$/acht/ one; git commit -qam acht");
    desk
}

#[test]
fn plain_git_springs_every_trap_and_no_verb_does() {
    let trapped = Trapped::new(desk_with_work());
    let (desk, host) = (&trapped.desk, &trapped.desk.host);
    // What plain git does is undone by taking the whole folder back.
    let copy = desk.place.path("copy");
    host.shell(&format!("cp -a . {}", copy.display()));
    let mut silent = Vec::new();
    for (name, _, command) in TRAPS {
        let script = format!(
            "export PATH={} GIT_TERMINAL_PROMPT=0; {{ {command}; }} </dev/null >/dev/null 2>&1 || true",
            trapped.path()
        );
        host.shell(&script);
        if !trapped.sprung().contains(name) {
            silent.push(name);
        }
        host.shell(&format!("find . -mindepth 1 -delete; cp -a {}/. .", copy.display()));
    }
    assert_eq!(silent, [""; 0], "traps that plain git does not spring");
    // Copied files have other inodes than the index says; this is no matter of the traps.
    host.shell(
        "cp .git/config ../config; cp ../agent/.git/config .git/config; git update-index -q --refresh
         cp ../config .git/config",
    );
    assert_eq!(trapped.sprung(), BTreeSet::new());

    let run = |words: &[&str]| {
        let done = desk.work(words).env("PATH", trapped.path()).done();
        assert_eq!(done.status, 0, "{words:?}: {done:?}");
        assert_eq!(trapped.sprung(), BTreeSet::new(), "{words:?}");
        done
    };
    assert!(run(&["fetch"]).stdout.contains("/heads/main  "));
    // A merge of three, because the file has changed here since.
    assert_eq!(run(&["apply"]).stdout, "one\ntwo\n");
    assert_eq!(host.read("one"), "1\nzwei\n3\n4\nacht\n6\n7\n8\n9\n");
    let done = desk.place.run(&["start", "--yes", "--cwd", "plain"]).env("PATH", trapped.path()).done();
    assert_eq!((done.status, trapped.sprung()), (0, BTreeSet::new()), "{done:?}");
    assert_eq!(host.shell("rm .git/config; git status --porcelain one two"), "M  one\nM  two\n");
}

/// What leads to another repository, or out of the worktree, and what makes git wait for ever: script, the reason.
const LEADS_ELSEWHERE: [(&str, &str); 9] = [
    ("rm -rf .git; echo gitdir: ../victim/.git >.git", "does not name this folder as its worktree"),
    ("rm -rf .git; ln -s ../victim/.git .git", "does not name this folder as its worktree"),
    ("echo ../../victim/.git >.git/commondir", "does not name this folder as its worktree"),
    ("rm -rf .git/refs; ln -s ../../victim/.git/refs .git/refs", "refs` is a link"),
    (
        "mkdir -p .git/refs/bottles; ln -s ../../../../victim/.git/refs/heads .git/refs/bottles/x",
        "refs/bottles/x` is a link",
    ),
    ("rm -rf .git/objects; ln -s ../../victim/.git/objects .git/objects", "objects` is a link"),
    ("rm .git/index; ln -s ../../victim/.git/index .git/index", "index` is a link"),
    ("rm .git/config; mkfifo .git/config", "config` is not a file"),
    ("mkfifo .git/objects/info/alternates", "alternates` is not a file"),
];

#[test]
fn a_repository_that_leads_elsewhere_is_refused_and_nothing_there_changes() {
    let desk = desk_with_work();
    let victim = crate::harness::Host::new(desk.place.path("victim"));
    let there = victim.seen();
    let copy = desk.place.path("copy");
    desk.host.shell(&format!("cp -a . {}", copy.display()));
    for (script, why) in LEADS_ELSEWHERE {
        desk.host.shell(script);
        let start = desk.place.run(&["start", "--yes", "--cwd", "plain"]).env("PATH", format!("{FAKE}:/usr/bin:/bin"));
        for run in [desk.work(&["fetch"]), desk.work(&["apply"]), start] {
            let done = run.done();
            assert!(done.status == 2 && done.stderr.contains(why), "{script}: {done:?}");
        }
        assert_eq!(victim.seen(), there, "{script}");
        desk.host
            .shell(&format!("find . -mindepth 1 -delete; cp -a {}/. .; git update-index -q --refresh", copy.display()));
    }
    // These name something, and it is not read: the repository is the one that is here.
    for script in [
        "mkfifo pipe; git config include.path $PWD/pipe",
        "git config core.worktree ../../victim",
        "git symbolic-ref refs/bottles/ID/heads/main refs/heads/main",
    ] {
        desk.host.shell(&script.replace("ID", &desk.identity));
        let main = desk.host.shell("cat .git/refs/heads/main");
        for words in [["fetch"], ["apply"]] {
            let done = desk.work(&words).done();
            assert_eq!((done.status, victim.seen()), (0, there.clone()), "{script}: {done:?}");
        }
        assert_eq!(desk.host.shell("cat .git/refs/heads/main"), main, "{script}");
        desk.host
            .shell(&format!("find . -mindepth 1 -delete; cp -a {}/. .; git update-index -q --refresh", copy.display()));
    }
}

/// Each makes `work` of `source`, as people keep a repository.
const KINDS: [(&str, &str); 8] = [
    ("plain", "git clone -q source work"),
    ("detached", "git clone -q source work; git -C work checkout -q --detach"),
    ("worktree", "git -C source worktree add -q ../work -b side"),
    ("submodule", "git init -q .; git submodule --quiet add ./source work"),
    ("split index", "git clone -q source work; git -C work update-index --split-index"),
    ("packed", "git clone -q source work; git -C work gc -q; git -C work config core.logAllRefUpdates always"),
    ("partial", "git clone -q --filter=blob:none file://$PWD/source work"),
    ("sha256", "git clone -q source work"),
];

#[test]
fn repositories_of_every_kind_take_commits_and_changes() {
    for (kind, make) in KINDS {
        let desk = Desk::new();
        let all = crate::harness::Host { path: desk.place.path("") };
        let format = if kind == "sha256" { "sha256" } else { "sha1" };
        all.shell(&format!(
            "rm -rf work; git init -q -b main --object-format={format} source; seq 9 >source/one; touch source/two
             git -C source add .; git -C source commit -qm lines; git -C source config uploadpack.allowFilter true
             git clone -q source agent; {make}
             git -C work config remote.origin.uploadpack \"touch $PWD/asked;\"
             cd agent; sed -i s/^2$/zwei/ one; echo base $(git rev-parse HEAD) >../engine/handed/patch
             git diff --binary --full-index >>../engine/handed/patch; echo new >two; git commit -qm more two
             git update-ref refs/bottle/heads/main HEAD
             git bundle create -q ../engine/handed/bundle refs/bottle/heads/main ^HEAD~1
             cd ../work; sed -i s/^5$/five/ one; git commit -qam five"
        ));
        let done = desk.work(&["fetch"]).done();
        assert_eq!(done.status, 0, "{kind}: {done:?}");
        let name = format!("refs/bottles/{}/heads/main", desk.identity);
        assert_eq!(desk.host.git(&["log", "-1", "--format=%s", &name]), "more\n", "{kind}");
        let done = desk.work(&["apply"]).done();
        assert_eq!((done.status, &done.stdout[..]), (0, "one\n"), "{kind}: {done:?}");
        assert_eq!(desk.host.read("one"), "1\nzwei\n3\n4\nfive\n6\n7\n8\n9\n", "{kind}");
        assert_eq!(desk.host.git(&["status", "--porcelain"]), "M  one\n", "{kind}");
        desk.host.git(&["fsck", "--connectivity-only"]);
        assert!(!desk.place.path("asked").exists(), "{kind}: nothing is asked of a remote");
    }
}

#[test]
fn a_repository_without_a_commit_takes_a_whole_history() {
    let desk = Desk::new();
    desk.host.shell(
        "git update-ref refs/bottle/heads/main HEAD
         git bundle create -q ../engine/handed/bundle refs/bottle/heads/main; rm -rf .git one .gitignore; git init -q",
    );
    desk.patch_of(&["new"]);
    assert_eq!(desk.work(&["fetch"]).done().status, 0);
    assert_eq!(desk.work(&["apply"]).done().status, 0);
    let name = format!("refs/bottles/{}/heads/main", desk.identity);
    assert_eq!(
        (desk.host.git(&["log", "-1", "--format=%s", &name]), desk.host.read("new")),
        ("first\n".into(), "x\n".into())
    );
}

/// The worktree was written with line ends that the repository's, or the user's, configuration says.
#[test]
fn line_ends_are_what_the_configuration_says() {
    for user in [false, true] {
        let desk = Desk::new();
        desk.patch("sed -i s/one/zwei/ one");
        let scope = if user { "--global" } else { "--local" };
        desk.host.shell(&format!("git config {scope} core.autocrlf true; rm one; git checkout -q one"));
        assert_eq!(desk.host.read("one"), "one\r\n");
        // The program's home, unlike git's in this test, is the place's own.
        let home = desk.place.path("");
        let done = desk.work(&["apply"]).env("HOME", home.display()).done();
        assert_eq!((done.status, desk.host.read("one")), (0, "zwei\r\n".into()), "{user}: {done:?}");
    }
}

#[test]
fn an_index_that_is_in_use_is_left_alone() {
    let desk = desk_with_work();
    desk.host.write(".git/index.lock", "");
    let before = desk.host.seen();
    let done = desk.work(&["apply"]).done();
    assert!(done.status == 2 && done.stderr.contains("index.lock"), "{done:?}");
    assert_eq!(desk.host.seen(), before);
}
