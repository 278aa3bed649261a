//! Questions to an engine: what containers, images and volumes there are, and what it says of itself.

use super::{Call, Docker, EngineDetails, info};
use crate::exit::{EngineError, EngineErrorKind};
use crate::facts::{EngineFacts, EngineKind, uname_machine};
use crate::plan::{HOME_LABEL, IDENTITY_LABEL, Plan, READER_ROLE, ROLE_LABEL, volume};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;

/// What `inspect` says of a container's `.State`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerState {
    /// created, running, exited, …
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub running: bool,
    #[serde(default)]
    pub exit_code: i64,
    #[serde(default, rename = "OOMKilled")]
    pub oom_killed: bool,
    /// Why the engine could not start it.
    #[serde(default)]
    pub error: String,
    /// RFC 3339; a time in the year 1 for one that has not started.
    #[serde(default)]
    pub started_at: String,
    #[serde(default)]
    pub finished_at: String,
}

impl ContainerState {
    /// Whether it could not be started because the engine's kernel has no IPv6.
    pub fn lacks_ipv6(&self) -> bool {
        self.error.contains("/proc/sys/net/ipv6/")
    }
}

/// A container as `inspect` describes it.
pub struct InspectedContainer {
    /// The image's id.
    pub image: String,
    pub state: ContainerState,
}

/// What the engine still has of a session's containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Containers {
    None,
    Stopped,
    /// The agent's runs.
    Running,
}

/// An object on the engine that belongs to this home and to no session on this disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    pub kind: StrayKind,
    pub name: String,
}

/// As it is offered for removal.
impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: left on the engine by this home", self.name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrayKind {
    Container,
    Volume,
}

/// Where strays are looked for.
pub struct StrayQuery<'a> {
    /// The home's random id, on the label of every object.
    pub home_id: &'a str,
    /// Has this disk a session of this identity? It is asked behind the engine, because a session that starts meanwhile
    /// has its folder before it has anything on the engine.
    pub is_known: &'a dyn Fn(&str) -> bool,
    /// Does a process wait for this reader's answer?
    pub is_awaited: &'a dyn Fn(&HomeContainer) -> bool,
    /// The engine's kind decides how a label is spelled in a template.
    pub kind: EngineKind,
}

/// A container with a home's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeContainer {
    pub name: String,
    /// agent, gate, reader
    pub role: String,
    pub identity: String,
}

/// The sizes of all volumes, asked for: on a full disk the engine takes seconds to add them up.
pub struct VolumeSizes(Call);

/// A volume as `system df` lists it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SizedVolume {
    pub name: String,
    /// As the engine prints it: `1.2GB`.
    #[serde(default)]
    pub size: String,
    /// `name=value`, with commas between.
    #[serde(default)]
    pub labels: String,
}

impl Docker {
    /// What a plan needs to know of the engine.
    ///
    /// # Errors
    /// The engine does not answer, or its answer is not understood.
    pub fn facts(&self) -> Result<EngineFacts, EngineError> {
        info::facts(&self.info()?)
    }

    /// What the engine tells of itself, to be checked.
    ///
    /// # Errors
    /// The engine does not answer, or its answer is not understood.
    pub fn details(&self) -> Result<EngineDetails, EngineError> {
        EngineDetails::read(&self.info()?)
    }

    fn info(&self) -> Result<String, EngineError> {
        self.run(&["info", "--format", "{{json .}}"].map(str::to_owned))
    }

    /// # Errors
    /// The engine does not answer.
    pub fn has_volume(&self, name: &str) -> Result<bool, EngineError> {
        match self.run(&["volume", "inspect", "--format", "{{.Name}}", name].map(str::to_owned)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == EngineErrorKind::NoVolume => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Starts the question whether a container runs: it prints `true` or `false`, or fails.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn begin_is_running(&self, container: &str) -> Result<Call, EngineError> {
        self.begin(&["container", "inspect", "--format", "{{.State.Running}}", container].map(str::to_owned))
    }

    /// Does this container exist and run?
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn is_running(&self, container: &str) -> Result<bool, EngineError> {
        match self.begin_is_running(container).and_then(Call::finish) {
            Ok(running) => Ok(running == "true"),
            Err(error) if error.kind == EngineErrorKind::Gone => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What there is of a session's two containers.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn containers_of(&self, plan: &Plan) -> Result<Containers, EngineError> {
        let found = self.inspect("{{.Name}} {{.State.Running}}", [plan.agent_container(), plan.gate_container()])?;
        Ok(match found.lines().any(|line| line.ends_with("-agent true")) {
            true => Containers::Running,
            false if found.trim().is_empty() => Containers::None,
            false => Containers::Stopped,
        })
    }

    /// These containers as the engine has them; `None` for one that does not exist.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn containers(&self, names: [String; 2]) -> Result<[Option<InspectedContainer>; 2], EngineError> {
        let found = self.inspect("{{.Name}} {{.Image}} {{json .State}}", names.clone())?;
        Ok(names.map(|name| {
            let prefix = format!("{name} ");
            let words = found.lines().find_map(|line| line.trim_start_matches('/').strip_prefix(&prefix))?;
            let (image, state) = words.split_once(' ')?;
            Some(InspectedContainer { image: image.to_owned(), state: serde_json::from_str(state).ok()? })
        }))
    }

    /// A line for each of these containers that exists.
    fn inspect(&self, format: &str, names: [String; 2]) -> Result<String, EngineError> {
        let mut args: Vec<String> = ["container", "inspect", "--format", format].map(str::to_owned).into();
        args.extend(names);
        self.output_unless(&args, EngineErrorKind::Gone)
    }

    /// The id of an image; `None` where the engine does not have it, or does not answer.
    pub fn image_id(&self, name: &str) -> Option<String> {
        self.run(&["image", "inspect", "--format", "{{.Id}}", name].map(str::to_owned)).ok()
    }

    /// An image by the digest under which a registry has it, as `debian@sha256:…`. `None`: it is not here, or of no registry.
    pub fn image_digest(&self, name: &str) -> Option<String> {
        let args = ["image", "inspect", "--format", "{{json .RepoDigests}}", name].map(str::to_owned);
        let digests: Vec<String> = serde_json::from_str(&self.run(&args).ok()?).ok()?;
        digests.into_iter().find(|digest| digest.contains("@sha256:"))
    }

    /// The size of an image with all its layers, bytes; `None` where the engine does not tell.
    pub fn image_size(&self, name: &str) -> Option<u64> {
        self.run(&["image", "inspect", "--format", "{{.Size}}", name].map(str::to_owned)).ok()?.parse().ok()
    }

    /// The processor that an image is for, in the notation of `uname -m`; `None` where the engine does not tell.
    pub fn image_arch(&self, name: &str) -> Option<String> {
        let arch = self.run(&["image", "inspect", "--format", "{{.Architecture}}", name].map(str::to_owned)).ok()?;
        Some(arch.trim()).filter(|arch| !arch.is_empty()).map(uname_machine)
    }

    /// Those of the image tags that the engine lacks.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn missing_images(&self, tags: Vec<String>) -> Result<BTreeSet<String>, EngineError> {
        let mut args: Vec<String> = ["image", "inspect", "--format", "{{json .RepoTags}}"].map(str::to_owned).into();
        args.extend(tags.iter().cloned());
        let found = self.output_unless(&args, EngineErrorKind::NoImage)?;
        // podman puts its own registry's name in front.
        Ok(tags.into_iter().filter(|tag| !found.contains(&format!("{tag}\""))).collect())
    }

    /// The stdout of a call that prints what it found and fails for each object that does not exist.
    ///
    /// # Errors
    /// A failure of any kind but `missing`.
    fn output_unless(&self, args: &[String], missing: EngineErrorKind) -> Result<String, EngineError> {
        match self.begin(args).and_then(Call::finish_with_output)? {
            (_, Some(error)) if error.kind != missing => Err(error),
            (found, _) => Ok(found),
        }
    }

    /// # Errors
    /// The engine's program cannot be run.
    pub fn begin_volume_sizes(&self) -> Result<VolumeSizes, EngineError> {
        self.begin(&["system", "df", "-v", "--format", "{{json .Volumes}}"].map(str::to_owned)).map(VolumeSizes)
    }

    /// Objects with this home's label that belong to no session on this disk, and readers whose answer no process awaits.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn strays(&self, query: &StrayQuery) -> Result<Vec<Stray>, EngineError> {
        let is_stray = |container: &HomeContainer| match (query.is_known)(&container.identity) {
            true => container.role == READER_ROLE && !(query.is_awaited)(container),
            false => true,
        };
        let containers = self.containers_of_home(query.home_id, query.kind)?;
        let format = format!("{{{{.Name}}}} {}", label(query.kind, IDENTITY_LABEL));
        let filter = home_filter(query.home_id);
        let volumes = self.run(&["volume", "ls", "--filter", &filter, "--format", &format].map(str::to_owned))?;
        let containers = containers.into_iter().filter(is_stray);
        let containers = containers.map(|container| Stray { kind: StrayKind::Container, name: container.name });
        let volumes = volumes.lines().filter_map(|line| line.split_once(' '));
        // An anonymous volume goes with its container.
        let volumes = volumes.filter(|(name, identity)| name.starts_with(&volume("")) && !(query.is_known)(identity));
        let volumes = volumes.map(|(name, _)| Stray { kind: StrayKind::Volume, name: name.to_owned() });
        Ok(containers.chain(volumes).collect())
    }

    /// The readers of a session's home, running or not.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn readers_of(&self, plan: &Plan) -> Result<Vec<HomeContainer>, EngineError> {
        let mut found = self.containers_of_home(&plan.home_id, plan.engine.kind)?;
        found.retain(|container| container.role == READER_ROLE && container.identity == plan.identity);
        Ok(found)
    }

    fn containers_of_home(&self, home_id: &str, kind: EngineKind) -> Result<Vec<HomeContainer>, EngineError> {
        let format = format!("{{{{.Names}}}} {} {}", label(kind, ROLE_LABEL), label(kind, IDENTITY_LABEL));
        let filter = home_filter(home_id);
        let listed = self.run(&["ps", "-a", "--filter", &filter, "--format", &format].map(str::to_owned))?;
        let container = |line: &str| {
            let mut words = line.splitn(3, ' ').map(str::to_owned);
            Some(HomeContainer { name: words.next()?, role: words.next()?, identity: words.next()? })
        };
        Ok(listed.lines().filter_map(container).collect())
    }
}

fn home_filter(home_id: &str) -> String {
    format!("label={HOME_LABEL}={home_id}")
}

/// A label in a template of the engine.
fn label(kind: EngineKind, name: &str) -> String {
    match kind {
        EngineKind::Docker => format!(r#"{{{{.Label "{name}"}}}}"#),
        EngineKind::Podman => format!(r#"{{{{index .Labels "{name}"}}}}"#),
    }
}

impl VolumeSizes {
    /// Waits for the answer.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn finish(self) -> Result<Vec<SizedVolume>, EngineError> {
        Ok(serde_json::from_str(&self.0.finish()?).unwrap_or_default())
    }

    /// Kills the call.
    pub fn cancel(self) {
        self.0.cancel();
    }
}
