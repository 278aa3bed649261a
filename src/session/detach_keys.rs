//! The keys that detach, found in what is typed: as plain bytes, or as the kitty keyboard protocol or `modifyOtherKeys`
//! spells them. Pure.
//!
//! Invariant: without a detach every byte is passed on, in its order. Held back is what may be the beginning of the keys;
//! the caller bounds the wait for the rest of a sequence by [`DetachKeys::expire`]. What is pasted is no key.

use std::collections::VecDeque;
use std::mem;

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;
/// What ends bracketed paste.
const PASTE_END: &[u8] = b"\x1b[201~";
/// Bytes that may spell a key; the kitty protocol needs about 30. A longer sequence is passed on as something else.
const MAX_SEQUENCE_BYTES: usize = 64;
/// Coordinates and button behind `CSI M`, bytes.
const MOUSE_BYTES: usize = 3;

/// Looks for the detach keys in the input of a terminal.
#[derive(Debug)]
pub(super) struct DetachKeys {
    /// Each key as the byte that it is without any protocol.
    keys: Vec<u8>,
    /// What was typed of `keys` and not passed on.
    held: VecDeque<HeldKey>,
    state: State,
    /// The sequence that is read, from its escape byte on.
    sequence: Vec<u8>,
    /// How many bytes of `sequence` were passed on already.
    passed: usize,
}

/// A key that is held back.
#[derive(Debug)]
struct HeldKey {
    key: u8,
    /// Its input, and that of releases behind it. Empty where its sequence came so slowly that it was passed on.
    input: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    /// Behind an escape byte.
    Escape,
    /// Behind an escape byte that counts as a key, because nothing came for a while.
    LateEscape,
    /// In a control sequence: `CSI …`.
    Control,
    /// In a control sequence that is too long for a key.
    LongControl,
    /// Behind `ESC O`.
    Shift3,
    /// In an answer that is a string: `OSC …`, `DCS …`.
    Text,
    /// In a mouse report of the oldest kind: this many bytes are left.
    Mouse(usize),
    /// In a bracketed paste: this many bytes of its end have come.
    Paste(usize),
}

/// What a whole control sequence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// A key that was pressed, or repeats, as its byte; `None` for one that is no single byte.
    Key(Option<u8>),
    /// A key that was released; a modifier, or a lock, that was pressed.
    Passing,
    /// An answer of the terminal's, a report, or a function key.
    Other,
    PasteBegin,
    MouseBegin,
}

impl DetachKeys {
    /// `notation`: characters, `ctrl-` and a character, `DEL`, with commas between. What is none of these is left out.
    pub fn new(notation: &str) -> DetachKeys {
        let keys = notation.split(',').filter_map(byte_of_notation).collect();
        DetachKeys { keys, held: VecDeque::new(), state: State::Ground, sequence: Vec::new(), passed: 0 }
    }

    /// Reads the next piece of input; appends what is to be passed on to `output`. True where the keys were typed: then
    /// the rest of the input is dropped.
    pub fn read(&mut self, input: &[u8], output: &mut Vec<u8>) -> bool {
        for byte in input {
            if self.take(*byte, output) {
                return true;
            }
        }
        // The escape key is not held up; the rest of a sequence behind it is recognised all the same.
        if self.state == State::Escape && self.held.is_empty() && self.keys.first() != Some(&ESCAPE) {
            self.pass_sequence(output);
        }
        false
    }

    /// Whether [`DetachKeys::expire`] is to be called if nothing comes for a while.
    pub fn is_waiting(&self) -> bool {
        match self.state {
            State::Escape | State::Shift3 => true,
            State::Control => self.held.is_empty() && self.passed < self.sequence.len(),
            _ => false,
        }
    }

    /// Nothing has come for a while: an escape byte is the escape key, and the beginning of a sequence is passed on. True
    /// where that was the last of the keys.
    pub fn expire(&mut self, output: &mut Vec<u8>) -> bool {
        match self.state {
            State::Escape => {
                self.state = State::LateEscape;
                self.end_key(Some(ESCAPE), output)
            }
            State::Shift3 => {
                self.state = State::Ground;
                self.end_key(None, output)
            }
            State::Control if self.held.is_empty() => {
                self.pass_sequence(output);
                false
            }
            _ => false,
        }
    }

    /// The input is at its end: what is held back is passed on.
    pub fn finish(&mut self, output: &mut Vec<u8>) {
        self.pass_all(output);
    }

    fn take(&mut self, byte: u8, output: &mut Vec<u8>) -> bool {
        match self.state {
            State::Ground => return self.take_plain(byte, output),
            State::Escape | State::LateEscape => return self.take_behind_escape(byte, output),
            State::Control | State::LongControl | State::Shift3 if !(0x20..0x7f).contains(&byte) => {
                // Something else begins before the sequence was whole.
                self.state = State::Ground;
                self.pass_all(output);
                return self.take_plain(byte, output);
            }
            State::Control => {
                self.sequence.push(byte);
                if byte >= 0x40 {
                    return self.end_control(output);
                }
                if self.sequence.len() > MAX_SEQUENCE_BYTES {
                    self.pass_all(output);
                    self.state = State::LongControl;
                }
            }
            State::LongControl => {
                output.push(byte);
                if byte >= 0x40 {
                    self.state = State::Ground;
                }
            }
            State::Shift3 => {
                self.sequence.push(byte);
                // Digits may tell modifiers.
                if !byte.is_ascii_digit() || self.sequence.len() > MAX_SEQUENCE_BYTES {
                    self.state = State::Ground;
                    return self.end_key(None, output);
                }
            }
            State::Text if byte == ESCAPE || (byte < 0x20 && byte != BELL) => {
                self.state = State::Ground;
                return self.take_plain(byte, output);
            }
            State::Text => {
                output.push(byte);
                if byte == BELL {
                    self.state = State::Ground;
                }
            }
            State::Mouse(left) => {
                output.push(byte);
                self.state = if left > 1 { State::Mouse(left - 1) } else { State::Ground };
            }
            State::Paste(come) => {
                output.push(byte);
                let come = match PASTE_END.get(come) {
                    Some(next) if *next == byte => come + 1,
                    _ => usize::from(byte == ESCAPE),
                };
                self.state = if come == PASTE_END.len() { State::Ground } else { State::Paste(come) };
            }
        }
        false
    }

    fn take_plain(&mut self, byte: u8, output: &mut Vec<u8>) -> bool {
        if byte == ESCAPE {
            self.sequence.push(byte);
            self.state = State::Escape;
            return false;
        }
        if self.held.is_empty() && self.keys.first() != Some(&byte) {
            output.push(byte);
            return false;
        }
        self.sequence.push(byte);
        self.end_key(Some(byte), output)
    }

    fn take_behind_escape(&mut self, byte: u8, output: &mut Vec<u8>) -> bool {
        if byte == b'[' {
            if self.state == State::LateEscape {
                // The escape byte itself has gone.
                self.sequence.push(ESCAPE);
                self.passed = 1;
            }
            self.sequence.push(byte);
            self.state = State::Control;
            return false;
        }
        if self.state == State::LateEscape {
            self.state = State::Ground;
            return self.take_plain(byte, output);
        }
        match byte {
            ESCAPE => {
                if self.end_key(Some(ESCAPE), output) {
                    return true;
                }
                self.sequence.push(byte);
            }
            b'O' => {
                self.sequence.push(byte);
                self.state = State::Shift3;
            }
            b']' | b'P' | b'X' | b'^' | b'_' => {
                self.sequence.push(byte);
                self.pass_all(output);
                self.state = State::Text;
            }
            // A key with Alt held.
            _ => {
                self.sequence.push(byte);
                self.state = State::Ground;
                return self.end_key(None, output);
            }
        }
        false
    }

    /// A control sequence is whole.
    fn end_control(&mut self, output: &mut Vec<u8>) -> bool {
        self.state = State::Ground;
        match event_of(&self.sequence[2..]) {
            Event::Key(key) => return self.end_key(key, output),
            Event::Passing => match self.held.back_mut() {
                Some(last) => last.input.append(&mut self.sequence),
                None => self.pass_all(output),
            },
            Event::Other => self.pass_all(output),
            Event::PasteBegin => {
                self.pass_all(output);
                self.state = State::Paste(0);
            }
            Event::MouseBegin => {
                self.pass_all(output);
                self.state = State::Mouse(MOUSE_BYTES);
            }
        }
        false
    }

    /// The sequence is a key. True where it is the last one of `keys`.
    fn end_key(&mut self, key: Option<u8>, output: &mut Vec<u8>) -> bool {
        let Some(key) = key else {
            self.pass_all(output);
            return false;
        };
        if self.passed > 0 {
            // The program inside would wait for the rest of it.
            self.pass_sequence(output);
            self.sequence.clear();
        }
        self.passed = 0;
        self.held.push_back(HeldKey { key, input: mem::take(&mut self.sequence) });
        while !self.is_beginning() {
            output.extend(self.held.pop_front().map(|held| held.input).unwrap_or_default());
        }
        !self.keys.is_empty() && self.held.len() == self.keys.len()
    }

    /// Whether the held keys are the beginning of the detach keys.
    fn is_beginning(&self) -> bool {
        self.held.len() <= self.keys.len() && self.held.iter().zip(&self.keys).all(|(held, key)| held.key == *key)
    }

    /// Passes on what is held and the sequence, which is none of the keys.
    fn pass_all(&mut self, output: &mut Vec<u8>) {
        output.extend(self.held.drain(..).flat_map(|held| held.input));
        self.pass_sequence(output);
        self.sequence.clear();
        self.passed = 0;
    }

    fn pass_sequence(&mut self, output: &mut Vec<u8>) {
        output.extend(&self.sequence[self.passed..]);
        self.passed = self.sequence.len();
    }
}

/// The byte of a key in the notation of the engine's program.
fn byte_of_notation(key: &str) -> Option<u8> {
    match (key.as_bytes(), key.strip_prefix("ctrl-").map(str::as_bytes)) {
        (b"DEL", _) => Some(0x7f),
        (_, Some([control])) => Some(control & 0x1f),
        ([character], _) => Some(*character),
        _ => None,
    }
}

/// What a control sequence is, by what is behind `CSI`.
fn event_of(body: &[u8]) -> Event {
    let Some((end, parameters)) = body.split_last() else { return Event::Other };
    match (body, end) {
        (b"200~", _) => return Event::PasteBegin,
        (b"M", _) => return Event::MouseBegin,
        _ => {}
    }
    let Some(parameters) = Parameters::read(parameters) else { return Event::Other };
    let code = parameters.number(0, 0);
    match end {
        b'u' | b'~' | b'A'..=b'F' | b'H' | b'P'..=b'S' if parameters.number(1, 1) == Some(RELEASED) => Event::Passing,
        b'u' if code.is_some_and(|code| MODIFIER_KEYS.iter().any(|keys| keys.contains(&code))) => Event::Passing,
        b'u' => Event::Key(code.and_then(|code| {
            let (shifted, base) = (parameters.number(0, 1), parameters.number(0, 2));
            SpelledKey { code, shifted, base, modifiers: parameters.number(1, 0) }.byte()
        })),
        b'~' if code == Some(27) => Event::Key(parameters.number(2, 0).and_then(|code| {
            SpelledKey { code, shifted: None, base: None, modifiers: parameters.number(1, 0) }.byte()
        })),
        _ => Event::Other,
    }
}

/// The kind of event that the kitty protocol gives a key that was released.
const RELEASED: u32 = 3;
/// The kitty protocol's codes of locks and modifiers.
const MODIFIER_KEYS: [std::ops::RangeInclusive<u32>; 2] = [57358..=57360, 57441..=57454];

const SHIFT: u32 = 1;
const CONTROL: u32 = 4;
/// Alt, super, hyper, meta: with one of them a key is another one. Caps lock and num lock change none.
const OTHER_MODIFIERS: u32 = 2 | 8 | 16 | 32;

/// Parameters of a control sequence, each with the parts that colons separate.
struct Parameters(Vec<Vec<Option<u32>>>);

impl Parameters {
    /// `None` where there is more than numbers.
    fn read(text: &[u8]) -> Option<Parameters> {
        let part = |text: &str| match text {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        let parameter = |text: &str| text.split(':').map(part).collect();
        std::str::from_utf8(text).ok()?.split(';').map(parameter).collect::<Option<_>>().map(Parameters)
    }

    fn number(&self, parameter: usize, part: usize) -> Option<u32> {
        *self.0.get(parameter)?.get(part)?
    }
}

/// A key as a protocol spells it.
struct SpelledKey {
    code: u32,
    /// What it is with shift.
    shifted: Option<u32>,
    /// What the key at its place is on a US keyboard.
    base: Option<u32>,
    /// 1 and the bits of the modifiers.
    modifiers: Option<u32>,
}

impl SpelledKey {
    /// The byte that this key is without a protocol.
    fn byte(&self) -> Option<u8> {
        let modifiers = self.modifiers.unwrap_or(1).checked_sub(1)?;
        if modifiers & OTHER_MODIFIERS != 0 {
            return None;
        }
        let has_shift = modifiers & SHIFT != 0;
        // On a layout of another script the place counts.
        let code = self.base.filter(|_| self.code > 0x7f).unwrap_or(self.code);
        let code = u8::try_from(code).ok().filter(u8::is_ascii)?;
        let shifted = self.shifted.filter(|_| has_shift).and_then(|code| u8::try_from(code).ok());
        match (modifiers & CONTROL != 0, has_shift) {
            (true, _) => shifted.and_then(|code| control_byte(code, true)).or_else(|| control_byte(code, has_shift)),
            (false, false) => Some(code),
            (false, true) => shifted.or_else(|| code.is_ascii_alphabetic().then(|| code.to_ascii_uppercase())),
        }
    }
}

/// The byte of a key with Ctrl. Digits have been control characters since the VT220, and so `ctrl-5` is `ctrl-]` on every
/// layout. With shift as well, a letter is another key where a protocol tells the two apart.
fn control_byte(code: u8, has_shift: bool) -> Option<u8> {
    match code {
        b'a'..=b'z' | b'A'..=b'Z' if has_shift => None,
        b' ' | b'2' => Some(0),
        b'3'..=b'7' => Some(code - b'3' + ESCAPE),
        b'8' | b'?' => Some(0x7f),
        b'/' | b'-' => Some(0x1f),
        b'@'..=b'~' => Some(code & 0x1f),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ctrl-]` in all spellings: what is passed on at once, and what is held back.
    const FIRST: &[(&str, &str)] = &[
        ("", "\x1d"),
        ("", "\x1b[93;5u"),
        ("", "\x1b[93;5:1u"),
        ("", "\x1b[93;5:2u"),
        ("", "\x1b[93;69u"),
        ("", "\x1b[93;133:1u"),
        ("", "\x1b[93;197u"),
        ("", "\x1b[93:125;6u"),
        ("", "\x1b[93:125:93;5u"),
        ("", "\x1b[1098::93;5u"),
        ("", "\x1b[1098:1066:93;5:1u"),
        ("", "\x1b[93;5;u"),
        ("", "\x1b[27;5;93~"),
        ("", "\x1b[27;69;93~"),
        // ctrl-5
        ("", "\x1b[53;5u"),
        ("", "\x1b[27;5;53~"),
        // With releases of keys, and with modifiers as keys.
        ("\x1b[57442;5u", "\x1b[93;5u\x1b[93;5:3u\x1b[57442;1:3u"),
        ("", "\x1b[93;5u\x1b[57358;65u\x1b[57358;65:3u"),
        // Typed twice.
        ("\x1d", "\x1d"),
        ("\x1b[93;5u", "\x1b[93;5:2u"),
    ];
    /// `d` in all spellings.
    const SECOND: &[&str] = &[
        "d",
        "\x1b[100u",
        "\x1b[100;1u",
        "\x1b[100;1:1;100u",
        "\x1b[100;65u",
        "\x1b[100:68:100;129u",
        "\x1b[1074::100u",
        "\x1b[27;1;100~",
    ];
    /// What is no key, but for the beginning.
    const BESIDE: &[&str] = &[
        "\x1b[200~\x1dd\x1b[93;5u\x1b[100u\x1b[201~",
        "\x1b[200~\x1b[201\x1dd\x1b[20\x1b[201~",
        "\x1b[?5u",
        "\x1b[?62;22c",
        "\x1b]11;rgb:dddd/dddd/dddd\x1b\\",
        "\x1b]11;rgb:dddd/dddd/dddd\x07",
        "\x1bP1$r0 d\x1b\\",
        "\x1b[M d!",
        "\x1b[<35;100;100M",
        "\x1b[I",
        "\x1bd",
        "\x1bOd",
        "\x1b[1;5D",
        "\x1b\x1d",
        "\x1b[93;7u",
        "\x1b[93;13u",
        "\x1b[93;3:1u",
        "\x1b[93u",
        "\x1b[93;5:3u",
        "\x1b[27;7;93~",
        "\x1b[27u",
        "é\u{a0}",
        "D",
        "\x1b[100;2u",
        "\x1b[100;5u",
        "\x1b[4294967296;5u",
        "\x1b[93;0u",
    ];

    fn keys() -> DetachKeys {
        DetachKeys::new("ctrl-],d")
    }

    /// What is passed on of these pieces, and whether they detach.
    fn read(keys: &mut DetachKeys, pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut output = Vec::new();
        let detaches = pieces.iter().any(|piece| keys.read(piece, &mut output));
        (output, detaches)
    }

    /// Cut nowhere, at each place, and everywhere.
    fn splits(input: &[u8]) -> Vec<Vec<&[u8]>> {
        let twice = (1..input.len()).map(|at| vec![&input[..at], &input[at..]]);
        twice.chain([vec![input], input.chunks(1).collect()]).collect()
    }

    #[test]
    fn every_spelling_detaches_wherever_it_is_cut() {
        let both = FIRST.iter().flat_map(|first| SECOND.iter().map(move |second| (first, second)));
        for ((passed, first), second) in both {
            for before in ["", "text ", "\x1b[A", "\x1b[200~\x1d\x1b[201~", "\x1b]11;rgb:0/0/0\x1b\\", "\x1b[93;5:3u"] {
                let passed = format!("{before}{passed}");
                let input = format!("{passed}{first}{second}");
                for pieces in splits(input.as_bytes()) {
                    let (output, detaches) = read(&mut keys(), &pieces);
                    assert!(detaches, "{pieces:?}");
                    // An escape byte that came alone was passed on, and then the rest of its sequence.
                    assert!(output.starts_with(passed.as_bytes()), "{pieces:?}");
                    assert!(pieces.len() > 1 || output == passed.as_bytes(), "{pieces:?}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_detach_arrives_whole_and_in_order() {
        let firsts = FIRST.iter().copied().chain([("", "")]);
        for ((passed, first), beside) in firsts.flat_map(|first| BESIDE.iter().map(move |beside| (first, beside))) {
            for behind in ["", "x", "d", "\x1b[100;1:3u"] {
                let input = format!("{passed}{first}{beside}{behind}");
                // A release is no key: with it, these are the keys.
                if *beside == "\x1b[93;5:3u" && !first.is_empty() && behind == "d" {
                    continue;
                }
                for pieces in splits(input.as_bytes()) {
                    let mut keys = keys();
                    let (mut output, detaches) = read(&mut keys, &pieces);
                    keys.finish(&mut output);
                    assert!(!detaches, "{pieces:?}");
                    assert_eq!(output, input.as_bytes(), "{pieces:?}");
                }
            }
        }
    }

    /// Only what follows the first key, and a sequence that may be that, is held back; the escape key never is.
    #[test]
    fn nothing_is_held_back_for_nothing() {
        let held = |input: &str| {
            let mut keys = keys();
            let passed = read(&mut keys, &[input.as_bytes()]).0.len();
            (input.len() - passed, keys.is_waiting())
        };
        assert_eq!(held("\x1b"), (0, true));
        assert_eq!(held("text\x1b[A\r"), (0, false));
        assert_eq!(held("\x1b[200~\x1d"), (0, false));
        assert_eq!(held("\x1b[93"), (4, true));
        assert_eq!(held("\x1d"), (1, false));
        assert_eq!(held("\x1d\x1d"), (1, false));
        assert_eq!(held("\x1b]11;"), (0, false));
        assert_eq!(held(&format!("\x1b[{}", "1;".repeat(40))), (0, false));
    }

    #[test]
    fn a_sequence_that_comes_slowly_is_passed_on_and_counts() {
        for (_, first) in FIRST.iter().filter(|(_, first)| first.matches('\x1b').count() == 1) {
            let (mut keys, mut output) = (keys(), Vec::new());
            for byte in first.bytes() {
                assert!(!keys.read(&[byte], &mut output));
                while keys.is_waiting() {
                    assert!(!keys.expire(&mut output), "{first:?}");
                }
            }
            assert!(keys.read(b"d", &mut output), "{first:?}");
        }
        // The escape key, and later other keys.
        for (input, detaches) in [("\x1b\x1dd", true), ("\x1d\x1bd", false), ("\x1b[\x1dd", true), ("\x1bO\x1dd", true)]
        {
            let (mut keys, mut output, mut has_detached) = (keys(), Vec::new(), false);
            for byte in input.bytes() {
                has_detached |= keys.read(&[byte], &mut output);
                while keys.is_waiting() {
                    has_detached |= keys.expire(&mut output);
                }
            }
            assert_eq!(has_detached, detaches, "{input:?}");
        }
    }

    #[test]
    fn keys_of_ones_own() {
        let typed = |notation: &str, input: &str| read(&mut DetachKeys::new(notation), &[input.as_bytes()]);
        assert_eq!(typed("ctrl-]", "a\x1d"), (b"a".to_vec(), true));
        assert_eq!(typed("ctrl-],ctrl-],d", "\x1d\x1d\x1dd"), (b"\x1d".to_vec(), true));
        assert_eq!(typed("ctrl-p,ctrl-q", "\x10\x1b[113;5u"), (Vec::new(), true));
        assert_eq!(typed("ctrl-p,ctrl-q", "\x10\x1b[113;6u"), (b"\x10\x1b[113;6u".to_vec(), false));
        assert_eq!(typed("ctrl-^,DEL", "\x1b[54:94;6u\x7f"), (Vec::new(), true));
        assert_eq!(typed("ctrl-_,x", "\x1b[45:95;6ux"), (Vec::new(), true));
        assert_eq!(typed("ctrl-@,x", "\x1b[32;5ux"), (Vec::new(), true));
        assert_eq!(typed("a,B", "ab\x1b[97u\x1b[98:66;2u"), (b"ab".to_vec(), true));
        assert_eq!(typed("ctrl-[,x", "\x1b[27ux"), (Vec::new(), true));
        assert_eq!(typed("", "\x1dd"), (b"\x1dd".to_vec(), false));
        let (mut escape, mut output) = (DetachKeys::new("ctrl-[,d"), Vec::new());
        assert!(!escape.read(b"\x1b", &mut output) && !escape.expire(&mut output));
        assert_eq!((output.clone(), escape.read(b"d", &mut output)), (Vec::new(), true));
    }
}
