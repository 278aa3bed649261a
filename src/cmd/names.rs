//! `names`: prints names for completions, one on each line, with a description after a tab. Reads the disk, writes nothing,
//! and never fails: an error has no place in a completion.

use crate::cli::{NameKind, NamesArgs};
use crate::exit::{Exit, UserError};
use crate::manifest::{self, Manifest, Scope};
use crate::render;
use crate::say;
use crate::state::{Home, Overview};
use crate::text;
use anyhow::Result;
use std::path::Path;

const MAX_DESCRIPTION_CHARS: usize = 100;

pub fn run(asked: &NamesArgs) -> Result<Exit> {
    let Ok(home) = Home::locate() else { return Ok(Exit::OK) };
    let lines = asked.of.iter().flat_map(|kind| match kind {
        NameKind::Agents => agents(&home),
        NameKind::Sessions => sessions(&home, &["live", "detached", "kept", "lost"]),
        NameKind::Running => sessions(&home, &["live", "detached"]),
        NameKind::Live => sessions(&home, &["live"]),
        NameKind::Detached => sessions(&home, &["detached"]),
        NameKind::Resting => sessions(&home, &["kept", "lost"]),
    });
    let text: String = lines.map(|(name, what)| format!("{name}\t{}\n", describe(&what))).collect();
    // A shell that closed the pipe needs no more.
    let _ = say::out(&text);
    Ok(Exit::OK)
}

/// The agents of the home and of the current directory. A broken one is described by its error.
fn agents(home: &Home) -> Vec<(String, String)> {
    let manifest = manifest::load_readable(home.path(), &std::env::current_dir().unwrap_or_default());
    let agents = manifest.agents().into_iter().map(|name| {
        let what = match manifest.choose(name) {
            Ok(chosen) => match chosen.agent.scope {
                Scope::Home => format!("agent in bottle {}", chosen.bottle.name),
                Scope::Directory => format!("agent of this directory in bottle {}", chosen.bottle.name),
            },
            Err(error) => format!("broken: {}", without_location(&manifest, &error)),
        };
        (name.to_owned(), what)
    });
    agents.collect()
}

/// The error's text without file and line, which would fill the whole description.
fn without_location<'a>(manifest: &Manifest, error: &'a UserError) -> &'a str {
    let of = |file: &Path| error.what.strip_prefix(&*file.to_string_lossy())?.split_once(": ");
    manifest.sources().iter().find_map(|(_, file)| of(file)).map_or(&error.what, |(_, what)| what)
}

/// The sessions in one of these states.
fn sessions(home: &Home, states: &[&str]) -> Vec<(String, String)> {
    let all = home.folders().into_iter().filter(|folder| is_identity(&folder.identity));
    let rows = all.map(|folder| Overview::of_mark(&folder)).filter(|row| states.contains(&row.state));
    let described = rows.map(|row| {
        let what = [row.state, &row.age().map_or_else(String::new, render::age), &row.why()].join(" ");
        (row.identity, what.trim_end().to_owned())
    });
    described.collect()
}

/// Is it a session's name? A folder that another program made may have any name, and shells do not quote completions.
fn is_identity(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The description on one line without a tab, hidden characters made visible: it may come from an agent.
fn describe(what: &str) -> String {
    text::truncate(&text::flattened(what), MAX_DESCRIPTION_CHARS)
}
