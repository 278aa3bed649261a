//! Folding of like events, so that an agent cannot fill the trail: of a flood some are written whole, the rest are counted
//! in one line for each host. The first of each kind is always written, and alarms, denials, failures and allowed requests
//! never take each other's room.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime};
use wire::{Alarm, Audit, Event, GitAudit, GitOperation, Outcome, TokenUsage, Work};

/// A folded line is written after this long, with what came until then. The first of a flood is not delayed.
pub const FOLD_WINDOW: Duration = Duration::from_secs(60);
/// Hosts of one class that are folded each for itself; all others of the class are folded together.
const MAX_FOLDS_OF_CLASS: usize = 8;
/// Hosts of one class whose rates are known. When there are more, all begin anew; the rate of the class holds.
const MAX_HOSTS_OF_CLASS: usize = 1024;
/// Kinds of one class whose first is written whatever the rate. More than policy and scanner have; a bound all the same.
const MAX_KINDS_OF_CLASS: usize = 1024;
/// Comparisons of the work that one gate believes. `init` sends one.
const MAX_WORKS: u64 = 8;
/// The host of a line that stands for several.
const SEVERAL: &str = "(several)";

/// Events that are limited together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Allowed,
    Denied,
    Failed,
    Alarm,
}

impl Class {
    const ALL: [Class; 4] = [Class::Allowed, Class::Denied, Class::Failed, Class::Alarm];

    /// `None` for events of the session, which no agent can repeat at will.
    fn of(event: &Event) -> Option<Class> {
        match event {
            Event::Request(Audit { verdict, .. })
            | Event::Connection(Audit { verdict, .. })
            | Event::Git(GitAudit { verdict, .. }) => Some(match verdict {
                Outcome::Allow => Class::Allowed,
                Outcome::Deny => Class::Denied,
                Outcome::Error => Class::Failed,
            }),
            Event::Alarm(_) => Some(Class::Alarm),
            _ => None,
        }
    }

    /// The rate for one host. All bursts, with the longest lines, fit into the engine's log before it rotates.
    fn host_rate(self) -> Rate {
        match self {
            // An installation of packages asks one host for thousands of paths, and each of them tells something.
            Class::Allowed => Rate { burst: 4000.0, per_minute: 30.0 },
            Class::Denied | Class::Failed => Rate { burst: 400.0, per_minute: 10.0 },
            Class::Alarm => Rate { burst: 100.0, per_minute: 5.0 },
        }
    }

    /// The rate for all hosts together.
    fn class_rate(self) -> Rate {
        match self {
            Class::Allowed => Rate { burst: 8000.0, per_minute: 60.0 },
            Class::Denied | Class::Failed => Rate { burst: 2000.0, per_minute: 20.0 },
            Class::Alarm => Rate { burst: 1000.0, per_minute: 10.0 },
        }
    }
}

/// Lines that are written whole: at once, and for each minute after that.
#[derive(Clone, Copy)]
struct Rate {
    burst: f64,
    per_minute: f64,
}

/// A token bucket.
struct Bucket {
    rate: Rate,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Bucket {
        Bucket { rate, tokens: rate.burst, filled: now }
    }

    fn has_token(&mut self, now: Instant) -> bool {
        let minutes = now.saturating_duration_since(self.filled).as_secs_f64() / 60.0;
        self.tokens = (self.tokens + minutes * self.rate.per_minute).min(self.rate.burst);
        self.filled = now;
        self.tokens >= 1.0
    }
}

/// Like events that were not written: the last of them, and how many.
pub struct Folded {
    pub event: Event,
    pub count: u64,
    pub first: SystemTime,
    pub last: SystemTime,
    /// `None`: of several hosts.
    key: Option<u64>,
    due: Instant,
}

/// What is known of the events so far.
pub struct Folds {
    hasher: RandomState,
    /// In the order of [`Class::ALL`].
    classes: [ClassFolds; 4],
    works: u64,
}

struct ClassFolds {
    class: Class,
    bucket: Bucket,
    of_host: HashMap<u64, Bucket>,
    kinds: HashSet<u64>,
    /// The first is due first.
    waiting: Vec<Folded>,
}

impl Folds {
    pub fn new(now: Instant) -> Folds {
        let classes = Class::ALL.map(|class| ClassFolds {
            class,
            bucket: Bucket::full(class.class_rate(), now),
            of_host: HashMap::new(),
            kinds: HashSet::new(),
            waiting: Vec::new(),
        });
        Folds { hasher: RandomState::new(), classes, works: 0 }
    }

    /// The event, if it is to be written now; `None` where it was counted.
    pub fn admit(&mut self, event: Event, now: Instant) -> Option<Event> {
        if let Event::Work(work) = event {
            return self.admit_work(work);
        }
        let Some(class) = Class::of(&event) else { return Some(event) };
        let (kind, host) = (self.hasher.hash_one(Kind::of(&event)), Host::of(&event));
        let key = self.hasher.hash_one((kind, host));
        let folds = &mut self.classes[class as usize];
        if folds.is_first(kind) || folds.is_within_rates(key, now) {
            return Some(event);
        }
        folds.fold(event, key, now);
        None
    }

    /// Whether no event waits for the end of its window.
    pub fn is_empty(&self) -> bool {
        self.classes.iter().all(|folds| folds.waiting.is_empty())
    }

    /// When the first window ends.
    pub fn next_due(&self) -> Option<Instant> {
        self.classes.iter().filter_map(|folds| folds.waiting.first()).map(|folded| folded.due).min()
    }

    /// The folded lines whose window has ended at `now`.
    pub fn take_due(&mut self, now: Instant) -> Vec<Folded> {
        let due = |folds: &mut ClassFolds| {
            let count = folds.waiting.partition_point(|folded| folded.due <= now);
            folds.waiting.drain(..count).collect::<Vec<_>>()
        };
        self.classes.iter_mut().flat_map(due).collect()
    }

    /// The last comparison decides whether a home may go. From an agent that sends more than `init` does, none is believed:
    /// the last that is written says that nothing was compared.
    fn admit_work(&mut self, work: Work) -> Option<Event> {
        self.works = self.works.saturating_add(1);
        match self.works {
            ..=MAX_WORKS => Some(Event::Work(work)),
            works if works == MAX_WORKS + 1 => Some(Event::Work(Work::default())),
            _ => None,
        }
    }
}

impl ClassFolds {
    fn is_first(&mut self, kind: u64) -> bool {
        !self.kinds.contains(&kind) && self.kinds.len() < MAX_KINDS_OF_CLASS && self.kinds.insert(kind)
    }

    fn is_within_rates(&mut self, key: u64, now: Instant) -> bool {
        if self.of_host.len() >= MAX_HOSTS_OF_CLASS && !self.of_host.contains_key(&key) {
            self.of_host.clear();
        }
        let of_host = self.of_host.entry(key).or_insert_with(|| Bucket::full(self.class.host_rate(), now));
        let is_within = of_host.has_token(now) && self.bucket.has_token(now);
        if is_within {
            of_host.tokens -= 1.0;
            self.bucket.tokens -= 1.0;
        }
        is_within
    }

    fn fold(&mut self, mut event: Event, key: u64, now: Instant) {
        let has_own = |folded: &Folded| folded.key == Some(key);
        let key = match self.waiting.iter().any(has_own) || self.waiting.len() < MAX_FOLDS_OF_CLASS {
            true => Some(key),
            false => None,
        };
        if key.is_none() {
            generalise(&mut event);
        }
        let time = SystemTime::now();
        match self.waiting.iter_mut().find(|folded| folded.key == key) {
            Some(folded) => {
                add_amounts(&mut event, &folded.event);
                folded.event = event;
                folded.count += 1;
                folded.last = time;
            }
            None => {
                let (count, due) = (1, now + FOLD_WINDOW);
                self.waiting.push(Folded { event, count, first: time, last: time, key, due });
            }
        }
    }
}

/// Events of one class and kind differ in hosts, methods, paths, status, sizes and times only: kinds are made by the policy
/// and the scanner, not by the agent.
#[derive(Hash)]
enum Kind<'a> {
    Audit { is_request: bool, rule: Option<&'a str>, finding: Option<&'a str>, reason: Vec<&'a str> },
    Git { operation: GitOperation, has_finding: bool, reason: Vec<&'a str> },
    Alarm { finding: &'a str, value: Option<&'a str>, done: u8 },
    Session,
}

impl Kind<'_> {
    fn of(event: &Event) -> Kind<'_> {
        match event {
            Event::Request(audit) | Event::Connection(audit) => {
                // What a reason quotes is the agent's.
                let reason = audit.reason.iter().flat_map(|reason| reason.split('`').step_by(2)).collect();
                let (rule, finding) = (audit.rule.as_deref(), audit.finding.as_deref());
                Kind::Audit { is_request: matches!(event, Event::Request(_)), rule, finding, reason }
            }
            Event::Git(GitAudit { operation, reason, finding, .. }) => {
                let reason = reason.iter().flat_map(|reason| reason.split('`').step_by(2)).collect();
                Kind::Git { operation: *operation, has_finding: finding.is_some(), reason }
            }
            Event::Alarm(Alarm { finding, value, done, .. }) => {
                Kind::Alarm { finding, value: value.as_deref(), done: *done as u8 }
            }
            _ => Kind::Session,
        }
    }
}

/// Where a request went.
#[derive(Hash, Default)]
struct Host<'a> {
    host: &'a str,
    port: u16,
    method: &'a str,
}

impl Host<'_> {
    fn of(event: &Event) -> Host<'_> {
        match event {
            Event::Request(Audit { host, port, method, .. })
            | Event::Connection(Audit { host, port, method, .. })
            | Event::Alarm(Alarm { host, port, method, .. }) => Host { host, port: *port, method },
            Event::Git(GitAudit { remote, .. }) => Host { host: remote, ..Host::default() },
            _ => Host::default(),
        }
    }
}

/// A folded line has the bytes and tokens of all that it stands for.
fn add_amounts(event: &mut Event, before: &Event) {
    match (event, before) {
        (Event::Request(audit) | Event::Connection(audit), Event::Request(old) | Event::Connection(old)) => {
            audit.sent = audit.sent.saturating_add(old.sent);
            audit.received = audit.received.saturating_add(old.received);
            audit.tokens = audit.tokens.into_iter().chain(old.tokens).reduce(TokenUsage::plus);
        }
        (Event::Git(audit), Event::Git(old)) => {
            audit.sent = audit.sent.saturating_add(old.sent);
            audit.received = audit.received.saturating_add(old.received);
        }
        _ => {}
    }
}

/// Takes away where it went. The reason stays, as an example.
fn generalise(event: &mut Event) {
    match event {
        Event::Request(audit) | Event::Connection(audit) => {
            let Audit { verdict, sent, received, tokens, reason, .. } = std::mem::take(audit);
            let host = SEVERAL.to_owned();
            *audit = Audit { host, verdict, sent, received, tokens, reason, ..Audit::default() };
        }
        Event::Git(audit) => {
            let GitAudit { operation, verdict, sent, received, reason, .. } = std::mem::take(audit);
            let remote = SEVERAL.to_owned();
            *audit = GitAudit { remote, operation, verdict, sent, received, reason, ..GitAudit::default() };
        }
        Event::Alarm(alarm) => {
            let Alarm { finding, value, done, .. } = std::mem::take(alarm);
            *alarm = Alarm { host: SEVERAL.to_owned(), finding, value, done, ..Alarm::default() };
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Done;

    fn denied(host: &str, path: &str) -> Event {
        let reason = Some(format!("path `{path}` of `{host}` is not on the allowlist"));
        let tokens = Some(TokenUsage { output: 3, ..TokenUsage::default() });
        Event::Request(Audit {
            host: host.to_owned(),
            path: path.to_owned(),
            reason,
            sent: 2,
            tokens,
            ..Audit::default()
        })
    }

    fn alarm(finding: &str) -> Event {
        Event::Alarm(Alarm { finding: finding.to_owned(), done: Done::Blocked, ..Alarm::default() })
    }

    /// Every event is either written or counted. That a reason quotes each path makes no kinds of them.
    #[test]
    fn a_flood_of_one_kind_is_written_in_part_and_counted_for_the_rest() {
        let now = Instant::now();
        let mut folds = Folds::new(now);
        let written = (0..10_000).filter(|n| folds.admit(denied("a.org", &format!("/{n}")), now).is_some()).count();
        assert_eq!(written, 401, "the first of its kind, and a burst");
        assert!(folds.take_due(now).is_empty(), "the window has not ended");
        let later = now + FOLD_WINDOW;
        let due = folds.take_due(later);
        let [Folded { event: Event::Request(audit), count: 9599, .. }] = &due[..] else { panic!("{}", due.len()) };
        assert_eq!((&audit.host[..], &audit.path[..], audit.sent), ("a.org", "/9999", 2 * 9599));
        assert_eq!(audit.tokens.map(TokenUsage::total), Some(3 * 9599));
        assert!(folds.is_empty() && folds.next_due().is_none());
        // A minute later some are written again.
        assert_eq!((0..100).filter(|_| folds.admit(denied("a.org", "/"), later).is_some()).count(), 10);
    }

    /// However many hosts are named: few lines, and the rate of the class.
    #[test]
    fn a_flood_of_many_hosts_becomes_few_lines() {
        let now = Instant::now();
        let mut folds = Folds::new(now);
        let written = (0..50_000).filter(|n| folds.admit(denied(&format!("h{n}"), "/"), now).is_some()).count();
        assert_eq!(written, 2001);
        let due = folds.take_due(now + FOLD_WINDOW);
        assert_eq!(due.len(), MAX_FOLDS_OF_CLASS + 1);
        assert_eq!(due.iter().map(|folded| folded.count).sum::<u64>(), 50_000 - 2001);
        let Some(Event::Request(rest)) = due.last().map(|folded| &folded.event) else { panic!() };
        assert_eq!((&rest.host[..], &rest.path[..]), (SEVERAL, ""));
        assert_eq!(rest.sent, 2 * due.last().map_or(0, |folded| folded.count));
    }

    #[test]
    fn no_flood_hides_another_kind() {
        let now = Instant::now();
        let mut folds = Folds::new(now);
        for n in 0..50_000 {
            folds.admit(denied(&format!("h{n}"), "/"), now);
            folds.admit(alarm("a token in the body"), now);
        }
        let audit = |verdict, reason: &str| {
            Event::Request(Audit { verdict, reason: Some(reason.to_owned()), ..Audit::default() })
        };
        let others = [
            alarm("a key in the path"),
            audit(Outcome::Deny, "git push over https is never allowed"),
            audit(Outcome::Error, "the upstream broke off"),
            audit(Outcome::Allow, ""),
            Event::Failed { reason: String::new() },
        ];
        for event in others {
            assert_eq!(folds.admit(event.clone(), now), Some(event));
        }
    }

    /// Many comparisons of the work: the last that the host hears is that nothing was compared, so that the home stays.
    #[test]
    fn of_many_comparisons_none_is_believed() {
        let now = Instant::now();
        let mut folds = Folds::new(now);
        let clean = || Event::Work(Work { complete: true, ..Work::default() });
        let told: Vec<_> = (0..1000).filter_map(|_| folds.admit(clean(), now)).collect();
        assert_eq!((told.len(), &told[0], &told[8]), (9, &clean(), &Event::Work(Work::default())));
    }
}
