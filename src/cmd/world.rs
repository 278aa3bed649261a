//! The facts of a launch, probed: host first, then the engine where it may be asked.

use crate::docker::{Docker, Stray, StrayQuery};
use crate::exit::{EngineError, UserError};
use crate::facts::{Engine, EngineFacts, Facts, ImageFacts, NetworkFacts, Proxy, Terminal, Workspace};
use crate::manifest::{Chosen, Image};
use crate::plan::{self, ImageRole, Plan};
use crate::probe;
use crate::spec::{Beginning, Mode, Spec};
use crate::state::Home;
use anyhow::Result;
use sys::signals;

/// Who is asked: a dry run never asks the engine.
#[derive(Clone, Copy)]
pub enum Asking<'a> {
    Nobody,
    /// What it was seen to be is remembered.
    Engine(&'a Docker),
    /// What it is, is known already. Nothing is written.
    Known(&'a Docker, &'a EngineFacts),
}

/// The identity to plan for, and what must be known about its home.
pub struct Subject<'a> {
    pub home: &'a Home,
    pub home_id: String,
    pub identity: String,
    pub engine: Engine,
    pub terminal: Terminal,
    /// What is copied into the workspace, or was.
    pub workspace: Option<Workspace>,
}

/// Probes the world and builds the plan. The second value says why the gate's program was not found.
pub fn plan(subject: Subject, chosen: &Chosen, spec: &Spec, asking: Asking) -> Result<(Plan, Option<UserError>)> {
    let mut seen = subject.home.known_engine(&subject.engine);
    let info = match asking {
        Asking::Engine(docker) | Asking::Known(docker, _) => Some(docker),
        Asking::Nobody => None,
    };
    match asking {
        Asking::Engine(docker) if seen.is_none() => seen = Some(look(docker, subject.home)?),
        Asking::Known(_, known) => seen = Some(known.clone()),
        _ => {}
    }
    let arch = seen.as_ref().map_or(std::env::consts::ARCH, |seen| &seen.arch);
    let roots = probe::roots()?;
    let mut facts = Facts {
        identity: subject.identity,
        home_id: subject.home_id,
        engine: Engine { kind: seen.as_ref().map_or(subject.engine.kind, |seen| seen.kind), ..subject.engine },
        missing: None,
        terminal: match spec.mode {
            Mode::Headless => Terminal::Pipes,
            Mode::Interactive => subject.terminal,
        },
        images: ImageFacts {
            base: probe::variable("CLAUDE_BOTTLE_BASE_IMAGE").unwrap_or_else(|| "debian:trixie-slim".to_owned()),
            gate: probe::gate_binary(arch),
            source: probe::image_source(&chosen.bottle.image)?,
            roots: roots.clone(),
        },
        agent: probe::agent(&chosen.agent)?,
        network: NetworkFacts {
            roots,
            proxy: match probe::variable(plan::PROXY_VARIABLE) {
                Some(_) => Proxy::Upstream,
                None => Proxy::Direct,
            },
        },
        detach_keys: probe::detach_keys()?,
        workspace: subject.workspace,
        seen,
    };
    plan::check(&chosen.agent, spec)?;
    if let Some(docker) = info {
        if let Image::Name(name) = &chosen.bottle.image {
            facts.images.source = docker.image_id(name).unwrap_or_else(|| name.clone());
        }
        facts.missing = Some(docker.missing_images(plan::chain(&chosen.bottle, &facts.images).tags())?);
    }
    Ok((plan::build(chosen, spec, &facts)?, facts.images.gate.err()))
}

/// Asks the engine what it is, and remembers it.
pub fn look(docker: &Docker, home: &Home) -> Result<EngineFacts> {
    let seen = docker.facts()?;
    home.remember_engine(docker.engine(), &seen)?;
    Ok(seen)
}

/// What is on the engine and belongs to no session of this home; nothing where the home has no id yet.
///
/// # Errors
/// The engine does not answer.
pub fn strays(docker: &Docker, home: &Home) -> Result<Vec<Stray>, EngineError> {
    let Some(id) = home.id() else { return Ok(Vec::new()) };
    let known = home.folders().into_iter().map(|folder| folder.identity).collect();
    let engine = docker.engine();
    let kind = home.known_engine(engine).map_or(engine.kind, |facts| facts.kind);
    docker.strays(&StrayQuery { home_id: &id, known: &known, kind })
}

/// This version's gate image, which the reader runs in; built where it is missing.
pub fn gate_image(docker: &Docker, home: &Home) -> Result<String> {
    let plan = gate_alone(docker, home)?;
    if !plan.images.builds.is_empty() && super::launch::build(docker, &plan, &signals::catch()?)?.is_some() {
        return Err(UserError::new("the image of the gate was not built").into());
    }
    Ok(plan.images.gate)
}

/// The same where it is there.
pub fn existing_gate_image(docker: &Docker, home: &Home) -> Result<String> {
    let plan = gate_alone(docker, home)?;
    match plan.images.builds.is_empty() {
        true => Ok(plan.images.gate),
        false => Err(UserError::new("the image of the gate is not built").hint("claude-bottle build").into()),
    }
}

/// A plan that builds the gate's image where it is missing, and nothing else.
fn gate_alone(docker: &Docker, home: &Home) -> Result<Plan> {
    let mut plan = of_images((docker, Asking::Engine(docker)), home, &Chosen::plain())?;
    plan.images.builds.retain(|build| build.role == Some(ImageRole::Gate));
    Ok(plan)
}

/// A plan that is looked at for its images alone: no session is made of it.
///
/// # Errors
/// `UserError` without the gate's program, too.
pub fn of_images((docker, asking): (&Docker, Asking), home: &Home, chosen: &Chosen) -> Result<Plan> {
    let (plan, gate) = apart((docker.engine(), asking), home, chosen)?;
    gate.map_or(Ok(plan), |missing| Err(missing.into()))
}

/// What an agent would be started as; no session is made of it, and nobody is asked.
pub fn unasked(home: &Home, chosen: &Chosen) -> Result<Plan> {
    Ok(apart((&probe::engine()?, Asking::Nobody), home, chosen)?.0)
}

fn apart((engine, asking): (&Engine, Asking), home: &Home, chosen: &Chosen) -> Result<(Plan, Option<UserError>)> {
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
    let subject = Subject {
        home,
        home_id: String::new(),
        identity: chosen.agent.name.clone(),
        engine: engine.clone(),
        terminal: Terminal::Tty,
        workspace: None,
    };
    plan(subject, chosen, &spec, asking)
}
