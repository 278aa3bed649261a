//! What a hostile agent pushes: a clear refusal, nothing forwarded, and a gate that goes on.

use crate::bed::{Bed, World};
use std::io::Write;
use testing::wait::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use wire::{NO_OBJECT, Outcome};

/// A packet line.
pub fn packet(text: &str) -> Vec<u8> {
    format!("{:04x}{text}", text.len() + 4).into_bytes()
}

/// A connection that wants to push, with the list of refs read.
pub async fn pushing(bed: &Bed) -> UnixStream {
    let mut stream = bed.raw().await;
    stream.write_all(&packet("git-receive-pack /app\0host=git.bottle\0")).await.unwrap();
    let mut list = Vec::new();
    while !list.ends_with(b"0000") {
        list.push(within("the list of refs", stream.read_u8()).await.unwrap());
    }
    stream
}

/// Sends this, and nothing more: the answer.
pub async fn say(bed: &Bed, bytes: &[u8]) -> String {
    let mut stream = pushing(bed).await;
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    testing::gate::read_all(stream).await
}

pub fn create(name: &str, id: &str) -> Vec<u8> {
    [packet(&format!("{NO_OBJECT} {id} {name}\0 report-status side-band-64k")), b"0000".to_vec()].concat()
}

/// A pack of these objects: kind, size as it says, and content.
pub fn pack(objects: &[(u8, usize, &[u8])]) -> Vec<u8> {
    let mut pack = [&b"PACK\0\0\0\x02"[..], &u32::try_from(objects.len()).unwrap().to_be_bytes()].concat();
    for (kind, size, content) in objects {
        let (mut size, mut byte) = (size >> 4, kind << 4 | (size & 15) as u8);
        while size > 0 {
            pack.push(byte | 0x80);
            (byte, size) = ((size & 0x7f) as u8, size >> 7);
        }
        pack.push(byte);
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(content).unwrap();
        pack.extend_from_slice(&packed.finish().unwrap());
    }
    let mut sum = sha1::Sha1::default();
    sha1::Digest::update(&mut sum, &pack);
    pack.extend_from_slice(&sha1::Digest::finalize(sum));
    pack
}

pub fn id(kind: &str, content: &[u8]) -> String {
    let mut sum = sha1::Sha1::default();
    sha1::Digest::update(&mut sum, format!("{kind} {}\0", content.len()).as_bytes());
    sha1::Digest::update(&mut sum, content);
    sha1::Digest::finalize(sum).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn commit(tree: &str) -> Vec<u8> {
    format!("tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n").into_bytes()
}

#[tokio::test]
async fn what_is_no_push_is_refused() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let head = world.head("work").await;
    let twice =
        [packet(&format!("{NO_OBJECT} {head} refs/heads/a\0")), packet(&format!("{NO_OBJECT} {head} refs/heads/a"))];
    let many: Vec<u8> =
        (0..1001).flat_map(|number| packet(&format!("{NO_OBJECT} {head} refs/heads/n{number}\0"))).collect();
    for (bytes, words) in [
        (packet(&format!("{NO_OBJECT} {head} refs/heads/a\u{1b}[2J")), "malformed"),
        (packet(&format!("{NO_OBJECT} {head} refs/heads/../../x")), "malformed"),
        (packet(&format!("{NO_OBJECT} {head} HEAD")), "malformed"),
        (packet("nonsense"), "malformed"),
        (b"zzzz".to_vec(), "malformed"),
        (packet(&format!("{NO_OBJECT} {head} refs/heads/a")), "do not end"),
        (packet(&format!("{NO_OBJECT} {head} refs/heads/a\0 push-options")), "push options"),
        (packet(&format!("{NO_OBJECT} {head} refs/heads/a\0 object-format=sha256")), "SHA-1"),
        (twice.concat(), "twice"),
        (many, "may change 1000 refs"),
    ] {
        let said = say(&bed, &bytes).await;
        assert!(said.contains("ERR claude-bottle: ") && said.contains(words), "{words}: {said}");
        bed.refused(Outcome::Deny, words).await;
    }
    world.good("work", &["push", "-q", "origin", "HEAD:topic"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
}

#[tokio::test]
async fn packs_that_are_not_what_they_say_are_refused() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let head = world.head("work").await;
    let (blob, empty) = (b"hello\n".to_vec(), id("tree", b""));
    let whole = pack(&[(3, blob.len(), &blob)]);
    let lonely = commit(&id("tree", b"not there"));
    let orphan = commit(&empty);
    // Small in the pack, and too large for memory outside of it.
    let bomb = vec![0; 1 << 20];
    let mut zeros = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..200 {
        zeros.write_all(&bomb).unwrap();
    }
    let zeros = zeros.finish().unwrap();
    let tree = |name: &[u8], mode: &[u8]| [mode, b" ", name, b"\0", &[7; 20]].concat();
    let evil: Vec<(Vec<u8>, &str)> = [
        (tree(b".git", b"40000"), "hasDotgit"),
        (tree(b".GIT", b"40000"), "hasDotgit"),
        (tree(b"git~1", b"40000"), "hasDotgit"),
        (tree(".g\u{200c}it".as_bytes(), b"40000"), "hasDotgit"),
        (tree(b".git. ", b"40000"), "hasDotgit"),
        (tree(b".git::$INDEX_ALLOCATION", b"40000"), "hasDotgit"),
        (tree(b"a\\.git\\config", b"100644"), "hasDotgit"),
        (tree(b"", b"100644"), "empty filename"),
        (tree(b"x", b"0100644"), "zeroPaddedFilemode"),
        (tree(b"GITMOD~1", b"120000"), "gitmodulesSymlink"),
        (tree(b"..", b"40000"), "hasDotdot"),
        (tree(b"a/b", b"100644"), "fullPathname"),
        (tree(b".gitmodules", b"120000"), "gitmodulesSymlink"),
    ]
    .into();
    let mut cases = vec![
        (whole[..whole.len() - 25].to_vec(), id("blob", &blob), Outcome::Deny, "not accepted"),
        ([&whole[..whole.len() - 1], b"x"].concat(), id("blob", &blob), Outcome::Deny, "not accepted"),
        (b"no pack at all".to_vec(), head.clone(), Outcome::Deny, "no pack"),
        ([&b"PACK\0\0\0\x02\xff\xff\xff\xff"[..], &whole[12..]].concat(), head.clone(), Outcome::Deny, "push in parts"),
        (whole.clone(), "7".repeat(40), Outcome::Deny, "would lead to no commit"),
        (pack(&[(1, lonely.len(), &lonely)]), id("commit", &lonely), Outcome::Deny, "did not receive expected object"),
        (pack(&[(3, 3, &blob)]), id("blob", &blob), Outcome::Deny, "not accepted"),
    ];
    for (tree, words) in &evil {
        let top = commit(&id("tree", tree));
        let pack = pack(&[(2, tree.len(), tree), (1, top.len(), &top)]);
        cases.push((pack, id("commit", &top), Outcome::Deny, *words));
    }
    for (pack, id, verdict, words) in cases {
        let said = say(&bed, &[create("refs/heads/evil", &id), pack].concat()).await;
        assert!(said.contains("ng refs/heads/evil claude-bottle: ") && said.contains(words), "{words}: {said}");
        bed.refused(verdict, words).await;
        assert_eq!(world.upstream("evil").await, "");
    }
    // A pack bomb: 200 MiB of zeros in 200 KiB.
    let mut bomb = b"PACK\0\0\0\x02\0\0\0\x01".to_vec();
    let (mut size, mut byte) = ((200usize << 20) >> 4, 3 << 4);
    while size > 0 {
        bomb.push(byte | 0x80);
        (byte, size) = ((size & 0x7f) as u8, size >> 7);
    }
    bomb.push(byte);
    bomb.extend_from_slice(&zeros);
    let mut sum = sha1::Sha1::default();
    sha1::Digest::update(&mut sum, &bomb);
    bomb.extend_from_slice(&sha1::Digest::finalize(sum));
    let said = say(&bed, &[create("refs/heads/evil", &"7".repeat(40)), bomb].concat()).await;
    assert!(said.contains("ng refs/heads/evil"), "{said}");
    assert_eq!(bed.audit().await.verdict, Outcome::Deny);
    // What is whole and clean passes by the same way.
    let tree = pack(&[(2, 0, b""), (1, orphan.len(), &orphan)]);
    let said = say(&bed, &[create("refs/heads/clean", &id("commit", &orphan)), tree].concat()).await;
    assert!(said.contains("ok refs/heads/clean"), "{said}");
    assert_eq!(world.upstream("clean").await, id("commit", &orphan));
}
