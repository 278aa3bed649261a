//! Image builds: long, with the engine's own output on stderr, and ended by a signal without a trace.

use super::Docker;
use crate::exit::EngineError;
use crate::plan::{Build, Context, Dockerfile};
use crate::sys::signals::Signals;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What ended a build.
pub enum Built {
    Done,
    Signal(i32),
}

/// Makes one image.
///
/// # Errors
/// The engine's own last words.
pub fn build(docker: &Docker, build: &Build, signals: &Signals) -> Result<Built, EngineError> {
    let here = |e: std::io::Error| EngineError::new(format!("cannot prepare the build of `{}`: {e}", build.tag));
    let folder = tempfile::Builder::new().prefix("claude-bottle-build-").tempdir().map_err(here)?;
    let (dockerfile, context) = lay_out(build, folder.path()).map_err(here)?;
    let mut args: Vec<String> = ["build", "--force-rm", "--tag", &build.tag].map(str::to_owned).into();
    if let Some(also) = &build.also {
        args.extend(["--tag".to_owned(), also.clone()]);
    }
    args.extend(["--label".to_owned(), "claude-bottle.image=1".to_owned()]);
    for (name, value) in &build.args {
        args.extend(["--build-arg".to_owned(), format!("{name}={value}")]);
    }
    args.extend(["--file".to_owned(), dockerfile.display().to_string(), context.display().to_string()]);

    let quiet = crate::say::is_quiet();
    let mut command = docker.command(&args);
    // podman's own format has no place for a Dockerfile's SHELL, and leaves it out with a warning.
    command.env("BUILDAH_FORMAT", "docker");
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(if quiet { Stdio::piped() } else { Stdio::inherit() });
    let (mut child, _timed) = docker.spawn(&mut command, &args)?;
    let stderr = child.stderr.take().map(super::drain);
    let (mut last, mut unsaid) = (String::new(), Vec::new());
    if let Some(mut stdout) = child.stdout.take() {
        let mut chunk = [0; 16 << 10];
        loop {
            if let Err(signal) = signals.or_readable(stdout.as_fd()) {
                let _ = child.kill();
                let _ = child.wait();
                return Ok(Built::Signal(signal));
            }
            match stdout.read(&mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    match quiet {
                        true => unsaid.extend_from_slice(&chunk[..count]),
                        false => drop(std::io::stderr().write_all(&chunk[..count])),
                    }
                    last = String::from_utf8_lossy(&chunk[..count]).into_owned();
                }
            }
        }
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(Built::Done),
        Ok(status) => {
            // What a build that fails has said is said, also to who wanted quiet.
            let _ = std::io::stderr().write_all(&unsaid);
            let said = super::joined(stderr);
            if !said.is_empty() {
                crate::say::line(&said);
            }
            let told = last.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("see above").trim();
            Err(EngineError::new(format!("image `{}` did not build ({status}): {told}", build.tag)))
        }
        Err(error) => Err(here(error)),
    }
}

/// Puts Dockerfile and context where the client can send them from.
fn lay_out(build: &Build, folder: &Path) -> std::io::Result<(PathBuf, PathBuf)> {
    let dockerfile = match &build.dockerfile {
        Dockerfile::Path(path) => path.clone(),
        Dockerfile::Text(text) => {
            let path = folder.join("Dockerfile");
            fs::write(&path, text)?;
            path
        }
    };
    let context = match &build.context {
        Context::Folder(path) => path.clone(),
        Context::Files(files) => {
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
