//! The whole order of questions about a connection or a request: route for host and port, names, address, override
//! headers, then the rules of [`Policy::decide`], then WebSockets.
//!
//! Pure and synchronous. What only the caller can do comes as a [`Step`]: the caller does it, then calls
//! [`Judge::advance`] again. No name server hears a name that no route lets in.

use super::header_names::{is_websocket_upgrade, misread, overriding};
use super::names::tls_agrees;
use super::{Denial, Destination, Names, Pass, Policy, Reads, Reason, Request, UrlScheme, Via};

/// Characters of a header's name that a denial shows.
const MAX_SHOWN_HEADER_CHARS: usize = 100;

/// What is judged, as far as it could be read.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// A connection whose bytes pass as they are.
    Bytes { host: &'a str, port: u16 },
    /// A TLS connection that passes unopened; the server name is that of its hello.
    Tls { host: &'a str, port: u16, server_name: Option<&'a str> },
    /// A request that was read from a connection.
    Http { request: Request<'a>, names: Names<'a> },
    /// A request that was typed and never sent. How much of it the gate would read follows from its route.
    Typed { request: Request<'a>, scheme: UrlScheme },
}

/// What the judge needs from its caller next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// A wildcard lets the host in, so the agent chose a part of the name. Look for data in it now, before a name server or
    /// a proxy hears it. `route`: its index.
    InspectName { route: usize },
    /// Resolve this, where it is a name, and keep what [`Destination::usable`] leaves.
    Locate { route: usize, destination: Destination<'a> },
    /// No question is left.
    Pass(Pass),
}

/// The state of one judgement.
pub struct Judge<'a> {
    policy: &'a Policy,
    seen: Seen<'a>,
    via: Via<'a>,
    next: Question,
}

/// What is asked next. `route`: index of the first route for the host and port.
#[derive(Clone, Copy)]
enum Question {
    Route,
    Address { route: usize },
    Request { route: usize },
}

impl<'a> Judge<'a> {
    pub fn new(policy: &'a Policy, seen: Seen<'a>, via: Via<'a>) -> Judge<'a> {
        Judge { policy, seen, via, next: Question::Route }
    }

    /// Goes on to the next step that needs the caller.
    ///
    /// # Errors
    /// The denial that ends the judgement. It names a route wherever one leads to the host.
    pub fn advance(&mut self) -> Result<Step<'a>, Denial> {
        let (host, port) = self.seen.host_and_port();
        match self.next {
            Question::Route => {
                let route = self.policy.route_for(host, port)?;
                self.check_names(route).map_err(|denial| denial.or_route(route))?;
                self.next = Question::Address { route };
                match self.policy.routes[route].host.is_wildcard() {
                    true => Ok(Step::InspectName { route }),
                    false => self.advance(),
                }
            }
            Question::Address { route } => {
                let destination = Destination::of(&self.policy.routes[route], host, self.via);
                let destination = destination.map_err(|denial| denial.or_route(route))?;
                self.next = Question::Request { route };
                Ok(Step::Locate { route, destination })
            }
            Question::Request { route } => {
                self.check_request(route).map(Step::Pass).map_err(|denial| denial.or_route(route))
            }
        }
    }

    /// Judges to the end, as if every name led to an address that may be dialled, and held nothing that must not leave.
    ///
    /// # Errors
    /// The denial that ends the judgement.
    pub fn without_lookups(mut self) -> Result<Pass, Denial> {
        loop {
            if let Step::Pass(pass) = self.advance()? {
                return Ok(pass);
            }
        }
    }

    /// All names mean the server that the connection is for.
    fn check_names(&self, route: usize) -> Result<(), Denial> {
        match &self.seen {
            Seen::Bytes { .. } => Ok(()),
            Seen::Tls { host, server_name, .. } => tls_agrees(host, *server_name),
            Seen::Http { request, names } => names.agree(request),
            Seen::Typed { request, scheme } => match self.policy.routes[route].reads() {
                Reads::Nothing => Ok(()),
                Reads::Names => check_scheme(request, *scheme),
                Reads::Http => check_scheme(request, *scheme).and_then(|()| Names::default().agree(request)),
            },
        }
    }

    /// What needs neither an address nor a name server.
    fn check_request(&self, route: usize) -> Result<Pass, Denial> {
        let (request, is_websocket_url) = match &self.seen {
            Seen::Http { request, .. } => (request, false),
            Seen::Typed { request, scheme } if self.policy.routes[route].reads() == Reads::Http => {
                (request, scheme.is_websocket())
            }
            Seen::Bytes { .. } | Seen::Tls { .. } | Seen::Typed { .. } => {
                return Ok(Pass { route, path: String::new() });
            }
        };
        if let Some(header) = overriding(request.headers) {
            let header: String = header.chars().take(MAX_SHOWN_HEADER_CHARS).collect();
            let text = format!("header `{header}` is never allowed: it names another method, path or resource");
            return Err(Denial::new(Reason::Method, text));
        }
        if let Some(why) = misread(request.headers) {
            return Err(Denial::new(Reason::Malformed, why));
        }
        let pass = self.policy.decide_from(route, request)?;
        let websocket = is_websocket_url || is_websocket_upgrade(request.headers);
        if websocket && !self.policy.routes[pass.route].allows_websockets() {
            let text = format!("a WebSocket to `{}` could send anything, which its route does not allow", request.host);
            return Err(Denial::new(Reason::Method, text).with_route(pass.route));
        }
        Ok(pass)
    }
}

impl Policy {
    /// Whether this request would pass, sent by the scheme that its port has. Neither names nor addresses are looked up.
    ///
    /// # Errors
    /// The denial that it would meet.
    pub fn judge_typed(&self, request: &Request) -> Result<Pass, Denial> {
        self.judge_typed_as(request, UrlScheme::of_port(request.port))
    }

    /// Whether this request would pass, sent by this scheme. Neither names nor addresses are looked up.
    ///
    /// # Errors
    /// The denial that it would meet.
    pub fn judge_typed_as(&self, request: &Request, scheme: UrlScheme) -> Result<Pass, Denial> {
        Judge::new(self, Seen::Typed { request: *request, scheme }, Via::Direct).without_lookups()
    }
}

impl<'a> Seen<'a> {
    fn host_and_port(&self) -> (&'a str, u16) {
        match self {
            Seen::Bytes { host, port } | Seen::Tls { host, port, .. } => (host, *port),
            Seen::Http { request, .. } | Seen::Typed { request, .. } => (request.host, request.port),
        }
    }
}

/// What the URL's scheme would speak is what the gate wants on this port.
fn check_scheme(request: &Request, scheme: UrlScheme) -> Result<(), Denial> {
    let Request { host, port, .. } = request;
    let text = match (port, scheme) {
        (_, UrlScheme::Tcp) => format!("port {port} of `{host}` wants HTTP, not any bytes"),
        (80, _) if !scheme.is_plain() => "port 80 is plain HTTP: these bytes would be TLS".to_owned(),
        (port, _) if *port != 80 && scheme.is_plain() => format!("port {port} wants TLS: these bytes would not be"),
        _ => return Ok(()),
    };
    Err(Denial::new(Reason::Malformed, text))
}

#[cfg(test)]
mod tests;
