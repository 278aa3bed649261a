//! Children that neither hear the terminal's signals nor outlive this process.
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

/// Spawns `command` in a process group of its own, with SIGKILL at this process's death.
///
/// Call it from the main thread: the kernel sends the signal when the spawning *thread* ends.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    command.process_group(0);
    let me = Pid::this();
    let bind = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // A parent that died before it was asked for sends nothing.
        if Pid::parent() == me { Ok(()) } else { Err(io::Error::from(Errno::ESRCH)) }
    };
    // SAFETY: between fork and exec only prctl(2) and getppid(2) are called, which are async-signal-safe.
    unsafe {
        command.pre_exec(bind);
    }
    command.spawn()
}

/// The same in a session of its own, which has no terminal: whoever wants to ask there is told that there is none.
pub fn spawn_apart(command: &mut Command) -> io::Result<Child> {
    let me = Pid::this();
    let part = move || {
        nix::unistd::setsid()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if Pid::parent() == me { Ok(()) } else { Err(io::Error::from(Errno::ESRCH)) }
    };
    // SAFETY: between fork and exec only setsid(2), prctl(2) and getppid(2) are called, which are async-signal-safe.
    unsafe {
        command.pre_exec(part);
    }
    command.spawn()
}

/// Runs a program that has the terminal to itself, and waits. What the terminal sends reaches it and us.
pub fn foreground(argv: &[String]) -> io::Result<ExitStatus> {
    let (program, args) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Command::new(program).args(args).status()
}

/// A program that was fed and heard to its end.
pub struct Heard {
    pub output: Output,
    /// What kept it from being fed all; that it did not want all is no fault.
    pub fault: Option<io::Error>,
}

/// Runs a program without an environment. `feed` writes its standard input, on another thread: it may speak first, and may
/// end before it was told everything.
///
/// # Errors
/// It cannot be run, or not be heard.
pub fn converse<F>(program: &Path, args: &[&str], feed: F) -> io::Result<Heard>
where
    F: FnOnce(&mut ChildStdin) -> io::Result<()> + Send + 'static,
{
    let mut command = Command::new(program);
    command.args(args).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command)?;
    let fault: Arc<OnceLock<io::Error>> = Arc::default();
    if let Some(mut stdin) = child.stdin.take() {
        let tell = fault.clone();
        std::thread::spawn(move || {
            if let Err(error) = feed(&mut stdin)
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                // Before the end of its input is seen: it must not be taken for all.
                let _ = tell.set(error);
            }
        });
    }
    let output = child.wait_with_output()?;
    let fault = fault.get().map(|error| io::Error::new(error.kind(), error.to_string()));
    Ok(Heard { output, fault })
}

/// Ends a child of [`spawn_apart`] that was not reaped yet, and all that it began and that stayed with it.
pub fn end_group(child: u32) {
    if let Ok(child) = i32::try_from(child) {
        let _ = nix::sys::signal::killpg(Pid::from_raw(child), Signal::SIGKILL);
    }
}

/// Sends a signal to a child that was not reaped yet.
pub fn tell(child: u32, signal: i32) {
    if let (Ok(child), Ok(signal)) = (i32::try_from(child), Signal::try_from(signal)) {
        let _ = kill(Pid::from_raw(child), signal);
    }
}

/// Stops this process; returns when it was continued.
pub fn halt() {
    let _ = kill(Pid::this(), Signal::SIGSTOP);
}

/// Waits until the child has ended, and leaves it to be reaped: until then nothing else has its number.
pub fn await_end(child: u32) {
    let Ok(child) = i32::try_from(child) else { return };
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(Pid::from_raw(child)), ended) == Err(Errno::EINTR) {}
}
