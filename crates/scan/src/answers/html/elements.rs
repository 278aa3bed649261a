//! The elements that are open, and whether one of them hides what is in it. Only names are kept, up to a depth.

use super::tag::{BLOCKS, CLOSES_ITSELF};

/// Elements in one another whose names are kept.
const MAX_DEPTH: usize = 256;

#[derive(Default)]
pub struct Elements {
    /// The open elements, and whether each hides what is in it.
    open: Vec<(String, bool)>,
    /// How many of them hide.
    hiding: usize,
    /// An element below [`MAX_DEPTH`] hides. Where it ends is not known, so the rest of the page is taken for hidden.
    hides_rest: bool,
}

impl Elements {
    /// Is what comes next hidden?
    pub fn is_hidden(&self) -> bool {
        self.hiding > 0 || self.hides_rest
    }

    pub fn enter(&mut self, name: String, hides: bool) {
        if self.open.len() < MAX_DEPTH {
            self.hiding += usize::from(hides);
            self.open.push((name, hides));
        } else {
            self.hides_rest |= hides;
        }
    }

    /// Closes the element that ends where one with this name begins. True: what comes next is no longer hidden.
    pub fn imply(&mut self, name: &str) -> bool {
        let Some((top, _)) = self.open.last() else { return false };
        let ends = (top == name && CLOSES_ITSELF.contains(&name)) || (top == "p" && BLOCKS.contains(&name));
        let top = top.clone();
        ends && self.close(&top)
    }

    /// Closes an element, with all that is in it. True: what comes next is no longer hidden.
    pub fn close(&mut self, name: &str) -> bool {
        let Some(at) = self.open.iter().rposition(|(open, _)| open == name) else { return false };
        let before = self.hiding;
        self.hiding -= self.open.drain(at..).filter(|(_, hides)| *hides).count();
        before > 0 && !self.is_hidden()
    }

    #[cfg(test)]
    pub fn is_bounded(&self) -> bool {
        self.open.len() <= MAX_DEPTH
    }
}
