//! The reader on a real engine: whatever stalls it inside, it is ended from outside.

use super::session::shell;
use super::{Going, Rig, docker, run};
use crate::harness::until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::process::Command;

/// The engine's program, but a reader waits instead of answering, and ends by SIGTERM as the reader does.
const STALLS: &str = r#"
words=()
for word; do
    case $1:$word in
    run:claude-bottle-git:*)
        exec "$real" "${words[@]}" --entrypoint sh "$word" -c 'trap "exit 0" TERM; sleep 600 & wait' ;;
    esac
    words+=("$word")
done
exec "$real" "$@"
"#;

fn stalled(rig: &Rig) -> String {
    rig.run(&["start", "--yes", "a"], "").code(3);
    rig.sessions().remove(0)
}

fn stalling(rig: &Rig, words: &[&str]) -> Command {
    let mut command = rig.ours(words);
    command.env("PATH", rig.path_with_engine(STALLS));
    command
}

fn readers(identity: &str) -> String {
    let filter = format!("label=claude-bottle.identity={identity}");
    let role = "label=claude-bottle.role=reader";
    docker(&["ps", "-a", "--filter", &filter, "--filter", role, "--format", "{{.Names}}"]).trim().to_owned()
}

#[test]
fn a_stalled_reader_is_ended_from_outside() {
    let rig = Rig::new(&shell("echo work >file; exit 3"));
    let identity = stalled(&rig);
    let mut command = stalling(&rig, &["work", "diff", &identity]);
    command.env("CLAUDE_BOTTLE_READER_TIMEOUT", "2");
    let ran = run(&mut command, "").code(125);
    assert!(ran.stderr.contains("gave no whole answer within 2 s, and was ended"), "{}", ran.stderr);
    assert_eq!(readers(&identity), "");
    let mut command = stalling(&rig, &["cleanup", "--yes", &identity]);
    command.env("CLAUDE_BOTTLE_READER_TIMEOUT", "2");
    run(&mut command, "").code(0);
    rig.assert_nothing_left();
}

/// The client passes the end of its command on; a client that is killed with it leaves the reader to be found.
#[test]
fn a_killed_command_leaves_no_reader_or_one_that_is_found() {
    let rig = Rig::new(&shell("echo work >file; exit 3"));
    let identity = stalled(&rig);
    let begin = || {
        let going = Going::new(&mut stalling(&rig, &["work", "diff", &identity]));
        // Once it sleeps, it has its handler of SIGTERM.
        let processes = || run(Command::new("docker").args(["top", &readers(&identity)]), "").stdout;
        until("the reader", || processes().contains("sleep 600"));
        going
    };
    let going = begin();
    going.signal(Signal::SIGKILL);
    until("the reader's end", || readers(&identity).is_empty());
    going.end();

    let going = begin();
    let id = going.pid();
    let clients = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    going.signal(Signal::SIGSTOP);
    for client in clients.split_whitespace() {
        kill(Pid::from_raw(client.parse().unwrap()), Signal::SIGKILL).unwrap();
    }
    going.signal(Signal::SIGKILL);
    going.end();
    let left = readers(&identity);
    assert!(!left.is_empty());
    rig.run(&["doctor"], "").says(&format!("`{left}`: left on the engine by this home"));
    let mut command = stalling(&rig, &["cleanup", "--yes", &identity]);
    command.env("CLAUDE_BOTTLE_READER_TIMEOUT", "2");
    run(&mut command, "").code(0);
    rig.assert_nothing_left();
}
