//! Programs that run on the real engine's side: to their end, or step by step with their pipes open. Each wait has a bound.

use super::wait::{WAIT_TIMEOUT, end_before};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use testing::process::{PipeReader, finish};

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
    stderr: PipeReader,
    pub seen: Vec<u8>,
    unread: Vec<u8>,
}

fn find(text: &[u8], words: &[u8]) -> Option<usize> {
    text.windows(words.len()).position(|window| window == words)
}

impl Going {
    pub fn new(command: &mut Command) -> Going {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = PipeReader::start(child.stderr.take().unwrap());
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        Going { child, stdin, stdout, stderr, seen: Vec::new(), unread: Vec::new() }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Waits until stdout has shown these words beyond what was waited for before.
    #[track_caller]
    pub fn until(&mut self, words: &str) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            if let Some(at) = find(&self.unread, words.as_bytes()) {
                self.seen.extend(self.unread.drain(..at + words.len()));
                return;
            }
            match self.read(deadline) {
                Some(1..) => {}
                Some(0) => self.fail(&format!("ended without `{words}`")),
                None => self.fail(&format!("waited {WAIT_TIMEOUT:?} in vain for `{words}`")),
            }
        }
    }

    /// Whether these words come within so long; then they are read, and what is before them.
    pub fn comes_within(&mut self, words: &str, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while find(&self.unread, words.as_bytes()).is_none() {
            match self.read(deadline) {
                Some(1..) => {}
                Some(0) => self.fail(&format!("ended without `{words}`")),
                None => return false,
            }
        }
        self.until(words);
        true
    }

    /// How many bytes came, 0 at the end; `None` if there is neither before the deadline.
    fn read(&mut self, deadline: Instant) -> Option<usize> {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::try_from(left).unwrap()).unwrap() == 0 {
            return None;
        }
        let mut chunk = [0; 4096];
        let count = self.stdout.read(&mut chunk).unwrap_or(0);
        self.unread.extend_from_slice(&chunk[..count]);
        Some(count)
    }

    #[track_caller]
    fn fail(&mut self, why: &str) -> ! {
        let _ = self.child.kill();
        let stdout = [&self.seen[..], &self.unread[..]].concat();
        let [stdout, stderr] = [stdout, self.stderr.so_far()].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        panic!("{why}; stdout so far:\n{}\nstderr so far:\n{stderr}", stdout.escape_debug());
    }

    pub fn say(&mut self, words: &str) {
        self.stdin.as_mut().unwrap().write_all(words.as_bytes()).unwrap();
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for the process alone.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        match end_before(&mut self.child, Instant::now() + WAIT_TIMEOUT) {
            Some(status) => status,
            None => self.fail(&format!("has not ended in {WAIT_TIMEOUT:?}")),
        }
    }

    /// Closes stdin and waits.
    #[track_caller]
    pub fn end(mut self) -> Ran {
        drop(self.stdin.take());
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while match self.read(deadline) {
            Some(count) => count > 0,
            None => self.fail(&format!("has not ended in {WAIT_TIMEOUT:?}")),
        } {}
        let status = self.wait();
        if !self.stderr.ends_before(deadline) {
            self.fail("has ended, and something still holds its stderr");
        }
        let stdout = String::from_utf8_lossy(&[&self.seen[..], &self.unread[..]].concat()).into_owned();
        let stderr = String::from_utf8_lossy(&self.stderr.so_far()).into_owned();
        Ran { code: status.code(), stdout, stderr }
    }
}

/// Runs a program to its end, with this on stdin.
#[track_caller]
pub fn run(command: &mut Command, stdin: &str) -> Ran {
    run_bytes(command, stdin.as_bytes())
}

#[track_caller]
pub fn run_bytes(command: &mut Command, stdin: &[u8]) -> Ran {
    let what = format!("{command:?}");
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
    let (mut pipe, bytes) = (child.stdin.take().unwrap(), stdin.to_vec());
    std::thread::spawn(move || drop(pipe.write_all(&bytes)));
    finish(&what, child).into()
}
