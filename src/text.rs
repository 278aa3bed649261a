//! Text for a terminal and for a shell: what hides or acts there made visible, what is too long cut, words quoted. Pure.

use std::path::Path;
pub use wire::{is_hidden, needs_escape, one_line, visible};

/// A path on one line: a cloned directory may have any name.
pub fn path(path: &Path) -> String {
    one_line(&path.display().to_string())
}

/// [`visible`] text that stays on one line with all its blanks: to be pasted, or laid out before. What is not ours in it must
/// be on one line already, or stand alone.
pub fn unbroken(text: &str) -> String {
    visible(text).replace('\n', "\\u{a}")
}

/// [`visible`] text that stays on one line, to be read: blanks and line feeds in a row are written as one blank.
pub fn flattened(text: &str) -> String {
    let mut flat = String::with_capacity(text.len());
    for c in visible(text).chars().map(|c| if c.is_whitespace() { ' ' } else { c }) {
        if c != ' ' || !flat.ends_with(' ') {
            flat.push(c);
        }
    }
    flat
}

/// JSON with each character that [`needs_escape`] written as `\uXXXX`; its value stays the same.
pub fn escape_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if needs_escape(c) {
            shown.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The first `max_chars` characters of `text`, and `…` where it is longer.
pub fn truncate(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A word quoted for a POSIX shell and for fish; a word with a NUL character, which no shell takes, becomes `''`.
///
/// A backslash stands outside the quotes, as a quote does: within them, fish reads two of them as one.
pub fn shell_quoted(word: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "+-./:@_".contains(c);
    if word.is_empty() || word.contains('\0') {
        return "''".to_owned();
    }
    if word.chars().all(is_bare) {
        return word.to_owned();
    }
    let is_escaped = |c: char| matches!(c, '\'' | '\\');
    let mut quoted = String::with_capacity(word.len() + 2);
    for part in word.split_inclusive(is_escaped) {
        let plain = part.trim_end_matches(is_escaped);
        if !plain.is_empty() {
            quoted.extend(["'", plain, "'"]);
        }
        if plain.len() < part.len() {
            quoted.extend(["\\", &part[plain.len()..]]);
        }
    }
    quoted
}

/// A command of words that are quoted by [`shell_quoted`].
pub fn shell_command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(shell_quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Many blanks would make a terminal begin a new line, with what looks like a row of ours.
    #[test]
    fn blanks_forge_no_row() {
        let wide = format!("app{}fixer-aaaaa  kept\u{3000}\u{a0}\t!", " ".repeat(200));
        let shown = path(Path::new(&wide));
        assert_eq!(shown, one_line(&wide));
        assert!(shown.starts_with("app \\u{20}\\u{20}") && shown.ends_with("kept\u{3000}\\u{a0}\\u{9}!"), "{shown}");
        assert_eq!(path(Path::new("a b/c d")), "a b/c d");
        assert_eq!(flattened(&wide), "app fixer-aaaaa kept !");
        assert_eq!(flattened("a \n\n b\u{1b}"), "a b\\u{1b}");
    }
}
