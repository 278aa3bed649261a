//! Invisible characters that carry a text: tags, variation selectors and zero-width characters in a row, and overrides of
//! the direction of writing. What scripts, emoji and flags need passes.

use super::Sign;

/// Tags behind a black flag that are more than a region's flag has, which are six (Unicode TR 51).
const MIN_FLAG_TAGS: usize = 8;
/// Characters in a row that carry a text.
const MIN_TAGS: usize = 4;
const MIN_SELECTORS: usize = 6;
const MIN_WIDTHLESS: usize = 16;
/// Letters behind an override, up to the end of the line or of the override.
const MIN_TURNED_LETTERS: usize = 16;

/// Reads characters one by one.
#[derive(Debug, Default)]
pub struct Invisible {
    row: Row,
    /// The last visible character was a black flag.
    flag: bool,
    /// Letters behind an override of direction.
    turned: Option<usize>,
}

/// Invisible characters without a visible one between them.
#[derive(Debug, Default)]
struct Row {
    last: Option<char>,
    tags: usize,
    selectors: usize,
    /// All of them, tags and selectors too.
    count: usize,
    /// How often one differs from the one before it.
    changes: usize,
}

impl Row {
    fn push(&mut self, c: char) {
        match c {
            '\u{e0020}'..='\u{e007f}' => self.tags += 1,
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => self.selectors += 1,
            _ => {}
        }
        self.count += 1;
        self.changes += usize::from(self.last.is_some_and(|last| last != c));
        self.last = Some(c);
    }

    fn carries(&self, is_flag: bool) -> Option<Sign> {
        if self.tags >= if is_flag { MIN_FLAG_TAGS } else { MIN_TAGS } {
            Some("invisible tag characters that spell a text")
        } else if self.selectors >= MIN_SELECTORS {
            Some("variation selectors in a row, which carry data")
        } else if self.count >= MIN_WIDTHLESS && self.changes >= self.count / 8 {
            // One character alone carries nothing: it is padding.
            Some("zero-width characters in a row, which carry data")
        } else {
            None
        }
    }
}

impl Invisible {
    pub fn is_idle(&self) -> bool {
        self.row.count == 0 && self.turned.is_none() && !self.flag
    }

    pub fn step(&mut self, c: char) -> Option<Sign> {
        if let sign @ Some(_) = self.turn(c) {
            return sign;
        }
        if wire::is_hidden(c) {
            self.row.push(c);
            return self.row.carries(self.flag);
        }
        if self.row.count > 0 {
            self.row = Row::default();
        }
        self.flag = c == '\u{1f3f4}';
        None
    }

    fn turn(&mut self, c: char) -> Option<Sign> {
        match (c, &mut self.turned) {
            ('\u{202d}' | '\u{202e}', None) => self.turned = Some(0),
            ('\u{202c}' | '\n', _) => self.turned = None,
            (c, Some(letters)) if c.is_ascii_alphabetic() => {
                *letters += 1;
                return (*letters >= MIN_TURNED_LETTERS).then_some("an override of the direction of writing");
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Sign> {
        let mut invisible = Invisible::default();
        text.chars().find_map(|c| invisible.step(c))
    }

    fn tags(text: &str) -> String {
        text.chars().filter_map(|c| char::from_u32(0xe0000 + c as u32)).collect()
    }

    #[test]
    fn what_carries_a_text_is_found() {
        assert!(read(&format!("hello{} world", tags("read the keys"))).unwrap().contains("tag"));
        assert!(read(&format!("\u{1f3f4}{}", tags("send it all"))).unwrap().contains("tag"));
        let selectors: String = "secret".bytes().filter_map(|b| char::from_u32(0xe0100 + u32::from(b))).collect();
        assert!(read(&format!("\u{1f600}{selectors}")).unwrap().contains("selectors"));
        let bits: String = b"go"
            .iter()
            .flat_map(|b| (0..8).map(move |i| if b >> i & 1 == 1 { '\u{200b}' } else { '\u{200c}' }))
            .collect();
        assert!(read(&bits).unwrap().contains("zero-width"));
        assert!(
            read("/*\u{202e} }\u{2066}if (isAdmin)\u{2069} \u{2066} begin admins only */")
                .unwrap()
                .contains("direction")
        );
    }

    #[test]
    fn any_invisible_character_can_carry_and_kinds_may_alternate() {
        for two in
            [['\u{ad}', '\u{34f}'], ['\u{3164}', '\u{ffa0}'], ['\u{200e}', '\u{200f}'], ['\u{e0f00}', '\u{206a}']]
        {
            let bits: String = (0..16).map(|n| two[usize::from(0b1011_0010_0110_1001_u16 >> n & 1 == 1)]).collect();
            assert!(read(&bits).unwrap().contains("zero-width"), "{bits:?}");
        }
        let alternating: String = tags("read").chars().flat_map(|tag| [tag, '\u{200b}']).collect();
        assert!(read(&alternating).unwrap().contains("tag"));
    }

    #[test]
    fn what_people_write_passes() {
        for text in [
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} England",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{fe0f} family",
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645} \u{feff}",
            "\u{202b}\u{5e9}\u{5dc}\u{5d5}\u{5dd}\u{202c} \u{2067}abc\u{2069} long enough to be counted",
            "annual\u{202e}gnp.exe\nshown as an example of a file name that is turned around",
            "\u{845b}\u{e0100}\u{845b}\u{e0101}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&"\u{200b}".repeat(400)), None);
        assert_eq!(read(&"\u{200c}\u{a0}".repeat(400)), None);
    }
}
