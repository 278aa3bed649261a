//! Many needles, one pass: an automaton that goes on where the last chunk ended, and knows how much of a needle it holds.

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};
use std::collections::HashMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Told,
    Ignored,
}

pub struct Web {
    dfa: DFA,
    start: StateID,
    lengths: Vec<usize>,
    /// Of states that a needle's beginning leads to: how long that is.
    depths: HashMap<StateID, usize>,
}

impl Web {
    pub fn new(needles: &[Vec<u8>], case: Case) -> Result<Web, String> {
        let dfa = DFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(case == Case::Ignored)
            .prefilter(false)
            .build(needles)
            .map_err(|_| "the secrets are too many to look for".to_owned())?;
        let start = dfa.start_state(Anchored::No).map_err(|_| "no automaton".to_owned())?;
        let mut depths = HashMap::new();
        for needle in needles {
            let mut state = start;
            for (length, byte) in needle.iter().enumerate() {
                state = dfa.next_state(Anchored::No, state, *byte);
                depths.insert(state, length + 1);
            }
        }
        Ok(Web { dfa, start, lengths: needles.iter().map(Vec::len).collect(), depths })
    }

    pub fn start(&self) -> StateID {
        self.start
    }

    #[inline]
    pub fn step(&self, state: StateID, byte: u8) -> StateID {
        self.dfa.next_state(Anchored::No, state, byte)
    }

    #[inline]
    pub fn hit(&self, state: StateID) -> bool {
        self.dfa.is_special(state) && self.dfa.is_match(state)
    }

    /// The needles that end here.
    pub fn ended(&self, state: StateID) -> impl Iterator<Item = usize> + '_ {
        (0..self.dfa.match_len(state)).map(move |n| self.dfa.match_pattern(state, n).as_usize())
    }

    /// Bytes of the longest needle that may be under way.
    pub fn depth(&self, state: StateID) -> usize {
        self.depths.get(&state).copied().unwrap_or(0)
    }

    pub fn length(&self, needle: usize) -> usize {
        self.lengths[needle]
    }
}
