//! The latest denials, for `gate.bottle`: what the agent itself was told.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Denials that are kept; the oldest goes first.
const MAX_RECENT: usize = 20;

#[derive(Default)]
pub struct RecentDenials(Mutex<VecDeque<(SystemTime, String)>>);

impl RecentDenials {
    /// `text` is shown to the agent, and must hold no secret.
    pub fn push(&self, text: String) {
        let mut recent = self.lock();
        if recent.len() >= MAX_RECENT {
            recent.pop_front();
        }
        recent.push_back((SystemTime::now(), text));
    }

    /// The oldest first.
    pub fn list(&self) -> Vec<(SystemTime, String)> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(SystemTime, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
