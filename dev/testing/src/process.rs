//! Programs that tests run to their end, within the bound of all waits. One that does not end is killed, and the test fails
//! with what it printed so far.

use crate::wait::WAIT_TIMEOUT;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Reads a pipe on a thread of its own.
pub struct PipeReader {
    bytes: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl PipeReader {
    pub fn start(mut pipe: impl Read + Send + 'static) -> PipeReader {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = channel();
        let into = bytes.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 16 * 1024];
            while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                into.lock().unwrap().extend_from_slice(&chunk[..count]);
            }
            drop(end);
        });
        PipeReader { bytes, ended }
    }

    /// What came so far.
    pub fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    /// Waits for the pipe's end; false if it does not come before the deadline.
    pub fn ends_before(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        !matches!(self.ended.recv_timeout(left), Err(RecvTimeoutError::Timeout))
    }
}

/// As `Command::output`: no input, both outputs collected to their end.
///
/// # Panics
/// The program cannot be run, or does not end.
#[track_caller]
pub fn output(command: &mut Command) -> Output {
    try_output(command).unwrap_or_else(|why| panic!("{why}"))
}

/// For a `drop`, which may not panic.
pub fn try_output(command: &mut Command) -> Result<Output, String> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    try_finish(&format!("{command:?}"), child)
}

/// As `Child::wait_with_output`: closes its input, collects both outputs, if they are pipes, to their end.
///
/// # Panics
/// The program does not end.
#[track_caller]
pub fn finish(what: &str, child: Child) -> Output {
    try_finish(what, child).unwrap_or_else(|why| panic!("{why}"))
}

fn try_finish(what: &str, mut child: Child) -> Result<Output, String> {
    drop(child.stdin.take());
    let stdout = child.stdout.take().map(PipeReader::start);
    let stderr = child.stderr.take().map(PipeReader::start);
    let deadline = Instant::now() + WAIT_TIMEOUT;
    let bytes = |reader: &Option<PipeReader>| reader.as_ref().map(PipeReader::so_far).unwrap_or_default();
    let all_read = [&stdout, &stderr].into_iter().flatten().all(|reader| reader.ends_before(deadline));
    let status = if all_read { end_before(&mut child, deadline) } else { None };
    let Some(status) = status else {
        let _ = child.kill();
        let shown = [&stdout, &stderr].map(|reader| String::from_utf8_lossy(&bytes(reader)).into_owned());
        let [stdout, stderr] = shown;
        return Err(format!(
            "{what} has not ended in {WAIT_TIMEOUT:?}; stdout so far:\n{stdout}\nstderr so far:\n{stderr}"
        ));
    };
    Ok(Output { status, stdout: bytes(&stdout), stderr: bytes(&stderr) })
}

/// Waits for the process alone; what it printed is for another to read.
///
/// # Panics
/// It does not end.
#[track_caller]
pub fn end(what: &str, child: &mut Child) -> ExitStatus {
    match end_before(child, Instant::now() + WAIT_TIMEOUT) {
        Some(status) => status,
        None => {
            let _ = child.kill();
            panic!("{what} has not ended in {WAIT_TIMEOUT:?}");
        }
    }
}

/// `None` if it has not ended at the deadline.
pub fn end_before(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    // Most have ended already, or are about to.
    let mut pause = Duration::from_micros(100);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// Kills a server that a test talks to, once it has lived for longer than any test needs it: whatever still waits for an
/// answer then sees its connection end, and the test fails. Dropped before the server is reaped, it does nothing.
pub struct Watchdog {
    _called_off: Sender<()>,
}

impl Watchdog {
    pub fn over(what: &'static str, server: &Child) -> Watchdog {
        const LIFE: Duration = WAIT_TIMEOUT.saturating_mul(2);
        let (called_off, off) = channel::<()>();
        let process = Pid::from_raw(server.id().cast_signed());
        std::thread::spawn(move || {
            if off.recv_timeout(LIFE) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{what} is killed: its test has not ended in {LIFE:?}");
                let _ = kill(process, Signal::SIGKILL);
            }
        });
        Watchdog { _called_off: called_off }
    }
}
