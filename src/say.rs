//! The only writer. stderr for people, stdout for what was asked for.
//!
//! Nothing here panics on a terminal that is gone: this runs in the path that cleans up.

use crate::exit::{EngineError, Refused};
use std::io::{self, IsTerminal, Write};

/// One line of message on stderr.
pub fn line(text: &str) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Text on stderr as it is: a plan, a question.
pub fn text(text: &str) {
    let mut stderr = io::stderr();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}

/// A line on a terminal that the next one takes the place of; nothing elsewhere.
pub fn progress(text: &str) {
    static LAST: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());
    let Ok(mut last) = LAST.lock() else { return };
    if *last != text && io::stderr().is_terminal() {
        let _ = io::stderr().write_all(format!("\r{text}\x1b[K").as_bytes());
        text.clone_into(&mut last);
    }
}

/// Takes that line away.
pub fn no_progress() {
    if io::stderr().is_terminal() {
        let _ = io::stderr().write_all(b"\r\x1b[K");
    }
}

/// What was asked for, on stdout.
///
/// # Errors
/// The writer's own; a broken pipe is not an error: the reader has seen enough.
pub fn out(text: &str) -> io::Result<()> {
    bytes(text.as_bytes())
}

/// The same of bytes as they are.
///
/// # Errors
/// As above.
pub fn bytes(bytes: &[u8]) -> io::Result<()> {
    heard(bytes).map(drop)
}

/// The same for what goes on: false where the reader has seen enough.
///
/// # Errors
/// As above.
pub fn heard(bytes: &[u8]) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        done => done.map(|()| true),
    }
}

/// `claude-bottle: what: why`, then `hint: what to type`.
pub fn error(error: &anyhow::Error) {
    let hint = error
        .downcast_ref::<Refused>()
        .and_then(|e| e.hint.as_deref())
        .or_else(|| error.downcast_ref::<EngineError>().and_then(|e| e.hint.as_deref()));
    line(&format!("{} {}", paint(Tone::Bad, "claude-bottle:"), visible(&format!("{error:#}"))));
    if let Some(hint) = hint {
        self::hint(hint);
    }
}

pub fn hint(text: &str) {
    line(&format!("{} {}", paint(Tone::Soft, "hint:"), visible(text)));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Loud,
    Soft,
}

/// `text` in a tone, where stderr is a terminal that wants colour (<https://no-color.org>).
pub fn paint(tone: Tone, text: &str) -> String {
    if !coloured() {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Good => "32",
        Tone::Bad => "1;31",
        Tone::Loud => "1",
        Tone::Soft => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

fn coloured() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
        && io::stderr().is_terminal()
}

/// Would this character act on a terminal, or hide there? Control, C1, bidirectional, invisible and line-breaking ones
/// do, but for the two that lay out text.
pub fn hides(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` with what hides made visible: it may come from inside a bottle.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hides(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

/// The same of a name: it stays on its line.
pub fn name(text: &str) -> String {
    visible(text).replace('\n', "\\u{a}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_hides_is_shown() {
        assert_eq!(super::visible("a\x1b[31mb\u{202e}c\n"), "a\\u{1b}[31mb\\u{202e}c\n");
        assert_eq!(super::name("a\nb\u{1b}"), "a\\u{a}b\\u{1b}");
    }
}
