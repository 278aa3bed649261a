//! A search for many patterns in one pass: an automaton whose state goes on where the last chunk ended.

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};

pub struct MultiPattern {
    dfa: DFA,
    start: StateID,
}

impl MultiPattern {
    pub fn new(patterns: &[&str]) -> Result<MultiPattern, String> {
        let dfa = DFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(patterns);
        let dfa = dfa.map_err(|error| error.to_string())?;
        let start = dfa.start_state(Anchored::No).map_err(|error| error.to_string())?;
        Ok(MultiPattern { dfa, start })
    }

    pub fn start(&self) -> StateID {
        self.start
    }

    #[inline]
    pub fn step(&self, state: StateID, byte: u8) -> StateID {
        self.dfa.next_state(Anchored::No, state, byte)
    }

    /// Does a pattern end here?
    #[inline]
    pub fn is_match(&self, state: StateID) -> bool {
        self.dfa.is_special(state) && self.dfa.is_match(state)
    }

    /// The patterns that end here, by their index.
    pub fn matches(&self, state: StateID) -> impl Iterator<Item = usize> + '_ {
        (0..self.dfa.match_len(state)).map(move |n| self.dfa.match_pattern(state, n).as_usize())
    }
}
