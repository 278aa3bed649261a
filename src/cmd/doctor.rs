//! `doctor`: checks whether everything is there that a start needs, and says what to type where it is not. Changes nothing,
//! leaves nothing, and waits for an engine only so long.

mod engine;
mod filter;
mod host;

use crate::cli::{DoctorArgs, ListFormat};
use crate::exit::{EngineError, Exit, UserError};
use crate::hint::Hint;
use crate::manifest::{self, Manifest};
use crate::probe;
use crate::say;
use crate::state::Home;
use crate::text;
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeSet;

/// What one check found.
#[derive(Serialize)]
struct Diagnosis {
    check: &'static str,
    state: Severity,
    text: String,
    /// What to type.
    hint: Option<Hint>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Ok,
    /// Worth knowing; a start works.
    Note,
    /// A start fails, or does not do what it should.
    Problem,
}

impl Diagnosis {
    fn ok(check: &'static str, text: impl Into<String>) -> Diagnosis {
        Diagnosis { check, state: Severity::Ok, text: text.into(), hint: None }
    }

    fn note(check: &'static str, text: impl Into<String>) -> Diagnosis {
        Diagnosis { state: Severity::Note, ..Diagnosis::ok(check, text) }
    }

    fn problem(check: &'static str, text: impl Into<String>) -> Diagnosis {
        Diagnosis { state: Severity::Problem, ..Diagnosis::ok(check, text) }
    }

    fn hint(self, hint: impl Into<Hint>) -> Diagnosis {
        Diagnosis { hint: Some(hint.into()), ..self }
    }

    fn user_error(check: &'static str, error: UserError) -> Diagnosis {
        Diagnosis { hint: error.hint, ..Diagnosis::problem(check, error.what) }
    }

    fn engine_error(check: &'static str, error: EngineError) -> Diagnosis {
        Diagnosis { hint: error.hint, ..Diagnosis::problem(check, error.what) }
    }
}

/// What is checked.
struct Surroundings {
    home: Home,
    /// The manifest that a start from the current directory would read.
    manifest: Result<Manifest, UserError>,
}

pub fn run(asked: &DoctorArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let cwd = probe::current_dir()?;
    let manifest = manifest::load(home.path(), &cwd);
    let around = Surroundings { home, manifest };
    let (mut diagnoses, engine_answers) = match engine::check(&around) {
        Ok(diagnoses) => (diagnoses, true),
        Err(diagnosis) => (vec![diagnosis], false),
    };
    diagnoses.extend(host::check(&around));
    // A problem of several agents is shown once.
    let mut seen = BTreeSet::new();
    diagnoses.retain(|diagnosis| seen.insert(diagnosis.text.clone()));
    match asked.format {
        ListFormat::Json => say::json(&diagnoses)?,
        ListFormat::Text => say::out(&diagnoses.iter().map(line).collect::<String>())?,
    }
    Ok(match diagnoses.iter().any(|diagnosis| diagnosis.state == Severity::Problem) {
        _ if !engine_answers => Exit::ENGINE,
        true => Exit::REFUSED,
        false => Exit::OK,
    })
}

fn line(diagnosis: &Diagnosis) -> String {
    let state = match diagnosis.state {
        Severity::Ok => "ok",
        Severity::Note => "note",
        Severity::Problem => "PROBLEM",
    };
    let mut text = format!("{state:<8} {:<10} {}\n", diagnosis.check, text::one_line(&diagnosis.text));
    if let Some(hint) = &diagnosis.hint {
        text.push_str(&format!("{:<19} {}\n", "", text::one_line(hint)));
    }
    text
}
