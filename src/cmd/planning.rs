//! Plans of launches: the facts are probed, the host's first, then the engine's where it may be asked.

use crate::docker::Docker;
use crate::exit::UserError;
use crate::facts::{Engine, EngineFacts, Facts, ImageFacts, NetworkFacts, Terminal, Workspace};
use crate::manifest::{Chosen, Image};
use crate::plan::{self, Build, LeftOutRoute, Plan, SessionRoutes};
use crate::probe::{self, HostIds};
use crate::spec::{Beginning, Mode, Spec};
use crate::state::Home;
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::Path;

/// May the engine be asked? A dry run never asks it.
#[derive(Clone, Copy)]
pub enum EngineAccess<'a> {
    None,
    /// Yes, and what it says of itself is remembered on disk.
    Ask(&'a Docker),
    /// Yes, but not for its facts, which are these. Nothing is written.
    Known(&'a Docker, &'a EngineFacts),
}

/// The session that is planned.
pub struct PlanRequest<'a> {
    pub home: &'a Home,
    pub home_id: String,
    pub identity: String,
    pub engine: Engine,
    pub terminal: Terminal,
    pub kept: KeptOfSession,
}

/// What of the first start counts for each later one.
#[derive(Default)]
pub struct KeptOfSession {
    /// The user id of a home that exists; `None` for a new one.
    pub agent_uid: Option<u32>,
    /// What is copied into the workspace, or was.
    pub workspace: Option<Workspace>,
    /// Commits and tags of the repositories in it.
    pub tips: Vec<String>,
    pub keeps_pushes: bool,
    /// Routes that this session has beside those of its bottle.
    pub added: SessionRoutes,
}

/// A plan, which can be shown but not started where something is missing.
pub struct Planned {
    pub plan: Plan,
    /// Why the gate's program was not found.
    no_gate: Option<UserError>,
    /// Why remotes cannot be reached.
    pub of_remotes: Vec<UserError>,
    /// Why nothing can be signed.
    pub of_signing: Option<UserError>,
    /// Routes of the session's own that contradict its bottle.
    pub left_out: Vec<LeftOutRoute>,
}

impl Planned {
    /// What keeps the plan from being started.
    pub fn problems(&self) -> Vec<UserError> {
        self.no_gate.iter().chain(&self.of_remotes).chain(&self.of_signing).cloned().collect()
    }

    /// # Errors
    /// The first of the problems.
    pub fn complete(self) -> Result<Plan, UserError> {
        self.problems().into_iter().next().map_or(Ok(self.plan), Err)
    }
}

/// Probes host and engine, and builds the plan.
///
/// # Errors
/// `UserError` for what the host lacks or what does not fit the agent; `EngineError` where the engine fails.
pub fn plan(request: PlanRequest, chosen: &Chosen, spec: &Spec, access: EngineAccess) -> Result<Planned> {
    let mut seen = request.home.known_engine(&request.engine);
    let docker = match access {
        EngineAccess::Ask(docker) | EngineAccess::Known(docker, _) => Some(docker),
        EngineAccess::None => None,
    };
    match access {
        EngineAccess::Ask(docker) if seen.is_none() => seen = Some(ask_engine(docker, request.home)?),
        EngineAccess::Known(_, known) => seen = Some(known.clone()),
        _ => {}
    }
    let arch = seen.as_ref().map_or(std::env::consts::ARCH, |seen| &seen.arch);
    let roots = probe::roots()?;
    probe::upstream_certificates(&chosen.bottle.routes)?;
    let agent_uid = request.kept.agent_uid.unwrap_or_else(|| {
        let host = HostIds::read();
        plan::agent_uid(&request.home_id, |uid| host.contain(uid))
    });
    let packages = request.home.folder(&request.identity).dockerfile()?;
    let mut facts = Facts {
        folder: request.home.folder(&request.identity).path().to_owned(),
        home: request.home.path().to_owned(),
        identity: request.identity,
        home_id: request.home_id,
        engine: Engine { kind: seen.as_ref().map_or(request.engine.kind, |seen| seen.kind), ..request.engine },
        missing: None,
        terminal: match spec.mode {
            Mode::Headless => Terminal::Pipes,
            Mode::Interactive => request.terminal,
        },
        images: ImageFacts { packages, ..image_facts(&chosen.bottle.image, arch, agent_uid, &roots)? },
        agent: probe::agent(&chosen.agent)?,
        network: NetworkFacts { roots, proxy: probe::upstream_proxy()? },
        remotes: chosen.bottle.remotes.iter().map(|remote| (remote.name.clone(), probe::remote(remote))).collect(),
        signing_key: chosen.bottle.signing_key.as_deref().map(probe::signing_key).unwrap_or_default(),
        detach_keys: probe::detach_keys()?,
        workspace: request.kept.workspace,
        tips: request.kept.tips,
        keeps_pushes: request.kept.keeps_pushes,
        seen,
    };
    plan::check(&chosen.agent, spec)?;
    if let Some(docker) = docker {
        if let Image::Name(name) = &chosen.bottle.image {
            facts.images.source = docker.image_id(name).unwrap_or_else(|| name.clone());
        }
        facts.missing = Some(docker.missing_images(plan::chain(&chosen.bottle, &facts.images).tags())?);
    }
    let (plan, left_out) = plan::build(chosen, spec, &facts)?.with_session_routes(&request.kept.added);
    let of_remotes = facts.remotes.into_values().filter_map(|remote| remote.problem).collect();
    let of_signing = facts.signing_key.problem;
    Ok(Planned { plan, no_gate: facts.images.gate.err(), of_remotes, of_signing, left_out })
}

fn image_facts(image: &Image, arch: &str, agent_uid: u32, roots: &Path) -> Result<ImageFacts, UserError> {
    Ok(ImageFacts {
        base: probe::variable("CLAUDE_BOTTLE_BASE_IMAGE").unwrap_or_else(|| "debian:trixie-slim".to_owned()),
        agent_uid,
        gate: probe::gate_binary(arch),
        source: probe::image_source(image)?,
        packages: None,
        roots: roots.to_owned(),
    })
}

/// The images in which the readers of homes can run.
pub struct ReaderImages {
    /// It can answer every question.
    pub git: Build,
    /// It can tell a size.
    pub gate: Build,
    missing: BTreeSet<String>,
}

impl ReaderImages {
    pub fn is_missing(&self, image: &Build) -> bool {
        self.missing.contains(&image.tag)
    }
}

/// How the images of readers are built, and which of them the engine lacks.
///
/// # Errors
/// `UserError` where the gate's program was not found; `EngineError` where the engine fails.
pub fn reader_images(home: &Home, docker: &Docker) -> Result<ReaderImages> {
    let seen = match home.known_engine(docker.engine()) {
        Some(seen) => seen,
        None => ask_engine(docker, home)?,
    };
    // No agent runs in it, so no user id counts.
    let facts = image_facts(&Image::Default, &seen.arch, 0, &probe::roots()?)?;
    let program = facts.gate.clone()?;
    let (git, gate) = (plan::git_build(&facts, &program), plan::gate_build(&program));
    let missing = docker.missing_images(vec![git.tag.clone(), gate.tag.clone()])?;
    Ok(ReaderImages { git, gate, missing })
}

/// Asks the engine for its facts, and remembers them on disk.
pub fn ask_engine(docker: &Docker, home: &Home) -> Result<EngineFacts> {
    let seen = docker.facts()?;
    home.remember_engine(docker.engine(), &seen)?;
    Ok(seen)
}

/// A plan for its images alone: no session is made of it.
///
/// # Errors
/// Those of [`plan`], and `UserError` where the gate's program was not found.
pub fn plan_images(home: &Home, chosen: &Chosen, engine: &Engine, access: EngineAccess) -> Result<Plan> {
    Ok(plan_without_session(home, chosen, engine, access)?.complete()?)
}

/// The plan by which an agent would be started, without asking the engine. No session is made of it.
///
/// # Errors
/// `UserError` for what the host lacks.
pub fn plan_offline(home: &Home, chosen: &Chosen) -> Result<Planned> {
    plan_without_session(home, chosen, &probe::engine()?, EngineAccess::None)
}

fn plan_without_session(home: &Home, chosen: &Chosen, engine: &Engine, access: EngineAccess) -> Result<Planned> {
    let spec = Spec {
        agent: chosen.agent.name.clone(),
        cwd: home.path().to_owned(),
        mode: Mode::Interactive,
        prompt: None,
        remote_control: false,
        args: Vec::new(),
        beginning: Beginning::New,
        copy: None,
    };
    let request = PlanRequest {
        home,
        home_id: home.id().unwrap_or_default(),
        identity: chosen.agent.name.clone(),
        engine: engine.clone(),
        terminal: Terminal::Tty,
        kept: KeptOfSession::default(),
    };
    plan(request, chosen, &spec, access)
}
