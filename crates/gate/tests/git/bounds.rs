//! What is too much for the gate, or breaks while it works: packs that unpack to more than fits, many refs, a full disk, a
//! missing scanner.

use crate::bed::{World, serving};
use crate::hostile::{commit, create, id, packet, say};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use wire::{NO_OBJECT, Outcome};

/// A pack of a file of zeros, and of deltas, each of which copies the one before it that often, and adds a byte.
fn delta_chain(base: usize, copies: usize, length: usize) -> Vec<u8> {
    let packed = |bytes: &[u8]| {
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    let number = |mut value: usize| {
        let mut bytes = Vec::new();
        loop {
            let byte = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                bytes.push(byte);
                return bytes;
            }
            bytes.push(byte | 0x80);
        }
    };
    let head = |kind: u8, size: usize| {
        let first = kind << 4 | (size & 15) as u8;
        if size >> 4 == 0 { vec![first] } else { [vec![first | 0x80], number(size >> 4)].concat() }
    };
    let mut pack = [&b"PACK\0\0\0\x02"[..], &u32::try_from(length + 1).unwrap().to_be_bytes()].concat();
    let mut place = pack.len();
    pack.extend(head(3, base));
    pack.extend(packed(&vec![0; base]));
    let mut size = base;
    for _ in 0..length {
        let mut delta = [number(size), number(size * copies + 1)].concat();
        for _ in 0..copies {
            // As many copies of at most 16 MiB as it takes.
            let mut at = 0;
            while at < size {
                let part = (size - at).min(0xff_ffff);
                let (at_bytes, part_bytes) = ((at as u32).to_le_bytes(), (part as u32).to_le_bytes());
                delta.push(0xff);
                delta.extend_from_slice(&at_bytes);
                delta.extend_from_slice(&part_bytes[..3]);
                at += part;
            }
        }
        delta.extend_from_slice(b"\x01x");
        let begin = pack.len();
        pack.extend(head(6, delta.len()));
        // How far back the base is, most significant digits first, each but the last less one.
        let mut back = begin - place;
        let mut digits = vec![(back & 0x7f) as u8];
        while back >> 7 > 0 {
            back = (back >> 7) - 1;
            digits.insert(0, (back & 0x7f) as u8 | 0x80);
        }
        pack.extend(digits);
        pack.extend(packed(&delta));
        (place, size) = (begin, size * copies + 1);
    }
    let mut sum = sha1::Sha1::default();
    sha1::Digest::update(&mut sum, &pack);
    pack.extend_from_slice(&sha1::Digest::finalize(sum));
    pack
}

#[tokio::test]
async fn deltas_that_unpack_to_more_than_fits_are_refused() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    // 64 KiB that become 64 GiB in 20 steps, and 16 MiB that become 8 GiB in one.
    for (pack, most) in [(delta_chain(64 << 10, 2, 20), 1 << 20), (delta_chain(16 << 20, 512, 1), 1 << 20)] {
        assert!(pack.len() < most, "{}", pack.len());
        let said = say(&bed, &[create("refs/heads/evil", &"7".repeat(40)), pack].concat()).await;
        assert!(said.contains("ng refs/heads/evil claude-bottle: ") && said.contains("not accepted"), "{said}");
        bed.refused(Outcome::Deny, "not accepted").await;
    }
    // A long chain of what is small is as good as any: it is refused for what it leads to.
    let said = say(&bed, &[create("refs/heads/evil", &"7".repeat(40)), delta_chain(1000, 1, 5000)].concat()).await;
    assert!(said.contains("would lead to no commit"), "{said}");
    bed.refused(Outcome::Deny, "would lead to no commit").await;
    assert_eq!(world.upstream("evil").await, "");
    world.good("work", &["push", "-q", "origin", "HEAD:topic"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
}

#[tokio::test]
async fn a_thousand_refs_arrive_in_one_push_or_none() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let head = world.commit("work", "mine", "mine\n").await;
    let refs: String = (0..1000).map(|number| format!("create refs/heads/n{number} {head}\n")).collect();
    std::fs::write(world.path().join("refs"), refs).unwrap();
    let mut fill = Command::new("git");
    fill.args(["update-ref", "--stdin"]).current_dir(world.path().join("work"));
    let filled = fill.stdin(std::fs::File::open(world.path().join("refs")).unwrap()).status().unwrap();
    assert!(filled.success());
    world.good("work", &["push", "-q", "origin", "refs/heads/n*"]).await;
    let audit = bed.audit().await;
    assert_eq!((audit.verdict, audit.refs.len() as u64 + audit.more_refs), (Outcome::Allow, 1000));
    assert_eq!(world.good("up.git", &["for-each-ref", "refs/heads/n*"]).await.lines().count(), 1000);
    // One of them more is refused, and of all the others nothing is done.
    let before = world.upstream("main").await;
    let said = world.bad("work", &["push", "origin", "HEAD:main", ":n1"]).await;
    assert!(said.contains("allow_delete"), "{said}");
    bed.refused(Outcome::Deny, "allow_delete").await;
    assert_eq!(world.upstream("main").await, before);
}

/// Submodules are followed by nothing here: a link to a commit elsewhere is a line, and a `.gitmodules` that would make git do
/// something else is refused.
#[tokio::test]
async fn submodules_are_carried_and_never_followed() {
    let world = World::new().await;
    let elsewhere = "[submodule \"lib\"]\n\tpath = lib\n\turl = https://elsewhere.example/lib.git\n";
    std::fs::write(world.path().join("seed/.gitmodules"), elsewhere).unwrap();
    let link = format!("160000,{},lib", "7".repeat(40));
    world.good("seed", &["add", ".gitmodules"]).await;
    world.good("seed", &["update-index", "--add", "--cacheinfo", &link]).await;
    world.good("seed", &["commit", "-q", "-m", "a submodule"]).await;
    world.good("seed", &["push", "-q", "../up.git", "main"]).await;
    let mut bed = world.cloned(|_| {}).await;
    assert_eq!(world.head("work").await, world.head("seed").await);
    world.good("work", &["update-index", "--cacheinfo", &format!("160000,{},lib", "8".repeat(40))]).await;
    world.good("work", &["commit", "-q", "-m", "another link"]).await;
    world.good("work", &["push", "-q", "origin", "HEAD:main"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    assert_eq!(world.upstream("main").await, world.head("work").await);
    for (text, words) in [
        ("[submodule \"../../x\"]\n\tpath = lib\n\turl = https://a.example/x\n", "gitmodulesName"),
        ("[submodule \"lib\"]\n\tpath = lib\n\turl = -u./payload\n", "gitmodulesUrl"),
        ("[submodule \"lib\"]\n\tpath = -lib\n\turl = https://a.example/x\n", "gitmodulesPath"),
        (
            "[submodule \"lib\"]\n\tpath = lib\n\turl = https://a.example/x\n\tupdate = !touch here\n",
            "gitmodulesUpdate",
        ),
    ] {
        let blob = text.as_bytes();
        let mut tree = b"100644 .gitmodules\0".to_vec();
        let hex = id("blob", blob);
        tree.extend((0..20).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()));
        let top = commit(&id("tree", &tree));
        let pack = crate::hostile::pack(&[(3, blob.len(), blob), (2, tree.len(), &tree), (1, top.len(), &top)]);
        let said = say(&bed, &[create("refs/heads/evil", &id("commit", &top)), pack].concat()).await;
        assert!(said.contains("ng refs/heads/evil") && said.contains(words), "{words}: {said}");
        bed.refused(Outcome::Deny, words).await;
    }
}

/// A gate whose repositories are on a disk of 6 MiB.
fn on_a_small_disk(folder: &Path) -> Command {
    let gate = serving(folder);
    let script = "mkdir \"$1\" && mount -t tmpfs -o size=6m none \"$1\" && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(folder.join("repositories"));
    command.arg(gate.get_program()).args(gate.get_args());
    for (name, value) in gate.get_envs() {
        command.env(name, value.unwrap());
    }
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    command
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_gate_goes_on() {
    let world = World::new().await;
    let app = world.ssh(world.sshd("AcceptEnv GIT_PROTOCOL").await);
    let mut bed = world.gate_by(on_a_small_disk, json!([app]), |_| {}).await;
    world.good("", &["clone", "-q", &bed.url("app"), "work"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    let before = world.upstream("main").await;
    // Noise: it does not get smaller.
    let mut seed = 1u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 56) as u8
    })
    .take(8 << 20)
    .collect();
    world.commit("work", "noise", &noise).await;
    let said = world.bad("work", &["push", "origin", "HEAD:main"]).await;
    assert!(said.contains("claude-bottle: ") && said.contains("No space left on device"), "{said}");
    bed.refused(Outcome::Error, "No space left on device").await;
    assert_eq!(world.upstream("main").await, before);
    // What fits is taken: nothing of the other was left behind.
    world.good("work", &["reset", "-q", "--hard", "HEAD^"]).await;
    let small = world.commit("work", "small", "small\n").await;
    world.good("work", &["push", "-q", "origin", "HEAD:main"]).await;
    bed.audit().await;
    assert_eq!(world.upstream("main").await, small);
    // An upstream may have more than fits, too.
    world.good("seed", &["pull", "-q", "../up.git", "main"]).await;
    world.commit("seed", "noise", &noise).await;
    world.good("seed", &["push", "-q", "../up.git", "main"]).await;
    let said = world.bad("work", &["fetch"]).await;
    assert!(said.contains("cannot be refreshed"), "{said}");
    bed.refused(Outcome::Error, "cannot be refreshed").await;
}

/// A gate whose image has no gitleaks.
fn without_gitleaks(folder: &Path) -> Command {
    let mut command = serving(folder);
    let path = std::env::var("PATH").unwrap();
    let folders = path.split(':').filter(|folder| !Path::new(folder).join("gitleaks").exists());
    command.env("PATH", folders.collect::<Vec<_>>().join(":"));
    command
}

#[tokio::test]
async fn without_gitleaks_nothing_leaves() {
    let world = World::new().await;
    let app = world.ssh(world.sshd("AcceptEnv GIT_PROTOCOL").await);
    let mut bed = world.gate_by(without_gitleaks, json!([app]), |_| {}).await;
    world.good("", &["clone", "-q", &bed.url("app"), "work"]).await;
    bed.audit().await;
    let before = world.upstream("main").await;
    world.commit("work", "file", "harmless\n").await;
    let said = world.bad("work", &["push", "origin", "main"]).await;
    assert!(said.contains("gitleaks"), "{said}");
    bed.refused(Outcome::Error, "gitleaks").await;
    assert_eq!(world.upstream("main").await, before);
}

/// Boundaries without an end, before any command.
#[tokio::test]
async fn a_push_of_endless_boundaries_ends() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let mut stream = crate::hostile::pushing(&bed).await;
    let boundaries = packet(&format!("shallow {}", "1".repeat(40))).repeat(1000);
    let mut sent = 0;
    let mut said = Vec::new();
    let (mut read, mut write) = stream.split();
    let sending = async {
        while write.write_all(&boundaries).await.is_ok() {
            sent += 1;
            assert!(sent < 10_000, "it was never refused");
        }
    };
    tokio::select! {
        () = sending => {}
        _ = read.read_to_end(&mut said) => {}
    }
    bed.refused(Outcome::Deny, "shallow").await;
}

/// A push that says nothing more once its commands are read does not keep others from the remote.
#[tokio::test]
async fn a_push_that_falls_silent_holds_nobody_up() {
    use tokio::io::AsyncWriteExt;
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let head = world.head("work").await;
    let mut silent = crate::hostile::pushing(&bed).await;
    let command = packet(&format!("{NO_OBJECT} {head} refs/heads/silent\0 report-status"));
    silent.write_all(&[command, b"0000PACK".to_vec()].concat()).await.unwrap();
    world.commit("work", "mine", "mine\n").await;
    world.good("work", &["push", "-q", "origin", "HEAD:topic"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    drop(silent);
    bed.refused(Outcome::Error, "the agent broke off").await;
}

/// Each finding takes memory and, where a person is asked, time: what has too many is refused as a whole.
#[tokio::test]
async fn a_push_of_endless_findings_is_refused_at_once() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let before = world.upstream("main").await;
    for number in 0..10_200u64 {
        // Base32 of a number that is unlike its neighbours.
        let mut rest = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let digits = (0..12).map(|_| {
            rest = rest.rotate_left(5);
            char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(rest & 31) as usize])
        });
        let key = format!("{}{}", ["AK", "IA"].concat(), digits.collect::<String>() + "QZ5X");
        std::fs::write(world.path().join("work").join(format!("f{number}")), format!("{key}\n")).unwrap();
    }
    world.good("work", &["add", "."]).await;
    world.good("work", &["commit", "-q", "-m", "many"]).await;
    let said = world.bad("work", &["push", "origin", "--all"]).await;
    assert!(said.contains("more than 10000 findings"), "{said}");
    bed.refused(Outcome::Deny, "more than 10000 findings").await;
    assert_eq!(world.upstream("main").await, before);
}
