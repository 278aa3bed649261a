//! What an engine tells of itself: what a plan needs, and what a check of this machine needs beyond that.
//!
//! `info` prints another document for each kind of engine.

use crate::exit::{EngineError, EngineErrorKind};
use crate::facts::{EngineFacts, EngineKind, EngineSeccomp, uname_machine};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a check of this machine needs to know of an engine.
pub struct EngineDetails {
    pub facts: EngineFacts,
    pub rootless: bool,
    /// Host name and kernel of the machine that the engine runs on.
    pub machine: [String; 2],
    /// The folder of images and volumes, on that machine.
    pub root: Option<PathBuf>,
    /// The engine's clock, RFC 3339. podman does not tell.
    pub clock: Option<String>,
    /// The limits of a container that the engine cannot hold.
    pub unlimited: Vec<&'static str>,
}

/// The part of `info`'s document that a plan needs.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum EngineInfo {
    Podman {
        host: PodmanHost,
        version: PodmanVersion,
    },
    #[serde(rename_all = "PascalCase")]
    Docker {
        #[serde(default)]
        server_version: String,
        #[serde(default)]
        architecture: String,
        /// Null where something else than an engine answered.
        #[serde(default)]
        runtimes: Option<BTreeMap<String, DockerRuntime>>,
        #[serde(default)]
        security_options: Option<Vec<String>>,
        #[serde(default)]
        server_errors: Vec<String>,
    },
}

#[derive(Debug, Deserialize)]
struct DockerRuntime {
    #[serde(default, rename = "runtimeArgs")]
    args: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodmanHost {
    arch: String,
    oci_runtime: PodmanRuntime,
    #[serde(default)]
    security: PodmanSecurity,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodmanSecurity {
    #[serde(default)]
    seccomp_enabled: bool,
    #[serde(default)]
    seccomp_profile_path: String,
}

#[derive(Debug, Deserialize)]
struct PodmanRuntime {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PodmanVersion {
    version: String,
}

/// What a plan needs of the JSON that `info` prints.
///
/// # Errors
/// The text is not an engine's JSON, or no engine answered.
pub(super) fn facts(text: &str) -> Result<EngineFacts, EngineError> {
    let info = serde_json::from_str(text)
        .map_err(|e| EngineError::new(format!("the engine's `info` is not understood: {e}")))?;
    match info {
        EngineInfo::Docker { server_errors, .. } if !server_errors.is_empty() => {
            Err(EngineError::new(&server_errors[0])
                .kind(EngineErrorKind::Unreachable)
                .hint("no engine answers: start one, or choose another with `DOCKER_HOST`"))
        }
        EngineInfo::Docker { server_version, architecture, runtimes, security_options, .. } => Ok(EngineFacts {
            kind: EngineKind::Docker,
            version: server_version,
            arch: uname_machine(&architecture),
            gvisor: gvisor(&runtimes.unwrap_or_default()),
            seccomp: docker_seccomp(&security_options.unwrap_or_default()),
            ipv6: true,
        }),
        // podman names the runtime that it uses, and the arguments of none.
        EngineInfo::Podman { host, version } => Ok(EngineFacts {
            kind: EngineKind::Podman,
            version: version.version,
            arch: uname_machine(&host.arch),
            seccomp: match (host.security.seccomp_enabled, &*host.security.seccomp_profile_path) {
                (false, _) => EngineSeccomp::Missing,
                (true, "unconfined") => EngineSeccomp::Unconfined,
                (true, _) => EngineSeccomp::Filtered,
            },
            gvisor: Err(format!("podman's is `{}`", host.oci_runtime.name)),
            ipv6: true,
        }),
    }
}

impl EngineDetails {
    /// # Errors
    /// The text is not an engine's JSON, or no engine answered.
    pub(super) fn read(text: &str) -> Result<EngineDetails, EngineError> {
        let facts = facts(text)?;
        let info: Value = serde_json::from_str(text).unwrap_or_default();
        let word = |pointers: [&str; 2]| {
            let found = pointers.into_iter().find_map(|pointer| info.pointer(pointer)?.as_str());
            found.filter(|word| !word.is_empty()).map(str::to_owned)
        };
        let says_rootless = |option: &Value| option.as_str().is_some_and(|option| option.starts_with("name=rootless"));
        let options = info.pointer("/SecurityOptions").and_then(Value::as_array);
        let podman = info.pointer("/host/security/rootless").and_then(Value::as_bool);
        let limits = [("MemoryLimit", "memory"), ("CpuCfsQuota", "CPUs"), ("PidsLimit", "processes")];
        Ok(EngineDetails {
            facts,
            rootless: podman.unwrap_or_else(|| options.is_some_and(|options| options.iter().any(says_rootless))),
            machine: [
                word(["/Name", "/host/hostname"]).unwrap_or_default(),
                word(["/KernelVersion", "/host/kernel"]).unwrap_or_default(),
            ],
            root: word(["/DockerRootDir", "/store/graphRoot"]).map(PathBuf::from),
            clock: word(["/SystemTime", "/SystemTime"]),
            unlimited: limits.iter().filter(|(key, _)| info[key] == false).map(|(_, limit)| *limit).collect(),
        })
    }
}

/// Docker's notation of the option: `name=seccomp,profile=default`.
fn docker_seccomp(options: &[String]) -> EngineSeccomp {
    let has = |option: &str, word: &str| option.split(',').any(|part| part == word);
    match options.iter().find(|option| has(option, "name=seccomp")) {
        None => EngineSeccomp::Missing,
        Some(option) if has(option, "profile=unconfined") => EngineSeccomp::Unconfined,
        Some(_) => EngineSeccomp::Filtered,
    }
}

/// The name of a `runsc` whose sandbox may connect to the gate's socket; else why there is none.
fn gvisor(runtimes: &BTreeMap<String, DockerRuntime>) -> Result<String, String> {
    let mut why = "the engine has no gVisor".to_owned();
    for (name, runtime) in runtimes.iter().filter(|(name, _)| name.starts_with("runsc")) {
        let args = runtime.args.as_deref().unwrap_or_default();
        if args.iter().any(|arg| ["--host-uds=open", "--host-uds=all"].contains(&arg.as_str())) {
            return Ok(name.clone());
        }
        why = format!("gVisor's `{name}` lacks the argument `--host-uds=open`");
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The client prints this, and ends with 0, where something else than an engine answers.
    #[test]
    fn what_the_server_says_instead_is_told() {
        let text = r#"{"ServerVersion":"","Architecture":"","Runtimes":null,"ServerErrors":["404 Not Found"]}"#;
        assert_eq!(facts(text).unwrap_err().what, "404 Not Found");
    }

    #[test]
    fn gvisor_is_taken_when_it_lets_sockets_in() {
        let gvisor = |runtimes: &str| {
            let text = format!(r#"{{"ServerVersion":"1","Architecture":"amd64","Runtimes":{runtimes}}}"#);
            facts(&text).unwrap().gvisor
        };
        assert_eq!(gvisor(r#"{"runc":{"path":"runc"}}"#), Err("the engine has no gVisor".into()));
        assert_eq!(
            gvisor(r#"{"runsc":{"path":"runsc","runtimeArgs":["--debug"]}}"#),
            Err("gVisor's `runsc` lacks the argument `--host-uds=open`".into())
        );
        assert_eq!(gvisor(r#"{"runsc":{"path":"runsc","runtimeArgs":["--host-uds=open"]}}"#), Ok("runsc".into()));
    }
}
