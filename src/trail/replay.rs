//! Recorded requests, judged anew by the manifest of today: what would change. Pure.
//!
//! The trail has neither queries nor headers nor bodies: where they decide, the answer is that it cannot be told.

use super::count;
use crate::manifest::Bottle;
use policy::{Denial, Policy, Reads, Reason, RefChange, Request, UrlScheme};
use serde::Serialize;
use std::collections::HashMap;
use wire::{Audit, Event, GitAudit, GitOperation, Line, Outcome};

/// Different changes that are kept, in the order of the trail. More are counted alone.
const MAX_CHANGES: usize = 10_000;
/// HTTP status of a connection that became a WebSocket.
const SWITCHING_PROTOCOLS: u16 = 101;

/// What today's manifest makes of a trail.
#[derive(Debug, Default, Serialize)]
pub struct Replay {
    /// Requests, connections and git operations that were judged.
    pub judged: u64,
    /// Those that were allowed, and would be refused.
    pub refused: u64,
    /// Those that were refused, and would pass.
    pub passed: u64,
    /// Those of which the trail does not say enough.
    pub untold: u64,
    /// Lines that are no gate's.
    pub unreadable: u64,
    /// Like changes are one.
    pub changes: Vec<Replayed>,
    /// Changes that are counted above, and not in `changes`.
    pub more: u64,
}

/// Like requests of which the answer changes, or cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replayed {
    pub after: After,
    /// Host, or the remote of a git operation.
    pub host: String,
    /// 0 for a git operation.
    pub port: u16,
    /// `fetch` or `push` for a git operation; empty for a connection whose requests were not read.
    pub method: String,
    pub path: String,
    pub count: u64,
    /// The line of the first, from 1.
    pub line: u64,
    /// UTC, RFC 3339.
    pub last: String,
    /// Why it would be refused or cannot be told, or why it was refused.
    pub why: String,
    /// `file:line` of the route or the remote of today that decides.
    pub rule: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    Refused,
    Passes,
    Untold,
}

/// Judges the lines of a trail one after the other.
pub struct Replayer<'a> {
    bottle: &'a Bottle,
    policy: Policy,
    line: u64,
    places: HashMap<Key, usize>,
    replay: Replay,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    after: After,
    host: String,
    port: u16,
    method: String,
    path: String,
}

/// What the policy said, as far as the trail shows it.
enum Before {
    Passed,
    /// The reason.
    Refused(String),
    /// The policy did not come to an answer.
    Unjudged,
}

/// What the policy of today says.
enum Today {
    Passes { rule: Option<String> },
    Refused { why: String, rule: Option<String> },
    Untold(String),
}

impl<'a> Replayer<'a> {
    pub fn new(bottle: &'a Bottle) -> Replayer<'a> {
        let (policy, places, replay) = (bottle.policy(), HashMap::new(), Replay::default());
        Replayer { bottle, policy, line: 0, places, replay }
    }

    /// Takes the next line, without or with its newline.
    pub fn add(&mut self, line: &[u8]) {
        self.line += 1;
        match serde_json::from_slice::<Line>(line) {
            Ok(line) => self.add_line(line),
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(_) => self.replay.unreadable += 1,
        }
    }

    pub fn finish(self) -> Replay {
        self.replay
    }

    fn add_line(&mut self, line: Line) {
        let count = count(&line);
        let (before, today, key) = match line.event {
            // A line that stands for several hosts names none.
            Event::Request(Audit { ref host, .. }) | Event::Connection(Audit { ref host, .. }) if !is_name(host) => {
                return;
            }
            Event::Request(audit) => (before(&audit), self.request(&audit), key(audit)),
            Event::Connection(audit) => (before(&audit), self.connection(&audit), key(audit)),
            Event::Git(audit) => {
                let method = match audit.operation {
                    GitOperation::Fetch => "fetch",
                    GitOperation::Push => "push",
                    // Nothing of it leaves the bottle.
                    GitOperation::Sign => return,
                };
                let (before, today) = (before_of_git(&audit), self.git(&audit));
                let (host, method, path) = (audit.remote, method.to_owned(), String::new());
                (before, today, Key { after: After::Untold, host, port: 0, method, path })
            }
            _ => return,
        };
        self.replay.judged = self.replay.judged.saturating_add(count);
        let (after, why, rule) = match (before, today) {
            (Before::Unjudged, _)
            | (Before::Passed, Today::Passes { .. })
            | (Before::Refused(_), Today::Refused { .. } | Today::Untold(_)) => return,
            (Before::Passed, Today::Refused { why, rule }) => (After::Refused, why, rule),
            (Before::Passed, Today::Untold(why)) => (After::Untold, why, None),
            (Before::Refused(why), Today::Passes { rule }) => (After::Passes, why, rule),
        };
        let total = match after {
            After::Refused => &mut self.replay.refused,
            After::Passes => &mut self.replay.passed,
            After::Untold => &mut self.replay.untold,
        };
        *total = total.saturating_add(count);
        let key = Key { after, ..key };
        if let Some(place) = self.places.get(&key) {
            let known = &mut self.replay.changes[*place];
            (known.count, known.last) = (known.count.saturating_add(count), line.time);
            return;
        }
        if self.replay.changes.len() >= MAX_CHANGES {
            self.replay.more += count;
            return;
        }
        let Key { host, port, method, path, .. } = &key;
        let (host, method, path) = (host.clone(), method.clone(), path.clone());
        let (port, last, line) = (*port, line.time, self.line);
        self.replay.changes.push(Replayed { after, host, port, method, path, count, line, last, why, rule });
        self.places.insert(key, self.replay.changes.len() - 1);
    }

    fn request(&self, audit: &Audit) -> Today {
        let Audit { host, port, method, path, status, sent, .. } = audit;
        if method.is_empty() {
            return self.connection(audit);
        }
        if !path.starts_with('/') && path != "*" || path.ends_with('…') {
            return Today::Untold("its path is not recorded whole".to_owned());
        }
        let scheme = match (*port == 80, *status == Some(SWITCHING_PROTOCOLS)) {
            (true, false) => UrlScheme::Http,
            (true, true) => UrlScheme::WebSocket,
            (false, false) => UrlScheme::Https,
            (false, true) => UrlScheme::SecureWebSocket,
        };
        let request = Request { has_body: *sent > 0, ..Request::recorded(host, *port, method, path) };
        match self.policy.judge_typed_as(&request, scheme) {
            Err(denial) if matches!(denial.reason, Reason::Query | Reason::Header) => {
                Today::Untold(format!("{}, and the trail has neither queries nor headers", denial.text))
            }
            answer => self.answer(answer.map(|pass| pass.route)),
        }
    }

    /// A connection whose requests the gate did not read.
    fn connection(&self, audit: &Audit) -> Today {
        let route = match self.policy.route_for(&audit.host, audit.port) {
            Ok(route) => route,
            Err(denial) => return self.answer(Err(denial)),
        };
        match self.policy.routes[route].reads() {
            Reads::Nothing | Reads::Names => self.answer(Ok(route)),
            Reads::Http => Today::Untold("its requests passed unread, and would be read".to_owned()),
        }
    }

    fn answer(&self, answer: Result<usize, Denial>) -> Today {
        let rule = |route: Option<usize>| {
            route.and_then(|route| self.policy.routes.get(route)).map(|route| route.origin.clone())
        };
        match answer {
            Ok(route) => Today::Passes { rule: rule(Some(route)) },
            Err(denial) => Today::Refused { why: denial.text.clone(), rule: rule(denial.route) },
        }
    }

    fn git(&self, audit: &GitAudit) -> Today {
        let Some(remote) = self.bottle.remotes.iter().find(|remote| remote.name == audit.remote) else {
            return Today::Refused { why: "no remote has this name".to_owned(), rule: None };
        };
        let is_none = |id: &str| id.bytes().all(|b| b == b'0');
        let denied = audit.refs.iter().find_map(|update| {
            // Whether a branch moved forward is not recorded: it did, or it was refused then.
            let change = match (is_none(&update.old), is_none(&update.new)) {
                (_, true) => RefChange::Delete,
                (true, _) => RefChange::Create,
                _ => RefChange::FastForward,
            };
            remote.rules.judge(&update.name, change).err()
        });
        let rule = Some(remote.origin.clone());
        match denied {
            Some(denial) => Today::Refused { why: denial.text, rule },
            None => Today::Passes { rule },
        }
    }
}

/// Whether it is one host outside: not a service of the gate's, not that of a line that stands for several, and not a
/// withheld or cut one.
fn is_name(host: &str) -> bool {
    !host.is_empty() && !host.ends_with(".bottle") && !host.starts_with('(') && !host.ends_with('…')
}

fn key(audit: Audit) -> Key {
    let Audit { host, port, method, path, .. } = audit;
    Key { after: After::Untold, host, port, method, path }
}

fn before(audit: &Audit) -> Before {
    let reason = audit.denial.as_deref().and_then(Reason::of_word);
    match (audit.verdict, reason) {
        (Outcome::Allow | Outcome::Error, _) => Before::Passed,
        // The policy let it pass; what it carried, or its answer, was refused.
        (Outcome::Deny, Some(Reason::Dlp | Reason::Model | Reason::Answer | Reason::Token)) => Before::Passed,
        // A query or a header is not recorded: whether it is the same today cannot be told.
        (Outcome::Deny, Some(reason)) if reason.has_remedy() && !matches!(reason, Reason::Query | Reason::Header) => {
            Before::Refused(audit.reason.clone().unwrap_or_else(|| reason.to_string()))
        }
        (Outcome::Deny, _) => Before::Unjudged,
    }
}

fn before_of_git(audit: &GitAudit) -> Before {
    match audit.verdict {
        Outcome::Allow | Outcome::Error => Before::Passed,
        Outcome::Deny if audit.finding.is_some() => Before::Passed,
        // What was refused of a push is not told: a ref that is not shown, or one that did not move forward.
        Outcome::Deny if audit.operation == GitOperation::Push => Before::Unjudged,
        Outcome::Deny => Before::Refused(audit.reason.clone().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Chosen, Route};

    fn bottle(routes: &str) -> Bottle {
        let routes: Vec<serde_json::Value> = serde_json::from_str(routes).unwrap();
        let route = |(number, mut value): (usize, serde_json::Value)| {
            for (key, default) in [
                ("port", serde_json::json!(443)),
                ("methods", serde_json::json!(["GET", "HEAD", "OPTIONS"])),
                ("paths", serde_json::json!(["/**"])),
                ("origin", serde_json::json!(format!("m.json:{}", number + 1))),
            ] {
                value.as_object_mut().unwrap().entry(key).or_insert(default);
            }
            let policy = serde_json::from_value(value).unwrap();
            Route { policy, token: None, upstream_ca: None, placeholder: None }
        };
        Bottle { routes: routes.into_iter().enumerate().map(route).collect(), ..Chosen::plain().bottle }
    }

    fn line(kind: &str, asked: &str, more: &str) -> String {
        let (method, rest) = asked.split_once(' ').unwrap();
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
        format!(
            r#"{{"seq":1,"time":"t","event":"{kind}","host":"{host}","port":{port},"method":"{method}","path":"{path}",{more},"sent":0,"received":0,"ms":0}}"#
        )
    }

    const ALLOWED: &str = r#""verdict":"allow""#;

    fn denied(reason: &str) -> String {
        format!(r#""verdict":"deny","denial":"{reason}","reason":"why""#)
    }

    fn replayed(routes: &str, lines: &[String]) -> Replay {
        let bottle = bottle(routes);
        let mut replayer = Replayer::new(&bottle);
        lines.iter().for_each(|line| replayer.add(line.as_bytes()));
        replayer.finish()
    }

    const ROUTES: &str = r#"[
        {"host":"a.org","paths":["/x/**"]},
        {"host":"q.org","query":{"q":"1"}},
        {"host":"raw.org","port":5432,"protocol":"tcp"},
        {"host":"git.org","git":"fetch","paths":["/team/**"]},
        {"host":"ws.org","methods":["GET"]}]"#;

    #[test]
    fn what_changes_is_told_and_nothing_else() {
        let (host, dlp, query) = (denied("host"), denied("dlp"), denied("query"));
        for (kind, asked, more, after) in [
            ("request", "GET a.org/x/1", ALLOWED, None),
            ("request", "GET a.org/y", ALLOWED, Some(After::Refused)),
            ("request", "GET a.org/y", r#""verdict":"error""#, Some(After::Refused)),
            ("request", "POST a.org/x", ALLOWED, Some(After::Refused)),
            ("request", "GET b.org/", host.as_str(), None),
            ("request", "GET a.org/x/2", host.as_str(), Some(After::Passes)),
            ("request", "GET a.org/x/2", dlp.as_str(), None),
            ("request", "GET a.org/y", dlp.as_str(), Some(After::Refused)),
            ("request", "GET a.org/x/2", query.as_str(), None),
            ("request", "GET a.org/x/2", &denied("address"), None),
            ("request", "GET a.org/x/2", &denied("new word"), None),
            ("request", "GET q.org/", ALLOWED, Some(After::Untold)),
            ("request", "GET a.org/x/cut…", ALLOWED, Some(After::Untold)),
            ("request", "GET git.org/team/app/info/refs", ALLOWED, None),
            ("request", "GET ws.org/", r#""verdict":"allow","status":101"#, Some(After::Refused)),
            ("request", "GET gate.bottle/", ALLOWED, None),
            ("request", "GET (several)/", ALLOWED, None),
            ("connection", " raw.org:5432", ALLOWED, None),
            ("connection", " raw.org:5433", ALLOWED, Some(After::Refused)),
            ("connection", " a.org", ALLOWED, Some(After::Untold)),
            ("connection", " raw.org:5432", host.as_str(), Some(After::Passes)),
        ] {
            let replay = replayed(ROUTES, &[line(kind, asked, more)]);
            let found: Vec<After> = replay.changes.iter().map(|change| change.after).collect();
            assert_eq!(found, after.into_iter().collect::<Vec<_>>(), "{kind} {asked} {more}: {replay:?}");
        }
    }

    #[test]
    fn like_changes_are_one_with_a_count() {
        let lines = [
            "no line".to_owned(),
            line("request", "GET a.org/y", ALLOWED),
            String::new(),
            line("request", "GET a.org/y", ALLOWED).replacen('{', r#"{"repeated":7,"since":"t","#, 1),
            line("request", "GET a.org/x", ALLOWED),
        ];
        let replay = replayed(ROUTES, &lines);
        assert_eq!((replay.judged, replay.refused, replay.unreadable, replay.changes.len()), (9, 8, 1, 1));
        let change = &replay.changes[0];
        assert_eq!((change.count, change.line, change.rule.as_deref()), (8, 2, Some("m.json:1")));
    }

    #[test]
    fn a_flood_of_changes_has_a_bound() {
        let lines: Vec<String> =
            (0..MAX_CHANGES + 5).map(|n| line("request", &format!("GET b.org/{n}"), ALLOWED)).collect();
        let replay = replayed(ROUTES, &lines);
        assert_eq!((replay.changes.len(), replay.more, replay.refused), (MAX_CHANGES, 5, MAX_CHANGES as u64 + 5));
    }

    #[test]
    fn git_is_judged_by_the_remote_of_its_name() {
        let git = |remote: &str, more: &str| {
            format!(r#"{{"seq":1,"time":"t","event":"git","remote":"{remote}",{more},"sent":0,"received":0,"ms":0}}"#)
        };
        let push = |name: &str| {
            let update = format!(r#"{{"name":"{name}","old":"{}","new":"{}"}}"#, "0".repeat(40), "1".repeat(40));
            git("app", &format!(r#""operation":"push","verdict":"allow","refs":[{update}]"#))
        };
        let lines = [
            git("app", r#""operation":"fetch","verdict":"allow""#),
            git("gone", r#""operation":"fetch","verdict":"allow""#),
            git("app", r#""operation":"fetch","verdict":"deny","reason":"no remote""#),
            push("refs/heads/bottle/x"),
            push("refs/heads/main"),
            git("app", r#""operation":"push","verdict":"deny","reason":"a finding","finding":"a key""#),
        ];
        let mut bottle = bottle("[]");
        let rules = serde_json::json!({ "refs": ["refs/heads/*"], "protected": ["refs/heads/main"], "allow_force": false, "allow_delete": false });
        bottle.remotes.push(crate::manifest::Remote {
            name: "app".into(),
            origin: "m.json:9".into(),
            upstream: None,
            rules: serde_json::from_value(rules).unwrap(),
        });
        let mut replayer = Replayer::new(&bottle);
        lines.iter().for_each(|line| replayer.add(line.as_bytes()));
        let found: Vec<(u64, After)> = replayer.finish().changes.iter().map(|c| (c.line, c.after)).collect();
        assert_eq!(found, [(2, After::Refused), (3, After::Passes), (5, After::Refused)]);
    }
}
