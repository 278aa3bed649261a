//! clap's answers to a command line: help on stdout; its errors in the form of every other error.

use crate::cli::Colour;
use crate::exit::{Exit, UserError};
use crate::hint;
use crate::hint::Hint;
use crate::say;
use anyhow::Result;
use clap::ValueEnum;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::{OsStr, OsString};

/// Commands of other tools, and what to type here.
const FOREIGN_COMMANDS: [(&[&str], &str); 16] = [
    (&["ls", "ps", "status", "sessions", "agents"], "claude-bottle list"),
    (&["run", "new", "create", "up", "launch"], "claude-bottle start"),
    (&["continue", "restart", "reopen"], "claude-bottle resume"),
    (&["connect", "a"], "claude-bottle attach"),
    (&["kill", "end", "terminate", "halt", "down"], "claude-bottle stop"),
    (&["sh", "bash", "ssh", "enter"], "claude-bottle exec"),
    (&["rm", "remove", "delete", "prune", "clean", "destroy"], "claude-bottle cleanup"),
    (&["inspect", "show", "describe"], "claude-bottle info"),
    (&["log", "audit", "events"], "claude-bottle logs"),
    (&["diff", "apply", "fetch", "merge", "changes"], "claude-bottle work"),
    (&["cp", "copy"], "`claude-bottle put` copies a file in, `claude-bottle get` copies one out"),
    (&["port", "ports", "expose", "tunnel"], "claude-bottle forward"),
    (&["images", "image", "rebuild"], "claude-bottle build"),
    (&["config", "manifest"], "claude-bottle edit"),
    (&["top", "ui", "tui"], "claude-bottle dashboard"),
    (&["version"], "claude-bottle --version"),
];

/// Is `--format json` among the words? Read from the words themselves, because errors in them need the answer too.
pub fn asks_for_json(args: &[OsString]) -> bool {
    last_value(args, "--format") == Some(OsStr::new("json"))
}

/// The colour that `--color` asks for, read from the words as in [`asks_for_json`].
pub fn colour(args: &[OsString]) -> Colour {
    let typed = last_value(args, "--color").and_then(OsStr::to_str);
    typed.and_then(|typed| Colour::from_str(typed, false).ok()).unwrap_or(Colour::Auto)
}

/// The last value of a long flag. Words after `--`, and after the session of `exec`, belong to another program.
fn last_value<'a>(args: &'a [OsString], flag: &str) -> Option<&'a OsStr> {
    let words = args.iter().enumerate().skip(1).filter(|(_, arg)| !is_flag(arg));
    let session = words.take(2).collect::<Vec<_>>();
    let foreign = match session[..] {
        [(_, verb), (session, _)] if verb == "exec" => session + 1,
        _ => args.len(),
    };
    let mut own = args.iter().take(foreign).take_while(|arg| *arg != "--").peekable();
    let mut found = None;
    while let Some(arg) = own.next() {
        if arg == flag {
            found = own.peek().map(|value| value.as_os_str());
        } else if let Some(value) = arg.to_str().and_then(|arg| arg.strip_prefix(flag)?.strip_prefix('=')) {
            found = Some(OsStr::new(value));
        }
    }
    found
}

fn is_flag(arg: &OsStr) -> bool {
    arg.to_str().is_some_and(|arg| arg.starts_with('-'))
}

/// Prints help or version.
///
/// # Errors
/// `UserError` for a command line that is wrong.
pub fn answer(error: &clap::Error) -> Result<Exit> {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            say::out(&text)?;
            Ok(Exit::OK)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            say::text(&text);
            Ok(Exit::REFUSED)
        }
        _ => Err(user_error(error).into()),
    }
}

fn user_error(error: &clap::Error) -> UserError {
    let all = |kind| strings(error.get(kind));
    let one = |kind| all(kind).first().map(|word| without_placeholder(word)).unwrap_or_default();
    let near = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    // The nearest is the last.
    let near = near.into_iter().flat_map(all).last().map(|near| hint!("did you mean `{}`?", near));
    let unknown = one(ContextKind::InvalidSubcommand);
    let here =
        FOREIGN_COMMANDS.iter().find(|(words, _)| words.contains(&unknown.as_str())).map(|(_, hint)| Hint::from(*hint));
    let near = here.or(near);
    let help = Hint::command(command(error).split(' ').chain(["--help"]));
    let (what, hint) = match error.kind() {
        ErrorKind::InvalidSubcommand => (format!("no command `{unknown}`"), help),
        ErrorKind::UnknownArgument => (format!("unexpected argument `{}`", one(ContextKind::InvalidArg)), help),
        ErrorKind::MissingRequiredArgument => {
            (format!("missing: {}", in_backticks(&all(ContextKind::InvalidArg))), help)
        }
        ErrorKind::MissingSubcommand => ("missing: a command".to_owned(), help),
        ErrorKind::ArgumentConflict => {
            let others = in_backticks(&all(ContextKind::PriorArg));
            (format!("`{}` cannot be used with {others}", one(ContextKind::InvalidArg)), help)
        }
        ErrorKind::InvalidValue => {
            let (value, arg) = (one(ContextKind::InvalidValue), one(ContextKind::InvalidArg));
            let known = all(ContextKind::ValidValue);
            let what = match value.as_str() {
                "" => format!("`{arg}` wants a value"),
                value => format!("`{value}` is no value of `{arg}`"),
            };
            (what, if known.is_empty() { help } else { Hint::one_of(known.iter().map(String::as_str)) })
        }
        _ => {
            let text = error.render().to_string();
            let first = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect::<Vec<_>>().join(" ");
            (first.trim_start_matches("error: ").replace('\'', "`"), help)
        }
    };
    UserError::new(what).hint(near.unwrap_or(hint))
}

/// `--format <FORMAT>` → `--format`; a positional stays as it is.
fn without_placeholder(word: &str) -> String {
    match word.split_once([' ', '=', '[']) {
        Some((flag, _)) if flag.starts_with('-') => flag.to_owned(),
        _ => word.to_owned(),
    }
}

fn in_backticks(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn strings(value: Option<&ContextValue>) -> Vec<String> {
    match value {
        Some(ContextValue::String(one)) => vec![one.clone()],
        Some(ContextValue::Strings(all)) => all.clone(),
        Some(ContextValue::StyledStrs(all)) => all.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

/// The command of the error's usage line, as in `claude-bottle work diff`.
fn command(error: &clap::Error) -> String {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    let words = usage.split_whitespace().skip_while(|word| *word != "claude-bottle");
    let verb = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !word.starts_with('-');
    let words: Vec<&str> = words.take_while(verb).collect();
    if words.is_empty() { "claude-bottle".to_owned() } else { words.join(" ") }
}
