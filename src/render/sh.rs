//! Renders the plan as a script for a POSIX shell that needs an engine and nothing of ours. It runs the plan's own steps.
//!
//! All of it is in functions, called on the last line: a script that a broken pipe cuts short does nothing. Secrets go from
//! the host's variables through the shell's own `printf` into the gate's stdin: never into an argument or a file.

use crate::exit::UserError;
use crate::facts::Terminal;
use crate::plan::{Args, Plan, Profile, Seccomp, Source, StepKind};
use crate::spec::Beginning;
use crate::text::shell_quoted;
use std::fmt::Write;
use std::path::Path;

/// # Errors
/// `UserError` for a plan with asked values, which only a person can give.
pub fn sh(plan: &Plan) -> Result<String, UserError> {
    if plan.values.values().any(|source| matches!(source, Source::Ask(_))) {
        return Err(UserError::new("`--format sh` cannot ask for a value, and the plan has one that is asked for")
            .hint("start it here, or give the value by `${VARIABLE}`, and a key without a passphrase"));
    }
    if plan.spec.beginning == Beginning::Transcript {
        return Err(
            UserError::new("`--format sh` cannot put a transcript back: it is on this disk").hint("resume it here")
        );
    }
    if plan.workspace.is_some() {
        return Err(UserError::new("`--format sh` cannot copy a directory into the workspace")
            .hint("start it here, or leave `--cwd` away"));
    }
    let engine = shell_quoted(&plan.engine.program);
    let mut text = String::new();
    let _ = writeln!(text, "#!/bin/sh\n# A bottle for agent `{}`: {}.", plan.spec.agent, plan.identity);
    text.push_str("# Needs the engine's program, base64 and tr; its images are made by `claude-bottle build`.\n");
    for (name, value) in plan.engine.variables() {
        if let Some(value) = value {
            let _ = writeln!(text, "{name}={}; export {name}", shell_quoted(value));
        }
    }
    text.push_str("\ndocument() {\n");
    let _ = writeln!(text, "    printf %s {}", shell_quoted(&plan.document_head()));
    let mut comma = "";
    for (name, source) in &plan.values {
        let _ = writeln!(text, "    printf %s {}", shell_quoted(&format!("{comma}{}:\"", json(name))));
        let _ = writeln!(text, "    {} | tr -d '\\n'", encoded(source, &plan.home));
        text.push_str("    printf '\"'\n");
        comma = ",";
    }
    text.push_str("    printf '}}'\n}\n\n");

    text.push_str("take_down() {\n");
    text.push_str(&take_down(plan, &engine));
    text.push_str("}\n\nbottle() {\n");
    for name in plan.values.values().filter_map(|source| match source {
        Source::Env(name) => Some(name),
        _ => None,
    }) {
        let _ = writeln!(text, "    [ -n \"${{{name}-}}\" ] || {{ echo 'set {name} first' >&2; return 2; }}");
    }
    text.push_str("    folder=$(mktemp -d) || return 125\n    code=125 began=\n");
    if plan.seccomp == Seccomp::Own {
        for profile in Profile::ALL {
            let (words, file) = (shell_quoted(&profile.text()), profile.file_name());
            let _ = writeln!(text, "    printf %s {words} >\"$folder\"/{file} || return 125");
        }
    }
    text.push_str(
        "    trap 'exit 129' HUP\n    trap 'exit 130' INT\n    trap 'exit 143' TERM\n    trap take_down EXIT\n",
    );
    for step in &plan.up() {
        let call = call(&engine, &step.args);
        match step.kind {
            StepKind::StartGate => {
                let _ = writeln!(text, "    document | {call} >\"$folder/gate\" 2>&1 &\n    gate=$!");
            }
            // It may be there already.
            StepKind::CreatePushesVolume => {
                let _ = writeln!(text, "    {call} >/dev/null 2>&1");
            }
            StepKind::StartAgent => text.push_str(&start_agent(plan, &engine)),
            // The output of a call that succeeds is dropped: warnings of the client's are of no use here.
            _ => {
                let _ = writeln!(text, "    words=$({call} 2>&1) || {{ echo \"$words\" >&2; return 125; }}");
            }
        }
    }
    text.push_str("    code=$?\n    return \"$code\"\n}\n\nbottle\n");
    Ok(text)
}

/// The calls that end the session. The volumes and the transcript stay where the agent ran and did not end with 0.
fn take_down(plan: &Plan, engine: &str) -> String {
    let down = plan.down();
    let mut text = format!("    state=$({} 2>/dev/null) || state=unknown\n", call(engine, &down.inspect));
    let _ = writeln!(text, "    {} >\"$folder/transcript.tar\" 2>/dev/null", call(engine, &down.snapshot));
    for removal in down.containers() {
        let _ = writeln!(text, "    {} >/dev/null 2>&1", call(engine, removal));
    }
    text.push_str("    if [ \"$code\" = 0 ] || [ -z \"$began\" ]; then\n");
    for removal in down.volumes() {
        let _ = writeln!(text, "        {} >/dev/null", call(engine, removal));
    }
    text.push_str("        rm -rf \"$folder\"\n    else\n");
    let volume = plan.volume();
    let _ = writeln!(text, "        echo \"kept: volume {volume}, $folder/transcript.tar; $state\" >&2\n    fi");
    text
}

/// Waits until the gate is ready, and runs the agent.
fn start_agent(plan: &Plan, engine: &str) -> String {
    let call = call(engine, &plan.start_agent_by_hand());
    let mut text =
        "    until [ -s \"$folder/gate\" ] || ! kill -0 \"$gate\" 2>/dev/null; do sleep 0.1; done\n".to_owned();
    text.push_str("    case $(head -n 1 \"$folder/gate\") in\n");
    text.push_str("    *'\"event\":\"ready\"'*) ;;\n    *) cat \"$folder/gate\" >&2; return 125 ;;\n    esac\n");
    text.push_str("    began=yes\n");
    let _ = match plan.terminal {
        Terminal::Tty => writeln!(text, "    {call} </dev/tty"),
        Terminal::Pipes => writeln!(text, "    {call}"),
    };
    text
}

fn call(engine: &str, args: &Args) -> String {
    let args: Vec<String> = args.iter().map(|arg| profile(arg).unwrap_or_else(|| shell_quoted(arg))).collect();
    format!("{engine} {}", args.join(" "))
}

/// The argument that names a profile, where the script has written it itself.
fn profile(arg: &str) -> Option<String> {
    let name = Path::new(arg.strip_prefix("seccomp=")?).file_name()?.to_str()?;
    Profile::ALL.iter().any(|p| p.file_name() == name).then(|| format!("seccomp=\"$folder\"/{name}"))
}

/// A shell pipeline that prints the value, and nothing else, in base64. A command runs in `home`.
fn encoded(source: &Source, home: &Path) -> String {
    match source {
        Source::Env(name) => format!("printf %s \"${name}\" | base64"),
        Source::EnvOrEmpty(name) => format!("printf %s \"${{{name}-}}\" | base64"),
        Source::Command(argv) => {
            let words: Vec<String> = argv.iter().map(|word| shell_quoted(word)).collect();
            let home = shell_quoted(&home.to_string_lossy());
            format!("printf %s \"$(cd {home} && {})\" | base64", words.join(" "))
        }
        Source::File(path) => format!("base64 <{}", shell_quoted(&path.to_string_lossy())),
        Source::Ask(_) => "false".to_owned(),
    }
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
