//! Every way to fetch, and what is asked for that is none.

use crate::bed::World;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use wire::Outcome;

#[tokio::test]
async fn shallow_partial_and_deepened() {
    let world = World::new().await;
    for number in 0..12 {
        world.commit("seed", "file", format!("{number}\n").repeat(100)).await;
    }
    world.good("seed", &["push", "-q", "../up.git", "main"]).await;
    let mut bed = world.cloned(|_| {}).await;
    let url = bed.url("app");
    let count = async |at: &str| world.good(at, &["rev-list", "--count", "HEAD"]).await;
    world.good("", &["clone", "-q", "--depth", "2", &url, "shallow"]).await;
    assert_eq!(count("shallow").await, "2");
    world.good("shallow", &["fetch", "-q", "--deepen", "3"]).await;
    assert_eq!(count("shallow").await, "5");
    let pushed = world.commit("shallow", "mine", "mine\n").await;
    world.good("shallow", &["push", "-q", "origin", "HEAD:from-shallow"]).await;
    assert_eq!(world.upstream("from-shallow").await, pushed);
    world.good("shallow", &["fetch", "-q", "--unshallow"]).await;
    assert_eq!(count("shallow").await, "14");
    world.good("", &["clone", "-q", "--filter=blob:none", &url, "partial"]).await;
    world.good("partial", &["log", "-p", "--oneline"]).await;
    world.good("", &["clone", "-q", "--single-branch", "--branch", "main", "--no-tags", &url, "single"]).await;
    for _ in 0..5 {
        assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    }
}

#[tokio::test]
async fn thousands_of_refs() {
    let world = World::new().await;
    let head = world.head("seed").await;
    let packed: String = (0..3000).map(|number| format!("{head} refs/heads/many/{number:04}\n")).collect();
    std::fs::write(world.path().join("up.git/packed-refs"), format!("# pack-refs with: sorted \n{packed}")).unwrap();
    let mut bed = world.gate(json!([world.ssh(world.sshd("").await)])).await;
    let listed = world.good("", &["ls-remote", &bed.url("app")]).await;
    assert_eq!(listed.lines().count(), 3002);
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
}

#[tokio::test]
async fn an_empty_upstream_and_one_whose_branches_go() {
    let world = World::new().await;
    world.good("", &["init", "-q", "--bare", "-b", "trunk", "empty.git"]).await;
    let mut app = world.ssh(world.sshd("AcceptEnv GIT_PROTOCOL").await);
    app["upstream"]["ssh"]["path"] = json!(world.path().join("empty.git").display().to_string());
    let mut bed = world.gate(json!([app])).await;
    world.good("", &["clone", "-q", &bed.url("app"), "work"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    world.commit("work", "file", "x\n").await;
    world.good("work", &["push", "-q", "origin", "HEAD:trunk", "HEAD:gone"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    world.good("empty.git", &["update-ref", "-d", "refs/heads/gone"]).await;
    world.good("", &["clone", "-q", &bed.url("app"), "again"]).await;
    let branches = world.good("again", &["branch", "-a"]).await;
    assert!(branches.contains("origin/trunk") && !branches.contains("gone"), "{branches}");
    // The branch that the upstream calls its own is the one that is checked out.
    assert_eq!(world.good("again", &["symbolic-ref", "--short", "HEAD"]).await, "trunk");
}

#[tokio::test]
async fn what_is_not_served_is_refused_in_words() {
    let world = World::new().await;
    let mut bed = world.gate(json!([world.ssh(world.sshd("").await)])).await;
    for (name, words) in [("appp", "did you mean `app`"), ("other", "this bottle has app")] {
        let said = world.bad("", &["ls-remote", &bed.url(name)]).await;
        assert!(said.contains(words), "{said}");
        let audit = bed.refused(Outcome::Deny, words).await;
        assert_eq!((audit.remote.as_str(), audit.rule), (name, None));
    }
    let said = world.bad("", &["archive", "--remote", &bed.url("app"), "HEAD"]).await;
    assert!(said.contains("git archive"), "{said}");
    bed.refused(Outcome::Deny, "is not served").await;
    for request in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"0000", b"0032git-upload-pack /../app\0host=git.bottle\0\0version=2\0"]
    {
        let mut stream = bed.raw().await;
        stream.write_all(request).await.unwrap();
        let said = testing::gate::read_all(stream).await;
        assert!(said.contains("ERR claude-bottle: this is not a request of git's"), "{said}");
        bed.refused(Outcome::Deny, "not a request of git's").await;
    }
    // What the page of the gate says of the bottle.
    let page = crate::bed::page(&bed, "/").await;
    assert!(page.contains("git://git.bottle/app"), "{page}");
    let page = crate::bed::page(&bed, "/why").await;
    assert!(page.contains("git fetch other: there is no git remote"), "{page}");
}
