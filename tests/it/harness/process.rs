//! Programs that run on the real engine's side: to their end, or step by step with their pipes open.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

/// What a command ended with.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// # Panics
    /// Shows everything where the code is another.
    #[track_caller]
    pub fn code(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn says(&self, words: &str) {
        let all = format!("{}\n{}", self.stdout, self.stderr);
        assert!(all.contains(words), "`{words}` is not in:\n{all}");
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A program under way, its stdin open.
pub struct Going {
    child: Child,
    stdin: Option<std::process::ChildStdin>,
    stdout: std::process::ChildStdout,
    stderr: Option<std::thread::JoinHandle<String>>,
    pub seen: Vec<u8>,
    unread: Vec<u8>,
}

pub fn find(text: &[u8], words: &[u8]) -> Option<usize> {
    text.windows(words.len()).position(|window| window == words)
}

impl Going {
    pub fn new(command: &mut Command) -> Going {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        Going { child, stdin, stdout, stderr: Some(reader), seen: Vec::new(), unread: Vec::new() }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Waits until stdout has shown these words beyond what was waited for before; a minute at most.
    #[track_caller]
    pub fn until(&mut self, words: &str) {
        loop {
            if let Some(at) = find(&self.unread, words.as_bytes()) {
                self.seen.extend(self.unread.drain(..at + words.len()));
                return;
            }
            let mut fds = [PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut fds, PollTimeout::from(60_000u16)).unwrap();
            let mut chunk = [0; 4096];
            let count = if ready > 0 { self.stdout.read(&mut chunk).unwrap_or(0) } else { 0 };
            if count == 0 {
                let _ = self.child.kill();
                let all = [&self.seen[..], &self.unread[..]].concat();
                panic!("no `{words}` in\n{}", String::from_utf8_lossy(&all).escape_debug());
            }
            self.unread.extend_from_slice(&chunk[..count]);
        }
    }

    pub fn say(&mut self, words: &str) {
        self.stdin.as_mut().unwrap().write_all(words.as_bytes()).unwrap();
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for the process alone.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Closes stdin and waits.
    pub fn end(mut self) -> Ran {
        drop(self.stdin.take());
        let mut rest = Vec::new();
        let _ = self.stdout.read_to_end(&mut rest);
        let status: ExitStatus = self.child.wait().unwrap();
        let stdout = String::from_utf8_lossy(&[&self.seen[..], &self.unread[..], &rest[..]].concat()).into_owned();
        Ran { code: status.code(), stdout, stderr: self.stderr.take().map(|t| t.join().unwrap()).unwrap_or_default() }
    }
}

pub fn run(command: &mut Command, stdin: &str) -> Ran {
    run_bytes(command, stdin.as_bytes())
}

pub fn run_bytes(command: &mut Command, stdin: &[u8]) -> Ran {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(pipe.write_all(stdin)));
        child.wait_with_output().unwrap().into()
    })
}
