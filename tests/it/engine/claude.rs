//! Real Claude Code in a bottle, driven by the scripted model.

use super::{Rig, run};
use serde_json::{Value, json};
use std::io::Write;

pub const TOKEN: &str = "sk-real-0f6d1c93b7a54e28a1";

fn rig(turns: &Value) -> (Rig, super::Served) {
    rig_with(turns, "CLAUDE_CODE_OAUTH_TOKEN")
}

fn rig_with(turns: &Value, variable: &str) -> (Rig, super::Served) {
    let rig = Rig::new(&json!({}));
    let model = rig.model(turns);
    let origin = rig.origin();
    rig.manifest(&json!({
        "bottles": { "b": { "egress": { "routes": [model.model_route(variable), origin.route()] },
            "git": { "user": { "name": "Bot", "email": "bot@example.org" } } } },
        "agents": {
            "plain": { "bottle": "b" },
            "rich": { "bottle": "b", "prompt": "Answer like a lighthouse keeper.", "skills": ["review"], "claude_md": true,
                "settings": { "includeCoAuthoredBy": false } },
        },
    }));
    (rig, model)
}

pub fn bash(command: &str) -> Value {
    json!({ "tool": { "name": "Bash", "input": { "command": command, "description": "as the script says" } } })
}

/// Runs it with the token in this variable.
fn with_token(rig: &Rig, variable: &str, args: &[&str]) -> super::Ran {
    run(rig.ours(args).env(variable, TOKEN), "")
}

/// What `--format sh` prints is the bottle, without us: the agent answers, and the gate has put the token on.
#[test]
fn the_printed_script_gives_a_bottle_in_which_it_answers() {
    let (rig, model) = rig(&json!([{ "text": "Said through the gate." }]));
    let args = ["start", "--dry-run", "--format", "sh", "--headless", "-p", "say something", "plain"];
    let script = rig.run(&args, "").code(0).stdout;
    let shell = |token: Option<&str>| {
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", &script]).env("HOME", rig.path()).env_remove("CLAUDE_CODE_OAUTH_TOKEN");
        run(shell.envs(token.map(|token| ("CLAUDE_CODE_OAUTH_TOKEN", token))), "")
    };
    let ran = shell(None).code(2);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", "set CLAUDE_CODE_OAUTH_TOKEN first\n"));
    let ran = shell(Some(TOKEN)).code(0);
    assert_eq!(ran.stdout, "Said through the gate.\n", "{}", ran.stderr);
    rig.assert_nothing_left();
    let turns = model.turns();
    assert_eq!(turns.len(), 1);
    assert!(turns[0]["headers"].to_string().contains(&format!("Bearer {TOKEN}")), "{}", turns[0]["headers"]);
    assert!(turns[0]["body"].to_string().contains("say something"));
    assert!(!script.contains(TOKEN));
}

#[test]
fn it_runs_tools_with_a_token_it_never_sees() {
    let look = "cat /proc/$PPID/environ | tr '\\0' '\\n'; curl -sS https://allowed.example.org/hello; \
        curl -sS https://refused.example.org/; git var GIT_AUTHOR_IDENT; claude --version; tail -n +3 /proc/net/dev";
    let (rig, model) = rig(&json!([bash(look), { "text": "All seen." }]));
    std::fs::create_dir_all(rig.path().join(".claude/skills/review")).unwrap();
    let skill = "---\nname: review\ndescription: Reviews a change like a harbour pilot.\n---\nLook twice.\n";
    std::fs::write(rig.path().join(".claude/skills/review/SKILL.md"), skill).unwrap();
    std::fs::write(rig.path().join(".claude/CLAUDE.md"), "The tide is high at noon.\n").unwrap();
    let args = ["start", "--yes", "--headless", "-p", "-look around", "rich"];
    let ran = with_token(&rig, "CLAUDE_CODE_OAUTH_TOKEN", &args).code(0);
    assert_eq!(ran.stdout, "All seen.\n", "stdout is the agent's alone");
    rig.assert_nothing_left();

    let turns = model.turns();
    assert_eq!(turns.len(), 2);
    for turn in &turns {
        assert!(turn["headers"].to_string().contains(&format!("Bearer {TOKEN}")), "{}", turn["headers"]);
        let body = turn["body"].to_string();
        for words in
            ["Answer like a lighthouse keeper.", "The tide is high at noon.", "like a harbour pilot", "-look around"]
        {
            assert!(body.contains(words), "`{words}` in {body}");
        }
    }
    let seen = turns[1]["body"]["messages"].to_string();
    let version = seen.split("(Claude Code)").next().unwrap().rsplit("\\n").next().unwrap().trim().to_owned();
    // Past the runner's capture: which Claude Code this was.
    writeln!(std::io::stderr(), "real Claude Code {version} ran in a bottle").unwrap();
    for words in [
        "CLAUDE_CODE_OAUTH_TOKEN=placeholder",
        "hello from the origin",
        "host `refused.example.org` is not on the allowlist",
        "Bot <bot@example.org>",
        "(Claude Code)",
        "lo:",
    ] {
        assert!(seen.contains(words), "`{words}` in {seen}");
    }
    assert!(!seen.contains(TOKEN) && !seen.to_lowercase().contains("_proxy="), "{seen}");
}

#[test]
fn a_failed_conversation_is_kept_and_resumed() {
    let (rig, model) = rig(&json!([bash("echo the first turn"), { "text": "Gone on." }]));
    let args = ["start", "--yes", "--headless", "-p", "begin here", "plain", "--", "--max-turns", "1"];
    with_token(&rig, "CLAUDE_CODE_OAUTH_TOKEN", &args).code(1).says("kept");
    let identity = rig.sessions().remove(0);
    let mut kept = String::new();
    for project in std::fs::read_dir(rig.state(&identity).join("transcript")).unwrap() {
        for session in std::fs::read_dir(project.unwrap().path()).unwrap() {
            kept += &std::fs::read_to_string(session.unwrap().path()).unwrap_or_default();
        }
    }
    assert!(kept.contains("begin here") && !kept.contains(TOKEN), "{kept}");

    let args = ["resume", "--yes", "--headless", "-p", "and on", &identity];
    let ran = with_token(&rig, "CLAUDE_CODE_OAUTH_TOKEN", &args).code(0);
    assert_eq!(ran.stdout, "Gone on.\n");
    let last = model.turns().pop().unwrap()["body"]["messages"].to_string();
    for words in ["begin here", "the first turn", "and on"] {
        assert!(last.contains(words), "`{words}` in {last}");
    }
    rig.assert_nothing_left();
}

#[test]
fn its_first_screen_asks_nothing() {
    for variable in ["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"] {
        let (rig, model) = rig_with(&json!([{ "text": "Ahoy-from-the-model." }]), variable);
        // Typed, or given as the first message: the session goes on either way.
        let typed = variable == "CLAUDE_CODE_OAUTH_TOKEN";
        let mut args = vec!["start", "--yes", "plain"];
        if !typed {
            args.extend(["-p", "hail the harbour"]);
        }
        let mut command = rig.terminal_command(&args);
        command.env(variable, TOKEN).env("COLORTERM", "truecolor");
        let mut going = super::Going::new(&mut command);
        going.until("bypass permissions on");
        if typed {
            going.say("hail the harbour");
            going.until("harbour");
            going.say("\r");
        }
        going.until("Ahoy-from-the-model.");
        going.say("/exit");
        going.until("/exit");
        going.say("\r");
        going.end().code(0);
        let turns = model.turns();
        assert_eq!(turns.len(), 1);
        assert!(turns[0]["headers"].to_string().contains(TOKEN));
        rig.assert_nothing_left();
    }
}

/// The model has said half a sentence and waits; the session shows it.
#[test]
fn a_word_is_seen_before_the_last_is_sent() {
    let said = "Half of the harbour is lit.\n\nThe other half waits for a ship that is late tonight.";
    let (rig, model) = rig(&json!([{ "text": said, "hold": "ship" }]));
    let stream = ["--output-format", "stream-json", "--include-partial-messages", "--verbose"];
    let args = [&["start", "--yes", "--headless", "-p", "hail", "plain", "--"], &stream[..]].concat();
    let mut going = super::Going::new(rig.ours(&args).env("CLAUDE_CODE_OAUTH_TOKEN", TOKEN));
    going.until("Half of the harbour");
    model.release("ship");
    let ran = going.end().code(0);
    assert!(ran.stdout.contains("late tonight."), "{}", ran.stdout);

    let mut command = rig.terminal_command(&["start", "--yes", "plain", "-p", "hail"]);
    let mut going = super::Going::new(command.env("CLAUDE_CODE_OAUTH_TOKEN", TOKEN));
    // The script forgets what it let go.
    model.rewrite(&json!([{ "text": said, "hold": "ship" }]));
    going.until("harbour");
    model.release("ship");
    going.until("tonight");
    going.say("/exit");
    going.until("/exit");
    going.say("\r");
    going.end().code(0);
    rig.assert_nothing_left();
}

/// What would make the model's own servers call out is refused, by curl's hand or by Claude Code's own, and said why.
#[test]
fn servers_of_the_models_are_not_sent_out() {
    let servers = r#"{"mcp_servers":[{"type":"url","url":"https://elsewhere.example.org","name":"x"}]}"#;
    let ask = format!("curl -sS -w ' %{{http_code}}' https://api.anthropic.com/v1/messages -d '{servers}'");
    let (rig, model) = rig(&json!([bash(&ask), { "text": "Understood." }]));
    let args = ["start", "--yes", "--headless", "-p", "try it", "plain"];
    let ran = with_token(&rig, "CLAUDE_CODE_OAUTH_TOKEN", &args).code(0);
    assert_eq!(ran.stdout, "Understood.\n");
    let seen = model.turns().pop().unwrap()["body"]["messages"].to_string();
    assert!(
        seen.contains("claude-bottle: refused: ") && seen.contains("mcp_servers") && seen.contains(" 400"),
        "{seen}"
    );

    let text = std::fs::read_to_string(rig.path().join("claude-bottle.json")).unwrap();
    let mut manifest: Value = serde_json::from_str(&text).unwrap();
    manifest["bottles"]["b"]["env"] = json!({ "CLAUDE_CODE_EXTRA_BODY": servers });
    rig.manifest(&manifest);
    let before = model.turns().len();
    let ran = with_token(&rig, "CLAUDE_CODE_OAUTH_TOKEN", &args);
    assert!(
        ran.stdout.contains("claude-bottle: refused: ") && ran.stdout.contains("mcp_servers"),
        "{} {}",
        ran.stdout,
        ran.stderr
    );
    assert_eq!(model.turns().len(), before, "nothing of it reached the model");
}
