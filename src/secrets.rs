//! Values, fetched at the last moment: from the host's environment, from commands, from the terminal, from files.
//!
//! They live in memory only, and leave it only through the gate's stdin. No error text holds one.

use crate::exit::Refused;
use crate::plan::{PROXY_VARIABLE, Plan, Source};
use crate::protocol::{Blob, Values};
use crate::sys::signals::Signals;
use crate::sys::tty::{Answer, Tty};
use std::fs;
use std::process::{Command, Stdio};

/// What stopped the collection.
pub enum Stopped {
    Refused(Refused),
    Signal(i32),
}

impl From<Refused> for Stopped {
    fn from(refused: Refused) -> Self {
        Stopped::Refused(refused)
    }
}

/// Are the variables there, and a terminal for what must be asked? Before anything starts.
///
/// # Errors
/// `Refused` with the first that is missing or empty, by name.
pub fn check(plan: &Plan) -> Result<(), Refused> {
    for source in plan.values.values() {
        match source {
            Source::Env(name) => drop(variable(name)?),
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
                fs::read(path).map_err(|e| Refused::new(format!("cannot read `{}`: {e}", path.display())))?
            }
            Source::Command(argv) => output(argv)?,
            Source::Ask(text) => ask(text, signals)?,
        };
        values.insert(name.clone(), Blob(value));
    }
    Ok(values)
}

fn variable(name: &str) -> Result<String, Refused> {
    let why = match std::env::var(name) {
        Ok(value) if !value.trim().is_empty() => return Ok(value),
        Ok(_) => "is empty",
        Err(std::env::VarError::NotPresent) => "is not set",
        Err(std::env::VarError::NotUnicode(_)) => "is not UTF-8",
    };
    let refused = Refused::new(format!("the host's variable `{name}` {why}"));
    Err(match name {
        PROXY_VARIABLE => refused,
        _ => refused.hint(format!("export {name}=…; the manifest asks for it")),
    })
}

/// Its stdout without the last line end. It may ask on the terminal, as password managers do.
fn output(argv: &[String]) -> Result<Vec<u8>, Refused> {
    let program = argv.first().map_or("", String::as_str);
    let failed = |why: String| Refused::new(format!("`token_cmd` `{program}`: {why}"));
    let output = Command::new(program)
        .args(argv.iter().skip(1))
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    let token = output.stdout.trim_ascii_end().to_vec();
    if token.is_empty() {
        return Err(failed("it printed nothing".to_owned()));
    }
    Ok(token)
}

fn terminal(text: &str) -> Result<Tty, Refused> {
    Tty::open().ok_or_else(|| {
        Refused::new(format!("`?{text}` must be asked, and there is no terminal"))
            .hint("start it on a terminal, or take the value from the host: \"${VARIABLE}\"")
    })
}

fn ask(text: &str, signals: &Signals) -> Result<Vec<u8>, Stopped> {
    let mut tty = terminal(text)?;
    match tty.ask_silently(&format!("{text}: "), signals) {
        Answer::Line(line) if !line.is_empty() => Ok(line.into_bytes()),
        Answer::Signal(number) => Err(Stopped::Signal(number)),
        _ => Err(Refused::new(format!("no answer to `?{text}`")).into()),
    }
}
