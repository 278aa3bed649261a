//! `check --replay`: the recorded requests of a session, or of a file, judged by today's manifest.

use crate::cli::ListFormat;
use crate::exit::{Exit, UserError};
use crate::manifest::Bottle;
use crate::render;
use crate::say;
use crate::session::audit;
use crate::state::Home;
use crate::trail::Replayer;
use anyhow::Result;
use std::fs::File;
use std::path::Path;

/// `trail`: the identity of a session, or else a file.
pub fn run(home: &Home, bottle: &Bottle, trail: &Path, format: ListFormat) -> Result<Exit> {
    let mut replayer = Replayer::new(bottle);
    let folders = home.folders();
    match folders.iter().find(|folder| trail.as_os_str() == folder.identity.as_str()) {
        Some(folder) => audit::read_lines(folder, &folder.plan()?, |line| replayer.add(line))?,
        None => {
            let file = File::open(trail).map_err(|error| {
                UserError::unreadable(trail, &error)
                    .hint("a session of `claude-bottle list`, or a file of its audit lines")
            })?;
            audit::for_each_whole_line(file, |line| replayer.add(line));
        }
    }
    let replay = replayer.finish();
    match format {
        ListFormat::Text => say::out(&render::replay(&replay))?,
        ListFormat::Json => say::json(&replay)?,
    }
    Ok(if replay.refused == 0 { Exit::OK } else { Exit::DENIED })
}
