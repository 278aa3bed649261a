//! The only writer: stderr for messages, stdout for what was asked for.
//!
//! Nothing here panics on a terminal that is gone: this runs in the path that cleans up.

use crate::cli::Colour;
use crate::exit::{self, EngineError, UserError};
use crate::hint::Hint;
use crate::text::{escape_json, one_line};
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, OnceLock};

/// How this run writes its messages.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    pub quiet: bool,
    pub verbose: bool,
    pub colour: Colour,
    pub errors: ErrorFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorFormat {
    Text,
    /// One object on one line.
    Json,
}

static MANNER: OnceLock<Manner> = OnceLock::new();

/// Sets the manner of this run. Only the first call counts; it comes before the first message.
pub fn set_manner(manner: Manner) {
    let _ = MANNER.set(manner);
}

fn manner() -> Manner {
    let usual = Manner { quiet: false, verbose: false, colour: Colour::Auto, errors: ErrorFormat::Text };
    *MANNER.get().unwrap_or(&usual)
}

/// Are notes, suggestions and progress left out?
pub fn is_quiet() -> bool {
    manner().quiet
}

/// Writes a message, one line on stderr. Where [`hold_all_messages`] lives, it waits.
pub fn line(text: &str) {
    if hold(Held::All, text) {
        return;
    }
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Writes a message that `--quiet` leaves out: something went as it should.
pub fn note(text: &str) {
    if !is_quiet() {
        line(text);
    }
}

/// Suggests the next command after a success; `--quiet` leaves it out.
pub fn suggest(command: impl Into<Hint>) {
    if !is_quiet() {
        hint(command);
    }
}

/// With `--verbose`, writes the call of another program that is about to be made, as it can be typed at a shell. While
/// [`HeldMessages`] lives, the line waits.
pub fn call(typed: impl FnOnce() -> String) {
    if !manner().verbose {
        return;
    }
    let typed = paint(Tone::Soft, &one_line(&typed()));
    if !hold(Held::Calls, &typed) {
        line(&typed);
    }
}

/// Which lines wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Held {
    Calls,
    All,
}

/// Lines that wait at most; more are lost.
const MAX_HELD_LINES: usize = 10_000;

/// The lines that wait, and which do; `None` while none has to.
static HELD: Mutex<Option<(Held, Vec<String>)>> = Mutex::new(None);

/// Keeps a line, where those of its kind wait.
fn hold(kind: Held, text: &str) -> bool {
    let Ok(mut held) = HELD.lock() else { return false };
    let Some((_, lines)) = held.as_mut().filter(|(held, _)| kind <= *held) else { return false };
    if lines.len() < MAX_HELD_LINES {
        lines.push(text.to_owned());
    }
    true
}

/// While it lives, another program or a screen of ours draws on the terminal, and lines wait; on drop they are written.
pub struct HeldMessages(());

/// Makes the lines of [`call`] wait, where stderr is a terminal.
pub fn hold_messages() -> Option<HeldMessages> {
    begin_to_hold(Held::Calls)
}

/// Makes every line wait, where stderr is a terminal.
pub fn hold_all_messages() -> Option<HeldMessages> {
    begin_to_hold(Held::All)
}

fn begin_to_hold(kind: Held) -> Option<HeldMessages> {
    if !io::stderr().is_terminal() {
        return None;
    }
    *HELD.lock().ok()? = Some((kind, Vec::new()));
    Some(HeldMessages(()))
}

impl Drop for HeldMessages {
    fn drop(&mut self) {
        let held = HELD.lock().ok().and_then(|mut held| held.take());
        held.into_iter().flat_map(|(_, lines)| lines).for_each(|text| line(&text));
    }
}

/// Writes text on stderr as it is, as a question is.
pub fn text(text: &str) {
    let mut stderr = io::stderr();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}

/// Writes a plan on stderr. Each of its lines begins with a label, which is painted: soft, or loud where it is in
/// capitals.
pub fn plan(text: &str) {
    let painted = text.split_inclusive('\n').map(|line| match line.find([' ', '\n']) {
        None | Some(0) => line.to_owned(),
        Some(end) => {
            let (label, rest) = line.split_at(end);
            let in_capitals = !label.contains(|c: char| c.is_lowercase());
            paint(if in_capitals { Tone::Loud } else { Tone::Soft }, label) + rest
        }
    });
    self::text(&painted.collect::<String>());
}

/// Writes a line of progress in place of the last one, where stderr is a terminal.
pub fn progress(text: &str) {
    static SHOWN: Mutex<String> = Mutex::new(String::new());
    let Ok(mut shown) = SHOWN.lock() else { return };
    if *shown != text && !is_quiet() && io::stderr().is_terminal() {
        let _ = io::stderr().write_all(format!("\r{text}\x1b[K").as_bytes());
        text.clone_into(&mut shown);
    }
}

/// Erases the line of progress.
pub fn no_progress() {
    if !is_quiet() && io::stderr().is_terminal() {
        let _ = io::stderr().write_all(b"\r\x1b[K");
    }
}

/// Writes what was asked for, as text on stdout.
///
/// # Errors
/// The writer's own. A broken pipe is not an error: the reader has seen enough.
pub fn out(text: &str) -> io::Result<()> {
    bytes(text.as_bytes())
}

/// Writes what was asked for, as bytes on stdout.
///
/// # Errors
/// Those of [`out`].
pub fn bytes(bytes: &[u8]) -> io::Result<()> {
    stream_out(bytes).map(drop)
}

/// Writes one part of a longer output on stdout; false after a broken pipe, when the rest need not be produced.
///
/// # Errors
/// Those of [`out`].
pub fn stream_out(bytes: &[u8]) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        done => done.map(|()| true),
    }
}

/// Writes a value as indented JSON on stdout.
///
/// # Errors
/// Those of [`out`].
pub fn json(value: &impl serde::Serialize) -> io::Result<()> {
    out(&(escape_json(&serde_json::to_string_pretty(value)?) + "\n"))
}

/// Writes `claude-bottle: what: why`, then `hint: what to type`; as one JSON object where the manner says so.
pub fn error(error: &anyhow::Error) {
    let hint = error
        .downcast_ref::<UserError>()
        .and_then(|e| e.hint.as_ref())
        .or_else(|| error.downcast_ref::<EngineError>().and_then(|e| e.hint.as_ref()));
    if manner().errors == ErrorFormat::Json {
        let exit = exit::code(error);
        let kind = if exit == exit::Exit::REFUSED { "refused" } else { "engine" };
        let object = serde_json::json!({ "error": format!("{error:#}"), "hint": hint, "kind": kind, "exit": exit.0 });
        return line(&escape_json(&object.to_string()));
    }
    line(&format!("{} {}", paint(Tone::Bad, "claude-bottle:"), one_line(&format!("{error:#}"))));
    if let Some(hint) = hint {
        write_hint(hint);
    }
}

/// Writes `hint: ` and what to type.
pub fn hint(hint: impl Into<Hint>) {
    write_hint(&hint.into());
}

fn write_hint(hint: &Hint) {
    line(&format!("{} {}", paint(Tone::Soft, "hint:"), one_line(hint)));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Loud,
    Soft,
}

/// `text` in a tone, where stderr has colour.
pub fn paint(tone: Tone, text: &str) -> String {
    if !has_colour(&io::stderr()) {
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

/// Without `--color`, a terminal has colour unless `NO_COLOR` is set (<https://no-color.org>) or it is a dumb one.
pub fn has_colour(stream: &impl IsTerminal) -> bool {
    match manner().colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
                && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
                && stream.is_terminal()
        }
    }
}
