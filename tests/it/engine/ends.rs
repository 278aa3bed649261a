//! Every way a session can end, as one table: on a terminal and, where that can be, without. For each: the exit code, the
//! mark, the transcript, what stays on the engine, and what is said.

use super::session::shell;
use super::{Going, Rig, docker};
use crate::harness::until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a session's program does first, in every row: a transcript, then a word that is not in its own text.
const BEGINS: &str = "mkdir -p ~/.claude/projects/p; echo '{\"said\":1}' >~/.claude/projects/p/s.jsonl; \
    chmod 600 ~/.claude/projects/p/s.jsonl; echo REA''DY; ";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum On {
    Terminal,
    Pipes,
}

/// What is done to a session that has said its word.
#[derive(Clone, Copy)]
enum Done {
    Nothing,
    /// To our process.
    Signal(Signal),
    /// Twice: who asks again does not wait.
    Twice(Signal),
    /// Three times, and neither the agent nor the engine does anything about it.
    Thrice(Signal),
    TerminalClosed,
    GateKilled,
    AgentKilled,
    Detached,
    EngineCut,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Gone,
    Kept,
    Unsettled,
    Detached,
    Lost,
}

struct Row {
    name: &'static str,
    agent: &'static str,
    done: Done,
    /// `None`: nobody is left to hear of it.
    code: Option<i32>,
    state: State,
    says: &'static str,
    only: Option<On>,
}

const fn row(name: &'static str, agent: &'static str, done: Done, code: i32, state: State, says: &'static str) -> Row {
    Row { name, agent, done, code: Some(code), state, says, only: None }
}

const WAITS: &str = "exec sleep 600";
const DEAF: &str = "trap '' TERM INT HUP; while :; do sleep 1; done";

fn table() -> Vec<Row> {
    use Done::{AgentKilled, EngineCut, GateKilled, Nothing, Signal, TerminalClosed, Thrice, Twice};
    use State::{Gone, Kept, Lost, Unsettled};
    let on = |on, row: Row| Row { only: Some(on), ..row };
    vec![
        row("0 without work", "exit 0", Nothing, 0, Gone, ""),
        row("0 with work", "echo w >w; exit 0", Nothing, 0, Kept, "changes not copied back yet: 1 file outside"),
        row("7", "exit 7", Nothing, 7, Kept, "the agent ended with 7"),
        row("out of memory", "exec python3 -c 'x = b\"x\" * (1 << 30)'", Nothing, 137, Kept, "out of memory (137)"),
        row("killed inside", "kill -9 $$", Nothing, 137, Kept, "killed (137)"),
        row("killed outside", WAITS, AgentKilled, 137, Kept, "killed (137)"),
        row("INT", WAITS, Signal(self::Signal::SIGINT), 130, Kept, "ended by SIGINT"),
        row("TERM", WAITS, Signal(self::Signal::SIGTERM), 143, Kept, "ended by SIGTERM"),
        row("HUP", WAITS, Signal(self::Signal::SIGHUP), 129, Kept, "ended by SIGHUP"),
        row("QUIT", WAITS, Signal(self::Signal::SIGQUIT), 131, Kept, "ended by SIGQUIT"),
        row("TERM, and again", DEAF, Twice(self::Signal::SIGTERM), 143, Kept, "ended by SIGTERM"),
        row("TERM three times", DEAF, Thrice(self::Signal::SIGTERM), 143, Lost, "as it is: it is lost"),
        on(On::Terminal, Row { code: None, ..row("terminal closed", WAITS, TerminalClosed, 129, Kept, "") }),
        row("gate dies", WAITS, GateKilled, 125, Kept, "the gate died"),
        on(On::Terminal, row("detached", "read _; exit 0", Done::Detached, 0, State::Detached, "detached from")),
        Row { code: None, ..row("our own KILL", WAITS, Signal(self::Signal::SIGKILL), 137, Lost, "") },
        row("engine gone", WAITS, EngineCut, 125, Unsettled, "the engine could not be asked"),
    ]
}

#[test]
fn every_end_of_the_table() {
    let rows: Vec<(Row, On)> = table()
        .into_iter()
        .flat_map(|row| {
            let ons = [On::Terminal, On::Pipes].into_iter().filter(move |on| row.only.is_none_or(|only| only == *on));
            ons.map(|on| (Row { ..row }, on)).collect::<Vec<_>>()
        })
        .collect();
    assert!(rows.len() > 30, "{}", rows.len());
    let left = Mutex::new(rows.into_iter());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap().next();
                    let Some((row, on)) = next else { return };
                    one(&row, on);
                }
            });
        }
    });
}

fn one(row: &Row, on: On) {
    let story = format!("{} ({on:?})", row.name);
    let rig = Rig::new(&shell(&format!("{BEGINS}{}", row.agent)));
    let relay = matches!(row.done, Done::EngineCut).then(Relay::start);
    let stuck = matches!(row.done, Done::Thrice(_)).then(|| StuckEngine::in_folder(rig.path()));
    let args = ["start", "--yes", "a"];
    let mut command = match on {
        On::Terminal => rig.terminal_command(&args),
        On::Pipes => rig.ours(&args),
    };
    if let Some(relay) = &relay {
        command.env("DOCKER_HOST", format!("tcp://127.0.0.1:{}", relay.port));
    }
    if let Some(stuck) = &stuck {
        command.env("CLAUDE_BOTTLE_DOCKER", &stuck.program);
    }
    let mut going = Going::new(&mut command);
    going.until("READY");
    let identity = rig.sessions().remove(0);
    let process = match on {
        On::Terminal => child_of(going.pid()),
        On::Pipes => going.pid(),
    };
    let session = Live { process, identity: &identity, relay: relay.as_ref(), stuck: stuck.as_ref() };
    session.act(row.done, &mut going);

    let said = match row.code {
        None => {
            gone(process);
            let _ = going.wait();
            String::new()
        }
        Some(code) => {
            let ran = going.end();
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert_eq!(ran.code, Some(code), "{story}: {said}");
            said
        }
    };
    assert!(said.contains(row.says), "{story}: {said}");
    if let Some(relay) = &relay {
        relay.cut.store(false, Ordering::SeqCst);
    }
    if let Some(stuck) = &stuck {
        stuck.release();
    }
    let listed: Value = serde_json::from_str(&rig.run(&["list", "--format", "json"], "").code(0).stdout).unwrap();
    let listed = &listed[0];
    let volume = format!("claude-bottle-{identity}");
    let transcript = rig.state(&identity).join("transcript/p/s.jsonl");
    match row.state {
        State::Gone => return rig.assert_nothing_left(),
        State::Kept => {
            assert_eq!((&listed["state"], rig.objects()), (&json!("kept"), vec![volume]), "{story}: {said}");
            assert_eq!(std::fs::read_to_string(&transcript).unwrap(), "{\"said\":1}\n", "{story}");
            assert_eq!(std::fs::metadata(&transcript).unwrap().permissions().mode() & 0o777, 0o600, "{story}");
            let hint = format!("claude-bottle resume {identity}");
            assert!(said.contains(&hint) || row.code.is_none(), "{story}: {said}");
        }
        State::Detached => {
            assert_eq!((&listed["state"], rig.objects().len()), (&json!("detached"), 3), "{story}: {said}");
            let mut going = rig.on_terminal(&["attach", &identity]);
            going.say("\n");
            going.end().code(0);
            return rig.assert_nothing_left();
        }
        State::Lost | State::Unsettled => {
            let wanted = if row.state == State::Lost { "lost" } else { "kept" };
            assert_eq!((&listed["state"], rig.objects().len()), (&json!(wanted), 3), "{story}: {said}");
            assert_eq!(listed["unsettled"], json!(row.state == State::Unsettled), "{story}");
            // It runs on: there is somebody to go back to. Then it ends, and the next verb settles it.
            rig.run(&["resume", "--yes", &identity], "").code(2).says(&format!("`{identity}` still runs"));
            docker(&["kill", &format!("claude-bottle-{identity}-agent")]);
            rig.run(&["cleanup", "--dry-run"], "").code(0).says("would be settled first");
            let cut = rig.run(&["attach", &identity], "").code(2);
            cut.says("does not run any more");
        }
    }
    // Everything that is kept goes on, on the same home.
    rig.manifest(&shell("cat ~/.claude/projects/p/s.jsonl; rm -rf ~/workspace/*; exit 0"));
    let resumed = rig.run(&["resume", "--yes", &identity], "").code(0);
    assert_eq!(resumed.stdout, "{\"said\":1}\n", "{story}: {}", resumed.stderr);
    rig.assert_nothing_left();
}

/// A session that runs, and what stands between it and its engine.
struct Live<'a> {
    process: i32,
    identity: &'a str,
    relay: Option<&'a Relay>,
    stuck: Option<&'a StuckEngine>,
}

impl Live<'_> {
    fn act(&self, done: Done, going: &mut Going) {
        let send = |signal| kill(Pid::from_raw(self.process), signal).unwrap();
        match done {
            Done::Nothing => {}
            Done::Signal(signal) => send(signal),
            Done::Twice(signal) => {
                send(signal);
                send(signal);
            }
            // Each is taken before the next comes: two of a kind at once are one.
            Done::Thrice(signal) => {
                let stuck = self.stuck.unwrap();
                send(signal);
                until("the first signal to be a `stop`", || stuck.was_asked("stop"));
                send(signal);
                until("the second signal to be a `kill`", || stuck.was_asked("kill"));
                send(signal);
            }
            Done::TerminalClosed => going.signal(Signal::SIGKILL),
            Done::GateKilled => drop(docker(&["kill", &format!("claude-bottle-{}-gate", self.identity)])),
            Done::AgentKilled => drop(docker(&["kill", &format!("claude-bottle-{}-agent", self.identity)])),
            Done::Detached => going.say("\u{1d}d"),
            Done::EngineCut => self.relay.unwrap().cut(),
        }
    }
}

/// An engine's client whose `stop` and `kill` are asked for, do nothing and do not end. An agent that nothing ends runs on
/// for certain, however long the signals take.
struct StuckEngine {
    folder: PathBuf,
    program: PathBuf,
}

impl StuckEngine {
    fn in_folder(folder: &Path) -> StuckEngine {
        let stuck = StuckEngine { folder: folder.to_owned(), program: folder.join("stuck-engine") };
        let script = format!(
            "#!/bin/sh\ncd '{}' || exit\ncase $1 in stop | kill) if [ -e stuck ]; then : >\"asked-$1\"; exec sleep 3600; fi ;; esac\n\
             cd - >/dev/null || exit\nexec docker \"$@\"\n",
            folder.display()
        );
        std::fs::write(&stuck.program, script).unwrap();
        std::fs::set_permissions(&stuck.program, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(folder.join("stuck"), "").unwrap();
        stuck
    }

    fn was_asked(&self, verb: &str) -> bool {
        self.folder.join(format!("asked-{verb}")).exists()
    }

    /// From now on it does what it is asked.
    fn release(&self) {
        std::fs::remove_file(self.folder.join("stuck")).unwrap();
    }
}

/// Waits until a process that is not our child is gone.
fn gone(process: i32) {
    until("the program to be gone", || {
        kill(Pid::from_raw(process), None).is_err()
            || !std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    });
}

/// The one child of the terminal's program: our process.
pub fn child_of(parent: i32) -> i32 {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}

/// An engine on TCP that can be cut off: a relay to the one that tests use.
pub struct Relay {
    pub port: u16,
    cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<(TcpStream, UnixStream)>>>,
}

impl Relay {
    pub fn start() -> Relay {
        Relay::to("/var/run/docker.sock")
    }

    /// To the engine at this socket.
    pub fn to(socket: &str) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay { port: listener.local_addr().unwrap().port(), cut: Arc::default(), open: Arc::default() };
        let (cut, open, socket) = (relay.cut.clone(), relay.open.clone(), socket.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Some(engine) = UnixStream::connect(&socket).ok().filter(|_| !cut.load(Ordering::SeqCst)) else {
                    continue;
                };
                open.lock().unwrap().push((client.try_clone().unwrap(), engine.try_clone().unwrap()));
                pump(client.try_clone().unwrap(), engine.try_clone().unwrap(), |to| {
                    to.shutdown(std::net::Shutdown::Write)
                });
                pump(engine, client, |to| to.shutdown(std::net::Shutdown::Write));
            }
        });
        relay
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for (client, engine) in self.open.lock().unwrap().drain(..) {
            let _ = (client.shutdown(std::net::Shutdown::Both), engine.shutdown(std::net::Shutdown::Both));
        }
    }
}

fn pump<R, W>(mut from: R, mut to: W, end: impl FnOnce(&W) -> std::io::Result<()> + Send + 'static)
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = end(&to);
    });
}

/// The transcript cannot be copied: the stopped container stays, the only copy, and the next verb takes it.
#[test]
fn a_copy_that_fails_keeps_the_container() {
    let rig = Rig::new(&shell(&format!("{BEGINS}exit 0")));
    let (program, flag) = (rig.path().join("engine"), rig.path().join("fails"));
    let text = format!("#!/bin/sh\n[ \"$1\" = cp ] && [ -e '{}' ] && exit 1\nexec docker \"$@\"\n", flag.display());
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(&flag, "").unwrap();
    let ours = |args: &[&str]| super::run(rig.ours(args).env("CLAUDE_BOTTLE_DOCKER", &program), "");
    let ran = ours(&["start", "--yes", "a"]).code(0);
    ran.says("the transcript could not be copied");
    let identity = rig.sessions().remove(0);
    assert!(rig.objects().contains(&format!("claude-bottle-{identity}-agent")), "{:?}", rig.objects());
    std::fs::remove_file(&flag).unwrap();
    rig.manifest(&shell("cat ~/.claude/projects/p/s.jsonl; exit 0"));
    assert_eq!(rig.run(&["resume", "--yes", &identity], "").code(0).stdout, "{\"said\":1}\n");
    rig.assert_nothing_left();
}

/// A closed terminal leaves a session running where its bottle says so; one without a terminal ends all the same.
#[test]
fn a_closed_terminal_may_detach() {
    let mut manifest =
        shell(&format!("{BEGINS}while read -r line; do echo got $line; [ $line != end ] || exit 0; done"));
    manifest["bottles"]["b"]["on_hangup"] = json!("detach");
    let rig = Rig::new(&manifest);
    let mut going = rig.on_terminal(&["start", "--yes", "a"]);
    going.until("READY");
    let (identity, process) = (rig.sessions().remove(0), child_of(going.pid()));
    going.signal(Signal::SIGKILL);
    gone(process);
    let _ = going.wait();
    rig.run(&["list"], "").code(0).says("detached");
    let mut going = rig.on_terminal(&["attach", &identity]);
    going.say("one\n");
    going.until("got one");
    // The signal alone does it, too.
    kill(Pid::from_raw(child_of(going.pid())), Signal::SIGHUP).unwrap();
    going.end().code(0).says("detached from");
    let mut going = rig.on_terminal(&["attach", &identity]);
    going.say("end\n");
    going.end().code(0);
    rig.assert_nothing_left();

    let mut going = rig.begin(&["start", "--yes", "a"]);
    going.until("READY");
    going.signal(Signal::SIGHUP);
    going.end().code(129).says("ended by SIGHUP");
}

/// Stopped from outside the shell gets its terminal as it was; continued, the program draws again, in the size that the
/// terminal has now.
#[test]
fn stopped_and_continued_the_terminal_is_right() {
    // A handler may interrupt itself, which `print` does not bear.
    let draws = "import os, signal, sys\n\
        def draw(*_): os.write(1, b'%d %d\\n' % tuple(reversed(os.get_terminal_size())))\n\
        signal.signal(signal.SIGWINCH, draw); draw(); print('REA' + 'DY', flush=True)\n\
        for line in sys.stdin: print('got', line, flush=True)";
    let mut manifest = shell("");
    manifest["agents"]["a"]["command"] = json!(["python3", "-c", draws]);
    let rig = Rig::new(&manifest);
    // A shell with job control, as people have it.
    let line = shlex::try_join([env!("CARGO_BIN_EXE_claude-bottle"), "start", "--yes", "a"]).unwrap();
    let mut command = std::process::Command::new("script");
    command.args(["-qfec", "stty rows 30 cols 90; exec bash --norc -i", "/dev/null"]);
    rig.dress(&mut command);
    command.env("SHELL", "/bin/sh").env("PS1", "prompt> ");
    let mut going = Going::new(&mut command);
    going.until("prompt> ");
    going.say(&format!("{line}\n"));
    going.until("30 90\r\n");
    going.until("READY");
    let process = child_of(child_of(going.pid()));
    for (whom, signal, rows) in
        [(process, Signal::SIGTSTP, 31), (-process, Signal::SIGTSTP, 32), (-process, Signal::SIGSTOP, 33)]
    {
        kill(Pid::from_raw(whom), signal).unwrap();
        going.until("Stopped");
        going.until("prompt> ");
        // Echo and lines are back; and meanwhile it gets another size. What is typed while the shell takes a terminal back
        // that was left raw can be lost, and is typed again.
        let line = format!("stty -a | grep -o ' echo ' ; stty rows {rows} cols 91; echo here $((40 + 2))\n");
        let typed = (0..10).any(|_| {
            going.say(&line);
            going.comes_within(" echo ", Duration::from_secs(30))
        });
        assert!(typed, "nothing that is typed arrives");
        going.until("here 42");
        going.say("fg\n");
        going.until(&format!("{rows} 91\r\n"));
        going.say(&format!("hello {rows}\n"));
        going.until(&format!("got hello {rows}"));
    }
    kill(Pid::from_raw(process), Signal::SIGTERM).unwrap();
    going.until("ended by SIGTERM");
    going.say("exit\n");
    going.end();
}
