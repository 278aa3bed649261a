//! Why a git operation is not done: a verdict for the audit trail, and the words that the agent reads.

use crate::egress::serve_error::ServeError;
use policy::Denial;
use wire::{Outcome, one_line};

#[derive(Debug, Clone)]
pub struct Failure {
    pub verdict: Outcome,
    /// One line: what, why, and what to do. What a child or an upstream said in it may be long.
    pub text: String,
    /// The kind of what must not pass, and where it was.
    pub finding: Option<String>,
    /// Commits in which something was found that the operator may let pass.
    pub found_commits: Vec<String>,
    /// More lines for the agent.
    pub details: Vec<String>,
}

impl Failure {
    /// The policy refuses it.
    pub fn denied(text: impl AsRef<str>) -> Failure {
        Failure {
            verdict: Outcome::Deny,
            text: one_line(text.as_ref()),
            finding: None,
            found_commits: Vec::new(),
            details: Vec::new(),
        }
    }

    /// It is allowed, but cannot be done.
    pub fn error(text: impl AsRef<str>) -> Failure {
        Failure { verdict: Outcome::Error, ..Failure::denied(text) }
    }

    /// The failure, with what was being done before its text.
    pub fn during(self, what: &str) -> Failure {
        Failure { text: format!("{what}: {}", self.text), ..self }
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
