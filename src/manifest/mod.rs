//! What the user wrote: `claude-bottle.json` of the home and of the current directory, read strictly.
//!
//! The home defines bottles and agents; a directory only agents: a cloned repository never decides what gets out.
//! Types here are what was meant (defaults filled in, `extends` merged); how it was spelled stays in this module.

mod agent;
mod block;
mod bottle;
pub mod json;
pub mod keys;
mod prompt;
mod route;

use crate::exit::UserError;

use block::{Block, is_name, listed, refuse};
use json::{clean, visible};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

pub use prompt::read_prompt;

/// The file's name, in the home and in a directory.
pub const FILE: &str = "claude-bottle.json";

/// Bytes of a manifest.
const MOST: u64 = 1 << 20;

/// Both files, read and checked as far as they could be: one broken agent does not stop another.
#[derive(Debug, Default)]
pub struct Manifest {
    home: PathBuf,
    agents: BTreeMap<String, Result<Agent, UserError>>,
    bottles: BTreeMap<String, Result<bottle::Whole, UserError>>,
    /// Where each agent is defined, the broken ones too.
    places: BTreeMap<String, (PathBuf, u32)>,
    sources: Vec<(Scope, PathBuf)>,
    /// What one of the files would hold.
    proposed: Option<(PathBuf, Vec<u8>)>,
}

/// Reads `home/claude-bottle.json` and `cwd/claude-bottle.json` (each may be missing; both missing is `UserError`
/// with a hint). `home`: the folder of `CLAUDE_BOTTLE_HOME`, by default `~/.claude-bottle`.
pub fn load(home: &Path, cwd: &Path) -> Result<Manifest, UserError> {
    Manifest::of(home).filled(cwd)
}

/// The same with `bytes` in place of what `file`, one of the two, holds now: before it is written there.
///
/// # Errors
/// As of [`load`].
pub fn proposed((home, cwd): (&Path, &Path), file: &Path, bytes: &[u8]) -> Result<Manifest, UserError> {
    let proposed = Some((file.to_owned(), bytes.to_owned()));
    Manifest { proposed, ..Manifest::of(home) }.filled(cwd)
}

/// The same of what can be read, for who only wants names: a file that cannot be read stops nothing.
pub fn readable(home: &Path, cwd: &Path) -> Manifest {
    let mut manifest = Manifest::of(home);
    let _ = manifest.read_home();
    let _ = manifest.read_directory(cwd);
    manifest
}

fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn shown(path: &Path) -> String {
    clean(&path.display().to_string())
}

/// `None`: there is no such file.
fn text_of(path: &Path) -> Result<Option<String>, UserError> {
    let bad = |why: &dyn std::fmt::Display| UserError::new(format!("{}: {why}", shown(path)));
    match path.metadata() {
        Ok(about) if about.is_file() => {}
        Ok(_) => return Err(bad(&"not a file")),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(bad(&e.kind())),
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| bad(&e.kind()))?;
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(|e| bad(&e.kind()))?;
    decoded(path, bytes).map(Some)
}

fn decoded(path: &Path, bytes: Vec<u8>) -> Result<String, UserError> {
    if bytes.len() as u64 > MOST {
        return Err(UserError::new(format!("{}: longer than 1 MiB", shown(path))));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(e) => {
            let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            let line = 1 + before.iter().filter(|b| **b == b'\n').count();
            Err(refuse(path, u32::try_from(line).unwrap_or(u32::MAX), "not UTF-8"))
        }
    }
}

fn parsed(file: &Path, text: &str) -> Result<json::Node, UserError> {
    let told = |f: json::Fault| UserError::new(format!("{}:{}:{}: {}", shown(file), f.at.line, f.at.column, f.what));
    json::parse(text).map_err(told)
}

impl Manifest {
    fn of(home: &Path) -> Manifest {
        Manifest { home: whole(home).join(FILE), ..Manifest::default() }
    }

    fn filled(mut self, cwd: &Path) -> Result<Manifest, UserError> {
        self.read_home()?;
        self.read_directory(cwd)?;
        if self.sources.is_empty() {
            let [home, cwd] = [&self.home, &whole(cwd).join(FILE)].map(|file| shown(file));
            let what = format!("no manifest: neither `{home}` nor `{cwd}` is there");
            return Err(UserError::new(what).hint("`claude-bottle init` writes one to begin with"));
        }
        Ok(self)
    }

    fn text_of(&self, file: &Path) -> Result<Option<String>, UserError> {
        match &self.proposed {
            Some((path, bytes)) if path == file => decoded(path, bytes.clone()).map(Some),
            _ => text_of(file),
        }
    }

    fn read_home(&mut self) -> Result<(), UserError> {
        let file = self.home.clone();
        self.text_of(&file)?.map_or(Ok(()), |text| self.add_home(&file, &text))
    }

    fn read_directory(&mut self, cwd: &Path) -> Result<(), UserError> {
        let (home, cwd) = (self.home.parent().unwrap_or(Path::new("/")), whole(cwd));
        // The home's own folder is the home, also for who stands in it.
        let same = home == cwd || matches!((home.canonicalize(), cwd.canonicalize()), (Ok(a), Ok(b)) if a == b);
        if same {
            return Ok(());
        }
        let file = cwd.join(FILE);
        self.text_of(&file)?.map_or(Ok(()), |text| self.add_directory(&file, &text))
    }

    fn add_home(&mut self, file: &Path, text: &str) -> Result<(), UserError> {
        let node = parsed(file, text)?;
        let block = Block::open(file, &node, &keys::HOME)?;
        block.word("$schema")?;
        let members = block.map("bottles")?;
        let drafts = members.iter().map(|member| (member.key.clone(), bottle::read(file, member))).collect();
        self.bottles = bottle::resolve(file, &drafts);
        for member in block.map("agents")? {
            self.places.insert(member.key.clone(), (file.into(), member.at.line));
            self.agents.insert(member.key.clone(), agent::read(file, member, Scope::Home));
        }
        self.sources.push((Scope::Home, file.into()));
        Ok(())
    }

    fn add_directory(&mut self, file: &Path, text: &str) -> Result<(), UserError> {
        let node = parsed(file, text)?;
        if let json::Value::Object(members) = &node.value
            && let Some(member) = members.iter().find(|member| member.key == "bottles")
        {
            let what = "`bottles` in a directory's manifest: a cloned repository never defines what gets out";
            let hint = format!("move `bottles` to `{}`", shown(&self.home));
            return Err(refuse(file, member.at.line, what).hint(hint));
        }
        let block = Block::open(file, &node, &keys::DIRECTORY)?;
        block.word("$schema")?;
        for member in block.map("agents")? {
            let here = (file.into(), member.at.line);
            let hidden = self.places.insert(member.key.clone(), here);
            let hides = hidden.map(|(file, line)| format!("{}:{line}", shown(&file)));
            let agent = agent::read(file, member, Scope::Directory).map(|agent| Agent { hides, ..agent });
            self.agents.insert(member.key.clone(), agent);
        }
        self.sources.push((Scope::Directory, file.into()));
        Ok(())
    }

    /// Names of all agents, sorted, broken ones too. What is no name is not among them; [`Manifest::faults`] has it.
    pub fn agents(&self) -> Vec<&str> {
        self.agents.keys().map(String::as_str).filter(|name| is_name(name)).collect()
    }

    /// Names of all bottles that are whole, sorted.
    pub fn bottles(&self) -> Vec<&str> {
        self.bottles.iter().filter(|(_, bottle)| bottle.is_ok()).map(|(name, _)| name.as_str()).collect()
    }

    /// File and line of an agent, a broken one's too.
    ///
    /// # Errors
    /// For a name that is none, with the nearest.
    pub fn location(&self, agent: &str) -> Result<(&Path, u32), UserError> {
        match self.places.get(agent) {
            Some((file, line)) => Ok((file, *line)),
            None => Err(self.unknown(agent)),
        }
    }

    /// The files that were read, the home's first.
    pub fn sources(&self) -> &[(Scope, PathBuf)] {
        &self.sources
    }

    /// All that is broken, agents before bottles, each by name; also what no chosen agent would meet.
    pub fn faults(&self) -> Vec<&UserError> {
        let agents = self.agents.values().filter_map(|agent| agent.as_ref().err());
        agents.chain(self.bottles.values().filter_map(|bottle| bottle.as_ref().err())).collect()
    }

    /// All that keeps what `file` defines from starting, each told once.
    pub fn faults_in(&self, file: &Path) -> Vec<UserError> {
        let mut faults: Vec<UserError> = match file == self.home {
            true => self.bottles.values().filter_map(|bottle| bottle.as_ref().err().cloned()).collect(),
            false => Vec::new(),
        };
        let here = self.places.iter().filter(|(_, (place, _))| place == file);
        faults.extend(here.filter_map(|(agent, _)| self.choose(agent).err()));
        let mut told = BTreeSet::new();
        faults.retain(|fault| told.insert(fault.what.clone()));
        faults
    }

    /// The agent and its bottle, complete. Unknown names name the nearest; a broken agent or bottle says why.
    pub fn choose(&self, agent: &str) -> Result<Chosen, UserError> {
        let mut agent = self.agent(agent)?.clone();
        let whole = self.bottle(&agent)?;
        if let (Scope::Directory, Some(line)) = (agent.scope, whole.home_only) {
            let what = format!(
                "agent `{}`: bottle `{}` takes no agent of a directory: `cwd_agents` is false at {}:{line}",
                agent.name,
                agent.bottle,
                shown(&self.home)
            );
            return Err(refuse(&agent.file, agent.line, what));
        }
        if let Some(not_yet) = &whole.not_yet {
            return Err(not_yet.clone());
        }
        agent.git_user = agent.git_user.or_else(|| whole.user.clone());
        Ok(Chosen { agent, bottle: whole.bottle.clone() })
    }

    fn agent(&self, name: &str) -> Result<&Agent, UserError> {
        match self.agents.get(name) {
            Some(agent) => agent.as_ref().map_err(Clone::clone),
            None => Err(self.unknown(name)),
        }
    }

    fn unknown(&self, name: &str) -> UserError {
        let known = listed(self.agents().into_iter().take(20), " and ");
        UserError::new(format!("no agent `{}`: known are {known}", visible(name))).meant(name, self.agents())
    }

    fn bottle(&self, agent: &Agent) -> Result<&bottle::Whole, UserError> {
        match self.bottles.get(&agent.bottle) {
            Some(bottle) => bottle.as_ref().map_err(Clone::clone),
            None => {
                let what =
                    format!("agent `{}`: no bottle `{}` in {}", agent.name, visible(&agent.bottle), shown(&self.home));
                let names = self.bottles.keys().map(String::as_str);
                Err(refuse(&agent.file, agent.line, what).meant(&agent.bottle, names))
            }
        }
    }
}

/// A path the user wrote in `file`: `~/…`, absolute, or relative to the file's folder.
fn place(file: &Path, written: &str) -> Result<PathBuf, String> {
    from_home(file.parent().unwrap_or(Path::new("/")), Path::new(written))
}

fn from_home(folder: &Path, written: &Path) -> Result<PathBuf, String> {
    match written.strip_prefix("~") {
        Ok(rest) => Ok(dirs::home_dir().ok_or("`~` is unknown: `HOME` is not set")?.join(rest)),
        Err(_) if written.to_string_lossy().starts_with('~') => {
            Err("of another user's home only the full path will do".into())
        }
        Err(_) => Ok(folder.join(written)),
    }
}

#[derive(Debug, Clone, PartialEq)]
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
    pub scope: Scope,
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
    /// The bottles it takes over from, nearest first.
    pub extends: Vec<String>,
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes.
    pub memory: u64,
    pub cpus: f64,
    pub pids: u32,
}

/// What a terminal that was closed does to its session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnHangup {
    #[default]
    Stop,
    /// As the detach keys do.
    Detach,
}

impl Bottle {
    /// All that may leave it.
    pub fn policy(&self) -> policy::Policy {
        policy::Policy { routes: self.routes.iter().map(|route| route.policy.clone()).collect() }
    }
}

impl Chosen {
    /// Claude Code in a bottle out of which nothing gets: what images are built for when no agent is named.
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
                limits: Limits { memory: 4 << 30, cpus: 2.0, pids: 2048 },
                on_hangup: OnHangup::Stop,
            },
        }
    }
}
