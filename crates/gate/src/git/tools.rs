//! What all operations of the git service share.

use crate::git::children::Runner;
use crate::git::limits::MAX_REFUSED_COMMITS;
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wire::one_line;

/// Digits of an id that is cut short.
const MIN_SHORT_ID: usize = 7;

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
    /// Lets commits pass once that were refused for what is in them. `input`: of the control verb. An id may be cut short as
    /// for git; it counts for the commit that was refused, and for no other that begins with the same.
    pub fn allow(&self, input: &Value) -> Result<Value, String> {
        let ids: Vec<String> = serde_json::from_value(input["commits"].clone())
            .map_err(|_| "the input is an object with `commits`, a list of ids".to_owned())?;
        let allowed = self.resolve(&ids)?;
        self.known().allowed.extend(allowed.iter().cloned());
        Ok(json!({ "allowed": allowed }))
    }

    /// The whole ids of commits that were refused.
    pub fn resolve(&self, ids: &[String]) -> Result<Vec<String>, String> {
        let known = self.known();
        let mut found = Vec::new();
        for id in ids {
            let mut fitting = known.refused.iter().filter(|refused| refused.starts_with(id.as_str()));
            found.push(match (id.len() >= MIN_SHORT_ID, fitting.next(), fitting.next()) {
                (true, Some(refused), None) => refused.clone(),
                (true, Some(_), Some(_)) => {
                    return Err(format!("several commits that were refused begin with `{}`", one_line(id)));
                }
                _ => return Err(format!("no commit was refused in this session that begins with `{}`", one_line(id))),
            });
        }
        Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_stands_for_one_commit_that_was_refused() {
        let commits = FlaggedCommits::default();
        let [one, two] = ["0123456789ab0", "0123456789ab1"].map(|begin| format!("{begin:0<40}"));
        let allow = |id: &str| commits.allow(&json!({ "commits": [id] }));
        assert!(allow(&one).is_err(), "it was not refused");
        commits.remember_refused(&one);
        for bad in ["", "012345", "1123456", "0123456789AB0"] {
            assert!(allow(bad).is_err(), "{bad}");
        }
        assert_eq!(allow("0123456789ab"), Ok(json!({ "allowed": [one] })));
        assert!(commits.is_allowed(&one) && !commits.is_allowed(&two));
        commits.remember_refused(&two);
        assert!(allow("0123456789ab").unwrap_err().starts_with("several"));
        commits.forget(std::slice::from_ref(&one));
        assert!(!commits.is_allowed(&one) && allow(&one).is_err());
    }
}
