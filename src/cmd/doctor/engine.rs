//! What the engine says: of itself, of images, and of what this home has on it.

use super::{Finding, Scene};
use crate::cmd::world::{self, Asking};
use crate::docker::{Docker, EngineDetails, VolumeSizes};
use crate::exit::EngineError;
use crate::facts::{Engine, EngineKind};
use crate::manifest::{Chosen, Manifest};
use crate::probe::{self, Processor};
use crate::render;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use sys::machine;
use wire::{GATE_VERSION, rfc3339};

/// For all that is asked of it together.
const PATIENCE: Duration = Duration::from_secs(10);

const GIB: u64 = 1 << 30;

/// # Errors
/// The one finding where it does not answer at all.
pub fn look(scene: &Scene) -> Result<Vec<Finding>, Finding> {
    let failed = |error| Finding::failed("engine", error);
    let engine = probe::engine().map_err(|refused| Finding::refused("engine", refused))?;
    let docker = Docker::new(&engine).map_err(failed)?.with_deadline(Instant::now() + PATIENCE);
    // The slow one is on its way while the others come and go.
    let sizes = docker.begin_volume_sizes().map_err(failed)?;
    let before = now();
    let about = docker.details().map_err(failed)?;
    let after = now();

    let mut findings = itself(scene, &engine, &about);
    findings.extend(clock(&about, before, after));
    findings.push(gate(&about));
    findings.extend(images(scene, &docker, &about));
    findings.extend(room(&about));
    findings.extend(left(scene, &docker));
    if let (EngineKind::Docker, Some(id)) = (about.facts.kind, scene.home.id()) {
        findings.push(volumes(sizes, &id));
    } else {
        sizes.cancel();
    }
    Ok(findings)
}

fn itself(scene: &Scene, engine: &Engine, about: &EngineDetails) -> Vec<Finding> {
    let seen = &about.facts;
    let kind = match seen.kind {
        EngineKind::Docker => "docker",
        EngineKind::Podman => "podman",
    };
    let rootless = if about.rootless { ", rootless" } else { "" };
    let place = engine.location();
    let what = format!("{kind} {} for {}{rootless}, by `{}` ({place})", seen.version, seen.arch, engine.program);
    let mut findings = vec![match scene.home.known_engine(engine) {
        // A plan believes what was seen then.
        Some(old) if old != *seen => {
            Finding::note("engine", format!("{what}; it was another when it was last looked at"))
                .hint("claude-bottle build")
        }
        _ => Finding::ok("engine", what),
    }];
    findings.push(match &seen.gvisor {
        Ok(runtime) => Finding::ok("runtime", format!("gVisor (`{runtime}`)")),
        Err(why) => Finding::note("runtime", format!("the engine's default: {why}")),
    });
    if !about.unlimited.is_empty() {
        let text = format!("the engine cannot limit {}", about.unlimited.join(", "));
        findings.push(Finding::note("limits", text).hint("docker info"));
    }
    findings
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Certificates are judged by the engine's clock, and leases of tokens end by it.
fn clock(about: &EngineDetails, before: f64, after: f64) -> Option<Finding> {
    let theirs = rfc3339(about.clock.as_deref()?)?;
    // It was read at some moment of the call.
    let (skew, how) = if theirs > after { (theirs - after, "ahead of") } else { (before - theirs, "behind") };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let words = || format!("the engine's is {} {how} this machine's", render::age(skew as u64));
    let hint = "set the clock of the one that is wrong (`timedatectl set-ntp true`)";
    Some(match skew {
        60.0.. if skew >= 600.0 => Finding::problem("clock", words()).hint(hint),
        60.0.. => Finding::note("clock", words()).hint(hint),
        _ => Finding::ok("clock", "the engine's is this machine's"),
    })
}

/// Is the gate's program there, of this version, and for the engine's processor?
fn gate(about: &EngineDetails) -> Finding {
    let arch = &about.facts.arch;
    let binary = match probe::gate_binary(arch) {
        Ok(binary) => binary,
        Err(refused) => return Finding::refused("gate", refused),
    };
    let path = binary.path.display();
    let problem = |what: String| Finding::problem("gate", format!("`{path}` is {what}")).hint("make build");
    let bytes = fs::read(&binary.path).unwrap_or_default();
    match Processor::of(&binary.path).ok().flatten().map(Processor::name) {
        None => problem("no program for Linux".to_owned()),
        Some(of) if of != arch => problem(format!("for {of}, and the engine is {arch}")),
        Some(_) if !bytes.windows(GATE_VERSION.len()).any(|part| part == GATE_VERSION.as_bytes()) => {
            problem("of another version than this program".to_owned())
        }
        Some(_) => Finding::ok("gate", format!("`{path}`")),
    }
}

fn images(scene: &Scene, docker: &Docker, about: &EngineDetails) -> Vec<Finding> {
    let mut missing = BTreeSet::new();
    let mut findings = Vec::new();
    for chosen in bottles(scene.manifest.as_ref().ok()) {
        match world::of_images((docker, Asking::Known(docker, &about.facts)), &scene.home, &chosen) {
            Ok(plan) => missing.extend(plan.images.builds.into_iter().map(|build| build.tag)),
            Err(error) => match error.downcast::<EngineError>() {
                Ok(error) => findings.push(Finding::failed("images", error)),
                // What the manifest lacks is told of its agents, and the gate's program has a line of its own.
                Err(_) => return findings,
            },
        }
    }
    if missing.is_empty() && findings.is_empty() {
        findings.push(Finding::ok("images", "all are built"));
    } else if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(|tag| format!("`{tag}`")).collect();
        let text = format!("built at the first start: {}", names.join(", "));
        findings.push(Finding::note("images", text).hint("claude-bottle build"));
    }
    findings
}

/// One agent of each bottle; the plain one where there is none.
fn bottles(manifest: Option<&Manifest>) -> Vec<Chosen> {
    let agents = manifest.map(Manifest::agents).unwrap_or_default();
    let chosen = agents.into_iter().filter_map(|agent| manifest?.choose(agent).ok());
    let mut told = BTreeSet::new();
    let mut bottles: Vec<Chosen> = chosen.filter(|chosen| told.insert(chosen.bottle.name.clone())).collect();
    if bottles.is_empty() {
        bottles.push(Chosen::plain());
    }
    bottles
}

/// Free on the disk that images and volumes are on, where that is a disk of this machine.
fn room(about: &EngineDetails) -> Option<Finding> {
    let root = about.root.as_deref()?;
    if about.machine != machine::host_and_kernel() {
        return Some(Finding::ok("disk", "not known: the engine is on another machine"));
    }
    let free = machine::free_bytes(existing(root))?;
    let text = format!("{} free at `{}`", render::size(free), root.display());
    Some(match free {
        ..GIB => Finding::problem("disk", text).hint("docker system df"),
        GIB..=5_368_709_119 => Finding::note("disk", text).hint("docker system df"),
        _ => Finding::ok("disk", text),
    })
}

/// The nearest folder that this user may look at.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(path)
}

/// What nobody has any more.
fn left(scene: &Scene, docker: &Docker) -> Vec<Finding> {
    if scene.home.id().is_none() {
        return Vec::new();
    }
    match world::strays(docker, &scene.home) {
        Ok(strays) if strays.is_empty() => vec![Finding::ok("left", "nothing on the engine that no session names")],
        Ok(strays) => {
            let note = |stray| Finding::note("left", format!("{stray}")).hint("claude-bottle cleanup");
            strays.iter().map(note).collect()
        }
        Err(error) => vec![Finding::failed("left", error)],
    }
}

/// The homes of this home's sessions, with their sizes.
fn volumes(sizes: VolumeSizes, id: &str) -> Finding {
    let all = match sizes.finish() {
        Ok(volumes) => volumes,
        Err(error) => return Finding::note("volumes", format!("sizes are not known: {}", error.what)),
    };
    let label = format!("claude-bottle.home={id}");
    let mine = all.iter().filter(|volume| volume.labels.split(',').any(|one| one == label));
    let shown: Vec<String> = mine.map(|volume| format!("`{}` {}", volume.name, volume.size)).collect();
    Finding::ok("volumes", if shown.is_empty() { "none".to_owned() } else { shown.join(", ") })
}
