//! Runs of bytes of one class that are long enough to matter, found without looking at every byte: a byte that breaks a run
//! rules out all runs that would begin shortly before it.

/// The runs in one text.
pub struct ByteRuns<'a> {
    text: &'a [u8],
    class: &'static ByteClass,
    least: usize,
    /// No byte breaks a run between the last answer and here.
    clear: usize,
}

/// Which bytes a run is made of.
pub type ByteClass = [bool; 256];

pub const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
pub const DIGITS: &[u8] = b"0123456789";

/// The class of all these bytes.
pub const fn byte_class(parts: &[&[u8]]) -> ByteClass {
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

/// What stands between two runs. Strings and lines in one another's continuation give one text; anything else ends it, which
/// [`RunGap::END`] tells in what is decoded: a credential is one only between other characters than its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunGap {
    /// A run has ended, and nothing but [`JOINTS`] came since.
    is_open: bool,
}

/// What programs write between the pieces of one string.
static JOINTS: ByteClass = byte_class(&[b"\"'` \t\r\n,+\\.()[]#*/|>;$="]);

impl RunGap {
    /// ASCII's record separator, which is part of no run.
    const END: u8 = 0x1e;

    /// A run that was decoded has ended.
    pub fn begin(&mut self) {
        self.is_open = true;
    }

    /// These bytes are in no run.
    #[inline]
    pub fn pass(&mut self, bytes: &[u8], into: &mut [Vec<u8>]) {
        if self.is_open && !bytes.iter().all(|byte| JOINTS[usize::from(*byte)]) {
            self.is_open = false;
            into.iter_mut().for_each(|text| text.push(RunGap::END));
        }
    }
}

/// The digits of an alphabet, by their bytes.
pub struct DigitValues([Option<u8>; 256]);

impl DigitValues {
    /// `digits`: by their value, at most 256.
    pub const fn new(digits: &[u8]) -> DigitValues {
        let mut values = [None; 256];
        let mut value = 0;
        while value < digits.len() {
            values[digits[value] as usize] = Some(value as u8);
            value += 1;
        }
        DigitValues(values)
    }

    #[inline]
    pub fn of(&self, byte: u8) -> Option<u8> {
        self.0[usize::from(byte)]
    }
}

impl<'a> ByteRuns<'a> {
    /// `least`: bytes of the shortest run that matters.
    pub fn new(text: &'a [u8], class: &'static ByteClass, least: usize) -> ByteRuns<'a> {
        ByteRuns { text, class, least, clear: 0 }
    }

    /// The first place from `at` on where a run begins that is long enough, or that the end of the text cuts off.
    #[inline]
    pub fn skip_to_run(&mut self, at: usize) -> usize {
        if (at + self.least).min(self.text.len()) <= self.clear { at } else { self.search(at) }
    }

    /// Like [`skip_to_run`](ByteRuns::skip_to_run), for a reader that wants to know the byte before: it is put into `last`
    /// where bytes are skipped.
    #[inline]
    pub fn skip_to_run_behind(&mut self, at: usize, last: &mut u8) -> usize {
        let next = self.skip_to_run(at);
        if next > at {
            *last = self.text[next - 1];
        }
        next
    }

    fn search(&mut self, mut at: usize) -> usize {
        loop {
            let end = (at + self.least).min(self.text.len());
            let unseen = at.max(self.clear);
            let unseen = &self.text[unseen.min(end)..end];
            match unseen.iter().rposition(|byte| !self.class[usize::from(*byte)]) {
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

    static CLASS: ByteClass = byte_class(&[b"ab"]);

    #[test]
    fn rows_begin_behind_what_breaks_them() {
        let mut runs = ByteRuns::new(b"aab-ab-aaab--a", &CLASS, 4);
        assert_eq!(
            (runs.skip_to_run(0), runs.skip_to_run(7), runs.skip_to_run(8), runs.skip_to_run(13)),
            (7, 7, 13, 13)
        );
        assert_eq!(runs.skip_to_run(14), 14);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn no_row_is_missed(text in "[ab-]{0,40}|[ab]{0,9}-[ab]{0,9}-[ab]{0,9}", least in 1usize..9, step in 1usize..7) {
            let text = text.as_bytes();
            let mut runs = ByteRuns::new(text, &CLASS, least);
            let mut at = 0;
            while at < text.len() {
                let next = runs.skip_to_run(at);
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
