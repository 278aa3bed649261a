//! The children of the gate reach nothing but their pipes, and are told no secret.

use crate::bed::{TOKEN, World};
use serde_json::json;
use testing::files::files_below;
use wire::Outcome;

/// A program in git's place: it tries all that an intruder would, writes down what it could do, and fails.
const INTRUDER: &str = r#"#!/usr/bin/env perl
use strict; use Socket;
$SIG{PIPE} = 'IGNORE';
open(my $log, '>', '{log}') or die;
my ($out, $in);
for my $fd (3 .. 255) { print $log "descriptor $fd\n" if open(my $other, "<&=", $fd) && -e "/proc/self/fd/$fd" && $fd != fileno($log); }
print $log "tcp\n" if socket($out, PF_INET, SOCK_STREAM, 0);
print $log "udp\n" if socket($out, PF_INET, SOCK_DGRAM, 0);
print $log "tcp6\n" if socket($out, PF_INET6, SOCK_STREAM, 0);
print $log "netlink\n" if socket($out, 16, SOCK_RAW, 0);
if (socket($out, PF_UNIX, SOCK_STREAM, 0)) {
    print $log "unix\n";
    print $log "control\n" if connect($out, sockaddr_un('{folder}/ctl.sock')) && defined(sysread_one($out, "{\"verb\":\"status\"}\n"));
}
print $log "pair\n" if socketpair($out, $in, PF_UNIX, SOCK_STREAM, 0);
sub sysread_one { my ($s, $say) = @_; syswrite($s, $say); my $n = sysread($s, my $answer, 10); return $n ? $answer : undef; }
# setsid, setpgid, unshare, ptrace, io_uring_setup, process_vm_readv on x86_64
if (`uname -m` eq "x86_64\n") {
    for my $call (112, 272, 101, 425, 310) {
        print $log "call $call\n" if syscall($call, 0, 0, 0, 0, 0, 0) >= 0;
    }
    my $none = 0;
    print $log "group\n" if syscall(109, 0, 0) >= 0;
}
print $log "environment $_=$ENV{$_}\n" for sort keys %ENV;
print $log "landlock\n" if `uname -m` eq "x86_64\n" && syscall(444, 0, 0, 1) > 0;
print $log "wrote\n" if open(my $other, '>', '{folder}/planted');
print $log "read\n" if open(my $private, '<', '{folder}/git-app.hosts');
print $log "listed\n" if opendir(my $listed, '{folder}');
open(my $memory, '<', "/proc/" . getppid() . "/mem") and print $log "memory\n";
open(my $environment, '<', "/proc/" . getppid() . "/environ") and print $log "environ\n";
print $log "done\n";
close $log;
exit 1;
"#;

#[tokio::test]
async fn a_program_in_gits_place_reaches_nothing() {
    let world = World::new().await;
    let mut bed = world.gate(json!([world.ssh(world.sshd("").await)])).await;
    let repository = bed.gate.dir.path().join("repositories/app.git");
    for (name, folder, sockets, words) in [
        ("git", repository.as_path(), &[][..], "ended with code 1"),
        ("ssh", world.path(), &["unix", "pair"][..], "cannot be refreshed"),
    ] {
        let log = folder.join(format!("{name}.log"));
        let script = INTRUDER.replace("{log}", &log.display().to_string());
        bed.replace(name, &script.replace("{folder}", &bed.gate.dir.path().display().to_string()));
        world.bad("", &["ls-remote", &bed.url("app")]).await;
        bed.refused(Outcome::Error, words).await;
        bed.restore(name);
        let found = std::fs::read_to_string(log).unwrap();
        let (environment, found): (Vec<&str>, Vec<&str>) =
            found.lines().partition(|line| line.starts_with("environment "));
        // Files are closed to git by Landlock, where the kernel has it, and to ssh only by its user, which root is not.
        let is_closed = name == "git" && found.contains(&"landlock");
        let open: &[&str] = if is_closed { &[] } else { &["wrote", "read", "listed", "memory", "environ"] };
        let found: Vec<&str> = found.into_iter().filter(|line| *line != "landlock" && !open.contains(line)).collect();
        assert_eq!(found, [sockets, &["done"]].concat(), "{name}");
        for line in environment {
            let value = line.split_once('=').unwrap().1;
            assert!(!value.contains(TOKEN) && !value.contains("PRIVATE KEY"), "{line}");
        }
    }
    // The gate is as it was.
    world.good("", &["ls-remote", &bed.url("app")]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
}

#[tokio::test]
async fn no_secret_is_in_an_argument_a_file_or_an_environment() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let log = world.path().join("seen.log");
    // What all children are given, and the real program behind it.
    let repository = bed.gate.dir.path().join("repositories/app.git");
    for (name, log) in [("git", repository.join("seen.log")), ("ssh", log.clone())] {
        let script = format!(
            "#!/bin/sh\n(printf '%s\\n' \"$0 $*\"; env) >>'{}'\nPATH=\"${{PATH#*:}}\"\nexec {name} \"$@\"\n",
            log.display()
        );
        bed.replace(name, &script);
    }
    world.commit("work", "mine", "mine\n").await;
    world.good("work", &["push", "-q", "origin", "HEAD:topic"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    let mut seen = world.read("seen.log") + &std::fs::read_to_string(repository.join("seen.log")).unwrap();
    // gitleaks can write nothing but its messages.
    bed.replace("gitleaks", "#!/bin/sh\nexec >&2\necho \"$*\"\nexec env -u PATH /bin/sh -c 'env; exit 1'\n");
    world.commit("work", "mine", "mine again\n").await;
    seen.push_str(&world.bad("work", &["push", "-q", "origin", "HEAD:topic"]).await);
    bed.refused(Outcome::Error, "gitleaks").await;
    assert!(
        ["index-pack", "git-receive-pack", "stdin --no-banner", "GITLEAKS_CONFIG_TOML"]
            .iter()
            .all(|word| seen.contains(word)),
        "{seen}"
    );
    let key: String = world.read("user").lines().filter(|line| !line.starts_with("---")).collect();
    let parts: Vec<&str> = (0..key.len() - 24).step_by(8).map(|at| &key[at..at + 24]).collect();
    let files = files_below(bed.gate.dir.path()).into_iter();
    let texts = files.map(|(_, content)| String::from_utf8_lossy(&content).into_owned());
    for text in texts.chain([seen]) {
        assert!(!text.contains(TOKEN) && !parts.iter().any(|part| text.contains(part)));
    }
}

#[tokio::test]
async fn a_child_ends_with_the_agents_connection() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    let log = bed.gate.dir.path().join("repositories/app.git/started.log");
    // It and what came of it wait for nothing that comes.
    bed.replace(
        "git",
        &format!("#!/bin/sh\nsleep 1000 &\necho $$ $! >'{}.new'\nmv '{0}.new' '{0}'\nwait\n", log.display()),
    );
    // There is something to fetch.
    world.commit("seed", "file", "news\n").await;
    world.good("seed", &["push", "-q", "../up.git", "main"]).await;
    let url = bed.url("app");
    let folder = world.path().to_owned();
    let fetch = tokio::spawn(async move { testing::git::git(&folder, &["ls-remote", &url]).await });
    while !log.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    fetch.abort();
    bed.refused(Outcome::Error, "the agent hung up").await;
    let ids = std::fs::read_to_string(log).unwrap();
    for id in ids.split_whitespace() {
        testing::wait::until("the end of the children", || {
            !std::path::Path::new("/proc").join(id).exists() || is_dead(id)
        });
    }
}

/// Whether a process has ended, and only waits to be asked for its exit code.
fn is_dead(id: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat")).map_or(true, |stat| stat.contains(") Z "))
}
