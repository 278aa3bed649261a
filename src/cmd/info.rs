//! `info`: what is known of a session, on disk and on the engine, or of an agent. Changes nothing, not even the mark of a
//! lost one.
//!
//! An engine that does not answer is told of, and the rest is shown: the question was what is known.

mod agent;

use super::home_reader::{HomeReader, HomeSize};
use super::launch;
use crate::cli::{InfoArgs, ListFormat};
use crate::docker::{self, ContainerState, Docker};
use crate::exit::{EngineError, Exit};
use crate::plan::Plan;
use crate::render;
use crate::say;
use crate::state::{Home, Overview};
use crate::text;
use anyhow::Result;
use serde::Serialize;
use std::fs;
use std::path::Path;

#[derive(Serialize)]
struct Known {
    #[serde(flatten)]
    row: Overview,
    transcript: Place,
    audit: Place,
    /// What the session's engine says; null where it does not answer.
    on_engine: Option<OnEngine>,
    engine_error: Option<String>,
    /// What can be typed.
    hints: Vec<String>,
}

/// Of the disk.
#[derive(Serialize)]
struct Place {
    path: String,
    files: u64,
    bytes: u64,
}

/// What is not there is null.
#[derive(Serialize)]
struct OnEngine {
    agent: Option<Container>,
    gate: Option<Container>,
    home: Option<Volume>,
}

#[derive(Serialize)]
struct Container {
    /// created, running, exited, …
    status: String,
    /// The image's id.
    image: String,
    exit_code: i64,
    /// RFC 3339
    started: Option<String>,
    ended: Option<String>,
}

#[derive(Serialize)]
struct Volume {
    volume: String,
    /// Null where nobody could look.
    size: Option<HomeSize>,
}

pub fn run(asked: &InfoArgs) -> Result<Exit> {
    let home = Home::locate()?;
    match home.known(&asked.name) {
        Ok(_) => session(&home, asked),
        Err(_) => agent::run(&home, asked),
    }
}

fn session(home: &Home, asked: &InfoArgs) -> Result<Exit> {
    let (folder, plan) = launch::recorded(home, &asked.name)?;
    let mut known = Known {
        row: Overview::read(&folder),
        transcript: measured(&folder.transcript()),
        audit: measured(&folder.audit()),
        on_engine: None,
        engine_error: None,
        hints: Vec::new(),
    };
    let docker = Docker::new(&plan.engine)?;
    match containers(&docker, &plan) {
        Ok([agent, gate]) => {
            let reader = HomeReader::open_without_build(&docker, home, &plan);
            // Without its image the volume may be there all the same.
            let there = match &reader {
                Ok(reader) => reader.is_some(),
                Err(_) => docker.has_volume(&plan.volume()).is_ok_and(|there| there),
            };
            let reader = reader.ok().flatten();
            let size = reader.as_ref().and_then(|reader| reader.size().ok());
            known.row.work = known.row.work.or_else(|| reader?.work().ok());
            let home = there.then(|| Volume { volume: plan.volume(), size });
            known.on_engine = Some(OnEngine { agent, gate, home });
        }
        Err(error) => known.engine_error = Some(error.what),
    }
    known.hints = hints(&known);
    match asked.format {
        ListFormat::Json => say::json(&known)?,
        ListFormat::Text => say::out(&text(&known))?,
    }
    Ok(Exit::OK)
}

/// Files and bytes at or below a path.
fn measured(path: &Path) -> Place {
    let mut place = Place { path: path.display().to_string(), files: 0, bytes: 0 };
    let mut paths = vec![path.to_owned()];
    while let Some(path) = paths.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            paths.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else {
            place.files += 1;
            place.bytes += meta.len();
        }
    }
    place
}

/// The agent's and the gate's, in one call.
fn containers(docker: &Docker, plan: &Plan) -> Result<[Option<Container>; 2], EngineError> {
    let found = docker.containers([plan.agent_container(), plan.gate_container()])?;
    let time = |text: String| Some(text).filter(|text| !text.is_empty() && !text.starts_with("0001-"));
    Ok(found.map(|container| {
        let docker::Container { image, state } = container?;
        let ContainerState { status, exit_code, started_at, finished_at, .. } = state;
        Some(Container { status, image, exit_code, started: time(started_at), ended: time(finished_at) })
    }))
}

fn hints(known: &Known) -> Vec<String> {
    let identity = &known.row.identity;
    let runs = known.on_engine.as_ref().and_then(|on| on.agent.as_ref()).is_some_and(|agent| agent.status == "running");
    let work = known.row.work.as_ref().is_none_or(|work| !work.is_none());
    let verbs: &[&str] = match known.row.state {
        "live" => &["exec"],
        "detached" | "lost" if runs => &["attach", "exec"],
        _ if work => &["resume", "work diff", "cleanup"],
        _ => &["resume", "cleanup"],
    };
    verbs.iter().map(|verb| format!("claude-bottle {verb} {identity}")).collect()
}

fn text(known: &Known) -> String {
    let row = &known.row;
    let word = |text: &Option<String>| text::visible(text.as_deref().unwrap_or("?"));
    let mut state = format!("{} for {}", row.state, row.age().map_or_else(String::new, render::age));
    if row.why.is_some() {
        state.push_str(&format!(": {}", row.why()));
    }
    if row.unsettled {
        state.push_str("\nnot settled: its engine did not answer at its end");
    }
    let place = |place: &Place| match place.files {
        0 => "none".to_owned(),
        1 => format!("{} ({})", place.path, render::size(place.bytes)),
        files => format!("{} ({files} files, {})", place.path, render::size(place.bytes)),
    };
    let mut rows = vec![
        ("session", row.identity.clone()),
        ("state", state),
        ("agent", format!("{}, in bottle {}, from {}", word(&row.agent), word(&row.bottle), word(&row.cwd))),
        ("engine", word(&row.engine)),
    ];
    match &known.on_engine {
        None => rows.push(("", format!("DOES NOT ANSWER: {}", word(&known.engine_error)))),
        Some(on) => rows.extend([
            ("", format!("agent's container: {}", container(on.agent.as_ref()))),
            ("", format!("gate's container: {}", container(on.gate.as_ref()))),
            ("home", on.home.as_ref().map_or_else(|| "gone".to_owned(), volume)),
        ]),
    }
    rows.push(("work", row.work.as_ref().map_or_else(|| "unknown".to_owned(), render::work)));
    if row.rebuilt {
        rows.push(("image", "its own: packages were added while it ran".to_owned()));
    }
    rows.push(("transcript", place(&known.transcript)));
    rows.push(("audit", place(&known.audit)));
    rows.push(("try", known.hints.join("\n")));
    let line = |(name, value): (&str, String)| format!("{name:<10} {}\n", value.replace('\n', "\n           "));
    rows.into_iter().map(line).collect()
}

fn container(of: Option<&Container>) -> String {
    let Some(of) = of else { return "gone".to_owned() };
    let mut text = match of.status.as_str() {
        "exited" => format!("ended with {}", of.exit_code),
        status => status.to_owned(),
    };
    if let Some(started) = &of.started {
        text.push_str(&format!(", started {started}"));
    }
    if let Some(ended) = of.ended.as_ref().filter(|_| of.status != "running") {
        text.push_str(&format!(", ended {ended}"));
    }
    format!("{text}\n  image {}", of.image)
}

fn volume(of: &Volume) -> String {
    match &of.size {
        Some(size) => format!("{} ({} files, {})", of.volume, size.files, render::size(size.bytes)),
        None => of.volume.clone(),
    }
}
