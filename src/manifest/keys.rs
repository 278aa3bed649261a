//! The keys of the manifest: which object accepts which.
//!
//! Every other key is an error; a test holds the JSON Schema in `schema/` to these tables.

/// The keys of one kind of object.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// The kind of object with its article, for an error.
    pub subject: &'static str,
    pub keys: &'static [&'static str],
}

pub const HOME: Table = Table { subject: "the home's manifest", keys: &["$schema", "bottles", "agents"] };
pub const DIRECTORY: Table = Table { subject: "a directory's manifest", keys: &["$schema", "agents"] };

pub const AGENT: Table = Table {
    subject: "an agent",
    keys: &["bottle", "command", "prompt", "prompt_file", "skills", "claude_md", "settings", "git"],
};
pub const AGENT_GIT: Table = Table { subject: "an agent's `git`", keys: &["user"] };
pub const DIRECTORY_AGENT: Table =
    Table { subject: "a directory's agent", keys: &["bottle", "command", "prompt", "prompt_file", "skills"] };

pub const BOTTLE: Table = Table {
    subject: "a bottle",
    keys: &["extends", "image", "env", "egress", "git", "supervise", "limits", "on_hangup", "seccomp", "cwd_agents"],
};
pub const IMAGE: Table = Table { subject: "`image`", keys: &["name", "dockerfile", "context"] };
pub const EGRESS: Table = Table { subject: "`egress`", keys: &["routes"] };
pub const GIT: Table = Table { subject: "a bottle's `git`", keys: &["user", "cwd_user", "remotes", "signing_key"] };
pub const USER: Table = Table { subject: "`git.user`", keys: &["name", "email"] };
pub const REMOTE: Table = Table {
    subject: "a remote",
    keys: &[
        "name",
        "upstream",
        "local",
        "identity_file",
        "known_host_key",
        "token_ref",
        "token_cmd",
        "user",
        "private",
        "refs",
        "protected",
        "allow_force",
        "allow_delete",
    ],
};
pub const SUPERVISE: Table = Table { subject: "`supervise`", keys: &["hold"] };
pub const LIMITS: Table = Table { subject: "`limits`", keys: &["memory", "cpus", "pids"] };

pub const ROUTE: Table = Table {
    subject: "a route",
    keys: &[
        "host",
        "port",
        "methods",
        "paths",
        "deny",
        "auth",
        "agent_auth",
        "role",
        "git",
        "private",
        "proxy",
        "connect_to",
        "upstream_ca",
        "intercept",
        "protocol",
        "dlp",
        "server_tools",
        "query",
        "headers",
        "inspect_responses",
        "bodies",
        "ranges",
    ],
};
pub const AUTH: Table =
    Table { subject: "`auth`", keys: &["token_ref", "token_cmd", "scheme", "user", "as", "placeholder"] };
pub const SCHEME: Table = Table { subject: "`scheme`", keys: &["header"] };

/// Each table beside the name of its definition in the JSON Schema (the root has none).
pub const ALL: &[(Option<&str>, &Table)] = &[
    (None, &HOME),
    (Some("directory"), &DIRECTORY),
    (Some("agent"), &AGENT),
    (Some("agent_git"), &AGENT_GIT),
    (Some("directory_agent"), &DIRECTORY_AGENT),
    (Some("bottle"), &BOTTLE),
    (Some("image"), &IMAGE),
    (Some("egress"), &EGRESS),
    (Some("git"), &GIT),
    (Some("user"), &USER),
    (Some("remote"), &REMOTE),
    (Some("supervise"), &SUPERVISE),
    (Some("limits"), &LIMITS),
    (Some("route"), &ROUTE),
    (Some("auth"), &AUTH),
    (Some("scheme"), &SCHEME),
];
