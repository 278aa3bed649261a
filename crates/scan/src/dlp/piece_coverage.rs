//! The search of folded text: for values in their encodings, and for pieces of values, in whatever order they come and
//! with whatever between them.

use super::fold::Fold;
use super::needles::{NeedleMatch, SearchText};
use super::vault::{FoldedNeedle, PIECE_LETTERS, Vault};

/// Letters and digits of a text after which the pieces that were seen are forgotten. A value that is cut up with more than
/// this between its pieces is not found.
const PIECE_MEMORY_LETTERS: u64 = 16 << 10;

/// Folds one reading of a text and searches it.
#[derive(Default)]
pub struct FoldedReader {
    fold: Fold,
    text: SearchText,
    found: Vec<NeedleMatch>,
}

/// Which letters of each value were seen, by all readings of one text.
#[derive(Default)]
pub struct PieceCoverage {
    /// One for each unit of the vault; empty until the first piece is seen.
    seen: Vec<SeenPieces>,
    /// Letters and digits read.
    position: u64,
}

#[derive(Clone, Copy, Default)]
struct SeenPieces {
    /// One bit for each letter of the value.
    letters: u128,
    /// Where the last piece ended.
    last: u64,
}

impl FoldedReader {
    /// Reads more of the text. `found` is told of each value in it: its unit, and how it was written.
    pub fn read(
        &mut self,
        vault: &Vault,
        bytes: &[u8],
        coverage: &mut PieceCoverage,
        mut found: impl FnMut(usize, &'static str),
    ) {
        self.fold.push(bytes, self.text.buffer());
        let letters = self.text.unsearched();
        vault.folded.search(&mut self.text, &mut self.found);
        for NeedleMatch { needle, end } in self.found.drain(..) {
            if let Some((unit, how)) = coverage.add(vault, needle, coverage.position + end as u64) {
                found(unit, how);
            }
        }
        coverage.position += letters as u64;
    }
}

impl PieceCoverage {
    /// Adds a needle that ends at `position`: the value that is found by it, and how it was written.
    fn add(&mut self, vault: &Vault, needle: usize, position: u64) -> Option<(usize, &'static str)> {
        match vault.folded_needles[needle] {
            FoldedNeedle::Form { unit, how } => Some((unit, how)),
            FoldedNeedle::Piece { unit, at } => {
                if self.seen.is_empty() {
                    self.seen = vec![SeenPieces::default(); vault.units.len()];
                }
                let seen = &mut self.seen[unit];
                if position - seen.last > PIECE_MEMORY_LETTERS {
                    seen.letters = 0;
                }
                seen.last = position;
                seen.letters |= ((1 << PIECE_LETTERS) - 1) << at.min(127 - PIECE_LETTERS);
                let length = vault.units[unit].length;
                // Three quarters of the value, but at least ten letters: values of one kind have beginnings in common.
                if (seen.letters.count_ones() as usize) < (length * 3 / 4).max(10).min(length) {
                    return None;
                }
                seen.letters = 0;
                Some((unit, "plain or in pieces"))
            }
        }
    }
}
