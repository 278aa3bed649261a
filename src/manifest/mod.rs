//! What the user wrote: `claude-bottle.json` of the home and of the current directory, read strictly.
//!
//! The home defines bottles and agents; a directory only agents: a cloned repository never decides what gets out.
//! Types here are what was meant (defaults filled in, `extends` merged); how it was spelled stays in this module.

use crate::exit::Refused;
use crate::policy;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Both files, read and checked as far as they could be: one broken agent does not stop another.
pub struct Manifest {}

/// Reads `home/claude-bottle.json` and `cwd/claude-bottle.json` (each may be missing; both missing is `Refused`
/// with a hint). `home`: the folder of `CLAUDE_BOTTLE_HOME`, by default `~/.claude-bottle`.
pub fn load(_home: &Path, _cwd: &Path) -> Result<Manifest, Refused> {
    Ok(Manifest {})
}

impl Manifest {
    /// Names of all agents, sorted, broken ones too.
    pub fn agents(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The agent and its bottle, complete. Unknown names name the nearest; a broken agent or bottle says why.
    pub fn choose(&self, _agent: &str) -> Result<Chosen, Refused> {
        Err(Refused::new("not written yet"))
    }
}

pub struct Chosen {
    pub agent: Agent,
    pub bottle: Bottle,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    pub name: String,
    /// Where it is defined.
    pub file: PathBuf,
    pub line: u32,
    pub place: Place,
    /// A directory's agent that hides one of the home: `file:line` of the hidden one.
    pub hides: Option<String>,
    pub bottle: String,
    /// Program and arguments; `None`: Claude Code.
    pub command: Option<Vec<String>>,
    pub prompt: Option<Prompt>,
    /// Names of `~/.claude/skills`.
    pub skills: Vec<String>,
    /// The user's `~/.claude/CLAUDE.md` goes in.
    pub claude_md: bool,
    /// Merged into the bottle's Claude settings.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The agent's, else the bottle's.
    pub git_user: Option<GitUser>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
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
    pub image: Image,
    pub env: BTreeMap<String, EnvValue>,
    pub routes: Vec<Route>,
    pub limits: Limits,
    pub on_hangup: OnHangup,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    Default,
    Name(String),
    /// Both absolute. `context` absent: an empty build context.
    Dockerfile {
        path: PathBuf,
        context: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    Literal(String),
    /// `"${NAME}"`: copied from the host's environment at start.
    Host(String),
    /// `"?text"`: asked on the terminal at start.
    Ask(String),
}

/// A route, and where its secrets come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `auth.token` and `upstream_ca` in it name values: `token:env:NAME`, `token:cmd:N`, `ca:N`.
    pub policy: policy::Route,
    pub token: Option<Token>,
    /// File of PEM certificates for `policy.upstream_ca`. Absolute.
    pub upstream_ca: Option<PathBuf>,
    /// `role: "claude"`: the variable that holds the placeholder inside.
    pub placeholder: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Token {
    /// `token_ref`: a variable of the host.
    Env(String),
    /// `token_cmd`: program and arguments, run on the host at start.
    Cmd(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Bytes.
    pub memory: u64,
    pub cpus: f64,
    pub pids: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnHangup {
    Stop,
    Detach,
}
