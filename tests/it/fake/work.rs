//! `work`, `put` and `get` against whatever a bottle could hand out: the real git of this machine, and bundles, patches
//! and archives made by hand, among them some that no `init` would make. The fake engine's reader hands them over.

use crate::harness::{FAKE, Host, Place, Run, kept, text};
use std::fs::{self, File};
use std::os::unix::fs::symlink;

/// A kept session with work of every kind, and the repository that it is brought to.
pub struct Desk {
    pub place: Place,
    pub host: Host,
    pub identity: String,
}

impl Desk {
    pub fn new() -> Desk {
        let place = kept();
        Desk { host: Host::new(place.path("work")), identity: place.session(), place }
    }

    /// What the reader says where it is asked for this.
    pub fn hands(&self, what: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.place.engine("handed").join(what), bytes).unwrap();
    }

    pub fn work(&self, words: &[&str]) -> Run<'_> {
        let repository = r#"{"path":".","commits":1,"stashes":0,"files":1}"#;
        self.asked(words).env("FAKE_WORK", format!(r#""complete":true,"files":0,"repositories":[{repository}]"#))
    }

    /// The same where only files outside repositories are work.
    fn loose(&self, words: &[&str]) -> Run<'_> {
        self.asked(words).env("FAKE_WORK", r#""complete":true,"files":3"#)
    }

    /// Each call is the first one: nothing was brought before.
    fn asked(&self, words: &[&str]) -> Run<'_> {
        let _ = fs::remove_file(self.place.session_file("brought.json"));
        self.again(words)
    }

    /// A call that knows what was brought before.
    fn again(&self, words: &[&str]) -> Run<'_> {
        let (verb, rest) = words.split_first().unwrap();
        let words = [&["work", verb], rest, &[&self.identity[..]]].concat();
        self.place.run(&words).env("PATH", format!("{FAKE}:/usr/bin:/bin"))
    }

    /// A patch as `init` hands it out, made on the repository's last commit. What a test asks for is on the disk, and
    /// gone again, when this returns.
    pub fn patch(&self, change: &str) {
        let patch = self.host.shell(&format!(
            "git stash -qu || true; base=$(git rev-parse HEAD)\n{change}\ngit add -A; echo base $base\n\
             git diff --binary --full-index --no-renames --cached; git reset -q --hard"
        ));
        self.hands("patch", patch);
    }

    /// A patch of these new files, whatever they are called.
    pub fn patch_of(&self, names: &[&str]) {
        let one = |name: &&str| {
            format!(
                "diff --git a/{name} b/{name}\nnew file mode 100644\nindex {}..{}\n--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+x\n",
                "0".repeat(40),
                "587be6b4c3f93f93c489c0111bba5596147a26cb"
            )
        };
        self.hands("patch", format!("base none\n{}", names.iter().map(one).collect::<String>()));
    }

    /// Nothing of what was handed over lies about.
    #[track_caller]
    fn assert_tidy(&self) {
        let mut names: Vec<_> = fs::read_dir(self.place.session_file(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| name != "brought.json");
        names.sort();
        assert_eq!(
            names,
            ["audit.jsonl", "lock", "mark", "plan.json", "seccomp-agent.json", "seccomp-service.json", "transcript"]
        );
    }
}

/// Whatever the bundle has besides, and whatever the repository here has configured to happen at a fetch.
#[test]
fn commits_become_refs_and_nothing_else_happens() {
    let desk = Desk::new();
    let (host, place) = (&desk.host, &desk.place);
    let agent = Host { path: place.path("agent") };
    host.git(&["clone", "-q", ".", agent.path.to_str().unwrap()]);
    agent.shell(
        "echo two >>one; git commit -qam \"$(printf 'two \\033[2J')\"; echo s >>one; git stash -q; git tag evil
         git update-ref refs/bottle/heads/main HEAD; git update-ref refs/bottle/stash/0 refs/stash
         git update-ref 'refs/bottle/heads/--upload-pack=touch' HEAD; git update-ref 'refs/bottle/heads/a;touch${IFS}PWN' HEAD; git update-ref refs/bottles/other/heads/x HEAD
         git update-ref refs/remotes/origin/main HEAD; git update-ref refs/heads/new HEAD
         git bundle create -q ../engine/handed/bundle --all ^HEAD~1",
    );
    let ran = place.path("ran-on-the-host");
    let touch = format!("#!/bin/sh\ntouch {}\n", ran.display());
    for hook in ["reference-transaction", "post-checkout", "post-merge", "pre-auto-gc", "fsmonitor-watchman"] {
        host.write(&format!(".git/hooks/{hook}"), &touch);
    }
    host.shell("chmod +x .git/hooks/*");
    for (key, value) in [
        ("core.fsmonitor", ".git/hooks/fsmonitor-watchman"),
        ("fetch.prune", "true"),
        ("fetch.pruneTags", "true"),
        ("fetch.writeCommitGraph", "true"),
        ("gc.auto", "1"),
        ("gc.autoDetach", "false"),
        ("submodule.recurse", "true"),
        ("remote.origin.url", "ext::false"),
        ("remote.origin.fetch", "+refs/*:refs/*"),
    ] {
        host.git(&["config", key, value]);
    }
    // One of an earlier fetch, which the bottle has no more.
    let earlier = format!("refs/bottles/{}/heads/earlier", desk.identity);
    host.git(&["update-ref", &earlier, "HEAD"]);
    let _ = fs::remove_file(&ran);
    let before = host.seen();

    let elsewhere = Host::new(place.path("elsewhere"));
    let there = elsewhere.seen();
    let mut fetch = desk.work(&["fetch"]);
    for (name, value) in [("GIT_DIR", "elsewhere/.git"), ("GIT_WORK_TREE", "elsewhere"), ("GIT_INDEX_FILE", "x")] {
        fetch = fetch.env(name, place.path(value).display());
    }
    let done = fetch.done();
    assert_eq!((done.status, elsewhere.seen()), (0, there), "{done:?}");
    let name = |of: &str| format!("refs/bottles/{}/{of}", desk.identity);
    for of in ["heads/main", "heads/--upload-pack%3Dtouch", "heads/a%3Btouch%24%7BIFS%7DPWN"] {
        assert!(done.stdout.contains(&format!("{}  ", name(of))), "{done:?}");
    }
    assert!(!done.stdout.contains(|c: char| c.is_control() && c != '\n'), "{done:?}");
    assert!(done.stdout.contains(&format!("{}  removed (was ", name("heads/earlier"))), "{done:?}");

    let refs = host.git(&["for-each-ref", "--format=%(refname)"]);
    let wanted = [
        name("heads/--upload-pack%3Dtouch"),
        name("heads/a%3Btouch%24%7BIFS%7DPWN"),
        name("heads/main"),
        name("stash/0"),
        "refs/heads/main".into(),
    ];
    assert_eq!(refs.lines().collect::<Vec<_>>(), wanted);
    assert_eq!(host.git(&["log", "-1", "--format=%an", &name("heads/main")]), "Host\n");
    assert_eq!(host.git(&["show", &format!("{}:one", name("stash/0"))]), "one\ntwo\ns\n");
    let mut now = host.seen();
    now.retain(|path, _| !path.starts_with(".git/refs/bottles"));
    let mut before = before;
    before.retain(|path, _| !path.starts_with(".git/refs/bottles"));
    assert_eq!(now, before, "refs of its own, and nothing else");
    assert!(!ran.exists());
    desk.assert_tidy();
    // What it was asked: in its own container, for one repository, knowing what is here.
    let call = place.calls().into_iter().rfind(|call| call.iter().any(|word| word == "bundle")).unwrap();
    assert_eq!(call[call.len() - 4..], ["init", "work", "bundle", "."]);
    for word in ["--rm", "--read-only", "--network none", "--cap-drop ALL", ",readonly"] {
        assert!(call.join(" ").contains(word), "{word}: {call:?}");
    }
    let haves = text(&place.engine("handed/stdin"));
    assert_eq!(haves.lines().next(), Some(host.git(&["rev-parse", "main"]).trim()));
}

#[test]
fn a_bundle_that_git_refuses_changes_nothing() {
    let desk = Desk::new();
    let host = &desk.host;
    let bundle = desk.place.engine("handed/bundle");
    let agent = Host::new(desk.place.path("agent"));
    let make = |tree: &str| {
        agent.shell(&format!(
            "blob=$(echo x | git hash-object -w --stdin); link=$(printf /etc | git hash-object -w --stdin)
             sub=$(printf '100644 blob %s\\tconfig\\n' $blob | git mktree); tree=$({tree} | git mktree)
             git update-ref refs/bottle/heads/main $(git commit-tree -m bad $tree)
             git bundle create -q {} refs/bottle/heads/main",
            bundle.display()
        ));
        fs::read(&bundle).unwrap()
    };
    let good = make(r"printf '100644 blob %s\tx\n' $blob");
    let bundles = [
        b"no bundle at all".to_vec(),
        Vec::new(),
        good[..good.len() - 30].to_vec(),
        make(r"printf '040000 tree %s\t.git\n' $sub"),
        make(r"printf '040000 tree %s\t.GIT\n' $sub"),
        make(r"printf '040000 tree %s\t..\n' $sub"),
        make(r"printf '120000 blob %s\t.gitmodules\n' $link"),
    ];
    let before = host.seen();
    // A repository that lacks objects on purpose checks those that it gets as well.
    for (number, bytes) in bundles.iter().chain(&bundles).enumerate() {
        if number == bundles.len() {
            host.write(".git/objects/pack/pack-1.promisor", "");
        }
        desk.hands("bundle", bytes);
        let done = desk.work(&["fetch"]).done();
        assert!(
            done.status == 125 && done.stderr.starts_with("claude-bottle: the commits were not taken: "),
            "{done:?}"
        );
        assert_eq!((done.stdout, host.seen()), (String::new(), before.clone()), "{number}");
        desk.assert_tidy();
    }
    assert_eq!(host.git(&["count-objects"]).split(' ').next(), Some("4"), "not even as objects");
    desk.hands("bundle", good);
    assert_eq!(desk.work(&["fetch"]).done().status, 0, "only what was bad made it fail");
}

/// Its history ends early, its objects lie elsewhere, its names are longer: the check before the fetch must know.
#[test]
fn repositories_of_any_kind_take_commits() {
    let more = "cd ../agent; git commit -q --allow-empty -m more; git update-ref refs/bottle/heads/main HEAD
        git bundle create -q ../engine/handed/bundle refs/bottle/heads/main ^HEAD~1";
    for kind in [
        "git clone -q --no-checkout --depth 1 file://$PWD/../source . && git clone -q file://$PWD ../agent",
        "git clone -q --no-checkout --shared ../source . && git clone -q . ../agent",
        "git -C ../source worktree add -q ../work -b side && git clone -q . ../agent",
        "git init -q --object-format=sha256 && git commit -q --allow-empty -m first && git clone -q . ../agent",
    ] {
        let desk = Desk::new();
        let name = format!("refs/bottles/{}/heads/main", desk.identity);
        desk.host.shell(&format!(
            "git commit -q --allow-empty -m second; git clone -q . ../source; rm -rf .git one .gitignore; {kind}; {more}"
        ));
        let said = format!("into `[PLACE]/work`:\nhint: git log {}\n", desk.place.steady(&name));
        let done = desk.work(&["fetch"]).done();
        assert_eq!((done.status, desk.place.steady(&done.stderr)), (0, said), "{kind}");
        assert_eq!(desk.host.git(&["log", "-1", "--format=%s", &name]), "more\n", "{kind}");
        desk.assert_tidy();
    }
}

/// git keeps no ref `x/y` beside `x`, nor writes one while it removes the other.
#[test]
fn a_branch_takes_the_place_of_another() {
    for (earlier, later) in [("fix", "fix/more"), ("fix/more", "fix"), ("a/b/c", "a")] {
        let desk = Desk::new();
        let host = &desk.host;
        let of = |branch: &str| format!("refs/bottles/{}/heads/{branch}", desk.identity);
        host.shell(&format!(
            "git commit -q --allow-empty -m old; git update-ref {} HEAD; git reset -q --hard HEAD~1",
            of(earlier)
        ));
        let old = host.git(&["rev-parse", &of(earlier)]);
        for subject in ["more", "again"] {
            host.shell(&format!(
                "git commit -q --allow-empty -m {subject}; git update-ref refs/bottle/heads/{later} HEAD
                 git bundle create -q ../engine/handed/bundle refs/bottle/heads/{later} ^HEAD~1
                 git update-ref -d refs/bottle/heads/{later}"
            ));
            let done = desk.work(&["fetch"]).done();
            assert!(done.status == 0 && done.stdout.starts_with(&format!("{}  ", of(later))), "{done:?}");
            assert_eq!(host.git(&["log", "-1", "--format=%s", &of(later)]), format!("{subject}\n"));
        }
        let former = format!("refs/bottles/{}/former/{}", desk.identity, old.trim());
        let refs = host.git(&["for-each-ref", "--format=%(refname)", "refs/bottles"]);
        assert_eq!(refs, format!("{former}\n{}\n", of(later)), "what was fetched first is all that is left of it");
    }
}

/// A ref that cannot be written leaves no pack behind.
#[test]
fn commits_without_a_ref_are_taken_away_again() {
    let desk = Desk::new();
    let host = &desk.host;
    host.shell(
        "git commit -q --allow-empty -m more; git update-ref refs/bottle/heads/fix HEAD
         git bundle create -q ../engine/handed/bundle refs/bottle/heads/fix ^HEAD~1
         git update-ref -d refs/bottle/heads/fix; git reset -q --hard HEAD~1; git reflog expire --expire=now --all; git gc -q --prune=now",
    );
    let name = format!(".git/refs/bottles/{}/heads/fix.lock", desk.identity);
    host.write(&name, "");
    let packs = || host.shell("ls .git/objects/pack");
    let (before, there) = (host.seen(), packs());
    let done = desk.work(&["fetch"]).done();
    assert!(done.status == 125 && done.stderr.starts_with("claude-bottle: the commits were not taken: "), "{done:?}");
    assert_eq!((host.seen(), packs()), (before, there));
    fs::remove_file(host.path.join(&name)).unwrap();
    assert_eq!(desk.work(&["fetch"]).done().status, 0);
}

#[test]
fn a_patch_that_leads_out_is_refused() {
    let desk = Desk::new();
    let host = &desk.host;
    symlink("..", host.path.join("out")).unwrap();
    host.shell("git add out; git commit -qm link");
    let before = host.seen();
    let refused = |case: &str| {
        let done = desk.work(&["apply", "--all"]).done();
        assert!(done.status == 2 && done.stdout.is_empty(), "{case}: {done:?}");
        assert_eq!(host.seen(), before, "{case}");
        assert!(!desk.place.path("evil").exists() && !desk.place.path("work2").exists(), "{case}");
        desk.assert_tidy();
    };
    let inner = [
        "../evil",
        "a/../../evil",
        "/tmp/evil",
        ".git/hooks/post-checkout",
        ".GIT/config",
        "sub/.git/config",
        "sub/../.git/config",
        "out/evil",
        "./one/../evil",
    ];
    for name in inner {
        desk.patch_of(&["fine", name]);
        refused(name);
    }
    desk.hands("patch", "base none\nno patch at all\n");
    refused("no patch");
    desk.hands("patch", "");
    let done = desk.work(&["apply"]).done();
    assert_eq!((done.status, done.stderr.as_str()), (125, "claude-bottle: the reader is not understood\n"));
    desk.hands("patch", "base --upload-pack=touch\n");
    assert_eq!(desk.work(&["apply"]).done().stderr, "no uncommitted changes in `.`\n");
    // A link of the patch's own, and a file beyond it.
    desk.patch_of(&["way/evil"]);
    let link = format!(
        "diff --git a/way b/way\nnew file mode 120000\nindex {}..{}\n--- /dev/null\n+++ b/way\n@@ -0,0 +1 @@\n+..\n\\ No newline at end of file\n",
        "0".repeat(40),
        "1".repeat(40)
    );
    let patch = text(&desk.place.engine("handed/patch")).replacen("base none\n", &format!("base none\n{link}"), 1);
    desk.hands("patch", patch);
    refused("beyond a link");
}

#[test]
fn nothing_here_is_overwritten() {
    let desk = Desk::new();
    let host = &desk.host;
    host.write("many", &(0..40).map(|n| format!("{n}\n")).collect::<String>());
    host.shell("git add .; git commit -qm many");
    let refused = |why: &str| {
        let before = host.seen();
        let done = desk.work(&["apply"]).done();
        assert_eq!((done.status, done.stdout.as_str(), host.seen()), (2, "", before), "{why}: {done:?}");
        assert!(done.stderr.contains(why), "{why}: {done:?}");
        desk.assert_tidy();
    };
    let clean = || drop(host.shell("git reset -q --hard main; git clean -qfd; git stash clear"));

    // A file that is changed here, in the same lines; one that is not tracked; one that is ignored. The others of the
    // patch stay out, too.
    desk.patch("echo two >one; echo new >new; echo o >x; git add x");
    host.write("one", "mine\n");
    refused("one: does not match index");
    clean();
    host.write("new", "mine\n");
    refused("new: already exists in working directory");
    clean();
    host.git(&["rm", "-q", "one"]);
    refused("one: does not exist in index");
    clean();
    desk.patch("echo o >b.o; git add -f b.o");
    host.write("b.o", "mine\n");
    refused("b.o: already exists in working directory");
    clean();

    // Changed here, but elsewhere in the file: both changes stay, and nothing is staged.
    desk.patch("sed -i 's/^3$/three/' many");
    host.shell("sed -i 's/^35$/mine/' many");
    desk.work(&["apply"]).stdout("many\n").stderr("applied to `[PLACE]/work`\n").test();
    assert!(host.read("many").contains("three\n") && host.read("many").contains("mine\n"));
    assert_eq!(host.git(&["diff", "--cached", "--name-only"]), "");
    clean();

    // Committed here since, in other lines and in the same.
    desk.patch("sed -i 's/^3$/three/' many; echo agent >one");
    host.shell("sed -i 's/^5$/cinq/' many; git commit -qam cinq");
    desk.work(&["apply"]).stdout("many\none\n").stderr("applied to `[PLACE]/work`\n").test();
    assert!(host.read("many").contains("three\n4\ncinq\n"));
    host.shell("git reset -q --hard; echo host >one; git commit -qam host");
    let done = desk.work(&["apply"]).done();
    assert_eq!((done.status, done.stdout.as_str()), (2, ""), "{done:?}");
    assert!(done.stderr.starts_with("conflict: one\nclaude-bottle: applied to "), "{done:?}");
    assert!(done.stderr.contains("with conflicts, marked as git marks them\nhint: git status\n"), "{done:?}");
    assert!(host.read("many").contains("three\n4\ncinq\n"));
    assert_eq!(host.read("one"), "<<<<<<< ours\nhost\n=======\nagent\n>>>>>>> theirs\n");
    assert_eq!(host.git(&["status", "--porcelain"]), "M  many\nUU one\n");
}

/// git names a file in conflict as it is called, with all its line feeds.
#[test]
fn a_file_in_conflict_forges_no_line() {
    let desk = Desk::new();
    let host = &desk.host;
    let name = "n\nhint: forged";
    host.write(name, "host\n");
    host.shell("git add -A; git commit -qm named");
    desk.patch("for name in n*; do echo agent >\"$name\"; done");
    host.write(name, "mine\n");
    host.shell("git commit -qam mine");
    let done = desk.work(&["apply", "--all"]).done();
    assert_eq!((done.status, done.stdout.as_str()), (2, ""), "{done:?}");
    assert!(!done.stderr.contains("\nhint: forged"), "{done:?}");
    assert!(done.stderr.contains("conflict: n\\u{a}hint: forged\n"), "{done:?}");
}

/// Settings of the user's decide nothing here, nor where it is typed.
#[test]
fn a_patch_applies_whatever_is_configured() {
    let desk = Desk::new();
    let host = &desk.host;
    desk.patch("printf 'one \\n\\n\\n' >one; mkdir -p sub; printf '\\tx \\r\\n' >sub/crlf; chmod +x sub/crlf");
    for (key, value) in [
        ("apply.whitespace", "error"),
        ("apply.ignoreWhitespace", "change"),
        ("core.whitespace", "tab-in-indent"),
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("color.ui", "always"),
    ] {
        host.git(&["config", key, value]);
    }
    fs::create_dir(host.path.join("deep")).unwrap();
    let words = ["-c", "cd deep; exec \"$@\"", "sh", crate::harness::PROGRAM, "work", "apply", "--all", &desk.identity];
    let apply = desk.place.run_other("/bin/sh", &words).env("PATH", format!("{FAKE}:/usr/bin:/bin"));
    let work = r#""complete":true,"files":0,"repositories":[{"path":".","commits":0,"stashes":0,"files":2}]"#;
    let apply = apply.env("FAKE_WORK", work).env("GIT_DIR", "/nowhere").env("GIT_INDEX_FILE", "/nowhere/index");
    let apply = apply.stdout("one\nsub/crlf\n");
    apply.stderr("applied to `[PLACE]/work`\n").test();
    assert_eq!((host.read("one"), host.read("sub/crlf")), ("one \n\n\n".into(), "\tx \r\n".into()));
    assert_eq!(host.git(&["ls-files", "--stage"]).lines().count(), 2, "nothing is staged");
}

/// Left out by exactly its name, whatever that would mean as a pattern.
#[test]
fn what_runs_by_itself_stays_out_until_it_is_asked_for() {
    let desk = Desk::new();
    let host = &desk.host;
    let (run, plain) = (
        ["*/.envrc", "[a]/.ENVRC", "b/\\?/Makefile", "package.json", "q/.vscode/a\nb", ".vscode/*"],
        ["a/environment", "b/x/file", "package.json.md", "vscode/x"],
    );
    let make = |names: &[&str]| {
        for name in names {
            host.write(name, "x\n");
        }
    };
    desk.patch("true");
    make(&run);
    make(&plain);
    let patch = host.shell(
        "git add -A; echo base $(git rev-parse HEAD); git diff --binary --full-index --no-renames --cached
         git reset -q --hard",
    );
    desk.hands("patch", &patch);
    let disguised = "not copied without a yes, because tools run these files automatically:\n  names that are not what they look like:\n    b/\n      \\?/\n        \
        Makefile\n    q/\n      .vscode/\n        a\\u{a}b\n";
    let hidden = "  hidden files and folders, of shells, editors, git and others:\n    */\n      .envrc\n    [a]/\n      .ENVRC\n";
    let build = "  build, package and container files:\n    package.json\n";
    let desktop = "  workspaces, shortcuts and start-up files:\n    .vscode/\n      *\n";
    let asked = format!("{disguised}{hidden}{build}{desktop}");
    let hint = "hint: look at them with `claude-bottle work diff`; `--all` brings them\n";
    let told = format!("left out: 6 of them\n{hint}");
    let stdout = format!("{}\n", plain.join("\n"));
    desk.work(&["apply"]).stdout(&stdout).stderr(&format!("{asked}{told}applied to `[PLACE]/work`\n")).test();
    assert!(plain.iter().all(|name| host.has(name)) && !run.iter().any(|name| host.has(name)), "{:?}", host.seen());

    // On a terminal it is asked; what was said no to, and nothing else, changes nothing.
    host.shell("git clean -qfd");
    let classes = [(disguised, &run[2..2], 2), (hidden, &run[..2], 2), (build, &run[3..4], 1), (desktop, &run[5..], 1)];
    for yes in [None, Some(0), Some(1), Some(2), Some(3)] {
        let mut terminal = desk.work(&["apply"]).on_terminal();
        for (n, (shown, _, count)) in classes.iter().enumerate() {
            terminal.until(&shown.replace('\n', "\r\n"));
            let question = if *count == 1 { "bring it, too? [y/N] " } else { "bring these 2, too? [y/N] " };
            terminal.until(question);
            assert!(!plain.iter().any(|name| host.has(name)), "nothing happens before the answers");
            terminal.types(if yes == Some(n) { "y\n" } else { "\n" });
        }
        let (status, seen) = terminal.end();
        assert!(status == 0 && seen.contains("left out: "), "{seen}");
        assert!(plain.iter().all(|name| host.has(name)), "{seen}");
        for (n, (_, names, _)) in classes.iter().enumerate() {
            assert!(names.iter().all(|name| host.has(name) == (yes == Some(n))), "{seen}");
        }
        assert_eq!((host.has(run[2]), host.has(run[4])), (yes == Some(0), yes == Some(0)), "{seen}");
        host.shell("git clean -qfd");
    }
    let before = host.seen();
    let mut terminal = desk.work(&["apply"]).on_terminal();
    terminal.until("bring these 2, too? [y/N] ");
    terminal.types("\u{3}");
    let (status, seen) = terminal.end();
    assert_eq!((status, host.seen()), (130, before), "Ctrl-C is no `no`: {seen}");
    desk.work(&["apply", "--all"]).done();
    assert!(run.iter().all(|name| host.has(name)));
}

/// Whatever its name says: git's lines of modes and names are not what is asked by.
#[test]
fn no_name_of_a_file_hides_another() {
    let desk = Desk::new();
    let host = &desk.host;
    host.shell("echo tool >tool; chmod +x tool; git add tool; git commit -qm tool");
    for (run, forged) in [
        ("echo x >evil; chmod +x evil", "x\n create mode 100644 evil"),
        ("ln -s /etc/passwd evil", "x\n create mode 100644 evil"),
        ("echo x >evil; chmod +x evil", "x\n mode change 100755 => 100644 evil"),
        ("ln -s /etc/passwd evil", " create mode 100644 evil\n create mode 100644 evil"),
    ] {
        desk.patch(&format!("echo y >\"$(printf '{forged}')\"; {run}"));
        let before = host.seen();
        let done = desk.work(&["apply"]).done();
        assert_eq!((done.status, done.stdout.as_str(), host.seen()), (0, "", before), "{forged}: {done:?}");
        assert!(done.stderr.contains("    evil\n") && done.stderr.contains("left out: 2 of them\n"), "{done:?}");
    }
    let before = host.seen();
    // A file that is executable here, under another name.
    for (from, to) in [("rename", "rename"), ("copy", "copy")] {
        let patch = format!("diff --git a/tool b/fresh\nsimilarity index 100%\n{from} from tool\n{to} to fresh\n");
        desk.hands("patch", format!("base none\n{patch}"));
        let done = desk.work(&["apply"]).done();
        assert!(done.status == 0 && done.stderr.contains("    fresh\n"), "{done:?}");
        assert_eq!((done.stdout.as_str(), host.seen()), ("", before.clone()), "{done:?}");
    }
    // Without the change that is left out, the other one takes its file away.
    let mode = "diff --git a/one b/one\nold mode 100644\nnew mode 100755\n";
    let rename = "diff --git a/one b/last\nsimilarity index 100%\nrename from one\nrename to last\n";
    desk.hands("patch", format!("base none\n{mode}{rename}"));
    let done = desk.work(&["apply"]).done();
    let said = "claude-bottle: not applied: what is left out changes what the rest of the patch does\n";
    assert!(done.status == 2 && done.stderr.ends_with(said), "{done:?}");
    assert_eq!((done.stdout.as_str(), host.seen()), ("", before), "{done:?}");
}

#[test]
fn a_name_that_is_not_utf_8_stops_no_other_file() {
    let desk = Desk::new();
    desk.patch("printf x >\"$(printf 'caf\\351')\"; echo new >new; echo two >one");
    let asked = "not copied without a yes, because tools run these files automatically:\n  names that are not what they look like:\n    caf\u{fffd}\n";
    let hint = "hint: look at them with `claude-bottle work diff`; `--all` brings them\n";
    let said = format!("{asked}left out: 1 of them\n{hint}applied to `[PLACE]/work`\n");
    desk.work(&["apply"]).stdout("new\none\n").stderr(&said).test();
    desk.host.shell("git reset -q --hard; git clean -qfd");
    desk.work(&["apply", "--all"]).stdout("caf\u{fffd}\nnew\none\n").stderr("applied to `[PLACE]/work`\n").test();
}

/// What git takes for a repository has plain names, and its `config` names programs.
#[test]
fn a_folder_that_git_takes_for_a_repository_is_asked_for() {
    let desk = Desk::new();
    let host = &desk.host;
    let config = "printf '[core]\\nfsmonitor = touch ran\\n' >docs/config";
    let parts = ["echo 'ref: refs/heads/x' >docs/HEAD", "echo >docs/objects/x; echo >docs/refs/x", config];
    let title = "  folders that git takes for repositories, whose settings name programs:\n    docs/\n";
    for here in [None, Some(0), Some(1)] {
        let brought: Vec<&str> = (0..3).filter(|part| Some(*part) != here).map(|part| parts[part]).collect();
        let folders = "mkdir -p docs/objects docs/refs";
        desk.patch(&format!("{folders}; {}; echo new >new", brought.join("; ")));
        host.shell(&format!("{folders}; {}", here.map_or("true", |part| parts[part])));
        let before = host.seen();
        let done = desk.work(&["apply"]).done();
        assert!(done.status == 0 && done.stderr.contains(title), "{here:?} {done:?}");
        assert!(done.stderr.contains("      config\n"), "all that is below it: {here:?} {done:?}");
        assert_eq!(done.stdout, "new\n", "{here:?} {done:?}");
        let mut now = host.seen();
        now.retain(|path, _| path != std::path::Path::new("new"));
        assert_eq!(now, before, "{here:?}");
        host.shell("git clean -qfdx");
    }
    // The same where the files are in no repository.
    let mut tar = tar::Builder::new(File::create(desk.place.engine("handed/files")).unwrap());
    for name in ["docs/HEAD", "docs/objects/x", "docs/refs/x", "docs/config", "docs2/HEAD"] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(6);
        tar.append_data(&mut header, format!("files/{name}"), &b"agent\n"[..]).unwrap();
    }
    tar.finish().unwrap();
    drop(tar);
    let done = desk.loose(&["apply"]).done();
    assert_eq!((done.status, done.stdout.as_str()), (0, "docs2/HEAD\n"), "{done:?}");
    assert!(done.stderr.contains(title) && !host.has("docs"), "{done:?}");
}

/// A commit that is not here is fetched first: the patch would be guesswork.
#[test]
fn changes_on_an_unknown_commit_are_refused() {
    let desk = Desk::new();
    desk.patch_of(&["new"]);
    let patch = text(&desk.place.engine("handed/patch"));
    for base in ["1234567890123456789012345678901234567890", "main..", "--help", "HEAD:one"] {
        desk.hands("patch", patch.replacen("none", base, 1));
        let hint = format!("hint: `claude-bottle work fetch {}`, then merge it\n", desk.place.steady(&desk.identity));
        let lacks = format!("claude-bottle: `[PLACE]/work` lacks the commit that the changes are made on\n{hint}");
        desk.work(&["apply"]).status(2).stderr(&lacks).test();
        assert!(!desk.host.has("new"));
    }
}

/// An archive that says more than `init` would: nothing of it leads out, and nothing is replaced.
#[test]
fn loose_files_lead_nowhere_and_replace_nothing() {
    let desk = Desk::new();
    let folder = desk.place.path("work");
    fs::create_dir(desk.place.path("outside")).unwrap();
    symlink("../outside", folder.join("out")).unwrap();
    symlink("../outside/made", folder.join("dangling")).unwrap();
    fs::create_dir(folder.join("folder")).unwrap();
    fs::write(folder.join("mine"), "mine\n").unwrap();
    fs::write(folder.join("same"), "agent\n").unwrap();
    let mut tar = tar::Builder::new(File::create(desk.place.engine("handed/files")).unwrap());
    let mut add = |name: &str, kind: tar::EntryType| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(if name.ends_with("deep") { 0o4755 } else { 0o644 });
        header.set_size(6);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, &b"agent\n"[..]).unwrap();
    };
    let inside =
        ["mine", "same", "new/deep", "out/evil", "dangling", "folder", ".git/hooks/pre-commit", "a/.GIT/config"];
    for name in inside {
        add(&format!("files/{name}"), tar::EntryType::Regular);
    }
    add("files/../climbs", tar::EntryType::Regular);
    add("/absolute", tar::EntryType::Regular);
    add("files/link", tar::EntryType::Symlink);
    add("files/pipe", tar::EntryType::Fifo);
    tar.finish().unwrap();
    drop(tar);

    let before = desk.host.seen();
    let done = desk.loose(&["apply", "--all"]).done();
    assert_eq!((done.status, done.stdout.as_str()), (2, "new/deep\n"), "{done:?}");
    for name in ["mine", "out/evil", "dangling", "folder", ".git/hooks/pre-commit", "a/.GIT/config"] {
        assert!(done.stderr.contains(&format!(": {name}\n")), "{name}: {done:?}");
    }
    let mut now = desk.host.seen();
    assert_eq!(now.remove(std::path::Path::new("new/deep")).as_deref(), Some("100755 agent\n"));
    assert_eq!(now, before);
    assert_eq!(fs::read_dir(desk.place.path("outside")).unwrap().count(), 0);
    desk.assert_tidy();
}

/// git waits for ever for a pipe in which it looks for attributes, even where it only reads a patch.
#[test]
fn a_pipe_for_attributes_holds_nothing_up() {
    for folder in ["", "sub/"] {
        let desk = Desk::new();
        desk.patch("mkdir sub; echo new >sub/new");
        desk.host.shell(&format!("mkdir -p sub; mkfifo {folder}.gitattributes"));
        let said = format!("claude-bottle: `[PLACE]/work/{folder}.gitattributes` is not a file\n");
        desk.work(&["apply"]).status(2).stderr(&said).test();
        assert!(!desk.host.has("sub/new"));
    }
}

/// Whether it is the file that went in, no time of it tells: it may have been moved here, or a clock was ahead.
#[test]
fn a_file_that_is_here_is_replaced_only_by_a_yes() {
    let place = Place::new(crate::harness::PLAIN);
    place.write("work/mine", "host\n");
    place.write("work/same", "agent\n");
    let start =
        place.run(&["start", "--yes", "--cwd", "plain"]).env("FAKE_CODE", 7).env("FAKE_TAR", place.transcript());
    assert_eq!(start.done().status, 7);
    let identity = place.session();
    let lock = File::options().write(true).open(place.session_file("lock")).unwrap();
    lock.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(3600)).unwrap();
    place.write("elsewhere", "moved\n");
    fs::rename(place.path("elsewhere"), place.path("work/mine")).unwrap();
    let mut tar = tar::Builder::new(File::create(place.engine("handed/files")).unwrap());
    for name in [&b"mine"[..], b"same", b"new", b"caf\xe9"] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(6);
        header.as_mut_bytes()[..6].copy_from_slice(b"files/");
        header.as_mut_bytes()[6..6 + name.len()].copy_from_slice(name);
        header.set_cksum();
        tar.append(&header, &b"agent\n"[..]).unwrap();
    }
    tar.finish().unwrap();
    drop(tar);
    let work = || place.run(&["work", "apply", "--all", &identity]).env("FAKE_WORK", r#""complete":true,"files":4"#);
    let asked = "these are here already, with other contents:\n    mine\n";
    let said = format!(
        "{asked}not overwritten: mine\nclaude-bottle: 1 of the files are here already, with other contents\n\
         hint: type this again on a terminal to be asked, or move them away before\n"
    );
    work().status(2).stdout("caf\u{fffd}\nnew\n").stderr(&said).test();
    assert_eq!((text(&place.path("work/mine")), text(&place.path("work/new"))), ("moved\n".into(), "agent\n".into()));
    for (answer, status, content) in [("n\n", 2, "moved\n"), ("\u{3}", 130, "moved\n"), ("y\n", 0, "agent\n")] {
        let mut terminal = work().on_terminal();
        terminal.until(&format!("{}replace it? [y/N] ", asked.replace('\n', "\r\n")));
        assert_eq!(text(&place.path("work/mine")), "moved\n", "nothing happens before the answer");
        terminal.types(answer);
        let (ended, seen) = terminal.end();
        assert_eq!((ended, text(&place.path("work/mine"))), (status, content.to_owned()), "{seen}");
    }
    work().test();
}

/// Both kinds of work have something to ask about; who leaves at the second leaves nothing behind.
#[test]
fn each_question_can_be_left() {
    let desk = Desk::new();
    desk.patch_of(&["package.json"]);
    let mut tar = tar::Builder::new(File::create(desk.place.engine("handed/files")).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(6);
    tar.append_data(&mut header, "files/.envrc", &b"agent\n"[..]).unwrap();
    tar.finish().unwrap();
    drop(tar);
    let work = r#""complete":true,"files":1,"repositories":[{"path":".","commits":0,"stashes":0,"files":1}]"#;
    let before = desk.host.seen();
    let mut terminal = desk.asked(&["apply"]).env("FAKE_WORK", work).on_terminal();
    terminal.until("  package.json\r\nbring it, too? [y/N] ");
    terminal.types("n\n");
    terminal.until("  .envrc\r\nbring it, too? [y/N] ");
    terminal.types("\u{3}");
    assert_eq!((terminal.end().0, desk.host.seen()), (130, before));
    desk.assert_tidy();
}

#[test]
fn a_diff_is_raw_in_a_pipe_and_harmless_on_a_terminal() {
    let desk = Desk::new();
    let diff = "# repository .\n+\u{1b}]0;title\u{7}\u{202e}\u{fe0f}\u{3164}\n+tab\there\n";
    desk.hands("diff", diff);
    desk.work(&["diff"]).stdout(diff).test();
    let (status, seen) = {
        let mut terminal = desk.work(&["diff", "--stat"]).on_terminal();
        terminal.until("here");
        terminal.end()
    };
    assert!(status == 0 && !seen.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{fe0f}', '\u{3164}']), "{seen:?}");
    assert!(seen.contains("+tab\there\n"), "{seen:?}");
    let call = desk.place.calls().pop().unwrap();
    assert_eq!(call[call.len() - 3..], ["work", "diff", "--stat"]);
    desk.hands("diff", "");
    desk.work(&["diff"]).stderr("no changes to copy back\n").test();
}

#[test]
fn what_cannot_be_brought_home_is_said() {
    let desk = Desk::new();
    let before = desk.host.seen();
    let id = desk.place.steady(&desk.identity);
    for verb in ["fetch", "apply"] {
        let two = r#""complete":true,"files":0,"repositories":[
            {"path":"a","commits":1,"stashes":0,"files":1},{"path":"b\u001b","commits":1,"stashes":0,"files":1}]"#;
        let of = if verb == "fetch" { "`[PLACE]/work` has all commits of" } else { "no uncommitted changes in" };
        let end = if verb == "fetch" { " already" } else { "" };
        let said = format!("{of} `a`{end}\n{of} `b\\u{{1b}}`{end}\n");
        desk.asked(&[verb]).env("FAKE_WORK", two.replace('\n', "")).stderr(&said).test();
        let said = "claude-bottle: what is in the workspace could not be compared\nhint: name a repository\n";
        desk.asked(&[verb]).env("FAKE_WORK", r#""complete":false,"files":0"#).status(2).stderr(said).test();
        let what = if verb == "fetch" { "commits" } else { "uncommitted changes" };
        let said = format!("no {what}: no changes to copy back\n");
        desk.asked(&[verb]).stderr(&said).test();
        // Without git on this machine; and in no repository.
        let said = "claude-bottle: no `git` on this machine\nhint: install git\n";
        desk.work(&[verb]).env("PATH", FAKE).status(2).stderr(said).test();
        let said = "claude-bottle: `/proc` is in no git repository\n\
            hint: go to the repository that it belongs to, and type this again\n";
        let words = ["-c", "cd /proc; exec \"$@\"", "sh", crate::harness::PROGRAM, "work", verb, &desk.identity, "."];
        let run = desk.place.run_other("/bin/sh", &words).env("PATH", format!("{FAKE}:/usr/bin:/bin"));
        run.status(2).stderr(said).test();
    }
    desk.work(&["fetch"]).stderr("`[PLACE]/work` has all commits of `.` already\n").test();
    assert_eq!(desk.host.seen(), before);
    fs::remove_dir_all(desk.place.engine(&format!("volumes/claude-bottle-{}", desk.identity))).unwrap();
    for verb in ["diff", "fetch", "apply"] {
        desk.work(&[verb]).status(2).stderr(&format!("claude-bottle: the home of `{id}` is gone\n")).test();
    }
    let said = "claude-bottle: no session `nobody-at-all`\nhint: claude-bottle list --all\n";
    for words in
        [&["work", "fetch", "nobody-at-all"][..], &["put", "nobody-at-all", "x"], &["get", "nobody-at-all", "x"]]
    {
        let done = desk.place.run(words).done();
        assert!(
            done.status == 2 && done.stderr.starts_with("claude-bottle: no session `nobody-at-all`\n"),
            "{said}{done:?}"
        );
    }
}

#[test]
fn a_file_goes_in_and_comes_out() {
    let place = kept();
    let id = place.session();
    let steady = place.steady(&id);
    place.write("work/shot.png", "a picture\n");
    for verb in ["put", "get"] {
        let done = place.run(&[verb, &id, "shot.png"]).done();
        assert_eq!(done.status, 2);
        assert!(done.stderr.ends_with(&format!("hint: claude-bottle resume {id}\n")), "{done:?}");
    }
    assert_eq!(place.calls(), [[""; 0]; 0], "what is kept does not run: no engine is asked");

    assert_eq!(place.run(&["resume", "--yes", &id]).env("FAKE_AGENT", "detaches").done().status, 0);
    place.forget_calls();
    place.run(&["put", &id, "shot.png"]).stdout("/home/agent/workspace/~/inbox/shot.png\n").test();
    assert_eq!(text(&place.engine("handed/put")), "a picture\n");
    let call = place.calls().pop().unwrap();
    let agent = format!("claude-bottle-{id}-agent");
    assert_eq!(call[..5], ["exec", "-w", "/", "-i", &agent]);
    assert_eq!(call[call.len() - 3..], ["init", "put", "~/inbox/shot.png"]);
    place.run(&["put", &id, "-", "a b"]).stdin("typed").stdout("/home/agent/workspace/a b\n").test();
    assert_eq!(text(&place.engine("handed/put")), "typed");
    let usage = "claude-bottle: no name for the file\nhint: name a path in the bottle behind it\n";
    place.run(&["put", &id, "-"]).status(2).stderr(usage).test();
    let said = "claude-bottle: `.` is a directory\nhint: put files, or a tar of it\n";
    place.run(&["put", &id, ".", "x"]).status(2).stderr(said).test();
    // What is large is asked for, before the engine is.
    File::create(place.path("work/large")).unwrap().set_len((1 << 30) + 1).unwrap();
    place.forget_calls();
    let larger = "`large` is larger than 1.0 GiB";
    let hint = "hint: add `--yes` to copy it without the question\n";
    let said = format!("claude-bottle: {larger}, and there is no terminal to ask on\n{hint}");
    place.run(&["put", &id, "large"]).status(2).stderr(&said).test();
    // Where it is many times as large, the one question says so.
    for (bytes, larger) in [((1 << 30) + 1, larger), (9 << 30, "`large` is larger than 8.0 GiB")] {
        File::create(place.path("work/large")).unwrap().set_len(bytes).unwrap();
        let mut terminal = place.run(&["put", &id, "large"]).on_terminal();
        terminal.until(&format!("{larger}. Go on? [y/N] "));
        terminal.types("n\n");
        assert_eq!(terminal.end().0, 2);
    }
    assert!(!place.calls().iter().flatten().any(|word| word == "put"), "nothing was sent");
    fs::remove_file(place.path("work/large")).unwrap();
    let said = "claude-bottle: cannot read `none`: No such file or directory (os error 2)\n";
    place.run(&["put", &id, "none"]).status(2).stderr(said).test();

    // What fails leaves nothing; what is there stays, also where it is a link to nowhere.
    let gone = "claude-bottle: cannot read `sub/note`: gone\n";
    place.run(&["get", &id, "sub/note"]).status(2).stderr(gone).test();
    assert_eq!(fs::read_dir(place.path("work")).unwrap().count(), 1);
    fs::write(place.engine("handed/get"), "from inside\n").unwrap();
    place.run(&["get", &id, "sub/note"]).test();
    assert_eq!(text(&place.path("work/note")), "from inside\n");
    place.run(&["get", &id, "sub/note", "-"]).stdout("from inside\n").test();
    symlink("nowhere", place.path("work/link")).unwrap();
    for name in ["shot.png", "link"] {
        let there = format!("claude-bottle: `{name}` is there already\nhint: `--force` overwrites it\n");
        place.run(&["get", &id, "note", name]).status(2).stderr(&there).test();
        place.run(&["get", "--force", &id, "note", name]).test();
        let meta = fs::symlink_metadata(place.path("work").join(name)).unwrap();
        assert!(meta.is_file() && std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o7777 == 0o644);
    }
    assert_eq!(fs::read_dir(place.path("work")).unwrap().count(), 3, "the link was replaced, not followed");
    place.run_other(&format!("{FAKE}/docker"), &["stop", &agent]).done();
    let ended = format!("claude-bottle: `{steady}` does not run any more\nhint: claude-bottle resume {steady}\n");
    place.run(&["get", &id, "note"]).status(2).stderr(&ended).test();
}
