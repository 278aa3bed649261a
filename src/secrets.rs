//! Values, fetched at the last moment: from the host's environment, from commands, from the terminal, from files.
//!
//! They live in memory only, and leave it only through the gate's stdin. No error text holds one.

use crate::exit::UserError;
use crate::plan::{PROXY_VARIABLE, Plan, Source};
use policy::worth::{self, Class};
use wire::{self, Blob, Token, Values};

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant, SystemTime};
use sys::signals::Signals;
use sys::tty::{Answer, Tty};

/// What stopped the collection.
pub enum Stopped {
    Refused(UserError),
    Signal(i32),
}

impl From<UserError> for Stopped {
    fn from(refused: UserError) -> Self {
        Stopped::Refused(refused)
    }
}

/// Are the variables there, and a terminal for what must be asked? Before anything starts.
///
/// # Errors
/// `UserError` with the first that is missing or empty, by name.
pub fn check(plan: &Plan) -> Result<(), UserError> {
    for source in plan.values.values() {
        match source {
            Source::Env(name) => is_there(name)?,
            Source::Ask(text) => drop(terminal(text)?),
            Source::Command(_) | Source::File(_) => {}
        }
    }
    Ok(())
}

/// All values of the plan.
pub fn collect(plan: &Plan, signals: &Signals) -> Result<Values, Stopped> {
    let mut values = Values::new();
    for (name, source) in &plan.values {
        let value = match source {
            Source::Env(name) => variable(name)?.into_bytes(),
            Source::File(path) => {
                fs::read(path).map_err(|e| UserError::new(format!("cannot read `{}`: {e}", path.display())))?
            }
            Source::Command(argv) => output(argv)?,
            Source::Ask(text) => ask(text, signals)?,
        };
        values.insert(name.clone(), Blob(value));
    }
    Ok(values)
}

/// The host's variables whose values are not looked for in what leaves, and why: known before anything starts.
pub fn unmatched(plan: &Plan) -> BTreeMap<String, &'static str> {
    let given: BTreeSet<&str> = plan.go.env.values().filter_map(wire::Source::value).collect();
    let tokens: BTreeSet<&str> =
        plan.policy.routes.iter().filter_map(|route| route.auth.as_ref()).map(|auth| auth.token.as_str()).collect();
    let why = |(name, source): (&String, &Source)| {
        let Source::Env(variable) = source else { return None };
        // What the agent was given is no secret of the gate's.
        let class = match name.as_str() {
            name if given.contains(name) => Class::Seen,
            name if tokens.contains(name) => Class::GateOnly,
            _ => return None,
        };
        let value = look_up(variable).ok()?;
        Some((variable.clone(), worth::unfit(class, value.as_bytes().trim_ascii())?))
    };
    plan.values.iter().filter_map(why).collect()
}

/// # Errors
/// `UserError` where a start would miss this variable.
pub fn is_there(name: &str) -> Result<(), UserError> {
    variable(name).map(drop)
}

/// Those that nobody has to be asked for, and why the others are not among them. Files are no secrets.
pub fn at_hand(sources: &BTreeMap<String, Source>) -> (Values, BTreeMap<String, &'static str>) {
    let (mut values, mut missing) = (Values::new(), BTreeMap::new());
    for (name, source) in sources {
        let value = match source {
            Source::Env(variable) => look_up(variable),
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
    look_up(name).map_err(|why| {
        let refused = UserError::new(format!("the host's variable `{name}` is {why}"));
        match name {
            PROXY_VARIABLE => refused,
            _ => refused.hint(format!("export {name}=…; the manifest asks for it")),
        }
    })
}

fn look_up(name: &str) -> Result<String, &'static str> {
    match std::env::var(name) {
        Ok(value) if !value.trim().is_empty() => Ok(value),
        Ok(_) => Err("empty"),
        Err(std::env::VarError::NotPresent) => Err("not set"),
        Err(std::env::VarError::NotUnicode(_)) => Err("not UTF-8"),
    }
}

/// What it prints, to be carried to the gate. It may ask on the terminal, as password managers do.
fn output(argv: &[String]) -> Result<Vec<u8>, UserError> {
    let (program, args) = split(argv);
    let failed = |why: String| failed(program, &why);
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    carried(program, &output.stdout)
}

fn split(argv: &[String]) -> (&str, &[String]) {
    argv.split_first().map_or(("", &[]), |(program, args)| (program, args))
}

fn failed(program: &str, why: &str) -> UserError {
    UserError::new(format!("`token_cmd` `{program}`: {why}"))
}

/// The token in what was printed, as the gate reads it: with the time that is left to it, since clocks differ.
fn carried(program: &str, printed: &[u8]) -> Result<Vec<u8>, UserError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    match Token::read(printed, now) {
        Ok(token) if token.has_ended() => Err(failed(program, "the token that it printed has expired")),
        Ok(token) => Ok(token.encode()),
        Err(why) => Err(failed(program, why)),
    }
}

/// A `token_cmd` that is run again, beside a session. It has no terminal: that is the agent's.
pub struct TokenCommand {
    program: String,
    child: Child,
    /// Once it was reaped.
    status: Option<ExitStatus>,
    began: Instant,
    stdout: Pipe,
    stderr: Pipe,
}

impl TokenCommand {
    /// After this long, the command is ended.
    const TIMEOUT: Duration = Duration::from_secs(60);
    /// What is read of one of its streams, bytes.
    const MAX_OUTPUT_BYTES: u64 = 64 << 10;

    /// From the main thread only. `cwd`: where it ran before, as far as that is there.
    pub fn begin(argv: &[String], cwd: &Path) -> Result<TokenCommand, UserError> {
        let (program, args) = split(argv);
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // By its name, too, nobody finds the terminal and asks there.
        command.env_remove("GPG_TTY");
        if cwd.is_dir() {
            command.current_dir(cwd);
        }
        let mut child = sys::child::spawn_in_new_session(&mut command).map_err(|e| failed(program, &e.to_string()))?;
        let (stdout, stderr) = (Pipe::drain(child.stdout.take()), Pipe::drain(child.stderr.take()));
        Ok(TokenCommand { program: program.to_owned(), child, status: None, began: Instant::now(), stdout, stderr })
    }

    /// What it printed, to be carried to the gate; `None` while it runs.
    ///
    /// # Errors
    /// `UserError` with the last line of what it said.
    pub fn finished(&mut self) -> Option<Result<Vec<u8>, UserError>> {
        // Somebody that it left behind may hold its pipes.
        if self.stdout.is_whole() & self.stderr.is_whole() {
            self.status = self.child.try_wait().ok().flatten();
        }
        match self.status {
            Some(status) => Some(self.verdict(status)),
            None if self.began.elapsed() < TokenCommand::TIMEOUT => None,
            None => Some(Err(failed(&self.program, "it did not end within a minute"))),
        }
    }

    fn verdict(&self, status: ExitStatus) -> Result<Vec<u8>, UserError> {
        if status.success() {
            return carried(&self.program, &self.stdout.bytes);
        }
        let said = String::from_utf8_lossy(&self.stderr.bytes);
        let printed = String::from_utf8_lossy(&self.stdout.bytes);
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        // What it printed may be the token, whatever its end.
        let secret = printed.lines().map(str::trim).any(|line| !line.is_empty() && last.contains(line));
        Err(failed(
            &self.program,
            &if last.is_empty() || secret { status.to_string() } else { format!("{status}: {last}") },
        ))
    }
}

impl Drop for TokenCommand {
    fn drop(&mut self) {
        // Not reaped yet, so its number is nobody else's.
        if self.status.is_none() {
            sys::child::kill_group(self.child.id());
            let _ = self.child.wait();
        }
    }
}

/// What comes out of a child, collected by a thread.
struct Pipe {
    arriving: Option<Receiver<Vec<u8>>>,
    bytes: Vec<u8>,
}

impl Pipe {
    fn drain(pipe: Option<impl Read + Send + 'static>) -> Pipe {
        let (tell, arriving) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.by_ref().take(TokenCommand::MAX_OUTPUT_BYTES).read_to_end(&mut bytes);
                let _ = std::io::copy(&mut pipe, &mut std::io::sink());
            }
            let _ = tell.send(bytes);
        });
        Pipe { arriving: Some(arriving), bytes: Vec::new() }
    }

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
        UserError::new(format!("`?{text}` must be asked, and there is no terminal"))
            .hint("start it on a terminal, or take the value from the host: \"${VARIABLE}\"")
    })
}

fn ask(text: &str, signals: &Signals) -> Result<Vec<u8>, Stopped> {
    let mut tty = terminal(text)?;
    match tty.ask_silently(&format!("{text}: "), signals) {
        Answer::Line(line) if !line.is_empty() => Ok(line.into_bytes()),
        Answer::Signal(number) => Err(Stopped::Signal(number)),
        _ => Err(UserError::new(format!("no answer to `?{text}`")).into()),
    }
}
