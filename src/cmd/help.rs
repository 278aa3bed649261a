//! `help`: opens the manual page of a verb or a topic; where `man` has none, prints the verb's own `--help`.

use super::usage;
use crate::cli::{Cli, HelpArgs};
use crate::exit::{Exit, UserError};
use crate::hint;
use anyhow::Result;
use clap::{CommandFactory, Parser};
use std::io::IsTerminal;
use sys::man;

/// Manual pages that are not of a verb: the topic as it is typed, the page, and the page's section.
const TOPICS: [(&str, &str, &str); 5] = [
    ("manifest", "claude-bottle.json", "5"),
    ("audit", "claude-bottle-audit", "5"),
    ("gate", "claude-bottle-gate", "8"),
    ("security", "claude-bottle-security", "7"),
    ("trust", "claude-bottle-trust", "7"),
];

pub fn run(asked: &HelpArgs) -> Result<Exit> {
    let words: Vec<&str> = asked.topic.iter().map(String::as_str).collect();
    let first = words.first().copied().unwrap_or_default();
    if let Some((_, page, section)) = TOPICS.iter().find(|(topic, page, _)| [*topic, *page].contains(&first)) {
        man::open(section, page);
        return Err(UserError::new(format!("no manual page `{page}` is installed, or no `man`"))
            .hint(hint!("`make install` installs it; in the sources it is `man/{}.{}`", page, section))
            .into());
    }
    let program = Cli::command();
    let mut verb = &program;
    for word in &words {
        verb = verb.find_subcommand(word).ok_or_else(|| unknown_topic(word, verb))?;
    }
    if std::io::stdout().is_terminal() {
        let page = if first.is_empty() { "claude-bottle".to_owned() } else { format!("claude-bottle-{first}") };
        man::open("1", &page);
    }
    let line = ["claude-bottle"].into_iter().chain(words).chain(["--help"]);
    Cli::try_parse_from(line).map_or_else(|error| usage::answer(&error), |_| Ok(Exit::OK))
}

fn unknown_topic(word: &str, within: &clap::Command) -> UserError {
    let verbs = within.get_subcommands().filter(|verb| !verb.is_hide_set()).map(clap::Command::get_name);
    let topics = TOPICS.iter().map(|(topic, _, _)| *topic).filter(|_| within.get_name() == "claude-bottle");
    let error = UserError::new(format!("no manual of `{word}`")).hint("claude-bottle --help");
    error.meant(word, verbs.chain(topics))
}
