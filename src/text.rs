//! Text for a terminal: what hides or acts there made visible, what is too long cut. Pure.
//!
//! Text may come from inside a bottle or from a cloned repository, and neither may act on the user's terminal.

/// Must this character be escaped before it is shown? Control, C1, bidirectional, invisible and line-breaking
/// characters must; line feed and tab, which lay out text, need not.
pub fn needs_escape(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` with each character that [`needs_escape`] written as `\u{…}`.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if needs_escape(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

/// [`visible`] text that stays on one line: a line feed is written as `\u{a}`.
pub fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\\u{a}")
}

/// [`visible`] text that stays on one line, to be read: a line feed is written as a blank.
pub fn flattened(text: &str) -> String {
    visible(text).replace('\n', " ")
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
    let mut quoted = String::with_capacity(word.len() + 2);
    let mut rest = word;
    while !rest.is_empty() {
        let is_escaped = |c: char| matches!(c, '\'' | '\\');
        match rest.find(is_escaped) {
            Some(0) => quoted.extend(['\\', rest.as_bytes()[0].into()]),
            end => quoted.extend(["'", &rest[..end.unwrap_or(rest.len())], "'"]),
        }
        rest = &rest[rest.find(is_escaped).unwrap_or(rest.len()).max(1).min(rest.len())..];
    }
    quoted
}

/// A command of words that are quoted by [`shell_quoted`].
pub fn shell_command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(shell_quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_hides_is_shown() {
        assert_eq!(super::visible("a\x1b[31mb\u{202e}c\n"), "a\\u{1b}[31mb\\u{202e}c\n");
        assert_eq!(super::one_line("a\nb\u{1b}"), "a\\u{a}b\\u{1b}");
    }
}
