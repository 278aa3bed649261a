//! Every command of README's blocks is typed, line by line and in its order, by a person with a bash, a terminal and the
//! README's first manifest. A line that this test does not know how to type fails it.

use super::claude::{TOKEN, bash};
use super::{Going, Ran, Rig, Served};
use crate::rules::docs::papers::{Block, blocks};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// How README calls a session.
const EXAMPLE: &str = "claude-a1b2c";

struct Reader {
    rig: Rig,
    model: Served,
    cwd: PathBuf,
    /// The session's own terminal, while it runs, and what goes on beside it.
    session: Option<Going>,
    beside: Vec<Going>,
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let mut reader = Reader::new();
    let mut typed = 0;
    for block in blocks("README.md").iter().filter(|block| block.language == "sh") {
        for line in block.text.lines() {
            let command = line.split(" #").next().unwrap().trim();
            if !command.is_empty() && !command.starts_with('#') {
                reader.reads(command);
                typed += 1;
            }
        }
        reader.finishes();
    }
    assert!(typed > 20, "{typed} commands");
    reader.rig.assert_nothing_left();
}

impl Reader {
    fn new() -> Reader {
        let rig = Rig::new(&json!({}));
        // It commits a line, leaves another, and says so.
        let model = rig.model(&json!([
            bash("echo one >>made.txt; git add -A; git commit -qm 'Made'; echo two >left.txt"),
            { "text": "Made-and-left." }
        ]));
        fs::remove_file(rig.path().join("claude-bottle.json")).unwrap();
        let app = rig.path().join("src/app");
        fs::create_dir_all(&app).unwrap();
        fs::write(app.join("made.txt"), "zero\n").unwrap();
        let begin = "git init -q -b main; git config user.name You; git config user.email you@example.org; git add -A; \
            git commit -qm Begun";
        assert!(Command::new("sh").args(["-c", begin]).current_dir(&app).status().unwrap().success());
        Reader { cwd: rig.path().to_owned(), rig, model, session: None, beside: Vec::new() }
    }

    /// A shell's line, by this shell, as a person has it.
    fn shell(&self, program: &str, line: &str) -> Command {
        let mut command = Command::new(program);
        self.rig.dress(command.args(["-c", line]));
        let ours = PathBuf::from(env!("CARGO_BIN_EXE_claude-bottle"));
        let path = format!("{}:{}", ours.parent().unwrap().display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).env("CLAUDE_CODE_OAUTH_TOKEN", TOKEN).current_dir(&self.cwd);
        command
    }

    fn runs(&self, line: &str, code: i32) -> Ran {
        super::run(&mut self.shell("bash", line), "").code(code)
    }

    /// The same on a terminal, whose keys are these.
    fn types(&self, line: &str, keys: &str) -> Going {
        let mut command = self.shell("bash", &shlex::try_join(["script", "-qfec", line, "/dev/null"]).unwrap());
        command.env("SHELL", "/bin/bash");
        let mut going = Going::new(&mut command);
        going.say(keys);
        going
    }

    fn reads(&mut self, line: &str) {
        let live = self.rig.sessions().pop().unwrap_or_default();
        let line = line.replace(EXAMPLE, &live).replace("~/", &format!("{}/", self.rig.path().display()));
        match line.split(' ').collect::<Vec<_>>()[..] {
            // The targets are held to the Makefile, and were made before this test.
            ["make", ..] => {}
            ["export", variable] => assert_eq!(variable, "CLAUDE_CODE_OAUTH_TOKEN=…", "what this test sets"),
            ["cd", to] => self.cwd = to.into(),
            ["claude-bottle", "init"] => {
                // Every question's own answer will do.
                self.types(&line, "\n\n\n\n").end().code(0).says("claude-bottle start --dry-run");
                self.manifest();
            }
            ["claude-bottle", "doctor"] => self.runs(&line, 0).says("ok       engine"),
            ["claude-bottle", "start", ..] => self.starts(&line),
            ["claude-bottle", "check", ..] => self.runs(&line, 1).says("denied"),
            ["claude-bottle", "exec", ..] => {
                let ran = self.runs(&line, 0);
                let wanted = ["host `example.org` is not on the allowlist", "github.com"];
                assert!(wanted.iter().any(|words| ran.stdout.contains(words)), "{}", ran.stdout);
            }
            ["claude-bottle", "logs", "-f", ..] => {
                let mut going = Going::new(&mut self.shell("bash", &line));
                going.until("DENY  GET example.org/");
                self.beside.push(going);
            }
            ["claude-bottle", "forward", ..] => {
                let mut going = Going::new(&mut self.shell("bash", &line));
                going.until("http://127.0.0.1:5173");
                self.beside.push(going);
            }
            ["claude-bottle", "work", "diff", ..] => {
                let ran = self.runs(&line, 0);
                ran.says(" Made");
                ran.says("left.txt");
            }
            ["claude-bottle", "work", "apply", ..] => {
                self.runs(&line, 0);
                assert_eq!(fs::read_to_string(self.cwd.join("left.txt")).unwrap(), "two\n");
            }
            // What the lines behind it do one by one; it has tests of its own.
            ["claude-bottle", "work", "pull"] => self.runs("claude-bottle work pull --help", 0).says("Usage"),
            ["claude-bottle", "cleanup", ..] => {
                self.types(&line, "y\n").end().code(0);
            }
            ["claude-bottle", "list"] => self.runs(&line, 0).says(&live),
            ["claude-bottle", "work", "fetch", ..] => self.runs(&line, 0).says("Made"),
            ["git", "merge", ..] => {
                self.runs(&line, 0);
                assert_eq!(fs::read_to_string(self.cwd.join("made.txt")).unwrap(), "zero\none\n");
            }
            ["CLAUDE_BOTTLE_PROMPT=left"] => {}
            ["eval", ..] | ["set", "-g", ..] | ["claude-bottle", "shell", ..] => self.shells(&line),
            _ => panic!("README.md: this test does not know how to type `{line}`"),
        }
    }

    /// Each in the shell that it is for.
    fn shells(&self, line: &str) {
        let shell =
            ["bash", "zsh"].into_iter().find(|shell| line.contains(&format!("shell {shell}"))).unwrap_or("fish");
        let ran = super::run(&mut self.shell(shell, line), "").code(0);
        assert_eq!(ran.stderr, "", "{shell}: {line}");
    }

    /// README's first one, but for where the model is.
    fn manifest(&self) {
        let first = |block: &Block| block.held == "home manifest";
        let text = blocks("README.md").into_iter().find(first).unwrap().text;
        let role = r#""role": "claude", "#;
        assert_eq!(text.matches(role).count(), 1);
        let to = format!(r#"{role}"connect_to": "http://{}:80", "private": true, "#, self.model.address);
        fs::write(self.rig.path().join("claude-bottle.json"), text.replacen(role, &to, 1)).unwrap();
    }

    /// Says yes; where a directory goes along, gives the agent its work.
    fn starts(&mut self, line: &str) {
        let mut going = self.types(&format!("stty rows 40 cols 120; {line}"), "");
        going.until("launch this agent? [y/N] ");
        going.say("y\n");
        going.until("bypass permissions on");
        let works = line.contains("--cwd");
        self.session = Some(going);
        if works {
            let going = self.session.as_mut().unwrap();
            going.say("go");
            going.until("go");
            going.say("\r");
            going.until("Made-and-left.");
            self.leaves(0);
            assert_eq!(self.rig.sessions().len(), 1, "there is work: kept");
        } else {
            self.prose();
        }
    }

    /// What the text says in passing, while a session runs.
    fn prose(&self) {
        let identity = self.rig.sessions().pop().unwrap();
        fs::write(self.cwd.join("shot.png"), "a picture").unwrap();
        let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
        let mut found = 0;
        for code in text.split('`').skip(1).step_by(2).filter(|code| code.contains(EXAMPLE) && !code.contains('\n')) {
            let line = code.replace(EXAMPLE, &identity);
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["claude-bottle", "put", ..] => self.runs(&line, 0).says("/home/agent/inbox/shot.png"),
                ["claude-bottle", "get", _, name] => {
                    self.runs(&format!("claude-bottle exec {identity} -- sh -c 'echo report >{name}'"), 0);
                    self.runs(&line, 0);
                    assert_eq!(fs::read_to_string(self.cwd.join(name)).unwrap(), "report\n");
                }
                _ => panic!("README.md: this test does not know how to type `{line}`"),
            }
            found += 1;
        }
        assert_eq!(found, 2);
        // Files of its own would keep the session.
        self.runs(&format!("claude-bottle exec {identity} -- rm report.pdf"), 0);
    }

    /// Ends the session by the agent's own word.
    fn leaves(&mut self, code: i32) {
        let mut going = self.session.take().unwrap();
        going.say("/exit");
        going.until("/exit");
        going.say("\r");
        going.end().code(code);
    }

    /// The end of a block that left a session running, where the next one does not need it.
    fn finishes(&mut self) {
        if !self.beside.is_empty() {
            self.leaves(0);
            for going in self.beside.drain(..) {
                going.end().code(0);
            }
            assert_eq!(self.rig.sessions(), Vec::<String>::new());
        }
    }
}
