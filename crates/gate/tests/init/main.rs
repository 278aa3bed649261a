//! The first process of the agent's container, run for real as PID 1 of a namespace that has loopback alone, against a
//! gate of the test's own: a unix socket that gives the go and answers whatever connects.
//!
//! Needs `unshare`, `ip`, `curl`, `getent` and `perl`, and namespaces (root, or unprivileged user namespaces).

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod inside;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Instant;
use tempfile::TempDir;
use testing::process::{end, finish, output};
use testing::wait::{WAIT_TIMEOUT, until, until_some};
use wire::{Repository, Work};

/// A container's worth of place: a home, a socket with a gate behind it.
struct Bottle {
    dir: TempDir,
    /// What its gate is told of the work.
    work: mpsc::Receiver<String>,
}

impl Bottle {
    /// Whose gate answers `GO` with exactly these bytes.
    fn told(go: Vec<u8>) -> Bottle {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        std::fs::write(dir.path().join("resolv.conf"), "nameserver 127.0.0.1\nsearch .\n").unwrap();
        let listener = UnixListener::bind(dir.path().join("gate.sock")).unwrap();
        let (told, work) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (go, told) = (go.clone(), told.clone());
                std::thread::spawn(move || gate(stream, &go, &told));
            }
        });
        Bottle { dir, work }
    }

    fn new(command: &[&str]) -> Bottle {
        Bottle::with(command, json!({}))
    }

    /// Keys of `more` are laid over an ordinary go.
    fn with(command: &[&str], more: Value) -> Bottle {
        let mut go = json!({ "env": {}, "files": [], "command": command, "cwd": "/tmp", "ports": [9418] });
        go.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Bottle::told(json!({ "go": go, "values": { "key": "c2VrcmV0" } }).to_string().into_bytes())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `init` as PID 1; `before` is shell that runs in the namespace first.
    fn command(&self, before: &str) -> Command {
        let (dir, init) = (self.dir.path().display(), testing::gate_program());
        let script = format!(
            "set -e; ip link set lo up; mount --bind {dir}/resolv.conf /etc/resolv.conf; hostname bottle; {before}\n\
             exec {init} init --socket {dir}/gate.sock --home {dir}/home"
        );
        let mut command = Command::new("unshare");
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--net", "--uts", "--pid", "--mount", "--fork", "--mount-proc", "sh", "-c", &script]);
        command.env("HTTPS_PROXY", "http://127.0.0.1:1").env("Http_Proxy", "x").env("no_proxy", "*");
        command
    }

    fn run(&self) -> Output {
        output(&mut self.command(""))
    }
}

/// Ends well, says nothing on stderr; returns stdout.
#[track_caller]
fn said(bottle: &Bottle) -> String {
    let output = bottle.run();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), err.as_ref()), (Some(0), ""), "{out}");
    out.into_owned()
}

#[track_caller]
fn shell(script: &str) -> String {
    said(&Bottle::new(&["sh", "-c", script]))
}

/// One connection at the test's gate.
fn gate(stream: UnixStream, go: &[u8], told: &mpsc::Sender<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let mut line = String::new();
    if reader.read_line(&mut line).is_err() {
        return;
    }
    let body = line.clone();
    let _ = match line.trim_end() {
        "GO" => stream.write_all(go),
        work if work.starts_with("WORK ") => {
            let _ = told.send(work.to_owned());
            stream.write_all(b"\n")
        }
        // Says back what it hears, and a last word once the other side has closed its way.
        name if name.contains("echo.") => {
            std::io::copy(&mut reader, &mut stream).and_then(|_| stream.write_all(b"END"))
        }
        // Refuses before the upload is in.
        name if name.contains("early.") => {
            let mut some = [0; 1000];
            let _ = reader.read(&mut some);
            write!(stream, "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
        }
        _ => {
            while line.trim_end() != ""
                && reader
                    .read_line({
                        line.clear();
                        &mut line
                    })
                    .is_ok_and(|length| length > 0)
            {}
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        }
    };
}

#[test]
fn every_name_leads_to_the_gate() {
    let out = shell(
        "curl -sS http://One.Example.org/; curl -sS http://one.example.org:443/; curl -sS http://two.example.org:9418/
         getent ahosts one.example.org | head -n 1 | tr -s ' '; getent ahosts three.example.org | head -n 1 | tr -s ' '
         getent hosts 127.64.0.2 | tr -s ' '; getent ahosts x.localhost bottle | cut -d' ' -f1 | sort -u
         perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(\"one.example.org:22\") ? \"open\" : \"closed\", \"\\n\"'",
    );
    assert_eq!(
        out,
        "CONNECT one.example.org:80\nCONNECT one.example.org:443\nCONNECT two.example.org:9418\n\
         127.64.0.1 STREAM one.example.org\n127.64.0.3 STREAM three.example.org\n\
         127.64.0.2 two.example.org\n127.0.0.1\nclosed\n"
    );
}

#[test]
fn the_agents_own_servers_keep_their_loopback() {
    let server = "my $s = IO::Socket::INET->new(LocalAddr => \"127.0.0.1:80\", Listen => 9) or die; print \"up\\n\";
                  close STDOUT; while (my $c = $s->accept) { <$c>; print $c \"HTTP/1.0 200 OK\\r\\n\\r\\nmine\\n\"; close $c }";
    let out = shell(&format!(
        "curl -sS http://one.example.org/; mkfifo $HOME/up; perl -MIO::Socket::INET -e '{server}' >$HOME/up & read up <$HOME/up
         curl -sS http://127.0.0.1/; curl -sS http://app.localhost/; curl -sS http://one.example.org/"
    ));
    assert_eq!(out, "CONNECT one.example.org:80\nmine\nmine\nCONNECT one.example.org:80\n");
}

#[test]
fn names_run_out_and_the_earlier_ones_stay() {
    let count = "getent ahosts $(seq -f n%g.example.org 2000) | grep -c STREAM; curl -sS http://n1.example.org/";
    let why = format!("{count}; getent hosts n2001.example.org; curl -sS http://gate.bottle/");
    assert_eq!(shell(&why), "1024\nCONNECT n1.example.org:80\nCONNECT gate.bottle:80\n");
    let bottle = Bottle::new(&["sh", "-c", &format!("ulimit -n; {count}")]);
    let output = output(&mut bottle.command("ulimit -Sn 300; ulimit -Hn 600"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "300\n100\nCONNECT n1.example.org:80\n");
}

#[test]
fn many_connections_at_once() {
    let out = shell(
        "curl -sS --no-progress-meter --parallel --parallel-immediate --parallel-max 200 'http://h[1-400].example.org/' | sort -u | wc -l",
    );
    assert_eq!(out.trim(), "400");
}

#[test]
fn descriptors_run_out_and_come_back() {
    let bottle = Bottle::new(&[
        "perl",
        "-MIO::Socket::INET",
        "-e",
        "my @held = map { IO::Socket::INET->new(\"echo.example.org:80\") } 1..150; IO::Socket::INET->new(\"new.example.org:80\") or die; @held = ();
         my $s = IO::Socket::INET->new(\"x.example.org:80\") or die; print $s \"GET / HTTP/1.0\\r\\n\\r\\n\"; print <$s>",
    ]);
    let output = output(&mut bottle.command("ulimit -n 160"));
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.ends_with("CONNECT x.example.org:80\n"), "{out} {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn each_way_closes_on_its_own() {
    let bottle = Bottle::new(&[
        "perl",
        "-MIO::Socket::INET",
        "-e",
        "my $s = IO::Socket::INET->new(\"echo.example.org:443\") or die; if (!fork) { print $s \"x\" x 3000000; shutdown($s, 1); exit }
         my $n = 0; my $last = \"\"; while (read($s, my $b, 65536)) { $n += length $b; $last = substr($last . $b, -4) } print \"$n $last\"",
    ]);
    assert_eq!(said(&bottle), "3000003 xEND");
    let upload =
        "head -c 20000000 /dev/zero | curl -sS -o /dev/null -w '%{http_code}' -T - http://early.example.org/ || true";
    assert!(shell(upload).starts_with("403"));
}

#[test]
fn the_commands_end_is_inits_end() {
    let ends: [(&[&str], i32, &str); 7] = [
        (&["true"], 0, ""),
        (&["sh", "-c", "exit 7"], 7, ""),
        (&["sh", "-c", "kill -KILL $$"], 137, ""),
        (&["sh", "-c", "kill -TERM 1; while :; do :; done"], 143, ""),
        (&["sh", "-c", "trap 'exit 5' USR1; kill -USR1 1; while :; do :; done"], 5, ""),
        (&["no-such-command"], 127, "claude-bottle: `no-such-command`: command not found\n"),
        (&["/etc/passwd"], 126, "claude-bottle: `/etc/passwd`: cannot be executed: Permission denied (os error 13)\n"),
    ];
    for (command, code, complaint) in ends {
        let output = Bottle::new(command).run();
        assert_eq!(
            (output.status.code(), &*String::from_utf8_lossy(&output.stderr)),
            (Some(code), complaint),
            "{command:?}"
        );
    }
}

#[test]
fn orphans_are_reaped_and_do_not_hold_the_end() {
    let out = shell(
        "for n in 1 2 3; do sh -c 'true & exec true'; done
         while grep -qs '^State:.Z' /proc/[0-9]*/status; do :; done; echo reaped
         (trap '' TERM; exec sleep 1000 >/dev/null 2>&1) & (exec sleep 1000 >/dev/null 2>&1) &",
    );
    assert_eq!(out, "reaped\n");
}

#[test]
fn the_command_gets_what_the_go_says() {
    let script = "echo $KEY $PLAIN; pwd | tail -c 10; cat $HOME/.claude/settings.json; env | grep -ci _proxy; ulimit -n
                  for set in SigBlk SigIgn; do printf '%x\n' $((0x$(sed -n 's/'$set':.//p' /proc/self/status) & 0x7fffffff)); done; stat -c %a $HOME/.claude/settings.json; cat";
    let bottle = Bottle::with(
        &["sh", "-c", script],
        json!({
            "env": { "KEY": { "value": "key" }, "PLAIN": { "text": "plain" } },
            "files": [{ "path": ".claude/settings.json", "mode": 0o600, "how": "put", "source": { "text": "{}\n" } }],
        }),
    );
    let mut child = bottle.command("ulimit -Sn 777").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from a pipe\n").unwrap();
    let out = String::from_utf8(finish("init", child).stdout).unwrap();
    assert_eq!(out, "sekret plain\n/tmp\n{}\n0\n777\n0\n0\n600\nfrom a pipe\n");
}

#[test]
fn no_whole_go_no_command() {
    let go =
        json!({ "env": { "A": { "value": "absent" } }, "files": [], "command": ["touch", "started"], "cwd": "/tmp" });
    let absent = json!({ "go": go, "values": {} }).to_string();
    for (go, complaint) in [
        ("", "claude-bottle: the gate refused the go\n"),
        ("{\"go\":", "claude-bottle: cannot read the gate's go (line 1, column 6): gate and init differ?\n"),
        (&absent, "claude-bottle: the gate's go names a value `absent` and does not bring it\n"),
    ] {
        let output = Bottle::told(go.into()).run();
        assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stderr)), (Some(125), complaint));
    }
}

#[test]
fn a_second_program_gets_the_same_environment() {
    let bottle = Bottle::with(&["unused"], json!({ "env": { "KEY": { "value": "key" } }, "cwd": "/usr" }));
    let home = bottle.path("home");
    // As where the agent's program runs.
    fs::create_dir_all(home.join(".claude-bottle")).unwrap();
    fs::write(home.join(".claude-bottle/baseline.done"), "").unwrap();
    let exec = |command: &[&str]| {
        let socket = bottle.path("gate.sock");
        let mut init = Command::new(testing::gate_program());
        init.args(["init", "exec", "--socket"]).arg(socket).arg("--home").arg(&home);
        init.args(command).stdin(Stdio::null());
        let output = output(&mut init);
        (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(exec(&["--", "sh", "-c", "echo $KEY; pwd; exit 3"]), (Some(3), "sekret\n/usr\n".into()));
    assert_eq!(exec(&[]), (Some(0), String::new()));
    assert_eq!(exec(&["--", "no-such"]), (Some(127), "claude-bottle: `no-such`: command not found\n".into()));
    assert_eq!(exec(&["ls"]).0, Some(125));
}

/// A terminal with the bottle on it; reading waits for a text.
struct Terminal {
    master: File,
    seen: String,
    init: std::process::Child,
}

impl Terminal {
    fn new(bottle: &Bottle) -> Terminal {
        let pty = nix::pty::openpty(None, None).unwrap();
        let inner = bottle.command("");
        let end = |slave: &OwnedFd| Stdio::from(slave.try_clone().unwrap());
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(inner.get_program()).args(inner.get_args()).env("PS1", "$ ");
        command.stdin(end(&pty.slave)).stdout(end(&pty.slave)).stderr(end(&pty.slave));
        Terminal { master: pty.master.into(), seen: String::new(), init: command.spawn().unwrap() }
    }

    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while !self.seen.contains(text) {
            let mut some = [0; 4096];
            let mut ready = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
            let left = PollTimeout::try_from(deadline.saturating_duration_since(Instant::now())).unwrap();
            assert_eq!(poll(&mut ready, left), Ok(1), "no {text:?} within {WAIT_TIMEOUT:?}:\n{}", self.seen);
            match self.master.read(&mut some) {
                Ok(length) if length > 0 => self.seen.push_str(&String::from_utf8_lossy(&some[..length])),
                end => panic!("{end:?} before {text:?}:\n{}", self.seen),
            }
        }
        self.seen = self.seen[self.seen.find(text).unwrap() + text.len()..].to_owned();
    }

    /// Rows and columns, as `stty` has them.
    fn resize(&self, size: &str) {
        let (rows, columns) = size.split_once(' ').unwrap();
        let mut stty = Command::new("stty");
        stty.args(["rows", rows, "cols", columns]).stdin(self.master.try_clone().unwrap());
        assert!(stty.status().unwrap().success());
    }

    fn size(&self) -> String {
        let stty = Command::new("stty").arg("size").stdin(self.master.try_clone().unwrap()).output().unwrap();
        String::from_utf8(stty.stdout).unwrap()
    }

    fn type_in(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    fn code(mut self) -> Option<i32> {
        end("the bottle on the terminal", &mut self.init).code()
    }
}

#[test]
fn job_control_works_in_an_interactive_shell() {
    let bottle = Bottle::new(&["bash", "--norc", "--noprofile", "-i"]);
    let mut terminal = Terminal::new(&bottle);
    terminal.wait_for("$ ");
    terminal.type_in(
        "perl -e '$| = 1; $SIG{CONT} = sub { print qq(aga), qq(in) }; print qq(rea), qq(dy); sleep 9 while 1'\r",
    );
    terminal.wait_for("ready");
    terminal.type_in("\x1a");
    terminal.wait_for("Stopped");
    terminal.wait_for("$ ");
    terminal.type_in("fg\r");
    terminal.wait_for("again");
    terminal.type_in("\x03");
    terminal.wait_for("$ ");
    terminal.type_in("echo code $?\r");
    terminal.wait_for("code 130");
    terminal.type_in("exit 9\r");
    assert_eq!(terminal.code(), Some(9));
}

/// The engine's client tells the size when the container runs already: the command must not look before.
#[test]
fn a_terminal_learns_its_size_before_the_command_looks() {
    let file = json!({ "path": "here", "mode": 0o600, "how": "put", "source": { "text": "" } });
    let bottle = Bottle::with(&["sh", "-c", "echo size $(stty size)"], json!({ "files": [file] }));
    let mut terminal = Terminal::new(&bottle);
    // All is ready but the size.
    until("the file that init makes", || {
        assert_eq!(terminal.init.try_wait().unwrap(), None);
        bottle.path("home/here").exists()
    });
    terminal.resize("40 120");
    terminal.wait_for("size 40 120");
}

#[test]
fn keys_reach_a_bare_command() {
    // It sleeps at last, because a shell whose `read` begins just after a signal runs the trap only when the `read` ends.
    let script = "trap 'echo inter\"\"rupted; exit 4' INT; echo rea\"\"dy; read line; echo \"got $line\"; \
                  read line; echo \"got $line\"; while :; do sleep 0.1; done";
    let bottle = Bottle::new(&["sh", "-c", script]);
    let mut terminal = Terminal::new(&bottle);
    terminal.wait_for("ready");
    terminal.type_in("one\r");
    terminal.wait_for("got one");
    // Nobody could wake it again: it must go on.
    terminal.type_in("\x1a");
    terminal.type_in("two\r");
    terminal.wait_for("got two");
    terminal.type_in("\x03");
    terminal.wait_for("interrupted");
    assert_eq!(terminal.code(), Some(4));
}

/// What `attach` does: another client comes, and has its own terminal, in whose modes nothing is on.
#[test]
fn a_terminal_that_is_attached_gets_the_programs_modes() {
    let program = "$| = 1; $SIG{WINCH} = sub { print 'drawn at ', `stty size` }; print qq(rea), qq(dy\n);
        while (1) { eval $line if sysread STDIN, $line, 100 }";
    let bottle = Bottle::new(&["perl", "-e", program]);
    let mut terminal = Terminal::new(&bottle);
    terminal.resize("40 120");
    terminal.wait_for("ready");
    terminal.type_in("print qq(\\e[?2004h\\e[>5uo), qq(n\\n)\r");
    terminal.wait_for("\u{1b}[?2004h\u{1b}[>5uon");
    // A terminal that is as large as the last one, the next one, and a smaller one.
    for size in ["40 120", "40 120", "24 80"] {
        let before = terminal.size();
        terminal.type_in("kill 'URG', 1\r");
        until("process 1 to await a client", || terminal.size() != before);
        terminal.resize(size);
        terminal.wait_for("\u{1b}[>5u\u{1b}[?2004h");
        terminal.wait_for(&format!("drawn at {size}"));
    }
    // A size that is set without a new client.
    terminal.resize("30 90");
    terminal.wait_for("drawn at 30 90");
    assert!(!terminal.seen.contains("2004"), "{}", terminal.seen);
    terminal.type_in("exit 3\r");
    assert_eq!(terminal.code(), Some(3));
}

/// A program's last words are long, and a process that ignores SIGTERM holds the terminal open.
#[test]
fn the_last_words_are_whole() {
    let script = "(trap '' TERM; sleep 600) & seq 100000; exit 5";
    let bottle = Bottle::new(&["sh", "-c", script]);
    let mut terminal = Terminal::new(&bottle);
    terminal.wait_for("\n99999\r\n100000\r\n");
    assert_eq!(terminal.code(), Some(5));
}

impl Bottle {
    /// What this run told its gate of the work, and its exit code.
    fn tells(&self) -> (Option<i32>, Option<Work>) {
        let code = self.run().status.code();
        (code, self.work.try_recv().ok().map(|line| serde_json::from_str(line.strip_prefix("WORK ").unwrap()).unwrap()))
    }

    /// The same home, whose next session runs this.
    fn then(self, script: &str) -> Bottle {
        let next = Bottle::new(&["sh", "-c", script]);
        fs::remove_dir_all(next.path("home")).unwrap();
        fs::rename(self.path("home"), next.path("home")).unwrap();
        next
    }
}

/// Waits until a program reads this pipe; it gets nothing.
fn opened(path: &Path) -> File {
    until_some("a reader of the pipe", || {
        fs::OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(path).ok()
    })
}

#[test]
fn the_gate_is_told_what_is_left() {
    let none = Work { complete: true, ..Work::default() };
    let script = "mkdir -p $HOME/workspace; cd $HOME/workspace";
    let bottle = Bottle::new(&["sh", "-c", script]);
    assert_eq!(bottle.tells(), (Some(0), Some(none.clone())));
    let bottle = bottle.then(&format!("{script}; echo x >file; exit 3"));
    assert_eq!(bottle.tells(), (Some(3), Some(Work { files: 1, ..none.clone() })));
    // What was made before is still nowhere else, and nothing that the agent removes makes it so.
    let bottle = bottle.then("true");
    assert_eq!(bottle.tells().1, Some(Work { files: 1, ..none.clone() }));
    let bottle = bottle.then("rm $HOME/.claude-bottle/baseline/baseline.json");
    assert_eq!(bottle.tells().1, Some(Work::default()));
    let bottle = bottle.then("true");
    assert_eq!(bottle.tells().1, Some(Work::default()), "a later baseline would have the agent's work in it");
}

#[test]
fn a_repository_from_the_host_is_noted_before_the_command_starts() {
    let came = "git init -q . && echo x >one && git add one && git -c user.name=x -c user.email=x@x commit -qm one";
    let bottle = Bottle::new(&["sh", "-c", "cd $HOME/workspace && echo more >>one && echo two >two"]);
    let app = bottle.path("home/workspace");
    fs::create_dir(&app).unwrap();
    assert!(output(Command::new("sh").args(["-c", came]).current_dir(&app)).status.success());
    // Older than the baseline, by the clock that files have.
    let now = || {
        fs::write(bottle.path("probe"), "").unwrap();
        let meta = fs::metadata(bottle.path("probe")).unwrap();
        (meta.ctime(), meta.ctime_nsec())
    };
    let before = now();
    until("the clock of files to go on", || now() != before);
    let made = Repository { path: ".".into(), files: 2, ..Repository::default() };
    assert_eq!(
        bottle.tells(),
        (Some(0), Some(Work { complete: true, repositories: vec![made], files: 0, ..Work::default() }))
    );
}

/// Somebody outside who asks for the end does not wait for what is told to nobody.
#[test]
fn an_end_that_was_asked_for_tells_nothing() {
    let bottle = Bottle::new(&["sh", "-c", "kill -TERM 1; while :; do :; done"]);
    assert_eq!(bottle.tells(), (Some(143), None));
    let bottle = bottle.then("kill -WINCH 1; exit 4");
    assert_eq!(bottle.tells(), (Some(4), Some(Work { complete: true, ..Work::default() })));
}

/// A repository that makes git wait for ever.
const WAITS: &str = "cd $HOME/workspace && git init -q . && mkfifo .gitignore";

#[test]
fn a_comparison_ends_when_the_end_is_asked_for() {
    let bottle = Bottle::new(&["sh", "-c", WAITS]);
    fs::create_dir(bottle.path("home/workspace")).unwrap();
    let mut outside = bottle.command("").stdin(Stdio::null()).spawn().unwrap();
    until("the repository that makes git wait", || {
        assert_eq!(outside.try_wait().unwrap(), None);
        bottle.path("home/workspace/.gitignore").exists()
    });
    let held = opened(&bottle.path("home/workspace/.gitignore"));
    let children = format!("/proc/{0}/task/{0}/children", outside.id());
    let init = fs::read_to_string(children).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(init), Signal::SIGTERM).unwrap();
    assert_eq!(end("the bottle", &mut outside).code(), Some(0), "the command had ended well");
    assert!(bottle.work.try_recv().is_err());
    drop(held);
}

/// Takes as long as the comparison may.
#[test]
fn a_comparison_that_never_ends_is_incomplete() {
    let bottle = Bottle::new(&["sh", "-c", WAITS]);
    fs::create_dir(bottle.path("home/workspace")).unwrap();
    assert_eq!(bottle.tells(), (Some(0), Some(Work::default())));
}

/// git takes no words of a program that ends before it has read what it is sent.
#[test]
fn what_checks_a_signature_takes_what_was_signed() {
    for verb in ["verify", "check-novalidate"] {
        let mut child = Command::new(testing::gate_program())
            .args(["-Y", verb])
            .env("PATH", "/nonexistent")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // More than a pipe holds.
        child.stdin.take().unwrap().write_all(&[b'x'; 1 << 20]).unwrap();
        let said = finish(verb, child);
        assert!(!said.status.success() && String::from_utf8_lossy(&said.stderr).contains("no `ssh-keygen`"), "{verb}");
    }
}
