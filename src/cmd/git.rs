//! `git allow`: commits that a push was refused for, because something was found in them, may pass with the next one.

use super::live::LiveBottle;
use crate::cli::{GitAllowArgs, GitArgs, GitVerb};
use crate::exit::{Exit, UserError};
use crate::say;
use crate::supervise::GateRefusal;
use anyhow::Result;
use serde_json::json;

pub fn run(asked: GitArgs) -> Result<Exit> {
    match asked.verb {
        GitVerb::Allow(asked) => allow(&asked),
    }
}

fn allow(asked: &GitAllowArgs) -> Result<Exit> {
    let bottle = LiveBottle::open(asked.identity.as_str())?;
    if !bottle.has_remotes() {
        return Err(UserError::new(format!("the bottle of `{}` has no remotes", asked.identity)).into());
    }
    let commits: Vec<String> = asked.commits.iter().map(|id| id.to_ascii_lowercase()).collect();
    let input = serde_json::to_vec(&json!({ "commits": commits }))?;
    bottle.ask_gate(&["git-allow"], input).map_err(|refusal| match refusal {
        GateRefusal::Refused(why) => anyhow::Error::from(
            UserError::new(why).hint("the refusal that the agent got, and `claude-bottle logs`, name the commits"),
        ),
        refusal => refusal.into(),
    })?;
    say::note(&match commits.len() {
        1 => "the next push may bring this commit".to_owned(),
        count => format!("the next push may bring these {count} commits"),
    });
    Ok(Exit::OK)
}
