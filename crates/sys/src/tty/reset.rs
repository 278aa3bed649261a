//! What a terminal is told after a program: every mode goes back to its default, and the screen and the cursor stay.
//!
//! `ESC c` would clear the screen and the user's scrollback. What has no default that all terminals share stays as it is:
//! whether the wheel scrolls in the alternate screen. The title was pushed on the terminal's stack before, and is popped.

/// Pushes the title, and the icon's, before a program may set them; pops them after it. A terminal without such a stack
/// ignores both.
pub(super) const PUSH_TITLE: &str = "\x1b[22;0t";
pub(super) const POP_TITLE: &str = "\x1b[23;0t";

/// What a terminal is told after a program. The order matters:
///
/// - Leaving the alternate screen moves the cursor to where it was last saved, even if that screen was not in use, so the
///   cursor is saved just before. tmux keeps a place of its own for that, which only entering that screen sets, so it is
///   entered before it is left; entering it again does nothing.
/// - Taking back origin mode and margins moves the cursor home, so it is saved before and restored behind. Where restoring
///   it brings origin mode back as well, the soft reset before has already turned that off, which moves no cursor. tmux has
///   no soft reset and keeps origin mode, which does nothing without margins.
/// - Restoring the cursor brings colours and character sets back, so these come last.
pub(super) const RESET: &str = concat!(
    // Ends a sequence that the program did not end, the printer's and Tektronix's modes, and VT52's.
    "\x18\x1b\\\x1b[4i\x1b\x03\x1b<",
    // UTF-8; no held updates; no keyboard protocol of kitty's on this screen.
    "\x1b%G\x1b[?2026l\x1b[<99u",
    "\x1b7\x1b[?1049h\x1b[?1049l",
    // The other screen has its own keyboard protocols. The soft reset: margins, origin and insert mode, protected cells.
    "\x1b[<99u\x1b[!p",
    "\x1b7\x1b[?6l\x1b[?69l\x1b[r\x1b8",
    // Keyboard: not locked, echo by the host, plain keypad and cursor keys, repeat, no modifyOtherKeys, no win32 input.
    "\x1b[2l\x1b[12h\x1b>\x1b[?1l\x1b[?66l\x1b[?8h\x1b[>m\x1b[>4m\x1b[?9001l",
    // Insert and new-line mode, smooth scrolling, reverse video, reverse wrap, wrap.
    "\x1b[4l\x1b[20l\x1b[?4l\x1b[?5l\x1b[?45l\x1b[?7h",
    // Mouse and focus, bracketed paste, reports of themes, sizes and pastes.
    "\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l",
    "\x1b[?2004l\x1b[?2031l\x1b[?2048l\x1b[?5522l",
    // A tab stop at every eighth column; the cursor's shape and blinking, shown; no link.
    "\x1b[?5W\x1b[0 q\x1b[?25h\x1b]8;;\x1b\\",
    // Colours of the palette, of text, background, cursor, mouse pointer and selection.
    "\x1b]104\x1b\\\x1b]105\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\\x1b]113\x1b\\\x1b]114\x1b\\\x1b]117\x1b\\\x1b]119\x1b\\",
    // Plain text that can be erased; ASCII in all four character sets, the first of them in use.
    "\x1b[0m\x1b[0\"q\x1b(B\x1b)B\x1b*B\x1b+B\x1b}\x0f\r",
);

#[cfg(test)]
mod tests {
    use super::RESET;
    use alacritty_terminal::event::VoidListener;
    use alacritty_terminal::grid::Dimensions;
    use alacritty_terminal::term::{Config, Term, color};
    use alacritty_terminal::vte::ansi::Processor;

    /// The emulator of a terminal program.
    struct Screen {
        term: Term<VoidListener>,
        parser: Processor,
    }

    struct Size;

    impl Dimensions for Size {
        fn total_lines(&self) -> usize {
            8
        }

        fn screen_lines(&self) -> usize {
            8
        }

        fn columns(&self) -> usize {
            40
        }
    }

    impl Screen {
        fn new() -> Screen {
            let config = Config { kitty_keyboard: true, ..Config::default() };
            Screen { term: Term::new(config, &Size, VoidListener), parser: Processor::new() }
        }

        fn feed(&mut self, text: &str) {
            self.parser.advance(&mut self.term, text.as_bytes());
        }

        fn line(&self) -> i32 {
            self.term.grid().cursor.point.line.0
        }

        /// Everything that can be seen of its state without writing on it.
        fn state(&self) -> impl PartialEq + std::fmt::Debug {
            let term = &self.term;
            let colors: Vec<_> = (0..color::COUNT).filter(|index| term.colors()[*index].is_some()).collect();
            let cells: Vec<_> = term.grid().display_iter().map(|cell| cell.cell.clone()).collect();
            let point = term.grid().cursor.point;
            (*term.mode(), term.cursor_style(), colors, format!("{:?}", term.grid().cursor.template), cells, point)
        }
    }

    const TEXT: &str = "$ one\r\n$ two\r\n$ three\r\n$ four\r\n$ fi";

    /// Writes where character sets, tab stops, insert mode, wrapping, new-line mode, colours, margins and origin mode would
    /// show.
    const PROBE: &str = "\x1b[2;10Hq\x0eq\x0f\x1b[3;10HA\tB\x1b[4;20Hxy\x1b[4;20Hz\x1b[5;30H0123456789abcdef\
                         \x1b[7;5Hm\nn\x1b[8;1Hend\n|\x1b[1;1H\x1bM^\x1b[5;1H";

    /// What a program may leave.
    const LEFT: &[&str] = &[
        "",
        "\x1b[3;5r",
        "\x1b[3;5r\x1b[?6h",
        "\x1b[?6h\x1b[2;2H",
        "\x1b[4h",
        "\x1b[20h",
        "\x1b(0",
        "\x1b)0\x0e",
        "\x1b[?7l",
        "\x1b[?25l",
        "\x1b[?1h\x1b=",
        "\x1b[?1000h\x1b[?1006h",
        "\x1b[?1002h\x1b[?1005h",
        "\x1b[?1003h",
        "\x1b[?1004h",
        "\x1b[?2004h",
        "\x1b[?2026hheld",
        "\x1b[>1u",
        "\x1b[>1u\x1b[>5u\x1b[>31u",
        "\x1b[=31u",
        "\x1b[>4;2m",
        "\x1b[3 q",
        "\x1b[?12h\x1b[6 q",
        "\x1b]12;#ff0000\x1b\\",
        "\x1b]4;1;#00ff00;7;#000000\x07\x1b]10;#000000\x07\x1b]11;#000000\x07",
        "\x1b[31;42;1;4:3;58;5;9;8m",
        "\x1b]8;;http://example.org/\x1b\\",
        "\x1b[3;5r\x1b[?6h\x1b7\x1b[?6l",
        "\x1b(0\x1b[31m\x1b7",
        "\x1b]0;a title without an end",
        "\x1bP1$qa request without an end",
        "\x1b_an application's string without an end",
        "\x1b[12;",
        "\x1b",
    ];

    /// The terminal after this, and what a new one would be with the same text and its cursor in the same line.
    fn check(left: &str) {
        let (mut used, mut new) = (Screen::new(), Screen::new());
        used.feed(TEXT);
        used.feed(left);
        // Held updates are drawn at the latest now, and what is unfinished is given up.
        used.feed("\x18\x1b[?2026l");
        let before = match used.term.mode().contains(alacritty_terminal::term::TermMode::ALT_SCREEN) {
            true => 4,
            false => used.line(),
        };
        used.feed(RESET);
        new.feed(TEXT);
        if left.contains("held") {
            new.feed("held");
        }
        new.feed(&format!("\x1b[{};1H", before + 1));
        assert_eq!(used.state(), new.state(), "{left:?}");
        used.feed(PROBE);
        new.feed(PROBE);
        assert_eq!(used.state(), new.state(), "{left:?}, written on");
    }

    #[test]
    fn no_mode_of_a_program_stays() {
        for left in LEFT {
            check(left);
            check(&format!("\x1b[?1049h\x1b[2Ja program's screen\x1b[3;4H{}", left.replace("held", "")));
        }
        // All at once, but for what stays unfinished.
        check(
            &LEFT
                .iter()
                .filter(|left| left.ends_with(['h', 'l', 'm', 'u', 'q', 'r', '0', '=']))
                .copied()
                .collect::<String>(),
        );
    }
}
