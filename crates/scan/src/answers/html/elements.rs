//! The elements that are open, and whether one of them hides what is in it. Names are all that is kept, up to a depth.

use super::tag::{BLOCKS, CLOSES_ITSELF};

const DEEPEST: usize = 256;

#[derive(Default)]
pub struct Elements {
    open: Vec<(String, bool)>,
    hiding: usize,
    /// One beyond the depth that is kept hides: where it ends is not known.
    hides_rest: bool,
}

impl Elements {
    pub fn hide(&self) -> bool {
        self.hiding > 0 || self.hides_rest
    }

    pub fn enter(&mut self, name: String, hides: bool) {
        if self.open.len() < DEEPEST {
            self.hiding += usize::from(hides);
            self.open.push((name, hides));
        } else {
            self.hides_rest |= hides;
        }
    }

    /// One ends where another begins; true: what comes is seen again.
    pub fn imply(&mut self, name: &str) -> bool {
        let Some((top, _)) = self.open.last() else { return false };
        let ends = (top == name && CLOSES_ITSELF.contains(&name)) || (top == "p" && BLOCKS.contains(&name));
        let top = top.clone();
        ends && self.close(&top)
    }

    /// With all that is in it; true: what comes is seen again.
    pub fn close(&mut self, name: &str) -> bool {
        let Some(at) = self.open.iter().rposition(|(open, _)| open == name) else { return false };
        let before = self.hiding;
        self.hiding -= self.open.drain(at..).filter(|(_, hides)| *hides).count();
        before > 0 && self.hiding == 0
    }

    #[cfg(test)]
    pub fn is_bounded(&self) -> bool {
        self.open.len() <= DEEPEST
    }
}
