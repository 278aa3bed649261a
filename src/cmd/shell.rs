//! `shell`: prints what a shell evaluates at its start: completions, and the prompt and short form of `shell/`.

use crate::cli::{ShellArgs, ShellKind};
use crate::exit::Exit;
use crate::say;
use anyhow::Result;

pub fn run(asked: &ShellArgs) -> Result<Exit> {
    say::out(match asked.shell {
        ShellKind::Bash => {
            concat!(
                include_str!("../../completions/claude-bottle.bash"),
                "\n",
                include_str!("../../shell/claude-bottle.bash")
            )
        }
        ShellKind::Zsh => {
            concat!(
                include_str!("../../completions/_claude-bottle"),
                "\n",
                include_str!("../../shell/claude-bottle.zsh")
            )
        }
        ShellKind::Fish => {
            concat!(
                include_str!("../../completions/claude-bottle.fish"),
                "\n",
                include_str!("../../shell/claude-bottle.fish")
            )
        }
    })?;
    Ok(Exit::OK)
}
