//! The world as it was found, as plain types: the input of a plan beside manifest and spec. Pure; `probe` fills them.
//!
//! Values of secret variables are not facts: only that a variable is set.

mod digest;

pub use digest::{Digest, digest};

use crate::exit::UserError;
use crate::git::Author;
use policy::{NoProxy, Via};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub struct Facts {
    pub identity: String,
    /// The session's folder on this disk.
    pub folder: PathBuf,
    /// The folder of the home's manifest on this disk.
    pub home: PathBuf,
    /// The random id of this home, on the label of each object that is made on the engine.
    pub home_id: String,
    pub engine: Engine,
    /// `None`: never seen, decided at start.
    pub seen: Option<EngineFacts>,
    /// Image tags that the engine lacks. `None`: not asked.
    pub missing: Option<BTreeSet<String>>,
    pub terminal: Terminal,
    pub images: ImageFacts,
    pub agent: AgentFacts,
    pub network: NetworkFacts,
    /// A former run of the session has a volume for what was pushed to a local remote.
    pub keeps_pushes: bool,
    /// Commits and tags to which refs of the copied repositories lead.
    pub tips: Vec<String>,
    /// By the name of the remote.
    pub remotes: BTreeMap<String, RemoteFacts>,
    /// What is known of the key that signs commits; nothing where there is none.
    pub signing_key: SigningKeyFacts,
    /// The keys that detach a terminal, in the engine program's own notation.
    pub detach_keys: String,
    /// What is to be copied into the workspace, where it was asked for.
    pub workspace: Option<Workspace>,
}

/// A directory of the host as it was found, and what of it is copied into the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    pub from: PathBuf,
    pub files: u64,
    /// Sum of the sizes of the files' contents.
    pub bytes: u64,
    /// Repositories whose `.git` is copied, made self-contained; paths relative to `from`.
    pub repositories: Vec<String>,
    /// Folders outside `from` that are read: git directories and objects that belong to its repositories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<PathBuf>,
    /// The repository that encloses `from` and is not copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<PathBuf>,
    /// There are files in it, and git ignores all of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_ignored: bool,
    /// Files that stay out because they are mostly holes: copied, those would be zeros.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sparse: Vec<SparseFile>,
    /// Names of filters that attributes of its repositories give to files, and that no copy of a repository has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
    /// The user's name and address for commits in this directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparseFile {
    /// Relative to the directory. A name that is not UTF-8 is lossy.
    pub path: String,
    pub bytes: u64,
}

/// The program that drives the engine, and which engine it talks to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    pub program: String,
    /// As the engine said; until it was asked, guessed from the program's name.
    #[serde(default)]
    pub kind: EngineKind,
    /// `DOCKER_HOST`, `CONTAINER_HOST`
    pub host: Option<String>,
    /// `DOCKER_CONTEXT` or the client's current context, `CONTAINER_CONNECTION`
    pub context: Option<String>,
}

/// The command line that the engine's program has. Where the two differ, the plan's steps do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    #[default]
    Docker,
    Podman,
}

/// What an engine said of itself at the last start there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    #[serde(default)]
    pub kind: EngineKind,
    pub version: String,
    /// In the notation of `uname -m`: `x86_64`, `aarch64`.
    pub arch: String,
    /// The name of a `runsc` runtime that gives containers access to host unix sockets; else why the agent gets none.
    pub gvisor: Result<String, String>,
    pub seccomp: EngineSeccomp,
    /// Whether its kernel has IPv6, as far as is known: no engine says so before a container could not be started.
    #[serde(default = "yes")]
    pub ipv6: bool,
}

fn yes() -> bool {
    true
}

/// Docker names an architecture as `uname -m` does, podman as Go does, and older engines as either.
pub fn uname_machine(arch: &str) -> String {
    match arch {
        "amd64" => "x86_64".to_owned(),
        "arm64" => "aarch64".to_owned(),
        other => other.to_owned(),
    }
}

/// What an engine does about a container's system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineSeccomp {
    /// It filters them, by its own profile where a container has none.
    Filtered,
    /// It filters those of containers that were made with a profile.
    Unconfined,
    /// It cannot filter.
    Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Terminal {
    Tty,
    Pipes,
}

pub struct ImageFacts {
    pub base: String,
    /// User id, and group id, that the agent's image gives the agent.
    pub agent_uid: u32,
    /// The gate's program for this engine; else why there is none.
    pub gate: Result<GateBinary, UserError>,
    /// Changes when the bottle's own Dockerfile, its context or its named image changes. Empty for the default image.
    pub source: String,
    /// The session's own Dockerfile, where packages were approved for it.
    pub packages: Option<String>,
    /// PEM bundle that image builds trust.
    pub roots: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateBinary {
    pub path: PathBuf,
    /// [`digest`] of the file's content.
    pub digest: u64,
}

pub struct AgentFacts {
    /// The prompt's text, read from its file where it has one.
    pub prompt: Option<String>,
    pub skills: Vec<SkillFile>,
    pub claude_md: Option<PathBuf>,
    /// TERM, COLORTERM, TZ of the host's terminal.
    pub terminal: BTreeMap<String, String>,
}

pub struct SkillFile {
    /// `review/SKILL.md`
    pub path: String,
    pub from: PathBuf,
    /// Permission bits.
    pub mode: u32,
}

pub struct NetworkFacts {
    /// PEM bundle that the gate trusts for upstreams.
    pub roots: PathBuf,
    pub proxy: Proxy,
}

/// What this machine knows of a remote's upstream; nothing for one that is local or reached by HTTPS.
#[derive(Debug, Clone, Default)]
pub struct RemoteFacts {
    /// Lines as in `known_hosts`, all about this upstream's host.
    pub known_hosts: String,
    /// The private key is of no use without its passphrase.
    pub is_locked: bool,
    /// Why nothing can be fetched or pushed.
    pub problem: Option<UserError>,
}

/// What this machine knows of the key that signs commits.
#[derive(Debug, Clone, Default)]
pub struct SigningKeyFacts {
    /// The public key: type and base64.
    pub public: String,
    /// The private key is of no use without its passphrase.
    pub is_locked: bool,
    /// Why nothing can be signed.
    pub problem: Option<UserError>,
}

/// The host's variable with the address of its proxy for upstream traffic.
pub const PROXY_VARIABLE: &str = "CLAUDE_BOTTLE_UPSTREAM_PROXY";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    Direct,
    /// [`PROXY_VARIABLE`] is set. These upstreams are reached past the proxy.
    Upstream(NoProxy),
}

impl Proxy {
    /// How a gate with this proxy reaches upstreams.
    pub fn via(&self) -> Via<'_> {
        match self {
            Proxy::Direct => Via::Direct,
            Proxy::Upstream(no_proxy) => Via::Proxy(no_proxy),
        }
    }

    /// The upstreams that are reached past it.
    pub fn no_proxy(&self) -> NoProxy {
        match self {
            Proxy::Direct => NoProxy::default(),
            Proxy::Upstream(no_proxy) => no_proxy.clone(),
        }
    }
}

impl Engine {
    /// The environment variables that name host and context to its program, with their values.
    pub fn variables(&self) -> [(&'static str, Option<&str>); 2] {
        let [host, context] = EngineKind::of_program(&self.program).variables();
        [(host, self.host.as_deref()), (context, self.context.as_deref())]
    }

    /// Do both name one engine? The kind does not count: it may be a guess.
    pub fn is_same(&self, other: &Engine) -> bool {
        self.key() == other.key()
    }

    /// The engine's key in `engines.json`.
    pub fn key(&self) -> String {
        format!("{} {}", self.program, self.location())
    }

    /// Host or context, for messages.
    pub fn location(&self) -> &str {
        self.host.as_deref().or(self.context.as_deref()).unwrap_or("default")
    }
}

impl EngineKind {
    /// The kind that a program's name suggests; the engine itself may say otherwise.
    pub fn of_program(program: &str) -> EngineKind {
        let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
        if name.contains("podman") { EngineKind::Podman } else { EngineKind::Docker }
    }

    /// The environment variables of host and context.
    pub fn variables(self) -> [&'static str; 2] {
        match self {
            EngineKind::Docker => ["DOCKER_HOST", "DOCKER_CONTEXT"],
            EngineKind::Podman => ["CONTAINER_HOST", "CONTAINER_CONNECTION"],
        }
    }
}
