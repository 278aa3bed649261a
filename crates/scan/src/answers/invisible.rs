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
    run: Run,
    /// Characters of the run.
    count: usize,
    /// How often each of the ten zero-width characters is in the run.
    kinds: [u32; 10],
    /// The last visible character was a black flag.
    flag: bool,
    /// Letters behind an override of direction.
    turned: Option<usize>,
}

/// What a row of invisible characters is made of.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Run {
    #[default]
    None,
    Tags,
    Selectors,
    Widthless,
}

impl Invisible {
    pub fn is_idle(&self) -> bool {
        self.run == Run::None && self.turned.is_none() && !self.flag
    }

    pub fn step(&mut self, c: char) -> Option<Sign> {
        let (run, kind) = match c {
            '\u{e0020}'..='\u{e007f}' => (Run::Tags, 0),
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => (Run::Selectors, 0),
            '\u{200b}'..='\u{200d}' => (Run::Widthless, c as usize - 0x200b),
            '\u{2060}'..='\u{2064}' => (Run::Widthless, c as usize - 0x2060 + 3),
            '\u{feff}' => (Run::Widthless, 8),
            '\u{180e}' => (Run::Widthless, 9),
            _ => (Run::None, 0),
        };
        if run != self.run {
            (self.run, self.count, self.kinds) = (run, 0, [0; 10]);
        }
        if run != Run::None {
            self.count += 1;
            self.kinds[kind] += 1;
        } else {
            self.flag = c == '\u{1f3f4}';
        }
        self.turn(c).or_else(|| self.carries())
    }

    fn carries(&self) -> Option<Sign> {
        let enough = match self.run {
            Run::None => false,
            Run::Tags => self.count >= if self.flag { MIN_FLAG_TAGS } else { MIN_TAGS },
            Run::Selectors => self.count >= MIN_SELECTORS,
            // One character alone carries nothing: it is padding.
            Run::Widthless => {
                let common = self.kinds.iter().max().map_or(0, |most| *most as usize);
                self.count >= MIN_WIDTHLESS && self.count - common >= self.count / 8
            }
        };
        enough.then_some(match self.run {
            Run::Tags => "invisible tag characters that spell a text",
            Run::Selectors => "variation selectors in a row, which carry data",
            _ => "zero-width characters in a row, which carry data",
        })
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
