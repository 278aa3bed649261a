//! Many needles, one pass: an automaton that goes on where the last chunk ended.

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};

pub struct Web {
    dfa: DFA,
    start: StateID,
}

impl Web {
    pub fn new(needles: &[&str]) -> Result<Web, String> {
        let dfa = DFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(needles);
        let dfa = dfa.map_err(|error| error.to_string())?;
        let start = dfa.start_state(Anchored::No).map_err(|error| error.to_string())?;
        Ok(Web { dfa, start })
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
}
