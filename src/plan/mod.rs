//! A plan is a value: all that would run, versioned, without a secret. It is built from manifest, spec and facts alone.
//!
//! Preview, script, driver and the record on disk are this one value. Every plan that was ever written must still parse.

mod agent;
mod approval;
mod gate;
mod git;
mod images;
mod packages;
mod seccomp;
mod session_routes;
mod step;
mod uid;
mod warn;

pub use agent::check;
pub use approval::{Approval, ChangeRequest};
pub use images::{BASE_ARGUMENT, Build, BuildContext, Dockerfile, ImageRole, Images, chain, gate_build, git_build};
pub use packages::with_packages;
pub use seccomp::{Profile, Seccomp};
pub use session_routes::{LeftOutRoute, SessionRoute, SessionRoutes, session_route_id};
pub use step::{
    Args, HOME_LABEL, IDENTITY_LABEL, READER_ROLE, ROLE_LABEL, ReadVolume, Step, StepKind, remove_container,
    remove_volume,
};
pub use uid::agent_uid;
pub use warn::warnings;

use crate::exit::UserError;
use crate::facts::{Engine, EngineKind, Facts, PROXY_VARIABLE, Proxy, Terminal, Workspace};
use crate::manifest::{Bottle, Chosen, EnvValue, Limits, OnHangup, Route, Scope, Token};
use crate::spec::Spec;
use policy::{NoProxy, Policy, Server, Via};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use wire::{Document, GitRemote, GitService, Go, Supervise, Values};

pub const VERSION: u32 = 1;

/// The plan of one bottle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub version: u32,
    pub identity: String,
    pub home_id: String,
    pub spec: Spec,
    pub origin: Origin,
    pub bottle: String,
    pub engine: Engine,
    pub runtime: Runtime,
    /// User id, and group id, of the agent and of its home. The images' own for plans that name none.
    #[serde(default = "uid::image_uid")]
    pub agent_uid: u32,
    pub terminal: Terminal,
    pub detach_keys: String,
    #[serde(default)]
    pub on_hangup: OnHangup,
    pub limits: Limits,
    #[serde(default)]
    pub seccomp: Seccomp,
    pub images: Images,
    pub policy: Policy,
    /// What git of the bottle can reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitService>,
    /// `None`: the agent cannot propose changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervise: Option<Supervise>,
    /// A volume keeps what is pushed to a local remote, beside the home and as long as that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_pushes: bool,
    pub go: Go,
    /// Where each value that `policy`, `git` and `go` name is fetched from at the last moment.
    pub values: BTreeMap<String, Source>,
    /// The agent's loopback has `::1`, which the engine's `/etc/hosts` names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ipv6_loopback: bool,
    pub proxy: bool,
    /// Upstreams that are reached past the proxy.
    #[serde(default, skip_serializing_if = "NoProxy::is_empty")]
    pub no_proxy: NoProxy,
    /// What is copied into the workspace before the agent starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Workspace>,
    /// The folder of the session, where the profiles of system calls are. It is known when the plan is read.
    #[serde(skip)]
    pub profiles: PathBuf,
    /// The folder of the home's manifest, where commands that print a token are run: whatever the directory is in which the
    /// agent was started, its files decide nothing there. It is known when the plan is read.
    #[serde(skip)]
    pub home: PathBuf,
}

/// Where the agent is defined, and what of the host goes into its home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `file:line`
    pub at: String,
    /// Defined by the current directory's manifest.
    pub directory: bool,
    /// `file:line` of a home agent of the same name that it hides.
    pub hides: Option<String>,
    pub skills: Vec<String>,
    pub prompt: bool,
    pub claude_md: bool,
    /// Keys merged into Claude's settings.
    pub settings: Vec<String>,
    /// `Name <email>`
    pub git_user: Option<String>,
    /// It is the user of the directory that is copied, and none of the manifest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub git_user_of_cwd: bool,
}

/// Where a value is fetched from; never the value itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A variable of the host.
    Env(String),
    /// A variable of the host; empty where it has none.
    #[serde(rename = "env_or_empty")]
    EnvOrEmpty(String),
    /// Program and arguments; the value is what it prints.
    Command(Vec<String>),
    /// Asked on the terminal without echo: the question.
    Ask(String),
    File(PathBuf),
}

impl Source {
    fn of(token: &Token) -> Source {
        match token {
            Token::Env(name) => Source::Env(name.clone()),
            Token::Cmd(argv) => Source::Command(argv.clone()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// The engine's own default; why not gVisor.
    Default {
        why: String,
    },
    Gvisor {
        runtime: String,
    },
    /// This engine was never asked.
    Undecided,
}

/// Builds the plan.
///
/// # Errors
/// As [`check`].
pub fn build(chosen: &Chosen, spec: &Spec, facts: &Facts) -> Result<Plan, UserError> {
    let Chosen { agent, bottle } = chosen;
    let mut values = values(bottle, facts);
    let go = agent::go(&mut values, chosen, spec, facts)?;
    Ok(Plan {
        version: VERSION,
        identity: facts.identity.clone(),
        home_id: facts.home_id.clone(),
        spec: spec.clone(),
        origin: Origin {
            at: format!("{}:{}", agent.file.display(), agent.line),
            directory: agent.scope == Scope::Directory,
            hides: agent.hides.clone(),
            skills: agent.skills.clone(),
            prompt: facts.agent.prompt.is_some(),
            claude_md: agent.claude_md,
            settings: agent.settings.keys().cloned().collect(),
            git_user: git::author(chosen, facts).map(|author| format!("{} <{}>", author.name, author.email)),
            git_user_of_cwd: agent.git_user.is_none() && git::author(chosen, facts).is_some(),
        },
        bottle: bottle.name.clone(),
        engine: facts.engine.clone(),
        runtime: match facts.seen.as_ref().map(|seen| &seen.gvisor) {
            None => Runtime::Undecided,
            Some(Ok(runtime)) => Runtime::Gvisor { runtime: runtime.clone() },
            Some(Err(why)) => Runtime::Default { why: why.clone() },
        },
        ipv6_loopback: facts.engine.kind == EngineKind::Docker && facts.seen.as_ref().is_none_or(|seen| seen.ipv6),
        agent_uid: facts.images.agent_uid,
        terminal: facts.terminal,
        detach_keys: facts.detach_keys.clone(),
        on_hangup: bottle.on_hangup,
        limits: bottle.limits.clone(),
        seccomp: Seccomp::decide(bottle.seccomp, facts.seen.as_ref()),
        images: images::images(bottle, facts),
        policy: bottle.policy(),
        git: git::service(bottle, facts),
        supervise: bottle.supervise,
        keeps_pushes: facts.keeps_pushes || bottle.remotes.iter().any(|remote| remote.upstream.is_none()),
        go,
        values,
        proxy: facts.network.proxy != Proxy::Direct,
        no_proxy: facts.network.proxy.no_proxy(),
        workspace: facts.workspace.clone(),
        profiles: facts.folder.clone(),
        home: facts.home.clone(),
    })
}

pub const ROOTS: &str = "roots";
pub const PROXY: &str = "proxy";

/// The values that the bottle itself names, and the roots.
fn values(bottle: &Bottle, facts: &Facts) -> BTreeMap<String, Source> {
    let mut values = sources(bottle, &facts.network.proxy);
    values.insert(ROOTS.to_owned(), Source::File(facts.network.roots.clone()));
    values.extend(git::passphrases(bottle, facts));
    values
}

/// Where each value that the bottle itself names is fetched from.
pub fn sources(bottle: &Bottle, proxy: &Proxy) -> BTreeMap<String, Source> {
    let mut values = BTreeMap::new();
    if *proxy != Proxy::Direct {
        values.insert(PROXY.to_owned(), Source::Env(PROXY_VARIABLE.to_owned()));
    }
    values.extend(bottle.routes.iter().flat_map(sources_of_route));
    values.extend(git::sources(bottle));
    for (name, value) in &bottle.env {
        match value {
            EnvValue::Literal(_) => {}
            EnvValue::Host(host) => drop(values.insert(format!("env:{name}"), Source::Env(host.clone()))),
            EnvValue::HostOrEmpty(host) => {
                values.insert(format!("env:{name}"), Source::EnvOrEmpty(host.clone()));
            }
            EnvValue::Ask(text) => drop(values.insert(format!("env:{name}"), Source::Ask(text.clone()))),
        }
    }
    values
}

/// Where each value that a route names is fetched from.
pub fn sources_of_route(route: &Route) -> impl Iterator<Item = (String, Source)> {
    let auth = route.policy.auth.as_ref().zip(route.token.as_ref());
    let token = auth.map(|(auth, token)| (auth.token.clone(), Source::of(token)));
    let ca = route.policy.upstream_ca.as_ref().zip(route.upstream_ca.as_ref());
    token.into_iter().chain(ca.map(|(name, path)| (name.clone(), Source::File(path.clone()))))
}

/// The document for a gate that only judges one request: this bottle, and those values that are at hand.
pub fn trial_document(bottle: &Bottle, values: Values) -> Document {
    let given = bottle.env.keys().map(|name| (name, format!("env:{name}")));
    let given = given.filter(|(_, value)| values.contains_key(value));
    let env = given.map(|(name, value)| (name.clone(), wire::Source::Value(value))).collect();
    Document {
        version: wire::DOCUMENT_VERSION,
        identity: String::new(),
        bottle: bottle.name.clone(),
        policy: bottle.policy(),
        git: None,
        supervise: None,
        go: Go { env, ..Go::default() },
        roots: ROOTS.to_owned(),
        upstream_proxy: values.contains_key(PROXY).then(|| PROXY.to_owned()),
        no_proxy: NoProxy::default(),
        printed: BTreeSet::new(),
        values,
    }
}

impl Plan {
    pub fn agent_container(&self) -> String {
        format!("claude-bottle-{}-agent", self.identity)
    }

    pub fn gate_container(&self) -> String {
        format!("claude-bottle-{}-gate", self.identity)
    }

    /// Whether the gate reaches this server past the host's proxy.
    pub fn is_past_proxy(&self, server: &Server) -> bool {
        self.proxy && !server.goes_through_proxy(Via::Proxy(&self.no_proxy))
    }

    /// The upstreams, as `host:port`, for which the host's proxy is asked for a connection to a port that is not 443.
    pub fn tunnels_to_other_ports(&self) -> impl Iterator<Item = String> {
        let routes = self.policy.routes.iter().filter(|route| !route.deny && !route.is_upstream_plain());
        let servers = routes.map(|route| route.server(route.host.as_str()));
        let remotes = self.git.iter().flat_map(|git| &git.remotes).filter_map(GitRemote::server);
        let proxied = servers.chain(remotes).filter(|server| self.proxy && !self.is_past_proxy(server));
        proxied.filter(|server| server.port != 443).map(|server| format!("{}:{}", server.name, server.port))
    }

    /// A container of one reader. `word` is random: several may read one home at the same time.
    pub fn reader_container(&self, word: &str) -> String {
        format!("claude-bottle-{}-reader-{word}", self.identity)
    }

    pub fn volume(&self) -> String {
        volume(&self.identity)
    }

    /// The volume of the gate's repositories where it keeps pushes.
    pub fn pushes_volume(&self) -> String {
        format!("{}-pushes", self.volume())
    }

    /// Commits and tags of this machine's repositories that were copied, where a local remote needs to know them.
    pub fn tips(&self) -> Vec<String> {
        let remotes = self.git.iter().flat_map(|git| &git.remotes);
        let base = remotes.filter_map(|remote| match &remote.upstream {
            wire::GitUpstream::Local { base } => Some(base.clone()),
            _ => None,
        });
        base.flatten().collect()
    }

    /// The name of the local remote.
    pub fn local_remote(&self) -> Option<&str> {
        let mut remotes = self.git.iter().flat_map(|git| &git.remotes);
        let local = remotes.find(|remote| matches!(remote.upstream, wire::GitUpstream::Local { .. }));
        local.map(|remote| remote.name.as_str())
    }

    /// Does the session run on where its terminal is closed? With pipes it cannot: they could not be attached again.
    pub fn outlives_its_terminal(&self) -> bool {
        self.on_hangup == OnHangup::Detach && self.terminal == Terminal::Tty
    }

    /// Does git of the bottle reach anything?
    pub fn has_remotes(&self) -> bool {
        self.git.as_ref().is_some_and(|git| !git.remotes.is_empty())
    }

    /// The document that the gate is sent, with these values.
    pub fn document(&self, values: Values) -> Document {
        Document {
            version: wire::DOCUMENT_VERSION,
            identity: self.identity.clone(),
            bottle: self.bottle.clone(),
            policy: self.policy.clone(),
            git: self.git.clone(),
            supervise: self.supervise,
            go: self.go.clone(),
            roots: ROOTS.to_owned(),
            upstream_proxy: self.proxy.then(|| PROXY.to_owned()),
            no_proxy: self.no_proxy.clone(),
            printed: self.printed().map(|(name, _)| name.to_owned()).collect(),
            values,
        }
    }

    /// The names of the values that a command prints, each with the command.
    pub fn printed(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.values.iter().filter_map(|(name, source)| match source {
            Source::Command(argv) => Some((name.as_str(), argv.as_slice())),
            _ => None,
        })
    }

    /// The document up to its values: JSON that ends in `"values":{`. `"name":"base64"`, … and `}}` are to follow.
    pub fn document_head(&self) -> String {
        let mut text = serde_json::to_string(&self.document(Values::new())).unwrap_or_default();
        text.truncate(text.len().saturating_sub(2));
        text
    }
}

/// The named volume of an identity's home.
pub fn volume(identity: &str) -> String {
    format!("claude-bottle-{identity}")
}
