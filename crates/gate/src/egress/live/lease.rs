//! How long a token is valid, and whether a new one was asked for. Pure: the time comes in.
//!
//! The owner of the session runs the token's command. The intervals bound how often the agent can make it run.

use std::time::{Duration, SystemTime};

/// A new token is asked for this long before the old one ends; a tenth of its lifetime before, if that is less.
const RENEW_AHEAD: Duration = Duration::from_secs(60);
/// If no owner acknowledges a refresh within this time, none is attached.
const ACK_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a request waits for a refresh that was acknowledged: the command is running.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// Least time between two refreshes that requests ask for because the token has ended.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(30);
/// Least time between two refreshes for a token that its upstream rejected.
const MIN_REJECTION_INTERVAL: Duration = Duration::from_secs(60);
/// Least time until the next planned refresh after one that brought the same value.
const MIN_SAME_VALUE_INTERVAL: Duration = Duration::from_secs(10);

/// The validity of one token's present value, and the state of its refresh.
#[derive(Debug, Clone)]
pub struct Lease {
    /// `None`: the end is not known.
    ends: Option<SystemTime>,
    /// When a new value is asked for, even if no request needs it.
    renew_at: Option<SystemTime>,
    asked: Option<Asked>,
    /// When an owner acknowledged the refresh.
    acknowledged: Option<SystemTime>,
    /// An upstream rejected this value.
    is_rejected: bool,
    last_rejection: Option<SystemTime>,
}

/// When a new value was asked for: the first and the last time.
#[derive(Debug, Clone, Copy)]
struct Asked {
    first: SystemTime,
    last: SystemTime,
}

/// What a refresh brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    NewValue,
    SameValue,
}

impl Lease {
    /// For a token that is valid for `life` from `now` on; `None`: its end is not known.
    pub fn new(life: Option<Duration>, now: SystemTime) -> Lease {
        let ends = life.and_then(|life| now.checked_add(life));
        let renew_at = ends.zip(life).and_then(|(ends, life)| ends.checked_sub(RENEW_AHEAD.min(life / 10)));
        Lease { ends, renew_at, asked: None, acknowledged: None, is_rejected: false, last_rejection: None }
    }

    /// The lease of the value that a refresh brought.
    pub fn renewed(&self, life: Option<Duration>, now: SystemTime, renewal: Renewal) -> Lease {
        let mut next = Lease { last_rejection: self.last_rejection, ..Lease::new(life, now) };
        if renewal == Renewal::SameValue {
            // A command that prints one token until that ends must not run more and more often towards the end.
            let earliest = now + MIN_SAME_VALUE_INTERVAL;
            next.renew_at = next.renew_at.zip(next.ends).map(|(renew_at, ends)| renew_at.max(earliest.min(ends)));
            next.is_rejected = self.is_rejected;
        }
        next
    }

    pub fn ends(&self) -> Option<SystemTime> {
        self.ends
    }

    pub fn has_ended(&self, now: SystemTime) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }

    /// Is a new value wanted?
    pub fn is_due(&self, now: SystemTime) -> bool {
        self.asked.is_some() || self.renew_at.is_some_and(|renew_at| renew_at <= now)
    }

    /// When a new value is to be asked for; `None` if it already was, or never will be.
    pub fn renew_at(&self) -> Option<SystemTime> {
        self.renew_at.filter(|_| self.asked.is_none())
    }

    /// A new value is asked for.
    pub fn mark_asked(&mut self, now: SystemTime) {
        let first = self.asked.map_or(now, |asked| asked.first);
        self.asked = Some(Asked { first, last: now });
    }

    /// May a request that finds the token ended ask for a new value (again)?
    pub fn may_ask(&self, now: SystemTime) -> bool {
        self.asked.is_none_or(|asked| elapsed(asked.last, now) >= MIN_REFRESH_INTERVAL)
    }

    /// An upstream answered 401. Returns whether a new value is to be asked for: once for each value.
    pub fn reject(&mut self, now: SystemTime) -> bool {
        let is_soon = self.last_rejection.is_some_and(|last| elapsed(last, now) < MIN_REJECTION_INTERVAL);
        if self.is_rejected || is_soon {
            return false;
        }
        (self.is_rejected, self.last_rejection) = (true, Some(now));
        self.asked.is_none()
    }

    /// An owner runs the command now.
    pub fn acknowledge(&mut self, now: SystemTime) {
        self.acknowledged = Some(now);
    }

    /// How long a request may wait for the new value. `None` if no owner seems to fetch it.
    pub fn remaining_wait(&self, now: SystemTime) -> Option<Duration> {
        let (from, limit) = match (self.acknowledged, self.asked) {
            (Some(acknowledged), _) => (acknowledged, COMMAND_TIMEOUT),
            (None, Some(asked)) => (asked.first, ACK_TIMEOUT),
            (None, None) => return None,
        };
        limit.checked_sub(elapsed(from, now)).filter(|left| !left.is_zero())
    }

    pub fn is_acknowledged(&self) -> bool {
        self.acknowledged.is_some()
    }
}

/// Zero if the clock was set back.
fn elapsed(since: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000) + Duration::from_secs_f64(seconds)
    }

    fn life(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn a_minute_before_the_end_or_a_tenth_of_life() {
        assert_eq!(Lease::new(life(3600), at(0.0)).renew_at(), Some(at(3540.0)));
        assert_eq!(Lease::new(life(100), at(0.0)).renew_at(), Some(at(90.0)));
        assert_eq!(Lease::new(None, at(0.0)).renew_at(), None);
        assert_eq!(Lease::new(Some(Duration::MAX), at(0.0)).renew_at(), None);
        let lease = Lease::new(life(100), at(0.0));
        assert!(!lease.is_due(at(89.0)) && lease.is_due(at(90.0)));
        assert!(!lease.has_ended(at(99.0)) && lease.has_ended(at(100.0)));
    }

    #[test]
    fn once_asked_for_it_is_asked_for_again_only_after_a_while() {
        let mut lease = Lease::new(life(100), at(0.0));
        assert!(lease.may_ask(at(100.0)));
        lease.mark_asked(at(100.0));
        assert_eq!(lease.renew_at(), None);
        assert!(!lease.may_ask(at(129.0)) && lease.may_ask(at(130.0)));
        let next = lease.renewed(life(100), at(131.0), Renewal::NewValue);
        assert!(!next.is_due(at(131.0)) && next.remaining_wait(at(131.0)).is_none());
    }

    #[test]
    fn a_request_waits_only_for_an_owner_that_is_attached() {
        let mut lease = Lease::new(life(100), at(0.0));
        assert_eq!(lease.remaining_wait(at(90.0)), None);
        lease.mark_asked(at(90.0));
        assert_eq!(lease.remaining_wait(at(91.0)), Some(Duration::from_secs(2)));
        assert_eq!(lease.remaining_wait(at(93.0)), None);
        // When it is asked for again, it is known already that no owner is attached.
        lease.mark_asked(at(130.0));
        assert_eq!(lease.remaining_wait(at(130.0)), None);
        lease.acknowledge(at(131.0));
        assert_eq!(lease.remaining_wait(at(135.0)), Some(Duration::from_secs(6)));
        assert_eq!(lease.remaining_wait(at(141.0)), None);
    }

    /// Whatever the agent provokes, the command does not run more often than this.
    #[test]
    fn a_rejected_value_is_asked_for_once() {
        let mut lease = Lease::new(None, at(0.0));
        assert!(lease.reject(at(0.0)));
        assert!(!lease.reject(at(1000.0)));
        // A password store prints the same value again: there is no better one.
        let mut same = lease.renewed(None, at(1000.0), Renewal::SameValue);
        assert!(!same.reject(at(2000.0)));
        let mut other = lease.renewed(None, at(10.0), Renewal::NewValue);
        assert!(!other.reject(at(59.0)));
        assert!(other.reject(at(60.0)));
    }

    #[test]
    fn a_value_that_stays_is_not_asked_for_ever_more_often() {
        let mut lease = Lease::new(life(100), at(0.0));
        lease.mark_asked(at(90.0));
        assert_eq!(lease.renewed(life(10), at(90.0), Renewal::SameValue).renew_at(), Some(at(100.0)));
        assert_eq!(lease.renewed(life(1000), at(90.0), Renewal::SameValue).renew_at(), Some(at(1030.0)));
    }
}
