//! Runs the engine's program: short calls whose output is captured, calls that stream, and the terminal's own child.

use super::{errors, shown};
use crate::exit::{EngineError, EngineErrorKind, UserError};
use crate::facts::Engine;
use crate::say;
use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use sys::child::DeathSignal;
use sys::timings;
use xshell::Shell;

/// What is kept of one captured stream, bytes. The rest is read and dropped, so that the child never waits.
const MAX_CAPTURED_BYTES: u64 = 8 << 20;

/// One engine.
pub struct Docker {
    engine: Engine,
    shell: Shell,
    /// When a short call that has not ended is killed.
    deadline: Option<Instant>,
}

impl Docker {
    /// # Errors
    /// The current directory is gone.
    pub fn new(engine: &Engine) -> Result<Docker, EngineError> {
        let shell = Shell::new().map_err(|e| EngineError::new(format!("no working directory: {e}")))?;
        Ok(Docker { engine: engine.clone(), shell, deadline: None })
    }

    /// For callers that cannot wait without a bound: every short call that has not ended by then is killed, and fails.
    pub fn with_deadline(self, deadline: Instant) -> Docker {
        Docker { deadline: Some(deadline), ..self }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Runs a short call to its end; gives its stdout, trimmed.
    ///
    /// # Errors
    /// The program cannot be run, or ends with another code than 0.
    pub fn run(&self, args: &[String]) -> Result<String, EngineError> {
        self.begin(args)?.finish()
    }

    /// Starts a short call whose output is captured.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn begin(&self, args: &[String]) -> Result<Call, EngineError> {
        self.capture(args, Stdio::null())
    }

    /// Starts a short call that reads `input` on its stdin.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn begin_with_input(&self, args: &[String], input: Vec<u8>) -> Result<Call, EngineError> {
        let mut call = self.capture(args, Stdio::piped())?;
        if let Some(mut stdin) = call.stream.child.stdin.take() {
            // A client that does not read its input fails, and says why itself.
            let writer = sys::thread::spawn(move || drop(stdin.write_all(&input)));
            kill_without(&mut call.stream.child, writer)?;
        }
        Ok(call)
    }

    /// Starts a call that streams: its stdout is the caller's, its stderr is captured.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn stream(&self, args: &[String]) -> Result<Stream, EngineError> {
        self.pipe(args, Stdio::null(), DeathSignal::Kill)
    }

    /// Starts a call that streams in both directions: its stdin and stdout are the caller's, its stderr is captured.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn stream_with_input(&self, args: &[String]) -> Result<Stream, EngineError> {
        self.pipe(args, Stdio::piped(), DeathSignal::Kill)
    }

    /// Starts a call as [`Docker::stream_with_input`] does, whose container gets SIGTERM when this process dies.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn stream_of_bound_container(&self, args: &[String]) -> Result<Stream, EngineError> {
        self.pipe(args, Stdio::piped(), DeathSignal::Term)
    }

    /// Starts the agent's client: it shares our process group and our stdout, and without `stdin` our stdin. On a terminal it
    /// reads from `stdin`, its stderr is captured, because the agent writes to stdout alone there and what the client says
    /// would mix with it, and it dies with this process: nothing would pass on the keys, or restore the terminal.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn attach_agent(&self, args: &[String], stdin: Option<Stdio>) -> Result<Stream, EngineError> {
        let mut command = self.command(args);
        say::call(|| shown::line(&command));
        let child = match stdin {
            Some(stdin) => {
                command.stdin(stdin).stderr(Stdio::piped());
                sys::child::spawn_in_our_group(&mut command, DeathSignal::Kill)
            }
            None => command.spawn(),
        };
        let mut child = child.map_err(|e| self.no_program(&e))?;
        let stderr = drain(&mut child, |child| child.stderr.take())?;
        Ok(Stream { child, stderr, _timed: None })
    }

    /// Starts a program whose stdin is the caller's, and whose stdout and stderr are ours. It hears no signal of the
    /// terminal's, and dies with this process.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn attach_with_input(&self, args: &[String]) -> Result<Child, EngineError> {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        Ok(self.spawn(&mut command, args, DeathSignal::Kill)?.0)
    }

    fn capture(&self, args: &[String], stdin: Stdio) -> Result<Call, EngineError> {
        let mut stream = self.pipe(args, stdin, DeathSignal::Kill)?;
        let stdout = drain(&mut stream.child, |child| child.stdout.take())?;
        let words = args.iter().take_while(|arg| !arg.starts_with('-')).take(2).cloned().collect::<Vec<_>>().join(" ");
        let verb = format!("{} {words}", self.engine.program);
        Ok(Call { stream, stdout, verb, deadline: self.deadline })
    }

    fn pipe(&self, args: &[String], stdin: Stdio, at_death: DeathSignal) -> Result<Stream, EngineError> {
        let mut command = self.command(args);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (mut child, timed) = self.spawn(&mut command, args, at_death)?;
        let stderr = drain(&mut child, |child| child.stderr.take())?;
        Ok(Stream { child, stderr, _timed: Some(timed) })
    }

    pub(super) fn command(&self, args: &[String]) -> Command {
        let mut cmd = self.shell.cmd(&self.engine.program).args(args);
        // The recorded engine counts, not the one that the environment of a later call names.
        for (name, value) in self.engine.variables() {
            cmd = match value {
                Some(value) => cmd.env(name, value),
                None => cmd.env_remove(name),
            };
        }
        Command::from(cmd)
    }

    /// Spawns a child that is not the terminal's: shown to the user who wants to see calls, timed, and bound to this
    /// process.
    pub(super) fn spawn(
        &self,
        command: &mut Command,
        args: &[String],
        at_death: DeathSignal,
    ) -> Result<(Child, timings::Call), EngineError> {
        say::call(|| shown::line(command));
        let timed = timings::call(|| shown::short(&self.engine.program, args));
        let child = sys::child::spawn(command, at_death).map_err(|e| self.no_program(&e))?;
        Ok((child, timed))
    }

    fn no_program(&self, error: &io::Error) -> EngineError {
        let program = &self.engine.program;
        let what = EngineError::new(format!("cannot run `{program}`: {error}"));
        match error.kind() {
            ErrorKind::NotFound => {
                what.hint("install Docker's command line, or name another program in `CLAUDE_BOTTLE_DOCKER`")
            }
            _ => what,
        }
    }
}

/// A short call under way. Threads drain its output, so that it never waits for us.
pub struct Call {
    stream: Stream,
    stdout: Option<JoinHandle<Vec<u8>>>,
    /// The program and its first words, for errors.
    verb: String,
    deadline: Option<Instant>,
}

impl Call {
    /// Waits; gives its stdout, trimmed.
    ///
    /// # Errors
    /// It ended with another code than 0, or not before the deadline.
    pub fn finish(self) -> Result<String, EngineError> {
        match self.finish_with_output()? {
            (stdout, None) => Ok(stdout),
            (_, Some(error)) => Err(error),
        }
    }

    /// Waits; gives its stdout, trimmed, whatever its exit code was, and the error of another code than 0. For calls that
    /// print what they found and fail for the rest.
    ///
    /// # Errors
    /// It did not end before the deadline.
    pub fn finish_with_output(mut self) -> Result<(String, Option<EngineError>), EngineError> {
        let status = self.wait()?;
        let stdout = text_of(self.stdout.take());
        let stderr = text_of(self.stream.stderr.take());
        Ok((stdout, (!status.success()).then(|| errors::of_call(&self.verb, &stderr, status))))
    }

    pub fn has_ended(&mut self) -> bool {
        !matches!(self.stream.child.try_wait(), Ok(None))
    }

    /// Kills it; its output does not matter any more.
    pub fn cancel(mut self) {
        let _ = self.stream.child.kill();
        let _ = self.stream.child.wait();
    }

    /// Waits for its end, and kills it at the deadline.
    fn wait(&mut self) -> Result<ExitStatus, EngineError> {
        let child = &mut self.stream.child;
        let (ended, end) = mpsc::channel::<()>();
        let watchdog = self.deadline.map(|deadline| {
            let pid = child.id();
            sys::thread::spawn(move || {
                let left = deadline.saturating_duration_since(Instant::now());
                let is_late = end.recv_timeout(left) == Err(RecvTimeoutError::Timeout);
                if is_late {
                    sys::child::kill_group(pid);
                }
                is_late
            })
        });
        let watchdog = watchdog.map(|thread| kill_without(child, thread)).transpose()?;
        // Until the child is reaped, its number belongs to no other process that the watchdog could hit.
        sys::child::await_end(child.id());
        drop(ended);
        let is_late = watchdog.is_some_and(|thread| thread.join().unwrap_or(false));
        match child.wait() {
            Ok(_) if is_late => Err(EngineError::new(format!("`{}`: no answer within seconds", self.verb))
                .kind(EngineErrorKind::Unreachable)
                .hint("the engine hangs, or its host is out of reach")),
            status => status.map_err(|e| EngineError::new(format!("`{}`: {e}", self.verb))),
        }
    }
}

/// A call whose streams the caller holds.
pub struct Stream {
    pub child: Child,
    stderr: Option<JoinHandle<Vec<u8>>>,
    _timed: Option<timings::Call>,
}

impl Stream {
    /// Waits for an end with 0.
    ///
    /// # Errors
    /// The last line on its stderr; `fallback` where there is none.
    pub fn expect_success(self, fallback: &str) -> Result<(), EngineError> {
        let (status, stderr) = self.wait();
        match status.is_some_and(|status| status.success()) {
            true => Ok(()),
            false => Err(errors::of_stream(&stderr, fallback)),
        }
    }

    /// Waits for an end with 0 of a program of ours inside a bottle.
    ///
    /// # Errors
    /// `UserError` with the last line that the program wrote to stderr.
    pub fn expect_success_inside(self) -> Result<(), UserError> {
        let (status, stderr) = self.wait();
        match status.is_some_and(|status| status.success()) {
            true => Ok(()),
            false => Err(errors::inside(&stderr)),
        }
    }

    /// Waits; gives the status and what it wrote to stderr, trimmed.
    pub fn wait(mut self) -> (Option<ExitStatus>, String) {
        let status = self.child.wait().ok();
        (status, text_of(self.stderr.take()))
    }

    /// Waits until it ends by itself, and kills it after `timeout`; gives what [`Stream::wait`] gives.
    pub fn wait_or_kill(mut self, timeout: Duration) -> (Option<ExitStatus>, String) {
        let (pid, (ended, end)) = (self.child.id(), mpsc::channel());
        // Without a thread that waits, the channel is closed, and the child is killed at once.
        let _ = sys::thread::spawn(move || {
            sys::child::await_end(pid);
            let _ = ended.send(());
        });
        if end.recv_timeout(timeout).is_err() {
            let _ = self.child.kill();
        }
        self.wait()
    }
}

/// A call that goes on by itself, and ends with this value: its client is killed then.
pub struct ScopedStream(pub Stream);

impl Drop for ScopedStream {
    fn drop(&mut self) {
        let _ = self.0.child.kill();
        let _ = self.0.child.wait();
    }
}

/// Reads a pipe of the child on a thread.
fn drain<P: Read + Send + 'static>(
    child: &mut Child,
    pipe: impl FnOnce(&mut Child) -> Option<P>,
) -> Result<Option<JoinHandle<Vec<u8>>>, EngineError> {
    let Some(mut pipe) = pipe(child) else { return Ok(None) };
    let reader = sys::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.by_ref().take(MAX_CAPTURED_BYTES).read_to_end(&mut bytes);
        let _ = io::copy(&mut pipe, &mut io::sink());
        bytes
    });
    kill_without(child, reader).map(Some)
}

/// Kills the child where the thread that serves it could not be made: it would wait for that thread for ever.
fn kill_without<T>(child: &mut Child, thread: io::Result<T>) -> Result<T, EngineError> {
    thread.map_err(|error| {
        let _ = child.kill();
        let _ = child.wait();
        EngineError::new(error.to_string())
            .hint("this machine has too little memory, or runs too many processes: end some")
    })
}

fn text_of(drained: Option<JoinHandle<Vec<u8>>>) -> String {
    let bytes = drained.and_then(|thread| thread.join().ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}
