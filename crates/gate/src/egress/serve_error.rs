//! The two ways in which a request or a connection is not served: the policy denies it, or it fails.

use policy::Denial;

/// Why a request or a connection is not served.
#[derive(Debug, Clone)]
pub enum ServeError {
    /// The policy denies it.
    Denied(Denial),
    /// It is allowed and cannot be served: a word for programs, and a line for people.
    Failed(&'static str, String),
}

impl ServeError {
    /// A denial names `route` where it names none yet.
    pub fn or_route(self, route: usize) -> ServeError {
        match self {
            ServeError::Denied(denial) => ServeError::Denied(denial.or_route(route)),
            failed @ ServeError::Failed(..) => failed,
        }
    }
}
