//! Many needles in one text, each known by its last bytes: at every byte a small table says whether one may end there, and
//! nearly always says no. It takes a few bytes for a byte of a needle, and no time to make.

/// Bytes that a needle is known by. No needle is shorter.
pub const GRAM: usize = 7;
/// Bytes of a beginning that is worth a look.
pub const BEGUN: usize = 4;

pub struct Needles {
    /// All of them, one after another, and where each ends.
    text: Vec<u8>,
    ends: Vec<u32>,
    by_end: Index,
    by_begin: Index,
    longest: usize,
}

/// The end of a text, as far as a needle may have begun in it.
#[derive(Default)]
pub struct Trail {
    text: Vec<u8>,
    /// Bytes of it that were looked at, and the last of those.
    seen: usize,
    last: u64,
}

/// A needle, and the bytes of the text looked at last that it ends with.
pub type Met = (usize, usize);

impl Needles {
    pub fn new(needles: &[Vec<u8>]) -> Needles {
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        for needle in needles {
            text.extend_from_slice(needle);
            ends.push(text.len() as u32);
        }
        let last = |needle: &Vec<u8>| word(&needle[needle.len() - GRAM..]);
        let first = |needle: &Vec<u8>| word(&needle[..BEGUN]);
        Needles {
            text,
            ends,
            by_end: Index::new(needles.iter().map(last)),
            by_begin: Index::new(needles.iter().map(first)),
            longest: needles.iter().map(Vec::len).max().unwrap_or(0),
        }
    }

    fn needle(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[index] as usize]
    }

    pub fn length(&self, needle: usize) -> usize {
        self.needle(needle).len()
    }

    /// Those that end in what was added to the text since.
    pub fn look(&self, trail: &mut Trail, met: &mut Vec<Met>) {
        let Trail { text, seen, last } = trail;
        let mut word = *last;
        for (n, byte) in text[*seen..].iter().enumerate() {
            word = word << 8 | u64::from(*byte);
            if self.by_end.may_have(word << 8 >> 8) {
                let read = &text[..*seen + n + 1];
                let here = self.by_end.all(word << 8 >> 8).filter(|needle| read.ends_with(self.needle(*needle)));
                met.extend(here.map(|needle| (needle, n + 1)));
            }
        }
        *last = word;
        if text.len() > 2 * self.longest {
            text.drain(..text.len() - self.longest);
        }
        *seen = text.len();
    }

    /// Bytes of the longest beginning of a needle that the text ends with; of a short one, none.
    pub fn begun(&self, trail: &Trail) -> usize {
        let text = &trail.text[trail.text.len().saturating_sub(self.longest)..];
        let begins = |text: &&[u8]| {
            let first = word(&text[..BEGUN]);
            self.by_begin.may_have(first) && self.by_begin.all(first).any(|one| self.needle(one).starts_with(text))
        };
        (BEGUN..=text.len()).rev().map(|length| &text[text.len() - length..]).find(begins).map_or(0, <[u8]>::len)
    }
}

impl Trail {
    /// What is to be looked at next, in lower case.
    pub fn lower(&mut self, bytes: &[u8]) {
        let from = self.text.len();
        self.text.extend_from_slice(bytes);
        self.text[from..].make_ascii_lowercase();
    }

    /// What is to be looked at next goes to its end.
    pub fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Bytes that were not looked at.
    pub fn fresh(&self) -> usize {
        self.text.len() - self.seen
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Which needles have a word.
struct Index {
    /// One bit for each of the values that `spread` gives.
    bits: Vec<u64>,
    shift: u32,
    sorted: Vec<(u64, u32)>,
}

impl Index {
    fn new(words: impl Iterator<Item = u64>) -> Index {
        let mut sorted: Vec<(u64, u32)> = words.zip(0..).collect();
        sorted.sort_unstable();
        // Of 256 other words, one is not told from these; where there are many, more.
        let size = (256 * sorted.len()).next_power_of_two().clamp(1 << 10, 1 << 20);
        let mut index = Index { bits: vec![0; size / 64], shift: 64 - size.trailing_zeros(), sorted };
        for at in 0..index.sorted.len() {
            let spread = index.spread(index.sorted[at].0);
            index.bits[spread / 64] |= 1 << (spread % 64);
        }
        index
    }

    #[inline]
    fn spread(&self, word: u64) -> usize {
        (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    #[inline]
    fn may_have(&self, word: u64) -> bool {
        let spread = self.spread(word);
        self.bits[spread / 64] >> (spread % 64) & 1 != 0
    }

    fn all(&self, word: u64) -> impl Iterator<Item = usize> + '_ {
        let first = self.sorted.partition_point(|(one, _)| *one < word);
        self.sorted[first..].iter().take_while(move |(one, _)| *one == word).map(|(_, needle)| *needle as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn every_needle_is_met_where_it_ends_and_told_where_it_begins(
            needles in proptest::collection::vec("[ab]{7,12}", 1..20),
            parts in proptest::collection::vec("[ab]{0,40}", 1..6),
        ) {
            let needles: Vec<Vec<u8>> = needles.into_iter().map(String::into_bytes).collect();
            let made = Needles::new(&needles);
            let (mut trail, mut met, mut text) = (Trail::default(), Vec::new(), Vec::new());
            for part in &parts {
                let before = text.len();
                text.extend_from_slice(part.as_bytes());
                trail.text().extend_from_slice(part.as_bytes());
                met.clear();
                made.look(&mut trail, &mut met);
                let ends = (1..=part.len()).flat_map(|end| (0..needles.len()).map(move |needle| (needle, end)));
                let wanted: Vec<Met> = ends.filter(|(n, end)| text[..before + end].ends_with(&needles[*n])).collect();
                prop_assert_eq!(&met, &wanted);
                let begun = |length: &usize| {
                    needles.iter().any(|needle| needle.starts_with(&text[text.len() - length..]))
                };
                let longest = (BEGUN..=text.len().min(12)).rev().find(begun).unwrap_or(0);
                prop_assert_eq!(made.begun(&trail), longest);
            }
        }
    }
}
