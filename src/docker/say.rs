//! What the engine's program says, understood: its errors, and what it tells of itself.

use crate::exit::EngineError;
use crate::facts::{EngineFacts, EngineKind};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::process::ExitStatus;

/// The engine's last line, and what to type where that is known.
pub(super) fn error(verb: &str, stderr: &str, status: ExitStatus) -> EngineError {
    let told = stderr.lines().rev().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("See '"));
    let why = told.map(strip).map_or_else(|| status.to_string(), str::to_owned);
    let error = EngineError::new(format!("`{verb}`: {why}"));
    if stderr.contains("permission denied") && stderr.contains("connect") {
        return error.hint(
            "your user may not use this engine: join its group (`sudo usermod -aG docker $USER`, then log in again)",
        );
    }
    if stderr.contains("Cannot connect to Podman") {
        return error.hint("no engine answers: start one (`podman machine start`), or choose one with `podman system connection` or `CONTAINER_HOST`");
    }
    if unreachable(stderr) {
        return error.hint("no engine answers: start one (`sudo systemctl start docker`), or choose one with `docker context use` or `DOCKER_HOST`");
    }
    if is_taken(&error) {
        return error.hint("a container of that name is there already; start again for another identity");
    }
    error
}

/// Is it that there is no such container?
pub fn is_gone(error: &EngineError) -> bool {
    error.what.to_lowercase().contains("no such container")
}

/// Is it that something else has the name already?
pub fn is_taken(error: &EngineError) -> bool {
    error.what.contains("is already in use by") || error.what.contains("volume already exists")
}

/// Is it that there is no such volume?
pub fn has_no_volume(error: &EngineError) -> bool {
    error.what.to_lowercase().contains("no such volume")
}

/// Is it that there is no such image? In the words of Docker, and of podman.
pub fn has_no_image(error: &EngineError) -> bool {
    let what = error.what.to_lowercase();
    what.contains("no such image") || what.contains("image not known")
}

/// For calls that only want a container to be away: one that is not there is no failure.
///
/// # Errors
/// Every other failure.
pub fn gone(error: EngineError) -> Result<String, EngineError> {
    if is_gone(&error) { Ok(String::new()) } else { Err(error) }
}

fn unreachable(stderr: &str) -> bool {
    ["Cannot connect to the Docker daemon", "error during connect", "connection refused", "no such host"]
        .iter()
        .any(|words| stderr.contains(words))
}

fn strip(line: &str) -> &str {
    let line = line.strip_prefix("Error response from daemon: ").unwrap_or(line);
    line.strip_prefix("Error: ").unwrap_or(line)
}

/// The part that matters of what `info` prints, which is another document for each kind of engine.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Info {
    Podman {
        host: Host,
        version: Version,
    },
    #[serde(rename_all = "PascalCase")]
    Docker {
        #[serde(default)]
        server_version: String,
        #[serde(default)]
        architecture: String,
        /// Null where the server gave another answer than its own.
        #[serde(default)]
        runtimes: Option<BTreeMap<String, Runtime>>,
        #[serde(default)]
        server_errors: Vec<String>,
    },
}

#[derive(Debug, Deserialize)]
pub struct Runtime {
    #[serde(default, rename = "runtimeArgs")]
    args: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    arch: String,
    oci_runtime: OciRuntime,
}

#[derive(Debug, Deserialize)]
pub struct OciRuntime {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Version {
    version: String,
}

impl Info {
    pub const ARGS: [&str; 3] = ["info", "--format", "{{json .}}"];

    /// # Errors
    /// Text that is not the engine's JSON, or an engine that does not answer.
    pub fn read(text: &str) -> Result<EngineFacts, EngineError> {
        let info = serde_json::from_str(text)
            .map_err(|e| EngineError::new(format!("the engine's `info` is not understood: {e}")))?;
        match info {
            Info::Docker { server_errors, .. } if !server_errors.is_empty() => Err(EngineError::new(&server_errors[0])
                .hint("no engine answers: start one, or choose another with `DOCKER_HOST`")),
            Info::Docker { server_version, architecture, runtimes, .. } => Ok(EngineFacts {
                kind: EngineKind::Docker,
                version: server_version,
                arch: machine(&architecture),
                gvisor: gvisor(&runtimes.unwrap_or_default()),
            }),
            // It names the runtime it uses, and no argument of any.
            Info::Podman { host, version } => Ok(EngineFacts {
                kind: EngineKind::Podman,
                version: version.version,
                arch: machine(&host.arch),
                gvisor: Err(format!("podman's is `{}`", host.oci_runtime.name)),
            }),
        }
    }
}

/// Docker says it as `uname -m` does, podman as Go does, and older engines as either.
fn machine(arch: &str) -> String {
    match arch {
        "amd64" => "x86_64".to_owned(),
        "arm64" => "aarch64".to_owned(),
        other => other.to_owned(),
    }
}

/// A `runsc` whose sandbox may connect to the gate's socket.
fn gvisor(runtimes: &BTreeMap<String, Runtime>) -> Result<String, String> {
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

    /// As the client prints it, and ends with 0, where something else answers than an engine.
    #[test]
    fn what_the_server_says_instead_is_told() {
        let text = r#"{"ServerVersion":"","Architecture":"","Runtimes":null,"ServerErrors":["404 Not Found"]}"#;
        assert_eq!(Info::read(text).unwrap_err().what, "404 Not Found");
    }

    #[test]
    fn gvisor_is_taken_when_it_lets_sockets_in() {
        let seen = |runtimes: &str| {
            Info::read(&format!(r#"{{"ServerVersion":"1","Architecture":"amd64","Runtimes":{runtimes}}}"#))
                .unwrap()
                .gvisor
        };
        assert_eq!(seen(r#"{"runc":{"path":"runc"}}"#), Err("the engine has no gVisor".into()));
        assert_eq!(
            seen(r#"{"runsc":{"path":"runsc","runtimeArgs":["--debug"]}}"#),
            Err("gVisor's `runsc` lacks the argument `--host-uds=open`".into())
        );
        assert_eq!(seen(r#"{"runsc":{"path":"runsc","runtimeArgs":["--host-uds=open"]}}"#), Ok("runsc".into()));
    }
}
