//! Folded text: only letters and digits, in lower case; characters of Unicode that look like one of them are taken for it.
//! Separators, invisible characters and the NULs of UTF-16 fall out.

use std::sync::LazyLock;

/// What each byte of ASCII is folded to; 0: it falls out.
const ASCII: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() {
            table[byte] = b.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// Letters of other alphabets that look like Latin ones, and letters with marks.
const LOOK_ALIKES: &[(&str, u8)] = &[
    ("ⱭɑаАàáâãäåÀÁÂÃÄÅαΑᴀ", b'a'),
    ("ВвΒβЬьʙ", b'b'),
    ("сСçÇϲϹᴄ", b'c'),
    ("ԁᴅ", b'd'),
    ("еЕèéêëÈÉÊËёЁΕᴇ", b'e'),
    ("ϝғ", b'f'),
    ("ɡԍɢ", b'g'),
    ("һНнΗʜ", b'h'),
    ("іІìíîïÌÍÎÏıΙιɪӏ", b'i'),
    ("јЈᴊ", b'j'),
    ("кКκΚᴋ", b'k'),
    ("ⅼʟ", b'l'),
    ("мМΜᴍ", b'm'),
    ("ñÑΝɴпո", b'n'),
    ("оОòóôõöøÒÓÔÕÖØοΟσᴏօ", b'o'),
    ("рРρΡᴘ", b'p'),
    ("ԛ", b'q'),
    ("гʀ", b'r'),
    ("ѕЅꜱ", b's'),
    ("тТΤτᴛ", b't'),
    ("ùúûüÙÚÛÜυսᴜ", b'u'),
    ("νѵᴠ", b'v'),
    ("ԝωѡᴡ", b'w'),
    ("хХχΧ", b'x'),
    ("уУýÿÝγΥʏ", b'y'),
    ("Ζᴢ", b'z'),
    ("З", b'3'),
];

/// Folds one text as it streams.
#[derive(Default, Clone)]
pub struct Fold {
    /// Bits so far of a character of UTF-8 that is not whole.
    code: u32,
    /// Bytes of it that are still to come.
    wanted: u8,
}

impl Fold {
    /// Appends the letters and digits that end in these bytes to `into`.
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        let mut end = into.len();
        // Room for all of them: what falls out is written over by what comes next.
        into.resize(end + bytes.len(), 0);
        let mut put = |letter: u8| {
            into[end] = letter;
            end += usize::from(letter != 0);
        };
        let mut at = 0;
        while at < bytes.len() {
            if self.wanted == 0 {
                // Bytes that look like the beginning of a character are common in what is no text: only two make one.
                while let [byte, next, ..] = bytes[at..]
                    && !((byte >= 0xc0) & (next & 0xc0 == 0x80))
                {
                    put(ASCII[usize::from(byte)]);
                    at += 1;
                }
            }
            put(self.fold_byte(bytes[at]));
            at += 1;
        }
        into.truncate(end);
    }

    fn fold_byte(&mut self, byte: u8) -> u8 {
        match byte {
            0..=0x7f => {
                self.wanted = 0;
                return ASCII[usize::from(byte)];
            }
            0x80..=0xbf if self.wanted > 0 => {
                self.code = self.code << 6 | u32::from(byte & 0x3f);
                self.wanted -= 1;
                return if self.wanted == 0 { letter_of(self.code) } else { 0 };
            }
            0xc2..=0xdf => (self.code, self.wanted) = (u32::from(byte & 0x1f), 1),
            0xe0..=0xef => (self.code, self.wanted) = (u32::from(byte & 0x0f), 2),
            0xf0..=0xf4 => (self.code, self.wanted) = (u32::from(byte & 0x07), 3),
            _ => self.wanted = 0,
        }
        0
    }
}

/// The letter or digit that a character looks like or stands for; 0: none.
fn letter_of(code: u32) -> u8 {
    let ascii = |code: u32| u8::try_from(code).ok().filter(u8::is_ascii).map_or(0, |b| ASCII[usize::from(b)]);
    let letter = |offset: u32| b'a' + (offset % 26) as u8;
    let digit = |offset: u32| b'0' + (offset % 10) as u8;
    match code {
        // Fullwidth, and the invisible tags.
        0xff01..=0xff5e => ascii(code - 0xff01 + 0x21),
        0xe0020..=0xe007e => ascii(code - 0xe0000),
        // Variation selectors, which number all bytes.
        0xfe00..=0xfe0f => ascii(code - 0xfe00),
        0xe0100..=0xe01ef => ascii(code - 0xe0100 + 16),
        // Mathematical alphabets; those of Greek are between.
        0x1d400..=0x1d6a3 => letter(code - 0x1d400),
        0x1d7ce..=0x1d7ff => digit(code - 0x1d7ce),
        // Circled, squared, regional.
        0x24b6..=0x24e9 => letter(code - 0x24b6),
        0x249c..=0x24b5 => letter(code - 0x249c),
        0x2460..=0x2468 => digit(code - 0x2460 + 1),
        0x24ea => b'0',
        0x1f130..=0x1f149 | 0x1f150..=0x1f169 | 0x1f170..=0x1f189 => letter((code - 0x1f130) % 32),
        0x1f1e6..=0x1f1ff => letter(code - 0x1f1e6),
        // Superscripts and subscripts.
        0x2070 | 0x2074..=0x2079 => digit(code - 0x2070),
        0x2080..=0x2089 => digit(code - 0x2080),
        0xb2 | 0xb3 => digit(code - 0xb0),
        0xb9 => b'1',
        0x660..=0x669 => digit(code - 0x660),
        0x6f0..=0x6f9 => digit(code - 0x6f0),
        // Most of what is not ASCII looks like nothing of it.
        0x80..=0x1fff | 0x2c00..=0x2cff | 0xa700..=0xa7ff => look_alike(code),
        _ => 0,
    }
}

fn look_alike(code: u32) -> u8 {
    /// Indexed by code, up to the last one that looks like something.
    static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let pairs = LOOK_ALIKES.iter().flat_map(|(alike, letter)| alike.chars().map(|c| (c as usize, *letter)));
        let mut table = Vec::new();
        for (code, letter) in pairs {
            table.resize(table.len().max(code + 1), 0);
            table[code] = letter;
        }
        table
    });
    TABLE.get(code as usize).copied().unwrap_or(0)
}

/// Folds a whole text.
pub fn fold(text: &[u8]) -> Vec<u8> {
    let mut letters = Vec::new();
    Fold::default().push(text, &mut letters);
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_alike() {
        for text in [
            "Secret-1",
            "S\u{200b}e\u{200d}c\u{2060}r\u{feff}e\u{ad}t 1",
            "Ｓｅｃｒｅｔ１",
            "Ѕесгет1",
            "𝐒𝐞𝐜𝐫𝐞𝐭𝟏",
            "𝕊𝕖𝕔𝕣𝕖𝕥𝟙",
            "ⓢⓔⓒⓡⓔⓣ①",
            "s.e.c.r.e.t/1",
            "\u{e0053}\u{e0065}\u{e0063}\u{e0072}\u{e0065}\u{e0074}\u{e0031}",
            "secrèt¹",
        ] {
            assert_eq!(String::from_utf8_lossy(&fold(text.as_bytes())), "secret1", "{text}");
        }
        // A letter that is in no table looks like nothing, and falls out.
        assert_eq!(fold("šecret1".as_bytes()), b"ecret1");
        let wide: Vec<u8> = "Secret1".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(fold(&wide), b"secret1");
        assert_eq!(fold(b"\xff\xfe\xc3S\x80e\xe2\x82"), b"se");
        let selectors: String = b"key9".iter().filter_map(|b| char::from_u32(0xe0100 + u32::from(*b) - 16)).collect();
        assert_eq!(fold(selectors.as_bytes()), b"key9");
    }
}
