//! Runs the built program in a place: an empty environment, a PATH with the fake engine's client alone, no terminal
//! unless one is asked for, and a bound on its time.
//!
//! What a run gives back is always compared whole: status, stdout and stderr, each empty unless said otherwise.

use crate::harness::{PROGRAM, Place, Terminal, code, compare, wait};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

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
    pub fn new(place: &'a Place, program: &str, args: &[&str], env: BTreeMap<String, String>) -> Run<'a> {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Run { place, program: program.to_owned(), args, env, stdin: String::new(), wanted: Done::default() }
    }

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
            crate::harness::schema::hold(&self.args, &done);
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
        Terminal::new(child, OwnedFd::from(master))
    }
}
