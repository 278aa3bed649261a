//! What the user wrote: `claude-bottle.json` of the home and of the current directory, read strictly.
//!
//! The home defines bottles and agents; a directory only agents: a cloned repository never decides what gets out.
//! Outside this module a manifest is what it means, the types of `types.rs`; how it was written stays in here.

mod agent;
mod auth;
mod block;
mod bottle;
mod env;
mod extends;
mod git;
mod insert;
pub mod json;
pub mod keys;
mod limits;
mod prompt;
mod route;
mod routes;
mod source;
mod supervise;
mod types;

pub use insert::{Place, insert_route, read_route};
pub use prompt::read_prompt;
pub use types::{
    Agent, Bottle, Chosen, EnvValue, GitUser, Image, Limits, OnHangup, Placeholder, Prompt, Remote, RemoteAccess,
    RemoteUpstream, Route, Scope, SeccompChoice, Token,
};

use crate::exit::UserError;
use crate::hint;
use block::{Block, error_at, is_name, list_names};
use extends::CompleteBottle;
use json::excerpt;
use source::{absolute, resolve_path, shown};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The file's name, in the home and in a directory.
pub const FILE: &str = "claude-bottle.json";

/// Agents of a directory's manifest, which may be a stranger's: `doctor` plans each of them.
const MAX_DIRECTORY_AGENTS: usize = 64;

/// Agents that an error for an unknown name lists.
const MAX_LISTED_AGENTS: usize = 20;

/// Both files, read and checked as far as they could be: one broken agent does not stop another.
#[derive(Debug, Default)]
pub struct Manifest {
    /// The home's file.
    home: PathBuf,
    agents: BTreeMap<String, Result<Agent, UserError>>,
    bottles: BTreeMap<String, Result<CompleteBottle, UserError>>,
    /// File and line of each agent, the broken ones too.
    locations: BTreeMap<String, (PathBuf, u32)>,
    sources: Vec<(Scope, PathBuf)>,
    proposed: Option<Proposed>,
}

/// Content for one of the two files, before it is written there.
#[derive(Debug, Clone)]
pub struct Proposed {
    pub file: PathBuf,
    pub bytes: Vec<u8>,
}

/// Reads `home/claude-bottle.json` and `cwd/claude-bottle.json`; each may be missing. `home`: the folder of
/// `CLAUDE_BOTTLE_HOME`, by default `~/.claude-bottle`.
///
/// # Errors
/// `UserError` where both are missing, and for one that cannot be read or parsed.
pub fn load(home: &Path, cwd: &Path) -> Result<Manifest, UserError> {
    Manifest::new(home).filled(cwd)
}

/// [`load`] with the proposed content in place of what its file holds now.
///
/// # Errors
/// Those of [`load`].
pub fn load_proposed(home: &Path, cwd: &Path, proposed: Proposed) -> Result<Manifest, UserError> {
    Manifest { proposed: Some(proposed), ..Manifest::new(home) }.filled(cwd)
}

/// [`load`] for callers that want names alone: a file that cannot be read is left out.
pub fn load_readable(home: &Path, cwd: &Path) -> Manifest {
    let mut manifest = Manifest::new(home);
    let _ = manifest.read_home();
    let _ = manifest.read_directory(cwd);
    manifest
}

impl Manifest {
    fn new(home: &Path) -> Manifest {
        Manifest { home: absolute(home).join(FILE), ..Manifest::default() }
    }

    /// # Errors
    /// `UserError` for a file that cannot be read or parsed, and where there is neither.
    fn filled(mut self, cwd: &Path) -> Result<Manifest, UserError> {
        self.read_home()?;
        self.read_directory(cwd)?;
        if self.sources.is_empty() {
            let [home, cwd] = [&self.home, &absolute(cwd).join(FILE)].map(|file| shown(file));
            let what = format!("no manifest: neither `{home}` nor `{cwd}` is there");
            return Err(UserError::new(what).hint("`claude-bottle init` writes one to begin with"));
        }
        Ok(self)
    }

    /// The text of `file`: the proposed one, else what the disk has.
    fn text_of(&self, file: &Path) -> Result<Option<String>, UserError> {
        match &self.proposed {
            Some(proposed) if proposed.file == file => source::decode(file, proposed.bytes.clone()).map(Some),
            _ => source::read(file),
        }
    }

    fn read_home(&mut self) -> Result<(), UserError> {
        let file = self.home.clone();
        self.text_of(&file)?.map_or(Ok(()), |text| self.add_home(&file, &text))
    }

    fn read_directory(&mut self, cwd: &Path) -> Result<(), UserError> {
        let (home, cwd) = (self.home.parent().unwrap_or(Path::new("/")), absolute(cwd));
        // In the home's own folder there is one manifest, and it is the home's.
        let same = home == cwd || matches!((home.canonicalize(), cwd.canonicalize()), (Ok(a), Ok(b)) if a == b);
        if same {
            return Ok(());
        }
        let file = cwd.join(FILE);
        self.text_of(&file)?.map_or(Ok(()), |text| self.add_directory(&file, &text))
    }

    fn add_home(&mut self, file: &Path, text: &str) -> Result<(), UserError> {
        let node = source::parse(file, text)?;
        let block = Block::open(file, &node, &keys::HOME)?;
        block.optional_string("$schema")?;
        let members = block.map("bottles")?;
        let drafts = members.iter().map(|member| (member.key.clone(), bottle::read(file, member))).collect();
        self.bottles = extends::complete_all(file, &drafts);
        for member in block.map("agents")? {
            self.locations.insert(member.key.clone(), (file.into(), member.at.line));
            self.agents.insert(member.key.clone(), agent::read(file, member, Scope::Home));
        }
        self.sources.push((Scope::Home, file.into()));
        Ok(())
    }

    fn add_directory(&mut self, file: &Path, text: &str) -> Result<(), UserError> {
        let node = source::parse(file, text)?;
        if let json::Value::Object(members) = &node.value
            && let Some(member) = members.iter().find(|member| member.key == "bottles")
        {
            let what = "`bottles` in a directory's manifest: a cloned repository never defines what gets out";
            return Err(error_at(file, member.at.line, what).hint(hint!("move `bottles` to `{}`", shown(&self.home))));
        }
        let block = Block::open(file, &node, &keys::DIRECTORY)?;
        block.optional_string("$schema")?;
        let agents = block.map("agents")?;
        if let Some(member) = agents.get(MAX_DIRECTORY_AGENTS) {
            let what = format!("more than {MAX_DIRECTORY_AGENTS} agents in a directory's manifest");
            return Err(
                error_at(file, member.at.line, what).hint(hint!("move some of them to `{}`", shown(&self.home)))
            );
        }
        for member in agents {
            let hidden = self.locations.insert(member.key.clone(), (file.into(), member.at.line));
            let hides = hidden.map(|(file, line)| format!("{}:{line}", shown(&file)));
            let agent = agent::read(file, member, Scope::Directory).map(|agent| Agent { hides, ..agent });
            self.agents.insert(member.key.clone(), agent);
        }
        self.sources.push((Scope::Directory, file.into()));
        Ok(())
    }

    /// Names of all agents, sorted, broken ones too. A bad name is not among them but in [`Manifest::faults`].
    pub fn agents(&self) -> Vec<&str> {
        self.agents.keys().map(String::as_str).filter(|name| is_name(name)).collect()
    }

    /// The error of an agent that cannot be used, its name perhaps.
    pub fn broken_agent(&self) -> Option<&UserError> {
        self.agents.values().find_map(|agent| agent.as_ref().err())
    }

    /// Names of all bottles without an error, sorted.
    pub fn bottles(&self) -> Vec<&str> {
        self.bottles.iter().filter(|(_, bottle)| bottle.is_ok()).map(|(name, _)| name.as_str()).collect()
    }

    /// The file and the line that define an agent, which may be a broken one.
    ///
    /// # Errors
    /// `UserError` for an unknown name, with the nearest one.
    pub fn location(&self, agent: &str) -> Result<(&Path, u32), UserError> {
        match self.locations.get(agent) {
            Some((file, line)) => Ok((file, *line)),
            None => Err(self.unknown_agent(agent)),
        }
    }

    /// The files that were read, the home's first.
    pub fn sources(&self) -> &[(Scope, PathBuf)] {
        &self.sources
    }

    /// Every error, agents before bottles, each by name; also those that no chosen agent would meet.
    pub fn faults(&self) -> Vec<&UserError> {
        let agents = self.agents.values().filter_map(|agent| agent.as_ref().err());
        agents.chain(self.bottles.values().filter_map(|bottle| bottle.as_ref().err())).collect()
    }

    /// Every error that keeps an agent of `file` from starting or a bottle of it from being used, without repetitions.
    pub fn faults_in(&self, file: &Path) -> Vec<UserError> {
        let mut faults: Vec<UserError> = match file == self.home {
            true => self.bottles.values().filter_map(|bottle| bottle.as_ref().err().cloned()).collect(),
            false => Vec::new(),
        };
        let here = self.locations.iter().filter(|(_, (defined_in, _))| defined_in == file);
        faults.extend(here.filter_map(|(agent, _)| self.choose(agent).err()));
        let mut seen = BTreeSet::new();
        faults.retain(|fault| seen.insert(fault.what.clone()));
        faults
    }

    /// The agent and its bottle, complete.
    ///
    /// # Errors
    /// `UserError` for an unknown name, with the nearest one, and for a broken agent or bottle.
    pub fn choose(&self, agent: &str) -> Result<Chosen, UserError> {
        let mut agent = self.agent(agent)?.clone();
        let complete = self.bottle(&agent)?;
        if let (Scope::Directory, Some(line)) = (agent.scope, complete.home_agents_only) {
            let what = format!(
                "agent `{}`: bottle `{}` takes no agent of a directory: `cwd_agents` is false at {}:{line}",
                agent.name,
                agent.bottle,
                shown(&self.home)
            );
            return Err(error_at(&agent.file, agent.line, what));
        }
        agent.git_user = agent.git_user.or_else(|| complete.user.clone());
        Ok(Chosen { agent, bottle: complete.bottle.clone() })
    }

    fn agent(&self, name: &str) -> Result<&Agent, UserError> {
        match self.agents.get(name) {
            Some(agent) => agent.as_ref().map_err(Clone::clone),
            None => Err(self.unknown_agent(name)),
        }
    }

    fn unknown_agent(&self, name: &str) -> UserError {
        let known = list_names(self.agents().into_iter().take(MAX_LISTED_AGENTS), " and ");
        UserError::new(format!("no agent `{}`: known are {known}", excerpt(name))).meant(name, self.agents())
    }

    fn bottle(&self, agent: &Agent) -> Result<&CompleteBottle, UserError> {
        match self.bottles.get(&agent.bottle) {
            Some(bottle) => bottle.as_ref().map_err(Clone::clone),
            None => {
                let what =
                    format!("agent `{}`: no bottle `{}` in {}", agent.name, excerpt(&agent.bottle), shown(&self.home));
                let names = self.bottles.keys().map(String::as_str);
                Err(error_at(&agent.file, agent.line, what).meant(&agent.bottle, names))
            }
        }
    }
}
