//! `info AGENT`: shows the plan by which an agent would be started, what it needs of this machine, and its sessions. No
//! engine is asked.

use crate::cli::ListFormat;
use crate::cmd::planning;
use crate::exit::{Exit, UserError};
use crate::facts::PROXY_VARIABLE;
use crate::hint;
use crate::hint::Hint;
use crate::manifest::{self, Manifest};
use crate::plan::{Origin, Plan, Source};
use crate::probe;
use crate::render;
use crate::say;
use crate::secrets;
use crate::state::{Home, Overview};
use crate::text;
use anyhow::Result;
use policy::Policy;
use serde::Serialize;

#[derive(Serialize)]
struct AgentReport<'a> {
    agent: &'a str,
    #[serde(flatten)]
    origin: &'a Origin,
    command: &'a [String],
    bottle: &'a str,
    /// The bottles that its bottle inherits from, nearest first.
    extends: &'a [String],
    /// `default`, a name or a Dockerfile.
    image: &'a str,
    /// What a start takes from this machine; never a value.
    needs: Vec<Need>,
    #[serde(flatten)]
    policy: &'a Policy,
    sessions: Vec<Overview>,
    hints: Vec<Hint>,
}

#[derive(Serialize)]
#[serde(tag = "from", rename_all = "lowercase")]
enum Need {
    Env { name: String, set: bool },
    Command { argv: Vec<String> },
    Ask { text: String },
}

pub fn run(home: &Home, name: &str, format: ListFormat) -> Result<Exit> {
    let cwd = probe::current_dir()?;
    let manifest = manifest::load(home.path(), &cwd)?;
    if manifest.location(name).is_err() {
        return Err(unknown_name(home, &manifest, name).into());
    }
    let chosen = manifest.choose(name)?;
    let plan = planning::plan_offline(home, &chosen)?.plan;
    let folders = home.folders();
    let rows = folders.iter().filter(|folder| folder.identity.starts_with(name)).map(Overview::read);
    let sessions: Vec<Overview> = rows.filter(|row| row.agent.as_deref() == Some(name)).collect();
    let report = AgentReport {
        agent: name,
        origin: &plan.origin,
        command: &plan.go.command,
        bottle: &plan.bottle,
        extends: &chosen.bottle.extends,
        image: &plan.images.source,
        needs: needs(&plan),
        policy: &plan.policy,
        sessions,
        hints: vec![
            hint!("claude-bottle start {}", name),
            hint!("claude-bottle start --dry-run {}", name),
            hint!("claude-bottle edit {}", name),
        ],
    };
    match format {
        ListFormat::Json => say::json(&report)?,
        ListFormat::Text => say::out(&text(&report, &plan))?,
    }
    Ok(Exit::OK)
}

/// The error for a name that is neither a session nor an agent.
fn unknown_name(home: &Home, manifest: &Manifest, name: &str) -> UserError {
    let folders = home.folders();
    let sessions = folders.iter().map(|folder| folder.identity.as_str());
    let error = UserError::new(format!("no session and no agent `{}`", text::one_line(name)));
    error.hint("`claude-bottle list` shows the sessions").meant(name, sessions.chain(manifest.agents()))
}

/// What a start takes from this machine, without repetitions.
fn needs(plan: &Plan) -> Vec<Need> {
    let mut sources: Vec<&Source> = Vec::new();
    for source in plan.values.values() {
        if !is_of_host(source) && !sources.contains(&source) {
            sources.push(source);
        }
    }
    let need = |source: &Source| match source {
        Source::Env(name) => Some(Need::Env { name: name.clone(), set: secrets::check_variable(name).is_ok() }),
        Source::EnvOrEmpty(_) => None,
        Source::Command(argv) => Some(Need::Command { argv: argv.clone() }),
        Source::Ask(text) => Some(Need::Ask { text: text.clone() }),
        Source::File(_) => None,
    };
    sources.into_iter().filter_map(need).collect()
}

/// Is it a value of the host's own, which no manifest asked for?
fn is_of_host(source: &Source) -> bool {
    matches!(source, Source::Env(name) if name == PROXY_VARIABLE)
}

fn text(report: &AgentReport, plan: &Plan) -> String {
    let mut more = Vec::new();
    if !report.extends.is_empty() {
        more.push(("extends", report.extends.join(", ")));
    }
    let need = |need: &Need| match need {
        Need::Env { name, set: true } => format!("{name}, which is set"),
        Need::Env { name, set: false } => format!("{name}, which is NOT SET"),
        Need::Command { argv } => {
            format!("what `{}` prints", text::shell_command(argv.iter().map(String::as_str)))
        }
        Need::Ask { text } => format!("an answer: {text}"),
    };
    let lines = |lines: Vec<String>, none: &str| if lines.is_empty() { none.to_owned() } else { lines.join("\n") };
    more.push(("needs", lines(report.needs.iter().map(need).collect(), "nothing of this machine")));
    let session = |row: &Overview| {
        format!("{} ({} for {})", row.identity, row.state, row.age().map_or_else(String::new, render::age))
    };
    more.push(("sessions", lines(report.sessions.iter().map(session).collect(), "none")));
    more.push(("try", Hint::lines(&report.hints)));
    render::about(plan, more)
}
