//! Which agent, where `start` was not told: a choice on the terminal, of the agents of home and directory.

use crate::cmd::choice::{Choice, Menu};
use crate::exit::{Exit, UserError};
use crate::manifest::{self, Agent, Manifest, Scope};
use crate::text;
use anyhow::Result;
use sys::signals;
use sys::tty::Tty;

/// Characters of a prompt that are shown.
const WORDS: usize = 48;

/// The agent's name, or how the choice ended.
///
/// # Errors
/// `UserError` without a terminal, or without an agent.
pub fn which(manifest: &Manifest) -> Result<Result<String, Exit>> {
    let names = manifest.agents();
    let Some(first) = names.first() else {
        return Err(UserError::new("no agent is defined").hint("claude-bottle edit").into());
    };
    let Some(mut tty) = Tty::open() else {
        let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let what = format!("which agent? known are {}, and there is no terminal to ask on", listed.join(", "));
        let one = names.iter().find(|name| manifest.choose(name).is_ok()).unwrap_or(first);
        return Err(UserError::new(what).hint(format!("claude-bottle start {one}")).into());
    };
    let default = (names.len() == 1).then_some(0);
    let menu = Menu { question: "which agent?", rows: rows(manifest, &names), names, default };
    Ok(match menu.ask(&mut tty, &signals::catch()?) {
        Choice::Of(index) => Ok(menu.names[index].to_owned()),
        Choice::Nothing => Err(Exit::OK),
        Choice::Signal(number) => Err(Exit::signal(number)),
    })
}

/// Name, bottle, and the first words of the prompt.
fn rows(manifest: &Manifest, names: &[&str]) -> Vec<String> {
    let about = |name: &str| match manifest.choose(name) {
        Ok(chosen) => (chosen.agent.bottle.clone(), words(&chosen.agent)),
        Err(refused) => ("?".to_owned(), refused.what),
    };
    let known: Vec<(String, String)> = names.iter().map(|name| about(name)).collect();
    let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default();
    let name = longest(&mut names.iter().map(|name| name.len()));
    let bottle = longest(&mut known.iter().map(|(bottle, _)| bottle.len()));
    let rows = names.iter().zip(&known).map(|(n, (b, words))| format!("{n:<name$}  {b:<bottle$}  {words}"));
    rows.map(|row| row.trim_end().to_owned()).collect()
}

fn words(agent: &Agent) -> String {
    let prompt = agent.prompt.as_ref().and_then(|prompt| manifest::read_prompt(prompt, agent.scope).ok());
    let line = prompt.unwrap_or_default().lines().map(str::trim).find(|line| !line.is_empty()).map(text::one_line);
    let shown = text::truncate(&line.unwrap_or_default(), WORDS);
    match agent.scope {
        Scope::Directory => format!("(of this directory) {shown}"),
        Scope::Home => shown,
    }
}
