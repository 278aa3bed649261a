//! Tells the user that something waits for a decision: by a program of the user's, or by the terminal's bell or notification.
//! Nothing that an agent wrote goes into any of them.

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
    Terminal(TerminalNotice),
    /// Program and arguments.
    Program(Vec<String>),
}

/// What a terminal is told by. Terminals know one of the two commands, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminalNotice {
    Bell,
    /// A notification by OSC 9, as iTerm2 has it.
    Osc9,
    /// A notification by OSC 777, as rxvt-unicode has it.
    Osc777,
}

impl TerminalNotice {
    /// What `CLAUDE_BOTTLE_NOTIFY` says, where it is one of these.
    pub fn of_user() -> Option<TerminalNotice> {
        TerminalNotice::from_word(&probe::variable("CLAUDE_BOTTLE_NOTIFY")?)
    }

    fn from_word(word: &str) -> Option<TerminalNotice> {
        match word {
            "bell" => Some(TerminalNotice::Bell),
            "osc9" => Some(TerminalNotice::Osc9),
            "osc777" => Some(TerminalNotice::Osc777),
            _ => None,
        }
    }

    /// What is written to the terminal for a change that waits in this session.
    pub fn text(self, identity: &str, change: &Change) -> String {
        let words = format!("{identity} asks ({} {})", kind_of(change), change.id());
        match self {
            TerminalNotice::Bell => "\x07".to_owned(),
            TerminalNotice::Osc9 => format!("\x1b]9;claude-bottle: {words}\x07"),
            TerminalNotice::Osc777 => format!("\x1b]777;notify;claude-bottle;{words}\x07"),
        }
    }
}

fn kind_of(change: &Change) -> &'static str {
    match change {
        Change::Egress { .. } => "egress",
        Change::Packages(_) => "packages",
        Change::Git { .. } => "git",
    }
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
        let means = match TerminalNotice::from_word(&typed) {
            Some(notice) => Means::Terminal(notice),
            None => match shlex::split(&typed).filter(|words| !words.is_empty()) {
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
        match &self.means {
            Means::Terminal(notice) => write_to_terminal(&notice.text(&self.identity, change)),
            Means::Program(words) => {
                self.running.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
                let Some((program, args)) = words.split_first().filter(|_| self.running.len() < MAX_RUNNING) else {
                    return;
                };
                let mut command = Command::new(program);
                // In the directory of the agent, files of a cloned repository might decide what the program does.
                command.args(args).current_dir(home).env_remove("OLDPWD").env("PWD", home);
                command.env("CLAUDE_BOTTLE_IDENTITY", &self.identity);
                command.env("CLAUDE_BOTTLE_KIND", kind_of(change)).env("CLAUDE_BOTTLE_ID", id);
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
