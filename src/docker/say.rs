//! What the engine's program says, understood: its errors, and what it tells of itself.

use crate::exit::EngineError;
use crate::facts::Seen;
use serde::Deserialize;
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
    if unreachable(stderr) {
        return error.hint("no engine answers: start one (`sudo systemctl start docker`), or choose one with `docker context use` or `DOCKER_HOST`");
    }
    if stderr.contains("is already in use by container") {
        return error.hint("a container of that name is there already; start again for another identity");
    }
    error
}

/// Is it that there is no such container?
pub fn is_gone(error: &EngineError) -> bool {
    error.what.to_lowercase().contains("no such container")
}

/// For calls that only want a container to be away: one that is not there is no failure.
///
/// # Errors
/// Every other failure.
pub fn gone(error: EngineError) -> Result<String, EngineError> {
    if is_gone(&error) { Ok(String::new()) } else { Err(error) }
}

fn unreachable(stderr: &str) -> bool {
    [
        "Cannot connect to the Docker daemon",
        "error during connect",
        "connection refused",
        "no such host",
        "Cannot connect to Podman",
    ]
    .iter()
    .any(|words| stderr.contains(words))
}

fn strip(line: &str) -> &str {
    let line = line.strip_prefix("Error response from daemon: ").unwrap_or(line);
    line.strip_prefix("Error: ").unwrap_or(line)
}

/// `docker info`, the part that matters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    #[serde(default)]
    server_version: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    runtimes: std::collections::BTreeMap<String, Runtime>,
    #[serde(default)]
    server_errors: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Runtime {
    #[serde(default, rename = "runtimeArgs")]
    args: Option<Vec<String>>,
}

impl Info {
    pub const ARGS: [&str; 3] = ["info", "--format", "{{json .}}"];

    /// # Errors
    /// Text that is not the engine's JSON, or an engine that does not answer.
    pub fn read(text: &str) -> Result<Seen, EngineError> {
        let info: Info = serde_json::from_str(text)
            .map_err(|e| EngineError::new(format!("the engine's `info` is not understood: {e}")))?;
        if let Some(why) = info.server_errors.first() {
            return Err(EngineError::new(why.clone())
                .hint("no engine answers: start one, or choose another with `DOCKER_HOST`"));
        }
        let arch = match info.architecture.as_str() {
            "amd64" => "x86_64".to_owned(),
            "arm64" => "aarch64".to_owned(),
            other => other.to_owned(),
        };
        Ok(Seen { version: info.server_version, arch, gvisor: gvisor(&info.runtimes) })
    }
}

/// A `runsc` whose sandbox may connect to the gate's socket.
fn gvisor(runtimes: &std::collections::BTreeMap<String, Runtime>) -> Result<String, String> {
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
