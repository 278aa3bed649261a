//! `git allow`: commits that a push was refused for, because something was found in them, may pass with the next one.

use super::live::LiveBottle;
use crate::cli::{GitAllowArgs, GitArgs, GitVerb};
use crate::exit::{Exit, UserError};
use crate::say;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::json;

/// What the gate answers.
#[derive(Deserialize)]
struct GateAnswer {
    error: Option<String>,
}

pub fn run(asked: GitArgs) -> Result<Exit> {
    match asked.verb {
        GitVerb::Allow(asked) => allow(&asked),
    }
}

fn allow(asked: &GitAllowArgs) -> Result<Exit> {
    let bottle = LiveBottle::open(&asked.identity)?;
    if !bottle.has_remotes() {
        return Err(UserError::new(format!("the bottle of `{}` has no remotes", asked.identity)).into());
    }
    let commits: Vec<String> = asked.commits.iter().map(|id| id.to_ascii_lowercase()).collect();
    let input = serde_json::to_vec(&json!({ "commits": commits }))?;
    let (said, failure) = bottle.docker.begin_with_input(&bottle.ctl(&["git-allow"]), input)?.finish_with_output()?;
    let answer: GateAnswer = match (serde_json::from_str(&said), failure) {
        (Ok(answer), _) => answer,
        (Err(_), Some(error)) => return Err(error.into()),
        (Err(error), None) => return Err(error).context("the gate's answer is not understood"),
    };
    if let Some(why) = answer.error {
        return Err(UserError::new(why)
            .hint("the refusal that the agent got, and `claude-bottle logs`, name the commits")
            .into());
    }
    say::note(&match commits.len() {
        1 => "the next push may bring this commit".to_owned(),
        count => format!("the next push may bring these {count} commits"),
    });
    Ok(Exit::OK)
}
