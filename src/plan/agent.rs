//! The agent's command, environment and files: what the gate tells the agent's init.

use super::Source;
use crate::exit::UserError;
use crate::facts::Facts;
use crate::manifest::{Agent, Chosen, EnvValue};
use crate::spec::{Beginning, Mode, Spec};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use wire::{CA_BUNDLE, CA_SWITCHES, CA_VARIABLES, File, GIT_PORT, Go, MCP_URL, WORKSPACE, WriteMode};

/// How long Claude Code waits for a call of a tool that the operator answers, in milliseconds: longer than the gate holds
/// one.
const MAX_TOOL_CALL_MS: u32 = 11 * 60 * 1000;

/// What the agent's init is told. Every value that it names is added to `values`.
///
/// # Errors
/// As [`check`].
pub fn go(values: &mut BTreeMap<String, Source>, chosen: &Chosen, spec: &Spec, facts: &Facts) -> Result<Go, UserError> {
    check(&chosen.agent, spec)?;
    let mut go = Go { cwd: WORKSPACE.to_owned(), env: environment(chosen, facts), ..Go::default() };
    let declared = chosen.bottle.routes.iter().map(|route| route.policy.port);
    let git = (!chosen.bottle.remotes.is_empty()).then_some(GIT_PORT);
    go.ports = declared.chain(git).filter(|port| ![80, 443].contains(port)).collect();
    go.ports.sort_unstable();
    go.ports.dedup();
    match &chosen.agent.command {
        Some(command) => go.command = command.iter().chain(&spec.args).cloned().collect(),
        None => claude(&mut go, chosen, spec, facts),
    }
    for skill in &facts.agent.skills {
        let name = format!("skill:{}", skill.path);
        values.insert(name.clone(), Source::File(skill.from.clone()));
        let path = format!(".claude/skills/{}", skill.path);
        go.files.push(File { path, mode: skill.mode, how: WriteMode::Put, source: wire::Source::Value(name) });
    }
    if let Some(path) = &facts.agent.claude_md {
        values.insert("claude.md".to_owned(), Source::File(path.clone()));
        let source = wire::Source::Value("claude.md".to_owned());
        go.files.push(File { path: ".claude/CLAUDE.md".to_owned(), mode: 0o644, how: WriteMode::Put, source });
    }
    Ok(go)
}

fn environment(chosen: &Chosen, facts: &Facts) -> BTreeMap<String, wire::Source> {
    let text = |value: &str| wire::Source::Text(value.to_owned());
    let mut env: BTreeMap<String, wire::Source> =
        facts.agent.terminal.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    // The only locale of the image. Programs fall back to ASCII where the locale's name is unknown to it.
    env.insert("LANG".to_owned(), text("C.UTF-8"));
    env.extend(CA_VARIABLES.iter().map(|name| ((*name).to_owned(), text(CA_BUNDLE))));
    env.extend(CA_SWITCHES.iter().map(|(name, value)| ((*name).to_owned(), text(value))));
    env.insert("CLAUDE_BOTTLE".to_owned(), text(&facts.identity));
    let mut git = super::git::configuration(&chosen.bottle, facts);
    if let Some(author) = super::git::author(chosen, facts) {
        git.extend([("user.name".to_owned(), author.name), ("user.email".to_owned(), author.email)]);
    }
    if !git.is_empty() {
        env.insert("GIT_CONFIG_COUNT".to_owned(), text(&git.len().to_string()));
    }
    for (number, (key, value)) in git.iter().enumerate() {
        env.insert(format!("GIT_CONFIG_KEY_{number}"), text(key));
        env.insert(format!("GIT_CONFIG_VALUE_{number}"), text(value));
    }
    for (name, value) in &chosen.bottle.env {
        let source = match value {
            EnvValue::Literal(literal) => text(literal),
            EnvValue::Host(_) | EnvValue::HostOrEmpty(_) | EnvValue::Ask(_) => {
                wire::Source::Value(format!("env:{name}"))
            }
        };
        env.insert(name.clone(), source);
    }
    for placeholder in chosen.bottle.placeholders() {
        env.insert(placeholder.variable.clone(), text(&placeholder.value));
    }
    env
}

/// Does the request fit the agent? It needs no facts, so that a mistake is told before the engine is asked anything.
///
/// # Errors
/// `UserError` for a flag of Claude Code's where the agent runs another program.
pub fn check(agent: &Agent, spec: &Spec) -> Result<(), UserError> {
    if agent.command.is_none() {
        return Ok(());
    }
    let flags = [
        (spec.prompt.is_some(), "--prompt"),
        (spec.mode == Mode::Headless, "--headless"),
        (spec.remote_control, "--remote-control"),
    ];
    if let Some((_, flag)) = flags.iter().find(|(asked, _)| *asked) {
        return Err(UserError::new(format!(
            "`{flag}` is for Claude Code; agent `{}` has a command of its own",
            spec.agent
        ))
        .hint("arguments for it go behind `--`"));
    }
    Ok(())
}

fn claude(go: &mut Go, chosen: &Chosen, spec: &Spec, facts: &Facts) {
    for name in ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER"] {
        go.env.entry(name.to_owned()).or_insert_with(|| wire::Source::Text("1".to_owned()));
    }
    let mut settings = Map::new();
    settings.insert("skipDangerousModePermissionPrompt".to_owned(), Value::Bool(true));
    settings.extend(chosen.agent.settings.clone());
    go.files.push(merged(".claude/settings.json", &Value::Object(settings)));
    let mut state = first_run(chosen);
    if chosen.bottle.supervise.is_some() {
        // A server of the user's own file, which Claude Code connects without a question.
        let server = json!({ "type": "http", "url": MCP_URL, "timeout": MAX_TOOL_CALL_MS });
        state["mcpServers"] = json!({ "supervise": server });
    } else if spec.beginning != Beginning::New {
        // The home may have it from a run before.
        state["mcpServers"] = json!({ "supervise": null });
    }
    go.files.push(merged(".claude.json", &state));

    let mut command = vec!["claude".to_owned(), "--dangerously-skip-permissions".to_owned()];
    if let Some(prompt) = &facts.agent.prompt {
        command.extend(["--append-system-prompt".to_owned(), prompt.clone()]);
    }
    if spec.remote_control {
        command.push("--remote-control".to_owned());
    }
    if spec.beginning != Beginning::New {
        command.push("--continue".to_owned());
    }
    if spec.mode == Mode::Headless {
        command.push("--print".to_owned());
    }
    command.extend(spec.args.iter().cloned());
    if let Some(prompt) = &spec.prompt {
        // A prompt may begin with a dash.
        command.extend(["--".to_owned(), prompt.clone()]);
    }
    go.command = command;
}

/// Claude Code's state file: with it, Claude Code starts without its first-run questions.
fn first_run(chosen: &Chosen) -> Value {
    let mut state = json!({
        "hasCompletedOnboarding": true,
        "projects": { WORKSPACE: { "hasTrustDialogAccepted": true } },
    });
    if let Some(key) = chosen.bottle.placeholders().find(|placeholder| placeholder.variable == "ANTHROPIC_API_KEY") {
        let end = key.value.len().saturating_sub(20);
        state["customApiKeyResponses"] = json!({ "approved": [&key.value[end..]] });
    }
    state
}

fn merged(path: &str, value: &Value) -> File {
    let source = wire::Source::Text(value.to_string());
    File { path: path.to_owned(), mode: 0o600, how: WriteMode::Merge, source }
}
