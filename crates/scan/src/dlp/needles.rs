//! A search for many needles in one text. A needle is known by its last bytes: at every byte of the text a small table says
//! whether one may end there, and nearly always says no. The tables take a few bytes for each byte of a needle, and no
//! time to make.

/// Bytes at its end that a needle is known by. No needle is shorter.
pub const NEEDLE_SUFFIX_BYTES: usize = 7;
/// Bytes of a needle's beginning that count as one.
pub const MIN_PREFIX_BYTES: usize = 4;

pub struct NeedleSet {
    /// All needles, one after another, and where each ends.
    text: Vec<u8>,
    ends: Vec<u32>,
    by_suffix: WordIndex,
    by_prefix: WordIndex,
    longest: usize,
}

/// The end of a text, as far as a needle may have begun in it.
#[derive(Default)]
pub struct SearchText {
    text: Vec<u8>,
    /// Bytes of `text` that were searched, and the last eight of those.
    searched: usize,
    last: u64,
}

/// A needle that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeedleMatch {
    /// Its index.
    pub needle: usize,
    /// Its end, counted from where this search began.
    pub end: usize,
}

impl NeedleSet {
    pub fn new(needles: &[Vec<u8>]) -> NeedleSet {
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        for needle in needles {
            text.extend_from_slice(needle);
            ends.push(text.len() as u32);
        }
        let suffix = |needle: &Vec<u8>| word(&needle[needle.len() - NEEDLE_SUFFIX_BYTES..]);
        let prefix = |needle: &Vec<u8>| word(&needle[..MIN_PREFIX_BYTES]);
        NeedleSet {
            text,
            ends,
            by_suffix: WordIndex::new(needles.iter().map(suffix)),
            by_prefix: WordIndex::new(needles.iter().map(prefix)),
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

    /// Appends to `found` the needles that end in what was added to the text since the last search.
    pub fn search(&self, text: &mut SearchText, found: &mut Vec<NeedleMatch>) {
        let SearchText { text, searched, last } = text;
        let mut word = *last;
        for (n, byte) in text[*searched..].iter().enumerate() {
            word = word << 8 | u64::from(*byte);
            if self.by_suffix.may_have(word << 8 >> 8) {
                let read = &text[..*searched + n + 1];
                let here = self.by_suffix.all(word << 8 >> 8).filter(|needle| read.ends_with(self.needle(*needle)));
                found.extend(here.map(|needle| NeedleMatch { needle, end: n + 1 }));
            }
        }
        *last = word;
        if text.len() > 2 * self.longest {
            text.drain(..text.len() - self.longest);
        }
        *searched = text.len();
    }

    /// Bytes of the longest beginning of a needle that the text ends with; 0 if none has [`MIN_PREFIX_BYTES`].
    pub fn open_prefix(&self, text: &SearchText) -> usize {
        let text = &text.text[text.text.len().saturating_sub(self.longest)..];
        let begins = |text: &&[u8]| {
            let first = word(&text[..MIN_PREFIX_BYTES]);
            self.by_prefix.may_have(first)
                && self.by_prefix.all(first).any(|needle| self.needle(needle).starts_with(text))
        };
        let ends = (MIN_PREFIX_BYTES..=text.len()).rev().map(|length| &text[text.len() - length..]);
        ends.into_iter().find(begins).map_or(0, <[u8]>::len)
    }
}

impl SearchText {
    /// Adds bytes to be searched, in lower case.
    pub fn push_lower(&mut self, bytes: &[u8]) {
        let from = self.text.len();
        self.text.extend_from_slice(bytes);
        self.text[from..].make_ascii_lowercase();
    }

    /// What is appended here is searched next.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Bytes that were added since the last search.
    pub fn unsearched(&self) -> usize {
        self.text.len() - self.searched
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Which needles have a word at their end, or at their beginning.
pub struct WordIndex {
    /// One bit for each value of `hash`.
    bits: Vec<u64>,
    shift: u32,
    /// Each word and its needle.
    sorted: Vec<(u64, u32)>,
}

impl WordIndex {
    /// `words`: one of each needle, by the needle's number.
    pub fn new(words: impl Iterator<Item = u64>) -> WordIndex {
        let mut sorted: Vec<(u64, u32)> = words.zip(0..).collect();
        sorted.sort_unstable();
        // One other word of 256 is taken for one of these; more of them where the table's bound is reached.
        let size = (256 * sorted.len()).next_power_of_two().clamp(1 << 10, 1 << 20);
        let mut index = WordIndex { bits: vec![0; size / 64], shift: 64 - size.trailing_zeros(), sorted };
        for at in 0..index.sorted.len() {
            let hash = index.hash(index.sorted[at].0);
            index.bits[hash / 64] |= 1 << (hash % 64);
        }
        index
    }

    #[inline]
    fn hash(&self, word: u64) -> usize {
        (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    #[inline]
    pub fn may_have(&self, word: u64) -> bool {
        let hash = self.hash(word);
        self.bits[hash / 64] >> (hash % 64) & 1 != 0
    }

    /// The needles that have this word.
    pub fn all(&self, word: u64) -> impl Iterator<Item = usize> + '_ {
        let first = self.sorted.partition_point(|(other, _)| *other < word);
        self.sorted[first..].iter().take_while(move |(other, _)| *other == word).map(|(_, needle)| *needle as usize)
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
            let made = NeedleSet::new(&needles);
            let (mut searched, mut met, mut text) = (SearchText::default(), Vec::new(), Vec::new());
            for part in &parts {
                let before = text.len();
                text.extend_from_slice(part.as_bytes());
                searched.buffer().extend_from_slice(part.as_bytes());
                met.clear();
                made.search(&mut searched, &mut met);
                let ends = (1..=part.len()).flat_map(|end| (0..needles.len()).map(move |needle| (needle, end)));
                let wanted: Vec<(usize, usize)> = ends.filter(|(n, end)| text[..before + end].ends_with(&needles[*n])).collect();
                let met: Vec<(usize, usize)> = met.iter().map(|found| (found.needle, found.end)).collect();
                prop_assert_eq!(met, wanted);
                let begun = |length: &usize| {
                    needles.iter().any(|needle| needle.starts_with(&text[text.len() - length..]))
                };
                let longest = (MIN_PREFIX_BYTES..=text.len().min(12)).rev().find(begun).unwrap_or(0);
                prop_assert_eq!(made.open_prefix(&searched), longest);
            }
        }
    }
}
