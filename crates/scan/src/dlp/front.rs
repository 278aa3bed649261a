//! What leaves as it stands: values and patterns in forms that can be told from the bytes alone. Only as much is held back
//! as may still be one of them; a value never leaves whole.

use super::needles::{BEGUN, Met, Trail};
use super::pattern::{Hit, Patterns};
use super::{Action, Finding, Knowledge, Orders, Subject};

/// Bytes that a beginning must have before it is held back: fewer are the beginning of anything, and whoever waits for the
/// end of a message would wait for ever.
const HELD: usize = BEGUN;

#[derive(Default)]
pub struct Front {
    trail: Trail,
    met: Vec<Met>,
    patterns: Patterns,
    /// Read, and not yet passed on.
    kept: Vec<u8>,
    /// Bytes read, with those.
    at: u64,
    told: Vec<(Subject, &'static str)>,
    pub notes: Vec<Finding>,
}

impl Front {
    pub fn push(
        &mut self,
        (knowledge, orders): (&Knowledge, Orders),
        bytes: &[u8],
        into: &mut Vec<u8>,
    ) -> Result<(), Finding> {
        self.kept.extend_from_slice(bytes);
        if orders.patterns != Action::Off {
            let mut hits = Vec::new();
            self.patterns.push(&knowledge.rules, bytes, &mut hits);
            let (kept, at) = (self.kept.len(), self.at + bytes.len() as u64);
            self.take(orders, &hits, at - kept as u64)?;
        }
        let vault = &knowledge.vault;
        let before = self.kept.len() - bytes.len();
        self.trail.lower(bytes);
        vault.raw.look(&mut self.trail, &mut self.met);
        for (needle, end) in std::mem::take(&mut self.met) {
            let (whole, end) = (vault.wholes[needle], before + end);
            let subject = vault.subject(whole.unit);
            let start = end.saturating_sub(vault.raw.length(needle));
            self.act(orders, (subject, whole.how), (start, end, whole.with))?;
        }
        self.at += bytes.len() as u64;
        let under_way = self.patterns.under_way();
        let held = vault.raw.begun(&self.trail).max(if under_way >= HELD { under_way } else { 0 }).min(self.kept.len());
        into.extend(self.kept.drain(..self.kept.len() - held));
        Ok(())
    }

    /// The text is whole.
    pub fn finish(&mut self, (knowledge, orders): (&Knowledge, Orders), into: &mut Vec<u8>) -> Result<(), Finding> {
        if orders.patterns != Action::Off {
            let mut hits = Vec::new();
            self.patterns.finish(&knowledge.rules, &mut hits);
            self.take(orders, &hits, self.at - self.kept.len() as u64)?;
        }
        self.trail = Trail::default();
        into.append(&mut self.kept);
        Ok(())
    }

    /// `first`: where in the text what is kept begins.
    fn take(&mut self, orders: Orders, hits: &[Hit], first: u64) -> Result<(), Finding> {
        for hit in hits {
            // A phrase's first words may be gone; what is gone cannot be overwritten.
            let gone = hit.start + (HELD as u64) < first;
            let place = |at: u64| usize::try_from(at.saturating_sub(first)).unwrap_or(usize::MAX).min(self.kept.len());
            let span = (place(hit.start), place(hit.end), b'*');
            let subject = Subject::Pattern(hit.name);
            if gone && orders.about(subject) == Action::Mask {
                self.settle((subject, "plain"), orders.stuck)?;
            } else {
                self.act(orders, (subject, "plain"), span)?;
            }
        }
        Ok(())
    }

    fn act(
        &mut self,
        orders: Orders,
        what: (Subject, &'static str),
        (start, end, with): (usize, usize, u8),
    ) -> Result<(), Finding> {
        let action = orders.about(what.0);
        if action == Action::Mask {
            self.kept[start..end].fill(with);
        }
        self.settle(what, action)
    }

    fn settle(&mut self, (subject, how): (Subject, &'static str), done: Action) -> Result<(), Finding> {
        let finding = Finding { subject, how: how.to_owned(), done };
        match done {
            Action::Block => return Err(finding),
            Action::Off => {}
            Action::Mask | Action::Warn if self.told.contains(&(subject, how)) => {}
            Action::Mask | Action::Warn => {
                self.told.push((subject, how));
                self.notes.push(finding);
            }
        }
        Ok(())
    }
}
