//! A local remote: the gate keeps what is pushed, and tells how much that is. What the host has is no news.

use crate::bed::{Bed, World, remote};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::{Event, Outcome, Work};

/// A key's own form, made up of parts so that no scanner finds it in this file.
fn key() -> String {
    ["ghp_", "Q1w2E3r4T5y6U7i8O9p0", "A1s2D3f4G5h6J7k8"].concat()
}

fn local(base: &[&str]) -> Value {
    remote(json!({ "local": { "base": base } }))
}

/// Tells the gate, as `init` does, that there is no work. Returns what the gate makes of it.
async fn work(bed: &mut Bed, told: &str) -> Work {
    let mut stream = bed.gate.raw().await;
    stream.write_all(format!("WORK {told}\n").as_bytes()).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'\n');
    match bed.gate.line().await.event {
        Event::Work(work) => work,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_pushed_is_kept_and_counted() {
    let world = World::new().await;
    let first = world.head("seed").await;
    let mut bed = world.gate(json!([local(&[&first])])).await;
    // Only the gate says what it keeps.
    assert_eq!(work(&mut bed, r#"{"complete":true,"pushed":7}"#).await.pushed, 0);
    let url = bed.url("app");
    world.good("seed", &["push", "-q", &url, "main"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    assert_eq!(work(&mut bed, r#"{"complete":true}"#).await.pushed, 0, "the host has it");
    world.good("seed", &["checkout", "-q", "-b", "topic"]).await;
    let second = world.commit("seed", "other", "lamp\n").await;
    world.good("seed", &["push", "-q", &url, "topic"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    assert_eq!(work(&mut bed, r#"{"complete":true}"#).await, Work { complete: true, pushed: 1, ..Work::default() });
    world.good("", &["clone", "-q", "-b", "topic", &url, "work"]).await;
    assert_eq!(world.head("work").await, second);
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    // The rules of a remote hold for this one, too.
    world.bad("seed", &["push", "-q", &url, "+main:topic"]).await;
    bed.refused(Outcome::Deny, "allow_force").await;
    let kept = bed.gate.dir.path().join("repositories/_local.git");
    let (good, said) = testing::git::git(&kept, &["rev-parse", "topic"]).await;
    assert!(good && said.trim() == second, "{said}");
}

#[tokio::test]
async fn pushes_are_scanned_but_for_what_the_host_has() {
    let world = World::new().await;
    let old = world.commit("seed", "old", format!("{}\n", key())).await;
    world.good("seed", &["tag", "-a", "v1", "-m", &key()]).await;
    let tag = world.good("seed", &["rev-parse", "v1"]).await;
    world.commit("seed", "new", "lamp\n").await;
    // Without knowing the host's commits, the gate would refuse them for what is in them.
    let mut bed = world.gate(json!([local(&[])])).await;
    world.bad("seed", &["push", "-q", &bed.url("app"), "main"]).await;
    bed.refused(Outcome::Deny, "must not leave").await;
    let nowhere = "1".repeat(40);
    let mut bed = world.gate(json!([local(&[&old, &tag, &nowhere])])).await;
    let url = bed.url("app");
    world.good("seed", &["push", "-q", &url, "main", "v1"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    // A later push is scanned as every other.
    world.commit("seed", "newer", format!("token = \"{}\"\n", key())).await;
    let said = world.bad("seed", &["push", &url, "main"]).await;
    assert!(said.contains("`newer`, line 1") && !said.contains(&key()), "{said}");
    bed.refused(Outcome::Deny, "must not leave").await;
    assert_eq!(work(&mut bed, r#"{"complete":true}"#).await.pushed, 1);
}
