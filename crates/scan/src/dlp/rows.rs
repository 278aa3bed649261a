//! Rows of bytes of one kind that are long enough to matter, found without a look at every byte: one that breaks a row
//! rules out all that begin before it.

/// The rows of one text.
pub struct Rows<'a> {
    text: &'a [u8],
    kind: &'static Kind,
    least: usize,
    /// No byte breaks a row between the last answer and here.
    clear: usize,
}

/// Which bytes a row is made of.
pub type Kind = [bool; 256];

pub const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
pub const DIGITS: &[u8] = b"0123456789";

/// All of these bytes.
pub const fn kind(parts: &[&[u8]]) -> Kind {
    let mut kind = [false; 256];
    let mut part = 0;
    while part < parts.len() {
        let mut at = 0;
        while at < parts[part].len() {
            kind[parts[part][at] as usize] = true;
            at += 1;
        }
        part += 1;
    }
    kind
}

impl<'a> Rows<'a> {
    /// `least`: bytes of a row that matters.
    pub fn new(text: &'a [u8], kind: &'static Kind, least: usize) -> Rows<'a> {
        Rows { text, kind, least, clear: 0 }
    }

    /// The first place from here on where a row begins that is long enough, or that the end of the text cuts off.
    #[inline]
    pub fn from(&mut self, at: usize) -> usize {
        if (at + self.least).min(self.text.len()) <= self.clear { at } else { self.search(at) }
    }

    fn search(&mut self, mut at: usize) -> usize {
        loop {
            let end = (at + self.least).min(self.text.len());
            let unseen = at.max(self.clear);
            let unseen = &self.text[unseen.min(end)..end];
            match unseen.iter().rposition(|byte| !self.kind[usize::from(*byte)]) {
                Some(last) => at = end - unseen.len() + last + 1,
                None => {
                    self.clear = end.max(self.clear);
                    return at;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    static KIND: Kind = kind(&[b"ab"]);

    #[test]
    fn rows_begin_behind_what_breaks_them() {
        let mut rows = Rows::new(b"aab-ab-aaab--a", &KIND, 4);
        assert_eq!((rows.from(0), rows.from(7), rows.from(8), rows.from(13)), (7, 7, 13, 13));
        assert_eq!(rows.from(14), 14);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn no_row_is_missed(text in "[ab-]{0,40}|[ab]{0,9}-[ab]{0,9}-[ab]{0,9}", least in 1usize..9, step in 1usize..7) {
            let text = text.as_bytes();
            let mut rows = Rows::new(text, &KIND, least);
            let mut at = 0;
            while at < text.len() {
                let next = rows.from(at);
                let long = |from: &usize| {
                    let end = (from + least).min(text.len());
                    text[*from..end].iter().all(|byte| *byte != b'-')
                };
                prop_assert_eq!(next, (at..=text.len()).find(long).unwrap());
                at = next + step;
            }
        }
    }
}
