//! A plan as text: what the user must see before saying yes. Of variables it shows the names only.

use super::egress::egress;
use super::remotes::remotes;
use crate::exit::UserError;
use crate::facts::{EngineKind, Terminal, Workspace};
use crate::plan::{Plan, Runtime, Seccomp, Source};

use crate::spec::{Beginning, CopyScope, Mode};
use crate::text::{one_line, path, shell_command, truncate};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The whole plan. `problems`: what keeps it from being started.
pub fn text(plan: &Plan, problems: &[UserError]) -> String {
    let mut rows: Vec<(&str, String)> = vec![("agent", agent(plan)), ("session", session(plan))];
    if plan.spec.beginning == Beginning::Transcript {
        rows.push(("home", "gone; resumes from the transcript".to_owned()));
    }
    if let Some(workspace) = &plan.workspace {
        rows.push(("cwd", copied(plan, workspace)));
    }
    rows.extend(bottle_rows(plan));
    rows.push(("image", image(plan)));
    rows.push(("runtime", runtime(plan)));
    rows.push(("limits", limits(plan)));
    rows.push(("seccomp", seccomp(plan)));
    rows.push(("engine", engine(plan)));
    if plan.proxy {
        rows.push(("proxy", proxy(plan)));
    }
    rows.extend(problems.iter().map(|problem| ("NOT READY:", problem.what.clone())));
    lay_out(rows) + &egress(plan) + &remotes(plan)
}

/// What takes the host's proxy, and what goes past it.
fn proxy(plan: &Plan) -> String {
    let of_routes =
        plan.policy.routes.iter().filter(|route| !route.deny && plan.is_past_proxy(&route.server(route.host.as_str())));
    let of_routes = of_routes.map(|route| route.base_url());
    let remotes = plan.git.iter().flat_map(|git| &git.remotes);
    let remotes = remotes.filter(|remote| remote.server().is_some_and(|server| plan.is_past_proxy(&server)));
    let direct: BTreeSet<String> = of_routes.chain(remotes.map(|remote| format!("remote `{}`", remote.name))).collect();
    let mut words = match direct.is_empty() {
        true => "all upstream traffic takes the host's proxy; the check of addresses is the proxy's".to_owned(),
        false => format!(
            "takes all upstream traffic, and checks its addresses, but for what goes directly: {}",
            direct.into_iter().collect::<Vec<_>>().join(", ")
        ),
    };
    if !plan.no_proxy.is_empty() {
        let listed = one_line(plan.no_proxy.as_str());
        words.push_str(&format!("; directly by `CLAUDE_BOTTLE_NO_PROXY`: {listed}"));
    }
    words
}

/// An agent that was not started; `more` are rows that come before the routes.
pub fn about(plan: &Plan, more: Vec<(&str, String)>) -> String {
    let mut rows = vec![("agent", agent(plan))];
    rows.extend(bottle_rows(plan));
    rows.extend([("image", plan.images.source.clone()), ("limits", limits(plan))]);
    rows.extend(more);
    lay_out(rows) + &egress(plan) + &remotes(plan)
}

fn lay_out(rows: Vec<(&str, String)>) -> String {
    let mut text = String::new();
    for (name, value) in rows {
        // Words of a cloned repository must not change what the user sees and agrees to.
        let lines: Vec<String> = value.split('\n').map(one_line).collect();
        let _ = writeln!(text, "{name:<8} {}", lines.join("\n         "));
    }
    text
}

/// What runs, with what, in which bottle.
fn bottle_rows(plan: &Plan) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    // A long prompt is cut.
    let words: Vec<String> = plan.go.command.iter().map(|word| truncate(word, 60)).collect();
    rows.push(("runs", shell_command(words.iter().map(String::as_str))));
    let env = names(plan);
    if !env.is_empty() {
        rows.push(("env", env));
    }
    if !plan.origin.skills.is_empty() {
        rows.push(("skills", plan.origin.skills.join(", ")));
    }
    let brought = brought(plan);
    if !brought.is_empty() {
        rows.push(("brings", brought.join(", ")));
    }
    rows.push(("bottle", plan.bottle.clone()));
    if let Some(user) = &plan.origin.git_user {
        let whose = if plan.origin.git_user_of_cwd { ", as you do in this directory" } else { "" };
        rows.push(("git", format!("commits as {}{whose}", one_line(user))));
    }
    if let Some(signing) = signing(plan) {
        rows.push(("signs", signing));
    }
    rows
}

/// What is signed, by which key.
fn signing(plan: &Plan) -> Option<String> {
    let key = plan.git.as_ref()?.signing_key.as_ref()?;
    let Some(Source::File(file)) = plan.values.get(&key.key) else { return None };
    let asked = if key.passphrase.is_some() { ", its passphrase is asked" } else { "" };
    Some(format!("EVERYTHING THE AGENT COMMITS OR TAGS, whatever it is, by the key {}{asked}", path(file)))
}

fn limits(plan: &Plan) -> String {
    format!("{} memory, {} CPUs, {} processes", exact_size(plan.limits.memory), plan.limits.cpus, plan.limits.pids)
}

/// The host's variables whose values are not looked for, and why; empty where there is none.
pub fn unmatched(names: &BTreeMap<String, &str>) -> String {
    let each: Vec<String> = names.iter().map(|(name, why)| format!("{name} ({why})")).collect();
    match each.is_empty() {
        true => String::new(),
        false => format!("dlp      not looked for in requests: {}\n", each.join(", ")),
    }
}

fn agent(plan: &Plan) -> String {
    let mut text = format!("{} ({})", plan.spec.agent, one_line(&plan.origin.at));
    if plan.origin.directory {
        text.push_str("\ndefined by this directory");
    }
    if let Some(hidden) = &plan.origin.hides {
        let _ = write!(text, ", HIDES your own agent of that name ({})", one_line(hidden));
    }
    text
}

/// Files with holes that are named; the others are counted.
const MAX_SPARSE_FILES: usize = 10;

/// What of the host's directory goes into the workspace, or went in at the session's beginning.
fn copied(plan: &Plan, workspace: &Workspace) -> String {
    let what = match (plan.spec.beginning, plan.spec.copy) {
        (Beginning::New, Some(CopyScope::All)) => "all of it goes in",
        (Beginning::New, _) => "goes in, without what git ignores",
        _ => "went in at the beginning",
    };
    let count = if workspace.files == 1 { "1 file".to_owned() } else { format!("{} files", workspace.files) };
    let mut text = format!("{} {what}: {count}, {}", path(&workspace.from), size(workspace.bytes));
    match workspace.repositories.len() {
        0 => {}
        1 => text.push_str(", with its repository"),
        count => text.push_str(&format!(", {count} repositories")),
    }
    if workspace.all_ignored {
        text.push_str("\nNONE OF ITS FILES goes in, because git ignores all of them: `--cwd=all` copies them");
    }
    for folder in &workspace.outside {
        text.push_str(&format!("\nread outside of it: `{}`", path(folder)));
    }
    for filter in &workspace.filters {
        let name = one_line(filter);
        text.push_str(&format!(
            "\nno filter `{name}` inside, unless the image sets it up: a commit there has the file itself"
        ));
    }
    for file in workspace.sparse.iter().take(MAX_SPARSE_FILES) {
        let (name, bytes) = (one_line(&file.path), size(file.bytes));
        text.push_str(&format!("\n`{name}` stays out: most of its {bytes} are holes; `claude-bottle put` copies it"));
    }
    if let Some(more) = workspace.sparse.len().checked_sub(MAX_SPARSE_FILES).filter(|more| *more > 0) {
        text.push_str(&format!("\n{more} more of such files stay out"));
    }
    if let Some(within) = &workspace.within {
        text.push_str(&format!("\nthe repository `{}` around it stays out: no history inside", path(within)));
    }
    text
}

fn session(plan: &Plan) -> String {
    let how = match (plan.spec.beginning, plan.spec.mode, plan.terminal) {
        (Beginning::Resume, _, _) => "resumed: new containers on the kept home",
        (Beginning::Transcript, _, _) => "resumed: a new home",
        (_, Mode::Headless, _) => "headless: one prompt, pipes",
        (_, _, Terminal::Pipes) => "pipes, no terminal",
        _ => "interactive",
    };
    match plan.terminal {
        Terminal::Tty if plan.outlives_its_terminal() => {
            format!("{} ({how}; {} detaches, and so does closing the terminal)", plan.identity, detach_keys(plan))
        }
        Terminal::Tty => format!("{} ({how}; {} detaches)", plan.identity, detach_keys(plan)),
        Terminal::Pipes => format!("{} ({how})", plan.identity),
    }
}

/// The detach keys, and how they are typed where a keyboard has no bracket of its own.
fn detach_keys(plan: &Plan) -> String {
    let keys = &plan.detach_keys;
    match keys.contains("ctrl-]") {
        true => format!("{keys} or {}", keys.replace("ctrl-]", "ctrl-5")),
        false => keys.clone(),
    }
}

/// The names of the agent's variables; where a value is not literal, also where it comes from.
fn names(plan: &Plan) -> String {
    let configures_git = plan.origin.git_user.is_some() || plan.git.is_some();
    let is_switch = |name: &str| wire::CA_SWITCHES.iter().any(|(switch, _)| *switch == name);
    let ours =
        |name: &str| name == "CLAUDE_BOTTLE" || is_switch(name) || (configures_git && name.starts_with("GIT_CONFIG_"));
    let name = |(name, source): (&String, &wire::Source)| match source {
        wire::Source::Text(text) if text == wire::CA_BUNDLE => None,
        wire::Source::Text(_) if ours(name) => None,
        wire::Source::Text(_) => Some(name.clone()),
        wire::Source::Value(value) => Some(match plan.values.get(value) {
            Some(Source::Env(host)) => format!("{name} (host's {host})"),
            Some(Source::EnvOrEmpty(host)) => format!("{name} (host's {host}, or empty)"),
            Some(Source::Ask(_)) => format!("{name} (asked)"),
            _ => name.clone(),
        }),
    };
    plan.go.env.iter().filter_map(name).collect::<Vec<_>>().join(", ")
}

fn brought(plan: &Plan) -> Vec<String> {
    let mut brought = Vec::new();
    if plan.origin.prompt {
        brought.push("prompt".to_owned());
    }
    if plan.origin.claude_md {
        brought.push("your CLAUDE.md".to_owned());
    }
    if !plan.origin.settings.is_empty() {
        brought.push(format!("settings ({})", plan.origin.settings.join(", ")));
    }
    brought
}

fn image(plan: &Plan) -> String {
    let mut text = plan.images.source.clone();
    let missing: Vec<&str> = plan.images.builds.iter().map(|build| build.tag.as_str()).collect();
    if !missing.is_empty() {
        let _ = write!(text, "\nbuilt where missing: {}", missing.join(", "));
    }
    text
}

/// The engine; also its kind, where that is not the one of the program's name, or was not asked yet.
fn engine(plan: &Plan) -> String {
    let engine = &plan.engine;
    let guessed = plan.runtime == Runtime::Undecided;
    let kind = match (engine.kind, EngineKind::of_program(&engine.program)) {
        (EngineKind::Podman, EngineKind::Podman) if guessed => ", taken for podman by its name, decided at start",
        (EngineKind::Podman, EngineKind::Docker) => ", which is podman",
        (EngineKind::Docker, EngineKind::Podman) => ", which is docker",
        _ => "",
    };
    format!("{} ({}){kind}", engine.program, engine.location())
}

fn runtime(plan: &Plan) -> String {
    match &plan.runtime {
        Runtime::Default { why } => format!("the engine's default ({why})"),
        Runtime::Gvisor { runtime } => format!("gVisor ({runtime})"),
        Runtime::Undecided => "decided at start".to_owned(),
    }
}

fn seccomp(plan: &Plan) -> String {
    match plan.seccomp {
        Seccomp::Own => "claude-bottle's own filter of system calls",
        Seccomp::Engine => "THE ENGINE'S DEFAULT, which is wider (the bottle says `\"seccomp\": \"engine\"`)",
        Seccomp::Unfiltered => {
            "NONE: THIS ENGINE FILTERS NOTHING BY ITSELF (the bottle says `\"seccomp\": \"engine\"`)"
        }
        Seccomp::Missing => "NONE: THIS ENGINE CANNOT FILTER SYSTEM CALLS",
        Seccomp::UnknownProcessor => "THE ENGINE'S DEFAULT: THERE IS NO FILTER OF CLAUDE-BOTTLE'S FOR ITS PROCESSOR",
    }
    .to_owned()
}

const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

/// An exact size, for limits: `2 GiB`, or bytes where no unit fits.
fn exact_size(count: u64) -> String {
    match UNITS.iter().find(|(size, _)| count >= *size && count.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{} {unit}", count / size),
        None => format!("{count} bytes"),
    }
}

/// A rounded size, for what was measured: `1.5 MiB`.
pub fn size(count: u64) -> String {
    match UNITS.iter().find(|(size, _)| count >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", count as f64 / *size as f64),
        None => format!("{count} bytes"),
    }
}

/// A smaller copy ends before its progress could be read. Bytes.
pub const MIN_SHOWN_COPY_BYTES: u64 = 8 << 20;

/// How much of a copy was read, and how much there is in all. Bytes.
pub struct CopyProgress {
    pub read: u64,
    pub all: u64,
}

/// How far a copy is; `None` for one that is too small to show it. `size`: the bytes of what is copied, without what the
/// archive adds.
pub fn copying(CopyProgress { read, all }: CopyProgress, size: u64) -> Option<String> {
    (all >= MIN_SHOWN_COPY_BYTES).then(|| format!("copying {} % of {}", (read * 100 / all).min(100), self::size(size)))
}

/// `45s`, `12m`, `3h`, `8d`.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}
