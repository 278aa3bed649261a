//! Child processes that do not receive the terminal's signals and do not outlive this process.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, OnceLock};

/// What the kernel sends a child when this process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeathSignal {
    Kill,
    /// The engine's client passes it on to its container.
    Term,
}

/// Spawns `command` in a process group of its own. The kernel sends it `at_death` when this process dies.
///
/// Call it from the main thread: the kernel sends the signal when the spawning *thread* ends.
pub fn spawn(command: &mut Command, at_death: DeathSignal) -> io::Result<Child> {
    spawn_in_our_group(command.process_group(0), at_death)
}

/// Spawns `command` as [`spawn`] does, in the process group of this process: it hears the terminal's signals.
pub fn spawn_in_our_group(command: &mut Command, at_death: DeathSignal) -> io::Result<Child> {
    let me = Pid::this();
    let signal = match at_death {
        DeathSignal::Kill => Signal::SIGKILL,
        DeathSignal::Term => Signal::SIGTERM,
    };
    let bind = move || {
        prctl::set_pdeathsig(signal)?;
        // A parent that died before prctl(2) was called sends no signal.
        if Pid::parent() == me { Ok(()) } else { Err(io::Error::from(Errno::ESRCH)) }
    };
    // SAFETY: between fork and exec only prctl(2) and getppid(2) are called, which are async-signal-safe.
    unsafe {
        command.pre_exec(bind);
    }
    command.spawn()
}

/// Spawns `command` in a new session. The kernel sends it SIGKILL when this thread ends, as for [`spawn`].
///
/// A new session has no controlling terminal, so a program that wants to prompt there fails instead of waiting.
pub fn spawn_in_new_session(command: &mut Command) -> io::Result<Child> {
    let me = Pid::this();
    let detach = move || {
        nix::unistd::setsid()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if Pid::parent() == me { Ok(()) } else { Err(io::Error::from(Errno::ESRCH)) }
    };
    // SAFETY: between fork and exec only setsid(2), prctl(2) and getppid(2) are called, which are async-signal-safe.
    unsafe {
        command.pre_exec(detach);
    }
    command.spawn()
}

/// Runs a program in the foreground of the terminal and waits for it. Signals of the terminal reach both processes.
pub fn foreground(argv: &[String]) -> io::Result<ExitStatus> {
    let (program, args) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Command::new(program).args(args).status()
}

/// How a program ended that [`run_fed`] ran.
pub struct FedOutput {
    pub output: Output,
    /// Why `feed` failed. A program that closed its stdin early is no error.
    pub feed_error: Option<io::Error>,
}

/// Runs a program with an empty environment to its end. `feed` writes the program's stdin on another thread, because the
/// program may write output before it reads, and may end before it has read everything.
///
/// # Errors
/// The program cannot be run, or its output cannot be read.
pub fn run_fed<F>(program: &Path, args: &[&str], feed: F) -> io::Result<FedOutput>
where
    F: FnOnce(&mut ChildStdin) -> io::Result<()> + Send + 'static,
{
    let mut command = Command::new(program);
    command.args(args).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command, DeathSignal::Kill)?;
    let feed_error: Arc<OnceLock<io::Error>> = Arc::default();
    if let Some(mut stdin) = child.stdin.take() {
        let report = feed_error.clone();
        let feeder = crate::thread::spawn(move || {
            if let Err(error) = feed(&mut stdin)
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                // Set before `stdin` is dropped: the program must not see a complete input before the error is known.
                let _ = report.set(error);
            }
        });
        if let Err(error) = feeder {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
    }
    let output = child.wait_with_output()?;
    let feed_error = feed_error.get().map(|error| io::Error::new(error.kind(), error.to_string()));
    Ok(FedOutput { output, feed_error })
}

/// Kills the process group that a child leads. The child must not be reaped yet, or its number may be another's.
pub fn kill_group(child: u32) {
    if let Ok(child) = i32::try_from(child) {
        let _ = nix::sys::signal::killpg(Pid::from_raw(child), Signal::SIGKILL);
    }
}

/// Sends a signal to a child. The child must not be reaped yet, or its number may be another's.
pub fn send_signal(child: u32, signal: i32) {
    if let (Ok(child), Ok(signal)) = (i32::try_from(child), Signal::try_from(signal)) {
        let _ = kill(Pid::from_raw(child), signal);
    }
}

/// Makes this process undumpable: no process of the same user can trace it or read its memory, and it leaves no core file.
/// A program that it executes is dumpable again.
pub fn set_undumpable() -> io::Result<()> {
    Ok(prctl::set_dumpable(false)?)
}

/// Sends a signal to this process's own group, as its terminal does for a key.
pub fn signal_our_group(signal: i32) {
    if let Ok(signal) = Signal::try_from(signal) {
        let _ = nix::sys::signal::killpg(nix::unistd::getpgrp(), signal);
    }
}

/// Stops this process with SIGSTOP; returns once it is continued.
pub fn stop_self() {
    let _ = kill(Pid::this(), Signal::SIGSTOP);
}

/// Waits until the child has ended and does not reap it, so that its number stays its own.
pub fn await_end(child: u32) {
    let Ok(child) = i32::try_from(child) else { return };
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(Pid::from_raw(child)), ended) == Err(Errno::EINTR) {}
}

/// Lets no program that this process becomes have descriptors from `first` on. Those that it was started with may be
/// anything.
pub fn keep_descriptors_below(first: u32) -> io::Result<()> {
    // SAFETY: close_range(2) with this flag closes nothing, and touches no memory.
    let done = unsafe { nix::libc::close_range(first, u32::MAX, nix::libc::CLOSE_RANGE_CLOEXEC as i32) };
    Errno::result(done).map(drop).map_err(io::Error::from)
}
