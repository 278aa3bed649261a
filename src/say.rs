//! The only writer. stderr for people, stdout for what was asked for.
//!
//! Nothing here panics on a terminal that is gone: this runs in the path that cleans up.

use crate::cli::Colour;
use crate::exit::{self, EngineError, UserError};
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, OnceLock};

/// How everything is said in this run.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    pub quiet: bool,
    pub verbose: bool,
    pub colour: Colour,
    pub errors: Errors,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errors {
    Text,
    /// One object a line.
    Json,
}

static MANNER: OnceLock<Manner> = OnceLock::new();

/// Once, before anything is said.
pub fn begin(manner: Manner) {
    let _ = MANNER.set(manner);
}

fn manner() -> Manner {
    let usual = Manner { quiet: false, verbose: false, colour: Colour::Auto, errors: Errors::Text };
    *MANNER.get().unwrap_or(&usual)
}

/// Is only said what must be?
pub fn is_quiet() -> bool {
    manner().quiet
}

/// One line of message on stderr.
pub fn line(text: &str) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// The same of what goes as it should: nobody who asked for quiet wants to know.
pub fn note(text: &str) {
    if !is_quiet() {
        line(text);
    }
}

/// What may be typed next, after what went well.
pub fn next(text: &str) {
    if !is_quiet() {
        hint(text);
    }
}

/// A call of another program that is about to be made, as it can be typed. Held while an agent has the terminal.
pub fn call(typed: impl FnOnce() -> String) {
    if !manner().verbose {
        return;
    }
    let typed = paint(Tone::Soft, &visible(&typed()));
    match HELD.lock().ok().as_deref_mut() {
        Some(Some(held)) => held.push(typed),
        _ => line(&typed),
    }
}

static HELD: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// As long as it lives, a program draws on the terminal, and calls are held.
pub struct Hush(());

/// Begins that, where stderr is a terminal.
pub fn hush() -> Option<Hush> {
    if !io::stderr().is_terminal() {
        return None;
    }
    *HELD.lock().ok()? = Some(Vec::new());
    Some(Hush(()))
}

impl Drop for Hush {
    fn drop(&mut self) {
        let held = HELD.lock().ok().and_then(|mut held| held.take());
        held.into_iter().flatten().for_each(|typed| line(&typed));
    }
}

/// Text on stderr as it is: a plan, a question.
pub fn text(text: &str) {
    let mut stderr = io::stderr();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}

/// Lines of a label and what stands behind it, as a plan has them: the labels soft, but for those that are shouted.
pub fn sheet(text: &str) {
    let painted = text.split_inclusive('\n').map(|line| match line.find([' ', '\n']) {
        None | Some(0) => line.to_owned(),
        Some(end) => {
            let (label, rest) = line.split_at(end);
            let shouted = !label.contains(|c: char| c.is_lowercase());
            paint(if shouted { Tone::Loud } else { Tone::Soft }, label) + rest
        }
    });
    self::text(&painted.collect::<String>());
}

/// A line on a terminal that the next one takes the place of; nothing elsewhere.
pub fn progress(text: &str) {
    static LAST: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());
    let Ok(mut last) = LAST.lock() else { return };
    if *last != text && !is_quiet() && io::stderr().is_terminal() {
        let _ = io::stderr().write_all(format!("\r{text}\x1b[K").as_bytes());
        text.clone_into(&mut last);
    }
}

/// Takes that line away.
pub fn no_progress() {
    if !is_quiet() && io::stderr().is_terminal() {
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

/// The same of a value, as indented JSON.
///
/// # Errors
/// As above.
pub fn json(value: &impl serde::Serialize) -> io::Result<()> {
    out(&(escaped(&serde_json::to_string_pretty(value)?) + "\n"))
}

/// `claude-bottle: what: why`, then `hint: what to type`; or the same as JSON.
pub fn error(error: &anyhow::Error) {
    let hint = error
        .downcast_ref::<UserError>()
        .and_then(|e| e.hint.as_deref())
        .or_else(|| error.downcast_ref::<EngineError>().and_then(|e| e.hint.as_deref()));
    if manner().errors == Errors::Json {
        let exit = exit::code(error);
        let kind = if exit == exit::Exit::REFUSED { "refused" } else { "engine" };
        let object = serde_json::json!({ "error": format!("{error:#}"), "hint": hint, "kind": kind, "exit": exit.0 });
        return line(&escaped(&object.to_string()));
    }
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

/// `text` in a tone, where stderr is to have colour.
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

/// By itself, a terminal that does not say no has colour (<https://no-color.org>).
fn coloured() -> bool {
    match manner().colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
                && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
                && io::stderr().is_terminal()
        }
    }
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

/// JSON in which what would hide on a terminal is escaped: it may hold the words of a cloned repository, or of an agent.
pub fn escaped(json: &str) -> String {
    let mut shown = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if hides(c) {
            shown.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// So many characters of a text, and that it goes on.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A word as it is typed at a shell.
pub fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| "''".to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_hides_is_shown() {
        assert_eq!(super::visible("a\x1b[31mb\u{202e}c\n"), "a\\u{1b}[31mb\\u{202e}c\n");
        assert_eq!(super::name("a\nb\u{1b}"), "a\\u{a}b\\u{1b}");
    }
}
