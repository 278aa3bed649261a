//! Signals end a session in order: it is kept, a second one does not wait, and no copy holds them up.

use super::{only_the_volume, start, transcript};
use crate::harness::{PLAIN, Place};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn a_signal_keeps_the_session() {
    for (signal, code) in [("HUP", 129), ("INT", 130), ("QUIT", 131), ("TERM", 143)] {
        let place = Place::new(PLAIN);
        let run = start(&place).env("FAKE_AGENT", format!("signal {signal}"));
        assert_eq!(run.snap(&format!("end-{signal}")).status, code);
        only_the_volume(&place);
        transcript(&place);
        let stop = place.calls().into_iter().find(|call| call[0] == "stop").unwrap();
        assert_eq!(stop[1..3], ["-t", "3"]);
    }
}

/// Ctrl-C reaches the client, too, and without a terminal it comes back with 0 at once: that is not a detach.
#[test]
fn a_signal_to_the_whole_group_keeps_the_session() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_AGENT", "forwards INT").snap("end-forwarded").status, 130);
    only_the_volume(&place);
    transcript(&place);
    assert!(place.calls().iter().any(|call| call[0] == "stop"));
}

/// Who asks twice does not wait for an agent that does not listen.
#[test]
fn a_second_signal_kills() {
    let place = Place::new(PLAIN);
    let run = start(&place).env("FAKE_AGENT", "signal INT").env("FAKE_STOP", "second signal");
    assert_eq!(run.snap("end-twice").status, 130);
    only_the_volume(&place);
    assert!(place.calls().iter().any(|call| call[0] == "kill"));
}

#[test]
fn a_closed_terminal_keeps_the_session() {
    let place = Place::new(PLAIN);
    let tar = place.transcript();
    let run = place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "stays").env("FAKE_TAR", tar);
    let mut terminal = run.on_terminal();
    terminal.until("hello from the agent");
    terminal.hang_up();
    assert_eq!(terminal.end().0, 129);
    only_the_volume(&place);
    transcript(&place);
}

/// The engine takes no more of what goes in, or takes it and says nothing: a signal ends that, too.
#[test]
fn a_copy_that_does_not_go_on_can_be_ended() {
    for fill in ["stalls", "hangs"] {
        let place = Place::new(PLAIN);
        std::fs::File::create(place.path("work/big")).unwrap().set_len(64 << 20).unwrap();
        let done = place.run(&["start", "--yes", "--cwd", "plain"]).env("FAKE_FILL", fill).done();
        assert_eq!((done.status, done.stdout.as_str()), (143, ""), "{fill}: {done:?}");
        assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()), "{fill}");
    }
}

/// After the question for the agent signals are caught, and a repository may hold git up.
#[test]
fn a_signal_ends_git_that_reads_a_repository() {
    let place = Place::new(PLAIN);
    let git = "#!/bin/sh\ncase \"$*\" in *ls-files*) echo git reads >/dev/tty; read -r _ <pipe ;; esac\nexec /usr/bin/git \"$@\"\n";
    place.write("bin/git", git);
    std::fs::set_permissions(place.path("bin/git"), std::fs::Permissions::from_mode(0o755)).unwrap();
    mkfifo(&place.path("work/pipe"), Mode::S_IRWXU).unwrap();
    let host = place.path("work");
    assert!(Command::new("git").args(["init", "-q"]).current_dir(&host).status().unwrap().success());
    let path = format!("{}:{}", place.path("bin").display(), std::env::var("PATH").unwrap());
    let mut terminal = place.run(&["start", "--cwd"]).env("PATH", path).on_terminal();
    terminal.until("which agent?");
    terminal.types("1\n");
    terminal.until("git reads");
    kill(Pid::from_raw(terminal.pid()), Signal::SIGINT).unwrap();
    let (status, seen) = terminal.end();
    assert_eq!(status, 130, "{seen}");
    assert!(seen.contains("a signal came"), "{seen}");
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}
