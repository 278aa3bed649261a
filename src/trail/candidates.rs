//! Refusals that an operator could turn into a change: folded by host, port, method and the shape of the path, and for git
//! by remote and commits.

use super::count;
use policy::{HostPattern, PathPattern, Reason, shape};
use serde::Serialize;
use std::collections::HashMap;
use wire::{Audit, Change, Decision, Event, GitAudit, Line, Outcome, Verdict};

/// Candidates that are kept: those refused last. An agent can make as many as it likes.
const MAX_CANDIDATES: usize = 2048;
/// Rejections that are kept; the oldest give way.
const MAX_REJECTIONS: usize = 2048;

/// Like refusals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    pub id: String,
    /// What would let them pass. Its path is the one that was refused, or the shape of several.
    pub change: Change,
    pub count: u64,
    /// When the first was refused, UTC, RFC 3339.
    pub first: String,
    pub last: String,
    pub example: Refusal,
}

/// The last refusal of a [`Candidate`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The path that was asked for, normalised, without the query; null for git.
    pub path: Option<String>,
    /// The word of [`policy::Reason`].
    pub denial: String,
    pub reason: Option<String>,
    /// `file:line` of the deciding route, or of the nearest one.
    pub rule: Option<String>,
}

/// What is refused alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Egress { host: String, port: u16, method: String, shape: String },
    Git { remote: String, commits: Vec<String> },
}

#[derive(Debug)]
struct Entry {
    /// The path of all of them; `None` where they differ, or for git.
    path: Option<String>,
    count: u64,
    first: String,
    last: String,
    example: Refusal,
    /// When it was refused last, in lines: times may be equal, or go back.
    order: u64,
}

#[derive(Debug, Default)]
pub struct Candidates {
    all: HashMap<Key, Entry>,
    /// A rejected change is no candidate any more, however often an agent tries.
    rejected: Vec<Change>,
    next: u64,
}

impl Candidates {
    /// The change of what is refused now, where it is another one than before.
    pub(super) fn add(&mut self, line: Line) -> Option<Change> {
        let (count, first) = (count(&line), line.since.unwrap_or_else(|| line.time.clone()));
        let (key, example) = refusal(line.event)?;
        if self.is_rejected(&key, &example) {
            return None;
        }
        self.next += 1;
        let order = self.next;
        match self.all.get_mut(&key) {
            Some(entry) => {
                entry.count = entry.count.saturating_add(count);
                let is_another = entry.path.is_some() && entry.path != example.path;
                if is_another {
                    entry.path = None;
                }
                (entry.last, entry.example, entry.order) = (line.time, example, order);
                is_another.then(|| key.change(None))
            }
            None => {
                let path = example.path.clone();
                let change = key.change(path.clone());
                self.all.insert(key, Entry { path, count, first, last: line.time, example, order });
                // In batches, so that a flood costs no search for each line.
                if self.all.len() >= 2 * MAX_CANDIDATES {
                    self.forget_old();
                }
                Some(change)
            }
        }
    }

    fn forget_old(&mut self) {
        let mut orders: Vec<u64> = self.all.values().map(|entry| entry.order).collect();
        orders.sort_unstable_by(|a, b| b.cmp(a));
        if let Some(oldest) = orders.get(MAX_CANDIDATES - 1) {
            self.all.retain(|_, entry| entry.order >= *oldest);
        }
    }

    /// What a decision is about is no candidate. If it is refused after an approval, it is one again.
    pub(super) fn decide(&mut self, decision: &Decision) {
        self.rejected.retain(|change| *change != decision.change);
        if decision.verdict == Verdict::Rejected {
            if self.rejected.len() >= MAX_REJECTIONS {
                self.rejected.remove(0);
            }
            self.rejected.push(decision.change.clone());
        }
        self.all.retain(|key, entry| !covers(&decision.change, &entry.change(key)));
    }

    fn is_rejected(&self, key: &Key, example: &Refusal) -> bool {
        !self.rejected.is_empty() && {
            let change = key.change(example.path.clone());
            self.rejected.iter().any(|rejected| covers(rejected, &change))
        }
    }

    /// The last refused first.
    pub(super) fn list(&self) -> Vec<Candidate> {
        let mut entries: Vec<(&Key, &Entry)> = self.all.iter().collect();
        entries.sort_unstable_by_key(|(_, entry)| std::cmp::Reverse(entry.order));
        let candidate = |(key, entry): (&Key, &Entry)| {
            let change = entry.change(key);
            let Entry { count, first, last, example, .. } = entry;
            let (first, last, example) = (first.clone(), last.clone(), example.clone());
            Candidate { id: change.id(), change, count: *count, first, last, example }
        };
        entries.into_iter().take(MAX_CANDIDATES).map(candidate).collect()
    }
}

impl Key {
    /// `path`: that of all refusals, where they have one.
    fn change(&self, path: Option<String>) -> Change {
        match self.clone() {
            Key::Egress { host, port, method, shape } => {
                Change::Egress { host, port, method, path: path.unwrap_or(shape) }
            }
            Key::Git { remote, commits } => Change::Git { remote, commits },
        }
    }
}

impl Entry {
    fn change(&self, key: &Key) -> Change {
        key.change(self.path.clone())
    }
}

/// The key and the example of a refusal that can be turned into a change; `None` for every other event.
fn refusal(event: Event) -> Option<(Key, Refusal)> {
    match event {
        Event::Request(Audit { host, port, method, path, verdict: Outcome::Deny, denial, reason, rule, .. })
        | Event::Connection(Audit { host, port, method, path, verdict: Outcome::Deny, denial, reason, rule, .. }) => {
            let denial = denial.filter(|word| Reason::of_word(word).is_some_and(Reason::has_remedy))?;
            if method.is_empty() || !is_plain_host(&host) || !is_plain_path(&path) {
                return None;
            }
            let key = Key::Egress { host, port, method, shape: shape(&path) };
            Some((key, Refusal { path: Some(path), denial, reason, rule }))
        }
        Event::Git(GitAudit { remote, verdict: Outcome::Deny, reason, rule, found_commits, .. })
            if !found_commits.is_empty() =>
        {
            let denial = Reason::Git.to_string();
            Some((Key::Git { remote, commits: found_commits }, Refusal { path: None, denial, reason, rule }))
        }
        _ => None,
    }
}

/// A host that a route can name. A cut or withheld one is none.
pub(super) fn is_plain_host(host: &str) -> bool {
    HostPattern::try_from(host.to_owned()).is_ok_and(|pattern| !pattern.is_wildcard() && pattern.as_str() == host)
}

/// A path that a route can name. One with a `*` of the agent's own would be read as a pattern, and a cut or withheld one is
/// no path.
pub(super) fn is_plain_path(path: &str) -> bool {
    !path.contains('*') && PathPattern::try_from(path.to_owned()).is_ok()
}

/// Whether a decision about `whole` is one about `part`.
fn covers(whole: &Change, part: &Change) -> bool {
    match (whole, part) {
        (
            Change::Egress { host, port, method, path },
            Change::Egress { host: host_of_part, port: port_of_part, method: method_of_part, path: path_of_part },
        ) => {
            (host, port, method) == (host_of_part, port_of_part, method_of_part)
                && (path == path_of_part
                    || PathPattern::try_from(path.clone()).is_ok_and(|pattern| pattern.matches(path_of_part)))
        }
        (Change::Git { remote, commits }, Change::Git { remote: remote_of_part, commits: commits_of_part }) => {
            remote == remote_of_part && commits_of_part.iter().all(|commit| commits.contains(commit))
        }
        (whole, part) => whole == part,
    }
}
