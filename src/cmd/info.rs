//! `info`: shows what is known of a session, on disk and on the engine, or of an agent. Changes nothing, not even the mark
//! of a lost session.
//!
//! Where the engine does not answer, that is reported and the rest is shown.

mod agent;

use super::home_reader::{HomeReader, HomeSize};
use super::live::recorded;
use crate::cli::{InfoArgs, ListFormat};
use crate::docker::{self, ContainerState, Docker};
use crate::exit::{EngineError, Exit};
use crate::hint::Hint;
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
struct SessionReport {
    #[serde(flatten)]
    row: Overview,
    transcript: DiskUsage,
    audit: DiskUsage,
    /// What the session's engine says; null where it does not answer.
    on_engine: Option<EngineObjects>,
    engine_error: Option<String>,
    /// Commands that can be typed next.
    hints: Vec<Hint>,
}

/// A file or a folder of this machine, and its size.
#[derive(Serialize)]
struct DiskUsage {
    path: String,
    files: u64,
    bytes: u64,
}

/// The session's objects on the engine. One that is missing is null.
#[derive(Serialize)]
struct EngineObjects {
    agent: Option<ContainerReport>,
    gate: Option<ContainerReport>,
    home: Option<HomeVolume>,
}

#[derive(Serialize)]
struct ContainerReport {
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
struct HomeVolume {
    volume: String,
    /// Null where it could not be read.
    size: Option<HomeSize>,
}

pub fn run(asked: &InfoArgs) -> Result<Exit> {
    let home = Home::locate()?;
    // An agent's name is the agent here.
    match asked.name.as_deref() {
        Some(name) if name != "-" && home.known(name).is_err() => agent::run(&home, name, asked.format),
        name => show_session(&home, name, asked.format),
    }
}

fn show_session(home: &Home, name: Option<&str>, format: ListFormat) -> Result<Exit> {
    let (folder, plan) = recorded(home, name)?;
    let mut report = SessionReport {
        row: Overview::read(&folder),
        transcript: measure(&folder.transcript()),
        audit: measure(&folder.audit()),
        on_engine: None,
        engine_error: None,
        hints: Vec::new(),
    };
    let docker = Docker::new(&plan.engine)?;
    match containers(&docker, &plan) {
        Ok([agent, gate]) => {
            let reader = HomeReader::open_without_build(&docker, home, &plan);
            // Without the reader's image, the volume may still exist.
            let there = match &reader {
                Ok(reader) => reader.is_some(),
                Err(_) => docker.has_volume(&plan.volume()).is_ok_and(|there| there),
            };
            let reader = reader.ok().flatten();
            let size = reader.as_ref().and_then(|reader| reader.size().ok());
            report.row.work = report.row.work.or_else(|| reader?.work(&folder.brought().elsewhere()).ok());
            let home = there.then(|| HomeVolume { volume: plan.volume(), size });
            report.on_engine = Some(EngineObjects { agent, gate, home });
        }
        Err(error) => report.engine_error = Some(error.what),
    }
    report.hints = hints(&report);
    match format {
        ListFormat::Json => say::json(&report)?,
        ListFormat::Text => say::out(&text(&report))?,
    }
    Ok(Exit::OK)
}

/// Counts files and bytes at or below a path.
fn measure(path: &Path) -> DiskUsage {
    let mut usage = DiskUsage { path: path.display().to_string(), files: 0, bytes: 0 };
    let mut paths = vec![path.to_owned()];
    while let Some(path) = paths.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            paths.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else {
            usage.files += 1;
            usage.bytes += meta.len();
        }
    }
    usage
}

/// The containers of agent and gate, in one call of the engine.
fn containers(docker: &Docker, plan: &Plan) -> Result<[Option<ContainerReport>; 2], EngineError> {
    let found = docker.containers([plan.agent_container(), plan.gate_container()])?;
    let time = |text: String| Some(text).filter(|text| !text.is_empty() && !text.starts_with("0001-"));
    Ok(found.map(|container| {
        let docker::InspectedContainer { image, state } = container?;
        let ContainerState { status, exit_code, started_at, finished_at, .. } = state;
        Some(ContainerReport { status, image, exit_code, started: time(started_at), ended: time(finished_at) })
    }))
}

fn hints(report: &SessionReport) -> Vec<Hint> {
    let identity = &report.row.identity;
    let runs =
        report.on_engine.as_ref().and_then(|on| on.agent.as_ref()).is_some_and(|agent| agent.status == "running");
    let work = report.row.work.as_ref().is_none_or(|work| !work.is_none());
    let verbs: &[&str] = match report.row.state {
        "live" => &["exec"],
        "detached" | "lost" if runs => &["attach", "exec"],
        _ if work => &["resume", "work diff", "cleanup"],
        _ => &["resume", "cleanup"],
    };
    let command =
        |verb: &&str| Hint::command(["claude-bottle"].into_iter().chain(verb.split(' ')).chain([identity.as_str()]));
    verbs.iter().map(command).collect()
}

fn text(report: &SessionReport) -> String {
    let row = &report.row;
    let word = |text: &Option<String>| text::one_line(text.as_deref().unwrap_or("?"));
    let mut state = format!("{} for {}", row.state, row.age().map_or_else(String::new, render::age));
    if row.why.is_some() {
        state.push_str(&format!(": {}", row.why()));
    }
    if row.unsettled {
        state.push_str("\nnot settled: its engine did not answer at its end");
    }
    let usage = |usage: &DiskUsage| match usage.files {
        0 => "none".to_owned(),
        1 => format!("{} ({})", usage.path, render::size(usage.bytes)),
        files => format!("{} ({files} files, {})", usage.path, render::size(usage.bytes)),
    };
    let mut rows = vec![
        ("session", row.identity.clone()),
        ("state", state),
        ("agent", format!("{}, in bottle {}, from {}", word(&row.agent), word(&row.bottle), word(&row.cwd))),
        ("engine", word(&row.engine)),
    ];
    match &report.on_engine {
        None => rows.push(("", format!("DOES NOT ANSWER: {}", word(&report.engine_error)))),
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
    rows.push(("transcript", usage(&report.transcript)));
    rows.push(("audit", usage(&report.audit)));
    rows.push(("try", Hint::lines(&report.hints)));
    let line = |(name, value): (&str, String)| format!("{name:<10} {}\n", value.replace('\n', "\n           "));
    rows.into_iter().map(line).collect()
}

fn container(of: Option<&ContainerReport>) -> String {
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

fn volume(of: &HomeVolume) -> String {
    match &of.size {
        Some(size) => format!("{} ({} files, {})", of.volume, size.files, render::size(size.bytes)),
        None => of.volume.clone(),
    }
}
