//! What the agent made that is nowhere else: noted when its home is new, compared when its program has ended, and
//! handed out, as text, bundle, patch or archive, to whoever asks for it inside the bottle or in a reader's container.
//!
//! A repository's own configuration has no say in what is handed out. A comparison that did not finish says so.

mod baseline;
mod clean;
mod compare;
mod git;
mod hand;
mod repository;
mod walk;

pub use baseline::note;
pub use compare::tell;

use super::Failure;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::Work;

/// Nothing new for whoever asks: no bundle.
const NOTHING: i32 = 3;
/// Of a reader's report; PID 1 waits less.
const PATIENCE: Duration = Duration::from_secs(120);
/// For all else: a repository may make git wait for ever, and one of gigabytes takes its time.
const LONGEST: Duration = Duration::from_secs(1200);

/// Where the agent works, and what was noted of it.
struct Place {
    workspace: PathBuf,
    notes: PathBuf,
}

impl Place {
    fn new(home: &Path) -> Place {
        Place { workspace: home.join("workspace"), notes: home.join(".claude-bottle/baseline") }
    }
}

/// `report`, `baseline`, `diff [--stat] [REPOSITORY]`, `bundle REPOSITORY`, `patch REPOSITORY`, `files`.
pub fn run(home: &Path, args: &[String]) -> Result<i32, Failure> {
    let place = Place::new(home);
    if args == ["report"] {
        // One line of JSON, whatever happens in between.
        let work = within(PATIENCE, move || compare::compare(&place)).and_then(Result::ok).unwrap_or_default();
        return say(&work).map(|()| 0);
    }
    let args = args.to_vec();
    within(LONGEST, move || answer(&place, &args)).unwrap_or_else(|| Err(Failure("it took too long".into())))
}

fn answer(place: &Place, args: &[String]) -> Result<i32, Failure> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["baseline"] => baseline::take(place).map(|()| 0),
        ["diff", "--stat"] => hand::diff(place, None, hand::Detail::Stat),
        ["diff", "--stat", only] => hand::diff(place, Some(only), hand::Detail::Stat),
        ["diff"] => hand::diff(place, None, hand::Detail::Whole),
        ["diff", only] => hand::diff(place, Some(only), hand::Detail::Whole),
        ["bundle", only] => hand::bundle(place, only),
        ["patch", only] => hand::patch(place, only),
        ["files"] => hand::files(place),
        _ => Err(Failure("init work does not know these words".into())),
    }
}

/// `None` where it takes longer, or panics.
fn within<T: Send + 'static>(patience: Duration, task: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(task()));
    result.recv_timeout(patience).ok()
}

/// `init size`: what the home takes, links not followed, as one line of JSON.
pub fn size(home: &Path) -> Result<i32, Failure> {
    let (mut files, mut bytes, mut folders) = (0u64, 0u64, vec![home.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
                bytes += std::os::unix::fs::MetadataExt::blocks(&meta) * 512;
            }
        }
    }
    writeln!(std::io::stdout(), r#"{{"files":{files},"bytes":{bytes}}}"#)?;
    Ok(0)
}

fn say(work: &Work) -> Result<(), Failure> {
    let mut line = serde_json::to_vec(work)?;
    line.push(b'\n');
    Ok(std::io::stdout().write_all(&line)?)
}
