//! What a push may do: which refs it changes, what the upstream has to say, and that it is all or nothing.

use crate::bed::{GIVEN, World};
use serde_json::json;
use wire::{GitOperation, NO_OBJECT, Outcome};

#[tokio::test]
async fn branches_tags_and_merges_arrive() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let side = {
        world.good("work", &["checkout", "-q", "-b", "side"]).await;
        world.commit("work", "side", "side\n").await
    };
    world.good("work", &["checkout", "-q", "main"]).await;
    world.commit("work", "other", "other\n").await;
    world.good("work", &["merge", "-q", "--no-ff", "-m", "merge", "side"]).await;
    let merge = world.head("work").await;
    world.good("work", &["tag", "-a", "v1", "-m", "the first"]).await;
    let tag = world.good("work", &["rev-parse", "v1"]).await;
    world.good("work", &["push", "-q", "origin", "main", "side", "v1"]).await;
    for (name, wanted) in [("refs/heads/main", &merge), ("refs/heads/side", &side), ("refs/tags/v1", &tag)] {
        assert_eq!(&world.upstream(name).await, wanted, "{name}");
    }
    let audit = bed.audit().await;
    assert_eq!((audit.operation, audit.verdict, audit.refs.len()), (GitOperation::Push, Outcome::Allow, 3));
    let side_update = audit.refs.iter().find(|update| update.name == "refs/heads/side").unwrap();
    assert_eq!((side_update.old.as_str(), &side_update.new), (NO_OBJECT, &side));
    // What was pushed is there for the next clone, and nothing is left of the push.
    world.good("", &["clone", "-q", &bed.url("app"), "again"]).await;
    assert_eq!(world.head("again").await, merge);
    let kept = bed.gate.dir.path().join("repositories/app.git");
    assert!(
        std::fs::read_dir(kept).unwrap().all(|entry| !entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("incoming"))
    );
    // A push of nothing is none.
    world.good("work", &["push", "-q", "origin", "main"]).await;
}

/// Noise does not compress: the pack is as large as its file. It goes through one gate, and comes through another.
#[tokio::test]
async fn a_pack_of_200_megabytes_goes_and_comes() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let noise: Vec<u8> = noise.take(200 << 17).flatten().collect();
    assert_eq!(noise.len(), 200 << 20);
    let pushed = world.commit("work", "noise", noise).await;
    world.good("work", &["push", "-q", "origin", "main"]).await;
    assert_eq!(world.upstream("refs/heads/main").await, pushed);
    let audit = bed.audit().await;
    assert!(audit.verdict == Outcome::Allow && audit.sent > 200 << 20, "{audit:?}");
    let other = world.gate(json!([world.ssh(world.sshd("AcceptEnv GIT_PROTOCOL").await)])).await;
    world.good("", &["clone", "-q", &other.url("app"), "again"]).await;
    assert_eq!(world.head("again").await, pushed);
    assert_eq!(world.path().join("again/noise").metadata().unwrap().len(), 200 << 20);
}

#[tokio::test]
async fn the_rules_of_a_remote_decide() {
    let world = World::new().await;
    let mut bed = world
        .cloned(|app| {
            app["rules"] = json!({ "refs": ["refs/heads/*", "refs/tags/v*"], "protected": ["refs/heads/main"] });
        })
        .await;
    let first = world.head("work").await;
    let second = world.commit("work", "file", "more\n").await;
    let said = world.bad("work", &["push", "origin", "main"]).await;
    assert!(said.contains("[remote rejected] main -> main (claude-bottle: `refs/heads/main` is protected"), "{said}");
    bed.refused(Outcome::Deny, "is protected").await;
    world.good("work", &["push", "-q", "origin", "main:topic"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    for (push, words) in [
        (&["+HEAD~1:topic"][..], "may only be moved forward"),
        (&[":topic"], "may not be deleted"),
        (&["HEAD:refs/notes/x"], "is none of the remote's `refs`"),
        (&["HEAD:refs/tags/x"], "is none of the remote's `refs`"),
        // All or nothing.
        (&["HEAD:fresh", "HEAD:main"], "is protected"),
    ] {
        let said = world.bad("work", &[&["push", "origin"], push].concat()).await;
        assert!(said.contains(words), "{push:?}: {said}");
        bed.refused(Outcome::Deny, words).await;
    }
    assert_eq!((world.upstream("main").await, world.upstream("topic").await), (first, second.clone()));
    assert_eq!(world.upstream("fresh").await, "");
    // A tag stays where it is.
    world.good("work", &["push", "-q", "origin", "HEAD:refs/tags/v1"]).await;
    bed.audit().await;
    world.commit("work", "file", "even more\n").await;
    world.bad("work", &["push", "-f", "origin", "HEAD:refs/tags/v1"]).await;
    bed.refused(Outcome::Deny, "may only be moved forward").await;
    assert_eq!(world.upstream("v1").await, second);
}

#[tokio::test]
async fn force_and_delete_pass_where_the_manifest_lets_them() {
    let world = World::new().await;
    let mut bed = world
        .cloned(|app| {
            app["rules"]["allow_force"] = json!(true);
            app["rules"]["allow_delete"] = json!(true);
        })
        .await;
    let first = world.head("work").await;
    world.commit("work", "file", "more\n").await;
    world.good("work", &["push", "-q", "origin", "HEAD:topic", "HEAD:gone"]).await;
    bed.audit().await;
    world.good("work", &["push", "-q", "-f", "origin", "HEAD~1:topic", ":gone"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    assert_eq!((world.upstream("topic").await, world.upstream("gone").await), (first, String::new()));
}

#[tokio::test]
async fn refs_that_are_not_declared_do_not_exist() {
    let world = World::new().await;
    world.good("seed", &["push", "-q", "../up.git", "main:secret/x", "main:feature/a", "main:refs/notes/n"]).await;
    let mut bed = world.cloned(|app| app["rules"]["refs"] = json!(["refs/heads/main", "refs/heads/feature/*"])).await;
    let listed = world.good("", &["ls-remote", &bed.url("app")]).await;
    assert!(listed.contains("refs/heads/main") && listed.contains("refs/heads/feature/a"), "{listed}");
    assert!(!listed.contains("secret") && !listed.contains("notes"), "{listed}");
    bed.audit().await;
    let kept = bed.gate.dir.path().join("repositories/app.git");
    let (_, all) = testing::git::git(&kept, &["for-each-ref"]).await;
    assert!(!all.contains("secret"), "{all}");
    // Nor does the branch that the upstream calls its own, if it is one of those.
    world.good("up.git", &["symbolic-ref", "HEAD", "refs/heads/secret/x"]).await;
    world.good("", &["ls-remote", &bed.url("app")]).await;
    let head = std::fs::read_to_string(kept.join("HEAD")).unwrap();
    assert!(!head.contains("secret"), "{head}");
}

#[tokio::test]
async fn what_the_upstream_refuses_is_told_in_its_words() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    world.set_hook("#!/bin/sh\necho 'no pushes on a Monday, see https://example.org/rules' >&2\nexit 1\n");
    let before = world.upstream("main").await;
    world.commit("work", "file", "more\n").await;
    let said = world.bad("work", &["push", "origin", "HEAD:main", "HEAD:topic"]).await;
    assert!(said.contains("no pushes on a Monday") && said.contains("pre-receive hook declined"), "{said}");
    bed.refused(Outcome::Error, "pre-receive hook declined").await;
    assert_eq!((world.upstream("main").await, world.upstream("topic").await), (before, String::new()));
    // What was refused was not kept either.
    world.set_hook("#!/bin/sh\n");
    world.good("work", &["push", "-q", "origin", "HEAD:main"]).await;
    assert_eq!(world.upstream("main").await, world.head("work").await);
}

/// A hostile upstream may send a token back in parts.
#[tokio::test]
async fn a_secret_in_several_lines_of_an_upstream_is_not_told() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let (head, tail) = GIVEN.split_at(GIVEN.len() / 2);
    world.set_hook(&format!("#!/bin/sh\necho {head} >&2\necho {tail} >&2\n"));
    world.commit("work", "file", "more\n").await;
    let said = world.good("work", &["push", "origin", "main"]).await;
    assert!(said.contains("(withheld)") && !said.contains(head) && !said.contains(tail), "{said}");
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
}

/// An upstream's ref may stand for another one, which a push to it moves.
#[tokio::test]
async fn a_protected_branch_is_moved_by_no_other_name() {
    let world = World::new().await;
    world.good("up.git", &["symbolic-ref", "refs/heads/master", "refs/heads/main"]).await;
    let mut bed = world.cloned(|app| app["rules"]["protected"] = json!(["refs/heads/main"])).await;
    let before = world.upstream("main").await;
    world.commit("work", "file", "more\n").await;
    world.bad("work", &["push", "origin", "HEAD:master"]).await;
    bed.refused(Outcome::Deny, "refs/heads/main").await;
    assert_eq!(world.upstream("main").await, before);
}

#[tokio::test]
async fn of_pushes_at_the_same_time_each_is_whole() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let mut heads = Vec::new();
    for number in 0..4 {
        let name = format!("work{number}");
        world.good("", &["clone", "-q", "up.git", &name]).await;
        world.good(&name, &["remote", "set-url", "origin", &bed.url("app")]).await;
        heads.push(world.commit(&name, "file", format!("{number}\n")).await);
    }
    let names: Vec<String> = (0..4).map(|number| format!("work{number}")).collect();
    let push = |number: usize| {
        let folder = world.path().join(&names[number]);
        async move { testing::git::git(&folder, &["push", "-q", "origin", "HEAD:main"]).await }
    };
    let (a, b, c, d) = tokio::join!(push(0), push(1), push(2), push(3));
    let won: Vec<usize> =
        [a.0, b.0, c.0, d.0].iter().enumerate().filter(|(_, good)| **good).map(|(at, _)| at).collect();
    assert_eq!(won.len(), 1, "{a:?} {b:?} {c:?} {d:?}");
    assert_eq!(world.upstream("main").await, heads[won[0]]);
    let mut verdicts = Vec::new();
    for _ in 0..4 {
        verdicts.push(bed.audit().await.verdict);
    }
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Outcome::Allow).count(), 1, "{verdicts:?}");
}
