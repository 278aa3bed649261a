//! Checks of the engine: what it says of itself, its images, and what this home has on it.

use super::{Diagnosis, Surroundings, filter};
use crate::cmd::planning::{self, EngineAccess};
use crate::cmd::strays::strays;
use crate::docker::{Docker, EngineDetails, VolumeSizes};
use crate::exit::EngineError;
use crate::facts::{Engine, EngineFacts, EngineKind, uname_machine};
use crate::hint;
use crate::manifest::{Chosen, Manifest};
use crate::plan::HOME_LABEL;
use crate::probe::{self, Processor};
use crate::render;
use crate::text;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use sys::machine;
use wire::{GATE_VERSION, rfc3339};

/// For all calls of the engine together.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(10);

/// Free bytes below which images cannot be built.
const MIN_FREE_BYTES: u64 = 1 << 30;
/// Free bytes below which space is short.
const LOW_FREE_BYTES: u64 = 5 << 30;

/// Seconds between both clocks that are worth a note.
const NOTED_SKEW: f64 = 60.0;
/// Seconds between both clocks that are a problem.
const MAX_SKEW: f64 = 600.0;

/// # Errors
/// The only diagnosis, where the engine does not answer at all.
pub fn check(around: &Surroundings) -> Result<Vec<Diagnosis>, Diagnosis> {
    let failed = |error| Diagnosis::engine_error("engine", error);
    let engine = probe::engine().map_err(|error| Diagnosis::user_error("engine", error))?;
    let docker = Docker::new(&engine).map_err(failed)?.with_deadline(Instant::now() + ENGINE_TIMEOUT);
    // The slow call runs while the others are made.
    let sizes = docker.begin_volume_sizes().map_err(failed)?;
    let before = now();
    let about = docker.details().map_err(failed)?;
    let after = now();

    let mut diagnoses = identity(around, &engine, &about);
    diagnoses.extend(clock(&about, before, after));
    diagnoses.extend(platform(&about));
    diagnoses.push(gate(&about));
    diagnoses.extend(images(around, &docker, &about));
    diagnoses.extend(free_space(&about));
    diagnoses.extend(left_behind(around, &docker));
    diagnoses.extend(filter::check(around, &docker, &about));
    if let (EngineKind::Docker, Some(id)) = (about.facts.kind, around.home.id()) {
        diagnoses.push(volumes(sizes, &id));
    } else {
        sizes.cancel();
    }
    Ok(diagnoses)
}

/// The engine's program, version and processor, its runtime, and the limits that it cannot set.
fn identity(around: &Surroundings, engine: &Engine, about: &EngineDetails) -> Vec<Diagnosis> {
    let seen = &about.facts;
    let kind = match seen.kind {
        EngineKind::Docker => "docker",
        EngineKind::Podman => "podman",
    };
    let rootless = if about.rootless { ", rootless" } else { "" };
    let place = engine.location();
    let text = format!("{kind} {} for {}{rootless}, by `{}` ({place})", seen.version, seen.arch, engine.program);
    let mut diagnoses = vec![match around.home.known_engine(engine) {
        // Plans are made by the facts of the last start.
        Some(old) if old != (EngineFacts { ipv6: old.ipv6, ..seen.clone() }) => {
            Diagnosis::note("engine", format!("{text}; it was another when it was last looked at"))
                .hint("claude-bottle build")
        }
        _ => Diagnosis::ok("engine", text),
    }];
    diagnoses.push(match &seen.gvisor {
        Ok(runtime) => Diagnosis::ok("runtime", format!("gVisor (`{runtime}`)")),
        Err(why) => Diagnosis::note("runtime", format!("the engine's default: {why}")),
    });
    if !about.unlimited.is_empty() {
        let text = format!("the engine cannot limit {}", about.unlimited.join(", "));
        diagnoses.push(Diagnosis::note("limits", text).hint("docker info"));
    }
    diagnoses
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Compares the clocks: certificates and leases of tokens are judged by the engine's. `before`, `after`: this machine's time
/// around the call, Unix seconds.
fn clock(about: &EngineDetails, before: f64, after: f64) -> Option<Diagnosis> {
    let theirs = rfc3339(about.clock.as_deref()?)?;
    // The engine read its clock at some moment of the call.
    let (skew, how) = if theirs > after { (theirs - after, "ahead of") } else { (before - theirs, "behind") };
    // The cast is of a difference that is not negative, to whole seconds.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let words = || format!("the engine's is {} {how} this machine's", render::age(skew as u64));
    let hint = "set the clock of the one that is wrong (`timedatectl set-ntp true`)";
    Some(match skew {
        MAX_SKEW.. => Diagnosis::problem("clock", words()).hint(hint),
        NOTED_SKEW.. => Diagnosis::note("clock", words()).hint(hint),
        _ => Diagnosis::ok("clock", "the engine's is this machine's"),
    })
}

/// Does the client make images for another processor than the engine's? The gate's program, and so each bottle, is for the
/// engine's.
fn platform(about: &EngineDetails) -> Option<Diagnosis> {
    let named = probe::variable("DOCKER_DEFAULT_PLATFORM")?;
    let arch = &about.facts.arch;
    let of = uname_machine(named.split('/').nth(1).unwrap_or(&named));
    let text = format!(
        "`DOCKER_DEFAULT_PLATFORM` is `{}`, and the engine is {arch}: images are made for",
        text::one_line(&named)
    );
    let hint = "unset DOCKER_DEFAULT_PLATFORM";
    (of != *arch).then(|| Diagnosis::problem("platform", format!("{text} a processor that it is not")).hint(hint))
}

/// Is the gate's program there, of this version, and for the engine's processor?
fn gate(about: &EngineDetails) -> Diagnosis {
    let arch = &about.facts.arch;
    let binary = match probe::gate_binary(arch) {
        Ok(binary) => binary,
        Err(error) => return Diagnosis::user_error("gate", error),
    };
    let path = binary.path.display();
    let problem = |what: String| Diagnosis::problem("gate", format!("`{path}` is {what}")).hint("make build");
    let bytes = fs::read(&binary.path).unwrap_or_default();
    match Processor::of(&binary.path).ok().flatten().map(Processor::name) {
        None => problem("no program for Linux".to_owned()),
        Some(of) if of != arch => problem(format!("for {of}, and the engine is {arch}")),
        Some(_) if !bytes.windows(GATE_VERSION.len()).any(|part| part == GATE_VERSION.as_bytes()) => {
            problem("of another version than this program".to_owned())
        }
        Some(_) => Diagnosis::ok("gate", format!("`{path}`")),
    }
}

/// The images that are missing.
fn images(around: &Surroundings, docker: &Docker, about: &EngineDetails) -> Vec<Diagnosis> {
    let mut missing = BTreeSet::new();
    let mut diagnoses = Vec::new();
    let (arch, mut present) = (&about.facts.arch, BTreeSet::new());
    for chosen in bottles(around.manifest.as_ref().ok()) {
        match planning::plan_images(&around.home, &chosen, docker.engine(), EngineAccess::Known(docker, &about.facts)) {
            Ok(plan) => {
                present.extend([plan.images.agent, plan.images.gate]);
                missing.extend(plan.images.builds.into_iter().map(|build| build.tag));
            }
            Err(error) => match error.downcast::<EngineError>() {
                Ok(error) => diagnoses.push(Diagnosis::engine_error("images", error)),
                // Errors of the manifest and of the gate's program have diagnoses of their own.
                Err(_) => return diagnoses,
            },
        }
    }
    for tag in present.difference(&missing) {
        let of = docker.image_arch(tag).filter(|of| of != arch);
        diagnoses.extend(of.map(|of| {
            let text = format!("`{tag}` is for {of}, and the engine is {arch}");
            Diagnosis::problem("images", text).hint(hint!("docker image rm {}", tag))
        }));
    }
    if missing.is_empty() && diagnoses.is_empty() {
        diagnoses.push(Diagnosis::ok("images", "all are built"));
    } else if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(|tag| format!("`{tag}`")).collect();
        let text = format!("built at the first start: {}", names.join(", "));
        diagnoses.push(Diagnosis::note("images", text).hint("claude-bottle build"));
    }
    diagnoses
}

/// One agent of each bottle; Claude Code alone where there is no bottle.
fn bottles(manifest: Option<&Manifest>) -> Vec<Chosen> {
    let agents = manifest.map(Manifest::agents).unwrap_or_default();
    let chosen = agents.into_iter().filter_map(|agent| manifest?.choose(agent).ok());
    let mut seen = BTreeSet::new();
    let mut bottles: Vec<Chosen> = chosen.filter(|chosen| seen.insert(chosen.bottle.name.clone())).collect();
    if bottles.is_empty() {
        bottles.push(Chosen::plain());
    }
    bottles
}

/// Free bytes of the disk that images and volumes are on, where that is a disk of this machine.
fn free_space(about: &EngineDetails) -> Option<Diagnosis> {
    let root = about.root.as_deref()?;
    if about.machine != machine::host_and_kernel() {
        return Some(Diagnosis::ok("disk", "not known: the engine is on another machine"));
    }
    let free = machine::free_bytes(existing(root))?;
    let text = format!("{} free at `{}`", render::size(free), root.display());
    Some(match free {
        ..MIN_FREE_BYTES => Diagnosis::problem("disk", text).hint("docker system df"),
        MIN_FREE_BYTES..LOW_FREE_BYTES => Diagnosis::note("disk", text).hint("docker system df"),
        _ => Diagnosis::ok("disk", text),
    })
}

/// The nearest folder above `path` that exists and that this user may read.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(path)
}

/// What is on the engine and belongs to no session.
fn left_behind(around: &Surroundings, docker: &Docker) -> Vec<Diagnosis> {
    if around.home.id().is_none() {
        return Vec::new();
    }
    match strays(docker, &around.home) {
        Ok(found) if found.is_empty() => vec![Diagnosis::ok("left", "nothing on the engine that no session names")],
        Ok(found) => {
            let note = |stray| Diagnosis::note("left", format!("{stray}")).hint("claude-bottle cleanup");
            found.iter().map(note).collect()
        }
        Err(error) => vec![Diagnosis::engine_error("left", error)],
    }
}

/// The homes of this home's sessions, with their sizes.
fn volumes(sizes: VolumeSizes, id: &str) -> Diagnosis {
    let all = match sizes.finish() {
        Ok(volumes) => volumes,
        Err(error) => return Diagnosis::note("volumes", format!("sizes are not known: {}", error.what)),
    };
    let label = format!("{HOME_LABEL}={id}");
    let mine = all.iter().filter(|volume| volume.labels.split(',').any(|word| word == label));
    let shown: Vec<String> = mine.map(|volume| format!("`{}` {}", volume.name, volume.size)).collect();
    Diagnosis::ok("volumes", if shown.is_empty() { "none".to_owned() } else { shown.join(", ") })
}
