//! `names`: what a shell completes, one a line, with what it is after a tab. Reads the disk, writes nothing, and never
//! fails: whoever presses TAB asked for no error.

use crate::cli::{NameKind, NamesArgs};
use crate::exit::{Exit, UserError};
use crate::manifest::{self, Manifest, Scope};
use crate::render;
use crate::say;
use crate::state::{Home, Overview};
use crate::text;
use anyhow::Result;
use std::path::Path;

pub fn run(asked: &NamesArgs) -> Result<Exit> {
    let Ok(home) = Home::locate() else { return Ok(Exit::OK) };
    let lines = asked.of.iter().flat_map(|kind| match kind {
        NameKind::Agents => agents(&home),
        NameKind::Sessions => sessions(&home, &["live", "detached", "kept", "lost"]),
        NameKind::Running => sessions(&home, &["live", "detached"]),
        NameKind::Detached => sessions(&home, &["detached"]),
        NameKind::Resting => sessions(&home, &["kept", "lost"]),
    });
    let text: String = lines.map(|(name, what)| format!("{name}\t{}\n", short(&what))).collect();
    // A shell that wants no more of it is gone.
    let _ = say::out(&text);
    Ok(Exit::OK)
}

/// Of the home and of the current directory; a broken one, too, with what is wrong: `start` says so at length.
fn agents(home: &Home) -> Vec<(String, String)> {
    let manifest = manifest::load_readable(home.path(), &std::env::current_dir().unwrap_or_default());
    let agents = manifest.agents().into_iter().map(|name| {
        let what = match manifest.choose(name) {
            Ok(chosen) => match chosen.agent.scope {
                Scope::Home => format!("agent in bottle {}", chosen.bottle.name),
                Scope::Directory => format!("agent of this directory in bottle {}", chosen.bottle.name),
            },
            Err(refused) => format!("broken: {}", bare(&manifest, &refused)),
        };
        (name.to_owned(), what)
    });
    agents.collect()
}

/// Without the file and the line, which would be all there is room for.
fn bare<'a>(manifest: &Manifest, refused: &'a UserError) -> &'a str {
    let of = |file: &Path| refused.what.strip_prefix(&*file.to_string_lossy())?.split_once(": ");
    manifest.sources().iter().find_map(|(_, file)| of(file)).map_or(&refused.what, |(_, what)| what)
}

/// Those in one of these states.
fn sessions(home: &Home, states: &[&str]) -> Vec<(String, String)> {
    let all = home.folders().into_iter().filter(|folder| is_identity(&folder.identity));
    let rows = all.map(|folder| Overview::without_plan(&folder)).filter(|row| states.contains(&row.state));
    let described = rows.map(|row| {
        let what = [row.state, &row.age().map_or_else(String::new, render::age), &row.why()].join(" ");
        (row.identity, what.trim_end().to_owned())
    });
    described.collect()
}

/// A folder that somebody else put there may have any name, and shells quote none of these.
fn is_identity(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// One line without a tab, what hides made visible: it may be an agent's own words.
fn short(what: &str) -> String {
    text::truncate(&text::visible(what).replace(['\t', '\n'], " "), 100)
}
