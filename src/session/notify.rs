//! Tells the user that something waits for a decision: by a program of the user's, or by the terminal's bell. Nothing that an
//! agent wrote goes into either.

use crate::exit::UserError;
use crate::hint;
use crate::probe;
use crate::say;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use sys::child::DeathSignal;
use sys::tty::Tty;
use wire::Change;

/// Proposals that are told; an agent can make as many as it likes.
const MAX_TOLD: usize = 256;
/// Programs that run at once.
const MAX_RUNNING: usize = 4;

/// How the user is told.
enum Means {
    /// The terminal's bell.
    Bell,
    /// A notification of the terminal's own (OSC 9), with a text of ours.
    Terminal,
    /// Program and arguments.
    Program(Vec<String>),
}

/// What `CLAUDE_BOTTLE_NOTIFY` says, for one session.
pub struct Notifier {
    identity: String,
    means: Means,
    told: BTreeSet<String>,
    running: Vec<Child>,
}

impl Notifier {
    /// `None` where the variable is not set, or is no command: then that is said once.
    pub fn of_user(identity: &str) -> Option<Notifier> {
        let typed = probe::variable("CLAUDE_BOTTLE_NOTIFY")?;
        let means = match typed.as_str() {
            "bell" => Means::Bell,
            "osc9" => Means::Terminal,
            typed => match shlex::split(typed).filter(|words| !words.is_empty()) {
                Some(words) => Means::Program(words),
                None => {
                    let error = UserError::new("`CLAUDE_BOTTLE_NOTIFY` is no command");
                    say::error(&error.hint(hint!("export CLAUDE_BOTTLE_NOTIFY={}", "bell")).into());
                    return None;
                }
            },
        };
        Some(Notifier { identity: identity.to_owned(), means, told: BTreeSet::new(), running: Vec::new() })
    }

    /// Tells of a proposal, once. Call it from the main thread: the program ends with this process. `home`: where it runs.
    pub fn tell(&mut self, change: &Change, home: &Path) {
        let id = change.id();
        if self.told.len() >= MAX_TOLD || !self.told.insert(id.clone()) {
            return;
        }
        let kind = match change {
            Change::Egress { .. } => "egress",
            Change::Packages(_) => "packages",
            Change::Git { .. } => "git",
        };
        match &self.means {
            Means::Bell => write_to_terminal("\x07"),
            Means::Terminal => {
                write_to_terminal(&format!("\x1b]9;claude-bottle: {} asks ({kind} {id})\x07", self.identity));
            }
            Means::Program(words) => {
                self.running.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
                let Some((program, args)) = words.split_first().filter(|_| self.running.len() < MAX_RUNNING) else {
                    return;
                };
                let mut command = Command::new(program);
                // In the directory of the agent, files of a cloned repository might decide what the program does.
                command.args(args).current_dir(home).env_remove("OLDPWD").env("PWD", home);
                command.env("CLAUDE_BOTTLE_IDENTITY", &self.identity);
                command.env("CLAUDE_BOTTLE_KIND", kind).env("CLAUDE_BOTTLE_ID", id);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                self.running.extend(sys::child::spawn(&mut command, DeathSignal::Kill).ok());
            }
        }
    }
}

impl Drop for Notifier {
    /// One that has not ended by now has had its time.
    fn drop(&mut self) {
        for child in &mut self.running {
            if matches!(child.try_wait(), Ok(None)) {
                sys::child::kill_group(child.id());
            }
            let _ = child.wait();
        }
    }
}

/// Writes to the user's terminal, whatever is drawn there.
fn write_to_terminal(text: &str) {
    if Tty::open().is_some()
        && let Ok(mut terminal) = std::fs::OpenOptions::new().write(true).open("/dev/tty")
    {
        let _ = terminal.write_all(text.as_bytes());
    }
}
