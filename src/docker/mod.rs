//! The only place that runs the engine's program. Every child but the terminal's is in a process group of its own and
//! dies with this process; spawn from the main thread only.

mod about;
mod build;
mod say;
mod typed;

pub use about::About;
pub use build::{Built, build};
pub use say::{Info, gone, has_no_image, is_gone, is_taken};

use crate::exit::EngineError;
use crate::facts::Engine;
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use sys::{self, timings};
use xshell::Shell;

/// One engine.
pub struct Docker {
    engine: Engine,
    shell: Shell,
    /// When short calls are given up.
    until: Option<Instant>,
}

impl Docker {
    /// # Errors
    /// Where the current directory is gone.
    pub fn new(engine: &Engine) -> Result<Docker, EngineError> {
        let shell = Shell::new().map_err(|e| EngineError::new(format!("no working directory: {e}")))?;
        Ok(Docker { engine: engine.clone(), shell, until: None })
    }

    /// The same for who cannot wait for ever: a short call that has not ended by then fails.
    pub fn until(self, when: Instant) -> Docker {
        Docker { until: Some(when), ..self }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn command(&self, args: &[String]) -> Command {
        let mut cmd = self.shell.cmd(&self.engine.program).args(args);
        // The recorded engine counts, not what the environment of a later call names.
        for (name, value) in self.engine.variables() {
            cmd = match value {
                Some(value) => cmd.env(name, value),
                None => cmd.env_remove(name),
            };
        }
        Command::from(cmd)
    }

    /// Starts a short call whose output is captured; finish it with [`Call::finish`].
    pub fn start(&self, args: &[String]) -> Result<Call, EngineError> {
        self.begin(args, Stdio::null())
    }

    fn begin(&self, args: &[String], stdin: Stdio) -> Result<Call, EngineError> {
        let mut command = self.command(args);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (mut child, timed) = self.spawn(&mut command, args)?;
        let stdout = child.stdout.take().map(drain);
        let stderr = child.stderr.take().map(drain);
        let verb = args.iter().take_while(|arg| !arg.starts_with('-')).take(2).cloned().collect::<Vec<_>>().join(" ");
        let verb = format!("{} {verb}", self.engine.program);
        Ok(Call { child, stdout, stderr, verb, until: self.until, _timed: timed })
    }

    /// The one way to a child that is not the terminal's: shown, counted, and bound to this process.
    fn spawn(&self, command: &mut Command, args: &[String]) -> Result<(Child, timings::Call), EngineError> {
        crate::say::call(|| typed::line(command));
        let timed = timings::call(|| typed::short(&self.engine.program, args));
        let child = sys::child::spawn(command).map_err(|e| self.no_program(&e))?;
        Ok((child, timed))
    }

    /// The same, told this on its stdin.
    pub fn tell(&self, args: &[String], text: Vec<u8>) -> Result<Call, EngineError> {
        let mut call = self.begin(args, Stdio::piped())?;
        if let Some(mut stdin) = call.child.stdin.take() {
            // A client that does not read it says why by itself.
            std::thread::spawn(move || drop(stdin.write_all(&text)));
        }
        Ok(call)
    }

    /// Runs a short call to its end.
    pub fn brief(&self, args: &[String]) -> Result<String, EngineError> {
        self.start(args)?.finish()
    }

    pub fn has_volume(&self, name: &str) -> Result<bool, EngineError> {
        let args = ["volume", "inspect", "--format", "{{.Name}}", name].map(str::to_owned);
        match self.brief(&args) {
            Ok(_) => Ok(true),
            Err(error) if say::has_no_volume(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Starts a call that streams: its stdout is the caller's, its stderr is captured.
    pub fn stream(&self, args: &[String]) -> Result<Stream, EngineError> {
        self.piped(args, Stdio::null())
    }

    /// The same with its stdin held open.
    pub fn hold(&self, args: &[String]) -> Result<Stream, EngineError> {
        self.piped(args, Stdio::piped())
    }

    fn piped(&self, args: &[String], stdin: Stdio) -> Result<Stream, EngineError> {
        let mut command = self.command(args);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (mut child, timed) = self.spawn(&mut command, args)?;
        let stderr = child.stderr.take().map(drain);
        Ok(Stream { child, stderr, _timed: timed })
    }

    /// The terminal's own child: it shares our process group, our stdin, stdout and stderr.
    pub fn attach(&self, args: &[String]) -> Result<Child, EngineError> {
        let mut command = self.command(args);
        crate::say::call(|| typed::line(&command));
        command.spawn().map_err(|e| self.no_program(&e))
    }

    fn no_program(&self, error: &std::io::Error) -> EngineError {
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

/// A call under way. Its output is drained by threads, so that it never waits for us.
pub struct Call {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    verb: String,
    until: Option<Instant>,
    _timed: timings::Call,
}

impl Call {
    /// Its stdout, trimmed.
    ///
    /// # Errors
    /// The engine's own last line, with what to type where that is known.
    pub fn finish(mut self) -> Result<String, EngineError> {
        let status = self.wait()?;
        let stdout = joined(self.stdout.take());
        let stderr = joined(self.stderr.take());
        if status.success() { Ok(stdout) } else { Err(say::error(&self.verb, &stderr, status)) }
    }

    /// Waits for its end, no longer than its engine is given.
    fn wait(&mut self) -> Result<ExitStatus, EngineError> {
        let (ended, end) = mpsc::channel::<()>();
        let watch = self.until.map(|until| {
            let child = self.child.id();
            std::thread::spawn(move || {
                let patience = until.saturating_duration_since(Instant::now());
                let is_late = end.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
                if is_late {
                    sys::child::kill_group(child);
                }
                is_late
            })
        });
        // Until it is reaped, its number is nobody else's.
        sys::child::await_end(self.child.id());
        drop(ended);
        let is_late = watch.is_some_and(|watch| watch.join().unwrap_or(false));
        match self.child.wait() {
            Ok(_) if is_late => Err(EngineError::new(format!("`{}`: no answer within seconds", self.verb))
                .hint("the engine hangs, or its host is out of reach")),
            ended => ended.map_err(|e| EngineError::new(format!("`{}`: {e}", self.verb))),
        }
    }

    /// Has it ended?
    pub fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Nobody waits for it any more.
    pub fn give_up(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Its stdout, whatever its exit code: for calls that print what they found and fail for the rest.
    pub fn found(mut self) -> Result<(String, Option<EngineError>), EngineError> {
        let status = self.wait()?;
        let stdout = joined(self.stdout.take());
        let stderr = joined(self.stderr.take());
        Ok((stdout, (!status.success()).then(|| say::error(&self.verb, &stderr, status))))
    }
}

/// A call whose streams the caller holds.
pub struct Stream {
    pub child: Child,
    stderr: Option<JoinHandle<Vec<u8>>>,
    _timed: timings::Call,
}

impl Stream {
    /// Waits for a good end.
    ///
    /// # Errors
    /// The last line on its stderr; `else_said` where there is none.
    pub fn must(self, else_said: &str) -> Result<(), EngineError> {
        let (status, words) = self.end();
        match status.is_some_and(|status| status.success()) {
            true => Ok(()),
            false => Err(EngineError::new(words.lines().last().unwrap_or(else_said))),
        }
    }

    /// Waits; gives the status and the last words on stderr.
    pub fn end(mut self) -> (Option<ExitStatus>, String) {
        let status = self.child.wait().ok();
        (status, joined(self.stderr.take()))
    }

    /// The last words on stderr of one that is to end by itself, and is ended after so long.
    pub fn end_within(mut self, bound: Duration) -> String {
        let (child, (ended, end)) = (self.child.id(), mpsc::channel());
        std::thread::spawn(move || {
            sys::child::await_end(child);
            let _ = ended.send(());
        });
        if end.recv_timeout(bound).is_err() {
            let _ = self.child.kill();
        }
        self.end().1
    }
}

const CAPTURED: u64 = 8 << 20;

fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.by_ref().take(CAPTURED).read_to_end(&mut bytes);
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        bytes
    })
}

fn joined(thread: Option<JoinHandle<Vec<u8>>>) -> String {
    let bytes = thread.and_then(|thread| thread.join().ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}
