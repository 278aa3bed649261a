//! The modes that a program has set on its terminal, read from what it writes, so that another terminal can be brought
//! into them: bracketed paste, focus and mouse reports, keyboard protocols, the alternate screen, the cursor's shape.
//!
//! Invariant: memory is bounded, whatever the program writes. Text and colours are not kept; a program draws them again.

use std::collections::BTreeMap;
use vte::{Params, Parser, Perform};

/// Private modes that are remembered. Programs know about thirty.
const MAX_PRIVATE_MODES: usize = 64;
/// Entries of one screen's stack of keyboard flags. The protocol lets a terminal bound it.
const MAX_KEYBOARD_FLAGS: usize = 16;
/// Parameters of a sequence that sets nothing else: the alternate screen, with and without clearing and cursor.
const ALTERNATE_SCREEN: [u16; 3] = [47, 1047, 1049];
/// Private modes that are not set again: 132 columns (3), which clears the screen, the origin of cursor positions (6),
/// saving the cursor (1048), and synchronised output (2026), which the next drawing begins itself.
const NOT_RESTORED: [u16; 4] = [3, 6, 1048, 2026];

/// Reads a program's output and knows which modes it leaves the terminal in.
#[derive(Default)]
pub struct ModeTracker {
    parser: Parser,
    modes: Modes,
}

impl ModeTracker {
    /// Reads the next piece of the program's output.
    pub fn read(&mut self, output: &[u8]) {
        self.parser.advance(&mut self.modes, output);
    }

    /// The sequences that bring a terminal whose modes are off into those of the program.
    pub fn restore(&self) -> Vec<u8> {
        self.modes.restore()
    }
}

#[derive(Default)]
struct Modes {
    /// By number, as last set or reset.
    private: BTreeMap<u16, bool>,
    /// The number by which the alternate screen was entered, while it is shown.
    alternate_screen: Option<u16>,
    has_application_keypad: bool,
    /// Flags of the kitty keyboard protocol, of the main and of the alternate screen; the last one is in force.
    keyboard: [Vec<u16>; 2],
    /// The level of `modifyOtherKeys`.
    modify_other_keys: u16,
    /// The parameter of DECSCUSR; 0 is the terminal's own shape.
    cursor_shape: u16,
}

impl Modes {
    fn keyboard(&mut self) -> &mut Vec<u16> {
        &mut self.keyboard[usize::from(self.alternate_screen.is_some())]
    }

    fn set_private(&mut self, mode: u16, is_set: bool) {
        if ALTERNATE_SCREEN.contains(&mode) {
            self.alternate_screen = is_set.then_some(mode);
        } else if self.private.contains_key(&mode) || self.private.len() < MAX_PRIVATE_MODES {
            self.private.insert(mode, is_set);
        }
    }

    /// `CSI = flags ; how u`: replaces (1), adds (2) or removes (3) flags.
    fn set_keyboard(&mut self, flags: u16, how: u16) {
        let stack = self.keyboard();
        let now = stack.pop().unwrap_or_default();
        stack.push(match how {
            2 => now | flags,
            3 => now & !flags,
            _ => flags,
        });
    }

    fn restore(&self) -> Vec<u8> {
        let mut text = keyboard_sequence(&self.keyboard[0]);
        if let Some(mode) = self.alternate_screen {
            text += &format!("\x1b[?{mode}h");
            text += &keyboard_sequence(&self.keyboard[1]);
        }
        for (mode, is_set) in self.private.iter().filter(|(mode, _)| !NOT_RESTORED.contains(mode)) {
            text += &format!("\x1b[?{mode}{}", if *is_set { 'h' } else { 'l' });
        }
        if self.has_application_keypad {
            text += "\x1b=";
        }
        if self.modify_other_keys > 0 {
            text += &format!("\x1b[>4;{}m", self.modify_other_keys);
        }
        if self.cursor_shape > 0 {
            text += &format!("\x1b[{} q", self.cursor_shape);
        }
        text.into_bytes()
    }
}

/// Pushes the flags in force, where there are any.
fn keyboard_sequence(stack: &[u16]) -> String {
    match stack.last() {
        Some(flags) if *flags > 0 => format!("\x1b[>{flags}u"),
        _ => String::new(),
    }
}

impl Perform for Modes {
    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        let mut numbers = params.iter().map(|param| param.first().copied().unwrap_or_default());
        match (intermediates, action) {
            (b"?", 'h' | 'l') => numbers.for_each(|mode| self.set_private(mode, action == 'h')),
            (b">", 'u') => {
                let flags = numbers.next().unwrap_or_default();
                let stack = self.keyboard();
                if stack.len() == MAX_KEYBOARD_FLAGS {
                    stack.remove(0);
                }
                stack.push(flags);
            }
            (b"<", 'u') => {
                let count = numbers.next().unwrap_or_default().max(1);
                let stack = self.keyboard();
                stack.truncate(stack.len().saturating_sub(usize::from(count)));
            }
            (b"=", 'u') => {
                let (flags, how) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or(1));
                self.set_keyboard(flags, how);
            }
            (b">", 'm') if matches!(numbers.next(), Some(0 | 4)) => {
                self.modify_other_keys = numbers.next().unwrap_or_default();
            }
            (b">", 'n') if numbers.next() == Some(4) => self.modify_other_keys = 0,
            (b" ", 'q') => self.cursor_shape = numbers.next().unwrap_or_default(),
            // A soft reset.
            (b"!", 'p') => *self = Modes { alternate_screen: self.alternate_screen, ..Modes::default() },
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        match (intermediates, byte) {
            (b"", b'=') => self.has_application_keypad = true,
            (b"", b'>') => self.has_application_keypad = false,
            // A whole reset.
            (b"", b'c') => *self = Modes::default(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is set again after a program wrote this; the same in one piece and byte by byte.
    #[track_caller]
    fn restored(output: &str) -> String {
        let (mut whole, mut pieces) = (ModeTracker::default(), ModeTracker::default());
        whole.read(output.as_bytes());
        output.as_bytes().chunks(1).for_each(|piece| pieces.read(piece));
        assert_eq!(whole.restore(), pieces.restore());
        String::from_utf8(whole.restore()).unwrap()
    }

    #[test]
    fn what_a_program_leaves_on_is_set_again() {
        assert_eq!(restored("plain text \x1b[1;31mred\x1b[0m"), "");
        assert_eq!(restored("\x1b[?2004h"), "\x1b[?2004h");
        assert_eq!(restored("\x1b[?1004;2004h\x1b[?25l"), "\x1b[?25l\x1b[?1004h\x1b[?2004h");
        assert_eq!(restored("\x1b[?2004h\x1b[?2004l"), "\x1b[?2004l");
        assert_eq!(restored("\x1b[?2026hdrawn\x1b[?2026l"), "");
        assert_eq!(restored("\x1b=\x1b[5 q"), "\x1b=\x1b[5 q");
        assert_eq!(restored("\x1b=\x1b>"), "");
    }

    #[test]
    fn keyboard_protocols_are_set_again_on_their_screen() {
        assert_eq!(restored("\x1b[>5u"), "\x1b[>5u");
        assert_eq!(restored("\x1b[>1u\x1b[>5u\x1b[<u"), "\x1b[>1u");
        assert_eq!(restored("\x1b[>1u\x1b[<9u"), "");
        assert_eq!(restored("\x1b[>1u\x1b[=4;2u"), "\x1b[>5u");
        assert_eq!(restored("\x1b[=7u\x1b[=2;3u"), "\x1b[>5u");
        assert_eq!(restored("\x1b[>1u\x1b[?1049h\x1b[>7u"), "\x1b[>1u\x1b[?1049h\x1b[>7u");
        assert_eq!(restored("\x1b[>1u\x1b[?1049h\x1b[>7u\x1b[?1049l"), "\x1b[>1u");
        assert_eq!(restored("\x1b[>4;2m"), "\x1b[>4;2m");
        assert_eq!(restored("\x1b[>4;2m\x1b[>4m"), "");
        assert_eq!(restored("\x1b[>4;2m\x1b[>4n"), "");
    }

    #[test]
    fn a_reset_forgets() {
        assert_eq!(restored("\x1b[?2004h\x1b[>1u\x1b[?1049h\x1bc"), "");
        assert_eq!(restored("\x1b[?1049h\x1b[?2004h\x1b[!p"), "\x1b[?1049h");
    }

    #[test]
    fn strings_are_no_sequences_and_memory_is_bounded() {
        assert_eq!(restored("\x1b]0;[?2004h\x07\x1bP[?1004h\x1b\\"), "");
        let many: String = (0..70_000).map(|mode| format!("\x1b[?{mode}h\x1b[>{mode}u")).collect();
        let mut tracker = ModeTracker::default();
        tracker.read(many.as_bytes());
        assert!(tracker.restore().len() < 1024);
    }
}
