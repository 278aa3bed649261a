//! Characters from bytes as they stream, for the readers of single characters. ASCII is skipped quickly.

use super::Sign;
use super::invisible::Invisible;
use super::terminal::Terminal;

/// Reads characters for [`Invisible`] and [`Terminal`].
#[derive(Debug, Default)]
pub struct Glyphs {
    invisible: Invisible,
    terminal: Terminal,
    /// The beginning of a character that was cut.
    tail: Vec<u8>,
}

impl Glyphs {
    pub fn push(&mut self, bytes: &[u8]) -> Option<Sign> {
        let whole;
        let mut rest = bytes;
        if !self.tail.is_empty() {
            whole = [&std::mem::take(&mut self.tail), bytes].concat();
            rest = &whole;
        }
        loop {
            if self.is_idle() {
                // The only byte of ASCII that matters is the escape.
                let plain = rest.iter().position(|byte| *byte >= 0x80 || *byte == 0x1b).unwrap_or(rest.len());
                rest = &rest[plain..];
            }
            let (&first, _) = rest.split_first()?;
            let length = match first {
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf7 => 4,
                _ => 1,
            };
            if rest.len() < length {
                self.tail = rest.to_vec();
                return None;
            }
            let text = std::str::from_utf8(&rest[..length]).ok().and_then(|text| text.chars().next());
            rest = &rest[if text.is_some() { length } else { 1 }..];
            let c = text.unwrap_or('\u{fffd}');
            if let Some(sign) = self.invisible.step(c).or_else(|| self.terminal.step(c)) {
                return Some(sign);
            }
        }
    }

    pub fn finish(&mut self) -> Option<Sign> {
        self.terminal.finish()
    }

    fn is_idle(&self) -> bool {
        self.invisible.is_idle() && self.terminal.is_idle()
    }
}

/// Reads a whole text.
pub fn read(text: &[u8]) -> Option<Sign> {
    let mut glyphs = Glyphs::default();
    glyphs.push(text).or_else(|| glyphs.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_read_wherever_they_are_cut() {
        let text: String =
            "x\u{fc}".chars().chain("read it".chars().map(|c| (0xe0000 + c as u32).try_into().unwrap())).collect();
        for at in 0..text.len() {
            let mut glyphs = Glyphs::default();
            let (a, b) = text.as_bytes().split_at(at);
            assert!(glyphs.push(a).or_else(|| glyphs.push(b)).is_some(), "{at}");
        }
        assert!(read(b"\xff\xfe\xf3\xa0\x80\xc3 \x80\x80\x80").is_none());
        let mut glyphs = Glyphs::default();
        assert!(text.as_bytes().iter().find_map(|byte| glyphs.push(&[*byte])).is_some());
    }
}
