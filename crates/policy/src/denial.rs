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

/// Every reason with its word.
const WORDS: [(Reason, &str); 15] = [
    (Reason::Host, "host"),
    (Reason::Port, "port"),
    (Reason::Name, "name"),
    (Reason::Address, "address"),
    (Reason::Git, "git"),
    (Reason::Method, "method"),
    (Reason::Path, "path"),
    (Reason::Query, "query"),
    (Reason::Header, "header"),
    (Reason::Rule, "rule"),
    (Reason::Dlp, "dlp"),
    (Reason::Model, "model"),
    (Reason::Answer, "answer"),
    (Reason::Token, "token"),
    (Reason::Malformed, "malformed"),
];

impl Reason {
    /// The reason of this word; `None` for a word of another version.
    pub fn of_word(word: &str) -> Option<Reason> {
        WORDS.iter().find(|(_, of)| *of == word).map(|(reason, _)| *reason)
    }

    /// Whether the operator can let such a request pass by a route. What the request carries, or cannot be judged, no route
    /// changes.
    pub fn has_remedy(self) -> bool {
        match self {
            Reason::Host
            | Reason::Port
            | Reason::Git
            | Reason::Method
            | Reason::Path
            | Reason::Query
            | Reason::Header
            | Reason::Rule => true,
            Reason::Name
            | Reason::Address
            | Reason::Dlp
            | Reason::Model
            | Reason::Answer
            | Reason::Token
            | Reason::Malformed => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = WORDS.iter().find(|(reason, _)| reason == self).map_or("malformed", |(_, word)| word);
        f.write_str(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_word_of_its_own() {
        for (reason, word) in WORDS {
            assert_eq!((reason.to_string().as_str(), Reason::of_word(word)), (word, Some(reason)));
        }
        // Exhaustive: a new reason does not compile without a place here.
        let place = |reason| match reason {
            Reason::Host => 0,
            Reason::Port => 1,
            Reason::Name => 2,
            Reason::Address => 3,
            Reason::Git => 4,
            Reason::Method => 5,
            Reason::Path => 6,
            Reason::Query => 7,
            Reason::Header => 8,
            Reason::Rule => 9,
            Reason::Dlp => 10,
            Reason::Model => 11,
            Reason::Answer => 12,
            Reason::Token => 13,
            Reason::Malformed => 14,
        };
        assert!(WORDS.iter().enumerate().all(|(index, (reason, _))| place(*reason) == index));
        assert_eq!(Reason::of_word("Host"), None);
    }
}
