//! What leaves as it stands: values and patterns in forms that can be told from the bytes alone. Only as much is held back
//! as may still be one of them; a value never leaves whole.

use super::pattern::{Hit, Patterns};
use super::{Action, Finding, Knowledge, Orders, Subject};
use aho_corasick::automaton::StateID;

/// Bytes that a beginning must have before it is held back: fewer are the beginning of anything, and whoever waits for the
/// end of a message would wait for ever.
const HELD: usize = 4;

#[derive(Default)]
pub struct Front {
    state: Option<StateID>,
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
        let mut state = self.state.unwrap_or_else(|| vault.raw.start());
        let before = self.kept.len() - bytes.len();
        for (n, byte) in bytes.iter().enumerate() {
            state = vault.raw.step(state, *byte);
            if vault.raw.hit(state) {
                let end = before + n + 1;
                for needle in vault.raw.ended(state) {
                    let whole = vault.wholes[needle];
                    let subject = vault.subject(whole.unit);
                    let start = end.saturating_sub(vault.raw.length(needle));
                    self.act(orders, (subject, whole.how), (start, end, whole.with))?;
                }
            }
        }
        self.state = Some(state);
        self.at += bytes.len() as u64;
        let depth = Some(vault.raw.depth(state)).filter(|depth| *depth >= HELD).unwrap_or(0);
        let under_way = self.patterns.under_way();
        let held = depth.max(if under_way >= HELD { under_way } else { 0 }).min(self.kept.len());
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
        self.state = None;
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
