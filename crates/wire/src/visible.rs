//! Text that is read by a person: what hides in it, or acts on a terminal, is made visible. The one answer to what that is,
//! for messages, names of files and the scanner.
//!
//! Text may come from inside a bottle or from a cloned repository: none of it may act on the user's terminal, forge a line,
//! or read otherwise to a person than to a program.

/// Does this character leave no mark of its own where text is drawn? All that Unicode 16 lets a font leave out
/// (`Default_Ignorable_Code_Point`), what changes the direction of writing (`Bidi_Control`), and the few others that are
/// drawn as nothing. Controls and blanks are not among them.
pub fn is_hidden(c: char) -> bool {
    // Most text is below the first of them.
    c >= '\u{ad}'
        && (matches!(c,
            // Soft hyphen, grapheme joiner, Arabic letter mark, fillers of Hangul, inherent vowels of Khmer.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{3164}' | '\u{ffa0}'
            // Selectors of variants: Mongolian, all scripts (the second block is in the last line).
            | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}'
            // Zero-width characters, direction of writing, lines and paragraphs, invisible operators, former shaping.
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            // Unassigned specials, annotation.
            | '\u{fff0}'..='\u{fffb}'
            // Formats of hieroglyphs, Khitan, shorthand and music.
            | '\u{13430}'..='\u{1343f}' | '\u{16fe4}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}'
            // Tags, selectors of variants, and what is kept for more of them.
            | '\u{e0000}'..='\u{e0fff}')
            || is_noncharacter(c))
}

/// Code points that are no characters, which fonts and programs drop or replace as they like.
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

/// Must this character be escaped before it is shown? Controls and what [`is_hidden`] must; line feed and tab, which lay
/// out text, need not.
pub fn needs_escape(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t') || is_hidden(c)
}

/// `text` with each character that [`needs_escape`] written as `\u{…}`.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if needs_escape(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

/// [`visible`] text that stays on one line: a line feed is written as `\u{a}`. Of blanks in a row, all but the first are
/// escaped: a terminal would begin a new line in the middle of many, and what follows would look like one of ours.
pub fn one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut is_behind_blank = false;
    for c in text.chars() {
        // Braille's blank is drawn as one, too.
        let is_blank = c.is_whitespace() || c == '\u{2800}';
        if needs_escape(c) || c == '\n' || (is_blank && is_behind_blank) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        is_behind_blank = is_blank;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unicode 16, DerivedCoreProperties.txt (`Default_Ignorable_Code_Point`) and PropList.txt (`Bidi_Control`).
    const IGNORABLE: [(u32, u32); 20] = [
        (0xad, 0xad),
        (0x34f, 0x34f),
        (0x61c, 0x61c),
        (0x115f, 0x1160),
        (0x17b4, 0x17b5),
        (0x180b, 0x180f),
        (0x200b, 0x200f),
        (0x202a, 0x202e),
        (0x2060, 0x206f),
        (0x3164, 0x3164),
        (0xfe00, 0xfe0f),
        (0xfeff, 0xfeff),
        (0xffa0, 0xffa0),
        (0xfff0, 0xfff8),
        (0x1bca0, 0x1bca3),
        (0x1d173, 0x1d17a),
        (0xe0000, 0xe0000),
        (0xe0001, 0xe007f),
        (0xe0080, 0xe00ff),
        (0xe0100, 0xe0fff),
    ];

    #[test]
    fn every_character_that_a_font_may_leave_out_is_escaped() {
        for (first, last) in IGNORABLE {
            for c in (first..=last).filter_map(char::from_u32) {
                assert!(is_hidden(c) && needs_escape(c), "{c:?}");
                assert_eq!(visible(&format!("a{c}")), format!("a{}", c.escape_unicode()));
            }
        }
        for c in ['\u{2028}', '\u{2029}', '\u{fffb}', '\u{1d159}', '\u{fdd0}', '\u{ffff}', '\u{1ffff}', '\u{10fffe}'] {
            assert!(is_hidden(c), "{c:?}");
        }
    }

    #[test]
    fn what_people_read_stays_as_it_is() {
        let read = "naïve e\u{301} Straße ελ עברית العربية हिन्दी 한국어 日本語 😀 🇩🇪 ⠋ a\u{a0}b\u{3000}c \u{fffd} \u{e0b0}\t\n";
        assert_eq!(visible(read), read);
        assert!(!read.chars().any(is_hidden));
    }

    #[test]
    fn what_acts_on_a_terminal_is_shown_and_one_line_stays_one() {
        assert_eq!(visible("a\x1b[31mb\u{202e}c\n"), "a\\u{1b}[31mb\\u{202e}c\n");
        assert_eq!(one_line("a\nb\u{1b}\u{2028}\u{85}\r"), "a\\u{a}b\\u{1b}\\u{2028}\\u{85}\\u{d}");
        assert_eq!(one_line("a b \t\u{3000}c \n d"), "a b \\u{9}\\u{3000}c \\u{a}\\u{20}d");
    }
}
