//! Folded text, read for values and their encodings: the automaton's state, and which pieces of a value were seen lately,
//! in whatever order and with whatever in between.

use super::vault::{PIECE, Sign, Vault};
use aho_corasick::automaton::StateID;

/// Letters and digits after which pieces that were seen are forgotten.
const MEMORY: u64 = 16 << 10;

/// Where one reading of a text stands.
pub struct Reading {
    state: StateID,
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
    pub fn new(vault: &Vault) -> Reading {
        Reading { state: vault.folded.start() }
    }

    /// One letter or digit; what is found goes to `found`: its unit and how it was written.
    #[inline]
    pub fn read(&mut self, vault: &Vault, cover: &mut Cover, letter: u8) -> Option<(usize, &'static str)> {
        self.state = vault.folded.step(self.state, letter);
        cover.at += 1;
        if vault.folded.hit(self.state) { cover.note(vault, self.state) } else { None }
    }
}

impl Cover {
    #[cold]
    fn note(&mut self, vault: &Vault, state: StateID) -> Option<(usize, &'static str)> {
        let mut found = None;
        for needle in vault.folded.ended(state) {
            match vault.signs[needle] {
                Sign::Form { unit, how } => found = found.or(Some((unit, how))),
                Sign::Piece { unit, at } => {
                    if self.seen.is_empty() {
                        self.seen = vec![Seen::default(); vault.units.len()];
                    }
                    let seen = &mut self.seen[unit];
                    if self.at - seen.last > MEMORY {
                        seen.letters = 0;
                    }
                    seen.last = self.at;
                    seen.letters |= ((1 << PIECE) - 1) << at.min(127 - PIECE);
                    let length = vault.units[unit].length;
                    // Most of it, but never only what values of a kind have in common.
                    if seen.letters.count_ones() as usize >= (length * 3 / 4).max(10).min(length) {
                        seen.letters = 0;
                        found = found.or(Some((unit, "plain or in pieces")));
                    }
                }
            }
        }
        found
    }
}
