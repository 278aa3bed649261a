//! What the bytes of a credential are, read from a small part of the language of regular expressions: bytes, classes
//! (`[\w-]`, `\d`), repetitions (`{3}`, `{3,9}`, `{3,}`) and `\K`, behind which the finding begins.
//!
//! A class takes as many bytes as fit and gives none back. So a shape is matched as its text streams, with one counter.

/// One class, and how often it stands.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    bytes: [u64; 4],
    pub least: u16,
    /// `None`: any number, so that the shape is whole with the fewest.
    pub most: Option<u16>,
}

#[derive(Debug, Clone)]
pub struct Shape {
    pub steps: Vec<Step>,
    /// The first step of the finding; those before only lead to it.
    pub first: usize,
}

impl Step {
    #[inline]
    pub fn has(&self, byte: u8) -> bool {
        self.bytes[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }

    #[inline]
    pub fn has_room(&self, count: u16) -> bool {
        self.most.is_none_or(|most| count < most)
    }
}

impl Shape {
    pub fn parse(text: &str) -> Result<Shape, String> {
        let wrong = || format!("the shape {text} is not understood");
        let mut shape = Shape { steps: Vec::new(), first: 0 };
        let mut rest = text.as_bytes();
        while let [byte, behind @ ..] = rest {
            rest = behind;
            let mut bytes = [0; 4];
            match byte {
                b'\\' => {
                    let (class, behind) = rest.split_first().ok_or_else(wrong)?;
                    rest = behind;
                    if *class == b'K' {
                        shape.first = shape.steps.len();
                        continue;
                    }
                    add_escaped(&mut bytes, *class);
                }
                b'[' => rest = add_class(&mut bytes, rest).ok_or_else(wrong)?,
                _ => add(&mut bytes, *byte),
            }
            let (mut least, mut most) = (1, Some(1));
            if let Some(repeat) = rest.strip_prefix(b"{") {
                let end = repeat.iter().position(|byte| *byte == b'}').ok_or_else(wrong)?;
                let count = std::str::from_utf8(&repeat[..end]).map_err(|_| wrong())?;
                let (from, to) = count.split_once(',').unwrap_or((count, count));
                least = from.parse().map_err(|_| wrong())?;
                most = if to.is_empty() { None } else { Some(to.parse().map_err(|_| wrong())?) };
                rest = &repeat[end + 1..];
            }
            shape.steps.push(Step { bytes, least, most });
        }
        // What may go on without an end is only known to have begun: nothing can be asked of what follows.
        let last = shape.steps.len().saturating_sub(1);
        let is_sound = shape.steps.iter().enumerate().all(|(n, step)| step.most.is_some() || n == last);
        if is_sound { Ok(shape) } else { Err(wrong()) }
    }

    /// Bytes of the longest text of this shape; where the last class has no bound, of the shortest.
    pub fn longest(&self) -> usize {
        self.steps.iter().map(|step| usize::from(step.most.unwrap_or(step.least))).sum()
    }

    /// Where the text of this shape begins that ends at the end of `text`. It is matched from its end on.
    pub fn start_before(&self, text: &[u8]) -> Option<usize> {
        let mut end = text.len();
        for step in self.steps.iter().rev() {
            let fits = text[..end].iter().rev().take(usize::from(step.most.unwrap_or(u16::MAX)));
            let count = fits.take_while(|byte| step.has(**byte)).count();
            if count < usize::from(step.least) {
                return None;
            }
            end -= count;
        }
        Some(end)
    }
}

fn add(bytes: &mut [u64; 4], byte: u8) {
    bytes[usize::from(byte >> 6)] |= 1 << (byte & 63);
}

fn add_escaped(bytes: &mut [u64; 4], class: u8) {
    match class {
        b'w' => (0..128).filter(|byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_').for_each(|b| add(bytes, b)),
        b'd' => (b'0'..=b'9').for_each(|byte| add(bytes, byte)),
        b's' => b" \t\r\n".iter().for_each(|byte| add(bytes, *byte)),
        b'n' => add(bytes, b'\n'),
        b't' => add(bytes, b'\t'),
        other => add(bytes, other),
    }
}

/// Reads a class up to its `]`, and returns what follows.
fn add_class<'a>(bytes: &mut [u64; 4], text: &'a [u8]) -> Option<&'a [u8]> {
    let (is_inverted, mut rest) = match text.strip_prefix(b"^") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    loop {
        match rest {
            [b']', behind @ ..] => {
                if is_inverted {
                    bytes.iter_mut().for_each(|word| *word = !*word);
                }
                return Some(behind);
            }
            [b'\\', class, behind @ ..] => {
                add_escaped(bytes, *class);
                rest = behind;
            }
            [from, b'-', to, behind @ ..] if *to != b']' => {
                (*from..=*to).for_each(|byte| add(bytes, byte));
                rest = behind;
            }
            [byte, behind @ ..] => {
                add(bytes, *byte);
                rest = behind;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read() {
        let shape = Shape::parse(r"x{2}[a-c\d_-]{1,3}\K\.[^x]{4,}").unwrap();
        let counts: Vec<_> = shape.steps.iter().map(|step| (step.least, step.most)).collect();
        assert_eq!(counts, [(2, Some(2)), (1, Some(3)), (1, Some(1)), (4, None)]);
        assert_eq!((shape.first, shape.longest()), (2, 10));
        let has =
            |step: usize| -> String { (32..127u8).filter(|b| shape.steps[step].has(*b)).map(char::from).collect() };
        assert_eq!((has(0), has(1), has(2)), ("x".into(), "-0123456789_abc".into(), ".".into()));
        assert!(!has(3).contains('x') && shape.steps[3].has(200));
        for wrong in ["[ab", "a{", "a{x}", "a{1,}b", "\\"] {
            assert!(Shape::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_stands_before_is_found_from_its_end() {
        let shape = Shape::parse(r"\d{2,4}:[a-f]{3}").unwrap();
        let start = |text: &str| shape.start_before(text.as_bytes());
        assert_eq!(
            (start("x12:abc"), start("123456:fed"), start("1:abc"), start("12:ab")),
            (Some(1), Some(2), None, None)
        );
    }
}
