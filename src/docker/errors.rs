//! What the engine's program says when a call fails, understood once: its last line, the kind of the failure, and what to
//! type.

use crate::exit::{EngineError, EngineErrorKind, UserError};
use crate::text;
use std::process::ExitStatus;

/// The error of a short call that failed. `verb`: the program and its first words.
pub(super) fn of_call(verb: &str, stderr: &str, status: ExitStatus) -> EngineError {
    let said = stderr.lines().rev().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("See '"));
    let why = said.map(without_prefix).map_or_else(|| status.to_string(), str::to_owned);
    let unreachable = unreachable_hint(stderr);
    let kind = match kind_of(&why) {
        EngineErrorKind::Other if unreachable.is_some() => EngineErrorKind::Unreachable,
        kind => kind,
    };
    let error = EngineError::new(format!("`{verb}`: {why}")).kind(kind);
    match unreachable.or_else(|| seccomp_hint(&why)) {
        Some(hint) => error.hint(hint),
        None if kind == EngineErrorKind::Taken => {
            error.hint("a container of that name is there already; start again for another identity")
        }
        None => error,
    }
}

/// The error of a streaming call that failed: the last line on its stderr, or `fallback` where it has none.
pub(super) fn of_stream(stderr: &str, fallback: &str) -> EngineError {
    let line = stderr.lines().last().unwrap_or(fallback);
    EngineError::new(line).kind(kind_of(line))
}

/// For calls that only want an object to be away: one that does not exist is no failure.
///
/// # Errors
/// Every other failure.
pub(super) fn ignore_gone(result: Result<String, EngineError>) -> Result<(), EngineError> {
    match result {
        Err(error) if error.kind != EngineErrorKind::Gone => Err(error),
        _ => Ok(()),
    }
}

/// The error of a program of ours that ran inside a bottle: the last line that it wrote to stderr.
pub(super) fn inside(stderr: &str) -> UserError {
    let line = stderr.lines().last().unwrap_or("it failed inside");
    UserError::new(text::visible(line.strip_prefix("claude-bottle: ").unwrap_or(line)))
}

/// Did a copy out of a container fail because there is nothing to copy: no such path, or no such container?
pub fn has_nothing_to_copy(stderr: &str) -> bool {
    let stderr = stderr.to_lowercase();
    ["could not find the file", "no such file or directory", "no such container"]
        .iter()
        .any(|words| stderr.contains(words))
}

/// In the words of Docker and of podman.
fn kind_of(line: &str) -> EngineErrorKind {
    let line = line.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| line.contains(words));
    match () {
        () if says(&["no such container"]) => EngineErrorKind::Gone,
        () if says(&["volume is in use", "volume is being used"]) => EngineErrorKind::InUse,
        () if says(&["is already in use by", "volume already exists"]) => EngineErrorKind::Taken,
        () if says(&["no such image", "image not known"]) => EngineErrorKind::NoImage,
        () if says(&["no such volume"]) => EngineErrorKind::NoVolume,
        () => EngineErrorKind::Other,
    }
}

/// What to type where the program could not talk to an engine.
fn unreachable_hint(stderr: &str) -> Option<&'static str> {
    if stderr.contains("permission denied") && stderr.contains("connect") {
        return Some(
            "your user may not use this engine: join its group (`sudo usermod -aG docker $USER`, then log in again)",
        );
    }
    if stderr.contains("Cannot connect to Podman") {
        return Some(
            "no engine answers: start one (`podman machine start`), or choose one with `podman system connection` or \
             `CONTAINER_HOST`",
        );
    }
    ["Cannot connect to the Docker daemon", "error during connect", "connection refused", "no such host"]
        .iter()
        .any(|words| stderr.contains(words))
        .then_some(
            "no engine answers: start one (`sudo systemctl start docker`), or choose one with `docker context use` or \
             `DOCKER_HOST`",
        )
}

/// What to type where the engine does not take our filter of system calls.
pub fn seccomp_hint(words: &str) -> Option<&'static str> {
    // As a word of its own: names of containers may have it in them.
    let is_named = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).eq_ignore_ascii_case("seccomp");
    words.split_whitespace().any(is_named).then_some(
        "this engine does not take claude-bottle's filter of system calls: use another engine, or its own filter, which is \
         wider, by `\"seccomp\": \"engine\"` in the bottle",
    )
}

fn without_prefix(line: &str) -> &str {
    let line = line.strip_prefix("Error response from daemon: ").unwrap_or(line);
    line.strip_prefix("Error: ").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn the_kind_of_a_failure_is_known_by_either_engines_words() {
        use EngineErrorKind::{Gone, InUse, NoImage, NoVolume, Other, Taken, Unreachable};
        for (stderr, kind) in [
            ("Error response from daemon: No such container: a", Gone),
            ("Error: no such container a", Gone),
            ("Conflict. The container name \"/x\" is already in use by container \"0f\".\nSee 'docker --help'", Taken),
            ("Error: volume with name a already exists: volume already exists", Taken),
            ("Error response from daemon: remove a: volume is in use - [0f]", InUse),
            ("Error: volume a is being used by the following container(s): 0f: volume is being used", InUse),
            ("Error response from daemon: No such image: a", NoImage),
            ("Error: inspecting object: a: image not known", NoImage),
            ("Error: inspecting object: no such volume a", NoVolume),
            ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", Unreachable),
            ("error during connect: dial tcp: lookup x: no such host", Unreachable),
            ("permission denied while trying to connect to the daemon", Unreachable),
            ("Cannot connect to Podman. Please verify your connection", Unreachable),
            ("something else", Other),
            ("", Other),
        ] {
            let error = of_call("docker x", stderr, ExitStatus::from_raw(256));
            assert_eq!(error.kind, kind, "{stderr}");
            assert_eq!(error.hint.is_some(), [Taken, Unreachable].contains(&kind), "{stderr}");
        }
    }

    #[test]
    fn an_engine_that_does_not_take_the_filter_is_known_by_its_words() {
        for words in [
            "Error response from daemon: seccomp profiles are not supported on this daemon, you cannot specify a custom seccomp profile",
            "Error response from daemon: seccomp is not enabled in your kernel, cannot run a custom seccomp profile",
            "Error response from daemon: decoding seccomp profile failed: invalid character",
            "docker: opening seccomp profile (/x/seccomp-agent.json) failed: open /x/seccomp-agent.json: no such file or directory.",
            "OCI runtime create failed: seccomp: config provided but seccomp not supported: unknown",
            "unable to start container process: error loading seccomp filter into kernel: error loading seccomp filter: errno 524",
            "Error: opening seccomp profile failed: no such file",
        ] {
            let error = of_call("docker create", words, ExitStatus::from_raw(256));
            assert!(error.hint.is_some_and(|hint| hint.contains("filter of system calls")), "{words}");
        }
        for words in ["no such container: claude-bottle-seccomp-ab12c-agent", "something else", ""] {
            assert_eq!(seccomp_hint(words), None, "{words}");
        }
    }
}
