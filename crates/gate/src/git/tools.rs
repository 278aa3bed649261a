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
    refused: VecDeque<Flagged>,
    /// Let through by the operator, until a push with them begins to be forwarded.
    allowed: BTreeSet<Flagged>,
}

/// A commit as a push to one remote had it: what may go to one may not go to every other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Flagged {
    remote: String,
    commit: String,
}

impl FlaggedCommits {
    /// Lets commits pass once that were refused for what is in them. `input`: of the control verb. An id may be cut short as
    /// for git; it counts for the commit that was refused, and for no other that begins with the same; and for the remotes
    /// that it was to be pushed to.
    pub fn allow(&self, input: &Value) -> Result<Value, String> {
        let ids: Vec<String> = serde_json::from_value(input["commits"].clone())
            .map_err(|_| "the input is an object with `commits`, a list of ids".to_owned())?;
        self.allow_at(None, &ids)
    }

    /// Lets commits pass once at this remote; `None`: at every one.
    pub fn allow_at(&self, remote: Option<&str>, ids: &[String]) -> Result<Value, String> {
        let allowed = self.resolve(remote, ids)?;
        let mut known = self.known();
        let fitting = |flagged: &&Flagged| is_at(flagged, remote) && allowed.contains(&flagged.commit);
        let fitting: Vec<Flagged> = known.refused.iter().filter(fitting).cloned().collect();
        known.allowed.extend(fitting);
        Ok(json!({ "allowed": allowed }))
    }

    /// The operator does not let these commits through any more.
    pub fn disallow(&self, remote: &str, commits: &[String]) {
        self.known().allowed.retain(|flagged| flagged.remote != remote || !commits.contains(&flagged.commit));
    }

    /// The whole ids of commits that were refused at this remote; `None`: at any.
    pub fn resolve(&self, remote: Option<&str>, ids: &[String]) -> Result<Vec<String>, String> {
        let known = self.known();
        let mut found = Vec::new();
        for id in ids {
            let fitting =
                known.refused.iter().filter(|flagged| is_at(flagged, remote) && flagged.commit.starts_with(id));
            let fitting: BTreeSet<&str> = fitting.map(|flagged| flagged.commit.as_str()).collect();
            let mut fitting = fitting.into_iter();
            found.push(match (id.len() >= MIN_SHORT_ID, fitting.next(), fitting.next()) {
                (true, Some(refused), None) => refused.to_owned(),
                (true, Some(_), Some(_)) => {
                    return Err(format!("several commits that were refused begin with `{}`", one_line(id)));
                }
                _ => {
                    let at = remote.map(|remote| format!(" at `{}`", one_line(remote))).unwrap_or_default();
                    let id = one_line(id);
                    return Err(format!("no commit was refused{at} in this session that begins with `{id}`"));
                }
            });
        }
        Ok(found)
    }

    pub fn is_allowed(&self, remote: &str, commit: &str) -> bool {
        self.known().allowed.contains(&Flagged::new(remote, commit))
    }

    pub fn remember_refused(&self, remote: &str, commit: &str) {
        let (mut known, flagged) = (self.known(), Flagged::new(remote, commit));
        if !known.refused.contains(&flagged) {
            known.refused.push_back(flagged);
            if known.refused.len() > MAX_REFUSED_COMMITS {
                known.refused.pop_front();
            }
        }
    }

    /// Uses up what the operator let through: all of it, or nothing. False: another push did that already.
    pub fn take(&self, remote: &str, commits: &[String]) -> bool {
        let mut known = self.known();
        let flagged: Vec<Flagged> = commits.iter().map(|commit| Flagged::new(remote, commit)).collect();
        let has_all = flagged.iter().all(|flagged| known.allowed.contains(flagged));
        if has_all {
            known.allowed.retain(|allowed| !flagged.contains(allowed));
        }
        has_all
    }

    /// Gives back what a push had taken that did not get to the upstream.
    pub fn put_back(&self, remote: &str, commits: &[String]) {
        self.known().allowed.extend(commits.iter().map(|commit| Flagged::new(remote, commit)));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flagged {
    fn new(remote: &str, commit: &str) -> Flagged {
        Flagged { remote: remote.to_owned(), commit: commit.to_owned() }
    }
}

fn is_at(flagged: &Flagged, remote: Option<&str>) -> bool {
    remote.is_none_or(|remote| flagged.remote == remote)
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
        commits.remember_refused("app", &one);
        for bad in ["", "012345", "1123456", "0123456789AB0"] {
            assert!(allow(bad).is_err(), "{bad}");
        }
        assert_eq!(allow("0123456789ab"), Ok(json!({ "allowed": [one] })));
        assert!(commits.is_allowed("app", &one) && !commits.is_allowed("app", &two));
        commits.remember_refused("app", &two);
        assert!(allow("0123456789ab").unwrap_err().starts_with("several"));
    }

    /// What is let through counts for the remote that was shown, and for one push.
    #[test]
    fn a_commit_is_let_through_at_one_remote_and_once() {
        let (commits, one) = (FlaggedCommits::default(), vec!["1".repeat(40)]);
        commits.remember_refused("private", &one[0]);
        assert!(commits.allow_at(Some("public"), &one).is_err(), "it was not refused there");
        commits.remember_refused("public", &one[0]);
        commits.allow_at(Some("private"), &one).unwrap();
        assert!(commits.is_allowed("private", &one[0]) && !commits.is_allowed("public", &one[0]));
        assert!(!commits.take("public", &one) && commits.take("private", &one) && !commits.take("private", &one));
        commits.put_back("private", &one);
        commits.disallow("private", &one);
        assert!(!commits.take("private", &one));
        // Without a remote, it counts wherever the commit was refused.
        commits.allow(&json!({ "commits": one })).unwrap();
        assert!(commits.take("public", &one) && commits.take("private", &one));
    }
}
