//! What an engine tells of itself beyond what a plan needs: for whoever looks whether all is well with it.

use super::say::Info;
use crate::exit::EngineError;
use crate::facts::EngineFacts;
use serde_json::Value;
use std::path::PathBuf;

pub struct About {
    pub seen: EngineFacts,
    pub rootless: bool,
    /// Host name and kernel of the machine it runs on.
    pub machine: [String; 2],
    /// Where it keeps images and volumes, on that machine.
    pub root: Option<PathBuf>,
    /// Its clock, as RFC 3339 has it. podman does not tell.
    pub clock: Option<String>,
    /// Limits of a container's that it cannot hold.
    pub unlimited: Vec<&'static str>,
}

impl About {
    /// Of what `info` prints.
    ///
    /// # Errors
    /// As of [`Info::read`].
    pub fn read(text: &str) -> Result<About, EngineError> {
        let seen = Info::read(text)?;
        let info: Value = serde_json::from_str(text).unwrap_or_default();
        let word = |places: [&str; 2]| {
            let found = places.into_iter().find_map(|place| info.pointer(place)?.as_str());
            found.filter(|word| !word.is_empty()).map(str::to_owned)
        };
        let says_rootless = |option: &Value| option.as_str().is_some_and(|option| option.starts_with("name=rootless"));
        let options = info.pointer("/SecurityOptions").and_then(Value::as_array);
        let podman = info.pointer("/host/security/rootless").and_then(Value::as_bool);
        let limits = [("MemoryLimit", "memory"), ("CpuCfsQuota", "CPUs"), ("PidsLimit", "processes")];
        Ok(About {
            seen,
            rootless: podman.unwrap_or_else(|| options.is_some_and(|options| options.iter().any(says_rootless))),
            machine: [
                word(["/Name", "/host/hostname"]).unwrap_or_default(),
                word(["/KernelVersion", "/host/kernel"]).unwrap_or_default(),
            ],
            root: word(["/DockerRootDir", "/store/graphRoot"]).map(PathBuf::from),
            clock: word(["/SystemTime", "/SystemTime"]),
            unlimited: limits.iter().filter(|(key, _)| info[key] == false).map(|(_, of)| *of).collect(),
        })
    }
}
