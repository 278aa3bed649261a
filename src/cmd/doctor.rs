//! `doctor`: is everything there that a start needs, and what to type where it is not. Changes nothing, and waits for no
//! engine for ever.

mod engine;
mod host;

use crate::cli::{DoctorArgs, ListFormat};
use crate::exit::{EngineError, Exit, UserError};
use crate::manifest::{self, Manifest};
use crate::say;
use crate::state::Home;
use crate::text;
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::collections::BTreeSet;

/// What one check found.
#[derive(Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    text: String,
    /// What to type.
    hint: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Worth knowing; stops no start.
    Note,
    /// Stops a start, or spoils it.
    Problem,
}

impl Finding {
    fn ok(check: &'static str, text: impl Into<String>) -> Finding {
        Finding { check, state: State::Ok, text: text.into(), hint: None }
    }

    fn note(check: &'static str, text: impl Into<String>) -> Finding {
        Finding { state: State::Note, ..Finding::ok(check, text) }
    }

    fn problem(check: &'static str, text: impl Into<String>) -> Finding {
        Finding { state: State::Problem, ..Finding::ok(check, text) }
    }

    fn hint(self, hint: impl Into<String>) -> Finding {
        Finding { hint: Some(hint.into()), ..self }
    }

    fn refused(check: &'static str, refused: UserError) -> Finding {
        Finding { hint: refused.hint, ..Finding::problem(check, refused.what) }
    }

    fn failed(check: &'static str, error: EngineError) -> Finding {
        Finding { hint: error.hint, ..Finding::problem(check, error.what) }
    }
}

/// Where it is looked.
struct Scene {
    home: Home,
    /// As a start from here would read it.
    manifest: Result<Manifest, UserError>,
}

pub fn run(asked: &DoctorArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let cwd = std::env::current_dir().context("the current directory is gone")?;
    let manifest = manifest::load(home.path(), &cwd);
    let scene = Scene { home, manifest };
    let (mut findings, engine_answers) = match engine::look(&scene) {
        Ok(findings) => (findings, true),
        Err(finding) => (vec![finding], false),
    };
    findings.extend(host::look(&scene));
    // What stops several agents is one thing to mend.
    let mut told = BTreeSet::new();
    findings.retain(|finding| told.insert(finding.text.clone()));
    match asked.format {
        ListFormat::Json => say::json(&findings)?,
        ListFormat::Text => say::out(&findings.iter().map(line).collect::<String>())?,
    }
    Ok(match findings.iter().any(|finding| finding.state == State::Problem) {
        _ if !engine_answers => Exit::ENGINE,
        true => Exit::REFUSED,
        false => Exit::OK,
    })
}

fn line(finding: &Finding) -> String {
    let state = match finding.state {
        State::Ok => "ok",
        State::Note => "note",
        State::Problem => "PROBLEM",
    };
    let mut text = format!("{state:<8} {:<10} {}\n", finding.check, text::one_line(&finding.text));
    if let Some(hint) = &finding.hint {
        text.push_str(&format!("{:<19} {}\n", "", text::one_line(hint)));
    }
    text
}
