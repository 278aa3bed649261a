//! The engine that the environment names, and the keys that detach a terminal from it.

use super::variable;
use crate::exit::UserError;
use crate::facts::{Engine, EngineKind};
use std::fs;
use std::path::PathBuf;

/// The engine that this environment names.
///
/// # Errors
/// `UserError` for an unknown `CLAUDE_BOTTLE_BACKEND`.
pub fn engine() -> Result<Engine, UserError> {
    if let Some(backend) = variable("CLAUDE_BOTTLE_BACKEND").filter(|b| b != "docker") {
        return Err(UserError::new(format!("unknown backend `{backend}` in `CLAUDE_BOTTLE_BACKEND`"))
            .hint("the backend is `docker`; another program goes into `CLAUDE_BOTTLE_DOCKER`"));
    }
    let program = variable("CLAUDE_BOTTLE_DOCKER").unwrap_or_else(|| "docker".to_owned());
    let kind = EngineKind::of_program(&program);
    let (host, context) = match kind {
        EngineKind::Docker => (variable("DOCKER_HOST"), variable("DOCKER_CONTEXT")),
        EngineKind::Podman => (variable("CONTAINER_HOST"), variable("CONTAINER_CONNECTION")),
    };
    let context = match (&host, kind) {
        (Some(_), _) => None,
        (None, EngineKind::Docker) => context.or_else(current_context).filter(|c| c != "default"),
        (None, EngineKind::Podman) => context,
    };
    Ok(Engine { program, kind, host, context })
}

/// The context that `docker context use` chose.
fn current_context() -> Option<String> {
    let folder = variable("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(dirs::home_dir()?.join(".docker")))?;
    let config: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("config.json")).ok()?).ok()?;
    Some(config.get("currentContext")?.as_str()?.to_owned())
}

/// The keys that detach a terminal, in the engine program's notation: characters, `ctrl-` and a character, `DEL`, with
/// commas between.
///
/// # Errors
/// `UserError` for keys that the engine's program would reject only once the bottle is up.
pub fn detach_keys() -> Result<String, UserError> {
    let keys = variable("CLAUDE_BOTTLE_DETACH_KEYS").unwrap_or_else(|| "ctrl-],d".to_owned());
    let known = |key: &str| {
        let control = |c: &str| c.len() == 1 && c.bytes().all(|b| matches!(b, b'@' | b'a'..=b'z' | b'['..=b'_'));
        key.len() == 1 || key == "DEL" || key.strip_prefix("ctrl-").is_some_and(control)
    };
    match keys.split(',').find(|key| !known(key)) {
        None => Ok(keys),
        Some(key) => Err(UserError::new(format!("no key `{key}` (`CLAUDE_BOTTLE_DETACH_KEYS`)"))
            .hint("characters and `ctrl-` with one of `a` to `z`, `@[\\]^_`, with commas between, as in `ctrl-],d`")),
    }
}
