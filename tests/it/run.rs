//! Runs the built program in a place of its own: temporary home, working directory and engine, an empty environment, a
//! PATH with the fake engine's client alone, no terminal unless one is asked for, and a bound on its time.
//!
//! What a run gives back is always compared whole: status, stdout and stderr, each empty unless said otherwise.

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_claude-bottle");

/// The folder that holds the fake engine's client, `docker`.
pub const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake");

const SNAPSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snap");

/// Longer than any run takes on a busy machine: who reaches it hangs.
const BOUND: Duration = Duration::from_secs(60);

/// The engine's programs that the fake one plays, by its name.
pub const ENGINES: [&str; 2] = ["docker", "podman"];

/// One agent in a bottle out of which nothing gets.
pub const PLAIN: &str = r#"{ "bottles": { "box": {} }, "agents": { "plain": { "bottle": "box" } } }"#;

/// A home, a working directory and an engine that nothing else uses.
pub struct Place {
    folder: tempfile::TempDir,
    /// The engine's program.
    engine: &'static str,
}

impl Place {
    pub fn new(manifest: &str) -> Place {
        Place::on("docker", manifest)
    }

    /// By the names of the engine's programs that the fake one plays.
    pub fn on(engine: &'static str, manifest: &str) -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap(), engine };
        for folder in [
            "calls",
            "hosts",
            "groups",
            "containers",
            "volumes",
            "images",
            "pipes",
            "ready",
            "ran",
            "worked",
            "filled",
            "documents",
            "handed",
        ] {
            fs::create_dir_all(place.engine(folder)).unwrap();
        }
        for folder in ["home", "home/.claude-bottle", "work"] {
            fs::create_dir_all(place.path(folder)).unwrap();
        }
        fs::write(place.path("gate"), "the gate's program").unwrap();
        fs::write(place.path("roots.pem"), "the host's roots").unwrap();
        place.write("home/.claude-bottle/claude-bottle.json", manifest);
        place
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn engine(&self, below: &str) -> PathBuf {
        self.path("engine").join(below)
    }

    pub fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The program with these arguments.
    pub fn run(&self, args: &[&str]) -> Run<'_> {
        self.run_other(PROGRAM, args)
    }

    /// Another program in the same place.
    pub fn run_other(&self, program: &str, args: &[&str]) -> Run<'_> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut env = vec![
            ("PATH", FAKE.to_owned()),
            ("HOME", text(self.path("home"))),
            ("CLAUDE_BOTTLE_HOME", text(self.path("home/.claude-bottle"))),
            ("CLAUDE_BOTTLE_GATE", text(self.path("gate"))),
            ("CLAUDE_BOTTLE_UPSTREAM_CA", text(self.path("roots.pem"))),
            ("FAKE", text(self.path("engine"))),
            ("TERM", "xterm".to_owned()),
            ("TZ", "UTC".to_owned()),
        ];
        if self.engine != "docker" {
            env.push(("CLAUDE_BOTTLE_DOCKER", self.engine.to_owned()));
        }
        Run {
            place: self,
            program: program.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            stdin: String::new(),
            wanted: Done::default(),
        }
    }

    /// The arguments of every call of the engine's client, in the order they came.
    pub fn calls(&self) -> Vec<Vec<String>> {
        let read = |number: u32| fs::read_to_string(self.engine("calls").join(number.to_string())).ok();
        (1..).map_while(read).map(|call| call.split_terminator('\0').map(str::to_owned).collect()).collect()
    }

    /// What `DOCKER_HOST`, or podman's `CONTAINER_HOST`, was in each call.
    pub fn hosts(&self) -> Vec<String> {
        (1..=self.calls().len()).map(|number| text(&self.engine("hosts").join(number.to_string()))).collect()
    }

    /// Was the client of each call the leader of a process group of its own?
    pub fn own_groups(&self) -> Vec<bool> {
        (1..=self.calls().len()).map(|number| text(&self.engine("groups").join(number.to_string())) == "own").collect()
    }

    pub fn forget_calls(&self) {
        for number in 1..=self.calls().len() {
            fs::remove_file(self.engine("calls").join(number.to_string())).unwrap();
        }
    }

    /// Containers and volumes that are there now.
    pub fn objects(&self) -> Vec<String> {
        [names(&self.engine("containers")), names(&self.engine("volumes"))].concat()
    }

    /// Identities on the disk.
    pub fn sessions(&self) -> Vec<String> {
        names(&self.path("home/.claude-bottle/state"))
    }

    /// The one session's identity.
    pub fn session(&self) -> String {
        let sessions = self.sessions();
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        sessions.into_iter().next().unwrap()
    }

    /// A file of the one session.
    pub fn session_file(&self, below: &str) -> PathBuf {
        self.path("home/.claude-bottle/state").join(self.session()).join(below)
    }

    /// The one session's mark, as it is on the disk.
    pub fn mark(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.session_file("mark")).unwrap()).unwrap()
    }

    /// Why the one session is kept.
    pub fn kept(&self) -> String {
        let mark = self.mark();
        assert_eq!(mark["mark"], "kept", "{mark}");
        mark["why"].as_str().unwrap().to_owned()
    }

    /// A tar stream as `docker cp` prints it, holding one transcript. Its path, for FAKE_TAR.
    pub fn transcript(&self) -> String {
        let mut tar = tar::Builder::new(File::create(self.path("transcript.tar")).unwrap());
        let mut add = |name: &str, mode: u32, kind: tar::EntryType, text: &str| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        };
        add("projects", 0o755, tar::EntryType::Directory, "");
        add("projects/-home-agent-workspace", 0o755, tar::EntryType::Directory, "");
        add("projects/-home-agent-workspace/one.jsonl", 0o644, tar::EntryType::Regular, "{\"said\":1}\n");
        tar.finish().unwrap();
        self.path("transcript.tar").to_str().unwrap().to_owned()
    }

    /// Every file below the home: path, mode, content.
    pub fn whole_home(&self) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.path("home")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
                match path.is_dir() {
                    true => {
                        folders.push(path.clone());
                        found.push((path, mode, Vec::new()));
                    }
                    false => found.push((path.clone(), mode, fs::read(&path).unwrap())),
                }
            }
        }
        found.sort();
        found
    }

    /// `text` with what differs from run to run replaced: this place, identities, image digests, random ids.
    pub fn steady(&self, text: &str) -> String {
        let text = text.replace(self.folder.path().to_str().unwrap(), "[PLACE]");
        let text = text.replace(env!("CARGO_MANIFEST_DIR"), "[REPOSITORY]");
        let id = fs::read_to_string(self.path("home/.claude-bottle/id")).unwrap_or_default();
        let text = if id.is_empty() { text } else { text.replace(id.trim(), "[HOME-ID]") };
        let mut steady = text;
        for agent in ["plain-", "fixer-", "other-"] {
            steady = replace_word(&steady, agent, 5, "[ID]");
        }
        // What is some seconds old is as new as can be.
        for seconds in 0..60 {
            steady = steady.replace(&format!(" for {seconds}s"), " for [NOW]");
        }
        for stem in ["gate:", "agent:", "session:", "box:", "dev:"] {
            steady = replace_word(&steady, &format!("claude-bottle-{stem}"), 16, "[DIGEST]");
        }
        steady
    }
}

impl Drop for Place {
    /// Whoever of the fake engine still waits is told that all is over.
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.engine("containers"));
        for pipe in names(&self.engine("pipes")) {
            let pipe = OpenOptions::new().read(true).write(true).open(self.engine("pipes").join(pipe));
            let _ = pipe.and_then(|mut pipe| pipe.write_all(b"\n"));
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// Replaces the `length` characters `a-z0-9` behind each `stem`, where exactly so many are there.
fn replace_word(text: &str, stem: &str, length: usize, by: &str) -> String {
    let mut parts = text.split(stem);
    let mut steady = parts.next().unwrap().to_owned();
    for part in parts {
        let word = part.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit()).unwrap_or(part.len());
        steady.push_str(stem);
        steady.push_str(if word == length { by } else { &part[..word] });
        steady.push_str(&part[word..]);
    }
    steady
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// The exit code; 128 + the number of the signal that killed it.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

pub struct Run<'a> {
    place: &'a Place,
    program: String,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    stdin: String,
    wanted: Done,
}

impl<'a> Run<'a> {
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.insert(name.to_owned(), value.to_string());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = text.to_owned();
        self
    }

    pub fn status(mut self, status: i32) -> Self {
        self.wanted.status = status;
        self
    }

    pub fn stdout(mut self, text: &str) -> Self {
        self.wanted.stdout = text.to_owned();
        self
    }

    pub fn stderr(mut self, text: &str) -> Self {
        self.wanted.stderr = text.to_owned();
        self
    }

    /// Runs and compares, steadied, with what is wanted.
    #[track_caller]
    pub fn test(self) {
        let (place, wanted) = (self.place, self.wanted.clone());
        let done = self.done();
        let steady = Done { stdout: place.steady(&done.stdout), stderr: place.steady(&done.stderr), ..done };
        assert_eq!(steady, wanted);
    }

    /// Runs and compares, steadied, with `tests/snap/NAME`; `UPDATE=1` writes it anew.
    #[track_caller]
    pub fn snap(self, name: &str) -> Done {
        let (place, args) = (self.place, self.args.clone());
        let done = self.done();
        let block = |title: &str, text: &str| match text {
            "" => String::new(),
            text => format!("--- {title}\n{}", place.steady(text)),
        };
        let command = place.steady(&shlex::try_join(args.iter().map(String::as_str)).unwrap());
        let (stdout, stderr) = (block("stdout", &done.stdout), block("stderr", &done.stderr));
        compare(name, &format!("$ claude-bottle {command}\n--- status {}\n{stdout}{stderr}", done.status));
        done
    }

    fn command(&self) -> Command {
        // A session of its own: a terminal that the tests are run from is not the program's.
        let mut command = Command::new("/usr/bin/setsid");
        command.arg(&self.program).args(&self.args).env_clear().envs(&self.env).current_dir(self.place.path("work"));
        command
    }

    /// Runs to the end, without a terminal.
    #[track_caller]
    pub fn done(self) -> Done {
        // Files, not pipes: whoever outlives the program may hold them open.
        let folder = tempfile::tempdir().unwrap();
        let (input, output, error) = (folder.path().join("in"), folder.path().join("out"), folder.path().join("err"));
        fs::write(&input, &self.stdin).unwrap();
        let mut command = self.command();
        command.stdin(File::open(&input).unwrap());
        command.stdout(File::create(&output).unwrap()).stderr(File::create(&error).unwrap());
        let status = wait(command.spawn().unwrap_or_else(|e| panic!("setsid (util-linux): {e}")), || {
            format!("{:?}\n{}\n{:?}", self.args, fs::read_to_string(&error).unwrap(), self.place.calls())
        });
        let text = |path: &Path| String::from_utf8(fs::read(path).unwrap()).unwrap();
        let done = Done { status: code(status), stdout: text(&output), stderr: text(&error) };
        if self.program == PROGRAM {
            crate::formats::hold(&self.args, &done);
        }
        done
    }

    /// Starts on a terminal of its own: stdin, stdout, stderr and the controlling terminal.
    pub fn on_terminal(self) -> Terminal {
        // Not for the children of other tests either: a terminal is closed when nobody has its master.
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname_r(&master).unwrap();
        let open = OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(name).unwrap();
        let slave = || Stdio::from(open.try_clone().unwrap());
        let mut command = Command::new("/usr/bin/setsid");
        command.args(["--ctty", &self.program]).args(&self.args).env_clear().envs(&self.env);
        command.current_dir(self.place.path("work")).stdin(slave()).stdout(slave()).stderr(slave());
        let child = command.spawn().unwrap_or_else(|e| panic!("setsid (util-linux): {e}"));
        Terminal { child, master: Some(OwnedFd::from(master)), seen: String::new() }
    }
}

/// A person's terminal, and the program on it.
pub struct Terminal {
    child: Child,
    master: Option<OwnedFd>,
    pub seen: String,
}

impl Terminal {
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Waits until `text` was seen.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        while !self.seen.contains(text) {
            assert!(self.read(), "ended without `{text}`:\n{}", self.seen);
        }
    }

    pub fn types(&mut self, text: &str) {
        let mut master = File::from(self.master.as_ref().unwrap().try_clone().unwrap());
        master.write_all(text.as_bytes()).unwrap();
    }

    /// The window is closed.
    pub fn hang_up(&mut self) {
        self.master = None;
    }

    /// All that was seen, and the exit code.
    #[track_caller]
    pub fn end(mut self) -> (i32, String) {
        while self.master.is_some() && self.read() {}
        let seen = self.seen;
        (code(wait(self.child, || seen.clone())), seen.replace("\r\n", "\n"))
    }

    /// False at the end.
    #[track_caller]
    fn read(&mut self) -> bool {
        let master = self.master.as_ref().unwrap();
        let mut fds = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
        let bound = PollTimeout::try_from(BOUND).unwrap();
        if poll(&mut fds, bound).unwrap() == 0 {
            let _ = self.child.kill();
            panic!("hangs; seen:\n{}", self.seen);
        }
        let mut bytes = [0; 4096];
        match nix::unistd::read(master, &mut bytes) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
                true
            }
        }
    }
}

/// Waits, within the bound.
#[track_caller]
fn wait(mut child: Child, story: impl Fn() -> String) -> ExitStatus {
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait()));
    let began = Instant::now();
    match end.recv_timeout(BOUND) {
        Ok(status) => status.unwrap(),
        Err(_) => {
            let _ = killpg(group, Signal::SIGKILL);
            panic!("hangs since {:?}: {}", began.elapsed(), story());
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
}

/// Compares `text` with the snapshot `name`.
#[track_caller]
pub fn compare(name: &str, text: &str) {
    let path = Path::new(SNAPSHOTS).join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return;
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, wanted, "differs from tests/snap/{name}; `UPDATE=1 cargo test --test it` takes what came");
}

/// Reads a whole file as text.
pub fn text(path: &Path) -> String {
    let mut text = String::new();
    File::open(path).and_then(|mut file| file.read_to_string(&mut text)).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    text
}
