//! What a manifest means: defaults filled in, `extends` merged, paths absolute. How it was written is not in here.

use super::limits::LimitsDraft;
use policy::RefRules;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use wire::Supervise;

/// An agent with the bottle that it runs in.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    pub agent: Agent,
    pub bottle: Bottle,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    pub name: String,
    /// The manifest that defines it, and the line there.
    pub file: PathBuf,
    pub line: u32,
    pub scope: Scope,
    /// For a directory's agent that hides one of the home: `file:line` of the hidden one.
    pub hides: Option<String>,
    pub bottle: String,
    /// Program and arguments; `None`: Claude Code.
    pub command: Option<Vec<String>>,
    pub prompt: Option<Prompt>,
    /// Names of folders in `~/.claude/skills`.
    pub skills: Vec<String>,
    /// Is the user's `~/.claude/CLAUDE.md` copied in?
    pub claude_md: bool,
    /// Merged into the bottle's Claude settings.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The agent's own, else the bottle's.
    pub git_user: Option<GitUser>,
}

/// Which manifest defines an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Home,
    Directory,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    Text(String),
    /// `root`: the manifest's folder. A directory's agent: `path` is relative, and must be opened beneath `root`
    /// without following a symlink. A home agent: absolute, `~/…`, or relative to `root`; symlinks are the user's own.
    File {
        root: PathBuf,
        path: PathBuf,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitUser {
    pub name: String,
    pub email: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Bottle {
    pub name: String,
    /// The bottles it inherits from, nearest first.
    pub extends: Vec<String>,
    pub image: Image,
    pub env: BTreeMap<String, EnvValue>,
    pub routes: Vec<Route>,
    pub remotes: Vec<Remote>,
    /// `None`: the agent cannot propose changes.
    pub supervise: Option<Supervise>,
    /// The ssh key that signs commits and tags. Absolute.
    pub signing_key: Option<PathBuf>,
    /// Without a user of its own, an agent commits as the user does in the directory that is copied.
    pub cwd_user: bool,
    pub limits: Limits,
    pub on_hangup: OnHangup,
    pub seccomp: SeccompChoice,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    Default,
    Name(String),
    /// Both paths are absolute. Without `context` the build context is empty.
    Dockerfile {
        path: PathBuf,
        context: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    Literal(String),
    /// `"${NAME}"`: the name of a variable that is copied from the host's environment at start.
    Host(String),
    /// `"${NAME:-}"`: as `"${NAME}"`, and empty where the host has no such variable, or an empty one.
    HostOrEmpty(String),
    /// `"?text"`: a question that is asked on the terminal at start.
    Ask(String),
}

impl Bottle {
    /// What stands in the credentials' places.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.routes.iter().filter_map(|route| route.placeholder.as_ref())
    }
}

/// A route, and where the values come from that its policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its `auth.token` and `upstream_ca` are names of values: `token:env:NAME`, `token:cmd:N`, `ca:N`.
    pub policy: policy::Route,
    pub token: Option<Token>,
    /// The file of PEM certificates that `policy.upstream_ca` names. Absolute.
    pub upstream_ca: Option<PathBuf>,
    /// What stands inside the bottle in the credential's place.
    pub placeholder: Option<Placeholder>,
}

/// A variable inside the bottle that programs take for the credential, which the gate puts in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    pub variable: String,
    pub value: String,
}

/// Where a token comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Token {
    /// `token_ref`: the name of a variable of the host.
    Env(String),
    /// `token_cmd`: program and arguments, run on the host at start.
    Cmd(Vec<String>),
}

/// A repository that git of the bottle fetches from and pushes to, through the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    pub name: String,
    /// `file:line`
    pub origin: String,
    /// `None`: the gate keeps what is pushed, for the repository of this machine that was copied.
    pub upstream: Option<RemoteUpstream>,
    pub rules: RefRules,
}

/// Where a remote's repository is, and how the gate gets there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteUpstream {
    /// `upstream` as the user wrote it.
    pub written: String,
    /// The user that logs in at the upstream.
    pub user: String,
    /// Lower case, no trailing dot.
    pub host: String,
    pub port: u16,
    /// As the upstream is asked for it; over ssh it may be relative to a home.
    pub path: String,
    pub access: RemoteAccess,
    /// The upstream's address may be a private one.
    pub private: bool,
}

/// How the gate logs in at an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteAccess {
    Ssh {
        /// The private key. Absolute.
        identity_file: PathBuf,
        /// The host's public key: type and base64. `None`: what the user's `known_hosts` say.
        host_key: Option<String>,
    },
    /// Without a token the upstream is asked as anybody.
    Https { token: Option<Token> },
}

impl RemoteUpstream {
    /// The path without what its spellings differ in: `team/app` for `/team/app.git`.
    pub fn plain_path(&self) -> &str {
        let path = self.path.trim_matches('/');
        path.strip_suffix(".git").unwrap_or(path)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes.
    pub memory: u64,
    pub cpus: f64,
    pub pids: u32,
}

/// What happens to a session when its terminal is closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnHangup {
    #[default]
    Stop,
    /// The session runs on without a terminal, as after the detach keys.
    Detach,
}

/// Whose filter of system calls the containers of a bottle get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SeccompChoice {
    #[default]
    Own,
    /// The engine's default.
    Engine,
}

impl Bottle {
    /// The policy that the gate of this bottle enforces.
    pub fn policy(&self) -> policy::Policy {
        policy::Policy { routes: self.routes.iter().map(|route| route.policy.clone()).collect() }
    }
}

impl Chosen {
    /// Claude Code in a bottle without a route, for image builds when no agent is named. No session is made of it.
    pub fn plain() -> Chosen {
        let name = "claude".to_owned();
        Chosen {
            agent: Agent {
                name: name.clone(),
                file: PathBuf::new(),
                line: 0,
                scope: Scope::Home,
                hides: None,
                bottle: name.clone(),
                command: None,
                prompt: None,
                skills: Vec::new(),
                claude_md: false,
                settings: serde_json::Map::new(),
                git_user: None,
            },
            bottle: Bottle {
                name,
                extends: Vec::new(),
                image: Image::Default,
                env: BTreeMap::new(),
                routes: Vec::new(),
                remotes: Vec::new(),
                supervise: None,
                signing_key: None,
                cwd_user: true,
                limits: LimitsDraft::default().complete(),
                on_hangup: OnHangup::Stop,
                seccomp: SeccompChoice::Own,
            },
        }
    }
}
