//! A denial: the reason as one word for programs, and one line for a reader.
//!
//! The text is for the agent: it names hosts, methods and paths, never files or tokens. The route is for the operator.

use std::fmt;

/// The policy's refusal of a request or connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    pub reason: Reason,
    /// One line, lower case, without a full stop: safe to show to the agent.
    pub text: String,
    /// Index of the deciding route, or of the nearest one.
    pub route: Option<usize>,
}

impl Denial {
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Denial { reason, text: text.into(), route: None }
    }

    /// This denial, with `route` as the deciding one.
    pub fn with_route(mut self, route: usize) -> Self {
        self.route = Some(route);
        self
    }

    /// Names `route` where no route is named yet.
    pub fn or_route(mut self, route: usize) -> Self {
        self.route.get_or_insert(route);
        self
    }
}

/// The machine-readable word of a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The host is on no route.
    Host,
    /// The host has routes, but none for this port.
    Port,
    /// The names in connection, TLS and request differ.
    Name,
    /// The name leads to a private address.
    Address,
    Git,
    Method,
    Path,
    Query,
    Header,
    /// A route with `deny` matched.
    Rule,
    /// The request carries what must not leave.
    Dlp,
    /// The request would make the model's own servers act.
    Model,
    /// The answer hides instructions to the agent.
    Answer,
    /// The credential that the gate would add has ended.
    Token,
    /// The request is not one that the gate can judge.
    Malformed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Host => "host",
            Reason::Port => "port",
            Reason::Name => "name",
            Reason::Address => "address",
            Reason::Git => "git",
            Reason::Method => "method",
            Reason::Path => "path",
            Reason::Query => "query",
            Reason::Header => "header",
            Reason::Rule => "rule",
            Reason::Dlp => "dlp",
            Reason::Model => "model",
            Reason::Answer => "answer",
            Reason::Token => "token",
            Reason::Malformed => "malformed",
        })
    }
}
