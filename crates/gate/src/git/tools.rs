//! What all operations of the git service share.

use crate::git::children::Runner;
use crate::git::limits::MAX_REFUSED_COMMITS;
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wire::is_object_id;

pub struct Tools {
    pub runner: Runner,
    pub commits: FlaggedCommits,
}

/// Commits in which something was found.
#[derive(Default)]
pub struct FlaggedCommits(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The oldest first.
    refused: VecDeque<String>,
    /// Let through by the operator, until a push with them was forwarded.
    allowed: BTreeSet<String>,
}

impl FlaggedCommits {
    /// Lets commits pass once that were refused for what is in them. `input`: of the control verb.
    pub fn allow(&self, input: &Value) -> Result<Value, String> {
        let ids: Vec<String> = serde_json::from_value(input["commits"].clone())
            .map_err(|_| "the input is an object with `commits`, a list of ids".to_owned())?;
        let mut known = self.known();
        if ids.iter().any(|id| !is_object_id(id) || !known.refused.contains(id)) {
            return Err("a commit is none that was refused in this session: whole ids are wanted".to_owned());
        }
        known.allowed.extend(ids.iter().cloned());
        Ok(json!({ "allowed": ids }))
    }

    pub fn is_allowed(&self, commit: &str) -> bool {
        self.known().allowed.contains(commit)
    }

    pub fn remember_refused(&self, commit: &str) {
        let mut known = self.known();
        if !known.refused.iter().any(|id| id == commit) {
            known.refused.push_back(commit.to_owned());
            if known.refused.len() > MAX_REFUSED_COMMITS {
                known.refused.pop_front();
            }
        }
    }

    /// What the operator let through has passed.
    pub fn forget(&self, commits: &[String]) {
        let mut known = self.known();
        for id in commits {
            known.allowed.remove(id);
            known.refused.retain(|refused| refused != id);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
