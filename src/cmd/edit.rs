//! `edit`: a manifest in the user's editor. What is edited is a copy; it takes the file's place when it was read and found
//! right, or when the person says so.

use crate::cli::EditArgs;
use crate::exit::{Exit, UserError};
use crate::manifest::{self, FILE, Proposed};
use crate::probe;
use crate::say;
use crate::state::{Draft, Home};
use anyhow::{Context as _, Result};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use sys::child;
use sys::signals::{self, PromptReader, Signals};
use sys::tty::{self, Answer, Tty};

/// The manifest that is edited, and where the editor shall open it.
struct Manifest {
    home: PathBuf,
    file: PathBuf,
    line: Option<u32>,
}

pub fn run(asked: &EditArgs) -> Result<Exit> {
    let mut manifest = which(asked)?;
    let no_terminal = || UserError::new("no terminal to edit on").hint(format!("edit `{}`", manifest.file.display()));
    let mut tty = Tty::open().filter(|_| tty::attached()).ok_or_else(no_terminal)?;
    let editor = editor()?;
    let signals = signals::catch()?;
    // Ctrl-C is a key of editors', however often it is pressed.
    let _listening = PromptReader::begin();
    let draft = Draft::of(&manifest.file)?;
    loop {
        if let Some(exit) = open(&editor, &draft, manifest.line, &signals)? {
            return leave(draft, exit);
        }
        let Some(written) = draft.changed()? else {
            say::note("nothing was changed");
            return Ok(Exit::OK);
        };
        let faults = manifest.faults(&written);
        let Some(first) = faults.first() else { break };
        manifest.line = line_of(&manifest.file, first).or(manifest.line);
        for fault in faults {
            say::error(&fault.into());
        }
        match ask(&mut tty, &signals) {
            Then::Edit => {}
            Then::Keep => break,
            Then::Back => {
                say::note("nothing was changed");
                return Ok(Exit::OK);
            }
            Then::Leave(exit) => return leave(draft, exit),
        }
    }
    draft.replace_target()?;
    say::note(&format!("saved `{}`", manifest.file.display()));
    Ok(Exit::OK)
}

/// # Errors
/// `UserError` where there is no such manifest, or no such agent.
fn which(asked: &EditArgs) -> Result<Manifest> {
    let home = Home::locate()?.path().to_owned();
    let cwd = std::env::current_dir().context("the current directory is gone")?;
    let Some(agent) = &asked.agent else {
        let file = home.join(FILE);
        if !file.exists() {
            let refused = UserError::new(format!("there is no `{}`", file.display()));
            return Err(refused.hint("`claude-bottle init` writes one to begin with").into());
        }
        return Ok(Manifest { home, file, line: None });
    };
    let known = manifest::load(&home, &cwd).map_err(|refused| match manifest::load(&home, &home) {
        Err(_) if home.join(FILE).exists() => refused.hint("claude-bottle edit"),
        _ => refused,
    })?;
    let (file, line) = known.location(agent)?;
    Ok(Manifest { file: file.to_owned(), line: Some(line), home })
}

impl Manifest {
    /// What is wrong with it, were this in it.
    fn faults(&self, bytes: &[u8]) -> Vec<UserError> {
        let folder = self.file.parent().unwrap_or(&self.home);
        let proposed = Proposed { file: self.file.clone(), bytes: bytes.to_owned() };
        match manifest::load_proposed(&self.home, folder, proposed) {
            Ok(manifest) => manifest.faults_in(&self.file),
            Err(refused) => vec![refused],
        }
    }
}

/// The line that a fault of this file begins with.
fn line_of(file: &Path, fault: &UserError) -> Option<u32> {
    let rest = fault.what.strip_prefix(&format!("{}:", file.display()))?;
    rest.split(':').next()?.parse().ok()
}

/// Program and arguments of `VISUAL`, else `EDITOR`, else `vi`.
fn editor() -> Result<Vec<String>, UserError> {
    let (name, typed) = match (probe::variable("VISUAL"), probe::variable("EDITOR")) {
        (Some(typed), _) => ("VISUAL", typed),
        (None, Some(typed)) => ("EDITOR", typed),
        (None, None) => return Ok(vec!["vi".to_owned()]),
    };
    match shlex::split(&typed) {
        Some(words) if !words.is_empty() => Ok(words),
        _ => Err(UserError::new(format!("`{name}` is no command: `{typed}`")).hint(format!("export {name}=vi"))),
    }
}

/// The words that open `file`, at `line` where this editor is known to be told so.
fn argv(editor: &[String], file: &Path, line: Option<u32>) -> Vec<String> {
    let program = Path::new(&editor[0]).file_name().unwrap_or_default().to_string_lossy();
    let file = file.display().to_string();
    let more = match (&*program, line) {
        ("vi" | "vim" | "nvim" | "nano" | "emacs" | "emacsclient", Some(line)) => vec![format!("+{line}"), file],
        ("hx" | "helix", Some(line)) => vec![format!("{file}:{line}")],
        // It comes back at once, and would save into a draft that is gone.
        ("code" | "codium", line) => {
            vec!["--wait".to_owned(), "-g".to_owned(), format!("{file}:{}", line.unwrap_or(1))]
        }
        _ => vec![file],
    };
    editor.iter().cloned().chain(more).collect()
}

/// Lets the person edit; how it ends where that did not end well.
fn open(editor: &[String], draft: &Draft, line: Option<u32>, signals: &Signals) -> Result<Option<Exit>> {
    let program = &editor[0];
    let failed = |why: &dyn std::fmt::Display| UserError::new(format!("the editor `{program}`: {why}"));
    let ended = child::foreground(&argv(editor, draft.path(), line))
        .map_err(|error| failed(&error).hint("name yours in `EDITOR`"))?;
    // What the terminal's keys sent was the editor's.
    let keys = [Exit::signal(nix::libc::SIGINT), Exit::signal(nix::libc::SIGQUIT)];
    let told = std::iter::from_fn(|| signals.try_recv()).map(Exit::signal).find(|exit| !keys.contains(exit));
    if told.is_some() || ended.success() {
        return Ok(told);
    }
    let why = match ended.signal() {
        Some(number) => format!("ended by {}", signals::name(number)),
        None => format!("ended with {}", ended.code().unwrap_or_default()),
    };
    say::error(&failed(&why).into());
    Ok(Some(Exit::REFUSED))
}

enum Then {
    Edit,
    Keep,
    Back,
    Leave(Exit),
}

fn ask(tty: &mut Tty, signals: &Signals) -> Then {
    loop {
        match tty.ask("(e)dit again, (k)eep it as it is, go (b)ack to what was before? [E/k/b] ", signals) {
            Answer::Line(line) => match line.trim() {
                "" | "e" | "E" => return Then::Edit,
                "k" | "K" => return Then::Keep,
                "b" | "B" => return Then::Back,
                _ => {}
            },
            Answer::Nothing => return Then::Leave(Exit::REFUSED),
            Answer::Signal(number) => return Then::Leave(Exit::signal(number)),
        }
    }
}

/// The manifest stays as it was; what was written so far stays, too.
fn leave(draft: Draft, exit: Exit) -> Result<Exit> {
    say::line("nothing was changed");
    if draft.changed().is_ok_and(|written| written.is_some()) {
        say::hint(&format!("what you wrote is in `{}`", draft.keep()?.display()));
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_is_told_the_line_in_its_own_words() {
        let words = |editor: &str| {
            let editor = shlex::split(editor).unwrap();
            argv(&editor, Path::new("/m.json"), Some(7)).join(" ")
        };
        assert_eq!(words("vi"), "vi +7 /m.json");
        assert_eq!(words("/usr/bin/nvim -u NONE"), "/usr/bin/nvim -u NONE +7 /m.json");
        assert_eq!(words("code -n"), "code -n --wait -g /m.json:7");
        assert_eq!(words("codium"), "codium --wait -g /m.json:7");
        assert_eq!(words("hx"), "hx /m.json:7");
        assert_eq!(words("ed"), "ed /m.json");
        assert_eq!(argv(&["vi".to_owned()], Path::new("/m.json"), None), ["vi", "/m.json"]);
    }
}
