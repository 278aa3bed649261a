//! Finds values in what comes back, with the reader of requests: for what cannot be overwritten where it stands.

use super::text_scanner::{Matches, ScanContext, Target, TextOrigin, TextScanner};
use super::unpack::UnpackBudget;
use super::vault::Vault;
use std::sync::Arc;

/// Searches one text for the values of a vault.
pub struct ValueSearch {
    vault: Arc<Vault>,
    scanner: TextScanner,
    budget: UnpackBudget,
}

impl ValueSearch {
    /// Searches an answer's body: folded, out of dumps, and unpacked.
    pub fn of_body(vault: Arc<Vault>) -> ValueSearch {
        ValueSearch::new(vault, TextOrigin::Answer, UnpackBudget::default())
    }

    /// Searches an answer's fields in all the ways that a request is read.
    pub fn of_fields(vault: Arc<Vault>) -> ValueSearch {
        ValueSearch::new(vault, TextOrigin::Inner, UnpackBudget::of_field())
    }

    fn new(vault: Arc<Vault>, origin: TextOrigin, budget: UnpackBudget) -> ValueSearch {
        ValueSearch { vault, scanner: TextScanner::new(origin, 0, String::new()), budget }
    }

    /// Does the text hold a value, as far as it was pushed? What cannot be read is no finding. Compressed files in it wait
    /// for [`ValueSearch::unpack`].
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        self.budget.add_outer(bytes.len());
        self.search(|scanner, context| scanner.push(context, bytes))
    }

    /// The text ends here: what was undecided is decided, but for compressed files.
    pub fn finish(&mut self) -> bool {
        self.search(TextScanner::finish)
    }

    /// Does a compressed file wait?
    pub fn must_unpack(&self) -> bool {
        self.budget.waiting > 0
    }

    /// Does a compressed file hold a value, as far as it was pushed? May take a second: not for a thread that serves others.
    pub fn unpack(&mut self) -> bool {
        self.search(TextScanner::unpack)
    }

    /// Memory that the open files hold.
    pub fn held_bytes(&self) -> usize {
        self.budget.held_bytes()
    }

    fn search(&mut self, read: impl FnOnce(&mut TextScanner, &mut ScanContext)) -> bool {
        let mut matches = Matches::new();
        let mut context = ScanContext {
            vault: &self.vault,
            rules: None,
            matches: &mut matches,
            budget: &mut self.budget,
            at: None,
            file: None,
        };
        read(&mut self.scanner, &mut context);
        matches.keys().any(|target| matches!(target, Target::Unit(_)))
    }
}
