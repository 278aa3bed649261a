//! Repositories that an agent makes, and several of them in one directory: each has its path below the directory, here as
//! inside.

use super::work_again::Bottle;
use std::fs;
use std::os::unix::fs::symlink;

const COMMIT: &str = "git add -A; git commit -q --allow-empty -m";

#[test]
fn a_repository_that_the_agent_made_is_cloned_to_its_path() {
    let bottle = Bottle::loose(&[]);
    let (host, agent) = (&bottle.host, &bottle.agent);
    agent.shell(&format!(
        "git init -q -b trunk myapp; cd myapp; mkdir src; echo a >src/a; echo x >.envrc; ln -s /etc/passwd link; {COMMIT} first
         git branch other; echo more >>src/a; echo new >new"
    ));
    let done = bottle.work(&["fetch"]).done();
    let folder = format!("refs/bottles/{}/myapp/", bottle.identity);
    assert_eq!(done.status, 0, "{done:?}");
    for part in [format!("{folder}heads/trunk  "), format!("{folder}heads/other  ")] {
        assert!(done.stdout.contains(&part), "{part}: {done:?}");
    }
    assert!(done.stderr.contains("/work/myapp checkout -- .` writes them, too"), "{done:?}");
    assert_eq!(host.git(&["-C", "myapp", "log", "--format=%s %D"]), "first HEAD -> trunk\n");
    // What runs by itself stays out until it is asked for, and is in the index all the same.
    assert_eq!(host.git(&["-C", "myapp", "status", "--porcelain"]), " D .envrc\n D link\n");
    assert_eq!(host.read("myapp/src/a"), "a\n");
    bottle.has_left("2 changed files in `myapp`");
    bottle.applies("new\nsrc/a\n");
    assert_eq!(host.read("myapp/src/a"), "a\nmore\n");
    bottle.has_nothing_left();

    // It goes on, both ways.
    agent.shell(&format!("cd myapp; {COMMIT} second"));
    host.git(&["-C", "myapp", "checkout", "-q", "--", "."]);
    fs::remove_file(host.path.join("myapp/new")).unwrap();
    let done = bottle.work(&["pull", "--yes", "--all"]).done();
    assert_eq!(
        (done.status, host.git(&["-C", "myapp", "log", "--format=%s"])),
        (0, "second\nfirst\n".into()),
        "{done:?}"
    );
    assert_eq!(host.git(&["-C", "myapp", "status", "--porcelain"]), "");
    bottle.has_nothing_left();
}

#[test]
fn a_repository_in_a_repository_leaves_the_outer_one_alone() {
    let bottle = Bottle::new(|_| {});
    let (host, agent) = (&bottle.host, &bottle.agent);
    agent.shell(&format!(
        "{COMMIT} outer; git init -q -b main sub; cd sub; echo s >s; {COMMIT} inner; git init -q heads; cd heads; echo h >h; {COMMIT} deepest"
    ));
    let done = bottle.work(&["fetch"]).done();
    assert_eq!(done.status, 0, "{done:?}");
    assert_eq!(bottle.refs(), ["heads/main outer"]);
    let of =
        |path: &str| host.git(&["-C", path, "for-each-ref", "--format=%(refname) %(contents:subject)", "refs/bottles"]);
    assert_eq!(of("sub").trim(), format!("refs/bottles/{}/sub/heads/main inner", bottle.identity));
    assert!(of("sub/heads").contains("/sub/%68eads/heads/"), "{}", of("sub/heads"));
    assert_eq!((host.read("sub/s"), host.read("sub/heads/h")), ("s\n".into(), "h\n".into()));
    assert_eq!(host.git(&["log", "--format=%s"]), "first\n");
    bottle.has_nothing_left();
}

/// A repository of which there are only files, and the directory itself.
#[test]
fn a_repository_without_a_commit_is_applied() {
    let bottle = Bottle::loose(&[]);
    bottle.agent.shell("git init -q app; echo a >app/a; echo x >app/.envrc");
    let done = bottle.work(&["fetch"]).done();
    assert!(done.status == 0 && !bottle.host.has("app"), "{done:?}");
    let done = bottle.work(&["apply"]).done();
    assert_eq!((done.status, done.stdout.as_str(), bottle.host.read("app/a")), (0, "a\n", "a\n".into()), "{done:?}");
    assert!(bottle.host.has("app/.git/HEAD") && !bottle.host.has("app/.envrc"));
    bottle.applies(".envrc\n");
    bottle.has_nothing_left();

    // The directory itself, while it is empty.
    let bottle = Bottle::loose(&[]);
    bottle.agent.shell(&format!("git init -q -b main; echo a >a; {COMMIT} first"));
    assert_eq!(bottle.work(&["fetch"]).done().status, 0);
    assert_eq!((bottle.host.read("a"), bottle.host.git(&["status", "--porcelain"])), ("a\n".into(), String::new()));
    bottle.has_nothing_left();
}

/// Whatever is at its path already, and whatever the path is.
#[test]
fn a_repository_is_put_over_nothing_that_is_here() {
    for (there, here, said) in [
        ("app", "mkdir app; echo mine >app/mine", "/app` is here, and is no git repository\nhint: `git init "),
        ("app", "echo mine >app", "/app` is behind a link or a file"),
        ("app", "mkdir ../other; ln -s ../other app", "/app` is behind a link or a file"),
        ("a/app", "ln -s ../../elsewhere a", "/a/app` is behind a link or a file"),
        (".", "echo mine >mine", "/work` is here, and is no git repository"),
    ] {
        let bottle = Bottle::loose(&[]);
        bottle
            .agent
            .shell(&format!("mkdir -p {there}; git init -q {there}; cd {there}; echo a >a; {COMMIT} first; echo b >b"));
        bottle.host.shell(here);
        let seen = || (bottle.host.seen(), bottle.host.shell("find ../other ../elsewhere 2>/dev/null || true"));
        let before = seen();
        for verb in ["fetch", "apply", "pull"] {
            let done = bottle.work(&[verb, there]).done();
            assert!(done.status == 2 && done.stderr.contains(said), "{there} {verb}: {done:?}");
        }
        assert_eq!(seen(), before, "{there}");
    }
}

/// Nothing of it stays where nothing of it was wanted, or where it cannot be written.
#[test]
fn a_repository_that_is_not_brought_leaves_nothing() {
    let bottle = Bottle::loose(&[]);
    let (host, agent) = (&bottle.host, &bottle.agent);
    agent.shell("git init -q deep/app; echo x >deep/app/.envrc");
    assert_eq!(bottle.work(&["apply"]).done().status, 0);
    assert!(!host.has("deep"));
    agent.shell(&format!("cd deep/app; {COMMIT} first; echo y >.envrc"));
    let done = bottle.work(&["apply", "--all"]).done();
    assert!(done.status == 2 && done.stderr.contains("work fetch"), "{done:?}");
    assert!(!host.has("deep"));
    // git takes no such file in; the bundle is refused.
    agent.shell("cd deep/app; tree=$(printf '100644 .git\\0' | cat - >/dev/null; blob=$(git hash-object -w .envrc)
        printf '100644 blob %s\\t.GIT\\n' $blob | git mktree); git commit -q --allow-empty -m x; git reset -q --soft $(git commit-tree -m evil $tree)");
    let done = bottle.work(&["fetch"]).done();
    assert!(done.status != 0 && done.stderr.contains("the commits were not taken"), "{done:?}");
    assert!(!host.has("deep"));
}

/// The folders of its path count: what is harmless in its repository may run by itself where that lies.
#[test]
fn a_path_that_runs_by_itself_is_asked_for() {
    let bottle = Bottle::loose(&[]);
    bottle
        .agent
        .shell(&format!("git init -q .vscode; cd .vscode; echo '{{}}' >tasks.json; {COMMIT} first; echo x >x.txt"));
    bottle.agent.shell("git init -q .github; echo x >.github/x.txt");
    for verb in ["fetch", "apply"] {
        assert_eq!(bottle.work(&[verb]).done().status, 0, "{verb}");
    }
    assert!(!bottle.host.has(".vscode/tasks.json") && !bottle.host.has(".vscode/x.txt") && !bottle.host.has(".github"));
}

#[test]
fn a_pull_brings_every_repository_of_a_directory() {
    let bottle = Bottle::loose_with(|host| {
        for name in ["a", "b", "c"] {
            host.shell(&format!("git init -q -b main {name}; cd {name}; echo {name} >file; {COMMIT} first"));
        }
    });
    let (host, agent) = (&bottle.host, &bottle.agent);
    agent.shell(&format!(
        "cd a; echo 2 >>file; {COMMIT} two; echo 3 >>file; cd ../b; echo 2 >>file; {COMMIT} two; cd ../c; echo 3 >>file"
    ));
    agent.shell(&format!("git init -q made; cd made; echo m >m; {COMMIT} made; cd ..; echo loose >loose"));
    let mut terminal = bottle.work(&["pull"]).on_terminal();
    terminal.until("/work/a`:\r\n");
    terminal.until("/work/b`:\r\n");
    terminal.until("merge all of these? [y/N] ");
    terminal.types("y\n");
    let (status, seen) = terminal.end();
    assert_eq!((status, seen.matches("[y/N]").count()), (0, 1), "one question: {seen}");
    assert_eq!((host.read("a/file"), host.read("b/file")), ("a\n2\n3\n".into(), "b\n2\n".into()));
    assert_eq!(
        (host.read("c/file"), host.read("made/m"), host.read("loose")),
        ("c\n3\n".into(), "m\n".into(), "loose\n".into())
    );
    bottle.has_nothing_left();

    // What cannot be merged in one is merged in none; what is not applied in one is applied in the others.
    agent.shell(&format!("for name in a b; do (cd $name; echo 4 >>file; {COMMIT} four); done"));
    host.shell(&format!("cd b; echo mine >file; {COMMIT} mine"));
    host.git(&["-C", "a", "checkout", "-q", "file"]);
    let before = host.read("a/file");
    let done = bottle.work(&["pull", "--yes"]).done();
    assert!(done.status == 2 && done.stderr.contains("does not merge cleanly"), "{done:?}");
    assert_eq!(host.read("a/file"), before);
    agent.shell("echo 5 >>b/file; echo 5 >>c/file");
    let done = bottle.work(&["apply"]).done();
    assert!(done.status == 2 && done.stderr.contains("merge it first"), "{done:?}");
    assert_eq!(host.read("c/file"), "c\n3\n5\n");
}

/// Neither one with a file that is changed here, nor the others.
#[test]
fn a_pull_merges_none_where_one_has_changes_here() {
    let bottle = Bottle::loose_with(|host| {
        for name in ["a", "b"] {
            host.shell(&format!("git init -q -b main {name}; cd {name}; echo {name} >file; {COMMIT} first"));
        }
    });
    let (host, agent) = (&bottle.host, &bottle.agent);
    agent.shell(&format!("for name in a b; do (cd $name; echo 2 >>file; {COMMIT} two); done"));
    host.write("b/file", "mine\n");
    let done = bottle.work(&["pull", "--yes"]).done();
    assert!(done.status == 2 && done.stderr.contains("nothing was merged or applied: "), "{done:?}");
    assert_eq!((host.read("a/file"), host.read("b/file")), ("a\n".into(), "mine\n".into()));
    host.git(&["-C", "b", "checkout", "-q", "file"]);
    assert_eq!(bottle.work(&["pull", "--yes"]).done().status, 0);
    assert_eq!((host.read("a/file"), host.read("b/file")), ("a\n2\n".into(), "b\n2\n".into()));
}

/// Its worktree has the same branches: they are merged once.
#[test]
fn a_worktree_beside_its_repository_is_merged_once() {
    let bottle = Bottle::new(|_| {});
    let (host, agent) = (&bottle.host, &bottle.agent);
    agent.shell(&format!("git worktree add -q -b tree tree; echo 2 >>one; {COMMIT} two"));
    for _ in 0..2 {
        let done = bottle.work(&["pull", "--yes", "--all"]).done();
        assert_eq!(done.status, 0, "{done:?}");
        assert_eq!(host.read("one"), agent.read("one"));
    }
}

/// What runs by itself is left out of a clone that nobody is asked about.
#[test]
fn a_pull_with_yes_asks_nothing() {
    let bottle = Bottle::loose(&[("one", "one\n")]);
    bottle.agent.shell(&format!("git init -q made; cd made; echo m >m; echo all: >Makefile; {COMMIT} made"));
    let (status, seen) = bottle.work(&["pull", "--yes"]).on_terminal().end();
    assert!(status == 0 && !seen.contains("[y/N]"), "{seen}");
    assert_eq!(bottle.host.read("made/m"), "m\n");
    assert!(!bottle.host.path.join("made/Makefile").exists());
}

/// A worktree that the agent made has its commits in its repository.
#[test]
fn a_worktree_of_the_agents_becomes_no_repository_unasked() {
    let bottle = Bottle::new(|_| {});
    bottle.agent.shell(&format!("git worktree add -q tree -b tree; cd tree; echo t >t; {COMMIT} tree; echo u >u"));
    let done = bottle.work(&["fetch"]).done();
    assert_eq!(
        (done.status, bottle.refs()),
        (0, vec!["heads/main first".into(), "heads/tree tree".into()]),
        "{done:?}"
    );
    assert!(!bottle.host.has("tree"));
    let done = bottle.work(&["apply"]).done();
    assert!(done.status == 2 && done.stderr.contains(&format!("work fetch {} tree", bottle.identity)), "{done:?}");
    assert_eq!(bottle.work(&["fetch", "tree"]).done().status, 0);
    assert_eq!(bottle.refs(), ["heads/main first", "heads/tree tree"]);
    bottle.applies("u\n");
    assert_eq!(bottle.host.read("tree/u"), "u\n");
    bottle.has_nothing_left();
}

/// A link in the directory that leads to a repository elsewhere is no way to it.
#[test]
fn no_link_leads_to_another_repository() {
    let bottle = Bottle::loose(&[]);
    let other = crate::harness::Host::new(bottle.place.path("other"));
    symlink(&other.path, bottle.host.path.join("app")).unwrap();
    bottle.agent.shell(&format!("git init -q app; cd app; {COMMIT} first"));
    let before = other.seen();
    assert_eq!(bottle.work(&["fetch"]).done().status, 2);
    assert_eq!(other.seen(), before);
}
