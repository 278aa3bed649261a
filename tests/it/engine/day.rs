//! A day with a bottle, as a person types it: in bash with the completions, on one terminal.

use super::{Going, Rig};
use crate::harness::Host;
use serde_json::json;
use std::os::unix::fs::symlink;
use std::process::Command;

/// `ctrl-]` and `d`, as a terminal sends them under the keyboard protocol that the agent turned on.
const DETACH: [&str; 2] = ["\u{1b}[93;5u", "d"];
const PROMPT: &str = "here> ";
const PASTE: &str = "\u{1b}[200~one\rtwo\rthree\u{1b}[201~";

/// What is typed, counted.
struct Person {
    terminal: Going,
    keys: usize,
    commands: usize,
}

impl Person {
    fn presses(&mut self, keys: &[&str]) {
        for key in keys {
            self.terminal.say(key);
        }
        self.keys += keys.len();
    }

    fn types(&mut self, text: &str) {
        self.terminal.say(text);
        self.keys += text.chars().count();
    }

    /// A command, and what it shows at last.
    #[track_caller]
    fn enters(&mut self, command: &str, shown: &str) {
        self.commands += 1;
        self.types(command);
        self.types("\r");
        self.terminal.until(shown);
    }

    #[track_caller]
    fn detaches(&mut self) {
        self.presses(&DETACH);
        self.terminal.until("detached from");
        self.terminal.until(PROMPT);
    }

    #[track_caller]
    fn says_yes(&mut self, until: &str) {
        self.types("y\r");
        self.terminal.until(until);
    }
}

#[test]
fn a_day_is_six_commands_and_keeps_nothing() {
    let rig = Rig::new(&json!({}));
    let host = Host::new(rig.path().join("host"));
    host.shell("git config user.name Al; git config user.email al@example.org");
    rig.manifest(&json!({
        "bottles": { "b": {} },
        "agents": { "a": { "bottle": "b", "command": ["python3", "-c", include_str!("day/agent.py")] } },
    }));
    let startup = rig.path().join("bashrc");
    std::fs::write(&startup, format!("eval \"$(claude-bottle shell bash)\"\nPS1='{PROMPT}'\n")).unwrap();
    let mut command = Command::new("script");
    let bash = format!("stty rows 40 cols 120; exec bash --rcfile {} -i", startup.display());
    rig.dress(command.args(["-qfec", &bash, "/dev/null"]));
    // As it is installed: nothing beside it begins like it.
    let installed = rig.path().join("bin");
    std::fs::create_dir(&installed).unwrap();
    symlink(env!("CARGO_BIN_EXE_claude-bottle"), installed.join("claude-bottle")).unwrap();
    command.current_dir(&host.path).env("SHELL", "/bin/sh");
    command.env("PATH", format!("{}:{}", installed.display(), std::env::var("PATH").unwrap()));
    let mut person = Person { terminal: Going::new(&mut command), keys: 0, commands: 0 };
    person.terminal.until(PROMPT);

    // In the morning: the agent begins in this directory, and is left alone.
    person.enters("claude-b\tstart --cwd a", "launch this agent? [y/N] ");
    person.says_yes("BEGUN");
    person.detaches();
    // What it has committed so far comes home.
    person.enters("claude-b\twork pull", "[y/N] ");
    person.says_yes(PROMPT);
    assert_eq!(
        (host.read("one"), host.git(&["log", "--format=%an %s", "-1"])),
        ("one\ntwo\n".into(), "Al two\n".into())
    );
    // Back to it: three lines are pasted, and arrive as one text.
    person.enters("claude-b\tatt\t", "\u{1b}[?2004h");
    person.presses(&[PASTE]);
    person.terminal.until("PASTED 3 LINES AT ONCE");
    person.detaches();
    person.enters("claude-b\tatt\t", "\u{1b}[?2004h");
    person.detaches();
    // In the evening: the rest comes home, and the agent ends.
    person.enters("claude-b\twork pull", "[y/N] ");
    person.says_yes(PROMPT);
    person.enters("claude-b\tatt\t", "\u{1b}[?2004h");
    person.types("q");
    person.terminal.until(PROMPT);

    let (keys, commands) = (person.keys, person.commands);
    person.terminal.say("echo \"ended $?\"; exit\r");
    let ran = person.terminal.end().code(0);
    ran.says("ended 0");
    assert_eq!(host.git(&["log", "--format=%an %s"]), "Al three\nAl two\nHost first\n");
    assert_eq!((host.read("one"), host.read("note")), ("one\ntwo\nthree\n".into(), "note\n".into()));
    assert!(!ran.stdout.contains("kept `"), "{}", ran.stdout);
    rig.assert_nothing_left();
    assert_eq!((commands, keys), (6, 117));
}
