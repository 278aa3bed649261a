//! The choice of an agent on the terminal, where `start` was given none: those of the home and of the directory.

use crate::cmd::choice::{Choice, Menu};
use crate::exit::{Exit, UserError};
use crate::hint;
use crate::manifest::{self, Agent, Manifest, Scope};
use crate::text;
use anyhow::Result;
use sys::signals;
use sys::tty::Tty;

/// Characters of a prompt that a row shows.
const MAX_PROMPT_CHARS: usize = 48;

/// The agent's name, or the exit code of a choice that ended without one.
///
/// # Errors
/// `UserError` without a terminal, and where no agent is defined.
pub fn choose_agent(manifest: &Manifest) -> Result<Result<String, Exit>> {
    let names = manifest.agents();
    let Some(first) = names.first() else {
        let none = || UserError::new("no agent is defined").hint("claude-bottle edit");
        return Err(manifest.broken_agent().cloned().unwrap_or_else(none).into());
    };
    let Some(mut tty) = Tty::open() else {
        let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let what = format!("which agent? known are {}, and there is no terminal to ask on", listed.join(", "));
        let one = names.iter().find(|name| manifest.choose(name).is_ok()).unwrap_or(first);
        return Err(UserError::new(what).hint(hint!("claude-bottle start {}", one)).into());
    };
    let default = (names.len() == 1).then_some(0);
    let menu = Menu { question: "which agent?", rows: rows(manifest, &names), names, default };
    Ok(match menu.ask(&mut tty, &signals::catch()?) {
        Choice::Answer(index) => Ok(menu.names[index].to_owned()),
        Choice::Nothing => Err(Exit::OK),
        Choice::Signal(number) => Err(Exit::signal(number)),
    })
}

/// A row of each agent: its name, its bottle, the first words of its prompt or what is wrong with it.
fn rows(manifest: &Manifest, names: &[&str]) -> Vec<String> {
    let about = |name: &str| match manifest.choose(name) {
        Ok(chosen) => (chosen.agent.bottle.clone(), prompt_line(&chosen.agent)),
        Err(error) => ("?".to_owned(), text::one_line(&error.what)),
    };
    let known: Vec<(String, String)> = names.iter().map(|name| about(name)).collect();
    let name = names.iter().map(|name| name.len()).max().unwrap_or_default();
    let bottle = known.iter().map(|(bottle, _)| bottle.len()).max().unwrap_or_default();
    let rows = names.iter().zip(&known).map(|(n, (b, words))| format!("{n:<name$}  {b:<bottle$}  {words}"));
    rows.map(|row| row.trim_end().to_owned()).collect()
}

/// The first line of the agent's prompt that is not blank, cut.
fn prompt_line(agent: &Agent) -> String {
    let prompt = agent.prompt.as_ref().and_then(|prompt| manifest::read_prompt(prompt, agent.scope).ok());
    let line = prompt.unwrap_or_default().lines().map(str::trim).find(|line| !line.is_empty()).map(text::flattened);
    let shown = text::truncate(&line.unwrap_or_default(), MAX_PROMPT_CHARS);
    match agent.scope {
        Scope::Directory => format!("(of this directory) {shown}"),
        Scope::Home => shown,
    }
}
