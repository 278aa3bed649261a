//! The policy in a bottle's manifest, made complete: an ordered list of routes.
//!
//! What a route means for more than one part of the program (what is read, where it dials, what must agree) is said here
//! once.

use super::{ConnectTo, HeaderRules, HostPattern, PathPattern, QueryRules, Server};
use serde::{Deserialize, Serialize};

/// All that may leave a bottle, in the order of the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub routes: Vec<Route>,
}

/// One line of the allowlist, complete: defaults are filled in when the manifest is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub host: HostPattern,
    /// TCP port that the agent dials. On port 80 the agent speaks plain HTTP, on every other port TLS.
    pub port: u16,
    /// Upper-case HTTP methods. Empty, on a route with `deny`: every method.
    pub methods: Vec<String>,
    pub paths: Vec<PathPattern>,
    /// `file:line` in the manifest: for the operator, never shown to the agent.
    pub origin: String,
    /// A request that matches is denied.
    #[serde(default)]
    pub deny: bool,
    /// The upstream's address may be one that is not public: private, shared, loopback, link-local, multicast or reserved.
    #[serde(default)]
    pub private: bool,
    /// False: the upstream proxy, where the host has one, is not asked for the upstream.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub proxy: bool,
    #[serde(default)]
    pub connect_to: Option<ConnectTo>,
    /// Name (in the gate's document) of PEM certificates that are trusted for this upstream, beside the bundle.
    #[serde(default)]
    pub upstream_ca: Option<String>,
    /// The credential that the gate adds.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// The agent's own credentials may pass.
    #[serde(default)]
    pub agent_auth: bool,
    /// False: TLS passes unopened, only names are checked.
    #[serde(default = "yes")]
    pub intercept: bool,
    #[serde(default)]
    pub protocol: Protocol,
    /// `fetch` allows `GET …/info/refs?service=git-upload-pack` and `POST …/git-upload-pack` below the route's paths.
    #[serde(default)]
    pub git: Option<GitAccess>,
    #[serde(default)]
    pub role: Option<Role>,
    /// What is done about credential patterns, and about values that the agent was given, in a request.
    #[serde(default)]
    pub dlp: Dlp,
    /// Tools that the model's own servers may run: each is the beginning of a type, as in `web_fetch`.
    #[serde(default)]
    pub server_tools: Vec<String>,
    /// Each query parameter named here must stand in the request once, and fit.
    #[serde(default, skip_serializing_if = "QueryRules::is_empty")]
    pub query: QueryRules,
    /// Each header named here must stand in the request once, and fit.
    #[serde(default, skip_serializing_if = "HeaderRules::is_empty")]
    pub headers: HeaderRules,
    /// What is done about instructions hidden in an answer.
    #[serde(default)]
    pub inspect_responses: Inspect,
    /// Requests have bodies whatever their method: else only where the method gives a body a meaning.
    #[serde(default)]
    pub bodies: bool,
    /// With `auth`: ranges of an answer pass, in which the credential cannot be recognised.
    #[serde(default)]
    pub ranges: bool,
}

/// Methods that give a request's body a meaning. RFC 9110 gives it none for GET, HEAD and DELETE (sections 9.3.1, 9.3.2 and
/// 9.3.5) and defines no use of one for OPTIONS (section 9.3.7); servers exist that do not read it there, and take it for the
/// next request.
const BODY_METHODS: [&str; 26] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "LABEL",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UPDATE",
    "VERSION-CONTROL",
];

impl Policy {
    /// Whether a request to a host and port of this route, on whatever route for them, may have a body. `route`: its index.
    pub fn takes_bodies(&self, route: usize) -> bool {
        let Route { host, port, .. } = &self.routes[route];
        self.routes.iter().any(|other| other.port == *port && other.host.overlaps(host) && other.takes_bodies())
    }
}

impl Route {
    /// Whether the route denies whatever the method.
    pub fn denies_every_method(&self) -> bool {
        self.deny && self.methods.is_empty()
    }

    /// What the gate reads of a connection on this route.
    pub fn reads(&self) -> Reads {
        Reads::of(self.protocol, self.intercept)
    }

    /// Whether something can be sent that stays there. Bytes that the gate does not read can.
    pub fn can_write(&self) -> bool {
        let only_reads = |method: &String| ["GET", "HEAD", "OPTIONS"].contains(&method.as_str());
        !self.deny && (self.role.is_some() || self.reads() != Reads::Http || !self.methods.iter().all(only_reads))
    }

    /// A WebSocket begins with a GET and then sends what no method shows. It is allowed only where the plan says that the
    /// agent writes, and never past a role's own rule.
    pub fn allows_websockets(&self) -> bool {
        self.can_write() && self.role.is_none()
    }

    /// Whether a request of this method may have a body.
    pub fn takes_body(&self, method: &str) -> bool {
        self.bodies || BODY_METHODS.contains(&method)
    }

    /// Whether some request that this route lets pass may have a body.
    fn takes_bodies(&self) -> bool {
        let takes = |method: &String| self.takes_body(method);
        !self.deny && (self.role.is_some() || self.git.is_some() || self.methods.iter().any(takes))
    }

    /// Whether answers pass only whole, because a part of one could hold a part of the route's credential.
    pub fn wants_whole_answers(&self) -> bool {
        self.auth.is_some() && !self.ranges
    }

    /// Host name or address, and TCP port, that is dialled when the agent asks for `host`.
    pub fn upstream<'a>(&'a self, host: &'a str) -> (&'a str, u16) {
        match &self.connect_to {
            Some(to) => (&to.host, to.port),
            None => (host, self.port),
        }
    }

    /// What is dialled when the agent asks for `host`.
    pub fn server<'a>(&'a self, host: &'a str) -> Server<'a> {
        let (name, port) = self.upstream(host);
        Server { host, name, port, private: self.private, proxy: self.proxy }
    }

    /// Whether the gate's own connection to the upstream goes without TLS.
    pub fn is_upstream_plain(&self) -> bool {
        is_upstream_plain(self.port, self.connect_to.as_ref())
    }

    /// The first key in which two routes differ although it acts before the path of a request is known. `None`: there is no
    /// such key, or no host and port that both match.
    pub fn conflicting_key(&self, other: &Route) -> Option<&'static str> {
        if self.port != other.port || !self.host.overlaps(&other.host) {
            return None;
        }
        let differs = [
            ("protocol", self.protocol != other.protocol),
            ("intercept", self.intercept != other.intercept),
            ("private", self.private != other.private),
            ("proxy", self.proxy != other.proxy),
            ("connect_to", self.connect_to != other.connect_to),
            ("upstream_ca", self.upstream_ca != other.upstream_ca),
        ];
        differs.into_iter().find(|(_, differs)| *differs).map(|(key, _)| key)
    }
}

/// Whether the gate's own connection to the upstream goes without TLS, for a route with these keys.
pub fn is_upstream_plain(port: u16, connect_to: Option<&ConnectTo>) -> bool {
    port == 80 || connect_to.is_some_and(|to| to.plain)
}

/// How much of a connection's traffic the gate reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// Each request, inside TLS as well.
    #[default]
    Http,
    /// The server name in the TLS hello; the rest passes unopened.
    Names,
    /// Nothing: the bytes pass as they are.
    Nothing,
}

impl Reads {
    /// What is read on a route with these keys.
    pub fn of(protocol: Protocol, intercept: bool) -> Reads {
        match (protocol, intercept) {
            (Protocol::Tcp, _) => Reads::Nothing,
            (Protocol::Http, false) => Reads::Names,
            (Protocol::Http, true) => Reads::Http,
        }
    }
}

fn yes() -> bool {
    true
}

/// For `skip_serializing_if`.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// What a route's connections carry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Http,
    /// Bytes of any kind, which pass as they are.
    Tcp,
}

/// What git may do by HTTP. There is no push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GitAccess {
    Fetch,
}

/// A part that the program itself knows, with a built-in rule of methods and paths in place of the route's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The model's host, as Claude Code uses it.
    Claude,
}

/// What is done where a request carries what it should not (data loss prevention).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dlp {
    /// The request is denied.
    #[default]
    Block,
    /// What was found is overwritten, in its own length.
    Redact,
    /// The request passes, and the finding stands in the audit trail.
    Warn,
    Off,
}

/// What is done where an answer hides instructions to the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inspect {
    /// The answer passes, and the finding stands in the audit trail.
    #[default]
    Warn,
    /// The answer ends where they are found.
    Block,
    Off,
}

/// The credential that the gate adds, and in which form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub scheme: AuthScheme,
    /// Name of the token in the gate's document.
    pub token: String,
}

/// The header that carries a credential, and what stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthScheme {
    /// `authorization: Bearer TOKEN`
    Bearer,
    /// `authorization: token TOKEN`
    Token,
    /// `authorization: Basic base64(user:TOKEN)`
    Basic { user: String },
    /// `HEADER: TOKEN`
    Header { header: String },
}

#[cfg(test)]
mod tests {
    use super::super::decide::tests::policy;

    #[test]
    fn routes_that_can_meet_must_agree_before_the_path_is_known() {
        let both = |first: &str, second: &str| {
            let policy = policy(&format!("[{{{first}}},{{{second}}}]"));
            policy.routes[0].conflicting_key(&policy.routes[1])
        };
        let plain = r#""host":"a.example.org""#;
        for (second, key) in [
            (r#""host":"a.example.org","paths":["/x"],"methods":["POST"],"dlp":"off""#, None),
            (r#""host":"a.example.org","protocol":"tcp","intercept":false"#, Some("protocol")),
            (r#""host":"a.example.org","intercept":false,"private":true"#, Some("intercept")),
            (r#""host":"*.example.org","private":true"#, Some("private")),
            (r#""host":"a.example.org","connect_to":"b.example.org:443""#, Some("connect_to")),
            (r#""host":"a.example.org","upstream_ca":"ca:1""#, Some("upstream_ca")),
            (r#""host":"a.example.org","private":true,"deny":true"#, Some("private")),
            (r#""host":"a.example.org","private":true,"port":8443"#, None),
            (r#""host":"b.example.org","private":true"#, None),
        ] {
            assert_eq!(both(plain, second), key, "{second}");
            assert_eq!(both(second, plain), key, "{second}");
        }
    }

    #[test]
    fn a_body_may_come_where_some_route_of_the_host_takes_one() {
        let policy = policy(
            r#"[{"host":"read.example.org"},
                {"host":"write.example.org"},
                {"host":"*.example.org","methods":["POST"],"port":8443},
                {"host":"write.example.org","methods":["GET","PUT"],"paths":["/x"]},
                {"host":"delete.example.org","methods":["GET","DELETE"]},
                {"host":"any.example.org","bodies":true},
                {"host":"git.example.org","git":"fetch"},
                {"host":"model.example.org","role":"claude"},
                {"host":"read.example.org","methods":["POST"],"deny":true}]"#,
        );
        let takes: Vec<bool> = (0..9).map(|route| policy.takes_bodies(route)).collect();
        assert_eq!(takes, [false, true, true, true, false, true, true, true, false]);
    }

    #[test]
    fn a_plain_upstream_is_port_80_or_written_so() {
        for (route, plain) in [
            (r#""host":"a.org""#, false),
            (r#""host":"a.org","port":80"#, true),
            (r#""host":"a.org","port":8080"#, false),
            (r#""host":"a.org","connect_to":"b.org:80""#, false),
            (r#""host":"a.org","connect_to":"http://b.org:8080""#, true),
        ] {
            assert_eq!(policy(&format!("[{{{route}}}]")).routes[0].is_upstream_plain(), plain, "{route}");
        }
    }
}
