//! Builds images. A signal ends a build, and nothing of it stays.
//!
//! A terminal gets the engine's own output as it is, with its progress. Elsewhere each step is a line, and the rest is shown
//! only where the build failed.

use super::Docker;
use crate::exit::EngineError;
use crate::plan::{BASE_ARGUMENT, Build, BuildContext, Dockerfile};
use crate::say;
use crate::text;
use std::fs;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use sys::child::DeathSignal;
use sys::signals::Signals;

/// How a build ended.
pub enum BuildEnd {
    Done,
    Signal(i32),
}

/// Builds one image.
///
/// # Errors
/// The last line of the engine's output, or the disk's error.
pub fn build(docker: &Docker, build: &Build, signals: &Signals) -> Result<BuildEnd, EngineError> {
    let cannot_prepare =
        |e: std::io::Error| EngineError::new(format!("cannot prepare the build of `{}`: {e}", build.tag));
    let folder = tempfile::Builder::new().prefix("claude-bottle-build-").tempdir().map_err(cannot_prepare)?;
    let (dockerfile, context) = write_sources(build, folder.path()).map_err(cannot_prepare)?;
    let mut args: Vec<String> = ["build", "--force-rm", "--tag", &build.tag].map(str::to_owned).into();
    if let Some(also) = &build.also {
        args.extend(["--tag".to_owned(), also.clone()]);
    }
    args.extend(["--label".to_owned(), "claude-bottle.image=1".to_owned()]);
    if let Some(base) = build.args.get(BASE_ARGUMENT) {
        args.extend(["--label".to_owned(), format!("claude-bottle.base={base}")]);
    }
    for (name, value) in &build.args {
        args.extend(["--build-arg".to_owned(), format!("{name}={value}")]);
    }
    args.extend(["--file".to_owned(), dockerfile.display().to_string(), context.display().to_string()]);

    let mut command = docker.command(&args);
    // podman's default format cannot hold a Dockerfile's SHELL, and leaves it out with a warning.
    command.env("BUILDAH_FORMAT", "docker").stdin(Stdio::null());
    let mut log = BuildLog::new();
    let (mut output, input) = std::io::pipe().map_err(cannot_prepare)?;
    match log.shown {
        // A client that draws progress needs the terminal itself.
        ShownOutput::All => command.stderr(Stdio::inherit()),
        ShownOutput::Steps | ShownOutput::Nothing => command.stderr(input.try_clone().map_err(cannot_prepare)?),
    };
    let (mut child, _timed) = docker.spawn(command.stdout(input), &args, DeathSignal::Kill)?;
    // The command holds the child's ends of the pipe open in this process.
    drop(command);
    let mut chunk = [0; 16 << 10];
    loop {
        if let Err(signal) = signals.wait_readable(output.as_fd()) {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(BuildEnd::Signal(signal));
        }
        match output.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(count) => log.add(&chunk[..count]),
        }
    }
    let status = child.wait().map_err(cannot_prepare)?;
    if status.success() {
        return Ok(BuildEnd::Done);
    }
    log.show_hidden();
    Err(EngineError::new(format!("image `{}` did not build ({status}): {}", build.tag, log.last_line())))
}

/// What is shown of a build's output while it comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ShownOutput {
    All,
    Steps,
    Nothing,
}

/// A build's output so far.
struct BuildLog {
    shown: ShownOutput,
    /// The last part of it, at most twice [`BuildLog::MAX_KEPT_BYTES`].
    kept: Vec<u8>,
    /// Where in `kept` the search for the next step begins.
    read: usize,
}

impl BuildLog {
    const MAX_KEPT_BYTES: usize = 256 << 10;

    fn new() -> BuildLog {
        let shown = match std::io::stderr().is_terminal() {
            _ if say::is_quiet() => ShownOutput::Nothing,
            true => ShownOutput::All,
            false => ShownOutput::Steps,
        };
        BuildLog { shown, kept: Vec::new(), read: 0 }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        if self.shown == ShownOutput::All {
            let _ = std::io::stderr().write_all(bytes);
            self.read = self.kept.len();
        }
        while let Some(length) = self.kept[self.read..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&self.kept[self.read..self.read + length]);
            if self.shown == ShownOutput::Steps && is_step(&line) {
                // A step may be a whole script.
                say::line(&text::truncate(&text::visible(line.trim_end()), 100));
            }
            self.read += length + 1;
        }
        if self.kept.len() > 2 * Self::MAX_KEPT_BYTES {
            let gone = self.kept.len() - Self::MAX_KEPT_BYTES;
            self.kept.drain(..gone);
            self.read = self.read.saturating_sub(gone);
        }
    }

    /// Shows what was not shown while it came.
    fn show_hidden(&self) {
        if self.shown != ShownOutput::All {
            let _ = std::io::stderr().write_all(&self.kept);
        }
    }

    fn last_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("see above").trim().to_owned()
    }
}

/// Is this line the beginning of a step? `Step 3/12 : RUN …` (the classic builder), `STEP 3/12: RUN …` (podman),
/// `#7 [stage 3/12] RUN …` (BuildKit).
fn is_step(line: &str) -> bool {
    let name = line.strip_prefix('#').and_then(|rest| rest.split_once(" ["));
    let is_buildkits = name.is_some_and(|(number, name)| {
        number.bytes().all(|b| b.is_ascii_digit()) && name.split(']').next().is_some_and(|name| name.contains('/'))
    });
    line.starts_with("Step ") || line.starts_with("STEP ") || is_buildkits
}

/// Puts Dockerfile and context where the client can read them; gives both paths.
fn write_sources(build: &Build, folder: &Path) -> std::io::Result<(PathBuf, PathBuf)> {
    let dockerfile = match &build.dockerfile {
        Dockerfile::Path(path) => path.clone(),
        Dockerfile::Text(text) => {
            let path = folder.join("Dockerfile");
            fs::write(&path, text)?;
            path
        }
    };
    let context = match &build.context {
        BuildContext::Folder(path) => path.clone(),
        BuildContext::Files(files) => {
            let context = folder.join("context");
            fs::create_dir(&context)?;
            for (name, from) in files {
                fs::copy(from, context.join(name))?;
            }
            context
        }
    };
    Ok((dockerfile, context))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_every_builder_are_told() {
        for line in ["Step 3/12 : RUN true", "STEP 3/12: RUN true", "#7 [agent 3/12] RUN true", "#5 [2/4] COPY a b"] {
            assert!(is_step(line), "{line}");
        }
        for line in ["Get:1 [64 kB]", " ---> Running in 0123", "#7 0.512 [notice] done", "#1 DONE 0.1s", ""] {
            assert!(!is_step(line), "{line}");
        }
    }

    #[test]
    fn what_is_kept_of_a_long_build_is_bounded() {
        let mut log = BuildLog { shown: ShownOutput::Nothing, kept: Vec::new(), read: 0 };
        for at in 0..200_000 {
            log.add(format!("line {at}\n").as_bytes());
        }
        log.add(b"the last words\n\n");
        assert!(log.kept.len() <= 2 * BuildLog::MAX_KEPT_BYTES && log.read == log.kept.len());
        assert!(log.last_line() == "the last words");
    }
}
