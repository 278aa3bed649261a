//! The agent's work that exists nowhere else: recorded as a baseline when its home is new, compared when its program has
//! ended, and exported as text, bundle, patch or archive inside the bottle or in a reader's container.
//!
//! Invariant: git never reads a configuration of the agent's, so that it runs nothing and decides nothing. A comparison
//! that did not finish says so.

mod baseline;
mod clean;
mod compare;
mod export;
mod file;
mod git;
mod paths;
pub mod pushed;
mod record;
mod report;
mod repository;
mod view;
mod walk;

pub use record::{await_record, record_if_new};
pub use report::report_to_gate;

use crate::failure::Failure;
use paths::WorkPaths;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use wire::Work;

/// Limit of `work report`. PID 1 waits less for it, a reader's container as long as this.
const REPORT_TIMEOUT: Duration = Duration::from_secs(120);
/// Limit of every other verb. A repository can make git wait for ever, and one of gigabytes takes long.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(1200);

/// `work report`, `baseline`, `diff [--stat | --commits] [REPOSITORY]`, `bundle REPOSITORY`, `patch REPOSITORY`, `files`.
/// `report`, `diff` and `patch` read from stdin what the host has, as JSON of [`wire::Elsewhere`].
///
/// # Errors
/// Unknown arguments, a failed export, or one that took too long.
pub fn run(home: &Path, args: &[String]) -> Result<i32, Failure> {
    let paths = WorkPaths::new(home);
    if args == ["report"] {
        // Always one line of JSON: a comparison that failed is an incomplete one.
        let compare = move || export::read_elsewhere().and_then(|host| compare::compare(&paths, host));
        let work = run_within(REPORT_TIMEOUT, compare).and_then(Result::ok);
        return print_work(&work.unwrap_or_default()).map(|()| 0);
    }
    let args = args.to_vec();
    let ended = run_within(EXPORT_TIMEOUT, move || dispatch(&paths, &args));
    ended.unwrap_or_else(|| Err(Failure("it took too long".into())))
}

fn dispatch(paths: &WorkPaths, args: &[String]) -> Result<i32, Failure> {
    use export::Detail;
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["baseline"] => record::record(paths).map(|()| 0),
        ["diff", "--stat"] => export::diff(paths, None, Detail::Stat, export::read_elsewhere()?),
        ["diff", "--stat", only] => export::diff(paths, Some(only), Detail::Stat, export::read_elsewhere()?),
        ["diff", "--commits"] => export::diff(paths, None, Detail::Commits, export::read_elsewhere()?),
        ["diff", "--commits", only] => export::diff(paths, Some(only), Detail::Commits, export::read_elsewhere()?),
        ["diff"] => export::diff(paths, None, Detail::Whole, export::read_elsewhere()?),
        ["diff", only] => export::diff(paths, Some(only), Detail::Whole, export::read_elsewhere()?),
        ["bundle", only] => export::bundle(paths, only),
        ["patch", only] => export::patch(paths, only, export::read_elsewhere()?),
        ["files"] => export::files(paths),
        _ => Err(Failure("init work does not know these words".into())),
    }
}

/// Runs `task` on another thread. `None` if it takes longer than `timeout`, or panics, or there is no room for a thread.
fn run_within<T: Send + 'static>(timeout: Duration, task: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, result) = std::sync::mpsc::channel();
    sys::thread::spawn(move || sender.send(task())).ok()?;
    result.recv_timeout(timeout).ok()
}

fn print_work(work: &Work) -> Result<(), Failure> {
    let mut line = serde_json::to_vec(work)?;
    line.push(b'\n');
    Ok(std::io::stdout().write_all(&line)?)
}
