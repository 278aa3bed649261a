//! Values and patterns in a text as it stands, found before it leaves. Only as much is held back as may still become a
//! finding; a value never leaves whole.

use super::needles::{MIN_PREFIX_BYTES, NeedleMatch, SearchText};
use super::pattern::{PatternMatch, PatternScanner};
use super::{Action, Finding, FindingPlace, Knowledge, Orders, Subject};
use std::ops::Range;

/// Bytes that a beginning must have before it is held back. Fewer are the beginning of anything, and a receiver that waits
/// for the end of a message would wait for ever.
const MIN_HELD_BYTES: usize = MIN_PREFIX_BYTES;

#[derive(Default)]
pub struct HoldBack {
    search: SearchText,
    found: Vec<NeedleMatch>,
    patterns: PatternScanner,
    /// Bytes that were read and not passed on.
    held: Vec<u8>,
    /// Bytes read, the held ones included.
    position: u64,
    /// What is in `notes`, or was.
    noted: Vec<(Subject, &'static str)>,
    pub notes: Vec<Finding>,
}

/// A finding, and where in the held bytes it stands.
struct HeldMatch {
    subject: Subject,
    how: &'static str,
    span: Range<usize>,
    /// The byte that overwrites it.
    with: u8,
    /// Bytes of the text before it.
    at: u64,
}

impl HoldBack {
    /// Reads more bytes. Those that may leave now are appended to `into`; the error stops the text.
    pub fn push(
        &mut self,
        knowledge: &Knowledge,
        orders: Orders,
        bytes: &[u8],
        into: &mut Vec<u8>,
    ) -> Result<(), Finding> {
        self.held.extend_from_slice(bytes);
        if orders.patterns != Action::Off {
            let mut hits = Vec::new();
            self.patterns.push(&knowledge.rules, bytes, &mut hits);
            let read = self.position + bytes.len() as u64;
            self.act_on_patterns(orders, &hits, read - self.held.len() as u64)?;
        }
        let vault = &knowledge.vault;
        let before = self.held.len() - bytes.len();
        self.search.push_lower(bytes);
        vault.verbatim.search(&mut self.search, &mut self.found);
        for NeedleMatch { needle, end } in std::mem::take(&mut self.found) {
            let end = before + end;
            let span = end.saturating_sub(vault.verbatim.length(needle))..end;
            let needle = vault.verbatim_needles[needle];
            let subject = vault.subject(needle.unit);
            let at = self.position + bytes.len() as u64 - (self.held.len() - span.start.min(self.held.len())) as u64;
            self.act(orders, HeldMatch { subject, how: needle.how, span, with: needle.with, at })?;
        }
        self.position += bytes.len() as u64;
        let pattern = self.patterns.open_bytes();
        let pattern = if pattern >= MIN_HELD_BYTES { pattern } else { 0 };
        let held = vault.verbatim.open_prefix(&self.search).max(pattern).min(self.held.len());
        into.extend(self.held.drain(..self.held.len() - held));
        Ok(())
    }

    /// Does what is held back tell too much to leave before its end is known?
    pub fn is_telling(&self, knowledge: &Knowledge) -> bool {
        self.patterns.is_telling(&knowledge.rules)
    }

    /// The text has ended: what was held back is decided and may leave.
    pub fn finish(&mut self, knowledge: &Knowledge, orders: Orders, into: &mut Vec<u8>) -> Result<(), Finding> {
        if orders.patterns != Action::Off {
            let mut hits = Vec::new();
            self.patterns.finish(&knowledge.rules, &mut hits);
            self.act_on_patterns(orders, &hits, self.position - self.held.len() as u64)?;
        }
        self.search = SearchText::default();
        into.append(&mut self.held);
        Ok(())
    }

    /// `first`: where in the text the held bytes begin.
    fn act_on_patterns(&mut self, orders: Orders, hits: &[PatternMatch], first: u64) -> Result<(), Finding> {
        for hit in hits {
            let in_held =
                |at: u64| usize::try_from(at.saturating_sub(first)).unwrap_or(usize::MAX).min(self.held.len());
            let span = in_held(hit.start)..in_held(hit.end);
            let subject = hit.subject();
            // The first words of a seed phrase may have left; what has left cannot be overwritten.
            let has_left = hit.start + (MIN_HELD_BYTES as u64) < first;
            if has_left && orders.about(subject) == Action::Mask {
                let done = orders.when_stuck(subject);
                self.report(HeldMatch { subject, how: "plain", span, with: b'*', at: hit.start }, done)?;
            } else {
                self.act(orders, HeldMatch { subject, how: "plain", span, with: b'*', at: hit.start })?;
            }
        }
        Ok(())
    }

    fn act(&mut self, orders: Orders, found: HeldMatch) -> Result<(), Finding> {
        let action = orders.about(found.subject);
        if action == Action::Mask {
            self.held[found.span.clone()].fill(found.with);
        }
        self.report(found, action)
    }

    fn report(&mut self, found: HeldMatch, done: Action) -> Result<(), Finding> {
        let HeldMatch { subject, how, at, .. } = found;
        let place = FindingPlace { at: Some(at), ..FindingPlace::default() };
        let finding = Finding { subject, how: how.to_owned(), done, place };
        match done {
            Action::Block => return Err(finding),
            Action::Off => {}
            Action::Mask | Action::Warn if self.noted.contains(&(subject, how)) => {}
            Action::Mask | Action::Warn => {
                self.noted.push((subject, how));
                self.notes.push(finding);
            }
        }
        Ok(())
    }
}
