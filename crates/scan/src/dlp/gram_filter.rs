//! Tells quickly that a text holds no value in an encoding, nor a large piece of one: some bytes in each stretch are looked up
//! in a table of what values are written with.

/// Bytes that are looked up together.
const GRAM_BYTES: usize = 4;
/// Places next to one another that are looked up before a stretch counts.
const NEIGHBOURS: usize = 3;
/// The shortest piece that is sought, and the longest that lookups are spaced for.
const MIN_PIECE_BYTES: usize = 10;
const MAX_PIECE_BYTES: usize = 32;
/// Bits of the table's index.
const INDEX_BITS: u32 = 18;

pub struct GramFilter {
    /// One bit for each hash of a gram.
    bits: Vec<u64>,
    /// Bytes from one lookup to the next.
    step: usize,
}

impl GramFilter {
    /// `forms`: what is sought. Half of the shortest is a piece that is always noticed.
    pub fn new(forms: &[Vec<u8>]) -> GramFilter {
        let mut bits = vec![0; 1 << (INDEX_BITS - 6)];
        for gram in forms.iter().flat_map(|form| form.windows(GRAM_BYTES)) {
            let hash = hash(gram);
            bits[hash / 64] |= 1 << (hash % 64);
        }
        let piece = forms.iter().map(Vec::len).min().unwrap_or(0) / 2;
        let step = piece.clamp(MIN_PIECE_BYTES, MAX_PIECE_BYTES) + 1 - (GRAM_BYTES + NEIGHBOURS - 1);
        GramFilter { bits, step }
    }

    /// Bytes of the shortest piece that is always noticed.
    pub fn piece(&self) -> usize {
        self.step + GRAM_BYTES + NEIGHBOURS - 2
    }

    /// May there be a piece in the text?
    pub fn notices(&self, text: &[u8]) -> bool {
        let mut at = 0;
        while let Some(grams) = text.get(at..).and_then(|rest| rest.first_chunk::<{ GRAM_BYTES + NEIGHBOURS - 1 }>()) {
            if grams.windows(GRAM_BYTES).all(|gram| self.has(gram)) {
                return true;
            }
            at += self.step;
        }
        false
    }

    fn has(&self, gram: &[u8]) -> bool {
        let hash = hash(gram);
        self.bits[hash / 64] >> (hash % 64) & 1 != 0
    }
}

/// `gram`: of [`GRAM_BYTES`].
fn hash(gram: &[u8]) -> usize {
    let word = gram.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
    (word.wrapping_mul(0x9e37_79b9) >> (32 - INDEX_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_is_noticed_wherever_it_stands() {
        for value in ["Xk29fLq8Wm4Z", "Xk29fLq8Wm4Zr7bN1cQ5aV0tYu3Ii6OoPp2KdJ7vTe9S"] {
            let filter = GramFilter::new(&[value.as_bytes().to_vec()]);
            for before in 0..40 {
                for piece in value.as_bytes().windows(filter.piece()) {
                    let text = [&b"~".repeat(before)[..], piece, b"~~"].concat();
                    assert!(filter.notices(&text), "{before} {}", String::from_utf8_lossy(&text));
                }
            }
            assert!(!filter.notices(&include_bytes!("gram_filter.rs")[..500]));
        }
    }
}
