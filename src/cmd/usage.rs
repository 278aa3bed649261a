//! What clap has to say of a command line, in our own words: help on stdout, an error as every other error.

use crate::cli::Colour;
use crate::exit::{Exit, UserError};
use crate::say;
use anyhow::Result;
use clap::ValueEnum;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::{OsStr, OsString};

/// Does `--format json` stand there? Asked of the words, for errors in the words have to know it, too.
pub fn asks_for_json(args: &[OsString]) -> bool {
    last(args, "--format") == Some(OsStr::new("json"))
}

/// The same of `--color`.
pub fn colour(args: &[OsString]) -> Colour {
    let typed = last(args, "--color").and_then(OsStr::to_str);
    typed.and_then(|typed| Colour::from_str(typed, false).ok()).unwrap_or(Colour::Auto)
}

/// The last value of a long flag; what follows `--` is somebody else's.
fn last<'a>(args: &'a [OsString], flag: &str) -> Option<&'a OsStr> {
    let mut own = args.iter().take_while(|arg| *arg != "--").peekable();
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

/// Prints what was asked for, or refuses.
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
        _ => Err(refused(error).into()),
    }
}

fn refused(error: &clap::Error) -> UserError {
    let of = |kind| strings(error.get(kind));
    let one = |kind| of(kind).first().map(|word| bare(word)).unwrap_or_default();
    let near = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let near = near.into_iter().flat_map(of).next().map(|near| format!("did you mean `{near}`?"));
    let help = format!("{} --help", command(error));
    let (what, hint) = match error.kind() {
        ErrorKind::InvalidSubcommand => (format!("no command `{}`", one(ContextKind::InvalidSubcommand)), help),
        ErrorKind::UnknownArgument => (format!("unexpected argument `{}`", one(ContextKind::InvalidArg)), help),
        ErrorKind::MissingRequiredArgument => {
            (format!("missing: {}", shell_quoted(&of(ContextKind::InvalidArg))), help)
        }
        ErrorKind::MissingSubcommand => ("missing: a command".to_owned(), help),
        ErrorKind::ArgumentConflict => {
            let others = shell_quoted(&of(ContextKind::PriorArg));
            (format!("`{}` cannot be used with {others}", one(ContextKind::InvalidArg)), help)
        }
        ErrorKind::InvalidValue => {
            let (value, arg) = (one(ContextKind::InvalidValue), one(ContextKind::InvalidArg));
            let known = of(ContextKind::ValidValue);
            let what = match value.as_str() {
                "" => format!("`{arg}` wants a value"),
                value => format!("`{value}` is no value of `{arg}`"),
            };
            (what, if known.is_empty() { help } else { format!("one of {}", shell_quoted(&known)) })
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
fn bare(word: &str) -> String {
    match word.split_once([' ', '=', '[']) {
        Some((flag, _)) if flag.starts_with('-') => flag.to_owned(),
        _ => word.to_owned(),
    }
}

fn shell_quoted(words: &[String]) -> String {
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

/// `claude-bottle work diff`, as the usage of the error has it.
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
