//! How long a token is good, and who was asked for the next one. Pure: the time comes in.
//!
//! Nobody is asked again and again: what an agent does can cost its operator one run of a command now and then.

use std::time::{Duration, SystemTime};

/// Before the end; a tenth of a token's life where that is less.
const EARLY: Duration = Duration::from_secs(60);
/// Who asks for the next value hears within this time that somebody fetches it, or nobody is there.
const UNHEARD: Duration = Duration::from_secs(3);
/// For a command that somebody has begun to run, as far as a request waits for it.
const FETCHING: Duration = Duration::from_secs(10);
/// Until requests ask for the same again.
const AGAIN: Duration = Duration::from_secs(30);
/// Between two values that were asked for because an upstream did not take the one before.
const REJECTED: Duration = Duration::from_secs(60);
/// Between two askings where the next value is the same as before.
const SAME: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Lease {
    /// None: for ever, as far as anybody knows.
    ends: Option<SystemTime>,
    /// When to ask for the next value, unasked for by any request.
    early: Option<SystemTime>,
    /// For the next value: first, last, and when somebody was heard to fetch it.
    asked: Option<(SystemTime, SystemTime)>,
    heard: Option<SystemTime>,
    /// An upstream did not take this value.
    rejected: bool,
    rejected_last: Option<SystemTime>,
}

impl Lease {
    pub fn new(life: Option<Duration>, now: SystemTime) -> Lease {
        let ends = life.and_then(|life| now.checked_add(life));
        let early = ends.zip(life).and_then(|(ends, life)| ends.checked_sub(EARLY.min(life / 10)));
        Lease { ends, early, asked: None, heard: None, rejected: false, rejected_last: None }
    }

    /// Of the value that was handed in now. `same`: as the one before.
    pub fn next(&self, life: Option<Duration>, now: SystemTime, same: Same) -> Lease {
        let mut next = Lease { rejected_last: self.rejected_last, ..Lease::new(life, now) };
        if same == Same::Yes {
            // What prints one token until that ends is not run ever more often towards the end.
            next.early = next.early.zip(next.ends).map(|(early, ends)| early.max((now + SAME).min(ends)));
            next.rejected = self.rejected;
        }
        next
    }

    pub fn ends(&self) -> Option<SystemTime> {
        self.ends
    }

    pub fn has_ended(&self, now: SystemTime) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }

    /// Is the next value wanted?
    pub fn is_due(&self, now: SystemTime) -> bool {
        self.asked.is_some() || self.early.is_some_and(|early| early <= now)
    }

    /// When it is to be asked for, if it was not yet.
    pub fn alarm(&self) -> Option<SystemTime> {
        self.early.filter(|_| self.asked.is_none())
    }

    pub fn ask(&mut self, now: SystemTime) {
        self.asked = Some((self.asked.map_or(now, |(first, _)| first), now));
    }

    /// A request finds the value ended: is it time to ask (again)?
    pub fn may_ask(&self, now: SystemTime) -> bool {
        self.asked.is_none_or(|(_, last)| since(last, now) >= AGAIN)
    }

    /// An upstream answers 401: is the next value to be asked for? Once per value.
    pub fn reject(&mut self, now: SystemTime) -> bool {
        let often = self.rejected_last.is_some_and(|last| since(last, now) < REJECTED);
        if self.rejected || often {
            return false;
        }
        (self.rejected, self.rejected_last) = (true, Some(now));
        self.asked.is_none()
    }

    /// Somebody begins to fetch what is due.
    pub fn hear(&mut self, now: SystemTime) {
        self.heard = Some(now);
    }

    /// How long a request may wait for the next value; none where nobody seems to fetch it.
    pub fn patience(&self, now: SystemTime) -> Option<Duration> {
        let (from, bound) = match (self.heard, self.asked) {
            (Some(heard), _) => (heard, FETCHING),
            (None, Some((first, _))) => (first, UNHEARD),
            (None, None) => return None,
        };
        bound.checked_sub(since(from, now)).filter(|left| !left.is_zero())
    }

    /// Was somebody there for the next value?
    pub fn was_heard(&self) -> bool {
        self.heard.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same {
    Yes,
    No,
}

/// A clock that was put back has seen nothing pass.
fn since(then: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
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
        assert_eq!(Lease::new(life(3600), at(0.0)).alarm(), Some(at(3540.0)));
        assert_eq!(Lease::new(life(100), at(0.0)).alarm(), Some(at(90.0)));
        assert_eq!(Lease::new(None, at(0.0)).alarm(), None);
        assert_eq!(Lease::new(Some(Duration::MAX), at(0.0)).alarm(), None);
        let lease = Lease::new(life(100), at(0.0));
        assert!(!lease.is_due(at(89.0)) && lease.is_due(at(90.0)));
        assert!(!lease.has_ended(at(99.0)) && lease.has_ended(at(100.0)));
    }

    #[test]
    fn once_asked_for_it_is_asked_for_again_only_after_a_while() {
        let mut lease = Lease::new(life(100), at(0.0));
        assert!(lease.may_ask(at(100.0)));
        lease.ask(at(100.0));
        assert_eq!(lease.alarm(), None);
        assert!(!lease.may_ask(at(129.0)) && lease.may_ask(at(130.0)));
        let next = lease.next(life(100), at(131.0), Same::No);
        assert!(!next.is_due(at(131.0)) && next.patience(at(131.0)).is_none());
    }

    #[test]
    fn a_request_waits_only_for_who_is_there() {
        let mut lease = Lease::new(life(100), at(0.0));
        assert_eq!(lease.patience(at(90.0)), None);
        lease.ask(at(90.0));
        assert_eq!(lease.patience(at(91.0)), Some(Duration::from_secs(2)));
        assert_eq!(lease.patience(at(93.0)), None);
        // Asked again, nobody being there is known already.
        lease.ask(at(130.0));
        assert_eq!(lease.patience(at(130.0)), None);
        lease.hear(at(131.0));
        assert_eq!(lease.patience(at(135.0)), Some(Duration::from_secs(6)));
        assert_eq!(lease.patience(at(141.0)), None);
    }

    /// Whatever the agent provokes, the command is not run more often than that.
    #[test]
    fn a_rejected_value_is_asked_for_once() {
        let mut lease = Lease::new(None, at(0.0));
        assert!(lease.reject(at(0.0)));
        assert!(!lease.reject(at(1000.0)));
        // The same again, as from a password store: there is no better one.
        let mut same = lease.next(None, at(1000.0), Same::Yes);
        assert!(!same.reject(at(2000.0)));
        let mut other = lease.next(None, at(10.0), Same::No);
        assert!(!other.reject(at(59.0)));
        assert!(other.reject(at(60.0)));
    }

    #[test]
    fn a_value_that_stays_is_not_asked_for_ever_more_often() {
        let mut lease = Lease::new(life(100), at(0.0));
        lease.ask(at(90.0));
        assert_eq!(lease.next(life(10), at(90.0), Same::Yes).alarm(), Some(at(100.0)));
        assert_eq!(lease.next(life(1000), at(90.0), Same::Yes).alarm(), Some(at(1030.0)));
    }
}
