//! The user's editor, on a file of ours: for verbs in which a person writes.

use crate::exit::{Exit, UserError};
use crate::hint;
use crate::hint::Hint;
use crate::probe;
use crate::say;
use anyhow::Result;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use sys::child;
use sys::signals::{self, PromptReader, Signals};
use sys::tty::{self, Tty};

/// Program and arguments.
pub struct Editor(Vec<String>);

impl Editor {
    /// That of `VISUAL`, else `EDITOR`, else `vi`.
    ///
    /// # Errors
    /// `UserError` where the variable is no command.
    pub fn of_user() -> Result<Editor, UserError> {
        let (name, typed) = match (probe::variable("VISUAL"), probe::variable("EDITOR")) {
            (Some(typed), _) => ("VISUAL", typed),
            (None, Some(typed)) => ("EDITOR", typed),
            (None, None) => return Ok(Editor(vec!["vi".to_owned()])),
        };
        match shlex::split(&typed) {
            Some(words) if !words.is_empty() => Ok(Editor(words)),
            _ => Err(UserError::new(format!("`{name}` is no command: `{typed}`")).hint(hint!("export {}=vi", name))),
        }
    }

    /// The editor, on the terminal of this process. While the reader lives, Ctrl-C is a key of the editor's: however often it
    /// is pressed, it does not end this program.
    ///
    /// # Errors
    /// `UserError` without a terminal, and where the variable is no command.
    pub fn on_terminal(hint: impl FnOnce() -> Hint) -> Result<(Tty, Editor, PromptReader), UserError> {
        let no_terminal = || UserError::new("no terminal to edit on").hint(hint());
        let tty = Tty::open().filter(|_| tty::attached()).ok_or_else(no_terminal)?;
        Ok((tty, Editor::of_user()?, PromptReader::begin()))
    }

    /// The words that open `file`, at `line` where this editor's notation for that is known.
    fn argv(&self, file: &Path, line: Option<u32>) -> Vec<String> {
        let program = Path::new(&self.0[0]).file_name().unwrap_or_default().to_string_lossy();
        let file = file.display().to_string();
        let more = match (&*program, line) {
            ("vi" | "vim" | "nvim" | "nano" | "emacs" | "emacsclient", Some(line)) => vec![format!("+{line}"), file],
            ("hx" | "helix", Some(line)) => vec![format!("{file}:{line}")],
            // Without `--wait` it returns at once, and saves into a draft that is gone.
            ("code" | "codium", line) => {
                vec!["--wait".to_owned(), "-g".to_owned(), format!("{file}:{}", line.unwrap_or(1))]
            }
            _ => vec![file],
        };
        self.0.iter().cloned().chain(more).collect()
    }

    /// Runs it; an exit code where it failed or a signal ended it.
    ///
    /// # Errors
    /// `UserError` where it cannot be run.
    pub fn open(&self, file: &Path, line: Option<u32>, signals: &Signals) -> Result<Option<Exit>> {
        let program = &self.0[0];
        let failed = |why: &dyn std::fmt::Display| UserError::new(format!("the editor `{program}`: {why}"));
        let ended =
            child::foreground(&self.argv(file, line)).map_err(|error| failed(&error).hint("name yours in `EDITOR`"))?;
        // Signals of the terminal's keys were meant for the editor.
        let keys = [Exit::signal(nix::libc::SIGINT), Exit::signal(nix::libc::SIGQUIT)];
        let other = std::iter::from_fn(|| signals.try_recv()).map(Exit::signal).find(|exit| !keys.contains(exit));
        if other.is_some() || ended.success() {
            return Ok(other);
        }
        let why = match ended.signal() {
            Some(number) => format!("ended by {}", signals::name(number)),
            None => format!("ended with {}", ended.code().unwrap_or_default()),
        };
        say::error(&failed(&why).into());
        Ok(Some(Exit::REFUSED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_is_told_the_line_in_its_own_words() {
        let words = |editor: &str| Editor(shlex::split(editor).unwrap()).argv(Path::new("/m.json"), Some(7)).join(" ");
        assert_eq!(words("vi"), "vi +7 /m.json");
        assert_eq!(words("/usr/bin/nvim -u NONE"), "/usr/bin/nvim -u NONE +7 /m.json");
        assert_eq!(words("code -n"), "code -n --wait -g /m.json:7");
        assert_eq!(words("codium"), "codium --wait -g /m.json:7");
        assert_eq!(words("hx"), "hx /m.json:7");
        assert_eq!(words("ed"), "ed /m.json");
        assert_eq!(Editor(vec!["vi".to_owned()]).argv(Path::new("/m.json"), None), ["vi", "/m.json"]);
    }
}
