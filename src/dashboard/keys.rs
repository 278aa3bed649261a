//! Keys out of the bytes that a terminal sends. What is pasted is no key: a clipboard approves nothing.

use std::mem;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Ctrl(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Tab,
    Escape,
    Backspace,
}

/// Bytes of an escape sequence that is read on; a longer one is none.
const MAX_SEQUENCE_BYTES: usize = 32;
const PASTE_BEGIN: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

/// Reads keys from pieces of input, wherever they are cut.
#[derive(Debug, Default)]
pub struct KeyReader {
    rest: Vec<u8>,
    is_paste: bool,
}

impl KeyReader {
    /// The keys that are complete with these bytes.
    pub fn read(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.rest.extend_from_slice(bytes);
        let (mut keys, mut rest) = (Vec::new(), mem::take(&mut self.rest));
        loop {
            if self.is_paste {
                let Some(end) = rest.windows(PASTE_END.len()).position(|bytes| bytes == PASTE_END) else {
                    // An end of which a part has come stays.
                    rest.drain(..rest.len().saturating_sub(PASTE_END.len() - 1));
                    break;
                };
                rest.drain(..end + PASTE_END.len());
                self.is_paste = false;
            }
            if rest.starts_with(PASTE_BEGIN) {
                rest.drain(..PASTE_BEGIN.len());
                self.is_paste = true;
                continue;
            }
            let Some(length) = key_length(&rest) else { break };
            keys.extend(key(&rest[..length]));
            rest.drain(..length);
        }
        self.rest = rest;
        keys
    }

    /// The escape key, where its byte has come, and nothing for a while.
    pub fn flush(&mut self) -> Option<Key> {
        let is_escape = !self.is_paste && self.rest == [0x1b];
        if is_escape {
            self.rest.clear();
        }
        is_escape.then_some(Key::Escape)
    }

    /// Whether the input ends in what may become a key.
    pub fn is_waiting(&self) -> bool {
        !self.is_paste && !self.rest.is_empty()
    }
}

/// The bytes of the first key; `None` where more must come.
fn key_length(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [] | [0x1b] => None,
        [0x1b, b'[', rest @ ..] => match rest.iter().position(|b| (0x40..=0x7e).contains(b)) {
            Some(end) => Some(end + 3),
            None => (rest.len() > MAX_SEQUENCE_BYTES).then_some(bytes.len()),
        },
        [0x1b, b'O', rest @ ..] => (!rest.is_empty()).then_some(3),
        // With Alt held, a key is an escape and the key; twice escape is once.
        [0x1b, ..] => Some(2),
        [first, ..] => {
            let length = match first {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            (bytes.len() >= length).then_some(length)
        }
    }
}

fn key(bytes: &[u8]) -> Option<Key> {
    Some(match bytes {
        b"\x1b[A" | b"\x1bOA" => Key::Up,
        b"\x1b[B" | b"\x1bOB" => Key::Down,
        b"\x1b[5~" => Key::PageUp,
        b"\x1b[6~" => Key::PageDown,
        b"\x1b[H" | b"\x1bOH" | b"\x1b[1~" => Key::Home,
        b"\x1b[F" | b"\x1bOF" | b"\x1b[4~" => Key::End,
        b"\x1b\x1b" => Key::Escape,
        [0x1b, ..] => return None,
        b"\r" | b"\n" => Key::Enter,
        b"\t" => Key::Tab,
        [8 | 0x7f] => Key::Backspace,
        [control @ 1..=26] => Key::Ctrl(char::from(control + b'a' - 1)),
        text => Key::Char(std::str::from_utf8(text).ok()?.chars().next().filter(|c| !c.is_control())?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: &[u8] = "a\x1b[A\x1bOB\x1b[6~é日\r\x03\x1b[200~ay\x1b[Aq\x1b[201~\x1b[1;5Cx\x1by\t".as_bytes();

    fn wanted() -> Vec<Key> {
        use Key::{Char, Ctrl, Down, Enter, PageDown, Tab, Up};
        vec![Char('a'), Up, Down, PageDown, Char('é'), Char('日'), Enter, Ctrl('c'), Char('x'), Tab]
    }

    #[test]
    fn keys_are_read_wherever_the_input_is_cut() {
        assert_eq!(KeyReader::default().read(INPUT), wanted());
        for size in 1..8 {
            let mut reader = KeyReader::default();
            let keys: Vec<Key> = INPUT.chunks(size).flat_map(|piece| reader.read(piece)).collect();
            assert_eq!(keys, wanted(), "{size}");
        }
    }

    #[test]
    fn escape_is_a_key_when_nothing_follows() {
        let mut reader = KeyReader::default();
        assert_eq!((reader.read(b"\x1b"), reader.is_waiting(), reader.flush()), (vec![], true, Some(Key::Escape)));
        assert_eq!((reader.read(b"\x1b["), reader.flush()), (vec![], None));
        assert_eq!(reader.read(b"A"), [Key::Up]);
        assert_eq!(reader.read(b"\xff\x00\x9b"), []);
        assert!(reader.read(&[b"\x1b[".as_slice(), &[b'1'; 100]].concat()).is_empty() && !reader.is_waiting());
    }
}
