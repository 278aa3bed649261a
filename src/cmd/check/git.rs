//! What the gate would say of a fetch or a push by git, before it has seen what is in it: [`policy::RefRules`] decides.

use crate::cli::{CheckArgs, ListFormat};
use crate::exit::{Exit, UserError};
use crate::manifest::{Bottle, Remote};
use crate::render::{self, GitAnswer, RefAnswer};
use crate::say;
use anyhow::Result;
use policy::{RefChange, RefPattern};
use wire::{GIT_HOST, GitOperation, unknown_remote};

pub const USAGE: &str = "claude-bottle check AGENT git push REMOTE REF";

/// Answers about `fetch REMOTE` or `push REMOTE REF…`.
pub fn run(bottle: &Bottle, words: &[&str], asked: &CheckArgs) -> Result<Exit> {
    let (operation, name, refs) = match words {
        ["fetch", name] => (GitOperation::Fetch, *name, &[][..]),
        ["push", name, refs @ ..] if !refs.is_empty() => (GitOperation::Push, *name, refs),
        _ => {
            return Err(UserError::new("wanted is `fetch` with a remote, or `push` with one and refs")
                .hint(USAGE)
                .into());
        }
    };
    if !asked.headers.is_empty() || asked.body.is_some() {
        return Err(UserError::new("`--header` and `--body` are of a request, which git's is not").hint(USAGE).into());
    }
    if operation == GitOperation::Fetch && (asked.force || asked.delete) {
        return Err(UserError::new("`--force` and `--delete` are of a push").hint(USAGE).into());
    }
    let answer = match bottle.remotes.iter().find(|remote| remote.name == name) {
        Some(remote) => {
            let changes = refs.iter().map(|text| PushedRef::read(text, asked)).collect::<Result<Vec<_>, _>>()?;
            answer(remote, operation, &changes)
        }
        None => {
            let text = unknown_remote(name, bottle.remotes.iter().map(|remote| remote.name.as_str()));
            GitAnswer { text: Some(text), ..GitAnswer::denied(operation, name) }
        }
    };
    match asked.format {
        ListFormat::Text => say::out(&render::git_answer(&answer))?,
        ListFormat::Json => say::json(&answer)?,
    }
    Ok(if answer.is_allowed() { Exit::OK } else { Exit::DENIED })
}

/// A ref that a push is to change.
struct PushedRef {
    name: String,
    change: RefChange,
}

impl PushedRef {
    /// Reads a refspec as git would: `main`, `HEAD:main`, `+main`, `:main`, or with full names.
    ///
    /// # Errors
    /// `UserError` for one that names no ref.
    fn read(text: &str, asked: &CheckArgs) -> Result<PushedRef, UserError> {
        let (is_forced, rest) = match text.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (asked.force, text),
        };
        let (is_deleted, target) = match rest.split_once(':') {
            Some((source, target)) => (source.is_empty() || asked.delete, target),
            None => (asked.delete, rest),
        };
        if target.is_empty() || target == "HEAD" || target.contains('*') {
            return Err(UserError::new(format!("`{text}` names no ref of a remote"))
                .hint("a branch by its name, any other ref by its full one, as in `refs/tags/v1`"));
        }
        let name = match ["refs/", "heads/", "tags/"].iter().find(|begin| target.starts_with(*begin)) {
            Some(&"refs/") => target.to_owned(),
            Some(_) => format!("refs/{target}"),
            None => format!("refs/heads/{target}"),
        };
        let change = match (is_deleted, is_forced) {
            (true, _) => RefChange::Delete,
            (false, true) => RefChange::Force,
            // At best: what only the objects show is not known here.
            (false, false) => RefChange::FastForward,
        };
        Ok(PushedRef { name, change })
    }
}

fn answer(remote: &Remote, operation: GitOperation, changes: &[PushedRef]) -> GitAnswer {
    let refs: Vec<RefAnswer> = changes
        .iter()
        .map(|PushedRef { name, change }| RefAnswer {
            name: name.clone(),
            change: match change {
                RefChange::Delete => "delete",
                RefChange::Force => "force",
                RefChange::FastForward | RefChange::Create => "forward",
            },
            text: remote.rules.judge(name, *change).err().map(|denial| denial.text),
        })
        .collect();
    let is_allowed = refs.iter().all(|it| it.text.is_none());
    GitAnswer {
        verdict: if is_allowed { "allow" } else { "deny" },
        rule: Some(remote.origin.clone()),
        url: Some(format!("git://{GIT_HOST}/{}", remote.name)),
        upstream: remote.upstream.as_ref().map(|upstream| upstream.written.clone()),
        shown: remote.rules.refs.iter().map(RefPattern::as_str).map(str::to_owned).collect(),
        refs,
        ..GitAnswer::denied(operation, &remote.name)
    }
}
