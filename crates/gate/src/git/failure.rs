//! Why a git operation is not done: a verdict for the audit trail, and the words that the agent reads.

use crate::egress::serve_error::ServeError;
use policy::Denial;
use wire::{Outcome, one_line};

/// Bytes of a reason that the agent and the audit trail get.
const MAX_REASON_BYTES: usize = 1024;

#[derive(Debug, Clone)]
pub struct Failure {
    pub verdict: Outcome,
    /// One line: what, why, and what to do.
    pub text: String,
    /// The kind of what must not pass, and where it was.
    pub finding: Option<String>,
    /// More lines for the agent.
    pub details: Vec<String>,
}

impl Failure {
    /// The policy refuses it.
    pub fn denied(text: impl AsRef<str>) -> Failure {
        Failure { verdict: Outcome::Deny, text: bounded(text.as_ref()), finding: None, details: Vec::new() }
    }

    /// It is allowed, but cannot be done.
    pub fn error(text: impl AsRef<str>) -> Failure {
        Failure { verdict: Outcome::Error, ..Failure::denied(text) }
    }

    /// The failure, with what was being done before its text.
    pub fn during(self, what: &str) -> Failure {
        Failure { text: bounded(&format!("{what}: {}", self.text)), ..self }
    }
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Failure {
        Failure::denied(denial.text)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Failure {
        match error {
            ServeError::Denied(denial) => denial.into(),
            ServeError::Failed(_, why) => Failure::error(why),
        }
    }
}

/// What a child or an upstream says may be long, and act on a terminal.
fn bounded(text: &str) -> String {
    let text = one_line(text);
    match text.char_indices().nth(MAX_REASON_BYTES) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
