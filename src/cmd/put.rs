//! `put`: copies a file into a live bottle, written with the agent's own rights. Prints its path inside, to be pasted into
//! the conversation.

use super::bounded_copy::{self, SizeConsent};
use super::live::LiveBottle;
use super::progress_reader::ProgressReader;
use crate::cli::PutArgs;
use crate::exit::{EngineError, Exit, UserError};
use crate::say;
use crate::text;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub fn run(asked: &PutArgs) -> Result<Exit> {
    // One word is the file, for the newest session of this directory.
    let (identity, file) = match &asked.file {
        Some(file) => (Some(asked.identity.as_str()), file.as_path()),
        None => (None, Path::new(&asked.identity)),
    };
    let bottle = LiveBottle::open(identity)?;
    let piped = file == Path::new("-");
    let path = match (&asked.path, file.file_name()) {
        (Some(path), _) => path.clone(),
        (None, Some(name)) if !piped => Path::new("~/inbox").join(name),
        _ => return Err(UserError::new("no name for the file").hint("name a path in the bottle behind it").into()),
    };
    let mut consent = SizeConsent::new(format!("`{}`", text::one_line(&file.to_string_lossy())), asked.yes);
    let source: Box<dyn Read + Send> = match piped {
        true => Box::new(ProgressReader::new(io::stdin(), None)),
        false => {
            let file = open(file)?;
            let all = file.metadata().map(|meta| meta.len()).ok();
            consent.require(all.unwrap_or(0))?;
            Box::new(ProgressReader::new(file, all))
        }
    };
    let mut stream = bottle.docker.stream_with_input(&bottle.exec_on_file("put", &path)?)?;
    let mut stdin = stream.child.stdin.take().context("no stdin")?;
    let sent = sys::thread::spawn(move || consent.copy(source, bounded_copy::into(&mut stdin)))?;
    let mut path_inside = String::new();
    stream.child.stdout.take().context("no stdout")?.take(1 << 16).read_to_string(&mut path_inside)?;
    let ended = stream.expect_success_inside();
    say::no_progress();
    ended?;
    let sent = sent.join().map_err(|_| EngineError::new("the file was not sent"))?;
    if sent.is_err() {
        say::line("the file in the bottle is incomplete");
    }
    sent?;
    // It is there to be pasted, with all its blanks.
    say::out(&format!("{}\n", text::unbroken(path_inside.trim_end_matches('\n'))))?;
    Ok(Exit::OK)
}

fn open(path: &Path) -> Result<File, UserError> {
    let cannot = |error: io::Error| UserError::unreadable(path, &error);
    let file = File::open(path).map_err(cannot)?;
    match file.metadata().map_err(cannot)?.is_dir() {
        true => Err(UserError::new(format!("`{}` is a directory", path.display())).hint("put files, or a tar of it")),
        false => Ok(file),
    }
}
