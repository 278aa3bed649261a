//! `init`: writes a first manifest that works. No file that exists is changed, and nothing is written that the
//! program's own reader does not accept.

mod token;

use super::choice::{Choice, Menu};
use super::consent::terminal_to_ask_on;
use crate::cli::InitArgs;
use crate::exit::Exit;
use crate::hint;
use crate::manifest::{self, FILE, Manifest, Proposed};
use crate::probe;
use crate::say;
use crate::state::{Home, exists_error, write_new};
use crate::text;
use anyhow::Result;
use serde_json::Value;
use std::path::{Path, PathBuf};
use sys::signals::{self, Signals};
use sys::tty::{Answer, Tty};
use token::TokenSource;

const SCHEMA: &str = include_str!("../../schema/claude-bottle.schema.json");

/// The home's manifest as it is written where no token is found.
const TEMPLATE: &str = include_str!("init/home.json");
/// The part of the template that names the token.
const TEMPLATE_AUTH: &str = r#"{ "token_ref": "CLAUDE_CODE_OAUTH_TOKEN" }"#;
/// The agent of the template.
const TEMPLATE_AGENT: &str = "claude";

/// Characters of a folder's name that become an agent's name.
const MAX_FOLDER_NAME_CHARS: usize = 24;

pub fn run(asked: &InitArgs) -> Result<Exit> {
    if asked.schema {
        say::out(SCHEMA)?;
        return Ok(Exit::OK);
    }
    let user = match asked.yes {
        true => User::Defaults,
        false => User::Asked(
            terminal_to_ask_on("add `--yes` to take what is found and the defaults without the question")?,
            signals::catch()?,
        ),
    };
    let home = Home::locate()?.path().to_owned();
    let here = probe::current_dir()?;
    match (Setup { user, home, here }).write() {
        Ok(()) => Ok(Exit::OK),
        Err(SetupEnd::Exit(exit)) => Ok(exit),
        Err(SetupEnd::Error(error)) => Err(error),
    }
}

struct Setup {
    user: User,
    /// The folder of the home's manifest.
    home: PathBuf,
    /// The current directory.
    here: PathBuf,
}

/// How questions are answered.
enum User {
    /// By their defaults.
    Defaults,
    Asked(Tty, Signals),
}

/// Why the setup ended before it wrote anything.
enum SetupEnd {
    /// An answer that ends it, or a signal.
    Exit(Exit),
    Error(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for SetupEnd {
    fn from(error: E) -> SetupEnd {
        SetupEnd::Error(error.into())
    }
}

impl Setup {
    /// Asks every question, then writes.
    fn write(&mut self) -> Result<(), SetupEnd> {
        let file = self.home.join(FILE);
        let is_new = file.symlink_metadata().is_err();
        let asks_for_agent = matches!(self.user, User::Asked(..)) && self.is_a_project();
        if !is_new && !asks_for_agent {
            return Err(exists_error(&file).into());
        }
        let (token, manifest) = match is_new {
            true => {
                let source = self.user.token_source()?;
                let text = TEMPLATE.replacen(TEMPLATE_AUTH, &on_one_line(&source.auth), 1);
                let manifest = manifest::load_proposed(&self.home, &self.home, proposed(&file, &text))?;
                manifest.choose(TEMPLATE_AGENT)?;
                (Some((source, text)), manifest)
            }
            false => {
                say::line(&format!("`{}` is there, and stays as it is", file.display()));
                (None, manifest::load(&self.home, &self.home)?)
            }
        };
        let agent = if asks_for_agent { self.directory_agent(&manifest)? } else { None };
        if let Some((source, text)) = &token {
            write_new(&file, text, 0o600)?;
            say::note(&format!("wrote `{}`: agent `{TEMPLATE_AGENT}`, its token is {}", file.display(), source.shown));
        }
        if let Some((name, text)) = &agent {
            let file = self.here.join(FILE);
            write_new(&file, text, 0o666)?;
            say::note(&format!("wrote `{}`: agent `{name}`", text::path(&file)));
        }
        let todo = token.and_then(|(source, _)| source.todo);
        let name = agent.map(|(name, _)| name).or(is_new.then(|| TEMPLATE_AGENT.to_owned()));
        if let Some(name) = name {
            say::note("next:");
            let dry_run = hint!("claude-bottle start --dry-run {}", name).to_string();
            for line in todo.into_iter().chain([dry_run, "claude-bottle doctor".to_owned()]) {
                say::note(&format!("  {line}"));
            }
        }
        Ok(())
    }

    /// May the current directory have agents of its own, and has no manifest yet?
    fn is_a_project(&self) -> bool {
        let same = |other: &Path| other.canonicalize().ok() == self.here.canonicalize().ok();
        let is_home = same(&self.home) || dirs::home_dir().is_some_and(|home| same(&home));
        !is_home && self.here.join(FILE).symlink_metadata().is_err()
    }

    /// Asks for an agent of the current directory: its name, and the text of the manifest; `None` where none is wanted.
    fn directory_agent(&mut self, manifest: &Manifest) -> Result<Option<(String, String)>, SetupEnd> {
        let Some(bottle) = manifest.bottles().first().copied() else { return Ok(None) };
        let question = format!("an agent for `{}`, too? [y/N] ", text::one_line(&self.here.display().to_string()));
        if !self.user.says_yes(&question)? {
            return Ok(None);
        }
        let folder = self.here.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut name = agent_name(&folder);
        // A directory's agent would hide one of the home with the same name.
        while manifest.location(&name).is_ok() {
            name.push_str("-here");
        }
        let prompt = Value::from(format!("You work on {}.", text::one_line(&folder)));
        let text = format!(
            "// Agents for whoever works in this directory. Their bottles are defined at home: nothing here decides what\n\
             // gets out.\n{{\n  \"agents\": {{\n    \"{name}\": {{ \"bottle\": \"{bottle}\", \"prompt\": {prompt} }},\n  }},\n}}\n"
        );
        // Read without the home's manifest, which may not be on the disk yet.
        let nowhere = self.here.join("nowhere");
        manifest::load_proposed(&nowhere, &self.here, proposed(&self.here.join(FILE), &text))?;
        Ok(Some((name, text)))
    }
}

impl User {
    /// Asks where the token comes from.
    fn token_source(&mut self) -> Result<TokenSource, SetupEnd> {
        let mut sources = token::sources();
        let index = match self {
            User::Asked(tty, signals) if sources.len() > 1 => {
                let names = sources.iter().map(|source| source.name.as_str()).collect();
                let rows = sources.iter().map(|source| source.shown.clone()).collect();
                let menu = Menu { question: "the model's token?", names, rows, default: Some(0) };
                match menu.ask(tty, signals) {
                    Choice::Answer(index) => index,
                    Choice::Nothing => return Err(SetupEnd::Exit(Exit::OK)),
                    Choice::Signal(number) => return Err(SetupEnd::Exit(Exit::signal(number))),
                }
            }
            _ => 0,
        };
        Ok(sources.swap_remove(index))
    }

    fn says_yes(&mut self, question: &str) -> Result<bool, SetupEnd> {
        let User::Asked(tty, signals) = self else { return Ok(false) };
        match tty.ask(question, signals) {
            Answer::Signal(number) => Err(SetupEnd::Exit(Exit::signal(number))),
            answer => Ok(answer.is_yes()),
        }
    }
}

fn proposed(file: &Path, text: &str) -> Proposed {
    Proposed { file: file.to_owned(), bytes: text.as_bytes().to_owned() }
}

/// An agent's name made of a folder's.
fn agent_name(folder: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = folder.chars().map(plain).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let name = name[..name.len().min(MAX_FOLDER_NAME_CHARS)].trim_end_matches('-');
    if name.is_empty() { "project".to_owned() } else { name.to_owned() }
}

/// JSON on one line, with a blank after each comma and inside braces.
fn on_one_line(value: &Value) -> String {
    let parts = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| format!("\"{key}\": {}", on_one_line(value)));
            format!("{{ {} }}", parts(members.collect()))
        }
        Value::Array(values) => format!("[{}]", parts(values.iter().map(on_one_line).collect())),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_one_place_for_the_token() {
        assert_eq!(TEMPLATE.matches(TEMPLATE_AUTH).count(), 1);
    }

    #[test]
    fn a_folder_gives_its_name_to_an_agent() {
        let names = [("app", "app"), ("My App_2", "my-app-2"), ("2048", "project"), ("-x-", "x"), ("", "project")];
        for (folder, name) in names {
            assert_eq!(agent_name(folder), name);
        }
        assert_eq!(agent_name(&"a".repeat(99)).len(), 24);
    }

    #[test]
    fn a_value_is_written_as_a_person_would() {
        let auth = serde_json::json!({ "as": "A", "token_cmd": ["pass", "show", "x \"y\""] });
        assert_eq!(on_one_line(&auth), r#"{ "as": "A", "token_cmd": ["pass", "show", "x \"y\""] }"#);
    }
}
