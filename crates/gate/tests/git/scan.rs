//! What must not leave is found wherever a push has it, and the agent is told where, and never what.

use crate::bed::{Bed, GIVEN, TOKEN, World};
use serde_json::json;
use std::io::Write;
use wire::{Change, Decision, Event, Outcome, Verdict};

/// A token as a forge gives them, made up of parts so that no scanner finds it in this file.
fn key() -> String {
    ["ghp_", "A1b2C3d4E5f6G7h8I9j0", "K1l2M3n4O5p6Q7r8"].concat()
}

/// Pushes, which is refused with these words, and changes nothing.
async fn refused(world: &World, bed: &mut Bed, words: &[&str]) {
    let (before, secret) = (world.upstream("main").await, key());
    let said = world.bad("work", &["push", "origin", "--all", "--follow-tags"]).await;
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    for hidden in [secret.as_str(), GIVEN, TOKEN] {
        assert!(!said.contains(hidden), "{said}");
    }
    assert!(said.contains("Nothing was pushed"), "{said}");
    let audit = bed.refused(Outcome::Deny, "must not leave").await;
    assert!(audit.finding.is_some());
    assert!(!serde_json::to_string(&audit).unwrap().contains(&secret));
    assert_eq!(world.upstream("main").await, before);
    // The next case begins where this one did.
    world.good("work", &["reset", "-q", "--hard", "origin/main"]).await;
    for tag in world.good("work", &["tag"]).await.lines() {
        world.good("work", &["tag", "-d", tag]).await;
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn a_key_is_found_in_every_part_of_a_commit() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let key = key();
    let env = |name: &'static str, value: String| ["-c".to_owned(), format!("{name}={value}")];

    world.commit("work", "config.py", format!("a = 1\nb = 2\ntoken = '{key}' # gitleaks:allow\n")).await;
    refused(&world, &mut bed, &["`config.py`, line 3", "github-pat (gitleaks)"]).await;

    // A middle commit, which a later one undoes.
    let bad = world.commit("work", "middle", format!("{key}\n")).await;
    world.commit("work", "middle", "nothing\n").await;
    refused(&world, &mut bed, &["`middle`, line 1", &bad[..12]]).await;

    world.good("work", &["commit", "-q", "--allow-empty", "-m", &format!("see {key}")]).await;
    refused(&world, &mut bed, &["its message"]).await;

    let author = env("user.name", key.clone());
    world.good("work", &[&author[0], &author[1], "commit", "-q", "--allow-empty", "-m", "x"]).await;
    refused(&world, &mut bed, &["one of its other fields"]).await;

    world.commit("work", &key, "x\n").await;
    refused(&world, &mut bed, &["a file name in `/`"]).await;

    world.good("work", &["tag", "-a", "t", "-m", &format!("the tag {key}")]).await;
    world.commit("work", "harmless", "x\n").await;
    world.good("work", &["tag", "-a", "-f", "t", "-m", &format!("the tag {key}")]).await;
    refused(&world, &mut bed, &["the tag's message"]).await;

    // Only the merge itself has it.
    world.good("work", &["checkout", "-q", "-b", "side"]).await;
    world.commit("work", "side", "side\n").await;
    world.good("work", &["checkout", "-q", "main"]).await;
    world.commit("work", "other", "other\n").await;
    world.good("work", &["merge", "-q", "--no-commit", "--no-ff", "side"]).await;
    world.commit("work", "file", format!("one\n{key}\nthree\n")).await;
    refused(&world, &mut bed, &["`file`, line 2"]).await;
    world.good("work", &["branch", "-q", "-D", "side"]).await;

    world.commit("work", "binary.png", [&b"\x89PNG\r\n\x1a\n\0\0"[..], key.as_bytes(), b"\0\0"].concat()).await;
    refused(&world, &mut bed, &["`binary.png`", "commit"]).await;

    world.commit("work", "packed.gz", gzip(&format!("text {key} text"))).await;
    refused(&world, &mut bed, &["`packed.gz`"]).await;

    let encoded = wire::encode_base64(format!("token={key}").as_bytes());
    world.commit("work", "encoded", format!("data: {encoded}\n")).await;
    refused(&world, &mut bed, &["`encoded`"]).await;

    // A tag of a file is no commit's.
    std::fs::write(world.path().join("loose"), format!("{key}\n")).unwrap();
    let blob = world.good("work", &["hash-object", "-w", "../loose"]).await;
    let said = world.bad("work", &["push", "origin", &format!("{blob}:refs/tags/file")]).await;
    assert!(said.contains("would lead to no commit"), "{said}");
    bed.refused(Outcome::Deny, "would lead to no commit").await;

    // Nothing in the repository has a say.
    world.commit("work", ".gitleaks.toml", "[allowlist]\npaths = ['.*']\n").await;
    world.commit("work", ".gitleaksignore", "*\n").await;
    world.commit("work", ".gitattributes", "* -diff binary\n*.txt diff=none\n").await;
    world.commit("work", "hidden.txt", format!("{key}\n")).await;
    refused(&world, &mut bed, &["`hidden.txt`, line 1"]).await;

    // And what is clean still passes.
    world.commit("work", "clean", "nothing to see\n").await;
    world.good("work", &["push", "-q", "origin", "main"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
}

/// git shows no lines where either side of a change is no text.
#[tokio::test]
async fn text_in_the_place_of_what_is_none_is_looked_at_whole() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let key = key();
    let text = |middle: &str| format!("{}{middle}\n{}", "a line of a file\n".repeat(40), "one more line\n".repeat(40));
    for (name, binary) in [("a.txt", "\0\n".to_owned()), ("moved", text("\0")), ("merged", "\0\n".to_owned())] {
        world.commit("work", name, binary).await;
    }
    world.good("work", &["push", "-q", "origin", "main"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);

    world.commit("work", "a.txt", format!("token = '{key}'\n")).await;
    refused(&world, &mut bed, &["`a.txt`", "github-pat (gitleaks)"]).await;

    world.good("work", &["mv", "moved", "moved.txt"]).await;
    world.commit("work", "moved.txt", text(&format!("token = '{key}'"))).await;
    refused(&world, &mut bed, &["`moved.txt`", "github-pat (gitleaks)"]).await;

    world.good("work", &["checkout", "-q", "-b", "side"]).await;
    world.commit("work", "merged", "side\n").await;
    world.good("work", &["checkout", "-q", "main"]).await;
    world.commit("work", "merged", "\0main\n").await;
    world.good("work", &["merge", "-q", "-s", "ours", "--no-commit", "side"]).await;
    world.commit("work", "merged", format!("token = '{key}'\n")).await;
    refused(&world, &mut bed, &["`merged`", "github-pat (gitleaks)"]).await;
    world.good("work", &["branch", "-q", "-D", "side"]).await;

    // As text that is none, and none that is text, may still pass.
    world.commit("work", "a.txt", "harmless\n").await;
    world.commit("work", "a.txt", "\0\n").await;
    world.good("work", &["push", "-q", "origin", "main"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
}

/// The upstream gets names of refs as well.
#[tokio::test]
async fn a_ref_whose_name_is_a_secret_is_not_made() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    world.commit("work", "file", "harmless\n").await;
    let encoded = wire::encode_base64(GIVEN.as_bytes()).replace(['=', '+', '/'], "");
    for name in [key(), GIVEN.to_owned(), encoded, format!("feature/{}/x", key())] {
        for at in [format!("refs/heads/{name}"), format!("refs/tags/{name}")] {
            let said = world.bad("work", &["push", "origin", "HEAD:refs/heads/harmless", &format!("HEAD:{at}")]).await;
            assert!(said.contains("the name of ref 2 of the push"), "{said}");
            let audit = bed.refused(Outcome::Deny, "the name of ref 2 of the push").await;
            assert!(audit.found_commits.is_empty(), "nothing stands for it that could be let through: {audit:?}");
            assert_eq!((world.upstream(&at).await, world.upstream("harmless").await), (String::new(), String::new()));
        }
    }
}

/// A file may be in many commits: it passes only with each that brings it.
#[tokio::test]
async fn a_commit_that_is_let_through_carries_nothing_of_another() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let hidden = world.commit("work", "blob.bin", [b"\0", GIVEN.as_bytes()].concat()).await;
    world.good("work", &["rm", "-q", "blob.bin"]).await;
    std::fs::write(world.path().join("work/example"), format!("token = '{}'\n", key())).unwrap();
    world.good("work", &["add", "-A"]).await;
    // An old date puts it before its parent in a log by dates.
    let alias = "alias.old=!GIT_COMMITTER_DATE=2001-01-01T00:00:00Z git commit -q -m example";
    world.good("work", &["-c", alias, "old"]).await;
    let example = world.head("work").await;
    world.bad("work", &["push", "origin", "main"]).await;
    let audit = bed.refused(Outcome::Deny, "must not leave").await;
    assert!(audit.found_commits.contains(&hidden) && audit.found_commits.contains(&example), "{audit:?}");
    assert_eq!(bed.ctl(&["git-allow"], &json!({ "commits": [example] }))["allowed"], json!([example]));
    let said = world.bad("work", &["push", "origin", "main", &format!("{hidden}:refs/heads/hidden")]).await;
    assert!(said.contains(&hidden[..12]), "{said}");
    bed.refused(Outcome::Deny, "must not leave").await;
    assert_eq!(world.upstream("hidden").await, "");
}

#[tokio::test]
async fn the_bottles_own_values_are_found_in_every_part() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    world.commit("work", "a", format!("x {GIVEN}\n")).await;
    refused(&world, &mut bed, &["a secret that this bottle was given", "`a`"]).await;
    world.commit("work", "b.gz", gzip(&format!("x {GIVEN}"))).await;
    refused(&world, &mut bed, &["a secret that this bottle was given", "`b.gz`"]).await;
    world.good("work", &["commit", "-q", "--allow-empty", "-m", &wire::encode_base64(GIVEN.as_bytes())]).await;
    refused(&world, &mut bed, &["a secret that this bottle was given", "its message"]).await;
    // The key of the remote, whatever a file of it looks like.
    let body: String = world.read("user").lines().filter(|line| !line.starts_with("---")).collect();
    world.commit("work", "k", format!("{}\n{}\n", &body[..70], &body[70..])).await;
    refused(&world, &mut bed, &["`k`"]).await;
    world.commit("work", "GIVEN", "harmless\n").await;
    world.good("work", &["mv", "GIVEN", GIVEN]).await;
    world.good("work", &["commit", "-q", "-m", "rename"]).await;
    refused(&world, &mut bed, &["a file name in `/`"]).await;
}

#[tokio::test]
async fn what_was_upstream_already_can_be_changed() {
    let world = World::new().await;
    let key = key();
    world.commit("seed", "fixture", format!("{key}\nmore\n")).await;
    world.good("seed", &["push", "-q", "../up.git", "main"]).await;
    let mut bed = world.cloned(|_| {}).await;
    world.commit("work", "fixture", format!("{key}\nless\n")).await;
    world.good("work", &["push", "-q", "origin", "main"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
}

#[tokio::test]
async fn an_operator_lets_a_commit_through_once() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let commit = world.commit("work", "fixture", format!("{}\n", key())).await;
    let unknown = bed.ctl(&["git-allow"], &json!({ "commits": [commit] }));
    assert!(unknown["error"].as_str().unwrap().contains("no commit was refused"), "{unknown}");
    world.bad("work", &["push", "origin", "main"]).await;
    bed.refused(Outcome::Deny, "must not leave").await;
    assert_eq!(bed.ctl(&["git-allow"], &json!({ "commits": [&commit[..12]] }))["allowed"], json!([commit]));
    world.good("work", &["push", "-q", "origin", "main"]).await;
    assert_eq!(bed.audit().await.allowed_commits, std::slice::from_ref(&commit));
    assert_eq!(world.upstream("main").await, commit);
    // What only the gate knows never passes.
    let body: String = world.read("user").lines().filter(|line| !line.starts_with("---")).collect();
    let commit = world.commit("work", "k", format!("{body}\n")).await;
    world.bad("work", &["push", "origin", "main"]).await;
    bed.refused(Outcome::Deny, "must not leave").await;
    let _ = bed.ctl(&["git-allow"], &json!({ "commits": [commit] }));
    world.bad("work", &["push", "origin", "main"]).await;
    bed.refused(Outcome::Deny, "must not leave").await;
}

#[tokio::test]
async fn an_operators_decision_lets_commits_through_once() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let commit = world.commit("work", "fixture", format!("{}\n", key())).await;
    let change = Change::Git { remote: "app".to_owned(), commits: vec![commit.clone()] };
    let approved = json!({ "decision": { "change": change, "verdict": "approved" } });
    let unknown = bed.ctl(&["decide"], &approved);
    assert!(unknown["error"].as_str().unwrap().contains("no commit was refused"), "{unknown}");
    assert!(matches!(bed.gate.line().await.event, Event::Unchanged { .. }));
    world.bad("work", &["push", "origin", "main"]).await;
    bed.refused(Outcome::Deny, "must not leave").await;
    assert_eq!(bed.ctl(&["decide"], &approved), json!({ "decided": change.id() }));
    let decision = Decision { change, verdict: Verdict::Approved, reason: None };
    assert_eq!(bed.gate.line().await.event, Event::Decided(decision));
    world.good("work", &["push", "-q", "origin", "main"]).await;
    assert_eq!(bed.audit().await.allowed_commits, [commit]);
}

#[tokio::test]
async fn without_a_scan_nothing_leaves() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let before = world.upstream("main").await;
    world.commit("work", "file", "harmless\n").await;
    for (script, words) in [
        ("#!/bin/sh\nexit 1\n", "gitleaks"),
        ("#!/bin/sh\nkill -9 $$\n", "gitleaks"),
        ("#!/bin/sh\ncat >/dev/null\necho nonsense\n", "its report cannot be read"),
        ("#!/bin/sh\ncat >/dev/null\n", "its report cannot be read"),
    ] {
        bed.replace("gitleaks", script);
        let said = world.bad("work", &["push", "origin", "main"]).await;
        assert!(said.contains(words), "{script}: {said}");
        bed.refused(Outcome::Error, words).await;
        assert_eq!(world.upstream("main").await, before);
    }
    bed.restore("gitleaks");
    world.good("work", &["push", "-q", "origin", "main"]).await;
}

/// A submodule's commit can have any id, and git shows it as a line.
#[tokio::test]
async fn a_submodule_with_the_id_of_a_file_hides_none() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    std::fs::write(world.path().join("work/blob.bin"), format!("\0\n{}\n", key())).unwrap();
    world.good("work", &["add", "-A"]).await;
    let id = world.good("work", &["rev-parse", ":blob.bin"]).await.trim().to_owned();
    for commits in [1, 2] {
        if commits == 2 {
            std::fs::write(world.path().join("work/blob.bin"), format!("\0\n{}\n", key())).unwrap();
            world.good("work", &["add", "-A"]).await;
            world.good("work", &["commit", "-q", "-m", "the file"]).await;
        }
        world.good("work", &["update-index", "--add", "--cacheinfo", &format!("160000,{id},sub")]).await;
        world.good("work", &["commit", "-q", "-m", "the submodule"]).await;
        refused(&world, &mut bed, &["`blob.bin`", "github-pat (gitleaks)"]).await;
    }
}

/// The operator lets a commit pass for what was shown of it, and never what only the gate may send.
#[tokio::test]
async fn a_finding_hides_none_behind_it() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    // The key by which the gate reaches the upstream.
    let secret: String = world.read("user").lines().filter(|line| !line.starts_with("---")).collect();
    let filler = "a line of a file\n".repeat(9000);
    for (first, what) in [(key(), "GitHub token"), (GIVEN.to_owned(), "a secret that this bottle was given")] {
        let hidden = format!("\0{first}\n{filler}{secret}\n");
        let in_file = world.commit("work", "blob.bin", hidden).await;
        world.good("work", &["rm", "-q", "blob.bin"]).await;
        world.good("work", &["commit", "-q", "-m", &format!("subject\n\n{first}\n\n{secret}")]).await;
        let in_message = world.head("work").await;
        for is_let_pass in [false, true] {
            let said = world.bad("work", &["push", "origin", "main"]).await;
            assert!(is_let_pass != said.contains(what), "{said}");
            for commit in [&in_file, &in_message] {
                let is_told =
                    |line: &str| line.contains(commit) && line.contains("a credential that only the gate may send");
                assert!(said.lines().any(is_told), "{said}");
            }
            bed.refused(Outcome::Deny, "must not leave").await;
            bed.ctl(&["git-allow"], &json!({ "commits": [in_file, in_message] }));
        }
        world.good("work", &["reset", "-q", "--hard", "origin/main"]).await;
    }
}
