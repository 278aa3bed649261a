//! Folded text, read for values and their encodings: and which pieces of a value were seen lately, in whatever order and
//! with whatever in between.

use super::fold::Fold;
use super::needles::{Met, Trail};
use super::vault::{PIECE, Sign, Vault};

/// Letters and digits after which pieces that were seen are forgotten.
const MEMORY: u64 = 16 << 10;

/// Where one reading of a text stands.
#[derive(Default)]
pub struct Reading {
    fold: Fold,
    trail: Trail,
    met: Vec<Met>,
}

/// Which letters of each value were seen, by all readings of one text.
#[derive(Default)]
pub struct Cover {
    seen: Vec<Seen>,
    at: u64,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    letters: u128,
    last: u64,
}

impl Reading {
    /// The next bytes; what is found in them goes to `found`: its unit and how it was written.
    pub fn read(
        &mut self,
        (vault, cover): (&Vault, &mut Cover),
        bytes: &[u8],
        mut found: impl FnMut(usize, &'static str),
    ) {
        self.fold.push(bytes, self.trail.text());
        let letters = self.trail.fresh();
        vault.folded.look(&mut self.trail, &mut self.met);
        for (needle, end) in self.met.drain(..) {
            if let Some((unit, how)) = cover.note(vault, (needle, cover.at + end as u64)) {
                found(unit, how);
            }
        }
        cover.at += letters as u64;
    }
}

impl Cover {
    /// `at`: letters up to its end.
    fn note(&mut self, vault: &Vault, (needle, at): (usize, u64)) -> Option<(usize, &'static str)> {
        match vault.signs[needle] {
            Sign::Form { unit, how } => Some((unit, how)),
            Sign::Piece { unit, at: first } => {
                if self.seen.is_empty() {
                    self.seen = vec![Seen::default(); vault.units.len()];
                }
                let seen = &mut self.seen[unit];
                if at - seen.last > MEMORY {
                    seen.letters = 0;
                }
                seen.last = at;
                seen.letters |= ((1 << PIECE) - 1) << first.min(127 - PIECE);
                let length = vault.units[unit].length;
                // Most of it, but never only what values of a kind have in common.
                if (seen.letters.count_ones() as usize) < (length * 3 / 4).max(10).min(length) {
                    return None;
                }
                seen.letters = 0;
                Some((unit, "plain or in pieces"))
            }
        }
    }
}
