//! A second engine, far away as far as the program knows: a daemon with a data folder and a network namespace of its own,
//! behind a TCP relay. (In the first engine's namespace it would take that one's bridge away.) Needs root.

use super::claude::{TOKEN, bash};
use super::session::shell;
use super::{Going, Ran, Rig, lines, run};
use crate::harness::rig::UID;
use crate::harness::{WAIT_TIMEOUT, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use testing::process::{end, finish};

struct Second {
    folder: tempfile::TempDir,
    space: String,
    daemon: Option<Child>,
    /// What a user would have in `DOCKER_HOST`.
    host: String,
}

impl Second {
    fn new(rig: &Rig) -> Second {
        let folder = tempfile::Builder::new().prefix("claude-bottle-second-").tempdir().unwrap();
        let host = format!("tcp://{}", relay(folder.path().join("docker.sock")));
        let mut second = Second { folder, space: format!("cb{}", rig.id), daemon: None, host };
        ip(&["netns", "add", &second.space]);
        ip(&["-n", &second.space, "link", "set", "lo", "up"]);
        second.start();
        second.load(rig);
        second
    }

    /// Until it says that it listens.
    fn start(&mut self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let mut command = self.inside("dockerd");
        command.args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")]);
        command.args(["--host", &format!("unix://{}", path("docker.sock"))]);
        let mut daemon = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let log = told(daemon.stderr.take().unwrap());
        self.daemon = Some(daemon);
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|line: &String| line.contains("API listen on")) {
            seen.push(
                log.recv_timeout(WAIT_TIMEOUT).unwrap_or_else(|_| panic!("no second engine:\n{}", seen.join("\n"))),
            );
        }
    }

    /// As an upgrade or a shutdown does it.
    fn stop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        let _ = kill(Pid::from_raw(i32::try_from(daemon.id()).unwrap()), Signal::SIGTERM);
        end("the second engine", &mut daemon);
    }

    /// A program in its namespace, which ends with this thread.
    fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "nsenter", &format!("--net=/run/netns/{}", self.space), program]);
        command
    }

    /// The two images that a bottle runs in, from the first engine.
    fn load(&self, rig: &Rig) {
        rig.run(&["build"], "").code(0);
        let plan = rig.run(&["start", "--dry-run", "--format", "json", "a"], "").code(0).stdout;
        let plan: Value = serde_json::from_str(&plan).unwrap();
        let tags = ["agent", "gate"].map(|name| plan["images"][name].as_str().unwrap().to_owned());
        let mut save = Command::new("docker").arg("save").args(&tags).stdout(Stdio::piped()).spawn().unwrap();
        let load = Command::new("docker")
            .args(["--host", &self.host, "load"])
            .stdin(save.stdout.take().unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let load = finish("docker load", load);
        assert!(end("docker save", &mut save).success() && load.status.success(), "{load:?}");
    }

    #[track_caller]
    fn docker(&self, args: &[&str]) -> String {
        run(Command::new("docker").args(["--host", &self.host]).args(args), "").code(0).stdout
    }

    /// Containers and volumes on it, whoever's they are.
    fn objects(&self) -> Vec<String> {
        [
            lines(&self.docker(&["ps", "-a", "--format", "{{.Names}}"])),
            lines(&self.docker(&["volume", "ls", "--format", "{{.Name}}"])),
        ]
        .concat()
    }

    /// The scripted model at its bridge's own address.
    fn model(&self, turns: &Value) -> Model {
        let script = self.folder.path().join("script.json");
        std::fs::write(&script, turns.to_string()).unwrap();
        let mut command = self.inside(&testing::scripted_model());
        let mut child = command.arg("--script").arg(script).stdout(Stdio::piped()).spawn().unwrap();
        let requests = told(child.stdout.take().unwrap());
        requests.recv_timeout(WAIT_TIMEOUT).expect("the model listens");
        let bridge = ip(&["-n", &self.space, "-4", "-brief", "address", "show", "docker0"]);
        let address = bridge.split_whitespace().last().unwrap().split('/').next().unwrap().to_owned();
        Model { child, requests, address }
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        self.stop();
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let below = |place: &&str| Path::new(place).starts_with(self.folder.path());
        for place in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(below) {
            let _ = Command::new("umount").args(["-l", place]).output();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.space]).output();
    }
}

struct Model {
    child: Child,
    requests: Receiver<String>,
    address: String,
}

impl Model {
    /// The messages of the next request to the Messages API that offered tools.
    #[track_caller]
    fn turn(&self) -> String {
        loop {
            let line = self.requests.recv_timeout(WAIT_TIMEOUT).expect("a turn");
            let request: Value = serde_json::from_str(&line).unwrap();
            if request["path"] == "/v1/messages" && request["body"]["tools"].is_array() {
                return request["body"]["messages"].to_string();
            }
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ip(args: &[&str]) -> String {
    run(Command::new("ip").args(args), "").code(0).stdout
}

/// Its lines, as they come.
fn told(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    told
}

/// Passes each connection on to the socket, both ways, as long as the test runs. A socket that is away ends it at once.
fn relay(socket: PathBuf) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = UnixStream::connect(&socket) else { continue };
            let back: (TcpStream, UnixStream) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut &near, &mut &far);
                let _ = far.shutdown(Shutdown::Write);
            });
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut &back.1, &mut &back.0);
                let _ = back.0.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

/// The whole life of a session needs nothing of this machine's on the other side; an engine that is restarted loses
/// nothing; one that is gone for good leaves the conversation. In one test: the images are loaded once.
#[test]
fn another_engine() {
    let rig = Rig::new(&shell("true"));
    let mut second = Second::new(&rig);
    nothing_of_this_machine_is_needed(&rig, &second);
    the_conversation_outlives(&rig, &mut second);
}

/// Runs it with the second engine in its environment.
fn far(second: &Second, command: &mut Command) -> Ran {
    run(command.env("DOCKER_HOST", &second.host).env("CLAUDE_CODE_OAUTH_TOKEN", TOKEN), "")
}

fn nothing_of_this_machine_is_needed(rig: &Rig, second: &Second) {
    let words = "python3 -m http.server --directory /etc 5173 >/dev/null 2>&1 & echo READY; read line; echo got $line; mkdir -p ~/.claude/projects/p; \
        echo '{}' >~/.claude/projects/p/s.jsonl; [ -e ~/again ] && exit 0; touch ~/again; exit 7";
    let mut manifest = shell(words);
    manifest["bottles"]["b"]["on_hangup"] = json!("detach");
    rig.manifest(&manifest);
    let mut going = Going::new(rig.terminal_command(&["start", "--yes", "a"]).env("DOCKER_HOST", &second.host));
    going.until("READY\r\n");
    let identity = rig.sessions().remove(0);
    for name in ["agent", "gate"] {
        let format = "{{json .HostConfig.Binds}} {{range .Mounts}}{{.Type}} {{end}}";
        let mounts = second.docker(&["inspect", "--format", format, &format!("claude-bottle-{identity}-{name}")]);
        let (binds, types) = mounts.trim().split_once(' ').unwrap();
        assert!(matches!(binds, "null" | "[]") && types.split(' ').all(|kind| kind == "volume"), "{mounts}");
    }
    assert_eq!(rig.objects(), [""; 0], "nothing on the first engine");
    // The session's own engine counts from here on, not the environment's.
    rig.run(&["exec", &identity, "--", "sh", "-c", "cat; id -u"], "through ").code(0).says(&format!("through {UID}"));
    let wait = "curl -sS -o /dev/null --retry 50 --retry-delay 0 --retry-connrefused http://127.0.0.1:5173/hostname";
    rig.run(&["exec", &identity, "--", "sh", "-c", wait], "").code(0);
    let (forward, url) = super::forward::forward(rig, &identity);
    let fetched = run(Command::new("curl").args(["-sS", "--noproxy", "*", &format!("{url}/hostname")]), "").code(0);
    let own = rig.run(&["exec", &identity, "--", "hostname"], "").code(0).stdout;
    assert_eq!(fetched.stdout, own);
    forward.signal(Signal::SIGINT);
    forward.end().code(130);
    // The window is closed. (Its keys do nothing here: over TCP without TLS, docker's client 28 only ends its input.)
    going.signal(Signal::SIGKILL);
    going.wait();
    until("the session to be detached", || rig.run(&["list"], "").code(0).stdout.contains(" detached "));
    let mut going = rig.on_terminal(&["attach", &identity]);
    going.say("hello\n");
    going.until("got hello");
    going.end().code(7).says("kept");
    assert!(rig.state(&identity).join("transcript/p/s.jsonl").is_file());
    let info = rig.run(&["info", &identity, "--format", "json"], "").code(0).stdout;
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["on_engine"]["home"]["volume"], format!("claude-bottle-{identity}"), "{info}");
    assert!(info["on_engine"]["home"]["size"]["files"].as_u64().unwrap() > 0, "{info}");
    rig.run(&["resume", "--yes", &identity], "more\n").code(0).says("got more");
    assert_eq!((second.objects(), rig.sessions()), (Vec::new(), Vec::new()));

    let ran = far(second, &mut rig.ours(&["start", "--yes", "a"])).code(7);
    ran.says("kept");
    rig.run(&["cleanup", "--yes"], "").code(0);
    assert_eq!((second.objects(), rig.sessions()), (Vec::new(), Vec::new()));
}

fn the_conversation_outlives(rig: &Rig, second: &mut Second) {
    // How much Claude Code adds to a conversation that was cut off is its own affair.
    let gone_on = json!({ "text": "Gone on." });
    let model = second.model(&json!([bash("echo the first turn"), bash("exec sleep 600"), gone_on, gone_on, gone_on]));
    let routes = |address: &str| {
        json!({ "bottles": { "b": { "egress": { "routes": [{ "host": "api.anthropic.com", "role": "claude",
            "auth": { "token_ref": "CLAUDE_CODE_OAUTH_TOKEN" }, "connect_to": format!("http://{address}:80"),
            "private": true }] } } }, "agents": { "plain": { "bottle": "b" } } })
    };
    rig.manifest(&routes(&model.address));

    // Restarted amid a session.
    let mut start = rig.ours(&["start", "--yes", "--headless", "-p", "begin here", "plain"]);
    let going = Going::new(start.env("DOCKER_HOST", &second.host).env("CLAUDE_CODE_OAUTH_TOKEN", TOKEN));
    model.turn();
    model.turn();
    second.stop();
    going.end().code(125).says("the engine could not be asked");
    let identity = rig.sessions().remove(0);
    rig.run(&["list"], "").code(0).says("unsettled");
    rig.run(&["info", &identity], "").code(0).says("DOES NOT ANSWER");
    second.start();
    let resume = ["resume", "--yes", "--headless", "-p", "and on", &identity];
    let ran = far(second, &mut rig.ours(&resume)).code(0);
    assert_eq!(ran.stdout, "Gone on.\n");
    let turn = model.turn();
    for words in ["begin here", "the first turn", "and on"] {
        assert!(turn.contains(words), "`{words}` in {turn}");
    }
    assert_eq!((second.objects(), rig.sessions()), (Vec::new(), Vec::new()));

    // Gone for good: the session goes on here, from what came home.
    let start = ["start", "--yes", "--headless", "-p", "begin there", "plain", "--", "--max-turns", "1"];
    far(second, &mut rig.ours(&start)).code(1).says("kept");
    second.stop();
    let identity = rig.sessions().remove(0);
    rig.run(&["resume", "--yes", &identity], "").code(125).says(&format!("`claude-bottle resume --here {identity}`"));
    let near = rig.model(&json!([gone_on, gone_on, gone_on]));
    rig.manifest(&routes(&near.address));
    let here = ["resume", "--yes", "--here", "--headless", "-p", "and on", &identity];
    let mut command = rig.ours(&here);
    let ran = run(command.env("CLAUDE_CODE_OAUTH_TOKEN", TOKEN), "").code(0);
    assert_eq!(ran.stdout, "Gone on.\n");
    for words in [
        format!("left behind on `{}`, which does not answer", second.host),
        "gone; resumes from the transcript".to_owned(),
        format!("- engine   docker ({})", second.host),
        "+ engine   docker (default)".to_owned(),
    ] {
        assert!(ran.stderr.contains(&words), "`{words}` in {}", ran.stderr);
    }
    let turn = near.turns().pop().unwrap()["body"]["messages"].to_string();
    for words in ["begin there", "the first turn", "and on"] {
        assert!(turn.contains(words), "`{words}` in {turn}");
    }
    rig.assert_nothing_left();
}
