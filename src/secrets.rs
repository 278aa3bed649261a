//! Fetches values at the last moment: from the host's environment, from commands, from the terminal, from files.
//!
//! Values are in memory only, and leave it only through the gate's stdin. No error text holds one.

use crate::exit::UserError;
use crate::facts::PROXY_VARIABLE;
use crate::hint;
use crate::plan::{Plan, Source};
use policy::matchable::{self, SecretClass};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant, SystemTime};
use sys::signals::Signals;
use sys::tty::{Answer, Tty};
use wire::{Blob, Token, Values};

/// Why the values were not collected.
pub enum NotCollected {
    Refused(UserError),
    Signal(i32),
}

impl From<UserError> for NotCollected {
    fn from(refused: UserError) -> Self {
        NotCollected::Refused(refused)
    }
}

/// Checks before anything starts that the variables are set, and that there is a terminal where the plan asks for a value.
///
/// # Errors
/// `UserError` with the name of the first that is missing or empty.
pub fn check(plan: &Plan) -> Result<(), UserError> {
    for source in plan.values.values() {
        match source {
            Source::Env(name) => check_variable(name)?,
            Source::EnvOrEmpty(name) => drop(variable_or_empty(name)?),
            Source::Ask(text) => drop(terminal(text)?),
            Source::Command(_) | Source::File(_) => {}
        }
    }
    Ok(())
}

/// Fetches these values. `home`: the folder of the home's manifest, where commands are run.
///
/// # Errors
/// A value cannot be fetched, or a signal came at a question.
pub fn collect(sources: &BTreeMap<String, Source>, home: &Path, signals: &Signals) -> Result<Values, NotCollected> {
    let mut values = Values::new();
    for (name, source) in sources {
        let value = match source {
            Source::Env(name) => variable(name)?.into_bytes(),
            Source::EnvOrEmpty(name) => variable_or_empty(name)?.into_bytes(),
            Source::File(path) => fs::read(path).map_err(|e| UserError::unreadable(path, &e))?,
            Source::Command(argv) => run_token_command(argv, home)?,
            Source::Ask(text) => ask(text, signals)?,
        };
        values.insert(name.clone(), Blob(value));
    }
    Ok(values)
}

/// The host's variables whose values the gate does not look for in what leaves, and why. It is known before anything starts.
pub fn unmatched(plan: &Plan) -> BTreeMap<String, &'static str> {
    let given: BTreeSet<&str> = plan.go.env.values().filter_map(wire::Source::value).collect();
    let of_routes = plan.policy.routes.iter().filter_map(|route| route.auth.as_ref()).map(|auth| auth.token.as_str());
    let of_git = plan.git.iter().flat_map(wire::GitService::secrets);
    let tokens: BTreeSet<&str> = of_routes.chain(of_git).collect();
    let why = |(name, source): (&String, &Source)| {
        let (Source::Env(variable) | Source::EnvOrEmpty(variable)) = source else { return None };
        // A value that the agent has as well is weighed as one that it knows.
        let class = match name.as_str() {
            name if given.contains(name) => SecretClass::AgentVisible,
            name if tokens.contains(name) => SecretClass::GateOnly,
            _ => return None,
        };
        let value = read_variable(variable).ok()?;
        Some((variable.clone(), matchable::unmatchable_because(class, value.as_bytes().trim_ascii())?))
    };
    plan.values.iter().filter_map(why).collect()
}

/// # Errors
/// `UserError` where the host's variable is not set, or is empty.
pub fn check_variable(name: &str) -> Result<(), UserError> {
    variable(name).map(drop)
}

/// The values that need neither a command nor a question, and why each of the others is missing. Files are left out: they
/// are no secrets.
pub fn available(sources: &BTreeMap<String, Source>) -> (Values, BTreeMap<String, &'static str>) {
    let (mut values, mut missing) = (Values::new(), BTreeMap::new());
    for (name, source) in sources {
        let value = match source {
            Source::Env(variable) => read_variable(variable),
            Source::EnvOrEmpty(variable) => or_empty(read_variable(variable)),
            Source::Command(_) => Err("no command is run for this"),
            Source::Ask(_) => Err("asked for at start"),
            Source::File(_) => continue,
        };
        match value {
            Ok(value) => drop(values.insert(name.clone(), Blob(value.into_bytes()))),
            Err(why) => drop(missing.insert(name.clone(), why)),
        }
    }
    (values, missing)
}

fn variable(name: &str) -> Result<String, UserError> {
    read_variable(name).map_err(|why| {
        let refused = UserError::new(format!("the host's variable `{name}` is {why}"));
        match name {
            PROXY_VARIABLE => refused,
            _ => refused.hint(hint!("`export {}=…`: the manifest asks for it", name)),
        }
    })
}

/// # Errors
/// `UserError` where the host's variable cannot be a value, though it is set.
fn variable_or_empty(name: &str) -> Result<String, UserError> {
    or_empty(read_variable(name)).map_err(|why| UserError::new(format!("the host's variable `{name}` is {why}")))
}

fn or_empty(read: Result<String, &'static str>) -> Result<String, &'static str> {
    match read {
        Err(NOT_SET | EMPTY) => Ok(String::new()),
        read => read,
    }
}

const NOT_SET: &str = "not set";
const EMPTY: &str = "empty";

fn read_variable(name: &str) -> Result<String, &'static str> {
    match std::env::var(name) {
        Ok(value) if value.trim().is_empty() => Err(EMPTY),
        Ok(value) if value.trim().chars().all(|c| matches!(c, '.' | '…')) => {
            Err("only dots, as a manual prints them")
        }
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotPresent) => Err(NOT_SET),
        Err(std::env::VarError::NotUnicode(_)) => Err("not UTF-8"),
    }
}

/// Runs a `token_cmd` and gives its token, to be sent to the gate. The command may ask on the terminal, as password
/// managers do.
fn run_token_command(argv: &[String], home: &Path) -> Result<Vec<u8>, UserError> {
    let program = split(argv).0;
    let failed = |why: String| command_error(program, &why);
    let output = token_command(argv, home)
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    token_for_gate(program, &output.stdout)
}

/// A `token_cmd` in `home`, the folder of the manifest that has it. In the directory where the tool is run, which may have
/// been cloned, many programs would obey its files: `git credential fill` runs the helper that a `.git/config` names.
fn token_command(argv: &[String], home: &Path) -> Command {
    let (program, args) = split(argv);
    let mut command = Command::new(program);
    // The shell's word for the directory would be the one that was left.
    command.args(args).current_dir(home).env_remove("OLDPWD").env("PWD", home);
    command
}

fn split(argv: &[String]) -> (&str, &[String]) {
    argv.split_first().map_or(("", &[]), |(program, args)| (program, args))
}

fn command_error(program: &str, why: &str) -> UserError {
    UserError::new(format!("`token_cmd` `{program}`: {why}"))
}

/// The token that was printed, in the form that the gate reads: with the time left to it, because the clocks may differ.
fn token_for_gate(program: &str, printed: &[u8]) -> Result<Vec<u8>, UserError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    match Token::read(printed, now) {
        Ok(token) if token.has_ended() => Err(command_error(program, "the token that it printed has expired")),
        Ok(token) => Ok(token.encode()),
        Err(why) => Err(command_error(program, why)),
    }
}

/// A `token_cmd` that is run again while the session runs. It has no terminal, because the agent has it.
pub struct TokenCommand {
    program: String,
    child: Child,
    /// Set once the child was reaped.
    status: Option<ExitStatus>,
    began: Instant,
    stdout: DrainedPipe,
    stderr: DrainedPipe,
}

impl TokenCommand {
    /// After this long, the command is ended.
    const TIMEOUT: Duration = Duration::from_secs(60);
    /// What is read of one of its streams, bytes.
    const MAX_OUTPUT_BYTES: u64 = 64 << 10;

    /// Call it from the main thread. `home`: the folder of the manifest that has the command.
    ///
    /// # Errors
    /// `UserError` where the program cannot be run.
    pub fn begin(argv: &[String], home: &Path) -> Result<TokenCommand, UserError> {
        let program = split(argv).0;
        let mut command = token_command(argv, home);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Programs that would find the terminal by this variable must not ask on it.
        command.env_remove("GPG_TTY");
        let mut child =
            sys::child::spawn_in_new_session(&mut command).map_err(|e| command_error(program, &e.to_string()))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut command = TokenCommand {
            program: program.to_owned(),
            child,
            status: None,
            began: Instant::now(),
            stdout: DrainedPipe::default(),
            stderr: DrainedPipe::default(),
        };
        // Where one fails, `command` is dropped, which kills the child.
        let no_thread = |error: io::Error| command_error(program, &error.to_string());
        command.stdout = DrainedPipe::new(stdout).map_err(no_thread)?;
        command.stderr = DrainedPipe::new(stderr).map_err(no_thread)?;
        Ok(command)
    }

    /// The token that it printed, to be sent to the gate; `None` while it runs.
    ///
    /// # Errors
    /// `UserError` with the last line of its stderr.
    pub fn finished(&mut self) -> Option<Result<Vec<u8>, UserError>> {
        // The pipes first: a process that the command left behind may hold them open.
        if self.stdout.is_whole() & self.stderr.is_whole() {
            self.status = self.child.try_wait().ok().flatten();
        }
        match self.status {
            Some(status) => Some(self.read_output(status)),
            None if self.began.elapsed() < TokenCommand::TIMEOUT => None,
            None => Some(Err(command_error(&self.program, "it did not end within a minute"))),
        }
    }

    fn read_output(&self, status: ExitStatus) -> Result<Vec<u8>, UserError> {
        if status.success() {
            return token_for_gate(&self.program, &self.stdout.bytes);
        }
        let said = String::from_utf8_lossy(&self.stderr.bytes);
        let printed = String::from_utf8_lossy(&self.stdout.bytes);
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        // What it printed may be the token, even where it has failed.
        let secret = printed.lines().map(str::trim).any(|line| !line.is_empty() && last.contains(line));
        Err(command_error(
            &self.program,
            &if last.is_empty() || secret { status.to_string() } else { format!("{status}: {last}") },
        ))
    }
}

impl Drop for TokenCommand {
    fn drop(&mut self) {
        // The child was not reaped yet, so its number belongs to no other process.
        if self.status.is_none() {
            sys::child::kill_group(self.child.id());
            let _ = self.child.wait();
        }
    }
}

/// One stream of a child, collected by a thread. The default is a stream that has ended.
#[derive(Default)]
struct DrainedPipe {
    arriving: Option<Receiver<Vec<u8>>>,
    bytes: Vec<u8>,
}

impl DrainedPipe {
    fn new(pipe: Option<impl Read + Send + 'static>) -> io::Result<DrainedPipe> {
        let (tell, arriving) = channel();
        sys::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.by_ref().take(TokenCommand::MAX_OUTPUT_BYTES).read_to_end(&mut bytes);
                let _ = io::copy(&mut pipe, &mut io::sink());
            }
            let _ = tell.send(bytes);
        })?;
        Ok(DrainedPipe { arriving: Some(arriving), bytes: Vec::new() })
    }

    /// Has the stream ended? Then `bytes` is what came.
    fn is_whole(&mut self) -> bool {
        match self.arriving.as_ref().map(Receiver::try_recv) {
            Some(Err(TryRecvError::Empty)) => return false,
            Some(Ok(bytes)) => self.bytes = bytes,
            Some(Err(TryRecvError::Disconnected)) | None => {}
        }
        self.arriving = None;
        true
    }
}

fn terminal(text: &str) -> Result<Tty, UserError> {
    Tty::open().ok_or_else(|| {
        UserError::new(format!("`{text}` must be asked, and there is no terminal"))
            .hint("start it on a terminal; a variable can be taken from the host instead: \"${VARIABLE}\"")
    })
}

fn ask(text: &str, signals: &Signals) -> Result<Vec<u8>, NotCollected> {
    let mut tty = terminal(text)?;
    match tty.ask_silently(&format!("{text}: "), signals) {
        Answer::Line(line) if !line.is_empty() => Ok(line.into_bytes()),
        Answer::Signal(number) => Err(NotCollected::Signal(number)),
        _ => Err(UserError::new(format!("no answer to `{text}`")).into()),
    }
}
