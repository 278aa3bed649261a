//! The keys of the manifest: which object accepts which.
//!
//! The reader refuses every other key; the JSON Schema in `schema/` is held to these tables by a test.

/// The keys of one kind of object.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// The kind, with its article, as an error says it.
    pub of: &'static str,
    pub keys: &'static [&'static str],
}

pub const HOME: Table = Table { of: "the home's manifest", keys: &["$schema", "bottles", "agents"] };
pub const DIRECTORY: Table = Table { of: "a directory's manifest", keys: &["$schema", "agents"] };

pub const AGENT: Table = Table {
    of: "an agent",
    keys: &["bottle", "command", "prompt", "prompt_file", "skills", "claude_md", "settings", "git"],
};
pub const AGENT_GIT: Table = Table { of: "an agent's `git`", keys: &["user"] };
pub const DIRECTORY_AGENT: Table =
    Table { of: "a directory's agent", keys: &["bottle", "command", "prompt", "prompt_file", "skills"] };

pub const BOTTLE: Table = Table {
    of: "a bottle",
    keys: &["extends", "image", "env", "egress", "git", "supervise", "limits", "on_hangup", "cwd_agents"],
};
pub const IMAGE: Table = Table { of: "`image`", keys: &["name", "dockerfile", "context"] };
pub const EGRESS: Table = Table { of: "`egress`", keys: &["routes"] };
pub const GIT: Table = Table { of: "a bottle's `git`", keys: &["user", "remotes"] };
pub const USER: Table = Table { of: "`git.user`", keys: &["name", "email"] };
pub const REMOTE: Table = Table {
    of: "a remote",
    keys: &["name", "upstream", "identity_file", "known_host_key", "allow_force", "allow_delete", "refs"],
};
pub const LIMITS: Table = Table { of: "`limits`", keys: &["memory", "cpus", "pids"] };

pub const ROUTE: Table = Table {
    of: "a route",
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
        "connect_to",
        "upstream_ca",
        "intercept",
        "protocol",
        "dlp",
        "server_tools",
        "query",
        "headers",
        "inspect_responses",
    ],
};
pub const AUTH: Table = Table { of: "`auth`", keys: &["token_ref", "token_cmd", "scheme", "user", "as"] };
pub const SCHEME: Table = Table { of: "`scheme`", keys: &["header"] };

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
    (Some("limits"), &LIMITS),
    (Some("route"), &ROUTE),
    (Some("auth"), &AUTH),
    (Some("scheme"), &SCHEME),
];
